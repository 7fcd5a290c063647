//! What is logged while a request is answered says which request that is.

use capauth_tests::foreign::sqlite;
use capauth_tests::http::{Client, send};
use capauth_tests::sequoia::Key;
use capauth_tests::service::{Service, output_in};
use serde_json::Value;

use crate::enrol;

const ONE: &str = "feedfacefeedface-0001";
const TWO: &str = "feedfacefeedface-0002";

/// Everything a service logged, once it has ended.
fn log(service: Service) -> String {
    let folder = service.folder();
    assert!(service.terminate().success());
    output_in(folder.path())
}

async fn ask(client: &Client, id: &str, token: &str) -> u16 {
    let request = client.request("GET", "/capauth/v1/userinfo?MARKER=MARKER").bearer_auth(token);
    let request = request.header("x-request-id", id).header("user-agent", "MARKER").body("MARKER");
    send(request).await.status
}

#[tokio::test]
async fn lines_inside_a_request_carry_its_id() {
    for format in ["text", "json"] {
        let service = Service::start(&[("CAPAUTH_LOG", "debug"), ("CAPAUTH_LOG_FORMAT", format)]);
        let client = Client::new(service.url());
        let (one, two) = tokio::join!(ask(&client, ONE, "MARKER"), ask(&client, TWO, "MARKER"));
        assert_eq!((one, two), (401, 401));
        let log = log(service);
        assert!(!log.contains("MARKER"), "{log}");
        let inside: Vec<_> = log.lines().filter(|line| line.contains("capauth::refusal")).collect();
        assert_eq!(inside.len(), 2, "{log}");
        for id in [ONE, TWO] {
            let lines: Vec<_> = inside.iter().filter(|line| line.contains(id)).collect();
            assert_eq!(lines.len(), 1, "{log}");
            assert!(lines[0].contains("/capauth/v1/userinfo") && lines[0].contains("GET"), "{}", lines[0]);
            // The request's own line is there as before, and says each thing once.
            let own: Vec<_> =
                log.lines().filter(|line| line.contains("capauth::request") && line.contains(id)).collect();
            assert_eq!(own.len(), 1, "{log}");
            assert_eq!(own[0].matches("/capauth/v1/userinfo").count(), 1, "{}", own[0]);
        }
        if format == "json" {
            let line: Value = serde_json::from_str(inside[0]).unwrap();
            let span = &line["span"];
            let mut fields: Vec<_> = span.as_object().unwrap().keys().map(String::as_str).collect();
            fields.sort_unstable();
            assert_eq!(fields, ["id", "method", "name", "route"], "{span}");
        }
    }
}

/// A fault is found by the id that the client has, whatever level is logged; and who wants no spans has none.
#[tokio::test]
async fn a_fault_in_the_log_carries_the_requests_id() {
    for (filter, carries) in
        [("info", true), ("warn", true), ("error", true), ("warn,capauth::request=off", false)]
    {
        let service = Service::start(&[("CAPAUTH_LOG", filter)]);
        let client = Client::new(service.url());
        let token =
            enrol(&client, &Key::ed25519("Alice")).await.ok()["access_token"].as_str().unwrap().to_owned();
        sqlite(&service.database(), "ALTER TABLE revoked_tokens RENAME TO hidden_tokens");
        assert_eq!(ask(&client, ONE, &token).await, 503);
        let log = log(service);
        let faults: Vec<_> = log.lines().filter(|line| line.contains("a request failed")).collect();
        assert_eq!(faults.len(), 1, "{filter}: {log}");
        assert_eq!(faults[0].contains(ONE), carries, "{filter}: {}", faults[0]);
        assert!(!log.contains("MARKER") && !log.contains(&token), "{log}");
    }
}
