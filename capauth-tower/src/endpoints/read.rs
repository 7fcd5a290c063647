//! Reading a body, within limits of size and time.

use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use capauth_protocol::limits::MAX_BODY;
use capauth_protocol::{ErrorCode, Refusal};
use http::request::Parts;
use http::{Method, header};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::table::Call;
use crate::BoxError;

/// How long a client may take to send a body.
const PATIENCE: Duration = Duration::from_secs(10);

/// What can be said against a body from the headers alone: a client that waits for `100 Continue` hears it at once.
pub(super) fn check(parts: &Parts, call: Call) -> Result<(), Refusal> {
    if !has_body(&parts.method) {
        return Ok(());
    }
    let length = content_length(parts);
    if length.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    // A page's form, or a client with nothing to say, ends a session and asks who it is without any body.
    let without = matches!(call, Call::LoginLogout | Call::Logout | Call::UserInfo);
    if without || parts.method == Method::DELETE {
        return Ok(());
    }
    check_type(parts, call)
}

/// OAuth's token request is a form, and may be JSON here; the login page's is one, and nothing else; everything else is
/// JSON.
fn check_type(parts: &Parts, call: Call) -> Result<(), Refusal> {
    let (fits, words) = match call {
        Call::LoginPage => (is_form(parts), "Send the form as application/x-www-form-urlencoded."),
        Call::Token => (is_json(parts) || is_form(parts), "Send the body as application/json."),
        _ => (is_json(parts), "Send the body as application/json."),
    };
    if fits { Ok(()) } else { Err(Refusal::new(ErrorCode::UnsupportedMediaType, words)) }
}

/// The body of a request whose method has one, read to its end.
pub(super) async fn body<B>(parts: &Parts, call: Call, body: B) -> Result<Bytes, Refusal>
where
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    if !has_body(&parts.method) {
        return Ok(Bytes::new());
    }
    let whole = pin!(gather(Limited::new(body, MAX_BODY)));
    let bytes = match tokio::time::timeout(PATIENCE, whole).await {
        Err(_) => return Err(Refusal::new(ErrorCode::InvalidRequest, "The body did not arrive in time.")),
        Ok(Err(error)) if is_length_limit(error.as_ref()) => return Err(too_large()),
        Ok(Err(_)) => return Err(Refusal::new(ErrorCode::InvalidRequest, "The body did not arrive whole.")),
        Ok(Ok(bytes)) => bytes,
    };
    if !bytes.is_empty() {
        check_type(parts, call)?;
    }
    Ok(bytes)
}

/// Puts the pieces of a body into one buffer as they come: kept one by one, pieces of a byte would each cost forty.
async fn gather<B>(body: Limited<B>) -> Result<Bytes, BoxError>
where
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    let mut body = pin!(body);
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.as_mut().frame().await {
        if let Ok(data) = frame?.into_data() {
            bytes.put(data);
        }
    }
    Ok(bytes.freeze())
}

fn has_body(method: &Method) -> bool {
    *method != Method::GET && *method != Method::HEAD
}

fn content_length(parts: &Parts) -> Option<u64> {
    parts.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_json(parts: &Parts) -> bool {
    is_of_type(parts, b"application/json")
}

pub(super) fn is_form(parts: &Parts) -> bool {
    is_of_type(parts, b"application/x-www-form-urlencoded")
}

/// Whether the one `Content-Type` is this, with or without parameters.
fn is_of_type(parts: &Parts, wanted: &[u8]) -> bool {
    let mut values = parts.headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(wanted)
}

fn too_large() -> Refusal {
    Refusal::new(ErrorCode::PayloadTooLarge, format!("The body is larger than {MAX_BODY} bytes."))
}

/// Frameworks wrap errors, and a limit outside of ours raises the same one.
fn is_length_limit(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    // A chain that leads back into itself ends here.
    for _ in 0..16 {
        match next {
            Some(error) if error.is::<LengthLimitError>() => return true,
            Some(error) => next = error.source(),
            None => break,
        }
    }
    false
}
