//! [`RemoteConfig`]: an application whose people's keys a central service keeps.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use capauth_protocol::Fingerprint;
use capauth_verifier::{
    Clock, ConfigError, MasterKey, RemoteBuilder, RemoteVerifier, Secret, Verifier as _, service_origins,
};

use super::site::{Site, site_settings};
use crate::device::Devices;
use crate::form::Forms;
use crate::handle::{CapAuth, Deciding};
use crate::proxies::IpRange;
use crate::session::Sessions;

/// The configuration of a [`CapAuth`] that asks a central service. Begun by [`CapAuth::remote`], ended by
/// [`build`](Self::build).
///
/// The central service lists the application among its `CAPAUTH_SERVICES`, with the origins of its pages and a
/// credential. With the credential tokens are checked here, by the service's published keys and its feed of
/// revocations; without one the service is asked about each signed-in person once a second.
#[must_use = "nothing happens until `.build().await`"]
pub struct RemoteConfig {
    site: Site,
    builder: RemoteBuilder,
    master_key: Option<MasterKey>,
}

impl RemoteConfig {
    pub(crate) fn new(url: String) -> Self {
        Self { site: Site::new(), builder: RemoteVerifier::builder(url), master_key: None }
    }

    /// What the central service calls this application: the host name under which browsers know it. Tokens for any
    /// other name are refused. Only the loopback mode can do without.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.builder = self.builder.service(name);
        self
    }

    /// The secret that the central service knows this application by: at least 32 characters, as they stand there in
    /// `credential`.
    pub fn credential(mut self, credential: impl Into<Secret>) -> Self {
        self.builder = self.builder.credential(credential.into());
        self
    }

    /// The issuer whose tokens count; what the central service says of itself when not set.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.builder = self.builder.issuer(issuer);
        self
    }

    /// Demands that the central service signs its challenges with this key.
    pub fn pin_server_key(mut self, fingerprint: Fingerprint) -> Self {
        self.builder = self.builder.pin_server_key(fingerprint);
        self
    }

    /// Asks the central service about each token, even where it could be checked here.
    pub fn introspect(mut self, always: bool) -> Self {
        self.builder = self.builder.introspect(always);
        self
    }

    /// Allows `http://` to other hosts than one's own machine: tokens can then be read and challenges forged on the way.
    pub fn plain_http(mut self, allowed: bool) -> Self {
        self.builder = self.builder.plain_http(allowed);
        self
    }

    /// A certificate authority, in PEM, to trust besides the system's own.
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.builder = self.builder.ca_certificate(pem);
        self
    }

    /// How long one answer of the central service may take: five seconds when not set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.builder = self.builder.timeout(timeout);
        self
    }

    /// The secret under which this application's sessions are sealed. Without one a new one is made at each start:
    /// people then sign in anew, and several nodes do not know each other's sessions.
    pub fn master_key(mut self, key: MasterKey) -> Self {
        self.master_key = Some(key);
        self
    }

    site_settings!();

    /// Asks the central service what it is, and checks that it all fits together. A service that does not answer stops
    /// nothing: until it does, nobody is let in.
    ///
    /// # Errors
    /// What cannot work, naming the setting.
    pub async fn build(self) -> Result<CapAuth, ConfigError> {
        let mut notices = self.site.check()?;
        let key = match self.master_key {
            Some(key) => key,
            None => {
                notices.push(
                    "Sessions end when this process does: give `.master_key(…)` to keep them, and to share them between \
                     nodes."
                        .to_owned(),
                );
                MasterKey::generate().map_err(|_| ConfigError::new("the system has no randomness"))?
            }
        };
        let mut builder = self.builder;
        if let Some(lifetime) = self.site.session_lifetime {
            builder = builder.session_lifetime(lifetime);
        }
        let verifier = builder
            .clock(Arc::clone(&self.site.clock))
            .shared_service(self.site.loopback_port.is_some())
            .build()
            .await?;
        let service = verifier.service();
        let base_url = self.site.base_url().unwrap_or_else(|| format!("https://{service}"));
        let origins = service_origins(service, &base_url, self.site.origins())?;
        // Of this central service: another one's sessions, or those of keys of one's own, are nothing here.
        let sealer = key.sealer("session of a central service");
        let sessions = Sessions::new(sealer, verifier.url(), service, self.site.secure());
        let sealer = key.sealer("device of a central service");
        let (secure, clock) = (self.site.secure(), Arc::clone(&self.site.clock));
        // What these cookies are good for is the same after a restoration there: the master key here is theirs alone.
        let devices = Devices::new(sealer, verifier.url(), service, 0, secure, Arc::clone(&clock));
        let sealer = key.sealer("login form of a central service");
        let forms = Forms::new(sealer, verifier.url(), service, 0, secure, clock);
        let front = self.site.into_front(sessions, devices, forms, &origins, notices);
        Ok(CapAuth::new(Deciding::Remote(verifier), front, None))
    }
}

impl fmt::Debug for RemoteConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteConfig").field("verifier", &self.builder).finish_non_exhaustive()
    }
}
