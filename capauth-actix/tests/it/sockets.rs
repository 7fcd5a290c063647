//! Requests as no library would send them.

use actix_web::{App, web};
use capauth_actix::{Authenticated, CapAuth, require_login, service_routes};
use capauth_protocol::limits::MAX_BODY;
use serde_json::json;

use crate::client::Client;
use crate::person::Person;
use crate::{capauth, maybe};

fn site(capauth: CapAuth) -> Client {
    Client::of(move || {
        App::new()
            .configure(service_routes(capauth.clone()))
            .route("/maybe", web::get().to(maybe))
            .route("/me", web::get().to(async |user: Authenticated| user.sub().to_string()))
            .service(web::resource("/guarded").wrap(require_login()).to(async || "inside"))
            .service(web::scope("/app").configure(service_routes(capauth.clone())))
    })
}

fn status(answer: &str) -> u16 {
    answer.get(9..12).unwrap_or_default().parse().unwrap_or_default()
}

fn line(name: &str, value: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b": ", value].concat()
}

#[tokio::test]
async fn attack_paths_that_actix_decodes_or_reads_differently() {
    let client = site(capauth().await);
    for path in ["/auth/c%61pauth/me", "/auth/capauth/%6de", "/app/auth/c%61pauth/me", "/h%65alth"] {
        let answer = client.raw_head(&format!("GET {path}"), &[]).await;
        assert_eq!(status(&answer), 404, "{path}");
        assert!(answer.contains(r#""error":"not_found""#), "{path}: {answer}");
    }
    for path in [
        "/auth/capauth/me/",
        "//auth/capauth/me",
        "/auth//capauth/me",
        "/auth/capauth/me;x=1",
        "/auth/capauth/./me",
        "/x/../auth/capauth/me",
        "/auth/capauth%2Fme",
        "/auth/capauth/me%00",
        "/auth/capauth/ME",
        "/app//auth/capauth/me",
        "/capauth/v1/keys//groups",
        "*",
    ] {
        assert_eq!(status(&client.raw_head(&format!("GET {path}"), &[]).await), 404, "{path}");
    }
    // What is no URI to actix-web reaches nobody.
    assert_eq!(status(&client.raw_head("GET /guarded\u{e9}", &[]).await), 400);
    for path in [
        "/auth/capauth/me",
        "/auth/capauth/me?x=/y/z",
        "/app/auth/capauth/me",
        "http://a.example/auth/capauth/me",
    ] {
        assert_eq!(status(&client.raw_head(&format!("GET {path}"), &[]).await), 401, "{path}");
    }
}

#[tokio::test]
async fn attack_headers_that_stand_twice_or_are_no_text() {
    let client = site(capauth().await);
    let alice = Person::new("alice");
    let bearer = line("authorization", client.bearer(&alice).await.as_bytes());
    let session = client.cookie(&alice, &json!({})).await;
    let cookie = line("cookie", session.as_bytes());
    for bad in [
        &[&*bearer, &bearer][..],
        &[&bearer, b"authorization: Basic YTpi"],
        &[b"authorization: Basic YTpi", &bearer],
        &[b"authorization: Bearer \xff"],
        &[&bearer, b"authorization: \xff"],
    ] {
        for path in ["/maybe", "/me", "/guarded", "/auth/capauth/me"] {
            let answer = client.raw_head(&format!("GET {path}"), bad).await;
            assert_eq!(status(&answer), 401, "{path} {bad:?}");
            assert!(answer.contains(r#""error":"invalid_token""#), "{answer}");
        }
    }
    let noisy = line("cookie", &[b"other=\xff; ", session.as_bytes()].concat());
    for good in
        [&[&*bearer][..], &[&cookie], &[&noisy], &[b"cookie: other=1", &cookie], &[&cookie, b"x-noise: \xff"]]
    {
        for path in ["/maybe", "/me", "/auth/capauth/me"] {
            let answer = client.raw_head(&format!("GET {path}"), good).await;
            assert!(
                status(&answer) == 200 && answer.contains(&alice.fingerprint()),
                "{path} {good:?}: {answer}"
            );
        }
    }
    let forms = [&b"origin: https://app.example.com"[..], b"origin: https://evil.example", &cookie];
    assert_eq!(
        status(&client.raw_head("POST /guarded", &forms).await),
        403,
        "which of two origins counts is nobody's guess"
    );
    assert_eq!(status(&client.raw_head("POST /guarded", &[forms[0], &cookie]).await), 200);
}

#[tokio::test]
async fn attack_oversized_body_with_and_without_a_length() {
    let client = site(capauth().await);
    let json = b"content-type: application/json".as_slice();
    let length = format!("content-length: {}", MAX_BODY + 1);
    let announced = client.raw_head("POST /auth/capauth/challenge", &[json, length.as_bytes()]).await;
    assert_eq!(status(&announced), 413, "before a byte of it is read: {announced}");

    let head = "POST /auth/capauth/challenge HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
        content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    for (size, expected) in [(MAX_BODY + 1, 413), (MAX_BODY, 400)] {
        let chunk = format!("{size:x}\r\n{}\r\n", " ".repeat(size));
        let answer = client.raw(&[head.as_bytes(), chunk.as_bytes(), b"0\r\n\r\n"]).await;
        assert_eq!(status(&answer), expected, "{answer}");
    }
}

#[tokio::test]
async fn a_body_may_come_in_pieces() {
    let client = site(capauth().await);
    let alice = Person::new("alice");
    let body = client.answer("/capauth/v1/challenge", &alice, &json!({})).await.to_string();
    let head = "POST /capauth/v1/verify HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
        content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks: Vec<Vec<u8>> = body
        .as_bytes()
        .chunks(7)
        .map(|piece| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat())
        .collect();
    let mut pieces = vec![head.as_bytes()];
    pieces.extend(chunks.iter().map(Vec::as_slice));
    pieces.push(b"0\r\n\r\n");
    let answer = client.raw(&pieces).await;
    assert!(status(&answer) == 200 && answer.contains("access_token"), "{answer}");

    // One that breaks off is no shorter body.
    let half = client
        .raw(&[b"POST /capauth/v1/challenge HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
        content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n"])
        .await;
    assert_eq!(status(&half), 400, "{half}");
}

#[tokio::test]
async fn attack_request_hidden_in_a_body_that_nobody_reads() {
    let client = site(capauth().await);
    let hidden = "GET /health HTTP/1.1\r\nhost: a\r\n\r\n";
    let head = format!("POST /guarded HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", hidden.len());
    let answer = client
        .raw(&[
            head.as_bytes(),
            hidden.as_bytes(),
            b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        ])
        .await;
    assert_eq!(status(&answer), 401, "{answer}");
    assert!(answer.matches(r#"{"status":"ok"}"#).count() <= 1, "the hidden one is answered: {answer}");

    // Who is refused need not send the body first.
    let waiting = client.raw_head("POST /guarded", &[b"content-length: 1000"]).await;
    assert_eq!(status(&waiting), 401, "{waiting}");
}

#[tokio::test]
async fn head_is_answered_as_get_without_the_body() {
    let client = site(capauth().await);
    for (path, expected) in [("/health", 200), ("/auth/capauth/me", 401)] {
        let get = client.raw_head(&format!("GET {path}"), &[]).await;
        let head = client.raw_head(&format!("HEAD {path}"), &[]).await;
        let length = get.split_once("\r\n\r\n").unwrap().1.len();
        assert_eq!((status(&get), status(&head)), (expected, expected), "{path}");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
        assert!(head.contains(&format!("\r\ncontent-length: {length}\r\n")), "{head}");
        assert_eq!(head.matches("content-length").count(), 1, "{head}");
    }
    let other = client.raw_head("BREW /health", &[]).await;
    assert!(status(&other) == 405 && other.contains("allow: GET, HEAD"), "{other}");
    // actix-web's own rule: a route of the App has no other methods, a resource says so.
    assert_eq!(status(&client.raw_head("HEAD /maybe", &[]).await), 404);
}
