//! Limits of size and time, over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::time::{Duration, Instant};

use capauth_tests::http::{Client, connect, exchange, send, try_send};
use capauth_tests::service::{ADMIN_TOKEN, Service};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MAX_BODY: usize = 256 * 1024;
const FINGERPRINT: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

/// Some of the endpoints that read a body.
const READERS: [(&str, &str); 5] = [
    ("POST", "/capauth/v1/challenge"),
    ("POST", "/capauth/v1/verify"),
    ("POST", "/auth/capauth/verify"),
    ("POST", "/capauth/v1/keys/revoke"),
    ("PUT", "/capauth/v1/keys/0123456789ABCDEF0123456789ABCDEF01234567/groups"),
];

fn service() -> (Service, Client) {
    let service = Service::start(&[("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN)]);
    let client = Client::new(service.url());
    (service, client)
}

async fn is_well(client: &Client) {
    let body = json!({"fingerprint": FINGERPRINT, "client_nonce": "AAAA"});
    client.post("/capauth/v1/challenge", &body).await.ok();
}

#[tokio::test]
async fn a_body_may_have_256_kib_and_no_more() {
    let (service, client) = service();
    let good = json!({"fingerprint": FINGERPRINT, "client_nonce": "AAAA"}).to_string();
    let padded = |length: usize| format!("{good}{}", " ".repeat(length - good.len()));
    client.post_text("/capauth/v1/challenge", padded(MAX_BODY)).await.ok();
    for (method, path) in READERS {
        // Each over a connection of its own: the service need not read what it refuses.
        let client = Client::new(service.url());
        let answer = {
            let request = client
                .request(method, path)
                .bearer_auth(ADMIN_TOKEN)
                .header("content-type", "application/json");
            send(request.body(padded(MAX_BODY + 1))).await
        };
        assert_eq!(answer.refusal(), "413 payload_too_large", "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_declared_length_is_refused_before_the_body_is_sent() {
    let (service, _client) = service();
    for length in ["262145", "99999999999"] {
        let head = format!(
            "POST /capauth/v1/verify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        );
        let mut stream = connect(service.address(), "127.0.0.1").await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let bytes = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..bytes]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 413 "), "{length}: {answer}");
    }
    for absurd in ["18446744073709551615", "99999999999999999999999"] {
        let head = format!(
            "POST /capauth/v1/verify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: {absurd}\r\nConnection: close\r\n\r\n"
        );
        let answer = exchange(service.address(), head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
}

/// A proxy keeps connections and sends the requests of different people over them. An answer that comes before the
/// body was read must say that the connection ends, or the next one's request is lost.
#[tokio::test]
async fn attack_refused_body_takes_the_next_request_along() {
    let (service, client) = service();
    let head = "POST /capauth/v1/verify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 262145\r\n\r\n";
    let mut stream = connect(service.address(), "127.0.0.1").await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // The service closes, since it does not know where the next request would begin.
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(
        answer.to_lowercase().contains("\r\nconnection: close\r\n"),
        "it closes without saying so: {answer}"
    );

    for _ in 0..20 {
        let body = " ".repeat(MAX_BODY + 1);
        // The answer may come while the body is still being sent, and be lost with the connection.
        let _ = try_send(client.request("POST", "/capauth/v1/verify").json(&json!(body))).await;
        is_well(&client).await;
    }
}

#[tokio::test]
async fn a_body_in_chunks_has_the_same_limit() {
    let (service, client) = service();
    let chunked = |total: usize| {
        let good = json!({"fingerprint": FINGERPRINT, "client_nonce": "AAAA"}).to_string();
        let mut request =
            b"POST /capauth/v1/challenge HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                            Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                .to_vec();
        let mut rest = format!("{good}{}", " ".repeat(total - good.len()));
        while !rest.is_empty() {
            let piece: String = rest.drain(..rest.len().min(8192)).collect();
            request.extend(format!("{:x}\r\n{piece}\r\n", piece.len()).into_bytes());
        }
        request.extend(b"0\r\n\r\n");
        request
    };
    let answer = exchange(service.address(), &chunked(MAX_BODY)).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let answer = exchange(service.address(), &chunked(MAX_BODY + 1)).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    is_well(&client).await;
}

#[tokio::test]
async fn attack_headers_and_addresses_without_end() {
    let (service, client) = service();
    let long = "a".repeat(1_000_000);
    for request in [
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET /health HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"),
        format!("GET /health HTTP/1.1\r\nHost: x\r\nCookie: {long}\r\n\r\n"),
        format!("GET /health HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(10_000)),
        format!(
            "GET /capauth/v1/token-info?token={} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &long[..60_000]
        ),
        "GET /nowhere HTTP/1.1\r\n\r\n".to_owned(),
        "\0\0\0\0\r\n\r\n".to_owned(),
        "GET /health HTTP/9.9\r\nHost: x\r\n\r\n".to_owned(),
        "POST /capauth/v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned(),
        "POST /capauth/v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"
            .to_owned(),
        "POST /capauth/v1/verify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n"
            .to_owned(),
    ] {
        let mut closed = request.clone();
        if !request.contains("Connection: close") {
            closed = request.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        }
        let answer = exchange(service.address(), closed.as_bytes()).await;
        let shown: String = request.chars().take(60).collect();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{shown}: {answer}");
    }
    is_well(&client).await;
}

#[tokio::test]
async fn attack_body_that_never_ends_is_cut_off() {
    let service = Service::start(&[("CAPAUTH_REQUEST_TIMEOUT", "1")]);
    let head = "POST /capauth/v1/verify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
    let started = Instant::now();
    let mut streams = Vec::new();
    for _ in 0..50 {
        let mut stream = connect(service.address(), "127.0.0.1").await;
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(b"{").await.unwrap();
        streams.push(stream);
    }
    // Others are served meanwhile.
    is_well(&Client::new(service.url())).await;
    for mut stream in streams {
        let mut answer = Vec::new();
        // The byte now and then that keeps a naive timer from firing.
        let drip = async {
            while stream.write_all(b" ").await.is_ok() {
                let mut some = [0; 1024];
                match tokio::time::timeout(Duration::from_millis(200), stream.read(&mut some)).await {
                    Ok(Ok(0) | Err(_)) => break,
                    Ok(Ok(bytes)) => answer.extend(&some[..bytes]),
                    Err(_) => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), drip).await.expect("the connection is still open");
        let answer = String::from_utf8_lossy(&answer);
        let refused = answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 503");
        assert!(answer.is_empty() || refused, "{answer}");
    }
    assert!(started.elapsed() >= Duration::from_millis(900), "cut before its time");
}
