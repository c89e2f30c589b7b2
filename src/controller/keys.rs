//! The stable address of a wanted key: an HMAC, so that nobody can guess the page of a repository they cannot see.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::plan::Gated;
use crate::gate::{Case, Report};
use crate::tree::ObjectId;

/// Digits of an address: 128 bits.
const DIGITS: usize = 32;

/// The id of (forge, repository id, SHA, context) under the service's own secret, 32 hexadecimal digits.
pub fn wanted(secret: &[u8], forge: &str, repository: u64, sha: &ObjectId, context: &str) -> String {
    // HMAC takes a key of any length: the constructor cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    for part in [forge, &repository.to_string(), sha.as_str(), context] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    let mut id = hex::encode(mac.finalize().into_bytes());
    id.truncate(DIGITS);
    id
}

/// The form in which reports are kept: those of another form are not taken for answers.
const FORM: u32 = 2;

/// The key of a report: everything that it is a function of, the engine's version included.
pub fn report(gated: &Gated, case: &Case) -> String {
    let (id, digest, before) = (&gated.id, &gated.gate.digest, gated.before.digest());
    let text = format!("{} {FORM}\n{id}\n{digest}{before}\n{case:?}", env!("CARGO_PKG_VERSION"));
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// The key of a report that lacks a commit: not the one of the verdict, which may be another as soon as the commit is there.
pub fn without_a_commit(report: &str) -> String {
    hex::encode(Sha256::digest(format!("{report}\nwithout a commit")))
}

/// The key of a report that was made without a comparison: all that it says.
pub fn told(report: &Report) -> String {
    let text = serde_json::to_string(report).unwrap_or_default();
    hex::encode(Sha256::digest(format!("told\n{text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_stable_and_none_other_is_like_it() {
        let sha = ObjectId::parse(&"a".repeat(40)).expect("an id");
        let id = wanted(b"secret", "main", 12, &sha, "drift-gate");
        assert_eq!(id, wanted(b"secret", "main", 12, &sha, "drift-gate"));
        assert_eq!(id.len(), DIGITS);
        for other in [
            wanted(b"another", "main", 12, &sha, "drift-gate"),
            wanted(b"secret", "main1", 2, &sha, "drift-gate"),
            wanted(b"secret", "main", 12, &sha, "drift-gate/docs"),
        ] {
            assert_ne!(id, other);
        }
    }
}
