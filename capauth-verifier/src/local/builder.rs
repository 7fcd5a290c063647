//! Configuring a [`LocalVerifier`]. What cannot work stops here, with words.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use capauth_protocol::Fingerprint;
use capauth_protocol::limits::MAX_SESSION_SECONDS;
use moka::sync::Cache;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use super::audit_file::AuditFile;
use super::decoy::Decoy;
use super::key_cache::KeyCache;
use super::services::{ServiceEntry, Services};
use super::{EnrollmentMode, LocalVerifier};
use crate::clock::{Clock, SystemClock};
use crate::counts::Counts;
use crate::error::ConfigError;
use crate::limits::{Limits, RateLimits};
use crate::openpgp::ServerKey;
use crate::origins::origin;
use crate::secret::Secret;
use crate::stores::{Places, Stores, counted};
use crate::tokens::Tokens;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How many verified tokens are remembered; one takes about two kilobytes.
const SEEN_TOKENS: u64 = 8_192;

/// How many certificates wait to be judged whose senders proved nothing.
const QUEUE_UNPROVEN: usize = 8;

/// Configures a [`LocalVerifier`]; see [`LocalVerifier::builder`].
#[must_use = "call build()"]
pub struct LocalBuilder {
    service: String,
    stores: Option<Stores>,
    clock: Arc<dyn Clock>,
    base_url: Option<String>,
    origins: Vec<String>,
    services: Vec<ServiceEntry>,
    enrollment: EnrollmentMode,
    server_key: Option<(Secret, Option<Secret>)>,
    jwt_secret: Option<Secret>,
    admin_keys: HashSet<Fingerprint>,
    asserted_groups: bool,
    require_v2: bool,
    private: bool,
    places: Places,
    pending_lifetime: Duration,
    rotation_delay: Duration,
    token_lifetime: Duration,
    session_lifetime: Duration,
    session_idle: Option<Duration>,
    refresh_lifetime: Duration,
    #[cfg(feature = "wkd")]
    directory: Option<Arc<dyn crate::email::KeyDirectory>>,
    audit_network: bool,
    audit_file: Option<PathBuf>,
    rate_limits: RateLimits,
    patience: Option<Duration>,
}

impl LocalBuilder {
    pub(super) fn new(service: String) -> Self {
        Self {
            service,
            stores: None,
            clock: Arc::new(SystemClock),
            base_url: None,
            origins: Vec::new(),
            services: Vec::new(),
            enrollment: EnrollmentMode::Open,
            server_key: None,
            jwt_secret: None,
            admin_keys: HashSet::new(),
            asserted_groups: false,
            require_v2: false,
            private: true,
            places: Places::USUAL,
            pending_lifetime: 14 * DAY,
            rotation_delay: 7 * DAY,
            token_lifetime: Duration::from_secs(3600),
            session_lifetime: Duration::from_secs(12 * 3600),
            session_idle: None,
            refresh_lifetime: 30 * DAY,
            #[cfg(feature = "wkd")]
            directory: None,
            audit_network: false,
            audit_file: None,
            rate_limits: RateLimits::default(),
            patience: None,
        }
    }

    /// Where keys, tokens and challenges are remembered. Required.
    pub fn stores(mut self, stores: Stores) -> Self {
        self.stores = Some(stores);
        self
    }

    /// What time it is. The machine's clock by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where the service is reached from outside, such as `https://auth.example.com`: no path, no slash at the end.
    /// The issuer of its tokens. `https://{service}` by default.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Adds a web origin from which people sign in to the own service, replacing the default `https://{service}`.
    /// The base URL is always one.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Adds a service, besides the own one, for which challenges may be made.
    pub fn service(mut self, service: ServiceEntry) -> Self {
        self.services.push(service);
        self
    }

    /// What happens to a key that is new here. Open by default: whoever proves possession is enrolled.
    pub fn enrollment(mut self, mode: EnrollmentMode) -> Self {
        self.enrollment = mode;
        self
    }

    /// The armored OpenPGP secret key with which challenges are signed, and its passphrase if it has one.
    pub fn server_key(mut self, armor: Secret, passphrase: Option<Secret>) -> Self {
        self.server_key = Some((armor, passphrase));
        self
    }

    /// Makes access tokens HS256 under this secret (at least 32 bytes), for applications that share it. By default
    /// they are EdDSA, under keys of their own.
    pub fn jwt_secret(mut self, secret: Secret) -> Self {
        self.jwt_secret = Some(secret);
        self
    }

    /// Keys whose holders administer. Each by its own fingerprint.
    pub fn admin_fingerprints(mut self, keys: impl IntoIterator<Item = Fingerprint>) -> Self {
        self.admin_keys.extend(keys);
        self
    }

    /// Believes the groups that people assert of themselves. They could then make themselves administrators of
    /// applications; by default their word only narrows what an administrator granted.
    pub fn asserted_groups(mut self, believed: bool) -> Self {
        self.asserted_groups = believed;
        self
    }

    /// Refuses challenges that name no web origin (V1).
    pub fn require_v2(mut self, required: bool) -> Self {
        self.require_v2 = required;
        self
    }

    /// Whether strangers are kept from finding out who is enrolled; they are by default. Whoever fails to sign in without
    /// sending a public key then hears the same, whether the key is known or not.
    pub fn private_membership(mut self, private: bool) -> Self {
        self.private = private;
        self
    }

    /// How many new keys may wait for an administrator; [`Places::USUAL`] by default.
    pub fn pending_places(mut self, places: Places) -> Self {
        self.places = places;
        self
    }

    /// How long a new key may wait for an administrator before it is forgotten; fourteen days by default.
    pub fn pending_lifetime(mut self, lifetime: Duration) -> Self {
        self.pending_lifetime = lifetime;
        self
    }

    /// How long a rotation waits that a subkey signed; seven days by default. So long has the holder of the primary key,
    /// or an administrator, to cancel it.
    pub fn rotation_delay(mut self, delay: Duration) -> Self {
        self.rotation_delay = delay;
        self
    }

    /// How long a session or token may go unused; without a bound by default.
    pub fn session_idle(mut self, idle: Duration) -> Self {
        self.session_idle = Some(idle);
        self
    }

    /// How long refresh tokens may follow one another after a login; thirty days by default.
    pub fn refresh_lifetime(mut self, lifetime: Duration) -> Self {
        self.refresh_lifetime = lifetime;
        self
    }

    /// Asks this directory whether an e-mail address belongs to a key, before an application gets it: usually a
    /// [`WebKeyDirectory`](crate::WebKeyDirectory). Nobody is asked by default.
    #[cfg(feature = "wkd")]
    pub fn key_directory(mut self, directory: Arc<dyn crate::email::KeyDirectory>) -> Self {
        self.directory = Some(directory);
        self
    }

    /// Whether the audit log says from which network things are done, cut to /24 or /48; it does not by default.
    pub fn audit_network(mut self, kept: bool) -> Self {
        self.audit_network = kept;
        self
    }

    /// Writes the audit log to this file too, a line of JSON for each event.
    pub fn audit_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.audit_file = Some(path.into());
        self
    }

    /// How much is let through from where; see [`RateLimits`] for the numbers.
    pub fn rate_limits(mut self, limits: RateLimits) -> Self {
        self.rate_limits = limits;
        self
    }

    /// Gives up on a login, a rotation or a link that takes longer, with [`AuthErrorKind::Unavailable`]; not at all when
    /// not set. Set it a little shorter than the time after which the server drops a request: to the limits, one that is
    /// dropped has gone away on its own, and counts as refused.
    ///
    /// [`AuthErrorKind::Unavailable`]: crate::AuthErrorKind::Unavailable
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// How long an access token lives at most; an hour by default, a day at the most.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// How long a session lives at most; twelve hours by default.
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.session_lifetime = lifetime;
        self
    }

    /// Builds the verifier: opens what lies sealed in the stores, makes what is missing there.
    ///
    /// # Errors
    /// A setting that cannot work, named; a master key that is not the stores'; a store that does not answer.
    pub async fn build(self) -> Result<LocalVerifier, ConfigError> {
        // With two providers compiled in by some other crate, the first use would panic.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        self.check_lifetimes()?;
        let stores = self
            .stores
            .ok_or_else(|| ConfigError::new("no store is configured: call .store(url) or .stores(…)"))?;
        let (stores, counts) = (counted(stores), Counts::new());
        let (clock, now) = (Arc::clone(&self.clock), self.clock.now());
        let limits = Limits::new(&self.rate_limits, &clock)?;
        let base_url = self.base_url.unwrap_or_else(|| format!("https://{}", self.service));
        let base_url =
            origin(&base_url).map_err(|e| ConfigError::because(format!("the base URL: {e}"), e))?;
        let services = Services::new(&self.service, &base_url, self.origins, self.services)?;
        let epoch = check_master_key(&stores).await?;

        let server_key = match &self.server_key {
            Some((armor, passphrase)) => Some(ServerKey::from_armor(armor, passphrase.as_ref(), now)?),
            None => None,
        };
        let current = server_key.as_ref().map(ServerKey::all_fingerprints).unwrap_or_default();
        // Checked before it is remembered: a wrong setting that is put right must leave nothing behind.
        let server_keys = check_stores(&stores, &current.iter().copied().collect(), &self.admin_keys).await?;
        stores.tokens.remember_server_keys(current).await?;

        let base_url: Arc<str> = base_url.into();
        let tokens =
            Tokens::new(Arc::clone(&base_url), &stores, self.jwt_secret.as_ref(), now.into()).await?;
        stores.tokens.forget_expired(now.into()).await?;
        stores.sessions.forget_old_sessions(now.into()).await?;
        let clock_now = clock.timestamp().as_unix();
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        #[cfg(feature = "wkd")]
        let emails = self.directory.map(|directory| {
            crate::email::EmailVerifier::new(directory, Arc::clone(&clock), stores.master_key.clone())
        });
        let mut verifier = LocalVerifier {
            stores,
            clock,
            limits,
            patience: self.patience,
            base_url,
            services,
            enrollment: self.enrollment,
            server_key,
            server_keys,
            admin_keys: self.admin_keys,
            tokens,
            epoch,
            asserted_groups: self.asserted_groups,
            require_v2: self.require_v2,
            private: self.private,
            decoy: Decoy::new()?,
            places: self.places,
            pending_lifetime: self.pending_lifetime,
            rotation_delay: self.rotation_delay,
            token_lifetime: self.token_lifetime,
            session_lifetime: self.session_lifetime,
            session_idle: self.session_idle,
            refresh_lifetime: self.refresh_lifetime,
            #[cfg(feature = "wkd")]
            emails,
            audit_network: self.audit_network,
            audit_file: self.audit_file.map(AuditFile::open).transpose()?,
            next_look: AtomicU64::new(0),
            known: KeyCache::new(counts.signing_keys.clone()),
            counts,
            seen: Cache::builder().max_capacity(SEEN_TOKENS).build(),
            ended: Cache::builder().max_capacity(SEEN_TOKENS).build(),
            noted: Cache::builder().max_capacity(SEEN_TOKENS).build(),
            last_end: AtomicU64::new(0),
            forgotten_at: AtomicU64::new(clock_now),
            judging: Arc::new(Semaphore::new(processors)),
            judging_unproven: Arc::new(Semaphore::new(1)),
            queue_unproven: Semaphore::new(QUEUE_UNPROVEN),
            notices: Vec::new(),
        };
        verifier.notices = notices(&verifier);
        Ok(verifier)
    }
}

impl LocalBuilder {
    fn check_lifetimes(&self) -> Result<(), ConfigError> {
        if self.token_lifetime.is_zero() || self.token_lifetime > DAY || self.session_lifetime.is_zero() {
            return Err(ConfigError::new(
                "a token lives between a second and a day, a session at least a second",
            ));
        }
        let longest = Duration::from_secs(MAX_SESSION_SECONDS);
        let others = [self.pending_lifetime, self.rotation_delay, self.refresh_lifetime];
        let others = others.into_iter().chain(self.session_idle);
        if others.into_iter().any(|time| time < Duration::from_secs(60) || time > longest) {
            return Err(ConfigError::new(
                "a wait for approval, the delay of a rotation, a refresh token's life and a session's idle time are \
                 between a minute and 400 days",
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for LocalBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalBuilder").field("service", &self.service).finish_non_exhaustive()
    }
}

/// Compares the master key with the one the stores were made with; answers the installation's epoch.
async fn check_master_key(stores: &Stores) -> Result<u64, ConfigError> {
    let ours = stores.master_key.check_value();
    let theirs = stores.tokens.set_master_key_check(&ours).await?;
    if !bool::from(ours.as_slice().ct_eq(&theirs)) {
        return Err(ConfigError::new(format!(
            "the master key is not the one that {} was made with; give the right CAPAUTH_MASTER_KEY or its file back. \
             Nothing was changed",
            stores.place
        )));
    }
    Ok(stores.tokens.installation().await?.epoch)
}

/// Checks that no key which signs or ever signed challenges is somebody's; answers all of them.
pub(super) async fn check_stores(
    stores: &Stores,
    current: &HashSet<Fingerprint>,
    admin_keys: &HashSet<Fingerprint>,
) -> Result<HashSet<Fingerprint>, ConfigError> {
    let former = stores.tokens.remember_server_keys(&[]).await?;
    let server_keys: HashSet<_> = former.iter().chain(current).copied().collect();
    check_server_keys(stores, &server_keys, admin_keys).await?;
    Ok(server_keys)
}

/// The server's own signature over a challenge would be a login as the server.
async fn check_server_keys(
    stores: &Stores,
    server_keys: &HashSet<Fingerprint>,
    admin_keys: &HashSet<Fingerprint>,
) -> Result<(), ConfigError> {
    for fingerprint in server_keys {
        if admin_keys.contains(fingerprint) {
            return Err(ConfigError::new(format!(
                "{fingerprint} is the server's key: it cannot be an administrator's"
            )));
        }
        if stores.keys.find(fingerprint).await?.is_some() {
            return Err(ConfigError::new(format!(
                "the server's key {fingerprint} is enrolled as somebody's; make a key for the server alone"
            )));
        }
    }
    Ok(())
}

fn notices(verifier: &LocalVerifier) -> Vec<String> {
    let mut notices = Vec::new();
    let mut say = |text: &str| notices.push(text.to_owned());
    if verifier.enrollment == EnrollmentMode::Open {
        say(
            "Enrolment is open: whoever holds a key can sign in. CAPAUTH_REQUIRE_APPROVAL=true asks an administrator first.",
        );
    }
    if verifier.server_key.is_none() {
        say(
            "Challenges are not signed: clients cannot tell this server from another. Set CAPAUTH_SERVER_KEY_ARMOR.",
        );
    }
    if verifier.shares_its_secret() {
        say("Access tokens are HS256: whoever shares CAPAUTH_JWT_SECRET can make one for anybody.");
    }
    if verifier.asserted_groups {
        say(
            "Groups are believed as people assert them: anyone can claim any group. CAPAUTH_GROUPS=granted is safe.",
        );
    }
    if !verifier.limits.are_on() {
        let words = "Rate limits are OFF: anybody may try as often as they like. Leave out CAPAUTH_NO_RATE_LIMITS, \
                     --no-rate-limits or RateLimits::off().";
        tracing::warn!(target: "capauth::limits", "{words}");
        say(words);
    }
    if verifier.base_url.starts_with("http://") {
        say("The base URL is plain http: tokens and sessions can be read on the way.");
    }
    notices
}
