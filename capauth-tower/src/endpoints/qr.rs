//! A login that another device signs: begun and watched where the QR code is shown, answered by whoever scanned it.

use std::pin::pin;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use capauth_protocol::request::{QrChallengeRequest, QrDecision, QrVerifyRequest};
use capauth_protocol::response::{
    QrChallengeResponse, QrPayload, QrStatusResponse, QrVerifyResponse, VerifyResponse,
};
use capauth_protocol::{ErrorCode, Nonce, Refusal, VERSION, limits};
use capauth_verifier::{AddressPrefix, AuthError, AuthErrorKind, QrAnswered, QrChallenge, QrStatus, Secret};
use futures_util::future::{Either, select};
use futures_util::stream;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use tokio::sync::watch;

use super::Exchange;
use super::answers::SignedInByQr;
use super::query::Query;
use super::table::{LOGIN_QR_STATUS, LOGIN_QR_VERIFY, QR_STATUS, QR_VERIFY, parameter};
use crate::accept::wants_events;
use crate::answer;
use crate::body::Body;
use crate::context::Mount;
use crate::credentials;
use crate::handle::CapAuth;
use crate::qr_image;
use crate::redirect::safe_redirect;
use crate::refuse::Failure;
use crate::streams::Place;

type Answer = Result<Response<Body>, Failure>;

/// How long a stream says nothing at most: proxies give up on a connection on which nothing happens.
const SILENCE: Duration = Duration::from_secs(15);

/// For how many seconds after a login's end a stream about it still has its place.
const A_LITTLE: u64 = 15;

/// Why a page that fetches gets no session: somebody did before, or the answer to it was lost on its way.
const FETCHED: &str = "fetched";

/// Who is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// An application's own page, under `/auth/capauth`: the result is a cookie.
    Page,
    /// Anybody, at the service itself: the result is a token.
    Service,
}

impl Side {
    /// Where such a login is offered, and the template is the path's.
    fn check(self, exchange: &Exchange<'_>) -> Result<(), Failure> {
        if self == Self::Service {
            exchange.local()?;
        }
        if exchange.capauth.front().qr {
            return Ok(());
        }
        Err(Refusal::new(ErrorCode::NotFound, "Logins from another device are switched off here.").into())
    }
}

/// Begins a login. What comes back is for the page that asked; only the picture is for everybody's eyes.
pub(super) async fn challenge(exchange: &Exchange<'_>, side: Side) -> Answer {
    side.check(exchange)?;
    let mut request = QrChallengeRequest::parse(exchange.body)?;
    let (verifier, front) = (exchange.capauth.verifier(), exchange.capauth.front());
    if side == Side::Page {
        // For this application alone, whatever service the client would like.
        request.requested_service = verifier.service().to_owned();
        request.origin = request.origin.or_else(|| front.origins.first().map(str::to_owned));
    }
    let challenge = verifier.qr_challenge(&request, &exchange.caller()).await?;
    let mount = match (front.mount.as_str(), exchange.parts.extensions.get::<Mount>()) {
        ("", Some(Mount(mount))) => mount,
        (mount, _) => mount,
    };
    let is_own = challenge.service == verifier.service();
    Ok(answer::json(StatusCode::OK, &described(challenge, side, is_own, mount)?))
}

/// Everything stands at the origin that is signed for: the other device sends its answer nowhere else.
fn described(
    challenge: QrChallenge,
    side: Side,
    is_own: bool,
    mount: &str,
) -> Result<QrChallengeResponse, Failure> {
    // At another service's origin stands that application, wherever it is mounted there.
    let mount = if is_own { mount } else { "" };
    let verify = if side == Side::Service && is_own { QR_VERIFY } else { LOGIN_QR_VERIFY };
    let base = format!("{}{mount}", challenge.origin);
    let payload = QrPayload {
        capauth_qr: VERSION.to_owned(),
        nonce: challenge.nonce,
        client_nonce_echo: challenge.client_nonce,
        origin: challenge.origin,
        timestamp: challenge.timestamp,
        service: challenge.service,
        expires: challenge.expires,
        callback: String::new(),
    };
    let callback = format!("{base}{}", verify.replace("{nonce}", &payload.nonce));
    let payload = QrPayload { callback, ..payload };
    let qr_payload = serde_json::to_string(&payload).map_err(|_| AuthErrorKind::Internal)?;
    let qr_url = format!("{base}/auth/capauth/qr#{}", URL_SAFE_NO_PAD.encode(&qr_payload));
    Ok(QrChallengeResponse {
        capauth_qr: payload.capauth_qr,
        nonce: payload.nonce,
        client_nonce_echo: payload.client_nonce_echo,
        origin: payload.origin,
        timestamp: payload.timestamp,
        service: payload.service,
        expires: payload.expires,
        callback: payload.callback,
        // Only names of more than a thousand characters do not fit; then the URL is left to be shown.
        qr_data_url: qr_image::data_url(&qr_url).unwrap_or_default(),
        qr_payload,
        qr_url,
        code: challenge.code.expose().to_owned(),
        poll_token: challenge.poll_token.expose().to_owned(),
        server_signature: challenge.server_signature,
        server_public_key: challenge.server_public_key,
    })
}

/// Judges the other device's answer. It hears whether that was good, and gets nothing it could show anywhere.
pub(super) async fn verify(exchange: &Exchange<'_>, side: Side) -> Answer {
    side.check(exchange)?;
    let request = QrVerifyRequest::parse(exchange.body)?;
    let template = if side == Side::Page { LOGIN_QR_VERIFY } else { QR_VERIFY };
    let nonce = nonce(exchange, template)?;
    let answered = exchange.capauth.verifier().qr_verify(&nonce, &request, &exchange.caller()).await?;
    let (status, message) = match answered {
        QrAnswered::SignedIn => (StatusCode::OK, "Signed in, on the device that shows the code."),
        QrAnswered::Waits => {
            (StatusCode::ACCEPTED, "Now confirm your key's fingerprint on the device that shows the code.")
        }
        QrAnswered::Declined => (StatusCode::OK, "Nobody was signed in."),
    };
    let authenticated = answered == QrAnswered::SignedIn;
    Ok(answer::json(status, &QrVerifyResponse { authenticated, message: message.to_owned() }))
}

/// Says where the login stands: once, or as a stream. The result of one that succeeded is handed out to one plain `GET`,
/// which is where a page gets its cookie.
pub(super) async fn status(exchange: &Exchange<'_>, side: Side) -> Answer {
    side.check(exchange)?;
    let (verifier, parts) = (exchange.capauth.verifier(), exchange.parts);
    if side == Side::Page {
        check_as_login(exchange)?;
    }
    let template = if side == Side::Page { LOGIN_QR_STATUS } else { QR_STATUS };
    let (nonce, poll_token) = polled(exchange, template)?;
    if *exchange.method == Method::POST {
        let decision = QrDecision::parse(exchange.body)?;
        let status = verifier.qr_decide(&nonce, poll_token, &decision).await?;
        return Ok(answer::json(StatusCode::OK, &told(&status)));
    }
    let query = Query::of(parts)?;
    // What is answered to HEAD nobody reads.
    let streams = wants_events(&parts.headers) && parts.method != Method::HEAD;
    let fetch = !streams && parts.method != Method::HEAD && !query.flag("peek")?;
    let status = verifier.qr_status(&nonce, poll_token, fetch).await?;
    if streams {
        return watch(exchange, nonce, poll_token, status);
    }
    match &status {
        QrStatus::Authenticated { login: Some(login) } if side == Side::Page => {
            let cookie =
                exchange.capauth.front().sessions.begin(login.who.session(), exchange.capauth.now())?;
            let redirect = safe_redirect(query.get("redirect")?.unwrap_or("/"));
            let mut response = answer::json(StatusCode::OK, &signed_in(redirect, &status));
            response.headers_mut().append(header::SET_COOKIE, cookie);
            let devices = &exchange.capauth.front().devices;
            if let Some(device) = devices.remember(&exchange.caller(), &login.who.sub()) {
                response.headers_mut().append(header::SET_COOKIE, device);
            }
            Ok(response)
        }
        // Nobody is signed in by this answer, whoever was by another.
        QrStatus::Authenticated { login: None } if side == Side::Page && fetch => {
            Ok(answer::json(StatusCode::OK, &ended(FETCHED)))
        }
        status => Ok(answer::json(StatusCode::OK, &told(status))),
    }
}

/// To fetch a session is to sign in: looked at as every request under `/auth/capauth` that may change something, though it
/// is a GET.
fn check_as_login(exchange: &Exchange<'_>) -> Result<(), AuthError> {
    let (front, parts) = (exchange.capauth.front(), exchange.parts);
    let has_cookie = || front.sessions.has_cookie(&parts.headers);
    front.origins.check(&Method::POST, parts.uri.path(), &parts.headers, has_cookie)
}

fn nonce(exchange: &Exchange<'_>, template: &str) -> Result<Nonce, AuthError> {
    let text = parameter(template, exchange.parts.uri.path()).unwrap_or_default();
    text.parse().map_err(|_| AuthErrorKind::InvalidNonce.into())
}

/// Which login, and the poll token: from its header, and from nowhere else. One that is missing or malformed is a wrong one.
fn polled<'a>(exchange: &Exchange<'a>, template: &str) -> Result<(Nonce, &'a str), AuthError> {
    let nonce = nonce(exchange, template)?;
    let token = credentials::bearer(&exchange.parts.headers).ok().flatten();
    Ok((nonce, token.ok_or(AuthErrorKind::InvalidNonce)?))
}

/// What a page hears once it is signed in. The session is the cookie's.
fn signed_in<'a>(redirect: &'a str, status: &QrStatus) -> SignedInByQr<'a> {
    let QrStatusResponse { status, completed, fingerprint, .. } = told(status);
    let status = QrStatusResponse { status, completed, fingerprint, ..QrStatusResponse::default() };
    SignedInByQr { ok: true, redirect, status }
}

fn ended(reason: &str) -> QrStatusResponse {
    QrStatusResponse {
        status: "expired".to_owned(),
        reason: Some(reason.to_owned()),
        ..QrStatusResponse::default()
    }
}

fn told(status: &QrStatus) -> QrStatusResponse {
    let of = |word: &str| QrStatusResponse { status: word.to_owned(), ..QrStatusResponse::default() };
    match status {
        QrStatus::Pending { waiting } => QrStatusResponse { fingerprint: *waiting, ..of("pending") },
        QrStatus::Ended(end) => ended(end.as_str()),
        QrStatus::Authenticated { login: None } => {
            QrStatusResponse { completed: true, ..of("authenticated") }
        }
        QrStatus::Authenticated { login: Some(login) } => {
            let response = &login.response;
            QrStatusResponse {
                completed: true,
                fingerprint: Some(response.fingerprint),
                access_token: Some(response.access_token.clone()),
                session_token: Some(response.access_token.clone()),
                token_type: Some(VerifyResponse::TOKEN_TYPE.to_owned()),
                oidc_claims: Some(response.oidc_claims.clone()),
                expires_in: Some(response.expires_in),
                is_new_enrollment: Some(response.is_new_enrollment),
                ..of("authenticated")
            }
        }
    }
}

/// A stream of where the login stands: at once, and after each change, until it is decided.
fn watch(exchange: &Exchange<'_>, nonce: Nonce, poll_token: &str, status: QrStatus) -> Answer {
    let capauth = exchange.capauth.clone();
    let streams = &capauth.inner().streams;
    let prefix = AddressPrefix::of(exchange.caller().address);
    // By then it is decided, whenever it began.
    let now = capauth.now();
    let until = now.plus(limits::QR_TTL_SECONDS + A_LITTLE);
    let place = streams.enter(nonce, prefix, now, until).ok_or_else(|| {
        AuthError::with_words(
            AuthErrorKind::TooManyRequests,
            "As many follow this login, or others, as may. Ask for its status without a stream.",
        )
    })?;
    let ending = streams.ending();
    let watch = Watch { capauth, nonce, poll_token: Secret::new(poll_token), ending, _place: place };
    let events = stream::unfold(Some((watch, Next::Tell(status))), |state| async {
        let (watch, next) = state?;
        watch.piece(next).await
    });
    let mut response = answer::events(Body::streamed(events));
    // Whoever passes it on is asked not to wait for more.
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// Somebody who follows a login.
struct Watch {
    capauth: CapAuth,
    nonce: Nonce,
    poll_token: Secret,
    ending: watch::Receiver<bool>,
    _place: Place,
}

enum Next {
    Tell(QrStatus),
    /// Something else than this.
    Await(QrStatus),
}

impl Watch {
    /// The next piece of the stream, and what comes after it. `None`: the end.
    async fn piece(mut self, next: Next) -> Option<(Bytes, Option<(Self, Next)>)> {
        let status = match next {
            Next::Tell(status) => status,
            Next::Await(told) => match self.change(&told).await? {
                Some(status) => status,
                // A comment, which clients pass over.
                None => return Some((Bytes::from_static(b":\n\n"), Some((self, Next::Await(told))))),
            },
        };
        let text = serde_json::to_string(&self::told(&status)).ok()?;
        let event = Bytes::from(format!("event: status\ndata: {text}\n\n"));
        let after = (!status.is_decided()).then_some((self, Next::Await(status)));
        Some((event, after))
    }

    /// Where the login stands next; nothing when nothing happened for long. `None`: nobody will say any more.
    async fn change(&mut self, told: &QrStatus) -> Option<Option<QrStatus>> {
        let Self { capauth, nonce, poll_token, ending, .. } = self;
        let verifier = capauth.verifier();
        let news = pin!(async {
            loop {
                verifier.qr_changed(nonce, poll_token.expose(), told).await.ok()?;
                let status = verifier.qr_status(nonce, poll_token.expose(), false).await.ok()?;
                if !status.is_where(told) {
                    return Some(status);
                }
            }
        });
        let ended = pin!(ending.wait_for(|ended| *ended));
        let silence = pin!(tokio::time::sleep(SILENCE));
        match select(ended, select(news, silence)).await {
            Either::Left(_) => None,
            Either::Right((Either::Left((news, _)), _)) => news.map(Some),
            Either::Right((Either::Right(_), _)) => Some(None),
        }
    }
}
