//! Ending a session or a token.

use capauth_verifier::Audience;
use http::{Method, Response, StatusCode};

use super::Exchange;
use super::answers::SignedOut;
use super::table::{LOGIN_PAGE, ME_PAGE};
use crate::accept::wants_html;
use crate::answer;
use crate::body::Body;
use crate::credentials;
use crate::pages;
use crate::redirect::percent_encode;
use crate::refuse::{Failure, refuse};
use crate::session::Presented;

/// Seen from `/capauth/v1/logout`.
const ASSETS: &str = "../../auth/capauth/assets";

/// Where a page about this is, and what it leads to.
struct Place {
    /// The folder of assets, seen from there.
    assets: &'static str,
    /// The way to sign in again.
    login: String,
}

/// `POST /auth/capauth/logout`.
pub(super) async fn by_page(exchange: &Exchange<'_>) -> Result<Response<Body>, Failure> {
    end(exchange, &Place { assets: "assets", login: "login".to_owned() }).await
}

/// `GET` and `POST /capauth/v1/logout`.
pub(super) async fn of_service(exchange: &Exchange<'_>) -> Result<Response<Body>, Failure> {
    let headers = &exchange.parts.headers;
    let safe_get = credentials::bearer(headers)?.is_some() || from_our_script(exchange);
    let has_cookie = exchange.capauth.front().sessions.has_cookie(headers);
    if exchange.method == Method::GET && has_cookie && !safe_get {
        return pages::logout::ask(ASSETS);
    }
    // A service has no front page: back to their own.
    let back = percent_encode(&format!("{}{ME_PAGE}", exchange.capauth.front().mount));
    end(exchange, &Place { assets: ASSETS, login: format!("../..{LOGIN_PAGE}?redirect={back}") }).await
}

/// Whether the browser says that a script of ours asks. Who is led there is asked first, from wherever: our own login page
/// goes on to any path of the site that a link names. A picture in somebody's comment is of the same origin too.
fn from_our_script(exchange: &Exchange<'_>) -> bool {
    let says = |name: &str, wanted: &str| {
        let mut values = exchange.parts.headers.get_all(name).iter();
        matches!((values.next(), values.next()), (Some(value), None) if value == wanted)
    };
    says("sec-fetch-site", "same-origin") && says("sec-fetch-dest", "empty")
}

/// Ends what the request carries, everywhere, and takes the cookie away.
async fn end(exchange: &Exchange<'_>, place: &Place) -> Result<Response<Body>, Failure> {
    let (capauth, headers) = (exchange.capauth, &exchange.parts.headers);
    if let Some(token) = credentials::bearer(headers)? {
        let who = capauth.verifier().authenticate(token, Audience::Own).await?;
        capauth.verifier().end(who.session()).await?;
    }
    let ended = match capauth.front().sessions.read(headers) {
        Presented::Session(session) => capauth.verifier().end(&session).await,
        Presented::Nothing | Presented::Stale => Ok(()),
    };
    let mut response = if let Err(error) = ended {
        // It may still count elsewhere, and the person hears so; this browser is rid of it all the same.
        refuse(&error)
    } else if wants_html(&exchange.parts.headers) {
        pages::logout::done(place.assets, &place.login)?
    } else {
        answer::json(StatusCode::OK, &SignedOut { ok: true })
    };
    exchange.take_cookie_away(&mut response);
    Ok(response)
}
