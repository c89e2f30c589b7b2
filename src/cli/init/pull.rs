//! The pull request that proposes the consumer's own file of gates.
//!
//! The traps: it may be open already, from an earlier try or a lost answer; a file that is there is not replaced unasked.

use super::{Asked, Failure, Side, print, refused};
use crate::forge::pulls::{FileChange, Find, NewCommit, NewPull, Onto};
use crate::forge::{ForgeError, Unwritten};
use crate::gate::Revision;
use crate::gate::own_file::FILE;

/// The branch that it comes from.
const BRANCH: &str = "drift-gate/init";
const TITLE: &str = "Gates for drift-gate";
const BODY: &str = "This adds the gates that `drift-gate init` proposes: what is compared, with which repository, and how the commit is \
                    pinned that is built from. Read the comments in the file; until it is merged it judges nothing but this pull \
                    request.\n";

/// Commits the file onto a branch of its own and opens the pull request, or says which one is open.
pub(super) fn propose(asked: &Asked, consumer: &Side, text: &str, force: bool) -> Result<(), Failure> {
    let repo = &consumer.repo;
    let Revision::Commit(head) = &consumer.opened.revision else {
        return Err(Failure::usage("a pull request is proposed to a repository on the forge, not to a folder"));
    };
    let was = consumer.opened.committed_at(FILE).map_err(Failure::failed)?;
    if was.is_some() && !force {
        return Err(Failure::usage(format_args!(
            "{repo} has a {FILE} on {} already: propose another one with --force",
            consumer.branch
        )));
    }
    let user = asked.wait(asked.settings.whoami()).map_err(|error| refused("the token", error))?;
    let find = Find { author: &user.login, open: true, branch: BRANCH };
    let open =
        asked.wait(asked.settings.find_pulls(repo, &find)).map_err(|error| refused("its pull requests", error))?;
    if let Some(open) = open.iter().find(|open| open.branch == BRANCH) {
        let page = asked.settings.pull_page(repo, open.pull.number);
        return print(&format!("{page} is open already: merge or close it first\n"));
    }
    let files = [FileChange { path: FILE.to_owned(), content: Some(text.as_bytes().to_vec()), executable: false, was }];
    let onto = Onto::New { branch: BRANCH, from: &consumer.branch };
    let commit = NewCommit { onto, parent: head, message: TITLE, files: &files };
    match asked.wait(asked.settings.commit(repo, &commit)) {
        Ok(_) => {}
        Err(ForgeError::NotWritten { because: Unwritten::BranchExists, .. }) => {
            return Err(Failure::failed(format_args!(
                "{repo} has a branch {BRANCH} of an earlier try: look at it, delete it, and try again"
            )));
        }
        Err(error) => return Err(refused("the file cannot be committed", error)),
    }
    let new = NewPull { head: BRANCH, base: &consumer.branch, title: TITLE, body: BODY, draft: false };
    let number = asked.wait(asked.settings.open_pull(repo, &new));
    let number = number.map_err(|error| refused("the pull request cannot be opened", error))?;
    print(&format!("{} proposes {FILE}\n", asked.settings.pull_page(repo, number)))
}
