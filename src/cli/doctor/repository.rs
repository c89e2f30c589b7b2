//! One repository: is it there, what may we do in it, and then its hooks and branches.

use super::wanted::Subject;
use super::{Doctor, Findings, Level, app, branches, hooks};
use crate::config::{Bringer, Config};
use crate::forge::app_settings::Installation;
use crate::forge::settings::{Rights, Use};
use crate::forge::{ForgeError, Settings};
use crate::gate::own_file::FILE;

/// Asks all about it.
pub(super) async fn look(doctor: &Doctor<'_>, settings: &dyn Settings, subject: &mut Subject, findings: &mut Findings) {
    let Some((rights, installation)) = rights(settings, subject, findings).await else { return };
    let before = subject.clone();
    if subject.brings {
        own_file(doctor, subject, settings, findings).await;
    }
    let app = settings.app().zip(installation.as_ref()).zip(doctor.config.forges.get(&subject.forge));
    if let Some(((app, installation), forge)) = app {
        app::granted(doctor, app, (forge, &before, subject), installation, findings).await;
    }
    let mut may = vec![
        (Use::Statuses, "post statuses", rights.push && !rights.archived),
        (Use::Comments, "answer commands in comments", true),
        (Use::Repairs, "open pull requests that end drift", subject.repaired && rights.push && !rights.archived),
    ];
    let organizations = subject.organizations.clone();
    may.extend(organizations.iter().map(|one| (Use::Teams(one), "read who is in the teams that may waive", true)));
    for (what, words, asked) in may {
        // What an App was not granted is told already.
        if asked && installation.as_ref().is_none_or(|one| app::may(&one.permissions, what)) {
            scope(settings, subject, (what, words), findings).await;
        }
    }
    if !rights.admin {
        findings
            .unknown("admin", "hooks and protections are told to administrators only, and so is who may waive")
            .with_fix("let the token's user administer the repository, or look at them by hand");
        return;
    }
    hooks::look(doctor, settings, subject, findings).await;
    branches::look(doctor, settings, subject, findings).await;
}

/// Our rights, and of an App where it is installed; `None` where all else would only repeat what is told.
async fn rights(
    settings: &dyn Settings,
    subject: &Subject,
    findings: &mut Findings,
) -> Option<(Rights, Option<Installation>)> {
    // Of an App nothing else can be asked before.
    let installation = match settings.app() {
        Some(app) => Some(app::installed(app, subject, findings).await?),
        None => None,
    };
    let rights = match settings.rights(&subject.repo).await {
        Ok(rights) => rights,
        Err(ForgeError::NotFound { .. }) => {
            let message = format!("{} is not there, or the token's user may not see it", subject.repo);
            findings.problem("repository", message, "mend the name in the configuration, or let the user in");
            return None;
        }
        Err(ForgeError::Moved { .. }) => {
            findings.renamed(&subject.repo);
            return None;
        }
        Err(error) => {
            let fix = "make a token with the scope write:repository";
            findings.failed("repository", "it cannot be read", &error, fix);
            return None;
        }
    };
    if rights.archived {
        findings.problem("repository", "it is archived: no status can be posted", "bring it back, or retire its gates");
    }
    if installation.is_some() {
        // What an App may do is told by what was granted to it, and not by rights of a user.
        return Some((Rights { admin: true, push: true, ..rights }, installation));
    }
    if rights.archived {
        return Some((rights, None));
    }
    if !rights.push {
        let message = "the token's user may not write there: no status can be posted";
        findings.problem(
            "right",
            message,
            "make the user a collaborator with write access, or better an administrator",
        );
    } else {
        let word = if rights.admin { "administer" } else { "write to" };
        findings.ok("right", format!("the token's user may {word} it"));
    }
    Some((rights, None))
}

async fn scope(settings: &dyn Settings, subject: &Subject, (what, words): (Use<'_>, &str), findings: &mut Findings) {
    let scope = settings.scope_for(what);
    match settings.may(&subject.repo, what).await {
        Ok(()) => findings.ok("scope", format!("it may {words}")),
        Err(ForgeError::Denied { message, .. }) => {
            findings.problem(
                "scope",
                format!("it may not {words}: {message}"),
                format!("the {} needs `{scope}` to {words}", if settings.is_app() { "App" } else { "token" }),
            );
        }
        Err(error) => {
            findings.failed("scope", &format!("whether it may {words} is not told"), &error, "see what the forge says")
        }
    }
}

/// The gates that the repository brings, as far as its branches are concerned.
async fn own_file(doctor: &Doctor<'_>, subject: &mut Subject, settings: &dyn Settings, findings: &mut Findings) {
    let listed = doctor.config.repositories.iter().find(|one| one.forge == subject.forge && one.repo == subject.repo.0);
    let Some((listed, forge)) = listed.zip(doctor.config.forges.get(&subject.forge)) else { return };
    let default_branch = match settings.repository(&subject.repo).await {
        Ok(repository) => repository.default_branch,
        Err(error) => {
            return findings.failed("gates", "its default branch is not told", &error, "see what the forge says");
        }
    };
    let text = match settings.text_file(&subject.repo, FILE, &default_branch).await {
        Ok(text) => text,
        Err(ForgeError::NotFound { .. }) => {
            let message = format!("it has no {FILE} on {default_branch}: no gate of its own judges it");
            findings.add("gates", Level::Note, message).with_fix("`drift-gate init --pull-request` proposes one");
            return;
        }
        Err(error) => {
            return findings.failed("gates", &format!("{FILE} cannot be read"), &error, "see what the forge says");
        }
    };
    let taken: Vec<String> = Vec::new();
    let bringer = Bringer { repository: listed, forge_url: &forge.url, default_branch: &default_branch, taken: &taken };
    match Config::parse_brought(&text, FILE, &bringer) {
        Ok(gates) => {
            let names: Vec<&str> = gates.iter().map(|gate| gate.name.as_str()).collect();
            findings.ok("gates", format!("it brings {}", names.join(", ")));
            for gate in &gates {
                subject.consumes(gate);
            }
        }
        Err(error) => {
            findings.problem(
                "gates",
                format!("its {FILE} cannot be used:\n{error}"),
                "mend the file by a pull request",
            );
        }
    }
}
