//! Applications with CapAuth in them, behind real sockets and with real keys.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

mod client;
mod example;
mod extract;
mod mounted;
#[path = "../../../capauth-tower/tests/it/person.rs"]
mod person;
