//! What an operator writes: `drift-gate.toml` and `.drift-gate.toml`, read, checked and explained.
//!
//! A file goes through three stages. The TOML parser gives a tree of values with their places; [`shape`] holds it against the
//! JSON schema, which is made from the structs of [`raw`]; [`meaning`] turns what has the right shape into the [`Config`] of
//! [`model`] by the [`rules`] for single texts. Each stage finds every fault that it can and goes on with the rest, so that an
//! operator mends a file once.
//!
//! May use no other room, and does no I/O but [`Config::load`], [`Secret::read`] and [`Config::check_secrets`]. The traps
//! handled here: a key that this version does not know is never ignored, since the gate would be weaker than it reads; and no
//! message shows what may be a secret.

mod diagnostic;
mod key;
mod meaning;
mod model;
mod pin;
mod raw;
mod rules;
mod secret;
mod shape;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value as Json;

use diagnostic::{Document, Problem};
use meaning::Reading;

pub use diagnostic::{ConfigError, Diagnostic};
pub use key::PrivateKey;
pub use model::{
    Absent, App, Bake, Binding, Bringer, Check, Commands, Compare, Config, Consumer, Extract, Forge, ForgeKind, Format,
    Gate, Inherited, Issue, Level, Mirror, Mirrored, Pattern, Pin, PinAt, Place, PullRequest, Quote, Relation, Repair,
    Repository, Retired, Server, Source, Stale, Store, Template, To, Values, ValuesSide, Words,
};
pub use pin::{PinPath, PinPathError, PinStep};
pub use secret::{Secret, SecretError, SecretValue};

/// A complete, commented configuration: every key, with its default where it has one.
pub const EXAMPLE: &str = include_str!("../../deploy/drift-gate.example.toml");

/// The largest file that is read, in bytes.
const LARGEST: u64 = 4 << 20;

static SCHEMA: LazyLock<Json> = LazyLock::new(raw::schema);

/// The JSON schema of `drift-gate.toml` (draft 2020-12), for editors; the parser holds files against this very schema.
pub fn schema() -> String {
    format!("{:#}", *SCHEMA)
}

/// What a file must bring along.
#[derive(Clone, Copy, Debug)]
enum Scope<'a> {
    /// All that the service needs: a public address, both sides on configured forges.
    Service,
    /// Gates; the source may be an address, the consumer the repository around the file.
    Laptop,
    /// Gates of one repository, which trusts itself with more than the service does.
    Brought(Bringer<'a>),
}

impl Scope<'_> {
    fn is_service(self) -> bool {
        matches!(self, Self::Service)
    }
}

/// What a repository's own file may not say to the service.
const NOT_BROUGHT: [&str; 4] = ["server", "store", "forge", "repository"];

impl Config {
    /// Reads the configuration of the service.
    ///
    /// # Errors
    /// The file cannot be read, or says something that cannot be: every fault that was found, with its place.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        read(path, Scope::Service)
    }

    /// Reads a configuration for `drift-gate check`: a `.drift-gate.toml`, or the service's own file. `[server]`, `[store]`
    /// and `[forge.NAME]` may be absent, the source may be an address (`url`), and the consumer may be left out: it is then
    /// the repository that the file lies in ([`Place::Here`]).
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_laptop(path: &Path) -> Result<Self, ConfigError> {
        read(path, Scope::Laptop)
    }

    /// As [`Config::load`], from a text; `file` is the name that messages use.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        parse(text, file, Scope::Service)
    }

    /// As [`Config::load_laptop`], from a text; `file` is the name that messages use.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse_laptop(text: &str, file: &str) -> Result<Self, ConfigError> {
        parse(text, file, Scope::Laptop)
    }

    /// The gates of a `.drift-gate.toml` as the service takes them from a repository: the consumer is that repository, and
    /// each source, an address, is one that the server lists for it. A gate in a repository is not trusted with more than that
    /// repository has: its context is `drift-gate` or begins with `drift-gate/`, it cannot open what is private
    /// (`quote = "always"`), and the file names no forge, no server and no secret.
    ///
    /// # Errors
    /// What the text says that cannot be, or may not be said there: every fault that was found, with its place.
    pub fn parse_brought(text: &str, file: &str, bringer: &Bringer<'_>) -> Result<Vec<Gate>, ConfigError> {
        parse(text, file, Scope::Brought(*bringer)).map(|config| config.gates)
    }

    /// Whether every secret that the file names has a value, and every key of an App is one. `serve` asks before it starts;
    /// nothing is kept.
    ///
    /// # Errors
    /// Each secret that cannot be used, with its place in the file; never its value.
    pub fn check_secrets(&self) -> Result<(), ConfigError> {
        let is_key =
            |secret: &Secret| self.forges.values().filter_map(|forge| forge.app.as_ref()).any(|app| app.key == *secret);
        let missing = self.secrets.iter().filter_map(|(secret, at)| {
            let error = match is_key(secret) {
                true => secret.read_key().err()?,
                false => secret.read().err()?,
            };
            let help = match secret {
                _ if matches!(error, SecretError::NoKey(_)) => {
                    "take the `.pem` file that the App's page gave when the key was made, from `-----BEGIN` to its end"
                        .to_owned()
                }
                Secret::Env(variable) => {
                    format!("set {variable} in the environment of the service, or name another place")
                }
                Secret::File(_) => {
                    "write the secret into that file, readable for the service, or name another place".to_owned()
                }
            };
            Some(Problem::new(at.clone(), error.to_string(), help))
        });
        let missing: Vec<Problem> = missing.collect();
        if missing.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(self.origin.explain(missing))) }
    }
}

fn read(path: &Path, scope: Scope<'_>) -> Result<Config, ConfigError> {
    use std::io::Read;
    let file = path.display().to_string();
    let mut bytes = Vec::new();
    let all = std::fs::File::open(path).and_then(|open| open.take(LARGEST + 1).read_to_end(&mut bytes));
    if let Err(source) = all {
        return Err(ConfigError::Unreadable { file, source });
    }
    if bytes.len() as u64 > LARGEST {
        let source = std::io::Error::other("larger than 4 MiB");
        return Err(ConfigError::Unreadable { file, source });
    }
    match String::from_utf8(bytes) {
        Ok(text) => parse(&text, &file, scope),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let document = Document::new(&String::from_utf8_lossy(error.as_bytes()), &file);
            let problem = Problem::new(at..at, "not UTF-8", "save the file as UTF-8");
            Err(ConfigError::Invalid(document.explain(vec![problem])))
        }
    }
}

fn parse(text: &str, file: &str, scope: Scope<'_>) -> Result<Config, ConfigError> {
    // Some editors leave a byte order mark; it is no character of the first line.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut document = Document::new(text, file);
    let (table, errors) = toml::de::DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        document.cover_what_may_be_secret();
        let problems = errors.iter().map(not_toml).collect();
        return Err(ConfigError::Invalid(document.explain(problems)));
    }
    let not_brought: Vec<Problem> = match scope {
        Scope::Brought(_) => table.get_ref().keys().filter_map(not_brought).collect(),
        Scope::Service | Scope::Laptop => Vec::new(),
    };
    let shaped = shape::shape(table, &SCHEMA, &mut document);
    let mut problems = shaped.problems;
    problems.extend(not_brought);
    // What the schema allows deserializes; should the two ever disagree, it is a message all the same.
    let raw = match raw::File::deserialize(toml::de::Deserializer::from(shaped.table)) {
        Ok(raw) => raw,
        Err(error) => {
            problems.push(not_toml(&error));
            return Err(ConfigError::Invalid(document.explain(problems)));
        }
    };
    let brings_gates = scope.is_service() && !raw.repository.is_empty();
    if raw.gate.is_empty() && !brings_gates && problems.is_empty() {
        problems.push(Problem::new(0..0, "the file has no gate: nothing would be compared", "add a `[[gate]]`"));
    }
    let mut reading = Reading {
        document: &mut document,
        scope,
        declared: shaped.forges,
        github: match scope {
            Scope::Brought(bringer) if bringer.repository.is_github => [bringer.repository.forge.clone()].into(),
            _ => Default::default(),
        },
        problems,
        secrets: Vec::new(),
    };
    let server = reading.server(&raw.server);
    let store = reading.store(&raw.store);
    let forges: Vec<Option<Forge>> = raw.forge.iter().map(|(name, forge)| reading.forge(name, forge)).collect();
    let repositories = reading.repositories(&raw.repository);
    let gates = reading.gates(&raw.gate);
    let Reading { problems, secrets, .. } = reading;
    match (server, store, gates, repositories) {
        (Some(server), Some(store), Some(gates), Some(repositories)) if problems.is_empty() => {
            let forges = forges.into_iter().flatten().map(|forge| (forge.name.clone(), forge)).collect();
            Ok(Config { server, store, forges, gates, repositories, origin: document, secrets })
        }
        _ => Err(ConfigError::Invalid(document.explain(problems))),
    }
}

/// A table that a repository's own file may not have.
fn not_brought(key: &toml::Spanned<std::borrow::Cow<'_, str>>) -> Option<Problem> {
    let name = key.get_ref().as_ref();
    NOT_BROUGHT.contains(&name).then(|| {
        let message = format!("`{name}` stands in the service's own file only");
        Problem::new(key.span(), message, "take it out: a repository's file has `[[gate]]` blocks and nothing else")
    })
}

fn not_toml(error: &toml::de::Error) -> Problem {
    let message = error.message();
    let help = if message.contains("duplicate key") {
        "keep one of them; each further gate begins with its own `[[gate]]`"
    } else {
        "mend the TOML here: `key = \"text\"`, `key = [\"a\", \"b\"]`, `[table]`, `[[list.of.tables]]`"
    };
    Problem::new(error.span().unwrap_or(0..0), message, help)
}

/// A JSON value as TOML writes it in one line.
fn toml_text(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(toml_text).collect::<Vec<_>>().join(", ")),
        Json::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Json::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key} = {}", toml_text(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other => other.to_string(),
    }
}
