//! A central service as it should be; each test then bends what it is about.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capauth_protocol::Fingerprint;
use capauth_protocol::request::{ChallengeRequest, VerifyRequest};
use capauth_verifier::{
    Audience, AuthError, AuthErrorKind, Authenticated, Caller, Clock as _, ManualClock, RemoteBuilder,
    RemoteVerifier, Secret, Verifier as _,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::http::{Reply, Request, Server};

pub(crate) const OWN: &str = "app.example.com";
pub(crate) const PERSON: &str = "0123456789ABCDEF0123456789ABCDEF01234567";
pub(crate) const OTHER: &str = "89ABCDEF0123456789ABCDEF0123456789ABCDEF";
pub(crate) const CREDENTIAL: &str = "a-credential-of-more-than-32-characters";
pub(crate) const ORIGIN: &str = "https://app.example.com";

pub(crate) const WELL_KNOWN: &str = "GET /capauth/v1/well-known";
pub(crate) const STATUS: &str = "GET /capauth/v1/status";
pub(crate) const JWKS: &str = "GET /.well-known/jwks.json";
pub(crate) const FEED: &str = "GET /capauth/v1/revocations";
pub(crate) const CHALLENGE: &str = "POST /capauth/v1/challenge";
pub(crate) const VERIFY: &str = "POST /capauth/v1/verify";
pub(crate) const TOKEN_INFO: &str = "GET /capauth/v1/token-info";
pub(crate) const USER_INFO: &str = "GET /capauth/v1/userinfo";
pub(crate) const REVOKE: &str = "POST /capauth/v1/revoke";
pub(crate) const LOGOUT: &str = "GET /capauth/v1/logout";

/// A key that signs tokens.
pub(crate) struct Signer {
    pub(crate) kid: &'static str,
    pair: Ed25519KeyPair,
}

impl Signer {
    pub(crate) fn new(kid: &'static str) -> Self {
        Self { kid, pair: Ed25519KeyPair::generate().unwrap() }
    }

    pub(crate) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    pub(crate) fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.kid,
            "x": URL_SAFE_NO_PAD.encode(self.public())})
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({"alg": "EdDSA", "typ": "at+jwt", "kid": self.kid}), claims)
    }

    pub(crate) fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

#[derive(Default)]
pub(crate) struct FeedState {
    /// Entries with their numbers.
    pub(crate) entries: Vec<(u64, Value)>,
    pub(crate) epoch: u64,
    /// What is told as the last number, where it is another than the entries'.
    pub(crate) cursor: Option<u64>,
    pub(crate) tags: bool,
}

pub(crate) struct Central {
    pub(crate) server: Server,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) signer: Signer,
    pub(crate) feed: Arc<Mutex<FeedState>>,
}

impl Central {
    pub(crate) async fn start() -> Self {
        let whole = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let central = Self {
            server: Server::start().await,
            clock: Arc::new(ManualClock::at(UNIX_EPOCH + Duration::from_secs(whole))),
            signer: Signer::new("first"),
            feed: Arc::new(Mutex::new(FeedState { epoch: 1, ..FeedState::default() })),
        };
        central.server.always(WELL_KNOWN, Reply::json(200, &central.well_known()));
        central.publish(&[&central.signer]);
        let feed = Arc::clone(&central.feed);
        central.server.on(FEED, move |request| feed_page(&feed.lock().unwrap(), request));
        let clock = Arc::clone(&central.clock);
        central.server.on(CHALLENGE, move |request| Reply::json(200, &challenge(request, clock.now())));
        central.server.always(REVOKE, Reply::json(200, &json!({"revoked": true})));
        central.server.always(LOGOUT, Reply::json(200, &json!({"ok": true})));
        central
    }

    pub(crate) fn well_known(&self) -> Value {
        json!({
            "capauth_version": "1.0", "service": "auth.example.com", "server_fingerprint": "",
            "server_public_key": "", "enrollment": "open", "nonce_ttl_seconds": 60, "supported_claims": [],
            "access_token_alg": "EdDSA", "jwks_uri": "https://elsewhere.example/jwks.json",
            "revocations": true, "issuer": self.server.url,
        })
    }

    /// Changes what the service says of itself.
    pub(crate) fn says(&self, name: &str, value: impl Into<Value>) {
        let mut said = self.well_known();
        said[name] = value.into();
        self.server.always(WELL_KNOWN, Reply::json(200, &said));
    }

    pub(crate) fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
        self.server.always(JWKS, Reply::json(200, &json!({ "keys": keys })));
    }

    pub(crate) fn revoke(&self, entry: Value) {
        let mut feed = self.feed.lock().unwrap();
        let number = feed.entries.len() as u64 + 1;
        feed.entries.push((number, entry));
    }

    pub(crate) fn builder(&self) -> RemoteBuilder {
        RemoteVerifier::builder(&*self.server.url)
            .service(OWN)
            .clock(Arc::clone(&self.clock) as _)
            .timeout(Duration::from_secs(5))
    }

    /// One that checks tokens by itself, and does nothing unless it is told to.
    pub(crate) async fn verifier(&self) -> RemoteVerifier {
        let verifier = self.builder().credential(Secret::new(CREDENTIAL)).build().await.unwrap();
        verifier.close().await.unwrap();
        verifier
    }

    /// One that asks about each token.
    pub(crate) async fn asking(&self) -> RemoteVerifier {
        let verifier = self.builder().build().await.unwrap();
        verifier.close().await.unwrap();
        verifier
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.timestamp().as_unix()
    }

    /// What a good token of the person says.
    pub(crate) fn claims(&self) -> Value {
        let now = self.now();
        json!({
            "iss": self.server.url, "aud": OWN, "iat": now, "exp": now + 3600, "auth_time": now, "jti": "name-1",
            "capauth_generation": 3, "capauth_epoch": 1, "capauth_session_until": now + 7 * 24 * 3600,
            "capauth_origin": ORIGIN, "sub": PERSON, "capauth_fingerprint": PERSON, "name": "Ada",
            "groups": ["readers"], "amr": ["pgp"],
        })
    }

    pub(crate) fn claims_with(&self, name: &str, value: impl Into<Value>) -> Value {
        let mut claims = self.claims();
        claims[name] = value.into();
        claims
    }

    pub(crate) fn token(&self) -> String {
        self.signer.sign(&self.claims())
    }

    pub(crate) fn token_with(&self, name: &str, value: impl Into<Value>) -> String {
        self.signer.sign(&self.claims_with(name, value))
    }

    /// Lets logins succeed with this token.
    pub(crate) fn gives(&self, token: &str) {
        self.server.always(VERIFY, Reply::json(200, &verified(token)));
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

pub(crate) fn verified(token: &str) -> Value {
    json!({
        "authenticated": true, "fingerprint": PERSON, "oidc_claims": {"sub": PERSON, "capauth_fingerprint": PERSON},
        "access_token": token, "token_type": "capauth", "expires_in": 3600, "is_new_enrollment": false,
    })
}

fn feed_page(feed: &FeedState, request: &Request) -> Reply {
    if request.header("authorization") != format!("Bearer {CREDENTIAL}") {
        return Reply::Json(401, String::from(r#"{"error":"invalid_token"}"#));
    }
    let after: u64 = request.query.strip_prefix("after=").unwrap().parse().unwrap();
    let page: Vec<_> = feed.entries.iter().filter(|(number, _)| *number > after).take(2).collect();
    let cursor = page.last().map_or(feed.cursor.unwrap_or(after), |(number, _)| *number);
    let entries: Vec<&Value> = page.iter().map(|(_, entry)| entry).collect();
    let body = json!({"entries": entries, "cursor": cursor, "epoch": feed.epoch}).to_string();
    if !feed.tags {
        return Reply::Json(200, body);
    }
    let tag = format!("\"{cursor}\"");
    if request.header("if-none-match") == tag {
        return Reply::raw(format!("HTTP/1.1 304 X\r\netag: {tag}\r\nconnection: close\r\n\r\n"));
    }
    let length = body.len();
    Reply::raw(format!(
        "HTTP/1.1 200 X\r\ncontent-type: application/json\r\netag: {tag}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    ))
}

/// What a proper service makes of a request for a challenge.
pub(crate) fn challenge(request: &Request, now: SystemTime) -> Value {
    let asked = request.json();
    let text = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
    let now = capauth_verifier::Timestamp::from(now);
    json!({
        "capauth_version": "1.0", "nonce": "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90",
        "client_nonce_echo": text("client_nonce"), "timestamp": now.to_string(),
        "service": text("requested_service"), "expires": now.plus(60).to_string(), "origin": text("origin"),
        "server_signature": "", "server_public_key": "", "qr_payload": "{\"capauth_qr\":\"1.0\"}",
    })
}

pub(crate) fn person() -> Fingerprint {
    PERSON.parse().unwrap()
}

pub(crate) fn challenge_request() -> ChallengeRequest {
    let mut request = ChallengeRequest::new(person());
    request.client_nonce = Some(String::from("dGhpcyBpcyBhIHRlc3Q="));
    request.origin = Some(ORIGIN.to_owned());
    request
}

pub(crate) fn verify_request() -> VerifyRequest {
    VerifyRequest::new(person(), "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90".parse().unwrap(), "signature")
}

/// What the feed and the verifier call a token.
pub(crate) fn jti_sha256(jti: &str) -> String {
    hex::encode(Sha256::digest(jti.as_bytes()))
}

pub(crate) async fn whose(verifier: &RemoteVerifier, token: &str) -> Result<Authenticated, AuthErrorKind> {
    verifier.authenticate(token, Audience::Own).await.map_err(|error| error.kind())
}

pub(crate) async fn log_in(verifier: &RemoteVerifier) -> Result<Authenticated, AuthError> {
    Ok(verifier.verify(&verify_request(), &Caller::default()).await?.who)
}

/// What the log is told of an error's cause.
pub(crate) fn cause(error: &AuthError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}
