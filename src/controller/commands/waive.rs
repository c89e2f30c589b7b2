//! `/drift-gate waive` and `unwaive`: what stands against a pull request at this moment is let pass, or no longer.
//!
//! Races:
//! - *A push comes between what a person saw and what they waive*: only what was told before the comment came is waived. A head
//!   without a verdict, and one whose verdict was decided after the comment was heard of or is another by now, are not: the person
//!   is asked to look and say it again. What was told is read first, because asking the forge may bring a look that tells more.
//!   The answer names what is covered.
//! - *A look that began before*: it does not know the waiver, so it neither applies nor ends it; the hint brings another look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::decide::judgements;
use super::super::plan::{Gated, RepoKey};
use super::super::subject::{Now, Subject};
use super::super::{Controller, Trouble, keys};
use super::parse::Waive;
use super::rights::Rights;
use crate::gate::policy;
use crate::gate::waiver::{self, Item};
use crate::report::words;
use crate::store::{By, Level, NewWaiver, StoreError, WantedRow};

/// Items that an answer names.
const NAMED: usize = 10;

/// What came of a command, in words for people.
pub(super) struct Outcome {
    /// It was done.
    pub good: bool,
    pub words: String,
}

impl Outcome {
    pub(super) fn done(words: impl Into<String>) -> Self {
        Self { good: true, words: words.into() }
    }

    pub(super) fn not(words: impl Into<String>) -> Self {
        Self { good: false, words: words.into() }
    }
}

/// Said instead on an issue. A branch answers for what is: pull requests inherit it, so its red holds nobody up, and a green one
/// would hide it; and one side's administrators would answer for the other side's branch.
pub(super) const NOT_HERE: &str = "a branch is not waived, it is mended; say it on the pull request that is held up. What a branch may \
     have is for the gate's configuration: `grace`, `enforce_after`, `advisory`";

/// What stands against a gate in all roles of a head.
struct Against {
    gated: Arc<Gated>,
    /// `None`: nobody can tell, or nothing covers it.
    items: Option<BTreeSet<Item>>,
    discreet: bool,
}

type Done = Result<Result<Outcome, Trouble>, StoreError>;

/// Gives back the trouble of an inner result.
macro_rules! passing {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(trouble) => return Ok(Err(trouble)),
        }
    };
}

impl Controller {
    /// Lets pass what stands against a pull request now. What was decided after `heard` (Unix milliseconds) was not seen by who asks.
    pub(super) async fn waive(&self, repo: &RepoKey, by: &By<'_>, ask: &Waive, heard: i64) -> Done {
        let number = u64::try_from(by.pull).unwrap_or_default();
        let name = self.current_name(repo);
        let mut rights = passing!(Rights::of(self, repo, &name, by.login).await);
        let gates = self.gates_now();
        let own = || gates.iter().map(AsRef::as_ref).filter(|gated: &&Gated| gated.touches(repo));
        if !passing!(rights.may_any(own()).await) {
            self.store.log(by, "refused", "", "waive").await?;
            return Ok(Ok(Outcome::not(rights.refusal(own()))));
        }
        let told = self.store.current(Some((&repo.forge, &repo.name))).await?;
        let now = passing!(self.now_of(repo, number, false).await?);
        let Some(now @ Now { subject: Subject::Pull(pull), .. }) = &now else {
            return Ok(Ok(Outcome::not("this pull request is not open: nothing is judged")));
        };
        let all = self.against(now).await?;
        let meant: Vec<&Against> = all
            .values()
            .filter(|against| ask.gate.as_ref().is_none_or(|gate| *gate == against.gated.gate.name))
            .collect();
        if let (true, Some(gate)) = (meant.is_empty(), &ask.gate) {
            let names: BTreeSet<&str> = all.values().map(|against| against.gated.gate.name.as_str()).collect();
            let names: Vec<&str> = names.into_iter().collect();
            return Ok(Ok(Outcome::not(format!("no gate here is called {gate}; there is {}", names.join(", ")))));
        }
        let failing: Vec<&Against> =
            meant.into_iter().filter(|one| one.items.as_ref().is_none_or(|items| !items.is_empty())).collect();
        if failing.is_empty() {
            return Ok(Ok(Outcome::not("nothing to waive: nothing stands against it")));
        }
        if let Some(why) = self.not_told_before(now, &told, heard) {
            return Ok(Ok(Outcome::not(why)));
        }
        let (mut waived, mut words, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for one in failing {
            let gated = &one.gated;
            if !passing!(rights.may(&gated.gate.commands).await) {
                refused.push(gated.as_ref());
                continue;
            }
            let Some(items) = &one.items else {
                let why = "nobody can say what would be waived: what cannot be read, or not be compared at all, is waited for or mended";
                words.push(format!("{}: not waived: {why}", gated.gate.name));
                continue;
            };
            words.push(format!("{}: {}", gated.gate.name, named(items, one.discreet)));
            waived.push(NewWaiver {
                gate: gated.id.clone(),
                sha: pull.head_sha.to_string(),
                items: serde_json::to_string(items).unwrap_or_default(),
            });
        }
        if !refused.is_empty() {
            self.store.log(by, "refused", "", "waive").await?;
            words.push(rights.refusal(refused.into_iter()));
        }
        if waived.is_empty() {
            return Ok(Ok(Outcome::not(words.join("; "))));
        }
        self.store.waive(by, &ask.reason, ask.until, &waived).await?;
        self.hint(repo, Level::Decide).await?;
        Ok(Ok(Outcome::done(format!("waived{}: {}", waiver::until(ask.until), words.join("; ")))))
    }

    /// Takes back what was let pass.
    pub(super) async fn unwaive(&self, repo: &RepoKey, by: &By<'_>, gate: Option<&str>) -> Done {
        let name = self.current_name(repo);
        let mut rights = passing!(Rights::of(self, repo, &name, by.login).await);
        let gates = self.gates_now();
        let own = || gates.iter().map(AsRef::as_ref).filter(|gated: &&Gated| gated.touches(repo));
        if !passing!(rights.may_any(own()).await) {
            self.store.log(by, "refused", "", "unwaive").await?;
            return Ok(Ok(Outcome::not(rights.refusal(own()))));
        }
        let rows = self.store.waivers(Some((&repo.forge, &repo.name))).await?;
        let short = |id: &str| id.rsplit_once(':').map_or(id, |(_, name)| name).to_owned();
        let mine = rows.iter().filter(|row| row.pull == by.pull);
        let mine: Vec<_> = mine.filter(|row| gate.is_none_or(|gate| gate == short(&row.gate))).collect();
        if mine.is_empty() {
            return Ok(Ok(Outcome::not("nothing is waived here")));
        }
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        for row in mine {
            let gated = gates.iter().find(|gated| gated.id == row.gate);
            let may = match gated {
                Some(gated) => passing!(rights.may(&gated.gate.commands).await),
                // Of a gate that a pull request brings, or that is gone.
                None => rights.is_admin(),
            };
            if may {
                taken.push(row.gate.clone());
            } else {
                refused.extend(gated.map(AsRef::as_ref));
            }
        }
        if taken.is_empty() {
            self.store.log(by, "refused", "", "unwaive").await?;
            return Ok(Ok(Outcome::not(rights.refusal(refused.into_iter()))));
        }
        self.store.unwaive(by, &taken).await?;
        self.hint(repo, Level::Decide).await?;
        let names: Vec<String> = taken.iter().map(|id| short(id)).collect();
        Ok(Ok(Outcome::done(format!("taken back: {}", names.join(", ")))))
    }

    /// What stands against each gate, by its id, over all roles of the head and all contexts.
    async fn against(&self, now: &Now) -> Result<BTreeMap<String, Against>, StoreError> {
        let mut all: BTreeMap<String, Against> = BTreeMap::new();
        let at = self.now();
        for (target, answers) in &now.targets {
            let says = self.says(target, answers).await?;
            for (ask, say) in target.asks.iter().zip(&says) {
                let one = all.entry(ask.gated.id.clone()).or_insert_with(|| Against {
                    gated: ask.gated.clone(),
                    items: Some(BTreeSet::new()),
                    discreet: false,
                });
                one.discreet |= say.discreet;
                one.items = match (one.items.take(), policy::against(say, at)) {
                    (Some(mut all), Some(items)) => {
                        all.extend(items);
                        Some(all)
                    }
                    _ => None,
                };
            }
        }
        Ok(all)
    }

    /// Why what is found now is not what a person could have seen before they asked.
    fn not_told_before(&self, now: &Now, told: &[WantedRow], heard: i64) -> Option<&'static str> {
        for (target, answers) in &now.targets {
            let forge_id = now.view.repository.id;
            let id = keys::wanted(&self.link_secret, &target.repo.forge, forge_id, &target.sha, &target.context);
            let Some(row) = told.iter().find(|row| row.id == id && row.state != "pending") else {
                return Some(
                    "not waived: this head had no verdict yet that somebody could have seen; wait for the status, \
                     then say it again",
                );
            };
            if row.decided_at > heard || row.judgements != judgements(target, answers) {
                return Some("not waived: the verdict changed meanwhile; look at it, then say it again");
            }
        }
        None
    }
}

/// What is covered, by kind and path, as far as the reader may know.
fn named(items: &BTreeSet<Item>, discreet: bool) -> String {
    let kinds: BTreeSet<&str> = items.iter().map(|item| item.kind.as_str()).collect();
    if discreet {
        let kinds: Vec<&str> = kinds.into_iter().collect();
        return format!("{} ({})", words::counted(items.len(), "finding"), kinds.join(", "));
    }
    let named = items.iter().take(NAMED).map(|item| match item.path.as_str() {
        "" => item.kind.clone(),
        path => format!("{} {path}", item.kind),
    });
    let more = match items.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", named.collect::<Vec<_>>().join(", "))
}
