//! Who may see what of a page: "Nothing private is told in a wider place".
//!
//! A page is public by its address. Its reader can read the repository that the status stands in (it published the
//! address), and whatever is public. What only another, private repository has is withheld: file names become object
//! names or a count, sentences become the general one of their kind, because nobody can tell what a sentence quotes.
//! Contents are shown only where both repositories are public. The operator, and gates with `quote = "always"`, see all.

use chrono::{DateTime, Utc};

use super::data::{Diff, Earlier, Judged, Judgement, Outcome, PageData, Repo, Role, Side, Told, Waived};
use super::repair::ShownRepair;
use crate::forge::State;
use crate::gate::finding::{Cause, Finding, Severity, Undecided};
use crate::gate::verdict::Verdict;
use crate::gate::{Report, Revision};
use crate::report::words;
use crate::tree::ObjectId;

/// Who reads a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Holds the admin token: sees everything.
    Operator,
    /// Has the address.
    Anyone,
}

/// Text and, where there is one, the address that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Linked {
    pub text: String,
    pub address: Option<String>,
}

/// What a reader may see of a page; made by [`visible`] only.
#[derive(Clone, Debug)]
pub struct Shown {
    pub(super) repo: String,
    pub(super) commit: Linked,
    pub(super) sha: ObjectId,
    pub(super) context: String,
    pub(super) state: State,
    /// All that was compared is in sync.
    pub(super) clean: bool,
    pub(super) description: String,
    pub(super) decided_at: DateTime<Utc>,
    pub(super) head: bool,
    /// `None`: the forge says it. Else why not, as far as the reader may know.
    pub(super) untold: Option<Option<String>>,
    pub(super) roles: Vec<Linked>,
    /// An open pull request to comment on.
    pub(super) pull: Option<Linked>,
    pub(super) waivers: Vec<Waived>,
    pub(super) judgements: Vec<ShownJudgement>,
    pub(super) earlier: Vec<Earlier>,
}

#[derive(Clone, Debug)]
pub(super) struct ShownJudgement {
    pub gate: String,
    pub role: String,
    pub outcome: Result<ShownReport, String>,
    pub repair: Option<ShownRepair>,
}

#[derive(Clone, Debug)]
pub(super) struct ShownReport {
    pub verdict: Verdict,
    /// Something is withheld.
    pub withheld: bool,
    pub consumer: ShownSide,
    pub source: ShownSide,
    pub binding: String,
    pub files_compared: u64,
    pub bytes_compared: u64,
    pub findings: Vec<ShownFinding>,
    pub undecided: Vec<ShownUndecided>,
    pub assumptions: Vec<(Option<Linked>, String)>,
    pub engine: String,
    pub config_digest: String,
}

#[derive(Clone, Debug)]
pub(super) struct ShownSide {
    pub repo: String,
    /// What each commit was to the comparison, and the commit.
    pub commits: Vec<(&'static str, Linked)>,
}

#[derive(Clone, Debug)]
pub(super) struct ShownFinding {
    pub title: &'static str,
    pub kind: String,
    pub notice: bool,
    pub inherited: bool,
    pub path: String,
    pub cause: Option<Linked>,
    pub message: String,
    pub fix: Option<String>,
    pub diff: Option<Diff>,
}

#[derive(Clone, Debug)]
pub(super) struct ShownUndecided {
    pub path: String,
    pub cause: Option<Linked>,
    pub reason: String,
    pub inherited: bool,
}

/// What `reader` may see of a page.
pub fn visible(data: PageData, reader: Reader) -> Shown {
    let mut roles: Vec<Linked> = Vec::new();
    let mut pull = None;
    for judgement in &data.judgements {
        let role = Linked { text: role_title(&judgement.role), address: role_address(&data.repo, &judgement.role) };
        if let Role::Pull { number, .. } = judgement.role {
            pull.get_or_insert(Linked { text: format!("#{number}"), address: role.address.clone() });
        }
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    let untold = match data.told {
        Told::Yes => None,
        // The forge's refusal may name what the token cannot see.
        Told::NotYet { trouble } => Some(trouble.filter(|_| reader == Reader::Operator)),
    };
    // Without a judgement nothing was compared: that is never "in sync".
    let clean = !data.judgements.is_empty() && data.judgements.iter().all(is_clean);
    Shown {
        commit: Linked { text: data.sha.short().to_owned(), address: Some(data.repo.addresses.commit(&data.sha)) },
        repo: data.repo.name.0,
        sha: data.sha,
        context: data.context,
        state: data.state,
        clean,
        description: data.description,
        decided_at: data.decided_at,
        head: data.head,
        untold,
        roles,
        pull,
        waivers: data.waivers,
        judgements: data.judgements.into_iter().map(|judgement| shown(judgement, reader)).collect(),
        earlier: data.earlier,
    }
}

/// Compared, and nothing found: not even what the base has already.
fn is_clean(judgement: &Judgement) -> bool {
    match &judgement.outcome {
        Outcome::Judged(judged) => {
            let report = &judged.report;
            report.verdict == Verdict::InSync
                && report.undecided.is_empty()
                && report.findings.iter().all(|finding| finding.severity == Severity::Notice)
        }
        Outcome::Unreadable(_) => false,
    }
}

fn role_words(role: &Role) -> String {
    match role {
        Role::Branch(branch) => format!("branch {branch}"),
        Role::Pull { number, onto, .. } => format!("pull request #{number} onto {onto}"),
    }
}

fn role_title(role: &Role) -> String {
    match role {
        Role::Pull { title, .. } if !title.is_empty() => format!("{}: {title}", role_words(role)),
        Role::Pull { .. } | Role::Branch(_) => role_words(role),
    }
}

fn role_address(repo: &Repo, role: &Role) -> Option<String> {
    match role {
        Role::Branch(_) => None,
        Role::Pull { number, .. } => Some(repo.addresses.pull(*number)),
    }
}

fn shown(judgement: Judgement, reader: Reader) -> ShownJudgement {
    let all = reader == Reader::Operator || judgement.quote;
    let sight = Sight {
        consumer: all || judgement.place == Side::Consumer || !judgement.consumer.private,
        source: all || judgement.place == Side::Source || !judgement.source.private,
        contents: all || !(judgement.consumer.private || judgement.source.private),
    };
    let repair = super::repair::told(&judgement, sight.both(), reader);
    let role = role_words(&judgement.role);
    let outcome = match judgement.outcome {
        Outcome::Judged(judged) => Ok(sight.report(*judged, &judgement.consumer, &judgement.source)),
        Outcome::Unreadable(why) if sight.both() => Err(why),
        Outcome::Unreadable(_) => Err("A repository of this gate cannot be read.".to_owned()),
    };
    ShownJudgement { gate: judgement.gate, role, outcome, repair }
}

/// Which names a reader may see, and whether contents.
#[derive(Clone, Copy)]
struct Sight {
    consumer: bool,
    source: bool,
    contents: bool,
}

/// The commits at which a report's files are to be looked at.
struct Places<'a> {
    consumer: (&'a Repo, Option<ObjectId>),
    source: (&'a Repo, Option<ObjectId>),
}

impl Sight {
    fn both(self) -> bool {
        self.consumer && self.source
    }

    fn of(self, side: Option<Side>) -> bool {
        match side {
            Some(Side::Consumer) => self.consumer,
            Some(Side::Source) => self.source,
            None => self.both(),
        }
    }

    fn report(self, judged: Judged, consumer: &Repo, source: &Repo) -> ShownReport {
        let Judged { report, mut diffs } = judged;
        let places = Places {
            consumer: (consumer, commit(report.consumer.commit.as_ref())),
            source: (source, commit(report.source.head.as_ref().or(report.source.bound.as_ref()))),
        };
        let mut findings = Vec::with_capacity(report.findings.len());
        for (index, finding) in report.findings.iter().enumerate() {
            let diff = diffs.remove(&index).filter(|_| self.contents);
            findings.push(self.finding(index, finding, &places, diff));
        }
        let undecided = report.undecided.iter().enumerate().map(|(index, part)| self.undecided(index, part, &places));
        let assumptions = report.assumptions.iter().map(|assumption| {
            let cause = Cause { file: assumption.file.clone(), line: assumption.line };
            let text = if self.both() { assumption.text.clone() } else { "taken for granted".to_owned() };
            (self.cause(&cause, None, &places).filter(|_| !assumption.file.is_empty()), text)
        });
        ShownReport {
            verdict: report.verdict,
            withheld: !(self.both() && self.contents),
            undecided: undecided.collect(),
            assumptions: assumptions.collect(),
            consumer: self.side(
                Side::Consumer,
                consumer,
                [("judged", report.consumer.commit.as_ref()), ("would be merged into", report.consumer.base.as_ref())],
            ),
            source: self.side(
                Side::Source,
                source,
                [
                    ("bound", report.source.bound.as_ref()),
                    ("head", report.source.head.as_ref()),
                    ("would be merged into", report.source.base.as_ref()),
                ],
            ),
            binding: binding_words(&report),
            files_compared: report.files_compared,
            bytes_compared: report.bytes_compared,
            findings,
            engine: report.engine,
            config_digest: report.config_digest,
        }
    }

    fn side<const N: usize>(
        self,
        side: Side,
        repo: &Repo,
        commits: [(&'static str, Option<&Revision>); N],
    ) -> ShownSide {
        let seen = self.of(Some(side));
        let linked = |(label, revision): (&'static str, Option<&Revision>)| match revision? {
            Revision::Commit(id) => {
                let address = seen.then(|| repo.addresses.commit(id));
                Some((label, Linked { text: id.short().to_owned(), address }))
            }
            Revision::WorkTree => Some((label, Linked { text: "files on disk".to_owned(), address: None })),
        };
        let name = if seen { repo.name.0.clone() } else { "a private repository".to_owned() };
        ShownSide { repo: name, commits: commits.into_iter().filter_map(linked).collect() }
    }

    fn finding(self, index: usize, finding: &Finding, places: &Places<'_>, diff: Option<Diff>) -> ShownFinding {
        let side = words::path_side(finding.kind);
        let both = self.both();
        ShownFinding {
            title: words::title(finding.kind),
            kind: words::name(finding.kind),
            notice: finding.severity == Severity::Notice,
            inherited: finding.inherited,
            path: if self.of(side) { finding.path.clone() } else { nameless(index, &finding.content) },
            cause: finding.cause.as_ref().and_then(|cause| {
                // A cause that is the finding's own file is on the side that names it.
                let own = cause.file == finding.path && side == Some(Side::Source);
                self.cause(cause, own.then_some(Side::Source), places)
            }),
            message: if both { finding.message.clone() } else { words::in_general(finding.kind).to_owned() },
            fix: Some(if both { finding.fix.clone() } else { words::to_do(finding.kind).to_owned() })
                .filter(|fix| !fix.is_empty()),
            diff,
        }
    }

    fn undecided(self, index: usize, part: &Undecided, places: &Places<'_>) -> ShownUndecided {
        let words = self.both();
        ShownUndecided {
            path: if words { part.path.clone() } else { nameless(index, &part.content) },
            cause: part.cause.as_ref().filter(|cause| words || cause.file != part.path).and_then(|cause| {
                // Without words nobody can tell an image's path from a source's: such a cause stays away.
                self.cause(cause, None, places)
            }),
            reason: if words { part.reason.clone() } else { "This part cannot be decided.".to_owned() },
            inherited: part.inherited,
        }
    }

    /// Where to look, if the reader may: in the consumer unless `side` says otherwise.
    fn cause(self, cause: &Cause, side: Option<Side>, places: &Places<'_>) -> Option<Linked> {
        let side = side.unwrap_or(Side::Consumer);
        if !self.of(Some(side)) {
            return None;
        }
        let (repo, commit) = match side {
            Side::Consumer => &places.consumer,
            Side::Source => &places.source,
        };
        let text = match cause.line {
            Some(line) => format!("{}:{line}", cause.file),
            None => cause.file.clone(),
        };
        let address = commit.as_ref().map(|commit| repo.addresses.file(commit, &cause.file, cause.line));
        Some(Linked { text, address })
    }
}

/// What stands for a path that is withheld: the object names in the finding, else its number.
fn nameless(index: usize, content: &str) -> String {
    let ids: Vec<String> = content
        .split(|c: char| !c.is_ascii_hexdigit())
        .filter_map(ObjectId::parse)
        .take(2)
        .map(|id| id.short().to_owned())
        .collect();
    match ids.as_slice() {
        [] => format!("a file ({})", index + 1),
        ids => format!("a file ({})", ids.join(", ")),
    }
}

fn commit(revision: Option<&Revision>) -> Option<ObjectId> {
    match revision? {
        Revision::Commit(id) => Some(id.clone()),
        Revision::WorkTree => None,
    }
}

/// How the consumer binds the source, in words.
fn binding_words(report: &Report) -> String {
    let binding = &report.binding;
    let behind = match binding.behind {
        Some(1) => "1 commit behind".to_owned(),
        Some(count) => format!("{count} commits behind"),
        None => "behind".to_owned(),
    };
    match (binding.kind.as_str(), binding.state.as_str()) {
        ("follow", _) | (_, "follow") => "follows the source's branch".to_owned(),
        (_, "current") => "pinned to the source's head".to_owned(),
        (_, "behind") => format!("pinned {behind}, in ignored files only"),
        (_, "stale") => format!("pinned {behind}"),
        (_, "ahead") => "pinned ahead of the source's head".to_owned(),
        (_, "diverged") => "pinned to a commit that is not on the source's branch".to_owned(),
        (_, "unreachable") => "pinned to a commit that the source does not have".to_owned(),
        (_, "invalid") => "not bound: there is no usable pin".to_owned(),
        _ => "bound in a way that nobody can tell".to_owned(),
    }
}
