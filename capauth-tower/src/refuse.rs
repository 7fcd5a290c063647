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
    Said::of(error).in_json(None)
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

/// A refusal that is counted, and logged where it is a fault: what the client hears, in JSON or on a page.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) refusal: Refusal,
    /// Seconds after which another try may be worth it, where somebody knows.
    pub(crate) wait: Option<u64>,
    kind: Option<AuthErrorKind>,
}

impl Said {
    fn of(error: &AuthError) -> Self {
        let kind = error.kind();
        let refusal = if is_fault(kind.code()) { fault(error) } else { error.to_refusal() };
        tracing::debug!(target: "capauth::refusal", kind = kind.as_str(), "refused");
        counts::refused(kind);
        Self { refusal, wait: error.seconds_to_wait(), kind: Some(kind) }
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whether its words have an id under which the log says more.
    pub(crate) fn is_fault(&self) -> bool {
        is_fault(self.refusal.code)
    }

    /// Seconds after which to come back, where that helps.
    pub(crate) fn seconds_to_wait(&self) -> Option<u64> {
        (self.status() == StatusCode::TOO_MANY_REQUESTS).then(|| self.wait.unwrap_or(RETRY_AFTER))
    }

    /// The answer as JSON.
    pub(crate) fn in_json(self, ok: Option<bool>) -> Response<Body> {
        let body = ErrorBody::from(self.refusal.clone());
        let mut response = answer::json(self.status(), &Told { ok, body });
        self.mark(&mut response);
        response
    }

    /// Gives an answer the status and the headers of this refusal.
    pub(crate) fn mark(&self, response: &mut Response<Body>) {
        *response.status_mut() = self.status();
        if self.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.seconds_to_wait() {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(kind) = self.kind {
            response.extensions_mut().insert(kind);
        }
    }
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

    /// Counts it, logs it where it is a fault, and says what the client hears.
    pub(crate) fn say(self) -> Said {
        match self {
            Self::Auth(error) => Said::of(&error),
            Self::Request(refusal) => {
                counts::malformed(refusal.code);
                Said { refusal, wait: None, kind: None }
            }
        }
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        self.say().in_json(None)
    }

    /// The same for a failed login, whose answer says `ok: false`.
    pub(crate) fn into_login_response(self) -> Response<Body> {
        self.say().in_json(Some(false))
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
