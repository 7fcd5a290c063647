//! From Rocket's types to the neutral ones, and back.

use std::io::{self, Cursor};

use capauth_tower::{Body, DECIDING_HEADERS, Mount, OriginalUri, Peer};
use futures_util::TryStreamExt as _;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Uri, header};
use http_body_util::BodyExt as _;
use rocket::http::{Method, Status};
use rocket::{Request, Response};
use tokio_util::io::StreamReader;

/// The path below which [`routes`](crate::routes) must be mounted, whatever stands before it.
pub(crate) const LOGIN_BASE: &str = "/auth/capauth";

/// Every method that Rocket knows. It answers others itself.
pub(crate) const METHODS: [Method; 9] = {
    use Method::*;
    [Get, Put, Post, Delete, Options, Head, Trace, Connect, Patch]
};

/// What Rocket knows of a request that is to be answered by the endpoints, without its body and without the path that
/// they are mounted below.
///
/// The path is the one that was sent: Rocket decodes it to find a route, and the endpoints do not.
pub(crate) fn parts(request: &Request<'_>, mount: &str) -> Parts {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    let raw = request.uri().to_string();
    let below = raw.strip_prefix(mount).filter(|below| below.starts_with('/')).unwrap_or(&raw);
    parts.method = method(request.method());
    parts.uri = uri(below);
    for header in request.headers().iter() {
        if let Ok(name) = HeaderName::from_bytes(header.name().as_str().as_bytes()) {
            append(&mut parts, name, header.value());
        }
    }
    // In HTTP/2 the host is no header.
    if let Some(host) = request.host().filter(|_| !parts.headers.contains_key(header::HOST)) {
        append(&mut parts, header::HOST, &host.to_string());
    }
    // Not `client_ip`, which believes a header of anybody's.
    if let Some(remote) = request.remote() {
        parts.extensions.insert(Peer(remote.ip()));
    }
    parts.extensions.insert(OriginalUri(uri(&raw)));
    parts.extensions.insert(Mount(mount.to_owned()));
    parts
}

/// As much of a request as those look at who ask who sent it.
pub(crate) fn deciding(request: &Request<'_>) -> Parts {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = method(request.method());
    parts.uri = uri(&request.uri().to_string());
    for name in DECIDING_HEADERS {
        for value in request.headers().get(name.as_str()) {
            append(&mut parts, name.clone(), value);
        }
    }
    parts
}

fn append(parts: &mut Parts, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        // Hyper's own map, from which Rocket took them, holds no more than this one can.
        let _ = parts.headers.try_append(name, value);
    }
}

/// What cannot be written as a URI is none of ours: the root is not either.
fn uri(path_and_query: &str) -> Uri {
    PathAndQuery::try_from(path_and_query).map(Uri::from).unwrap_or_default()
}

fn method(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Put => http::Method::PUT,
        Method::Post => http::Method::POST,
        Method::Delete => http::Method::DELETE,
        Method::Options => http::Method::OPTIONS,
        Method::Head => http::Method::HEAD,
        Method::Trace => http::Method::TRACE,
        Method::Connect => http::Method::CONNECT,
        Method::Patch => http::Method::PATCH,
    }
}

/// An answer as Rocket sends it.
pub(crate) fn response(answer: http::Response<Body>) -> Response<'static> {
    let (parts, body) = answer.into_parts();
    let mut response = Response::new();
    response.set_status(Status::new(parts.status.as_u16()));
    for (name, value) in &parts.headers {
        if let Ok(value) = std::str::from_utf8(value.as_bytes()) {
            response.adjoin_raw_header(name.as_str().to_owned(), value.to_owned());
        }
    }
    if body.is_streamed() {
        let pieces = body.into_data_stream().map_err(|never| -> io::Error { match never {} });
        response.set_streamed_body(StreamReader::new(pieces));
        return response;
    }
    let bytes = body.into_bytes();
    // Rocket would replace the length that an answer to HEAD tells by that of an empty body.
    if !bytes.is_empty() {
        response.set_sized_body(bytes.len(), Cursor::new(bytes));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_stands_twice_is_sent_twice_and_in_order() {
        let mut answer = http::Response::new(Body::from("{}"));
        *answer.status_mut() = http::StatusCode::IM_A_TEAPOT;
        for cookie in ["a=1; HttpOnly", "b=2"] {
            answer.headers_mut().append("set-cookie", HeaderValue::from_static(cookie));
        }
        let response = response(answer);
        assert_eq!(response.status().code, 418);
        assert_eq!(response.headers().get("Set-Cookie").collect::<Vec<_>>(), ["a=1; HttpOnly", "b=2"]);
        assert_eq!(response.body().preset_size(), Some(2));
    }
}
