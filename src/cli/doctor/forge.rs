//! One forge: does it answer, as what, is its clock ours, is the token good.

use super::{Findings, Level};
use crate::config;
use crate::forge::{ForgeError, Settings};

/// Clocks that differ by more are told, in seconds: what was said before a verdict is told from what was said after it by them.
const SKEW: i64 = 60;

/// Whether its repositories can be asked.
pub(super) async fn look(forge: &config::Forge, settings: &dyn Settings, findings: &mut Findings) -> bool {
    match settings.server().await {
        Ok(server) => {
            findings.ok("reachable", format!("{}: {}", forge.url, server.product));
            clock(server.ahead, findings);
            if let Some(scopes) = server.scopes.filter(|scopes| !scopes.is_empty()) {
                findings.ok("scopes", format!("the token's scopes: {scopes}"));
            }
        }
        Err(ForgeError::Denied { status: 401, .. }) => {
            refused_token(forge, findings);
            return false;
        }
        Err(ForgeError::Denied { message, .. }) if forge.app.is_some() => {
            // It answers, and the App itself can be asked all the same.
            let fix = "install it on the repositories of the gates, or let it act again where it is suspended";
            findings.problem("token", format!("the App can act nowhere: {message}"), fix);
            return true;
        }
        Err(error) => {
            let fix =
                format!("set forge.{}.url to the server's root, and see that it is reached from here", forge.name);
            findings.failed("reachable", "it does not answer as a forge", &error, &fix);
            return false;
        }
    }
    if forge.webhook_secrets.is_empty() {
        let fix = format!(
            "name one: `webhook_secrets = [{{ env = \"DRIFT_GATE_WEBHOOK_SECRET\" }}]` in [forge.{}]",
            forge.name
        );
        findings.problem("secret", "no webhook secret is configured: all deliveries are refused", fix);
    }
    if forge.token.is_none() && forge.app.is_none() {
        let fix = format!("name one: `token = {{ env = \"DRIFT_GATE_TOKEN\" }}` in [forge.{}]", forge.name);
        findings.problem("token", "no token is configured: only what is public is read, and no status is posted", fix);
        return false;
    }
    match settings.whoami().await {
        Ok(user) if forge.app.is_some() => findings.ok("token", format!("the App acts as {}", user.login)),
        Ok(user) => findings.ok("token", format!("the token is {}'s", user.login)),
        Err(ForgeError::Denied { status: 401, .. }) => {
            refused_token(forge, findings);
            return false;
        }
        Err(ForgeError::Denied { message, .. }) => {
            let needed = "the token may not ask whose it is, which tells our own comments and statuses from others'";
            findings.problem("token", format!("{needed}: {message}"), "make a token with the scope read:user as well");
        }
        Err(error) => {
            findings.failed("token", "whose the token is, is not told", &error, "see what the forge says");
            return findings.all.last().is_none_or(|last| last.level != Level::Unknown);
        }
    }
    true
}

fn clock(ahead: Option<i64>, findings: &mut Findings) {
    match ahead {
        Some(seconds) if seconds.abs() > SKEW => {
            let word = if seconds > 0 { "ahead of" } else { "behind" };
            findings.problem(
                "clock",
                format!("its clock is {} s {word} ours", seconds.abs()),
                "set both machines' clocks by NTP: what was said before a verdict cannot be told from what was said after it",
            );
        }
        Some(_) => findings.ok("clock", "its clock is ours"),
        None => drop(findings.note("clock", "it does not tell the time")),
    }
}

fn refused_token(forge: &config::Forge, findings: &mut Findings) {
    if forge.app.is_some() {
        findings.problem(
            "token",
            format!("{} does not take the App's key: it is another App's, or was deleted", forge.url),
            format!("generate a key on the App's page, and put it where forge.{}.app.key says", forge.name),
        );
        return;
    }
    findings.problem(
        "token",
        format!("{} does not take the token: it is wrong, was deleted, or has ended", forge.url),
        format!("make a new one, and put it where forge.{}.token says", forge.name),
    );
}
