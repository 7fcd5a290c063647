//! The suite: each test takes empty stores.

mod helpers;
mod keys;
mod tokens;

pub use keys::*;
pub use tokens::*;
