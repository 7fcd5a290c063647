//! Between actix-web's types, which are those of http 0.2, and everybody else's.

use actix_web::body::{BodyStream, SizedStream};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use capauth_tower::{AuthError, AuthErrorKind, Body, DECIDING_HEADERS, Mount, OriginalUri, Peer, Refused};
use futures_util::stream;
use http::request::Parts;
use http::uri::InvalidUri;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use http_body_util::BodyExt as _;

type ActixUri = actix_web::http::Uri;
type ActixValue = actix_web::http::header::HeaderValue;

/// A request as those see it who ask who sent it: no other headers decide that.
pub(crate) fn deciding(request: &HttpRequest) -> Result<Parts, Refused> {
    let mut parts = head(request)?;
    for name in DECIDING_HEADERS {
        for value in request.headers().get_all(name.as_str()) {
            append(&mut parts.headers, name.clone(), value)?;
        }
    }
    Ok(parts)
}

/// A request as the endpoints see it: with all its headers, and without the path that the endpoint of this template
/// is mounted under.
pub(crate) fn whole(request: &HttpRequest, template: &str) -> Result<Parts, Refused> {
    let mut parts = head(request)?;
    for (name, value) in request.headers() {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(unreadable)?;
        append(&mut parts.headers, name, value)?;
    }
    let (mount, rest) = unmounted(&parts.uri, template)?;
    parts.extensions.insert(mount);
    parts.extensions.insert(OriginalUri(std::mem::replace(&mut parts.uri, rest)));
    if let Some(peer) = request.peer_addr() {
        parts.extensions.insert(Peer(peer.ip()));
    }
    Ok(parts)
}

/// Method and URI. A request that has no equal among the neutral ones is refused: whatever would be made up for it
/// might be let through.
fn head(request: &HttpRequest) -> Result<Parts, Refused> {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = Method::from_bytes(request.method().as_str().as_bytes()).map_err(unreadable)?;
    parts.uri = uri(request.uri()).map_err(unreadable)?;
    Ok(parts)
}

fn uri(uri: &ActixUri) -> Result<Uri, InvalidUri> {
    match (uri.authority(), uri.path_and_query()) {
        (None, Some(path)) => path.as_str().parse(),
        _ => uri.to_string().parse(),
    }
}

/// By bytes: a value need not be text, and what is no text is for the neutral side to judge.
fn append(headers: &mut HeaderMap, name: HeaderName, value: &ActixValue) -> Result<(), Refused> {
    let value = HeaderValue::from_bytes(value.as_bytes()).map_err(unreadable)?;
    headers.try_append(name, value).map_err(unreadable)?;
    Ok(())
}

/// Parts a raw URI where the path of an endpoint begins: as many steps from the end as its template has. actix
/// compares decoded paths; whether the raw one is an endpoint's is not decided here.
fn unmounted(uri: &Uri, template: &str) -> Result<(Mount, Uri), Refused> {
    let (path, steps) = (uri.path(), template.matches('/').count());
    let start = path.rmatch_indices('/').take(steps).last().map_or(0, |(place, _)| place);
    let (mount, rest) = path.split_at_checked(start).unwrap_or(("", path));
    let rest = uri.query().map_or_else(|| rest.parse(), |query| format!("{rest}?{query}").parse());
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(rest.map_err(unreadable)?);
    Ok((Mount(mount.to_owned()), Uri::from_parts(parts).map_err(unreadable)?))
}

fn unreadable<E>(_: E) -> Refused {
    AuthError::from(AuthErrorKind::InvalidRequest).into()
}

/// A neutral answer as actix-web's.
pub(crate) fn response(response: http::Response<Body>) -> HttpResponse {
    let (parts, body) = response.into_parts();
    let status = StatusCode::from_u16(parts.status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = HttpResponse::build(status);
    for (name, value) in &parts.headers {
        // Not `insert_header`: several cookies may be set.
        builder.append_header((name.as_str(), value.as_bytes()));
    }
    if body.is_streamed() {
        return builder.body(BodyStream::new(body.into_data_stream()));
    }
    match length(&parts.headers).filter(|_| body.bytes().is_empty()) {
        // An answer to HEAD: actix writes the length of the body, so this one has a length and nothing in it.
        Some(length) => builder.body(SizedStream::new(length, stream::empty::<actix_web::Result<_>>())),
        None => builder.body(body.into_bytes()),
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn every_header_of_an_answer_survives_each_in_its_order() {
        let mut answer = http::Response::new(Body::from("text"));
        *answer.status_mut() = http::StatusCode::IM_A_TEAPOT;
        for (name, value) in [("set-cookie", "a=1"), ("x-other", "x"), ("set-cookie", "b=2")] {
            answer.headers_mut().append(name, HeaderValue::from_static(value));
        }
        answer.headers_mut().insert("x-bytes", HeaderValue::from_bytes(b"\xff").unwrap());
        let answer = response(answer);
        assert_eq!(answer.status().as_u16(), 418);
        let cookies: Vec<_> = answer.headers().get_all("set-cookie").map(ActixValue::as_bytes).collect();
        assert_eq!(cookies, [b"a=1", b"b=2"]);
        assert_eq!(answer.headers().get("x-bytes").unwrap().as_bytes(), b"\xff");
    }

    #[test]
    fn those_who_ask_get_the_deciding_headers_and_no_others() {
        let mut request = TestRequest::with_uri("/a?b=c").method(actix_web::http::Method::PATCH);
        for name in DECIDING_HEADERS {
            request = request.append_header((name.as_str(), "1")).append_header((name.as_str(), "2"));
        }
        let parts = deciding(&request.append_header(("x-other", "x")).to_http_request()).unwrap();
        assert_eq!((parts.method, parts.uri), (Method::PATCH, Uri::from_static("/a?b=c")));
        for name in DECIDING_HEADERS {
            assert!(parts.headers.get_all(&name).iter().eq(["1", "2"]), "{name}");
        }
        assert_eq!(parts.headers.len(), 2 * DECIDING_HEADERS.len());
    }

    #[test]
    fn the_endpoints_see_their_own_path_and_are_told_the_rest() {
        let groups = "/capauth/v1/keys/{fingerprint}/groups";
        for (uri, template, mount, path) in [
            ("/health", "/health", "", "/health"),
            ("/app/health?x=/y", "/health", "/app", "/health"),
            ("/a/b%20c/capauth/v1/keys/AB/groups", groups, "/a/b%20c", "/capauth/v1/keys/AB/groups"),
            ("http://a.example/app/health", "/health", "/app", "/health"),
            // Not an endpoint's, though actix may find so: for the endpoints to say.
            ("/h%65alth", "/health", "", "/h%65alth"),
            ("/v1/x", groups, "", "/v1/x"),
        ] {
            let request = TestRequest::with_uri(uri).peer_addr("192.0.2.7:80".parse().unwrap());
            let parts = whole(&request.to_http_request(), template).unwrap();
            assert_eq!(parts.extensions.get(), Some(&Mount(mount.to_owned())), "{uri}");
            assert_eq!(parts.uri.path(), path, "{uri}");
            assert_eq!(parts.extensions.get(), Some(&OriginalUri(uri.parse().unwrap())));
            assert_eq!(parts.uri.query(), uri.split_once('?').map(|(_, query)| query));
            assert_eq!(parts.extensions.get(), Some(&Peer("192.0.2.7".parse().unwrap())));
        }
    }
}
