//! Decides who someone is: judges OpenPGP certificates and signatures, maps claims, issues and reads tokens.
//!
//! # Rules
//!
//! 1. Nothing is stored for whoever has not proved possession of a key, and a failed attempt uses nothing up.
//! 2. One challenge makes one login, however many answers arrive at once.
//! 3. What is stored of a certificate only gets safer: revocations add up, older facts never replace newer ones.
//! 4. No name and no address is stored: of a certificate, [`SigningKeys`](openpgp::SigningKeys) are kept.
//! 5. People assert claims; authority (groups, approval) is granted, and read from the store at each use.
//!
//! # Caveats
//!
//! - Challenges live in one process's memory unless a shared [`ChallengeStore`] is handed in.
//! - A revocation made by another process on the same database is seen within a second.
//! - The backend decides which keys can sign in: Brainpool curves and RSA above 4096 bits need `crypto-openssl`.
//!
//! # Example
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use capauth_protocol::request::ChallengeRequest;
//! use capauth_verifier::{Caller, LocalVerifier, Verifier, memory};
//!
//! let verifier = LocalVerifier::builder("app.example.com").stores(memory::stores()?).build().await?;
//! let mut request = ChallengeRequest::new("8A3FC2D1E4B5A09F6B7C8D0E1F2A3B4C5D6E7F80".parse()?);
//! request.client_nonce = Some("dGhpcyBpcyBhIHRlc3Q=".to_owned());
//! let challenge = verifier.challenge(&request, &Caller::default()).await?;
//! assert_eq!(challenge.service, "app.example.com");
//! # Ok(()) }
//! ```
//!
//! # Metrics
//!
//! Logins, challenges, refusals by a store and what caches had are counted through the [`metrics`] facade, by names that
//! begin with `capauth_`. Install a recorder before a verifier is built: its handles are looked up then. No label holds
//! anything that came with a request.
//!
//! # Features
//!
//! Sequoia takes exactly one OpenPGP backend per build.
//!
//! | feature | default | what for |
//! |---|---|---|
//! | `remote` | yes | [`RemoteVerifier`]: asking a central service instead of deciding here |
//! | `wkd` | yes | [`EmailVerifier`]: asking a domain whether an e-mail address belongs to a key |
//! | `crypto-rust` | yes | pure Rust, no system library, post-quantum signatures |
//! | `crypto-openssl` | | OpenSSL 3: Brainpool, large RSA keys, fast RSA; with `default-features = false` |
//! | `crypto-nettle` | | Nettle; with `default-features = false` |

mod claims;
mod clock;
mod counts;
mod email;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod limits;
mod local;
pub mod memory;
pub mod openpgp;
mod origins;
mod qr;
#[cfg(feature = "remote")]
mod remote;
mod secret;
mod seen;
mod stores;
mod tokens;
mod verifier;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use email::EmailAddress;
#[cfg(feature = "wkd")]
pub use email::{
    DirectoryError, DirectoryErrorKind, EmailVerifier, KeyDirectory, Resolver, SystemResolver,
    WebKeyDirectory, WebKeyDirectoryBuilder,
};
pub use error::{AuthError, AuthErrorKind, ConfigError};
pub use limits::{Attempt, DeviceId, Limits, Meter, RateLimits};
pub use local::{Administration, EnrollmentMode, LocalBuilder, LocalVerifier, ServiceEntry, StoreHealth};
pub use origins::service_origins;
pub use qr::{QrAnswered, QrChallenge, QrStatus};
#[cfg(feature = "remote")]
pub use remote::{RemoteBuilder, RemoteVerifier};
pub use secret::{MasterKey, MasterKeyError, OpenError, Sealer, Secret, Unwrapped};
pub use stores::{
    Actor, AddressPrefix, Admission, Advance, AuditEntry, AuditEvent, AuditName, AuditPage, Challenge,
    ChallengeStore, Changed, EnrolledKey, Enrollment, FingerprintPrefix, HashOf, Identity, Installation,
    KeyFacts, KeyPurpose, KeyQuery, KeyRole, KeyStore, Link, MAX_LINKED, NewCode, NewFamily, NewKey, Note,
    Places, QrEnd, QrLogin, QrRow, QrState, QrStore, REFRESH_GRACE, ROTATION_DOUBT, Revocation,
    RevocationPage, RevokedBy, Rotation, SessionEntry, SessionStore, StoreError, StoreResult, StoredTokenKey,
    Stores, TokenStore, Unlink,
};
pub use verifier::{Audience, Authenticated, Caller, Login, Session, Verifier};
