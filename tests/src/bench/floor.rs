//! The floor: what a server costs that answers the same two requests in the same form and does nothing but one raw
//! Ed25519 verification.

use std::time::{Duration, SystemTime};

use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How long an access token with few claims is.
const TOKEN_LENGTH: usize = 620;

#[derive(Deserialize)]
#[allow(dead_code, reason = "parsing is what is measured")]
struct Ask {
    capauth_version: String,
    fingerprint: String,
    client_nonce: String,
}

#[derive(Serialize)]
struct Challenge {
    capauth_version: &'static str,
    nonce: String,
    client_nonce_echo: String,
    timestamp: String,
    service: &'static str,
    expires: String,
    origin: &'static str,
    server_signature: &'static str,
    server_public_key: &'static str,
    qr_payload: &'static str,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "parsing is what is measured")]
struct Login {
    capauth_version: String,
    fingerprint: String,
    nonce: String,
    nonce_signature: String,
    #[serde(default)]
    claims: Option<Value>,
    #[serde(default)]
    claims_signature: Option<String>,
    #[serde(default)]
    public_key: Option<String>,
}

#[derive(Serialize)]
struct Claims {
    sub: String,
    capauth_fingerprint: String,
    preferred_username: &'static str,
    amr: [&'static str; 1],
}

#[derive(Serialize)]
struct Verified {
    authenticated: bool,
    fingerprint: String,
    oidc_claims: Claims,
    access_token: String,
    token_type: &'static str,
    expires_in: u32,
    is_new_enrollment: bool,
}

/// Serves on a free port until killed; prints where.
pub(crate) async fn serve() -> Result<(), String> {
    let key = SigningKey::from_bytes(&[7; 32]);
    let message = [b'x'; 220];
    let (verifying, signature) = (key.verifying_key(), key.sign(&message));
    let app = Router::new()
        .route("/capauth/v1/challenge", post(challenge))
        .route("/capauth/v1/verify", post(async move |body| verify(body, &verifying, &message, &signature)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(|e| e.to_string())?;
    println!("listening on http://{}", listener.local_addr().map_err(|e| e.to_string())?);
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, app).await.map_err(|e| e.to_string())
}

async fn challenge(Json(ask): Json<Ask>) -> Json<Challenge> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    Json(Challenge {
        capauth_version: "1.0",
        nonce: uuid(),
        client_nonce_echo: ask.client_nonce,
        // As long as a time is in text.
        timestamp: format!("2026-01-01T{now:0>11}Z"),
        service: "capauth.local",
        expires: format!("2026-01-01T{:0>11}Z", now + 60),
        origin: "",
        server_signature: "",
        server_public_key: "",
        qr_payload: "",
    })
}

fn uuid() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("randomness");
    let digits = hex::encode(bytes);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

fn verify(
    Json(login): Json<Login>,
    key: &VerifyingKey,
    message: &[u8],
    signature: &Signature,
) -> Json<Verified> {
    let authenticated = key.verify_strict(message, signature).is_ok();
    Json(Verified {
        authenticated,
        oidc_claims: Claims {
            sub: login.fingerprint.clone(),
            capauth_fingerprint: login.fingerprint.clone(),
            preferred_username: "capauth-01234567",
            amr: ["pgp"],
        },
        fingerprint: login.fingerprint,
        access_token: "t".repeat(TOKEN_LENGTH),
        token_type: "capauth",
        expires_in: 3600,
        is_new_enrollment: false,
    })
}
