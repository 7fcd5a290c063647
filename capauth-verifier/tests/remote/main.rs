//! `RemoteVerifier` against a central service that is scripted, and at times lies.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod asking;
mod building;
mod central;
mod challenges;
mod faults;
mod following;
mod http;
mod logins;
mod older;
mod qr;
mod tokens;
