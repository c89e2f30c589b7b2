//! `RUN --mount`: what is mounted where while a command runs.
//!
//! Traps handled here: a mount is read twice, once to find the stages that it needs and once with its variables; `from=`
//! takes no variable; a bind mount hides what is below it and takes what is written there away.

use super::budget::Failure;
use super::instructions::Run;

/// One `--mount`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mount {
    pub kind: String,
    pub from: String,
    pub source: String,
    pub target: String,
    pub read_only: bool,
    pub id: String,
}

impl Mount {
    /// Reads a mount; `expand` substitutes in values.
    pub fn read(text: &str, expand: &dyn Fn(&str) -> Result<String, Failure>) -> Result<Self, Failure> {
        let mut mount = Self { kind: "bind".to_owned(), ..Self::default() };
        let mut read_only = None;
        for field in fields(text)? {
            let Some((key, value)) = field.split_once('=') else {
                match field.to_ascii_lowercase().as_str() {
                    "readonly" | "ro" => read_only = Some(true),
                    "readwrite" | "rw" => read_only = Some(false),
                    "required" if matches!(mount.kind.as_str(), "secret" | "ssh") => {}
                    _ => return Err(format!("invalid field '{field}' must be a key=value pair").into()),
                }
                continue;
            };
            let value = expand(value)?;
            match key.to_ascii_lowercase().as_str() {
                "type" => mount.kind = kind(&value)?,
                "from" => mount.from = value,
                "source" | "src" => mount.source = value,
                "target" | "dst" | "destination" => mount.target = value,
                "readonly" | "ro" => read_only = Some(go_bool(key, &value)?),
                "readwrite" | "rw" => read_only = Some(!go_bool(key, &value)?),
                "id" => mount.id = value,
                "required" if matches!(mount.kind.as_str(), "secret" | "ssh") => {
                    go_bool(key, &value)?;
                }
                "size" if mount.kind == "tmpfs" => {}
                "sharing" if matches!(value.to_ascii_lowercase().as_str(), "shared" | "private" | "locked") => {}
                "mode" | "uid" | "gid" if matches!(mount.kind.as_str(), "secret" | "ssh" | "cache") => {
                    let radix = if key.eq_ignore_ascii_case("mode") { 8 } else { 10 };
                    u32::from_str_radix(&value, radix).map_err(|_| format!("invalid value {value} for {key}"))?;
                }
                "env" => {}
                _ => return Err(format!("unexpected key '{key}' in '{field}' of a {} mount", mount.kind).into()),
            }
        }
        mount.read_only = read_only.unwrap_or(!matches!(mount.kind.as_str(), "cache" | "tmpfs"));
        Ok(mount)
    }

    /// The path of the build context that the mount takes.
    pub fn context_source(&self) -> Option<String> {
        let taken = !matches!(self.kind.as_str(), "secret" | "ssh" | "cache") && self.from.is_empty();
        taken.then(|| self.source.clone())
    }
}

/// Where each mount of a RUN takes its files from, before variables are known: `None` for the build context or nothing.
pub(super) fn froms(run: &Run) -> Result<Vec<Option<String>>, String> {
    let mut froms = Vec::new();
    for mount in &run.mounts {
        let mut from = None;
        for field in fields(mount)? {
            let Some((key, value)) = field.split_once('=') else { continue };
            if !key.eq_ignore_ascii_case("from") {
                continue;
            }
            if value.find('$').is_some_and(|at| at + 1 != value.len()) {
                return Err("'from' doesn't support variable expansion, define alias stage instead".to_owned());
            }
            from = Some(value.to_owned()).filter(|from| !from.is_empty());
        }
        froms.push(from);
    }
    Ok(froms)
}

fn kind(value: &str) -> Result<String, String> {
    let kind = value.to_ascii_lowercase();
    match kind.as_str() {
        "bind" | "cache" | "tmpfs" | "secret" | "ssh" => Ok(kind),
        _ => Err(format!("unsupported mount type {value:?}")),
    }
}

fn go_bool(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!("invalid value for {key}: {value}")),
    }
}

/// The fields of one CSV line.
fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        let Some(field) = fields.last_mut() else { break };
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            '"' => return Err(format!("failed to parse csv mounts: a bare \" in {text}")),
            ',' if !quoted => fields.push(String::new()),
            c => field.push(c),
        }
    }
    if quoted {
        return Err(format!("failed to parse csv mounts: an open \" in {text}"));
    }
    Ok(fields)
}
