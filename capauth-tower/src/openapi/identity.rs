//! What people do with their keys after they enrolled.

use capauth_protocol::ErrorCode;
use capauth_protocol::openapi::UnlinkBody;
use capauth_protocol::request::{LinkRequest, RotateRequest, RotationCancelRequest};
use capauth_protocol::response::{IdentityInfo, Linked, Rotated};

use super::operation::{Access, Described, get, post};
use super::sign_in::PROOF;
use crate::endpoints::answers::Cancelled;

/// Why an identity is not changed, beyond what a login fails with.
const CHANGE: &[ErrorCode] =
    &[ErrorCode::ExpiredTimestamp, ErrorCode::ServiceMismatch, ErrorCode::NotFound, ErrorCode::Conflict];

pub(super) fn operations() -> Vec<Described> {
    vec![
        get("/capauth/v1/identity", "identity", "What one is here")
            .words("With every key of the identity: one that its holder does not know, or a rotation that waits, is news.")
            .people()
            .answers::<IdentityInfo>(200, "The identity."),
        post("/capauth/v1/rotate", "rotate", "Put a new key into the place of an old one")
            .words(
                "Both sign the same text. The old primary key's word counts at once; a subkey's waits a week, since \
                 whoever stole one must not get the identity with it.",
            )
            .body::<RotateRequest>()
            .answers::<Rotated>(200, "The new key signs in from now on.")
            .answers::<Rotated>(202, "It will at `effective_at`, unless that is cancelled.")
            .fails(PROOF)
            .fails(CHANGE)
            .fails(&[ErrorCode::FingerprintMismatch]),
        post("/capauth/v1/rotate/cancel", "cancelRotation", "Cancel a rotation that waits")
            .words("Signed by the primary key of the key that is to stay.")
            .body::<RotationCancelRequest>()
            .answers::<Cancelled>(200, "The old key stays.")
            .fails(PROOF)
            .fails(CHANGE),
        post("/capauth/v1/link", "link", "Make a second key one of an identity")
            .words(
                "Both primary keys sign the same text. What was granted to the second is dropped, and its tokens end. \
                 With the administrator's token, a new key may join in every mode, and subkeys may sign.",
            )
            .anybody_or(&[Access::Administrator])
            .body::<LinkRequest>()
            .answers::<Linked>(200, "The second key signs in as that identity.")
            .fails(PROOF)
            .fails(CHANGE)
            .fails(&[ErrorCode::FingerprintMismatch, ErrorCode::EnrollmentClosed, ErrorCode::NotConfigured]),
        post("/capauth/v1/unlink", "unlink", "Part a second key from an identity")
            .words("Signed by the primary key, or without `primary_signature` by an administrator's credentials.")
            .anybody_or(&[Access::Administrator, Access::Session])
            .body::<UnlinkBody>()
            .answers::<Linked>(200, "The second key has the identity again that it had, without grants.")
            .fails(PROOF)
            .fails(CHANGE)
            .fails(&[ErrorCode::NotConfigured]),
    ]
}
