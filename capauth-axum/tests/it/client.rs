//! A server on a free port, and a client for it.

use std::net::SocketAddr;
use std::time::SystemTime;

use axum::Router;
use capauth_protocol::payload::ClaimsPayload;
use capauth_protocol::response::ChallengeResponse;
use capauth_protocol::{Json, VERSION};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::person::Person;

pub(crate) const ORIGIN: &str = "https://app.example.com";

/// Speaks to one server. The server ends with the test's runtime.
pub(crate) struct Client {
    base: String,
    http: reqwest::Client,
}

/// Status, text, and the cookie that was set.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) cookie: String,
    pub(crate) location: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
}

impl Client {
    pub(crate) async fn of(app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { base, http }
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let mut request =
            self.http.request(method.parse().unwrap(), format!("{}{path}", self.base)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let header = |name| response.headers().get(name).map_or("", |value| value.to_str().unwrap());
        let cookie = header("set-cookie").split(';').next().unwrap().to_owned();
        let location = header("location").to_owned();
        Answer { status: response.status().as_u16(), cookie, location, text: response.text().await.unwrap() }
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, String::new()).await
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        self.send("POST", path, &headers, body.to_string()).await
    }

    /// The answer to a challenge that was asked for under this path.
    async fn answer(&self, path: &str, person: &Person, claims: &Value) -> Value {
        let ask = json!({
            "capauth_version": VERSION,
            "fingerprint": person.fingerprint(),
            "client_nonce": "AAAAAAAAAAAAAAAAAAAAAA==",
            "origin": ORIGIN,
        });
        let answer = self.post(path, &[], &ask).await;
        let challenge: ChallengeResponse = serde_json::from_str(&answer.text).unwrap();
        let payload = challenge.payload();
        let (now, fingerprint) = (SystemTime::now(), person.fingerprint());
        let claims_json = Json::parse(claims.to_string().as_bytes()).unwrap().to_canonical();
        let signed =
            ClaimsPayload { fingerprint: &fingerprint, nonce: &challenge.nonce, claims_json: &claims_json };
        json!({
            "fingerprint": fingerprint,
            "nonce": challenge.nonce,
            "nonce_signature": person.sign(&payload.to_text(), now),
            "public_key": person.public_key(),
            "claims": claims,
            "claims_signature": person.sign(&signed.to_text(), now),
        })
    }

    /// Signs in as a browser does: the `Cookie` header from now on.
    pub(crate) async fn cookie(&self, person: &Person, claims: &Value) -> String {
        let body = self.answer("/auth/capauth/challenge", person, claims).await;
        let answer = self.post("/auth/capauth/verify", &[("origin", ORIGIN)], &body).await;
        assert_eq!(answer.json(), json!({"ok": true, "redirect": "/"}));
        answer.cookie
    }

    /// Signs in as a program does: the `Authorization` header from now on.
    pub(crate) async fn bearer(&self, person: &Person) -> String {
        let body = self.answer("/capauth/v1/challenge", person, &json!({})).await;
        let answer = self.post("/capauth/v1/verify", &[], &body).await;
        format!("Bearer {}", answer.json()["access_token"].as_str().unwrap())
    }
}
