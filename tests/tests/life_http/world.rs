//! One service in one framework, under a clock that the test moves, and what people send to it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use capauth_tests::http::{Answer, CLIENT_NONCE, Challenge, Client, send};
use capauth_tests::keys::now;
use capauth_tower::{CapAuth, Clock as _, LocalConfig, ManualClock, RateLimits};
use capauth_verifier::{Timestamp, memory};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::people::Key;
use crate::servers::{Framework, Server};

pub(crate) const SERVICE: &str = "auth.example.com";
/// The base URL, which is where its own pages are.
pub(crate) const ORIGIN: &str = "https://auth.example.com";
pub(crate) const ADMIN_TOKEN: &str = "an-administrator-token-for-tests-0123456789";
/// A fingerprint that nobody has.
pub(crate) const NOBODY: &str = "0123456789ABCDEF0123456789ABCDEF01234567";
pub(crate) const DAY: u64 = 24 * 3600;

/// A running service; over SQLite in axum, in memory elsewhere.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) clock: Arc<ManualClock>,
    /// `127.0.0.1:40123`.
    pub(crate) address: String,
    capauth: CapAuth,
    _server: Server,
    _folder: TempDir,
}

impl World {
    /// Takes every new key, says who is enrolled, and has an administrator's token.
    pub(crate) async fn new(framework: Framework) -> Self {
        Self::with(framework, |config| config).await
    }

    /// The same, otherwise configured.
    pub(crate) async fn with(framework: Framework, change: impl FnOnce(LocalConfig) -> LocalConfig) -> Self {
        Self::plain(framework, |config| change(config.private_membership(false).admin_token(ADMIN_TOKEN)))
            .await
    }

    /// One as it comes: nobody administers it.
    pub(crate) async fn plain(framework: Framework, change: impl FnOnce(LocalConfig) -> LocalConfig) -> Self {
        let clock = Arc::new(ManualClock::at(now()));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = CapAuth::local(SERVICE).clock(clock.clone()).rate_limits(RateLimits::off());
        let config = match framework {
            // So that every case is seen with either kind of store.
            Framework::Axum => config.store(format!("sqlite://{}", folder.path().join("keys.db").display())),
            _ => config.stores(memory::stores().expect("the system has randomness")),
        };
        let capauth = change(config).build().await.expect("the configuration fits together");
        let server = Server::start(framework, &capauth).await;
        let address = server.address.to_string();
        let client = Client::new(&format!("http://{address}"));
        Self { client, clock, address, capauth, _server: server, _folder: folder }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// The time so many seconds from now, as it is written in what is signed.
    pub(crate) fn time(&self, offset: i64) -> String {
        let now = Timestamp::from(self.now()).as_unix();
        Timestamp::from_unix(now.checked_add_signed(offset).expect("a time")).to_string()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    // What everybody sends.

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.client.post(&format!("/capauth/v1{path}"), body).await
    }

    /// A request with a bearer's token, and a body where there is one.
    pub(crate) async fn call(&self, token: Option<&str>, method: &str, path: &str, body: &Value) -> Answer {
        let mut request = self.client.request(method, &format!("/capauth/v1{path}"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        send(request).await
    }

    /// A request with a session's cookie, from a page of this origin.
    pub(crate) async fn browse(
        &self,
        cookie: &str,
        origin: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Answer {
        let mut request = self.client.request(method, path).header("cookie", cookie);
        if !origin.is_empty() {
            request = request.header("origin", origin);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        send(request).await
    }

    pub(crate) async fn admin(&self, method: &str, path: &str, body: Value) -> Answer {
        self.call(Some(ADMIN_TOKEN), method, path, &body).await
    }

    // Logins.

    pub(crate) async fn challenge(&self, key: &Key) -> Challenge {
        self.client.challenge(&key.fingerprint).await
    }

    pub(crate) async fn challenge_with(&self, key: &Key, more: Value) -> Challenge {
        let mut ask = json!({"fingerprint": key.fingerprint, "client_nonce": CLIENT_NONCE});
        merge(&mut ask, more);
        Challenge::read(&self.post("/challenge", &ask).await)
    }

    /// A login with its own challenge, and what else it says.
    pub(crate) async fn login_of(&self, key: &Key, more: Value) -> Value {
        let mut body = key.answer(&self.challenge(key).await, self.now());
        merge(&mut body, more);
        body
    }

    /// The same with the certificate.
    pub(crate) async fn enrolment_of(&self, key: &Key) -> Value {
        self.login_of(key, json!({"public_key": key.certificate})).await
    }

    /// Signs in a key that is known.
    pub(crate) async fn sign_in(&self, key: &Key) -> Answer {
        let body = self.login_of(key, Value::Null).await;
        self.post("/verify", &body).await
    }

    /// Signs in with the certificate.
    pub(crate) async fn try_enrol(&self, key: &Key) -> Answer {
        let body = self.enrolment_of(key).await;
        self.post("/verify", &body).await
    }

    /// Signs in with the certificate, and is let in.
    pub(crate) async fn enrol(&self, key: &Key) -> Value {
        self.try_enrol(key).await.ok()
    }

    /// Somebody new, let in.
    pub(crate) async fn member(&self) -> Key {
        let key = Key::new();
        self.enrol(&key).await;
        key
    }

    /// A token of a key that is known or may enrol.
    pub(crate) async fn token(&self, key: &Key) -> String {
        text(&self.enrol(key).await, "access_token")
    }

    /// A token of somebody who claims this.
    pub(crate) async fn token_claiming(&self, key: &Key, claims: &Value) -> String {
        let mut body = key.claiming(&self.challenge(key).await, Some(claims), self.now());
        body["public_key"] = key.certificate.as_str().into();
        text(&self.post("/verify", &body).await.ok(), "access_token")
    }

    /// A session on the service's own pages.
    pub(crate) async fn cookie(&self, key: &Key) -> String {
        let ask = json!({"fingerprint": key.fingerprint, "origin": ORIGIN});
        let challenge = Challenge::read(&self.client.post("/auth/capauth/challenge", &ask).await);
        let mut body = key.answer(&challenge, self.now());
        body["public_key"] = key.certificate.as_str().into();
        let answer = self.client.post("/auth/capauth/verify", &body).await;
        answer.ok();
        answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
    }

    /// What the service says of whoever shows this token.
    pub(crate) async fn user_info(&self, token: &str) -> Answer {
        self.client.get_as(token, "/capauth/v1/userinfo").await
    }

    pub(crate) async fn is_signed_in(&self, token: &str) -> bool {
        let answer = self.user_info(token).await;
        if answer.status != 200 {
            answer.refused("401 invalid_token");
        }
        answer.status == 200
    }

    /// Submits a certificate with a login that fails, as whoever finds a revocation may.
    pub(crate) async fn submit(&self, key: &Key, certificate: &str) -> Answer {
        let mut body = key.answer(&self.challenge(key).await, self.now());
        body["nonce_signature"] = Key::new().sign("something else", self.now()).into();
        body["public_key"] = certificate.into();
        let answer = self.post("/verify", &body).await;
        assert_eq!(answer.status, 401, "{}", answer.text());
        answer
    }

    /// A key in the list that administrators get; null where it is not there.
    pub(crate) async fn listed(&self, key: &Key) -> Value {
        // When a key last signed in is not written at once.
        self.capauth.close().await.expect("the store answers");
        let keys = self.admin("GET", "/keys", Value::Null).await.ok();
        let mut keys = keys.as_array().expect("a list").iter();
        keys.find(|entry| entry["fingerprint"] == key.fingerprint).cloned().unwrap_or_default()
    }

    // Rotation and linking: the payloads are written down here once more.

    /// The body of `/rotate`. `change` says what is otherwise in it before both sign.
    pub(crate) async fn rotation_with(&self, old: &Key, new: &Key, change: impl FnOnce(&mut Value)) -> Value {
        let challenge = self.challenge(old).await;
        let mut body = json!({
            "nonce": challenge.get("nonce"),
            "old_fingerprint": old.fingerprint,
            "new_fingerprint": new.fingerprint,
            "new_public_key": new.certificate,
            "timestamp": self.time(0),
        });
        change(&mut body);
        let payload = rotation_payload(&body);
        body["rotation_signature"] = old.sign(&payload, self.now()).into();
        body["new_signature"] = new.sign(&payload, self.now()).into();
        body
    }

    pub(crate) async fn rotation(&self, old: &Key, new: &Key) -> Value {
        self.rotation_with(old, new, |_| {}).await
    }

    pub(crate) async fn rotate(&self, old: &Key, new: &Key) -> Answer {
        let body = self.rotation(old, new).await;
        self.post("/rotate", &body).await
    }

    /// The body of `/rotate/cancel`.
    pub(crate) async fn cancel_with(&self, old: &Key, change: impl FnOnce(&mut Value)) -> Value {
        let challenge = self.challenge(old).await;
        let mut body = json!({
            "nonce": challenge.get("nonce"), "old_fingerprint": old.fingerprint, "timestamp": self.time(0),
        });
        change(&mut body);
        body["signature"] = old.sign(&cancel_payload(&body), self.now()).into();
        body
    }

    pub(crate) async fn cancel(&self, old: &Key) -> Answer {
        let body = self.cancel_with(old, |_| {}).await;
        self.post("/rotate/cancel", &body).await
    }

    /// The body of `/link`, and of `/unlink`, which reads less of it.
    pub(crate) async fn link_with(
        &self,
        primary: &Key,
        secondary: &Key,
        change: impl FnOnce(&mut Value),
    ) -> Value {
        let challenge = self.challenge(primary).await;
        let mut body = json!({
            "nonce": challenge.get("nonce"),
            "primary_fingerprint": primary.fingerprint,
            "secondary_fingerprint": secondary.fingerprint,
            "timestamp": self.time(0),
        });
        change(&mut body);
        let payload = link_payload(&body);
        body["primary_signature"] = primary.sign(&payload, self.now()).into();
        body["secondary_signature"] = secondary.sign(&payload, self.now()).into();
        body
    }

    pub(crate) async fn link_body(&self, primary: &Key, secondary: &Key) -> Value {
        self.link_with(primary, secondary, |_| {}).await
    }

    /// The same with the secondary's certificate, which lets it in.
    pub(crate) async fn link_of_new(&self, primary: &Key, secondary: &Key) -> Value {
        let mut body = self.link_body(primary, secondary).await;
        body["secondary_public_key"] = secondary.certificate.as_str().into();
        body
    }

    pub(crate) async fn link(&self, primary: &Key, secondary: &Key) -> Answer {
        let body = self.link_body(primary, secondary).await;
        self.post("/link", &body).await
    }

    /// The body of `/unlink`: only the primary key signs.
    pub(crate) async fn unlink_body(&self, primary: &Key, secondary: &Key) -> Value {
        let mut body = self.link_body(primary, secondary).await;
        body.as_object_mut().expect("an object").remove("secondary_signature");
        body
    }

    pub(crate) async fn unlink(&self, primary: &Key, secondary: &Key) -> Answer {
        let body = self.unlink_body(primary, secondary).await;
        self.post("/unlink", &body).await
    }
}

fn field<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {body}"))
}

pub(crate) fn rotation_payload(body: &Value) -> String {
    format!(
        "CAPAUTH_ROTATION_V1\nnonce={}\nservice={SERVICE}\nold_fingerprint={}\nnew_fingerprint={}\n\
         new_public_key_sha256={}\ntimestamp={}",
        field(body, "nonce"),
        field(body, "old_fingerprint"),
        field(body, "new_fingerprint"),
        hex::encode(Sha256::digest(field(body, "new_public_key").as_bytes())),
        field(body, "timestamp"),
    )
}

pub(crate) fn cancel_payload(body: &Value) -> String {
    format!(
        "CAPAUTH_ROTATION_CANCEL_V1\nnonce={}\nservice={SERVICE}\nold_fingerprint={}\ntimestamp={}",
        field(body, "nonce"),
        field(body, "old_fingerprint"),
        field(body, "timestamp"),
    )
}

pub(crate) fn link_payload(body: &Value) -> String {
    format!(
        "CAPAUTH_LINK_V1\nnonce={}\nservice={SERVICE}\nprimary={}\nsecondary={}\ntimestamp={}",
        field(body, "nonce"),
        field(body, "primary_fingerprint"),
        field(body, "secondary_fingerprint"),
        field(body, "timestamp"),
    )
}

fn merge(body: &mut Value, more: Value) {
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
}

/// A member's text.
pub(crate) fn text(body: &Value, name: &str) -> String {
    field(body, name).to_owned()
}

/// The names of an object's members, sorted.
pub(crate) fn members(body: &Value) -> Vec<&str> {
    body.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// What the middle part of a token says.
pub(crate) fn token_claims(token: &str) -> Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).expect("a token has three parts");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).expect("base64");
    serde_json::from_slice(&bytes).expect("JSON")
}
