//! The story that `drift-gate demo --exit` tells: what people do on the forge, and what both statuses say then. Each step
//! waits until the forge says what it should; one that does not come true ends the story with what was said instead.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use anyhow::{Context, bail};
use reqwest::Method;
use serde_json::Value;

use super::BOT;
use crate::demo::person::{Person, PersonError, Said};
use crate::demo::scene::{self, BAKES, CORE, DOCKERFILE, TEMPLATE};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// How long a status may take that comes within a moment.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the forge is asked meanwhile.
const GLANCE: Duration = Duration::from_millis(20);

/// A commit that a step looks at, and what the forge must say of it.
struct Expected<'a> {
    repo: &'a str,
    /// What people call it: `main`, or a pull request.
    place: String,
    sha: &'a str,
    state: &'a str,
    /// Part of the description.
    words: &'a str,
}

fn expected<'a>(repo: &'a str, place: impl Display, sha: &'a str, state: &'a str, words: &'a str) -> Expected<'a> {
    Expected { repo, place: place.to_string(), sha, state, words }
}

/// Tells it all to standard output.
///
/// # Errors
/// A step did not end as it should; in words that say which and what was seen instead.
pub async fn tell(person: &Person) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut story = Story { person, steps: 0 };
    let template = person.head(TEMPLATE, "main").await?;
    let core = person.head(CORE, "main").await?;
    story.in_sync(&template, &core).await?;
    let template = story.the_template_changes(&core).await?;
    let core = story.the_repair_is_merged(&template).await?;
    story.a_file_that_no_copy_takes().await?;
    story.a_pull_request_that_would_break_the_bake().await?;
    let now = person.head(CORE, "main").await?;
    anyhow::ensure!(now == core, "core's main moved without a merge: {now}");
    anstream::println!("\n{BOLD}Every step ended as it should, in {:.1} s.{BOLD:#}", began.elapsed().as_secs_f64());
    Ok(())
}

struct Story<'a> {
    person: &'a Person,
    steps: usize,
}

impl Story<'_> {
    async fn in_sync(&mut self, template: &str, core: &str) -> anyhow::Result<()> {
        self.step(
            "In sync",
            "core bakes the template's files, at the commit that its manifest.json pins. drift-gate compares them byte for byte.",
        );
        self.expect(&expected(CORE, "main", core, "success", "in sync")).await?;
        self.expect(&expected(TEMPLATE, "main", template, "success", "in sync")).await
    }

    async fn the_template_changes(&mut self, core: &str) -> anyhow::Result<String> {
        self.step("The template changes", "Someone pushes to the template: config.yaml asks for another model.");
        let config = scene::config("opus");
        let edit = [("config.yaml", Some(config.as_str()))];
        let template = self.person.commit(TEMPLATE, "main", None, "Think harder", &edit).await?;
        self.expect(&expected(TEMPLATE, "main", &template, "failure", "config.yaml")).await?;
        self.expect(&expected(CORE, "main", core, "failure", "config.yaml")).await?;
        Ok(template)
    }

    async fn the_repair_is_merged(&mut self, template: &str) -> anyhow::Result<String> {
        self.step(
            "The repair",
            "drift-gate opens a pull request that moves the pin in core's manifest.json, and proves beforehand that both are in sync \
             with it. Someone merges it.",
        );
        let (number, title, head) = self.repair().await?;
        note(&format!("Pull request {number} by {BOT}: {title}"));
        self.expect(&expected(CORE, pull(number), &head, "success", "in sync")).await?;
        self.person.merge(CORE, number).await?;
        let core = self.person.head(CORE, "main").await?;
        self.expect(&expected(CORE, "main", &core, "success", "in sync")).await?;
        self.expect(&expected(TEMPLATE, "main", template, "success", "in sync")).await?;
        Ok(core)
    }

    /// The pull request that drift-gate opened: number, title and head.
    async fn repair(&self) -> anyhow::Result<(u64, String, String)> {
        let began = Instant::now();
        let mut again = tokio::time::interval(GLANCE);
        loop {
            again.tick().await;
            let pulls = self.person.ask(Method::GET, &format!("/repos/{CORE}/pulls?state=open"), None).await?;
            let ours = pulls.as_array().into_iter().flatten().find(|pull| pull["user"]["login"] == BOT);
            let told = ours.and_then(|pull| {
                let text = |value: &Value| value.as_str().map(str::to_owned);
                Some((pull["number"].as_u64()?, text(&pull["title"])?, text(&pull["head"]["sha"])?))
            });
            match told {
                Some(told) => return Ok(told),
                None if began.elapsed() > PATIENCE => {
                    bail!("{CORE}: no pull request ends the drift, after {} s", PATIENCE.as_secs())
                }
                None => {}
            }
        }
    }

    async fn a_file_that_no_copy_takes(&mut self) -> anyhow::Result<()> {
        self.step(
            "A new file that no COPY takes",
            "A pull request of the template adds prompts/escalate.md, and skills/triage.md. core's Dockerfile copies the folder of \
             prompts, and knows of no skills: the image would lack one of the two, and nobody would notice.",
        );
        let files = [
            ("prompts/escalate.md", Some("# When you are stuck\n\nAsk a person.\n")),
            ("skills/triage.md", Some("# Triage\n\nUrgent first, then old.\n")),
        ];
        let head =
            self.person.commit(TEMPLATE, "main", Some("triage"), "Teach the concierge to triage", &files).await?;
        let title = "Teach the concierge to triage";
        let number = self.person.open_pull(TEMPLATE, "triage", "main", title).await?;
        self.expect(&expected(TEMPLATE, pull(number), &head, "failure", "skills/triage.md")).await?;
        self.refused(TEMPLATE, number).await?;
        self.person.close_pull(TEMPLATE, number).await?;
        Ok(())
    }

    async fn a_pull_request_that_would_break_the_bake(&mut self) -> anyhow::Result<()> {
        self.step(
            "A pull request that would break the bake",
            "A pull request of core tidies the Dockerfile up, and drops the COPY of the prompts. It is red before it is merged.",
        );
        let tidied = scene::bakes_no_prompts();
        let edit = [(DOCKERFILE, Some(tidied.as_str()))];
        let head = self.person.commit(CORE, "main", Some("tidy"), "Tidy up", &edit).await?;
        let number = self.person.open_pull(CORE, "tidy", "main", "Tidy the Dockerfile up").await?;
        self.expect(&expected(CORE, pull(number), &head, "failure", "prompts/concierge.md")).await?;
        self.refused(CORE, number).await?;
        note("Its author puts the COPY back.");
        let edit = [(DOCKERFILE, Some(BAKES))];
        let mended = self.person.commit(CORE, "tidy", None, "Keep the prompts", &edit).await?;
        self.expect(&expected(CORE, pull(number), &mended, "success", "in sync")).await?;
        self.person.close_pull(CORE, number).await?;
        Ok(())
    }

    fn step(&mut self, title: &str, happens: &str) {
        self.steps += 1;
        anstream::println!("\n{BOLD}{}. {title}{BOLD:#}", self.steps);
        note(happens);
        anstream::println!();
    }

    /// Waits until the forge says what it should, and prints it as the forge shows it.
    async fn expect(&self, expected: &Expected<'_>) -> anyhow::Result<()> {
        let said = self.wait_for(expected).await?;
        let (sign, style) = if said.state == "success" { ("✓", GOOD) } else { ("✗", BAD) };
        let name = expected.repo.rsplit('/').next().unwrap_or(expected.repo);
        let place = format!("{name} {}", expected.place);
        anstream::println!(
            "   {style}{sign} drift-gate{style:#}  {place:<40} {DIM}{}{DIM:#}\n     {}",
            &expected.sha[..8],
            said.words
        );
        Ok(())
    }

    async fn wait_for(&self, expected: &Expected<'_>) -> anyhow::Result<Said> {
        let began = Instant::now();
        let mut again = tokio::time::interval(GLANCE);
        loop {
            again.tick().await;
            let said = self.person.status(expected.repo, expected.sha, "drift-gate").await?;
            let is_it = |said: &Said| said.state == expected.state && said.words.contains(expected.words);
            match said {
                Some(said) if is_it(&said) => return Ok(said),
                other if began.elapsed() > PATIENCE => {
                    let seen = other.map_or("nothing".to_owned(), |said| format!("{}: {}", said.state, said.words));
                    bail!(
                        "{} {} at {} should be {} ({}), after {} s it says {seen}",
                        expected.repo,
                        expected.place,
                        expected.sha,
                        expected.state,
                        expected.words,
                        PATIENCE.as_secs()
                    );
                }
                _ => {}
            }
        }
    }

    /// The forge must not merge it while its required check is red.
    async fn refused(&self, repo: &str, number: u64) -> anyhow::Result<()> {
        match self.person.merge(repo, number).await {
            Err(PersonError::Refused { message, .. }) => {
                note(&format!("Merging it is refused by the forge: {message}"));
                Ok(())
            }
            Err(error) => Err(error).context("merging a red pull request"),
            Ok(()) => bail!("{repo}: the forge merged pull request {number} although it is red"),
        }
    }
}

fn pull(number: u64) -> String {
    format!("pull request {number}")
}

/// Prints a paragraph, indented, in lines that fit a terminal.
fn note(text: &str) {
    const WIDTH: usize = 92;
    let mut line = String::from("  ");
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            anstream::println!("{line}");
            line = String::from("  ");
        }
        line.push(' ');
        line.push_str(word);
    }
    anstream::println!("{line}");
}
