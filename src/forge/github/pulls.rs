//! How GitHub is written to.
//!
//! A commit is put together from git's objects: a tree onto the parent's tree, a commit, and then the branch. Until the last of
//! these calls nobody sees anything, and the last one fails where the branch is there already or has moved on (it is never
//! forced). Its other traps: a path below `.github/workflows` needs a permission of its own, whose lack may be a bare 404; a pull request that exists is a 422
//! of the code `custom`; an archived repository answers 403; auto-merge is known to GraphQL only, and refused there for one that
//! could be merged at once.

use std::time::Duration;

use ::http::Method;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::GitHub;
use crate::forge::answer::Answer;
use crate::forge::http::below;
use crate::forge::pulls::{
    Dispatch, FileChange, Find, NewCommit, NewPull, Onto, PullCommit, PullEdit, Pulls, Unwritten, Written,
};
use crate::forge::rest::pulls as rest;
use crate::forge::wire::WireSha;
use crate::forge::{ForgeError, RepoName};
use crate::tree::ObjectId;

/// Where workflows are: a file below needs a permission of its own.
const WORKFLOWS: &str = ".github/workflows/";
/// How long to wait where GraphQL says that the rate of requests is used up: it names no time there.
const LIMITED: Duration = Duration::from_secs(60);

const AUTO_MERGE: &str = "mutation($pull: ID!, $head: GitObjectID!) { enablePullRequestAutoMerge(input: \
    {pullRequestId: $pull, expectedHeadOid: $head}) { clientMutationId } }";

impl GitHub {
    async fn git(&self, repo: &RepoName, kind: &str, body: &Value) -> Result<Answer, ForgeError> {
        rest::write(&self.api, Method::POST, &self.api.repo(repo, &["git", kind])?, body).await
    }

    /// An entry of a new tree: text as it is, anything else as a blob made before.
    async fn entry(&self, repo: &RepoName, change: &FileChange) -> Result<Value, ForgeError> {
        let mode = if change.executable { "100755" } else { "100644" };
        let mut entry = json!({ "path": change.path, "mode": mode, "type": "blob" });
        match &change.content {
            None => entry["sha"] = Value::Null,
            Some(content) => match std::str::from_utf8(content) {
                Ok(text) => entry["content"] = text.into(),
                Err(_) => {
                    let blob = json!({ "content": STANDARD.encode(content), "encoding": "base64" });
                    let answer = self.git(repo, "blobs", &blob).await?;
                    entry["sha"] = answer.json::<WireSha>()?.own(&answer)?.as_str().into();
                }
            },
        }
        Ok(entry)
    }

    /// GraphQL says 200 to what it refuses; the words are handed back where they are about nothing that a caller can answer.
    async fn graphql(&self, repo: &RepoName, query: &str, variables: Value) -> Result<Result<(), String>, ForgeError> {
        let answer = self.api.post_to(&self.graphql, repo, &json!({ "query": query, "variables": variables })).await?;
        if !answer.status.is_success() {
            return Err(rest::refusal(&answer));
        }
        #[derive(Deserialize)]
        struct Said {
            #[serde(default)]
            errors: Vec<Wrong>,
        }
        #[derive(Deserialize)]
        struct Wrong {
            #[serde(default)]
            message: String,
            #[serde(default, rename = "type")]
            kind: String,
        }
        let Some(wrong) = answer.json::<Said>()?.errors.into_iter().next() else { return Ok(Ok(())) };
        let (what, message, words) = (answer.what, wrong.message, wrong.kind.to_lowercase());
        let says = |any: &[&str]| any.iter().any(|one| message.to_lowercase().contains(one));
        if words == "rate_limited" || says(&["rate limit"]) {
            return Err(ForgeError::RateLimited { what, after: LIMITED });
        }
        let because = match () {
            () if says(&["head branch was modified", "out of date", "head sha", "expected head"]) => Unwritten::Stale,
            () if words == "forbidden" || says(&["not accessible by"]) => Unwritten::MissingScope,
            () => return Ok(Err(message)),
        };
        Err(ForgeError::NotWritten { what, status: 200, message, because })
    }

    /// The last steps of a commit; a classic token without the scope `workflow` gets a bare 404 for the tree, after it has read
    /// the commit that the tree is made on.
    async fn git_step(
        &self,
        repo: &RepoName,
        kind: &str,
        body: &Value,
        files: &[FileChange],
    ) -> Result<Answer, ForgeError> {
        let workflow = files.iter().find(|file| file.path.starts_with(WORKFLOWS));
        match (self.git(repo, kind, body).await, workflow) {
            (Err(ForgeError::NotFound { what }), Some(workflow)) => Err(ForgeError::NotWritten {
                what,
                status: 404,
                message: format!(
                    "{} is a workflow: the token needs the scope `workflow`, an App the permission \"Workflows: write\"",
                    workflow.path
                ),
                because: Unwritten::MissingScope,
            }),
            (answer, _) => answer,
        }
    }
}

#[async_trait]
impl Pulls for GitHub {
    async fn commit(&self, repo: &RepoName, commit: &NewCommit<'_>) -> Result<ObjectId, ForgeError> {
        let parent = commit.parent.as_str();
        #[derive(Deserialize)]
        struct Parent {
            tree: WireSha,
        }
        let answer = self.api.get(&self.api.repo(repo, &["git", "commits", parent])?, &[]).await?.success()?;
        let base = answer.json::<Parent>()?.tree.own(&answer)?;
        let mut entries = Vec::with_capacity(commit.files.len());
        for change in commit.files {
            entries.push(self.entry(repo, change).await?);
        }
        let tree = json!({ "base_tree": base.as_str(), "tree": entries });
        let answer = self.git_step(repo, "trees", &tree, commit.files).await?;
        let tree = answer.json::<WireSha>()?.own(&answer)?;
        // No author and no committer: only so does GitHub sign the commits of an App.
        let made = json!({ "message": commit.message, "tree": tree.as_str(), "parents": [parent] });
        let answer = self.git(repo, "commits", &made).await?;
        let made = answer.json::<WireSha>()?.own(&answer)?;
        match commit.onto {
            Onto::New { branch, .. } => {
                let reference = json!({ "ref": format!("refs/heads/{branch}"), "sha": made.as_str() });
                self.git_step(repo, "refs", &reference, commit.files).await?;
            }
            Onto::Existing(branch) => {
                let segments = rest::to_branch(&self.api, repo, &["git", "refs", "heads"], branch)?;
                let moved = json!({ "sha": made.as_str(), "force": false });
                rest::write(&self.api, Method::PATCH, &segments, &moved).await?;
            }
        }
        Ok(made)
    }

    async fn delete_branch(&self, repo: &RepoName, branch: &str) -> Result<(), ForgeError> {
        let segments = rest::to_branch(&self.api, repo, &["git", "refs", "heads"], branch)?;
        let answer = self.api.remove(&segments).await?;
        match answer.status.as_u16() {
            200..=299 | 404 => Ok(()),
            422 if answer.message().contains("does not exist") => Ok(()),
            _ => Err(rest::refusal(&answer)),
        }
    }

    async fn open_pull(&self, repo: &RepoName, pull: &NewPull<'_>) -> Result<u64, ForgeError> {
        rest::open_pull(&self.api, repo, pull, pull.title, pull.draft).await
    }

    async fn edit_pull(&self, repo: &RepoName, number: u64, edit: &PullEdit<'_>) -> Result<(), ForgeError> {
        rest::edit_pull(&self.api, repo, number, edit).await
    }

    /// Closed ones are those of the branch: GitHub filters by it, and by no author.
    async fn find_pulls(&self, repo: &RepoName, find: &Find<'_>) -> Result<Vec<Written>, ForgeError> {
        if find.open {
            return rest::find_pulls(&self.api, repo, find, &[]).await;
        }
        let owner = repo.parts().map_or("", |(owner, _)| owner);
        rest::find_pulls(&self.api, repo, find, &[("head", &format!("{owner}:{}", find.branch))]).await
    }

    async fn commits_of_pull(&self, repo: &RepoName, number: u64) -> Result<Vec<PullCommit>, ForgeError> {
        rest::commits_of_pull(&self.api, repo, number).await
    }

    async fn files_of_pull(&self, repo: &RepoName, number: u64) -> Result<Vec<String>, ForgeError> {
        rest::files_of_pull(&self.api, repo, number).await
    }

    async fn add_labels(&self, repo: &RepoName, number: u64, labels: &[String]) -> Result<Vec<String>, ForgeError> {
        rest::add_labels(&self.api, repo, number, labels).await
    }

    async fn request_reviewers(&self, repo: &RepoName, number: u64, who: &[String]) -> Result<(), ForgeError> {
        rest::request_reviewers(&self.api, repo, number, who).await
    }

    async fn assign(&self, repo: &RepoName, number: u64, who: &[String]) -> Result<(), ForgeError> {
        let number = number.to_string();
        let segments = self.api.repo(repo, &["issues", &number, "assignees"])?;
        rest::write(&self.api, Method::POST, &segments, &json!({ "assignees": who })).await.map(drop)
    }

    /// One that waits already is not asked for again. What could be merged at once is merged, if its head is still this
    /// commit: GitHub has nothing to wait for then.
    async fn auto_merge(&self, repo: &RepoName, number: u64, head: &ObjectId) -> Result<(), ForgeError> {
        #[derive(Deserialize)]
        struct Node {
            node_id: String,
            #[serde(default)]
            auto_merge: Value,
        }
        let number = number.to_string();
        let segments = self.api.repo(repo, &["pulls", &number])?;
        let node: Node = self.api.read(&segments).await?;
        if !node.auto_merge.is_null() {
            return Ok(());
        }
        let asked = self.graphql(repo, AUTO_MERGE, json!({ "pull": node.node_id, "head": head.as_str() })).await?;
        let Err(why) = asked else { return Ok(()) };
        if !why.contains("clean status") {
            let what = self.api.call(&Method::POST, &segments, &[])?.what;
            return Err(ForgeError::NotWritten { what, status: 200, message: why, because: Unwritten::NotSupported });
        }
        let segments = self.api.repo(repo, &["pulls", &number, "merge"])?;
        rest::write(&self.api, Method::PUT, &segments, &json!({ "sha": head.as_str() })).await.map(drop)
    }

    async fn closer(&self, repo: &RepoName, number: u64) -> Result<Option<String>, ForgeError> {
        rest::closer(&self.api, repo, number).await
    }

    async fn dispatch(&self, repo: &RepoName, dispatch: &Dispatch) -> Result<(), ForgeError> {
        rest::dispatch(&self.api, repo, dispatch).await
    }
}

/// Where GraphQL is: beside the REST API of an Enterprise Server, below that of github.com.
pub(super) fn graphql(root: &reqwest::Url, api: &reqwest::Url) -> reqwest::Url {
    match root.host_str() {
        Some("github.com" | "www.github.com") => below(api, ["graphql"]),
        _ => below(root, ["api", "graphql"]),
    }
}
