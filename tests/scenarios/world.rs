//! The world of every story: a template, the core that bakes it, their forge, and drift-gate between them.

use std::time::Duration;

use drift_gate::cli::serve::Service;
use drift_gate::config::Config;
use drift_gate::controller::Options;
use drift_gate::demo::StandIn;
use drift_gate::demo::forge::apps::NewApp;
use serde_json::json;
use tempfile::TempDir;

use crate::host::{ADMIN, Api, BOT, CONTRIBUTOR, Host, eventually};
use crate::relay::{Post, Proxy, Relay};

pub const CORE: &str = "molecule/core";
pub const TEMPLATE: &str = "molecule/platform-agent-template";
/// Core's own file of gates.
pub const FILE: &str = ".drift-gate.toml";
pub const SECRET: &str = "a-shared-secret-of-32-characters";
/// What opens the operator's pages.
const ADMIN_TOKEN: &str = "an-admin-token-of-32-characters-";
const DOCKERFILE: &str = "workspace-server/Dockerfile.platform-agent";

pub const CONFIG: &str = "name: Org Concierge\nruntime: claude-code\n";
pub const SERVERS: &str = "mcp_servers:\n  - name: platform\n";
pub const PROMPT: &str = "# You are {{CONCIERGE_NAME}} — the Org Concierge\n";

/// The Dockerfile of the stories.
pub const BAKES: &str = r#"# The platform agent: the base image with the concierge's identity baked in.
ARG BASE_IMAGE=molecule-local/platform:latest
FROM ${BASE_IMAGE}
ARG PLATFORM_AGENT_TEMPLATE_DIR=.tenant-bundle-deps/workspace-configs-templates/platform-agent
COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/config.yaml /opt/molecule-platform-agent-template/config.yaml
COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/mcp_servers.yaml /opt/molecule-platform-agent-template/mcp_servers.yaml
COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/prompts/ /opt/molecule-platform-agent-template/prompts/
COPY --chmod=0755 <<'ENTRY' /entrypoint-platform-agent.sh
#!/bin/sh
exec /entrypoint.sh "$@"
ENTRY
ENTRYPOINT ["/entrypoint-platform-agent.sh"]
"#;

/// A second gate of core, with a source of its own.
pub const HERMES: &str = r#"
[[gate]]
name = "hermes"
context = "drift-gate/hermes"
source = { forge = "main", repo = "molecule/hermes", branch = "main" }
consumer = { forge = "main", repo = "molecule/core", branches = ["main"] }
binding = { follow = true }
[[gate.check]]
kind = "mirror"
file = "hermes.yaml"
copies = ["hermes.yaml"]
"#;

/// A gate of another repository, which keeps the template's prompts.
pub const EDGE: &str = r#"
[[gate]]
name = "edge"
context = "drift-gate/edge"
source = { forge = "main", repo = "molecule/platform-agent-template", branch = "main" }
consumer = { forge = "main", repo = "molecule/edge", branches = ["main"] }
binding = { follow = true }
[[gate.check]]
kind = "mirror"
folder = "prompts"
copies = ["prompts"]
"#;

/// The manifest that pins the template at a commit.
pub fn manifest(pin: &str) -> String {
    format!(
        "{{\n  \"version\": 1,\n  \"workspace_templates\": [\n    {{\"name\": \"hermes\", \"repo\": \"molecule/hermes\", \
         \"ref\": \"{hermes}\"}},\n    {{\"name\": \"platform-agent\", \"repo\": \"{TEMPLATE}\", \"ref\": \"{pin}\"}}\n  ]\n}}\n",
        hermes = "1".repeat(40)
    )
}

pub struct World {
    /// Ends when the story does.
    host: Host,
    /// The number and the key of the GitHub App that drift-gate is, if it is one.
    app: Option<NewApp>,
    pub proxy: Proxy,
    pub relay: Relay,
    /// The forge as its administrator, past the proxy.
    pub admin: Api,
    pub bot: Api,
    pub contributor: Api,
    /// What core bakes and pins at first.
    pub template_head: String,
    pub core_head: String,
    options: Options,
    binding: String,
    more: String,
    behind: &'static str,
    brings: bool,
    queues: &'static str,
    /// Which branches of core are gated, as a list's inside.
    branches: &'static str,
    /// The dialect that drift-gate speaks.
    kind: &'static str,
    service: Option<Service>,
    /// Another one that serves the same gates from a database of its own.
    second: Option<Service>,
    folder: TempDir,
}

/// How a story's world differs from the usual one.
pub struct Setting {
    pub options: Options,
    /// Further keys of the gate.
    pub gate: &'static str,
    pub private_template: bool,
    /// Further lines of the service's file, behind the gate: `[gate.commands]`, say.
    pub behind: &'static str,
    /// The gate stands in core's own `.drift-gate.toml`, not in the service's file.
    pub brings: bool,
    /// drift-gate speaks GitHub's dialect; only the stand-in understands it.
    pub github: bool,
    /// It does so as a GitHub App that is installed on both.
    pub app: bool,
}

impl Default for Setting {
    fn default() -> Self {
        let options = Options {
            // Long enough that only hints can explain what a story sees.
            reconcile: Duration::from_secs(600),
            first_verdict: Duration::from_millis(600),
            moment: Duration::from_secs(2),
            deadline: Duration::from_secs(300),
            cache_limit: 10_000_000_000,
        };
        let (private_template, brings, github, app) = (false, false, false, false);
        Self { options, gate: "", private_template, behind: "", brings, github, app }
    }
}

impl World {
    /// Both sides in sync, and both statuses say so.
    pub async fn in_sync() -> Self {
        Self::with(Setting::default()).await
    }

    pub async fn with(setting: Setting) -> Self {
        let mut world = Self::before_the_first_look(setting).await;
        world.start().await;
        world.expect(CORE, &world.core_head, "success", "").await;
        world.expect(TEMPLATE, &world.template_head, "success", "").await;
        world
    }

    /// The repositories and hooks are there, drift-gate does not run yet.
    pub async fn before_the_first_look(setting: Setting) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let host = Host::start(folder.path()).await;
        let proxy = Proxy::start(&host.base()).await;
        let relay = Relay::start().await;
        host.make_repository("platform-agent-template", setting.private_template).await;
        host.make_repository("core", false).await;
        let admin = host.api(ADMIN);
        let template_head = admin
            .commit(
                TEMPLATE,
                "main",
                &[
                    ("config.yaml", Some(CONFIG)),
                    ("mcp_servers.yaml", Some(SERVERS)),
                    ("prompts/concierge.md", Some(PROMPT)),
                ],
            )
            .await;
        let core_head = admin
            .commit(CORE, "main", &[("manifest.json", Some(&manifest(&template_head))), (DOCKERFILE, Some(BAKES))])
            .await;
        let app = setting.app.then(|| {
            let forge = host.stand_in().expect("only the stand-in speaks GitHub's dialect");
            let app = forge.app("drift-gate", &relay.url, SECRET).expect("an App");
            for repo in [CORE, TEMPLATE] {
                let (owner, name) = repo.split_once('/').expect("a name");
                forge.install(app.id, owner, name).expect("an installation");
            }
            app
        });
        for repo in [CORE, TEMPLATE].into_iter().filter(|_| app.is_none()) {
            let hook = json!({
                "type": "gitea", "active": true,
                "events": ["push", "create", "delete", "pull_request", "pull_request_sync", "pull_request_comment",
                    "issue_comment", "repository", "status"],
                "config": { "url": relay.url, "content_type": "json", "secret": SECRET },
            });
            admin.call("POST", &format!("/repos/{repo}/hooks"), hook).await;
        }
        let (bot, contributor) = (host.api(BOT), host.api(CONTRIBUTOR));
        let mut world = Self {
            host,
            app,
            proxy,
            relay,
            admin,
            bot,
            contributor,
            template_head,
            core_head,
            options: setting.options,
            binding: format!(
                "{{ pin = \"manifest.json\", at = \"workspace_templates[name=platform-agent].ref\", \
                 require = {{ repo = \"{TEMPLATE}\" }} }}"
            ),
            more: setting.gate.to_owned(),
            behind: setting.behind,
            brings: setting.brings,
            queues: "",
            branches: "\"main\"",
            kind: if setting.github { "github" } else { "gitea" },
            service: None,
            second: None,
            folder,
        };
        if setting.brings {
            let file = world.file("");
            world.core_head = world.admin.commit(CORE, "main", &[(FILE, Some(&file))]).await;
        }
        world
    }

    /// Core's own file of gates, with further keys of its gate.
    pub fn file(&self, more: &str) -> String {
        let source = format!("{{ url = \"{}/{TEMPLATE}\", branch = \"main\" }}", self.proxy.url);
        self.gate(&source, "", more)
    }

    fn gate(&self, source: &str, consumer: &str, more: &str) -> String {
        format!(
            r#"
[[gate]]
name = "platform-agent-identity"
source = {source}
{consumer}
binding = {binding}
identity = ["config.yaml", "mcp_servers.yaml", "prompts/**"]
ignore = ["README.md"]
{more}
[[gate.check]]
kind = "bake"
dockerfile = "{DOCKERFILE}"
context = "."
source_dir = ".tenant-bundle-deps/workspace-configs-templates/platform-agent"
destination = "/opt/molecule-platform-agent-template"
"#,
            binding = self.binding,
        )
    }

    /// The gate follows the template's branch instead of a pin.
    pub fn follow(&mut self) {
        self.binding = "{ follow = true }".to_owned();
    }

    /// Core has a merge queue.
    pub fn queue(&mut self, glob: &'static str) {
        self.queues = glob;
    }

    /// Other lines behind the gate, from the next start on.
    pub fn behind(&mut self, lines: &'static str) {
        self.behind = lines;
    }

    /// Other further keys of the gate, from the next start on.
    pub fn change_gate(&mut self, more: &str) {
        more.clone_into(&mut self.more);
    }

    pub fn config(&self) -> String {
        let write = |name: &str, text: &str| {
            let path = self.folder.path().join(name);
            std::fs::write(&path, text).expect("a secret's file");
            path.display().to_string()
        };
        let secret = write("secret", SECRET);
        let login = match &self.app {
            None => {
                format!("kind = \"{}\"\ntoken = {{ file = \"{}\" }}", self.kind, write("token", &self.bot.token))
            }
            Some(app) => format!(
                "kind = \"github\"\ncheck_runs = true\napp = {{ id = {}, key = {{ file = \"{}\" }} }}",
                app.id,
                write("app.pem", &app.pem)
            ),
        };
        let admin_token = write("admin-token", ADMIN_TOKEN);
        let gates = if self.brings {
            format!("[[repository]]\nforge = \"main\"\nrepo = \"{CORE}\"\nsources = [\"{TEMPLATE}\"]\n")
        } else {
            let source = format!("{{ forge = \"main\", repo = \"{TEMPLATE}\", branch = \"main\" }}");
            let queues = format!("queue_branches = [{}]", self.queues);
            let branches = self.branches;
            let consumer =
                format!("consumer = {{ forge = \"main\", repo = \"{CORE}\", branches = [{branches}], {queues} }}");
            format!("{}{}", self.gate(&source, &consumer, &self.more), self.behind)
        };
        format!(
            r#"
[server]
public_url = "http://gate.example.org"
admin_token = {{ file = "{admin_token}" }}
[store]
url = "sqlite://{database}"
[forge.main]
url = "{forge}"
{login}
webhook_secrets = [{{ file = "{secret}" }}]
{gates}
"#,
            database = self.folder.path().join("drift-gate.db").display(),
            forge = self.proxy.url,
        )
    }

    /// The forge, where it is the stand-in.
    pub fn stand_in(&self) -> &StandIn {
        self.host.stand_in().expect("the stand-in")
    }

    /// The number of the App that drift-gate is.
    pub fn app_id(&self) -> u64 {
        self.app.as_ref().expect("an App").id
    }

    /// Starts drift-gate on the database of before.
    pub async fn start(&mut self) {
        let config = Config::parse(&self.config(), "drift-gate.toml").expect("a configuration");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let service = Service::start(&config, listener, self.options, false).await.expect("the service starts");
        self.relay.to(&format!("http://{}", service.address()));
        self.service = Some(service);
    }

    /// Starts a second one beside it, which knows nothing of the first: what only the forge can hold apart. Deliveries go to the
    /// first.
    pub async fn start_second(&mut self) {
        let config = self.config().replace("/drift-gate.db", "/second.db");
        let config = Config::parse(&config, "drift-gate.toml").expect("a configuration");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let options = Options { reconcile: Duration::from_millis(200), ..self.options };
        self.second = Some(Service::start(&config, listener, options, false).await.expect("the service starts"));
    }

    /// What the API tells the operator of the pull request that ends the drift of this head; null where there is nothing to tell.
    pub async fn repair_of(&self, repo: &str, sha: &str) -> serde_json::Value {
        let address = format!("{}/api/v1/targets?limit=500", self.gate_url());
        let asked = reqwest::Client::new().get(address).bearer_auth(ADMIN_TOKEN);
        let told: serde_json::Value =
            serde_json::from_str(&asked.send().await.expect("an answer").text().await.expect("text")).expect("JSON");
        let targets = told["targets"].as_array().expect("targets").clone();
        let target = targets.into_iter().find(|target| target["repository"] == repo && target["sha"] == sha);
        target.map(|target| target["roles"][0]["repair"].clone()).unwrap_or_default()
    }

    /// That it comes to stand so, with these words.
    pub async fn expect_repair(&self, sha: &str, state: &str, words: &str) -> serde_json::Value {
        eventually(&format!("the repair is {state} ({words})"), async || {
            let repair = self.repair_of(CORE, sha).await;
            let said = repair["words"].as_str().unwrap_or_default().to_owned();
            if repair["state"] == state && said.contains(words) { Ok(repair) } else { Err(repair.to_string()) }
        })
        .await
    }

    /// Makes one more repository of the organization; no hook tells of it.
    pub async fn make_repository(&self, name: &str) {
        self.host.make_repository(name, false).await;
    }

    /// Another token for the bot: only for these scopes, from the next start on.
    pub fn narrow_token(&mut self, scopes: &[&str]) {
        self.bot.token = self.host.token(BOT, scopes);
    }

    /// Further branches of core are gated, from the next start on.
    pub fn gate_branches(&mut self, branches: &'static str) {
        self.branches = branches;
    }

    /// Starts it as `serve --dry-run` does.
    pub async fn start_dry(&mut self) {
        let config = Config::parse(&self.config(), "drift-gate.toml").expect("a configuration");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let service = Service::start_dry(&config, listener, self.options).await.expect("the service starts");
        self.service = Some(service);
    }

    /// Whether the service's own database is there.
    pub fn has_database(&self) -> bool {
        self.folder.path().join("drift-gate.db").exists()
    }

    /// Takes its database away; it must not run.
    pub fn forget(&self) {
        assert!(self.service.is_none(), "the service has it open");
        for file in ["drift-gate.db", "drift-gate.db-wal", "drift-gate.db-shm"] {
            let path = self.folder.path().join(file);
            if path.exists() {
                std::fs::remove_file(path).expect("removed");
            }
        }
    }

    /// The address of drift-gate.
    pub fn gate_url(&self) -> String {
        format!("http://{}", self.service.as_ref().expect("a running service").address())
    }

    /// What `/readyz` says to the operator: its status and its text.
    pub async fn ready(&self) -> (u16, String) {
        let asked = reqwest::Client::new().get(format!("{}/readyz", self.gate_url())).bearer_auth(ADMIN_TOKEN);
        let answer = asked.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    }

    /// The operator's dashboard.
    pub async fn dashboard(&self) -> String {
        let asked = reqwest::Client::new().get(self.gate_url()).bearer_auth(ADMIN_TOKEN);
        asked.send().await.expect("an answer").text().await.expect("text")
    }

    /// What the API tells the operator at an address below `/api/v1`.
    pub async fn told(&self, path: &str) -> serde_json::Value {
        let asked = reqwest::Client::new().get(format!("{}/api/v1{path}", self.gate_url())).bearer_auth(ADMIN_TOKEN);
        let text = asked.send().await.expect("an answer").text().await.expect("text");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// A metric, all its labels together.
    pub async fn metric(&self, name: &str) -> f64 {
        let asked = reqwest::get(format!("{}/metrics", self.gate_url())).await.expect("an answer");
        let text = asked.text().await.expect("text");
        let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let values = text.lines().filter(is_it).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        values.sum()
    }

    /// No repository waits to be looked at.
    pub async fn idle(&self) {
        eventually("nothing waits", async || match self.metric("drift_gate_queue_length").await {
            0.0 => Ok(()),
            waiting => Err(waiting.to_string()),
        })
        .await;
    }

    /// Stops it, as SIGTERM would.
    pub async fn stop(&mut self) {
        if let Some(service) = self.service.take() {
            service.stop().await;
        }
    }

    /// The status of a commit becomes this, with these words in its description. Returns the description.
    pub async fn expect(&self, repo: &str, sha: &str, state: &str, words: &str) -> String {
        let what = format!("{repo} {sha} is {state} ({words})");
        eventually(&what, async || match self.admin.status(repo, sha, "drift-gate").await {
            Some((is, description, _)) if is == state && description.contains(words) => Ok(description),
            other => Err(format!("{other:?}")),
        })
        .await
    }

    /// A push to both: nothing that was hinted before this is still waiting when it returns.
    pub async fn settled(&self) {
        let sha =
            self.admin.commit_new(CORE, "main", &format!("marker-{}", unique()), &[("marker", Some(&unique()))]).await;
        let number = self.admin.get(&format!("/repos/{CORE}/branches/main")).await;
        assert!(number["commit"]["id"].is_string(), "core still has main, so {sha} was a side branch");
        let pull = self.admin.open_pull(CORE, &self.branch_of(&sha).await, "main").await;
        self.expect(CORE, &sha, "success", "").await;
        self.admin.call("PATCH", &format!("/repos/{CORE}/pulls/{pull}"), json!({ "state": "closed" })).await;
    }

    async fn branch_of(&self, sha: &str) -> String {
        let branches = self.admin.get(&format!("/repos/{CORE}/branches?limit=50")).await;
        let found = branches.as_array().expect("branches").iter().find(|branch| branch["commit"]["id"] == sha);
        found.expect("the branch")["name"].as_str().expect("a name").to_owned()
    }

    /// Lets deliveries through, drops or holds them.
    pub fn post(&self, post: Post) {
        self.relay.set(post);
    }

    /// A change of the template on `main`.
    pub async fn push_template(&self, changes: &[(&str, Option<&str>)]) -> String {
        self.admin.commit(TEMPLATE, "main", changes).await
    }

    /// Core pins this commit of the template.
    pub async fn bump(&self, pin: &str) -> String {
        self.admin.commit(CORE, "main", &[("manifest.json", Some(&manifest(pin)))]).await
    }
}

/// A name that no other has.
pub fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}
