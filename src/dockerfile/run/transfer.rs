//! `cp`, `mv` and `ln`: where the last word of a command decides what the others become.
//!
//! Traps handled here: an existing directory takes things in; `cp` writes into a file that is there, which keeps its mode
//! and shows in its other names, while `mv` replaces it; a link at the destination is written through by one and
//! replaced by the other.

use std::sync::Arc;

use super::commands::Options;
use super::exec::{Machine, Status};
use super::paths::{Place, Stands};
use crate::dockerfile::MAX_DEPTH;
use crate::dockerfile::files::{Dir, Entry, Found, Node};

/// How many names the longest path below has.
fn height(node: &Node) -> usize {
    let Node::Dir(dir) = node else { return 0 };
    dir.children.values().map(|entry| 1 + height(&entry.node)).max().unwrap_or(0)
}

impl Machine<'_, '_, '_> {
    pub(super) fn cp(&mut self, words: &[String]) -> Option<Status> {
        let options = Options::read(words, "rRafpv")?;
        let (target, sources) = options.operands.split_last().filter(|(_, sources)| !sources.is_empty())?;
        let recursive = options.has("rRa");
        let preserve = options.has("ap");
        let into = self.target_dir(target, sources.len())?;
        let mut status = Status::Success;
        for source in sources {
            let contents = source.ends_with("/.") || *source == ".";
            let from = self.place(source, !recursive)?;
            match &from.stands {
                // On the command line, tools treat a link in their own ways when they recurse.
                Stands::Link => return None,
                Stands::Nothing | Stands::Nowhere if self.is_foreign() => return None,
                Stands::Nothing | Stands::Nowhere => status = Status::Failure,
                Stands::Dir if !recursive => status = Status::Failure,
                _ => {
                    let to = match (&into, contents) {
                        (Some(dir), true) => Place { names: dir.clone(), stands: Stands::Dir },
                        (Some(dir), false) => self.within(dir, source)?,
                        (None, _) => self.place(target, true)?,
                    };
                    if !self.is_known_below(&from.names) || !self.is_known_below(&to.names) {
                        return None;
                    }
                    // Into itself.
                    if to.names.starts_with(&from.names) && matches!(from.stands, Stands::Dir) {
                        return None;
                    }
                    let ended = self.copy_tree(&from, &to, preserve)?;
                    if ended != Status::Success {
                        status = ended;
                    }
                }
            }
        }
        Some(status)
    }

    /// The directory that a target is, `None` inside when it is another thing. Several sources need one.
    fn target_dir(&self, target: &str, sources: usize) -> Option<Option<Vec<String>>> {
        let place = self.place(target, true)?;
        match place.stands {
            Stands::Dir => Some(Some(place.names)),
            _ if sources > 1 => None,
            Stands::Nothing if self.is_foreign() && target.ends_with('/') => None,
            _ => Some(None),
        }
    }

    fn within(&self, dir: &[String], source: &str) -> Option<Place> {
        let name = source.trim_end_matches('/').rsplit('/').next().filter(|name| !matches!(*name, "" | "." | ".."))?;
        self.place(&format!("/{}/{name}", dir.join("/")), false)
    }

    fn copy_tree(&mut self, from: &Place, to: &Place, preserve: bool) -> Option<Status> {
        let node = match self.stage.state.files.find(&from.names) {
            Found::Entry(entry) => entry.node.clone(),
            Found::Root(_) | Found::Missing | Found::NotDir | Found::Unknown(_) | Found::Unlisted(_) => return None,
        };
        self.copy_node(&node, &to.names, &to.stands, preserve, from.names == to.names)
    }

    fn copy_node(&mut self, node: &Node, to: &[String], stands: &Stands, preserve: bool, same: bool) -> Option<Status> {
        let line = self.line;
        match (node, stands) {
            (_, Stands::Nowhere) => Some(self.failure()),
            (Node::File(_), _) if same => Some(Status::Failure),
            (Node::File(file), Stands::Nothing) => {
                if file.mode & 0o7000 != 0 && !preserve {
                    return None;
                }
                let mode = if preserve { file.mode } else { file.mode & !0o022 };
                // Preserved hard links are the business of one tool and not of another.
                if file.inode.is_some() && preserve {
                    return None;
                }
                self.new_file(to, file.content.clone(), mode);
                Some(Status::Success)
            }
            (Node::File(file), Stands::File(old)) => {
                let old = old.clone();
                self.set_content(to, &old, file.content.clone());
                if preserve && let Some(Entry { node: Node::File(new), .. }) = self.stage.state.files.entry_mut(to) {
                    if new.inode.is_some() {
                        return None;
                    }
                    new.mode = file.mode;
                }
                Some(Status::Success)
            }
            (Node::File(_), Stands::Dir) | (Node::Dir(_), Stands::File(_)) => Some(Status::Failure),
            (Node::Link(target), Stands::Nothing) => {
                self.stage.state.files.put(to, Entry { node: Node::Link(target.clone()), line });
                Some(Status::Success)
            }
            (Node::Dir(dir), Stands::Nothing | Stands::Dir) => self.copy_dir(dir, to, stands, preserve),
            _ => None,
        }
    }

    fn copy_dir(&mut self, dir: &Arc<Dir>, to: &[String], stands: &Stands, preserve: bool) -> Option<Status> {
        if matches!(stands, Stands::Nothing) {
            if dir.mode & 0o7000 != 0 {
                return None;
            }
            self.new_dir(to, if preserve { dir.mode } else { dir.mode & !0o022 });
        } else if preserve && let Some(existing) = self.stage.state.files.dir_mut(to) {
            existing.mode = dir.mode;
        }
        let mut status = Status::Success;
        for (name, entry) in &dir.children {
            let mut below = to.to_vec();
            below.push(name.clone());
            let stands = match self.stage.state.files.find(&below) {
                Found::Missing => Stands::Nothing,
                Found::Entry(Entry { node: Node::File(file), .. }) => Stands::File(file.clone()),
                Found::Entry(Entry { node: Node::Dir(_), .. }) => Stands::Dir,
                _ => return None,
            };
            let ended = self.copy_node(&entry.node, &below, &stands, preserve, false)?;
            if ended != Status::Success {
                status = ended;
            }
        }
        Some(status)
    }

    pub(super) fn mv(&mut self, words: &[String]) -> Option<Status> {
        let options = Options::read(words, "fv")?;
        let (target, sources) = options.operands.split_last().filter(|(_, sources)| !sources.is_empty())?;
        let into = self.target_dir(target, sources.len())?;
        let mut status = Status::Success;
        for source in sources {
            let from = self.place(source.trim_end_matches('/'), false)?;
            if matches!(from.stands, Stands::Nothing | Stands::Nowhere) {
                if self.is_foreign() {
                    return None;
                }
                status = Status::Failure;
                continue;
            }
            if source.ends_with('/') && !matches!(from.stands, Stands::Dir) || from.names.is_empty() {
                return None;
            }
            let to = match &into {
                Some(dir) => self.within(dir, source)?,
                None => self.place(target.trim_end_matches('/'), false)?,
            };
            let slash = into.is_none() && target.ends_with('/') && !matches!(from.stands, Stands::Dir);
            let ended = if slash { self.failure() } else { self.rename(&from, &to)? };
            if ended != Status::Success {
                status = ended;
            }
        }
        Some(status)
    }

    fn rename(&mut self, from: &Place, to: &Place) -> Option<Status> {
        let from_dir = matches!(from.stands, Stands::Dir);
        if to.names.starts_with(&from.names) {
            return None;
        }
        match &to.stands {
            Stands::Nowhere => return Some(self.failure()),
            Stands::Dir if !from_dir => return Some(Status::Failure),
            Stands::Dir => {
                let dir = self.stage.state.files.dir(&to.names)?;
                if dir.open.is_some() || self.is_foreign() {
                    return None;
                }
                if !dir.children.is_empty() {
                    return Some(Status::Failure);
                }
            }
            Stands::File(_) | Stands::Link if from_dir => return Some(Status::Failure),
            _ => {}
        }
        if let Found::Entry(entry) = self.stage.state.files.find(&from.names)
            && to.names.len() + height(&entry.node) > MAX_DEPTH
        {
            return None;
        }
        let mut entry = self.stage.state.files.remove(&from.names)?;
        entry.line = self.line;
        self.stage.state.files.put(&to.names, entry);
        Some(Status::Success)
    }

    pub(super) fn ln(&mut self, words: &[String]) -> Option<Status> {
        let options = Options::read(words, "sfnvT")?;
        let [target, link] = options.operands.as_slice() else { return None };
        let no_follow = options.has("nT");
        let mut place = self.place(link, false)?;
        let leads_to_dir =
            matches!(&place.stands, Stands::Link) && matches!(self.place(link, true)?.stands, Stands::Dir);
        if matches!(place.stands, Stands::Dir) && !options.has("T") || leads_to_dir && !no_follow {
            let dir = self.place(link, true)?.names;
            place = self.within(&dir, target)?;
        }
        match &place.stands {
            Stands::Nothing => {}
            Stands::Nowhere => return Some(self.failure()),
            Stands::Dir => return Some(Status::Failure),
            _ if !options.has("f") => return Some(Status::Failure),
            _ => {}
        }
        let line = self.line;
        if options.has("s") {
            self.stage.state.files.put(&place.names, Entry { node: Node::Link((*target).into()), line });
            return Some(Status::Success);
        }
        self.hard_link(target, &place)
    }

    fn hard_link(&mut self, target: &str, place: &Place) -> Option<Status> {
        let from = self.place(target, false)?;
        match &from.stands {
            Stands::File(_) if from.names == place.names => None,
            Stands::File(file) => {
                let mut file = file.clone();
                if file.inode.is_none() {
                    self.stage.shared.next_inode += 1;
                    file.inode = Some(self.stage.shared.next_inode);
                    if let Some(Entry { node: Node::File(old), .. }) = self.stage.state.files.entry_mut(&from.names) {
                        old.inode = file.inode;
                    }
                }
                let line = self.line;
                self.stage.state.files.put(&place.names, Entry { node: Node::File(file), line });
                Some(Status::Success)
            }
            Stands::Nothing | Stands::Nowhere if self.is_foreign() => None,
            Stands::Dir | Stands::Nothing | Stands::Nowhere => Some(Status::Failure),
            Stands::Link => None,
        }
    }
}
