//! Gates between two repositories, as the files suggest them and the engine judges them.
//!
//! The traps: two sources may have the same name, and gates of one consumer may not; and each of several gates of one source
//! calls a file unlisted that another one compares, so those are ignored there, with the other gate's name.

use crate::config::{self, Config, Gate};
use crate::gate::discover::{self, Copied, FoundBake, FoundMirror, FoundMirrors, FoundPin, LeftOut, PinPlace};
use crate::gate::finding::Severity;
use crate::gate::policy::{self, Outcome, Paired, Role, Say};
use crate::gate::{Before, Case, Report, Revision, World};
use crate::report;
use crate::report::safe::one_line;

use super::super::local::Pair;
use super::{Failure, Side, written};

/// Commits that are looked for in the source at most: each may be a question to the forge.
const MOST_COMMITS: usize = 30;
/// Copies that are named, of many.
const MOST_NAMED: usize = 5;
/// The beginning of a repository's name that a gate is called by, in characters.
const LONGEST_NAME: usize = 60;

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
    /// Globs of the source's files that other proposed gates compare, each with the name of that gate.
    pub elsewhere: Vec<(String, Vec<String>)>,
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

impl Proposal {
    /// Globs of the source's files that it compares.
    fn compares(&self) -> Vec<String> {
        match &self.what {
            What::Bake(found) => found.identity.clone(),
            What::Copies(found) => found.same_name.iter().flat_map(FoundMirror::originals).collect(),
            What::Pin => Vec::new(),
        }
    }
}

/// What is proposed between two repositories.
pub(super) struct Proposals {
    pub all: Vec<Proposal>,
    /// What was not looked at, or not proposed, in sentences.
    pub besides: Vec<String>,
}

/// All that is proposed between these two; `taken` are names of gates that other sources have.
pub(super) fn proposals(
    forge: &config::Forge,
    (consumer, source): (&Side, &Side),
    taken: &[String],
) -> Result<Proposals, Failure> {
    let pair = Pair::plain(&consumer.opened, &source.opened);
    let failed = |why: String| Failure::failed(format_args!("{} and {}: {why}", consumer.repo, source.repo));
    let mut besides = Vec::new();
    let (mut pin, others) = pin(&pair, (consumer, source), &mut besides).map_err(failed)?;
    let name = source.repo.parts().map_or("", |(_, name)| name);
    let called = called(source, taken);
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
        elsewhere: Vec::new(),
        words: String::new(),
        verdict: String::new(),
    };
    let mut best: Vec<(Rank, FoundBake, Proposal)> = Vec::new();
    for bake in bakes {
        let mut proposal = new(called.clone(), What::Bake(bake.clone()), pin.as_ref());
        let Some(rank) = judged(forge, &mut proposal, consumer, source)? else {
            besides.push(unwritten(&proposal, consumer, source));
            continue;
        };
        match best.iter_mut().find(|(_, known, _)| (&known.dockerfile, known.line) == (&bake.dockerfile, bake.line)) {
            // The build context is a guess between two: what can be compared is right.
            Some(known) if rank < known.0 => *known = (rank, bake, proposal),
            Some(_) => {}
            None => best.push((rank, bake, proposal)),
        }
    }
    let baked: Vec<String> = best.iter().flat_map(|(_, bake, _)| bake.identity.iter().cloned()).collect();
    let mut proposals: Vec<Proposal> = best.into_iter().map(|(_, _, proposal)| proposal).collect();
    if proposals.len() > 1 {
        for (index, proposal) in proposals.iter_mut().enumerate() {
            proposal.name = format!("{called}-{}", index + 1);
        }
    }
    let mut copies = Vec::new();
    let (found, bound) = mirrors(&pair, (consumer, source), pin.as_ref(), &baked).map_err(failed)?;
    besides.extend(not_proposed(&found, consumer, source));
    if !found.same_name.is_empty() {
        copies.push(new(format!("{called}-copies"), What::Copies(found), bound));
    }
    // The pin is judged with whatever is bound by it.
    if pin.is_some() && proposals.is_empty() && copies.iter().all(|one| one.pin.is_none()) {
        copies.push(new(format!("{called}-pin"), What::Pin, pin.as_ref()));
    }
    for mut proposal in copies {
        match judged(forge, &mut proposal, consumer, source)? {
            Some(_) => proposals.push(proposal),
            None => besides.push(unwritten(&proposal, consumer, source)),
        }
    }
    part(&mut proposals);
    // Under their last names, and with what is ignored by now.
    for proposal in &mut proposals {
        judged(forge, proposal, consumer, source)?;
        proposal.words = words(proposal, consumer, source);
    }
    Ok(Proposals { all: proposals, besides })
}

/// What the gates of a source are called by: its name, after its owner's where that is taken.
fn called(source: &Side, taken: &[String]) -> String {
    let Some((owner, name)) = source.repo.parts() else { return String::new() };
    let short = |text: &str| text.trim_start_matches('.').chars().take(LONGEST_NAME).collect::<String>();
    let (name, full) = (short(name), short(&format!("{owner}-{name}")));
    let is_taken = |called: &str| taken.iter().any(|one| one == called || one.starts_with(&format!("{called}-")));
    let numbered = (2..).map(|number| format!("{full}-{number}"));
    [name, full.clone()].into_iter().chain(numbered).find(|called| !is_taken(called)).unwrap_or_default()
}

/// Tells each gate that classifies the source's files which of them another one compares.
fn part(proposals: &mut [Proposal]) {
    let all: Vec<(String, Vec<String>)> = proposals.iter().map(|one| (one.name.clone(), one.compares())).collect();
    for proposal in proposals.iter_mut().filter(|one| matches!(one.what, What::Bake(_))) {
        let mut known = proposal.compares();
        for (name, globs) in all.iter().filter(|(name, _)| *name != proposal.name) {
            let new: Vec<String> = globs.iter().filter(|glob| !known.contains(glob)).cloned().collect();
            known.extend(new.iter().cloned());
            if !new.is_empty() {
                proposal.elsewhere.push((name.clone(), new));
            }
        }
    }
}

/// Copies of files of the pinned commit, and the pin; of the branch's head, where there are none of that.
fn mirrors<'p>(
    pair: &Pair<'_>,
    (consumer, source): (&Side, &Side),
    pin: Option<&'p FoundPin>,
    baked: &[String],
) -> Result<(FoundMirrors, Option<&'p FoundPin>), String> {
    let pinned = pin.map(|pin| (Revision::Commit(pin.commit.clone()), Some(pin)));
    let mut last = FoundMirrors::default();
    for (revision, bound) in pinned.into_iter().chain([(source.opened.revision.clone(), None)]) {
        last = pair.whole(|| {
            let (Some(ours), Some(theirs)) = (
                pair.tree(crate::gate::Side::Consumer, &consumer.opened.revision)?,
                pair.tree(crate::gate::Side::Source, &revision)?,
            ) else {
                return Ok(FoundMirrors::default());
            };
            discover::mirrors(ours.as_ref(), theirs.as_ref(), baked)
        })?;
        if !last.same_name.is_empty() {
            return Ok((last, bound));
        }
    }
    Ok((last, None))
}

/// What is not proposed of the copies that there may be, in sentences.
fn not_proposed(found: &FoundMirrors, consumer: &Side, source: &Side) -> Vec<String> {
    let mut all = Vec::new();
    let LeftOut { consumer: ours, source: theirs, equal } = found.left_out;
    for (side, left_out) in [(consumer, ours), (source, theirs)] {
        if left_out > 0 {
            all.push(format!("{left_out} files of {} were not looked at for copies: it has too many", side.repo));
        }
    }
    if equal > 0 {
        let (consumer, source) = (&consumer.repo, &source.repo);
        all.push(format!("{consumer} has equal ones of {equal} more files of {source}, which were not looked at"));
    }
    // Else the file tells.
    if found.same_name.is_empty() {
        all.extend(found.renamed.iter().take(MOST_NAMED).map(|one| {
            let (Copied::File(original) | Copied::Folder(original, _)) = &one.what;
            format!(
                "{} of {} is equal to {} of {}, under another name: if it is meant to be a copy, a `mirror` check compares it",
                one_line(&one.copies.join(", ")),
                consumer.repo,
                one_line(original),
                source.repo
            )
        }));
    }
    all
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
fn pin(
    pair: &Pair<'_>,
    (consumer, source): (&Side, &Side),
    besides: &mut Vec<String>,
) -> Result<(Option<FoundPin>, Vec<FoundPin>), String> {
    let (mut found, left_out) = pair.whole(|| {
        let Some(tree) = pair.tree(crate::gate::Side::Consumer, &consumer.opened.revision)? else {
            return Ok((Vec::new(), 0));
        };
        let candidates = discover::candidates(tree.as_ref())?;
        Ok((discover::pins(tree.as_ref(), &candidates)?, candidates.left_out))
    })?;
    if left_out > 0 {
        besides.push(format!(
            "{left_out} files and folders of {} were not looked at for pins and Dockerfiles: it has too many",
            consumer.repo
        ));
    }
    // Those that name the source beside them first: of hundreds of commits only some are looked for.
    found.sort_by_key(|pin| require(pin, source).is_empty());
    let mut asked: Vec<(Revision, bool)> = Vec::new();
    let (mut ours, mut unasked) = (Vec::new(), Vec::new());
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
            None if asked.len() >= MOST_COMMITS => {
                unasked.push(commit);
                continue;
            }
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
    unasked.sort();
    unasked.dedup();
    if !unasked.is_empty() {
        let (many, source) = (unasked.len(), &source.repo);
        besides.push(format!(
            "of {many} more commits that {} names it was not asked whether they are {source}'s",
            consumer.repo
        ));
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
    let what = what(proposal, consumer, source);
    format!("{what}, and {binding}. The gate `{}` says now:\n", one_line(&proposal.name))
}

/// Of what was found, and no configuration can say.
fn unwritten(proposal: &Proposal, consumer: &Side, source: &Side) -> String {
    format!("{}, and no gate can be written for that: see docs/configuration.md", what(proposal, consumer, source))
}

/// What was found between the two, for people.
fn what(proposal: &Proposal, consumer: &Side, source: &Side) -> String {
    let (consumer, source) = (&consumer.repo, &source.repo);
    match &proposal.what {
        What::Bake(bake) => format!(
            "{consumer} bakes {source} into {} ({}:{})",
            one_line(&bake.destination),
            one_line(&bake.dockerfile),
            bake.line
        ),
        What::Copies(found) => {
            let places: Vec<&str> = found.same_name.iter().flat_map(|one| &one.copies).map(String::as_str).collect();
            let named = places.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
            let more = match places.len().saturating_sub(MOST_NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("{consumer} has copies of files of {source} ({}{more})", one_line(&named))
        }
        What::Pin => format!("{consumer} names a commit of {source}"),
    }
}
