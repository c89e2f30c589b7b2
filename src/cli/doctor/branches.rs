//! The gated branches of a repository: are they there, is the check required, by its exact name, and can an old green be merged.

use super::wanted::{Gated, Subject};
use super::{Doctor, Finding, Findings, Level, PROTECT};
use crate::forge::app_settings::AppSettings;
use crate::forge::settings::{Changed, Demands, Fit};
use crate::forge::{ForgeError, Settings};
use crate::gate::glob;

/// Looks at every gated branch.
pub(super) async fn look(doctor: &Doctor<'_>, settings: &dyn Settings, subject: &Subject, findings: &mut Findings) {
    for gated in &subject.gated {
        for branch in branches(settings, subject, gated, findings).await {
            one(doctor, settings, (subject, gated, &branch), findings).await;
        }
    }
    if settings.statuses_are_everyones() && !subject.gated.is_empty() {
        findings.note(
            "others",
            "whoever may write there can post a status of this name: one that is not drift-gate's is put back, and told on the \
             dashboard",
        );
    }
}

/// The branches that a name or glob means.
async fn branches(settings: &dyn Settings, subject: &Subject, gated: &Gated, findings: &mut Findings) -> Vec<String> {
    if glob::is_literal(&gated.branches) {
        return vec![gated.branches.clone()];
    }
    match settings.branches(&subject.repo).await {
        Ok(all) => {
            let fitting: Vec<String> = all.into_iter().filter(|name| glob::matches(&gated.branches, name)).collect();
            if fitting.is_empty() {
                findings.note("branch", format!("no branch fits `{}` yet", gated.branches));
            }
            fitting
        }
        Err(error) => {
            findings.failed("branch", "its branches cannot be listed", &error, "see what the forge says");
            Vec::new()
        }
    }
}

async fn one(
    doctor: &Doctor<'_>,
    settings: &dyn Settings,
    (subject, gated, branch): (&Subject, &Gated, &str),
    findings: &mut Findings,
) {
    let context = &gated.context;
    let demands = match settings.demands(&subject.repo, branch).await {
        Ok(demands) => demands,
        Err(ForgeError::NotFound { .. }) => {
            let message = format!("it has no branch {branch}: nothing is judged there");
            findings.problem("branch", message, "mend the branch's name in the gate");
            return;
        }
        Err(error @ ForgeError::Denied { .. }) => {
            let finding = findings.unknown("required", format!("what {branch} demands is not told: {error}"));
            finding.with_fix("let the token's user administer it (GitHub: Administration: read), or look by hand");
            return;
        }
        Err(error) => {
            let fix = "make a token with the scope write:repository (GitHub: Administration: read)";
            findings.failed("required", &format!("what {branch} demands cannot be read"), &error, fix);
            return;
        }
    };
    let wanting = wanting(settings, &demands, gated, branch);
    let outdated = !(demands.up_to_date || demands.queue || gated.queue);
    let unpinned = wanting.is_none() && settings.app().is_some() && !pinned(settings, &demands, context);
    let mut by_hand = None;
    if doctor.protect && !gated.advisory && (wanting.is_some() || outdated || unpinned) {
        match protect(settings, (subject, gated, branch)).await {
            Ok(done) => return findings.ok("required", done),
            Err(why) => by_hand = Some(why),
        }
    }
    match wanting {
        Some(message) if gated.advisory => drop(findings.note("required", format!("{message} (the gate is advisory)"))),
        Some(message) => {
            let usual = format!("require the status check `{context}` on {branch}");
            tell(findings.problem("required", message, usual), by_hand);
            return;
        }
        None => required(settings, &demands, (gated, branch), by_hand.clone(), findings),
    }
    if demands.queue && !gated.queue {
        let message =
            format!("merges onto {branch} go through a queue, whose candidates get no `{context}`: it waits for ever");
        let fix = match gated.consumes {
            true => "name its branches in the gate: `queue_branches = [\"gh-readonly-queue/**\"]` in `consumer`",
            false => "do without the queue, or without the check: only a consumer's queue is judged",
        };
        findings.problem("queue", message, fix);
    }
    if outdated {
        let message = format!(
            "pull requests onto {branch} need not be up to date: after a push to it, an old green can be merged before the new \
             verdict is there"
        );
        let finding = findings.note("up_to_date", message);
        tell(finding.with_fix("require branches to be up to date, or use a merge queue"), by_hand);
    }
    if demands.pushes {
        let message = format!("whoever may write pushes to {branch} without a pull request, and so past the check");
        findings.note("pushes", message);
    }
}

/// What mends it: the flags, or by hand where they were given in vain.
fn tell(finding: &mut Finding, by_hand: Option<String>) {
    match by_hand {
        Some(why) => drop(finding.with_fix(why)),
        None => finding.mended_by(PROTECT),
    }
}

/// Requires the check, in words; else why it is a person's to do.
async fn protect(
    settings: &dyn Settings,
    (subject, gated, branch): (&Subject, &Gated, &str),
) -> Result<String, String> {
    let context = &gated.context;
    match settings.require(&subject.repo, branch, context, std::slice::from_ref(&gated.branches)).await {
        Ok(Changed::Made) => Ok(format!(
            "made a rule for {branch}: it requires `{context}`, and that pull requests are up to date; who could push to it still \
             may, but not by force"
        )),
        Ok(Changed::Added) => Ok(format!("{branch} requires `{context}` now, and that pull requests are up to date")),
        Ok(Changed::Not(why)) => Err(why),
        Err(error) => Err(format!("require it by hand, because {branch} could not be protected: {error}")),
    }
}

/// Why the check is not required; `None` where it is.
fn wanting(settings: &dyn Settings, demands: &Demands, gated: &Gated, branch: &str) -> Option<String> {
    let context = &gated.context;
    let fitting = || demands.contexts.iter().filter(|(required, _)| settings.fits(required, context) != Fit::None);
    let ours = settings.app().map(AppSettings::id);
    if let Some((_, Some(other))) = fitting().find(|(_, pin)| pin.is_some() && *pin != ours) {
        return Some(format!(
            "{branch} requires `{context}` of App {other} alone, and that is not who posts it here: it waits for ever"
        ));
    }
    if fitting().next().is_some() {
        return None;
    }
    let alike = |required: &str| {
        let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
        plain(required).contains(&plain(context))
    };
    if let Some((required, _)) = demands.contexts.iter().find(|(required, _)| alike(required)) {
        return Some(format!(
            "{branch} requires `{required}`, which is another name than `{context}`: it waits for ever"
        ));
    }
    Some(match demands.rules.as_slice() {
        [] => format!("{branch} is not protected: what drifts can be merged"),
        rules => format!("`{context}` is not required on {branch} ({}): what drifts can be merged", rules.join(", ")),
    })
}

/// Whether some demand of it names the App that alone may give it.
fn pinned(settings: &dyn Settings, demands: &Demands, context: &str) -> bool {
    demands.contexts.iter().any(|(required, pin)| pin.is_some() && settings.fits(required, context) != Fit::None)
}

/// Tells how it is required, and who else can meet the demand.
fn required(
    settings: &dyn Settings,
    demands: &Demands,
    (gated, branch): (&Gated, &str),
    by_hand: Option<String>,
    findings: &mut Findings,
) {
    let context = &gated.context;
    let fitting = |fit: Fit| demands.contexts.iter().find(|(required, _)| settings.fits(required, context) == fit);
    match (fitting(Fit::Exact), fitting(Fit::Pattern)) {
        (Some(_), _) if pinned(settings, demands, context) => {
            findings.ok("required", format!("`{context}` is required on {branch}, of our App alone"));
        }
        (Some(_), _) => {
            findings.ok("required", format!("`{context}` is required on {branch}"));
            if !settings.statuses_are_everyones() {
                let message = format!("any App, and whoever may write, can give `{context}` on {branch}");
                let finding = findings.note("others", message);
                match settings.app() {
                    Some(app) => {
                        tell(
                            finding.with_fix(format!("pin the check to this App ({}) on {branch}", app.id())),
                            by_hand,
                        );
                    }
                    None => drop(finding.with_fix("be a GitHub App, and pin the check to it: see docs/github-app.md")),
                }
            }
        }
        (None, Some((pattern, _))) => {
            let message =
                format!("`{context}` is required on {branch} by the pattern `{pattern}`, as is all else that fits it");
            findings.add("required", Level::Ok, message);
        }
        (None, None) => {}
    }
}
