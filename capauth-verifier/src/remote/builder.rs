//! Configuring a [`RemoteVerifier`]. What cannot work stops here, with words.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use capauth_protocol::Fingerprint;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use reqwest::Url;
use tokio::sync::Mutex;

use super::discovery::{Expected, Found, Way, discover};
use super::fault::Fault;
use super::feed::{Changes, Feed};
use super::introspection::Questions;
use super::keys::Keys;
use super::link::{Link, bearer, millis};
use super::{Inner, RemoteVerifier, challenge, upkeep};
use crate::clock::{Clock, SystemClock};
use crate::counts::Counts;
use crate::error::ConfigError;
use crate::limits::{Limits, RateLimits};
use crate::origins::service_name;
use crate::secret::Secret;

/// How many tokens that were verified are remembered.
const SEEN_TOKENS: u64 = 8_192;
/// How many that were ended here are.
const ENDED_TOKENS: u64 = 65_536;
const SESSION_LIFETIME: Duration = Duration::from_secs(12 * 3600);
const TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest credential, in characters: as the service demands it.
const MIN_CREDENTIAL: usize = 32;

/// The configuration of a [`RemoteVerifier`]. Begun by [`RemoteVerifier::builder`], ended by [`build`](Self::build).
#[must_use = "nothing happens until `.build().await`"]
pub struct RemoteBuilder {
    url: String,
    service: Option<String>,
    credential: Option<Secret>,
    issuer: Option<String>,
    server_key: Option<Fingerprint>,
    introspect: bool,
    plain_http: bool,
    shared_service: bool,
    session_lifetime: Duration,
    timeout: Duration,
    authority: Option<Vec<u8>>,
    clock: Arc<dyn Clock>,
}

impl RemoteBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            service: None,
            credential: None,
            issuer: None,
            server_key: None,
            introspect: false,
            plain_http: false,
            shared_service: false,
            session_lifetime: SESSION_LIFETIME,
            timeout: TIMEOUT,
            authority: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// The name under which the central service lists this application, usually its host name. Tokens for any other
    /// are refused.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.service = Some(name.into());
        self
    }

    /// The application's `credential` in the central service's `CAPAUTH_SERVICES`: with it tokens are checked here.
    pub fn credential(mut self, credential: Secret) -> Self {
        self.credential = Some(credential);
        self
    }

    /// The `iss` of the tokens that count. Without it what the service says at first, which then stays.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Passes on only challenges that this key of the service signed.
    pub fn pin_server_key(mut self, fingerprint: Fingerprint) -> Self {
        self.server_key = Some(fingerprint);
        self
    }

    /// Asks the service about each token, even where it could be checked here.
    pub fn introspect(mut self, always: bool) -> Self {
        self.introspect = always;
        self
    }

    /// Lets `http://` be used to another machine. Whoever is on the way can then read tokens and forge answers.
    pub fn plain_http(mut self, allowed: bool) -> Self {
        self.plain_http = allowed;
        self
    }

    /// Takes the central service's own name where [`service`](Self::service) gives none: for trying things out. Every
    /// application that does so takes the others' tokens, and the service takes all of theirs.
    pub fn shared_service(mut self, allowed: bool) -> Self {
        self.shared_service = allowed;
        self
    }

    /// How long a session lasts at most: twelve hours when not set. The service may end it earlier.
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.session_lifetime = lifetime;
        self
    }

    /// How long an exchange with the service may take in all: five seconds when not set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Certificates of authorities, in PEM, that are trusted besides the system's.
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authority = Some(pem.into());
        self
    }

    /// The clock; the machine's when not set.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Asks the service what it is, and starts what keeps its keys and revocations up to date. A service that does not
    /// answer at the moment is a [notice](RemoteVerifier::notices) and not an error. To be called within a Tokio
    /// runtime.
    ///
    /// # Errors
    /// A setting that cannot work, or a service that is not the one that is configured.
    pub async fn build(self) -> Result<RemoteVerifier, ConfigError> {
        install_crypto();
        let url = checked_url(&self.url, self.plain_http)?;
        let own = match &self.service {
            Some(name) => Some(Arc::<str>::from(service_name(name)?)),
            None if self.shared_service => None,
            None => return Err(no_service()),
        };
        if self.timeout.is_zero() || self.session_lifetime.is_zero() {
            return Err(ConfigError::new("`.timeout` and `.session_lifetime` must be longer than nothing"));
        }
        if self
            .issuer
            .as_deref()
            .is_some_and(|issuer| issuer.is_empty() || issuer.chars().any(char::is_control))
        {
            return Err(ConfigError::new(
                "`.issuer` is the service's base URL, such as https://auth.example.com",
            ));
        }
        let credential = self.credential.as_ref().map(checked_credential).transpose()?;
        let clock = Arc::clone(&self.clock);
        let link = Link::new(url, credential, self.timeout, self.authority.as_deref(), clock)?;
        let expected = Expected {
            issuer: self.issuer.clone(),
            server_key: self.server_key,
            always_ask: self.introspect,
            service: own.clone(),
        };
        let found = match discover(&link, &expected).await {
            Ok(found) => Ok(found),
            Err(fault) if fault.kind.is_passing() && own.is_some() => Err(fault),
            Err(fault) => return Err(fault.into()),
        };
        if let (Some(own), Ok(found)) = (&own, &found)
            && **own == *found.service
            && found.way != Way::AskOlder
            && !self.shared_service
        {
            return Err(ConfigError::new(format!(
                "`.service({own:?})` is the central service's own name: what is made for this application would open the \
                 service as well. List the application under a name of its own in the service's CAPAUTH_SERVICES"
            )));
        }
        let own = match (own, &found) {
            (Some(own), _) => own,
            (None, Ok(found)) => Arc::clone(&found.service),
            (None, Err(_)) => return Err(no_service()),
        };
        // From here on the name is fixed, whoever said it first.
        let expected = Expected { service: Some(Arc::clone(&own)), ..expected };
        self.start(link, expected, own, found).await
    }

    async fn start(
        self,
        link: Link,
        expected: Expected,
        own: Arc<str>,
        found: Result<Found, Fault>,
    ) -> Result<RemoteVerifier, ConfigError> {
        let changes = Changes::default();
        let limits = Limits::new(&numbers(&link), &self.clock)?;
        let inner = Arc::new(Inner {
            link,
            limits,
            own,
            expected,
            session_lifetime: self.session_lifetime,
            found: RwLock::new(None),
            trouble: found.as_ref().err().map(Fault::to_string),
            issuer: OnceLock::new(),
            discovered: Mutex::new(millis(self.clock.now())),
            keys: Keys::new(changes.clone()),
            feed: Feed::new(changes.clone()),
            questions: Questions::new(SEEN_TOKENS),
            changes,
            seen: Cache::builder().max_capacity(SEEN_TOKENS).build(),
            // What was ended last must never give way to what is asked for more often.
            ended: Cache::builder().max_capacity(ENDED_TOKENS).eviction_policy(EvictionPolicy::lru()).build(),
            untold: std::sync::Mutex::default(),
            certificate: challenge::Certificate::default(),
            clock: self.clock,
            counts: Counts::new(),
        });
        if let Ok(found) = found {
            let found = inner.adopt(found)?;
            if found.way == Way::Keys {
                first_update(&inner).await?;
            }
        }
        let upkeep = upkeep::spawn(&inner);
        Ok(RemoteVerifier { inner, upkeep })
    }
}

/// Without a credential the service counts all of this application's people as one. So each of them has half as much here:
/// nobody uses up alone what all others need.
fn numbers(link: &Link) -> RateLimits {
    if link.has_credential() {
        return RateLimits::off();
    }
    RateLimits::default()
        .challenges_per_minute(5)
        .failures_per_minute(2)
        .challenges_per_address(150)
        .failures_per_address(30)
}

/// Fetches keys and feed for the first time. A service that is away at the moment stops nothing.
async fn first_update(inner: &Inner) -> Result<(), ConfigError> {
    match inner.update().await {
        Ok(()) => Ok(()),
        Err(Fault { status: Some(status @ (401 | 403 | 501)), .. }) => Err(ConfigError::new(format!(
            "the central service answers {status} to this application's credential: give `.credential(…)` the \
             `credential` that stands with this application in the service's CAPAUTH_SERVICES"
        ))),
        Err(fault) if fault.kind.is_passing() => Ok(()),
        Err(fault) => Err(fault.into()),
    }
}

/// `jsonwebtoken` and `rustls` each take what was installed first. A program that did so before has its reasons.
fn install_crypto() {
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn no_service() -> ConfigError {
    ConfigError::new(
        "`.service(…)` is missing: list this application in CAPAUTH_SERVICES of the central service, and call \
         `.service(\"app.example.com\")` with the name it has there",
    )
}

fn checked_credential(credential: &Secret) -> Result<reqwest::header::HeaderValue, ConfigError> {
    let text = credential.expose();
    if text.len() < MIN_CREDENTIAL {
        return Err(ConfigError::new(format!(
            "`.credential` has {} characters; use the 32 or more that stand in the central service's CAPAUTH_SERVICES",
            text.len()
        )));
    }
    bearer(text)
        .ok_or_else(|| ConfigError::new("`.credential` may have letters, digits and signs of ASCII only"))
}

/// `scheme://host[:port][/prefix]`, without a slash at the end.
fn checked_url(text: &str, plain_http: bool) -> Result<String, ConfigError> {
    let wrong = |what: &str| {
        ConfigError::new(format!("the central service's URL {what}; write it as https://auth.example.com"))
    };
    let url = Url::parse(text.trim()).map_err(|_| wrong("cannot be read"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("is none of the web"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("has a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has a query or fragment"));
    }
    if url.scheme() == "http" && !is_loopback(&url) && !plain_http {
        return Err(ConfigError::new(format!(
            "the central service at {url} would be asked over plain HTTP, where tokens can be read and answers forged \
             on the way: use https://, or call `.plain_http(true)` if the network between is yours alone"
        )));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Debug for RemoteBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteBuilder").field("service", &self.service).finish_non_exhaustive()
    }
}
