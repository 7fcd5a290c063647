//! A service in one framework, the device that shows the QR code, and the one that scans it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use capauth_tests::http::{Answer, Client, send};
use capauth_tests::keys::now;
use capauth_tower::{CapAuth, Clock as _, LocalConfig, ManualClock, RateLimits, ServiceEntry};
use capauth_verifier::memory;
use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::{Framework, Server};

pub(crate) const SERVICE: &str = "auth.example.com";
pub(crate) const ORIGIN: &str = "https://auth.example.com";
pub(crate) const APP: &str = "app.example.com";
pub(crate) const APP_ORIGIN: &str = "https://app.example.com";

/// Below this the service's own calls are, and an application's.
pub(crate) const V1: &str = "/capauth/v1";
pub(crate) const PAGE: &str = "/auth/capauth";

/// A running service that takes every new key.
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
        let config = CapAuth::local(SERVICE)
            .clock(clock.clone())
            .stores(memory::stores().expect("the system has randomness"))
            .service(ServiceEntry::new(APP).origin(APP_ORIGIN))
            .rate_limits(RateLimits::off())
            .private_membership(false);
        let capauth = change(config).build().await.expect("the configuration fits together");
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

    /// Another connection.
    pub(crate) fn client_of_its_own(&self) -> Client {
        self.client.clone()
    }

    /// A QR code on the screen, for the service itself.
    pub(crate) async fn desktop(&self) -> Desktop {
        Desktop::at(self.client_of_its_own(), V1, json!({})).await
    }

    /// The same on a page of the service's.
    pub(crate) async fn page(&self) -> Desktop {
        Desktop::at(self.client_of_its_own(), PAGE, json!({})).await
    }

    /// A phone that scanned what the screen shows.
    pub(crate) fn phone(&self, desktop: &Desktop) -> Phone {
        Phone::scanning(self.client_of_its_own(), desktop)
    }

    pub(crate) fn is_enrolled(&self, key: &Key) -> impl Future<Output = bool> + Send {
        let local = self.capauth.local_verifier().expect("keys are here");
        let query = capauth_verifier::KeyQuery {
            approved_only: false,
            pending_only: false,
            prefix: capauth_verifier::FingerprintPrefix::parse("").expect("no digits"),
            after: None,
            limit: 1000,
        };
        let fingerprint = key.draft.fingerprint();
        async move {
            let keys = local.keys(&query).await.expect("the store answers");
            keys.iter().any(|entry| entry.fingerprint == fingerprint)
        }
    }
}

/// Where somebody wants to sign in: shows a QR code and a code, and keeps the poll token.
pub(crate) struct Desktop {
    client: Client,
    base: &'static str,
    pub(crate) qr: Value,
}

impl Desktop {
    pub(crate) async fn at(client: Client, base: &'static str, ask: Value) -> Self {
        let qr = client.post(&format!("{base}/qr-challenge"), &ask).await.ok();
        Self { client, base, qr }
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.qr[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {}", self.qr))
    }

    pub(crate) fn code(&self) -> String {
        self.get("code").to_owned()
    }

    /// A code that the screen does not show.
    pub(crate) fn wrong_code(&self, number: u32) -> String {
        let right: u32 = self.get("code").parse().expect("digits");
        format!("{:06}", (right + 1 + number) % 1_000_000)
    }

    pub(crate) fn status_path(&self) -> String {
        format!("{}/qr-status/{}", self.base, self.get("nonce"))
    }

    /// Asks where the login stands, and fetches what it yielded.
    pub(crate) async fn status(&self) -> Answer {
        self.client.get_as(self.get("poll_token"), &self.status_path()).await
    }

    /// Asks, and fetches nothing.
    pub(crate) async fn peek(&self) -> Value {
        let path = format!("{}?peek=true", self.status_path());
        self.client.get_as(self.get("poll_token"), &path).await.ok()
    }

    pub(crate) async fn decide(&self, body: &Value) -> Answer {
        self.client.post_as(self.get("poll_token"), &self.status_path(), body).await
    }

    pub(crate) async fn confirm(&self, key: &Key) -> Answer {
        self.decide(&json!({"confirm": true, "fingerprint": key.fingerprint})).await
    }

    /// Follows the login.
    pub(crate) async fn follow(&self) -> Events {
        let answer = self.try_follow().await;
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        Events { answer, text: String::new() }
    }

    pub(crate) async fn try_follow(&self) -> reqwest::Response {
        let request = self.client.request("GET", &self.status_path()).bearer_auth(self.get("poll_token"));
        request.header("accept", "text/event-stream").send().await.expect("the service answers")
    }

    /// What anybody sees who looks at the screen's QR code: read off the picture.
    pub(crate) fn picture(&self) -> String {
        let png = self.get("qr_data_url").strip_prefix("data:image/png;base64,").expect("a picture");
        let png = STANDARD.decode(png).expect("base64");
        let mut reader = png::Decoder::new(std::io::Cursor::new(png));
        reader.set_transformations(png::Transformations::EXPAND);
        let mut reader = reader.read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut pixels).expect("a PNG");
        let (width, height) = (info.width as usize, info.height as usize);
        let mut image =
            rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| pixels[y * width + x]);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1, "one QR code");
        grids[0].decode().expect("a QR code that can be read").1
    }

    /// The same as JSON.
    pub(crate) fn scanned(&self) -> Value {
        let url = self.picture();
        assert_eq!(url, self.get("qr_url"));
        let (page, payload) = url.split_once('#').expect("what no server gets to see");
        assert!(page.starts_with(self.get("origin")), "{page}");
        let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64");
        assert_eq!(payload, self.get("qr_payload").as_bytes());
        serde_json::from_slice(&payload).expect("JSON")
    }
}

/// Events of a stream, as a page reads them.
pub(crate) struct Events {
    answer: reqwest::Response,
    text: String,
}

impl Events {
    /// The next event's data; `None` once the stream has ended well.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.strip_prefix("event: status\ndata: ").map(str::to_owned);
                self.text = rest.to_owned();
                if let Some(data) = data {
                    return Some(serde_json::from_str(&data).expect("JSON"));
                }
                continue;
            }
            let chunk = self.answer.chunk().await.expect("the stream goes on")?;
            self.text.push_str(str::from_utf8(&chunk).expect("text"));
        }
    }

    /// The next event must be there.
    pub(crate) async fn hear(&mut self) -> Value {
        self.next().await.expect("one more event")
    }
}

/// What scanned the QR code: knows what the picture says, and what a person types.
pub(crate) struct Phone {
    client: Client,
    pub(crate) scanned: Value,
}

impl Phone {
    pub(crate) fn scanning(client: Client, desktop: &Desktop) -> Self {
        Self { client, scanned: desktop.scanned() }
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.scanned[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {}", self.scanned))
    }

    /// What is signed, put together from the picture alone.
    pub(crate) fn payload(&self) -> String {
        format!(
            "CAPAUTH_NONCE_V2\nnonce={}\nclient_nonce={}\norigin={}\ntimestamp={}\nservice={}\nexpires={}",
            self.get("nonce"),
            self.get("client_nonce_echo"),
            self.get("origin"),
            self.get("timestamp"),
            self.get("service"),
            self.get("expires"),
        )
    }

    /// The answer, with the certificate and without the code.
    pub(crate) fn answer(&self, key: &Key, at: SystemTime) -> Value {
        json!({
            "fingerprint": key.fingerprint,
            "nonce": self.get("nonce"),
            "nonce_signature": key.sign(&self.payload(), at),
            "public_key": key.certificate,
        })
    }

    /// The same with a code.
    pub(crate) fn answer_with(&self, key: &Key, at: SystemTime, code: impl Into<String>) -> Value {
        let mut answer = self.answer(key, at);
        answer["code"] = code.into().into();
        answer
    }

    /// Where the picture says that answers go, on the machine that the test knows.
    pub(crate) fn callback(&self) -> &str {
        let path = self.get("callback").strip_prefix(self.get("origin")).expect("no other origin");
        assert!(path.starts_with('/'), "{path}");
        path
    }

    pub(crate) async fn send(&self, answer: &Value) -> Answer {
        self.client.post(self.callback(), answer).await
    }

    /// Sends it from a page of this origin.
    pub(crate) async fn send_from(&self, origin: &str, answer: &Value) -> Answer {
        send(self.client.request("POST", self.callback()).header("origin", origin).json(answer)).await
    }
}
