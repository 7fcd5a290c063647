//! What a token says.

use capauth_protocol::OidcClaims;
use capauth_protocol::request::{RefreshRequest, RevokeRequest};
use capauth_verifier::{Audience, AuthErrorKind, Authenticated, Timestamp};
use http::{HeaderValue, Response, StatusCode, header};

use super::admin::EndedBy;
use super::answers::{Active, Inactive, TokenRevoked, Told};
use super::query::Query;
use super::{Exchange, admin, read};
use crate::answer;
use crate::body::Body;
use crate::credentials;
use crate::refuse::Failure;

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
    claims.preferred_username = Some(who.user_name());
    claims.email = exchange.local()?.verified_email(&who).await?;
    claims.email_verified = claims.email.is_some().then_some(true);
    Ok(answer::json(StatusCode::OK, &told(&who, &claims, exchange.local()?.base_url())))
}

/// Ends one token, and the sessions made of it: for administrators, for applications with a credential, and for whoever
/// holds it.
pub(super) async fn revoke(exchange: &Exchange<'_>) -> Result<Response<Body>, Failure> {
    let request = RevokeRequest::parse(exchange.body)?;
    let by = admin::require_owner_of(exchange, &request.jti).await?;
    // For how long it is remembered is no person's to say.
    let expires = request.expires.filter(|_| by != EndedBy::Holder).map(Timestamp::from_unix);
    let (local, jti) = (exchange.local()?, &request.jti);
    match by {
        EndedBy::Administrator(who) => {
            local.administration(who, exchange.caller().address).revoke_token(jti, expires).await?;
        }
        EndedBy::Program | EndedBy::Holder => local.revoke_token(jti, expires).await?,
    }
    Ok(answer::json(StatusCode::OK, &TokenRevoked { revoked: true }))
}

/// Renews an access token by a refresh token (RFC 6749, section 6).
pub(super) async fn renew(exchange: &Exchange<'_>) -> Result<Response<Body>, Failure> {
    let request = if read::is_form(exchange.parts) {
        let form = Query::of_form(exchange.body)?;
        let token = form.get(RefreshRequest::GRANT)?.unwrap_or_default();
        RefreshRequest::of(form.get("grant_type")?.unwrap_or_default(), token.to_owned())?
    } else {
        RefreshRequest::parse(exchange.body)?
    };
    let renewed = exchange.local()?.refresh_token(&request.refresh_token, &exchange.caller()).await?;
    let mut response = answer::json(StatusCode::OK, &renewed);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
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
