//! What a page says of the pull request that ends the drift, or of why there is none.
//!
//! Its words may quote names of both repositories, and what a forge refuses may name what our token cannot see: see [`told`].

use super::data::{Judgement, Repo};
use super::visible::{Linked, Reader};
use crate::controller::pulls::state;

/// The pull request of a gate at a branch.
#[derive(Clone)]
pub struct Repair {
    /// How it stands, in the controller's word.
    pub state: String,
    /// More about it, in words; complete.
    pub words: String,
    /// Where it is, and its number; `None` where there is none.
    pub pull: Option<(Repo, u64)>,
    /// Why the last try to bring it about failed.
    pub trouble: Option<String>,
}

/// What a reader may know of it: a sentence, and the pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShownRepair {
    pub sentence: String,
    pub pull: Option<Linked>,
}

/// `both`: the reader may know the names that stand in both repositories.
pub(super) fn told(judgement: &Judgement, both: bool, reader: Reader) -> Option<ShownRepair> {
    let repair = judgement.repair.as_ref()?;
    let operator = reader == Reader::Operator;
    let words = Some(repair.words.as_str()).filter(|words| !words.is_empty());
    let more = |sentence: &str, words: Option<&str>| match words {
        Some(words) => format!("{sentence} {}", sentence_of(words)),
        None => sentence.to_owned(),
    };
    let sentence = match repair.state.as_str() {
        state::OPEN => more("A pull request that ends this is open.", words.filter(|_| both)),
        state::OPENING => "A pull request that ends this is being opened.".to_owned(),
        state::WAITING => "A pull request that ends this is opened once the drift is old enough.".to_owned(),
        state::THEIRS => {
            "A pull request was opened for this. Somebody else has committed to it, so it is left to them; what is then missing is \
             proposed when it is merged or closed."
                .to_owned()
        }
        state::REFUSED => {
            "A person closed the pull request for this commit of the source: none is opened again until the source moves on, or \
             somebody comments `/drift-gate rebuild`."
                .to_owned()
        }
        state::PERSON => more("No pull request is opened: a person must write this.", words.filter(|_| both)),
        state::BLOCKED => more("No pull request could be opened.", words.filter(|_| operator)),
        state::STARTING | state::STARTED => more("A workflow ends this.", words.filter(|_| both)),
        state::DRY => more("A dry run opens nothing.", words.filter(|_| operator)),
        _ => return None,
    };
    let sentence = match repair.trouble.as_deref().filter(|_| operator) {
        Some(trouble) => format!("{sentence} The last try failed, and is made again: {}", sentence_of(trouble)),
        None => sentence,
    };
    let seen = |repo: &Repo| operator || !repo.private || repo.name == place(judgement).name;
    let pull = repair.pull.as_ref().filter(|(repo, _)| seen(repo));
    let pull = pull.map(|(repo, number)| Linked {
        text: format!("{}#{number}", repo.name),
        address: Some(repo.addresses.pull(*number)),
    });
    Some(ShownRepair { sentence, pull })
}

/// The repository that the page is about.
fn place(judgement: &Judgement) -> &Repo {
    match judgement.place {
        super::Side::Consumer => &judgement.consumer,
        super::Side::Source => &judgement.source,
    }
}

/// Words that end with a full stop.
fn sentence_of(words: &str) -> String {
    let words = words.trim();
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if words.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}
