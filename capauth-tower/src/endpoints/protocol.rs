//! The protocol's calls, and what the server says of itself.

use capauth_protocol::request::{ChallengeRequest, VerifyRequest};
use http::{Response, StatusCode};

use super::Exchange;
use super::answers::Health;
use crate::answer;
use crate::body::Body;
use crate::refuse::Failure;

type Answer = Result<Response<Body>, Failure>;

pub(super) async fn challenge(exchange: &Exchange<'_>) -> Answer {
    let request = ChallengeRequest::parse(exchange.body)?;
    let challenge = exchange.capauth.verifier().challenge(&request, &exchange.caller()).await?;
    Ok(answer::json(StatusCode::OK, &challenge))
}

pub(super) async fn verify(exchange: &Exchange<'_>) -> Answer {
    let request = VerifyRequest::parse(exchange.body)?;
    let login = exchange.capauth.verifier().verify(&request, &exchange.caller()).await?;
    Ok(answer::json(StatusCode::OK, &login.response))
}

pub(super) async fn status(exchange: &Exchange<'_>) -> Answer {
    let status = exchange.local()?.status().await;
    Ok(answer::json(status_of(status.healthy), &status))
}

pub(super) async fn health(exchange: &Exchange<'_>) -> Answer {
    let healthy = exchange.local()?.status().await.healthy;
    let status = if healthy { "ok" } else { "unavailable" };
    Ok(answer::json(status_of(healthy), &Health { status }))
}

fn status_of(healthy: bool) -> StatusCode {
    if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

pub(super) fn well_known(exchange: &Exchange<'_>) -> Answer {
    Ok(answer::json(StatusCode::OK, &exchange.local()?.well_known()))
}

pub(super) async fn jwks(exchange: &Exchange<'_>) -> Answer {
    Ok(answer::json_text(exchange.local()?.jwks().await?))
}
