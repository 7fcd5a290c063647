//! An application's own login: challenge, verify, and who is signed in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use capauth_protocol::request::{ChallengeRequest, VerifyRequest};
use capauth_verifier::AuthErrorKind;
use http::{Response, StatusCode, header};

use super::Exchange;
use super::answers::SignedIn;
use crate::answer;
use crate::body::Body;
use crate::redirect::safe_redirect;
use crate::refuse::Failure;

/// Makes a challenge for this application alone, whatever service the client would like.
pub(super) async fn challenge(exchange: &Exchange<'_>) -> Result<Response<Body>, Failure> {
    let mut request = ChallengeRequest::parse(exchange.body)?;
    let verifier = exchange.capauth.verifier();
    request.requested_service = verifier.service().to_owned();
    if request.client_nonce.is_none() {
        request.client_nonce = Some(client_nonce()?);
    }
    let challenge = verifier.challenge(&request, &exchange.caller()).await?;
    Ok(answer::json(StatusCode::OK, &challenge))
}

fn client_nonce() -> Result<String, Failure> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|_| AuthErrorKind::Internal)?;
    Ok(STANDARD.encode(nonce))
}

/// Judges the answer and begins a session.
pub(super) async fn verify(exchange: &Exchange<'_>) -> Result<Response<Body>, Failure> {
    let mut request = VerifyRequest::parse(exchange.body)?;
    // The session is the cookie's.
    request.refresh = false;
    let caller = exchange.caller();
    let login = exchange.capauth.verifier().verify(&request, &caller).await?;
    let front = exchange.capauth.front();
    let cookie = front.sessions.begin(login.who.session(), exchange.capauth.now())?;
    let redirect = safe_redirect(request.redirect.as_deref().unwrap_or("/"));
    let mut response = answer::json(StatusCode::OK, &SignedIn { ok: true, redirect });
    response.headers_mut().append(header::SET_COOKIE, cookie);
    if let Some(device) = front.devices.remember(&caller, &login.who.sub()) {
        response.headers_mut().append(header::SET_COOKIE, device);
    }
    Ok(response)
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
