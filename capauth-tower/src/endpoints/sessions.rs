//! What a person sees of themselves: their keys and sessions.

use capauth_verifier::{AuthErrorKind, Authenticated};
use http::{Method, Response, StatusCode};

use super::Exchange;
use super::answers::Ended;
use super::table::{SESSION, parameter};
use crate::answer;
use crate::body::Body;
use crate::credentials;
use crate::refuse::Failure;

type Answer = Result<Response<Body>, Failure>;

/// `GET` lists them; `DELETE` ends them all, the one that asks too.
pub(super) async fn list_or_end_all(exchange: &Exchange<'_>) -> Answer {
    let (local, who) = (exchange.local()?, signed_in(exchange).await?);
    if exchange.method == Method::GET {
        return Ok(answer::json(StatusCode::OK, &local.sessions(&who).await?));
    }
    local.end_all_sessions(&who).await?;
    let mut response = answer::json(StatusCode::OK, &Ended { ended: true });
    exchange.take_cookie_away(&mut response);
    Ok(response)
}

/// What the person is here, and every key that signs for them.
pub(super) async fn identity(exchange: &Exchange<'_>) -> Answer {
    let (local, who) = (exchange.local()?, signed_in(exchange).await?);
    Ok(answer::json(StatusCode::OK, &local.identity(&who).await?))
}

pub(super) async fn end_one(exchange: &Exchange<'_>) -> Answer {
    let (local, who) = (exchange.local()?, signed_in(exchange).await?);
    let id = parameter(SESSION, exchange.parts.uri.path()).unwrap_or_default();
    local.end_one_session(&who, id).await?;
    Ok(answer::json(StatusCode::OK, &Ended { ended: true }))
}

/// Whoever is signed in to the service itself. A token that others can make ends nobody's sessions.
async fn signed_in(exchange: &Exchange<'_>) -> Result<Authenticated, Failure> {
    let bearer = credentials::bearer(&exchange.parts.headers)?.is_some();
    if bearer && exchange.local()?.shares_its_secret() {
        return Err(AuthErrorKind::Forbidden.into());
    }
    let decision = exchange.capauth.decide(exchange.parts).await?;
    decision.who.ok_or_else(|| AuthErrorKind::Unauthenticated.into())
}
