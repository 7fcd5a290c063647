//! Which kinds of keys this build can verify.

use sequoia_openpgp::types::{Curve, PublicKeyAlgorithm};

/// The kinds of keys one can ask about, and whether the OpenPGP backend of this build verifies their signatures.
///
/// The table in the project's `docs/keys.md` is checked against this.
///
/// ```
/// let supported = capauth_verifier::openpgp::supported_keys();
/// assert!(supported.contains(&("Ed25519", true)));
/// ```
pub fn supported_keys() -> Vec<(&'static str, bool)> {
    use PublicKeyAlgorithm as A;
    let curve = |algorithm: A, curve: Curve| algorithm.is_supported() && curve.is_supported();
    vec![
        ("Ed25519 (as GnuPG makes it)", curve(A::EdDSA, Curve::Ed25519)),
        ("Ed25519", A::Ed25519.is_supported()),
        ("Ed448", A::Ed448.is_supported()),
        ("RSA, 2048 to 4096 bits", A::RSAEncryptSign.is_supported()),
        (
            "RSA, up to 8192 bits",
            A::RSAEncryptSign.is_supported() && super::certificate::MAX_RSA_BITS >= 8192,
        ),
        ("NIST P-256", curve(A::ECDSA, Curve::NistP256)),
        ("NIST P-384", curve(A::ECDSA, Curve::NistP384)),
        ("NIST P-521", curve(A::ECDSA, Curve::NistP521)),
        ("Brainpool P-256", curve(A::ECDSA, Curve::BrainpoolP256)),
        ("Brainpool P-512", curve(A::ECDSA, Curve::BrainpoolP512)),
        ("ML-DSA-65 with Ed25519", A::MLDSA65_Ed25519.is_supported()),
        ("ML-DSA-87 with Ed448", A::MLDSA87_Ed448.is_supported()),
        ("SLH-DSA-SHAKE-128s", A::SLHDSA128s.is_supported()),
        ("SLH-DSA-SHAKE-256s", A::SLHDSA256s.is_supported()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The column of this build's backend in the table of `docs/keys.md`.
    const COLUMN: usize = if cfg!(feature = "crypto-rust") {
        2
    } else if cfg!(feature = "crypto-openssl") {
        3
    } else {
        4
    };

    #[test]
    fn the_documented_table_is_what_this_build_does() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/keys.md");
        let page = std::fs::read_to_string(page).unwrap();
        for (name, supported) in supported_keys() {
            let row = page.lines().find(|line| line.starts_with(&format!("| {name} |")));
            let row = row.unwrap_or_else(|| panic!("docs/keys.md has no row for {name}"));
            let cell = row.split('|').nth(COLUMN).unwrap().trim();
            assert_eq!(cell == "yes", supported, "docs/keys.md, {name}: {cell:?}");
        }
    }
}
