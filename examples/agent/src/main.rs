//! A script that signs in with gpg and calls a protected route.
//!
//! `cargo run --bin agent`, or `cargo run --bin agent -- {fingerprint}` where gpg has several secret keys.
//! `CAPAUTH_APP` (`http://127.0.0.1:3000`) says where the application is: any of the other examples.

use std::io::Write;
use std::process::{Command, ExitCode, Stdio};
use std::{env, error::Error};

use capauth_protocol::{payload::NoncePayload, response::ChallengeResponse};
use reqwest::{RequestBuilder, Response, header};
use serde_json::{Value, json};

type Failure = Box<dyn Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = sign_in_and_ask().await;
    match &outcome {
        Ok(answer) => println!("{answer}"),
        Err(why) => eprintln!("agent: {why}"),
    }
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn sign_in_and_ask() -> Result<String, Failure> {
    let app = env::var("CAPAUTH_APP").unwrap_or("http://127.0.0.1:3000".into());
    let fingerprint = fingerprint(env::args().nth(1).as_deref())?;
    let http = reqwest::Client::new();

    let ask = json!({"fingerprint": fingerprint});
    let challenge = send(http.post(format!("{app}/auth/capauth/challenge")).json(&ask)).await?;
    let challenge: ChallengeResponse = challenge.json().await?;
    let payload = NoncePayload {
        origin: None, // this is no page in a browser
        ..challenge.payload()
    };
    if payload.has_control_characters() {
        return Err("this challenge is not of the protocol's form, and is not signed".into());
    }
    eprintln!("signing in to {}", challenge.service);

    let signature = gpg(&["--local-user", &fingerprint, "--armor", "--detach-sign"], &payload.to_text())?;
    let answer = json!({
        "fingerprint": fingerprint,
        "nonce": challenge.nonce,
        "nonce_signature": signature,
        "public_key": gpg(&["--armor", "--export", &fingerprint], "")?,
    });
    let welcome = send(http.post(format!("{app}/auth/capauth/verify")).json(&answer)).await?;
    let cookie = welcome.headers().get(header::SET_COOKIE).ok_or("there is no session in the answer")?;
    let session = cookie.to_str()?.split(';').next().unwrap_or_default(); // name=value; what follows is for browsers

    let me = send(http.get(format!("{app}/me")).header(header::COOKIE, session)).await?;
    Ok(serde_json::to_string_pretty(&me.json::<Value>().await?)?)
}

/// The key that was asked for, or the first of which gpg has the secret.
fn fingerprint(key: Option<&str>) -> Result<String, Failure> {
    let arguments: Vec<_> = ["--with-colons", "--list-secret-keys"].into_iter().chain(key).collect();
    let listing = gpg(&arguments, "")?;
    let line = listing.lines().find(|line| line.starts_with("fpr:"));
    let fingerprint = line.and_then(|line| line.split(':').nth(9));
    Ok(fingerprint.ok_or("gpg has no secret key: make one with gpg --quick-gen-key")?.to_owned())
}

/// What gpg makes of a text. It may ask for a passphrase, in a window of its own.
fn gpg(arguments: &[&str], input: &str) -> Result<String, Failure> {
    let mut gpg = Command::new("gpg")
        .arg("--quiet")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    gpg.stdin.take().ok_or("gpg reads nothing")?.write_all(input.as_bytes())?;
    let output = gpg.wait_with_output()?;
    if output.status.success() { Ok(String::from_utf8(output.stdout)?) } else { Err("gpg failed".into()) }
}

/// The answer, if it is a good one; else why it is not, in the server's words.
async fn send(request: RequestBuilder) -> Result<Response, Failure> {
    let response = request.send().await?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let refusal = response.json::<Value>().await.unwrap_or_default();
    let words = refusal.get("error_description").and_then(Value::as_str);
    Err(format!("{status}: {}", words.unwrap_or("no reason given")).into())
}
