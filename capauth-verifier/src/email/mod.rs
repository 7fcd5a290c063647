//! Whether an e-mail address belongs to a key: its domain says so, in its Web Key Directory.
//!
//! - `address`: the one form in which addresses are compared.
//! - `directory`: who is asked, and how that may fail.
//! - `web`: the Web Key Directory of the address's domain, over HTTPS.
//! - `builder`: configuring it.
//! - `resolver`: from a name to addresses, once.
//! - `public`: which of them belong to the public internet.
//! - `verifier`: the decision.
//! - `answers`: what is remembered of it, and how often is asked.
//!
//! The domain learns that somebody presents an address of it here. Strangers choose the domain, so what is fetched, from
//! where, and for how long, is bounded on every side.

mod address;
#[cfg(feature = "wkd")]
mod answers;
#[cfg(feature = "wkd")]
mod builder;
#[cfg(feature = "wkd")]
mod directory;
#[cfg(feature = "wkd")]
mod public;
#[cfg(feature = "wkd")]
mod resolver;
#[cfg(feature = "wkd")]
mod verifier;
#[cfg(feature = "wkd")]
mod web;

pub use address::EmailAddress;
#[cfg(feature = "wkd")]
pub use builder::WebKeyDirectoryBuilder;
#[cfg(feature = "wkd")]
pub use directory::{DirectoryError, DirectoryErrorKind, KeyDirectory};
#[cfg(feature = "wkd")]
pub use resolver::{Resolver, SystemResolver};
#[cfg(feature = "wkd")]
pub use verifier::EmailVerifier;
#[cfg(feature = "wkd")]
pub use web::WebKeyDirectory;
