//! A certificate and its key, from PEM files.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::validity;

/// A chain is a few certificates of a few kilobytes; anything larger is the wrong file.
const MAX_FILE: u64 = 256 * 1024;

/// How long before its end a certificate is spoken of: whoever renews in time has done so by then.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// The files with the certificate chain and its key, and how a person set each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    cert: Named,
    key: Named,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    path: PathBuf,
    place: String,
}

/// Why TLS cannot be spoken with these files: in one line, which names the setting and the file, and nothing in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsError(String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// What stood in both files at one moment.
pub(super) struct Content {
    cert: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    /// Tells it from any other content, without showing it.
    pub(super) digest: [u8; 32],
}

/// A certificate that can be served.
pub(crate) struct Loaded {
    /// What handshakes are made with.
    pub(crate) config: Arc<ServerConfig>,
    pub(super) digest: [u8; 32],
}

impl Named {
    fn wrong(&self, wrong: impl fmt::Display) -> TlsError {
        let words = format!("{} names {}, which {wrong}", self.place, self.path.display());
        TlsError(words.replace(char::is_control, " "))
    }

    fn read(&self) -> Result<Zeroizing<Vec<u8>>, TlsError> {
        let cannot = |error: io::Error| self.wrong(format_args!("cannot be read: {error}"));
        // A pipe would be read once, and then waited for.
        if !std::fs::metadata(&self.path).map_err(cannot)?.is_file() {
            return Err(self.wrong("is no file"));
        }
        let file = File::open(&self.path).map_err(cannot)?;
        let mut content = Zeroizing::new(Vec::new());
        file.take(MAX_FILE + 1).read_to_end(&mut content).map_err(cannot)?;
        if content.len() as u64 > MAX_FILE {
            return Err(self.wrong("is too large for a certificate or a key"));
        }
        Ok(content)
    }
}

impl TlsFiles {
    /// Two files, each with the way in which a person named it (`CAPAUTH_TLS_CERT`).
    pub fn new((cert, cert_place): (PathBuf, String), (key, key_place): (PathBuf, String)) -> Self {
        Self { cert: Named { path: cert, place: cert_place }, key: Named { path: key, place: key_place } }
    }

    /// The file with the certificate chain.
    pub fn cert(&self) -> &std::path::Path {
        &self.cert.path
    }

    /// Reads both files and checks that TLS can be spoken with them.
    ///
    /// # Errors
    /// A file cannot be read, is not what it should be, or the two do not fit together.
    pub(crate) fn load(&self) -> Result<Loaded, TlsError> {
        self.fit(&self.read()?)
    }

    pub(super) fn read(&self) -> Result<Content, TlsError> {
        let cert = std::mem::take(&mut *self.cert.read()?);
        let key = self.key.read()?;
        let mut digest = Sha256::new();
        digest.update((cert.len() as u64).to_be_bytes());
        digest.update(&cert);
        digest.update(&*key);
        Ok(Content { digest: digest.finalize().into(), cert, key })
    }

    /// What handshakes are made with, if certificate and key fit.
    pub(super) fn fit(&self, content: &Content) -> Result<Loaded, TlsError> {
        let chain = self.chain(content)?;
        let key = CertifiedKey::new(chain, self.signer(content)?);
        key.keys_match().map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => self
                .key
                .wrong(format_args!("is not the key of the certificate in {}", self.cert.path.display())),
            _ => self.cert.wrong("holds no certificate that can be served"),
        })?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|_| self.cert.wrong("cannot be served"))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Loaded { config: Arc::new(config), digest: content.digest })
    }

    fn chain(&self, content: &Content) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        // The parser's words may quote the file.
        let chain = CertificateDer::pem_slice_iter(&content.cert).collect::<Result<Vec<_>, _>>();
        match chain {
            Ok(chain) if chain.is_empty() => Err(self.cert.wrong("holds no certificate in PEM form")),
            Ok(chain) => Ok(chain),
            Err(_) => Err(self.cert.wrong("is not whole: a PEM block in it does not end, or is none")),
        }
    }

    fn signer(&self, content: &Content) -> Result<Arc<dyn rustls::sign::SigningKey>, TlsError> {
        let locked = b"ENCRYPTED";
        if content.key.windows(locked.len()).any(|window| window == locked) {
            return Err(self.key.wrong("is protected by a passphrase; take it off with `openssl pkey`"));
        }
        let mut key = PrivateKeyDer::from_pem_slice(&content.key)
            .map_err(|_| self.key.wrong("holds no private key in PEM form, or half of one"))?;
        let signer = aws_lc_rs::sign::any_supported_type(&key);
        key.zeroize();
        signer.map_err(|_| self.key.wrong("holds a key of a kind that TLS is not spoken with here"))
    }

    /// What the operator should know of these files, when nothing is wrong with them.
    pub(crate) fn notices(&self) -> Vec<String> {
        let mut notices: Vec<_> = self.ageing().into_iter().collect();
        if anybody_may_read(&self.key.path) {
            notices.push(format!(
                "{0} is a private key and anybody on this machine may read it. Run: chmod o= {0}",
                self.key.path.display()
            ));
        }
        notices
    }

    /// Whether the certificate is at its end, in words.
    fn ageing(&self) -> Option<String> {
        let content = self.read().ok()?;
        let chain = self.chain(&content).ok()?;
        let until = validity::not_after(chain.first()?)?;
        let path = self.cert.path.display();
        match until.duration_since(SystemTime::now()) {
            Err(_) => Some(format!("The certificate in {path} has expired: clients refuse it. Renew it.")),
            Ok(left) if left < SOON => {
                let days = left.as_secs() / (24 * 3600);
                Some(format!("The certificate in {path} expires in {days} days."))
            }
            Ok(_) => None,
        }
    }
}

#[cfg(unix)]
fn anybody_may_read(file: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|file| file.permissions().mode() & 0o007 != 0)
}

#[cfg(not(unix))]
fn anybody_may_read(_: &std::path::Path) -> bool {
    false
}
