//! The pages for people, and who gets to see them.

use capauth_protocol::{ErrorCode, Refusal};
use http::Response;

use super::Exchange;
use super::admin::{self, Standing};
use crate::body::Body;
use crate::pages;
use crate::refuse::Failure;

type Answer = Result<Response<Body>, Failure>;

/// `GET /auth/capauth/qr`, for the device that signs for another.
pub(super) fn phone(exchange: &Exchange<'_>) -> Answer {
    if !exchange.capauth.front().qr {
        let words = "Logins from another device are switched off here.";
        return Err(Refusal::new(ErrorCode::NotFound, words).into());
    }
    pages::phone(exchange.capauth)
}

/// `GET /auth/capauth/assets/{version}/{name}`.
pub(super) fn asset(exchange: &Exchange<'_>) -> Answer {
    pages::assets::serve(exchange.parts)
}

/// `GET /capauth/me`, for whoever is signed in to the service itself.
pub(super) async fn me(exchange: &Exchange<'_>) -> Answer {
    let local = exchange.local()?;
    match exchange.capauth.decide(exchange.parts).await?.who {
        Some(who) => pages::me(exchange.capauth, local.is_admin_key(&who.fingerprint())),
        None => Ok(exchange.capauth.ask_to_sign_in(exchange.parts).into_response()),
    }
}

/// `GET /capauth/admin`, for administrators. Others hear in words why it is not for them; programs as ever.
pub(super) async fn administration(exchange: &Exchange<'_>) -> Answer {
    let (capauth, local) = (exchange.capauth, exchange.local()?);
    if !admin::is_for_a_person(exchange)? {
        admin::require(exchange).await?;
        return pages::admin(capauth, None);
    }
    // The administrator's token is no way in here: a browser cannot show it.
    if !local.has_admin_keys() {
        return pages::hindered(&pages::Hindered::NobodyAdministers);
    }
    match admin::standing(exchange, local).await? {
        Standing::Administrator(key) => pages::admin(capauth, Some(key)),
        Standing::Nobody => Ok(capauth.ask_to_sign_in(exchange.parts).into_response()),
        Standing::Hindered(why) => {
            let login = capauth.way_to_sign_in(exchange.parts);
            pages::hindered(&pages::Hindered::Administration { why, login: &login })
        }
    }
}
