//! What an operator writes: `drift-gate.toml`, read, checked and explained.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: Server,
    pub store: Store,
    pub forges: BTreeMap<String, Forge>,
    pub gates: Vec<Gate>,
}

#[derive(Clone, Debug)]
pub struct Server {
    pub listen: std::net::SocketAddr,
    /// Without trailing slash.
    pub public_url: String,
    pub admin_token: Option<Secret>,
    pub link_secret: Option<Secret>,
}

#[derive(Clone, Debug)]
pub struct Store {
    pub url: String,
}

/// Where a secret is; its value is read when a command uses it ([`Secret::read`]), never printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    Env(String),
    File(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForgeKind {
    Gitea,
    GitHub,
}

#[derive(Clone, Debug)]
pub struct Forge {
    pub name: String,
    pub kind: ForgeKind,
    /// Without trailing slash; for GitHub `https://github.com` (its API is known) or a GHES root.
    pub url: String,
    pub token: Option<Secret>,
    pub webhook_secrets: Vec<Secret>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    pub name: String,
    pub context: String,
    pub source: Source,
    pub consumer: Consumer,
    pub binding: Binding,
    pub identity: Vec<String>,
    pub ignore: Vec<String>,
    pub optional: Vec<String>,
    pub unlisted: Level,
    pub inherited: Inherited,
    pub stale: Stale,
    pub grace: Duration,
    pub unreadable_after: Duration,
    pub advisory: bool,
    pub strict_assumptions: bool,
    pub quote: Quote,
    pub checks: Vec<Check>,
    /// SHA-256 of what the gate says, hexadecimal, independent of comments and order of keys.
    pub digest: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub place: Place,
    pub branch: String,
}

/// A repository: of a configured forge, or by its address (laptop files).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    Forge {
        forge: String,
        repo: String,
    },
    Url(String),
    /// The repository that the configuration file lies in.
    Here,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    pub place: Place,
    /// Names or globs.
    pub branches: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The value at `at` in `file`; sibling fields that must hold.
    Pin {
        file: String,
        at: PinPath,
        require: BTreeMap<String, String>,
    },
    Follow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Drift,
    Notice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inherited {
    Pass,
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    Fail,
    Notice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    Readers,
    Always,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    Bake(Bake),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bake {
    pub dockerfile: String,
    /// The build context, from the consumer's root; `""` is the root.
    pub context: String,
    /// Where the build puts the source's tree, from the consumer's root.
    pub source_dir: String,
    /// Absolute, without trailing slash.
    pub destination: String,
    pub build_args: BTreeMap<String, String>,
}

/// A secret's value.
pub type SecretValue = SecretString;

/// Where a pin is in a file: `workspace_templates[name=platform-agent].ref`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinPath {
    steps: Vec<PinStep>,
}

/// One step of a [`PinPath`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinStep {
    Key(String),
    Select { key: String, value: String },
    Index(usize),
}

impl PinPath {
    pub fn new(steps: Vec<PinStep>) -> Self {
        Self { steps }
    }

    pub fn steps(&self) -> &[PinStep] {
        &self.steps
    }
}

impl std::fmt::Display for PinPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            match step {
                PinStep::Key(key) if index == 0 => write!(f, "{key}")?,
                PinStep::Key(key) => write!(f, ".{key}")?,
                PinStep::Select { key, value } => write!(f, "[{key}={value}]")?,
                PinStep::Index(at) => write!(f, "[{at}]")?,
            }
        }
        Ok(())
    }
}

impl Secret {
    pub fn read(&self) -> Result<SecretString, std::io::Error> {
        match self {
            Self::Env(name) => Ok(std::env::var(name).map_err(std::io::Error::other)?.into()),
            Self::File(path) => Ok(std::fs::read_to_string(path)?.trim_end().to_owned().into()),
        }
    }
}
