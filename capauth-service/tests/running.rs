//! The running service: start, answers, log, end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod support;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;

use support::{Answer, Place, Service};

#[test]
fn it_starts_on_any_port_answers_and_ends_with_0() {
    for signal in ["TERM", "INT"] {
        let place = Place::new();
        let service = place.start(&[]);
        let answer = service.get("/health");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(service.get("/capauth/v1/status").json()["service"], "capauth.local");
        service.signal(signal);
        let ended = service.ended();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
    }
}

#[test]
fn the_banner_says_what_runs_where_and_what_is_open() {
    let place = Place::new();
    let service = place.start(&[
        ("CAPAUTH_SERVICE_ID", "auth.example.com"),
        ("CAPAUTH_ADMIN_TOKEN", "MARKER-0123456789-0123456789-0123456789"),
        ("CAPAUTH_ADMIN_TOKN", "MARKER"),
    ]);
    let database = place.path(".capauth/service/keys.db");
    let ended = service.stop();
    for wanted in [
        "capauth-service 0.1.0",
        "listening on http://127.0.0.1:",
        "auth.example.com",
        "https://auth.example.com",
        &format!("{}\n", database.display()),
        &format!("{}.master-key", database.display()),
        "by token",
        "CAPAUTH_REQUIRE_APPROVAL",
        "CAPAUTH_SERVER_KEY_ARMOR",
        "CAPAUTH_TRUSTED_PROXIES=127.0.0.1",
        "CAPAUTH_ADMIN_TOKN",
    ] {
        assert!(ended.banner.contains(wanted), "{wanted}\n{}", ended.banner);
    }
    assert!(!ended.banner.contains("MARKER") && !ended.log.contains("MARKER"));
    assert!(!ended.banner.contains('\x1b'), "no colour where there is no terminal");
}

#[test]
fn files_are_their_owners_alone() {
    let place = Place::new();
    let service = place.start(&[]);
    let folder = place.path(".capauth/service");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let files = support::files(&folder);
    assert!(files.len() >= 3, "{files:?}");
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    service.stop();
}

#[test]
fn a_port_in_use_is_said_in_one_line_and_nothing_is_made() {
    let (first, second) = (Place::new(), Place::new());
    let service = first.start(&[]);
    let port = service.address.port().to_string();
    let error = second.refusal(&["--port", &port], &[]);
    assert!(error.contains(&port) && error.contains("CAPAUTH_PORT"), "{error}");
    assert!(support::files(second.folder.path()).is_empty());
    service.stop();
}

#[test]
fn a_wrong_master_key_is_said_in_one_line() {
    let place = Place::new();
    place.start(&[]).stop();
    let other = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let error = place.refusal(&["--port", "0"], &[("CAPAUTH_MASTER_KEY", other)]);
    assert!(error.contains("master key") && !error.contains("0011"), "{error}");
    place.start(&[]).stop();
}

#[test]
fn request_ids_are_kept_or_made() {
    let place = Place::new();
    let service = place.start(&[]);
    let id = |headers: &[(&str, &str)]| {
        service.send("GET", "/health", headers, "").header("x-request-id").unwrap().to_owned()
    };
    let uuid = "0af76519-16cd-43dd-8448-ebcd12345678";
    assert_eq!(id(&[("x-request-id", uuid)]), uuid);
    for word in ["a b", "abc-123", "Alice-of-Wonderland"] {
        assert_ne!(id(&[("x-request-id", word)]), word);
    }
    assert_ne!(id(&[]), id(&[]));
    service.stop();
}

#[test]
fn other_origins_are_let_in_only_where_they_are_configured() {
    let place = Place::new();
    let preflight = |service: &Service| {
        let headers = [("origin", "https://app.example"), ("access-control-request-method", "POST")];
        service.send("OPTIONS", "/capauth/v1/challenge", &headers, "")
    };
    let service = place.start(&[]);
    let answer = preflight(&service);
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(answer.status, 405);
    service.stop();

    let service = place.start(&[("CAPAUTH_CORS_ORIGINS", "https://app.example")]);
    let answer = preflight(&service);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!((answer.status, answer.header("access-control-allow-credentials")), (204, None));
    let answer = service.send("GET", "/health", &[("origin", "https://evil.example")], "");
    assert_eq!(answer.header("access-control-allow-origin"), None);
    service.stop();
}

#[test]
fn the_log_has_one_line_a_refusal_and_nothing_that_a_client_wrote() {
    for (format, name) in [("text", "capauth::request"), ("json", "\"target\":\"capauth::request\"")] {
        let place = Place::new();
        let service = place.start(&[("CAPAUTH_LOG_FORMAT", format)]);
        assert_eq!(service.get("/capauth/v1/userinfo?token=MARKER").status, 401);
        assert_eq!(service.get("/MARKER").status, 404);
        assert_eq!(service.post("/capauth/v1/challenge", "{\"MARKER\": 1").status, 400);
        assert_eq!(service.send("MARKER", "/health", &[("user-agent", "MARKER")], "").status, 405);
        let headers = [
            ("authorization", "Bearer MARKER"),
            ("x-request-id", "0123456789abcdef0123"),
            ("x-forwarded-for", "192.0.2.77"),
        ];
        assert_eq!(service.send("GET", "/capauth/v1/userinfo", &headers, "").status, 401);
        assert_eq!(service.get("/health").status, 200);
        let log = service.stop().log;
        let lines: Vec<_> = log.lines().filter(|line| line.contains(name)).collect();
        assert_eq!(lines.len(), 5, "{log}");
        assert!(!log.contains("MARKER") && !log.contains("192.0.2.77"), "{log}");
        for wanted in ["/capauth/v1/userinfo", "401", "InvalidToken", "0123456789abcdef0123"] {
            assert!(lines[4].contains(wanted), "{wanted}: {}", lines[4]);
        }
    }
}

/// *Attack: a trace log set for a while, read for tokens later.*
#[test]
fn even_a_trace_log_quotes_no_request() {
    let place = Place::new();
    for filter in ["trace", "trace,hyper=trace"] {
        let service = place.start(&[("CAPAUTH_LOG", filter)]);
        let headers = [("authorization", "Bearer MARKER"), ("cookie", "a=MARKER"), ("x-secret", "MARKER")];
        service.send("GET", "/capauth/v1/userinfo?token=MARKER", &headers, "");
        service.post("/capauth/v1/verify", "{\"nonce_signature\": \"MARKER\"}");
        let log = service.stop().log;
        assert!(log.contains("refused") && !log.contains("MARKER"), "{log}");
    }
}

#[test]
fn a_request_at_hand_is_answered_while_the_service_stops() {
    let place = Place::new();
    let service = place.start(&[]);
    let body = "{}";
    let mut stream = service.connect();
    let head = "POST /capauth/v1/challenge HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n\
        content-type: application/json\r\nconnection: close\r\n";
    write!(stream, "{head}content-length: {}\r\n\r\n", body.len()).unwrap();
    // The server asks for the body: from here on the request is at hand.
    let mut goes_on = [0; 25];
    stream.read_exact(&mut goes_on).unwrap();
    assert!(goes_on.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&goes_on));
    service.signal("TERM");
    while std::net::TcpStream::connect(service.address).is_ok() {
        std::thread::yield_now();
    }
    stream.write_all(body.as_bytes()).unwrap();
    assert_eq!(Answer::read(&mut stream).status, 400);
    assert_eq!(service.ended().code, Some(0));
}

#[test]
fn a_second_signal_does_not_wait() {
    let place = Place::new();
    let service = place.start(&[]);
    let mut stream = service.connect();
    let head = "POST /capauth/v1/challenge HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n\
        content-type: application/json\r\ncontent-length: 10\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.read_exact(&mut [0; 25]).unwrap();
    service.signal("TERM");
    while std::net::TcpStream::connect(service.address).is_ok() {
        std::thread::yield_now();
    }
    let begun = std::time::Instant::now();
    service.signal("TERM");
    let ended = service.ended();
    assert!(begun.elapsed().as_secs() < 5);
    assert_eq!(ended.code, Some(1));
}

#[test]
fn an_idle_kept_alive_connection_does_not_hold_up_the_end() {
    let place = Place::new();
    let service = place.start(&[]);
    let mut stream = service.connect();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(service.stop().code, Some(0));
    assert!(begun.elapsed().as_secs() < 5);
}

#[test]
fn over_plain_http_people_sign_in_on_this_machine_alone() {
    let place = Place::new();
    let service = place.start(&[("CAPAUTH_INSECURE_HTTP", "true")]);
    let port = service.address.port();
    let challenge = |origin: &str| {
        let fingerprint = "8A3FC2D1E4B5A09F6B7C8D0E1F2A3B4C5D6E7F80";
        let body = format!(
            r#"{{"fingerprint": "{fingerprint}", "client_nonce": "dGVzdA==", "origin": "{origin}"}}"#
        );
        service.post("/capauth/v1/challenge", &body).status
    };
    assert_eq!(challenge(&format!("http://localhost:{port}")), 200);
    assert_eq!(challenge("http://localhost:1"), 400);
    let banner = service.stop().banner;
    assert!(
        banner.contains(&format!("http://localhost:{port}")) && banner.contains("without TLS"),
        "{banner}"
    );
}

/// *Attack: headers without end.*
#[test]
fn headers_beyond_measure_are_refused() {
    let place = Place::new();
    let service = place.start(&[]);
    let long = "a".repeat(40_000);
    assert_eq!(service.send("GET", "/health", &[("x-long", &long)], "").status, 431);
    let fits = "a".repeat(8_000);
    assert_eq!(service.send("GET", "/health", &[("x-long", &fits)], "").status, 200);
    service.stop();
}

#[test]
fn any_host_is_answered_but_no_stranger_is_spoken_for() {
    let place = Place::new();
    let service = place.start(&[("CAPAUTH_SERVICE_ID", "auth.example.com")]);
    let challenge = |requested: &str| {
        let fingerprint = "8A3FC2D1E4B5A09F6B7C8D0E1F2A3B4C5D6E7F80";
        let body = format!(
            r#"{{"fingerprint": "{fingerprint}", "client_nonce": "dGVzdA==", "requested_service": "{requested}"}}"#
        );
        service.post("/capauth/v1/challenge", &body)
    };
    assert_eq!(challenge("auth.example.com").json()["service"], "auth.example.com");
    assert_eq!(challenge("localhost").json()["service"], "auth.example.com");
    let refused = challenge("evil.example");
    assert_eq!((refused.status, &refused.json()["error"]), (400, &"service_mismatch".into()));
    service.stop();
}
