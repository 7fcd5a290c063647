//! The suite: each test takes empty stores.

mod helpers;
mod keys;
mod life;
mod sessions;
mod tokens;

pub use keys::*;
pub use life::*;
pub use sessions::*;
pub use tokens::*;

use capauth_protocol::Fingerprint;
use capauth_verifier::{Actor, Admission, Note, Places, Stores, Timestamp};

/// An administrator does something at this time.
fn note_at(at: Timestamp) -> Note {
    Note::new(at, Actor::Administrator)
}

/// A key that waits, from the network of this number.
fn pending(network: u8) -> Admission {
    Admission::Pending { share: [network; 32], places: Places { per_share: 5, in_all: 12 } }
}

/// How an erased key is remembered.
fn tombstones(stores: &Stores) -> impl Fn(&Fingerprint) -> [u8; 32] + Sync + '_ {
    |fingerprint| stores.master_key.tombstone(fingerprint)
}
