//! Verifying e-mail addresses by Web Key Directories, with a directory of the tests' own.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod addresses;
mod asking;
mod certificates;
mod fetching;
mod hosts;
mod keys;
mod names;
mod server;
mod world;
