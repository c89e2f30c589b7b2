//! The private key of a GitHub App: read from PEM, kept in a form that nothing prints, and used to sign.
//!
//! The traps: GitHub hands out PKCS#1 (`BEGIN RSA PRIVATE KEY`), other tools make PKCS#8 of it (`BEGIN PRIVATE KEY`), and a
//! key in a variable often has `\n` where its line ends were. A key of another kind (an SSH key, a certificate, an
//! elliptic curve) is found when the service starts, not at the first signature.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

/// An RSA private key.
#[derive(Clone)]
pub struct PrivateKey(Arc<KeyPair>);

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

impl PrivateKey {
    /// Reads PEM, PKCS#1 or PKCS#8; `None` for anything but an RSA key of at least 2048 bits.
    pub fn from_pem(text: &str) -> Option<Self> {
        let lines = text.replace("\\n", "\n");
        let pair = match PrivateKeyDer::from_pem_slice(lines.as_bytes()).ok()? {
            PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return None,
        };
        pair.ok().map(|pair| Self(Arc::new(pair)))
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256, which JSON Web Tokens call RS256; `None` where the system gives no random bytes.
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
        Some(signature)
    }
}
