//! Sessions of browsers: a sealed cookie.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capauth_verifier::{AuthErrorKind, Sealer, Session, Timestamp};
use http::{HeaderMap, HeaderValue};

use crate::cookie::{self, Found};
use crate::refuse::Failure;

/// Its prefix makes browsers insist on TLS, this very host and the whole of it.
pub(crate) const SECURE_NAME: &str = "__Host-capauth";
/// Only read in the loopback mode, so that a cookie set without TLS is nothing to a server with it.
const INSECURE_NAME: &str = "capauth-insecure";

/// Seals sessions into cookies and opens them.
#[derive(Debug)]
pub(crate) struct Sessions {
    sealer: Sealer,
    issuer: String,
    service: String,
    secure: bool,
}

/// What a request's cookie says.
#[derive(Debug)]
pub(crate) enum Presented {
    /// There is no cookie of ours.
    Nothing,
    /// There is one, and it is not a session of this service.
    Stale,
    /// A session that was sealed here. Whether it still counts is the verifier's to say.
    Session(Box<Session>),
}

impl Sessions {
    pub(crate) fn new(sealer: Sealer, issuer: &str, service: &str, secure: bool) -> Self {
        Self { sealer, issuer: issuer.to_owned(), service: service.to_owned(), secure }
    }

    const fn name(&self) -> &'static str {
        if self.secure { SECURE_NAME } else { INSECURE_NAME }
    }

    fn context(&self) -> [&str; 2] {
        [&self.issuer, &self.service]
    }

    /// Whether a cookie of ours is there, whatever it says.
    pub(crate) fn has_cookie(&self, headers: &HeaderMap) -> bool {
        cookie::find(headers, self.name()) != Found::Nothing
    }

    pub(crate) fn read(&self, headers: &HeaderMap) -> Presented {
        match cookie::find(headers, self.name()) {
            Found::Nothing => Presented::Nothing,
            Found::Unbelievable => Presented::Stale,
            Found::One(value) => {
                self.open(value).map_or(Presented::Stale, |s| Presented::Session(Box::new(s)))
            }
        }
    }

    fn open(&self, value: &str) -> Option<Session> {
        let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
        let plain = self.sealer.open(&self.context(), &sealed).ok()?;
        serde_json::from_slice(&plain).ok()
    }

    /// The cookie for a login that succeeded just now.
    pub(crate) fn begin(&self, session: &Session, now: Timestamp) -> Result<HeaderValue, Failure> {
        if session.service != self.service {
            // A challenge for another service, answered here.
            return Err(AuthErrorKind::ServiceMismatch.into());
        }
        let plain = serde_json::to_vec(session).map_err(|_| AuthErrorKind::Internal)?;
        let sealed = self.sealer.seal(&self.context(), &plain).map_err(|_| AuthErrorKind::Internal)?;
        cookie::set(self.name(), &URL_SAFE_NO_PAD.encode(sealed), self.secure, session.expires.since(now))
            .ok_or_else(|| Failure::invalid("The claims are too long for a session. Share fewer of them."))
    }

    /// The cookie that takes a session away.
    pub(crate) fn clear(&self) -> Option<HeaderValue> {
        cookie::set(self.name(), "", self.secure, 0)
    }
}

#[cfg(test)]
mod tests {
    use capauth_protocol::OidcClaims;
    use capauth_verifier::{LocalVerifier, memory};
    use http::header;

    use super::*;

    #[tokio::test]
    async fn claims_too_long_for_a_cookie_make_no_session() {
        let stores = memory::stores().unwrap();
        let verifier = LocalVerifier::builder("app.example.com").stores(stores).build().await.unwrap();
        let sessions =
            Sessions::new(verifier.sealer("session"), "https://app.example.com", "app.example.com", true);
        let fingerprint = "0123456789ABCDEF0123456789ABCDEF01234567".parse().unwrap();
        let mut session = Session {
            jti: "j".to_owned(),
            service: "app.example.com".to_owned(),
            sub: fingerprint,
            fingerprint,
            generation: 1,
            epoch: 1,
            authenticated_at: verifier.now(),
            expires: verifier.now().plus(60),
            origin: None,
            qr: false,
            shared_groups: None,
            token: None,
            claims: OidcClaims::new(fingerprint.to_string(), fingerprint),
        };
        session.claims.name = Some("n".repeat(2048));
        let cookie = sessions.begin(&session, verifier.now()).unwrap();
        let sent = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, sent.parse().unwrap());
        assert!(matches!(sessions.read(&headers), Presented::Session(read) if *read == session));

        session.claims.name = Some("n".repeat(3072));
        let refused = sessions.begin(&session, verifier.now()).unwrap_err().into_response();
        assert_eq!(refused.status(), 400);
        session.claims.name = None;
        session.service = "b.example.com".to_owned();
        assert!(sessions.begin(&session, verifier.now()).is_err());
    }
}
