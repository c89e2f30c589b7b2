//! What stands in our pull requests for ourselves: the marker by which one is known again, and the one that says that we
//! closed it. And the words of closing.

use crate::gate::repair::Repair;
use crate::tree::ObjectId;

/// Begins the first line of the text of every pull request of ours.
const MARKER: &str = "<!-- drift-gate repair: ";
/// Begins the line that we add to its text when we close it.
const CLOSED: &str = "<!-- drift-gate closed -->";
const END: &str = " -->";

/// The first line of the text of a pull request for a gate (or group) that adopts a source commit.
pub(super) fn marker(slot: &str, source: &str) -> String {
    format!("{MARKER}{slot} {source}{END}")
}

/// The text of a pull request.
pub(super) fn body(of: &str, source: &ObjectId, repair: &Repair, discreet: bool) -> String {
    let mut text = marker(of, source.as_str());
    if !discreet {
        for edit in &repair.edits {
            text.push_str(&format!("\n- `{}`", edit.path));
        }
    }
    text
}

/// The source commit that a pull request adopts, if its text begins with the marker of this gate.
pub(super) fn adopted<'a>(body: &'a str, slot: &str) -> Option<&'a str> {
    let line = body.trim_start().lines().next()?.trim_end();
    let (of, source) = line.strip_prefix(MARKER)?.strip_suffix(END)?.rsplit_once(' ')?;
    (of == slot).then_some(source)
}

/// Whether we closed it.
pub(super) fn says_closed(body: &str) -> bool {
    body.lines().any(|line| line.trim() == CLOSED)
}

/// Its text once we have closed it, with why.
pub(super) fn closed(body: &str, why: &str) -> String {
    if says_closed(body) { body.to_owned() } else { format!("{}\n\n{CLOSED}\n**Closed by drift-gate.** {why}\n", body.trim_end()) }
}

/// Its text as if we had not closed it.
pub(super) fn reopened(body: &str) -> &str {
    body.find(CLOSED).map_or(body, |at| body[..at].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATE: &str = "main/molecule/core:identity";

    #[test]
    fn a_pull_request_is_known_by_its_first_line() {
        let body = format!("{}\nThe pin moves.", marker(GATE, "abc"));
        assert_eq!(adopted(&body, GATE), Some("abc"));
        assert_eq!(adopted(&body.replace('\n', "\r\n"), GATE), Some("abc"), "a browser's line ends");
        assert_eq!(adopted(&body, "main/molecule/core:other"), None);
        assert_eq!(adopted(&format!("> quoted\n{body}"), GATE), None);
    }

    #[test]
    fn what_we_closed_says_so_once_and_why() {
        let body = marker(GATE, "abc");
        let done = closed(&body, "Replaced by #12.");
        assert!(says_closed(&done) && done.contains("Replaced by #12.") && !says_closed(&body));
        assert_eq!(closed(&done, "Again."), done);
        assert_eq!(adopted(&done, GATE), Some("abc"));
        assert_eq!(reopened(&done), body);
    }
}
