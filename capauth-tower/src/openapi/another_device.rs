//! Signing in from another device, at the service and at applications.

use capauth_protocol::ErrorCode;
use capauth_protocol::openapi::QrDecisionBody;
use capauth_protocol::request::{QrChallengeRequest, QrVerifyRequest};
use capauth_protocol::response::{QrChallengeResponse, QrStatusResponse, QrVerifyResponse};
use utoipa::PartialSchema as _;

use super::operation::{Access, Described, get, post};
use super::sign_in::{LOGIN, PROOF};
use crate::endpoints::answers::SignedInByQr;

/// Why there is no such login.
const CHALLENGE: &[ErrorCode] =
    &[ErrorCode::ServiceMismatch, ErrorCode::InvalidOrigin, ErrorCode::NotFound, ErrorCode::TooManyRequests];

const OF_THE_POLL_TOKEN: &str = "For whoever holds the poll token; anybody else hears what an unknown nonce hears. The \
    result of a login that succeeded is handed out once. With `Accept: text/event-stream` the answer is a stream that \
    ends when the login is decided, and hands out nothing.";

pub(super) fn operations() -> Vec<Described> {
    vec![
        begins(post("/capauth/v1/qr-challenge", "qrChallenge", "Begin a login that another device signs")),
        answered(post("/capauth/v1/qr-verify/{nonce}", "qrVerify", "Answer a QR code")),
        watched(get("/capauth/v1/qr-status/{nonce}", "qrStatus", "Where a login stands"))
            .answers::<QrStatusResponse>(200, "Where it stands; once, with its result."),
        decided(post(
            "/capauth/v1/qr-status/{nonce}",
            "qrDecide",
            "Confirm the key that answered, or do not",
        )),
        begins(post(
            "/auth/capauth/qr-challenge",
            "loginQrChallenge",
            "Begin a login to this application that another device signs",
        )),
        answered(post(
            "/auth/capauth/qr-verify/{nonce}",
            "loginQrVerify",
            "Answer a QR code of this application",
        )),
        watched(get(
            "/auth/capauth/qr-status/{nonce}",
            "loginQrStatus",
            "Where a login to this application stands",
        ))
        .query("redirect", String::schema(), "Where to go after the login: a path of this site.")
        .answers::<QrStatusResponse>(200, "Where it stands.")
        .answers::<SignedInByQr<'static>>(200, "Or, once, the session.")
        .with_header(200, "Set-Cookie", "The session's cookie, once.")
        .example(200, "SignedInByQr")
        .of_a_login()
        .fails(&[ErrorCode::Forbidden, ErrorCode::ServiceMismatch]),
        decided(post(
            "/auth/capauth/qr-status/{nonce}",
            "loginQrDecide",
            "Confirm the key that answered to this application, or do not",
        ))
        .of_a_login(),
    ]
}

fn begins(described: Described) -> Described {
    described
        .words("Always of version 2. `code` and `poll_token` stay where the QR code is shown.")
        .body::<QrChallengeRequest>()
        .answers::<QrChallengeResponse>(200, "What to show, and what fetches the result.")
        .fails(CHALLENGE)
}

fn answered(described: Described) -> Described {
    described
        .qr_nonce_in_path()
        .words(
            "With the code the login is done. Without it, the person confirms the key's fingerprint where the QR code is \
             shown. Three wrong codes end the login. Nothing secret is answered.",
        )
        .body::<QrVerifyRequest>()
        .answers::<QrVerifyResponse>(200, "The other device is signed in, or the login was declined.")
        .answers::<QrVerifyResponse>(202, "The other device waits for a click.")
        .example(202, "QrVerifyWaits")
        .fails(PROOF)
        .fails(LOGIN)
        .fails(&[ErrorCode::InvalidCode])
}

fn watched(described: Described) -> Described {
    described
        .qr_nonce_in_path()
        .words(OF_THE_POLL_TOKEN)
        .query("peek", bool::schema(), "Look without fetching the result.")
        .holders_of(Access::PollToken)
        .answers_stream(200, "")
        .fails(&[ErrorCode::TooManyRequests])
}

fn decided(described: Described) -> Described {
    described
        .qr_nonce_in_path()
        .words("For whoever holds the poll token, while an answer without the code waits.")
        .holders_of(Access::PollToken)
        .body::<QrDecisionBody>()
        .answers::<QrStatusResponse>(200, "Where the login stands now.")
        .example(200, "QrDecided")
        .fails(PROOF)
        .fails(LOGIN)
}
