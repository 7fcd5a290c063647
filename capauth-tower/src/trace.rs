//! A span around each request to an endpoint, so that what is logged meanwhile belongs together.

use capauth_verifier::AuthErrorKind;
use http::request::Parts;
use http::{Method, Response};
use tracing::Span;
use tracing::field::Empty;

use crate::body::Body;
use crate::context::Traced;
use crate::endpoints::{Part, find};

/// The span of a request: which method of which route. Never its path, query, headers or body. Nothing where somebody
/// opened one already.
pub(crate) fn span(part: Part, parts: &Parts) -> Span {
    if parts.extensions.get::<Traced>().is_some() {
        return Span::none();
    }
    // Above every level, so that whatever is logged, even errors alone, has it.
    tracing::error_span!(
        target: "capauth::request",
        "request",
        method = method_name(&parts.method),
        route = find(part, parts.uri.path()).map_or("-", |route| route.path()),
        status = Empty,
        kind = Empty,
    )
}

/// What came of it.
pub(crate) fn end(span: &Span, response: &Response<Body>) {
    if span.is_disabled() {
        return;
    }
    span.record("status", response.status().as_u16());
    if let Some(kind) = response.extensions().get::<AuthErrorKind>() {
        span.record("kind", kind.as_str());
    }
}

/// HTTP's own methods.
static METHODS: [Method; 8] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::OPTIONS,
    Method::PATCH,
    Method::TRACE,
];

/// A method's name for logs and metrics: `other` for what is none of HTTP's own, since a client may send any word.
pub fn method_name(method: &Method) -> &'static str {
    METHODS.iter().find(|known| *known == method).map_or("other", Method::as_str)
}
