//! Applications with CapAuth in them, behind real sockets and with real keys.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::needless_pass_by_value,
    clippy::panic
)]

mod attacks;
mod catchers;
mod client;
mod example;
mod guards;
mod ignition;
mod logs;
mod mounted;
#[path = "../../../capauth-tower/tests/it/person.rs"]
mod person;
mod stores;
