//! From what is written to what it means: every text by its rule, and what only shows when parts are seen together. Collects
//! every fault; a gate with one is left out, and the rest is judged on.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use sha2::{Digest, Sha256};

use super::Scope;
use super::diagnostic::{Document, Problem};
use super::model::{
    App, Binding, Bringer, Commands, Consumer, Forge, ForgeKind, Gate, Inherited, Level, Place, Quote, Repository,
    Server, Source, Stale, Store,
};
use super::raw::{self, At, Text};
use super::rules::{self, Ruled};
use super::secret::Secret;

mod checks;
mod issues;
mod repair;

/// Goes over a file whose shape is right.
pub(super) struct Reading<'a> {
    pub document: &'a mut Document,
    pub scope: Scope<'a>,
    /// Every name that a forge of the file has, also where the forge itself is faulty; `None` where nobody can tell.
    pub declared: Option<BTreeSet<String>>,
    /// Those of them that are GitHub.
    pub github: BTreeSet<String>,
    pub problems: Vec<Problem>,
    /// Every secret that the file names, with its place.
    pub secrets: Vec<(Secret, Range<usize>)>,
}

impl Reading<'_> {
    pub(super) fn server(&mut self, at: &At<raw::Server>) -> Option<Server> {
        let raw = at.value();
        let listen = self.ruled("listen", &raw.listen, rules::listen);
        let public_url = match &raw.public_url {
            Some(url) => self.ruled("public_url", url, rules::address),
            None => {
                if self.scope.is_service() {
                    let help = "write in [server]: `public_url = \"https://drift-gate.example.org\"`, where people reach the service";
                    self.wrong(at.span(), "[server] has no `public_url`: statuses would link nowhere", help);
                }
                Some(String::new())
            }
        };
        let admin_token = raw.admin_token.as_ref().map(|secret| self.secret("admin_token", secret));
        let link_secret = raw.link_secret.as_ref().map(|secret| self.secret("link_secret", secret));
        let reconcile = self.ruled("reconcile", &raw.reconcile, rules::round);
        Some(Server {
            listen: listen?,
            public_url: public_url?,
            admin_token: flat(admin_token)?,
            link_secret: flat(link_secret)?,
            reconcile: reconcile?,
        })
    }

    pub(super) fn store(&mut self, raw: &raw::Store) -> Option<Store> {
        let url = self.ruled("url", &raw.url, rules::store);
        let cache_limit = self.ruled("cache_limit", &raw.cache_limit, rules::size);
        Some(Store { url: url?, cache_limit: cache_limit? })
    }

    pub(super) fn forge(&mut self, name: &Text, raw: &raw::Forge) -> Option<Forge> {
        let name = self.ruled(&format!("forge.{}", name.value()), name, rules::name);
        let kind = match raw.kind {
            raw::ForgeKind::Gitea => ForgeKind::Gitea,
            raw::ForgeKind::GitHub => {
                self.github.extend(name.clone());
                ForgeKind::GitHub
            }
        };
        let url = match kind {
            ForgeKind::Gitea => self.ruled("url", &raw.url, rules::address),
            ForgeKind::GitHub => self.ruled("url", &raw.url, rules::github),
        };
        let token = raw.token.as_ref().map(|secret| self.secret("token", secret));
        let app = raw.app.as_ref().map(|app| self.app(app, raw));
        let webhook_secrets = each(&raw.webhook_secrets, |secret| self.secret("webhook_secrets", secret));
        let check_runs = *raw.check_runs.value();
        if check_runs && raw.app.is_none() {
            let help = "add `app = { id = 12345, key = { file = \"/path\" } }`, or take `check_runs` out: GitHub takes checks from Apps only";
            self.wrong(raw.check_runs.span(), "`check_runs` needs an App", help);
            return None;
        }
        Some(Forge {
            name: name?,
            kind,
            url: url?,
            token: flat(token)?,
            app: flat(app)?,
            check_runs,
            webhook_secrets: webhook_secrets?,
        })
    }

    /// An App: GitHub's, and instead of a token.
    fn app(&mut self, at: &At<raw::App>, forge: &raw::Forge) -> Option<App> {
        let before = self.problems.len();
        if forge.kind != raw::ForgeKind::GitHub {
            let help = "take it out, and give a token: `token = { env = \"DRIFT_GATE_TOKEN\" }`";
            self.wrong(at.span(), "`app` is GitHub's: this forge is `gitea`", help);
        }
        if forge.token.is_some() {
            self.wrong(at.span(), "both `app` and `token` are given", "keep one of them");
        }
        let (id, key) = (*at.value().id.value(), self.secret("key", &at.value().key));
        if id == 0 {
            let help = "write the \"App ID\" of the App's page of settings, for example `id = 12345`";
            self.wrong(at.value().id.span(), "`id` is 0", help);
        }
        (self.problems.len() == before).then_some(App { id, key: key? })
    }

    fn secret(&mut self, key: &str, raw: &At<raw::Secret>) -> Option<Secret> {
        let secret = match (&raw.value().env, &raw.value().file) {
            (Some(variable), None) => Secret::Env(self.ruled("env", variable, rules::variable)?),
            (None, Some(file)) if !file.value().is_empty() => Secret::File(file.value().into()),
            _ => {
                let help = format!("write `{key} = {{ env = \"VARIABLE\" }}` or `{key} = {{ file = \"/path\" }}`");
                self.wrong(raw.span(), format!("`{key}` must name either a variable or a file"), help);
                return None;
            }
        };
        self.secrets.push((secret.clone(), raw.span()));
        Some(secret)
    }

    /// The consumers that bring gates along, each once.
    pub(super) fn repositories(&mut self, raw: &[At<raw::Repository>]) -> Option<Vec<Repository>> {
        let mut first: BTreeMap<Place, usize> = BTreeMap::new();
        each(raw, |at| {
            let raw = at.value();
            let place = self.on_forge(&raw.forge, &raw.repo);
            if raw.sources.value().is_empty() {
                let help =
                    "name the repositories that its gates may compare with: `sources = [\"molecule/design-tokens\"]`";
                self.wrong(
                    raw.sources.span(),
                    "`sources` is empty: no gate of that repository could name a source",
                    help,
                );
            }
            let sources = each(raw.sources.value(), |source| self.ruled("sources", source, rules::repository));
            let commands = self.commands(raw.commands.as_ref());
            let (Place::Forge { forge, repo }, sources, commands) = (place?, sources?, commands?) else { return None };
            let place = Place::Forge { forge: forge.clone(), repo: repo.clone() };
            if let Some(before) = first.insert(place, at.span().start) {
                let help =
                    format!("keep one, with all its sources; the first is in line {}", self.document.line(before));
                self.wrong(at.span(), format!("a second [[repository]] is {repo}"), help);
                return None;
            }
            let is_github = self.github.contains(&forge);
            Some(Repository { forge, repo, sources, commands, is_github })
        })
    }

    /// Who may give commands; a table that names nobody is taken for a mistake.
    fn commands(&mut self, at: Option<&At<raw::Commands>>) -> Option<Commands> {
        let Some(at) = at else { return Some(Commands::default()) };
        let raw = at.value();
        if raw.users.is_empty() && raw.teams.is_empty() {
            let help = "name them: `users = [\"alice\"]`, `teams = [\"molecule/leads\"]`, or leave the table out";
            self.wrong(at.span(), "`commands` names nobody", help);
            return None;
        }
        let users = each(&raw.users, |user| self.ruled("users", user, rules::login));
        let teams = each(&raw.teams, |team| self.ruled("teams", team, rules::team));
        Some(Commands { users: users?, teams: teams? })
    }

    /// The gates, with names that are unique for each consumer.
    pub(super) fn gates(&mut self, raw: &[At<raw::Gate>]) -> Option<Vec<Gate>> {
        let mut first: BTreeMap<(Place, String), usize> = BTreeMap::new();
        let mut contexts: BTreeMap<(Place, String), (String, usize)> = BTreeMap::new();
        each(raw, |one| {
            let gate = self.gate(one)?;
            let name = &one.value().name;
            if let Scope::Brought(bringer) = self.scope {
                self.trusted(&gate, one.value(), &bringer)?;
            }
            let key = (gate.consumer.place.clone(), gate.name.clone());
            if let Some(before) = first.get(&key) {
                let message = format!("a second gate is called `{}` for the same consumer", gate.name);
                let help = format!("give it another name; the first is in line {}", self.document.line(*before));
                self.wrong(name.span(), message, help);
                return None;
            }
            first.insert(key, name.span().start);
            for place in [&gate.consumer.place, &gate.source.place] {
                if !matches!(place, Place::Forge { forge, .. } if self.github.contains(forge)) {
                    continue;
                }
                let now = (gate.context.clone(), name.span().start);
                let (context, before) =
                    contexts.entry((place.clone(), gate.context.to_ascii_lowercase())).or_insert(now).clone();
                if context != gate.context {
                    let message = format!(
                        "the context `{}` differs from `{context}` in its capitals only, and GitHub takes both for one",
                        gate.context
                    );
                    let help =
                        format!("write it as the gate in line {} does, or another one", self.document.line(before));
                    self.wrong(name.span(), message, help);
                    return None;
                }
            }
            Some(gate)
        })
    }

    /// Whether a gate of a repository's own file asks for no more than that repository has.
    fn trusted(&mut self, gate: &Gate, raw: &raw::Gate, bringer: &Bringer<'_>) -> Option<()> {
        let before = self.problems.len();
        if gate.context != "drift-gate" && !gate.context.starts_with("drift-gate/") {
            let help = "write `drift-gate`, or a name that begins with `drift-gate/`: other names belong to others";
            self.wrong(raw.context.span(), "`context` is not one that a repository's own gate may have", help);
        }
        if gate.quote == Quote::Always {
            let help = "take it out: only the service's own file may open what readers of one side cannot read";
            self.wrong(raw.name.span(), "`quote = \"always\"` is not for a repository to say", help);
        }
        if let Some(commands) = &raw.commands {
            let help = "take it out: who may waive stands in the service's own file, under this [[repository]]";
            self.wrong(commands.span(), "who may waive is not for a repository to say", help);
        }
        if bringer.taken.contains(&gate.name) {
            let help = "give it another name: the service's own file has one of that name for this consumer";
            self.wrong(raw.name.span(), format!("a gate is called `{}` already", gate.name), help);
        }
        (self.problems.len() == before).then_some(())
    }

    fn gate(&mut self, at: &At<raw::Gate>) -> Option<Gate> {
        let raw = at.value();
        let name = self.ruled("name", &raw.name, rules::name);
        let context = self.ruled("context", &raw.context, rules::context);
        let source = self.source(&raw.source);
        let consumer = self.consumer(raw.consumer.as_ref(), &at.span());
        if let (Some(source), Some(consumer)) = (&source, &consumer)
            && source.place == consumer.place
        {
            let help = "name two repositories: the one that is the truth, and the one that bakes it";
            self.wrong(raw.source.span(), "the source is the consumer itself", help);
            return None;
        }
        let sides = consumer.as_ref().zip(source.as_ref()).map(|(consumer, source)| (&consumer.place, &source.place));
        let issues = self.issues(raw, sides);
        let binding = self.binding(&raw.binding);
        let identity = self.identity(at);
        let ignore = self.globs("ignore", &raw.ignore);
        let optional = self.globs("optional", &raw.optional);
        let grace = self.ruled("grace", &raw.grace, rules::duration);
        let enforce_after = self.optional("enforce_after", raw.enforce_after.as_ref(), rules::moment);
        let watch = self.globs("watch", &raw.watch);
        let retired = self.optional("retired", raw.retired.as_ref(), rules::reason);
        let unreadable_after = self.ruled("unreadable_after", &raw.unreadable_after, rules::duration);
        let commands = match self.scope {
            // Its own table is refused.
            Scope::Brought(bringer) => Some(bringer.repository.commands.clone()),
            Scope::Service | Scope::Laptop => self.commands(raw.commands.as_ref()),
        };
        if raw.check.value().is_empty() {
            self.wrong(raw.check.span(), "the gate has no check: nothing would be compared", "add a `[[gate.check]]`");
        }
        let checks = each(raw.check.value(), |check| {
            if let (raw::Check::Pin(_), Some(Binding::Follow)) = (check.value(), &binding) {
                let help = "remove it, or write a `binding` with a pin";
                self.wrong(check.span(), "a check of kind `pin` in a gate that pins nothing", help);
            }
            self.check(check)
        });
        let repairs = self.repairs(raw, binding.as_ref());
        let gate = Gate {
            name: name?,
            context: context?,
            source: source?,
            consumer: consumer?,
            binding: binding?,
            identity: identity?,
            ignore: ignore?,
            optional: optional?,
            unlisted: match raw.unlisted {
                raw::Level::Drift => Level::Drift,
                raw::Level::Notice => Level::Notice,
            },
            inherited: match raw.inherited {
                raw::Inherited::Pass => Inherited::Pass,
                raw::Inherited::Fail => Inherited::Fail,
            },
            stale: match raw.stale {
                raw::Stale::Fail => Stale::Fail,
                raw::Stale::Notice => Stale::Notice,
            },
            grace: grace?,
            unreadable_after: unreadable_after?,
            advisory: raw.advisory,
            strict_assumptions: raw.strict_assumptions,
            enforce_after: enforce_after?,
            watch: watch?,
            retired: retired?,
            quote: match raw.quote {
                raw::Quote::Readers => Quote::Readers,
                raw::Quote::Always => Quote::Always,
            },
            commands: commands?,
            issues: issues?,
            checks: checks.filter(|checks| !checks.is_empty())?,
            repairs: repairs?,
            digest: String::new(),
        };
        Some(Gate { digest: digest(&gate), ..gate })
    }

    /// The files that the gate is about; none where its checks name them.
    fn identity(&mut self, gate: &At<raw::Gate>) -> Option<Vec<String>> {
        // That a `bake` needs it is in the schema.
        let Some(identity) = &gate.value().identity else { return Some(Vec::new()) };
        if identity.value().is_empty() {
            let help = "name the files that the gate is about: `identity = [\"config.yaml\", \"prompts/**\"]`";
            self.wrong(identity.span(), "`identity` is empty: the gate would compare nothing", help);
            return None;
        }
        self.globs("identity", identity.value())
    }

    fn source(&mut self, at: &At<raw::Source>) -> Option<Source> {
        let raw = at.value();
        let branch = self.ruled("branch", &raw.branch, rules::branch);
        let place = match (&raw.forge, &raw.repo, &raw.url) {
            (Some(forge), Some(_), None) if matches!(self.scope, Scope::Brought(_)) => {
                let help =
                    "write its address: `{ url = \"https://git.example.org/molecule/template\", branch = \"main\" }`";
                self.wrong(forge.span(), "a repository's own gate names its source by address", help);
                None
            }
            (Some(forge), Some(repo), None) => self.on_forge(forge, repo),
            (None, None, Some(url)) if !self.scope.is_service() => {
                let address = self.ruled("source.url", url, rules::address);
                match self.scope {
                    Scope::Brought(bringer) => address.and_then(|address| self.listed(url, &address, &bringer)),
                    Scope::Laptop | Scope::Service => address.map(Place::Url),
                }
            }
            (None, None, Some(url)) => {
                let help = "write `forge` and `repo`; an address stands in a `.drift-gate.toml` only";
                self.wrong(url.span(), "the service needs a source on one of its forges", help);
                None
            }
            (_, _, Some(_)) => {
                let help = "keep one: `forge` and `repo`, or `url`";
                self.wrong(at.span(), "the source is named twice", help);
                None
            }
            (_, _, None) => {
                let help = match self.scope {
                    Scope::Service => {
                        "write `forge` and `repo`: `{ forge = \"main\", repo = \"molecule/template\", branch = \"main\" }`"
                    }
                    Scope::Laptop | Scope::Brought(_) => {
                        "write `url`: `{ url = \"https://git.example.org/molecule/template\", branch = \"main\" }`"
                    }
                };
                self.wrong(at.span(), "the source is not named", help);
                None
            }
        };
        Some(Source { place: place?, branch: branch? })
    }

    /// The source of a gate that a repository brings: one that the server lists for it.
    fn listed(&mut self, at: &Text, address: &str, bringer: &Bringer<'_>) -> Option<Place> {
        let Repository { forge, repo, sources, .. } = bringer.repository;
        let bare = |address: &str| address.trim_end_matches(".git").to_ascii_lowercase();
        let found = sources.iter().find(|source| bare(&format!("{}/{source}", bringer.forge_url)) == bare(address));
        if let Some(source) = found {
            return Some(Place::Forge { forge: forge.clone(), repo: source.clone() });
        }
        let message = format!("the service does not list {address} as a source of {repo}");
        let help = format!("ask its operator to add it to `sources` of the `[[repository]]` {repo}");
        self.wrong(at.span(), message, help);
        None
    }

    /// What a gate without a `consumer`, or without its `branches`, judges.
    fn default_branches(&self) -> Vec<String> {
        match self.scope {
            Scope::Brought(bringer) => vec![bringer.default_branch.to_owned()],
            Scope::Service | Scope::Laptop => Vec::new(),
        }
    }

    /// The repository that the file lies in.
    fn here(&self) -> Place {
        match self.scope {
            Scope::Brought(bringer) => {
                let Repository { forge, repo, .. } = bringer.repository;
                Place::Forge { forge: forge.clone(), repo: repo.clone() }
            }
            Scope::Service | Scope::Laptop => Place::Here,
        }
    }

    fn consumer(&mut self, at: Option<&At<raw::Consumer>>, gate: &Range<usize>) -> Option<Consumer> {
        let sample = "`consumer = { forge = \"main\", repo = \"molecule/core\", branches = [\"main\"] }`";
        let Some(at) = at else {
            if !self.scope.is_service() {
                return Some(Consumer {
                    place: self.here(),
                    branches: self.default_branches(),
                    queue_branches: Vec::new(),
                });
            }
            self.wrong(gate.clone(), "[[gate]] has no `consumer`", format!("add {sample}"));
            return None;
        };
        let raw = at.value();
        let place = match (&raw.forge, &raw.repo) {
            (Some(forge), Some(_)) if matches!(self.scope, Scope::Brought(_)) => {
                let help =
                    "write `consumer = { branches = [\"main\"] }`: the consumer is the repository with this file";
                self.wrong(forge.span(), "a repository's own gate cannot name its consumer", help);
                None
            }
            (Some(forge), Some(repo)) => self.on_forge(forge, repo),
            (None, None) if !self.scope.is_service() => Some(self.here()),
            _ => {
                self.wrong(at.span(), "the consumer needs both `forge` and `repo`", format!("write {sample}"));
                None
            }
        };
        let branches = match &raw.branches {
            Some(branches) if branches.value().is_empty() => {
                let help = "name the branches to judge: `branches = [\"main\"]`";
                self.wrong(branches.span(), "`branches` is empty: nothing would be judged", help);
                None
            }
            Some(branches) => each(branches.value(), |glob| self.ruled("branches", glob, rules::branches)),
            None if !self.scope.is_service() => Some(self.default_branches()),
            None => {
                self.wrong(at.span(), "the consumer has no `branches`", format!("write {sample}"));
                None
            }
        };
        let queue_branches = each(&raw.queue_branches, |glob| self.ruled("queue_branches", glob, rules::branches));
        Some(Consumer { place: place?, branches: branches?, queue_branches: queue_branches? })
    }

    fn on_forge(&mut self, forge: &Text, repo: &Text) -> Option<Place> {
        let repo = self.ruled("repo", repo, rules::repository);
        if let Some(declared) = self.declared.as_ref().filter(|names| !names.contains(forge.value())) {
            let known: Vec<String> = declared.iter().map(|name| format!("`{name}`")).collect();
            let help = if known.is_empty() {
                format!("add a `[forge.{}]` with `kind` and `url`", forge.value())
            } else {
                format!("write {}, or add a `[forge.{}]`", known.join(" or "), forge.value())
            };
            self.wrong(forge.span(), format!("no forge is called `{}`", forge.value()), help);
            return None;
        }
        Some(Place::Forge { forge: forge.value().clone(), repo: repo? })
    }

    fn globs(&mut self, key: &str, texts: &[Text]) -> Option<Vec<String>> {
        each(texts, |text| self.ruled(key, text, rules::glob))
    }

    /// What a text means, or a problem at its place.
    fn ruled<T>(&mut self, key: &str, text: &Text, rule: impl FnOnce(&str) -> Ruled<T>) -> Option<T> {
        match rule(text.value()) {
            Ok(meaning) => Some(meaning),
            Err(wrong) => {
                if wrong.secret {
                    self.document.cover(text.span());
                }
                self.wrong(text.span(), format!("`{key}` {}", wrong.message), wrong.help);
                None
            }
        }
    }

    /// A key that may be left out.
    fn optional<T>(
        &mut self,
        key: &str,
        text: Option<&Text>,
        rule: impl FnOnce(&str) -> Ruled<T>,
    ) -> Option<Option<T>> {
        match text {
            Some(text) => self.ruled(key, text, rule).map(Some),
            None => Some(None),
        }
    }

    fn wrong(&mut self, at: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem::new(at, message, help));
    }
}

/// All of them or none, but looks at each.
fn each<T, U>(items: &[T], read: impl FnMut(&T) -> Option<U>) -> Option<Vec<U>> {
    let read: Vec<Option<U>> = items.iter().map(read).collect();
    read.into_iter().collect()
}

/// What is not there is fine; what is there must have been read.
#[allow(clippy::option_option)]
fn flat<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}

/// SHA-256 of a gate's meaning. Its JSON has the fields in the order of the structs and maps in the order of their keys, so
/// neither order nor comments nor spelling (`60m`, `1h`) of the file show in it.
#[allow(clippy::expect_used, reason = "a gate is text, numbers, lists and maps with text for keys")]
fn digest(gate: &Gate) -> String {
    let canonical = serde_json::to_vec(gate).expect("a gate is text, numbers, lists and maps with text for keys");
    hex::encode(Sha256::digest(&canonical))
}
