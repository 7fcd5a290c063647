//! [`LocalConfig`]: what an application decides before it starts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use capauth_protocol::Fingerprint;
use capauth_verifier::{
    Clock, ConfigError, EnrollmentMode, LocalVerifier, MasterKey, Secret, ServiceEntry, Stores,
};

use crate::handle::{CapAuth, Inner};
use crate::origin::Origins;
use crate::proxies::{IpRange, TrustedProxies};
use crate::session::Sessions;

/// How long a session lasts when nothing else is said.
const SESSION_LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// Browsers forget cookies after 400 days, whatever they are told.
const LONGEST_SESSION: Duration = Duration::from_secs(400 * 24 * 3600);
/// Characters of an administrator's token, and bytes of a token secret: shorter ones can be guessed.
const SECRET_LENGTH: usize = 32;

/// The configuration of a [`CapAuth`] that keeps its keys itself. Begun by [`CapAuth::local`], ended by
/// [`build`](Self::build).
#[must_use = "nothing happens until `.build().await`"]
pub struct LocalConfig {
    service: String,
    stores: Option<Stores>,
    url: Option<String>,
    master_key: Option<MasterKey>,
    base_url: Option<String>,
    origins: Vec<String>,
    services: Vec<ServiceEntry>,
    enrollment: Option<EnrollmentMode>,
    server_key: Option<(Secret, Option<Secret>)>,
    jwt_secret: Option<Secret>,
    admin_token: Option<Secret>,
    admin_fingerprints: Vec<Fingerprint>,
    asserted_groups: bool,
    require_v2: bool,
    clock: Option<Arc<dyn Clock>>,
    session_lifetime: Duration,
    loopback_port: Option<u16>,
    weak_secrets: bool,
    proxies: Vec<IpRange>,
}

impl LocalConfig {
    pub(crate) fn new(service: String) -> Self {
        Self {
            service,
            stores: None,
            url: None,
            master_key: None,
            base_url: None,
            origins: Vec::new(),
            services: Vec::new(),
            enrollment: None,
            server_key: None,
            jwt_secret: None,
            admin_token: None,
            admin_fingerprints: Vec::new(),
            asserted_groups: false,
            require_v2: false,
            clock: None,
            session_lifetime: SESSION_LIFETIME,
            loopback_port: None,
            weak_secrets: false,
            proxies: Vec::new(),
        }
    }

    /// Where keys are kept: `sqlite://capauth.db`, relative to the working directory, or `sqlite:///var/lib/…`
    /// (feature `sqlite`).
    pub fn store(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Stores that were made elsewhere. They bring their own master key.
    pub fn stores(mut self, stores: Stores) -> Self {
        self.stores = Some(stores);
        self
    }

    /// The installation's secret. Without one, [`store`](Self::store) makes a file beside the database.
    pub fn master_key(mut self, key: MasterKey) -> Self {
        self.master_key = Some(key);
        self
    }

    /// The URL under which people reach this, and the issuer of its tokens; `https://{service}` when not set.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// An origin (`https://www.example.com`) whose pages may sign people in and send requests with a session. The
    /// base URL is always one; `https://{service}` is one as long as no other is given.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// A further service for which challenges are made here.
    pub fn service(mut self, service: ServiceEntry) -> Self {
        self.services.push(service);
        self
    }

    /// Who may enrol a new key; anybody when not set.
    pub fn enrollment(mut self, mode: EnrollmentMode) -> Self {
        self.enrollment = Some(mode);
        self
    }

    /// New keys wait for an administrator: short for [`EnrollmentMode::Approval`].
    pub fn require_approval(self) -> Self {
        self.enrollment(EnrollmentMode::Approval)
    }

    /// The armored private key with which challenges are signed, and its passphrase.
    pub fn server_key(mut self, armor: impl Into<Secret>, passphrase: Option<Secret>) -> Self {
        self.server_key = Some((armor.into(), passphrase));
        self
    }

    /// Makes access tokens HS256 under this secret, for applications that share it.
    pub fn jwt_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.jwt_secret = Some(secret.into());
        self
    }

    /// The token that administrators' programs show as `Bearer`. At least 32 characters.
    pub fn admin_token(mut self, token: impl Into<Secret>) -> Self {
        self.admin_token = Some(token.into());
        self
    }

    /// Keys whose holders administer, each after a fresh login of their own.
    pub fn admin_fingerprints(mut self, keys: impl IntoIterator<Item = Fingerprint>) -> Self {
        self.admin_fingerprints.extend(keys);
        self
    }

    /// Believes people about their own groups. Only where groups give no power.
    pub fn asserted_groups(mut self, believe: bool) -> Self {
        self.asserted_groups = believe;
        self
    }

    /// Refuses challenges that name no origin.
    pub fn require_v2(mut self, require: bool) -> Self {
        self.require_v2 = require;
        self
    }

    /// What time it is: the machine's clock when not set.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// How long a browser's session lasts: twelve hours when not set, at most 400 days.
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.session_lifetime = lifetime;
        self
    }

    /// For development on one's own machine: people sign in at `http://localhost:{port}` (or `127.0.0.1`, `[::1]`),
    /// the session's cookie is called `capauth-insecure` and travels without TLS. The base URL becomes
    /// `http://localhost:{port}` unless it is set.
    pub fn insecure_http_on_loopback(mut self, port: u16) -> Self {
        self.loopback_port = Some(port);
        self
    }

    /// Takes secrets that are short enough to be guessed, with a notice: for a server that only its own machine
    /// reaches. The loopback mode takes them too.
    pub fn with_weak_secrets(mut self, allowed: bool) -> Self {
        self.weak_secrets = allowed;
        self
    }

    /// The proxies in front of this, whose `X-Forwarded-For` is believed. Nobody's when not set.
    pub fn trusted_proxies(mut self, ranges: impl IntoIterator<Item = IpRange>) -> Self {
        self.proxies.extend(ranges);
        self
    }

    /// Opens the stores, reads the keys, and checks that it all fits together.
    ///
    /// # Errors
    /// What cannot work, naming the setting.
    pub async fn build(mut self) -> Result<CapAuth, ConfigError> {
        let notices = self.check()?;
        let stores = self.open().await?;
        let loopback = self.loopback_port.map(loopback_origins).unwrap_or_default();
        let admin_token = self.admin_token.take();
        let proxies = TrustedProxies::new(std::mem::take(&mut self.proxies));
        let secure = self.loopback_port.is_none();
        let verifier = self.verifier(stores, &loopback).await?;
        let sessions = Sessions::new(&verifier, secure);
        let origins = Origins::new(verifier.origins().iter().chain(&loopback));
        let verifier = Arc::new(verifier);
        Ok(CapAuth::from_inner(Inner { verifier, sessions, origins, admin_token, proxies, notices }))
    }

    /// What is wrong before anything is opened; otherwise what should be said at start-up.
    fn check(&self) -> Result<Vec<String>, ConfigError> {
        let mut notices = Vec::new();
        if self.session_lifetime.as_secs() == 0 || self.session_lifetime > LONGEST_SESSION {
            return Err(ConfigError::new("the session lifetime must be between a second and 400 days"));
        }
        if let Some(port) = self.loopback_port {
            notices.push(format!(
                "insecure_http_on_loopback: sessions travel without TLS; sign in at http://localhost:{port} only"
            ));
        }
        let short = |secret: &Option<Secret>, length: fn(&str) -> usize| {
            secret.as_ref().is_some_and(|secret| length(secret.expose()) < SECRET_LENGTH)
        };
        let mut weak = |name: &str, unit: &str| {
            let words = format!(
                "{name} has fewer than {SECRET_LENGTH} {unit} and can be guessed: take what `openssl rand -hex 32` \
                 prints"
            );
            if self.loopback_port.is_none() && !self.weak_secrets {
                return Err(ConfigError::new(words));
            }
            notices.push(words);
            Ok(())
        };
        let unusable =
            |text: &str| text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic() && b != b',');
        if self.admin_token.as_ref().is_some_and(|token| unusable(token.expose())) {
            return Err(ConfigError::new(
                "the administrator's token is empty or holds spaces, commas or characters outside ASCII: take what \
                 `openssl rand -hex 32` prints, or leave it unset",
            ));
        }
        if short(&self.admin_token, |token| token.chars().count()) {
            weak("the administrator's token (CAPAUTH_ADMIN_TOKEN)", "characters")?;
        }
        if short(&self.jwt_secret, str::len) {
            weak("the JWT secret (CAPAUTH_JWT_SECRET)", "bytes")?;
        }
        Ok(notices)
    }

    async fn open(&mut self) -> Result<Stores, ConfigError> {
        match (self.stores.take(), self.url.take()) {
            (Some(_), Some(_)) => {
                Err(ConfigError::new("both a store's URL and ready stores were given: keep one"))
            }
            (Some(_), None) if self.master_key.is_some() => {
                Err(ConfigError::new("ready stores bring their own master key: leave out `.master_key(…)`"))
            }
            (Some(stores), None) => Ok(stores),
            (None, Some(url)) => Ok(capauth_store::open(&url, self.master_key.take()).await?),
            (None, None) => Err(ConfigError::new(
                "say where keys are kept: `.store(\"sqlite://capauth.db\")`, or `.stores(…)`",
            )),
        }
    }

    async fn verifier(self, stores: Stores, loopback: &[String]) -> Result<LocalVerifier, ConfigError> {
        let mut builder = LocalVerifier::builder(self.service)
            .stores(stores)
            .asserted_groups(self.asserted_groups)
            .require_v2(self.require_v2)
            .session_lifetime(self.session_lifetime)
            .admin_fingerprints(self.admin_fingerprints);
        if let Some(url) = self.base_url.as_ref().or(loopback.first()) {
            builder = builder.base_url(url);
        }
        for origin in self.origins.iter().chain(loopback) {
            builder = builder.origin(origin);
        }
        for service in self.services {
            builder = builder.service(service);
        }
        if let Some(mode) = self.enrollment {
            builder = builder.enrollment(mode);
        }
        if let Some((armor, passphrase)) = self.server_key {
            builder = builder.server_key(armor, passphrase);
        }
        if let Some(secret) = self.jwt_secret {
            builder = builder.jwt_secret(secret);
        }
        if let Some(clock) = self.clock {
            builder = builder.clock(clock);
        }
        builder.build().await
    }
}

impl fmt::Debug for LocalConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalConfig").field("service", &self.service).finish_non_exhaustive()
    }
}

/// The origins of one's own machine, as browsers spell them: without the port that goes without saying.
fn loopback_origins(port: u16) -> Vec<String> {
    let port = if port == 80 { String::new() } else { format!(":{port}") };
    ["localhost", "127.0.0.1", "[::1]"].iter().map(|host| format!("http://{host}{port}")).collect()
}
