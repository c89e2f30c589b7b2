//! `drift-gate demo`: a forge, two repositories and the service between them, all in this process, on loopback, in a folder
//! that is removed at the end. Everything is what it is elsewhere: the service is started as `serve` starts it, from a
//! configuration file, and knows the stand-in by its address only.
//!
//! With `--exit` the story is told and the command ends; without, it stays, and people push by the buttons of the forge's page.

mod buttons;
mod story;

use std::path::Path;

use anyhow::Context;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;

use super::Failure;
use super::serve::{self, LogFormat, Service};
use crate::config::Config;
use crate::controller::Options;
use crate::demo::StandIn;
use crate::demo::person::Person;
use crate::demo::scene::{self, CORE, TEMPLATE};

/// What `demo` takes.
#[derive(clap::Args)]
pub struct Arguments {
    /// Tell the story and leave; 0 when each step ended as it should
    #[arg(long)]
    exit: bool,
}

/// The people of the demo.
const MAINTAINER: &str = "maintainer";
const BOT: &str = "drift-gate-bot";
/// Only this process knows whom it is for.
const WEBHOOK_SECRET: &str = "a-secret-of-the-demo-and-of-nothing-else";

/// Runs the demo; the exit code.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    // What the service logs would run into the story.
    serve::start_log(if arguments.exit { "error" } else { "warn" }, LogFormat::Text);
    serve::to_its_end(show(arguments.exit))
}

async fn show(exit: bool) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("cannot make a folder for the demo")?;
    let demo = Demo::start(folder.path()).await?;
    anstream::println!(
        "A forge, molecule/core and molecule/platform-agent-template on it, and drift-gate between them."
    );
    if exit {
        story::tell(&demo.person).await?;
        anstream::println!("Without --exit the demo stays, with pages to look at and buttons that push.");
    } else {
        anstream::println!(
            "\n  the forge    {}\n  drift-gate   http://{}\n",
            demo.forge.base(),
            demo.service.address()
        );
        anstream::println!("Open the forge: its buttons push changes. Ctrl-C ends it; nothing is kept.");
        serve::stop_signal().await?;
    }
    demo.service.stop().await;
    Ok(())
}

/// Everything that runs.
struct Demo {
    forge: StandIn,
    service: Service,
    person: Person,
}

impl Demo {
    async fn start(folder: &Path) -> anyhow::Result<Self> {
        let of_forge = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on 127.0.0.1")?;
        let of_service = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on 127.0.0.1")?;
        let service_url = format!("http://{}", of_service.local_addr()?);
        let buttons = buttons::Buttons::default();
        let forge = StandIn::start(of_forge, &folder.join("forge"), buttons.page(&service_url), buttons.router())?;
        let (person, bot_token) = people(&forge)?;
        buttons.press_as(person.clone());
        for name in ["core", "platform-agent-template"] {
            forge.repository("molecule", name, false)?;
        }
        scene::set(&person).await?;
        for repo in [CORE, TEMPLATE] {
            wire_up(&person, repo, &format!("{service_url}/hooks/demo")).await?;
        }
        let config = configuration(folder, &service_url, forge.base(), &bot_token)?;
        let service = Service::start(&config, of_service, Options::default(), true).await?;
        Ok(Self { forge, service, person })
    }
}

/// The maintainer, and the token of the service's own user.
fn people(forge: &StandIn) -> anyhow::Result<(Person, String)> {
    let person = Person::new(forge.base(), &forge.user(MAINTAINER, true)?);
    forge.organization("molecule", MAINTAINER)?;
    Ok((person, forge.user(BOT, false)?))
}

/// What an operator does to a repository: the bot may write, the service hears of pushes, its verdict is required.
async fn wire_up(person: &Person, repo: &str, hooks: &str) -> anyhow::Result<()> {
    let bot = format!("/repos/{repo}/collaborators/{BOT}");
    person.ask(Method::PUT, &bot, Some(json!({ "permission": "write" }))).await?;
    let hook = json!({
        "type": "gitea",
        "active": true,
        "events": ["push", "create", "delete", "pull_request", "pull_request_sync", "pull_request_comment", "issue_comment", "repository"],
        "config": { "url": hooks, "content_type": "json", "secret": WEBHOOK_SECRET },
    });
    person.ask(Method::POST, &format!("/repos/{repo}/hooks"), Some(hook)).await?;
    let protection = json!({
        "rule_name": "main",
        "enable_push": true,
        "enable_status_check": true,
        "status_check_contexts": ["drift-gate"],
    });
    person.ask(Method::POST, &format!("/repos/{repo}/branch_protections"), Some(protection)).await?;
    Ok(())
}

/// The file that an operator would write, read as `serve` reads it.
fn configuration(folder: &Path, service: &str, forge: &str, token: &str) -> anyhow::Result<Config> {
    let secret = |name: &str, value: &str| -> anyhow::Result<String> {
        let path = folder.join(name);
        std::fs::write(&path, value).with_context(|| format!("cannot write {}", path.display()))?;
        toml_text(&path.to_string_lossy())
    };
    let (token, webhook_secret) = (secret("token", token)?, secret("webhook-secret", WEBHOOK_SECRET)?);
    let database = toml_text(&format!("sqlite://{}", folder.join("drift-gate.db").display()))?;
    let text = format!(
        "[server]\npublic_url = \"{service}\"\n\n[store]\nurl = {database}\n\n[forge.demo]\nkind = \"gitea\"\nurl = \"{forge}\"\n\
         token = {{ file = {token} }}\nwebhook_secrets = [{{ file = {webhook_secret} }}]\n\n{}",
        scene::GATE
    );
    Ok(Config::parse(&text, "the demo's configuration")?)
}

/// A text as TOML writes it: the temporary folder's name is not ours to choose.
fn toml_text(text: &str) -> anyhow::Result<String> {
    serde_json::to_string(text).context("a path")
}
