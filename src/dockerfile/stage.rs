//! One stage while it runs: its variables, its working directory, its files; and what each instruction does to them.
//!
//! Traps handled here: an instruction sees the variables as they were before it, only `ARG A=a B=$A` sees A; the last of
//! ARG and ENV wins, but a child stage begins with ENV's value; a build argument counts only where it is declared; a
//! relative destination is relative to the working directory, and made absolute without looking at links.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use super::archive;
use super::budget::{Budget, Failure};
use super::chmod::{self, Change};
use super::context::{Context, Source, StageFiles};
use super::copy::{Copier, Job, Notes};
use super::expansion::{Environment, Lexer};
use super::files::{Dir, Files, Mystery, Node, Owner, own};
use super::instructions::{Copy, Instruction, What};
use super::lint::Lint;
use super::pattern::{Patterns, has_wildcards};
use super::stages::{DEFAULT_PATH, Plan, Planned};
use super::{Assumption, Build, BuildError, Image, Taken, Trap, run};

/// The arguments before the first FROM, with those of the platform.
pub(super) struct Globals {
    pub arguments: Environment,
}

/// What all stages of a build have in common.
pub(super) struct Shared<'a> {
    pub build: &'a Build<'a>,
    pub budget: &'a Rc<Budget>,
    pub lexer: Lexer<'a>,
    pub globals: Globals,
    pub context: Context<'a>,
    pub lint: Lint,
    pub notes: Notes,
    assumptions: BTreeSet<(u32, String)>,
    pub next_inode: u64,
}

impl<'a> Shared<'a> {
    pub fn new(
        build: &'a Build<'a>,
        budget: &'a Rc<Budget>,
        lexer: Lexer<'a>,
        globals: Globals,
        context: Context<'a>,
        lint: Lint,
    ) -> Self {
        let (notes, assumptions) = (Notes::default(), BTreeSet::new());
        Self { build, budget, lexer, globals, context, lint, notes, assumptions, next_inode: 0 }
    }

    /// Takes something for granted, once.
    pub fn assume(&mut self, line: u32, text: String) {
        self.assumptions.insert((line, text));
    }

    pub fn trap(&mut self, line: u32, message: String) {
        self.notes.traps.push(Trap { line, message });
    }

    /// Hands what was noted to the image.
    pub fn finish(mut self, image: &mut Image) {
        let unlisted: BTreeSet<(String, u32)> = std::mem::take(&mut self.notes.unlisted).into_iter().collect();
        for (path, line) in unlisted {
            self.assume(line, format!("nothing that is left here stands in the way of /{path}, which is copied later"));
        }
        for (line, path) in self.context.taken_as_made() {
            self.notes.taken.push(Taken::Generated);
            self.assume(line, format!("{path} is there when docker build runs (`generated`)"));
        }
        image.assumptions.extend(self.assumptions.into_iter().map(|(line, text)| Assumption { line, text }));
        image.assumptions.sort_by(|a, b| (a.line, &a.text).cmp(&(b.line, &b.text)));
        image.taken = self.notes.taken.into_iter().collect();
        image.traps = self.notes.traps;
        image.traps.sort_by(|a, b| (a.line, &a.message).cmp(&(b.line, &b.message)));
        image.traps.dedup();
    }
}

/// A stage's state.
#[derive(Clone)]
pub(super) struct State {
    pub files: Files,
    pub variables: Environment,
    /// What ENV has set: a child stage begins with these values, whatever ARG said later.
    pub image_variables: Environment,
    pub workdir: String,
    pub user: String,
    pub shell: Option<Vec<String>>,
    /// The arguments that are declared, here or in a parent stage.
    pub declared: BTreeSet<String>,
    /// The stage stands on an image that nobody has looked into.
    pub foreign: Option<Mystery>,
    /// No instruction has made a layer yet: there is not even a place to look for `/etc/passwd`.
    pub blank: bool,
}

impl State {
    pub fn scratch(budget: &Rc<Budget>) -> Self {
        let (variables, image_variables) = first_variables();
        Self {
            files: Files::new(budget),
            variables,
            image_variables,
            workdir: "/".to_owned(),
            user: String::new(),
            shell: None,
            declared: BTreeSet::new(),
            foreign: None,
            blank: true,
        }
    }

    pub fn foreign(image: &str, line: u32, budget: &Rc<Budget>) -> Self {
        let reason: Arc<str> = format!("it comes from the image {image}, which is not looked into").into();
        Self { foreign: Some(Mystery { line, reason }), blank: false, ..Self::scratch(budget) }
    }

    pub fn child(&self, budget: &Budget) -> Self {
        let mut child = self.clone();
        let names = self.declared.iter().map(String::len).sum::<usize>();
        for (count, bytes) in [self.variables.weight(), self.image_variables.weight(), (self.declared.len(), names)] {
            budget.take_variables(count, bytes);
        }
        begin_variables(&mut child.variables, &child.image_variables);
        child
    }
}

/// The variables that every stage begins with: those that instructions see, and those of the image.
pub(super) fn first_variables() -> (Environment, Environment) {
    let mut variables = Environment::default();
    variables.set("PATH", DEFAULT_PATH);
    (variables.clone(), variables)
}

/// Begins a stage: the image's variables come first.
pub(super) fn begin_variables(variables: &mut Environment, image: &Environment) {
    for (name, value) in image.iter() {
        variables.set(name, value);
    }
}

/// What ARG and ENV do. Answers with the names that were asked for and are not set.
pub(super) fn change_variables(
    what: &What,
    variables: &mut Environment,
    image: &mut Environment,
    lexer: &Lexer<'_>,
    build: &Build<'_>,
    globals: &Globals,
) -> Result<Vec<String>, Failure> {
    let mut unset = Vec::new();
    match what {
        What::Arg(pairs) => {
            for (name, default) in pairs {
                let value = if let Some(value) = build.build_args.get(name) {
                    Some(value.clone())
                } else if let Some(default) = default {
                    let expanded = lexer.word(default, variables)?;
                    unset.extend(expanded.unset);
                    Some(expanded.text)
                } else {
                    globals.arguments.get(name).map(str::to_owned)
                };
                if let Some(value) = value {
                    variables.set(name, &value);
                }
            }
        }
        What::Env(pairs) => {
            // All of them see the variables as they were before.
            let mut after = Vec::new();
            for (name, value) in pairs {
                let (name, value) = (lexer.word(name, variables)?, lexer.word(value, variables)?);
                unset.extend(name.unset.into_iter().chain(value.unset));
                after.push((name.text, value.text));
            }
            for (name, value) in after {
                variables.set(&name, &value);
                image.set(&name, &value);
            }
        }
        _ => {}
    }
    Ok(unset)
}

/// Whether ADD would fetch it.
pub(super) fn is_url(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// A git repository, as BuildKit tells it from a path.
fn is_git(source: &str) -> bool {
    let address = source.split('#').next().unwrap_or_default();
    source.starts_with("git://")
        || source.starts_with("ssh://")
        || source.starts_with("git@")
        || (is_url(source) && address.ends_with(".git"))
}

/// A stage that runs.
pub(super) struct Running<'s, 'a> {
    pub shared: &'s mut Shared<'a>,
    pub plan: &'s Plan,
    pub earlier: &'s [Option<State>],
    pub state: State,
}

impl Running<'_, '_> {
    /// Runs all instructions.
    pub fn run(mut self) -> Result<State, BuildError> {
        let plan = self.plan;
        self.shared.lint.begin_stage();
        for planned in &plan.instructions {
            let line = planned.instruction.line;
            self.shared.context.line = line;
            self.instruction(planned)?;
            self.shared.budget.check(line)?;
        }
        Ok(self.state)
    }

    fn instruction(&mut self, planned: &Planned) -> Result<(), BuildError> {
        let Instruction { line, what } = &planned.instruction;
        let line = *line;
        self.shared.lint.instruction(line, self.state.shell.is_some());
        match what {
            What::Arg(_) | What::Env(_) => self.variables(line, what),
            What::Copy(copy) => self.copy(line, copy, planned.from.first().copied().flatten()),
            What::Run(instruction) => run::run(self, line, instruction, &planned.from),
            What::Workdir(path) => self.workdir(line, path),
            What::User(user) => {
                self.state.user = self.word(line, user)?;
                Ok(())
            }
            What::Shell(shell) => {
                self.state.shell = Some(shell.clone());
                Ok(())
            }
            What::Metadata(words) => words.iter().try_for_each(|word| self.word(line, word).map(|_| ())),
            What::Onbuild(_) => Ok(()),
        }
    }

    fn variables(&mut self, line: u32, what: &What) -> Result<(), BuildError> {
        let State { variables, image_variables, .. } = &mut self.state;
        let Shared { lexer, build, globals, .. } = &*self.shared;
        let unset =
            change_variables(what, variables, image_variables, lexer, build, globals).map_err(|why| why.at(line))?;
        self.note_unset(line, &unset);
        if let What::Arg(pairs) = what {
            for (name, _) in pairs {
                self.state.declared.insert(name.clone());
                let platform = name.starts_with("TARGET") || name.starts_with("BUILD");
                if platform
                    && self.shared.globals.arguments.get(name).is_some()
                    && !self.shared.build.build_args.contains_key(name)
                {
                    self.shared.assume(line, "the image is built for linux/amd64, on linux/amd64".to_owned());
                }
            }
        }
        Ok(())
    }

    /// Substitutes in a word.
    pub fn word(&mut self, line: u32, text: &str) -> Result<String, BuildError> {
        let lexer = self.shared.lexer;
        self.expand(line, lexer, text)
    }

    fn expand(&mut self, line: u32, lexer: Lexer<'_>, text: &str) -> Result<String, BuildError> {
        let expanded = lexer.word(text, &self.state.variables).map_err(|why| why.at(line))?;
        self.note_unset(line, &expanded.unset);
        Ok(expanded.text)
    }

    fn note_unset(&mut self, line: u32, unset: &[String]) {
        for name in unset {
            if !self.state.declared.contains(name) {
                self.shared.lint.unset(line, name);
            }
            if self.state.foreign.is_some() {
                self.shared.assume(line, format!("the base image does not set the variable {name}"));
            }
        }
    }

    fn workdir(&mut self, line: u32, path: &str) -> Result<(), BuildError> {
        let path = self.word(line, path)?;
        self.shared.lint.workdir(line, &path);
        self.state.workdir = absolute(&self.state.workdir, &path, false);
        if self.state.workdir == "/" {
            return Ok(());
        }
        let user = self.state.user.clone();
        let owner = if user.is_empty() { Some(0) } else { self.owner(line, &user, self.state.blank)? };
        let resolved = self.state.files.resolve(&self.state.workdir, true);
        let stuck = |message: String| fails(line, format!("mkdir {message}"));
        let resolved = resolved.map_err(|why| stuck(why.message()))?;
        self.state.blank = false;
        if resolved.mystery.is_some() {
            return Ok(());
        }
        self.state.files.make_dirs(&resolved.names, 0o755, owner, line).map_err(|why| stuck(why.message()))
    }

    /// The uid of `--chown` or USER, where it is a number; `root` and nothing are 0.
    fn owner(&self, line: u32, user: &str, blank: bool) -> Result<Owner, BuildError> {
        let (user, group) = user.split_once(':').unwrap_or((user, ""));
        let number = |text: &str| match text {
            "" | "root" => Some(0),
            text => text.parse::<u32>().ok().filter(|id| i32::try_from(*id).is_ok()),
        };
        if blank && (number(user).is_none() || number(group).is_none()) {
            return Err(fails(line, "invalid user index: -1: there is no /etc/passwd to look the name up in"));
        }
        Ok(number(user))
    }

    fn copy(&mut self, line: u32, copy: &Copy, from: Option<usize>) -> Result<(), BuildError> {
        let name = if copy.add { "ADD" } else { "COPY" };
        let chown = self.word(line, &copy.chown)?;
        let chmod = self.word(line, &copy.chmod)?;
        let checksum = self.word(line, &copy.checksum)?;
        let sources = copy.sources.iter().map(|source| self.word(line, source)).collect::<Result<Vec<_>, _>>()?;
        let destination = self.word(line, &copy.destination)?;
        let mut bodies = Vec::new();
        for heredoc in &copy.heredocs {
            let body = heredoc.content();
            self.shared.budget.take_bytes(body.len());
            self.shared.budget.check(line)?;
            let body = if heredoc.expand { self.expand(line, Lexer::raw(self.shared.budget), &body)? } else { body };
            bodies.push((heredoc.name.clone(), body));
        }
        let chmod =
            if chmod.is_empty() { None } else { Some(chmod::parse_flag(&chmod).map_err(|why| fails(line, why))?) };
        if !checksum.is_empty() {
            let fetched = sources.len() == 1 && (is_url(&sources[0]) || is_git(&sources[0]));
            if !fetched {
                return Err(fails(line, "checksum requires one HTTP(S) or Git source"));
            }
        }
        self.note_copy_traps(line, name, copy);
        if from.is_none() && self.shared.lint.is_on() {
            for source in &sources {
                if self.shared.context.hides(source) {
                    self.shared.lint.ignored_source(line, source);
                }
            }
        }
        // With --link and without --chmod, the files get a layer of their own that is put over the others.
        let merges = copy.link && chmod.is_none();
        let blank = self.state.blank || merges;
        let chown = if chown.is_empty() { None } else { Some(self.owner(line, &chown, blank)?) };
        let destination = absolute(&self.state.workdir, &destination, true);
        let plan = CopyPlan { line, copy, chmod, chown, sources, bodies, destination, from };
        if merges {
            let beneath = std::mem::replace(&mut self.state.files, Files::new(self.shared.budget));
            let result = self.copy_files(&plan);
            let above = std::mem::replace(&mut self.state.files, beneath);
            result?;
            self.merge(line, &above);
        } else {
            self.copy_files(&plan)?;
        }
        self.state.blank = false;
        Ok(())
    }

    fn note_copy_traps(&mut self, line: u32, name: &str, copy: &Copy) {
        if copy.broken_json {
            let message =
                format!("the arguments of this {name} look like a JSON array but are none, so they are read as words");
            self.shared.trap(line, message);
        }
        for pattern in copy.exclude.iter().filter(|pattern| pattern.contains('$')) {
            let message = format!("--exclude={pattern} is taken as it is: variables are not substituted there");
            self.shared.trap(line, message);
        }
    }

    /// Puts a layer over the files: directories merge, everything else is replaced.
    fn merge(&mut self, line: u32, above: &Files) {
        let mut replaced = Vec::new();
        if let Some(root) = self.state.files.dir_mut::<&str>(&[]) {
            merge_dirs(root, above.root(), "", &mut replaced, self.shared.budget);
        }
        for path in replaced {
            let text = format!(
                "--link replaces the symlink or file /{path}, as the containerd image store does it; other stores follow it"
            );
            self.shared.assume(line, text);
        }
    }

    fn copy_files(&mut self, plan: &CopyPlan<'_>) -> Result<(), BuildError> {
        let CopyPlan { line, copy, .. } = *plan;
        let exclude = Patterns::new(copy.exclude.iter().map(String::as_str)).map_err(|why| fails(line, why))?;
        let stage;
        let (source, from): (&dyn Source, &str) = match plan.from {
            None => (&self.shared.context, "the build context"),
            Some(index) => {
                let Some(state) = self.earlier.get(index).and_then(Option::as_ref) else {
                    let from = copy.from.as_deref().unwrap_or_default();
                    return Err(fails(
                        line,
                        format!("cannot copy from stage {from:?}, it needs to be defined before this stage"),
                    ));
                };
                let context = self.shared.build.context;
                stage = StageFiles { context, files: &state.files, foreign: state.foreign.clone() };
                (&stage, copy.from.as_deref().unwrap_or_default())
            }
        };
        let mut job = Job {
            line,
            source,
            from,
            chmod: plan.chmod.clone(),
            chown: plan.chown,
            exclude: &exclude,
            include: None,
            destination: &plan.destination,
        };
        let mut copier = Copier {
            files: &mut self.state.files,
            notes: &mut self.shared.notes,
            budget: self.shared.budget,
            next_inode: &mut self.shared.next_inode,
        };
        for word in &plan.sources {
            if is_url(word) || is_git(word) {
                if !copy.add {
                    return Err(fails(line, format!("source can't be a URL or git repository for COPY: {word}")));
                }
                fetched(&mut copier, &job, word)?;
            } else if copy.parents {
                copy_parents(&mut copier, &mut job, word)?;
            } else if copy.unpack.unwrap_or(copy.add) {
                add(&mut copier, &job, word)?;
            } else {
                copier.copy(&job, word)?;
            }
        }
        for (name, body) in &plan.bodies {
            copier.write(&job, name, Arc::from(body.as_bytes()))?;
        }
        Ok(())
    }
}

struct CopyPlan<'c> {
    line: u32,
    copy: &'c Copy,
    chmod: Option<Change>,
    chown: Option<Owner>,
    sources: Vec<String>,
    bodies: Vec<(String, String)>,
    destination: String,
    from: Option<usize>,
}

/// ADD of something from the network: what it is stays unknown.
fn fetched(copier: &mut Copier<'_>, job: &Job<'_>, word: &str) -> Result<(), BuildError> {
    let Some(target) = copier.destination(job)? else { return Ok(()) };
    let mystery = Mystery { line: job.line, reason: format!("ADD fetches {word}").into() };
    let mut names = target.names;
    let into = job.destination.ends_with(['/', '.']) || copier.files.dir(&names).is_some();
    if is_git(word) {
        copier.files.forget_contents(&names, &mystery);
        return Ok(());
    }
    if into {
        let path = word.split(['?', '#']).next().unwrap_or_default();
        let name = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("__unnamed__");
        names.push(name.to_owned());
    }
    copier.files.forget(&names, &mystery);
    Ok(())
}

/// ADD of a local path: an archive is unpacked, anything else copied.
fn add(copier: &mut Copier<'_>, job: &Job<'_>, word: &str) -> Result<(), BuildError> {
    for path in copier.matching(job, word)? {
        if !archive::unpack(copier, job, &path)? {
            copier.copy_path(job, &path)?;
        }
    }
    Ok(())
}

/// `--parents`: what comes after `/./` is a pattern below what comes before it, and its directories are made too.
fn copy_parents(copier: &mut Copier<'_>, job: &mut Job<'_>, word: &str) -> Result<(), BuildError> {
    let (base, pattern) = word.split_once("/./").unwrap_or(("/", word));
    let absolute_pattern = absolute("/", pattern, false);
    let pattern = absolute_pattern.strip_prefix('/').unwrap_or(&absolute_pattern);
    let include = Patterns::new([pattern]).map_err(|why| fails(job.line, format!("invalid includepatterns: {why}")))?;
    if !has_wildcards(base) && !has_wildcards(pattern) {
        let path = super::pattern::clean(&format!("/{base}/{pattern}"));
        require(job, &path[1..])?;
    }
    let job = Job {
        include: Some(&include),
        chmod: job.chmod.clone(),
        chown: job.chown,
        line: job.line,
        source: job.source,
        from: job.from,
        exclude: job.exclude,
        destination: job.destination,
    };
    copier.copy(&job, base)
}

fn require(job: &Job<'_>, path: &str) -> Result<(), BuildError> {
    if path.is_empty() || job.source.item(path)?.is_some() {
        return Ok(());
    }
    Err(fails(job.line, format!("\"/{path}\": not found in {}", job.from)))
}

/// A path relative to the working directory. An absolute one stays as it is written.
pub(super) fn absolute(workdir: &str, path: &str, keep_slash: bool) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let mut joined = super::pattern::clean(&format!("{workdir}/{path}"));
    if keep_slash && (path.ends_with('/') || path.is_empty() || path == ".") && !joined.ends_with('/') {
        joined.push('/');
    } else if keep_slash && path.ends_with("/.") {
        if joined != "/" {
            joined.push('/');
        }
        joined.push('.');
    }
    joined
}

fn merge_dirs(below: &mut Dir, above: &Dir, path: &str, replaced: &mut Vec<String>, budget: &Budget) {
    for (name, entry) in &above.children {
        let path = crate::tree::join(path, name);
        match (below.children.get_mut(name).map(|old| (&mut old.node, old.line)), &entry.node) {
            (Some((Node::Dir(old), _)), Node::Dir(new)) => {
                let old = own(old, budget);
                old.mode = new.mode;
                old.vague = new.vague;
                old.owner = new.owner;
                if let Some(mystery) = &new.open {
                    // What is not listed there may replace what is here.
                    for entry in old.children.values_mut() {
                        entry.node = Node::Unknown(mystery.clone());
                    }
                    old.open = Some(mystery.clone());
                }
                merge_dirs(old, new, &path, replaced, budget);
            }
            (old, _) => {
                let differs = matches!(
                    (old.map(|(node, _)| &*node), &entry.node),
                    (Some(Node::Link(_)), _) | (Some(Node::File(_)), Node::Dir(_))
                );
                if differs {
                    replaced.push(path);
                }
                below.children.insert(name.clone(), entry.clone());
            }
        }
    }
}

fn fails(line: u32, message: impl Into<String>) -> BuildError {
    BuildError::Fails { line, message: message.into() }
}
