//! The webhook of a repository: is there one that leads here, does it bring what is needed, does a delivery arrive.
//!
//! The trap: a hook that is mended in place loses what was not named, and keeps its old secret. So a new one is made first and
//! the old one removed after it: between the two a delivery comes twice, which changes nothing.

use secrecy::SecretString;

use super::wanted::Subject;
use super::{Doctor, FIX, Findings};
use crate::config::Secret;
use crate::forge::settings::{Hook, LastAnswer, NewHook};
use crate::forge::{ForgeError, Settings};
use crate::store::DeliveryRow;

/// What ails the hooks of a repository.
struct Ailing {
    message: String,
    /// Hooks that a new one takes the place of.
    replaced: Vec<Hook>,
}

/// Looks at the hooks, mends them where it may, and has a test delivery sent.
pub(super) async fn look(doctor: &Doctor<'_>, settings: &dyn Settings, subject: &Subject, findings: &mut Findings) {
    if settings.is_app() {
        // Its own hook is looked at once for all of them.
        seen(doctor, subject, findings).await;
        return;
    }
    let hooks = match settings.hooks(&subject.repo).await {
        Ok(hooks) => hooks,
        Err(error) => {
            let fix = "make a token with the scope write:repository (GitHub: Webhooks: read and write)";
            return findings.failed("hook", "its hooks cannot be listed", &error, fix);
        }
    };
    let url = format!("{}/hooks/{}", doctor.config.server.public_url, subject.forge);
    let good = match judge(&hooks, &url, &subject.forge, settings) {
        Ok(hook) => {
            findings.ok("hook", format!("hook {} brings deliveries to {url}", hook.id));
            Some(hook.id)
        }
        Err(ailing) if doctor.fix => mend(doctor, settings, subject, (&url, &ailing), findings).await,
        Err(ailing) => {
            findings.problem("hook", ailing.message, format!("make one for {url}")).mended_by(FIX);
            None
        }
    };
    if hooks.iter().filter(|hook| is_ours(hook, &url) && fault(hook, settings).is_none()).count() > 1 {
        findings
            .note("hook", "several hooks lead here: each delivery comes more than once")
            .with_fix("remove all but one");
    }
    if let Some(id) = good {
        let last = hooks.iter().find(|hook| hook.id == id).and_then(|hook| hook.last.clone());
        deliveries(doctor, settings, subject, (id, last), findings).await;
    }
}

fn is_ours(hook: &Hook, url: &str) -> bool {
    hook.url.trim_end_matches('/') == url
}

/// The hook that does what it should; else what ails them all.
fn judge<'a>(hooks: &'a [Hook], url: &str, forge: &str, settings: &dyn Settings) -> Result<&'a Hook, Ailing> {
    let ours: Vec<&Hook> = hooks.iter().filter(|hook| is_ours(hook, url)).collect();
    if let Some(good) = ours.iter().find(|hook| fault(hook, settings).is_none()) {
        return Ok(good);
    }
    let faults: Vec<String> =
        ours.iter().filter_map(|hook| Some(format!("hook {} {}", hook.id, fault(hook, settings)?))).collect();
    if !faults.is_empty() {
        return Err(Ailing { message: faults.join("; "), replaced: ours.into_iter().cloned().collect() });
    }
    let astray = hooks.iter().find(|hook| hook.url.trim_end_matches('/').ends_with(&format!("/hooks/{forge}")));
    let message = match astray {
        // It may be another drift-gate's: it stays.
        Some(hook) => format!("hook {} leads to {}, and server.public_url to {url}", hook.id, shown(&hook.url)),
        None => "it has no webhook that leads here: changes are only seen when the timer looks".to_owned(),
    };
    Err(Ailing { message, replaced: Vec::new() })
}

/// An address of somebody's hook, which may hold a password or a key.
pub(super) fn shown(address: &str) -> String {
    match url::Url::parse(address) {
        Ok(url) => format!("{}{}", url.origin().ascii_serialization(), url.path()),
        Err(_) => "an address that is none".to_owned(),
    }
}

/// What is wrong with a hook that leads here.
fn fault(hook: &Hook, settings: &dyn Settings) -> Option<String> {
    let mut faults = Vec::new();
    if !hook.active {
        faults.push("is not active".to_owned());
    }
    if !hook.json {
        faults.push("sends forms, which are refused".to_owned());
    }
    let missing = settings.missing_events(hook);
    if !missing.is_empty() {
        faults.push(format!("does not bring {}", missing.join(", ")));
    }
    if !matches!(hook.branch_filter.as_str(), "" | "*" | "**") {
        faults.push(format!("leaves out branches (its filter is `{}`)", hook.branch_filter));
    }
    if hook.last.as_ref().is_some_and(|last| last.code == 401) {
        faults.push(
            "signs with another secret than those in webhook_secrets (its last delivery was answered with 401)"
                .to_owned(),
        );
    }
    (!faults.is_empty()).then(|| faults.join(", and "))
}

/// Makes a hook, and removes those that it takes the place of; its number.
async fn mend(
    doctor: &Doctor<'_>,
    settings: &dyn Settings,
    subject: &Subject,
    (url, ailing): (&str, &Ailing),
    findings: &mut Findings,
) -> Option<u64> {
    let Some(secret) = secret(doctor, &subject.forge) else {
        findings.problem("hook", ailing.message.clone(), "configure a webhook secret first: a hook needs one");
        return None;
    };
    let new = NewHook { url, secret: &secret, like: ailing.replaced.first() };
    let id = match settings.add_hook(&subject.repo, &new).await {
        Ok(id) => id,
        Err(error) => {
            let message = format!("{}; a new hook could not be made: {error}", ailing.message);
            findings.problem("hook", message, "mend it by hand, or let the token's user administer the repository");
            return None;
        }
    };
    findings.ok("hook", format!("made hook {id} for {url} ({})", ailing.message));
    for old in &ailing.replaced {
        match settings.remove_hook(&subject.repo, old.id).await {
            Ok(()) => findings.ok("hook", format!("removed hook {}", old.id)),
            Err(error) => {
                let message = format!("hook {} could not be removed: {error}", old.id);
                findings.problem("hook", message, "remove it by hand");
            }
        }
    }
    Some(id)
}

/// What new hooks are signed with.
pub(super) fn secret(doctor: &Doctor<'_>, forge: &str) -> Option<SecretString> {
    doctor.config.forges.get(forge)?.webhook_secrets.first().map(Secret::read)?.ok()
}

/// What arrived of late, and whether a test delivery does.
async fn deliveries(
    doctor: &Doctor<'_>,
    settings: &dyn Settings,
    subject: &Subject,
    (id, told): (u64, Option<LastAnswer>),
    findings: &mut Findings,
) {
    if let Some(LastAnswer { code, message }) = told {
        let answer = if code == 0 { "nothing".to_owned() } else { code.to_string() };
        let message = if message.is_empty() { message } else { format!(" ({message})") };
        findings.note("delivery", format!("the forge says that its last delivery was answered with {answer}{message}"));
    }
    let last = seen(doctor, subject, findings).await;
    if !doctor.service.sees_deliveries() || !doctor.service.running {
        return;
    }
    match settings.test_hook(&subject.repo, id).await {
        Ok(()) => {}
        Err(error @ ForgeError::Transient { .. }) => {
            return findings.failed("reach", "no test delivery could be asked for", &error, "run doctor again");
        }
        Err(error) => {
            return findings.failed("reach", "no test delivery could be asked for", &error, "see what the forge says");
        }
    }
    let before = last.map(|row| row.number);
    if doctor.service.delivered_after(before, &subject.forge, &subject.repo).await {
        findings.ok("reach", "a test delivery has come");
        return;
    }
    findings
        .problem(
            "reach",
            "a test delivery was sent and has not come within 10 s",
            "see the hook's list of recent deliveries on the forge: 401 is another secret than in webhook_secrets (remove the \
             hook, then --fix); no answer at all is a network in between, or `[webhook] ALLOWED_HOST_LIST` of Gitea and Forgejo",
        );
}

/// The last delivery that is in the database.
async fn seen(doctor: &Doctor<'_>, subject: &Subject, findings: &mut Findings) -> Option<DeliveryRow> {
    if !doctor.service.sees_deliveries() {
        return None;
    }
    let last = doctor.service.last(&subject.forge, &subject.repo).await;
    match &last {
        Some(row) => {
            findings.ok("delivery", format!("the last delivery was {} at {}", row.event, moment(row.received_at)))
        }
        None => drop(findings.note("delivery", "no delivery of it has come yet")),
    }
    last
}

/// A time of the database's, for people.
fn moment(millis: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(millis).unwrap_or_default();
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
