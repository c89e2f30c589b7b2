//! Who may waive, take that back and rebuild: asked of the forge at that moment, for each command.
//!
//! Administrators of the repository that the pull request is in, and whom the gate's configuration names. The traps: the right
//! that a forge calls `write` says nothing (it may be the right to write issues), so only administrators count; that our own
//! user may not ask is no right of who commented, and is said; a name in the configuration is compared in any case, as forges do.

use std::collections::BTreeMap;

use super::super::plan::{Gated, RepoKey};
use super::super::{Controller, Trouble};
use crate::config::Commands;
use crate::forge::{ForgeError, RepoName, Team};

/// What one user may do in one repository, as far as it was asked.
pub(super) struct Rights<'a> {
    controller: &'a Controller,
    forge: &'a str,
    repo: &'a RepoName,
    login: &'a str,
    /// They administer the repository.
    admin: bool,
    /// Teams that were asked for, and whether they are in them: several gates may name one.
    teams: BTreeMap<String, bool>,
    /// Why something could not be asked, in words for people.
    unknown: Vec<String>,
}

impl<'a> Rights<'a> {
    /// Asks whether a user administers a repository.
    pub(super) async fn of(
        controller: &'a Controller,
        repo: &'a RepoKey,
        name: &'a RepoName,
        login: &'a str,
    ) -> Result<Self, Trouble> {
        let mut rights = Self {
            controller,
            forge: &repo.forge,
            repo: name,
            login,
            admin: false,
            teams: BTreeMap::new(),
            unknown: Vec::new(),
        };
        match controller.api(&repo.forge)?.administers(name, login).await {
            Ok(admin) => rights.admin = admin,
            Err(error @ ForgeError::Denied { .. }) => {
                tracing::warn!(%repo, login, %error, "who administers the repository cannot be asked");
                let why = "whether somebody administers the repository is told to its administrators only, and drift-gate's user is none";
                rights.unknown.push(why.to_owned());
            }
            Err(error) => return Err(error.into()),
        }
        Ok(rights)
    }

    /// Whether they may give this gate's commands.
    pub(super) async fn may(&mut self, commands: &Commands) -> Result<bool, Trouble> {
        if self.admin || commands.users.iter().any(|user| user.eq_ignore_ascii_case(self.login)) {
            return Ok(true);
        }
        for team in &commands.teams {
            let member = match self.teams.get(team) {
                Some(member) => *member,
                None => self.is_in(team).await?,
            };
            self.teams.insert(team.clone(), member);
            if member {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn is_in(&mut self, team: &str) -> Result<bool, Trouble> {
        let Some((organization, name)) = team.split_once('/') else { return Ok(false) };
        match self.controller.api(self.forge)?.is_member(&Team { organization, name }, self.login).await {
            Ok(member) => Ok(member),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::warn!(team, login = self.login, %error, "who is in a team cannot be asked");
                self.unknown.push(format!("drift-gate's user cannot see who is in {team}"));
                Ok(false)
            }
        }
    }

    /// Whether they may give the commands of any of these gates.
    pub(super) async fn may_any<'g>(&mut self, gates: impl Iterator<Item = &'g Gated>) -> Result<bool, Trouble> {
        if self.admin {
            return Ok(true);
        }
        for gated in gates {
            if self.may(&gated.gate.commands).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// They administer the repository.
    pub(super) fn is_admin(&self) -> bool {
        self.admin
    }

    /// A refusal that says who may.
    pub(super) fn refusal<'g>(&self, gates: impl Iterator<Item = &'g Gated>) -> String {
        let mut who = vec![format!("administrators of {}", self.repo)];
        for gated in gates {
            let Commands { users, teams } = &gated.gate.commands;
            let named = users.iter().cloned().chain(teams.iter().map(|team| format!("the team {team}")));
            named.for_each(|one| {
                if !who.contains(&one) {
                    who.push(one)
                }
            });
        }
        let mut words = format!("refused: that is for {}", who.join(", "));
        for why in &self.unknown {
            words.push_str("; ");
            words.push_str(why);
        }
        words
    }
}
