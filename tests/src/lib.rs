//! What the suites that cross crates share: the real service, gpg, keys, an HTTP client, foreign implementations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a harness of tests fails at once and loudly"
)]

pub mod book;
pub mod example;
pub mod foreign;
pub mod gpg;
pub mod http;
pub mod keys;
pub mod life;
pub mod login;
pub mod pages;
pub mod process;
pub mod scrape;
pub mod sequoia;
pub mod service;
pub mod signer;
pub mod sites;
