//! The configuration as text, with comments that say what was found.
//!
//! Every name that comes from a repository is quoted as a TOML string, or made visible where it stands in a comment.

use std::fmt::Write;

use super::propose::{Proposal, What};
use super::{Answers, Login, Side};
use crate::config::{self, ForgeKind, Secret};
use crate::forge::RepoName;
use crate::gate::discover::{Copied, FoundBake, FoundMirror, PinPlace};
use crate::gate::own_file::FILE;
use crate::report::safe::one_line;

/// Equal files under another name that are told.
const MOST_RENAMED: usize = 5;

/// A TOML string.
fn quoted(text: &str) -> String {
    // JSON's strings are TOML's basic strings, but for this one character.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

/// Which repositories a gate names, and how.
enum Sides<'a> {
    /// Of configured forges.
    Service(&'a Side, &'a Side),
    /// The file lies in the consumer, and the source is an address.
    Own(&'a Side),
}

fn kind(kind: ForgeKind) -> &'static str {
    match kind {
        ForgeKind::Gitea => "gitea",
        ForgeKind::GitHub => "github",
    }
}

/// A whole file with one gate, to be judged.
pub(super) fn one_gate(forge: &config::Forge, consumer: &Side, source: &Side, proposal: &Proposal) -> String {
    let mut text = format!("[forge.{}]\nkind = \"{}\"\nurl = {}\n\n", forge.name, kind(forge.kind), quoted(&forge.url));
    gate(&mut text, forge, &Sides::Service(consumer, source), proposal);
    text
}

/// The service's file.
pub(super) fn of_service(
    answers: &Answers,
    forge: &config::Forge,
    consumer: &Side,
    found: &[(Side, Vec<Proposal>)],
) -> String {
    let place = |secret: &Secret| match secret {
        Secret::File(file) => format!("{{ file = {} }}", quoted(&file.display().to_string())),
        Secret::Env(variable) => format!("{{ env = {} }}", quoted(variable)),
    };
    let login = match &answers.login {
        Login::Token(secret, _) => format!("token = {}", place(secret)),
        Login::App(app) => format!("app = {{ id = {}, key = {} }}", app.id, place(&app.key)),
        Login::Nobody => "token = { env = \"DRIFT_GATE_TOKEN\" }".to_owned(),
    };
    let hooks = match &answers.login {
        Login::App(_) => "`drift-gate doctor --fix` gives it to the App's webhook where that has none",
        Login::Token(..) | Login::Nobody => "`drift-gate doctor --fix` makes webhooks with it",
    };
    let mut text = format!(
        "# Proposed by `drift-gate init`. `drift-gate config example` shows every key, docs/configuration.md says more of each.\n\
         \n\
         [server]\n\
         #listen = \"127.0.0.1:8080\"\n\
         # Where people reach the service, and where webhooks come.\n\
         public_url = {public}\n\
         # Opens the API and the dashboard: export it before `serve`, `openssl rand -hex 32` makes one.\n\
         admin_token = {{ env = \"DRIFT_GATE_ADMIN_TOKEN\" }}\n\
         \n\
         [store]\n\
         url = \"sqlite://drift-gate.db\"\n\
         \n\
         [forge.{name}]\n\
         kind = \"{kind}\"\n\
         url = {url}\n\
         # Reads both repositories and posts statuses. `drift-gate doctor` says what it may not do.\n\
         {login}\n\
         # What signs deliveries: export it before `serve` and `doctor`. {hooks}.\n\
         webhook_secrets = [{{ env = \"DRIFT_GATE_WEBHOOK_SECRET\" }}]\n",
        public = quoted(&answers.public_url),
        name = forge.name,
        kind = kind(forge.kind),
        url = quoted(&forge.url),
    );
    for (source, proposals) in found {
        for proposal in proposals {
            text.push('\n');
            gate(&mut text, forge, &Sides::Service(consumer, source), proposal);
        }
    }
    text
}

/// The consumer's own file.
pub(super) fn of_repository(forge: &config::Forge, found: &[(Side, Vec<Proposal>)]) -> String {
    let mut text = format!(
        "# The gates of this repository, proposed by `drift-gate init`. `drift-gate check --source ADDRESS` judges them on a laptop.\n\
         # A pull request that changes this file is judged by the file of the branch too ({FILE}).\n"
    );
    for (source, proposals) in found {
        for proposal in proposals {
            text.push('\n');
            gate(&mut text, forge, &Sides::Own(source), proposal);
        }
    }
    text
}

fn gate(text: &mut String, forge: &config::Forge, sides: &Sides<'_>, proposal: &Proposal) {
    let _ = writeln!(text, "[[gate]]\nname = {}", quoted(&proposal.name));
    match sides {
        Sides::Service(consumer, source) => {
            let name = quoted(&forge.name);
            let repo = |side: &Side| quoted(&side.repo.0);
            let branch = quoted(&source.branch);
            let _ = writeln!(text, "source = {{ forge = {name}, repo = {}, branch = {branch} }}", repo(source));
            let branches = quoted(&consumer.branch);
            let _ =
                writeln!(text, "consumer = {{ forge = {name}, repo = {}, branches = [{branches}] }}", repo(consumer));
        }
        Sides::Own(source) => {
            let url = quoted(&format!("{}/{}", forge.url, source.repo));
            let _ = writeln!(text, "source = {{ url = {url}, branch = {} }}", quoted(&source.branch));
        }
    }
    binding(text, proposal);
    match &proposal.what {
        What::Bake(found) => bake(text, found),
        What::Copies(found) => {
            text.push_str("# Files that both repositories have, byte for byte. Take out what is equal by chance.\n");
            if proposal.pin.is_none() {
                text.push_str("# A pull request of the source that changes one of them fails: merged, it would differ from its copy.\n");
            }
            found.same_name.iter().for_each(|one| mirror(text, one, ""));
            for one in found.renamed.iter().take(MOST_RENAMED) {
                text.push_str("\n# Equal bytes under another name. If it is meant to be a copy, take out each `#` before what follows.");
                mirror(text, one, "#");
            }
            let more = found.renamed.len().saturating_sub(MOST_RENAMED);
            if more > 0 {
                let _ = writeln!(text, "# {more} more are equal under another name.");
            }
        }
        What::Pin => text.push_str(
            "# No file of the source was found in the consumer. What is judged is the pin: that it is a commit of the source's\n\
             # branch, and not behind it.\n\
             [[gate.check]]\n\
             kind = \"pin\"\n\
             # Files that the pinned commit must have:\n\
             #requires = [\"config.yaml\"]\n",
        ),
    }
}

/// A `mirror` check, each line after `mark`.
fn mirror(text: &mut String, found: &FoundMirror, mark: &str) {
    let _ = writeln!(text, "\n{mark}[[gate.check]]\n{mark}kind = \"mirror\"");
    match &found.what {
        Copied::File(file) => drop(writeln!(text, "{mark}file = {}", quoted(file))),
        Copied::Folder(folder, globs) => {
            let _ = writeln!(text, "{mark}folder = {}", quoted(folder));
            if !globs.is_empty() {
                let _ = writeln!(text, "{mark}include = {}", list(globs));
            }
        }
    }
    let _ = writeln!(text, "{mark}copies = {}", list(&found.copies));
}

fn bake(text: &mut String, bake: &FoundBake) {
    text.push_str(
        "# What the Dockerfile takes of the source. A file of the source that is neither here nor in `ignore` is drift: nobody said\n\
         # whether the image should have it.\n",
    );
    let _ = writeln!(text, "identity = {}\nignore = {}", list(&bake.identity), list(&bake.ignore));
    let _ = writeln!(
        text,
        "\n# {}:{} is the first line that takes a file of the source.",
        one_line(&bake.dockerfile),
        bake.line
    );
    let _ = writeln!(text, "[[gate.check]]\nkind = \"bake\"\ndockerfile = {}", quoted(&bake.dockerfile));
    text.push_str("# The folder that `docker build` is given.\n");
    let _ = writeln!(text, "context = {}", quoted(&bake.context));
    if let Some(target) = &bake.target {
        let _ = writeln!(text, "target = {}", quoted(target));
    }
    text.push_str("# Where the build puts the source's files before it runs, and where the image has them.\n");
    let _ = writeln!(text, "source_dir = {}\ndestination = {}", quoted(&bake.source_dir), quoted(&bake.destination));
}

fn binding(text: &mut String, proposal: &Proposal) {
    let Some(pin) = &proposal.pin else {
        text.push_str("# No file names a commit of the source: what is built is the head of its branch.\nbinding = { follow = true }\n");
        return;
    };
    let _ = writeln!(text, "# The commit of the source that is built: {} now.", pin.commit.short());
    for other in proposal.others.iter().take(5) {
        let _ = writeln!(text, "# It is also named by {other}.");
    }
    let file = quoted(&pin.file);
    let place = match &pin.place {
        PinPlace::Path(path) => format!("pin = {file}, at = {}", quoted(&path.to_string())),
        PinPlace::Whole => format!("pin = {file}, whole = true"),
        PinPlace::Argument(name) => format!("pin = {file}, argument = {}", quoted(name)),
        PinPlace::Submodule => format!("submodule = {file}"),
    };
    let fields: Vec<String> =
        proposal.require.iter().map(|(key, value)| format!("{} = {}", quoted(key), quoted(value))).collect();
    let require = if fields.is_empty() { String::new() } else { format!(", require = {{ {} }}", fields.join(", ")) };
    let _ = writeln!(text, "binding = {{ {place}{require} }}");
}

/// What the service's own file must say so that it takes the gates of a repository.
pub(super) fn listed(forge: &config::Forge, consumer: &Side, sources: &[RepoName]) -> String {
    let sources: Vec<String> = sources.iter().map(|source| source.0.clone()).collect();
    format!(
        "When it is merged, the service takes the gates where its own file lists the repository:\n\n\
         [[repository]]\nforge = \"{}\"\nrepo = {}\nsources = {}\n",
        forge.name,
        quoted(&consumer.repo.0),
        list(&sources)
    )
}

/// What to do with the file that was written.
pub(super) fn next(file: &str) -> String {
    format!(
        "{file}: written. Read it, and then:\n\n\
         \x20   export DRIFT_GATE_WEBHOOK_SECRET=$(openssl rand -hex 32)\n\
         \x20   export DRIFT_GATE_ADMIN_TOKEN=$(openssl rand -hex 32)\n\
         \x20   drift-gate doctor --config {file} --fix              # sets the webhooks up, says what is missing\n\
         \x20   drift-gate serve --config {file}\n\
         \x20   drift-gate doctor --config {file} --fix --protect    # requires the check\n"
    )
}
