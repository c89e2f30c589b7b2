//! Globs as in `.gitignore`'s wildmatch, from the root: `*` and `?` stay within a name, `**` crosses directories, `[a-z]`,
//! `[!a-z]` and `[[:alpha:]]` are classes, `\` makes the next character plain.
//!
//! A pattern without a slash means the root only. The trap: a chain of stars must not take exponential time, so a name is
//! matched with one point to come back to, as wildmatch does.

use std::collections::BTreeSet;

/// Whether `pattern` matches the whole of `path`. `dir/**` matches everything below `dir`, not `dir` itself.
pub fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    segments(&pattern, &path)
}

/// Whether any of the patterns matches.
pub fn any(patterns: &[String], path: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, path))
}

/// Whether a pattern can only mean the one path that it spells.
pub fn is_literal(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '[', '\\'])
}

/// The names in `dir` that are on the way to something that the pattern matches; `None` for any name. Nothing where it
/// matches nothing below `dir`.
pub fn next_names<'p>(pattern: &'p str, dir: &str) -> BTreeSet<Option<&'p str>> {
    let pattern: Vec<&str> = pattern.split('/').collect();
    // A `**` that others follow may stand for nothing.
    let pass_over = |at: usize| {
        let more = pattern[at..].iter().take_while(|segment| **segment == "**").count();
        at..=(at + more).min(pattern.len().saturating_sub(1)).max(at)
    };
    let mut reached: BTreeSet<usize> = pass_over(0).collect();
    for name in dir.split('/').filter(|name| !name.is_empty()) {
        let next = reached.iter().filter_map(|at| match pattern.get(*at) {
            Some(&"**") => Some(*at),
            Some(segment) => name_matches(segment, name).then_some(at + 1),
            None => None,
        });
        reached = next.flat_map(pass_over).collect();
    }
    let next = reached.iter().filter_map(|at| pattern.get(*at));
    next.map(|segment| Some(*segment).filter(|name| is_literal(name))).collect()
}

/// Whether `pattern` is seen to match all that is below `dir`: it is `**`, or ends so behind `dir` or what that is in.
pub fn takes_all_below(pattern: &str, dir: &str) -> bool {
    let Some(above) = pattern.strip_suffix("/**") else { return pattern == "**" };
    let mut dirs = dir.match_indices('/').map(|(at, _)| &dir[..at]).chain([dir]);
    dirs.any(|dir| matches(above, dir))
}

fn segments(pattern: &[&str], path: &[&str]) -> bool {
    // `reach[i]`: the patterns so far match the first `i` names. One row per pattern keeps it polynomial.
    let mut reach = vec![false; path.len() + 1];
    reach[0] = true;
    for (index, segment) in pattern.iter().enumerate() {
        let mut next = vec![false; path.len() + 1];
        if *segment == "**" {
            let last = index + 1 == pattern.len();
            let mut open = false;
            for (at, slot) in next.iter_mut().enumerate() {
                // At the end `**` stands for at least one name: `dir/**` is what is in `dir`.
                *slot = if last { open } else { open || reach[at] };
                open |= reach[at];
            }
        } else {
            for (at, name) in path.iter().enumerate() {
                next[at + 1] = reach[at] && name_matches(segment, name);
            }
        }
        reach = next;
    }
    reach[path.len()]
}

fn name_matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() && pattern[p] == '*' {
            back = Some((p + 1, n));
            p += 1;
            continue;
        }
        if n == name.len() && p == pattern.len() {
            return true;
        }
        match one(&pattern, p, name.get(n).copied()) {
            Some(next) => {
                p = next;
                n += 1;
            }
            None => match back {
                Some((after_star, from)) if from < name.len() => {
                    back = Some((after_star, from + 1));
                    p = after_star;
                    n = from + 1;
                }
                _ => return false,
            },
        }
    }
}

/// Matches one character; the place in the pattern behind what matched it.
fn one(pattern: &[char], at: usize, name: Option<char>) -> Option<usize> {
    let name = name?;
    match *pattern.get(at)? {
        '?' => Some(at + 1),
        '[' => class(pattern, at + 1, name),
        '\\' => (*pattern.get(at + 1)? == name).then_some(at + 2),
        plain => (plain == name).then_some(at + 1),
    }
}

fn class(pattern: &[char], mut at: usize, character: char) -> Option<usize> {
    let negated = matches!(pattern.get(at), Some('!' | '^'));
    if negated {
        at += 1;
    }
    let first = at;
    let mut inside = false;
    loop {
        let low = match *pattern.get(at)? {
            ']' if at > first => break,
            '[' if pattern.get(at + 1) == Some(&':') => {
                let end = (at + 2..pattern.len()).find(|end| pattern[*end] == ']')?;
                // Without its second colon it is a class of these characters, and the `]` closes it.
                if let Some(name) = pattern[at + 2..end].strip_suffix(&[':']) {
                    inside |= in_named(&name.iter().collect::<String>(), character)?;
                    at = end + 1;
                    continue;
                }
                '['
            }
            '\\' => {
                at += 1;
                *pattern.get(at)?
            }
            other => other,
        };
        at += 1;
        if pattern.get(at) == Some(&'-') && pattern.get(at + 1).is_some_and(|end| *end != ']') {
            inside |= (low..=*pattern.get(at + 1)?).contains(&character);
            at += 2;
        } else {
            inside |= low == character;
        }
    }
    (inside != negated).then_some(at + 1)
}

/// Whether a character is in a class like `[:alpha:]`, which knows ASCII only; `None` for a class that there is not.
fn in_named(class: &str, c: char) -> Option<bool> {
    Some(match class {
        "alnum" => c.is_ascii_alphanumeric(),
        "alpha" => c.is_ascii_alphabetic(),
        "blank" => matches!(c, ' ' | '\t'),
        "cntrl" => c.is_ascii_control(),
        "digit" => c.is_ascii_digit(),
        "graph" => c.is_ascii_graphic(),
        "lower" => c.is_ascii_lowercase(),
        "print" => c.is_ascii_graphic() || c == ' ',
        "punct" => c.is_ascii_punctuation(),
        "space" => c.is_ascii_whitespace() || c == '\x0b',
        "upper" => c.is_ascii_uppercase(),
        "xdigit" => c.is_ascii_hexdigit(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_name_on_the_way_is_known_where_it_is_spelled_out() {
        for (pattern, dir, expected) in [
            ("a/b/**", "", vec![Some("a")]),
            ("a/b/**", "a", vec![Some("b")]),
            ("a/b/**", "a/b", vec![None]),
            ("a/b/**", "a/b/c/d", vec![None]),
            ("a/b/**", "a/c", vec![]),
            ("a/b", "a/b", vec![]),
            ("**/x", "", vec![None, Some("x")]),
            ("**/x", "p/q", vec![None, Some("x")]),
            ("a/**/x/y", "a", vec![None, Some("x")]),
            ("a/**/x/y", "a/x", vec![None, Some("x"), Some("y")]),
            ("*/b", "", vec![None]),
            ("*.d/b", "a.d", vec![Some("b")]),
            ("*.d/b", "a", vec![]),
            ("**", "a", vec![None]),
        ] {
            assert_eq!(next_names(pattern, dir).into_iter().collect::<Vec<_>>(), expected, "{pattern} in {dir}");
        }
    }

    #[test]
    fn what_takes_all_of_a_directory_is_seen() {
        for (pattern, dir, expected) in [
            ("**", "a", true),
            ("a/**", "a", true),
            ("a/**", "a/b", true),
            ("*/b/**", "a/b/c", true),
            ("a/**", "b", false),
            ("a/b/**", "a", false),
            ("a/*", "a", false),
            ("**/*.md", "a", false),
        ] {
            assert_eq!(takes_all_below(pattern, dir), expected, "{pattern} in {dir}");
            let inside = ["x", "x/y"].iter().all(|path| matches(pattern, &format!("{dir}/{path}")));
            assert!(inside || !expected, "{pattern} does not match all in {dir}");
        }
    }

    #[test]
    fn a_pattern_means_what_wildmatch_says() {
        for (pattern, path, expected) in [
            ("config.yaml", "config.yaml", true),
            ("config.yaml", "a/config.yaml", false),
            ("*.yaml", "mcp.yaml", true),
            ("*.yaml", "a/mcp.yaml", false),
            ("prompts/**", "prompts/a.md", true),
            ("prompts/**", "prompts/a/b.md", true),
            ("prompts/**", "prompts", false),
            ("**/a.md", "a.md", true),
            ("**/a.md", "x/y/a.md", true),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("**", "anything/at/all", true),
            ("release/*", "release/1.2", true),
            ("release/*", "release/1/2", false),
            ("[a-c]?.md", "b1.md", true),
            ("[!a-c]?.md", "b1.md", false),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            ("*a*b*c", "xxaxxbxxc", true),
            ("[]]", "]", true),
            ("[", "[", false),
            ("[[:digit:]_]*.md", "7.md", true),
            ("[[:digit:]_]*.md", "_.md", true),
            ("[![:upper:]]*", "Lead.md", false),
            ("[[:none:]]", "a", false),
            ("prompts/Lead.md", "prompts/lead.md", false),
            ("päckchen/*.md", "päckchen/ü.md", true),
            ("a?b", "a\nb", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn a_chain_of_stars_takes_no_time() {
        assert!(!matches(&"*a".repeat(40), &"a".repeat(200).replace("aa", "ab")));
        assert!(!matches(&"**/b/".repeat(40), &"a/".repeat(400)));
    }
}
