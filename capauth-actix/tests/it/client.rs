//! A server on a free port, and a client for it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use actix_web::body::MessageBody;
use actix_web::dev::{ServerHandle, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::{App, HttpServer};
use capauth_protocol::payload::ClaimsPayload;
use capauth_protocol::response::ChallengeResponse;
use capauth_protocol::{Json, VERSION};
use serde_json::{Value, json};

use crate::person::Person;

pub(crate) const ORIGIN: &str = "https://app.example.com";

/// Speaks to one server, which ends with it.
pub(crate) struct Client {
    address: SocketAddr,
    http: reqwest::Client,
    server: ServerHandle,
    /// What stands before the path of every endpoint.
    mount: &'static str,
}

/// Status, text, and the cookie that was set.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) cookie: String,
    pub(crate) headers: reqwest::header::HeaderMap,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The status, and the protocol's word for the error.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap_or_default().to_owned())
    }
}

impl Client {
    pub(crate) fn of<T, B>(app: impl Fn() -> App<T> + Send + Clone + 'static) -> Self
    where
        T: ServiceFactory<
                ServiceRequest,
                Config = (),
                Response = ServiceResponse<B>,
                Error = actix_web::Error,
                InitError = (),
            > + 'static,
        B: MessageBody + 'static,
    {
        let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { address, http, server: handle, mount: "" }
    }

    /// The same, where the endpoints are mounted under this path.
    pub(crate) fn mounted_at(mut self, mount: &'static str) -> Self {
        self.mount = mount;
        self
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let url = format!("http://{}{path}", self.address);
        let mut request = self.http.request(method.parse().unwrap(), url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let cookie = response.headers().get("set-cookie").map_or("", |value| value.to_str().unwrap());
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, cookie, headers, text: response.text().await.unwrap() }
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, String::new()).await
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        self.send("POST", path, &headers, body.to_string()).await
    }

    /// Sends pieces of a connection as they are, and reads it to its end.
    pub(crate) async fn raw(&self, pieces: &[&[u8]]) -> String {
        let address = self.address;
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        let talk = move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            for piece in pieces {
                // A server that has heard enough may close before everything is sent.
                let _ = stream.write_all(&piece);
            }
            let mut answer = Vec::new();
            let end = stream.read_to_end(&mut answer);
            let waiting = end.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
            assert!(!waiting, "the server neither ends nor closes: {}", String::from_utf8_lossy(&answer));
            String::from_utf8_lossy(&answer).into_owned()
        };
        tokio::task::spawn_blocking(talk).await.unwrap()
    }

    /// Sends one request with these lines as its head.
    pub(crate) async fn raw_head(&self, request: &str, lines: &[&[u8]]) -> String {
        let mut head =
            format!("{request} HTTP/1.1\r\nhost: app.example.com\r\nconnection: close\r\n").into_bytes();
        for line in lines {
            head.extend_from_slice(line);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        self.raw(&[&head]).await
    }

    /// The answer to a challenge that was asked for under this path.
    pub(crate) async fn answer(&self, path: &str, person: &Person, claims: &Value) -> Value {
        let ask = json!({
            "capauth_version": VERSION,
            "fingerprint": person.fingerprint(),
            "client_nonce": "AAAAAAAAAAAAAAAAAAAAAA==",
            "origin": ORIGIN,
        });
        let answer = self.post(&format!("{}{path}", self.mount), &[], &ask).await;
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
        let path = format!("{}/auth/capauth/verify", self.mount);
        let answer = self.post(&path, &[("origin", ORIGIN)], &body).await;
        assert_eq!(answer.json()["ok"], true, "{}", answer.text);
        answer.cookie
    }

    /// Signs in as a program does: the `Authorization` header from now on.
    pub(crate) async fn bearer(&self, person: &Person) -> String {
        let body = self.answer("/capauth/v1/challenge", person, &json!({})).await;
        let answer = self.post(&format!("{}/capauth/v1/verify", self.mount), &[], &body).await;
        format!("Bearer {}", answer.json()["access_token"].as_str().unwrap())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The command is given at once; nobody waits for its end.
        drop(self.server.stop(false));
    }
}
