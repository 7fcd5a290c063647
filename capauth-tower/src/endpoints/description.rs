//! The OpenAPI description, and the page that shows it.

use bytes::Bytes;
use capauth_verifier::AuthErrorKind;
use http::{HeaderValue, Response, StatusCode, header};

use super::Exchange;
use crate::answer;
use crate::body::Body;
use crate::openapi::Description;
use crate::refuse::Failure;

type Answer = Result<Response<Body>, Failure>;

/// It changes with the program alone: caches may keep it, and ask whether it is still that.
const CACHING: HeaderValue = HeaderValue::from_static("public, no-cache");

/// `GET /capauth/v1/openapi.json`.
pub(super) fn document(exchange: &Exchange<'_>) -> Answer {
    let description = described(exchange)?;
    Ok(unless_known(exchange, description, || answer::json_bytes(description.json.clone())))
}

/// `GET /capauth/v1/docs`.
pub(super) fn page(exchange: &Exchange<'_>) -> Answer {
    let description = described(exchange)?;
    Ok(unless_known(exchange, description, || {
        let mut response = answer::page(Bytes::clone(&description.page));
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, description.policy.clone());
        response
    }))
}

/// Made when it is first asked for: an application never is.
fn described<'a>(exchange: &Exchange<'a>) -> Result<&'a Description, Failure> {
    let url = exchange.local()?.base_url();
    let description = exchange.capauth.inner().description.get_or_init(|| Description::of(url));
    description.as_ref().ok_or_else(|| AuthErrorKind::Internal.into())
}

fn unless_known(
    exchange: &Exchange<'_>,
    description: &Description,
    whole: impl FnOnce() -> Response<Body>,
) -> Response<Body> {
    let mut response = match knows(exchange, &description.tag) {
        true => answer::empty(StatusCode::NOT_MODIFIED),
        false => whole(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, CACHING);
    headers.insert(header::ETAG, description.tag.clone());
    response
}

/// Whether the client has it already. A proxy that compresses makes the tag a weak one.
fn knows(exchange: &Exchange<'_>, tag: &HeaderValue) -> bool {
    let lines = exchange.parts.headers.get_all(header::IF_NONE_MATCH).iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).any(|known| {
        let known = known.trim_ascii();
        known == b"*" || known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes()
    })
}
