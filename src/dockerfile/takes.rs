//! What the instructions of a Dockerfile take from the build context, and where they put it, as far as its own defaults tell.
//!
//! A guess to begin with: nothing is evaluated, and a word that needs what only the build knows is left out. What is proposed
//! from it is proven by [`super::evaluate`].

use std::collections::BTreeMap;

use super::budget::Budget;
use super::expansion::{Environment, Lexer};
use super::instructions::{Argument, Program, What};
use super::stage::absolute;
use super::{BuildError, Limits, lexer};

/// One `COPY` or `ADD` of files of the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Takes {
    /// The line (1-based) of the instruction.
    pub line: u32,
    /// The stage that it is in, where that has a name and is not the last.
    pub stage: Option<String>,
    /// What it takes, from the context's root, without a slash in front or behind; may be patterns.
    pub sources: Vec<String>,
    /// Where it puts that: absolute, with a slash behind where the file says so.
    pub destination: String,
}

/// All of them, in the order of the file.
///
/// # Errors
///
/// What `docker build` would refuse while reading the file.
pub fn takes(dockerfile: &[u8]) -> Result<Vec<Takes>, BuildError> {
    let script = lexer::read(dockerfile)?;
    let program = Program::read(&script)?;
    let budget = Budget::new(Limits::default());
    let lexer = Lexer::new(script.escape, &budget);
    // A word with a variable that is not set would be another word in the build.
    let word = |text: &str, known: &Environment| {
        lexer.word(text, known).ok().filter(|word| word.unset.is_empty()).map(|word| word.text)
    };
    let mut global = Environment::default();
    let declare = |pairs: &[Argument], global: &Environment, into: &mut Environment| {
        for (name, value) in pairs {
            let value = match value {
                Some(value) => word(value, into),
                None => global.get(name).map(str::to_owned),
            };
            if let Some(value) = value {
                into.set(name, &value);
            }
        }
    };
    for (_, pairs) in &program.global {
        let before = global.clone();
        declare(pairs, &before, &mut global);
    }
    let mut ends: BTreeMap<String, (Environment, String)> = BTreeMap::new();
    let mut found = Vec::new();
    let last = program.stages.len().saturating_sub(1);
    for (index, stage) in program.stages.iter().enumerate() {
        let base = word(&stage.base, &global).unwrap_or_default().to_lowercase();
        let (mut known, mut workdir) =
            ends.get(&base).cloned().unwrap_or_else(|| (Environment::default(), "/".to_owned()));
        for instruction in &stage.instructions {
            match &instruction.what {
                What::Arg(pairs) => declare(pairs, &global, &mut known),
                What::Env(pairs) => {
                    for (name, value) in pairs {
                        if let Some(value) = word(value, &known) {
                            known.set(name, &value);
                        }
                    }
                }
                What::Workdir(path) => {
                    if let Some(path) = word(path, &known) {
                        workdir = absolute(&workdir, &path, false);
                    }
                }
                What::Copy(copy) if copy.from.is_none() => {
                    let sources =
                        copy.sources.iter().filter_map(|source| word(source, &known)).map(|source| plain(&source));
                    let sources: Vec<String> = sources.filter(|source| !source.contains("://")).collect();
                    if let (Some(to), false) = (word(&copy.destination, &known), sources.is_empty()) {
                        let stage = stage.name.clone().filter(|_| index != last);
                        let destination = absolute(&workdir, &to, true);
                        found.push(Takes { line: instruction.line, stage, sources, destination });
                    }
                }
                _ => {}
            }
        }
        if let Some(name) = &stage.name {
            ends.insert(name.clone(), (known, workdir));
        }
    }
    Ok(found)
}

/// A path of the context without what does not count.
fn plain(path: &str) -> String {
    let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
    names.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_with_the_files_own_defaults() {
        let dockerfile = "\
ARG DIR=deps/template
FROM alpine AS files
ARG DIR
WORKDIR /opt
COPY ./$DIR/a.yaml $DIR/b/ here/
COPY ${UNKNOWN}/x /x
FROM files
ARG TO=/srv
ENV AT=${TO}/t
COPY --from=files /opt /opt
COPY [\"x y\", \"$AT\"]
COPY <<EOF /made
EOF
";
        let told = |one: &Takes| (one.line, one.stage.clone(), one.sources.join(" "), one.destination.clone());
        let found = takes(dockerfile.as_bytes()).expect("a Dockerfile");
        assert_eq!(
            found.iter().map(told).collect::<Vec<_>>(),
            [
                (
                    5,
                    Some("files".to_owned()),
                    "deps/template/a.yaml deps/template/b".to_owned(),
                    "/opt/here/".to_owned()
                ),
                (11, None, "x y".to_owned(), "/srv/t".to_owned()),
            ]
        );
    }
}
