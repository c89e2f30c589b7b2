//! RUN: what can be said about a command without running it.
//!
//! A script is followed as far as it is literal: `rm`, `cp`, `mv`, `chmod`, `chown`, `mkdir`, `ln`, `touch`, `echo` and
//! `printf` into files, `cd`, `set -e`, joined by `&&`, `||`, `;`, `if` and `for`. Everything else is looked through for
//! paths: what a command names is not known after it, nor is the directory that it runs in; what it does not name it is
//! assumed to leave alone, and that assumption is listed.
//!
//! Traps handled here: whether a command fails decides what runs next, so a command that may fail is followed only where
//! its failure would fail the build; a mount hides what is beneath and takes what is written away; `/dev`, `/proc` and
//! `/sys` are not the image's while a command runs, but stay behind as empty directories.

mod commands;
mod exec;
mod paths;
mod scan;
mod shell;
mod tokens;
mod transfer;
mod words;

use std::sync::Arc;

use super::files::{Entry, Found, Mystery, Node, names_of};
use super::instructions::{Command, Run};
use super::lexer::heredoc_word;
use super::mounts::Mount;
use super::stage::{Running, absolute};
use super::{BuildError, Taken};
use exec::Machine;

/// What a RUN gives to the kernel: the words of a program, or a script of a POSIX shell.
enum Program {
    Exec(Vec<String>),
    Script { text: String, errexit: bool },
}

/// Runs a RUN.
pub(super) fn run(stage: &mut Running<'_, '_>, line: u32, run: &Run, from: &[Option<usize>]) -> Result<(), BuildError> {
    let fails = |message: String| BuildError::Fails { line, message };
    if run.command == Command::Exec(Vec::new()) {
        return Err(fails("RUN without a command: arguments are required".to_owned()));
    }
    let mut mounts = Vec::new();
    for text in &run.mounts {
        let variables = stage.state.variables.clone();
        let lexer = stage.shared.lexer;
        let expand = |value: &str| lexer.word(value, &variables).map(|word| word.text);
        mounts.push(Mount::read(text, &expand).map_err(|why| why.at(line))?);
    }
    check_mounts(stage, line, &mounts, from)?;
    let targets = mount_targets(stage, line, &mounts)?;
    let mounted = mounts.iter().zip(from.iter().copied().chain(std::iter::repeat(None)));
    let context = mounted.filter(|(_, from)| from.is_none()).filter_map(|(mount, _)| mount.context_source());
    stage.shared.notes.taken.extend(context.map(|source| Taken::Tree(super::pattern::clean(&format!("/{source}")))));
    stage.state.blank = false;
    let held = hold(stage, line, &targets);
    let program = program(run, stage.state.shell.as_deref());
    let result = Machine::new(stage, line, &targets).run(program);
    release(stage, held);
    result?;
    leave_stubs(stage, line);
    Ok(())
}

fn program(run: &Run, shell: Option<&[String]>) -> Program {
    let text = match &run.command {
        Command::Exec(words) => return Program::Exec(words.clone()),
        Command::Shell(text) => text,
    };
    let single = heredoc_word(text).ok().flatten().is_some();
    let script = match run.heredocs.first() {
        Some(heredoc) if single => heredoc.content(),
        Some(_) => {
            let bodies = run.heredocs.iter().map(|heredoc| format!("\n{}{}", heredoc.body, heredoc.name));
            text.clone() + &bodies.collect::<String>()
        }
        None => text.clone(),
    };
    let default = ["/bin/sh".to_owned(), "-c".to_owned()];
    let shell = shell.unwrap_or(&default);
    if single && script.starts_with("#!") {
        // Run as a program of its own, by what its first line names.
        let first = script.lines().next().unwrap_or_default().trim_start_matches("#!").trim().to_owned();
        let words: Vec<String> = first.split_whitespace().map(str::to_owned).collect();
        return match exec::shell_options(&words) {
            Some(errexit) => Program::Script { text: script, errexit },
            None => Program::Exec(words.into_iter().chain([script]).collect()),
        };
    }
    match exec::shell_options(shell) {
        Some(errexit) if exec::takes_script(shell) => Program::Script { text: script, errexit },
        _ => Program::Exec(shell.iter().cloned().chain([script]).collect()),
    }
}

/// A bind mount of something that is not there fails the build.
fn check_mounts(
    stage: &Running<'_, '_>,
    line: u32,
    mounts: &[Mount],
    from: &[Option<usize>],
) -> Result<(), BuildError> {
    use super::context::{Followed, Source, StageFiles, follow};
    for (mount, from) in mounts.iter().zip(from.iter().copied().chain(std::iter::repeat(None))) {
        if mount.kind != "bind" {
            continue;
        }
        let files;
        let source: &dyn Source = match from {
            None => &stage.shared.context,
            Some(index) => match stage.earlier.get(index).and_then(Option::as_ref) {
                Some(state) => {
                    let context = stage.shared.build.context;
                    files = StageFiles { context, files: &state.files, foreign: state.foreign.clone() };
                    &files
                }
                None => {
                    let message = format!("cannot mount from {:?}: it is not built before this", mount.from);
                    return Err(BuildError::Fails { line, message });
                }
            },
        };
        let path: String = super::pattern::clean(&format!("/{}", mount.source));
        if matches!(follow(source, &path, true)?, Followed::Missing) {
            return Err(BuildError::Fails { line, message: format!("\"{path}\": not found, but it is to be mounted") });
        }
    }
    Ok(())
}

/// Where something is mounted, as names from the root.
fn mount_targets(stage: &Running<'_, '_>, line: u32, mounts: &[Mount]) -> Result<Vec<Vec<String>>, BuildError> {
    let mut targets = Vec::new();
    for mount in mounts {
        if matches!(mount.kind.as_str(), "secret" | "ssh") {
            if !mount.target.is_empty() {
                targets.push(names(&absolute("/run/secrets", &mount.target, false)));
            }
            continue;
        }
        let target = names(&absolute(&stage.state.workdir, &mount.target, false));
        if target.is_empty() {
            return Err(BuildError::Fails { line, message: "invalid mount target \"/\"".to_owned() });
        }
        targets.push(target);
    }
    targets.sort();
    Ok(targets)
}

fn names(path: &str) -> Vec<String> {
    names_of(&super::pattern::clean(path)).map(str::to_owned).collect()
}

/// What was at a mount's target, and the parents that were made for it.
struct Held {
    target: Vec<String>,
    entry: Option<Entry>,
    made: usize,
}

fn hold(stage: &mut Running<'_, '_>, line: u32, targets: &[Vec<String>]) -> Vec<Held> {
    let files = &mut stage.state.files;
    let mut held = Vec::new();
    for target in targets {
        let entry = match files.find(target) {
            Found::Entry(entry) => Some(entry.clone()),
            Found::Unknown(mystery) => Some(Entry { node: Node::Unknown(mystery.clone()), line }),
            _ => None,
        };
        let there = (0..target.len()).rev().find(|length| files.dir(&target[..*length]).is_some()).unwrap_or(0);
        held.push(Held { target: target.clone(), entry, made: there });
        let mystery = Mystery { line, reason: Arc::from("something is mounted there while the command runs") };
        if let Some(parent) = target.split_last().map(|(_, parent)| parent)
            && files.make_dirs(parent, 0o755, Some(0), line).is_ok()
        {
            files.put(target, Entry { node: Node::Unknown(mystery), line });
        }
    }
    held
}

fn release(stage: &mut Running<'_, '_>, held: Vec<Held>) {
    let files = &mut stage.state.files;
    for Held { target, entry, made } in held.into_iter().rev() {
        if let Some(entry) = entry {
            files.put(&target, entry);
            continue;
        }
        files.remove(&target);
        // Parents that were made for the mount go again when nothing else came into them.
        for length in (made + 1..target.len()).rev() {
            let empty = files.dir(&target[..length]).is_some_and(|dir| dir.children.is_empty() && dir.open.is_none());
            if !empty {
                break;
            }
            files.remove(&target[..length]);
        }
    }
}

/// The runtime mounts its own file systems; their mount points stay in an image that had none.
fn leave_stubs(stage: &mut Running<'_, '_>, line: u32) {
    if stage.state.foreign.is_some() {
        return;
    }
    for name in ["dev", "proc", "sys"] {
        if matches!(stage.state.files.find(&[name]), Found::Missing) {
            // Cannot fail: the root is a directory.
            let _ = stage.state.files.make_dirs(&[name], 0o755, Some(0), line);
        }
    }
}
