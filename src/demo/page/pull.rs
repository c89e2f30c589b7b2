//! A pull request: what it brings, what was said of it, and what people say.

use maud::{Markup, html};

use super::code::diff;
use super::frame::frame;
use super::parts::{address, commit_line, moment};
use crate::demo::forge::model::{Issue, Pull, Repo};
use crate::demo::forge::{Refusal, State};

/// How many of its commits are shown.
const COMMITS: usize = 20;

pub fn pull(state: &State, repo: &Repo, number: u64) -> Result<Markup, Refusal> {
    let (issue, pull) = state.pull(repo.id, number)?;
    let bare = state.bare(repo.id)?;
    let head = bare.tip(&format!("refs/pull/{number}/head")).ok_or_else(Refusal::not_found)?;
    let merge_base = match &pull.merged {
        Some(merge) => merge.merge_base,
        None => bare.branch(&pull.base).and_then(|base| bare.merge_base(base, head)),
    };
    let mut commits = bare.since(merge_base, head)?;
    commits.truncate(COMMITS);
    let commits = if commits.is_empty() { vec![head] } else { commits };
    let commits = commits.iter().map(|id| commit_line(state, repo, &bare, *id)).collect::<Result<Vec<_>, _>>()?;
    let content = html! {
        section {
            h1 { (issue.title) " " span.soft { "#" (number) } }
            p {
                (state_pill(issue, pull)) " " (state.account(issue.author)?.login) " wants to merge "
                span.mono { (pull.head) } " into " a.mono href=(address(state, repo, &[])?) { (pull.base) }
                " " (moment(issue.created))
            }
            @if !issue.body.is_empty() { pre.words { (issue.body) } }
            h3 { "Commits" }
            ul { @for commit in &commits { (commit) } }
        }
        @for comment in &issue.comments {
            section id={ "issuecomment-" (comment.id) } {
                p { b { (state.account(comment.author)?.login) } " " (moment(comment.created)) }
                pre.words { (comment.body) }
                @if !comment.reactions.is_empty() {
                    p.soft {
                        @for reaction in &comment.reactions {
                            (reaction.content) " by " (state.account(reaction.account)?.login) " "
                        }
                    }
                }
            }
        }
        section { h3 { "Changes" } (diff(&bare.patch(merge_base, head)?)) }
    };
    Ok(frame(&format!("#{number} {}", issue.title), None, &content))
}

fn state_pill(issue: &Issue, pull: &Pull) -> Markup {
    let (tone, word) = match () {
        () if pull.merged.is_some() => ("good", "merged"),
        () if issue.is_open() => ("open", "open"),
        () => ("bad", "closed"),
    };
    html! { span class={ "pill " (tone) } { (word) } }
}
