//! Teams of organizations: who is in them, and who may see that.

use super::model::{AccountId, Kind, Team};
use super::refusal::Refusal;
use super::state::{Numbered, State, is_name};

impl State {
    /// Makes a team; returns its number.
    pub fn add_team(&mut self, organization: AccountId, name: &str) -> Result<u64, Refusal> {
        if !is_name(name) {
            return Err(Refusal::Invalid("[Name]: AlphaDashDot".to_owned()));
        }
        let taken = |team: &Team| team.organization == organization && team.name.eq_ignore_ascii_case(name);
        if self.teams.iter().any(taken) {
            return Err(Refusal::Invalid(format!("team already exists [name: {name}]")));
        }
        let id = self.number(Numbered::Team);
        self.teams.push(Team { id, organization, name: name.to_owned(), members: Vec::new() });
        Ok(id)
    }

    /// A team by its number.
    pub fn team(&self, id: u64) -> Result<&Team, Refusal> {
        self.teams.iter().find(|team| team.id == id).ok_or_else(Refusal::not_found)
    }

    /// Takes somebody into a team.
    pub fn add_member(&mut self, id: u64, account: AccountId) -> Result<(), Refusal> {
        let team = self.teams.iter_mut().find(|team| team.id == id).ok_or_else(Refusal::not_found)?;
        if !team.members.contains(&account) {
            team.members.push(account);
        }
        Ok(())
    }

    /// The teams of an organization that somebody sees: all of them for those who own it, else the own ones.
    pub fn teams_seen(&self, organization: AccountId, viewer: AccountId) -> impl Iterator<Item = &Team> {
        let all = self.owns(organization, viewer);
        let seen = move |team: &&Team| team.organization == organization && (all || team.members.contains(&viewer));
        self.teams.iter().filter(seen)
    }

    /// Whether somebody owns an organization, or administers the forge.
    pub fn owns(&self, organization: AccountId, account: AccountId) -> bool {
        let kind = self.account(organization).map(|organization| &organization.kind);
        let owner = matches!(kind, Ok(Kind::Organization { owners }) if owners.contains(&account));
        owner || self.account(account).is_ok_and(|account| account.is_site_admin())
    }

    /// Whether somebody is in an organization: owns it, or is in one of its teams.
    pub fn belongs(&self, organization: AccountId, account: AccountId) -> bool {
        let in_team = |team: &Team| team.organization == organization && team.members.contains(&account);
        self.owns(organization, account) || self.teams.iter().any(in_team)
    }
}
