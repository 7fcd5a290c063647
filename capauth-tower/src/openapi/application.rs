//! Signing in, as browsers do it.

use capauth_protocol::request::{ChallengeRequest, VerifyRequest};
use capauth_protocol::response::ChallengeResponse;
use capauth_protocol::{ErrorCode, OidcClaims};
use utoipa::PartialSchema as _;

use super::operation::{Access, Described, get, post};
use super::sign_in::{CHALLENGE, LOGIN, PROOF};
use crate::endpoints::answers::{LoginForm, SignedIn, SignedOut};

const FORM_COOKIE: &str = "The form's own cookie, where there is none that lasts.";

/// What files of pages are.
const FILES: &[&str] = &["text/css", "text/javascript", "image/svg+xml", "text/plain"];

/// What every form may be refused for, and that no form can be read.
const OF_ANY_FORM: [ErrorCode; 6] = [
    ErrorCode::InvalidRequest,
    ErrorCode::Forbidden,
    ErrorCode::PayloadTooLarge,
    ErrorCode::UnsupportedMediaType,
    ErrorCode::ServerError,
    ErrorCode::Unavailable,
];

pub(super) fn operations() -> Vec<Described> {
    vec![
        get("/auth/capauth/login", "loginPage", "The login page")
            .query_of_a_page("redirect", String::schema(), "Where to go after the login: a path of this site.")
            .answers_page(200, "The page.")
            .with_header(200, "Set-Cookie", FORM_COOKIE),
        post("/auth/capauth/login", "loginForm", "Sign in without JavaScript")
            .words(
                "The form of the login page, sent twice: with a fingerprint, which answers a page with what to sign, and \
                 with the signature. Only as it stands in the page, with the cookie that came with it, and from a page of \
                 the site, by `Origin`. Who does not accept pages hears in JSON what is refused before the form is read.",
            )
            .query_of_a_page("redirect", String::schema(), "Where to go after the login: a path of this site.")
            .form::<LoginForm>()
            .answers_page(200, "What to sign, or the form once more.")
            .with_header(200, "Set-Cookie", FORM_COOKIE)
            .answers_nothing(303, "The login succeeded.")
            .with_header(303, "Location", "The path that was asked for.")
            .with_header(303, "Set-Cookie", "The session's cookie; another by which the limits know the browser; and the form's own is taken away.")
            .fails_on_a_page(&OF_ANY_FORM)
            .fails_on_a_page(CHALLENGE)
            .fails_on_a_page(PROOF)
            .fails_on_a_page(LOGIN)
            .fails_on_a_page(&[ErrorCode::NotConfigured]),
        get("/auth/capauth/qr", "phonePage", "The page that a QR code leads to")
            .words("What is to be signed stands behind the `#` of its address, which no server sees.")
            .answers_page(200, "The page.")
            .fails_on_a_page(&[ErrorCode::NotFound]),
        get("/auth/capauth/assets/{version}/{name}", "asset", "What pages load")
            .words("The version changes with any of the files: a name with its version means the same bytes for ever.")
            .in_path("version", String::schema(), "As it stands in the pages.")
            .in_path("name", String::schema(), "The file's name.")
            .answers_file(200, "The file, compressed for whoever accepts gzip.", FILES)
            .with_header(200, "Cache-Control", "`public, max-age=31536000, immutable`.")
            .fails(&[ErrorCode::NotFound]),
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
