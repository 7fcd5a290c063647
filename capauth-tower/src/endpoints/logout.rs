//! Ending a session or a token.

use capauth_verifier::Audience;
use http::{Method, Response, StatusCode};

use super::Exchange;
use super::answers::SignedOut;
use crate::accept::wants_html;
use crate::answer;
use crate::body::Body;
use crate::credentials;
use crate::refuse::{Failure, refuse};
use crate::session::Presented;

/// Asks first: another site can make a browser follow a link. The form goes to the page's own path, wherever that is
/// mounted.
const ASK: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Sign out</title>\n\
    <h1>Sign out?</h1>\n<form method=\"post\" action=\"logout\">\n<button>Sign out</button>\n</form>\n</html>\n";

const DONE: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Signed out</title>\n\
    <h1>You are signed out.</h1>\n</html>\n";

/// `POST /auth/capauth/logout`.
pub(super) async fn by_page(exchange: &Exchange<'_>) -> Result<Response<Body>, Failure> {
    end(exchange).await
}

/// `GET` and `POST /capauth/v1/logout`.
pub(super) async fn of_service(exchange: &Exchange<'_>) -> Result<Response<Body>, Failure> {
    let headers = &exchange.parts.headers;
    let safe_get = credentials::bearer(headers)?.is_some() || from_our_page(exchange);
    let has_cookie = exchange.capauth.front().sessions.has_cookie(headers);
    if exchange.method == Method::GET && has_cookie && !safe_get {
        return Ok(answer::page(ASK));
    }
    end(exchange).await
}

/// Whether the browser says that a page of ours asks.
fn from_our_page(exchange: &Exchange<'_>) -> bool {
    let mut sites = exchange.parts.headers.get_all("sec-fetch-site").iter();
    let same_origin = matches!((sites.next(), sites.next()), (Some(site), None) if site == "same-origin");
    // A picture in somebody's comment is of the same origin too; only a page's script or a link is a wish.
    let wanted =
        exchange.parts.headers.get("sec-fetch-dest").is_none_or(|dest| dest == "document" || dest == "empty");
    same_origin && wanted
}

/// Ends what the request carries, everywhere, and takes the cookie away.
async fn end(exchange: &Exchange<'_>) -> Result<Response<Body>, Failure> {
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
        answer::page(DONE)
    } else {
        answer::json(StatusCode::OK, &SignedOut { ok: true })
    };
    exchange.take_cookie_away(&mut response);
    Ok(response)
}
