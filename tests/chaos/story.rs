//! People at work on both repositories: pushes, pin bumps, pull requests, comments, branches that go. What they do follows
//! from the seed; what the forge refuses (a merge that conflicts) is not done.

use std::collections::BTreeMap;
use std::sync::Arc;

use drift_gate::demo::person::PersonError;
use reqwest::Method;
use serde_json::{Value, json};

use crate::place::{CONFIGS, CORE, DOCKERFILE, PROMPTS, Place, SERVERS, TEMPLATE, dockerfiles, manifest};
use crate::record::Record;
use crate::rng::Rng;

/// Foreign statuses on one commit: those beyond the third within an hour are left alone, and alarmed.
const MOST_FOREIGN: u32 = 2;

/// The branches beside these are few, so that stories stay readable.
const MOST_BRANCHES: usize = 12;

/// What people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    PushSource,
    RewriteSource,
    PushConsumer,
    Bump,
    Open,
    OpenAgain,
    OpenFromFork,
    PushPull,
    ForcePull,
    Close,
    Reopen,
    Retarget,
    Merge,
    Check,
    Talk,
    DeleteBranch,
    Release,
    ForeignStatus,
}

const STEPS: [(u64, Step); 18] = [
    (12, Step::PushSource),
    (2, Step::RewriteSource),
    (6, Step::PushConsumer),
    (9, Step::Bump),
    (9, Step::Open),
    (2, Step::OpenAgain),
    (2, Step::OpenFromFork),
    (6, Step::PushPull),
    (2, Step::ForcePull),
    (2, Step::Close),
    (2, Step::Reopen),
    (2, Step::Retarget),
    (5, Step::Merge),
    (3, Step::Check),
    (1, Step::Talk),
    (2, Step::DeleteBranch),
    (3, Step::Release),
    (2, Step::ForeignStatus),
];

/// The people of a story and what they remember.
pub struct Story {
    place: Arc<Place>,
    rng: Rng,
    record: Record,
    next: u64,
    /// Steps that the forge let them do.
    pub done: u64,
    /// Heads that the template's branch had.
    sources: Vec<String>,
    /// How often somebody wrote over the status of a commit.
    forged: BTreeMap<String, u32>,
}

type Done = Result<String, PersonError>;

impl Story {
    pub async fn new(place: Arc<Place>, rng: Rng, record: Record) -> Self {
        let head = place.maintainer.head(TEMPLATE, "main").await.expect("a head");
        Self { place, rng, record, next: 0, done: 0, sources: vec![head], forged: BTreeMap::new() }
    }

    /// Does one thing that the forge lets them do.
    pub async fn step(&mut self) {
        for _ in 0..8 {
            let step = *self.rng.weighted(&STEPS);
            match self.act(step).await {
                Ok(done) => {
                    self.record.add(format!("{step:?}: {done}"));
                    self.done += 1;
                    return;
                }
                Err(PersonError::Refused { .. } | PersonError::Unexpected { .. }) => {}
                // A real forge that is being restarted.
                Err(error) => self.record.add(format!("{step:?}: {error}")),
            }
        }
    }

    async fn act(&mut self, step: Step) -> Done {
        match step {
            Step::PushSource => self.push_source().await,
            Step::RewriteSource => self.rewrite_source().await,
            Step::PushConsumer => {
                let edits = self.consumer_edits().await?;
                self.commit(CORE, "main", None, edits).await
            }
            Step::Bump => {
                let edits = vec![("manifest.json".to_owned(), Some(manifest(&self.pin().await?)))];
                self.commit(CORE, "main", None, edits).await
            }
            Step::Open => self.open().await,
            Step::OpenAgain => self.open_again().await,
            Step::OpenFromFork => self.open_from_fork().await,
            Step::PushPull => {
                let (repo, pull) = self.pull("open").await?;
                let (branch, edits) = (text(&pull["head"]["ref"]), self.edits(repo).await?);
                self.commit(repo, &branch, None, edits).await
            }
            Step::ForcePull => self.force_pull().await,
            Step::Close | Step::Reopen => {
                let (from, to) = if step == Step::Close { ("open", "closed") } else { ("closed", "open") };
                let (repo, pull) = self.pull(from).await?;
                self.patch(repo, &pull, json!({ "state": to })).await
            }
            Step::Retarget => {
                let (repo, pull) = self.pull("open").await?;
                let branches = self.branches(repo).await?;
                let base = self.rng.pick(&branches).0.clone();
                self.patch(repo, &pull, json!({ "base": base })).await
            }
            Step::Merge => self.merge().await,
            Step::Check | Step::Talk => {
                let (repo, pull) = self.pull("open").await?;
                let words = if step == Step::Check { "/drift-gate check" } else { "Looks good to me" };
                self.say(repo, number(&pull), words).await
            }
            Step::DeleteBranch => {
                let repo = *self.rng.pick(&[CORE, TEMPLATE]);
                let branches = self.branches(repo).await?;
                let (branch, _) = self.rng.pick(&branches).clone();
                self.ask(Method::DELETE, &format!("/repos/{repo}/branches/{branch}"), None).await?;
                Ok(format!("{repo} {branch}"))
            }
            Step::Release => self.release().await,
            Step::ForeignStatus => self.foreign_status().await,
        }
    }

    async fn push_source(&mut self) -> Done {
        let edits = self.source_edits();
        let done = self.commit(TEMPLATE, "main", None, edits).await?;
        self.remember_source().await?;
        Ok(done)
    }

    /// The template's branch becomes an older commit and a change on it.
    async fn rewrite_source(&mut self) -> Done {
        let old = self.rng.pick(&self.sources).clone();
        let branch = self.fresh("old");
        self.make_branch(TEMPLATE, &branch, &old).await?;
        let edits = self.source_edits();
        let done = self.commit(TEMPLATE, &branch, Some(("main", true)), edits).await;
        self.ask(Method::DELETE, &format!("/repos/{TEMPLATE}/branches/{branch}"), None).await?;
        self.remember_source().await?;
        done
    }

    async fn remember_source(&mut self) -> Result<(), PersonError> {
        let head = self.place.maintainer.head(TEMPLATE, "main").await?;
        self.sources.push(head);
        Ok(())
    }

    async fn open(&mut self) -> Done {
        let repo = *self.rng.pick(&[CORE, TEMPLATE]);
        let branches = self.branches(repo).await?;
        if branches.len() > MOST_BRANCHES {
            return self.merge().await;
        }
        let base = self.base(&branches);
        let branch = self.fresh("work");
        let edits = self.edits(repo).await?;
        let done = self.commit(repo, &base, Some((&branch, false)), edits).await?;
        let pull = self.place.maintainer.open_pull(repo, &branch, &base, &branch).await?;
        Ok(format!("#{pull} onto {base}: {done}"))
    }

    /// One branch, two pull requests: one commit with two roles.
    async fn open_again(&mut self) -> Done {
        let (repo, pull) = self.pull("open").await?;
        let branches = self.branches(repo).await?;
        let (base, head) = (self.rng.pick(&branches).0.clone(), text(&pull["head"]["ref"]));
        let pull = self.place.maintainer.open_pull(repo, &head, &base, "again").await?;
        Ok(format!("{repo} #{pull}: {head} onto {base}"))
    }

    async fn open_from_fork(&mut self) -> Done {
        let branch = self.fresh("fork");
        let edits = self.consumer_edits().await?;
        let (fork, contributor) = (&self.place.fork, &self.place.contributor);
        let sha = contributor.commit(fork, "main", Some(&branch), "A change", &borrowed(&edits)).await?;
        let owner = fork.split('/').next().unwrap_or_default();
        let pull = contributor.open_pull(CORE, &format!("{owner}:{branch}"), "main", &branch).await?;
        Ok(format!("#{pull} {sha}: {}", names(&edits)))
    }

    async fn force_pull(&mut self) -> Done {
        let (repo, pull) = self.pull("open").await?;
        let (branch, base) = (text(&pull["head"]["ref"]), text(&pull["base"]["ref"]));
        let edits = self.edits(repo).await?;
        self.commit(repo, &base, Some((&branch, true)), edits).await
    }

    async fn merge(&mut self) -> Done {
        let (repo, pull) = self.pull("open").await?;
        let body = json!({ "Do": "merge", "delete_branch_after_merge": self.rng.percent(60) });
        self.ask(Method::POST, &format!("/repos/{repo}/pulls/{}/merge", number(&pull)), Some(body)).await?;
        if repo == TEMPLATE {
            self.remember_source().await?;
        }
        Ok(format!("{repo} #{} into {}", number(&pull), text(&pull["base"]["ref"])))
    }

    /// A release branch of core is cut, or gets a change of its own.
    async fn release(&mut self) -> Done {
        let branches = self.branches(CORE).await?;
        let releases: Vec<_> = branches.iter().filter(|(name, _)| name.starts_with("release/")).collect();
        if releases.len() < 2 && (releases.is_empty() || self.rng.percent(40)) {
            let branch = self.fresh("release/");
            self.make_branch(CORE, &branch, "main").await?;
            return Ok(branch);
        }
        let branch = self.rng.pick(&releases).0.clone();
        let edits = self.consumer_edits().await?;
        self.commit(CORE, &branch, None, edits).await
    }

    /// Somebody else writes over a status of drift-gate.
    async fn foreign_status(&mut self) -> Done {
        let repo = *self.rng.pick(&[CORE, TEMPLATE]);
        let sha = if self.rng.percent(50) {
            self.place.maintainer.head(repo, "main").await?
        } else {
            let pulls = self.ask(Method::GET, &format!("/repos/{repo}/pulls?state=open&limit=50"), None).await?;
            match pulls.as_array() {
                Some(pulls) if !pulls.is_empty() => text(&self.rng.pick(pulls)["head"]["sha"]),
                _ => self.place.maintainer.head(repo, "main").await?,
            }
        };
        if self.forged.get(&sha).is_some_and(|times| *times >= MOST_FOREIGN) {
            return Err(PersonError::Unexpected { what: sha, field: "patience of drift-gate" });
        }
        let state = *self.rng.pick(&["success", "failure", "pending"]);
        let body = json!({ "state": state, "context": "drift-gate", "description": "in sync" });
        self.ask(Method::POST, &format!("/repos/{repo}/statuses/{sha}"), Some(body)).await?;
        *self.forged.entry(sha.clone()).or_default() += 1;
        Ok(format!("{repo} {sha} {state}"))
    }

    async fn say(&self, repo: &str, pull: u64, words: &str) -> Done {
        let path = format!("/repos/{repo}/issues/{pull}/comments");
        self.place.contributor.ask(Method::POST, &path, Some(json!({ "body": words }))).await?;
        Ok(format!("{repo} #{pull}: {words}"))
    }

    async fn patch(&self, repo: &str, pull: &Value, change: Value) -> Done {
        let done = format!("{repo} #{} {change}", number(pull));
        self.ask(Method::PATCH, &format!("/repos/{repo}/pulls/{}", number(pull)), Some(change)).await?;
        Ok(done)
    }

    async fn make_branch(&self, repo: &str, branch: &str, from: &str) -> Result<Value, PersonError> {
        let body = json!({ "new_branch_name": branch, "old_ref_name": from });
        self.ask(Method::POST, &format!("/repos/{repo}/branches"), Some(body)).await
    }

    /// Commits on `branch`, or from it onto another that may have to give way.
    async fn commit(&self, repo: &str, branch: &str, onto: Option<(&str, bool)>, edits: Edits) -> Done {
        let maintainer = &self.place.maintainer;
        let at = onto.map_or(branch, |(new, _)| new);
        let sha = match onto {
            Some((new, true)) => {
                // Contents are replaced whatever they were: the forge asks for no version when the file is new there.
                let scratch = format!("scratch-{}", self.next);
                let sha = maintainer.commit(repo, branch, Some(&scratch), "A change", &borrowed(&edits)).await?;
                let body = json!({ "branch": scratch, "new_branch": new, "force_push": true, "message": "Once more",
                    "files": [{ "operation": "create", "path": format!("docs/{scratch}"), "content": "" }] });
                let forced = self.ask(Method::POST, &format!("/repos/{repo}/contents"), Some(body)).await;
                self.ask(Method::DELETE, &format!("/repos/{repo}/branches/{scratch}"), None).await?;
                forced?["commit"]["sha"].as_str().map_or(sha, str::to_owned)
            }
            Some((new, false)) => maintainer.commit(repo, branch, Some(new), "A change", &borrowed(&edits)).await?,
            None => maintainer.commit(repo, branch, None, "A change", &borrowed(&edits)).await?,
        };
        Ok(format!("{repo} {at} {sha}: {}", names(&edits)))
    }

    async fn edits(&mut self, repo: &str) -> Result<Edits, PersonError> {
        if repo == CORE { self.consumer_edits().await } else { Ok(self.source_edits()) }
    }

    fn source_edits(&mut self) -> Edits {
        let rng = &mut self.rng;
        let one = |path: &str, text: &str| vec![(path.to_owned(), Some(text.to_owned()))];
        match rng.between(0, 10) {
            0..4 => one("config.yaml", rng.pick::<&str>(&CONFIGS)),
            4 => one("mcp_servers.yaml", rng.pick::<&str>(&SERVERS)),
            5 => one("prompts/concierge.md", rng.pick::<&str>(&PROMPTS)),
            6 => one("prompts/team/lead.md", "# Lead\n"),
            7 => one("hooks/boot.sh", "#!/bin/sh\n"),
            8 => vec![(rng.pick(&["hooks/boot.sh", "prompts/team/lead.md", "mcp_servers.yaml"]).to_string(), None)],
            _ => one("README.md", &format!("{}\n", rng.next())),
        }
    }

    async fn consumer_edits(&mut self) -> Result<Edits, PersonError> {
        let one = |path: &str, text: String| vec![(path.to_owned(), Some(text))];
        Ok(match self.rng.between(0, 10) {
            0..4 => one("manifest.json", manifest(&self.pin().await?)),
            4..8 => one(DOCKERFILE, self.rng.pick(&dockerfiles()).clone()),
            8 => one(".deps/platform-agent/config.yaml", (*self.rng.pick::<&str>(&CONFIGS)).to_owned()),
            _ => one("README.md", format!("{}\n", self.rng.next())),
        })
    }

    /// What core may pin: mostly the template's head, sometimes an older one, an unmerged one, or none at all.
    async fn pin(&mut self) -> Result<String, PersonError> {
        Ok(match self.rng.between(0, 10) {
            0..7 => self.place.maintainer.head(TEMPLATE, "main").await?,
            7 => self.rng.pick(&self.sources).clone(),
            8 => {
                let branches = self.branches(TEMPLATE).await?;
                self.rng.pick(&branches).1.clone()
            }
            _ => self.rng.pick(&["v1", "8d0e5c7f1f7e3a6b0c9d4e2a5b8c7d6e9f0a1b2c"]).to_string(),
        })
    }

    fn base(&mut self, branches: &[(String, String)]) -> String {
        if self.rng.percent(80) { "main".to_owned() } else { self.rng.pick(branches).0.clone() }
    }

    fn fresh(&mut self, kind: &str) -> String {
        self.next += 1;
        format!("{kind}{}", self.next)
    }

    async fn branches(&self, repo: &str) -> Result<Vec<(String, String)>, PersonError> {
        let all = self.ask(Method::GET, &format!("/repos/{repo}/branches?limit=50"), None).await?;
        let branch = |branch: &Value| (text(&branch["name"]), text(&branch["commit"]["id"]));
        Ok(all.as_array().into_iter().flatten().map(branch).collect())
    }

    /// A pull request of either repository.
    async fn pull(&mut self, state: &str) -> Result<(&'static str, Value), PersonError> {
        let repo = *self.rng.pick(&[CORE, TEMPLATE]);
        let path = format!("/repos/{repo}/pulls?state={state}&limit=50");
        let all = self.ask(Method::GET, &path, None).await?;
        match all.as_array() {
            Some(all) if !all.is_empty() => Ok((repo, self.rng.pick(all).clone())),
            _ => Err(PersonError::Unexpected { what: path, field: "a pull request" }),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, PersonError> {
        self.place.maintainer.ask(method, path, body).await
    }
}

type Edits = Vec<(String, Option<String>)>;

fn borrowed(edits: &Edits) -> Vec<(&str, Option<&str>)> {
    edits.iter().map(|(path, text)| (path.as_str(), text.as_deref())).collect()
}

fn names(edits: &Edits) -> String {
    let name = |(path, text): &(String, Option<String>)| match text {
        Some(text) => format!("{path} ({} bytes)", text.len()),
        None => format!("no {path}"),
    };
    edits.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(pull: &Value) -> u64 {
    pull["number"].as_u64().unwrap_or_default()
}
