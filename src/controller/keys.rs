//! The stable address of a wanted key: an HMAC, so that nobody can guess the page of a repository they cannot see.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::gate::Case;
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

/// The key of a report: everything that it is a function of, the engine's version included.
pub fn report(gate_id: &str, gate_digest: &str, case: &Case) -> String {
    let text = format!("{}\n{gate_id}\n{gate_digest}\n{case:?}", env!("CARGO_PKG_VERSION"));
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// The key of a report that lacks a commit: not the one of the verdict, which may be another as soon as the commit is there.
pub fn without_a_commit(report: &str) -> String {
    hex::encode(Sha256::digest(format!("{report}\nwithout a commit")))
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
