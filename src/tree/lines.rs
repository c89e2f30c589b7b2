//! Merging three texts by lines.
//!
//! Uses the crate `similar` for the differences, and nothing else. The trap it handles: where lines repeat there are several
//! ways to say what changed, git takes one of them, and another one may merge to another text or to none. So the merge is
//! made in several ways, and counts only where all of them give the same bytes. Where that leaves a conflict that git does
//! not see, the verdict waits for the base to be merged; where git sees one that is none here, nobody can merge. What is
//! left is text in which both sides rewrite the same run of repeated lines; there git's own algorithms differ too.

use std::collections::HashMap;
use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// The most bytes of a text that is merged.
const LARGEST: usize = 1 << 20;
/// The most lines of a text that is merged: what comparing costs grows with their number.
const LONGEST: usize = 20_000;
/// How lines are paired: as `git merge-file` does, and as `git merge` does.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::Myers, Algorithm::Histogram];

/// What merging the changes of `ours` and `theirs` since `base` gives; `None` where they conflict, where one of the texts is
/// binary (has a NUL) or is too large to be merged.
///
/// Changes conflict where they overlap or touch and are not the same; a line that nobody changed must stand between them.
pub(super) fn merge(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<Vec<u8>> {
    let mut names = Names::default();
    let [base, ours, theirs] = [base, ours, theirs].map(|text| names.text(text));
    let (base, ours, theirs) = (base?, ours?, theirs?);
    let merged = one_way(ALGORITHMS[0], &base, &ours, &theirs)?;
    let [back_base, back_ours, back_theirs] = [&base, &ours, &theirs].map(|text| reversed(text));
    for algorithm in ALGORITHMS {
        // Read from behind, a difference that could lie at several places lies at the last of them instead of the first.
        let backwards = one_way(algorithm, &back_base, &back_ours, &back_theirs)?;
        if one_way(algorithm, &base, &ours, &theirs)? != merged || reversed(&backwards) != merged {
            return None;
        }
    }
    Some(merged.iter().flat_map(|line| names.lines[*line]).copied().collect())
}

/// Numbers for lines, so that comparing two is cheap. The line feed is part of a line, so the last one may differ by it.
#[derive(Default)]
struct Names<'a> {
    known: HashMap<&'a [u8], usize>,
    lines: Vec<&'a [u8]>,
}

impl<'a> Names<'a> {
    fn text(&mut self, text: &'a [u8]) -> Option<Vec<usize>> {
        if text.len() > LARGEST || text.contains(&0) {
            return None;
        }
        let mut numbers = Vec::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if numbers.len() == LONGEST {
                return None;
            }
            numbers.push(*self.known.entry(line).or_insert_with(|| {
                self.lines.push(line);
                self.lines.len() - 1
            }));
        }
        Some(numbers)
    }
}

fn reversed(text: &[usize]) -> Vec<usize> {
    text.iter().rev().copied().collect()
}

/// One side, with what it changed.
struct Side<'a> {
    text: &'a [usize],
    /// Lines of the base that were replaced, and by which of this side; in order, with unchanged lines between them.
    changes: Vec<(Range<usize>, Range<usize>)>,
    /// The first change that was not merged yet.
    next: usize,
}

impl<'a> Side<'a> {
    fn new(algorithm: Algorithm, base: &[usize], text: &'a [usize]) -> Self {
        let mut changes: Vec<(Range<usize>, Range<usize>)> = Vec::new();
        for op in capture_diff_slices(algorithm, base, text) {
            if matches!(op, DiffOp::Equal { .. }) {
                continue;
            }
            let (old, new) = (op.old_range(), op.new_range());
            match changes.last_mut() {
                Some(last) if last.0.end == old.start => *last = (last.0.start..old.end, last.1.start..new.end),
                _ => changes.push((old, new)),
            }
        }
        Self { text, changes, next: 0 }
    }

    fn peek(&self) -> Option<&Range<usize>> {
        self.changes.get(self.next).map(|(old, _)| old)
    }

    /// Takes the changes that begin at line `end` of the base or before it, and says where they end.
    fn take(&mut self, end: usize) -> usize {
        let mut end = end;
        while let Some(old) = self.peek().filter(|old| old.start <= end) {
            end = end.max(old.end);
            self.next += 1;
        }
        end
    }

    /// What this side has for some lines of the base, of which the changes from number `first` on were taken.
    fn lines(&self, of_base: &Range<usize>, first: usize) -> &'a [usize] {
        let Some(last) = self.next.checked_sub(1).filter(|last| *last >= first) else { return &[] };
        let (from, to) = (&self.changes[first], &self.changes[last]);
        let start = from.1.start - (from.0.start - of_base.start);
        let end = to.1.end + (of_base.end - to.0.end);
        &self.text[start..end]
    }
}

/// The merge, when lines are paired by this algorithm.
fn one_way(algorithm: Algorithm, base: &[usize], ours: &[usize], theirs: &[usize]) -> Option<Vec<usize>> {
    let (mut ours, mut theirs) = (Side::new(algorithm, base, ours), Side::new(algorithm, base, theirs));
    let mut merged = Vec::new();
    let mut done = 0;
    while let Some(start) = [ours.peek(), theirs.peek()].into_iter().flatten().map(|old| old.start).min() {
        let (first_of_ours, first_of_theirs) = (ours.next, theirs.next);
        // Together all that overlaps or touches, on both sides in turn.
        let mut end = start;
        loop {
            let further = theirs.take(ours.take(end));
            if further == end {
                break;
            }
            end = further;
        }
        let region = start..end;
        merged.extend_from_slice(&base[done..start]);
        merged.extend_from_slice(match (ours.next > first_of_ours, theirs.next > first_of_theirs) {
            (true, false) => ours.lines(&region, first_of_ours),
            (false, _) => theirs.lines(&region, first_of_theirs),
            (true, true) => {
                let (one, other) = (ours.lines(&region, first_of_ours), theirs.lines(&region, first_of_theirs));
                if one != other {
                    return None;
                }
                one
            }
        });
        done = end;
    }
    merged.extend_from_slice(&base[done..]);
    Some(merged)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;
    use tempfile::NamedTempFile;

    use super::*;

    fn merged(base: &str, ours: &str, theirs: &str) -> Option<String> {
        let one = merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes());
        let other = merge(base.as_bytes(), theirs.as_bytes(), ours.as_bytes());
        assert_eq!(one, other, "which side is which makes no difference");
        one.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    /// Texts are written as words, one a line.
    fn words(base: &str, ours: &str, theirs: &str) -> Option<String> {
        let [base, ours, theirs] = [base, ours, theirs].map(|text| text.replace(' ', "\n") + "\n");
        merged(&base, &ours, &theirs).map(|text| text.trim_end().replace('\n', " "))
    }

    #[test]
    fn changes_with_an_unchanged_line_between_them_are_both_taken() {
        for (base, ours, theirs, wanted) in [
            ("a b c", "A b c", "a b C", "A b C"),
            ("a b c", "b c", "a b", "b"),
            ("a b c", "new a b c", "a b c new", "new a b c new"),
            ("a b c d e", "a b B c d e", "a b c d", "a b B c d"),
            ("a b c d e", "a X b c d E", "a b c C d e", "a X b c C d E"),
            ("a b c", "a b c", "a B c", "a B c"),
        ] {
            assert_eq!(words(base, ours, theirs).as_deref(), Some(wanted), "{base} | {ours} | {theirs}");
        }
    }

    #[test]
    fn the_same_change_on_both_sides_is_one_change() {
        for (base, ours, theirs, wanted) in [
            ("a b c", "a B c", "a B c", "a B c"),
            ("a b c", "a c", "a c", "a c"),
            ("a b c", "a b new c", "a b new c", "a b new c"),
            ("a b c d e", "a B c d e", "a B c d E", "a B c d E"),
        ] {
            assert_eq!(words(base, ours, theirs).as_deref(), Some(wanted), "{base} | {ours} | {theirs}");
        }
    }

    #[test]
    fn changes_that_overlap_or_touch_conflict() {
        for (base, ours, theirs) in [
            ("a b c", "a X c", "a Y c"),
            ("a b c", "a c", "a B c"),
            ("a b c", "a one b c", "a other b c"),
            ("a b c d", "a B c d", "a b C d"),
            ("a b c d", "a B C d", "a b C D"),
            ("a b c", "a b X c", "a b C"),
        ] {
            assert_eq!(words(base, ours, theirs), None, "{base} | {ours} | {theirs}");
        }
    }

    #[test]
    fn a_change_among_repeated_lines_could_lie_at_several_places_and_counts_at_each() {
        // One `x` more, at the front or at the end: the end touches what the other side changed.
        assert_eq!(words("a x b", "a x x b", "a x B"), None);
        assert_eq!(words("a x b c", "a x x b c", "a x b C").as_deref(), Some("a x x b C"));
    }

    #[test]
    fn line_ends_count_and_so_does_the_missing_one() {
        assert_eq!(merged("a\nb\nc", "A\nb\nc", "a\nb\nc\n").as_deref(), Some("A\nb\nc\n"));
        assert_eq!(merged("a\nb\nc\n", "A\nb\nc\n", "a\nb\nc").as_deref(), Some("A\nb\nc"));
        assert_eq!(merged("a\nb\nc", "a\nb\nc\n", "a\nb\nC"), None);
        assert_eq!(merged("a\r\nb\r\nc\r\n", "A\r\nb\r\nc\r\n", "a\r\nb\r\nC\r\n").as_deref(), Some("A\r\nb\r\nC\r\n"));
        assert_eq!(merged("a\nb\n", "a\r\nb\r\n", "a\nb\nc\n"), None);
    }

    #[test]
    fn nothing_is_a_text_too() {
        assert_eq!(merged("", "", "a\n").as_deref(), Some("a\n"));
        assert_eq!(merged("a\n", "", "").as_deref(), Some(""));
        assert_eq!(merged("", "a\n", "b\n"), None);
        assert_eq!(merged("a\n", "", "b\n"), None);
    }

    #[test]
    fn what_is_no_text_or_too_large_is_not_merged() {
        let text = |middle: &str| format!("a\nb\n{middle}\nc\nd\n");
        assert_eq!(merged(&text("\0"), &text("\0").replace('a', "A"), &text("\0").replace('d', "D")), None);
        let wide = |last: &str| format!("a\nb\n{}\n{last}\n", "x".repeat(LARGEST));
        assert_eq!(merged(&wide("c"), &wide("c").replace('a', "A"), &wide("C")), None);
        let long = |last: &str| format!("a\n{}{last}\n", "x\n".repeat(LONGEST));
        assert_eq!(merged(&long("c"), &long("c").replace('a', "A"), &long("C")), None);
    }

    /// Texts of few lines that repeat, and edits of them.
    fn texts() -> impl Strategy<Value = [String; 3]> {
        let line = prop::sample::select(vec!["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "}", "}", ""]);
        let edit = (any::<prop::sample::Index>(), 0..3_usize, prop::collection::vec(line.clone(), 0..3));
        let edits = prop::collection::vec(edit, 0..3);
        (prop::collection::vec(line, 0..14), edits.clone(), edits, any::<[bool; 3]>()).prop_map(
            |(base, ours, theirs, ended)| {
                let edited = |edits: Vec<(prop::sample::Index, usize, Vec<&'static str>)>| {
                    let mut text = base.clone();
                    for (at, gone, new) in edits {
                        let at = at.index(text.len() + 1);
                        let end = text.len().min(at + gone);
                        text.splice(at..end, new);
                    }
                    text
                };
                let (ours, theirs) = (edited(ours), edited(theirs));
                let mut ended = ended.into_iter();
                [base.clone(), ours, theirs].map(|lines| {
                    let end = if ended.next() == Some(true) && !lines.is_empty() { "\n" } else { "" };
                    lines.join("\n") + end
                })
            },
        )
    }

    /// What `git merge-file` says.
    fn git(texts: &[String; 3]) -> Option<String> {
        let [base, ours, theirs] = texts.each_ref().map(|text| {
            let mut file = NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file
        });
        let mut git = Command::new("git");
        git.args(["merge-file", "-p", "-q"]).args([ours.path(), base.path(), theirs.path()]);
        let out = git.stderr(Stdio::inherit()).output().expect("git");
        let conflicts = out.status.code().expect("an exit code");
        assert!((0..128).contains(&conflicts), "git merge-file failed: {conflicts}");
        (conflicts == 0).then(|| String::from_utf8(out.stdout).unwrap())
    }

    #[test]
    #[ignore = "needs git"]
    fn what_is_merged_here_is_what_git_merges() {
        let cases = ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() };
        let seen = std::cell::Cell::new([0_u32; 4]);
        let told = proptest::test_runner::TestRunner::new(cases).run(&texts(), |texts| {
            let [base, ours, theirs] = &texts;
            let what = match (merged(base, ours, theirs), git(&texts)) {
                (Some(here), Some(git)) if here == git => 0,
                (None, None) => 1,
                // Somebody was more careful about where repeated lines belong.
                (None, Some(_)) | (Some(_), None) => 2,
                (Some(_), Some(_)) => 3,
            };
            let mut counts = seen.get();
            counts[what] += 1;
            seen.set(counts);
            Ok(())
        });
        told.unwrap_or_else(|error| panic!("{error}"));
        let [same, torn, careful, other] = seen.get();
        let counts = format!("{same} alike, {torn} torn, {careful} careful, {other} otherwise");
        assert!(same > 500 && torn > 100 && careful < same / 10 && other <= 2, "{counts}");
    }
}
