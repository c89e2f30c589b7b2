//! What a `[[gate.check]]` means, and where a pin stands: what only shows when several keys are seen together.

use super::{Reading, each, flat};
use crate::config::model::{
    Absent, Bake, Binding, Check, Compare, Extract, Format, Mirror, Mirrored, Pin, PinAt, Relation, Retired, Values,
    ValuesSide,
};
use crate::config::raw::{self, At, Text};
use crate::config::rules;

/// The most values that a check may ask for: more are never extracted.
const MOST_LEAST: u64 = 10_000;

impl Reading<'_> {
    pub(super) fn check(&mut self, at: &At<raw::Check>) -> Option<Check> {
        match at.value() {
            raw::Check::Bake(bake) => self.bake(bake).map(Check::Bake),
            raw::Check::Mirror(mirror) => self.mirror(at, mirror).map(Check::Mirror),
            raw::Check::Values(values) => self.values(values).map(Check::Values),
            raw::Check::Pin(pin) => {
                let requires = each(&pin.requires, |file| self.ruled("requires", file, rules::below));
                requires.map(|requires| Check::Pin(Pin { requires }))
            }
            raw::Check::Absent(absent) => self.absent(at, absent).map(Check::Absent),
        }
    }

    fn bake(&mut self, raw: &raw::Bake) -> Option<Bake> {
        let dockerfile = self.ruled("dockerfile", &raw.dockerfile, rules::below);
        let context = self.ruled("context", &raw.context, rules::inside);
        let source_dir = self.ruled("source_dir", &raw.source_dir, rules::below);
        let destination = self.ruled("destination", &raw.destination, rules::destination);
        let mut build_args = std::collections::BTreeMap::new();
        for (name, value) in &raw.build_args {
            if let Some(name) = self.ruled("build_args", name, rules::variable) {
                build_args.insert(name, value.clone());
            }
        }
        let complete = build_args.len() == raw.build_args.len();
        let target = raw.target.as_ref().map(|target| self.ruled("target", target, rules::stage));
        if let Some(glob) = raw.generated.first().filter(|_| raw.git_context) {
            let help = "keep one: a builder that clones its context from git gets nothing that was made beside it";
            self.wrong(glob.span(), "`generated` and `git_context = true` exclude each other", help);
        }
        let generated = self.globs("generated", &raw.generated);
        Some(Bake {
            dockerfile: dockerfile?,
            context: context?,
            source_dir: source_dir?,
            destination: destination?,
            build_args: Some(build_args).filter(|_| complete)?,
            target: flat(target)?,
            git_context: raw.git_context,
            generated: generated?,
        })
    }

    fn mirror(&mut self, at: &At<raw::Check>, raw: &raw::Mirror) -> Option<Mirror> {
        let include = self.globs("include", &raw.include);
        let exclude = self.globs("exclude", &raw.exclude);
        let what = match (&raw.file, &raw.folder) {
            (Some(file), None) => {
                if let Some(glob) = raw.include.iter().chain(&raw.exclude).next() {
                    let help = "write `folder` instead of `file`, or remove it";
                    self.wrong(glob.span(), "`include` and `exclude` need a `folder`: `file` is one file", help);
                    return None;
                }
                self.ruled("file", file, rules::below).map(Mirrored::File)
            }
            (None, Some(folder)) => {
                let path = self.ruled("folder", folder, rules::inside);
                let include = include.map(|globs| if globs.is_empty() { vec!["**".to_owned()] } else { globs });
                (|| Some(Mirrored::Folder { path: path?, include: include?, exclude: exclude? }))()
            }
            (Some(_), Some(folder)) => {
                self.wrong(
                    folder.span(),
                    "a mirror is of a `file` or of a `folder`, not of both",
                    "remove one of them",
                );
                None
            }
            (None, None) => {
                let help = "add `file = \"providers.yaml\"` or `folder = \"fixtures\"`";
                self.wrong(at.span(), "the mirror does not say what of the source is copied", help);
                None
            }
        };
        if raw.copies.value().is_empty() {
            let help = "name the copies in the consumer: `copies = [\"internal/providers.yaml\"]`";
            self.wrong(raw.copies.span(), "`copies` is empty: nothing would be compared", help);
            return None;
        }
        let copies = each(raw.copies.value(), |copy| self.ruled("copies", copy, rules::below));
        let compare = match raw.compare {
            raw::Compare::Bytes => Compare::Bytes,
            raw::Compare::Text => Compare::Text,
            raw::Compare::Json => Compare::Data(Format::Json),
            raw::Compare::Yaml => Compare::Data(Format::Yaml),
            raw::Compare::Toml => Compare::Data(Format::Toml),
        };
        Some(Mirror { what: what?, copies: copies?, compare })
    }

    fn values(&mut self, raw: &raw::Values) -> Option<Values> {
        let source = self.values_side("source", &raw.source);
        let consumer = self.values_side("consumer", &raw.consumer);
        let only = self.globs("only", &raw.only);
        let least = *raw.least.value();
        if !(1..=MOST_LEAST).contains(&least) {
            let message =
                format!("`least` is {least}: an empty extraction is never equal, and {MOST_LEAST} values are the most");
            self.wrong(raw.least.span(), message, "write how many values each side must give, at least `least = 1`");
            return None;
        }
        let relation = match raw.compare {
            raw::Relation::Equal => Relation::Equal,
            raw::Relation::Subset => Relation::Subset,
        };
        Some(Values { source: source?, consumer: consumer?, relation, only: only?, least })
    }

    fn values_side(&mut self, side: &str, at: &At<raw::ValuesSide>) -> Option<ValuesSide> {
        let raw = at.value();
        let file = self.ruled("file", &raw.file, rules::below);
        if let Some(within) = raw.within.as_ref().filter(|_| raw.regex.is_none()) {
            self.wrong(
                within.span(),
                "`within` needs a `regex`: it says where to look for it",
                "add `regex`, or remove it",
            );
            return None;
        }
        if raw.at.is_none() {
            self.no_format(raw.format.as_ref())?;
        }
        let extract = match (&raw.at, &raw.regex, &raw.css) {
            (Some(path), None, None) => {
                let format = self.format(raw.format.as_ref(), &raw.file);
                let at = self.ruled("at", path, rules::place);
                (|| Some(Extract::Path { format: format?, at: at? }))()
            }
            (None, Some(pattern), None) => {
                let within = raw.within.as_ref().map(|within| self.ruled("within", within, rules::group));
                let pattern = self.ruled("regex", pattern, rules::group);
                (|| Some(Extract::Regex { pattern: pattern?, within: super::flat(within)? }))()
            }
            (None, None, Some(block)) => {
                let names: Vec<String> = block.value().iter().map(|name| name.value().trim().to_owned()).collect();
                if names.is_empty() || names.iter().any(String::is_empty) {
                    let help = "write at-rules and selector, from outside to inside: `css = [\":root\"]`";
                    self.wrong(block.span(), "`css` names no block", help);
                    return None;
                }
                Some(Extract::Css(names))
            }
            _ => {
                let message = format!("`{side}` says in one way where the values are: by `at`, by `regex` or by `css`");
                let help =
                    format!("write for example `{side} = {{ file = \"providers.json\", at = \"providers[*].name\" }}`");
                self.wrong(at.span(), message, help);
                None
            }
        };
        Some(ValuesSide { file: file?, extract: extract? })
    }

    fn absent(&mut self, at: &At<raw::Check>, raw: &raw::Absent) -> Option<Absent> {
        if raw.at.is_none() {
            self.no_format(raw.format.as_ref())?;
        }
        match (&raw.paths, &raw.file, &raw.at, &raw.regex) {
            (Some(paths), None, None, None) => {
                if paths.value().is_empty() {
                    let help = "name what must stay gone: `paths = [\"legacy/**\"]`";
                    self.wrong(paths.span(), "`paths` is empty: nothing would be looked for", help);
                    return None;
                }
                self.globs("paths", paths.value()).map(Absent::Paths)
            }
            (None, Some(file), Some(path), None) => {
                let format = self.format(raw.format.as_ref(), file);
                let at = self.ruled("at", path, rules::place);
                let file = self.ruled("file", file, rules::below);
                Some(Absent::InFile { file: file?, what: Retired::Path { format: format?, at: at? } })
            }
            (None, Some(file), None, Some(pattern)) => {
                let pattern = self.ruled("regex", pattern, rules::pattern);
                let file = self.ruled("file", file, rules::below);
                Some(Absent::InFile { file: file?, what: Retired::Regex(pattern?) })
            }
            _ => {
                let help = "write `paths = [\"legacy/**\"]`, or `file` with `at` or with `regex`";
                self.wrong(at.span(), "the check says in one way what must be absent", help);
                None
            }
        }
    }

    /// Refuses a `format` where nothing is read as data.
    fn no_format(&mut self, said: Option<&At<raw::Format>>) -> Option<()> {
        said.map_or(Some(()), |format| {
            self.wrong(format.span(), "`format` needs `at`: nothing else is read as data", "remove it");
            None
        })
    }

    /// The format of a file, as it is said or as its name ends.
    fn format(&mut self, said: Option<&At<raw::Format>>, file: &Text) -> Option<Format> {
        let format = said.map(format).or_else(|| Format::of(file.value()));
        if format.is_none() {
            let message = format!("the name of `{}` does not say what it holds", file.value());
            self.wrong(file.span(), message, "add `format = \"json\"`, `\"yaml\"` or `\"toml\"`");
        }
        format
    }

    pub(super) fn binding(&mut self, at: &At<raw::Binding>) -> Option<Binding> {
        let raw = at.value();
        let help = "write `{ pin = \"manifest.json\", at = \"templates[name=agent].ref\" }` or `{ follow = true }`";
        let places = [raw.at.is_some(), raw.whole.is_some(), raw.argument.is_some(), raw.regex.is_some()];
        let places = places.into_iter().filter(|there| *there).count();
        match (&raw.pin, &raw.submodule, &raw.follow) {
            (None, None, Some(follow)) if places == 0 => {
                if !follow.value() {
                    self.wrong(follow.span(), "`follow = false` binds nothing", help);
                    return None;
                }
                self.no_require(raw, "`require` needs a pin: nothing stands beside a branch")?;
                self.no_format(raw.format.as_ref())?;
                Some(Binding::Follow)
            }
            (None, Some(folder), None) if places == 0 => {
                self.no_require(raw, "`require` needs `at`: nothing stands beside a submodule")?;
                self.no_format(raw.format.as_ref())?;
                let file = self.ruled("submodule", folder, rules::below)?;
                Some(Binding::Pin { file, at: PinAt::Submodule, require: Default::default() })
            }
            (Some(file), None, None) if places == 1 => self.pin(raw, file),
            (Some(_), None, None) if places == 0 => {
                self.wrong(at.span(), "the binding has `pin` and no `at`, which says where in the file", help);
                None
            }
            (Some(_), None, None) => {
                let help = "keep one of `at`, `whole`, `argument` and `regex`";
                self.wrong(at.span(), "the pin is said to stand in more than one place", help);
                None
            }
            (None, None, None) if raw.at.is_some() => {
                self.wrong(at.span(), "the binding has `at` and no `pin`, which says in which file", help);
                None
            }
            (None, None, None) => {
                self.wrong(at.span(), "`binding` binds nothing", help);
                None
            }
            (_, _, Some(_)) => {
                self.wrong(at.span(), "a gate either pins or follows, not both", help);
                None
            }
            (_, Some(_), None) => {
                let help = "keep one: `pin` for a file, or `submodule`";
                self.wrong(at.span(), "the commit is pinned either in a file or by a submodule", help);
                None
            }
        }
    }

    /// A pin in a file: one place is given.
    fn pin(&mut self, raw: &raw::Binding, file: &Text) -> Option<Binding> {
        let name = self.ruled("pin", file, rules::below);
        if raw.at.is_none() {
            self.no_require(raw, "`require` needs `at`: what stands beside the pin is known in data only")?;
            self.no_format(raw.format.as_ref())?;
        }
        let at = if let Some(path) = &raw.at {
            let format = raw.format.as_ref().map(format).or_else(|| Format::of(file.value())).unwrap_or(Format::Json);
            self.ruled("at", path, rules::pin_path).map(|at| PinAt::Path { format, at })
        } else if let Some(argument) = &raw.argument {
            self.ruled("argument", argument, rules::argument).map(PinAt::Argument)
        } else if let Some(pattern) = &raw.regex {
            self.ruled("regex", pattern, rules::group).map(PinAt::Regex)
        } else {
            let whole = raw.whole.as_ref()?;
            if !whole.value() {
                self.wrong(
                    whole.span(),
                    "`whole = false` says nothing",
                    "write `whole = true`, or where the pin stands",
                );
                return None;
            }
            Some(PinAt::Whole)
        };
        let require = raw.require.as_ref().map(|require| require.value().clone()).unwrap_or_default();
        Some(Binding::Pin { file: name?, at: at?, require })
    }

    /// Refuses `require` where nothing stands beside the pin.
    fn no_require(&mut self, raw: &raw::Binding, message: &str) -> Option<()> {
        match &raw.require {
            Some(require) => {
                self.wrong(require.span(), message, "remove it");
                None
            }
            None => Some(()),
        }
    }
}

/// Whether a check is of kind `mirror`.
pub(super) fn mirrors(check: &raw::Check) -> bool {
    matches!(check, raw::Check::Mirror(_))
}

fn format(raw: &At<raw::Format>) -> Format {
    match raw.value() {
        raw::Format::Json => Format::Json,
        raw::Format::Yaml => Format::Yaml,
        raw::Format::Toml => Format::Toml,
    }
}
