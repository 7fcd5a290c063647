//! How every answer of ours is put together.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::body::Body;

/// On every answer: not kept by caches, not guessed at, and our paths not told to other sites.
const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
];

/// What a page of ours may do: show itself, and send its form back.
const PAGE_POLICY: &str = "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const JSON: &str = "application/json";

/// Room for an answer as most are, in bytes: a token and some claims.
const USUAL: usize = 1536;

pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let mut bytes = Vec::with_capacity(USUAL);
    match serde_json::to_writer(&mut bytes, value) {
        Ok(()) => respond(status, Some(JSON), bytes.into()),
        // Our types always serialise. Should one not, nothing is better than half of it.
        Err(_) => respond(StatusCode::INTERNAL_SERVER_ERROR, None, Bytes::new()),
    }
}

/// JSON that is text already.
pub(crate) fn json_text(text: String) -> Response<Body> {
    respond(StatusCode::OK, Some(JSON), text.into())
}

/// A stream of events (`text/event-stream`).
pub(crate) fn events(body: Body) -> Response<Body> {
    let mut response = respond(StatusCode::OK, Some("text/event-stream"), Bytes::new());
    *response.body_mut() = body;
    response
}

/// JSON that is written already.
#[cfg(feature = "openapi")]
pub(crate) fn json_bytes(bytes: Bytes) -> Response<Body> {
    respond(StatusCode::OK, Some(JSON), bytes)
}

pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    respond(status, None, Bytes::new())
}

/// A file of a page's.
pub(crate) fn file(content_type: &'static str, bytes: Bytes) -> Response<Body> {
    respond(StatusCode::OK, Some(content_type), bytes)
}

pub(crate) fn page(html: impl Into<Bytes>) -> Response<Body> {
    let mut response = respond(StatusCode::OK, Some("text/html; charset=utf-8"), html.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

fn respond(status: StatusCode, content_type: Option<&'static str>, bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().extend(HEADERS);
    if let Some(content_type) = content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}
