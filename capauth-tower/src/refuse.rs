//! How a refusal is told to the client, and what of it stands in the log.

use std::fmt;

use capauth_protocol::{ErrorBody, ErrorCode, Refusal};
use capauth_verifier::{AuthError, AuthErrorKind};
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::answer;
use crate::body::Body;
use crate::counts;

/// The answer to a request that is refused: status, JSON and headers.
///
/// Its [`AuthErrorKind`] is among the response's extensions. A fault of the server is logged with its cause and an
/// id under the target `capauth::refusal`; the client hears the id and nothing else.
pub fn refuse(error: &AuthError) -> Response<Body> {
    let kind = error.kind();
    let code = kind.code();
    let refusal = if is_fault(code) { fault(error) } else { error.to_refusal() };
    tracing::debug!(target: "capauth::refusal", kind = kind.as_str(), "refused");
    counts::refused(kind);
    let mut response = told(refusal, None, error.seconds_to_wait());
    response.extensions_mut().insert(kind);
    response
}

/// Logs a fault and answers what the client hears of it.
fn fault(error: &AuthError) -> Refusal {
    let mut id = [0; 6];
    // Without randomness the id tells nothing, and the log still does.
    let _ = getrandom::fill(&mut id);
    let id = hex::encode(id);
    let cause = Causes(error);
    tracing::error!(target: "capauth::refusal", kind = error.kind().as_str(), %id, %cause, "a request failed");
    Refusal::new(error.kind().code(), format!("The server could not answer. Its log says why, under {id}."))
}

fn is_fault(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::ServerError | ErrorCode::Unavailable)
}

/// An error and what caused it, in one line.
struct Causes<'a>(&'a AuthError);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = std::error::Error::source(self.0);
        // A chain that leads back into itself must not keep the log busy.
        for _ in 0..8 {
            let Some(error) = next else { break };
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}

/// Seconds after which another try may be worth it, where nobody knows better.
const RETRY_AFTER: u64 = 60;

/// `ok: false` stands before the error where a login fails.
#[derive(Serialize)]
struct Told {
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<bool>,
    #[serde(flatten)]
    body: ErrorBody,
}

fn told(refusal: Refusal, ok: Option<bool>, seconds_to_wait: Option<u64>) -> Response<Body> {
    let status = StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = answer::json(status, &Told { ok, body: refusal.into() });
    let headers = response.headers_mut();
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        StatusCode::TOO_MANY_REQUESTS => {
            headers.insert(header::RETRY_AFTER, seconds_to_wait.unwrap_or(RETRY_AFTER).into());
        }
        _ => {}
    }
    response
}

/// Why an endpoint or a guard does not do what it was asked to.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The verifier's decision, or ours.
    Auth(AuthError),
    /// The request is not of the protocol's form.
    Request(Refusal),
}

impl Failure {
    pub(crate) fn invalid(words: &'static str) -> Self {
        Self::Request(Refusal::new(ErrorCode::InvalidRequest, words))
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        match self {
            Self::Auth(error) => refuse(&error),
            Self::Request(refusal) => {
                counts::malformed(refusal.code);
                told(refusal, None, None)
            }
        }
    }

    /// The same for a failed login, whose answer says `ok: false`.
    pub(crate) fn into_login_response(self) -> Response<Body> {
        let error = match self {
            Self::Auth(error) => error,
            Self::Request(refusal) => {
                counts::malformed(refusal.code);
                return told(refusal, Some(false), None);
            }
        };
        let kind = error.kind();
        counts::refused(kind);
        let refusal = if is_fault(kind.code()) { fault(&error) } else { error.to_refusal() };
        let mut response = told(refusal, Some(false), error.seconds_to_wait());
        response.extensions_mut().insert(kind);
        response
    }
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        Self::Auth(error)
    }
}

impl From<AuthErrorKind> for Failure {
    fn from(kind: AuthErrorKind) -> Self {
        Self::Auth(kind.into())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Request(refusal)
    }
}

/// A refusal, ready to be sent.
#[derive(Debug, Clone)]
pub struct Refused(Box<Response<Body>>);

impl Refused {
    pub(crate) fn new(error: &AuthError) -> Self {
        Self(Box::new(refuse(error)))
    }

    /// The refusal of a guard that finds no [`CapAuth`](crate::CapAuth) in the application: 500, whoever asks. `fix`
    /// stands in the log and says what to add.
    pub fn not_mounted(fix: &'static str) -> Self {
        Self::new(&AuthError::because(AuthErrorKind::Internal, fix))
    }

    /// Sends a browser to the login page, by 303.
    pub(crate) fn see_login(location: &str) -> Self {
        let mut response = answer::empty(StatusCode::SEE_OTHER);
        match HeaderValue::try_from(location) {
            Ok(location) => response.headers_mut().insert(header::LOCATION, location),
            Err(_) => return Self::new(&AuthErrorKind::Unauthenticated.into()),
        };
        response.extensions_mut().insert(AuthErrorKind::Unauthenticated);
        counts::refused(AuthErrorKind::Unauthenticated);
        Self(Box::new(response))
    }

    /// Adds a cookie that clears a session.
    pub(crate) fn clearing(mut self, cookie: Option<HeaderValue>) -> Self {
        if let Some(cookie) = cookie {
            self.0.headers_mut().append(header::SET_COOKIE, cookie);
        }
        self
    }

    /// Why.
    pub fn kind(&self) -> AuthErrorKind {
        self.0.extensions().get().copied().unwrap_or(AuthErrorKind::Internal)
    }

    /// The answer.
    pub fn into_response(self) -> Response<Body> {
        *self.0
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        AuthError::new(self.kind()).fmt(f)
    }
}

impl std::error::Error for Refused {}

impl From<AuthError> for Refused {
    fn from(error: AuthError) -> Self {
        Self::new(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(response: &Response<Body>) -> String {
        format!("{:?} {}", response.headers(), String::from_utf8_lossy(response.body().bytes()))
    }

    #[test]
    fn a_cause_reaches_neither_body_nor_headers_and_faults_have_an_id_each() {
        let error = || AuthError::because(AuthErrorKind::Unavailable, "MARKER");
        let responses = [refuse(&error()), Failure::Auth(error()).into_login_response()];
        for response in &responses {
            assert_eq!(response.status(), 503);
            assert!(!text(response).contains("MARKER"));
            assert_eq!(response.extensions().get(), Some(&AuthErrorKind::Unavailable));
        }
        assert_ne!(responses[0].body().bytes(), responses[1].body().bytes());
        assert!(text(&responses[1]).contains(r#"{"ok":false,"error":"server_error""#));
        assert!(Causes(&error()).to_string().contains("MARKER"), "the log hears it");
    }

    #[test]
    fn every_refusal_has_the_protocols_form_and_our_headers() {
        let response = refuse(&AuthErrorKind::Unauthenticated.into());
        assert_eq!(response.status(), 401);
        for (name, value) in [
            ("www-authenticate", "Bearer"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("content-type", "application/json"),
        ] {
            assert_eq!(response.headers()[name], value);
        }
        assert!(text(&response).contains(r#""error":"invalid_token""#));
        assert!(!refuse(&AuthErrorKind::Forbidden.into()).headers().contains_key("www-authenticate"));
    }
}
