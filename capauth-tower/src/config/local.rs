//! [`LocalConfig`]: an application that keeps its people's keys itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use capauth_protocol::Fingerprint;
use capauth_verifier::{
    Clock, ConfigError, EnrollmentMode, LocalBuilder, LocalVerifier, MasterKey, RateLimits, Secret,
    ServiceEntry, Stores, Verifier as _,
};

use super::site::{Site, site_settings};
use crate::device::Devices;
use crate::form::Forms;
use crate::handle::{CapAuth, Deciding};
use crate::proxies::IpRange;
use crate::session::Sessions;

/// Characters of an administrator's token, and bytes of a token secret: shorter ones can be guessed.
const SECRET_LENGTH: usize = 32;

/// The configuration of a [`CapAuth`] that keeps its keys itself. Begun by [`CapAuth::local`], ended by
/// [`build`](Self::build).
#[must_use = "nothing happens until `.build().await`"]
pub struct LocalConfig {
    site: Site,
    builder: LocalBuilder,
    stores: Option<Stores>,
    url: Option<String>,
    master_key: Option<MasterKey>,
    admin_token: Option<Secret>,
    short_jwt_secret: bool,
    weak_secrets: bool,
}

impl LocalConfig {
    pub(crate) fn new(service: String) -> Self {
        Self {
            site: Site::new(),
            builder: LocalVerifier::builder(service),
            stores: None,
            url: None,
            master_key: None,
            admin_token: None,
            short_jwt_secret: false,
            weak_secrets: false,
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

    site_settings!();

    /// A further service for which challenges are made here.
    pub fn service(mut self, service: ServiceEntry) -> Self {
        self.builder = self.builder.service(service);
        self
    }

    /// Who may enrol a new key; anybody when not set.
    pub fn enrollment(mut self, mode: EnrollmentMode) -> Self {
        self.builder = self.builder.enrollment(mode);
        self
    }

    /// New keys wait for an administrator: short for [`EnrollmentMode::Approval`].
    pub fn require_approval(self) -> Self {
        self.enrollment(EnrollmentMode::Approval)
    }

    /// The armored private key with which challenges are signed, and its passphrase.
    pub fn server_key(mut self, armor: impl Into<Secret>, passphrase: Option<Secret>) -> Self {
        self.builder = self.builder.server_key(armor.into(), passphrase);
        self
    }

    /// Makes access tokens HS256 under this secret, for applications that share it.
    pub fn jwt_secret(mut self, secret: impl Into<Secret>) -> Self {
        let secret = secret.into();
        self.short_jwt_secret = secret.expose().len() < SECRET_LENGTH;
        self.builder = self.builder.jwt_secret(secret);
        self
    }

    /// The token that administrators' programs show as `Bearer`. At least 32 characters.
    pub fn admin_token(mut self, token: impl Into<Secret>) -> Self {
        self.admin_token = Some(token.into());
        self
    }

    /// Keys whose holders administer, each after a fresh login of their own.
    pub fn admin_fingerprints(mut self, keys: impl IntoIterator<Item = Fingerprint>) -> Self {
        self.builder = self.builder.admin_fingerprints(keys);
        self
    }

    /// Believes people about their own groups. Only where groups give no power.
    pub fn asserted_groups(mut self, believe: bool) -> Self {
        self.builder = self.builder.asserted_groups(believe);
        self
    }

    /// Refuses challenges that name no origin.
    pub fn require_v2(mut self, require: bool) -> Self {
        self.builder = self.builder.require_v2(require);
        self
    }

    /// Whether strangers are kept from finding out who is enrolled; they are by default.
    pub fn private_membership(mut self, private: bool) -> Self {
        self.builder = self.builder.private_membership(private);
        self
    }

    /// How much is let through from one address, or from one browser that has signed in before: the usual numbers when
    /// not set. Requests are counted by the peer's address, behind [`trusted_proxies`](Self::trusted_proxies) by the
    /// client's; where neither is known nothing is counted, and the log says so.
    ///
    /// ```
    /// # use capauth_tower::{CapAuth, RateLimits};
    /// let config = CapAuth::local("app.example.com")
    ///     .rate_limits(RateLimits::default().enrollments_per_hour(100));
    /// ```
    pub fn rate_limits(mut self, limits: RateLimits) -> Self {
        self.builder = self.builder.rate_limits(limits);
        self
    }

    /// Changes what has no method here: how long things wait or last, where the audit log goes, who is asked about
    /// e-mail addresses. Stores and clock are the ones that are set outside.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use capauth_tower::CapAuth;
    /// let config = CapAuth::local("app.example.com").verifier(|verifier| {
    ///     verifier.rotation_delay(Duration::from_secs(14 * 24 * 3600)).audit_file("/var/log/capauth.jsonl")
    /// });
    /// ```
    pub fn verifier(mut self, change: impl FnOnce(LocalBuilder) -> LocalBuilder) -> Self {
        self.builder = change(self.builder);
        self
    }

    /// Takes secrets that are short enough to be guessed, with a notice: for a server that only its own machine
    /// reaches. The loopback mode takes them too.
    pub fn with_weak_secrets(mut self, allowed: bool) -> Self {
        self.weak_secrets = allowed;
        self
    }

    /// Opens the stores, reads the keys, and checks that it all fits together.
    ///
    /// # Errors
    /// What cannot work, naming the setting.
    pub async fn build(mut self) -> Result<CapAuth, ConfigError> {
        let mut notices = self.site.check()?;
        self.check_secrets(&mut notices)?;
        let stores = self.open().await?;
        let mut builder = self.builder.stores(stores).clock(Arc::clone(&self.site.clock));
        if let Some(lifetime) = self.site.session_lifetime {
            builder = builder.session_lifetime(lifetime);
        }
        if let Some(url) = self.site.base_url() {
            builder = builder.base_url(url);
        }
        for origin in self.site.origins() {
            builder = builder.origin(origin);
        }
        let verifier = builder.build().await?;
        let sealer = verifier.sealer("session");
        let sessions = Sessions::new(sealer, verifier.base_url(), verifier.service(), self.site.secure());
        let devices = Devices::new(
            verifier.sealer("device"),
            verifier.base_url(),
            verifier.service(),
            verifier.epoch(),
            self.site.secure(),
            Arc::clone(&self.site.clock),
        );
        let forms = Forms::new(
            verifier.sealer("login form"),
            verifier.base_url(),
            verifier.service(),
            verifier.epoch(),
            self.site.secure(),
            Arc::clone(&self.site.clock),
        );
        let front = self.site.into_front(sessions, devices, forms, verifier.origins(), notices);
        Ok(CapAuth::new(Deciding::Local(Box::new(verifier)), front, self.admin_token))
    }

    /// Refuses secrets that can be guessed, or says so where they are allowed.
    fn check_secrets(&self, notices: &mut Vec<String>) -> Result<(), ConfigError> {
        let token = self.admin_token.as_ref().map(Secret::expose);
        let unusable =
            |text: &str| text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic() && b != b',');
        if token.is_some_and(unusable) {
            return Err(ConfigError::new(
                "the administrator's token is empty or holds spaces, commas or characters outside ASCII: take what \
                 `openssl rand -hex 32` prints, or leave it unset",
            ));
        }
        let mut weak = |name: &str, unit: &str| {
            let words = format!(
                "{name} has fewer than {SECRET_LENGTH} {unit} and can be guessed: take what `openssl rand -hex 32` \
                 prints"
            );
            if self.site.secure() && !self.weak_secrets {
                return Err(ConfigError::new(words));
            }
            notices.push(words);
            Ok(())
        };
        if token.is_some_and(|token| token.len() < SECRET_LENGTH) {
            weak("the administrator's token (CAPAUTH_ADMIN_TOKEN)", "characters")?;
        }
        if self.short_jwt_secret {
            weak("the JWT secret (CAPAUTH_JWT_SECRET)", "bytes")?;
        }
        Ok(())
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
}

impl fmt::Debug for LocalConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalConfig").field("verifier", &self.builder).finish_non_exhaustive()
    }
}
