//! What a path of a command means, and changing what stands there.

use std::sync::Arc;

use super::exec::{Machine, Output, Status};
use crate::dockerfile::files::{Entry, File, Found, Mystery, Node, names_of};
use crate::dockerfile::{BuildError, Content};

/// A path with what stands there, all of it known.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub names: Vec<String>,
    pub stands: Stands,
}

#[derive(Clone, Debug)]
pub(super) enum Stands {
    File(File),
    Dir,
    Link,
    /// Nothing, in a directory that is there.
    Nothing,
    /// Nothing, and no directory to put it into.
    Nowhere,
}

impl Machine<'_, '_, '_> {
    /// What stands at a path; `None` when that is not known or not the image's. `follow`: a link is followed.
    pub fn place(&self, path: &str, follow: bool) -> Option<Place> {
        if path.is_empty() {
            return None;
        }
        let files = &self.stage.state.files;
        let full = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.cwd.join("/")) };
        if path.ends_with('/') {
            // A slash after a link makes commands differ.
            let link = files.resolve(&full, false).ok()?;
            if let Found::Entry(Entry { node: Node::Link(_) | Node::File(_), .. }) = files.find(&link.names) {
                return None;
            }
        }
        if let Some(up) = full.rfind("/..") {
            // Going up from what is not there fails.
            let below = files.resolve(full[..up].trim_end_matches("/.."), true).ok()?;
            files.dir(&below.names)?;
        }
        let at = match files.resolve(&full, follow) {
            Ok(at) => at,
            Err(_) if self.is_foreign() => return None,
            Err(_) => return Some(Place { names: Vec::new(), stands: Stands::Nowhere }),
        };
        if at.mystery.is_some() || at.unlisted.is_some() || self.touches_mount(&at.names) || is_runtime(&at.names) {
            return None;
        }
        let stands = match files.find(&at.names) {
            Found::Root(_) => Stands::Dir,
            Found::Entry(entry) => match &entry.node {
                Node::File(file) => Stands::File(file.clone()),
                Node::Dir(_) => Stands::Dir,
                Node::Link(_) => Stands::Link,
                Node::Unknown(_) => return None,
            },
            Found::Missing => {
                let parent = at.names.split_last().map_or(&[][..], |(_, parent)| parent);
                match files.dir(parent) {
                    Some(_) => Stands::Nothing,
                    None => Stands::Nowhere,
                }
            }
            Found::NotDir => Stands::Nowhere,
            Found::Unknown(_) | Found::Unlisted(_) => return None,
        };
        Some(Place { names: at.names, stands })
    }

    /// Whether everything below is known.
    pub fn is_known_below(&self, names: &[String]) -> bool {
        fn known(node: &Node) -> bool {
            match node {
                Node::Dir(dir) => {
                    dir.open.is_none() && !dir.vague && dir.children.values().all(|entry| known(&entry.node))
                }
                Node::Unknown(_) => false,
                _ => true,
            }
        }
        match self.stage.state.files.find(names) {
            Found::Entry(Entry { node: node @ Node::Dir(_), .. }) => {
                self.stage.shared.budget.take_steps(self.stage.shared.budget.paths());
                known(node)
            }
            Found::Entry(entry) => known(&entry.node),
            Found::Root(dir) => dir.open.is_none() && dir.children.values().all(|entry| known(&entry.node)),
            _ => true,
        }
    }

    /// Writes a command's output; `None` for output that is not known.
    pub fn write(&mut self, output: &Output, bytes: Option<Vec<u8>>) -> Result<Status, BuildError> {
        let Output::File { path, append } = output else { return Ok(Status::Success) };
        self.stage.shared.budget.take_bytes(bytes.as_ref().map_or(0, Vec::len));
        let full = if path.starts_with('/') { path.clone() } else { format!("{}/{path}", self.cwd.join("/")) };
        if let Ok(at) = self.stage.state.files.resolve(&full, true)
            && (self.in_mount(&at.names) || is_runtime(&at.names))
        {
            return Ok(Status::Unknown);
        }
        let Some(place) = self.place(path, true) else {
            self.forget(path);
            return Ok(Status::Unknown);
        };
        match (&place.stands, bytes) {
            (Stands::Dir, _) => Ok(Status::Failure),
            (Stands::Nowhere, _) if self.is_foreign() => {
                self.forget(path);
                Ok(Status::Unknown)
            }
            (Stands::Nowhere | Stands::Link, _) => Ok(Status::Failure),
            (Stands::File(file), Some(mut bytes)) => {
                if *append {
                    let mut all = self.bytes_of(&file.content)?.to_vec();
                    self.stage.shared.budget.take_bytes(all.len());
                    all.append(&mut bytes);
                    bytes = all;
                }
                self.replace_content(&place.names, file, bytes.into());
                Ok(Status::Success)
            }
            (Stands::Nothing, Some(_)) if *append && self.is_foreign() => {
                self.forget(path);
                Ok(Status::Unknown)
            }
            (Stands::Nothing, Some(bytes)) => {
                self.new_file(&place.names, Content::Bytes(bytes.into()), 0o644);
                Ok(Status::Success)
            }
            (_, None) => {
                self.forget(path);
                Ok(Status::Unknown)
            }
        }
    }

    /// Nothing is known any more about a path.
    pub fn forget(&mut self, path: &str) {
        let full = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.cwd.join("/")) };
        let reason = Arc::from("a command writes it, and what it writes is not followed");
        let mystery = Mystery { line: self.line, reason };
        let lexical: Vec<String> = names_of(&crate::dockerfile::pattern::clean(&full)).map(str::to_owned).collect();
        let resolved =
            self.stage.state.files.resolve(&full, true).map(|at| at.names).unwrap_or_else(|_| lexical.clone());
        self.stage.state.files.forget(&resolved, &mystery);
    }

    pub fn bytes_of(&self, content: &Content) -> Result<Arc<[u8]>, BuildError> {
        match content {
            Content::Bytes(bytes) => Ok(bytes.clone()),
            Content::Context(path) => {
                let bytes = self.stage.shared.build.context.read(path)?;
                self.stage.shared.budget.take_steps(bytes.len());
                Ok(bytes)
            }
        }
    }

    /// Writes into a file that is there: it keeps its mode, and all its names see it.
    pub fn replace_content(&mut self, names: &[String], file: &File, bytes: Arc<[u8]>) {
        self.set_content(names, file, Content::Bytes(bytes));
    }

    pub fn set_content(&mut self, names: &[String], file: &File, content: Content) {
        let line = self.line;
        if let Some(inode) = file.inode {
            self.stage.state.files.each_name(&[inode].into(), &mut |node| {
                if let Node::File(file) = node {
                    file.content = content.clone();
                }
            });
        }
        if let Some(entry) = self.stage.state.files.entry_mut(names) {
            entry.line = line;
            if let Node::File(file) = &mut entry.node {
                file.content = content;
            }
        }
    }

    pub fn new_file(&mut self, names: &[String], content: Content, mode: u32) {
        let file = File { content, mode, owner: self.owner(), inode: None };
        let line = self.line;
        self.stage.state.files.put(names, Entry { node: Node::File(file), line });
    }

    /// Who owns what a command makes.
    pub fn owner(&self) -> Option<u32> {
        match self.stage.state.user.as_str() {
            "" | "root" => Some(0),
            user => user.split(':').next().and_then(|user| user.parse().ok()),
        }
    }
}

/// What the runtime mounts or writes itself.
fn is_runtime(names: &[String]) -> bool {
    match names.first().map(String::as_str) {
        Some("dev" | "proc" | "sys") => true,
        Some("etc") => matches!(names.get(1).map(String::as_str), Some("hosts" | "resolv.conf" | "hostname")),
        _ => false,
    }
}
