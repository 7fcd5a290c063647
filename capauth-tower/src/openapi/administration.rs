//! What administrators do.

use capauth_protocol::ErrorCode;
use capauth_protocol::request::{
    CodeRequest, EmailRequest, EnrollRequest, FingerprintRequest, GroupsRequest, UserNameRequest,
};
use capauth_protocol::response::{AuditLog, EnrollmentCode, KeyEntry};
use utoipa::openapi::schema::{AnyOfBuilder, Object, ObjectBuilder, Schema, Type};

use super::operation::{Described, delete, get, post, put};
use crate::endpoints::answers::{
    Approved, Enrolled, Erased, Granted, Named, Revoked, RotationCancelled, SessionsEnded, Vouched,
};
use crate::endpoints::{EMAIL, GROUPS, MOST_KEYS, ROTATION, SESSIONS_OF_KEY, USER_NAME};

/// What is done to a key that the body names.
const NAMED: &[ErrorCode] = &[ErrorCode::InvalidFingerprint, ErrorCode::NotFound];

pub(super) fn operations() -> Vec<Described> {
    let mut all = vec![
        post("/capauth/v1/keys/approve", "approveKey", "Let a key sign in")
            .words("One that waits for approval, or whose identity is suspended.")
            .administrators()
            .body::<FingerprintRequest>()
            .answers::<Approved>(200, "It may sign in.")
            .fails(NAMED),
        post("/capauth/v1/keys/revoke", "revokeKey", "Revoke a key")
            .words("For good. With a primary key ends everything that is linked to it.")
            .administrators()
            .body::<FingerprintRequest>()
            .answers::<Revoked>(200, "It never signs in again, and its tokens have ended.")
            .fails(NAMED),
        post("/capauth/v1/keys/erase", "eraseKey", "Erase a key")
            .words("With a primary key goes the whole identity.")
            .administrators()
            .body::<FingerprintRequest>()
            .answers::<Erased>(200, "Nothing is kept but what keeps a thief of an old key out.")
            .fails(NAMED),
        post("/capauth/v1/keys/enroll", "enrollKey", "Let a key in without its holder")
            .administrators()
            .body::<EnrollRequest>()
            .answers::<Enrolled>(200, "It can sign in.")
            .fails(&[ErrorCode::InvalidPublicKey, ErrorCode::Conflict]),
        post("/capauth/v1/enrollment-codes", "makeEnrollmentCode", "Make a code that lets one key in")
            .words("It lets a key in in every mode, and also one that waits already.")
            .administrators()
            .body::<CodeRequest>()
            .answers::<EnrollmentCode>(200, "The code, which is shown this once."),
        get("/capauth/v1/audit", "audit", "What happened, in order")
            .administrators()
            .query("after", cursor(), "The `cursor` of the page before.")
            .query("limit", limit(), "How many entries at most; 100 if nothing is said.")
            .query("newest_first", flag(), "Begins with the last entry, and goes back.")
            .answers::<AuditLog>(200, "The oldest first, unless something else is asked for."),
        list(),
    ];
    all.extend(of_one_key());
    all
}

fn list() -> Described {
    let text = |pattern: &str| ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    let fingerprint = || text("^((0[xX])?([0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}))?$");
    get("/capauth/v1/keys", "keys", "Every key, page by page")
        .words(
            "By fingerprint. With `user_name` or `beside`, the keys of that identity alone. An empty parameter counts \
             as absent.",
        )
        .administrators()
        .query("after", fingerprint(), "The last key of the page before.")
        .query("limit", limit(), "How many keys at most; 100 if nothing is said.")
        .query("approved_only", flag(), "Only keys that may sign in.")
        .query("pending_only", flag(), "Only keys that wait for approval.")
        .query("prefix", text("^[0-9A-Fa-f]{0,64}$"), "The first digits of the fingerprint.")
        .query("user_name", ObjectBuilder::new().schema_type(Type::String), "An account name.")
        .query("beside", fingerprint(), "A key of the identity, whose every key is the answer, the primary one first.")
        .answers_list::<KeyEntry>(200, "The keys.")
        .fails(&[ErrorCode::InvalidFingerprint])
}

fn of_one_key() -> Vec<Described> {
    vec![
        put(GROUPS, "setGroups", "Say which groups a key's identity is in")
            .words("Taking one away ends the identity's tokens.")
            .administrators()
            .key_in_path()
            .body::<GroupsRequest>()
            .answers::<Granted>(200, "It is in these."),
        put(USER_NAME, "setUserName", "Give a key's identity a name, or take it away")
            .words(
                "A name is given to one identity, ever. Names that applications take for more than a person's are \
                 given to nobody.",
            )
            .administrators()
            .key_in_path()
            .body::<UserNameRequest>()
            .answers::<Named>(200, "It has this name, or none.")
            .fails(&[ErrorCode::Conflict]),
        put(EMAIL, "vouchForEmail", "Vouch for an e-mail address")
            .words("What is kept is a keyed hash.")
            .administrators()
            .key_in_path()
            .body::<EmailRequest>()
            .answers::<Vouched>(200, "The address counts as the identity's, once its holder claims it.")
            .fails(&[ErrorCode::Conflict]),
        delete(EMAIL, "withdrawEmail", "No longer vouch for an e-mail address")
            .administrators()
            .key_in_path()
            .body::<EmailRequest>()
            .answers::<Vouched>(200, "The address is nobody's.")
            .fails(&[ErrorCode::Conflict]),
        delete(ROTATION, "cancelRotationOfKey", "Cancel a key's rotation that waits")
            .administrators()
            .key_in_path()
            .answers::<RotationCancelled>(200, "The key stays."),
        delete(SESSIONS_OF_KEY, "endSessionsOfKey", "End every session of a key's identity")
            .administrators()
            .key_in_path()
            .answers::<SessionsEnded>(200, "Every token and session of the identity has ended."),
    ]
}

fn limit() -> Schema {
    number(1, usize::try_from(MOST_KEYS).unwrap_or(usize::MAX))
}

fn flag() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["true", "false", "1", "0", ""])).build()
}

/// A place in a list that only grows.
pub(super) fn cursor() -> Schema {
    number(0, usize::MAX)
}

/// A number in a query, where nothing at all means absent.
fn number(least: usize, most: usize) -> Schema {
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least)).maximum(Some(most));
    let nothing = ObjectBuilder::new().schema_type(Type::String).max_length(Some(0));
    Schema::AnyOf(AnyOfBuilder::new().item(number).item(nothing).build())
}
