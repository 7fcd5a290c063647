//! An application's own login: challenge, verify, and who is signed in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use capauth_protocol::request::{ChallengeRequest, VerifyRequest};
use capauth_protocol::response::ChallengeResponse;
use capauth_verifier::AuthErrorKind;
use http::{HeaderValue, Response, StatusCode, header};

use super::Exchange;
use super::answers::SignedIn;
use crate::answer;
use crate::body::Body;
use crate::redirect::safe_redirect;
use crate::refuse::Failure;

/// Makes a challenge for this application alone, whatever service the client would like.
pub(super) async fn challenge(exchange: &Exchange<'_>) -> Result<Response<Body>, Failure> {
    let challenge = ask(exchange, ChallengeRequest::parse(exchange.body)?).await?;
    Ok(answer::json(StatusCode::OK, &challenge))
}

/// The challenge itself, however it is asked for.
pub(super) async fn ask(
    exchange: &Exchange<'_>,
    mut request: ChallengeRequest,
) -> Result<ChallengeResponse, Failure> {
    let verifier = exchange.capauth.verifier();
    request.requested_service = verifier.service().to_owned();
    if request.client_nonce.is_none() {
        request.client_nonce = Some(client_nonce()?);
    }
    Ok(verifier.challenge(&request, &exchange.caller()).await?)
}

fn client_nonce() -> Result<String, Failure> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|_| AuthErrorKind::Internal)?;
    Ok(STANDARD.encode(nonce))
}

/// Judges the answer and begins a session.
pub(super) async fn verify(exchange: &Exchange<'_>) -> Result<Response<Body>, Failure> {
    let request = VerifyRequest::parse(exchange.body)?;
    let redirect = request.redirect.clone();
    let cookies = begin(exchange, request).await?;
    let redirect = safe_redirect(redirect.as_deref().unwrap_or("/"));
    let mut response = answer::json(StatusCode::OK, &SignedIn { ok: true, redirect });
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Judges an answer, however it was sent: the cookies of whoever is signed in by it.
pub(super) async fn begin(
    exchange: &Exchange<'_>,
    mut request: VerifyRequest,
) -> Result<Vec<HeaderValue>, Failure> {
    // The session is the cookie's.
    request.refresh = false;
    let caller = exchange.caller();
    let login = exchange.capauth.verifier().verify(&request, &caller).await?;
    let front = exchange.capauth.front();
    let session = front.sessions.begin(login.who.session(), exchange.capauth.now())?;
    let device = front.devices.remember(&caller, &login.who.sub());
    Ok([Some(session), device].into_iter().flatten().collect())
}

/// Says who is signed in.
pub(super) async fn me(exchange: &Exchange<'_>) -> Result<Response<Body>, Failure> {
    let decision = exchange.capauth.decide(exchange.parts).await?;
    if let Some(who) = decision.who {
        return Ok(answer::json(StatusCode::OK, who.claims()));
    }
    let mut response = Failure::from(AuthErrorKind::Unauthenticated).into_response();
    if let Some(clear) = exchange.capauth.front().sessions.clear().filter(|_| decision.stale_cookie) {
        response.headers_mut().append(header::SET_COOKIE, clear);
    }
    Ok(response)
}
