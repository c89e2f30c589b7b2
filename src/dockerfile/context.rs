//! Where COPY takes files from: the build context as it reaches the builder, or another stage.
//!
//! The context is a [`Tree`] minus what the ignore file hides. Nothing is walked ahead: a single file that is copied
//! costs a look at its parents.
//!
//! Traps handled here: a directory that is ignored shows up again when an exception (`!`) shows something below it; the
//! client sends only what the instructions name, so the directory in front of a pattern that matches nothing may not be
//! there at all; a submodule has files that this tree cannot know.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::budget::Budget;
use super::files::{File, Files, Found, Mystery, Node as StageNode, names_of};
use super::pattern::{ParentMatch, Patterns, clean, has_wildcards, matches};
use super::{BuildError, Content, Generated, MAX_DEPTH};
use crate::tree::{Node, Tree, join, split};

/// What a source has at a path.
#[derive(Clone, Debug)]
pub(super) enum Item {
    File(File),
    /// Its mode, its owner, and why there may be more in it than is listed.
    Dir(u32, super::files::Owner, Option<Mystery>),
    Link(Arc<str>),
    Unknown(Mystery),
}

/// Something that files are copied from. Paths are without leading slash; no link is followed.
pub(super) trait Source {
    fn item(&self, path: &str) -> Result<Option<Item>, BuildError>;
    /// The names in a directory, sorted.
    fn list(&self, path: &str) -> Result<Vec<(String, Item)>, BuildError>;
    /// The bytes of a file of the build context.
    fn read(&self, path: &str) -> Result<Arc<[u8]>, BuildError>;
    /// Whether a path that is named in front of a pattern is there.
    fn present(&self, path: &str) -> Result<bool, BuildError> {
        Ok(path.is_empty() || self.item(path)?.is_some())
    }
}

/// What the ignore file says of a directory.
#[derive(Clone)]
struct DirState {
    ignored: bool,
    /// What moby remembers for its children.
    noted: ParentMatch,
    /// All that match it or a directory above; `None` where that was not to be found out.
    all: Option<ParentMatch>,
}

/// The build context.
pub(super) struct Context<'a> {
    tree: &'a dyn Tree,
    ignore: Patterns,
    budget: &'a Budget,
    /// What the client sends; `None` for everything.
    sent: Option<Patterns>,
    dirs: RefCell<HashMap<String, DirState>>,
    generated: Option<&'a dyn Generated>,
    /// Paths that instructions name and that only what is made before the build can have put there, with the line.
    made: RefCell<BTreeSet<(u32, String)>>,
    /// The line for what cannot be known.
    pub line: u32,
}

impl<'a> Context<'a> {
    pub fn new(tree: &'a dyn Tree, ignore: Patterns, generated: Option<&'a dyn Generated>, budget: &'a Budget) -> Self {
        let (dirs, made) = (RefCell::default(), RefCell::default());
        Self { tree, ignore, budget, sent: None, dirs, generated, made, line: 0 }
    }

    /// What is taken to be there because the build makes it, with the line that names it.
    pub fn taken_as_made(&self) -> BTreeSet<(u32, String)> {
        self.made.borrow().clone()
    }

    /// Notes the sources of all instructions of the build: the client sends what they name.
    pub fn will_need(&mut self, sources: &[(u32, String)]) -> Result<(), BuildError> {
        let mut names = Vec::new();
        for (line, source) in sources {
            let path = clean(&format!("/{source}"));
            if path == "/" {
                return Ok(());
            }
            names.push((*line, path[1..].to_owned()));
        }
        if names.is_empty() {
            return Ok(());
        }
        let mut sent = BTreeSet::new();
        for (_, name) in &names {
            self.follow(name, &mut sent, 0)?;
        }
        let patterns = Patterns::new(sent.iter().map(String::as_str));
        let failed = |why| {
            let is_wrong = |name: &String| Patterns::new([name.as_str()]).is_err();
            let line = names.iter().find(|(_, name)| is_wrong(name)).map_or(self.line, |(line, _)| *line);
            BuildError::Fails { line, message: format!("invalid includepatterns: {why}") }
        };
        self.sent = Some(patterns.map_err(failed)?);
        Ok(())
    }

    /// The path, and where it leads when it goes through symlinks; links are followed in the whole tree, ignored or not.
    fn follow(&self, path: &str, sent: &mut BTreeSet<String>, depth: u32) -> Result<(), BuildError> {
        let mut current = String::new();
        let mut rest = path;
        while !rest.is_empty() {
            let (name, after) = rest.split_once('/').unwrap_or((rest, ""));
            current = join(&current, name);
            rest = after;
            let targets = self.links_at(&current)?;
            if targets.is_empty() {
                continue;
            }
            if sent.contains(&current) || depth > 255 {
                return Ok(());
            }
            sent.insert(current);
            for target in targets {
                let target = clean(&format!("/{target}/{rest}"));
                if target == "/" {
                    continue;
                }
                self.follow(&target[1..], sent, depth + 1)?;
            }
            return Ok(());
        }
        sent.insert(current);
        Ok(())
    }

    /// The targets, from the root, of the symlinks that `path` (its last name may be a pattern) names.
    fn links_at(&self, path: &str) -> Result<Vec<String>, BuildError> {
        let (dir, name) = split(path);
        let target = |target: &str| if target.starts_with('/') { target.to_owned() } else { join(dir, target) };
        if !has_wildcards(name) {
            return Ok(match self.tree.node(path)? {
                Some(Node::Link { target: text }) => vec![target(&text)],
                _ => Vec::new(),
            });
        }
        if has_wildcards(dir) {
            // A pattern as a directory is looked up as it is written, and is not there.
            return Ok(Vec::new());
        }
        let mut targets = Vec::new();
        for (entry, node) in self.tree.list(dir)? {
            if let Node::Link { target: text } = node
                && matches(name, &entry).unwrap_or(false)
            {
                targets.push(target(&text));
            }
        }
        Ok(targets)
    }

    /// Paths at or in `path` are held against the ignore file.
    fn look(&self, path: &str, paths: usize) -> Result<(), BuildError> {
        if path.matches('/').count() > MAX_DEPTH {
            let message = format!("the build context has files in more than {MAX_DEPTH} directories");
            return Err(BuildError::Undecided { line: self.line, message });
        }
        // Most patterns are done with at a glance.
        self.budget.take_steps(paths.saturating_mul(1 + self.ignore.count() / 8));
        self.budget.check(self.line)
    }

    /// Whether the linter would say that the ignore file hides a source.
    pub fn hides(&self, source: &str) -> bool {
        let path = clean(&format!("/{source}"));
        !self.ignore.has_exceptions() && path != "/" && self.ignore.matches(&path[1..], None).unwrap_or(false)
    }

    fn ignored(&self, path: &str, is_dir: bool) -> Result<bool, BuildError> {
        if self.ignore.is_empty() || path.is_empty() {
            return Ok(false);
        }
        if is_dir {
            return Ok(self.dir_state(path)?.ignored);
        }
        let (parent, _) = split(path);
        let failed = |message| BuildError::Fails { line: self.line, message };
        if parent.is_empty() {
            return self.ignore.matches(path, None).map_err(failed);
        }
        let parent = self.dir_state(parent)?.noted;
        self.ignore.matches(path, Some(&parent)).map_err(failed)
    }

    fn dir_state(&self, path: &str) -> Result<DirState, BuildError> {
        if let Some(known) = self.dirs.borrow().get(path) {
            return Ok(known.clone());
        }
        let (parent, _) = split(path);
        let parent = if parent.is_empty() { None } else { Some(self.dir_state(parent)?) };
        let failed = |message| BuildError::Fails { line: self.line, message };
        let (ignored, noted) =
            self.ignore.matches_dir(path, parent.as_ref().map(|parent| &parent.noted)).map_err(failed)?;
        let all = match &parent {
            None => self.ignore.all_matches(path, None).ok(),
            Some(parent) => parent.all.as_ref().and_then(|all| self.ignore.all_matches(path, Some(all)).ok()),
        };
        let state = DirState { ignored, noted, all };
        self.dirs.borrow_mut().insert(path.to_owned(), state.clone());
        Ok(state)
    }

    /// Whether the ignore file leaves anything below a directory that it hides.
    fn shows_below(&self, dir: &str) -> Result<bool, BuildError> {
        if !self.ignore.has_exceptions() || !self.ignore.reaches_below(dir, true) {
            return Ok(false);
        }
        let nodes = self.tree.list(dir)?;
        self.look(dir, nodes.len())?;
        for (name, node) in nodes {
            let path = join(dir, &name);
            let is_dir = matches!(node, Node::Dir { .. });
            if !self.ignored(&path, is_dir)? || (is_dir && self.shows_below(&path)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What stands at a path, as the builder sees it; an instruction names it, or it is found in a directory.
    fn at(&self, path: &str, node: Option<Node>, named: bool) -> Result<Option<Item>, BuildError> {
        let Some(generated) = self.generated else {
            return node.map_or(Ok(None), |node| self.visible(path, node));
        };
        let mystery = |what: &str| self.made_before(path, what);
        if generated.is(path) {
            return Ok(if self.hidden(path)? {
                None
            } else {
                self.note_made(path);
                Some(Item::Unknown(mystery("is made")))
            });
        }
        let inside = generated.inside(path);
        match node {
            Some(node) if inside.is_nothing() => self.visible(path, node),
            None if inside.is_nothing() || self.hidden(path)? => Ok(None),
            Some(node @ Node::Dir { .. }) => Ok(match self.visible(path, node)? {
                Some(Item::Dir(mode, owner, _)) if inside.others => {
                    Some(Item::Dir(mode, owner, Some(mystery("may get more files"))))
                }
                item => item,
            }),
            None if inside.surely => {
                self.note_made(path);
                let open = inside.others.then(|| mystery("gets files"));
                Ok(Some(Item::Dir(0o755, Some(0), open)))
            }
            // A file where a directory is spelled out, or a path that may be one.
            Some(_) if inside.surely => Ok(Some(Item::Unknown(mystery("is replaced")))),
            Some(node) => self.visible(path, node),
            None => {
                if named {
                    self.note_made(path);
                }
                Ok(Some(Item::Unknown(mystery("may be made"))))
            }
        }
    }

    fn made_before(&self, path: &str, what: &str) -> Mystery {
        let path = if path.is_empty() { "the build context" } else { path };
        Mystery { line: self.line, reason: format!("{path} {what} before docker build runs (`generated`)").into() }
    }

    fn note_made(&self, path: &str) {
        self.made.borrow_mut().insert((self.line, path.to_owned()));
    }

    /// Whether the ignore file hides a path of which nobody knows whether it is a directory.
    fn hidden(&self, path: &str) -> Result<bool, BuildError> {
        Ok(self.ignored(path, false)? && !(self.ignore.has_exceptions() && self.ignore.reaches_below(path, true)))
    }

    fn visible(&self, path: &str, node: Node) -> Result<Option<Item>, BuildError> {
        let is_dir = matches!(node, Node::Dir { .. });
        if self.ignored(path, is_dir)? && !(is_dir && self.shows_below(path)?) {
            return Ok(None);
        }
        Ok(Some(match node {
            Node::File { mode } => {
                let content = if self.sent_empty(path)? {
                    Content::Bytes(Arc::from(Vec::new()))
                } else {
                    Content::Context(path.to_owned())
                };
                Item::File(File { content, mode: mode & 0o7777, owner: Some(0), inode: None })
            }
            Node::Dir { mode } => Item::Dir(mode & 0o7777, Some(0), None),
            Node::Link { target } => Item::Link(target.into()),
            Node::Submodule { commit } => Item::Unknown(Mystery {
                line: self.line,
                reason: format!("{path} is a git submodule (at {}); its files are not in this tree", commit.short())
                    .into(),
            }),
        }))
    }

    /// Whether the client lists a file but then refuses to open it, and so sends it without content.
    ///
    /// It lists while it remembers what the parents matched, and opens without: `*`, `!sub/a`, `sub` lists `sub/a` (the
    /// last pattern was superfluous for `sub`, so it is forgotten there) and finds it ignored when it is to be read.
    fn sent_empty(&self, path: &str) -> Result<bool, BuildError> {
        let (parent, _) = split(path);
        if !self.ignore.has_exceptions() || parent.is_empty() {
            return Ok(false);
        }
        let parent = self.dir_state(parent)?;
        if parent.all.as_ref() == Some(&parent.noted) {
            // It was found to be there by the same patterns.
            return Ok(false);
        }
        let failed = |message| BuildError::Fails { line: self.line, message };
        self.ignore.matches(path, parent.all.as_ref()).map_err(failed)
    }

    /// Whether anything that the client sends lies in `dir`.
    fn sends_below(&self, dir: &str, sent: &Patterns) -> Result<bool, BuildError> {
        if !sent.reaches_below(dir, false) {
            return Ok(false);
        }
        for (name, item) in self.list(dir)? {
            let path = join(dir, &name);
            if sent.matches(&path, None).map_err(|message| BuildError::Fails { line: self.line, message })? {
                return Ok(true);
            }
            let below = match item {
                Item::Unknown(_) | Item::Dir(_, _, Some(_)) => sent.reaches_below(&path, false),
                Item::Dir(..) => self.sends_below(&path, sent)?,
                Item::File(_) | Item::Link(_) => false,
            };
            if below {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Source for Context<'_> {
    fn item(&self, path: &str) -> Result<Option<Item>, BuildError> {
        if path.is_empty() {
            let others = self.generated.is_some_and(|generated| generated.inside("").others);
            let open = others.then(|| self.made_before(path, "may get more files"));
            return Ok(Some(Item::Dir(0o755, Some(0), open)));
        }
        self.look(path, 1)?;
        self.at(path, self.tree.node(path)?, true)
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Item)>, BuildError> {
        let mut items = Vec::new();
        let nodes = self.tree.list(path)?;
        self.look(path, nodes.len())?;
        let mut made = self.generated.map(|generated| generated.inside(path).names).unwrap_or_default();
        for (name, node) in nodes {
            made.remove(&name);
            if let Some(item) = self.at(&join(path, &name), Some(node), false)? {
                items.push((name, item));
            }
        }
        if !made.is_empty() {
            for name in made {
                if let Some(item) = self.at(&join(path, &name), None, false)? {
                    items.push((name, item));
                }
            }
            items.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        Ok(items)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, BuildError> {
        Ok(self.tree.read(path)?)
    }

    fn present(&self, path: &str) -> Result<bool, BuildError> {
        if path.is_empty() {
            return Ok(true);
        }
        match self.item(path)? {
            None => return Ok(false),
            // What nobody knows may be sent.
            Some(Item::Unknown(_) | Item::Dir(_, _, Some(_))) => return Ok(true),
            Some(_) => {}
        }
        let Some(sent) = &self.sent else { return Ok(true) };
        self.budget.take_steps(sent.count());
        let named = sent.matches(path, None).map_err(|message| BuildError::Fails { line: self.line, message })?;
        Ok(named || self.sends_below(path, sent)?)
    }
}

/// The files of a stage as a source, and whether it stands on an image that nobody has looked into.
pub(super) struct StageFiles<'a> {
    pub context: &'a dyn Tree,
    pub files: &'a Files,
    pub foreign: Option<Mystery>,
}

impl Source for StageFiles<'_> {
    fn item(&self, path: &str) -> Result<Option<Item>, BuildError> {
        let names: Vec<&str> = names_of(path).collect();
        Ok(match self.files.find(&names) {
            Found::Root(dir) => Some(Item::Dir(dir.mode, dir.owner, self.foreign.clone().or_else(|| dir.open.clone()))),
            Found::Entry(entry) => Some(self.entry(&entry.node)),
            Found::Missing => self.foreign.clone().map(Item::Unknown),
            Found::NotDir => None,
            Found::Unknown(mystery) | Found::Unlisted(mystery) => Some(Item::Unknown(mystery.clone())),
        })
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, BuildError> {
        Ok(self.context.read(path)?)
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Item)>, BuildError> {
        let names: Vec<&str> = names_of(path).collect();
        let Some(dir) = self.files.dir(&names) else { return Ok(Vec::new()) };
        Ok(dir.children.iter().map(|(name, entry)| (name.clone(), self.entry(&entry.node))).collect())
    }
}

impl StageFiles<'_> {
    fn entry(&self, node: &StageNode) -> Item {
        match node {
            StageNode::File(file) => Item::File(file.clone()),
            StageNode::Dir(dir) => Item::Dir(dir.mode, dir.owner, dir.open.clone().or_else(|| self.foreign.clone())),
            StageNode::Link(target) => Item::Link(target.clone()),
            StageNode::Unknown(mystery) => Item::Unknown(mystery.clone()),
        }
    }
}

/// Follows the symlinks of a path in a source, the last one's too when `last`.
pub(super) fn follow(source: &dyn Source, path: &str, last: bool) -> Result<Followed, BuildError> {
    let mut todo: Vec<String> = names_of(path).rev().map(str::to_owned).collect();
    let mut at = String::new();
    let mut links = 0;
    while let Some(name) = todo.pop() {
        if name == ".." {
            at = split(&at).0.to_owned();
            continue;
        }
        let next = join(&at, &name);
        match source.item(&next)? {
            Some(Item::Link(target)) if last || !todo.is_empty() => {
                links += 1;
                if links > 255 {
                    return Ok(Followed::Missing);
                }
                if target.starts_with('/') {
                    at.clear();
                }
                todo.extend(names_of(&target).rev().map(str::to_owned));
            }
            Some(Item::Unknown(mystery)) => return Ok(Followed::Unknown(mystery)),
            Some(_) => at = next,
            None => return Ok(Followed::Missing),
        }
    }
    Ok(match source.item(&at)? {
        Some(Item::Unknown(mystery)) => Followed::Unknown(mystery),
        Some(item) => Followed::There(at, item),
        None => Followed::Missing,
    })
}

/// Where a path leads.
pub(super) enum Followed {
    There(String, Item),
    Missing,
    Unknown(Mystery),
}
