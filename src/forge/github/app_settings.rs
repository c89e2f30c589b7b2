//! How a GitHub App is set up, as GitHub's API tells it. See [`crate::forge::app_settings`] for its traps.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};

use super::GitHub;
use super::settings::EVENTS;
use crate::forge::app_settings::{
    AppSettings, Delivered, Described, HookChange, HookConfig, Installation, Permissions,
};
use crate::forge::http::below;
use crate::forge::{ForgeError, RepoName};

/// Deliveries that are read to find the last ones.
const DELIVERIES: &str = "30";

#[derive(Deserialize)]
struct WireApp {
    slug: String,
    owner: Option<WireOwner>,
    #[serde(default)]
    permissions: Permissions,
    #[serde(default)]
    events: Vec<String>,
}

#[derive(Deserialize)]
struct WireOwner {
    login: String,
    #[serde(rename = "type", default)]
    kind: String,
}

#[derive(Deserialize)]
struct WireHookConfig {
    /// Null where it leads nowhere.
    url: Option<String>,
    content_type: Option<String>,
    secret: Option<String>,
    /// A text, and in older servers a number.
    #[serde(default)]
    insecure_ssl: Value,
}

#[derive(Deserialize)]
struct WireDelivered {
    id: u64,
    guid: String,
    delivered_at: DateTime<Utc>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    status_code: u16,
    #[serde(default)]
    event: String,
}

#[derive(Deserialize)]
struct WireInstallation {
    #[serde(default)]
    html_url: String,
    #[serde(default)]
    permissions: Permissions,
    suspended_at: Option<String>,
}

#[async_trait]
impl AppSettings for GitHub {
    fn id(&self) -> u64 {
        self.api.app_id().unwrap_or_default()
    }

    fn events(&self, queue: bool) -> Vec<(&'static str, &'static str)> {
        EVENTS.into_iter().filter(|(event, _)| queue || *event != "merge_group").collect()
    }

    async fn described(&self) -> Result<Described, ForgeError> {
        let app: WireApp = self.api.read(&["app"]).await?;
        // Made from the configured address, never from the answer's own.
        let page = match &app.owner {
            Some(owner) if owner.kind == "Organization" => {
                below(&self.root, ["organizations", &owner.login, "settings", "apps", &app.slug])
            }
            _ => below(&self.root, ["settings", "apps", &app.slug]),
        };
        Ok(Described { page: page.into(), permissions: app.permissions, events: app.events })
    }

    async fn hook_config(&self) -> Result<HookConfig, ForgeError> {
        let wire: WireHookConfig = self.api.read(&["app", "hook", "config"]).await?;
        Ok(HookConfig {
            url: wire.url.unwrap_or_default(),
            json: wire.content_type.as_deref() == Some("json"),
            has_secret: wire.secret.is_some_and(|secret| !secret.is_empty()),
            verifies: !(wire.insecure_ssl == "1" || wire.insecure_ssl == 1),
        })
    }

    async fn change_hook(&self, change: &HookChange<'_>) -> Result<(), ForgeError> {
        let mut body = json!({ "content_type": "json" });
        if let Some(url) = change.url {
            body["url"] = url.into();
        }
        if let Some(secret) = change.secret {
            body["secret"] = secret.expose_secret().into();
        }
        self.api.patch(&["app", "hook", "config"], &body).await?.success().map(drop)
    }

    async fn deliveries(&self) -> Result<Vec<Delivered>, ForgeError> {
        let answer = self.api.get(&["app", "hook", "deliveries"], &[("per_page", DELIVERIES)]).await?;
        let rows: Vec<WireDelivered> = answer.success()?.json()?;
        let row = |wire: WireDelivered| Delivered {
            id: wire.id,
            guid: wire.guid,
            event: wire.event,
            at: wire.delivered_at,
            code: wire.status_code,
            status: wire.status,
        };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn installation(&self, repo: &RepoName) -> Result<Installation, ForgeError> {
        let wire: WireInstallation = self.api.read(&self.api.repo(repo, &["installation"])?).await?;
        let WireInstallation { html_url: page, permissions, suspended_at } = wire;
        Ok(Installation { page, permissions, suspended: suspended_at.is_some() })
    }
}
