//! Whether the service is alive, and whether it can do its work.

use std::fs;

use capauth_tests::foreign::sqlite;
use capauth_tests::http::Client;
use capauth_tests::scrape::Scrape;
use capauth_tests::sequoia::Key;
use capauth_tests::service::{Service, signal};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{enrol, log_in, service, watcher};

const UP: &str = "capauth_store_up";
const ERRORS: &str = "capauth_store_errors_total";

async fn ready(service: &Service) -> (u16, Value) {
    let answer = watcher(service).get("/ready").await;
    (answer.status, answer.json())
}

fn stores(down: &[&str]) -> Value {
    let all = ["keys", "tokens", "sessions", "challenges", "qr"];
    let each = all.map(|store| (store.to_owned(), json!(if down.contains(&store) { "down" } else { "up" })));
    Value::Object(each.into_iter().collect())
}

#[tokio::test]
async fn a_service_in_order_is_alive_and_ready() {
    let service = service(&[]);
    let watcher = watcher(&service);
    assert_eq!(ready(&service).await, (200, json!({"status": "ok", "stores": stores(&[])})));
    assert_eq!(watcher.get("/health").await.ok(), json!({"status": "ok"}));
    assert_eq!(Client::new(service.url()).get("/health").await.ok(), json!({"status": "ok"}));
    let scrape = Scrape::of(&service).await;
    for store in ["keys", "tokens", "sessions", "challenges", "qr"] {
        assert_eq!(scrape.get(UP, &[("store", store)]), 1.0, "{store}");
        assert!(scrape.text.contains(&format!("{ERRORS}{{store=\"{store}\"}} 0")), "{store}");
    }
}

/// The file is taken away under the running service, as by a volume that is gone, and brought back.
#[tokio::test]
async fn a_database_file_that_is_gone_is_noticed_and_found_again() {
    let service = service(&[]);
    let (main, alice) = (Client::new(service.url()), Key::ed25519("Alice"));
    enrol(&main, &alice).await.ok();
    let (database, away) = (service.database(), service.database().with_extension("away"));
    fs::rename(&database, &away).unwrap();
    let (status, told) = ready(&service).await;
    assert_eq!((status, &told["status"], &told["stores"]), (503, &json!("unavailable"), &stores(&["keys"])));
    assert!(!told.to_string().contains("keys.db"), "{told}");
    assert_eq!(watcher(&service).get("/health").await.status, 200, "the process itself is well");
    let main_says = main.get("/health").await;
    assert_eq!((main_says.status, main_says.json()), (503, json!({"status": "unavailable"})));
    let status = main.get("/capauth/v1/status").await;
    assert_eq!((status.status, &status.json()["healthy"]), (503, &json!(false)));
    assert_eq!(Scrape::of(&service).await.get(UP, &[("store", "keys")]), 0.0);

    fs::write(&database, "another file in its place").unwrap();
    assert_eq!(ready(&service).await.0, 503);
    fs::rename(&away, &database).unwrap();
    assert_eq!(ready(&service).await.0, 200);
    assert_eq!(main.get("/health").await.status, 200);
    assert_eq!(Scrape::of(&service).await.get(UP, &[("store", "keys")]), 1.0);
    log_in(&main, &alice).await.ok();
    // Said once, however often somebody looked.
    let output = service.output();
    assert_eq!(output.matches("a store does not answer").count(), 1, "{output}");
    assert_eq!(output.matches("a store answers again").count(), 1, "{output}");
}

/// What one store does not answer is counted as its own.
#[tokio::test]
async fn a_store_that_fails_is_named() {
    let service = service(&[]);
    let (main, alice) = (Client::new(service.url()), Key::ed25519("Alice"));
    let token = enrol(&main, &alice).await.ok()["access_token"].as_str().unwrap().to_owned();
    let before = Scrape::of(&service).await;
    sqlite(&service.database(), "ALTER TABLE revoked_tokens RENAME TO hidden_tokens");
    // The token was never seen: whether it was ended is asked of the store.
    assert_eq!(main.get_as(&token, "/capauth/v1/userinfo").await.status, 503);
    let after = Scrape::of(&service).await;
    assert_eq!(after.since(&before, ERRORS, &[("store", "tokens")]), 1.0, "{}", after.text);
    assert_eq!(after.since(&before, ERRORS, &[("store", "keys")]), 0.0);
    assert_eq!(after.since(&before, "capauth_refusals_total", &[("kind", "Unavailable")]), 1.0);
    sqlite(&service.database(), "ALTER TABLE hidden_tokens RENAME TO revoked_tokens");
    main.get_as(&token, "/capauth/v1/userinfo").await.ok();

    sqlite(&service.database(), "ALTER TABLE installation RENAME TO hidden");
    assert_eq!(
        ready(&service).await,
        (503, json!({"status": "unavailable", "stores": stores(&["keys", "tokens"])}))
    );
    sqlite(&service.database(), "ALTER TABLE hidden RENAME TO installation");
    assert_eq!(ready(&service).await.0, 200);
}

#[tokio::test]
async fn a_service_that_stops_is_not_ready_and_still_shows_its_metrics() {
    let service = service(&[]);
    let watcher = watcher(&service);
    let (mut stream, body) = capauth_tests::http::at_hand(service.address()).await;
    signal(service.pid(), "TERM");
    let not_ready = loop {
        let answer = watcher.get("/ready").await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!((not_ready.status, not_ready.json()), (503, json!({"status": "stopping"})));
    assert_eq!(watcher.get("/health").await.status, 200);
    assert_eq!(Scrape::of(&service).await.get("capauth_connections_open", &[]), 1.0);
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(service.wait().success());
}
