//! What ends the drift of a gate: one struct for each kind of `[[gate.repair]]`, and what is said of the pull request.

use std::collections::BTreeMap;
use std::time::Duration;

/// `[[gate.repair]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// The pin moves to the head of the source's branch.
    Pin {
        /// A source file that no instruction takes gets its COPY line.
        copy_lines: bool,
        /// How it is proposed.
        pull: PullRequest,
    },
    /// The copies of the `mirror` checks are made the source's files, or the other way round.
    Mirror {
        /// The side that is written.
        to: To,
        /// How it is proposed.
        pull: PullRequest,
    },
    /// A file of the consumer names the source commit; its change makes a build run.
    Stamp {
        /// From the consumer's root.
        path: String,
        /// What the file says; has `{source_sha}` in it.
        template: Template,
        /// A source file that no instruction takes gets its COPY line.
        copy_lines: bool,
        /// How it is proposed.
        pull: PullRequest,
    },
    /// A workflow of the consumer is started; nothing is written.
    Dispatch {
        /// The file name of the workflow.
        workflow: String,
        /// The branch or tag that it runs on; `None` for the branch that is judged.
        on: Option<String>,
        /// Its inputs.
        inputs: BTreeMap<String, Template>,
        /// How old the drift must be.
        after: Duration,
    },
}

impl Repair {
    /// How it is proposed; `None` for a workflow, which no pull request starts.
    pub fn pull(&self) -> Option<&PullRequest> {
        match self {
            Self::Pin { pull, .. } | Self::Mirror { pull, .. } | Self::Stamp { pull, .. } => Some(pull),
            Self::Dispatch { .. } => None,
        }
    }

    /// Whether it writes files of the consumer.
    pub fn writes_consumer(&self) -> bool {
        matches!(self, Self::Pin { .. } | Self::Stamp { .. } | Self::Mirror { to: To::Consumer, .. })
    }
}

/// The side that a mirror is written on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The consumer's copies become the source's files.
    Consumer,
    /// A copy that was edited in the consumer is offered to the source.
    Source,
}

/// How a repair is proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// The title.
    pub title: Template,
    /// The branch that the repair is committed to; has the source commit in it.
    pub branch: Template,
    /// Labels, by name.
    pub labels: Vec<String>,
    /// Logins, or `team:NAME`.
    pub reviewers: Vec<String>,
    /// Logins.
    pub assignees: Vec<String>,
    /// Opened as a draft.
    pub draft: bool,
    /// The forge is asked to merge it when its branch protection allows that.
    pub auto_merge: bool,
    /// How old the drift must be before it is opened.
    pub after: Duration,
    /// One pull request for all gates of a consumer with this name.
    pub group: Option<String>,
}

impl Default for PullRequest {
    /// What the keys mean when they are left out.
    fn default() -> Self {
        Self {
            title: Template::new("{gate}: adopt {source_short}"),
            branch: Template::new("drift-gate/{gate}/{source_short}"),
            labels: Vec::new(),
            reviewers: Vec::new(),
            assignees: Vec::new(),
            draft: false,
            auto_merge: false,
            after: Duration::ZERO,
            group: None,
        }
    }
}

impl PullRequest {
    /// The title of an offer to the source, where none is written: it adopts no commit of the source.
    pub const OFFER: &'static str = "{gate}: take over an edited copy";

    /// The name of the repair's branch: the template filled, and where a gate's name makes something of it that git takes for
    /// no branch (`a..b`, `a.lock`), with `-` for that.
    pub fn branch_name(&self, words: &Words<'_>) -> String {
        let filled = self.branch.fill(words).replace("..", "--");
        let parts = filled.split('/').filter(|part| !part.is_empty()).map(|part| {
            let part = part.strip_prefix('.').map_or_else(|| part.to_owned(), |rest| format!("-{rest}"));
            let part = part.strip_suffix('.').map_or_else(|| part.clone(), |rest| format!("{rest}-"));
            part.strip_suffix(".lock").map_or_else(|| part.clone(), |rest| format!("{rest}-lock"))
        });
        parts.collect::<Vec<_>>().join("/")
    }
}

/// A text with words in braces that stand for what a repair is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(String);

/// What the words of a [`Template`] stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words<'a> {
    /// `{gate}`: the gate's name, or the name of a group of gates.
    pub gate: &'a str,
    /// `{source_sha}`: the source commit that is adopted, all digits; `{source_short}` is its first eight. Of an offer to the
    /// source, a name of what is offered.
    pub source: &'a str,
    /// `{consumer_branch}`: the branch that is judged.
    pub consumer_branch: &'a str,
}

impl Template {
    /// The words that a template may have in braces.
    pub const WORDS: [&'static str; 4] = ["gate", "source_sha", "source_short", "consumer_branch"];

    /// A template of this text. What stands in braces and is none of [`Template::WORDS`] stays as it is.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text with its words filled in. What they stand for is not looked at again.
    pub fn fill(&self, words: &Words<'_>) -> String {
        let mut out = String::with_capacity(self.0.len() + 40);
        let mut rest = self.0.as_str();
        while let Some(at) = rest.find('{') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let known =
                Self::WORDS.iter().find(|word| rest[1..].strip_prefix(**word).is_some_and(|r| r.starts_with('}')));
            let Some(word) = known else {
                out.push('{');
                rest = &rest[1..];
                continue;
            };
            out.push_str(match *word {
                "gate" => words.gate,
                "source_sha" => words.source,
                "source_short" => words.source.get(..8).unwrap_or(words.source),
                _ => words.consumer_branch,
            });
            rest = &rest[word.len() + 2..];
        }
        out + rest
    }
}
