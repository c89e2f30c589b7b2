//! Commits, folders and files.

use maud::{Markup, html};

use super::frame::frame;
use super::parts::{address, commit_line, short};
use crate::demo::forge::bare::File;
use crate::demo::forge::model::Repo;
use crate::demo::forge::{Refusal, State};

/// The most of a text that is shown, in bytes.
const SHOWN: usize = 512 << 10;

/// What a commit says and changes.
pub fn commit(state: &State, repo: &Repo, sha: &str) -> Result<Markup, Refusal> {
    let bare = state.bare(repo.id)?;
    let id = bare.resolve(sha).ok_or_else(Refusal::not_found)?;
    let commit = bare.commit(id)?;
    let content = html! {
        section {
            h1 { "Commit " span.mono { (short(id)) } }
            p.soft.mono { (id) }
            p {
                "in " a href=(address(state, repo, &[])?) { (state.full_name(repo)?) }
                ", its " a href=(address(state, repo, &["src", "commit", &id.to_string()])?) { "files" }
                @for parent in commit.parent_ids() {
                    ", onto " a.mono href=(address(state, repo, &["commit", &parent.to_string()])?) { (short(parent)) }
                }
            }
            pre.words { (String::from_utf8_lossy(commit.message_bytes())) }
            ul { (commit_line(state, repo, &bare, id)?) }
        }
        section { h3 { "Changes" } (diff(&bare.patch(commit.parent_id(0).ok(), id)?)) }
    };
    Ok(frame(&format!("{} in {}", short(id), state.full_name(repo)?), None, &content))
}

/// A file or folder of a commit; the root is `""`.
pub fn file(state: &State, repo: &Repo, sha: &str, path: &str) -> Result<Markup, Refusal> {
    let bare = state.bare(repo.id)?;
    let id = bare.resolve(sha).ok_or_else(Refusal::not_found)?;
    let path = path.trim_matches('/');
    let inside = match bare.folder(id, path)? {
        Some(names) => {
            let link = |name: &str| {
                let base = ["src", "commit", sha];
                let parts: Vec<&str> = base.into_iter().chain(path.split('/')).chain([name]).collect();
                address(state, repo, &parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>())
            };
            let links = names.iter().map(|name| Ok((link(&name.name)?, name))).collect::<Result<Vec<_>, Refusal>>()?;
            html! {
                ul {
                    @for (link, name) in &links {
                        li { a.mono href=(link) { (name.name) @if name.is_folder { "/" } } }
                    }
                }
            }
        }
        None => lines(&bare.file(id, path)?.ok_or_else(Refusal::not_found)?),
    };
    let content = html! {
        section {
            h1.mono { @if path.is_empty() { "/" } @else { (path) } }
            p.soft {
                "of " a href=(address(state, repo, &[])?) { (state.full_name(repo)?) }
                " at " a.mono href=(address(state, repo, &["commit", &id.to_string()])?) { (short(id)) }
                ", its " a href=(address(state, repo, &["src", "commit", &id.to_string()])?) { "files" }
            }
            (inside)
        }
    };
    Ok(frame(&format!("{path} at {}", short(id)), None, &content))
}

/// A file with numbered lines, each of which an address can name (`#L3`).
fn lines(file: &File) -> Markup {
    match std::str::from_utf8(&file.content) {
        Err(_) => html! { p.soft { "These " (file.content.len()) " bytes are no text." } },
        Ok(text) if text.len() > SHOWN => html! { p.soft { "These " (text.len()) " bytes are too many to show." } },
        Ok(text) => html! {
            pre.code {
                @for (index, line) in text.lines().enumerate() {
                    span.line id={ "L" (index + 1) } { a href={ "#L" (index + 1) } { (index + 1) } code { (line) "\n" } }
                }
            }
        },
    }
}

/// A patch, its added and removed lines marked.
pub fn diff(patch: &str) -> Markup {
    if patch.is_empty() {
        return html! { p.soft { "Nothing changes." } };
    }
    if patch.len() > SHOWN {
        return html! { p.soft { "This is too long to show." } };
    }
    let tone = |line: &str| match line.as_bytes() {
        [b'+', ..] if !line.starts_with("+++") => "add",
        [b'-', ..] if !line.starts_with("---") => "del",
        [b' ', ..] => "same",
        _ => "hunk",
    };
    html! { pre.code { @for line in patch.lines() { span class={ "line " (tone(line)) } { (line) "\n" } } } }
}
