//! Logins that another device signs.
//!
//! Where the QR code is shown, a code of six digits and a poll token are kept; neither stands in the QR code. Whoever answers
//! is judged as at any login, before the code is looked at: so a code can only be tried by who proves possession of a key
//! that may sign in, or may ask to, and three wrong ones end the login. Without the code the answer waits until the person confirms the
//! fingerprint they see; it is judged anew then.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use capauth_protocol::request::{QrChallengeRequest, QrDecision, QrVerifyRequest, VerifyRequest};
use capauth_protocol::response::VerifyResponse;
use capauth_protocol::{Nonce, limits};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::LocalVerifier;
use super::login::{Answer, Judged};
use super::taken::Taken;
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind};
use crate::qr::{QrAnswered, QrChallenge, QrStatus};
use crate::secret::Secret;
use crate::stores::{AddressPrefix, QrEnd, QrLogin, QrRow, QrState, Tried};
use crate::verifier::{Caller, Login, Session};

/// Seconds for which a result can be fetched.
const FETCHED_WITHIN: u64 = 60;
/// Steps that a login can take in all, so that whoever tries again has seen it move: three failures, an answer that waits
/// between each, one that is taken, its end, and its result fetched.
const STEPS: usize = 16;
/// What answers and results are sealed for.
const SEALED: &str = "qr login";
/// One more than the greatest code.
const CODES: u32 = 1_000_000;

/// An answer that waits for the click.
#[derive(Serialize, Deserialize)]
struct Held {
    /// The request, as JSON.
    request: String,
    /// Whence it came, for the places of new keys.
    address: Option<IpAddr>,
}

/// A login that waits to be fetched.
#[derive(Serialize, Deserialize)]
struct Done {
    session: Session,
    response: VerifyResponse,
    made: Timestamp,
}

fn unknown() -> AuthError {
    AuthError::new(AuthErrorKind::InvalidNonce)
}

fn internal<E>(_: E) -> AuthError {
    AuthError::new(AuthErrorKind::Internal)
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, AuthError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut()).map_err(internal)?;
    Ok(bytes)
}

/// Six digits, each number as likely as any other.
fn new_code() -> Result<Secret, AuthError> {
    // Numbers above the last whole million would make small codes likelier.
    const EVEN: u32 = u32::MAX - u32::MAX % CODES;
    loop {
        let number = u32::from_le_bytes(*random()?);
        if number < EVEN {
            return Ok(Secret::new(format!("{:0width$}", number % CODES, width = limits::QR_CODE_DIGITS)));
        }
    }
}

fn poll_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl LocalVerifier {
    pub(super) async fn make_qr_challenge(
        &self,
        request: &QrChallengeRequest,
        caller: &Caller,
    ) -> Result<QrChallenge, AuthError> {
        self.limits.challenge(caller, None)?;
        let service = self.services.resolve(&request.requested_service, caller.host.as_deref())?;
        let first = self.services.origins(&service).and_then(|origins| origins.first());
        let origin = request.origin.as_deref().or(first.map(String::as_str));
        let origin = self.checked_origin(&service, origin)?.ok_or(AuthErrorKind::InvalidOrigin)?.to_owned();
        let (now, nonce) = (self.now(), Nonce::from_random_bytes(*random()?));
        let code = new_code()?;
        let poll_token = Secret::new(URL_SAFE_NO_PAD.encode(random::<32>()?.as_slice()));
        let login = QrLogin {
            nonce,
            client_nonce: STANDARD.encode(random::<16>()?.as_slice()).into(),
            timestamp: now,
            service: Arc::clone(&service),
            expires: now.plus(limits::QR_TTL_SECONDS),
            origin: origin.as_str().into(),
            prefix: AddressPrefix::of(caller.address),
            code_hash: self.code_hash(&nonce, code.expose()),
            poll_hash: poll_hash(poll_token.expose()),
        };
        let mut challenge = QrChallenge {
            nonce: nonce.to_string(),
            client_nonce: login.client_nonce.to_string(),
            origin,
            timestamp: login.timestamp.to_string(),
            service: service.to_string(),
            expires: login.expires.to_string(),
            code,
            poll_token,
            server_signature: String::new(),
            server_public_key: String::new(),
        };
        if let Some(key) = &self.server_key {
            challenge.server_signature = key.sign(&challenge.payload().to_text(), self.clock.now())?;
            challenge.server_public_key = key.armored_certificate().to_owned();
        }
        self.stores.qr.put(login, now).await?;
        self.counts.challenges.increment(1);
        Ok(challenge)
    }

    /// What is kept of a code: who gets to see it cannot try a million.
    fn code_hash(&self, nonce: &Nonce, code: &str) -> [u8; 32] {
        self.stores.master_key.keyed_hash("qr code", &[nonce.as_bytes(), code.as_bytes()].concat())
    }

    /// As [`log_in`](Self::log_in), but that the code, or a click, comes between judging and taking.
    pub(super) async fn answer_qr(
        &self,
        nonce: &Nonce,
        request: &QrVerifyRequest,
        caller: &Caller,
    ) -> Result<QrAnswered, AuthError> {
        self.do_what_is_due().await;
        let now = self.clock.now();
        // Another device signs in a page, and pages renew nothing.
        let answer = &VerifyRequest { refresh: false, ..request.answer.clone() };
        self.refuse_server_keys([answer.fingerprint])?;
        let row = self.stores.qr.get(nonce).await?.ok_or_else(unknown)?;
        if answer.nonce != *nonce || !self.knows_service(&row.login.service) {
            return Err(unknown());
        }
        self.answerable(&row)?;
        let challenge = row.login.challenge_for(answer.fingerprint);
        let judged = self.judge_answer(answer, &challenge, now).await?;
        self.could_come_in(judged.known(), answer.enrollment_code.as_deref()).await?;
        let code = request.code.as_deref().map(|code| self.code_hash(nonce, code));
        match (code, request.decline) {
            (Some(code), false) => {
                self.try_code(nonce, &code, false).await?;
                let taken = Taken::new(&self.stores.qr, *nonce);
                let answer = Answer { challenge: &challenge, request: answer, caller, by_qr: true };
                self.sign_in_by_qr(&row.login, taken, answer, judged).await?;
                Ok(QrAnswered::SignedIn)
            }
            (None, false) => self.hold(&row.login, answer, caller).await,
            (Some(code), true) => {
                self.try_code(nonce, &code, true).await?;
                Ok(QrAnswered::Declined)
            }
            (None, true) => {
                let key = &answer.fingerprint;
                self.move_qr(nonce, |row| row.state.declined_by(key, false).map(|next| (next, ()))).await?;
                Ok(QrAnswered::Declined)
            }
        }
    }

    /// Whether an answer can still come.
    fn answerable(&self, row: &QrRow) -> Result<(), AuthError> {
        if !row.state.is_open() {
            return Err(unknown());
        }
        if row.login.expires <= self.now() {
            return Err(AuthErrorKind::ExpiredNonce.into());
        }
        Ok(())
    }

    /// Takes a step, as long as there is one to take; of any number that race each step is one's.
    async fn move_qr<T: Send>(
        &self,
        nonce: &Nonce,
        step: impl Fn(&QrRow) -> Option<(QrState, T)> + Send + Sync,
    ) -> Result<T, AuthError> {
        for _ in 0..STEPS {
            let row = self.stores.qr.get(nonce).await?.ok_or_else(unknown)?;
            self.answerable(&row)?;
            let (next, what) = step(&row).ok_or_else(|| {
                AuthError::with_words(
                    AuthErrorKind::Conflict,
                    "Another answer waits for the click on the other device, or none of this key does.",
                )
            })?;
            if self.stores.qr.replace(nonce, row.version, next).await? {
                return Ok(what);
            }
        }
        Err(AuthErrorKind::Internal.into())
    }

    /// Counts a code. The right one takes the login, or ends it where it is declined.
    async fn try_code(&self, nonce: &Nonce, code: &[u8; 32], declines: bool) -> Result<(), AuthError> {
        let tried = self.move_qr(nonce, |row| {
            let is_right = row.login.code_hash.ct_eq(code).into();
            let (next, tried) = row.state.with_code(is_right)?;
            Some((if is_right && declines { QrState::Ended(QrEnd::Declined) } else { next }, tried))
        });
        match tried.await? {
            Tried::Right => Ok(()),
            Tried::Wrong => Err(AuthErrorKind::InvalidCode.into()),
        }
    }

    /// Lets an answer wait for the click.
    async fn hold(
        &self,
        login: &QrLogin,
        answer: &VerifyRequest,
        caller: &Caller,
    ) -> Result<QrAnswered, AuthError> {
        let request = serde_json::to_string(answer).map_err(internal)?;
        let sealed = self.seal_for(login, &Held { request, address: caller.address })?;
        let key = answer.fingerprint;
        self.move_qr(&login.nonce, |row| {
            row.state.with_answer(key, Arc::clone(&sealed)).map(|next| (next, ()))
        })
        .await?;
        Ok(QrAnswered::Waits)
    }

    /// Whoever took the login is let in, or it ends.
    async fn sign_in_by_qr(
        &self,
        login: &QrLogin,
        taken: Taken,
        answer: Answer<'_>,
        judged: Judged,
    ) -> Result<(), AuthError> {
        let outcome = self.let_in_by(answer, judged, self.clock.now()).await;
        if let Ok(done) = &outcome {
            self.counts.login_by_qr(done.response.is_new_enrollment);
        }
        let outcome = outcome.and_then(|done| self.result(login, &done));
        let ended = outcome.as_ref().map_or(QrState::Ended(QrEnd::Refused), Clone::clone);
        taken.becomes(ended).await?;
        outcome.map(drop)
    }

    fn result(&self, login: &QrLogin, done: &Login) -> Result<QrState, AuthError> {
        let made = self.now();
        let result = Done { session: done.who.session().clone(), response: done.response.clone(), made };
        Ok(QrState::SignedIn { result: self.seal_for(login, &result)?, until: made.plus(FETCHED_WITHIN) })
    }

    /// The login of this name, for whoever holds its poll token. Another token hears what an unknown name hears.
    async fn polled(&self, nonce: &Nonce, poll_token: &str) -> Result<QrRow, AuthError> {
        let hash = poll_hash(poll_token);
        let row = self.stores.qr.get(nonce).await?.ok_or_else(unknown)?;
        if !row.login.is_polled_by(&hash) || !self.knows_service(&row.login.service) {
            return Err(unknown());
        }
        Ok(row)
    }

    pub(super) async fn status_of_qr(
        &self,
        nonce: &Nonce,
        poll_token: &str,
        fetch: bool,
    ) -> Result<QrStatus, AuthError> {
        for _ in 0..STEPS {
            let row = self.polled(nonce, poll_token).await?;
            match &row.state {
                QrState::SignedIn { result, until } if fetch && *until > self.now() => {
                    // Opened before it is used up: a store that is gone for a moment must not cost the login.
                    let status = self.fetched(&row.login, result).await?;
                    let next = match &status {
                        QrStatus::Ended(end) => QrState::Ended(*end),
                        _ => QrState::Fetched,
                    };
                    if self.stores.qr.replace(nonce, row.version, next).await? {
                        return Ok(status);
                    }
                }
                _ => return Ok(self.told(&row)),
            }
        }
        Err(AuthErrorKind::Internal.into())
    }

    fn told(&self, row: &QrRow) -> QrStatus {
        let now = self.now();
        match &row.state {
            QrState::Open { .. } | QrState::Waiting { .. } | QrState::Taken if row.login.expires <= now => {
                QrStatus::Ended(QrEnd::Time)
            }
            QrState::Waiting { fingerprint, .. } => QrStatus::Pending { waiting: Some(*fingerprint) },
            QrState::Open { .. } | QrState::Taken => QrStatus::Pending { waiting: None },
            QrState::SignedIn { until, .. } if *until <= now => QrStatus::Ended(QrEnd::Time),
            QrState::SignedIn { .. } | QrState::Fetched => QrStatus::Authenticated { login: None },
            QrState::Ended(end) => QrStatus::Ended(*end),
        }
    }

    /// Opens a result. The key may have been revoked since, or a group taken away.
    async fn fetched(&self, login: &QrLogin, result: &[u8]) -> Result<QrStatus, AuthError> {
        let Done { session, mut response, made } = self.open_for(login, result)?;
        let who = match self.authorize(&session, self.clock.now()).await {
            Ok(who) => who,
            Err(error) if error.kind().code().status() >= 500 => return Err(error),
            Err(_) => return Ok(QrStatus::Ended(QrEnd::Refused)),
        };
        response.expires_in = response.expires_in.saturating_sub(self.now().since(made));
        Ok(QrStatus::Authenticated { login: Some(Box::new(Login { response, who })) })
    }

    pub(super) async fn decide_qr(
        &self,
        nonce: &Nonce,
        poll_token: &str,
        decision: &QrDecision,
    ) -> Result<QrStatus, AuthError> {
        self.do_what_is_due().await;
        let login = self.polled(nonce, poll_token).await?.login;
        match decision {
            QrDecision::Decline => {
                self.move_qr(nonce, |row| row.state.turned_down().map(|next| (next, ()))).await?;
            }
            QrDecision::Confirm(key) => {
                let answer = self.move_qr(nonce, |row| row.state.confirmed(key)).await?;
                self.sign_in_held(&login, Taken::new(&self.stores.qr, *nonce), &answer).await?;
            }
        }
        self.status_of_qr(nonce, poll_token, false).await
    }

    /// Judges an answer that waited once more: its key may have been revoked meanwhile.
    async fn sign_in_held(&self, login: &QrLogin, taken: Taken, answer: &[u8]) -> Result<(), AuthError> {
        let judged = async {
            let Held { request, address } = self.open_for(login, answer)?;
            let request = VerifyRequest::parse(request.as_bytes()).map_err(internal)?;
            let challenge = login.challenge_for(request.fingerprint);
            let judged = self.judge_answer(&request, &challenge, self.clock.now()).await?;
            Ok((request, challenge, Caller { address, ..Caller::default() }, judged))
        };
        match judged.await {
            Ok((request, challenge, caller, judged)) => {
                let answer =
                    Answer { challenge: &challenge, request: &request, caller: &caller, by_qr: true };
                self.sign_in_by_qr(login, taken, answer, judged).await
            }
            Err(error) => {
                taken.becomes(QrState::Ended(QrEnd::Refused)).await?;
                Err(error)
            }
        }
    }

    pub(super) async fn qr_moved(
        &self,
        nonce: &Nonce,
        poll_token: &str,
        told: &QrStatus,
    ) -> Result<(), AuthError> {
        let row = self.polled(nonce, poll_token).await?;
        if !self.told(&row).is_where(told) {
            return Ok(());
        }
        let mut changed = pin!(self.stores.qr.changed(nonce, row.version));
        let mut expired = pin!(self.clock.wait_until(row.login.expires));
        poll_fn(|context| match changed.as_mut().poll(context) {
            Poll::Ready(changed) => Poll::Ready(changed.map_err(AuthError::from)),
            Poll::Pending => expired.as_mut().poll(context).map(Ok),
        })
        .await
    }

    /// Seals for this login and its poll token alone.
    fn seal_for(&self, login: &QrLogin, value: &impl Serialize) -> Result<Arc<[u8]>, AuthError> {
        let plain = Zeroizing::new(serde_json::to_vec(value).map_err(internal)?);
        let (nonce, poll) = (login.nonce.to_string(), hex::encode(login.poll_hash));
        let sealed = self.sealer(SEALED).seal(&[&self.base_url, &nonce, &poll], &plain);
        sealed.map(Arc::from).map_err(internal)
    }

    fn open_for<T: for<'de> Deserialize<'de>>(&self, login: &QrLogin, sealed: &[u8]) -> Result<T, AuthError> {
        let (nonce, poll) = (login.nonce.to_string(), hex::encode(login.poll_hash));
        let plain = self.sealer(SEALED).open(&[&self.base_url, &nonce, &poll], sealed);
        serde_json::from_slice(&plain.map_err(internal)?).map_err(internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_six_digits_and_spread_evenly() {
        let mut first = [0_u32; 10];
        for _ in 0..10_000 {
            let code = new_code().unwrap();
            let code = code.expose();
            assert!(code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit()));
            first[usize::from(code.as_bytes()[0] - b'0')] += 1;
        }
        // A thousand each; this far off happens once in many lives of the universe.
        assert!(first.iter().all(|count| (700..1300).contains(count)), "{first:?}");
    }
}
