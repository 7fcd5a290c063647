//! The words of the CapAuth protocol, version 1.0: sign in with an OpenPGP key.
//!
//! Rules of this crate:
//!
//! - It does no cryptography, reads no clock and does no I/O. It only says what goes over the wire.
//! - What arrives is parsed once, strictly, into types that cannot hold anything malformed. Lengths are looked
//!   at before contents.
//! - Nothing here panics on input, whatever the input is.
//! - Times are strings (RFC 3339, UTC), because a client signs the string that it was given.
//!
//! ```
//! use capauth_protocol::request::VerifyRequest;
//! use capauth_protocol::payload::ClaimsPayload;
//!
//! let body = br#"{
//!     "fingerprint": "0123456789abcdef0123456789abcdef01234567",
//!     "nonce": "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90",
//!     "nonce_signature": "-----BEGIN PGP SIGNATURE-----\n...",
//!     "claims": {"name": "Zo\u00eb", "age": 1.50}
//! }"#;
//! let request = VerifyRequest::parse(body)?;
//! assert_eq!(request.fingerprint.prefix(8), "01234567");
//!
//! let claims = request.claims.expect("the body has claims");
//! let signed = ClaimsPayload {
//!     fingerprint: &request.fingerprint_as_sent,
//!     nonce: &request.nonce_as_sent,
//!     claims_json: &claims.to_canonical(),
//! };
//! assert!(signed.to_text().ends_with("claims={\"age\":1.50,\"name\":\"Zoë\"}"));
//! # Ok::<(), capauth_protocol::Refusal>(())
//! ```
//!
//! The feature `openapi` adds schemas of all this, for an OpenAPI description.

mod claims;
mod digits;
mod error;
mod fingerprint;
pub mod json;
pub mod limits;
mod nonce;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod payload;
pub mod request;
pub mod response;

pub use claims::{OidcClaims, Scalar};
pub use error::{ErrorBody, ErrorCode, Refusal};
pub use fingerprint::{Fingerprint, ParseFingerprintError};
pub use json::Json;
pub use nonce::{Nonce, ParseNonceError};

/// The header in which an application that hands a login on to a service says whose it is: the person's address. It
/// counts beside the application's credential alone.
pub const CLIENT_ADDRESS: &str = "capauth-client-address";

/// The header in which such an application says which browser it is, if that one has signed in before: 32 hexadecimal
/// digits that mean nothing else. It counts beside the application's credential alone.
pub const CLIENT_DEVICE: &str = "capauth-client-device";

/// The version of the protocol that this crate speaks, as it stands in `capauth_version`.
pub const VERSION: &str = "1.0";
