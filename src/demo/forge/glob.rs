//! Globs of branch rules and status contexts.

/// Whether `pattern` fits all of `text`: `*` stands for anything but slashes, `**` for anything, `?` for one character.
pub fn matches(pattern: &str, text: &str) -> bool {
    fn fits(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', '*', rest @ ..] => (0..=text.len()).any(|at| fits(rest, &text[at..])),
            ['*', rest @ ..] => {
                let end = text.iter().position(|&c| c == '/').unwrap_or(text.len());
                (0..=end).any(|at| fits(rest, &text[at..]))
            }
            ['?', rest @ ..] => text.first().is_some_and(|&c| c != '/') && fits(rest, &text[1..]),
            [c, rest @ ..] => text.first() == Some(c) && fits(rest, &text[1..]),
        }
    }
    fits(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stays_within_a_segment_and_two_do_not() {
        assert!(matches("release/*", "release/1"));
        assert!(!matches("release/*", "release/1/2"));
        assert!(matches("release/**", "release/1/2"));
        assert!(matches("drift-gate*", "drift-gate"));
        assert!(matches("v?", "v1"));
        assert!(!matches("main", "mainline"));
    }
}
