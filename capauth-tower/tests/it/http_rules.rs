//! Paths, methods and bodies.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use capauth_protocol::limits::MAX_BODY;
use http::Request;
use http_body::Frame;
use serde_json::json;

use crate::site::{Answer, Site, request};

/// A body of unknown length, in pieces; counts how many were taken.
struct Chunks<'a> {
    left: usize,
    taken: &'a mut usize,
}

impl http_body::Body for Chunks<'_> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        *self.taken += 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b' '; 1024])))))
    }
}

async fn send_chunks(site: &Site, length: Option<usize>, chunks: usize) -> (Answer, usize) {
    send_chunks_of("application/json", site, length, chunks).await
}

async fn send_chunks_of(kind: &str, site: &Site, length: Option<usize>, chunks: usize) -> (Answer, usize) {
    let mut taken = 0;
    let mut request = Request::post("/capauth/v1/verify").header("content-type", kind);
    if let Some(length) = length {
        request = request.header("content-length", length);
    }
    let request = request.body(Chunks { left: chunks, taken: &mut taken }).unwrap();
    let answer = Answer(site.capauth.service_endpoints().handle(request).await);
    (answer, taken)
}

#[tokio::test]
async fn attack_oversized_body_with_its_length_is_refused_unread() {
    let site = Site::new().await;
    let (answer, taken) = send_chunks(&site, Some(MAX_BODY + 1), 1000).await;
    assert_eq!((answer.status().as_u16(), answer.error().as_str()), (413, "payload_too_large"));
    assert_eq!(taken, 0, "a client that waits for `100 Continue` hears 413 instead");
}

#[tokio::test]
async fn a_body_of_another_type_is_refused_unread() {
    let site = Site::new().await;
    let (answer, taken) = send_chunks_of("text/plain", &site, None, 1).await;
    assert_eq!(
        (answer.status().as_u16(), answer.error().as_str(), taken),
        (415, "unsupported_media_type", 0)
    );
    let (answer, taken) = send_chunks(&site, None, 1).await;
    assert_eq!((answer.error().as_str(), taken), ("invalid_request", 1));
}

#[tokio::test]
async fn attack_oversized_chunked_body_is_not_read_to_its_end() {
    let site = Site::new().await;
    let (answer, taken) = send_chunks(&site, None, 100_000).await;
    assert_eq!((answer.status().as_u16(), answer.error().as_str()), (413, "payload_too_large"));
    assert!(taken <= MAX_BODY / 1024 + 1, "{taken}");
    let (answer, _) = send_chunks(&site, None, MAX_BODY / 1024).await;
    assert_eq!((answer.status().as_u16(), answer.error().as_str()), (400, "invalid_request"));
}

#[tokio::test(start_paused = true)]
async fn attack_body_that_never_ends() {
    struct Silence;
    impl http_body::Body for Silence {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }
    let site = Site::new().await;
    let request =
        Request::post("/capauth/v1/verify").header("content-type", "application/json").body(Silence).unwrap();
    let answer = Answer(site.capauth.service_endpoints().handle(request).await);
    assert_eq!((answer.status().as_u16(), answer.error().as_str()), (400, "invalid_request"));
}

#[tokio::test]
async fn attack_percent_encoded_path_does_not_match() {
    let site = Site::new().await;
    for path in
        ["/auth/capauth/%6de", "/auth/c%61pauth/me", "/auth/capauth/me/", "/capauth/v1/keys%2Fapprove"]
    {
        let answer = site.get(path, &[]).await;
        assert_eq!((answer.status().as_u16(), answer.error().as_str()), (404, "not_found"), "{path}");
    }
    assert_eq!(site.get("/auth/capauth/me?x=%6d", &[]).await.status(), 401);
}

#[tokio::test]
async fn an_unknown_path_is_404_whatever_the_method_and_a_known_one_says_which_it_has() {
    let site = Site::new().await;
    for method in ["GET", "POST", "OPTIONS", "TRACE", "FOO"] {
        assert_eq!(
            site.send(request(method, "/capauth/v1/nothing", &[], "")).await.status(),
            404,
            "{method}"
        );
    }
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "FOO"] {
        let answer = site.send(request(method, "/capauth/v1/verify", &[], "")).await;
        assert_eq!(answer.status(), 405, "{method}");
        assert_eq!(answer.header("allow"), "POST");
    }
    let answer = site.send(request("DELETE", "/capauth/v1/logout", &[], "")).await;
    assert_eq!((answer.header("allow"), answer.error().as_str()), ("GET, POST, HEAD", "method_not_allowed"));
}

#[tokio::test]
async fn an_application_does_not_serve_the_service() {
    let site = Site::new().await;
    for path in ["/capauth/v1/keys", "/capauth/v1/verify", "/health", "/.well-known/jwks.json"] {
        let answer = site.capauth.endpoints().handle(request("GET", path, &[], "")).await;
        assert_eq!(answer.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let site = Site::new().await;
    let get = site.get("/capauth/v1/well-known", &[]).await;
    let head = site.send(request("HEAD", "/capauth/v1/well-known", &[], "")).await;
    assert_eq!(head.status(), 200);
    assert_eq!(head.text(), "");
    assert_eq!(head.header("content-length"), get.text().len().to_string());
}

#[tokio::test]
async fn attack_ambiguous_json() {
    let site = Site::new().await;
    let answer = site.post("/capauth/v1/challenge", &[], &json!([])).await;
    assert_eq!(answer.error(), "invalid_request");
    let body = r#"{"fingerprint":"0123456789012345678901234567890123456789","fingerprint":"x","client_nonce":"AAAA"}"#;
    let headers = [("content-type", "application/json")];
    let answer = site.send(request("POST", "/capauth/v1/challenge", &headers, body)).await;
    assert_eq!(answer.error(), "invalid_request");
}
