//! What every status must be in the end: what `drift-gate check` says of the same commits, by its exit code and in the words
//! that its reports come to.
//!
//! The heads are read from the forge, and who is what to the gate is worked out here again, from the words of the design
//! and not from the service's plan.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use drift_gate::config::{Config, Gate, Stale};
use drift_gate::demo::person::{Person, PersonError};
use drift_gate::forge::{State, Status};
use drift_gate::gate::Report;
use drift_gate::gate::policy::{Outcome, Paired, Role, Say, decide};
use reqwest::Method;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::place::{CORE, Place, TEMPLATE};

/// How many `check`s run at a time, over all stories.
static CHECKS: Semaphore = Semaphore::const_new(2);

/// A status as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub state: String,
    pub words: String,
}

/// A repository and a commit of it.
pub type Head = (&'static str, String);

/// One question to `check`: its options, and what they make the commit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    options: Vec<(&'static str, String)>,
    role: Role,
}

impl Question {
    /// The branch that a pull request is for, where that is gone: one can be opened again without it.
    fn missing_base(&self) -> Option<&str> {
        let is_gone = self.options.iter().any(|(name, value)| name.ends_with("onto") && value.is_empty());
        match &self.role {
            Role::ConsumerPull { base, .. } | Role::SourcePull { base, .. } if is_gone => Some(base),
            _ => None,
        }
    }
}

/// The options of a `check`.
type Case = Vec<(&'static str, String)>;

/// Asks `check`, each question once.
pub struct Truth {
    config: PathBuf,
    gate: Arc<Gate>,
    core: PathBuf,
    template: PathBuf,
    known: Mutex<HashMap<Case, (i32, Report)>>,
}

impl Truth {
    pub fn new(place: &Place, config: &Path) -> Self {
        let gate = Config::load(config).expect("a configuration").gates.remove(0);
        Self {
            config: config.to_owned(),
            gate: Arc::new(gate),
            core: place.git(CORE).to_owned(),
            template: place.git(TEMPLATE).to_owned(),
            known: Mutex::default(),
        }
    }

    /// How many questions `check` was asked.
    pub fn asked(&self) -> usize {
        self.known.lock().expect("answers").len()
    }

    /// The heads whose status is not what it must be, up to so many of them in words; none when all is well. Also how many
    /// heads there are. Fails where the forge does not answer.
    pub async fn wrong(&self, person: &Person, most: usize) -> Result<(usize, Vec<String>), PersonError> {
        let heads = self.heads(person).await?;
        let (count, mut wrong) = (heads.len(), Vec::new());
        for ((repo, sha), questions) in heads {
            let expected = self.expected(&questions).await;
            let shown = person.status(repo, &sha, "drift-gate").await?;
            let shown = shown.map(|said| Shown { state: said.state, words: said.words });
            if shown.as_ref() != Some(&expected) {
                let roles: Vec<_> = questions.iter().map(|question| &question.role).collect();
                wrong.push(format!("{repo} {sha}: shows {shown:?}, `check` says {expected:?}; it is {roles:?}"));
                if wrong.len() >= most {
                    break;
                }
            }
        }
        Ok((count, wrong))
    }

    /// Every head that must have a status, with what is to be asked about it.
    async fn heads(&self, person: &Person) -> Result<BTreeMap<Head, Vec<Question>>, PersonError> {
        let (core, template) = (Seen::read(person, CORE).await?, Seen::read(person, TEMPLATE).await?);
        let source = template.branches.get(&self.gate.source.branch).cloned().unwrap_or_default();
        let gated: Vec<(&String, &String)> = core.branches.iter().filter(|(name, _)| self.gates_branch(name)).collect();
        let mut heads: BTreeMap<Head, Vec<Question>> = BTreeMap::new();
        let mut add = |repo, sha: &str, role, options: &[(&'static str, &str)]| {
            let options = options.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            heads.entry((repo, sha.to_owned())).or_default().push(Question { options, role });
        };
        for (branch, head) in &gated {
            let role = Role::ConsumerBranch { branch: (*branch).clone() };
            add(CORE, head, role, &[("--consumer-rev", head), ("--source-rev", &source)]);
        }
        for pull in &core.pulls {
            let role = Role::ConsumerPull { number: pull.number, base: pull.base.clone() };
            let options =
                [("--consumer-rev", &*pull.head), ("--onto", core.tip(&pull.base)), ("--source-rev", &source)];
            add(CORE, &pull.head, role, &options);
        }
        if self.gate.stale == Stale::Notice {
            return Ok(heads);
        }
        for (branch, consumer) in &gated {
            let role = Role::SourceBranch { consumer_branch: (*branch).clone() };
            add(TEMPLATE, &source, role, &[("--consumer-rev", consumer), ("--source-rev", &source)]);
        }
        for pull in &template.pulls {
            for (branch, consumer) in &gated {
                let (number, base, consumer_branch) = (pull.number, pull.base.clone(), (*branch).clone());
                let role = Role::SourcePull { number, base, consumer_branch };
                let base = template.tip(&pull.base);
                let options =
                    [("--source-rev", &*pull.head), ("--source-onto", base), ("--consumer-rev", consumer.as_str())];
                add(TEMPLATE, &pull.head, role, &options);
            }
        }
        Ok(heads)
    }

    fn gates_branch(&self, branch: &str) -> bool {
        self.gate.consumer.branches.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(folder) => branch.strip_prefix(folder).is_some_and(|rest| !rest.contains('/')),
            None => pattern == branch,
        })
    }

    async fn expected(&self, questions: &[Question]) -> Shown {
        let mut answers = Vec::new();
        for question in questions {
            answers.push(match question.missing_base() {
                Some(base) => Err(format!("its base branch {base} does not exist")),
                None => Ok(self.check(question).await),
            });
        }
        // What has nothing to be compared with cannot be asked, and is an error as what ends with 3 is.
        let codes: Vec<i32> = answers.iter().map(|answer| answer.as_ref().map_or(3, |(code, _)| *code)).collect();
        let state = match codes.as_slice() {
            codes if codes.contains(&1) => State::Failure,
            codes if codes.iter().any(|code| *code != 0) => State::Error,
            _ => State::Success,
        };
        let says: Vec<Say<'_>> = questions
            .iter()
            .zip(&answers)
            .map(|(question, answer)| Say {
                gate: &self.gate,
                role: &question.role,
                outcome: match answer {
                    Ok((_, report)) => Outcome::Judged(report),
                    Err(why) => Outcome::Not(why),
                },
                stale_since: None,
                paired: Paired::No,
                discreet: false,
            })
            .collect();
        // As a forge shows it: one line of limited length.
        let words = Status::new("drift-gate", state, &decide(&says, &[], 0).description, "").description;
        let state = format!("{state:?}").to_lowercase();
        Shown { state, words }
    }

    /// The exit code and the report of `drift-gate check`, the program.
    async fn check(&self, question: &Question) -> (i32, Report) {
        if let Some(known) = self.known.lock().expect("answers").get(&question.options) {
            return known.clone();
        }
        let _turn = CHECKS.acquire().await.expect("turns");
        let mut command = Command::new(env!("CARGO_BIN_EXE_drift-gate"));
        command.args(["check", "--format", "json", "--config"]).arg(&self.config);
        command.arg("--consumer").arg(&self.core).arg("--source").arg(&self.template);
        command.args(question.options.iter().flat_map(|(name, value)| [*name, value.as_str()]));
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("it runs");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let code = output.status.code().expect("an exit code");
        let report = serde_json::from_str(&out);
        let report = report.unwrap_or_else(|error| panic!("{question:?} ends with {code}: {error}\n{out}\n{err}"));
        self.known.lock().expect("answers").insert(question.options.clone(), (code, report));
        self.known.lock().expect("answers")[&question.options].clone()
    }
}

/// A repository as people see it.
struct Seen {
    branches: BTreeMap<String, String>,
    pulls: Vec<Pull>,
}

struct Pull {
    number: u64,
    head: String,
    base: String,
}

impl Seen {
    async fn read(person: &Person, repo: &str) -> Result<Self, PersonError> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let branches = all(person, &format!("/repos/{repo}/branches?")).await?;
        let pulls = all(person, &format!("/repos/{repo}/pulls?state=open&")).await?;
        let mut pulls: Vec<Pull> = pulls
            .iter()
            .map(|pull| Pull {
                number: pull["number"].as_u64().unwrap_or_default(),
                head: text(&pull["head"]["sha"]),
                base: text(&pull["base"]["ref"]),
            })
            .collect();
        // Of several roles the first in this order has the word.
        pulls.sort_by_key(|pull| pull.number);
        let branches = branches.iter().map(|branch| (text(&branch["name"]), text(&branch["commit"]["id"]))).collect();
        Ok(Self { branches, pulls })
    }

    /// A base branch that is gone has no head, and nothing can be compared.
    fn tip(&self, branch: &str) -> &str {
        self.branches.get(branch).map_or("", String::as_str)
    }
}

/// All pages of a list; the path ends with `?` or `&`.
pub async fn all(person: &Person, path: &str) -> Result<Vec<Value>, PersonError> {
    let mut all = Vec::new();
    for page in 1.. {
        let rows = person.ask(Method::GET, &format!("{path}limit=50&page={page}"), None).await?;
        let rows = rows.as_array().cloned().unwrap_or_default();
        let is_last = rows.len() < 50;
        all.extend(rows);
        if is_last {
            break;
        }
    }
    Ok(all)
}
