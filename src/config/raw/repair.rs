//! `[[gate.repair]]` as it is written: a table for each kind, chosen by `kind` as the checks are.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::checks::of_kind;
use super::{At, Text, text};

/// What ends the drift of a gate.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Repair {
    Pin(Box<Pin>),
    Mirror(Box<Mirror>),
    Stamp(Box<Stamp>),
    Dispatch(Dispatch),
}

impl JsonSchema for Repair {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Repair".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kinds = [
            of_kind("pin", generator.subschema_for::<Pin>()),
            of_kind("mirror", generator.subschema_for::<Mirror>()),
            of_kind("stamp", generator.subschema_for::<Stamp>()),
            of_kind("dispatch", generator.subschema_for::<Dispatch>()),
        ];
        json_schema!({
            "type": "object", "description": "What ends the drift of a gate.", "required": ["kind"], "oneOf": kinds
        })
    }
}

/// What is said of the pull request, by reference: the same keys stand in every kind that opens one.
pub(in crate::config) struct PullRequest<'a> {
    pub title: &'a Text,
    pub branch: &'a Text,
    pub labels: &'a At<Vec<Text>>,
    pub reviewers: &'a At<Vec<Text>>,
    pub assignees: &'a At<Vec<Text>>,
    pub draft: &'a At<bool>,
    pub auto_merge: &'a At<bool>,
    pub after: &'a Text,
    pub group: Option<&'a Text>,
}

/// A table with the keys of its kind, and those of the pull request. (A flattened struct would lose the places of values.)
macro_rules! opens_a_pull_request {
    ($(#[$about:meta])* $name:ident { $($(#[$of:meta])* $key:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Deserialize, JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub(in crate::config) struct $name {
            $($(#[$of])* pub $key: $type,)*
            /// The title of the pull request. `{gate}`, `{source_sha}`, `{source_short}` and `{consumer_branch}` stand for
            /// what they say.
            #[serde(default = "title")]
            pub title: Text,
            /// The branch that the repair is committed to, with the same words in braces. It must have `{source_sha}` or
            /// `{source_short}` in it: each source commit has a branch of its own.
            #[serde(default = "branch")]
            pub branch: Text,
            /// Labels of the pull request. They must exist in the repository.
            #[serde(default)]
            #[schemars(extend("examples" = [["drift"]]))]
            pub labels: At<Vec<Text>>,
            /// Whose review is asked for: logins, or `team:NAME`.
            #[serde(default)]
            #[schemars(extend("examples" = [["alice", "team:platform"]]))]
            pub reviewers: At<Vec<Text>>,
            /// Who is assigned: logins.
            #[serde(default)]
            #[schemars(extend("examples" = [["alice"]]))]
            pub assignees: At<Vec<Text>>,
            /// Opens it as a draft.
            #[serde(default)]
            pub draft: At<bool>,
            /// Asks the forge to merge it as soon as its branch protection allows that.
            #[serde(default)]
            pub auto_merge: At<bool>,
            /// How old the drift must be before the pull request is opened: a duration such as `1h`.
            #[serde(default = "at_once")]
            pub after: Text,
            /// One pull request for all gates of this consumer that name the same group.
            #[schemars(extend("examples" = ["templates"]))]
            pub group: Option<Text>,
        }

        impl $name {
            pub fn pull_request(&self) -> PullRequest<'_> {
                PullRequest {
                    title: &self.title,
                    branch: &self.branch,
                    labels: &self.labels,
                    reviewers: &self.reviewers,
                    assignees: &self.assignees,
                    draft: &self.draft,
                    auto_merge: &self.auto_merge,
                    after: &self.after,
                    group: self.group.as_ref(),
                }
            }
        }
    };
}

opens_a_pull_request! {
    /// Moves the pin to the head of the source's branch; every other byte of the file stays.
    Pin {
        /// Adds the COPY line of a source file that no instruction takes yet, beside its siblings, where that is proven to
        /// end the drift.
        #[serde(default = "yes")]
        copy_lines: bool,
    }
}

opens_a_pull_request! {
    /// Copies the files of the `mirror` checks.
    Mirror {
        /// The side that is written: `consumer`, or `source` for copies that were edited in the consumer. The title is then
        /// `{gate}: take over an edited copy`, where none is written.
        #[serde(default)]
        to: To,
    }
}

opens_a_pull_request! {
    /// Writes the source commit into a file of the consumer, whose change makes a build run.
    Stamp {
        /// The file, from the consumer's root. Nothing else stands in it.
        #[schemars(extend("examples" = [".template-version"]))]
        path: Text,
        /// What the file says; it must have `{source_sha}` in it.
        #[serde(default = "stamped")]
        template: Text,
        /// Adds the COPY line of a source file that no instruction takes yet, beside its siblings, where that is proven to
        /// end the drift.
        #[serde(default = "yes")]
        copy_lines: bool,
    }
}

/// Starts a workflow of the consumer by the forge.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct Dispatch {
    /// The file name of the workflow, which runs `on: workflow_dispatch`.
    #[schemars(extend("examples" = ["build.yml"]))]
    pub workflow: Text,
    /// The branch or tag that it runs on. The branch that is judged where it is not said.
    #[serde(rename = "ref")]
    #[schemars(extend("examples" = ["main"]))]
    pub on: Option<Text>,
    /// Inputs of the workflow, in which `{gate}`, `{source_sha}`, `{source_short}` and `{consumer_branch}` stand for what they
    /// say.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "template_sha": "{source_sha}" }]))]
    pub inputs: BTreeMap<Text, Text>,
    /// How old the drift must be before the workflow is started: a duration such as `1h`.
    #[serde(default = "at_once")]
    pub after: Text,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum To {
    #[default]
    Consumer,
    Source,
}

fn title() -> Text {
    text("{gate}: adopt {source_short}")
}

fn branch() -> Text {
    text("drift-gate/{gate}/{source_short}")
}

fn stamped() -> Text {
    text("{source_sha}\n")
}

fn at_once() -> Text {
    text("0s")
}

fn yes() -> bool {
    true
}
