//! Pieces of pages: addresses, people, commits, statuses.

use chrono::{DateTime, Utc};
use git2::Oid;
use maud::{Markup, html};

use crate::demo::forge::bare::Bare;
use crate::demo::forge::model::{Repo, Status};
use crate::demo::forge::{Refusal, State};

/// The address of something in a repository.
pub fn address(state: &State, repo: &Repo, parts: &[&str]) -> Result<String, Refusal> {
    let broken = |error: url::ParseError| Refusal::Broken(error.to_string());
    let mut url = url::Url::parse("http://forge/").map_err(broken)?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.clear().push(&state.account(repo.owner)?.login).push(&repo.name).extend(parts);
    }
    Ok(url.path().to_owned())
}

/// A moment for people.
pub fn moment(at: DateTime<Utc>) -> Markup {
    html! { time.soft datetime=(at.to_rfc3339()) { (at.format("%Y-%m-%d %H:%M:%S")) } }
}

/// The first eight digits of a commit's name.
pub fn short(id: Oid) -> String {
    id.to_string().chars().take(8).collect()
}

/// A commit on one line, with its statuses below.
pub fn commit_line(state: &State, repo: &Repo, bare: &Bare, id: Oid) -> Result<Markup, Refusal> {
    let commit = bare.commit(id)?;
    let summary = commit.summary_bytes().map(String::from_utf8_lossy).unwrap_or_default();
    let at = DateTime::from_timestamp(commit.time().seconds(), 0).unwrap_or_default();
    let page = address(state, repo, &["commit", &id.to_string()])?;
    Ok(html! {
        li {
            div.commit {
                a.mono href=(page) { (short(id)) }
                " " span.subject { (summary) }
                " " span.soft { (String::from_utf8_lossy(commit.author().name_bytes())) }
                " " (moment(at))
            }
            (statuses(&state.newest_statuses(repo.id, id)?))
        }
    })
}

/// The newest status of each context: its state, its words, and the way to its report.
pub fn statuses(all: &[&Status]) -> Markup {
    html! {
        @for status in all {
            div.status {
                span class={ "pill " (tone(&status.state)) } { (status.state) }
                " " b { (status.context) }
                " " (status.description)
                @if is_address(&status.target_url) { " " a href=(status.target_url) { "report" } }
            }
        }
    }
}

/// Only what a browser goes to is made a link: anyone may post a status.
fn is_address(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

/// How a state looks; an unknown word looks open.
fn tone(state: &str) -> &'static str {
    match state {
        "success" => "good",
        "failure" | "error" => "bad",
        _ => "open",
    }
}
