//! The installation's one secret, and what it seals.
//!
//! [`MasterKey`] derives a key per purpose by HKDF-SHA-256 (RFC 5869), each with a label of its own. [`Sealer`] seals
//! with XChaCha20-Poly1305; purpose and context are associated data, so a blob made for one purpose does not open
//! for another.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Text that must not be seen: does not print, compares in constant time, is wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Takes a text into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text. Do not log it, do not put it into an error.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `other` is the same text, in a time that depends on neither's content.
    pub fn matches(&self, other: &str) -> bool {
        let digest = |text: &str| Sha256::digest(text.as_bytes());
        digest(&self.0).ct_eq(&digest(other)).into()
    }
}

/// In a time that depends on neither's content.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// What an installation's secret is sealed as.
const WRAPPED: &str = "installation secret";

/// Why a text is not a master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MasterKeyError;

impl fmt::Display for MasterKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a master key is 32 random bytes in base64 or hexadecimal, such as `openssl rand -hex 32` prints",
        )
    }
}

impl std::error::Error for MasterKeyError {}

/// Thirty-two random bytes from which every symmetric key of an installation is derived.
///
/// A durable store keeps an installation secret of its own, sealed under the operator's master key: see
/// [`wrap`](Self::wrap). So the operator's key can be replaced, and everything that was sealed, and every keyed hash,
/// stays good.
#[derive(Clone)]
pub struct MasterKey {
    bytes: Arc<Zeroizing<[u8; 32]>>,
    /// The key this one replaces, as long as something may still be sealed under it.
    old: Option<Arc<Zeroizing<[u8; 32]>>>,
}

/// What [`MasterKey::unwrap`] found.
#[derive(Debug, Clone)]
pub struct Unwrapped {
    /// The installation secret.
    pub secret: MasterKey,
    /// Whether the old key opened it: wrap it anew and write that down.
    pub by_old_key: bool,
}

impl MasterKey {
    /// A new one, from the operating system's randomness.
    ///
    /// # Errors
    /// The operating system has none.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut())?;
        Ok(Self::of(bytes))
    }

    fn of(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self { bytes: Arc::new(bytes), old: None }
    }

    /// The same key, which also opens what `old` sealed.
    #[must_use]
    pub fn replacing(mut self, old: &Self) -> Self {
        self.old = Some(Arc::clone(&old.bytes));
        self
    }

    /// Seals an installation's secret under this key.
    ///
    /// # Errors
    /// The operating system has no randomness.
    pub fn wrap(&self, secret: &Self) -> Result<Vec<u8>, OpenError> {
        self.sealer(WRAPPED).seal(&[], secret.bytes.as_slice())
    }

    /// Opens what [`wrap`](Self::wrap) sealed under this key or the one it replaces.
    ///
    /// # Errors
    /// It was neither of them.
    pub fn unwrap(&self, blob: &[u8]) -> Result<Unwrapped, OpenError> {
        let open = |key: &Self| -> Result<Self, OpenError> {
            let plain = key.sealer(WRAPPED).open(&[], blob)?;
            let bytes: [u8; 32] = plain.as_slice().try_into().map_err(|_| OpenError)?;
            Ok(Self::of(Zeroizing::new(bytes)))
        };
        let old = self.old.as_ref().map(|bytes| Self { bytes: Arc::clone(bytes), old: None });
        match (open(self), old) {
            (Ok(secret), _) => Ok(Unwrapped { secret, by_old_key: false }),
            (Err(_), Some(old)) => Ok(Unwrapped { secret: open(&old)?, by_old_key: true }),
            (Err(error), None) => Err(error),
        }
    }

    /// Reads one from base64 (either alphabet, padded or not) or hexadecimal.
    ///
    /// # Errors
    /// Anything but 32 bytes.
    pub fn parse(text: &str) -> Result<Self, MasterKeyError> {
        let text = text.trim();
        if text.len() > 128 {
            return Err(MasterKeyError);
        }
        let hex = hex::decode(text).ok();
        let base64 = || {
            [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].iter().find_map(|e| e.decode(text).ok())
        };
        let bytes = Zeroizing::new(hex.or_else(base64).ok_or(MasterKeyError)?);
        let array: [u8; 32] = bytes.as_slice().try_into().map_err(|_| MasterKeyError)?;
        Ok(Self::of(Zeroizing::new(array)))
    }

    /// The key in hexadecimal, to be written to a file that only its owner reads.
    pub fn expose_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.bytes.as_slice()))
    }

    fn derive(&self, label: &str) -> Zeroizing<[u8; 32]> {
        let mut out = Zeroizing::new([0; 32]);
        // 32 bytes are within HKDF's bound of 255 hash lengths, so this cannot fail.
        let _ = Hkdf::<Sha256>::new(None, self.bytes.as_slice()).expand(label.as_bytes(), out.as_mut());
        out
    }

    /// A value that betrays nothing and proves that a database was made with this key.
    pub fn check_value(&self) -> [u8; 32] {
        *self.derive("capauth master-key check v1")
    }

    /// The keyed hash under which an erased key is remembered.
    pub fn tombstone(&self, fingerprint: &capauth_protocol::Fingerprint) -> [u8; 32] {
        *self.derive(&format!("capauth tombstone v1 {fingerprint}"))
    }

    /// A keyed hash: what was hashed cannot be found out from it, nor by trying, without this key. `purpose` is a short
    /// constant text; each purpose has its own.
    pub fn keyed_hash(&self, purpose: &'static str, data: &[u8]) -> [u8; 32] {
        *self.derive(&format!("capauth hash v1 {purpose} {}", hex::encode(data)))
    }

    /// What seals for one purpose. `label` is a short constant text; each purpose has its own.
    pub fn sealer(&self, label: &'static str) -> Sealer {
        let key = self.derive(&format!("capauth seal v1 {label}"));
        Sealer { cipher: XChaCha20Poly1305::new(Key::from_slice(key.as_slice())), label }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// A blob that does not open: made for something else, with another key, or changed on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenError;

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this was not sealed here, or not for this")
    }
}

impl std::error::Error for OpenError {}

/// Seals and opens blobs of one purpose.
#[derive(Clone)]
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    label: &'static str,
}

impl Sealer {
    /// Seals `plain` so that it opens only with the same `context` (issuer, client, key id: whatever it is for).
    ///
    /// # Errors
    /// The operating system has no randomness.
    pub fn seal(&self, context: &[&str], plain: &[u8]) -> Result<Vec<u8>, OpenError> {
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce).map_err(|_| OpenError)?;
        let aad = self.associated_data(context);
        let sealed = self
            .cipher
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: &aad })
            .map_err(|_| OpenError)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens what [`seal`](Self::seal) made for the same context.
    ///
    /// # Errors
    /// It was not sealed here, not for this, or was changed.
    pub fn open(&self, context: &[&str], blob: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (nonce, sealed) = blob.split_first_chunk::<24>().ok_or(OpenError)?;
        let aad = self.associated_data(context);
        self.cipher
            .decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| OpenError)
    }

    /// Lengths stand before the parts, so that two lists never look alike.
    fn associated_data(&self, context: &[&str]) -> Vec<u8> {
        let mut aad = Vec::new();
        for part in std::iter::once(&self.label).chain(context) {
            aad.extend_from_slice(&(part.len() as u64).to_be_bytes());
            aad.extend_from_slice(part.as_bytes());
        }
        aad
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("label", &self.label).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_key_is_read_from_hex_and_base64_and_nothing_else() {
        let key = MasterKey::generate().unwrap();
        let again = MasterKey::parse(&key.expose_hex()).unwrap();
        assert_eq!(key.check_value(), again.check_value());
        let base64 = STANDARD.encode(key.bytes.as_slice());
        assert_eq!(MasterKey::parse(&base64).unwrap().check_value(), key.check_value());
        for bad in ["", "secret", "00", &"00".repeat(31), &"00".repeat(33), &"zz".repeat(32)] {
            assert!(MasterKey::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_blob_opens_only_for_its_purpose_and_context() {
        let key = MasterKey::generate().unwrap();
        let sealer = key.sealer("session");
        let blob = sealer.seal(&["a", "bc"], b"hello").unwrap();
        assert_eq!(sealer.open(&["a", "bc"], &blob).unwrap().as_slice(), b"hello");
        assert_eq!(sealer.open(&["ab", "c"], &blob), Err(OpenError));
        assert_eq!(key.sealer("code").open(&["a", "bc"], &blob), Err(OpenError));
        assert_eq!(
            MasterKey::generate().unwrap().sealer("session").open(&["a", "bc"], &blob),
            Err(OpenError)
        );
        for i in 0..blob.len() {
            let mut changed = blob.clone();
            changed[i] ^= 1;
            assert_eq!(sealer.open(&["a", "bc"], &changed), Err(OpenError), "byte {i}");
        }
        assert_eq!(sealer.open(&["a", "bc"], b"short"), Err(OpenError));
    }

    #[test]
    fn an_installations_secret_outlives_the_key_it_is_wrapped_in() {
        let [first, second, stranger] = [(); 3].map(|()| MasterKey::generate().unwrap());
        let secret = MasterKey::generate().unwrap();
        let blob = first.wrap(&secret).unwrap();
        let opened = first.unwrap(&blob).unwrap();
        assert_eq!((opened.secret.check_value(), opened.by_old_key), (secret.check_value(), false));
        let opened = second.clone().replacing(&first).unwrap(&blob).unwrap();
        assert_eq!((opened.secret.check_value(), opened.by_old_key), (secret.check_value(), true));
        assert!(second.unwrap(&blob).is_err());
        assert!(second.replacing(&stranger).unwrap(&blob).is_err());
    }

    #[test]
    fn secrets_do_not_print() {
        let secret = Secret::new("hunter2");
        assert!(!format!("{secret:?}").contains("hunter"));
        assert!(!format!("{:?}", MasterKey::parse(&"ab".repeat(32)).unwrap()).contains("ab"));
        assert!(secret.matches("hunter2"));
        assert!(!secret.matches("hunter22"));
    }
}
