//! Teams, as a Gitea tells of them: an organization's to those who are in it, a team's members to its members and to owners.

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::visit::Visit;
use crate::demo::forge::Refusal;
use crate::demo::forge::model::{AccountId, Kind, Team};
use crate::demo::wire;

#[derive(Deserialize)]
struct NewTeam {
    #[serde(default)]
    name: String,
}

pub fn create(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (organization, doer, form) = (organization(visit)?, visit.doer()?, visit.form::<NewTeam>()?);
    if !visit.state.owns(organization, doer) {
        return Err(Refusal::Forbidden("Must be an organization owner".to_owned()));
    }
    let id = visit.state.add_team(organization, &form.name)?;
    Ok(Answer::created(told(visit.state.team(id)?)))
}

/// Finds names that have the text in them.
pub fn search(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (organization, doer) = (organization(visit)?, visit.doer()?);
    if !visit.state.belongs(organization, doer) {
        return Err(Refusal::Forbidden("Must be an organization member".to_owned()));
    }
    let text = visit.query("q").unwrap_or_default().to_lowercase();
    let teams = visit.state.teams_seen(organization, doer).filter(|team| team.name.to_lowercase().contains(&text));
    Ok(Answer::ok(json!({ "ok": true, "data": teams.map(told).collect::<Vec<_>>() })))
}

pub fn add_member(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (id, doer) = (visit.number("id")?, visit.doer()?);
    if !visit.state.owns(visit.state.team(id)?.organization, doer) {
        return Err(Refusal::Forbidden("Must be an organization owner".to_owned()));
    }
    let user = user(visit)?;
    visit.state.add_member(id, user)?;
    Ok(Answer::nothing())
}

pub fn member(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (team, doer) = (visit.state.team(visit.number("id")?)?, visit.doer()?);
    if !team.members.contains(&doer) && !visit.state.owns(team.organization, doer) {
        if visit.state.belongs(team.organization, doer) {
            return Err(Refusal::Forbidden("Must be a team member".to_owned()));
        }
        return Err(Refusal::not_found());
    }
    let user = user(visit)?;
    if !team.members.contains(&user) {
        return Err(Refusal::not_found());
    }
    Ok(Answer::ok(wire::user(visit.state, user, visit.viewer)?))
}

fn organization(visit: &Visit<'_>) -> Result<AccountId, Refusal> {
    let named = visit.state.account_named(visit.param("org"));
    let organization = named.filter(|account| matches!(account.kind, Kind::Organization { .. }));
    organization.map(|account| account.id).ok_or_else(Refusal::not_found)
}

fn user(visit: &Visit<'_>) -> Result<AccountId, Refusal> {
    visit.state.account_named(visit.param("user")).map(|account| account.id).ok_or_else(Refusal::not_found)
}

fn told(team: &Team) -> Value {
    json!({
        "id": team.id,
        "name": team.name,
        "description": "",
        "organization": null,
        "includes_all_repositories": false,
        "permission": "read",
        "units": [],
        "units_map": {},
        "can_create_org_repo": false,
    })
}
