//! Requests that a program makes up from the description, for as long as it is given.

use std::fs;
use std::process::Command;

use capauth_tests::foreign::python_module;
use capauth_tests::http::{Client, SignIn};
use capauth_tests::sequoia::Key;
use capauth_tests::service::{ADMIN_TOKEN, Service, workspace};
use serde_json::Value;

use crate::description::{DOCUMENT, operations};
use crate::servers::Framework;
use crate::world::{World, text};

/// How many requests of each kind are made up, where nothing else is said: some thousands in all.
const EXAMPLES: &str = "6";

/// Says for how many seconds to go on: a long run finds more, and begins somewhere else each time.
const VARIABLE: &str = "CAPAUTH_TEST_OPENAPI_SECONDS";

async fn token(client: &Client) -> String {
    let key = Key::ed25519("Test <test@example.org>");
    let sign = |data: &[u8]| key.detach_sign(data);
    let login = SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate);
    text(&client.sign_in(login).await.ok(), "access_token")
}

/// Everything that the description allows, and much that it does not: the service answers as described, refuses what it
/// says it refuses, demands credentials where it says so, and never fails.
#[tokio::test]
async fn made_up_requests_are_answered_as_described() {
    let service = Service::start(&[
        ("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN),
        ("CAPAUTH_NO_RATE_LIMITS", "true"),
        ("CAPAUTH_LOG", "off"),
    ]);
    let client = Client::new(service.url());
    let seconds = std::env::var(VARIABLE).ok();
    let folder = tempfile::tempdir().unwrap();
    let mut command = python_module("schemathesis.cli");
    command
        .arg("--config-file")
        .arg(workspace().join("tests/python/schemathesis.toml"))
        .args(["run", &format!("{}{DOCUMENT}", service.url()), "--url", service.url()])
        .args(["--no-color", "--continue-on-failure", "--generation-database", "none"])
        // What it keeps between runs stays out of the source.
        .current_dir(folder.path())
        .env("CAPAUTH_TEST_ADMIN_TOKEN", ADMIN_TOKEN)
        .env("CAPAUTH_TEST_PERSON_TOKEN", token(&client).await)
        .env("CAPAUTH_TEST_TOKEN_TO_END", token(&client).await);
    match &seconds {
        Some(seconds) => command.args(["--max-time", seconds]),
        None => command.args(["--max-examples", EXAMPLES, "--seed", "1"]),
    };
    let said = run(&mut command);
    // All but the document itself, which it has read by then.
    let described = operations(&client.get(DOCUMENT).await.ok()).len() - 1;
    assert!(said.contains(&format!("{described} selected / {described} total")), "{said}");
    // It is still there, and nothing went wrong inside.
    client.get("/health").await.ok();
    assert!(!service.output().contains("panicked"), "{}", service.output());
}

/// Found so: beside a name, nothing else in the query was looked at.
#[tokio::test]
async fn every_parameter_is_held_against_its_form_beside_a_name_too() {
    let world = World::new(Framework::Axum).await;
    world.admin("GET", "/keys?user_name=test&limit=2&prefix=A", Value::Null).await.ok();
    for bad in ["limit=0", "limit=1&limit=2", "prefix=x", "approved_only=maybe"] {
        let query = format!("/keys?user_name=test&{bad}");
        world.admin("GET", &query, Value::Null).await.refused("400 invalid_request");
    }
    world.admin("GET", "/keys?user_name=test&after=x", Value::Null).await.refused("400 invalid_fingerprint");
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if let Some(file) = std::env::var_os("CAPAUTH_TEST_OPENAPI_REPORT") {
        fs::write(file, &said).unwrap();
    }
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}
