//! Looks through the text of a command that is not followed, for the paths that it names.
//!
//! Traps handled here: paths hide in quotes, after `=` and in flags (`-C/x`, `of=/x`); a variable or pattern hides the
//! rest of a path, so the directory in front of it counts; a command that names a file may make others beside it; a
//! script that this build has put into the image is a text to look through as well.

use std::sync::Arc;

use super::exec::Machine;
use crate::dockerfile::files::{Entry, Found, Mystery, Node, names_of};
use crate::dockerfile::pattern::clean;
use crate::dockerfile::{BuildError, Content};

/// Scripts of the image are looked through up to this size.
const MAX_SCRIPT: usize = 64 * 1024;
/// How deep scripts that name scripts are followed.
const MAX_DEPTH: u32 = 4;

/// Programs that run the file that they are given.
const INTERPRETERS: [&str; 12] =
    ["sh", "bash", "ash", "dash", "zsh", "ksh", "python", "python3", "perl", "node", "ruby", "php"];
/// Words that change the working directory.
const CHANGERS: [&str; 3] = ["cd", "pushd", "popd"];
/// Words with which a directory may cease to be one.
const REPLACERS: [&str; 9] = ["ln", "mv", "rm", "rmdir", "unlink", "tar", "unzip", "rsync", "install"];

impl Machine<'_, '_, '_> {
    /// Nothing is known any more about what `text` names.
    pub fn scan(&mut self, text: &str) -> Result<(), BuildError> {
        let line = self.line;
        self.lost |=
            words(text).any(|word| CHANGERS.contains(&word.trim_start_matches(['(', '{']).trim_end_matches(';')));
        let shown: String = text.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
        let reason: Arc<str> = format!("`{shown}` names it, or runs in it, and is not followed").into();
        let mystery = Mystery { line, reason };
        let hides = words(text).any(|word| self.substitute(word).contains(['$', '`']));
        let elsewhere = if hides { "; what it says with `$` is elsewhere" } else { "" };
        self.stage.shared.assume(
            line,
            format!(
                "`{shown}` changes nothing that it does not name and that is not in its working directory{elsewhere}"
            ),
        );
        let replaces = words(text).any(|word| REPLACERS.contains(&word.rsplit('/').next().unwrap_or(word)));
        self.look(text, &mystery, replaces, 0)?;
        for dir in self.working_dirs().into_iter().filter(|dir| !dir.is_empty()) {
            self.forget_dir(&dir, &mystery, replaces);
        }
        Ok(())
    }

    /// Where a command may run, as far as anybody knows.
    fn working_dirs(&self) -> Vec<Vec<String>> {
        let before = self.been.iter().filter(|_| self.lost).filter(|dir| **dir != self.cwd);
        let mut dirs: Vec<Vec<String>> = before.cloned().chain([self.cwd.clone()]).collect();
        dirs.sort();
        dirs.dedup();
        dirs
    }

    fn look(&mut self, text: &str, mystery: &Mystery, replaces: bool, depth: u32) -> Result<(), BuildError> {
        // A script that names itself on every line is looked through again and again.
        self.stage.shared.budget.take_steps(text.len().saturating_mul(8));
        self.stage.shared.budget.check(self.line)?;
        let mut runs_next = true;
        let mut fragments: Vec<String> = Vec::new();
        let mut scripts: Vec<String> = Vec::new();
        for word in words(text) {
            let word = self.substitute(word);
            for word in word.split_whitespace() {
                let path = word.trim_end_matches(';');
                if runs_next {
                    scripts.push(path.to_owned());
                }
                let name = path.rsplit('/').next().unwrap_or(path);
                runs_next = INTERPRETERS.contains(&name)
                    || matches!(name, "." | "source" | "exec" | "eval" | "env" | "time" | "xargs" | "then" | "do")
                    || (runs_next && (word.starts_with('-') || word.contains('=')))
                    || word.ends_with([';', '&', '|', '(', '{', '`'])
                    || word.ends_with("-c");
                fragments.extend(paths_in(word));
            }
        }
        for fragment in fragments {
            self.forget_named(&fragment, mystery, replaces);
            self.stage.shared.budget.check(self.line)?;
        }
        if depth < MAX_DEPTH {
            for script in scripts {
                if let Some(text) = self.script_text(&script)? {
                    let replaces = words(&text).any(|word| REPLACERS.contains(&word));
                    self.look(&text, mystery, replaces, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    /// Puts in the variables that are known.
    fn substitute(&self, word: &str) -> String {
        let mut out = String::new();
        let mut rest = word;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let (braced, inner) = match after.strip_prefix('{') {
                Some(inner) => (true, inner),
                None => (false, after),
            };
            let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
            let value = self.variable(&inner[..end]).map(str::to_owned);
            let tail = &inner[end..];
            match (value, tail.strip_prefix('}')) {
                (Some(value), Some(tail)) if braced => {
                    out.push_str(&value);
                    rest = tail;
                }
                (Some(value), _) if !braced => {
                    out.push_str(&value);
                    rest = tail;
                }
                _ => {
                    out.push('$');
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// Forgets the path that a piece of text names.
    fn forget_named(&mut self, fragment: &str, mystery: &Mystery, replaces: bool) {
        let Some((path, cut)) = literal_part(fragment) else { return };
        let dirs = if path.starts_with('/') { vec![Vec::new()] } else { self.working_dirs() };
        for dir in dirs {
            self.forget_from(&dir, path, cut, mystery, replaces);
        }
    }

    fn forget_from(&mut self, dir: &[String], path: &str, cut: bool, mystery: &Mystery, replaces: bool) {
        let relative_in_root = !path.starts_with('/') && dir.is_empty();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{}/{path}", dir.join("/")) };
        let cleaned = clean(&path);
        let first = names_of(&cleaned).next().map(str::to_owned);
        if let Some(first) = &first
            && relative_in_root
            && !cut
            && matches!(self.stage.state.files.find(&[first.as_str()]), Found::Missing)
        {
            // A word that is no path: nothing of that name is there.
            return;
        }
        let Ok(resolved) = self.stage.state.files.resolve(&path, true) else { return };
        if matches!(first.as_deref(), Some("dev" | "proc" | "sys")) {
            return;
        }
        let lexical: Vec<String> = names_of(&cleaned).map(str::to_owned).collect();
        for names in [resolved.names, lexical] {
            self.forget_path(&names, mystery, replaces);
        }
    }

    fn forget_path(&mut self, names: &[String], mystery: &Mystery, replaces: bool) {
        if self.touches_mount(names) && self.in_mount(names) {
            return;
        }
        if names.is_empty() || self.stage.state.files.dir(names).is_some() {
            self.forget_dir(names, mystery, replaces);
            return;
        }
        self.stage.state.files.forget(names, mystery);
        let parent = &names[..names.len() - 1];
        if !parent.is_empty()
            && let Some(dir) = self.stage.state.files.dir_mut(parent)
            && dir.open.is_none()
        {
            dir.open = Some(mystery.clone());
        }
    }

    fn forget_dir(&mut self, names: &[String], mystery: &Mystery, replaces: bool) {
        if self.in_mount(names) {
            return;
        }
        if replaces && !names.is_empty() {
            self.stage.state.files.forget(names, mystery);
        } else {
            self.stage.state.files.forget_contents(names, mystery);
        }
    }

    /// The text of a script that stands in the image.
    fn script_text(&self, path: &str) -> Result<Option<String>, BuildError> {
        let path = path.trim_matches(['"', '\'']);
        let candidates: Vec<String> = if path.contains('/') {
            vec![if path.starts_with('/') { path.to_owned() } else { format!("/{}/{path}", self.cwd.join("/")) }]
        } else {
            let search = self.variable("PATH").unwrap_or_default();
            search.split(':').map(|dir| format!("{dir}/{path}")).collect()
        };
        for path in candidates {
            let Ok(resolved) = self.stage.state.files.resolve(&path, true) else { continue };
            let Found::Entry(Entry { node: Node::File(file), .. }) = self.stage.state.files.find(&resolved.names)
            else {
                continue;
            };
            let bytes = match &file.content {
                Content::Bytes(bytes) => bytes.clone(),
                Content::Context(path) => {
                    if self.stage.shared.build.context.size(path)? > MAX_SCRIPT as u64 {
                        return Ok(None);
                    }
                    self.stage.shared.build.context.read(path)?
                }
            };
            let text = std::str::from_utf8(&bytes).ok().filter(|text| text.len() <= MAX_SCRIPT && !text.contains('\0'));
            return Ok(text.map(str::to_owned));
        }
        Ok(None)
    }
}

/// The words of a text as far as spaces, quotes and shell operators tell them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).filter(|word| !word.is_empty())
}

/// The pieces of a word that may be paths.
fn paths_in(word: &str) -> Vec<String> {
    if word.contains("://") {
        return Vec::new();
    }
    let word: String = word.chars().filter(|c| *c != '\\').collect();
    let mut pieces = Vec::new();
    let separators =
        |c: char| matches!(c, ';' | '|' | '&' | '<' | '>' | '(' | ')' | '{' | '}' | '=' | ',' | ':' | '`' | '@');
    for piece in word.split(separators).filter(|piece| !piece.is_empty()) {
        if piece.starts_with('-') {
            pieces.extend(piece.find('/').map(|at| piece[at..].to_owned()));
        } else {
            pieces.push(piece.to_owned());
        }
    }
    pieces
}

/// The part of a path in front of a variable or pattern, and whether something was cut off.
fn literal_part(fragment: &str) -> Option<(&str, bool)> {
    let Some(at) = fragment.find(['$', '*', '?', '[', '~', '!']) else { return Some((fragment, false)) };
    if fragment[at..].starts_with('~') {
        return None;
    }
    match fragment[..at].rfind('/') {
        Some(0) => Some(("/", true)),
        Some(slash) => Some((&fragment[..slash], true)),
        // A pattern in the working directory; a variable alone may be anything, its values are looked at where they are
        // set.
        None if fragment[at..].starts_with(['*', '?']) && at == 0 => Some((".", true)),
        None => None,
    }
}
