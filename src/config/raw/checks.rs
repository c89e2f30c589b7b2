//! `[[gate.check]]` as it is written: a table for each kind.
//!
//! In the file `kind` stands beside the other keys. `shape` chooses the table by it and hands it on as `{ bake = { ... } }`:
//! that deserializes with the places of its values, which a tagged enum loses.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{At, Text, text};

/// One comparison.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Check {
    Bake(Bake),
    Mirror(Mirror),
    Values(Box<Values>),
    Pin(Pin),
    Absent(Absent),
}

impl JsonSchema for Check {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Check".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kinds = [
            of_kind("bake", generator.subschema_for::<Bake>()),
            of_kind("mirror", generator.subschema_for::<Mirror>()),
            of_kind("values", generator.subschema_for::<Values>()),
            of_kind("pin", generator.subschema_for::<Pin>()),
            of_kind("absent", generator.subschema_for::<Absent>()),
        ];
        json_schema!({ "type": "object", "description": "One comparison.", "required": ["kind"], "oneOf": kinds })
    }
}

/// The table with its `kind` in it.
pub(super) fn of_kind(kind: &str, mut table: Schema) -> Schema {
    let says = table.get("description").cloned().unwrap_or_default();
    if let Some(properties) = table.get_mut("properties").and_then(|properties| properties.as_object_mut()) {
        properties.insert("kind".into(), serde_json::json!({ "type": "string", "const": kind, "description": says }));
    }
    match table.get_mut("required").and_then(|required| required.as_array_mut()) {
        Some(required) => required.push("kind".into()),
        None => drop(table.insert("required".into(), serde_json::json!(["kind"]))),
    }
    table
}

/// The source's files as an image build would place them.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct Bake {
    /// The Dockerfile, from the consumer's root.
    #[schemars(extend("examples" = ["Dockerfile"]))]
    pub dockerfile: Text,
    /// The build context: a folder of the consumer; `.` is its root.
    #[serde(default = "here")]
    pub context: Text,
    /// Where the build puts the source's files before it runs, from the consumer's root. Replaces what is there.
    #[schemars(extend("examples" = [".deps/platform-agent"]))]
    pub source_dir: Text,
    /// The folder in the image that must hold the source's files.
    #[schemars(extend("examples" = ["/opt/platform-agent"]))]
    pub destination: Text,
    /// Build arguments as the build passes them.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "PLATFORM_AGENT_TEMPLATE_DIR": ".deps/platform-agent" }]))]
    pub build_args: BTreeMap<Text, String>,
    /// The stage that is built, as `docker build --target` names it. The last one where it is not said.
    #[schemars(extend("examples" = ["runtime"]))]
    pub target: Option<Text>,
    /// The builder clones its context from git instead of being sent a folder: ignore files are not applied.
    #[serde(default)]
    pub git_context: bool,
    /// What the build makes before `docker build` runs and git does not have: globs from the consumer's root. What it holds
    /// is not known.
    #[serde(default)]
    #[schemars(extend("examples" = [["canvas/out/**"]]))]
    pub generated: Vec<Text>,
}

fn here() -> Text {
    text(".")
}

/// Files of the source and their copies in the consumer.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [{ "required": ["file"] }, { "required": ["folder"] }]),
    extend("dependentRequired" = { "include": ["folder"], "exclude": ["folder"] })
)]
pub(in crate::config) struct Mirror {
    /// One file of the source.
    #[schemars(extend("examples" = ["providers.yaml"]))]
    pub file: Option<Text>,
    /// A folder of the source, with all below it; `.` is its root.
    #[schemars(extend("examples" = ["fixtures"]))]
    pub folder: Option<Text>,
    /// The files of the folder that are copied: globs from the folder. All of them where it is not said.
    #[serde(default)]
    #[schemars(extend("examples" = [["**/*.json"]]))]
    pub include: Vec<Text>,
    /// The files of the folder that are not: globs from the folder.
    #[serde(default)]
    #[schemars(extend("examples" = [["README.md"]]))]
    pub exclude: Vec<Text>,
    /// Where the copies are in the consumer: files, or for a folder folders.
    #[schemars(length(min = 1), extend("examples" = [["internal/providers.yaml"]]))]
    pub copies: At<Vec<Text>>,
    /// When two files are the same: `bytes`, `text` (line ends do not count), `json`, `yaml` or `toml` (as data).
    #[serde(default)]
    pub compare: Compare,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Compare {
    #[default]
    Bytes,
    Text,
    Json,
    Yaml,
    Toml,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Format {
    Json,
    Yaml,
    Toml,
}

/// Values that both sides say.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct Values {
    /// Where the source says them.
    #[schemars(extend("examples" = [{ "file": "providers.json", "at": "providers[*].name" }]))]
    pub source: At<ValuesSide>,
    /// Where the consumer says them.
    #[schemars(extend("examples" = [{ "file": "internal/providers.go", "regex": "Name: *\"([a-z]+)\"" }]))]
    pub consumer: At<ValuesSide>,
    /// `equal`, or `subset`: everything that the consumer says, the source says too.
    #[serde(default)]
    pub compare: Relation,
    /// The names (of a set: the values) that count, as globs. All of them where it is not said.
    #[serde(default)]
    #[schemars(extend("examples" = [["--color-*"]]))]
    pub only: Vec<Text>,
    /// How many values each side must give at least.
    #[serde(default = "one")]
    pub least: At<u64>,
}

fn one() -> At<u64> {
    1.into()
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Relation {
    #[default]
    Equal,
    Subset,
}

/// Where one side says its values: a file, and one of `at`, `regex` and `css`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [{ "required": ["at"] }, { "required": ["regex"] }, { "required": ["css"] }]),
    extend("dependentRequired" = { "format": ["at"], "within": ["regex"] })
)]
pub(in crate::config) struct ValuesSide {
    /// From that side's root.
    #[schemars(extend("examples" = ["providers.json"]))]
    pub file: Text,
    /// Where in a file of data: keys joined by dots, `[field=value]` for an entry, `[*]` for every entry of a list.
    #[schemars(extend("examples" = ["providers[*].name"]))]
    pub at: Option<Text>,
    /// The file's format, where its name does not end with `.json`, `.yaml`, `.yml` or `.toml`.
    pub format: Option<At<Format>>,
    /// A pattern with one group: each match gives a value. `^` and `$` are the ends of a line.
    #[schemars(extend("examples" = ["Name: *\"([a-z]+)\""]))]
    pub regex: Option<Text>,
    /// A pattern with one group that matches once: `regex` is looked for in what the group holds.
    #[schemars(extend("examples" = ["(?s)PATTERNS=\\((.*?)\\)"]))]
    pub within: Option<Text>,
    /// The block whose custom properties count: at-rules and selector, from outside to inside.
    #[schemars(length(min = 1), extend("examples" = [["@media (prefers-color-scheme: dark)", ":root"]]))]
    pub css: Option<At<Vec<Text>>>,
}

/// The pinned commit itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct Pin {
    /// Files of the source that the pinned commit must have, and that must not be empty.
    #[serde(default)]
    #[schemars(extend("examples" = [["config.yaml"]]))]
    pub requires: Vec<Text>,
}

/// What must stay gone from the consumer.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [{ "required": ["paths"] }, { "required": ["file", "at"] }, { "required": ["file", "regex"] }]),
    extend("dependentRequired" = { "format": ["at"] })
)]
pub(in crate::config) struct Absent {
    /// Files and folders, as globs.
    #[schemars(length(min = 1), extend("examples" = [["legacy/**"]]))]
    pub paths: Option<At<Vec<Text>>>,
    /// A file that must lack something.
    #[schemars(extend("examples" = ["manifest.json"]))]
    pub file: Option<Text>,
    /// The key or entry that it must lack: keys joined by dots, `[field=value]` for an entry.
    #[schemars(extend("examples" = ["templates[name=old-agent]"]))]
    pub at: Option<Text>,
    /// The file's format, where its name does not end with `.json`, `.yaml`, `.yml` or `.toml`.
    pub format: Option<At<Format>>,
    /// A pattern that must match nothing in it.
    #[schemars(extend("examples" = ["^FROM .*:latest"]))]
    pub regex: Option<Text>,
}
