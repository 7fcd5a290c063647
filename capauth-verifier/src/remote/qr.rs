//! A login that another device signs: begun, answered and watched at the service; who signed in stands in its token.

use std::time::Duration;

use capauth_protocol::request::{QrChallengeRequest, QrDecision, QrVerifyRequest, VerifyRequest};
use capauth_protocol::response::{
    ChallengeResponse, QrChallengeResponse, QrStatusResponse, QrVerifyResponse,
};
use capauth_protocol::{Nonce, limits};

use super::Inner;
use super::challenge::check;
use super::fault::FaultKind;
use super::link::{Answer, Call, Proof};
use super::login::Verified;
use super::refusal::refusal;
use crate::error::{AuthError, AuthErrorKind};
use crate::qr::{QrAnswered, QrChallenge, QrStatus};
use crate::secret::Secret;
use crate::stores::QrEnd;
use crate::verifier::Caller;

const CHALLENGE: &str = "/capauth/v1/qr-challenge";
const VERIFY: &str = "/capauth/v1/qr-verify/";
const STATUS: &str = "/capauth/v1/qr-status/";

/// How often the service is asked for somebody who watches.
const ASK_EVERY: Duration = Duration::from_secs(1);

impl Inner {
    pub(super) async fn make_qr_challenge(
        &self,
        request: &QrChallengeRequest,
        caller: &Caller,
    ) -> Result<QrChallenge, AuthError> {
        self.found()?;
        // Whatever was asked for, people sign in here; and whoever asks knows where.
        let origin = request.origin.as_deref().ok_or(AuthErrorKind::InvalidOrigin)?;
        let asked =
            QrChallengeRequest { requested_service: self.own.to_string(), origin: Some(origin.to_owned()) };
        let call = Call::post(CHALLENGE, &asked).repeatable().of_login(caller);
        let answer = self.link.send(&call).await?;
        if !answer.is_success() {
            return Err(self.refused_qr(&answer));
        }
        let made: QrChallengeResponse = self.link.parse(&answer)?;
        let now = self.clock.now();
        let (challenge, code, poll_token) = parted(made);
        let echo = challenge.client_nonce_echo.clone();
        check(&challenge, (Some(&echo), Some(origin)), &self.own, false, now)
            .map_err(|words| self.link.fault(FaultKind::Challenge, words))?;
        if let Some(pinned) = self.expected.server_key {
            self.check_server_signature(&challenge, pinned, now).await?;
        }
        let is_code = code.len() == limits::QR_CODE_DIGITS && code.bytes().all(|b| b.is_ascii_digit());
        if !is_code || !is_poll_token(&poll_token) {
            return Err(self
                .broken("the central service's QR login has no proper code or poll token")
                .into());
        }
        Ok(QrChallenge {
            nonce: challenge.nonce,
            client_nonce: challenge.client_nonce_echo,
            origin: challenge.origin,
            timestamp: challenge.timestamp,
            service: challenge.service,
            expires: challenge.expires,
            code: Secret::new(code),
            poll_token: Secret::new(poll_token),
            server_signature: challenge.server_signature,
            server_public_key: challenge.server_public_key,
        })
    }

    pub(super) async fn answer_qr(
        &self,
        nonce: &Nonce,
        request: &QrVerifyRequest,
        caller: &Caller,
    ) -> Result<QrAnswered, AuthError> {
        self.found()?;
        let answer = VerifyRequest { redirect: None, refresh: false, ..request.answer.clone() };
        let request = QrVerifyRequest { answer, ..request.clone() };
        let call = Call::post(VERIFY, &request).rest(nonce.to_string()).of_login(caller);
        if call.length() > limits::MAX_BODY {
            return Err(AuthErrorKind::InvalidRequest.into());
        }
        let answer = self.link.send(&call).await?;
        if !answer.is_success() {
            return Err(self.refused_qr(&answer));
        }
        let answered: QrVerifyResponse = self.link.parse(&answer)?;
        Ok(match (answered.authenticated, request.decline) {
            (true, _) => QrAnswered::SignedIn,
            (false, true) => QrAnswered::Declined,
            (false, false) => QrAnswered::Waits,
        })
    }

    pub(super) async fn status_of_qr(
        &self,
        nonce: &Nonce,
        poll_token: &str,
        fetch: bool,
    ) -> Result<QrStatus, AuthError> {
        let found = self.found()?;
        if fetch {
            self.may_take_up(&found)?;
        }
        // Only what is there to be fetched takes a place among logins.
        let look = Call::get(STATUS).rest(format!("{nonce}?peek=true")).of_a_watcher();
        let mut told = self.ask_qr(look, poll_token).await?;
        if fetch && told.status == "authenticated" {
            // It is handed out once: sent twice, the second answer would be that it is gone.
            let call = Call::get(STATUS).rest(nonce.to_string()).of_a_login().once();
            told = self.ask_qr(call, poll_token).await?;
        }
        match told.status.as_str() {
            "authenticated" => {
                let QrStatusResponse { access_token, expires_in, is_new_enrollment, .. } = told;
                let Some(access_token) = access_token.filter(|_| fetch) else {
                    return Ok(QrStatus::Authenticated { login: None });
                };
                let verified = Verified {
                    authenticated: told.completed,
                    access_token,
                    expires_in: expires_in.unwrap_or_default(),
                    is_new_enrollment: is_new_enrollment.unwrap_or_default(),
                };
                let login = self.take_up(&found, verified).await?;
                Ok(QrStatus::Authenticated { login: Some(Box::new(login)) })
            }
            _ => self.undecided(&told),
        }
    }

    pub(super) async fn decide_qr(
        &self,
        nonce: &Nonce,
        poll_token: &str,
        decision: &QrDecision,
    ) -> Result<QrStatus, AuthError> {
        self.found()?;
        let call = Call::post(STATUS, decision).rest(nonce.to_string()).of_a_login();
        let told = self.ask_qr(call, poll_token).await?;
        match told.status.as_str() {
            "authenticated" => Ok(QrStatus::Authenticated { login: None }),
            _ => self.undecided(&told),
        }
    }

    /// The service tells of changes to whoever asks, and to nobody else: it is asked now and then, but for times at which it
    /// has enough to do. Whatever goes wrong is for whoever asks next to hear.
    pub(super) async fn qr_moved(
        &self,
        nonce: &Nonce,
        poll_token: &str,
        told: &QrStatus,
    ) -> Result<(), AuthError> {
        loop {
            tokio::time::sleep(ASK_EVERY).await;
            if self.link.is_busy_with_watchers() {
                continue;
            }
            match self.status_of_qr(nonce, poll_token, false).await {
                Ok(status) if status.is_where(told) => {}
                Ok(_) | Err(_) => return Ok(()),
            }
        }
    }

    async fn ask_qr(&self, call: Call<'_>, poll_token: &str) -> Result<QrStatusResponse, AuthError> {
        if !is_poll_token(poll_token) {
            return Err(AuthErrorKind::InvalidNonce.into());
        }
        let answer = self.link.send(&call.proof(Proof::Token(poll_token))).await?;
        if !answer.is_success() {
            return Err(self.refused_qr(&answer));
        }
        Ok(self.link.parse(&answer)?)
    }

    fn undecided(&self, told: &QrStatusResponse) -> Result<QrStatus, AuthError> {
        match (told.status.as_str(), told.reason.as_deref()) {
            ("pending", _) => Ok(QrStatus::Pending { waiting: told.fingerprint }),
            ("expired", Some(reason)) => Ok(QrStatus::Ended(QrEnd::of_word(reason))),
            ("expired", None) => Ok(QrStatus::Ended(QrEnd::Time)),
            _ => Err(self
                .broken("the central service tells of a QR login in words that are not CapAuth's")
                .into()),
        }
    }

    /// A service that has no such path, or was told to have none, offers no logins from another device.
    fn refused_qr(&self, answer: &Answer) -> AuthError {
        if answer.status == 404 {
            let words = "The central service does not offer logins from another device.";
            return AuthError::with_words(AuthErrorKind::NotFound, words);
        }
        refusal(&self.link, answer)
    }
}

/// The challenge in it, of which the same is demanded as of any other, though the nonce in the client's place is the service's
/// own; the code; the poll token. Where it leads is this application's to say.
fn parted(made: QrChallengeResponse) -> (ChallengeResponse, String, String) {
    let challenge = ChallengeResponse {
        capauth_version: made.capauth_qr,
        nonce: made.nonce,
        client_nonce_echo: made.client_nonce_echo,
        timestamp: made.timestamp,
        service: made.service,
        expires: made.expires,
        origin: made.origin,
        server_signature: made.server_signature,
        server_public_key: made.server_public_key,
        qr_payload: String::new(),
    };
    (challenge, made.code, made.poll_token)
}

fn is_poll_token(text: &str) -> bool {
    (1..=limits::MAX_POLL_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
