//! Implementations by others sign in here, with their own code and keys that they made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::process::Output;

use capauth_tests::foreign::{node, python, succeed};
use capauth_tests::gpg::Gpg;
use capauth_tests::http::Client;
use capauth_tests::sequoia::Key;
use capauth_tests::service::Service;

fn lines(output: &Output) -> usize {
    String::from_utf8_lossy(&output.stdout).lines().count()
}

/// A service that signs its challenges, since clients check that.
fn service() -> Service {
    let key = Key::ed25519("CapAuth <capauth@example.com>").secret_armor();
    Service::start(&[("CAPAUTH_SERVICE_ID", "auth.example.com"), ("CAPAUTH_SERVER_KEY_ARMOR", &key)])
}

async fn enrolled(service: &Service) -> u64 {
    Client::new(service.url()).get("/capauth/v1/status").await.ok()["enrolled_keys"].as_u64().unwrap()
}

#[tokio::test]
async fn openpgp_js() {
    let service = service();
    let output = succeed(node("sign_in.mjs").args([service.url(), "https://auth.example.com"]));
    // Six kinds of key in five ways, and the server's signature.
    assert_eq!(lines(&output), 6 * 5 + 1, "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(enrolled(&service).await, 6);
}

#[tokio::test]
async fn the_python_client() {
    let (service, gpg, home) = (service(), Gpg::new(), tempfile::tempdir().unwrap());
    let output =
        succeed(python("sign_in.py").arg(service.url()).arg(home.path()).env("GNUPGHOME", gpg.home()));
    // Two keys of PGPy with claims and without, gpg, and the clipboard.
    assert_eq!(lines(&output), 2 * 2 + 2, "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(enrolled(&service).await, 3);
}
