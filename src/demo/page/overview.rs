//! The overview: every repository with its branches and open pull requests, and what was said of their commits.

use git2::Oid;
use maud::{Markup, html};

use super::Page;
use super::frame::frame;
use super::parts::{address, commit_line, statuses};
use crate::demo::forge::bare::Bare;
use crate::demo::forge::model::{Access, Issue, Pull, Repo};
use crate::demo::forge::{Refusal, State};

/// How many commits of the default branch are shown, and how many of another.
const COMMITS: usize = 4;
const SIDE_COMMITS: usize = 2;

/// The first page; `said` is what the last action has to say.
pub fn overview(state: &State, page: &Page, said: &str) -> Result<Markup, Refusal> {
    let seen = state.repos().filter(|repo| state.access(repo, None) >= Access::Read);
    let repos = seen.map(|repo| section(state, repo)).collect::<Result<Vec<_>, _>>()?;
    let content = html! {
        h1 { "Repositories" }
        @if !page.intro.is_empty() { p { (page.intro) } }
        @if !page.links.is_empty() {
            p.links { @for (words, address) in &page.links { a href=(address) { (words) } " " } }
        }
        @if !said.is_empty() { p.said role="status" { (said) } }
        @if !page.actions.is_empty() {
            section.actions {
                @for action in &page.actions {
                    form method="post" action=(action.address) {
                        button { (action.label) } " " span.soft { (action.words) }
                    }
                }
            }
        }
        @for repo in &repos { (repo) }
        @if repos.is_empty() { section { p.soft { "There is no repository yet." } } }
    };
    // An answer to an action stays until somebody goes on.
    Ok(frame("Repositories", page.refresh.filter(|_| said.is_empty()), &content))
}

/// The page of one repository.
pub fn repository(state: &State, repo: &Repo) -> Result<Markup, Refusal> {
    Ok(frame(&state.full_name(repo)?, None, &section(state, repo)?))
}

fn section(state: &State, repo: &Repo) -> Result<Markup, Refusal> {
    let bare = state.bare(repo.id)?;
    let mut branches = bare.branches()?;
    branches.sort_by_key(|(name, _)| *name != repo.default_branch);
    let branches =
        branches.iter().map(|(name, head)| branch(state, repo, &bare, name, *head)).collect::<Result<Vec<_>, _>>()?;
    let open = repo.issues.values().rev().filter(|issue| issue.is_open());
    let pulls = open.filter_map(|issue| issue.pull.as_ref().map(|pull| (issue, pull)));
    let pulls = pulls.map(|(issue, pull)| pull_line(state, repo, &bare, issue, pull)).collect::<Result<Vec<_>, _>>()?;
    let original = repo.fork_of.and_then(|id| state.repo(id).ok());
    Ok(html! {
        section {
            h2 { a href=(address(state, repo, &[])?) { (state.full_name(repo)?) } }
            @if let Some(original) = original { p.soft { "a fork of " (state.full_name(original)?) } }
            @for branch in &branches { (branch) }
            @if branches.is_empty() { p.soft { "It has no commit yet." } }
            @if !pulls.is_empty() {
                h3 { "Open pull requests" }
                ul { @for pull in &pulls { (pull) } }
            }
        }
    })
}

fn branch(state: &State, repo: &Repo, bare: &Bare, name: &str, head: Oid) -> Result<Markup, Refusal> {
    let default = bare.branch(&repo.default_branch);
    let commits = match default {
        Some(default) if name != repo.default_branch => {
            let mut own = bare.since(Some(default), head)?;
            own.truncate(SIDE_COMMITS);
            // The head is what is judged, even where it adds nothing.
            if own.is_empty() { vec![head] } else { own }
        }
        _ => bare.newest(head, COMMITS)?,
    };
    let lines = commits.iter().map(|id| commit_line(state, repo, bare, *id)).collect::<Result<Vec<_>, _>>()?;
    Ok(html! {
        h3 {
            "Branch " span.mono { (name) }
            " " a.soft href=(address(state, repo, &["src", "commit", &head.to_string()])?) { "files" }
        }
        ul { @for line in &lines { (line) } }
    })
}

fn pull_line(state: &State, repo: &Repo, bare: &Bare, issue: &Issue, pull: &Pull) -> Result<Markup, Refusal> {
    let number = issue.number.to_string();
    let head = bare.tip(&format!("refs/pull/{number}/head")).ok_or_else(Refusal::not_found)?;
    Ok(html! {
        li {
            a href=(address(state, repo, &["pulls", &number])?) { "#" (number) " " (issue.title) }
            " " span.soft { span.mono { (pull.head) } " into " span.mono { (pull.base) } }
            (statuses(&state.newest_statuses(repo.id, head)?))
        }
    })
}
