//! Whether a delivery comes from someone who knows a secret of the hook.

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::config::ForgeKind;

/// Why a delivery is not looked at. The texts say what the hook's owner must change and repeat nothing that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Gitea signs a form's inner JSON, GitHub the form: neither is worth supporting.
    #[error("the body is not application/json: set the hook's content type to JSON")]
    ContentType,
    /// No signature at all, or the empty one of a hook without a secret.
    #[error("the delivery is not signed: give the hook a secret")]
    Unsigned,
    /// Not 64 hexadecimal digits, or not the same in all headers, or a header twice.
    #[error("the signature is not one: expected the 64 hexadecimal digits of an HMAC-SHA256")]
    Malformed,
    /// Made with another secret, or over other bytes.
    #[error("the signature is wrong: the hook's secret is none of the configured webhook_secrets")]
    WrongSignature,
    /// There is nothing to check a signature with.
    #[error("no webhook secret is configured for this forge: add one to its webhook_secrets")]
    NoSecret,
}

/// Checks a delivery's signature over the raw bytes of its body, in constant time, against each of the secrets (several,
/// so that they can be rotated).
///
/// Forges put one HMAC-SHA256 into up to three headers: `X-Hub-Signature-256: sha256=<hex>` (all forges), and bare
/// hexadecimal digits in `X-Gitea-Signature` and `X-Forgejo-Signature`. **All of those that are present must be the
/// same whole signature, and at least one must be present**: genuine deliveries lose nothing by it, and no header can
/// contradict the one that was checked. The SHA-1 and Gogs headers count for nothing. Digits may be in either case;
/// what is compared is the 32 bytes. An empty secret never matches.
///
/// # Errors
/// See [`Rejected`].
pub fn verify(kind: ForgeKind, headers: &HeaderMap, body: &[u8], secrets: &[SecretString]) -> Result<(), Rejected> {
    if !is_json(headers) {
        return Err(Rejected::ContentType);
    }
    let signature = signature(kind, headers)?;
    let mut any_secret = false;
    for secret in secrets.iter().map(|secret| secret.expose_secret().as_bytes()).filter(|secret| !secret.is_empty()) {
        any_secret = true;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| Rejected::NoSecret)?;
        mac.update(body);
        if mac.verify_slice(&signature).is_ok() {
            return Ok(());
        }
    }
    Err(if any_secret { Rejected::WrongSignature } else { Rejected::NoSecret })
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(first), None) = (types.next(), types.next()) else { return false };
    let media_type = first.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/json")
}

/// The one signature that all headers agree on.
fn signature(kind: ForgeKind, headers: &HeaderMap) -> Result<[u8; 32], Rejected> {
    const HUB: (&str, &str) = ("x-hub-signature-256", "sha256=");
    let names: &[(&str, &str)] = match kind {
        ForgeKind::GitHub => &[HUB],
        ForgeKind::Gitea => &[HUB, ("x-gitea-signature", ""), ("x-forgejo-signature", "")],
    };
    let mut agreed = None;
    for (name, prefix) in names {
        for value in headers.get_all(*name) {
            let digits = value.to_str().ok().and_then(|text| text.strip_prefix(prefix)).ok_or(Rejected::Malformed)?;
            if digits.is_empty() {
                return Err(Rejected::Unsigned);
            }
            let mut bytes = [0; 32];
            hex::decode_to_slice(digits, &mut bytes).map_err(|_| Rejected::Malformed)?;
            if agreed.is_some_and(|agreed| agreed != bytes) {
                return Err(Rejected::Malformed);
            }
            agreed = Some(bytes);
        }
    }
    agreed.ok_or(Rejected::Unsigned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GitHub's documentation publishes this one for implementers to check themselves with.
    const PUBLISHED: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    const BODY: &[u8] = b"Hello, World!";

    fn secret() -> Vec<SecretString> {
        vec!["It's a Secret to Everybody".to_owned().into()]
    }

    fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json; charset=utf-8".parse().unwrap());
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn hub(digits: &str) -> HeaderMap {
        headers(&[("x-hub-signature-256", format!("sha256={digits}"))])
    }

    fn judged(headers: &HeaderMap) -> Result<(), Rejected> {
        verify(ForgeKind::Gitea, headers, BODY, &secret())
    }

    #[test]
    fn the_signature_that_github_publishes_for_implementers_holds() {
        assert_eq!(verify(ForgeKind::GitHub, &hub(PUBLISHED), BODY, &secret()), Ok(()));
        assert_eq!(judged(&hub(PUBLISHED)), Ok(()), "Gitea sends this header as well");
        assert_eq!(judged(&headers(&[("x-gitea-signature", PUBLISHED.to_owned())])), Ok(()));
        assert_eq!(judged(&headers(&[("x-forgejo-signature", PUBLISHED.to_owned())])), Ok(()));
    }

    #[test]
    fn digits_in_upper_case_are_the_same_signature() {
        assert_eq!(judged(&hub(&PUBLISHED.to_uppercase())), Ok(()));
    }

    #[test]
    fn an_absent_or_empty_signature_is_unsigned() {
        assert_eq!(judged(&headers(&[])), Err(Rejected::Unsigned));
        assert_eq!(judged(&hub("")), Err(Rejected::Unsigned));
        assert_eq!(judged(&headers(&[("x-gitea-signature", String::new())])), Err(Rejected::Unsigned));
    }

    #[test]
    fn a_sha1_or_gogs_signature_alone_counts_for_nothing() {
        let weak = headers(&[
            ("x-hub-signature", "sha1=285eb04ff6da049f20027c850007db066b673674".to_owned()),
            ("x-gogs-signature", PUBLISHED.to_owned()),
        ]);
        assert_eq!(judged(&weak), Err(Rejected::Unsigned));
        let bare = headers(&[("x-gitea-signature", PUBLISHED.to_owned())]);
        assert_eq!(
            verify(ForgeKind::GitHub, &bare, BODY, &secret()),
            Err(Rejected::Unsigned),
            "GitHub has no such header"
        );
    }

    #[test]
    fn a_truncated_or_lengthened_signature_is_refused() {
        for digits in [&PUBLISHED[..62], &PUBLISHED[..63], &PUBLISHED[..2], &format!("{PUBLISHED}00"), "sha256", "zz"] {
            assert_eq!(judged(&hub(digits)), Err(Rejected::Malformed), "{digits}");
        }
        let without_prefix = headers(&[("x-hub-signature-256", PUBLISHED.to_owned())]);
        assert_eq!(judged(&without_prefix), Err(Rejected::Malformed));
    }

    #[test]
    fn one_wrong_bit_in_signature_or_body_is_refused() {
        let mut digits = PUBLISHED.to_owned();
        digits.replace_range(0..1, "6");
        assert_eq!(judged(&hub(&digits)), Err(Rejected::WrongSignature));
        let altered = verify(ForgeKind::Gitea, &hub(PUBLISHED), b"Hello, World?", &secret());
        assert_eq!(altered, Err(Rejected::WrongSignature));
    }

    #[test]
    fn headers_that_contradict_each_other_are_refused_whichever_is_right() {
        let other = "0".repeat(64);
        for (first, second) in [(PUBLISHED, other.as_str()), (other.as_str(), PUBLISHED)] {
            let both = headers(&[
                ("x-hub-signature-256", format!("sha256={first}")),
                ("x-gitea-signature", second.to_owned()),
            ]);
            assert_eq!(judged(&both), Err(Rejected::Malformed));
            let twice = headers(&[("x-gitea-signature", first.to_owned()), ("x-gitea-signature", second.to_owned())]);
            assert_eq!(judged(&twice), Err(Rejected::Malformed));
        }
        let one_empty =
            headers(&[("x-hub-signature-256", format!("sha256={PUBLISHED}")), ("x-gitea-signature", String::new())]);
        assert_eq!(judged(&one_empty), Err(Rejected::Unsigned));
    }

    #[test]
    fn while_secrets_are_rotated_the_old_and_the_new_one_hold() {
        let secrets: Vec<SecretString> = vec!["new".to_owned().into(), secret().remove(0)];
        assert_eq!(verify(ForgeKind::Gitea, &hub(PUBLISHED), BODY, &secrets), Ok(()));
    }

    #[test]
    fn an_empty_secret_matches_nothing_not_even_its_own_signature() {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"").unwrap();
        mac.update(BODY);
        let signed = hub(&hex::encode(mac.finalize().into_bytes()));
        let empty: Vec<SecretString> = vec![String::new().into()];
        assert_eq!(verify(ForgeKind::Gitea, &signed, BODY, &empty), Err(Rejected::NoSecret));
        assert_eq!(verify(ForgeKind::Gitea, &signed, BODY, &[]), Err(Rejected::NoSecret));
    }

    #[test]
    fn a_form_is_refused_even_when_its_signature_holds() {
        for media_type in ["application/x-www-form-urlencoded", "text/plain", "application/jsonx", ""] {
            let mut form = hub(PUBLISHED);
            form.insert(header::CONTENT_TYPE, media_type.parse().unwrap());
            assert_eq!(judged(&form), Err(Rejected::ContentType), "{media_type}");
        }
        let mut none = hub(PUBLISHED);
        none.remove(header::CONTENT_TYPE);
        assert_eq!(judged(&none), Err(Rejected::ContentType));
    }
}
