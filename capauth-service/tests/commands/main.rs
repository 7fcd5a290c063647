//! What is done beside the running service, with the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]
#![allow(missing_docs, unreachable_pub, dead_code)]

#[path = "../support/mod.rs"]
mod support;

mod check;
mod documented;
mod keygen;
mod keys;
mod keys_decided;
mod origins;
mod pages;
mod terminal;
