//! What a single text of the file may be: each rule gives back what the text means, or what is wrong with it and what to
//! write instead. Pure; knows no places in files.

use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use url::Url;

use super::model::Pattern;
use super::pin::{PinPath, PinPathError};

mod repair;

pub(super) use repair::{input, label, repair_branch, reviewer, stamp, template, title, workflow};

/// The longest duration, ten years: beyond it sums with the clock could overflow.
const LONGEST: Duration = Duration::from_secs(3650 * DAY);
const DAY: u64 = 24 * 60 * 60;

/// The longest status name that forges keep.
const LONGEST_CONTEXT: usize = 255;

/// What is wrong with a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Follows the key in a message.
    pub message: String,
    /// What to write instead.
    pub help: String,
    /// The text may hold a secret.
    pub secret: bool,
}

pub(super) type Ruled<T> = Result<T, Wrong>;

fn wrong<T>(message: impl Into<String>, help: impl Into<String>) -> Ruled<T> {
    Err(Wrong { message: message.into(), help: help.into(), secret: false })
}

fn secret<T>(message: impl Into<String>, help: impl Into<String>) -> Ruled<T> {
    Err(Wrong { message: message.into(), help: help.into(), secret: true })
}

/// The name of a gate or a forge: it stands in addresses.
pub(super) fn name(text: &str) -> Ruled<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.is_empty() {
        return wrong("is empty", "write a name, for example `main`");
    }
    if !text.chars().all(plain) || text.len() > 100 || text.starts_with('.') {
        let instead: String =
            text.trim_start_matches('.').chars().map(|c| if plain(c) { c } else { '-' }).take(100).collect();
        let instead = if instead.is_empty() { "main" } else { &instead };
        let help = format!("use letters, digits, `.`, `_` and `-`, at most 100: for example `{instead}`");
        return wrong("cannot stand in an address", help);
    }
    Ok(text.to_owned())
}

/// The name of a commit status. Forges with workflows of their own mark theirs with the event, and clean up what ends so.
pub(super) fn context(text: &str) -> Ruled<String> {
    if text.trim().is_empty() {
        return wrong("is empty", "write `drift-gate`, or a name that begins with `drift-gate/`");
    }
    if text.trim() != text || text.chars().any(char::is_control) {
        return wrong("has white space around it or control characters in it", "write it without them");
    }
    if text.chars().count() > LONGEST_CONTEXT {
        return wrong("is longer than 255 characters", "forges cut it: write a shorter one");
    }
    if let Some(at) = text.rfind(" (").filter(|_| text.ends_with(')')) {
        let message = format!("ends with `{}`, as the statuses of a forge's own workflows do", &text[at + 1..]);
        return wrong(message, format!("write `{}`: one status for every event", text[..at].trim_end()));
    }
    Ok(text.to_owned())
}

/// A repository of a forge.
pub(super) fn repository(text: &str) -> Ruled<String> {
    let fits = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        !part.is_empty() && part.chars().all(plain) && part != "." && part != ".."
    };
    let parts: Vec<&str> = text.split('/').collect();
    if let [owner, name] = parts.as_slice() {
        match name.strip_suffix(".git") {
            Some(bare) if fits(owner) && fits(bare) => {
                return wrong("ends with `.git`, as addresses do", format!("write `{owner}/{bare}`"));
            }
            None if fits(owner) && fits(name) => return Ok(text.to_owned()),
            _ => {}
        }
    }
    let tail: Vec<&str> = text.trim_end_matches('/').trim_end_matches(".git").rsplit('/').take(2).collect();
    match tail.as_slice() {
        [name, owner] if text.contains("://") && fits(owner) && fits(name) => {
            wrong("is an address, not a name", format!("write `{owner}/{name}`"))
        }
        _ => wrong("is not `owner/name`", "write owner and name with one slash, for example `molecule/core`"),
    }
}

/// An issue of a repository, as people write it: what stands in front of its number, and that.
pub(super) fn issue(text: &str) -> Ruled<(String, u64)> {
    let help = "write repository and number, for example `molecule/core#12`";
    let Some((named, number)) = text.rsplit_once('#') else { return wrong("is no issue", help) };
    // Of a repository whose name needs it, the forge's name stands in front.
    let repo = match named.split_once('/') {
        Some((_, repo)) if repo.contains('/') => repo,
        _ => named,
    };
    if let Err(Wrong { message, .. }) = repository(repo) {
        return wrong(format!("names a repository that {message}"), help);
    }
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    // What no forge counts up to is no number of an issue.
    match number.parse::<u32>() {
        Ok(number) if digits && number > 0 => Ok((named.to_owned(), number.into())),
        _ => wrong(format!("has `{number}` for a number"), help),
    }
}

/// A user's login.
pub(super) fn login(text: &str) -> Ruled<String> {
    let bare = text.trim_start_matches('@');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if bare.is_empty() || bare.len() > 100 || !bare.chars().all(plain) {
        return wrong("is no login", "write the user's name on the forge, for example `alice`");
    }
    if bare != text {
        return wrong("begins with `@`", format!("write `{bare}`"));
    }
    Ok(text.to_owned())
}

/// A team of an organization.
pub(super) fn team(text: &str) -> Ruled<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(plain);
    match text.split_once('/') {
        Some((organization, team)) if fits(organization) && fits(team) => Ok(text.to_owned()),
        _ => wrong("is not `organization/team`", "write both with one slash, for example `molecule/leads`"),
    }
}

/// An address over HTTP, without trailing slash.
pub(super) fn address(text: &str) -> Ruled<String> {
    let help = "write the whole address, for example `https://git.example.org`";
    let Ok(url) = Url::parse(text) else {
        return secret("is no address", help);
    };
    if !matches!(url.scheme(), "http" | "https") {
        return secret("is not an address over HTTP", help);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return secret(
            "holds credentials",
            "take them out of the address, and write `token = { env = \"DRIFT_GATE_TOKEN\" }`",
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return secret("has a part behind `?` or `#`", "write the address alone");
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The root of a GitHub: its API has an address of its own, which is known.
pub(super) fn github(text: &str) -> Ruled<String> {
    let address = address(text)?;
    let host = address.split("://").nth(1).unwrap_or_default();
    let (host, path) = host.split_once('/').unwrap_or((host, ""));
    match (host, path) {
        ("api.github.com" | "www.github.com", _) => wrong("is not GitHub's root", "write `https://github.com`"),
        ("github.com", path) if !path.is_empty() => wrong("is not GitHub's root", "write `https://github.com`"),
        (host, "api/v3") => wrong("is the address of the API", format!("write `https://{host}`")),
        _ => Ok(address),
    }
}

/// The database.
pub(super) fn store(text: &str) -> Ruled<String> {
    let help = "write `sqlite://` and a path, for example `sqlite:///var/lib/drift-gate/drift-gate.db`, or \
                `postgres://USER@HOST/DATABASE`";
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return postgres(text);
    }
    match text.strip_prefix("sqlite://") {
        Some(path) if path.contains(":memory:") => wrong("is in memory, which a restart forgets", help),
        Some(path) if !path.is_empty() && !path.starts_with('?') => Ok(text.to_owned()),
        _ => secret("is no database", help),
    }
}

fn postgres(text: &str) -> Ruled<String> {
    let help = "write `postgres://USER@HOST/DATABASE`; `?host=/run/postgresql` behind it names a folder with a socket";
    let Ok(url) = Url::parse(text) else {
        return secret("is no address", help);
    };
    if url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password") {
        return secret(
            "holds a password",
            "take it out of the address, and set PGPASSWORD, or PGPASSFILE to a file that holds it",
        );
    }
    if url.path().trim_start_matches('/').is_empty() {
        return wrong("names no database", help);
    }
    Ok(text.to_owned())
}

/// Where to listen.
pub(super) fn listen(text: &str) -> Ruled<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    let instead = match (text.split(':').next(), port) {
        (Some("localhost"), Some(port)) => format!("127.0.0.1:{port}"),
        (Some("" | "*"), Some(port)) => format!("0.0.0.0:{port}"),
        (_, Some(port)) => format!("127.0.0.1:{port}"),
        (_, None) => "127.0.0.1:8080".to_owned(),
    };
    wrong("is not an IP address with a port", format!("write `{instead}`"))
}

/// The name of an environment variable.
pub(super) fn variable(text: &str) -> Ruled<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(fits) {
        let help = "write the variable's name, for example `DRIFT_GATE_TOKEN`; its value stays out of this file";
        return secret("is not the name of an environment variable", help);
    }
    Ok(text.to_owned())
}

/// The name of an `ARG` or `ENV`.
pub(super) fn argument(text: &str) -> Ruled<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || !text.chars().all(fits) {
        return wrong("is not the name of an `ARG` or `ENV`", "write its name alone, for example `TEMPLATE_SHA`");
    }
    Ok(text.to_owned())
}

/// A stage of a Dockerfile, as `docker build --target` finds it: by its name, in any case, and not by its number.
pub(super) fn stage(text: &str) -> Ruled<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) || !text.chars().all(fits) {
        let help =
            "write the name behind `AS` in its FROM, for example `runtime`; a stage without one gets a name first";
        return wrong("is not the name of a stage", help);
    }
    Ok(text.to_owned())
}

/// A moment: a day, which begins at midnight UTC, or RFC 3339.
pub(super) fn moment(text: &str) -> Ruled<DateTime<Utc>> {
    let day = || Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc());
    let exact = || Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc());
    day().or_else(exact).ok_or_else(|| Wrong {
        message: format!("is `{text}`, which is no day"),
        help: "write a day, `2026-12-01` (from midnight UTC), or a moment, `2026-12-01T08:00:00+01:00`".to_owned(),
        secret: false,
    })
}

/// A reason for people: one line that a status can show.
pub(super) fn reason(text: &str) -> Ruled<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return wrong("is not a line of words", "write why, in a few words: statuses show it");
    }
    Ok(text.to_owned())
}

/// A duration: numbers with units, the largest first (`7d`, `24h`, `1h30m`, `0s`).
pub(super) fn duration(text: &str) -> Ruled<Duration> {
    let units = [('d', DAY), ('h', 60 * 60), ('m', 60), ('s', 1)];
    let help = "write numbers with units from `d`, `h`, `m`, `s`, the largest first: `24h`, `1h30m`, `7d`, `0s`";
    let mut total: u64 = 0;
    let mut left = units.as_slice();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let mut tail = tail.chars();
        let unit = tail.next();
        let (false, Some(at)) = (number.is_empty(), left.iter().position(|(name, _)| Some(*name) == unit)) else {
            return wrong(format!("is `{text}`, which is no duration"), help);
        };
        let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(left[at].1));
        let more = seconds.and_then(|seconds| total.checked_add(seconds));
        total = more.filter(|total| *total <= LONGEST.as_secs()).ok_or_else(|| Wrong {
            message: "is longer than ten years".to_owned(),
            help: "write at most `3650d`".to_owned(),
            secret: false,
        })?;
        left = &left[at + 1..];
        rest = tail.as_str();
    }
    if text.is_empty() {
        return wrong("is empty", help);
    }
    Ok(Duration::from_secs(total))
}

/// A size on disk, in bytes.
pub(super) fn size(text: &str) -> Ruled<u64> {
    let help = "write a number with `MB`, `GB` or `TB`, at least `100MB`: for example `10GB`";
    let units = [("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)];
    let found = units.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let size = found.and_then(|(number, bytes): (&str, u64)| number.trim_end().parse::<u64>().ok()?.checked_mul(bytes));
    match size {
        Some(size) if size >= 100_000_000 => Ok(size),
        Some(_) => wrong("is less than `100MB`", help),
        None => wrong("is no size", help),
    }
}

/// How often to look without a delivery.
pub(super) fn round(text: &str) -> Ruled<Duration> {
    let round = duration(text)?;
    if round < Duration::from_secs(10) || round > Duration::from_secs(DAY) {
        return wrong("is not between `10s` and `1d`", "write how often to look at every repository, for example `5m`");
    }
    Ok(round)
}

/// A path inside a repository, `""` for its root: relative, with `/`, never leaving it.
pub(super) fn inside(text: &str) -> Ruled<String> {
    if text.is_empty() {
        return wrong("is empty", "write a path from the repository's root; `.` is the root itself");
    }
    plain(text)?;
    if text.starts_with('/') {
        let instead = text.trim_start_matches('/');
        return wrong("is absolute", format!("write it from the repository's root: `{}`", or_dot(instead)));
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return wrong("leaves the repository by `..`", "write a path below the repository's root, without `..`");
    }
    Ok(parts.join("/"))
}

/// Folders are parted by `/` on every machine, and no tool prints a control character as it is.
fn plain(path: &str) -> Ruled<()> {
    if path.contains(char::is_control) {
        return wrong("has control characters in it", "take them out");
    }
    if path.contains('\\') {
        return wrong("has `\\` in it", format!("write `{}`", path.replace('\\', "/")));
    }
    Ok(())
}

fn or_dot(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

/// A path inside a repository that is not its root.
pub(super) fn below(text: &str) -> Ruled<String> {
    if text.is_empty() {
        return wrong("is empty", "write a path from the repository's root");
    }
    let path = inside(text)?;
    if path.is_empty() {
        return wrong("is the repository's root", "name a file or folder in it");
    }
    Ok(path)
}

/// A folder in an image, without trailing slash.
pub(super) fn destination(text: &str) -> Ruled<String> {
    let Some(below_root) = text.strip_prefix('/') else {
        return wrong("is relative", format!("write where it is in the image: `/{}`", text.replace('\\', "/")));
    };
    let parts: Vec<&str> = below_root.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.is_empty() {
        return wrong("is the image's root", "name a folder in the image, for example `/opt/agent`");
    }
    if parts.contains(&"..") {
        return wrong("goes up by `..`", "write the folder's own path in the image");
    }
    let path = format!("/{}", parts.join("/"));
    plain(&path)?;
    Ok(path)
}

/// A glob over paths from a repository's root, as in `.gitignore`'s wildmatch.
pub(super) fn glob(text: &str) -> Ruled<String> {
    if text.trim().is_empty() {
        return wrong("has an empty glob, which matches nothing", "write a path or a glob, or take the entry out");
    }
    let shown = format!("has the glob `{text}`, which");
    if let Some(bare) = text.strip_prefix('/') {
        return wrong(
            format!("{shown} is absolute"),
            format!("globs count from the repository's root: write `{bare}`"),
        );
    }
    if let Some(bare) = text.strip_prefix("./") {
        return wrong(
            format!("{shown} begins with `./`"),
            format!("globs count from the repository's root: write `{bare}`"),
        );
    }
    if text.split('/').any(|part| part == "..") {
        return wrong(format!("{shown} leaves the repository by `..`"), "write a glob below the repository's root");
    }
    if let Some(folder) = text.strip_suffix('/') {
        return wrong(format!("{shown} matches no file"), format!("write `{folder}/**` for everything in the folder"));
    }
    if text.split('/').any(|part| part.is_empty() || part == ".") {
        return wrong(format!("{shown} matches no path"), "write single slashes between names, without `.`");
    }
    if text.starts_with('!') {
        return wrong(
            format!("{shown} begins with `!`"),
            "there is no \"not\" here: list what is meant; `\\!` is the character itself",
        );
    }
    if let Some((why, help)) = malformed(text) {
        return wrong(format!("{shown} {why}"), help);
    }
    Ok(text.to_owned())
}

/// What makes a glob match nothing at all, and what to write.
fn malformed(text: &str) -> Option<(&'static str, &'static str)> {
    let open = ("has a `[` that is not closed", "close it with `]`; `\\[` is the character itself");
    let dangling = ("ends with `\\`", "write what it stands before, or take it away; `\\\\` is the character itself");
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' if characters.next().is_none() => return Some(dangling),
            '[' => {
                if matches!(characters.peek(), Some('!' | '^')) {
                    characters.next();
                }
                // A `]` that comes first is a member of the class.
                let mut first = true;
                loop {
                    match characters.next() {
                        None | Some('/') => return Some(open),
                        Some(']') if !first => break,
                        Some('\\') if characters.next().is_none() => return Some(dangling),
                        Some(_) => first = false,
                    }
                }
            }
            _ => {}
        }
    }
    None
}

/// A branch by name or glob.
pub(super) fn branches(text: &str) -> Ruled<String> {
    if let Some(name) = text.strip_prefix("refs/heads/") {
        return wrong("names a ref", format!("write the branch's name: `{name}`"));
    }
    glob(text)
}

/// One branch, by its name.
pub(super) fn branch(text: &str) -> Ruled<String> {
    let text = branches(text)?;
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    if text.contains(bad) || text.contains("..") || text.contains("@{") || text.ends_with('.') || text.starts_with('-')
    {
        return wrong(
            "is not the name of one branch",
            "write a branch's name, for example `main`; globs stand in `consumer.branches`",
        );
    }
    Ok(text)
}

/// Where a pin is in a file.
pub(super) fn pin_path(text: &str) -> Ruled<PinPath> {
    PinPath::parse(text).map_err(|error| no_path(text, error))
}

/// Where anything is in a file.
pub(super) fn place(text: &str) -> Ruled<PinPath> {
    PinPath::parse_place(text).map_err(|error| no_path(text, error))
}

fn no_path(text: &str, error: PinPathError) -> Wrong {
    let before = text.get(..error.at).filter(|before| !before.is_empty());
    let place = before.map_or_else(String::new, |before| format!(" behind `{before}`"));
    Wrong {
        message: format!("is no path to a value: {error}{place}"),
        help: "write keys joined by dots, `[field=value]` for an entry and `[0]` for an index: `templates[name=agent].ref`; quote what holds `. [ ] =`"
            .to_owned(),
        secret: false,
    }
}

/// A regular expression.
pub(super) fn pattern(text: &str) -> Ruled<Pattern> {
    let help = "write it as in the `regex` crate, in single quotes so that TOML leaves `\\` alone: '^SHA=([0-9a-f]+)$'";
    if text.is_empty() {
        return wrong("is empty, which matches everywhere", help);
    }
    Pattern::new(text).or_else(|why| wrong(why, help))
}

/// A regular expression whose one group is what is meant.
pub(super) fn group(text: &str) -> Ruled<Pattern> {
    let pattern = pattern(text)?;
    match pattern.groups() {
        1 => Ok(pattern),
        0 => wrong("has no group", "put what is meant in `( )`"),
        more => wrong(format!("has {more} groups"), "keep one `( )` around what is meant; write the others as `(?: )`"),
    }
}
