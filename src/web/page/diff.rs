//! A unified diff of two files, under a budget of time and length: the files are other people's.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use super::{Diff, DiffLine};

/// Larger files are not compared line by line.
const MOST_BYTES: usize = 512 << 10;
/// Lines shown.
const MOST_LINES: usize = 400;
/// Characters of a line shown.
const MOST_COLUMNS: usize = 400;
/// After this the diff is coarser, but still right.
const PATIENCE: Duration = Duration::from_millis(200);

/// The lines in which two files differ, with three around each; `old` and `new` say in words what they are. `None` where
/// lines would say nothing: equal or binary files, or larger ones than 512 KiB.
pub fn unified(old: (&str, &[u8]), new: (&str, &[u8])) -> Option<Diff> {
    let text = |bytes| if <[u8]>::len(bytes) <= MOST_BYTES { std::str::from_utf8(bytes).ok() } else { None };
    let (before, after) = (text(old.1)?, text(new.1)?);
    if before == after || before.contains('\0') || after.contains('\0') {
        return None;
    }
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(before, after);
    let (mut lines, mut more) = (Vec::new(), 0);
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        let mut add = |line| if lines.len() < MOST_LINES { lines.push(line) } else { more += 1 };
        add(DiffLine::Hunk(hunk.header().to_string()));
        for change in hunk.iter_changes() {
            let text = line_text(change.value());
            add(match change.tag() {
                ChangeTag::Equal => DiffLine::Same(text),
                ChangeTag::Delete => DiffLine::Removed(text),
                ChangeTag::Insert => DiffLine::Added(text),
            });
        }
    }
    Some(Diff { old: old.0.to_owned(), new: new.0.to_owned(), lines, more })
}

/// A line without its end; ends that would make two lines look alike are named.
fn line_text(line: &str) -> String {
    let (text, end) = match line.strip_suffix('\n') {
        Some(text) => text.strip_suffix('\r').map_or((text, ""), |text| (text, "␍")),
        None => (line, " (no line end)"),
    };
    let mut shown: String = text.chars().take(MOST_COLUMNS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.push_str(end);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(old: &str, new: &str) -> Vec<DiffLine> {
        unified(("at the pin", old.as_bytes()), ("at the head", new.as_bytes())).unwrap().lines
    }

    #[test]
    fn a_changed_line_stands_between_its_neighbours() {
        let lines = lines("a\nb\nc\n", "a\nB\nc\n");
        assert_eq!(
            lines[1..],
            [
                DiffLine::Same("a".into()),
                DiffLine::Removed("b".into()),
                DiffLine::Added("B".into()),
                DiffLine::Same("c".into())
            ]
        );
    }

    #[test]
    fn a_line_end_that_differs_is_seen() {
        assert!(lines("a\r\n", "a\n").contains(&DiffLine::Removed("a␍".into())));
        assert!(lines("a", "a\n").contains(&DiffLine::Removed("a (no line end)".into())));
    }

    #[test]
    fn bytes_that_are_no_text_have_no_lines() {
        assert_eq!(unified(("a", b"\0\x01"), ("b", b"\0\x02")), None);
        assert_eq!(unified(("a", b"\xff"), ("b", b"x")), None);
        assert_eq!(unified(("a", b"x"), ("b", b"x")), None);
    }

    #[test]
    fn a_long_diff_says_how_much_more_there_is() {
        let new: String = (0..1000).map(|n| format!("{n}\n")).collect();
        let diff = unified(("a", b""), ("b", new.as_bytes())).unwrap();
        assert_eq!(diff.lines.len(), MOST_LINES);
        assert_eq!(diff.more, 1001 - MOST_LINES);
    }
}
