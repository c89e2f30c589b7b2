//! Which stages a build needs, and in which order they run.
//!
//! As BuildKit's `dockerfile2llb` does it: every stage is read and its base substituted, then only those run that the
//! target reaches through `FROM`, `COPY --from`, `RUN --mount=from=` and the triggers of `ONBUILD`.
//!
//! Traps handled here: a name that is given twice means the later stage, everywhere; names are found without case in
//! `--from`, but with it in `FROM`; a trigger runs in the child, once, and may bring new dependencies; a stage that
//! nothing needs may be broken, as long as it can be read.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::budget::Budget;
use super::context::Context;
use super::expansion::{Environment, Lexer};
use super::instructions::{Copy, Instruction, Program, Run, Stage, What, instruction};
use super::stage::{Globals, Running, Shared, State};
use super::{Assumption, Build, BuildError, Image, Limits, MAX_STATEMENTS, ignore, lexer, lint, mounts};

/// The default value of `PATH`, set in every stage.
pub(super) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The image without files.
const SCRATCH: &str = "scratch";

/// A stage, or an image that an instruction names.
pub(super) struct Plan {
    pub line: u32,
    /// After substitution.
    pub base: String,
    /// The stage that `base` names.
    pub parent: Option<usize>,
    pub name: Option<String>,
    pub instructions: Vec<Planned>,
    /// Only an image, not a stage of the file.
    pub image: bool,
}

pub(super) struct Planned {
    pub instruction: Instruction,
    /// Where `--from` and mounts take files from, in order; `None` for the build context.
    pub from: Vec<Option<usize>>,
}

struct Graph {
    plans: Vec<Plan>,
    /// Instructions of the file and of triggers.
    count: usize,
    names: BTreeMap<String, usize>,
}

/// Runs a build.
pub(super) fn evaluate(build: &Build<'_>, limits: Limits) -> Result<Image, BuildError> {
    let script = lexer::read(build.dockerfile)?;
    let mut image = Image::default();
    note_frontend(&script, &mut image)?;
    let program = Program::read(&script)?;
    let budget = Rc::new(Budget::new(limits));
    let lexer = Lexer::new(script.escape, &budget);
    let target_name = build.target.map(str::to_owned).or_else(|| program.stages.last()?.name.clone());
    let globals = global_arguments(build, &program, &lexer, target_name.as_deref())?;

    let mut graph = Graph { plans: Vec::new(), count: script.statements.len(), names: BTreeMap::new() };
    for stage in &program.stages {
        graph.add(stage, &lexer, &globals.arguments)?;
    }
    let target = graph.target(build.target)?;
    for index in 0..program.stages.len() {
        graph.link(index)?;
    }
    graph.refuse_cycles()?;
    let reachable = graph.resolve(target)?;
    graph.check_images()?;

    let patterns = match build.ignore {
        Some((bytes, name)) => ignore::read(bytes, name)?,
        None => Default::default(),
    };
    let argument = build.build_args.get("BUILDKIT_DOCKERFILE_CHECK").map(String::as_str);
    let mut lint = lint::Lint::new(script.check.as_deref(), argument)?;
    if lint.is_on() {
        let none = std::collections::BTreeMap::new();
        let without = Build { build_args: &none, ..*build };
        let defaults = global_arguments(&without, &program, &lexer, target_name.as_deref());
        let defaults = defaults.map(|globals| globals.arguments).unwrap_or_default();
        lint.script(&script, &program, &lexer, &globals.arguments, &defaults);
    }
    let mut context = Context::new(build.context, patterns, build.generated, &budget);
    context.will_need(&graph.context_sources(&reachable, &lexer, build, &globals, &budget)?)?;
    let mut shared = Shared::new(build, &budget, lexer, globals, context, lint);
    let mut states: Vec<Option<State>> = graph.plans.iter().map(|_| None).collect();
    // Images first: they are there before any stage runs.
    let (images, stages): (Vec<usize>, Vec<usize>) =
        (0..graph.plans.len()).partition(|index| graph.plans[*index].image);
    for index in images.into_iter().chain(stages) {
        if reachable.contains(&index) {
            let state = graph.begin(index, &states, &mut shared)?;
            budget.check(graph.plans[index].line)?;
            let state = Running { shared: &mut shared, plan: &graph.plans[index], earlier: &states, state }.run()?;
            states[index] = Some(state);
        }
    }
    shared.lint.verdict()?;
    if let Some(state) = states.get(target).and_then(Option::as_ref) {
        (image.entries, image.unknown) = state.files.bake();
    }
    shared.finish(&mut image);
    Ok(image)
}

fn note_frontend(script: &lexer::Script, image: &mut Image) -> Result<(), BuildError> {
    let Some((line, frontend)) = &script.syntax else { return Ok(()) };
    let name = frontend.split(['@', ':']).next().unwrap_or_default();
    let known = ["docker/dockerfile", "docker.io/docker/dockerfile", "docker/dockerfile-upstream"];
    if !known.contains(&name) {
        let message =
            format!("`# syntax={frontend}` hands this file to another frontend, whose rules are not known here");
        return Err(BuildError::Undecided { line: *line, message });
    }
    image.assumptions.push(Assumption {
        line: *line,
        text: format!("the frontend {frontend} reads this file as BuildKit's built-in one does"),
    });
    Ok(())
}

fn global_arguments(
    build: &Build<'_>,
    program: &Program,
    lexer: &Lexer<'_>,
    target: Option<&str>,
) -> Result<Globals, BuildError> {
    let mut arguments = Environment::default();
    let platform = [
        ("BUILDPLATFORM", "linux/amd64"),
        ("BUILDOS", "linux"),
        ("BUILDOSVERSION", ""),
        ("BUILDARCH", "amd64"),
        ("BUILDVARIANT", ""),
        ("TARGETPLATFORM", "linux/amd64"),
        ("TARGETOS", "linux"),
        ("TARGETOSVERSION", ""),
        ("TARGETARCH", "amd64"),
        ("TARGETVARIANT", ""),
        ("TARGETSTAGE", target.filter(|name| !name.is_empty()).unwrap_or("default")),
    ];
    for (name, value) in platform {
        arguments.set(name, build.build_args.get(name).map_or(value, String::as_str));
    }
    for (line, pairs) in &program.global {
        for (name, default) in pairs {
            if let Some(value) = build.build_args.get(name) {
                arguments.set(name, value);
            } else if let Some(default) = default {
                let value = lexer.word(default, &arguments).map_err(|why| why.at(*line))?;
                arguments.set(name, &value.text);
            }
        }
    }
    Ok(Globals { arguments })
}

impl Graph {
    fn add(&mut self, stage: &Stage, lexer: &Lexer<'_>, arguments: &Environment) -> Result<(), BuildError> {
        let base = lexer.word(&stage.base, arguments).map_err(|why| why.at(stage.line))?.text;
        if base.is_empty() {
            return Err(fails(stage.line, format!("base name ({}) should not be blank", stage.base)));
        }
        if let Some(platform) = &stage.platform {
            let value = lexer.word(platform, arguments).map_err(|why| why.at(stage.line))?.text;
            check_platform(&value).map_err(|message| fails(stage.line, message))?;
        }
        let instructions = stage
            .instructions
            .iter()
            .map(|instruction| Planned { instruction: instruction.clone(), from: Vec::new() })
            .collect();
        let parent = self.names.get(&base).copied();
        let plan = Plan { line: stage.line, base, parent, name: stage.name.clone(), instructions, image: false };
        if let Some(name) = &stage.name {
            self.names.insert(name.clone(), self.plans.len());
        }
        self.plans.push(plan);
        Ok(())
    }

    fn target(&self, target: Option<&str>) -> Result<usize, BuildError> {
        let Some(name) = target.filter(|name| !name.is_empty()) else { return Ok(self.plans.len() - 1) };
        let found = self.names.get(&name.to_lowercase()).copied();
        found.ok_or_else(|| fails(1, format!("target stage {name:?} could not be found")))
    }

    fn link(&mut self, index: usize) -> Result<(), BuildError> {
        for at in 0..self.plans[index].instructions.len() {
            let from = self.sources_of(&self.plans[index].instructions[at].instruction.clone())?;
            self.plans[index].instructions[at].from = from;
        }
        Ok(())
    }

    fn sources_of(&mut self, instruction: &Instruction) -> Result<Vec<Option<usize>>, BuildError> {
        match &instruction.what {
            What::Copy(copy) => {
                let Some(from) = &copy.from else { return Ok(Vec::new()) };
                self.copy_source(copy, from, instruction.line).map(|source| vec![Some(source)])
            }
            What::Run(run) => {
                let froms = mounts::froms(run).map_err(|message| fails(instruction.line, message))?;
                Ok(froms.into_iter().map(|from| from.map(|from| self.named(&from, instruction.line))).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn copy_source(&mut self, _copy: &Copy, from: &str, line: u32) -> Result<usize, BuildError> {
        let budget = Budget::default();
        let word = Lexer::new('\\', &budget).word(from, &Environment::default()).map_err(|why| why.at(line))?;
        if word.text != from {
            return Err(fails(
                line,
                "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
            ));
        }
        match from.parse::<i64>() {
            Ok(index) => usize::try_from(index)
                .ok()
                .filter(|index| *index < self.plans.len())
                .ok_or_else(|| fails(line, format!("invalid stage index {index}"))),
            Err(_) => Ok(self.named(from, line)),
        }
    }

    /// A stage by name, or else the image of that name.
    fn named(&mut self, name: &str, line: u32) -> usize {
        if let Some(index) = self.names.get(&name.to_lowercase()) {
            return *index;
        }
        let parent = self.names.get(name).copied();
        self.plans.push(Plan {
            line,
            base: name.to_owned(),
            parent,
            name: None,
            instructions: Vec::new(),
            image: true,
        });
        self.plans.len() - 1
    }

    fn needs(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let plan = &self.plans[index];
        let sources = plan.instructions.iter().flat_map(|planned| planned.from.iter().copied().flatten());
        plan.parent.into_iter().chain(sources)
    }

    fn reachable(&self, target: usize) -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let mut todo = vec![target];
        while let Some(index) = todo.pop() {
            if seen.insert(index) {
                todo.extend(self.needs(index));
            }
        }
        seen
    }

    fn refuse_cycles(&self) -> Result<(), BuildError> {
        // 0: not seen, 1: being looked at, 2: done. An explicit stack, for long chains.
        let mut state = vec![0u8; self.plans.len()];
        for start in 0..self.plans.len() {
            let mut stack = vec![(start, self.needs(start).collect::<Vec<_>>())];
            if state[start] != 0 {
                continue;
            }
            state[start] = 1;
            while let Some((index, needs)) = stack.last_mut() {
                let index = *index;
                match needs.pop() {
                    Some(next) if state[next] == 1 => {
                        let line = self.plans[index].line;
                        return Err(fails(
                            line,
                            format!("circular dependency detected on stage: {}", self.title(next)),
                        ));
                    }
                    Some(next) if state[next] == 0 => {
                        state[next] = 1;
                        let needs = self.needs(next).collect();
                        stack.push((next, needs));
                    }
                    Some(_) => {}
                    None => {
                        state[index] = 2;
                        stack.pop();
                    }
                }
            }
        }
        Ok(())
    }

    fn title(&self, index: usize) -> String {
        self.plans[index].name.clone().unwrap_or_else(|| index.to_string())
    }

    /// The stages that the target needs, with the triggers of their bases put in front.
    fn resolve(&mut self, target: usize) -> Result<BTreeSet<usize>, BuildError> {
        let mut triggered = BTreeSet::new();
        loop {
            let reachable = self.reachable(target);
            let mut found = false;
            for index in &reachable {
                if triggered.insert(*index) {
                    found |= self.add_triggers(*index)?;
                }
            }
            if !found {
                return Ok(self.reachable(target));
            }
            self.refuse_cycles()?;
        }
    }

    fn add_triggers(&mut self, index: usize) -> Result<bool, BuildError> {
        let Some(parent) = self.plans[index].parent else { return Ok(false) };
        let line = self.plans[index].line;
        let triggers: Vec<String> = self.plans[parent]
            .instructions
            .iter()
            .filter_map(|planned| match &planned.instruction.what {
                What::Onbuild(text) => Some(text.clone()),
                _ => None,
            })
            .collect();
        self.count += triggers.len();
        if self.count > MAX_STATEMENTS {
            let message = format!("more than {MAX_STATEMENTS} instructions, with the triggers of its base");
            return Err(BuildError::Undecided { line, message });
        }
        let mut first = Vec::new();
        for trigger in &triggers {
            let script = lexer::read_text(trigger).map_err(|error| at_line(error, line))?;
            let [statement] = script.statements.as_slice() else {
                return Err(fails(line, "onbuild trigger should be a single expression"));
            };
            let what = instruction(statement, '\\').map_err(|message| fails(line, message))?;
            let instruction = Instruction { line, what };
            let from = self.sources_of(&instruction)?;
            first.push(Planned { instruction, from });
        }
        let found = !first.is_empty();
        let plan = &mut self.plans[index];
        first.append(&mut plan.instructions);
        plan.instructions = first;
        Ok(found)
    }

    /// The name of every image must be one, in every stage.
    fn check_images(&self) -> Result<(), BuildError> {
        for plan in &self.plans {
            if plan.parent.is_none() && plan.base != SCRATCH && !is_image_name(&plan.base) {
                let message = format!("failed to parse stage name {:?}: invalid reference format", plan.base);
                return Err(fails(plan.line, message));
            }
        }
        Ok(())
    }

    /// What the instructions that run take from the build context, each with its line.
    ///
    /// The sources are substituted when their instruction runs; the client is asked before any file is touched, so the
    /// variables are walked through once ahead.
    fn context_sources(
        &self,
        reachable: &BTreeSet<usize>,
        lexer: &Lexer<'_>,
        build: &Build<'_>,
        globals: &Globals,
        budget: &Budget,
    ) -> Result<Vec<(u32, String)>, BuildError> {
        let mut sources = Vec::new();
        let mut environments: Vec<(Environment, Environment)> = vec![Default::default(); self.plans.len()];
        for (index, plan) in self.plans.iter().enumerate().filter(|(index, _)| reachable.contains(index)) {
            let (mut variables, mut image) =
                plan.parent.map_or_else(super::stage::first_variables, |parent| environments[parent].clone());
            super::stage::begin_variables(&mut variables, &image);
            for planned in &plan.instructions {
                let instruction = &planned.instruction;
                // What fails here fails again, with its place, when the instruction runs.
                let word = |text: &str| lexer.word(text, &variables).map(|word| word.text).unwrap_or_default();
                match &instruction.what {
                    What::Copy(copy) if copy.from.is_none() => {
                        let words = copy.sources.iter().map(|source| word(source));
                        let local = words.filter(|source| !copy.add || !super::stage::is_url(source));
                        sources.extend(local.map(|source| (instruction.line, source)));
                    }
                    What::Run(run) => {
                        let mounted = mount_sources(run, &planned.from, &word);
                        sources.extend(mounted.into_iter().map(|source| (instruction.line, source)));
                    }
                    _ => {
                        let changed = super::stage::change_variables(
                            &instruction.what,
                            &mut variables,
                            &mut image,
                            lexer,
                            build,
                            globals,
                        );
                        if changed.is_err() {
                            break;
                        }
                    }
                }
                budget.check(instruction.line)?;
            }
            for (count, bytes) in [variables.weight(), image.weight()] {
                budget.take_variables(count, bytes);
            }
            budget.check(plan.line)?;
            environments[index] = (variables, image);
        }
        Ok(sources)
    }

    fn begin(&self, index: usize, states: &[Option<State>], shared: &mut Shared<'_>) -> Result<State, BuildError> {
        let plan = &self.plans[index];
        if let Some(parent) = plan.parent {
            return match states.get(parent).and_then(Option::as_ref) {
                Some(state) => Ok(state.child(shared.budget)),
                None => Err(fails(plan.line, format!("stage {} is needed before it is built", self.title(parent)))),
            };
        }
        if plan.base == SCRATCH {
            return Ok(State::scratch(shared.budget));
        }
        if !plan.image {
            shared.assume(plan.line, foreign_assumption(&plan.base));
        }
        Ok(State::foreign(&plan.base, plan.line, shared.budget))
    }
}

fn foreign_assumption(image: &str) -> String {
    format!(
        "the image {image} has nothing at the paths that are copied to, no ONBUILD triggers, the working directory / and \
         a shell at /bin/sh"
    )
}

fn mount_sources(run: &Run, from: &[Option<usize>], word: &dyn Fn(&str) -> String) -> Vec<String> {
    let mounts = run.mounts.iter().zip(from.iter().copied().chain(std::iter::repeat(None)));
    mounts
        .filter(|(_, from)| from.is_none())
        .filter_map(|(text, _)| mounts::Mount::read(text, &|value| Ok(word(value))).ok())
        .filter_map(|mount| mount.context_source())
        .collect()
}

fn at_line(error: BuildError, line: u32) -> BuildError {
    match error {
        BuildError::Fails { message, .. } => BuildError::Fails { line, message },
        BuildError::Undecided { message, .. } => BuildError::Undecided { line, message },
        other => other,
    }
}

/// A platform as `os/arch/variant`; the names are not judged, only the form.
fn check_platform(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("empty platform value".to_owned());
    }
    let parts: Vec<&str> = text.split('/').collect();
    let fits = |part: &&str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'(' | b')'))
    };
    if parts.len() > 3 || !parts.iter().all(fits) {
        return Err(format!("failed to parse platform {text}"));
    }
    let known =
        ["linux", "windows", "darwin", "freebsd", "amd64", "x86_64", "arm64", "aarch64", "arm", "386", "riscv64"];
    if parts.len() == 1 && !known.contains(&text) && !["ppc64le", "s390x", "wasm", "local", "i386"].contains(&text) {
        return Err(format!("failed to parse platform {text}: unknown operating system or architecture"));
    }
    Ok(())
}

/// Whether a text names an image, as distribution's `reference` package reads it.
pub(super) fn is_image_name(text: &str) -> bool {
    let (text, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    if digest.is_some_and(|digest| !digest.contains(':')) {
        return false;
    }
    let slash = text.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match text[slash..].split_once(':') {
        Some((last, tag)) => (&text[..slash + last.len()], Some(tag)),
        None => (text, None),
    };
    let tag_fits = tag.is_none_or(|tag| {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        (1..=128).contains(&tag.len())
            && tag.bytes().next().is_some_and(word)
            && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
    });
    let path = match name.split_once('/') {
        Some((domain, path))
            if domain.contains(['.', ':']) || domain == "localhost" || domain.to_lowercase() != domain =>
        {
            path
        }
        _ => name,
    };
    let hexadecimal = name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    tag_fits && !hexadecimal && path.split('/').all(is_image_part)
}

fn is_image_part(part: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = part.bytes().next().is_some_and(alphanumeric) && part.bytes().last().is_some_and(alphanumeric);
    let separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).filter(|s| !s.is_empty());
    ends && separators.into_iter().all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

fn fails(line: u32, message: impl Into<String>) -> BuildError {
    BuildError::Fails { line, message: message.into() }
}
