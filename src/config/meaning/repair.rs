//! What a `[[gate.repair]]` means, and whether it fits the gate that it stands in.

use super::checks::mirrors;
use super::{Reading, each, flat};
use crate::config::Scope;
use crate::config::model::{Binding, PullRequest, Repair, Template, To};
use crate::config::raw::{self, At, Text};
use crate::config::rules;

impl Reading<'_> {
    /// All repairs of a gate. `binding` is `None` where it is faulty itself.
    pub(super) fn repairs(&mut self, gate: &raw::Gate, binding: Option<&Binding>) -> Option<Vec<Repair>> {
        let before = self.problems.len();
        let all = gate.repair.value();
        let repairs = each(all, |at| {
            let repair = self.repair(at.value())?;
            self.fits(at, &repair, gate, binding);
            Some(repair)
        });
        for (index, at) in all.iter().enumerate() {
            let earlier = &all[..index];
            if let Some(first) = earlier.iter().find(|one| kind(one.value()) == kind(at.value())) {
                let line = self.document.line(first.span().start);
                let help = format!("keep one of them; the first is in line {line}");
                self.wrong(at.span(), format!("a second repair of kind `{}`", kind(at.value())), help);
            } else if earlier.iter().any(|one| side(one.value()).is_some() && side(one.value()) == side(at.value())) {
                self.says_nothing_of_the_pull_request(at);
            }
        }
        repairs.filter(|_| self.problems.len() == before)
    }

    fn repair(&mut self, raw: &raw::Repair) -> Option<Repair> {
        Some(match raw {
            raw::Repair::Pin(pin) => {
                Repair::Pin { copy_lines: pin.copy_lines, pull: self.pull_request(&pin.pull_request())? }
            }
            raw::Repair::Mirror(mirror) => {
                let to = match mirror.to {
                    raw::To::Consumer => To::Consumer,
                    raw::To::Source => To::Source,
                };
                let mut pull = self.pull_request(&mirror.pull_request())?;
                // What is not written stands nowhere.
                if to == To::Source && mirror.title.span().is_empty() {
                    pull.title = Template::new(PullRequest::OFFER);
                }
                Repair::Mirror { to, pull }
            }
            raw::Repair::Stamp(stamp) => {
                let path = self.ruled("path", &stamp.path, rules::below);
                let template = self.ruled("template", &stamp.template, rules::stamp);
                let pull = self.pull_request(&stamp.pull_request());
                let copy_lines = stamp.copy_lines;
                Repair::Stamp { path: path?, template: Template::new(&template?), copy_lines, pull: pull? }
            }
            raw::Repair::Dispatch(dispatch) => {
                let workflow = self.ruled("workflow", &dispatch.workflow, rules::workflow);
                let on = dispatch.on.as_ref().map(|on| self.ruled("ref", on, rules::branch));
                let mut inputs = std::collections::BTreeMap::new();
                for (name, value) in &dispatch.inputs {
                    let pair = (self.ruled("inputs", name, rules::input), self.ruled("inputs", value, rules::template));
                    if let (Some(name), Some(value)) = pair {
                        inputs.insert(name, Template::new(&value));
                    }
                }
                let complete = inputs.len() == dispatch.inputs.len();
                let after = self.ruled("after", &dispatch.after, rules::duration);
                let inputs = Some(inputs).filter(|_| complete);
                Repair::Dispatch { workflow: workflow?, on: flat(on)?, inputs: inputs?, after: after? }
            }
        })
    }

    fn pull_request(&mut self, raw: &raw::PullRequest<'_>) -> Option<PullRequest> {
        let title = self.ruled("title", raw.title, rules::title);
        let branch = self.ruled("branch", raw.branch, rules::repair_branch);
        let mut names = |key: &str, list: &At<Vec<Text>>, rule: fn(&str) -> rules::Ruled<String>| {
            each(list.value(), |name| self.ruled(key, name, rule))
        };
        let labels = names("labels", raw.labels, rules::label);
        let reviewers = names("reviewers", raw.reviewers, rules::reviewer);
        let assignees = names("assignees", raw.assignees, rules::login);
        let after = self.ruled("after", raw.after, rules::duration);
        let group = raw.group.map(|group| self.ruled("group", group, rules::name));
        Some(PullRequest {
            title: Template::new(&title?),
            branch: Template::new(&branch?),
            labels: labels?,
            reviewers: reviewers?,
            assignees: assignees?,
            draft: *raw.draft.value(),
            auto_merge: *raw.auto_merge.value(),
            after: after?,
            group: flat(group)?,
        })
    }

    /// Whether the gate has what the repair mends.
    fn fits(&mut self, at: &At<raw::Repair>, repair: &Repair, gate: &raw::Gate, binding: Option<&Binding>) {
        let mirrors = gate.check.value().iter().any(|check| mirrors(check.value()));
        match (repair, binding) {
            (Repair::Pin { .. }, Some(Binding::Follow)) => {
                let help = "remove it, or write a `binding` with a pin; a gate that follows a branch has `stamp` and `dispatch`";
                self.wrong(at.span(), "a repair of kind `pin` in a gate that pins nothing", help);
            }
            (Repair::Stamp { path, .. }, Some(Binding::Pin { file, .. })) if path == file => {
                let help = "name another file: a stamp is all that its file says";
                self.wrong(at.span(), "the stamp is the file with the pin", help);
            }
            // A check that is at fault itself was taken out of the file.
            (Repair::Mirror { .. }, _) if !mirrors && self.problems.is_empty() => {
                let help = "add a `[[gate.check]]` of kind `mirror`, or remove it";
                self.wrong(at.span(), "a repair of kind `mirror` in a gate that mirrors nothing", help);
            }
            (Repair::Mirror { to: To::Source, .. }, _) if matches!(self.scope, Scope::Brought(_)) => {
                let help = "take it out: only the service's own file may have other repositories written to";
                self.wrong(at.span(), "`to = \"source\"` is not for a repository to say", help);
            }
            _ => {}
        }
    }

    /// Repairs that write one side are one pull request, and the first of them describes it.
    fn says_nothing_of_the_pull_request(&mut self, at: &At<raw::Repair>) {
        let Some(raw) = pull_request(at.value()) else { return };
        // What is not written stands nowhere.
        let lists = [("labels", raw.labels), ("reviewers", raw.reviewers), ("assignees", raw.assignees)];
        let texts = [("title", raw.title), ("branch", raw.branch), ("after", raw.after)];
        let said = texts.into_iter().map(|(key, text)| (key, text.span()));
        let said = said.chain(lists.into_iter().map(|(key, list)| (key, list.span())));
        let said = said.chain([("draft", raw.draft.span()), ("auto_merge", raw.auto_merge.span())]);
        let said: Vec<_> = said.chain(raw.group.map(|group| ("group", group.span()))).collect();
        for (key, span) in said.into_iter().filter(|(_, span)| !span.is_empty()) {
            let message = format!("`{key}` in a second repair of the same side: both are one pull request");
            self.wrong(span, message, "write it into the first of them");
        }
    }
}

fn kind(raw: &raw::Repair) -> &'static str {
    match raw {
        raw::Repair::Pin(_) => "pin",
        raw::Repair::Mirror(_) => "mirror",
        raw::Repair::Stamp(_) => "stamp",
        raw::Repair::Dispatch(_) => "dispatch",
    }
}

/// Whether the consumer is written; `None` where nothing is.
fn side(raw: &raw::Repair) -> Option<bool> {
    match raw {
        raw::Repair::Pin(_) | raw::Repair::Stamp(_) => Some(true),
        raw::Repair::Mirror(mirror) => Some(matches!(mirror.to, raw::To::Consumer)),
        raw::Repair::Dispatch(_) => None,
    }
}

fn pull_request(raw: &raw::Repair) -> Option<raw::PullRequest<'_>> {
    match raw {
        raw::Repair::Pin(pin) => Some(pin.pull_request()),
        raw::Repair::Mirror(mirror) => Some(mirror.pull_request()),
        raw::Repair::Stamp(stamp) => Some(stamp.pull_request()),
        raw::Repair::Dispatch(_) => None,
    }
}
