//! From reports to one status (pure): what the words of a commit status are, and when they change by themselves.
//!
//! The verdict is the report's; nothing here changes it. Options and waivers soften the *status*, and then the words say so:
//! `advisory`, `stale = "notice"`, `grace`, what a pull request inherits, `waived by ...`. The description fits what every forge shows (the
//! forge room cuts at 140 characters) and says nothing that would change while the verdict does not: no distance, no
//! head of the other side.

use std::collections::BTreeSet;

use super::finding::{Finding, Kind, Severity, Undecided};
use super::verdict::{Report, Verdict};
use super::waiver::{self, Item, Waiver};
use super::{Side, words};
use crate::config::{Gate, Place, Stale};

/// What a commit is to a gate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Role {
    /// Head of a gated branch of the consumer.
    ConsumerBranch {
        /// Without `refs/heads/`.
        branch: String,
    },
    /// Head of the source's branch, told about one gated branch of the consumer.
    SourceBranch {
        /// The consumer's branch, without `refs/heads/`.
        consumer_branch: String,
    },
    /// An open pull request of the consumer onto `base`.
    ConsumerPull {
        /// As the forge counts the consumer's pull requests.
        number: u64,
        /// The consumer's branch that it would be merged into.
        base: String,
    },
    /// A branch of a merge queue of the consumer: what merging into `base` would give.
    ConsumerQueue {
        /// Without `refs/heads/`.
        branch: String,
        /// The consumer's branch that it is for.
        base: String,
        /// The pull request that the branch's name holds (`pr-7`).
        pull: Option<u64>,
    },
    /// An open pull request of the source onto `base`, judged with one gated branch of the consumer.
    SourcePull {
        /// As the forge counts the source's pull requests.
        number: u64,
        /// The source's branch that it would be merged into.
        base: String,
        /// The consumer's branch, without `refs/heads/`.
        consumer_branch: String,
    },
}

impl Role {
    /// Whether it is what a merge would give: it answers for what it adds.
    pub fn is_pull(&self) -> bool {
        matches!(self, Self::ConsumerPull { .. } | Self::SourcePull { .. } | Self::ConsumerQueue { .. })
    }

    /// The repository that the commit is of.
    pub fn side(&self) -> Side {
        match self {
            Self::ConsumerBranch { .. } | Self::ConsumerPull { .. } | Self::ConsumerQueue { .. } => Side::Consumer,
            Self::SourceBranch { .. } | Self::SourcePull { .. } => Side::Source,
        }
    }

    /// The number of the pull request, where it is one.
    pub fn pull(&self) -> Option<u64> {
        match self {
            Self::ConsumerPull { number, .. } | Self::SourcePull { number, .. } => Some(*number),
            Self::ConsumerBranch { .. } | Self::SourceBranch { .. } | Self::ConsumerQueue { .. } => None,
        }
    }

    /// The pull request whose waivers hold for it: of a queue's branch the one that is to be merged.
    pub fn waived_with(&self) -> Option<u64> {
        match self {
            Self::ConsumerQueue { pull, .. } => *pull,
            other => other.pull(),
        }
    }

    /// The branch that a pull request is for.
    fn base(&self) -> &str {
        match self {
            Self::ConsumerPull { base, .. } | Self::SourcePull { base, .. } | Self::ConsumerQueue { base, .. } => base,
            Self::ConsumerBranch { .. } | Self::SourceBranch { .. } => "the base",
        }
    }
}

/// What came of one gate's question about a commit.
#[derive(Clone, Debug)]
pub enum Outcome<'a> {
    /// It was judged; this is the report.
    Judged(&'a Report),
    /// It could not be judged; why, in a few words.
    Not(&'a str),
    /// The gate has ended, for this reason.
    Retired(&'a str),
}

/// What a pull request has to do with one of the other side.
#[derive(Clone, Copy, Debug)]
pub enum Paired<'a> {
    /// Nothing.
    No,
    /// It is judged together with this one as well; this is the report on both.
    With(&'a str, &'a Report),
    /// It names this one, which does not count, and why.
    Not(&'a str, &'a str),
    /// This one of the source names it.
    Waits(&'a str),
}

/// One gate's say about a commit.
#[derive(Clone, Debug)]
pub struct Say<'a> {
    /// Whose options soften the status.
    pub gate: &'a Gate,
    /// What the commit is to that gate.
    pub role: &'a Role,
    /// What came of its question.
    pub outcome: Outcome<'a>,
    /// When the oldest change of the source that is not adopted was first seen, Unix milliseconds.
    pub stale_since: Option<i64>,
    /// A pull request of the other side that belongs to it.
    pub paired: Paired<'a>,
    /// Readers of the status may not be able to read the gate's other repository: nothing is named that only it has.
    pub discreet: bool,
}

/// The state of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing stands against it.
    Success,
    /// Nobody can tell: undecided, or not judged.
    Error,
    /// Drift that counts; it comes before an error that another gate has.
    Failure,
}

/// One status for one commit and context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The worst of what all gates say: `failure` before `error` before `success`.
    pub state: State,
    /// Not cut yet: what matters most stands first.
    pub description: String,
    /// Unix milliseconds at which it changes by itself: a grace or a waiver ends.
    pub look_again: Option<i64>,
}

/// Makes one status of all that gates say about a commit, as far as nobody waived it. `now` is Unix milliseconds. Nothing said
/// is an error: what no gate judged is never green.
pub fn decide(says: &[Say<'_>], waivers: &[Waiver], now: i64) -> Decision {
    let mut voices: Vec<(Voice, &Gate)> = says.iter().map(|say| (voice(say, now), say.gate)).collect();
    waive(&mut voices, says, waivers, now);
    let look_again = voices.iter().filter_map(|(voice, _)| voice.until).min();
    let Some(state) = voices.iter().map(|(voice, _)| voice.state).max() else {
        return Decision { state: State::Error, description: "no gate judged this commit".into(), look_again: None };
    };
    // Gates of several consumers may have one name; a gate with several roles is one gate.
    let names = |wanted: Option<State>| -> BTreeSet<(&Place, &str)> {
        let of_state = voices.iter().filter(|(voice, _)| wanted.is_none_or(|state| voice.state == state));
        of_state.map(|(_, gate)| (&gate.consumer.place, gate.name.as_str())).collect()
    };
    let (all, worst) = (names(None), names(Some(state)));
    let mut of_worst = voices.iter().filter(|(voice, _)| voice.state == state);
    let first = of_worst.clone().find(|(voice, _)| voice.softened).or_else(|| of_worst.next());
    let words = first.map_or("", |(voice, _)| voice.words.as_str());
    let name = first.map_or("", |(_, gate)| gate.name.as_str());
    let description = match (all.len(), state) {
        (0 | 1, _) => words.to_owned(),
        (total, State::Success) if words == IN_SYNC => format!("all {total} gates in sync"),
        (_, State::Success) => format!("{name}: {words}"),
        (total, State::Failure) => format!("{} of {total} gates drift: {name}: {words}", worst.len()),
        (total, State::Error) => format!("{} of {total} gates undecided: {name}: {words}", worst.len()),
    };
    Decision { state, description, look_again }
}

const IN_SYNC: &str = "in sync";

/// Turns green what somebody waived: all that stands against a gate in every role of the commit, or nothing of it.
fn waive(voices: &mut [(Voice, &Gate)], says: &[Say<'_>], waivers: &[Waiver], now: i64) {
    for waiver in waivers.iter().filter(|waiver| !waiver.is_over(now)) {
        if !covers(waiver, says, now) {
            continue;
        }
        for (voice, gate) in voices.iter_mut() {
            if waiver.is_of(gate) && voice.state != State::Success {
                *voice = Voice {
                    state: State::Success,
                    words: waiver.words(),
                    softened: true,
                    until: waiver.until.or(voice.until),
                };
            }
        }
    }
}

/// Whether a waiver covers all that stands against its gate at `now`, in every role of the commit.
pub fn covers(waiver: &Waiver, says: &[Say<'_>], now: i64) -> bool {
    says.iter().filter(|say| waiver.is_of(say.gate)).all(|say| match against(say, now) {
        Some(items) => items.is_subset(&waiver.items),
        None => false,
    })
}

/// Whether it is known what stands against this gate: where it is not (an outage, a part that cannot be read), a waiver neither
/// covers nor ends.
pub fn is_known(say: &Say<'_>, now: i64) -> bool {
    against(say, now).is_some()
}

/// What stands against a gate in one role; `None` where nobody can tell, or no waiver covers it.
pub fn against(say: &Say<'_>, now: i64) -> Option<BTreeSet<Item>> {
    if voice(say, now).state == State::Success {
        return Some(BTreeSet::new());
    }
    let Outcome::Judged(report) = &say.outcome else { return None };
    let mut items = waiver::items(say.gate, report).ok()?;
    let is_stale = |finding: &&Finding| finding.kind == Kind::Stale && finding.severity == Severity::Error;
    let stale: Vec<&Finding> = report.findings.iter().filter(is_stale).collect();
    if !stale.is_empty() && of_stale(say, &stale, now).state == State::Success {
        let stale = words::name(Kind::Stale);
        items.retain(|item| item.kind != stale);
    }
    Some(items)
}

/// One gate's state and words.
#[derive(Clone)]
struct Voice {
    state: State,
    words: String,
    /// Success in spite of a finding.
    softened: bool,
    until: Option<i64>,
}

fn voice(say: &Say<'_>, now: i64) -> Voice {
    let voice = paired(say, verdict_of(say, now), now);
    // What could not be judged is not softened: nothing was compared.
    if voice.state == State::Success || matches!(say.outcome, Outcome::Not(_)) {
        return voice;
    }
    if say.gate.advisory {
        return Voice {
            state: State::Success,
            words: format!("advisory: {}", voice.words),
            softened: true,
            until: None,
        };
    }
    match say.gate.enforce_after.map(|moment| (moment, moment.timestamp_millis())) {
        Some((moment, millis)) if now < millis => Voice {
            state: State::Success,
            words: format!("not enforced before {}: {}", moment.format("%Y-%m-%d %H:%M UTC"), voice.words),
            softened: true,
            until: Some(voice.until.map_or(millis, |until| until.min(millis))),
        },
        _ => voice,
    }
}

/// What a pull request of the other side makes of a status that is not green.
fn paired(say: &Say<'_>, alone: Voice, now: i64) -> Voice {
    if alone.state == State::Success {
        return alone;
    }
    let shown = |name: &str| if say.discreet { "a pull request of the other side".to_owned() } else { name.to_owned() };
    match say.paired {
        Paired::No => alone,
        Paired::With(name, report) => {
            let both = Say { outcome: Outcome::Judged(report), paired: Paired::No, ..say.clone() };
            let both = verdict_of(&both, now);
            if both.state == State::Success {
                let words = format!("bakes with {}, which is merged after it", shown(name));
                return Voice { words, softened: true, ..both };
            }
            Voice { words: format!("also with {}: {}", shown(name), both.words), ..both }
        }
        Paired::Not(_, _) if say.discreet => alone,
        Paired::Not(name, why) => Voice { words: format!("{}; {name} {why}", alone.words), ..alone },
        Paired::Waits(name) => {
            Voice { words: format!("waits for {}: merge that, then bump; {}", shown(name), alone.words), ..alone }
        }
    }
}

/// What the gate's verdict comes to, before what softens all of it.
fn verdict_of(say: &Say<'_>, now: i64) -> Voice {
    let plain = |state, words: String| Voice { state, words, softened: false, until: None };
    let report = match &say.outcome {
        Outcome::Judged(report) => report,
        Outcome::Retired(reason) => {
            return Voice { softened: true, ..plain(State::Success, format!("retired: {reason}")) };
        }
        Outcome::Not(_) if say.discreet => {
            return plain(State::Error, "a repository of this gate cannot be read".into());
        }
        Outcome::Not(why) => return plain(State::Error, (*why).to_owned()),
    };
    let weigh = |inherited: bool| waiver::counts(say.gate, inherited);
    let findings: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error && weigh(finding.inherited))
        .collect();
    let (stale, hard): (Vec<&Finding>, Vec<&Finding>) =
        findings.into_iter().partition(|finding| finding.kind == Kind::Stale);
    let stale = (!stale.is_empty()).then(|| of_stale(say, &stale, now));
    let undecided = report.undecided.iter().find(|part| weigh(part.inherited));
    let drifts = report.findings.iter().any(|finding| finding.inherited && finding.severity == Severity::Error);
    let is_inherited = drifts || report.undecided.iter().any(|part| part.inherited);
    if !hard.is_empty() {
        plain(State::Failure, told(say, &hard))
    } else if let Some(stale) = stale.as_ref().filter(|stale| stale.state == State::Failure) {
        stale.clone()
    } else if let Some(part) = undecided {
        plain(State::Error, guessed(say, part))
    } else if let Some(stale) = stale {
        stale
    } else if report.verdict != Verdict::InSync {
        // A report says why; one that does not is not believed.
        plain(State::Error, "undecided".into())
    } else if is_inherited {
        let how = if drifts { "already drifts" } else { "is already undecided" };
        let words = format!("no new drift; {} {how}", say.role.base());
        Voice { softened: true, ..plain(State::Success, words) }
    } else {
        plain(State::Success, IN_SYNC.into())
    }
}

fn guessed(say: &Say<'_>, part: &Undecided) -> String {
    match part.path.as_str() {
        _ if say.discreet => "undecided: a part of it cannot be known".to_owned(),
        "" => format!("undecided: {}", part.reason),
        path => format!("undecided: {path}: {}", part.reason),
    }
}

fn of_stale(say: &Say<'_>, stale: &[&Finding], now: i64) -> Voice {
    let words = told(say, stale);
    if say.gate.stale == Stale::Notice {
        return Voice {
            state: State::Success,
            words: format!("stale, as this gate allows: {words}"),
            softened: true,
            until: None,
        };
    }
    let grace = i64::try_from(say.gate.grace.as_millis()).unwrap_or(i64::MAX);
    let end = say.stale_since.map(|since| since.saturating_add(grace));
    match end {
        Some(end) if grace > 0 && now < end => {
            let at = chrono::DateTime::from_timestamp_millis(end);
            let at = at.map_or_else(String::new, |at| at.format(" until %Y-%m-%d %H:%M UTC").to_string());
            Voice { state: State::Success, words: format!("in grace{at}: {words}"), softened: true, until: Some(end) }
        }
        _ => Voice { state: State::Failure, words, softened: false, until: None },
    }
}

/// The findings in the words of the side that reads them.
fn told(say: &Say<'_>, findings: &[&Finding]) -> String {
    let Some(first) = findings.first() else { return String::new() };
    let more = match findings.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    if say.discreet {
        return format!("{}{more}", discreetly(say.role, first));
    }
    let what = short(first);
    let consumer = last_name(&say.gate.consumer.place);
    match (say.role, first.kind) {
        (Role::SourceBranch { consumer_branch }, Kind::Stale) => {
            format!("not shipped: {consumer} {consumer_branch} still bakes the old {}{more}", first.path)
        }
        (Role::SourceBranch { consumer_branch }, Kind::NotBaked) => {
            format!("{consumer} {consumer_branch} cannot bake {}: no COPY takes it{more}", first.path)
        }
        (Role::SourceBranch { consumer_branch }, _) => format!("{consumer} {consumer_branch}: {what}{more}"),
        (Role::SourcePull { .. }, _) => format!("{consumer} cannot take it: {what}{more}"),
        (Role::ConsumerBranch { .. } | Role::ConsumerPull { .. } | Role::ConsumerQueue { .. }, _) => {
            format!("{what}{more}")
        }
    }
}

/// A finding in words that name at most a file of the side that reads them: nobody can tell what its own words quote.
fn discreetly(role: &Role, finding: &Finding) -> String {
    let own = role.side();
    let words = words::in_general(finding.kind).trim_end_matches('.');
    if words::path_side(finding.kind) == Some(own) && !finding.path.is_empty() {
        format!("{}: {words}", finding.path)
    } else {
        words.to_owned()
    }
}

/// A finding in a few words, with its path.
pub fn short(finding: &Finding) -> String {
    let path = &finding.path;
    match finding.kind {
        Kind::BuildFails => format!("the build fails: {}", finding.message),
        Kind::NotBaked => format!("{path} is not baked: no COPY takes it"),
        Kind::ContentDiffers => format!("{path} differs"),
        Kind::WrongDestination => format!("{path} is baked at the wrong place"),
        Kind::MissingInSource => format!("{path} is missing in the source"),
        Kind::Empty => format!("{path} is empty"),
        Kind::Unlisted => format!("{path} is neither identity nor ignored"),
        Kind::ExtraAtDestination => format!("{path} is baked but not in the source"),
        Kind::VendoredCopy => format!("{path} is baked from a copy, not from the source"),
        Kind::SourceDirTracked => format!("{path} is tracked where the build puts the source"),
        Kind::Stale => format!("{path} is stale: the pin lags behind the source"),
        Kind::CheckoutDiffers => format!("{path} of the source's folder is not the pinned one"),
        Kind::CopyDiffers => format!("a copy of {path} differs"),
        Kind::CopyMissing => format!("a copy of {path} is missing"),
        Kind::CopyExtra => format!("{path} has no original in the source"),
        Kind::ValuesDiffer => format!("the values in {path} are not the source's"),
        Kind::ValuesTooFew => format!("{path} gives too few values"),
        Kind::NotAbsent => format!("{path} is back: it must stay absent"),
        Kind::PinBackwards => format!("{path}: the pin moves back to an older commit"),
        Kind::WatchedFileChanged => format!("{path} is changed, which decides what is built: somebody must look"),
        Kind::CopiesNothing
        | Kind::PinMissing
        | Kind::PinAmbiguous
        | Kind::PinInvalid
        | Kind::PinRequirement
        | Kind::PinUnreachable
        | Kind::PinUnmerged
        | Kind::ConfigInvalid
        | Kind::GateWeakened => finding.message.clone(),
    }
}

/// The last name of a place: what people call the repository.
fn last_name(place: &Place) -> &str {
    match place {
        Place::Forge { repo, .. } => repo.rsplit('/').next().unwrap_or(repo),
        Place::Url(url) => url.trim_end_matches('/').trim_end_matches(".git").rsplit('/').next().unwrap_or(url),
        Place::Here => "the consumer",
    }
}
