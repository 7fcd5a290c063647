//! What a token says.

use capauth_protocol::OidcClaims;
use capauth_protocol::request::RevokeRequest;
use capauth_verifier::{Audience, AuthErrorKind, Authenticated, Timestamp};
use http::{Response, StatusCode};
use serde::Serialize;

use super::admin::EndedBy;
use super::query::Query;
use super::{Exchange, admin};
use crate::answer;
use crate::body::Body;
use crate::credentials;
use crate::refuse::Failure;

/// Digits of `sub` in an account name: few enough to read, too many to hit on purpose.
const NAME_DIGITS: usize = 32;

/// Claims, and whom the token was made for: a reader of another service's token sees that it is one.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    claims: &'a OidcClaims,
    aud: &'a str,
    iss: &'a str,
    iat: u64,
    exp: u64,
    /// By which its holder can end it.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
}

#[derive(Serialize)]
struct Active<'a> {
    active: bool,
    sub: &'a str,
    iss: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    amr: &'a [String],
    capauth_fingerprint: String,
}

#[derive(Serialize)]
struct Inactive {
    active: bool,
}

pub(super) async fn token_info(exchange: &Exchange<'_>) -> Result<Response<Body>, Failure> {
    let issuer = exchange.local()?.base_url();
    let query = Query::of(exchange.parts)?;
    let by_query = query.get("token")?;
    let Some(token) = by_query.filter(|_| !exchange.parts.headers.contains_key(http::header::AUTHORIZATION))
    else {
        let who = bearer(exchange).await?;
        let jti = Some(who.session().jti.as_str());
        return Ok(answer::json(StatusCode::OK, &Told { jti, ..told(&who, who.claims(), issuer) }));
    };
    match exchange.capauth.verifier().authenticate(token, Audience::AnyOfIssuer).await {
        Ok(who) => {
            let Told { claims, aud, iss, iat, exp, .. } = told(&who, who.claims(), issuer);
            let capauth_fingerprint = who.fingerprint().to_string();
            let (active, sub, amr) = (true, claims.sub.as_str(), claims.amr.as_slice());
            Ok(answer::json(
                StatusCode::OK,
                &Active { active, sub, iss, aud, iat, exp, amr, capauth_fingerprint },
            ))
        }
        // That a store is gone says nothing about the token.
        Err(error) if error.kind().code().status() >= 500 => Err(error.into()),
        Err(_) => Ok(answer::json(StatusCode::OK, &Inactive { active: false })),
    }
}

/// The claims in the form that other applications key accounts on: no name or address that nobody checked.
pub(super) async fn user_info(exchange: &Exchange<'_>) -> Result<Response<Body>, Failure> {
    let who = bearer(exchange).await?;
    let mut claims = who.claims().clone();
    claims.preferred_username = Some(format!("capauth-{}", who.sub().prefix(NAME_DIGITS).to_lowercase()));
    if claims.email_verified != Some(true) {
        claims.email = None;
        claims.email_verified = None;
    }
    Ok(answer::json(StatusCode::OK, &told(&who, &claims, exchange.local()?.base_url())))
}

/// Ends one token, and the sessions made of it: for administrators, for applications with a credential, and for whoever
/// holds it.
pub(super) async fn revoke(exchange: &Exchange<'_>) -> Result<Response<Body>, Failure> {
    #[derive(Serialize)]
    struct Revoked {
        revoked: bool,
    }
    let request = RevokeRequest::parse(exchange.body)?;
    let by = admin::require_owner_of(exchange, &request.jti).await?;
    // For how long it is remembered is no person's to say.
    let expires = request.expires.filter(|_| by == EndedBy::Program).map(Timestamp::from_unix);
    exchange.local()?.revoke_token(&request.jti, expires).await?;
    Ok(answer::json(StatusCode::OK, &Revoked { revoked: true }))
}

/// Whose token the request carries, whatever service of this issuer it is for.
async fn bearer(exchange: &Exchange<'_>) -> Result<Authenticated, Failure> {
    let token = credentials::bearer(&exchange.parts.headers)?.ok_or(AuthErrorKind::Unauthenticated)?;
    Ok(exchange.capauth.verifier().authenticate(token, Audience::AnyOfIssuer).await?)
}

fn told<'a>(who: &'a Authenticated, claims: &'a OidcClaims, iss: &'a str) -> Told<'a> {
    let session = who.session();
    Told {
        claims,
        aud: &session.service,
        iss,
        iat: session.authenticated_at.as_unix(),
        exp: session.expires.as_unix(),
        jti: None,
    }
}
