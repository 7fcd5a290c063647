//! Stores that fail, and configurations that cannot work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use capauth_tower::{Body, CapAuth, Fingerprint, Stores, Timestamp};
use capauth_verifier::{
    Installation, KeyPurpose, RevocationPage, StoreError, StoreResult, StoredTokenKey, TokenStore, memory,
};
use http::Response;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};

use crate::person::Person;
use crate::site::{ADMIN_TOKEN, Site, request};

/// A store that stops answering when it is told to.
struct Fragile {
    store: Arc<dyn TokenStore>,
    broken: Arc<AtomicBool>,
}

impl Fragile {
    fn works(&self) -> StoreResult<()> {
        if self.broken.load(Ordering::SeqCst) {
            Err(StoreError::because("MARKER", "MARKER at /dev/secret"))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl TokenStore for Fragile {
    async fn installation(&self) -> StoreResult<Installation> {
        self.store.installation().await
    }
    async fn set_master_key_check(&self, check: &[u8]) -> StoreResult<Vec<u8>> {
        self.store.set_master_key_check(check).await
    }
    async fn remember_server_keys(&self, fingerprints: &[Fingerprint]) -> StoreResult<Vec<Fingerprint>> {
        self.store.remember_server_keys(fingerprints).await
    }
    async fn token_keys(&self, purpose: KeyPurpose) -> StoreResult<Vec<StoredTokenKey>> {
        self.store.token_keys(purpose).await
    }
    async fn add_token_key(
        &self,
        purpose: KeyPurpose,
        newest: Option<&str>,
        key: &StoredTokenKey,
    ) -> StoreResult<Vec<StoredTokenKey>> {
        self.store.add_token_key(purpose, newest, key).await
    }
    async fn remove_token_key(&self, purpose: KeyPurpose, kid: &str) -> StoreResult<()> {
        self.store.remove_token_key(purpose, kid).await
    }
    async fn revoke_token(&self, jti_hash: &[u8; 32], expires: Timestamp) -> StoreResult<()> {
        self.works()?;
        self.store.revoke_token(jti_hash, expires).await
    }
    async fn is_token_revoked(&self, jti_hash: &[u8; 32]) -> StoreResult<bool> {
        self.works()?;
        self.store.is_token_revoked(jti_hash).await
    }
    async fn revocations(&self, after: u64, limit: u32) -> StoreResult<RevocationPage> {
        self.works()?;
        self.store.revocations(after, limit).await
    }
    async fn forget_expired(&self, now: Timestamp) -> StoreResult<()> {
        self.store.forget_expired(now).await
    }
}

fn fragile() -> (Stores, Arc<AtomicBool>) {
    let mut stores = memory::stores().unwrap();
    let broken = Arc::new(AtomicBool::new(false));
    stores.tokens = Arc::new(Fragile { store: stores.tokens.clone(), broken: broken.clone() });
    (stores, broken)
}

fn assert_tells_nothing(response: &Response<Body>) {
    assert_eq!(response.status(), 503);
    let text = format!("{:?}{:?}", response.headers(), response.body());
    assert!(!text.contains("MARKER") && !text.contains("secret"), "{text}");
    assert!(!response.headers().contains_key("set-cookie"), "a session is not lost because a store is away");
    let body: Value = serde_json::from_slice(response.body().bytes()).unwrap();
    assert_eq!(body["error"], "server_error");
}

#[tokio::test]
async fn attack_provoked_store_error_tells_nothing_and_lets_nobody_in() {
    let (stores, broken) = fragile();
    let site = Site::on(stores, |config| config.admin_token(ADMIN_TOKEN)).await;
    let alice = Person::new("alice");
    let (cookie, token) = (site.cookie(&alice, Value::Null).await, site.token(&alice, json!({})).await);
    let bearer = format!("Bearer {token}");
    broken.store(true, Ordering::SeqCst);
    for (path, headers) in [
        ("/auth/capauth/me", [("cookie", &*cookie)]),
        ("/auth/capauth/me", [("authorization", &*bearer)]),
        ("/capauth/v1/token-info", [("authorization", &*bearer)]),
        ("/capauth/v1/userinfo", [("authorization", &*bearer)]),
        (&format!("/capauth/v1/token-info?token={token}"), [("accept", "*/*")]),
        ("/capauth/v1/logout", [("authorization", &*bearer)]),
        ("/capauth/v1/keys", [("authorization", &*bearer)]),
        ("/capauth/v1/revocations", [("authorization", "Bearer 0123456789abcdef0123456789abcdef")]),
    ] {
        assert_tells_nothing(&site.get(path, &headers).await.0);
    }
    let guarded = site
        .capauth
        .require_login()
        .layer(service_fn(async |_| Ok::<_, std::convert::Infallible>(Response::new(Body::from("inside")))));
    let response = guarded.clone().oneshot(request("GET", "/", &[("cookie", &cookie)], "")).await.unwrap();
    assert_tells_nothing(&response.map(|body| match body {
        http_body_util::Either::Left(body) | http_body_util::Either::Right(body) => body,
    }));
    broken.store(false, Ordering::SeqCst);
    let response = guarded.oneshot(request("GET", "/", &[("cookie", &cookie)], "")).await.unwrap();
    assert_eq!(response.status(), 200, "and the session still counts");
}

async fn refused(config: capauth_tower::LocalConfig) -> String {
    config.build().await.unwrap_err().to_string()
}

fn local() -> capauth_tower::LocalConfig {
    CapAuth::local("app.example.com").stores(memory::stores().unwrap())
}

#[tokio::test]
async fn a_configuration_that_cannot_work_says_what_to_change() {
    assert!(refused(CapAuth::local("app.example.com")).await.contains(".store("));
    assert!(refused(local().store("sqlite://x.db")).await.contains("keep one"));
    let key = capauth_tower::MasterKey::generate().unwrap();
    assert!(refused(local().master_key(key)).await.contains("master key"));
    assert!(refused(local().session_lifetime(Duration::ZERO)).await.contains("lifetime"));
    assert!(
        refused(local().session_lifetime(Duration::from_secs(401 * 24 * 3600))).await.contains("lifetime")
    );
    assert!(refused(local().admin_token("")).await.contains("empty"));
    assert!(refused(local().admin_token("a b".repeat(20))).await.contains("spaces"));
    assert!(refused(local().origin("https://a.example/path")).await.contains("origin"));
}

#[tokio::test]
async fn attack_short_secret_stops_the_start_except_on_ones_own_machine() {
    assert!(refused(local().admin_token("short")).await.contains("32"));
    assert!(refused(local().jwt_secret("short")).await.contains("32"));
    let capauth = local().admin_token("short").insecure_http_on_loopback(3000).build().await.unwrap();
    let notices = capauth.notices().join("\n");
    assert!(notices.contains("insecure_http_on_loopback") && notices.contains("can be guessed"), "{notices}");
    assert!(!notices.contains("short"));
    assert!(local().admin_token(ADMIN_TOKEN).jwt_secret("s".repeat(32)).build().await.is_ok());
}

#[tokio::test]
async fn nothing_prints_secrets() {
    let config = local().admin_token(ADMIN_TOKEN).jwt_secret("s".repeat(32));
    assert!(!format!("{config:?}").contains("0123"));
    let capauth = config.build().await.unwrap();
    let text = format!("{capauth:?} {:?} {:?}", capauth.endpoints(), capauth.require_login());
    assert!(!text.contains("0123") && !text.contains("sss"), "{text}");
    assert!(capauth.close().await.is_ok());
}

/// OpenPGP writes times in 32 bits: after the year 2106 it signs nothing. Then there is no challenge, rather than one that
/// nobody vouches for.
#[tokio::test]
async fn a_challenge_that_cannot_be_signed_is_an_error_and_none_is_made() {
    let made = capauth_verifier::openpgp::NewServerKey::generate("app.example.com", None, SystemTime::now())
        .unwrap();
    let site = Site::with(|config| config.server_key(made.secret, None)).await;
    let ask = json!({"fingerprint": Person::new("Alice").fingerprint(), "client_nonce": "AAAAAAAAAAAAAAAAAAAAAA=="});
    for path in ["/capauth/v1/challenge", "/auth/capauth/challenge"] {
        let good = site.post(path, &[], &ask).await;
        assert!(good.text().contains("BEGIN PGP SIGNATURE"), "{}", good.text());
    }
    site.clock.advance(Duration::from_secs(100 * 366 * 24 * 3600));
    for path in ["/capauth/v1/challenge", "/auth/capauth/challenge"] {
        let refused = site.post(path, &[], &ask).await;
        assert_eq!((refused.status().as_u16(), refused.error().as_str()), (500, "server_error"));
        assert!(!refused.text().contains("nonce"), "{}", refused.text());
    }
}
