//! Teams by their names, told to who sees them: who is in one, in this dialect.

use serde_json::json;

use crate::demo::forge::Refusal;
use crate::demo::forge::model::{Kind, Team};
use crate::demo::rest::answer::Answer;
use crate::demo::rest::visit::Visit;

fn seen<'a>(visit: &'a Visit<'_>) -> Result<&'a Team, Refusal> {
    let organization = visit.state.account_named(visit.param("org"));
    let organization = organization.filter(|account| matches!(account.kind, Kind::Organization { .. }));
    let organization = organization.ok_or_else(Refusal::not_found)?.id;
    let mut teams = visit.state.teams_seen(organization, visit.doer()?);
    teams.find(|team| team.name.eq_ignore_ascii_case(visit.param("team"))).ok_or_else(Refusal::not_found)
}

pub fn get(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let team = seen(visit)?;
    Ok(Answer::ok(json!({ "id": team.id, "name": team.name, "slug": team.name.to_lowercase() })))
}

pub fn membership(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let team = seen(visit)?;
    let user = visit.state.account_named(visit.param("user")).ok_or_else(Refusal::not_found)?;
    match team.members.contains(&user.id) {
        true => Ok(Answer::ok(json!({ "state": "active", "role": "member" }))),
        false => Err(Refusal::not_found()),
    }
}
