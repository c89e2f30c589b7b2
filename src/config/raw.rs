//! The file as it is written: one struct for each table, from which both the parser and the JSON schema come, so that they
//! cannot disagree. The doc comments are the schema's descriptions: they speak to operators.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use schemars::transform::transform_subschemas;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

mod checks;
mod repair;

pub(super) use checks::{Absent, Bake, Check, Compare, Format, Mirror, Relation, Values, ValuesSide};
pub(super) use repair::{PullRequest, Repair, To};

/// A value with the bytes it stands at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub(super) struct At<T>(toml::Spanned<T>);

impl<T> At<T> {
    pub(super) fn value(&self) -> &T {
        self.0.get_ref()
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.0.span()
    }
}

/// A default: it stands nowhere, and no rule finds fault with it (a test holds that).
impl<T> From<T> for At<T> {
    fn from(value: T) -> Self {
        Self(toml::Spanned::new(0..0, value))
    }
}

impl<T: Default> Default for At<T> {
    fn default() -> Self {
        T::default().into()
    }
}

impl<T: Serialize> Serialize for At<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

pub(super) type Text = At<String>;

fn text(value: &str) -> Text {
    value.to_owned().into()
}

/// What drift-gate watches: forges, gates, and where the service itself lives.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, title = "drift-gate.toml")]
pub(super) struct File {
    /// The service's own addresses and secrets. Only `drift-gate serve` needs it.
    #[serde(default)]
    pub server: At<Server>,
    /// Where the service keeps its state.
    #[serde(default)]
    pub store: Store,
    /// The forges, each under a name of your choice: `[forge.main]`. The name is part of the address of its webhooks,
    /// `/hooks/main`.
    #[serde(default)]
    pub forge: BTreeMap<Text, Forge>,
    /// Consumers that bring gates along, in a `.drift-gate.toml` at the root of their default branch. The service reads it
    /// there; a pull request that changes it is judged by the old file and the new one.
    #[serde(default)]
    pub repository: Vec<At<Repository>>,
    /// The gates: each is one rule between one source and one consumer.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub gate: Vec<At<Gate>>,
}

/// A consumer that brings gates along.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Repository {
    /// The forge that hosts it, by its name in this file.
    #[schemars(extend("examples" = ["main"]))]
    pub forge: Text,
    /// `owner/name`.
    #[schemars(extend("examples" = ["molecule/canvas"]))]
    pub repo: Text,
    /// The repositories of the same forge that its gates may name as their source: what is not listed here they can neither
    /// read nor turn red.
    #[schemars(length(min = 1), extend("examples" = [["molecule/design-tokens"]]))]
    pub sources: At<Vec<Text>>,
    /// Who may waive what its gates find and take that back, beside administrators of the repository with the pull request.
    pub commands: Option<At<Commands>>,
}

/// Who may give commands that not everyone may give, beside administrators of the repository with the pull request.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Commands {
    /// Their logins.
    #[serde(default)]
    #[schemars(extend("examples" = [["alice"]]))]
    pub users: Vec<Text>,
    /// Teams as `organization/team`; on GitHub by the team's name in addresses. Our own user must be able to see their members.
    #[serde(default)]
    #[schemars(extend("examples" = [["molecule/leads"]]))]
    pub teams: Vec<Text>,
}

/// The service's own addresses and secrets.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Server {
    /// Where the service listens: an IP address and a port.
    pub listen: Text,
    /// Where people reach the service: statuses link to pages below it. `drift-gate serve` requires it.
    #[schemars(extend("examples" = ["https://drift-gate.example.org"]))]
    pub public_url: Option<Text>,
    /// Opens the API and the dashboard. Without it they are closed; report pages are open to who has their address.
    #[schemars(extend("examples" = [{ "env": "DRIFT_GATE_ADMIN_TOKEN" }]))]
    pub admin_token: Option<At<Secret>>,
    /// Keys the addresses of report pages. Without it one is made at the first start and kept in the store.
    #[schemars(extend("examples" = [{ "env": "DRIFT_GATE_LINK_SECRET" }]))]
    pub link_secret: Option<At<Secret>>,
    /// How often every repository is looked at without a delivery: a duration from `10s` to `1d`, shortened or lengthened by
    /// chance by up to a tenth.
    pub reconcile: Text,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: text("127.0.0.1:8080"),
            public_url: None,
            admin_token: None,
            link_secret: None,
            reconcile: text("5m"),
        }
    }
}

/// Where the service keeps its state.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Store {
    /// The database: `sqlite://` and a path, relative to the working directory unless it begins with a third slash, or
    /// `postgres://USER@HOST/DATABASE` without a password (PGPASSWORD, PGPASSFILE). The caches of repositories lie beside a
    /// file, else in the working directory.
    pub url: Text,
    /// How much disk the caches of repositories may take: a number with `MB`, `GB` or `TB`, at least `100MB`. Beyond it those
    /// that were not used for longest go; they come back from the forge when they are needed.
    pub cache_limit: Text,
}

impl Default for Store {
    fn default() -> Self {
        Self { url: text("sqlite://drift-gate.db"), cache_limit: text("10GB") }
    }
}

/// Where a secret is: exactly one of the two keys.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, title = "Secret", extend("oneOf" = [{ "required": ["env"] }, { "required": ["file"] }]))]
pub(super) struct Secret {
    /// The environment variable that holds the secret.
    #[schemars(extend("examples" = ["DRIFT_GATE_TOKEN"]))]
    pub env: Option<Text>,
    /// The file that holds the secret; a line end at its end is dropped. A relative path counts from the working directory.
    #[schemars(extend("examples" = ["/run/secrets/drift-gate-token"]))]
    pub file: Option<Text>,
}

/// A server that hosts repositories.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Forge {
    /// Its dialect: `gitea` (Forgejo too) or `github`.
    pub kind: ForgeKind,
    /// Its root: `https://git.example.org`, `https://github.com`, or the root of a GitHub Enterprise Server.
    #[schemars(extend("examples" = ["https://git.example.org"]))]
    pub url: Text,
    /// Reads both repositories and posts statuses. Without it only public repositories are read and nothing is posted.
    #[schemars(extend("examples" = [{ "env": "DRIFT_GATE_TOKEN" }]))]
    pub token: Option<At<Secret>>,
    /// The GitHub App that does so instead of a token.
    #[schemars(extend("examples" = [{ "id": 12345, "key": { "file": "/run/secrets/drift-gate-app.pem" } }]))]
    pub app: Option<At<App>>,
    /// Writes a check with annotations on the consumer's lines beside each status; needs `app`.
    #[serde(default)]
    pub check_runs: At<bool>,
    /// What signs this forge's deliveries; several while one replaces another. Without any, deliveries are refused and only
    /// the timer looks.
    #[serde(default)]
    #[schemars(extend("examples" = [[{ "env": "DRIFT_GATE_WEBHOOK_SECRET" }]]))]
    pub webhook_secrets: Vec<At<Secret>>,
}

/// A GitHub App.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct App {
    /// Its number, on its page of settings ("App ID").
    #[schemars(extend("examples" = [12345]))]
    pub id: At<u64>,
    /// Its private key, the `.pem` file that GitHub made.
    #[schemars(extend("examples" = [{ "file": "/run/secrets/drift-gate-app.pem" }]))]
    pub key: At<Secret>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ForgeKind {
    Gitea,
    GitHub,
}

/// One rule between one source and one consumer.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("if" = {
        "properties": { "check": { "contains": { "properties": { "kind": { "const": "bake" } }, "required": ["kind"] } } }
    }),
    extend("then" = { "required": ["identity"] })
)]
pub(super) struct Gate {
    /// Names the gate; unique for its consumer. Letters, digits, `.`, `_` and `-`.
    #[schemars(extend("examples" = ["platform-agent-identity"]))]
    pub name: Text,
    /// The name of the commit status. Gates of one context share one status.
    #[serde(default = "context")]
    pub context: Text,
    /// The repository that is the truth: `forge` and `repo`, or (for `drift-gate check` and in `.drift-gate.toml`) `url`.
    #[schemars(extend("examples" = [{ "forge": "main", "repo": "molecule/platform-agent-template", "branch": "main" }]))]
    pub source: At<Source>,
    /// The repository that bakes it. In `.drift-gate.toml` it is the repository that the file lies in, and may be left out.
    #[schemars(extend("examples" = [{ "forge": "main", "repo": "molecule/core", "branches": ["main"] }]))]
    pub consumer: Option<At<Consumer>>,
    /// How the consumer says which source commit it uses: a pin in a file, or the head of the source's branch.
    #[schemars(extend("examples" = [{ "pin": "manifest.json", "at": "workspace_templates[name=platform-agent].ref" }]))]
    pub binding: At<Binding>,
    /// The source files that the gate is about: globs from the source's root. `*` and `?` stay within a name, `**` crosses
    /// folders. Each literal name must exist and not be empty. A gate without a `bake` check may leave it out: it is then
    /// about the files that its checks name.
    #[schemars(length(min = 1), extend("examples" = [["config.yaml", "prompts/**"]]))]
    pub identity: Option<At<Vec<Text>>>,
    /// Source files that the gate leaves alone, as globs. What is neither identity nor ignored is drift.
    #[serde(default)]
    #[schemars(extend("examples" = [["README.md", "LICENSE"]]))]
    pub ignore: Vec<Text>,
    /// Source files, as globs, that are compared where they exist and may be absent.
    #[serde(default)]
    #[schemars(extend("examples" = [["hooks/**"]]))]
    pub optional: Vec<Text>,
    /// What a source file is that no list names: `drift`, or a `notice`.
    #[serde(default)]
    pub unlisted: Level,
    /// Whether a pull request passes that brings no drift of its own while its base has some: `pass` or `fail`.
    #[serde(default)]
    pub inherited: Inherited,
    /// What a pin that is behind the source does to a branch: `fail`, or a `notice` on green (for release lines; such a gate
    /// judges no source head).
    #[serde(default)]
    pub stale: Stale,
    /// How long a stale branch head stays green, with words: a duration such as `24h` or `1h30m`.
    #[serde(default = "grace")]
    pub grace: Text,
    /// How long a branch head keeps its status while the other side cannot be read; a duration.
    #[serde(default = "unreadable_after")]
    pub unreadable_after: Text,
    /// Tells drift in words on a green status: to try a gate before it blocks.
    #[serde(default)]
    pub advisory: bool,
    /// Treats what had to be assumed (what a base image holds, say) as undecided.
    #[serde(default)]
    pub strict_assumptions: bool,
    /// Until this day (`2026-12-01`, in UTC) or moment (RFC 3339) the status stays green, with the drift in words; from then on it
    /// counts.
    #[schemars(extend("examples" = ["2026-12-01"]))]
    pub enforce_after: Option<Text>,
    /// Files of the consumer, as globs, that decide what is built and are not evaluated, such as a workflow with its build flags
    /// or a script that clones the source: a pull request that changes one fails until somebody who may waives it.
    #[serde(default)]
    #[schemars(extend("examples" = [[".gitea/workflows/image.yml", "scripts/clone-template.sh"]]))]
    pub watch: Vec<Text>,
    /// Why the gate ends: nothing is compared any more, and its heads get a green status that says so.
    #[schemars(extend("examples" = ["the image is built in the template's repository now"]))]
    pub retired: Option<Text>,
    /// Who sees file contents on report pages: `readers` (everyone where both repositories are public, else after a login)
    /// or `always` (everyone who has the address).
    #[serde(default)]
    pub quote: Quote,
    /// Who may waive what it finds and take that back, beside administrators of the repository with the pull request.
    pub commands: Option<At<Commands>>,
    /// Issues of either side where comments are commands about the gate's branches, each as `owner/name#number`. Where both
    /// sides have the same name on two forges, the forge's name stands in front: `main/owner/name#number`.
    #[serde(default)]
    #[schemars(extend("examples" = [["molecule/core#12"]]))]
    pub issues: Vec<Text>,
    /// What is compared.
    #[schemars(length(min = 1))]
    pub check: At<Vec<At<Check>>>,
    /// What ends the drift, proposed as a pull request once it is proven to. Without any, drift is only told.
    #[serde(default)]
    pub repair: At<Vec<At<Repair>>>,
}

fn context() -> Text {
    text("drift-gate")
}

fn grace() -> Text {
    text("0s")
}

fn unreadable_after() -> Text {
    text("1h")
}

/// The repository that is the truth.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = [{ "required": ["forge", "repo"] }, { "required": ["url"] }]))]
pub(super) struct Source {
    /// The forge that hosts it, by its name in this file.
    #[schemars(extend("examples" = ["main"]))]
    pub forge: Option<Text>,
    /// `owner/name`.
    #[schemars(extend("examples" = ["molecule/platform-agent-template"]))]
    pub repo: Option<Text>,
    /// Its address, instead of `forge` and `repo`.
    #[schemars(extend("examples" = ["https://git.example.org/molecule/platform-agent-template"]))]
    pub url: Option<Text>,
    /// The branch that counts.
    #[schemars(extend("examples" = ["main"]))]
    pub branch: Text,
}

/// The repository that bakes the source.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, extend("dependentRequired" = { "forge": ["repo"], "repo": ["forge"] }))]
pub(super) struct Consumer {
    /// The forge that hosts it, by its name in this file.
    #[schemars(extend("examples" = ["main"]))]
    pub forge: Option<Text>,
    /// `owner/name`.
    #[schemars(extend("examples" = ["molecule/core"]))]
    pub repo: Option<Text>,
    /// The branches that are judged: names or globs such as `release/*`.
    #[schemars(length(min = 1), extend("examples" = [["main"]]))]
    pub branches: Option<At<Vec<Text>>>,
    /// The branches of a merge queue, as globs: each is judged as what merging it would give.
    #[serde(default)]
    #[schemars(extend("examples" = [["gh-readonly-queue/**"]]))]
    pub queue_branches: Vec<Text>,
}

/// How the consumer says which source commit it uses: `pin` with one of `at`, `whole`, `argument` and `regex`, a `submodule`,
/// or `follow`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [
        { "required": ["pin", "at"] }, { "required": ["pin", "whole"] }, { "required": ["pin", "argument"] },
        { "required": ["pin", "regex"] }, { "required": ["submodule"] }, { "required": ["follow"] }
    ]),
    extend("dependentRequired" = { "format": ["at"], "require": ["at"] })
)]
pub(super) struct Binding {
    /// The file of the consumer that holds the source's commit SHA.
    #[schemars(extend("examples" = ["manifest.json"]))]
    pub pin: Option<Text>,
    /// Where in a file of data: keys joined by dots, `[field=value]` for the one entry of a list, `[0]` for an index.
    #[schemars(extend("examples" = ["workspace_templates[name=platform-agent].ref"]))]
    pub at: Option<Text>,
    /// The file's format, where its name does not end with `.json`, `.yaml`, `.yml` or `.toml`; JSON where nothing says it.
    pub format: Option<At<Format>>,
    /// `true`: the file holds the SHA and nothing else.
    #[schemars(extend("examples" = [true]))]
    pub whole: Option<At<bool>>,
    /// The `ARG` or `ENV` of the Dockerfile whose default is the SHA.
    #[schemars(extend("examples" = ["TEMPLATE_SHA"]))]
    pub argument: Option<Text>,
    /// A pattern whose one group is the SHA; it must match once. `^` and `$` are the ends of a line.
    #[schemars(extend("examples" = ["^TEMPLATE_SHA=([0-9a-f]+)$"]))]
    pub regex: Option<Text>,
    /// The submodule that holds the source.
    #[schemars(extend("examples" = ["vendor/template"]))]
    pub submodule: Option<Text>,
    /// Fields beside the pin that must hold, so that nobody pins another repository's commit. Only with `at`.
    #[schemars(extend("examples" = [{ "repo": "molecule/platform-agent-template" }]))]
    pub require: Option<At<BTreeMap<String, String>>>,
    /// `true`: no pin, the consumer uses the head of the source's branch.
    #[schemars(extend("examples" = [true]))]
    pub follow: Option<At<bool>>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    #[default]
    Drift,
    Notice,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Inherited {
    #[default]
    Pass,
    Fail,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stale {
    #[default]
    Fail,
    Notice,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Quote {
    #[default]
    Readers,
    Always,
}

/// The JSON schema of the file: closed tables, everything in one piece. TOML has no null, so neither has the schema.
pub(super) fn schema() -> serde_json::Value {
    let settings =
        schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<File>();
    tidy(&mut schema);
    schema.to_value()
}

/// An `Option` is a key that may be left out, not one that may be null; doc comments are wrapped, descriptions are not.
fn tidy(schema: &mut Schema) {
    if let Some(Json::Array(mut choices)) = schema.remove("anyOf") {
        choices.retain(|choice| choice["type"] != "null");
        for (key, value) in choices.into_iter().filter_map(|choice| choice.as_object().cloned()).flatten() {
            if schema.get(&key).is_none() {
                schema.insert(key, value);
            }
        }
    }
    if let Some(Json::Array(types)) = schema.get("type") {
        let only = types.iter().find(|one| *one != "null").cloned();
        schema.insert("type".to_owned(), only.unwrap_or(Json::Null));
    }
    match schema.get_mut("default") {
        Some(Json::Null) => drop(schema.remove("default")),
        Some(Json::Object(fields)) => fields.retain(|_, value| !value.is_null()),
        _ => {}
    }
    if let Some(Json::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    transform_subschemas(&mut tidy, schema);
}
