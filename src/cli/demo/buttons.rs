//! The buttons on the forge's page: each does what a person would do, and leads back to the page.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;

use crate::demo::page::{Action, Page};
use crate::demo::person::{Person, PersonError};
use crate::demo::scene::{self, CORE, DOCKERFILE, TEMPLATE};

/// What can be pressed: the last part of its address, what stands on it, and what it does.
const BUTTONS: [(&str, &str, &str); 5] = [
    ("change", "Change the template", "Pushes another model in config.yaml: core still bakes the old one."),
    ("add", "Add a skill", "Pushes a new file to the template that no COPY of core takes."),
    ("bump", "Move the pin", "Pushes to core: manifest.json pins the template's head."),
    ("bake", "Bake everything", "Pushes to core: the Dockerfile takes the skills too, and the pin moves."),
    ("break", "Break the bake", "Opens a pull request of core that drops the COPY of the prompts."),
];

/// Whoever presses them is known once the forge runs.
#[derive(Clone, Default)]
pub(super) struct Buttons {
    person: Arc<OnceLock<Person>>,
}

impl Buttons {
    /// The page that shows them; `service` is where drift-gate is.
    pub(super) fn page(&self, service: &str) -> Page {
        let action = |(name, label, words): (&str, &str, &str)| Action {
            label: label.to_owned(),
            words: words.to_owned(),
            address: format!("/demo/{name}"),
        };
        Page {
            intro: "core bakes the files of platform-agent-template into an image. Press a button and watch what drift-gate \
                    says of both. Each verdict links to its report."
                .to_owned(),
            links: vec![("drift-gate's dashboard".to_owned(), service.to_owned())],
            actions: BUTTONS.map(action).into(),
            refresh: Some(2),
        }
    }

    /// What they lead to.
    pub(super) fn router(&self) -> Router {
        Router::new().route("/demo/{name}", post(press)).with_state(self.clone())
    }

    /// From now on they act as this person.
    pub(super) fn press_as(&self, person: Person) {
        // Set once, at start; a second call would change nobody's mind.
        let _ = self.person.set(person);
    }
}

async fn press(State(buttons): State<Buttons>, Path(name): Path<String>) -> Response {
    let Some(person) = buttons.person.get() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the demo is still starting; try again").into_response();
    };
    let done = match name.as_str() {
        "change" => change(person).await,
        "add" => add(person).await,
        "bump" => bump(person).await,
        "bake" => bake(person).await,
        "break" => open_breaking_pull(person).await,
        _ => return (StatusCode::NOT_FOUND, "there is no such button").into_response(),
    };
    match done {
        Ok(()) => Redirect::to("/").into_response(),
        Err(error) => {
            let query =
                url::form_urlencoded::Serializer::new(String::new()).append_pair("said", &error.to_string()).finish();
            Redirect::to(&format!("/?{query}")).into_response()
        }
    }
}

async fn change(person: &Person) -> Result<(), PersonError> {
    let head = person.head(TEMPLATE, "main").await?;
    let config = scene::config(&format!("opus-{}", &head[..7]));
    let edit = [("config.yaml", Some(config.as_str()))];
    person.commit(TEMPLATE, "main", None, "Ask for another model", &edit).await.map(drop)
}

async fn add(person: &Person) -> Result<(), PersonError> {
    let head = person.head(TEMPLATE, "main").await?;
    let path = format!("skills/skill-{}.md", &head[..7]);
    let edit = [(path.as_str(), Some("# A skill\n\nWhat the concierge can do now.\n"))];
    person.commit(TEMPLATE, "main", None, "Teach the concierge a skill", &edit).await.map(drop)
}

async fn bump(person: &Person) -> Result<(), PersonError> {
    let manifest = scene::manifest(&person.head(TEMPLATE, "main").await?);
    let edit = [("manifest.json", Some(manifest.as_str()))];
    person.commit(CORE, "main", None, "Pin the template's head", &edit).await.map(drop)
}

async fn bake(person: &Person) -> Result<(), PersonError> {
    let manifest = scene::manifest(&person.head(TEMPLATE, "main").await?);
    let dockerfile = scene::bakes_skills_too();
    let edits = [("manifest.json", Some(manifest.as_str())), (DOCKERFILE, Some(dockerfile.as_str()))];
    person.commit(CORE, "main", None, "Bake all of the template", &edits).await.map(drop)
}

async fn open_breaking_pull(person: &Person) -> Result<(), PersonError> {
    let head = person.head(CORE, "main").await?;
    let branch = format!("tidy-{}", &head[..7]);
    let tidied = scene::bakes_no_prompts();
    let edit = [(DOCKERFILE, Some(tidied.as_str()))];
    person.commit(CORE, "main", Some(&branch), "Tidy the Dockerfile up", &edit).await?;
    person.open_pull(CORE, &branch, "main", "Tidy the Dockerfile up").await.map(drop)
}
