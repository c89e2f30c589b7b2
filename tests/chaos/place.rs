//! Where a story happens: a template, the core that bakes it, and their forge.

use std::path::{Path, PathBuf};

use drift_gate::demo::person::Person;
use reqwest::Method;
use serde_json::json;

use crate::host::{ADMIN, BOT, CONTRIBUTOR, Host};
use crate::rng::Rng;

pub const CORE: &str = "molecule/core";
pub const TEMPLATE: &str = "molecule/platform-agent-template";
pub const SECRET: &str = "a-shared-secret-of-32-characters";
pub const ADMIN_TOKEN: &str = "an-admin-token-of-32-characters-";
pub const DOCKERFILE: &str = "workspace-server/Dockerfile.platform-agent";

/// Contents that come and go: few, so that what was true before is often true again.
pub const CONFIGS: [&str; 3] = ["name: Org Concierge\n", "name: Org Concierge\nmodel: opus\n", "name: Concierge\n"];
pub const SERVERS: [&str; 2] = ["mcp_servers:\n  - name: platform\n", "mcp_servers: []\n"];
pub const PROMPTS: [&str; 2] = ["# You are the Org Concierge\n", "# You are {{CONCIERGE_NAME}}\n"];

const BAKES: &str = "\
# The platform agent: the base image with the concierge's identity baked in.
ARG BASE_IMAGE=molecule-local/platform:latest
FROM ${BASE_IMAGE}
ARG DIR=.deps/platform-agent
COPY ${DIR}/config.yaml /opt/template/config.yaml
COPY ${DIR}/mcp_servers.yaml /opt/template/mcp_servers.yaml
COPY ${DIR}/prompts/ /opt/template/prompts/
ENTRYPOINT [\"/entrypoint.sh\"]
";

/// Dockerfiles of core: good ones, and ones that lose, flatten or misplace something or cannot be built or known.
pub fn dockerfiles() -> Vec<String> {
    vec![
        BAKES.to_owned(),
        format!("# Another image.\n{BAKES}"),
        BAKES.replace("COPY ${DIR}/mcp", "# COPY ${DIR}/mcp"),
        BAKES.replace("/prompts/ /opt", "/prompts/*.md /opt"),
        BAKES.replace("/opt/template/config.yaml", "/opt/template/config.yml"),
        BAKES.replace("ENTRYPOINT", "COPY nothing.txt /\nENTRYPOINT"),
        BAKES.replace("ENTRYPOINT", "RUN sed -i s/a/b/ /opt/template/config.yaml\nENTRYPOINT"),
    ]
}

/// The manifest that pins the template at a commit.
pub fn manifest(pin: &str) -> String {
    format!(
        "{{\n  \"version\": 1,\n  \"templates\": [\n    {{\"name\": \"hermes\", \"ref\": \"{}\"}},\n    \
         {{\"name\": \"platform-agent\", \"repo\": \"{TEMPLATE}\", \"ref\": \"{pin}\"}}\n  ]\n}}\n",
        "1".repeat(40)
    )
}

/// A forge with both repositories, in sync at first, whose hooks go to one address.
pub struct Place {
    pub host: Host,
    pub maintainer: Person,
    pub contributor: Person,
    /// The contributor's copy of core.
    pub fork: String,
    bot: String,
    gate: String,
    folder: PathBuf,
    git: [PathBuf; 2],
}

impl Place {
    /// The gate's options are chosen by `rng`.
    pub async fn make(folder: &Path, hooks: &str, rng: &mut Rng) -> Self {
        let host = Host::start(folder).await;
        let person = |name: &str| Person::new(&host.base(), &host.api(name).token);
        let (maintainer, contributor) = (person(ADMIN), person(CONTRIBUTOR));
        for name in ["platform-agent-template", "core"] {
            host.make_repository(name, false).await;
        }
        let first = [
            ("config.yaml", Some(CONFIGS[0])),
            ("mcp_servers.yaml", Some(SERVERS[0])),
            ("prompts/concierge.md", Some(PROMPTS[0])),
        ];
        let head = maintainer.commit(TEMPLATE, "main", None, "The template", &first).await.expect("a commit");
        let (pins, bakes) = (manifest(&head), &dockerfiles()[0]);
        let first = [("manifest.json", Some(pins.as_str())), (DOCKERFILE, Some(bakes))];
        maintainer.commit(CORE, "main", None, "Core", &first).await.expect("a commit");
        let fork = contributor.ask(Method::POST, &format!("/repos/{CORE}/forks"), Some(json!({}))).await;
        let fork = fork.expect("a fork")["full_name"].as_str().expect("a name").to_owned();
        for repo in [CORE, TEMPLATE] {
            let hook = json!({
                "type": "gitea", "active": true,
                "events": ["push", "create", "delete", "pull_request", "pull_request_sync", "pull_request_comment",
                    "issue_comment", "repository", "status"],
                "config": { "url": hooks, "content_type": "json", "secret": SECRET },
            });
            maintainer.ask(Method::POST, &format!("/repos/{repo}/hooks"), Some(hook)).await.expect("a hook");
        }
        let mut git = Vec::new();
        for repo in [CORE, TEMPLATE] {
            let id = maintainer.ask(Method::GET, &format!("/repos/{repo}"), None).await.expect("it")["id"].to_string();
            let stand_in = folder.join("forge").join(format!("{id}.git"));
            let real = folder.join("repositories").join(format!("{repo}.git"));
            git.push(if stand_in.exists() { stand_in } else { real });
        }
        Self {
            bot: host.api(BOT).token,
            host,
            maintainer,
            contributor,
            fork,
            gate: options(rng),
            folder: folder.to_owned(),
            git: git.try_into().expect("two"),
        }
    }

    /// The folder of a repository: core's or the template's.
    pub fn git(&self, repo: &str) -> &Path {
        &self.git[usize::from(repo == TEMPLATE)]
    }

    /// Writes the configuration of a service that finds the forge at `forge`; its path.
    pub fn config(&self, forge: &str, listen: &str, store: &str) -> PathBuf {
        let write = |name: &str, text: &str| {
            let path = self.folder.join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let secret = |name: &str, text: &str| format!("{{ file = \"{}\" }}", write(name, text).display());
        let text = format!(
            r#"
[server]
listen = "{listen}"
public_url = "http://gate.example.org"
admin_token = {admin}
link_secret = {link}
[store]
url = "{store}"
[forge.main]
kind = "gitea"
url = "{forge}"
token = {token}
webhook_secrets = [{hooks}]
[[gate]]
name = "platform-agent-identity"
source = {{ forge = "main", repo = "{TEMPLATE}", branch = "main" }}
identity = ["config.yaml", "mcp_servers.yaml", "prompts/**"]
ignore = ["README.md", "docs/**"]
{gate}
[[gate.check]]
kind = "bake"
dockerfile = "{DOCKERFILE}"
context = "."
source_dir = ".deps/platform-agent"
destination = "/opt/template"
"#,
            admin = secret("admin-token", ADMIN_TOKEN),
            link = secret("link-secret", "a-link-secret-of-32-characters--"),
            token = secret("token", &self.bot),
            hooks = secret("hook-secret", SECRET),
            gate = self.gate,
        );
        write("drift-gate.toml", &text)
    }

    /// The database beside the configuration.
    pub fn sqlite(&self) -> PathBuf {
        self.folder.join("drift-gate.db")
    }
}

/// What differs from gate to gate.
fn options(rng: &mut Rng) -> String {
    let branches = rng.pick(&["\"main\"", "\"main\", \"release/*\""]);
    let pin = format!(
        "{{ pin = \"manifest.json\", at = \"templates[name=platform-agent].ref\", require = {{ repo = \"{TEMPLATE}\" }} }}"
    );
    let binding = if rng.percent(85) { pin.as_str() } else { "{ follow = true }" };
    let mut text = format!("consumer = {{ forge = \"main\", repo = \"{CORE}\", branches = [{branches}] }}\n");
    text.push_str(&format!("binding = {binding}\n"));
    for (percent, line) in [
        (40, "unreadable_after = \"1s\"\n"),
        (20, "inherited = \"fail\"\n"),
        (10, "stale = \"notice\"\n"),
        (20, "unlisted = \"notice\"\n"),
    ] {
        if rng.percent(percent) {
            text.push_str(line);
        }
    }
    text
}
