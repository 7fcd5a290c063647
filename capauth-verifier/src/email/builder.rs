//! Configuring a [`WebKeyDirectory`]. What cannot work stops here, with words.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use tokio::sync::Semaphore;

use super::WebKeyDirectory;
use super::resolver::{Pins, Resolver, SystemResolver};
use crate::error::ConfigError;

/// How long a fetch takes at most, from the first name that is resolved to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How many are on their way at once.
const FETCHES: usize = 16;
const HTTPS: u16 = 443;

/// The configuration of a [`WebKeyDirectory`]. Begun by [`WebKeyDirectory::builder`], ended by [`build`](Self::build).
///
/// ```
/// use std::time::Duration;
/// use capauth_verifier::WebKeyDirectory;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let directory = WebKeyDirectory::builder().timeout(Duration::from_secs(3)).build()?;
/// # Ok(()) }
/// ```
#[must_use = "nothing happens until `.build()`"]
pub struct WebKeyDirectoryBuilder {
    resolver: Arc<dyn Resolver>,
    timeout: Duration,
    authority: Option<Vec<u8>>,
    port: u16,
    loopback: bool,
    fetches: usize,
}

impl WebKeyDirectoryBuilder {
    pub(super) fn new() -> Self {
        Self {
            resolver: Arc::new(SystemResolver::default()),
            timeout: TIMEOUT,
            authority: None,
            port: HTTPS,
            loopback: false,
            fetches: FETCHES,
        }
    }

    /// What resolves names; the operating system when not set.
    pub fn resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// How long a fetch may take in all: five seconds when not set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many fetches may be on their way at once: sixteen when not set. One more fails at once.
    pub fn concurrency(mut self, fetches: usize) -> Self {
        self.fetches = fetches;
        self
    }

    /// Certificates of authorities, in PEM, that are trusted besides the system's: for tests, and for domains with an
    /// authority of their own. Whoever holds one of these can vouch for every address.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authority = Some(pem.into());
        self
    }

    /// The port that is asked instead of 443: for tests.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Lets names lead to this machine: for tests only. With it a stranger's domain reaches whatever listens here.
    pub fn allow_loopback(mut self, allowed: bool) -> Self {
        self.loopback = allowed;
        self
    }

    /// Sets up the client. Nothing is asked yet.
    ///
    /// # Errors
    /// A setting that cannot work, or no TLS.
    pub fn build(self) -> Result<WebKeyDirectory, ConfigError> {
        if self.timeout.is_zero() || self.fetches == 0 || self.fetches > Semaphore::MAX_PERMITS {
            return Err(ConfigError::new(
                "`.timeout` and `.concurrency` of a key directory must not be nothing",
            ));
        }
        let pins = Arc::new(Pins::default());
        let client = client(&pins, self.timeout, self.authority.as_deref())?;
        Ok(WebKeyDirectory {
            client,
            pins,
            resolver: self.resolver,
            places: Semaphore::new(self.fetches),
            timeout: self.timeout,
            port: self.port,
            loopback: self.loopback,
        })
    }
}

/// A client that can do nothing but fetch once over HTTPS from a host that is pinned.
///
/// What is switched off here is partly off anyway, unless another crate in the tree turns on a feature of the client.
fn client(pins: &Arc<Pins>, timeout: Duration, authority: Option<&[u8]>) -> Result<Client, ConfigError> {
    let mut builder = Client::builder()
        .dns_resolver(Arc::clone(pins))
        .https_only(true)
        .tls_backend_rustls()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .http1_only()
        // A connection that stays open would be a connection to an address that was checked for somebody else.
        .pool_max_idle_per_host(0)
        .connect_timeout(timeout)
        .timeout(timeout)
        .user_agent(concat!("capauth/", env!("CARGO_PKG_VERSION")));
    if let Some(pem) = authority {
        let wrong = |e| ConfigError::because("`.root_certificate`: this is no certificate in PEM", e);
        let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(wrong)?;
        if certificates.is_empty() {
            return Err(ConfigError::new("`.root_certificate`: there is no certificate in this PEM"));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|e| ConfigError::because("the client of key directories cannot be set up", e))
}

impl fmt::Debug for WebKeyDirectoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebKeyDirectoryBuilder").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
