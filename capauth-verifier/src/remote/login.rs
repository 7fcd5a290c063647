//! A login: the service judges the answer to its challenge, and the token it gives for it is judged here.

use capauth_protocol::limits::MAX_BODY;
use capauth_protocol::request::VerifyRequest;
use capauth_protocol::response::VerifyResponse;
use serde::Deserialize;

use super::Inner;
use super::discovery::{Found, Way};
use super::fault::{Fault, FaultKind};
use super::introspection::NotGood;
use super::link::Call;
use super::refusal::refusal;
use crate::error::{AuthError, AuthErrorKind};
use crate::verifier::{Caller, Login};

const PATH: &str = "/capauth/v1/verify";
/// The longest that an older service's token counts, in seconds.
const OLDER_LIFETIME: u64 = 3600;

/// What is read of the answer. Who signed in stands in the token, and nowhere else.
#[derive(Deserialize)]
pub(super) struct Verified {
    pub(super) authenticated: bool,
    pub(super) access_token: String,
    #[serde(default)]
    pub(super) expires_in: u64,
    #[serde(default)]
    pub(super) is_new_enrollment: bool,
}

impl Inner {
    pub(super) async fn log_in(&self, request: &VerifyRequest, caller: &Caller) -> Result<Login, AuthError> {
        let found = self.found()?;
        self.may_take_up(&found)?;
        // Where the person goes afterwards is between them and this application.
        let request = VerifyRequest { redirect: None, refresh: false, ..request.clone() };
        let call = Call::post(PATH, &request).of_login(caller);
        if call.length() > MAX_BODY {
            return Err(AuthErrorKind::InvalidRequest.into());
        }
        let answer = self.link.send(&call).await?;
        if !answer.is_success() {
            return Err(refusal(&self.link, &answer));
        }
        let verified: Verified = self.link.parse(&answer)?;
        let login = self.take_up(&found, verified).await?;
        if login.who.fingerprint() != request.fingerprint {
            let words = "the central service answers a login with another person's token";
            return Err(self.broken(words).into());
        }
        Ok(login)
    }

    /// A login that could not be taken up must not use the challenge up.
    pub(super) fn may_take_up(&self, found: &Found) -> Result<(), AuthError> {
        if found.way == Way::Keys && !self.feed.is_fresh(super::link::millis(self.clock.now())) {
            return Err(NotGood::Stale.into());
        }
        Ok(())
    }

    /// Who signed in: by the token that the service gives for it, and by nothing beside it.
    pub(super) async fn take_up(&self, found: &Found, verified: Verified) -> Result<Login, AuthError> {
        if !verified.authenticated {
            return Err(self
                .broken("the central service answers a login with neither a yes nor a no")
                .into());
        }
        let expires_in = verified.expires_in.min(OLDER_LIFETIME);
        let (who, ends) = self
            .who_logged_in(found, &verified.access_token, expires_in)
            .await
            .map_err(|reason| self.not_taken(reason))?;
        let response = VerifyResponse {
            authenticated: true,
            fingerprint: who.fingerprint(),
            oidc_claims: who.claims().clone(),
            access_token: verified.access_token,
            token_type: VerifyResponse::TOKEN_TYPE.to_owned(),
            expires_in: ends.since(self.clock.timestamp()),
            is_new_enrollment: verified.is_new_enrollment,
            refresh_token: None,
        };
        Ok(Login { response, who })
    }

    pub(super) fn broken(&self, words: &'static str) -> Fault {
        self.link.fault(FaultKind::Malformed, words)
    }

    /// A token fresh from the service that is not good is the service's fault, never the person's.
    fn not_taken(&self, reason: NotGood) -> AuthError {
        let fault = match reason {
            NotGood::Unknown(fault) => fault,
            NotGood::Stale => return NotGood::Stale.into(),
            NotGood::Token => self.broken(
                "the central service answers a login with a token that is not good here; are both clocks right?",
            ),
            NotGood::Issuer => self.link.fault(
                FaultKind::Issuer,
                "the central service answers a login with another issuer's token; is `.issuer` its base URL?",
            ),
            NotGood::Audience => {
                // Whoever answers another application's challenge here gets its token. Should it be the service that
                // mistakes us for somebody else, the count tells.
                let fault = self.link.fault(
                    FaultKind::Audience,
                    "the central service answers a login with a token for another service",
                );
                return AuthError::because(AuthErrorKind::ServiceMismatch, fault);
            }
        };
        fault.into()
    }
}
