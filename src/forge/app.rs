//! A GitHub App's login: a JSON Web Token that only it can sign, and with that a token for each installation.
//!
//! The rules are GitHub's ("Generating a JSON Web Token (JWT) for a GitHub App", "Generating an installation access token"): the
//! JWT is RS256, issued a minute ago so that a clock that is a little fast does no harm, and ends within ten minutes; it is good
//! for `/app`, for finding installations and for making their tokens. An installation's token is good for an hour, for the
//! repositories of one account.
//!
//! The traps: a token's length says nothing (`ghs_` with a JWT behind it is longer than 40 characters); many callers at once
//! would make a token each ([`Flight`]); a token that was thought good may be revoked, and a repository may come to another
//! installation; an App that is not installed on a repository may still read it where it is public; a clock that is wrong by more
//! than a minute makes each JWT wrong, and GitHub's `Date` says by how much.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::ForgeError;
use super::answer::Answer;
use super::api::Api;
use super::flight::Flight;
use crate::config::PrivateKey;

/// Tells the time; tests turn it.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// A JWT is issued so long ago (s).
const BEFORE: i64 = 60;
/// It lasts so long from now (s): with [`BEFORE`] ten minutes in all.
const LASTS: i64 = 540;
/// A token is not used when it ends within this time: a fetch that begins now may last as long.
const MARGIN: TimeDelta = TimeDelta::minutes(5);
/// That an App is not installed on a repository is believed for so long.
const ABSENT: TimeDelta = TimeDelta::minutes(5);
/// Installations that are asked for something whose account is not known.
const ASKED: usize = 30;
/// A clock that differs by less from GitHub's is right (s).
const RIGHT: i64 = 30;

/// What a call is about, which says whose token it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The App itself.
    App,
    /// A repository or an organization: the address that tells its installation.
    Place(Vec<String>),
    /// What any installation may know, or one of them: a user, a repository by its number.
    Anything,
}

impl About {
    /// By the segments of the call's address.
    pub fn of(segments: &[&str]) -> Self {
        match segments {
            ["app", ..] | ["repos", _, _, "installation"] | ["orgs", _, "installation"] => Self::App,
            ["repos", owner, name, ..] => {
                Self::Place(["repos", owner, name, "installation"].map(str::to_lowercase).to_vec())
            }
            ["orgs", name, ..] => Self::Place(["orgs", name, "installation"].map(str::to_lowercase).to_vec()),
            _ => Self::Anything,
        }
    }
}

/// What lets one call in.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    pub secret: SecretString,
    /// Whose it is; `None`: the App's own.
    pub installation: Option<u64>,
}

/// Whose pass may let a call in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The App's own.
    Own,
    /// An installation's; not of the place that the call is about where that has none.
    Installation { id: u64, elsewhere: bool },
}

/// A token of an installation, until its end.
#[derive(Clone)]
struct Token {
    secret: SecretString,
    ends: DateTime<Utc>,
}

/// The installation that a place has, as it was found at a time.
#[derive(Clone, Copy)]
struct Found {
    installation: Option<u64>,
    at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct WireInstallation {
    id: u64,
}

type Flights<K, T> = Mutex<HashMap<K, Arc<Flight<T>>>>;

/// An App on one forge.
pub(super) struct App {
    id: u64,
    key: PrivateKey,
    clock: Clock,
    /// How much GitHub's clock is before ours, in seconds, where ours is wrong.
    ahead: AtomicI64,
    places: Flights<Vec<String>, Found>,
    tokens: Flights<u64, Token>,
    all: Flight<(Vec<u64>, DateTime<Utc>)>,
}

impl App {
    pub fn new(id: u64, key: PrivateKey, clock: Clock) -> Self {
        Self {
            id,
            key,
            clock,
            ahead: AtomicI64::new(0),
            places: Mutex::default(),
            tokens: Mutex::default(),
            all: Flight::default(),
        }
    }

    /// The number that its tokens are signed for.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// GitHub's time, as far as we know it.
    fn now(&self) -> DateTime<Utc> {
        (self.clock)() + TimeDelta::seconds(self.ahead.load(Ordering::Relaxed))
    }

    /// The App's own pass, signed now.
    fn own(&self) -> Result<Pass, ForgeError> {
        let now = self.now().timestamp();
        let part = |text: String| URL_SAFE_NO_PAD.encode(text);
        let header = part(r#"{"alg":"RS256","typ":"JWT"}"#.to_owned());
        let (issued, ends) = (now - BEFORE, now + LASTS);
        let claims = part(format!(r#"{{"iat":{issued},"exp":{ends},"iss":{}}}"#, self.id));
        let text = format!("{header}.{claims}");
        let Some(signature) = self.key.sign(text.as_bytes()) else {
            let what = "the App's JSON Web Token".to_owned();
            return Err(ForgeError::Transient { what, message: "the system gives no random bytes".to_owned() });
        };
        let secret = format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)).into();
        Ok(Pass { secret, installation: None })
    }

    /// Whose passes may let a call in, the likeliest first. Never empty.
    pub async fn ways(&self, api: &Api, about: &About) -> Result<Vec<Way>, ForgeError> {
        match about {
            About::App => Ok(vec![Way::Own]),
            About::Place(address) => match self.installation(api, address).await? {
                Some(id) => Ok(vec![Way::Installation { id, elsewhere: false }]),
                // What is public there can be read with the pass of any other.
                None => {
                    let others = self.all(api).await?;
                    Ok(others.into_iter().take(1).map(|id| Way::Installation { id, elsewhere: true }).collect())
                }
            },
            About::Anything => {
                let all = self.all(api).await?;
                Ok(all.into_iter().map(|id| Way::Installation { id, elsewhere: false }).collect())
            }
        }
    }

    /// The pass of a way.
    pub async fn pass(&self, api: &Api, way: Way) -> Result<Pass, ForgeError> {
        let Way::Installation { id, .. } = way else { return self.own() };
        let pass = self.token(api, id).await;
        if matches!(pass, Err(ForgeError::NotFound { .. })) {
            // It is gone, and its places may have another one.
            lock(&self.places).clear();
            self.all.forget(|_| true).await;
        }
        pass
    }

    /// All installations. Never empty.
    async fn all(&self, api: &Api) -> Result<Vec<u64>, ForgeError> {
        let list = async {
            let query = [("per_page", "100")];
            let answer = self.ask(api, Method::GET, &["app", "installations"], &query).await?.success()?;
            let what = answer.what.clone();
            let all: Vec<WireInstallation> = answer.json()?;
            if all.is_empty() {
                let message = "the App is installed nowhere: install it on the repositories of the gates".to_owned();
                return Err(ForgeError::Denied { what, status: 200, message });
            }
            Ok((all.iter().map(|one| one.id).take(ASKED).collect(), self.now()))
        };
        self.all.get(|(_, at)| self.now() < *at + ABSENT, list).await.map(|(all, _)| all)
    }

    async fn installation(&self, api: &Api, address: &[String]) -> Result<Option<u64>, ForgeError> {
        let good = |found: &Found| found.installation.is_some() || self.now() < found.at + ABSENT;
        let find = async {
            let segments: Vec<&str> = address.iter().map(String::as_str).collect();
            let answer = self.ask(api, Method::GET, &segments, &[]).await?.success();
            let installation = match answer {
                Ok(answer) => Some(answer.json::<WireInstallation>()?.id),
                Err(ForgeError::NotFound { .. }) => None,
                Err(error) => return Err(error),
            };
            Ok(Found { installation, at: self.now() })
        };
        flight(&self.places, address.to_vec()).get(good, find).await.map(|found| found.installation)
    }

    async fn token(&self, api: &Api, installation: u64) -> Result<Pass, ForgeError> {
        #[derive(Deserialize)]
        struct Made {
            token: SecretString,
            expires_at: DateTime<Utc>,
        }
        let make = async {
            let segments = ["app", "installations", &installation.to_string(), "access_tokens"];
            let made: Made = self.ask(api, Method::POST, &segments, &[]).await?.success()?.json()?;
            tracing::debug!(installation, ends = %made.expires_at, "a new token of an installation");
            Ok(Token { secret: made.token, ends: made.expires_at })
        };
        let token = flight(&self.tokens, installation).get(|token| self.now() + MARGIN < token.ends, make).await?;
        Ok(Pass { secret: token.secret, installation: Some(installation) })
    }

    /// A call as the App itself; once more by GitHub's clock, should ours be wrong.
    async fn ask(
        &self,
        api: &Api,
        method: Method,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Answer, ForgeError> {
        let body = (method == Method::POST).then(|| b"{}".to_vec());
        let call = api.call(&method, segments, query)?;
        let answer = api.exchange(&method, &call, body.clone(), Some(&self.own()?)).await?;
        if answer.status.as_u16() == 401 && self.sets_clock(&answer) {
            return api.exchange(&method, &call, body, Some(&self.own()?)).await;
        }
        Ok(answer)
    }

    /// Whether a pass that was refused was thought good, and another try is worth it.
    pub async fn was_refused(&self, pass: &Pass, answer: &Answer) -> bool {
        let Some(installation) = pass.installation else { return self.sets_clock(answer) };
        let is_it = |token: &Token| token.secret.expose_secret() == pass.secret.expose_secret();
        flight(&self.tokens, installation).forget(is_it).await;
        true
    }

    /// Lets go of the token for a place, if it is the one that was refused: another may have been made meanwhile.
    pub async fn forget_token_of(&self, about: &About, is_it: impl Fn(&SecretString) -> bool) {
        let About::Place(address) = about else { return };
        let found = flight(&self.places, address.clone()).peek().await.and_then(|found| found.installation);
        let known = match found {
            Some(installation) => vec![installation],
            // It was another one's.
            None => lock(&self.tokens).keys().copied().collect(),
        };
        for installation in known {
            flight(&self.tokens, installation).forget(|token| is_it(&token.secret)).await;
        }
    }

    /// Takes GitHub's time from an answer; `false` where ours is right.
    fn sets_clock(&self, answer: &Answer) -> bool {
        let date = answer.header("date").and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        let Some(date) = date else { return false };
        let off = (date.to_utc() - self.now()).num_seconds();
        if off.abs() <= RIGHT {
            return false;
        }
        tracing::warn!(seconds = off, "our clock differs from the forge's, whose time is taken for the App's tokens");
        self.ahead.fetch_add(off, Ordering::Relaxed);
        true
    }
}

fn lock<K, T>(flights: &Flights<K, T>) -> std::sync::MutexGuard<'_, HashMap<K, Arc<Flight<T>>>> {
    flights.lock().unwrap_or_else(PoisonError::into_inner)
}

fn flight<K: std::hash::Hash + Eq, T>(flights: &Flights<K, T>, key: K) -> Arc<Flight<T>> {
    lock(flights).entry(key).or_default().clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_whose_token_it_needs() {
        let place = |parts: &[&str]| About::Place(parts.iter().map(|part| (*part).to_owned()).collect());
        assert_eq!(About::of(&["app", "hook", "deliveries"]), About::App);
        assert_eq!(About::of(&["repos", "molecule", "core", "installation"]), About::App);
        let core = place(&["repos", "molecule", "core", "installation"]);
        assert_eq!(About::of(&["repos", "Molecule", "Core", "pulls", "7"]), core);
        assert_eq!(About::of(&["orgs", "molecule", "teams", "leads"]), place(&["orgs", "molecule", "installation"]));
        assert_eq!(About::of(&["repositories", "7"]), About::Anything);
        assert_eq!(About::of(&["users", "drift-gate[bot]"]), About::Anything);
    }
}
