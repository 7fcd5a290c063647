//! One service in one framework, under a clock that the test moves.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use capauth_tests::http::Client;
use capauth_tests::keys::now;
use capauth_tower::{CapAuth, Clock as _, LocalConfig, ManualClock, RateLimits};
use capauth_verifier::memory;

use crate::people::Key;
use crate::servers::{Framework, Server};

pub(crate) const SERVICE: &str = "auth.example.com";
/// The base URL, which is where its own pages are.
pub(crate) const ORIGIN: &str = "https://auth.example.com";
pub(crate) const ADMIN_TOKEN: &str = "an-administrator-token-for-tests-0123456789";

pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) capauth: CapAuth,
    _server: Server,
}

impl World {
    pub(crate) async fn new(framework: Framework) -> Self {
        Self::with(framework, |config| config).await
    }

    pub(crate) async fn with(framework: Framework, change: impl FnOnce(LocalConfig) -> LocalConfig) -> Self {
        let clock = Arc::new(ManualClock::at(now()));
        let capauth = capauth(&clock, change).await;
        let server = Server::start(framework, &capauth).await;
        let client = Client::new(&format!("http://{}", server.address));
        Self { client, clock, capauth, _server: server }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Whether this key has been enrolled.
    pub(crate) async fn knows(&self, key: &Key) -> bool {
        let path = format!("/capauth/v1/keys?prefix={}", key.fingerprint);
        self.client.get_as(ADMIN_TOKEN, &path).await.ok() != serde_json::json!([])
    }
}

/// What is mounted: keys in memory, no limits.
pub(crate) async fn capauth(
    clock: &Arc<ManualClock>,
    change: impl FnOnce(LocalConfig) -> LocalConfig,
) -> CapAuth {
    let config = CapAuth::local(SERVICE).clock(clock.clone()).rate_limits(RateLimits::off());
    let config = config.admin_token(ADMIN_TOKEN).stores(memory::stores().expect("randomness"));
    change(config).build().await.expect("the configuration fits together")
}
