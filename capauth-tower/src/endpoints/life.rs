//! Rotation and linking: what people do with their keys after they enrolled.

use capauth_protocol::request::{LinkRequest, RotateRequest, RotationCancelRequest, UnlinkRequest};
use capauth_verifier::AuthErrorKind;
use http::{Response, StatusCode};

use super::answers::Cancelled;
use super::{Exchange, admin};
use crate::answer;
use crate::body::Body;
use crate::refuse::Failure;

type Answer = Result<Response<Body>, Failure>;

/// 202 where the rotation has to wait.
pub(super) async fn rotate(exchange: &Exchange<'_>) -> Answer {
    let request = RotateRequest::parse(exchange.body)?;
    let rotated = exchange.local()?.rotate(&request, &exchange.caller()).await?;
    let status = if rotated.rotated { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(answer::json(status, &rotated))
}

pub(super) async fn cancel_rotation(exchange: &Exchange<'_>) -> Answer {
    let request = RotationCancelRequest::parse(exchange.body)?;
    exchange.local()?.cancel_rotation(&request, &exchange.caller()).await?;
    Ok(answer::json(StatusCode::OK, &Cancelled { cancelled: true }))
}

pub(super) async fn link(exchange: &Exchange<'_>) -> Answer {
    let request = LinkRequest::parse(exchange.body)?;
    let by_administrator = admin::is_claimed(exchange)?;
    if by_administrator {
        admin::require(exchange).await?;
    }
    let linked = exchange.local()?.link(&request, &exchange.caller(), by_administrator).await?;
    Ok(answer::json(StatusCode::OK, &linked))
}

/// On the primary key's word, or without any on an administrator's.
pub(super) async fn unlink(exchange: &Exchange<'_>) -> Answer {
    let request = UnlinkRequest::parse(exchange.body)?;
    let unlinked = match &request.proof {
        Some(proof) => exchange.local()?.unlink(&request, proof, &exchange.caller()).await?,
        None if admin::is_claimed(exchange)?
            || exchange.capauth.front().sessions.has_cookie(&exchange.parts.headers) =>
        {
            let administration = admin::require(exchange).await?;
            administration.unlink(request.primary.value, request.secondary.value).await?
        }
        None => {
            // Nothing is judged; it is refused all the same, and counts.
            let fingerprint = Some(&request.primary.value);
            drop(exchange.local()?.limits().attempt(&exchange.caller(), fingerprint).await?);
            return Err(AuthErrorKind::InvalidNonceSignature.into());
        }
    };
    Ok(answer::json(StatusCode::OK, &unlinked))
}
