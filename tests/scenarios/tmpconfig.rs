use drift_gate::config::*;
use std::collections::BTreeMap;
use std::time::Duration;
pub fn config(db: String, url: String, token: std::path::PathBuf, secret: std::path::PathBuf, follow: bool, more: &str) -> Config {
    let place = |repo: &str| Place::Forge { forge: "main".into(), repo: repo.into() };
    let forge = Forge { name: "main".into(), kind: ForgeKind::Gitea, url, token: Some(Secret::File(token)), webhook_secrets: vec![Secret::File(secret)] };
    Config {
        server: Server { listen: "127.0.0.1:0".parse().unwrap(), public_url: "http://gate.example.org".into(), admin_token: None, link_secret: None },
        store: Store { url: db },
        forges: BTreeMap::from([("main".into(), forge)]),
        gates: vec![Gate {
            name: "platform-agent-identity".into(), context: "drift-gate".into(),
            source: Source { place: place("molecule/platform-agent-template"), branch: "main".into() },
            consumer: Consumer { place: place("molecule/core"), branches: vec!["main".into()] },
            binding: if follow { Binding::Follow } else { Binding::Pin { file: "manifest.json".into(), at: PinPath::new(vec![PinStep::Key("workspace_templates".into()), PinStep::Select { key: "name".into(), value: "platform-agent".into() }, PinStep::Key("ref".into())]), require: BTreeMap::from([("repo".into(), "molecule/platform-agent-template".into())]) } },
            identity: vec!["config.yaml".into(), "mcp_servers.yaml".into(), "prompts/**".into()],
            ignore: vec!["README.md".into()], optional: vec![], unlisted: Level::Drift,
            inherited: if more.contains("inherited") { Inherited::Fail } else { Inherited::Pass }, stale: Stale::Fail, grace: Duration::ZERO,
            unreadable_after: if more.contains("unreadable_after") { Duration::from_secs(1) } else { Duration::from_secs(3600) }, advisory: false, strict_assumptions: false, quote: Quote::Readers,
            checks: vec![Check::Bake(Bake { dockerfile: "workspace-server/Dockerfile.platform-agent".into(), context: "".into(), source_dir: ".tenant-bundle-deps/workspace-configs-templates/platform-agent".into(), destination: "/opt/molecule-platform-agent-template".into(), build_args: BTreeMap::new() })],
            digest: "d".into(),
        }],
    }
}
