//! A Rocket on a free port, and a client for it.

use std::sync::Mutex;
use std::time::SystemTime;

use capauth_protocol::payload::ClaimsPayload;
use capauth_protocol::response::ChallengeResponse;
use capauth_protocol::{Json, VERSION};
use reqwest::header::HeaderMap;
use rocket::fairing::AdHoc;
use rocket::figment::Figment;
use rocket::{Build, Config, Rocket, Shutdown};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::logs;
use crate::person::Person;

pub(crate) const ORIGIN: &str = "https://app.example.com";

/// A Rocket for a test: a free port, no signals, silence.
pub(crate) fn rocket() -> Rocket<Build> {
    logs::listen();
    let figment = Figment::from(Config::debug_default())
        .merge(("port", 0))
        .merge(("log_level", "off"))
        .merge(("shutdown.ctrlc", false))
        .merge(("shutdown.signals", Vec::<String>::new()))
        .merge(("shutdown.grace", 0))
        .merge(("shutdown.mercy", 0));
    rocket::custom(figment)
}

/// Speaks to one server. The server ends with the test's runtime, or by [`Client::shut_down`].
pub(crate) struct Client {
    port: u16,
    /// What stands before `/auth/capauth`.
    pub(crate) mount: &'static str,
    http: reqwest::Client,
    shutdown: Shutdown,
    server: JoinHandle<()>,
}

/// Status, text, headers, and the first cookie that was set.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) cookie: String,
    pub(crate) headers: HeaderMap,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The status, and the code of the protocol's error.
    pub(crate) fn error(&self) -> (u16, Option<String>) {
        (self.status, self.json()["error"].as_str().map(str::to_owned))
    }

    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }
}

/// As [`Answer::error`] gives it.
pub(crate) fn error(status: u16, code: &str) -> (u16, Option<String>) {
    (status, Some(code.to_owned()))
}

impl Client {
    pub(crate) async fn of(app: Rocket<Build>) -> Self {
        let (sender, receiver) = oneshot::channel();
        let sender = Mutex::new(Some(sender));
        let tell = AdHoc::on_liftoff("tells its port", move |rocket| {
            Box::pin(async move {
                let sender = sender.lock().unwrap().take().unwrap();
                sender.send(rocket.config().port).unwrap();
            })
        });
        let rocket = app.attach(tell).ignite().await.unwrap();
        let shutdown = rocket.shutdown();
        let server = tokio::spawn(async move {
            rocket.launch().await.unwrap();
        });
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { port: receiver.await.unwrap(), mount: "", http, shutdown, server }
    }

    /// Asks the server to end, and waits until it has.
    pub(crate) async fn shut_down(self) {
        drop(self.http);
        self.shutdown.notify();
        self.server.await.unwrap();
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let mut request = self.http.request(method.parse().unwrap(), url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let headers = response.headers().clone();
        let cookie = headers.get("set-cookie").map_or("", |value| value.to_str().unwrap());
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Answer { status: response.status().as_u16(), cookie, headers, text: response.text().await.unwrap() }
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, "").await
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        self.send("POST", path, &headers, body.to_string()).await
    }

    pub(crate) async fn form(&self, path: &str, headers: &[(&str, &str)], form: &'static str) -> Answer {
        let headers = [headers, &[("content-type", "application/x-www-form-urlencoded")]].concat();
        self.send("POST", path, &headers, form).await
    }

    /// The status of a POST by HTTP/2 alone, or HTTP/1, to a host of another name than the server's address.
    pub(crate) async fn post_to_host(&self, http2: bool, host: &str, path: &str, body: &Value) -> u16 {
        let builder = reqwest::Client::builder().resolve(host, ([127, 0, 0, 1], self.port).into());
        let builder = if http2 { builder.http2_prior_knowledge() } else { builder.http1_only() };
        let url = format!("http://{host}:{}{path}", self.port);
        let request = builder.build().unwrap().post(url).header("content-type", "application/json");
        request.body(body.to_string()).send().await.unwrap().status().as_u16()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    /// Sends a request's bytes as they are: the line, headers, nothing else. The whole answer.
    pub(crate) async fn raw(&self, line: &[u8], headers: &[&[u8]]) -> String {
        let mut bytes = [line, b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"].concat();
        for header in headers {
            bytes.extend_from_slice(header);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        let mut stream = self.connect().await;
        stream.write_all(&bytes).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
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

    /// The answer to a login as a browser makes it.
    pub(crate) async fn login(&self, person: &Person, claims: &Value) -> Answer {
        let body = self.answer(&format!("{}/auth/capauth/challenge", self.mount), person, claims).await;
        let path = format!("{}/auth/capauth/verify", self.mount);
        let answer = self.post(&path, &[("origin", ORIGIN)], &body).await;
        assert_eq!(answer.json(), json!({"ok": true, "redirect": "/"}));
        answer
    }

    /// Signs in as a browser does: the `Cookie` header from now on.
    pub(crate) async fn cookie(&self, person: &Person, claims: &Value) -> String {
        self.login(person, claims).await.cookie
    }

    /// Signs in as a program does: the `Authorization` header from now on.
    pub(crate) async fn bearer(&self, person: &Person) -> String {
        let body = self.answer("/capauth/v1/challenge", person, &json!({})).await;
        let answer = self.post("/capauth/v1/verify", &[], &body).await;
        format!("Bearer {}", answer.json()["access_token"].as_str().unwrap())
    }
}
