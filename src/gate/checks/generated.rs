//! The `generated` paths of a `bake` check, as the evaluator of Dockerfiles asks for them.
//!
//! Trap handled here: the globs count from the consumer's root, the evaluator from the build context; what lies outside of the
//! context is not seen there.

use crate::dockerfile::{Generated, Made};
use crate::gate::glob;
use crate::tree::join;

/// Globs, seen from a build context.
pub(super) struct Globs<'a> {
    pub globs: &'a [String],
    /// The context, from the consumer's root.
    pub context: &'a str,
}

impl Generated for Globs<'_> {
    fn is(&self, path: &str) -> bool {
        let path = join(self.context, path);
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        ends.filter(|end| *end > self.context.len()).any(|end| glob::any(self.globs, &path[..end]))
    }

    fn inside(&self, dir: &str) -> Made {
        let dir = if dir.is_empty() { self.context.to_owned() } else { join(self.context, dir) };
        let mut made = Made::default();
        for pattern in self.globs {
            for next in glob::next_names(pattern, &dir) {
                match next {
                    Some(name) => drop(made.names.insert(name.to_owned())),
                    None => made.others = true,
                }
            }
            let spelled =
                if dir.is_empty() { Some(pattern.as_str()) } else { pattern.strip_prefix(&format!("{dir}/")) };
            made.surely |= spelled.is_some() && glob::is_literal(&dir);
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(globs: &[&str], context: &str, dir: &str) -> (Vec<String>, bool, bool) {
        let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
        let made = Globs { globs: &globs, context }.inside(dir);
        (made.names.into_iter().collect(), made.others, made.surely)
    }

    fn name(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    #[test]
    fn what_is_made_in_a_directory_is_named_where_it_is_spelled_out() {
        let globs = ["canvas/out/**", "canvas/build.txt"];
        assert_eq!(made(&globs, "", ""), (name("canvas"), false, true));
        assert_eq!(made(&globs, "", "canvas"), (vec!["build.txt".into(), "out".into()], false, true));
        assert_eq!(made(&globs, "", "canvas/out"), (vec![], true, true));
        assert_eq!(made(&globs, "", "docs"), (vec![], false, false));
        assert_eq!(made(&globs, "canvas", ""), (vec!["build.txt".into(), "out".into()], false, true));
        assert_eq!(made(&globs, "canvas", "out"), (vec![], true, true));
        assert_eq!(made(&globs, "web", ""), (vec![], false, false));
    }

    #[test]
    fn a_wildcard_leaves_open_what_else_is_there() {
        assert_eq!(made(&["**/gen.js"], "", "any/where"), (name("gen.js"), true, false));
        assert_eq!(made(&["*/out/x"], "", ""), (vec![], true, true));
        assert_eq!(made(&["*/out/x"], "", "a"), (name("out"), false, false));
        assert_eq!(made(&["*/out/x"], "", "a/b"), (vec![], false, false));
    }

    #[test]
    fn what_lies_in_something_made_is_made() {
        let globs = ["canvas/out".to_owned(), "web/*.js".to_owned()];
        let from = |context| Globs { globs: &globs, context };
        assert!(from("").is("canvas/out") && from("").is("canvas/out/a/b") && from("canvas").is("out/a"));
        assert!(
            from("").is("web/a.js") && !from("").is("web/a.ts") && !from("").is("canvas") && !from("web").is("out")
        );
    }
}
