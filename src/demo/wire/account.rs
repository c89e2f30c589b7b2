//! Users and organizations.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{EPOCH, NEVER, time};
use crate::demo::forge::model::{Access, AccountId, Kind};
use crate::demo::forge::{Refusal, State, Viewer};

/// How much of an account is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// No address.
    ToStrangers,
    ToUsers,
    /// Everything: to the account itself and to site administrators.
    Whole,
}

/// An account as `viewer` may see it. Some answers and all senders of deliveries are told as to a stranger, whoever asks.
pub fn user(state: &State, id: AccountId, viewer: Viewer) -> Result<Value, Refusal> {
    let shown = match viewer.map(|viewer| state.account(viewer)).transpose()? {
        None => Shown::ToStrangers,
        Some(viewer) if viewer.id == id || viewer.is_site_admin() => Shown::Whole,
        Some(_) => Shown::ToUsers,
    };
    account(state, id, shown)
}

/// The owner of a repository, as those see it who have `access` there.
pub(super) fn owner(state: &State, id: AccountId, access: Access) -> Result<Value, Refusal> {
    account(state, id, if access == Access::None { Shown::ToStrangers } else { Shown::ToUsers })
}

fn account(state: &State, id: AccountId, shown: Shown) -> Result<Value, Refusal> {
    let account = state.account(id)?;
    let is_person = matches!(account.kind, Kind::Person { .. });
    let whole = is_person && shown == Shown::Whole;
    let email = if shown == Shown::ToStrangers {
        format!("{id}+{}@noreply.{}", account.login, host(&state.base))
    } else {
        account.email()
    };
    Ok(json!({
        "id": id,
        "login": account.login,
        "login_name": "",
        "source_id": 0,
        "full_name": "",
        "email": email,
        "avatar_url": format!("{}/avatars/{}", state.base, hex::encode(&Sha256::digest(&account.login)[..16])),
        "html_url": format!("{}/{}", state.base, account.login),
        "language": "",
        "is_admin": whole && account.is_site_admin(),
        "last_login": if whole { EPOCH } else { NEVER },
        "created": time(account.created),
        "restricted": false,
        "active": whole,
        "prohibit_login": false,
        "location": "",
        "website": "",
        "description": "",
        "visibility": "public",
        "followers_count": 0,
        "following_count": 0,
        "starred_repos_count": 0,
        "username": account.login,
    }))
}

/// The host of an address.
fn host(base: &str) -> String {
    url::Url::parse(base).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}
