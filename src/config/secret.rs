//! Secrets stand in the environment or in a file, never in the configuration, and are read only by the command that uses
//! them. Nothing here prints a value.

use std::io::Read;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::key::PrivateKey;

/// The longest secret that is read, in bytes: a wrong path must not fill the memory.
const LONGEST: u64 = 64 << 10;

/// Where a secret is; its value is read when a command uses it ([`Secret::read`]), never printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// The value of an environment variable.
    Env(String),
    /// The contents of a file, without the line end that editors leave; relative paths count from the working directory.
    File(PathBuf),
}

/// A secret's value.
pub type SecretValue = SecretString;

/// Why a secret has no value; names the variable or the file, never what is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("environment variable {0} is not set")]
    Unset(String),
    /// Nothing but white space: a signature made with it would prove nothing.
    #[error("{0} is empty")]
    Empty(String),
    /// Bytes that no header could carry.
    #[error("{0} is not UTF-8 text")]
    NotText(String),
    /// Not a secret's size.
    #[error("{0} is larger than 64 KiB: is it the right file?")]
    TooLong(String),
    /// Something else than the private key of an App.
    #[error("{0} holds no RSA private key in PEM")]
    NoKey(String),
    /// The file cannot be read.
    #[error("file {} cannot be read: {source}", .file.display())]
    Unreadable {
        /// As configured.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Secret {
    /// The value, never empty.
    ///
    /// # Errors
    /// The variable is not set, the file cannot be read, or nothing is in it; see [`SecretError`].
    pub fn read(&self) -> Result<SecretValue, SecretError> {
        let name = self.name();
        let text = match self {
            Self::Env(variable) => match std::env::var(variable) {
                Ok(text) => text,
                Err(std::env::VarError::NotPresent) => return Err(SecretError::Unset(variable.clone())),
                Err(std::env::VarError::NotUnicode(_)) => return Err(SecretError::NotText(name)),
            },
            Self::File(file) => contents(file)?,
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.trim().is_empty() {
            return Err(SecretError::Empty(name));
        }
        Ok(SecretValue::from(text))
    }

    /// The value as the private key of an App.
    ///
    /// # Errors
    /// As [`Secret::read`]; and where the value is no RSA private key in PEM.
    pub fn read_key(&self) -> Result<PrivateKey, SecretError> {
        let text = self.read()?;
        PrivateKey::from_pem(text.expose_secret()).ok_or_else(|| SecretError::NoKey(self.name()))
    }

    /// How messages call it.
    fn name(&self) -> String {
        match self {
            Self::Env(variable) => format!("environment variable {variable}"),
            Self::File(file) => format!("file {}", file.display()),
        }
    }
}

fn contents(file: &PathBuf) -> Result<String, SecretError> {
    let unreadable = |source| SecretError::Unreadable { file: file.clone(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(file).and_then(|open| open.take(LONGEST + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    let name = format!("file {}", file.display());
    if bytes.len() as u64 > LONGEST {
        return Err(SecretError::TooLong(name));
    }
    String::from_utf8(bytes).map_err(|_| SecretError::NotText(name))
}
