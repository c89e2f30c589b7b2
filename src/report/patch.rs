//! Edits as a patch in git's form: for people, and for `git apply`.
//!
//! The trap handled here: names and lines are other people's, and a terminal obeys control characters. They are written out
//! ([`super::safe`]); a patch that had any is for reading only.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use similar::TextDiff;

use super::safe;
use crate::gate::repair::Edit;

const RED: Style = AnsiColor::Red.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();
const BOLD: Style = Style::new().bold();

/// A larger file is not compared line by line, in bytes.
const LARGEST: usize = 4 << 20;

/// One edit, of the file that has these bytes now. Colours are escape sequences that the writer drops where there is no
/// terminal.
pub fn patch(edit: &Edit, now: Option<&[u8]>) -> String {
    let path = safe::one_line(&edit.path);
    let mode = if edit.executable { "100755" } else { "100644" };
    let (old, new) = (format!("a/{path}"), format!("b/{path}"));
    let mut out = format!("{BOLD}diff --git {old} {new}{BOLD:#}\n");
    let (old, new) = match (now, &edit.content) {
        (None, _) => {
            let _ = writeln!(out, "{BOLD}new file mode {mode}{BOLD:#}");
            ("/dev/null".to_owned(), new)
        }
        (Some(_), None) => {
            let _ = writeln!(out, "{BOLD}deleted file mode {mode}{BOLD:#}");
            (old, "/dev/null".to_owned())
        }
        (Some(_), Some(_)) => (old, new),
    };
    match (text(now.unwrap_or_default()), text(edit.content.as_deref().unwrap_or_default())) {
        (Some(before), Some(after)) => {
            let diff =
                TextDiff::from_lines(before, after).unified_diff().context_radius(3).header(&old, &new).to_string();
            for line in diff.split_inclusive('\n') {
                let style = match line.as_bytes() {
                    [b'-', b'-', b'-', ..] | [b'+', b'+', b'+', ..] => BOLD,
                    [b'@', ..] => CYAN,
                    [b'-', ..] => RED,
                    [b'+', ..] => GREEN,
                    _ => Style::new(),
                };
                let (line, end) = match line.strip_suffix('\n') {
                    Some(line) => line.strip_suffix('\r').map_or((line, "\n"), |line| (line, "\r\n")),
                    None => (line, "\n"),
                };
                let shown: Vec<_> = line.split('\t').map(safe::one_line).collect();
                let _ = write!(out, "{style}{}{style:#}{end}", shown.join("\t"));
            }
        }
        _ => {
            let _ = writeln!(out, "Binary files {old} and {new} differ");
        }
    }
    out
}

fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (bytes.len() <= LARGEST && !text.contains('\0')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(edit: &Edit, now: Option<&[u8]>) -> String {
        anstream::adapter::strip_str(&patch(edit, now)).to_string()
    }

    fn edit(content: Option<&str>) -> Edit {
        let content = content.map(|text| text.as_bytes().to_vec());
        Edit { path: "a/x".into(), content, executable: true, was: None, in_place: false }
    }

    #[test]
    fn a_patch_says_what_git_says() {
        let changed = plain(&edit(Some("1\r\n2\n")), Some(b"1\r\n3"));
        let lines = " 1\r\n-3\n\\ No newline at end of file\n+2\n";
        let head = "diff --git a/a/x b/a/x\n--- a/a/x\n+++ b/a/x\n@@ -1,2 +1,2 @@\n";
        assert_eq!(changed, format!("{head}{lines}"));
        let new = "diff --git a/a/x b/a/x\nnew file mode 100755\n--- /dev/null\n+++ b/a/x\n@@ -0,0 +1 @@\n+1\n";
        assert_eq!(plain(&edit(Some("1\n")), None), new);
        let gone = "diff --git a/a/x b/a/x\ndeleted file mode 100755\n--- a/a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n";
        assert_eq!(plain(&edit(None), Some(b"1\n")), gone);
    }

    #[test]
    fn nothing_in_it_acts_on_a_terminal() {
        let said = patch(&edit(Some("\u{1b}[2J\u{202e}\n")), Some(b""));
        assert!(said.contains("+<U+001B>[2J<U+202E>"), "{said:?}");
        assert!(plain(&edit(Some("\0")), Some(b"x")).ends_with("Binary files a/a/x and b/a/x differ\n"));
    }
}
