//! What the server says of itself.

use capauth_protocol::ErrorCode;
use capauth_protocol::response::{Revocations, Status, WellKnown};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::administration::cursor;
use super::operation::{Access, Described, get};
use crate::endpoints::DESCRIPTION;
use crate::endpoints::answers::Health;

pub(super) fn operations() -> Vec<Described> {
    let tag = || ObjectBuilder::new().schema_type(Type::String);
    vec![
        get("/capauth/v1/well-known", "wellKnown", "What kind of server this is")
            .answers::<WellKnown>(200, "What a client has to know before it asks."),
        get("/capauth/v1/status", "status", "How the server is")
            .answers::<Status>(200, "It works.")
            .answers::<Status>(503, "A store is gone."),
        get("/health", "health", "Whether the server works")
            .answers::<Health>(200, "It does.")
            .answers::<Health>(503, "A store is gone."),
        get("/capauth/me", "mePage", "A person's own page")
            .words("Keys and sessions of whoever is signed in to the service itself. Who accepts pages is sent to sign in.")
            .only(&[Access::Session, Access::Person])
            .answers_page(200, "The page.")
            .answers_nothing(303, "Nobody is signed in.")
            .with_header(303, "Location", "The login page, with the way back.")
            .fails_on_a_page(&[ErrorCode::InvalidToken, ErrorCode::NotConfigured]),
        get("/capauth/admin", "adminPage", "The administrators' page")
            .words("For a fresh session of an administrator's key, and the administrator's token. Who accepts pages is sent to sign in.")
            .administrators()
            .answers_page(200, "The page.")
            .answers_nothing(303, "Nobody is signed in.")
            .with_header(303, "Location", "The login page, with the way back.")
            .fails_on_a_page(&[ErrorCode::InvalidToken, ErrorCode::Forbidden, ErrorCode::NotConfigured, ErrorCode::TooManyRequests]),
        get("/.well-known/jwks.json", "jwks", "The keys that access tokens are checked with")
            .answers_object(200, "A JWK set (RFC 7517)."),
        get("/capauth/v1/revocations", "revocations", "What ended before its time")
            .words("For applications that check tokens themselves: they follow this feed.")
            .only(&[Access::Application, Access::Administrator, Access::Session])
            .query("after", cursor(), "The `cursor` of the page before.")
            .header("If-None-Match", tag(), "The `ETag` of the answer before.")
            .answers::<Revocations>(200, "The oldest first.")
            .with_header(200, "ETag", "Changes with the page.")
            .answers_nothing(304, "Nothing new.")
            .with_header(304, "ETag", "The same as before.")
            .fails(&[ErrorCode::Forbidden, ErrorCode::NotConfigured, ErrorCode::TooManyRequests]),
        get(DESCRIPTION, "description", "This description")
            .header("If-None-Match", tag(), "The `ETag` of the answer before.")
            .answers_object(200, "OpenAPI 3.1.")
            .with_header(200, "ETag", "Changes with the description.")
            .answers_nothing(304, "Nothing new.")
            .fails(&[ErrorCode::NotConfigured]),
        get("/capauth/v1/docs", "docs", "This description as a page")
            .header("If-None-Match", tag(), "The `ETag` of the answer before.")
            .answers_page(200, "It needs no script.")
            .with_header(200, "ETag", "Changes with the description.")
            .answers_nothing(304, "Nothing new.")
            .fails(&[ErrorCode::NotConfigured]),
    ]
}
