//! Applications with CapAuth in them, behind real sockets and with real keys.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

mod client;
mod example;
mod extract;
mod guards;
mod mounted;
#[path = "../../../capauth-tower/tests/it/person.rs"]
mod person;
mod sockets;
mod wrapped;

use capauth_actix::{CapAuth, MaybeAuthenticated, group};
use capauth_verifier::memory;

group!(pub(crate) Admins = "admins");

async fn capauth() -> CapAuth {
    CapAuth::local("app.example.com").stores(memory::stores().unwrap()).build().await.unwrap()
}

async fn maybe(user: MaybeAuthenticated) -> String {
    user.as_ref().map_or("nobody".to_owned(), |user| user.sub().to_string())
}
