//! Gates between two repositories, as the files suggest them and the engine judges them.

use crate::config::{self, Config, Gate};
use crate::gate::discover::{self, FoundBake, FoundMirrors, FoundPin, PinPlace};
use crate::gate::finding::Severity;
use crate::gate::policy::{self, Outcome, Paired, Role, Say};
use crate::gate::{Before, Case, Report, Revision, World};
use crate::report;
use crate::report::safe::one_line;

use super::super::local::Pair;
use super::{Failure, Side, written};

/// Commits that are looked for in the source at most: each may be a question to the forge.
const MOST_COMMITS: usize = 30;

/// A gate that is proposed.
pub(super) struct Proposal {
    /// Unique for its consumer.
    pub name: String,
    pub what: What,
    /// `None`: the branch is followed.
    pub pin: Option<FoundPin>,
    /// Fields beside the pin that name the source.
    pub require: Vec<(String, String)>,
    /// Other files that pin a commit of the source, for people.
    pub others: Vec<String>,
    /// What was found, for people.
    pub words: String,
    /// The report of it, for people.
    pub verdict: String,
}

/// What it would compare.
pub(super) enum What {
    /// What a Dockerfile bakes.
    Bake(FoundBake),
    /// Copies of files.
    Copies(FoundMirrors),
    /// The pin, and nothing else.
    Pin,
}

/// All that is proposed between these two.
pub(super) fn proposals(forge: &config::Forge, consumer: &Side, source: &Side) -> Result<Vec<Proposal>, Failure> {
    let pair = Pair::plain(&consumer.opened, &source.opened);
    let failed = |why: String| Failure::failed(format_args!("{} and {}: {why}", consumer.repo, source.repo));
    let (mut pin, others) = pin(&pair, consumer, source).map_err(failed)?;
    let name = source.repo.parts().map_or("", |(_, name)| name);
    let bakes = pair
        .whole(|| {
            let (Some(ours), Some(theirs)) = (
                pair.tree(crate::gate::Side::Consumer, &consumer.opened.revision)?,
                pair.tree(crate::gate::Side::Source, &source.opened.revision)?,
            ) else {
                return Ok(Vec::new());
            };
            let candidates = discover::candidates(ours.as_ref())?;
            discover::bakes(ours.as_ref(), theirs.as_ref(), &candidates.dockerfiles, name)
        })
        .map_err(failed)?;
    // A submodule where the build has the source is the pin, whatever else names a commit.
    let submodule = bakes.iter().find_map(|bake| {
        let found =
            others.iter().chain(&pin).find(|one| one.place == PinPlace::Submodule && one.file == bake.source_dir);
        found.cloned()
    });
    pin = submodule.or(pin);
    let new = |name: String, what: What, pin: Option<&FoundPin>| Proposal {
        name,
        what,
        pin: pin.cloned(),
        require: pin.map(|pin| require(pin, source)).unwrap_or_default(),
        others: others.iter().filter(|other| Some(*other) != pin).map(place).collect(),
        words: String::new(),
        verdict: String::new(),
    };
    let mut best: Vec<(Rank, FoundBake, Proposal)> = Vec::new();
    for bake in bakes {
        let mut proposal = new(name.to_owned(), What::Bake(bake.clone()), pin.as_ref());
        let Some(rank) = judged(forge, &mut proposal, consumer, source)? else { continue };
        match best.iter_mut().find(|(_, known, _)| (&known.dockerfile, known.line) == (&bake.dockerfile, bake.line)) {
            // The build context is a guess between two: what can be compared is right.
            Some(known) if rank < known.0 => *known = (rank, bake, proposal),
            Some(_) => {}
            None => best.push((rank, bake, proposal)),
        }
    }
    let taken: Vec<String> = best.iter().flat_map(|(_, bake, _)| bake.identity.iter().cloned()).collect();
    let mut proposals: Vec<Proposal> = best.into_iter().map(|(_, _, proposal)| proposal).collect();
    if proposals.len() > 1 {
        for (index, proposal) in proposals.iter_mut().enumerate() {
            proposal.name = format!("{name}-{}", index + 1);
        }
    }
    let mut copies = Vec::new();
    if let Some((found, bound)) = mirrors(&pair, (consumer, source), pin.as_ref(), &taken).map_err(failed)? {
        copies.push(new(format!("{name}-copies"), What::Copies(found), bound));
    }
    // The pin is judged with whatever is bound by it.
    if pin.is_some() && proposals.is_empty() && copies.iter().all(|one| one.pin.is_none()) {
        copies.push(new(format!("{name}-pin"), What::Pin, pin.as_ref()));
    }
    for mut proposal in copies {
        if judged(forge, &mut proposal, consumer, source)?.is_some() {
            proposals.push(proposal);
        }
    }
    for proposal in &mut proposals {
        proposal.words = words(proposal, consumer, source);
    }
    Ok(proposals)
}

/// Copies of files of the pinned commit, and the pin; of the branch's head, where there are none of that.
fn mirrors<'p>(
    pair: &Pair<'_>,
    (consumer, source): (&Side, &Side),
    pin: Option<&'p FoundPin>,
    taken: &[String],
) -> Result<Option<(FoundMirrors, Option<&'p FoundPin>)>, String> {
    let pinned = pin.map(|pin| (Revision::Commit(pin.commit.clone()), Some(pin)));
    for (revision, bound) in pinned.into_iter().chain([(source.opened.revision.clone(), None)]) {
        let found = pair.whole(|| {
            let (Some(ours), Some(theirs)) = (
                pair.tree(crate::gate::Side::Consumer, &consumer.opened.revision)?,
                pair.tree(crate::gate::Side::Source, &revision)?,
            ) else {
                return Ok(FoundMirrors::default());
            };
            discover::mirrors(ours.as_ref(), theirs.as_ref(), taken)
        })?;
        if !found.same_name.is_empty() {
            return Ok(Some((found, bound)));
        }
    }
    Ok(None)
}

/// The smaller the likelier: files that could not be compared, then findings and undecided parts.
type Rank = (std::cmp::Reverse<u64>, usize);

/// Judges a proposal; `None` where it is no gate at all.
fn judged(
    forge: &config::Forge,
    proposal: &mut Proposal,
    consumer: &Side,
    source: &Side,
) -> Result<Option<Rank>, Failure> {
    let text = written::one_gate(forge, consumer, source, proposal);
    let Ok(config) = Config::parse_laptop(&text, "the proposed gate") else { return Ok(None) };
    let Some(gate) = config.gates.first() else { return Ok(None) };
    let case = Case::Branch { consumer: consumer.opened.revision.clone(), source: source.opened.revision.clone() };
    let judged = Pair::new(gate, &consumer.opened, &source.opened)
        .and_then(|pair| pair.judge(gate, Before::This, &case).map(|report| (pair, report)));
    let (pair, report) = judged.map_err(Failure::failed)?;
    proposal.verdict = shown(gate, consumer, &report, &pair.seen(&case, &report));
    let failing = report.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    Ok(Some((std::cmp::Reverse(report.files_compared), failing + report.undecided.len())))
}

fn shown(gate: &Gate, consumer: &Side, report: &Report, texts: &dyn report::text::Texts) -> String {
    let role = Role::ConsumerBranch { branch: consumer.branch.clone() };
    // Who runs it reads both sides.
    let say = Say {
        gate,
        role: &role,
        outcome: Outcome::Judged(report),
        stale_since: None,
        paired: Paired::No,
        discreet: false,
    };
    report::text::report(report, &policy::decide(&[say], &[], 0), texts)
}

/// The pin, and what else names commits of the source.
fn pin(pair: &Pair<'_>, consumer: &Side, source: &Side) -> Result<(Option<FoundPin>, Vec<FoundPin>), String> {
    let mut found = pair.whole(|| {
        let Some(tree) = pair.tree(crate::gate::Side::Consumer, &consumer.opened.revision)? else {
            return Ok(Vec::new());
        };
        let candidates = discover::candidates(tree.as_ref())?;
        discover::pins(tree.as_ref(), &candidates)
    })?;
    // Those that name the source beside them first: of hundreds of commits only some are looked for.
    found.sort_by_key(|pin| require(pin, source).is_empty());
    let mut asked: Vec<(Revision, bool)> = Vec::new();
    let mut ours = Vec::new();
    for pin in found {
        if source.opened.root().is_some() && !source.opened.has_commits() {
            // A folder without a history has every commit and none.
            ours.extend(Some(pin).filter(|pin| !require(pin, source).is_empty()));
            continue;
        }
        let commit = Revision::Commit(pin.commit.clone());
        let known = asked.iter().find(|(known, _)| *known == commit).map(|(_, is)| *is);
        let is = match known {
            Some(is) => is,
            None if asked.len() >= MOST_COMMITS => continue,
            None => {
                let is = pair.whole(|| Ok(pair.tree(crate::gate::Side::Source, &commit)?.is_some()))?;
                asked.push((commit, is));
                is
            }
        };
        if is {
            ours.push(pin);
        }
    }
    Ok((ours.first().cloned(), ours))
}

/// Fields beside a pin that name the source, and only it.
fn require(pin: &FoundPin, source: &Side) -> Vec<(String, String)> {
    let names_source = |text: &str| {
        let text = text.trim_end_matches('/').trim_end_matches(".git");
        text == source.repo.0 || text.ends_with(&format!("/{}", source.repo))
    };
    pin.siblings.iter().filter(|(_, text)| names_source(text)).cloned().collect()
}

/// Where a pin stands, for people.
fn place(pin: &FoundPin) -> String {
    let file = one_line(&pin.file).into_owned();
    match &pin.place {
        PinPlace::Path(path) => format!("{file}:{} at {}", pin.line, one_line(&path.to_string())),
        PinPlace::Whole => file,
        PinPlace::Argument(name) => format!("{file}:{} as {}", pin.line, one_line(name)),
        PinPlace::Submodule => format!("the submodule {file}"),
    }
}

fn words(proposal: &Proposal, consumer: &Side, source: &Side) -> String {
    let binding = match &proposal.pin {
        Some(pin) => format!("pins {} ({})", pin.commit.short(), place(pin)),
        None => format!("pins no commit of it: the head of {} counts", source.branch),
    };
    let (consumer, source) = (&consumer.repo, &source.repo);
    let what = match &proposal.what {
        What::Bake(bake) => format!(
            "{consumer} bakes {source} into {} ({}:{})",
            one_line(&bake.destination),
            one_line(&bake.dockerfile),
            bake.line
        ),
        What::Copies(found) => {
            let places: Vec<String> = found.same_name.iter().flat_map(|one| &one.copies).cloned().collect();
            format!("{consumer} has copies of files of {source} ({})", one_line(&places.join(", ")))
        }
        What::Pin => format!("{consumer} names a commit of {source}"),
    };
    format!("{what}, and {binding}. The gate `{}` says now:\n", one_line(&proposal.name))
}
