//! A GitHub App: does it ask for what is needed, was that granted, does its hook lead here, does a delivery arrive.
//!
//! The traps: permissions and events can be changed by a person only, on the App's page, and what is asked for later counts
//! where it is installed only after its owner there accepted it; of the hook's secret nothing is told, so that it is another
//! one shows in answers of 401; GitHub offers no test delivery for an App, so the last one that is there is sent again, which
//! changes nothing.

use std::time::{Duration, Instant};

use super::wanted::Subject;
use super::{Doctor, FIX, Findings};
use crate::config;
use crate::forge::app_settings::{
    AppSettings, Delivered, Described, HookChange, HookConfig, Installation, Permissions,
};
use crate::forge::settings::Use;
use crate::forge::{ForgeError, Settings};

/// How long a delivery that is sent again may take until the list has it.
const DELIVERED: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_millis(200);

/// A permission, and what needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    name: &'static str,
    level: &'static str,
    /// As the App's page calls it.
    called: &'static str,
    what_for: &'static str,
}

const fn need(name: &'static str, level: &'static str, called: &'static str, what_for: &'static str) -> Need {
    Need { name, level, called, what_for }
}

/// What a repository needs.
pub(super) fn needs(forge: &config::Forge, subject: &Subject, protect: bool) -> Vec<Need> {
    let mut all = vec![
        need("metadata", "read", "Metadata", "see names, visibility and rights"),
        need("statuses", "write", "Commit statuses", "post the status"),
        need("issues", "write", "Issues", "answer commands in comments"),
    ];
    if subject.repaired {
        all.push(need("contents", "write", "Contents", "read both sides, and commit what ends drift"));
        all.push(need("pull_requests", "write", "Pull requests", "open pull requests that end drift"));
    } else {
        all.push(need("contents", "read", "Contents", "read both sides"));
        all.push(need("pull_requests", "read", "Pull requests", "see what is open"));
    }
    if subject.dispatches {
        all.push(need("actions", "write", "Actions", "start workflows"));
    }
    if forge.check_runs {
        all.push(need("checks", "write", "Checks", "write checks with annotations"));
    }
    if subject.gated.iter().any(|gated| gated.queue) {
        all.push(need("merge_queues", "read", "Merge queues", "hear of candidates of a merge queue"));
    }
    if !subject.organizations.is_empty() {
        all.push(need("members", "read", "Members (of the organization)", "read who is in the teams that may waive"));
    }
    if protect {
        all.push(need("administration", "write", "Administration", "require the check (--protect)"));
    }
    all
}

/// Those of the needs that nobody granted.
fn lacking(needs: &[Need], granted: &Permissions) -> Vec<Need> {
    needs.iter().filter(|need| !granted.has(need.name, need.level)).copied().collect()
}

/// Whether what was granted is enough for this.
pub(super) fn may(granted: &Permissions, what: Use<'_>) -> bool {
    match what {
        Use::Statuses => granted.has("statuses", "write"),
        Use::Comments => granted.has("issues", "write"),
        Use::Repairs => granted.has("contents", "write") && granted.has("pull_requests", "write"),
        Use::Teams(_) => granted.has("members", "read"),
    }
}

/// Looks at the App itself: what it asks for, what it hears of, its hook and what that brought.
pub(super) async fn look(
    doctor: &Doctor<'_>,
    (forge, settings): (&config::Forge, &dyn Settings),
    subjects: &[Subject],
    findings: &mut Findings,
) {
    let Some(app) = settings.app() else { return };
    let ours: Vec<&Subject> = subjects.iter().filter(|subject| subject.forge == forge.name).collect();
    let described = match app.described().await {
        Ok(described) => described,
        Err(error) => {
            return findings.failed("permission", "what the App may do is not told", &error, "see what the forge says");
        }
    };
    let mut needed: Vec<Need> = Vec::new();
    for need in ours.iter().flat_map(|subject| needs(forge, subject, doctor.protect)) {
        // To write is more than to read.
        match needed.iter_mut().find(|known| known.name == need.name) {
            Some(known) if known.level == "read" => *known = need,
            Some(_) => {}
            None => needed.push(need),
        }
    }
    permissions(&described, &needed, findings);
    let queue = ours.iter().any(|subject| subject.gated.iter().any(|gated| gated.queue));
    events(app, &described, queue, findings);
    hook(doctor, forge, (app, settings), &described, findings).await;
}

fn permissions(described: &Described, needed: &[Need], findings: &mut Findings) {
    let missing = lacking(needed, &described.permissions);
    missing.iter().for_each(|need| not_asked(described, *need, findings));
    if missing.is_empty() {
        findings.ok("permission", "the App asks for all the permissions that are needed");
    }
}

fn not_asked(described: &Described, Need { name: _, level, called, what_for }: Need, findings: &mut Findings) {
    findings.problem(
        "permission",
        format!("the App does not ask for `{called}: {level}`, which it needs to {what_for}"),
        format!("choose it at {}/permissions, then accept it where the App is installed", described.page),
    );
}

fn events(app: &dyn AppSettings, described: &Described, queue: bool, findings: &mut Findings) {
    let wanted = app.events(queue);
    let is_missing = |(event, _): &&(&str, &str)| !described.events.iter().any(|heard| heard == event);
    let missing: Vec<_> = wanted.iter().filter(is_missing).collect();
    for (event, what_for) in &missing {
        findings.problem(
            "event",
            format!("the App does not hear of `{event}` ({what_for}): that is only seen when the timer looks"),
            format!("subscribe to it at {}/permissions", described.page),
        );
    }
    if missing.is_empty() {
        findings.ok("event", "the App hears of all the events that are needed");
    }
}

/// What is wrong with the hook, and what mends it.
struct Ailing {
    words: Vec<String>,
    url: bool,
    secret: bool,
}

/// `refused`: its last delivery was answered with 401, which is what we say of another secret.
fn judge(hook: &HookConfig, url: &str, refused: bool) -> Ailing {
    let mut ailing = Ailing { words: Vec::new(), url: false, secret: false };
    if hook.url.trim_end_matches('/') != url {
        ailing.url = true;
        ailing.words.push(match hook.url.as_str() {
            "" => "leads nowhere".to_owned(),
            other => format!("leads to {}, and server.public_url to {url}", super::hooks::shown(other)),
        });
    }
    if !hook.json {
        ailing.words.push("sends forms, which are refused".to_owned());
    }
    if !hook.has_secret {
        ailing.secret = true;
        ailing.words.push("has no secret, and what is not signed is refused".to_owned());
    } else if refused {
        ailing.secret = true;
        ailing.words.push(
            "signs with another secret than those in webhook_secrets: its last delivery was answered with 401"
                .to_owned(),
        );
    }
    ailing
}

async fn hook(
    doctor: &Doctor<'_>,
    forge: &config::Forge,
    (app, settings): (&dyn AppSettings, &dyn Settings),
    described: &Described,
    findings: &mut Findings,
) {
    let config = match app.hook_config().await {
        Ok(config) => config,
        Err(ForgeError::NotFound { .. }) => {
            let fix = format!("make it active at {}, with a webhook URL", described.page);
            findings.problem("hook", "the App has no webhook: changes are only seen when the timer looks", fix);
            return;
        }
        Err(error) => {
            return findings.failed("hook", "the App's webhook is not told", &error, "see what the forge says");
        }
    };
    let last = match app.deliveries().await {
        Ok(all) => all,
        Err(error) => {
            findings.failed("delivery", "the App's deliveries are not told", &error, "see what the forge says");
            Vec::new()
        }
    };
    let url = format!("{}/hooks/{}", doctor.config.server.public_url, forge.name);
    let refused = last.first().is_some_and(|newest| newest.code == 401);
    let ailing = judge(&config, &url, refused);
    if !config.verifies {
        findings
            .note("hook", "the App's webhook does not check our certificate")
            .with_fix(format!("turn SSL verification on at {}", described.page));
    }
    let mut mended = false;
    if ailing.words.is_empty() {
        findings.ok("hook", format!("the App's webhook brings deliveries to {url}"));
    } else if doctor.fix {
        mended = mend(doctor, forge, app, (&url, &ailing), findings).await;
    } else {
        let message = format!("the App's webhook {}", ailing.words.join(", and "));
        findings.problem("hook", message, format!("set it at {}", described.page)).mended_by(FIX);
    }
    deliveries(doctor, (app, settings), described, (&last, mended || ailing.words.is_empty()), findings).await;
}

/// Changes what is wrong about the hook, and nothing else.
async fn mend(
    doctor: &Doctor<'_>,
    forge: &config::Forge,
    app: &dyn AppSettings,
    (url, ailing): (&str, &Ailing),
    findings: &mut Findings,
) -> bool {
    let words = ailing.words.join(", and ");
    let secret = super::hooks::secret(doctor, &forge.name);
    if ailing.secret && secret.is_none() {
        let message = format!("the App's webhook {words}");
        findings.problem("hook", message, "configure a webhook secret first: the App's hook needs one");
        return false;
    }
    let change = HookChange { url: ailing.url.then_some(url), secret: secret.as_ref().filter(|_| ailing.secret) };
    match app.change_hook(&change).await {
        Ok(()) => {
            findings.ok("hook", format!("mended the App's webhook, which brings deliveries to {url} now (it {words})"));
            true
        }
        Err(error) => {
            let message = format!("the App's webhook {words}, and could not be changed: {error}");
            findings.problem("hook", message, "change it by hand on the App's page");
            false
        }
    }
}

/// The last delivery, and whether it arrives when it is sent again.
async fn deliveries(
    doctor: &Doctor<'_>,
    (app, settings): (&dyn AppSettings, &dyn Settings),
    described: &Described,
    (last, well): (&[Delivered], bool),
    findings: &mut Findings,
) {
    let Some(newest) = last.first() else {
        findings
            .note("delivery", "the App has delivered nothing of late: GitHub keeps the list for three days")
            .with_fix(format!(
                "where something was pushed since, see that the webhook is active at {}",
                described.page
            ));
        return;
    };
    let told = told(newest);
    if newest.arrived() {
        findings.ok("delivery", format!("the App's last delivery was taken: {told}"));
    } else if doctor.service.running && well {
        // Sending it again tells whether that is over.
        findings.note("delivery", format!("the App's last delivery was not taken: {told}"));
    } else {
        let finding = findings.unknown("delivery", format!("the App's last delivery was not taken: {told}"));
        finding.with_fix("start `drift-gate serve`, and run doctor again beside it: it has that delivery sent again");
    }
    if !doctor.service.running || !well {
        return;
    }
    // One that arrived before it sooner says nothing new; one that failed is waited for all the same.
    let again = last.iter().find(|one| one.arrived()).unwrap_or(newest);
    match settings.redeliver(again.id).await {
        Ok(()) => {}
        Err(error) => {
            return findings.failed("reach", "no delivery could be sent again", &error, "see what the forge says");
        }
    }
    match came(app, again, last).await {
        Some(one) if one.arrived() => findings.ok("reach", "a delivery that was sent again has come"),
        Some(one) => {
            let what = match one.code {
                401 => "401 is another secret than in webhook_secrets: --fix sets it".to_owned(),
                0 => "GitHub did not reach it: see the name, the proxy and the certificate in front of it".to_owned(),
                code => format!("{code} is what answers at that address: see the proxy in front of it"),
            };
            let message = format!("a delivery was sent again and not taken: {}", self::told(&one));
            findings.problem("reach", message, format!("{what}; {}/advanced lists deliveries", described.page));
        }
        None => drop(
            findings
                .unknown("reach", "a delivery was sent again, and its list does not tell within 10 s what became of it")
                .with_fix(format!("see {}/advanced", described.page)),
        ),
    }
}

/// The delivery that was sent again, when the list has it.
async fn came(app: &dyn AppSettings, again: &Delivered, before: &[Delivered]) -> Option<Delivered> {
    let began = Instant::now();
    while began.elapsed() < DELIVERED {
        let now = app.deliveries().await.unwrap_or_default();
        let is_new = |one: &&Delivered| one.guid == again.guid && !before.iter().any(|known| known.id == one.id);
        if let Some(found) = now.iter().find(is_new) {
            return Some(found.clone());
        }
        tokio::time::sleep(GLANCE).await;
    }
    None
}

fn told(delivery: &Delivered) -> String {
    let answer = match delivery.code {
        0 if delivery.status.is_empty() => "no answer".to_owned(),
        0 => format!("no answer ({})", delivery.status),
        code => format!("answered with {code}"),
    };
    format!("{} at {}, {answer}", delivery.event, delivery.at.format("%Y-%m-%d %H:%M:%S UTC"))
}

/// Where the App is installed for a repository; `None` where nothing can be done there, which is told.
pub(super) async fn installed(
    app: &dyn AppSettings,
    subject: &Subject,
    findings: &mut Findings,
) -> Option<Installation> {
    let installation = match app.installation(&subject.repo).await {
        Ok(installation) => installation,
        Err(ForgeError::NotFound { .. }) => {
            findings.problem(
                "right",
                "the App is not installed there: no status can be posted",
                "install it on the repository from the App's page, or mend the name in the configuration",
            );
            return None;
        }
        Err(ForgeError::Moved { .. }) => {
            findings.renamed(&subject.repo);
            return None;
        }
        Err(error) => {
            findings.failed(
                "right",
                "whether the App is installed there is not told",
                &error,
                "see what the forge says",
            );
            return None;
        }
    };
    if installation.suspended {
        let fix = format!("let it again at {}", place(&installation));
        findings.problem("right", "the App is suspended there: it can do nothing", fix);
        return None;
    }
    findings.ok("right", "the App is installed there");
    Some(installation)
}

fn place(installation: &Installation) -> &str {
    if installation.page.is_empty() { "its page of settings" } else { &installation.page }
}

/// What of the needs was not granted there. `before`: what was known when the App itself was looked at, which told what it
/// does not ask for; a repository's own gates may need more.
pub(super) async fn granted(
    doctor: &Doctor<'_>,
    app: &dyn AppSettings,
    (forge, before, subject): (&config::Forge, &Subject, &Subject),
    installation: &Installation,
    findings: &mut Findings,
) {
    let Ok(described) = app.described().await else { return };
    let known = needs(forge, before, doctor.protect);
    for need in lacking(&needs(forge, subject, doctor.protect), &installation.permissions) {
        let Need { name, level, called, what_for } = need;
        if described.permissions.has(name, level) {
            findings.problem(
                "permission",
                format!("`{called}: {level}` is asked for and not granted there: the App may not {what_for}"),
                format!("its owner accepts it at {}", place(installation)),
            );
        } else if !known.contains(&need) {
            not_asked(&described, need, findings);
        }
    }
}
