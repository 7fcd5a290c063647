//! Signing in, as programs do it.

use capauth_protocol::ErrorCode;
use capauth_protocol::openapi::ClientNonce;
use capauth_protocol::request::{ChallengeRequest, VerifyRequest};
use capauth_protocol::response::{ChallengeResponse, VerifyResponse};

use super::operation::{Described, post};

/// Why no challenge is made.
pub(super) const CHALLENGE: &[ErrorCode] = &[
    ErrorCode::InvalidFingerprint,
    ErrorCode::ServiceMismatch,
    ErrorCode::InvalidOrigin,
    ErrorCode::TooManyRequests,
];

/// Why a signature over a challenge proves nothing, or not enough.
pub(super) const PROOF: &[ErrorCode] = &[
    ErrorCode::InvalidFingerprint,
    ErrorCode::InvalidPublicKey,
    ErrorCode::InvalidOrigin,
    ErrorCode::InvalidNonce,
    ErrorCode::ExpiredNonce,
    ErrorCode::UnknownFingerprint,
    ErrorCode::KeyExpired,
    ErrorCode::KeyRevoked,
    ErrorCode::InvalidNonceSignature,
    ErrorCode::EnrollmentPending,
    ErrorCode::KeySuspended,
    ErrorCode::TooManyRequests,
];

/// Why a login fails, beyond that.
pub(super) const LOGIN: &[ErrorCode] = &[
    ErrorCode::FingerprintMismatch,
    ErrorCode::InvalidClaimsSignature,
    ErrorCode::EnrollmentClosed,
    ErrorCode::Conflict,
];

pub(super) fn operations() -> Vec<Described> {
    vec![
        post("/capauth/v1/challenge", "challenge", "Ask for a challenge")
            .words(
                "A challenge is made for any fingerprint, known or not, and lasts a minute. With `origin` it is of \
                 version 2, and what is signed names the page.",
            )
            .body::<ChallengeRequest>()
            .demanding::<ClientNonce>("client_nonce")
            .answers::<ChallengeResponse>(200, "Everything that the text to sign is made of.")
            .fails(CHALLENGE),
        post("/capauth/v1/verify", "verify", "Answer a challenge")
            .words(
                "A challenge is answered once. An answer that proves no possession of the key does not use it up, and \
                 nothing is stored for whoever sent it.",
            )
            .body::<VerifyRequest>()
            .answers::<VerifyResponse>(200, "The login succeeded.")
            .fails(PROOF)
            .fails(LOGIN),
    ]
}
