//! The two repositories of the demo: a template that says who the platform's agent is, and a core that bakes it into an image.

use super::person::{Person, PersonError};

/// The consumer.
pub const CORE: &str = "molecule/core";
/// The source of truth.
pub const TEMPLATE: &str = "molecule/platform-agent-template";
/// Where core builds the image.
pub const DOCKERFILE: &str = "workspace-server/Dockerfile.platform-agent";
/// The gate between them, as an operator writes it; forge and service are added by whoever starts them.
pub const GATE: &str = r#"[[gate]]
name = "platform-agent-identity"
source = { forge = "demo", repo = "molecule/platform-agent-template", branch = "main" }
consumer = { forge = "demo", repo = "molecule/core", branches = ["main"] }
binding = { pin = "manifest.json", at = "workspace_templates[name=platform-agent].ref", require = { repo = "molecule/platform-agent-template" } }
identity = ["config.yaml", "mcp_servers.yaml", "prompts/**", "skills/**"]
ignore = ["README.md"]

[[gate.check]]
kind = "bake"
dockerfile = "workspace-server/Dockerfile.platform-agent"
source_dir = ".tenant-bundle-deps/workspace-configs-templates/platform-agent"
destination = "/opt/molecule-platform-agent-template"

[[gate.repair]]
kind = "pin"
"#;

const README: &str =
    "# Platform agent template\n\nWho the platform's agent is. Core bakes these files into its image.\n";

const SERVERS: &str = "mcp_servers:
  - name: platform
    command: molecule-platform-mcp
    env:
      MOLECULE_MCP_MODE: management
";

const PROMPT: &str = "# You are {{CONCIERGE_NAME}} — the Org Concierge

You greet whoever joins, you know who does what, and you hand work to the agent it belongs to.
When nobody fits, you say so.
";

/// What core's Dockerfile says at first: it bakes every file of the template.
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

/// The agent's configuration with this model.
pub fn config(model: &str) -> String {
    format!("name: Org Concierge\nruntime: claude-code\nmodel: {model}\nprompt_files:\n  - prompts/concierge.md\n")
}

/// Core's manifest with this commit of the template.
pub fn manifest(pin: &str) -> String {
    format!(
        "{{\n  \"version\": 1,\n  \"workspace_templates\": [\n    {{\n      \"name\": \"platform-agent\",\n      \
         \"repo\": \"{TEMPLATE}\",\n      \"ref\": \"{pin}\"\n    }}\n  ]\n}}\n"
    )
}

/// The Dockerfile without the COPY of the prompts: what someone might do who tidies up.
pub fn bakes_no_prompts() -> String {
    let is_prompts = |line: &&str| line.starts_with("COPY") && line.contains("/prompts/");
    BAKES.lines().filter(|line| !is_prompts(line)).fold(String::new(), |text, line| text + line + "\n")
}

/// The Dockerfile with a COPY of the skills beside that of the prompts. By a pattern, which may match nothing: a template without
/// skills builds too.
pub fn bakes_skills_too() -> String {
    let prompts = "COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/prompts/";
    let skills = "COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/skill[s]/ /opt/molecule-platform-agent-template/skills/";
    BAKES.replacen(prompts, &format!("{skills}\n{prompts}"), 1)
}

/// Fills both repositories: core bakes the template's head.
///
/// # Errors
/// The forge refuses a commit.
pub async fn set(person: &Person) -> Result<(), PersonError> {
    let config = config("sonnet");
    let files = [
        ("README.md", Some(README)),
        ("config.yaml", Some(config.as_str())),
        ("mcp_servers.yaml", Some(SERVERS)),
        ("prompts/concierge.md", Some(PROMPT)),
    ];
    let template = person.commit(TEMPLATE, "main", None, "Say who the concierge is", &files).await?;
    let manifest = manifest(&template);
    let files = [("manifest.json", Some(manifest.as_str())), (DOCKERFILE, Some(BAKES))];
    person.commit(CORE, "main", None, "Bake the concierge's identity", &files).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tidied_dockerfile_lacks_exactly_the_prompts() {
        let tidied = bakes_no_prompts();
        assert!(!tidied.contains("prompts"));
        assert_eq!(tidied.lines().count() + 1, BAKES.lines().count());
    }
}
