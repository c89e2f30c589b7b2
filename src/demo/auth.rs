//! Who asks: tokens as Gitea takes them, for the API and for git alike.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::forge::model::Token;
use super::forge::{Refusal, State};

/// The token that a request carries, if it carries any.
///
/// # Errors
/// It carries one that nobody has.
pub fn token<'a>(state: &'a State, headers: &HeaderMap) -> Result<Option<&'a Token>, Refusal> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let value = value.to_str().unwrap_or_default();
    let found = match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("token") || scheme.eq_ignore_ascii_case("bearer") => {
            state.token(token.trim())
        }
        Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => basic(state, pair.trim()),
        _ => None,
    };
    found.map(Some).ok_or(Refusal::Unauthorized("invalid username, password or token"))
}

/// The password is the token, whatever the user's name; or the name is, where there is no password.
fn basic<'a>(state: &'a State, pair: &str) -> Option<&'a Token> {
    let pair = String::from_utf8(STANDARD.decode(pair).ok()?).ok()?;
    let (name, password) = pair.split_once(':')?;
    state.token(if matches!(password, "" | "x-oauth-basic") { name } else { password })
}
