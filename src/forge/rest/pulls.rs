//! The calls of [`Pulls`](crate::forge::pulls::Pulls) whose address is the same on every forge, and what their refusals mean.

use ::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::forge::answer::Answer;
use crate::forge::api::Api;
use crate::forge::pulls::{Dispatch, Find, NewPull, PullCommit, PullEdit, Unwritten, Written};
use crate::forge::wire::{WireCommit, WireFile, WireLabel, WireNumber, WirePull, WireUser};
use crate::forge::{ForgeError, RepoName};

/// Closed pull requests are looked for on so many pages of a list, newest first: the one that matters is of the source's
/// present head.
const CLOSED_PAGES: usize = 4;

/// What an answer to a write that is no success means.
pub(in crate::forge) fn refusal(answer: &Answer) -> ForgeError {
    match why_not(answer) {
        Some(because) => {
            let mut message = answer.message();
            if because == Unwritten::MissingScope {
                message.push_str(&answer.needed());
            }
            ForgeError::NotWritten { what: answer.what.clone(), status: answer.status.as_u16(), message, because }
        }
        None => answer.failure(),
    }
}

/// The reason in one of the forges' ways to tell it: status and words.
fn why_not(answer: &Answer) -> Option<Unwritten> {
    let words = answer.message().to_lowercase();
    let says = |any: &[&str]| any.iter().any(|one| words.contains(one));
    Some(match answer.status.as_u16() {
        423 => Unwritten::Archived,
        403 if says(&["archived"]) => Unwritten::Archived,
        403 if says(&["required scope", "not accessible by", "must have admin rights"]) => Unwritten::MissingScope,
        // GitHub, of a file below `.github/workflows`.
        403 | 422 if says(&["without `workflow"]) => Unwritten::MissingScope,
        403 if says(&["protect", "cannot commit to repo", "rule violation", "not allowed to push"]) => {
            Unwritten::Protected
        }
        405 if says(&["try again later"]) => Unwritten::NotYet,
        // It was merged meanwhile.
        412 => Unwritten::Stale,
        409 | 422 if says(&["pull request already exists"]) => Unwritten::PullExists,
        409 | 422 if says(&["branch already exists", "reference already exists"]) => Unwritten::BranchExists,
        409 | 422 if says(&["no commits between", "there are no changes"]) => Unwritten::NoCommits,
        409 | 422 if says(&["rule violation", "protected branch", "creations being restricted"]) => {
            Unwritten::Protected
        }
        409 | 422
            if says(&[
                "sha does not match",
                "does not match",
                "file already exists",
                "not a fast forward",
                "out of date",
                "head sha",
                "head branch was modified",
                // GitHub, where the branch of a pull request is gone, or was made a moment ago.
                "head invalid",
                "base invalid",
            ]) =>
        {
            Unwritten::Stale
        }
        404 if says(&["branch does not exist", "object does not exist"]) => Unwritten::Stale,
        _ => return None,
    })
}

/// One write, sent once; a refusal is told as what it means.
pub(in crate::forge) async fn write(
    api: &Api,
    method: Method,
    segments: &[&str],
    body: &impl Serialize,
) -> Result<Answer, ForgeError> {
    let answer = api.write(method, segments, body).await?;
    if answer.status.is_success() { Ok(answer) } else { Err(refusal(&answer)) }
}

/// A branch's name as parts of an address; `None` where one of them would lead elsewhere.
pub(in crate::forge) fn branch_parts(branch: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = branch.split('/').collect();
    parts.iter().all(|part| !matches!(*part, "" | "." | "..")).then_some(parts)
}

/// An address that ends with a branch's name.
pub(in crate::forge) fn to_branch<'a>(
    api: &Api,
    repo: &'a RepoName,
    rest: &[&'a str],
    branch: &'a str,
) -> Result<Vec<&'a str>, ForgeError> {
    let Some(parts) = branch_parts(branch) else {
        return Err(ForgeError::NotFound { what: format!("`{}` is no branch's name", branch.escape_debug()) });
    };
    Ok(api.repo(repo, rest)?.into_iter().chain(parts).collect())
}

/// `draft` is GitHub's; Gitea has the title for it.
pub(in crate::forge) async fn open_pull(
    api: &Api,
    repo: &RepoName,
    pull: &NewPull<'_>,
    title: &str,
    draft: bool,
) -> Result<u64, ForgeError> {
    let mut body = json!({ "head": pull.head, "base": pull.base, "title": title, "body": pull.body });
    if draft {
        body["draft"] = true.into();
    }
    let answer = write(api, Method::POST, &api.repo(repo, &["pulls"])?, &body).await?;
    Ok(answer.json::<WireNumber>()?.number)
}

pub(in crate::forge) async fn edit_pull(
    api: &Api,
    repo: &RepoName,
    number: u64,
    edit: &PullEdit<'_>,
) -> Result<(), ForgeError> {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        state: Option<&'static str>,
    }
    let state = edit.open.map(|open| if open { "open" } else { "closed" });
    let body = Body { title: edit.title, body: edit.body, state };
    let number = number.to_string();
    let answer = write(api, Method::PATCH, &api.repo(repo, &["pulls", &number])?, &body).await?;
    answer.json::<WireNumber>().map(drop)
}

/// `query` narrows the list where the forge understands it; what it does not understand it ignores.
pub(in crate::forge) async fn find_pulls(
    api: &Api,
    repo: &RepoName,
    find: &Find<'_>,
    query: &[(&str, &str)],
) -> Result<Vec<Written>, ForgeError> {
    let segments = api.repo(repo, &["pulls"])?;
    let state = if find.open { "open" } else { "closed" };
    let query: Vec<(&str, &str)> = std::iter::once(("state", state)).chain(query.iter().copied()).collect();
    let mut pages = api.pages(&segments, &query);
    let mut found = Vec::new();
    let mut read = 0;
    while let Some(wires) = pages.next::<WirePull>().await? {
        found.extend(wires.into_iter().filter_map(WirePull::into_written).filter(|written| {
            written.pull.author.eq_ignore_ascii_case(find.author)
                && written.pull.open == find.open
                && written.pull.head_repo.as_ref().is_none_or(|head| head.0.eq_ignore_ascii_case(&repo.0))
        }));
        read += 1;
        if !find.open && read >= CLOSED_PAGES {
            break;
        }
    }
    found.sort_by_key(|written| std::cmp::Reverse(written.pull.number));
    found.dedup_by_key(|written| written.pull.number);
    Ok(found)
}

pub(in crate::forge) async fn commits_of_pull(
    api: &Api,
    repo: &RepoName,
    number: u64,
) -> Result<Vec<PullCommit>, ForgeError> {
    let number = number.to_string();
    let segments = api.repo(repo, &["pulls", &number, "commits"])?;
    let wires: Vec<WireCommit> = api.pages(&segments, &[]).all().await?;
    Ok(wires.into_iter().filter_map(WireCommit::into_commit).collect())
}

pub(in crate::forge) async fn files_of_pull(
    api: &Api,
    repo: &RepoName,
    number: u64,
) -> Result<Vec<String>, ForgeError> {
    let number = number.to_string();
    let segments = api.repo(repo, &["pulls", &number, "files"])?;
    let wires: Vec<WireFile> = api.pages(&segments, &[]).all().await?;
    let mut files: Vec<String> = wires.into_iter().flat_map(WireFile::paths).collect();
    files.sort();
    files.dedup();
    Ok(files)
}

pub(in crate::forge) async fn add_labels(
    api: &Api,
    repo: &RepoName,
    number: u64,
    labels: &[String],
) -> Result<Vec<String>, ForgeError> {
    let number = number.to_string();
    let segments = api.repo(repo, &["issues", &number, "labels"])?;
    let answer = write(api, Method::POST, &segments, &json!({ "labels": labels })).await?;
    let labels: Option<Vec<WireLabel>> = answer.json()?;
    Ok(labels.unwrap_or_default().into_iter().map(|label| label.name).collect())
}

pub(in crate::forge) async fn request_reviewers(
    api: &Api,
    repo: &RepoName,
    number: u64,
    who: &[String],
) -> Result<(), ForgeError> {
    let teams: Vec<&str> = who.iter().filter_map(|name| name.strip_prefix("team:")).collect();
    let people: Vec<&str> = who.iter().map(String::as_str).filter(|name| !name.starts_with("team:")).collect();
    let number = number.to_string();
    let segments = api.repo(repo, &["pulls", &number, "requested_reviewers"])?;
    let mut body = json!({ "reviewers": people });
    if !teams.is_empty() {
        body["team_reviewers"] = json!(teams);
    }
    write(api, Method::POST, &segments, &body).await.map(drop)
}

/// From the issue itself on GitHub, from its timeline on Gitea and Forgejo, oldest first there.
pub(in crate::forge) async fn closer(api: &Api, repo: &RepoName, number: u64) -> Result<Option<String>, ForgeError> {
    let number = number.to_string();
    #[derive(Deserialize)]
    struct Issue {
        closed_by: Option<WireUser>,
    }
    if let Some(by) = api.read::<Issue>(&api.repo(repo, &["issues", &number])?).await?.closed_by {
        return Ok(Some(by.into_login()));
    }
    #[derive(Deserialize)]
    struct Happened {
        #[serde(rename = "type", default)]
        kind: String,
        user: Option<WireUser>,
    }
    let segments = api.repo(repo, &["issues", &number, "timeline"])?;
    let happened: Vec<Happened> = match api.pages(&segments, &[]).all().await {
        Err(ForgeError::NotFound { .. }) => Vec::new(),
        happened => happened?,
    };
    let last = happened.into_iter().rev().find(|one| one.kind == "close");
    Ok(last.and_then(|one| one.user).map(WireUser::into_login))
}

pub(in crate::forge) async fn dispatch(api: &Api, repo: &RepoName, dispatch: &Dispatch) -> Result<(), ForgeError> {
    let segments = api.repo(repo, &["actions", "workflows", &dispatch.workflow, "dispatches"])?;
    let body = json!({ "ref": dispatch.reference, "inputs": dispatch.inputs });
    write(api, Method::POST, &segments, &body).await.map(drop)
}
