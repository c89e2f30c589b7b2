//! Which of many patterns could match a path, found without trying each: an ignore file may have a thousand lines, and a
//! build context a hundred thousand files.
//!
//! What every match of a pattern begins or ends with is known from its text. Those texts are kept in order, each with the
//! longest other one that begins it: the texts that begin a path are then a chain, found by one search.

use std::ops::Range;

/// Patterns, by their places in a list, sorted by how a match begins or ends.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    begin: Chains,
    /// Everything here is reversed.
    end: Chains,
    /// Of these neither is known.
    any: Vec<u32>,
}

impl Candidates {
    /// Finds the patterns of a list, of which each has the text that its matches begin with and the one that they end with.
    pub fn new<'p>(patterns: impl Iterator<Item = (&'p str, &'p str)>) -> Self {
        let (mut begin, mut end, mut any) = (Vec::new(), Vec::new(), Vec::new());
        for ((first, last), place) in patterns.zip(0u32..) {
            if first.is_empty() && last.is_empty() {
                any.push(place);
            } else if first.len() >= last.len() {
                begin.push((first.as_bytes().to_vec(), place));
            } else {
                end.push((last.bytes().rev().collect(), place));
            }
        }
        Self { begin: Chains::new(begin), end: Chains::new(end), any }
    }

    /// Adds the places of those that could match `path`: all that do, and some that do not.
    pub fn find(&self, path: &str, found: &mut Vec<u32>) {
        found.extend(&self.any);
        self.begin.find(path.as_bytes(), found);
        self.find_by_end(path, found);
    }

    /// What is the same for all that lies in a directory.
    pub fn inside(&self, dir: &str) -> Inside {
        let start = format!("{dir}/").into_bytes();
        let mut above = self.any.clone();
        self.begin.find(&start, &mut above);
        let first = self.begin.0.partition_point(|link| link.text <= start);
        let longer = self.begin.0[first..].partition_point(|link| link.text.starts_with(&start));
        Inside { above, longer: first..first + longer }
    }

    /// As [`Self::find`], for a path in the directory that `inside` is about.
    pub fn find_inside(&self, inside: &Inside, path: &str, found: &mut Vec<u32>) {
        found.extend(&inside.above);
        if !inside.longer.is_empty() {
            self.begin.find_among(inside.longer.clone(), path.as_bytes(), found);
        }
        self.find_by_end(path, found);
    }

    fn find_by_end(&self, path: &str, found: &mut Vec<u32>) {
        if !self.end.0.is_empty() {
            let reversed: Vec<u8> = path.bytes().rev().collect();
            self.end.find(&reversed, found);
        }
    }
}

/// Which patterns could match what lies in one directory, as far as that is the same for all of it.
#[derive(Debug)]
pub(super) struct Inside {
    /// Those of which nothing is known, or whose matches begin with the directory or a part of its path.
    above: Vec<u32>,
    /// The texts that go on behind the directory: mostly none.
    longer: Range<usize>,
}

/// Texts in order.
#[derive(Debug, Default)]
struct Chains(Vec<Link>);

#[derive(Debug)]
struct Link {
    text: Vec<u8>,
    patterns: Vec<u32>,
    /// The place of the longest other text that begins this one.
    shorter: Option<usize>,
}

impl Chains {
    fn new(mut texts: Vec<(Vec<u8>, u32)>) -> Self {
        texts.sort();
        let mut links: Vec<Link> = Vec::new();
        for (text, pattern) in texts {
            if let Some(same) = links.last_mut().filter(|link| link.text == text) {
                same.patterns.push(pattern);
                continue;
            }
            let mut shorter = links.len().checked_sub(1);
            while let Some(link) = shorter.and_then(|at| links.get(at)) {
                if text.starts_with(&link.text) {
                    break;
                }
                shorter = link.shorter;
            }
            links.push(Link { text, patterns: vec![pattern], shorter });
        }
        Self(links)
    }

    /// The patterns of all texts that begin `path`.
    fn find(&self, path: &[u8], found: &mut Vec<u32>) {
        self.find_among(0..self.0.len(), path, found);
    }

    /// The patterns of those among some texts that begin `path`.
    fn find_among(&self, some: Range<usize>, path: &[u8], found: &mut Vec<u32>) {
        // What begins the path is not behind it, and begins all that stands between: so it is on the chain of the last
        // text that is not behind it.
        let behind = self.0[some.clone()].partition_point(|link| link.text.as_slice() <= path);
        let mut at = (some.start + behind).checked_sub(1);
        while let Some(link) = at.filter(|at| some.contains(at)).and_then(|at| self.0.get(at)) {
            if path.starts_with(&link.text) {
                found.extend(&link.patterns);
            }
            at = link.shorter;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn none_that_could_match_is_passed_over(
            patterns in proptest::collection::vec(("[ab/]{0,3}", "[ab/]{0,3}"), 0..20),
            path in "[ab/]{0,6}",
        ) {
            let candidates = Candidates::new(patterns.iter().map(|(begin, end)| (begin.as_str(), end.as_str())));
            let (mut found, mut inside) = (Vec::new(), Vec::new());
            candidates.find(&path, &mut found);
            for ((begin, end), place) in patterns.iter().zip(0..) {
                if path.starts_with(begin.as_str()) && path.ends_with(end.as_str()) {
                    prop_assert_eq!(found.iter().filter(|one| **one == place).count(), 1, "{:?}", patterns[place as usize]);
                }
            }
            if let Some((dir, _)) = path.rsplit_once('/') {
                candidates.find_inside(&candidates.inside(dir), &path, &mut inside);
                found.sort_unstable();
                inside.sort_unstable();
                prop_assert_eq!(found, inside);
            }
        }
    }
}
