//! Users, organizations, and the version.

use serde::Deserialize;
use serde_json::json;

use super::answer::Answer;
use super::visit::Visit;
use crate::demo::forge::Refusal;
use crate::demo::forge::model::Kind;
use crate::demo::wire;

/// What it stands in for.
pub fn version(_: &mut Visit<'_>) -> Result<Answer, Refusal> {
    Ok(Answer::ok(json!({ "version": "1.26.0+stand-in" })))
}

pub fn me(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let me = visit.doer()?;
    Ok(Answer::ok(wire::user(visit.state, me, Some(me))?))
}

pub fn user(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let id = visit.state.account_named(visit.param("user")).ok_or_else(Refusal::not_found)?.id;
    Ok(Answer::ok(wire::user(visit.state, id, visit.viewer)?))
}

#[derive(Deserialize)]
struct NewOrganization {
    username: String,
}

pub fn add_organization(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (owner, form) = (visit.doer()?, visit.form::<NewOrganization>()?);
    let id = visit.state.add_organization(&form.username, owner)?;
    Ok(Answer::created(wire::user(visit.state, id, Some(owner))?))
}

/// Members are the owners and who is in a team. Who is none is sent to the list that everyone may see.
pub fn member(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (org, user) = (visit.param("org"), visit.param("user"));
    let named = visit.state.account_named(org).filter(|account| matches!(account.kind, Kind::Organization { .. }));
    let organization = named.ok_or_else(Refusal::not_found)?.id;
    if !visit.viewer.is_some_and(|viewer| visit.state.belongs(organization, viewer)) {
        return Ok(Answer::see_other(format!("/api/v1/orgs/{org}/public_members/{user}")));
    }
    match visit.state.account_named(user) {
        Some(account) if visit.state.belongs(organization, account.id) => Ok(Answer::nothing()),
        _ => Err(Refusal::not_found()),
    }
}
