//! What the words of a command become: variables put in, patterns matched against the files of the stage.
//!
//! Traps handled here: some shells expand braces and some do not; a value with white space or a star in it becomes several
//! words where it is not quoted; a variable that no instruction sets may come from the image, or from the shell itself; an image that
//! nobody has looked into may have more files that a pattern matches.

use super::exec::{MAX_TEXT, Machine};
use super::shell::{Part, Word};
use crate::dockerfile::BuildError;
use crate::dockerfile::files::Found;
use crate::dockerfile::pattern::{has_wildcards, matches};

impl Machine<'_, '_, '_> {
    pub(super) fn expand_all(&mut self, words: &[Word]) -> Result<Option<Vec<String>>, BuildError> {
        let mut all = Vec::new();
        let mut bytes = 0;
        for word in words {
            match self.expand(word)? {
                Some(words) => {
                    bytes += words.iter().map(String::len).sum::<usize>();
                    all.extend(words);
                }
                None => return Ok(None),
            }
            self.fits(bytes)?;
        }
        Ok(Some(all))
    }

    fn fits(&self, bytes: usize) -> Result<(), BuildError> {
        if bytes > MAX_TEXT {
            let message = format!("a command is given more than {} MiB", MAX_TEXT >> 20);
            return Err(BuildError::Undecided { line: self.line, message });
        }
        Ok(())
    }

    /// The words that a word becomes; `None` when that is not known.
    pub(super) fn expand(&mut self, word: &Word) -> Result<Option<Vec<String>>, BuildError> {
        let (mut text, mut pattern, mut is_pattern) = (String::new(), String::new(), false);
        let mut present = false;
        for part in &word.0 {
            let (value, plain) = match part {
                Part::Dynamic => return Ok(None),
                Part::Quoted(value) => {
                    present = true;
                    (value.as_str(), false)
                }
                Part::Plain(value) => {
                    // Some shells expand braces, some do not.
                    if value.contains('{') && value.contains(['}', ',']) {
                        return Ok(None);
                    }
                    (value.as_str(), true)
                }
                Part::Variable { name, quoted } => {
                    let value = match self.variable(name) {
                        Some(value) => value,
                        None if self.may_be_set(name) => return Ok(None),
                        None => "",
                    };
                    present |= *quoted;
                    if !quoted && value.contains(|c: char| c.is_whitespace() || matches!(c, '*' | '?' | '[')) {
                        return Ok(None);
                    }
                    (value, false)
                }
            };
            text.push_str(value);
            self.fits(text.len())?;
            if plain {
                is_pattern |= value.contains(['*', '?', '[']);
                pattern.push_str(&value.replace("[!", "[^"));
            } else {
                for c in value.chars() {
                    pattern.extend(matches!(c, '*' | '?' | '[' | ']' | '\\').then_some('\\'));
                    pattern.push(c);
                }
            }
        }
        self.stage.shared.budget.take_bytes(text.len());
        if is_pattern {
            return self.glob(&pattern, text);
        }
        Ok(Some(if text.is_empty() && !present { Vec::new() } else { vec![text] }))
    }

    /// Whether a variable that no instruction sets may have a value all the same.
    fn may_be_set(&self, name: &str) -> bool {
        const OWN: [&str; 18] = [
            "HOME", "PWD", "OLDPWD", "HOSTNAME", "IFS", "PPID", "RANDOM", "LINENO", "SHLVL", "UID", "EUID", "USER",
            "LOGNAME", "SHELL", "TERM", "OPTIND", "PS1", "BASH",
        ];
        let lower = name.to_ascii_lowercase();
        self.is_foreign()
            || self.dynamic.contains(name)
            || OWN.contains(&name)
            || lower.ends_with("_proxy")
            || lower.starts_with("bash_")
            || !self.mounts.is_empty()
    }

    /// The paths that a pattern matches, or the word itself.
    fn glob(&mut self, pattern: &str, text: String) -> Result<Option<Vec<String>>, BuildError> {
        let rooted = pattern.starts_with('/');
        let mut found = vec![(if rooted { "/".to_owned() } else { String::new() }, Vec::<String>::new())];
        if !rooted {
            found[0].1 = self.cwd.clone();
        }
        for part in pattern.split('/').filter(|part| !part.is_empty()) {
            let mut next = Vec::new();
            for (shown, names) in found {
                let join = |name: &str| {
                    if shown.is_empty() || shown.ends_with('/') {
                        format!("{shown}{name}")
                    } else {
                        format!("{shown}/{name}")
                    }
                };
                if !has_wildcards(part) {
                    let name = part.replace('\\', "");
                    if name == ".." {
                        return Ok(None);
                    }
                    let mut names = names.clone();
                    names.extend((name != ".").then(|| name.clone()));
                    if let Found::Missing | Found::NotDir = self.stage.state.files.find(&names) {
                        if self.is_foreign() {
                            return Ok(None);
                        }
                        continue;
                    }
                    next.push((join(&name), names));
                    continue;
                }
                let path = format!("/{}", names.join("/"));
                let Ok(at) = self.stage.state.files.resolve(&path, true) else { continue };
                if at.mystery.is_some() || at.unlisted.is_some() || self.touches_mount(&at.names) {
                    return Ok(None);
                }
                let Some(dir) = self.stage.state.files.dir(&at.names) else {
                    if self.is_foreign() && matches!(self.stage.state.files.find(&at.names), Found::Missing) {
                        return Ok(None);
                    }
                    continue;
                };
                // An image that nobody has looked into may have more.
                if dir.open.is_some() || self.is_foreign() {
                    return Ok(None);
                }
                self.stage.shared.budget.take_steps(dir.children.len());
                for name in dir.children.keys() {
                    let hidden = name.starts_with('.') && !part.starts_with('.');
                    match matches(part, name) {
                        Ok(true) if !hidden => {
                            let mut names = at.names.clone();
                            names.push(name.clone());
                            next.push((join(name), names));
                        }
                        Ok(_) => {}
                        Err(_) => return Ok(None),
                    }
                }
            }
            found = next;
        }
        if found.is_empty() {
            return Ok(Some(vec![text]));
        }
        if pattern.ends_with('/') {
            return Ok(None);
        }
        Ok(Some(found.into_iter().map(|(shown, _)| shown).collect()))
    }
}
