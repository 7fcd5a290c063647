//! How the service is reached: TLS and its certificates, a Unix socket, a service manager's sockets and messages.

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

mod documents;
mod manager;
mod replacing;
mod settings;
mod sockets;
mod tls;
mod unix;
