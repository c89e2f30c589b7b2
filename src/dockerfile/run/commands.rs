//! The commands that are followed: each does what busybox and the GNU tools agree on, or answers `None`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::exec::{MAX_TEXT, Machine, Output, Status};
use super::paths::Stands;
use crate::dockerfile::budget::Budget;
use crate::dockerfile::chmod::{self, Change};
use crate::dockerfile::files::{Dir, Entry, Node, own};
use crate::dockerfile::{BuildError, Content};

/// Commands that read and print, and change nothing.
const READERS: [&str; 22] = [
    "ls",
    "pwd",
    "id",
    "whoami",
    "uname",
    "date",
    "sleep",
    "which",
    "head",
    "tail",
    "wc",
    "stat",
    "du",
    "df",
    "printenv",
    "grep",
    "egrep",
    "sha256sum",
    "md5sum",
    "cmp",
    "diff",
    "nproc",
];

/// A command's words, sorted into options and operands.
pub(super) struct Options<'w> {
    pub letters: String,
    pub operands: Vec<&'w str>,
}

impl<'w> Options<'w> {
    /// Reads single-letter options of `known`; `None` when there is another.
    pub fn read(words: &'w [String], known: &str) -> Option<Self> {
        let mut options = Self { letters: String::new(), operands: Vec::new() };
        let mut only_operands = false;
        for word in words {
            match word.strip_prefix('-') {
                Some("-") if !only_operands => only_operands = true,
                Some(letters) if !only_operands && !letters.is_empty() => {
                    if !letters.chars().all(|c| known.contains(c)) {
                        return None;
                    }
                    options.letters.push_str(letters);
                }
                _ => options.operands.push(word),
            }
        }
        Some(options)
    }

    pub fn has(&self, letters: &str) -> bool {
        self.letters.contains(|c| letters.contains(c))
    }
}

impl Machine<'_, '_, '_> {
    /// Does what a command does; `None` when it is not followed.
    pub fn builtin(&mut self, program: &str, words: &[String], output: &Output) -> Result<Option<Status>, BuildError> {
        match program {
            "true" | ":" => return self.write(output, Some(Vec::new())).map(Some),
            "false" => return Ok(Some(Status::Failure)),
            "echo" => return self.echo(words, output),
            "printf" => return self.printf(words, output),
            "cat" => return self.cat(words, output),
            _ => {}
        }
        let quiet = *output == Output::Terminal;
        if READERS.contains(&program) {
            return match quiet {
                true => Ok(Some(Status::Unknown)),
                false => self.write(output, None).map(Some),
            };
        }
        if !quiet {
            return Ok(None);
        }
        match program {
            "rm" => Ok(self.rm(words)),
            "rmdir" => Ok(self.rmdir(words)),
            "unlink" => Ok(if words.len() == 1 { self.rm(words) } else { None }),
            "mkdir" => Ok(self.mkdir(words)),
            "touch" => Ok(self.touch(words)),
            "chmod" => Ok(self.chmod(words)),
            "chown" | "chgrp" => Ok(self.chown(program, words)),
            "cp" => Ok(self.cp(words)),
            "mv" => Ok(self.mv(words)),
            "ln" => Ok(self.ln(words)),
            "test" => Ok(self.test(words)),
            "[" => Ok(words.split_last().filter(|(last, _)| *last == "]").and_then(|(_, words)| self.test(words))),
            _ => Ok(None),
        }
    }

    fn echo(&mut self, words: &[String], output: &Output) -> Result<Option<Status>, BuildError> {
        let (newline, words) = match words.split_first() {
            Some((first, rest)) if first == "-n" => (false, rest),
            _ => (true, words),
        };
        // Shells disagree about `-e` and about backslashes.
        let first_is_option = words.first().is_some_and(|word| word.starts_with('-') && word.len() > 1);
        let bytes = if first_is_option || words.iter().any(|word| word.contains('\\')) {
            None
        } else {
            let end = if newline { "\n" } else { "" };
            Some((words.join(" ") + end).into_bytes())
        };
        self.write(output, bytes).map(Some)
    }

    fn printf(&mut self, words: &[String], output: &Output) -> Result<Option<Status>, BuildError> {
        let bytes = words.split_first().and_then(|(format, arguments)| printf(format, arguments));
        self.write(output, bytes).map(Some)
    }

    fn cat(&mut self, words: &[String], output: &Output) -> Result<Option<Status>, BuildError> {
        let Output::File { path, .. } = output else {
            // It only fails when a file is missing.
            let known = words
                .iter()
                .all(|word| matches!(self.place(word, true), Some(place) if matches!(place.stands, Stands::File(_))));
            return Ok(Some(if known && !words.is_empty() { Status::Success } else { Status::Unknown }));
        };
        let Some(target) = self.place(path, true) else { return self.write(output, None).map(Some) };
        let mut bytes = Vec::new();
        for word in words {
            match self.place(word, true) {
                Some(place) if place.names != target.names => match &place.stands {
                    Stands::File(file) if bytes.len() <= MAX_TEXT => {
                        bytes.extend_from_slice(&self.bytes_of(&file.content)?);
                    }
                    _ => return self.write(output, None).map(Some),
                },
                _ => return self.write(output, None).map(Some),
            }
        }
        let bytes = (!words.is_empty()).then_some(bytes);
        self.write(output, bytes).map(Some)
    }

    fn rm(&mut self, words: &[String]) -> Option<Status> {
        let options = Options::read(words, "frRv")?;
        let mut status = Status::Success;
        for operand in &options.operands {
            if matches!(operand.trim_end_matches('/').rsplit('/').next(), None | Some("" | "." | "..")) {
                return None;
            }
            let place = self.place(operand, false)?;
            match place.stands {
                Stands::Nothing | Stands::Nowhere if options.has("f") => {}
                Stands::Nothing | Stands::Nowhere => status = self.failure(),
                Stands::Dir if !options.has("rR") => status = Status::Failure,
                _ => {
                    self.stage.state.files.remove(&place.names);
                }
            }
        }
        Some(if options.operands.is_empty() && !options.has("f") { Status::Failure } else { status })
    }

    fn rmdir(&mut self, words: &[String]) -> Option<Status> {
        let options = Options::read(words, "")?;
        let mut status = Status::Success;
        for operand in &options.operands {
            if matches!(operand.trim_end_matches('/').rsplit('/').next(), None | Some("" | "." | "..")) {
                return None;
            }
            let place = self.place(operand, false)?;
            let empty = self
                .stage
                .state
                .files
                .dir(&place.names)
                .is_some_and(|dir| dir.children.is_empty() && dir.open.is_none());
            match place.stands {
                Stands::Dir if empty && !self.is_foreign() => {
                    self.stage.state.files.remove(&place.names);
                }
                Stands::Dir if empty => return None,
                Stands::Dir if !self.is_known_below(&place.names) => return None,
                Stands::Nothing | Stands::Nowhere => status = self.failure(),
                _ => status = Status::Failure,
            }
        }
        Some(status)
    }

    fn mkdir(&mut self, words: &[String]) -> Option<Status> {
        let mut words = words.to_vec();
        let mut mode = None;
        if let Some(at) = words.iter().position(|word| matches!(word.as_str(), "-m" | "-pm" | "--mode")) {
            if at + 1 >= words.len() {
                return None;
            }
            let text = words.remove(at + 1);
            mode = Some(u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o7777)?);
            words[at] = if words[at] == "-pm" { "-p".to_owned() } else { "--".to_owned() };
            if words[at] == "--" {
                words.remove(at);
            }
        }
        let options = Options::read(&words, "pv")?;
        let parents = options.has("p");
        let mut status = Status::Success;
        for operand in &options.operands {
            // A dangling link at the end is followed by some, and refused by others.
            if let Some(place) = self.place(operand.trim_end_matches('/'), false)
                && matches!(place.stands, Stands::Link)
                && !matches!(self.place(operand, true)?.stands, Stands::Dir)
            {
                return None;
            }
            let place = self.place(operand, true)?;
            let (line, owner) = (self.line, self.owner());
            match place.stands {
                Stands::Dir if parents => {}
                Stands::Nothing => self.new_dir(&place.names, mode.unwrap_or(0o755)),
                Stands::Nowhere if parents && !place.names.is_empty() => {
                    if self.stage.state.files.make_dirs(&place.names, 0o755, owner, line).is_err() {
                        status = Status::Failure;
                    } else if let (Some(mode), Some(dir)) = (mode, self.stage.state.files.dir_mut(&place.names)) {
                        dir.mode = mode;
                    }
                }
                Stands::Nowhere => status = self.failure(),
                _ => status = Status::Failure,
            }
        }
        Some(status)
    }

    /// Makes a directory in one that is there.
    pub fn new_dir(&mut self, names: &[String], mode: u32) {
        let node = Node::Dir(Arc::new(Dir::new(mode, self.owner())));
        let line = self.line;
        self.stage.state.files.put(names, Entry { node, line });
    }

    fn touch(&mut self, words: &[String]) -> Option<Status> {
        let options = Options::read(words, "cam")?;
        let mut status = Status::Success;
        for operand in &options.operands {
            let place = self.place(operand, true)?;
            match place.stands {
                Stands::File(_) | Stands::Dir => {}
                Stands::Nothing if options.has("c") => {}
                // Content of an image that nobody has looked into would stay.
                Stands::Nothing if self.is_foreign() || operand.ends_with('/') => return None,
                Stands::Nothing => self.new_file(&place.names, Content::Bytes(Arc::from(Vec::new())), 0o644),
                _ => status = self.failure(),
            }
        }
        Some(status)
    }

    fn chmod(&mut self, words: &[String]) -> Option<Status> {
        let (recursive, words) = match words.split_first() {
            Some((first, rest)) if first == "-R" => (true, rest),
            _ => (false, words),
        };
        let (mode, operands) = words.split_first()?;
        if operands.is_empty() || operands.iter().any(|word| word.starts_with('-')) {
            return None;
        }
        let change = match u32::from_str_radix(mode, 8) {
            Ok(mode) if mode <= 0o7777 => Change::Set(mode),
            // Without `ugoa`, the umask has a say, which tools report in their own ways.
            _ if mode
                .split(',')
                .any(|clause| clause.starts_with(['+', '-', '=']) && clause.contains(['w', 's', 't', '='])) =>
            {
                return None;
            }
            _ if mode.starts_with('-') => return None,
            _ => chmod::symbolic(mode, 0o022)?,
        };
        let mut status = Status::Success;
        for operand in operands {
            if recursive && matches!(self.place(operand, false)?.stands, Stands::Link) {
                return None;
            }
            let place = self.place(operand, true)?;
            match place.stands {
                Stands::Nothing | Stands::Nowhere => status = self.failure(),
                Stands::Link => status = Status::Failure,
                _ => self.chmod_at(&place.names, &change, recursive)?,
            }
        }
        Some(status)
    }

    fn chmod_at(&mut self, names: &[String], change: &Change, recursive: bool) -> Option<()> {
        let mut modes = BTreeMap::new();
        if names.is_empty() {
            return None;
        }
        let budget = self.stage.shared.budget;
        chmod_entry(self.stage.state.files.entry_mut(names)?, change, recursive, &mut modes, budget)?;
        self.stage.state.files.each_name(&modes.keys().copied().collect(), &mut |node| {
            if let Node::File(file) = node
                && let Some(mode) = file.inode.and_then(|inode| modes.get(&inode))
            {
                file.mode = *mode;
            }
        });
        Some(())
    }

    fn chown(&mut self, program: &str, words: &[String]) -> Option<Status> {
        let options = Options::read(words, "Rhv")?;
        let (owner, operands) = options.operands.split_first()?;
        let uid = owner
            .split([':', '.'])
            .next()
            .and_then(|user| if user == "root" { Some(0) } else { user.parse::<u32>().ok() });
        let number =
            owner.split([':', '.']).all(|part| part.is_empty() || part == "root" || part.parse::<u32>().is_ok());
        let mut status = if number { Status::Success } else { Status::Unknown };
        for operand in operands {
            let place = self.place(operand, !options.has("hR"))?;
            match place.stands {
                Stands::Nothing | Stands::Nowhere => {
                    status = self.failure();
                    continue;
                }
                Stands::Link if !options.has("hR") => {
                    status = Status::Failure;
                    continue;
                }
                _ => {}
            }
            if place.names.is_empty() {
                return None;
            }
            let entry = self.stage.state.files.entry_mut(&place.names)?;
            // Changing the owner takes setuid bits away, in ways that differ.
            let uid = if program == "chgrp" { None } else { Some(uid) };
            chown_entry(entry, uid, options.has("R"), self.stage.shared.budget)?;
        }
        Some(status)
    }

    fn test(&mut self, words: &[String]) -> Option<Status> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["!", rest @ ..] if !rest.is_empty() => {
                let rest: Vec<String> = rest.iter().map(|word| (*word).to_owned()).collect();
                self.test(&rest).map(|status| match status {
                    Status::Success => Status::Failure,
                    Status::Failure => Status::Success,
                    Status::Unknown => Status::Unknown,
                })
            }
            ["-n", text] => Some(Status::from(!text.is_empty())),
            ["-z", text] => Some(Status::from(text.is_empty())),
            [left, "=", right] => Some(Status::from(left == right)),
            [left, "!=", right] => Some(Status::from(left != right)),
            [test @ ("-e" | "-f" | "-d" | "-L" | "-h" | "-s"), path] => Some(self.test_path(test, path)),
            _ => Some(Status::Unknown),
        }
    }

    fn test_path(&self, test: &str, path: &str) -> Status {
        let Some(place) = self.place(path, !matches!(test, "-L" | "-h")) else { return Status::Unknown };
        let stands = match &place.stands {
            Stands::Nothing | Stands::Nowhere => return self.failure(),
            stands => stands,
        };
        match test {
            "-e" => Status::from(!matches!(stands, Stands::Link)),
            "-f" => Status::from(matches!(stands, Stands::File(_))),
            "-d" => Status::from(matches!(stands, Stands::Dir)),
            "-L" | "-h" => Status::from(matches!(stands, Stands::Link)),
            _ => Status::Unknown,
        }
    }
}

/// `modes`: of the files that have other names too.
fn chmod_entry(
    entry: &mut Entry,
    change: &Change,
    recursive: bool,
    modes: &mut BTreeMap<u64, u32>,
    budget: &Budget,
) -> Option<()> {
    match &mut entry.node {
        Node::File(file) => {
            file.mode = change.apply(file.mode, false);
            modes.extend(file.inode.map(|inode| (inode, file.mode)));
        }
        Node::Dir(dir) => {
            let dir = own(dir, budget);
            // An octal mode leaves setuid and setgid of directories in some tools.
            if dir.mode & 0o6000 != 0 {
                return None;
            }
            dir.mode = change.apply(dir.mode, true);
            if recursive {
                if dir.open.is_some() {
                    return None;
                }
                for child in dir.children.values_mut() {
                    chmod_entry(child, change, true, modes, budget)?;
                }
            }
        }
        Node::Link(_) => {}
        Node::Unknown(_) => return None,
    }
    Some(())
}

fn chown_entry(entry: &mut Entry, uid: Option<Option<u32>>, recursive: bool, budget: &Budget) -> Option<()> {
    match &mut entry.node {
        Node::File(file) if file.mode & 0o6000 != 0 => return None,
        Node::File(file) => file.owner = uid.unwrap_or(file.owner),
        Node::Dir(dir) => {
            let dir = own(dir, budget);
            dir.owner = uid.unwrap_or(dir.owner);
            if recursive {
                dir.children.values_mut().try_for_each(|child| chown_entry(child, uid, true, budget))?;
            }
        }
        Node::Link(_) | Node::Unknown(_) => {}
    }
    Some(())
}

/// `printf` with `%s`, `%%` and the plain escapes; the format is used again while arguments are left.
fn printf(format: &str, arguments: &[String]) -> Option<Vec<u8>> {
    if format.starts_with('-') {
        return None;
    }
    let mut out = String::new();
    let mut arguments = arguments.iter();
    loop {
        if out.len() > MAX_TEXT {
            return None;
        }
        let before = arguments.len();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' => match chars.next()? {
                    's' => out.push_str(arguments.next().map_or("", String::as_str)),
                    '%' => out.push('%'),
                    _ => return None,
                },
                '\\' => match chars.next()? {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    '\\' => out.push('\\'),
                    _ => return None,
                },
                c => out.push(c),
            }
        }
        if arguments.len() == 0 || arguments.len() == before {
            return Some(out.into_bytes());
        }
    }
}
