//! A site with CapAuth in it, and browsers and programs that come to it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use capauth_protocol::Json;
use capauth_protocol::payload::ClaimsPayload;
use capauth_protocol::response::ChallengeResponse;
use capauth_tower::{Body, CapAuth, Clock, LocalConfig, ManualClock, Stores};
use capauth_verifier::memory;
use http::{Request, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::person::Person;

pub(crate) const ORIGIN: &str = "https://app.example.com";
pub(crate) const ADMIN_TOKEN: &str = "0123456789abcdef0123456789abcdef";

pub(crate) struct Site {
    pub(crate) capauth: CapAuth,
    pub(crate) clock: Arc<ManualClock>,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with(|config| config.admin_token(ADMIN_TOKEN)).await
    }

    pub(crate) async fn with(configure: impl FnOnce(LocalConfig) -> LocalConfig) -> Self {
        Self::on(memory::stores().unwrap(), configure).await
    }

    pub(crate) async fn on(stores: Stores, configure: impl FnOnce(LocalConfig) -> LocalConfig) -> Self {
        let clock = Arc::new(ManualClock::at(SystemTime::now()));
        let config = CapAuth::local("app.example.com").stores(stores).clock(clock.clone());
        Self { capauth: configure(config).build().await.unwrap(), clock }
    }

    /// Sends a request to all endpoints.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer(self.capauth.service_endpoints().handle(request).await)
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(request("GET", path, headers, "")).await
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        self.send(request("POST", path, &headers, body.to_string())).await
    }

    /// A challenge for somebody, as the endpoint at this path gives it.
    pub(crate) async fn challenge(&self, path: &str, person: &Person, more: Value) -> ChallengeResponse {
        let mut body =
            json!({"fingerprint": person.fingerprint(), "client_nonce": "AAAAAAAAAAAAAAAAAAAAAA=="});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let answer = self.post(path, &[], &body).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        serde_json::from_slice(answer.0.body().bytes()).unwrap()
    }

    /// What somebody answers to a challenge.
    pub(crate) fn answer(&self, challenge: &ChallengeResponse, person: &Person, claims: &Value) -> Value {
        let payload = challenge.payload();
        let now = self.clock.now();
        let mut body = json!({
            "fingerprint": person.fingerprint(),
            "nonce": challenge.nonce,
            "nonce_signature": person.sign(&payload.to_text(), now),
            "public_key": person.public_key(),
        });
        if claims.is_object() {
            let canonical = Json::parse(claims.to_string().as_bytes()).unwrap().to_canonical();
            let fingerprint = person.fingerprint();
            let payload =
                ClaimsPayload { fingerprint: &fingerprint, nonce: &challenge.nonce, claims_json: &canonical };
            body["claims_signature"] = person.sign(&payload.to_text(), now).into();
            body["claims"] = claims.clone();
        }
        body
    }

    /// Signs somebody in on the site's page: the `Cookie` header to send from now on.
    pub(crate) async fn cookie(&self, person: &Person, claims: Value) -> String {
        self.cookie_from(person, claims, json!({"origin": ORIGIN})).await
    }

    pub(crate) async fn cookie_from(&self, person: &Person, claims: Value, more: Value) -> String {
        let challenge = self.challenge("/auth/capauth/challenge", person, more).await;
        let answer = self.post("/auth/capauth/verify", &[], &self.answer(&challenge, person, &claims)).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.new_cookie()
    }

    /// Signs somebody in as a program: the access token.
    pub(crate) async fn token(&self, person: &Person, more: Value) -> String {
        let challenge = self.challenge("/capauth/v1/challenge", person, more).await;
        let body = self.answer(&challenge, person, &Value::Null);
        let answer = self.post("/capauth/v1/verify", &[], &body).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// `Authorization` of a program that signed in.
    pub(crate) async fn bearer(&self, person: &Person) -> String {
        format!("Bearer {}", self.token(person, json!({})).await)
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

pub(crate) fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<String>,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.into())).unwrap()
}

pub(crate) struct Answer(pub(crate) Response<Body>);

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.0.status()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.body().bytes().to_vec()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.0.body().bytes()).unwrap_or(Value::Null)
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.0.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The cookie that is set, as it is sent back.
    pub(crate) fn new_cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    pub(crate) fn clears_cookie(&self) -> bool {
        let set = self.0.headers().get(header::SET_COOKIE).map_or("", |value| value.to_str().unwrap());
        set.starts_with("__Host-capauth=;") && set.contains("Max-Age=0")
    }
}
