//! The stand-in as a whole, started and stopped.

use std::path::Path;
use std::sync::PoisonError;

use anyhow::Context;
use axum::Router;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::forge::apps::{App, NewApp};
use super::forge::model::Scopes;
use super::forge::repos::NewRepo;
use super::forge::{Forge, Refusal, State};
use super::hooks::{Post, Sent};
use super::{git_http, page, rest};

/// A running stand-in; it ends when this is dropped.
pub struct StandIn {
    base: String,
    forge: Forge,
    _running: DropGuard,
}

impl StandIn {
    /// Serves an empty forge on `listener`, its repositories below `folder`; `page` says what the overview offers, and
    /// `more` is served beside it (the actions' addresses). Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// The folder cannot be made, or the HTTP client for deliveries.
    pub fn start(listener: TcpListener, folder: &Path, page: page::Page, more: Router) -> anyhow::Result<Self> {
        crate::snapshot::prepare();
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let base = format!("http://{}", listener.local_addr().context("the listener has no address")?);
        let client = reqwest::Client::builder()
            .user_agent(concat!("drift-gate-stand-in/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        let shutdown = CancellationToken::new();
        let post = Post::new(Handle::current(), client, shutdown.clone());
        let forge = Forge::new(State::new(base.clone(), folder, post));
        let router =
            rest::router().merge(git_http::router()).merge(page.router()).with_state(forge.clone()).merge(more);
        let stopped = shutdown.clone().cancelled_owned();
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
                tracing::warn!(%error, "the stand-in does not serve any more");
            }
        });
        Ok(Self { base, forge, _running: shutdown.drop_guard() })
    }

    /// The address of the forge, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Makes a user; returns a token for everything. A site administrator may do everything everywhere.
    ///
    /// # Errors
    /// The name is taken, or is none.
    pub fn user(&self, login: &str, site_admin: bool) -> Result<String, Refusal> {
        let mut state = self.forge.lock();
        let id = state.add_user(login, site_admin)?;
        state.add_token(id, Scopes::All)
    }

    /// A further token of a user, for only these scopes (such as `read:repository`).
    ///
    /// # Errors
    /// There is no such user.
    pub fn token(&self, login: &str, scopes: &[&str]) -> Result<String, Refusal> {
        let mut state = self.forge.lock();
        let id = state.account_named(login).ok_or_else(Refusal::not_found)?.id;
        state.add_token(id, Scopes::Only(scopes.iter().map(|&scope| scope.to_owned()).collect()))
    }

    /// Makes a GitHub App whose deliveries go to `url`, signed with `secret`. It is installed nowhere yet.
    ///
    /// # Errors
    /// No key can be made.
    pub fn app(&self, slug: &str, url: &str, secret: &str) -> Result<NewApp, Refusal> {
        self.forge.lock().add_app(slug, url, secret)
    }

    /// Installs an App on `owner/name`.
    ///
    /// # Errors
    /// There is no such App or repository.
    pub fn install(&self, app: u64, owner: &str, name: &str) -> Result<u64, Refusal> {
        let mut state = self.forge.lock();
        let repo = state.repo_named(owner, name)?.id;
        state.install(app, repo)
    }

    /// Changes an App as its owner does on its page: what it asks for, what it hears of, its hook. Where it is installed
    /// already, what it asks for besides is not granted before [`StandIn::accept`].
    ///
    /// # Errors
    /// There is no such App.
    pub fn change_app(&self, app: u64, change: impl FnOnce(&mut App)) -> Result<(), Refusal> {
        self.forge.lock().change_app(app, change)
    }

    /// Whoever installed an App grants what it asks for now.
    ///
    /// # Errors
    /// There is no such App.
    pub fn accept(&self, app: u64) -> Result<(), Refusal> {
        self.change_app(app, |app| {
            for installation in &mut app.installations {
                installation.permissions = app.permissions.clone();
            }
        })?;
        // A token keeps what was granted when it was made.
        self.end_tokens();
        Ok(())
    }

    /// A ruleset demands this of each branch of `owner/name`, as GitHub tells it.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn rule(&self, owner: &str, name: &str, rule: serde_json::Value) -> Result<(), Refusal> {
        let mut state = self.forge.lock();
        let repo = state.repo_named(owner, name)?.id;
        state.add_rule(repo, rule)
    }

    /// What became of the deliveries to an App, oldest first.
    pub fn deliveries(&self, app: u64) -> Vec<Sent> {
        let state = self.forge.lock();
        let found = state.apps.iter().find(|one| one.id == app);
        found.map_or_else(Vec::new, |app| app.hook.sent.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Every token of an installation ends now.
    pub fn end_tokens(&self) {
        self.forge.lock().end_tokens();
    }

    /// Makes an organization that a user owns.
    ///
    /// # Errors
    /// The name is taken, or there is no such user.
    pub fn organization(&self, login: &str, owner: &str) -> Result<(), Refusal> {
        let mut state = self.forge.lock();
        let owner = state.account_named(owner).ok_or_else(Refusal::not_found)?.id;
        state.add_organization(login, owner).map(drop)
    }

    /// Makes `owner/name` with a README on `main`.
    ///
    /// # Errors
    /// The name is taken, or is none, or there is no such owner.
    pub fn repository(&self, owner: &str, name: &str, private: bool) -> Result<(), Refusal> {
        let mut state = self.forge.lock();
        let account = state.account_named(owner).ok_or_else(Refusal::not_found)?;
        let id = account.id;
        let doer = account.first_owner();
        state.add_repo(&NewRepo { owner: id, name, private, default_branch: "main", readme: true }, doer).map(drop)
    }
}
