//! Signing in, as browsers do it.

use capauth_protocol::request::{ChallengeRequest, VerifyRequest};
use capauth_protocol::response::ChallengeResponse;
use capauth_protocol::{ErrorCode, OidcClaims};
use utoipa::PartialSchema as _;

use super::operation::{Access, Described, get, post};
use super::sign_in::{CHALLENGE, LOGIN, PROOF};
use crate::endpoints::answers::{SignedIn, SignedOut};

pub(super) fn operations() -> Vec<Described> {
    vec![
        get("/auth/capauth/login", "loginPage", "The login page")
            .query_of_a_page("redirect", String::schema(), "Where to go after the login: a path of this site.")
            .answers_page(200, "The page."),
        post("/auth/capauth/challenge", "loginChallenge", "Ask for a challenge for this application")
            .words(
                "As `POST /capauth/v1/challenge`. The service is the application, whatever is asked for, and the \
                 server makes a `client_nonce` where there is none.",
            )
            .body::<ChallengeRequest>()
            .answers::<ChallengeResponse>(200, "Everything that the text to sign is made of.")
            .fails(CHALLENGE),
        post("/auth/capauth/verify", "loginVerify", "Answer a challenge and begin a session")
            .words("As `POST /capauth/v1/verify`, with `redirect`. `refresh` is ignored: the session is the cookie's.")
            .body::<VerifyRequest>()
            .answers::<SignedIn<'static>>(200, "The login succeeded.")
            .with_header(200, "Set-Cookie", "The session's cookie.")
            .of_a_login()
            .fails(PROOF)
            .fails(LOGIN)
            .fails(&[ErrorCode::ServiceMismatch]),
        post("/auth/capauth/logout", "loginLogout", "Sign out")
            .words("Ends the session or token that the request carries, everywhere. A browser gets a page.")
            .anybody_or(&[Access::Session, Access::Person])
            .answers::<SignedOut>(200, "Nobody is signed in any longer.")
            .answers_page(200, "")
            .with_header(200, "Set-Cookie", "Takes the session's cookie away, where one was sent."),
        get("/auth/capauth/me", "me", "Who is signed in")
            .only(&[Access::Session, Access::Person])
            .answers::<OidcClaims>(200, "Their claims."),
    ]
}
