//! GitHub Apps: their keys, where they are installed, the tokens of that, and the checks that they write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use git2::Oid;
use serde::Deserialize;
use serde_json::Value;

use super::model::{Access, AccountId, RepoId, Scopes, Token, now};
use super::refusal::Refusal;
use super::state::{Numbered, State};
use crate::demo::hooks::{AppHook, Event, Letter, Sent};

/// An installation's token lasts so long.
const HOUR: TimeDelta = TimeDelta::hours(1);
/// The longest that a JWT may last (s).
const LONGEST: i64 = 600;
/// What an App may do and hears of at first: what the manifest of docs/github-app.md asks for.
const PERMISSIONS: [(&str, &str); 7] = [
    ("metadata", "read"),
    ("contents", "write"),
    ("statuses", "write"),
    ("pull_requests", "write"),
    ("issues", "write"),
    ("checks", "write"),
    ("merge_queues", "read"),
];
const EVENTS: [&str; 8] =
    ["push", "create", "delete", "pull_request", "issue_comment", "status", "merge_group", "repository"];
/// What PKCS#8 puts before an RSA key of 2048 bits.
const WRAPPING: usize = 26;

const UNREADABLE: Refusal = Refusal::Unauthorized("A JSON web token could not be decoded");

/// An App.
#[derive(Debug)]
pub struct App {
    /// What its JWT names as issuer.
    pub id: u64,
    /// Its name in addresses.
    pub slug: String,
    /// The user that it acts as: `slug[bot]`.
    pub bot: AccountId,
    /// Where its deliveries go, and what was sent.
    pub hook: AppHook,
    /// What it asks for: `statuses` with `write` and the like.
    pub permissions: BTreeMap<String, String>,
    /// GitHub's names of what it hears of.
    pub events: Vec<String>,
    /// Where it is installed.
    pub installations: Vec<Installation>,
    public_key: Vec<u8>,
}

/// An App on repositories of one account.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Counted over the whole forge.
    pub id: u64,
    /// Whose repositories.
    pub account: AccountId,
    /// Which of them.
    pub repos: BTreeSet<RepoId>,
    /// What its owner granted: what the App asked for when it was installed, until a change is accepted.
    pub permissions: BTreeMap<String, String>,
    /// Its owner lets it do nothing for a while.
    pub suspended: bool,
}

/// A check that an App wrote.
#[derive(Clone, Debug)]
pub struct Check {
    /// Counted over the whole forge.
    pub id: u64,
    /// Where it is.
    pub repo: RepoId,
    /// On which commit.
    pub commit: Oid,
    /// Everything that was sent, annotations apart.
    pub said: Value,
    /// In the order in which they came.
    pub annotations: Vec<Value>,
}

/// What a new App is known by.
#[derive(Clone, Debug)]
pub struct NewApp {
    /// The number for `app.id`.
    pub id: u64,
    /// The private key, as GitHub hands it out: PKCS#1 in PEM.
    pub pem: String,
}

#[derive(Deserialize)]
struct Claims {
    iat: i64,
    exp: i64,
    iss: u64,
}

impl State {
    /// Makes an App whose deliveries go to `url`, signed with `secret`.
    pub fn add_app(&mut self, slug: &str, url: &str, secret: &str) -> Result<NewApp, Refusal> {
        let broken = |_| Refusal::Broken("no key can be made".to_owned());
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(broken)?;
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(broken)?;
        let text = STANDARD.encode(pkcs8.as_ref().get(WRAPPING..).unwrap_or_default());
        let lines: Vec<&str> =
            (0..text.len()).step_by(64).filter_map(|at| text.get(at..text.len().min(at + 64))).collect();
        let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", lines.join("\n"));
        let (id, bot) = (self.number(Numbered::App), self.add_bot(&format!("{slug}[bot]")));
        self.apps.push(App {
            id,
            slug: slug.to_owned(),
            bot,
            hook: AppHook {
                url: url.to_owned(),
                secret: secret.to_owned(),
                json: true,
                insecure: false,
                sent: Arc::new(Mutex::default()),
            },
            permissions: PERMISSIONS.iter().map(|(name, may)| ((*name).to_owned(), (*may).to_owned())).collect(),
            events: EVENTS.map(str::to_owned).to_vec(),
            installations: Vec::new(),
            public_key: pair.public_key().as_ref().to_vec(),
        });
        Ok(NewApp { id, pem })
    }

    /// Installs an App on a repository, beside those of the same account that it is on already.
    pub fn install(&mut self, app: u64, repo: RepoId) -> Result<u64, Refusal> {
        let account = self.repo(repo)?.owner;
        let new = self.number(Numbered::Installation);
        let app = self.apps.iter_mut().find(|one| one.id == app).ok_or_else(Refusal::not_found)?;
        let (bot, permissions) = (app.bot, app.permissions.clone());
        let id = match app.installations.iter_mut().find(|one| one.account == account) {
            Some(installation) => {
                installation.repos.insert(repo);
                installation.id
            }
            None => {
                app.installations.push(Installation {
                    id: new,
                    account,
                    repos: BTreeSet::from([repo]),
                    permissions,
                    suspended: false,
                });
                new
            }
        };
        // What of it a token may use is for the installation's permissions to say.
        self.repo_mut(repo)?.collaborators.insert(bot, Access::Admin);
        Ok(id)
    }

    /// Changes what an App asks for and hears of; whoever installed it has not agreed yet.
    pub fn change_app(&mut self, app: u64, change: impl FnOnce(&mut App)) -> Result<(), Refusal> {
        self.apps.iter_mut().find(|one| one.id == app).map(change).ok_or_else(Refusal::not_found)
    }

    /// The App that a request's `Authorization` is of.
    ///
    /// # Errors
    /// 401 in GitHub's words for a JWT that is none, wrongly signed, or not of this time; 404 where nobody knows the App.
    pub fn app_of(&self, authorization: Option<&str>) -> Result<&App, Refusal> {
        let jwt = authorization.ok_or(Refusal::Unauthorized("Requires authentication"))?;
        let jwt = jwt.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).ok_or(UNREADABLE)?.1;
        let (signed, signature) = jwt.rsplit_once('.').ok_or(UNREADABLE)?;
        let (header, claims) = signed.split_once('.').ok_or(UNREADABLE)?;
        let read = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Value = read(header).and_then(|json| serde_json::from_slice(&json).ok()).ok_or(UNREADABLE)?;
        let claims: Claims = read(claims).and_then(|json| serde_json::from_slice(&json).ok()).ok_or(UNREADABLE)?;
        let app = self.apps.iter().find(|app| app.id == claims.iss);
        let app = app.ok_or_else(|| Refusal::Missing("Integration not found".to_owned()))?;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &app.public_key);
        let signature = read(signature).ok_or(UNREADABLE)?;
        if header["alg"] != "RS256" || key.verify(signed.as_bytes(), &signature).is_err() {
            return Err(UNREADABLE);
        }
        let now = Utc::now().timestamp();
        if claims.exp <= now {
            return Err(Refusal::Unauthorized(
                "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
            ));
        }
        if claims.exp - now > LONGEST {
            return Err(Refusal::Unauthorized("'Expiration time' claim ('exp') is too far in the future"));
        }
        if claims.iat > now {
            return Err(Refusal::Unauthorized(
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            ));
        }
        Ok(app)
    }

    /// Makes a token of an installation, longer than 40 characters as they are since 2026; and when it ends.
    pub fn mint(&mut self, account: AccountId, installation: u64) -> Result<(String, DateTime<Utc>), Refusal> {
        let mut secret = [0u8; 60];
        getrandom::fill(&mut secret).map_err(|error| Refusal::Broken(error.to_string()))?;
        let (token, ends) = (format!("ghs_{installation}_{}", hex::encode(secret)), now() + HOUR);
        let all = self.apps.iter().flat_map(|app| &app.installations);
        let granted = all.into_iter().find(|one| one.id == installation).map(|one| one.permissions.clone());
        let scopes = Scopes::Granted(granted.unwrap_or_default());
        let kept = Token { account, scopes, ends: Some(ends), installation: Some(installation) };
        self.keep_token(token.clone(), kept);
        Ok((token, ends))
    }

    /// Tells the Apps that are on a repository.
    pub(super) fn tell_apps(&mut self, repo: RepoId, event: Event, payload: &Value) {
        let mut letters = Vec::new();
        for app in self.apps.iter().filter(|app| app.events.iter().any(|wanted| wanted == event.name)) {
            for installation in app.installations.iter().filter(|one| one.repos.contains(&repo)) {
                letters.push(Letter::to_app(&app.hook, installation.id, repo, event, payload));
            }
        }
        letters.into_iter().for_each(|letter| self.post.send(repo, letter));
    }

    /// Sends a delivery of an App again, under the same guid, to where its hook leads now.
    pub fn redeliver(&mut self, hook: &AppHook, sent: &Sent) {
        self.post.send(sent.repo, sent.letter.again(hook));
    }
}
