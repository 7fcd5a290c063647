//! A client that says exactly what a test wants said.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// A client of one service.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Client {
    /// A client of the service at this URL.
    pub fn new(base: &str) -> Self {
        Self::build(base, None)
    }

    /// A client that connects from this address.
    pub fn from_address(base: &str, address: IpAddr) -> Self {
        Self::build(base, Some(address))
    }

    fn build(base: &str, address: Option<IpAddr>) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(60))
            .local_address(address)
            .build()
            .expect("a client is made");
        Self { http, base: base.to_owned() }
    }

    /// A request to be filled in.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        send(self.request("GET", path)).await
    }

    /// GET with a bearer's token.
    pub async fn get_as(&self, token: &str, path: &str) -> Answer {
        send(self.request("GET", path).bearer_auth(token)).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request("POST", path).json(body)).await
    }

    /// POST of JSON with a bearer's token.
    pub async fn post_as(&self, token: &str, path: &str, body: &Value) -> Answer {
        send(self.request("POST", path).bearer_auth(token).json(body)).await
    }

    /// POST of a text as JSON, whatever it is.
    pub async fn post_text(&self, path: &str, body: impl Into<String>) -> Answer {
        let request = self.request("POST", path).header("content-type", "application/json");
        send(request.body(body.into())).await
    }

    /// Asks for a challenge, for the service itself.
    pub async fn challenge(&self, fingerprint: &str) -> Challenge {
        let body = json!({"fingerprint": fingerprint, "client_nonce": CLIENT_NONCE});
        Challenge::read(&self.post("/capauth/v1/challenge", &body).await)
    }

    /// Signs in with whatever the caller put together.
    pub async fn sign_in(&self, login: SignIn<'_>) -> Answer {
        let challenge = self.challenge(login.fingerprint).await;
        self.post("/capauth/v1/verify", &login.answer_to(&challenge)).await
    }
}

/// The client's own nonce in every challenge of the tests.
pub const CLIENT_NONCE: &str = "dGVzdGluZyBpcyBmdW4=";

/// Sends a request and reads the whole answer.
pub async fn send(request: RequestBuilder) -> Answer {
    try_send(request).await.expect("the service answers")
}

/// Sends a request that may get no answer.
///
/// # Errors
/// There was no complete answer.
pub async fn try_send(request: RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await?.to_vec();
    Ok(Answer { status, headers, body })
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The code of a refusal, with its status: `"401 invalid_token"`.
    pub fn refusal(&self) -> String {
        format!("{} {}", self.status, self.json()["error"].as_str().unwrap_or("no error code"))
    }

    /// A header's value, empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The JSON of an answer that must be a success.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// Fails unless this is the refusal, in the protocol's form: `"401 invalid_token"`.
    pub fn refused(&self, refusal: &str) {
        assert_eq!(self.refusal(), refusal, "{}", self.text());
        assert_eq!(self.json()["capauth_version"], "1.0", "{}", self.text());
        assert!(
            self.json()["error_description"].as_str().is_some_and(|words| words.len() > 5),
            "{}",
            self.text()
        );
    }
}

/// What a server asks to have signed, and the payload made of it: written down here once more, so that a mistake in
/// the crates is not repeated by their tests.
#[derive(Debug, Clone)]
pub struct Challenge(pub Value);

impl Challenge {
    /// Reads the answer to `POST /challenge`.
    pub fn read(answer: &Answer) -> Self {
        Self(answer.ok())
    }

    /// A member's text.
    pub fn get(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {}", self.0))
    }

    /// The text to sign.
    pub fn payload(&self) -> String {
        // The Python service knows no origins.
        let (version, origin) = match self.0["origin"].as_str() {
            None | Some("") => (1, String::new()),
            Some(origin) => (2, format!("origin={origin}\n")),
        };
        format!(
            "CAPAUTH_NONCE_V{version}\nnonce={}\nclient_nonce={}\n{origin}timestamp={}\nservice={}\nexpires={}",
            self.get("nonce"),
            self.get("client_nonce_echo"),
            self.get("timestamp"),
            self.get("service"),
            self.get("expires"),
        )
    }
}

/// The text to sign over claims. `serde_json` keeps members sorted, which is the canonical form for such claims as the
/// tests make.
pub fn claims_payload(fingerprint: &str, nonce: &str, claims: &Value) -> String {
    format!("CAPAUTH_CLAIMS_V1\nfingerprint={fingerprint}\nnonce={nonce}\nclaims={claims}")
}

/// Makes an armoured signature over a text.
pub type Sign<'a> = &'a (dyn Fn(&[u8]) -> String + Sync);

/// A login to be done.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "it holds a closure")]
pub struct SignIn<'a> {
    /// Who signs in.
    pub fingerprint: &'a str,
    /// The certificate, to enrol it.
    pub public_key: Option<&'a str>,
    /// Claims, which are signed too.
    pub claims: Option<&'a Value>,
    /// Who signs.
    pub sign: Sign<'a>,
}

impl<'a> SignIn<'a> {
    /// A login of a key that is enrolled.
    pub fn new(fingerprint: &'a str, sign: Sign<'a>) -> Self {
        Self { fingerprint, public_key: None, claims: None, sign }
    }

    /// Sends the certificate along.
    pub fn enrolling(self, certificate: &'a str) -> Self {
        Self { public_key: Some(certificate), ..self }
    }

    /// Sends claims along.
    pub fn claiming(self, claims: &'a Value) -> Self {
        Self { claims: Some(claims), ..self }
    }

    /// The body of `POST /verify`.
    pub fn answer_to(&self, challenge: &Challenge) -> Value {
        let nonce = challenge.get("nonce");
        let mut body = json!({
            "capauth_version": "1.0",
            "fingerprint": self.fingerprint,
            "nonce": nonce,
            "nonce_signature": (self.sign)(challenge.payload().as_bytes()),
        });
        if let Some(claims) = self.claims {
            let payload = claims_payload(self.fingerprint, nonce, claims);
            body["claims"] = claims.clone();
            body["claims_signature"] = (self.sign)(payload.as_bytes()).into();
        }
        if let Some(key) = self.public_key {
            body["public_key"] = key.into();
        }
        body
    }
}

/// Connects to a server from an address of this machine.
pub async fn connect(server: &str, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(format!("{from}:0").parse().expect("an address")).expect("an address of this machine");
    socket.connect(server.parse().expect("an address")).await.expect("the server accepts")
}

/// A request for a challenge that is at hand: the server has asked for its body, which is still to be sent.
pub async fn at_hand(server: &str) -> (TcpStream, String) {
    let body = json!({"fingerprint": "0".repeat(40), "client_nonce": "AAAA"}).to_string();
    let mut stream = connect(server, "127.0.0.1").await;
    let head = format!(
        "POST /capauth/v1/challenge HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    let mut some = [0; 1024];
    let bytes = stream.read(&mut some).await.expect("the server answers");
    assert!(some[..bytes].starts_with(b"HTTP/1.1 100"), "the server reads the body by now");
    (stream, body)
}

/// Sends bytes as they are and reads until the server closes the connection.
pub async fn exchange(server: &str, bytes: &[u8]) -> String {
    let mut stream = connect(server, "127.0.0.1").await;
    // A server that has heard enough closes while we still write.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
