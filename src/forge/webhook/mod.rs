//! Is a delivery genuine, and what may have changed: pure, no I/O, no clock.
//!
//! A delivery is a hint. It makes the controller look; what is true is read from the forge at that moment. So only what
//! says *where* to look is read here, nothing in it is believed, and no URL in it is ever used. [`verify`] comes first,
//! over the raw bytes, before anything is parsed.
//!
//! The traps: Gitea and Forgejo sign with an empty text when a hook has no secret, send GitHub's headers beside their own,
//! name the same event differently in `Event` and `Event-Type`, say branch deletions by `delete` only (GitHub by `push`
//! as well), may send `"pull_request": null`, and write create and delete refs short or in full; "no object" is 40 or 64
//! zeros; comments may be edited by others than their authors, so only new ones count.

mod parse;
mod verify;

pub use self::parse::{BranchChange, Delivery, Hint, ParseError, RepositoryRef, is_command, parse};
pub use self::verify::{Rejected, verify};
