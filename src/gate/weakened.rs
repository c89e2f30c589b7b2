//! What a new configuration loosens against the old one (pure).
//!
//! A consumer that keeps its gates in its own repository can change them in the pull request that they should stop. So the two
//! files are compared, and what the new one asks less for is said: a gate, a check, a branch, a pattern of the identity gone;
//! an `ignore` or a softening option added. What it asks more for is nobody's concern.
//!
//! Traps handled here: gates and checks have no order, so a gate is known by its name and its consumer, and an old check is
//! kept as long as *one* new check asks for all that it asked for; a pattern that is gone because a wider one took its place is
//! not gone, unless it was a plain name, which also had to exist; where nobody can say which of two is the weaker (another
//! binding, another source, other build arguments), a change counts as one: what judged until now does not judge any more.

use std::collections::BTreeMap;
use std::time::Duration;

use super::finding::{Cause, Finding, Kind};
use super::glob;
use crate::config::{
    Absent, Bake, Binding, Check, Compare, Gate, Inherited, Level, Mirror, Mirrored, Quote, Relation, Stale, Values,
    ValuesSide,
};

/// What `new` loosens against `old`, as [`Kind::GateWeakened`] findings in the order of the old gates. `file` is the
/// configuration's path in the consumer: the path and the cause of each finding. Empty when the new gates ask for all that the
/// old ones asked for.
pub fn weakened(old: &[Gate], new: &[Gate], file: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for gate in old {
        let mut loosened = Loosened::default();
        match new.iter().find(|one| one.name == gate.name && one.consumer.place == gate.consumer.place) {
            Some(now) => of_gate(gate, now, &mut loosened),
            None => loosened.say("gate", "it is gone: nothing of it is compared any more"),
        }
        found.extend(loosened.0.into_iter().map(|(what, words)| {
            let message = format!("gate {}: {words}", gate.name);
            let fix = format!("restore it in {file}, or let somebody who answers for the gate accept the change");
            let cause = Some(Cause { file: file.to_owned(), line: None });
            Finding::new(Kind::GateWeakened, file, message, fix).at(cause).of(format!("{} {what} {words}", gate.name))
        }));
    }
    found
}

/// What is weaker: the key, and a sentence.
#[derive(Default)]
struct Loosened(Vec<(&'static str, String)>);

impl Loosened {
    fn say(&mut self, key: &'static str, words: impl Into<String>) {
        self.0.push((key, words.into()));
    }

    /// Something that is either as it was or another: nobody can say that it is not weaker.
    fn unless_same<T: PartialEq>(&mut self, key: &'static str, old: &T, new: &T, words: impl FnOnce() -> String) {
        if old != new {
            self.say(key, words());
        }
    }

    /// Patterns that must all still be asked for.
    fn kept(&mut self, key: &'static str, old: &[String], new: &[String]) {
        for pattern in old.iter().filter(|pattern| !covered(pattern, new)) {
            self.say(key, format!("`{key}` does not name {pattern} any more"));
        }
    }

    /// Patterns that take something out of the comparison.
    fn not_added(&mut self, key: &'static str, old: &[String], new: &[String]) {
        for pattern in new.iter().filter(|pattern| !covered(pattern, old)) {
            self.say(key, format!("`{key}` names {pattern} as well"));
        }
    }

    fn not_longer(&mut self, key: &'static str, old: Duration, new: Duration) {
        if new > old {
            self.say(key, format!("`{key}` is longer: {} s instead of {} s", new.as_secs(), old.as_secs()));
        }
    }
}

fn of_gate(old: &Gate, new: &Gate, loosened: &mut Loosened) {
    let context = || format!("its status is called `{}` instead of `{}`", new.context, old.context);
    loosened.unless_same("context", &old.context, &new.context, context);
    loosened
        .unless_same("source", &old.source, &new.source, || "it has another source, or another branch of it".into());
    branches(&old.consumer.branches, &new.consumer.branches, loosened);
    loosened.kept("queue_branches", &old.consumer.queue_branches, &new.consumer.queue_branches);
    binding(&old.binding, &new.binding, loosened);
    lists(old, new, loosened);
    options(old, new, loosened);
    for check in &old.checks {
        let candidates = new.checks.iter().filter_map(|other| of_check(check, other));
        match candidates.min_by_key(|loosened| loosened.0.len()) {
            Some(least) => loosened.0.extend(least.0),
            None => loosened.say("check", format!("the check `{}` is gone", title(check))),
        }
    }
}

/// A gate that names no branches has those that whoever reads the file gives it: naming some, or none any more, is a change.
fn branches(old: &[String], new: &[String], loosened: &mut Loosened) {
    if old.is_empty() != new.is_empty() {
        let words = format!("`branches` named {} and names {} now", none_or(old), none_or(new));
        loosened.say("branches", words);
    } else {
        loosened.kept("branches", old, new);
    }
}

fn none_or(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn binding(old: &Binding, new: &Binding, loosened: &mut Loosened) {
    match (old, new) {
        (Binding::Follow, Binding::Follow) => {}
        (Binding::Pin { file, at, require }, Binding::Pin { file: new_file, at: new_at, require: new_require })
            if (file, at) == (new_file, new_at) =>
        {
            for (field, value) in require.iter().filter(|(field, value)| new_require.get(*field) != Some(*value)) {
                loosened.say("require", format!("`require` does not ask for {field} = \"{value}\" any more"));
            }
        }
        _ => loosened.say("binding", "its `binding` is another: the source's commit is looked for elsewhere"),
    }
}

fn lists(old: &Gate, new: &Gate, loosened: &mut Loosened) {
    for pattern in &old.identity {
        let kept =
            if glob::is_literal(pattern) { new.identity.contains(pattern) } else { covered(pattern, &new.identity) };
        if !kept {
            loosened.say("identity", format!("`identity` does not name {pattern} any more"));
        }
    }
    loosened.not_added("ignore", &old.ignore, &new.ignore);
    for pattern in &new.optional {
        let was_less = covered(pattern, &old.optional) || covered(pattern, &old.ignore);
        // That it moved here from the identity is told already.
        let moved = old.identity.contains(pattern) && !new.identity.contains(pattern);
        if !was_less && !moved {
            loosened.say("optional", format!("`optional` names {pattern} as well: it need not be there any more"));
        }
    }
}

fn options(old: &Gate, new: &Gate, loosened: &mut Loosened) {
    if (old.unlisted, new.unlisted) == (Level::Drift, Level::Notice) {
        loosened.say("unlisted", "`unlisted = \"notice\"`: a file of the source that no list names is only told");
    }
    if (old.inherited, new.inherited) == (Inherited::Fail, Inherited::Pass) {
        loosened.say("inherited", "`inherited = \"pass\"`: what the base has already does not fail a pull request");
    }
    if (old.stale, new.stale) == (Stale::Fail, Stale::Notice) {
        loosened.say("stale", "`stale = \"notice\"`: a pin that is behind is only told");
    }
    loosened.not_longer("grace", old.grace, new.grace);
    loosened.not_longer("unreadable_after", old.unreadable_after, new.unreadable_after);
    if !old.advisory && new.advisory {
        loosened.say("advisory", "`advisory = true`: drift does not fail anything");
    }
    if new.enforce_after.is_some_and(|new| old.enforce_after.is_none_or(|old| new > old)) {
        loosened.say("enforce_after", "`enforce_after` is set, or later: drift does not fail anything before");
    }
    if let (None, Some(reason)) = (&old.retired, &new.retired) {
        loosened.say("retired", format!("it is retired: nothing of it is compared any more ({reason})"));
    }
    loosened.kept("watch", &old.watch, &new.watch);
    if old.strict_assumptions && !new.strict_assumptions {
        loosened.say("strict_assumptions", "`strict_assumptions` is off: what is assumed counts as known");
    }
    if (old.quote, new.quote) == (Quote::Readers, Quote::Always) {
        loosened.say("quote", "`quote = \"always\"`: file contents are shown to everyone who has the address");
    }
}

/// What a new check asks less for than an old one; `None` where it is about something else.
fn of_check(old: &Check, new: &Check) -> Option<Loosened> {
    let mut loosened = Loosened::default();
    match (old, new) {
        (Check::Bake(old), Check::Bake(new)) => {
            if (&old.dockerfile, &old.destination) != (&new.dockerfile, &new.destination) {
                return None;
            }
            bake(old, new, &mut loosened);
        }
        (Check::Mirror(old), Check::Mirror(new)) => mirror(old, new, &mut loosened)?,
        (Check::Values(old), Check::Values(new)) => {
            if (&old.source.file, &old.consumer.file) != (&new.source.file, &new.consumer.file) {
                return None;
            }
            values(old, new, &mut loosened);
        }
        (Check::Pin(old), Check::Pin(new)) => loosened.kept("requires", &old.requires, &new.requires),
        (Check::Absent(Absent::Paths(old)), Check::Absent(Absent::Paths(new))) => loosened.kept("paths", old, new),
        (Check::Absent(old), Check::Absent(new)) if old == new => {}
        _ => return None,
    }
    Some(loosened)
}

fn bake(old: &Bake, new: &Bake, loosened: &mut Loosened) {
    let of = format!("the bake of {}", old.dockerfile);
    loosened.unless_same("check", &old.context, &new.context, || {
        format!("{of} has another `context`: {} instead of {}", folder(&new.context), folder(&old.context))
    });
    loosened.unless_same("check", &old.source_dir, &new.source_dir, || {
        format!("{of} has another `source_dir`: {} instead of {}", new.source_dir, old.source_dir)
    });
    loosened.unless_same("check", &old.target, &new.target, || {
        let stage = |target: &Option<String>| target.clone().unwrap_or_else(|| "the last one".into());
        format!("{of} builds another stage: {} instead of {}", stage(&new.target), stage(&old.target))
    });
    loosened.unless_same("check", &old.git_context, &new.git_context, || {
        format!("{of} has `git_context = {}` now", new.git_context)
    });
    loosened.not_added("generated", &old.generated, &new.generated);
    let names: BTreeMap<_, _> = old.build_args.iter().chain(&new.build_args).collect();
    for name in names.keys().filter(|name| old.build_args.get(**name) != new.build_args.get(**name)) {
        loosened.say("check", format!("{of} has another build argument {name}"));
    }
}

fn folder(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

fn mirror(old: &Mirror, new: &Mirror, loosened: &mut Loosened) -> Option<()> {
    match (&old.what, &new.what) {
        (Mirrored::File(file), Mirrored::File(other)) if file == other => {}
        (
            Mirrored::Folder { path, include, exclude },
            Mirrored::Folder { path: other, include: new_include, exclude: new_exclude },
        ) if path == other => {
            loosened.kept("include", include, new_include);
            loosened.not_added("exclude", exclude, new_exclude);
        }
        _ => return None,
    }
    for copy in old.copies.iter().filter(|copy| !new.copies.contains(copy)) {
        loosened.say("copies", format!("`copies` does not name {copy} any more"));
    }
    if !at_least(old.compare, new.compare) {
        let words = format!("`compare` is {} instead of {}", compare_name(new.compare), compare_name(old.compare));
        loosened.say("compare", words);
    }
    Some(())
}

/// Whether two files that are the same by `new` are the same by `old`, too.
fn at_least(old: Compare, new: Compare) -> bool {
    match (old, new) {
        (_, Compare::Bytes) | (Compare::Text | Compare::Data(_), Compare::Text) => true,
        (old, new) => old == new,
    }
}

fn compare_name(compare: Compare) -> String {
    match compare {
        Compare::Bytes => "bytes".into(),
        Compare::Text => "text".into(),
        Compare::Data(format) => format!("{format:?}").to_lowercase(),
    }
}

fn values(old: &Values, new: &Values, loosened: &mut Loosened) {
    let of = format!("the values of {}", old.consumer.file);
    let sides: [(&str, &ValuesSide, &ValuesSide); 2] =
        [("source", &old.source, &new.source), ("consumer", &old.consumer, &new.consumer)];
    for (side, old, new) in sides {
        loosened.unless_same("check", &old.extract, &new.extract, || {
            format!("{of} are taken out of the {side}'s file in another way")
        });
    }
    if (old.relation, new.relation) == (Relation::Equal, Relation::Subset) {
        loosened.say("compare", format!("{of} need only be a subset of the source's"));
    }
    if new.least < old.least {
        loosened.say("least", format!("{of}: `least` is {} instead of {}", new.least, old.least));
    }
    // No name at all means all of them.
    match (old.only.is_empty(), new.only.is_empty()) {
        (_, true) => {}
        (true, false) => loosened.say("only", format!("{of}: only {} counts", new.only.join(", "))),
        (false, false) => loosened.kept("only", &old.only, &new.only),
    }
}

/// A check as people would tell it from the others.
fn title(check: &Check) -> String {
    match check {
        Check::Bake(bake) => format!("bake of {} to {}", bake.dockerfile, bake.destination),
        Check::Mirror(mirror) => match &mirror.what {
            Mirrored::File(file) => format!("mirror of {file}"),
            Mirrored::Folder { path, .. } => format!("mirror of {}", folder(path)),
        },
        Check::Values(values) => format!("values of {} and {}", values.source.file, values.consumer.file),
        Check::Pin(_) => "pin".to_owned(),
        Check::Absent(Absent::Paths(paths)) => format!("absent {}", paths.join(", ")),
        Check::Absent(Absent::InFile { file, .. }) => format!("absent from {file}"),
    }
}

/// Whether one of the patterns surely takes all that this one takes.
fn covered(pattern: &str, by: &[String]) -> bool {
    by.iter().any(|wider| {
        let inside = |folder: &str| glob::is_literal(folder) && pattern.strip_prefix(folder).is_some_and(is_below);
        wider == pattern
            || wider == "**"
            || wider.strip_suffix("/**").is_some_and(inside)
            || (glob::is_literal(pattern) && glob::matches(wider, pattern))
    })
}

fn is_below(rest: &str) -> bool {
    rest.len() > 1 && rest.starts_with('/')
}
