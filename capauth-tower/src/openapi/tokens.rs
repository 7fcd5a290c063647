//! Tokens and sessions.

use capauth_protocol::ErrorCode;
use capauth_protocol::request::{RefreshRequest, RevokeRequest};
use capauth_protocol::response::{SessionInfo, TokenResponse};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::operation::{Access, Described, delete, get, post};
use crate::endpoints::answers::{Active, Ended, Inactive, SignedOut, TokenRevoked, Told};

pub(super) fn operations() -> Vec<Described> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let session = text().pattern(Some("^[0-9a-f]{32}$"));
    let mut all = vec![
        get("/capauth/v1/token-info", "tokenInfo", "What a token says")
            .words(
                "With `Authorization: Bearer`, the claims or 401. With `?token=` alone, always 200: whether it is \
                 `active`, and when it is, whose.",
            )
            .anybody_or(&[Access::Person])
            .query("token", text(), "A token to ask about.")
            .answers::<Told<'static>>(200, "What the token in the header says, or")
            .answers::<Active<'static>>(200, "of a token in the query whether it is good.")
            .answers::<Inactive>(200, ""),
        post("/capauth/v1/token", "renewToken", "Renew an access token")
            .words(
                "Each refresh token is used once. The one that was used last is answered for twenty seconds more. Any \
                 that is older shows that somebody else may have it, and ends everything that came of that login.",
            )
            .body_or_form::<RefreshRequest>()
            .answers::<TokenResponse>(200, "A new access token, and the next refresh token.")
            .fails(&[ErrorCode::InvalidToken, ErrorCode::Forbidden, ErrorCode::TooManyRequests]),
        post("/capauth/v1/revoke", "revokeToken", "End a token")
            .words("For whoever holds it, for an application with its credential, and for administrators.")
            .only(&[Access::Person, Access::Session, Access::Application, Access::Administrator])
            .body::<RevokeRequest>()
            .answers::<TokenRevoked>(200, "It has ended.")
            .fails(&[ErrorCode::Forbidden]),
    ];
    all.extend([get as fn(_, _, _) -> _, post].into_iter().zip(["userInfo", "postUserInfo"]).map(
        |(of, id)| {
            of("/capauth/v1/userinfo", id, "Who somebody is, for an application's accounts")
                .words(
                    "`preferred_username` is never what somebody claimed, and `email` is there only where an \
                 administrator or the domain's own key directory vouches for it.",
                )
                .only(&[Access::Person])
                .answers::<Told<'static>>(200, "Their claims.")
        },
    ));
    all.extend([get as fn(_, _, _) -> _, post].into_iter().zip(["logout", "postLogout"]).map(|(of, id)| {
        of("/capauth/v1/logout", id, "Sign out")
            .words("Ends the token or session that the request carries. A page that was merely led here is asked first.")
            .anybody_or(&[Access::Person, Access::Session])
            .answers::<SignedOut>(200, "Nobody is signed in any longer.")
            .answers_page(200, "A browser gets a page: that they are signed out, or whether they want to be.")
            .with_header(200, "Set-Cookie", "Takes the session's cookie away, where one was sent.")
    }));
    all.extend([
        get("/capauth/v1/sessions", "sessions", "One's sessions")
            .people()
            .answers_list::<SessionInfo>(200, "The sessions of whoever asks, the newest first."),
        delete("/capauth/v1/sessions", "endSessions", "End all of one's sessions")
            .words("Ends every session and token of whoever asks, the one that asks too.")
            .people()
            .answers::<Ended>(200, "They have ended.")
            .with_header(200, "Set-Cookie", "Takes the session's cookie away, where one was sent.")
            .fails(&[ErrorCode::NotFound]),
        delete("/capauth/v1/sessions/{id}", "endSession", "End one of one's sessions")
            .words("Ends it with its refresh tokens.")
            .people()
            .in_path("id", session, "The `id` of the list.")
            .answers::<Ended>(200, "It has ended.")
            .fails(&[ErrorCode::NotFound]),
    ]);
    all
}
