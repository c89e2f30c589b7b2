//! What a gate between two repositories could be: pins that name a commit of the source, Dockerfiles that take its files,
//! copies of them.
//!
//! For whoever sets a gate up. All of it is a proposal: names and words suggest it, the engine judges it, and a person reads
//! it. The traps handled here: a repository may have tens of thousands of files, so only those are read whose names say
//! that they could hold a pin, the nearest to the root first; a path that the consumer itself has is its own file and no
//! source's, however it is called.

mod bakes;
mod mirrors;
mod pins;

use crate::tree::{Node, ObjectId, Tree, TreeError, join};

pub use bakes::{FoundBake, bakes};
pub use mirrors::{Copied, FoundMirror, FoundMirrors, mirrors};
pub use pins::{FoundPin, PinPlace, pins};

/// The most files of each kind that are read.
const MOST_FILES: usize = 400;
/// The most directories that are listed.
const MOST_DIRS: usize = 20_000;
/// Directories that hold what others wrote.
const PASSED_OVER: [&str; 5] = [".git", "node_modules", "vendor", "target", "testdata"];
/// Data that a package manager writes: no pin of ours is in there.
const LOCKS: [&str; 6] =
    ["package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "composer.lock.json", "uv.toml", "deno.json"];

/// Files of a consumer that could hold something to find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Files that are called as Dockerfiles are.
    pub dockerfiles: Vec<String>,
    /// JSON, YAML and TOML.
    pub data: Vec<String>,
    /// Files that may hold a commit and nothing else.
    pub whole: Vec<String>,
    /// Submodules and their commits.
    pub submodules: Vec<(String, ObjectId)>,
    /// How many files were left out because there are too many.
    pub left_out: usize,
}

/// Looks through the names of a tree.
///
/// # Errors
/// [`TreeError::NotHere`] names what to fetch before asking again; anything else is a tree that cannot be read.
pub fn candidates(tree: &dyn Tree) -> Result<Candidates, TreeError> {
    let mut found = Candidates::default();
    let (mut level, mut listed) = (vec![String::new()], 0);
    // One level after the other: what is nearest to the root comes first.
    while !level.is_empty() {
        let mut below = Vec::new();
        for dir in level {
            listed += 1;
            if listed > MOST_DIRS {
                found.left_out += 1;
                continue;
            }
            for (name, node) in tree.list(&dir)? {
                let path = join(&dir, &name);
                match node {
                    Node::Dir { .. } if !PASSED_OVER.contains(&name.as_str()) => below.push(path),
                    Node::File { .. } => found.file(&name, path),
                    Node::Submodule { commit } => found.submodules.push((path, commit)),
                    Node::Dir { .. } | Node::Link { .. } => {}
                }
            }
        }
        level = below;
    }
    Ok(found)
}

impl Candidates {
    fn file(&mut self, name: &str, path: String) {
        let list = match kind(name) {
            Some(Named::Dockerfile) => &mut self.dockerfiles,
            Some(Named::Data) => &mut self.data,
            Some(Named::Whole) => &mut self.whole,
            None => return,
        };
        if list.len() < MOST_FILES {
            list.push(path);
        } else {
            self.left_out += 1;
        }
    }
}

enum Named {
    Dockerfile,
    Data,
    Whole,
}

fn kind(name: &str) -> Option<Named> {
    let lower = name.to_lowercase();
    let is_dockerfile =
        |word: &str| lower == word || lower.starts_with(&format!("{word}.")) || lower.ends_with(&format!(".{word}"));
    if lower.ends_with(".dockerignore") || LOCKS.contains(&lower.as_str()) {
        return None;
    }
    if is_dockerfile("dockerfile") || is_dockerfile("containerfile") {
        return Some(Named::Dockerfile);
    }
    let (stem, extension) = lower.rsplit_once('.').unwrap_or((&lower, ""));
    match extension {
        "json" | "yaml" | "yml" | "toml" => Some(Named::Data),
        "sha" | "rev" | "ref" | "commit" | "pin" | "version" => Some(Named::Whole),
        "" | "txt" => ["sha", "rev", "ref", "commit", "pin", "version"]
            .iter()
            .any(|word| stem.contains(word))
            .then_some(Named::Whole),
        _ => extension.ends_with("-version").then_some(Named::Whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PinPath;
    use crate::tree::Memory;

    const SHA: &str = "1f2e3d4c5b6a79880f1e2d3c4b5a69788796a5b4";
    const OTHER: &str = "0000000000000000000000000000000000000001";

    fn tree(files: &[(&str, &str)]) -> Memory {
        files.iter().fold(Memory::new(), |tree, (path, text)| tree.file(path, text))
    }

    #[test]
    fn pins_are_found_wherever_a_commit_stands() {
        let manifest = format!(
            "{{\"templates\": [{{\"name\": \"a\", \"ref\": \"{OTHER}\"}}, {{\"name\": \"b\", \"repo\": \"o/r\", \"ref\": \"{SHA}\"}}]}}"
        );
        let consumer = tree(&[
            ("manifest.json", &manifest),
            ("deploy/values.yaml", &format!("image:\n  template: {SHA}\n")),
            (".template-version", &format!("{SHA}\n")),
            ("Dockerfile", &format!("FROM scratch\nARG TEMPLATE={SHA}\n")),
            ("node_modules/x/package.json", &format!("{{\"gitHead\": \"{SHA}\"}}")),
            ("broken.json", "{"),
        ]);
        let found = pins(&consumer, &candidates(&consumer).expect("names")).expect("pins");
        let told: Vec<(String, String, u32)> =
            found.iter().map(|pin| (pin.file.clone(), format!("{:?}", pin.place), pin.line)).collect();
        let path = |text: &str| format!("{:?}", PinPlace::Path(PinPath::parse(text).expect("a path")));
        assert!(told.contains(&("manifest.json".into(), path("templates[name=b].ref"), 1)), "{told:?}");
        assert!(told.contains(&("deploy/values.yaml".into(), path("image.template"), 2)), "{told:?}");
        assert!(told.contains(&(".template-version".into(), format!("{:?}", PinPlace::Whole), 1)), "{told:?}");
        let argument = format!("{:?}", PinPlace::Argument("TEMPLATE".into()));
        assert!(told.contains(&("Dockerfile".into(), argument, 2)), "{told:?}");
        assert_eq!(found.len(), 5, "{told:?}");
        let beside =
            found.iter().find(|pin| pin.commit.as_str() == SHA && pin.file == "manifest.json").expect("the pin");
        assert_eq!(beside.siblings, [("name".to_owned(), "b".to_owned()), ("repo".to_owned(), "o/r".to_owned())]);
    }

    #[test]
    fn a_dockerfile_that_takes_the_sources_files_is_found_with_their_places() {
        let dockerfile = "\
FROM scratch
ARG DIR=.deps/templates/agent
COPY ${DIR}/config.yaml /opt/agent/config.yaml
COPY ${DIR}/prompts/ /opt/agent/prompts/
COPY ${DIR}/skill[s]/ /opt/agent/skills/
COPY server/ /srv/
";
        let consumer = tree(&[("server/config.yaml", "mine\n"), ("image/Dockerfile.agent", dockerfile)]);
        let source = tree(&[
            ("README.md", "Read me\n"),
            ("config.yaml", "a\n"),
            ("prompts/one.md", "b\n"),
            ("skills/x.md", "c\n"),
            ("extra.txt", "d\n"),
            (".gitea/workflows/ci.yml", "e\n"),
        ]);
        let found = bakes(&consumer, &source, &["image/Dockerfile.agent".to_owned()], "agent").expect("bakes");
        let first = found.first().expect("a bake");
        assert_eq!(
            (first.context.as_str(), first.source_dir.as_str(), first.destination.as_str()),
            (".", ".deps/templates/agent", "/opt/agent")
        );
        assert_eq!(first.identity, ["config.yaml", "prompts/**", "skills/**"]);
        assert_eq!(first.ignore, [".gitea/**", "README.md"], "what is neither is for a person to say");
        assert!(found.iter().all(|one| !one.source_dir.contains("server")), "{found:?}");
    }

    #[test]
    fn a_folder_that_is_copied_whole_is_known_by_its_name() {
        let consumer =
            tree(&[("Dockerfile", "FROM scratch\nCOPY .deps/agent-template/ /opt/t/\nCOPY .deps/other/ /o/\n")]);
        let source = tree(&[("config.yaml", "a\n"), ("prompts/one.md", "b\n"), ("LICENSE", "c\n")]);
        let found = bakes(&consumer, &source, &["Dockerfile".to_owned()], "agent-template").expect("bakes");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].source_dir.as_str(), found[0].destination.as_str()), (".deps/agent-template", "/opt/t"));
        assert_eq!(found[0].identity, ["config.yaml", "prompts/**"]);
        assert_eq!(found[0].ignore, ["LICENSE"]);
    }
}
