//! What must hold for any bytes that arrive from outside.
//!
//! Each [`Target`] takes arbitrary bytes, hands them to one reader of this project and asserts what must be true of the
//! answer: not only that nothing panics, but that nothing verifies which nobody signed, that what was read can be written
//! and read again, that limits hold.
//!
//! The same functions are run in two ways. `cargo xtask fuzz` drives them with libFuzzer, guided by coverage. The test
//! `replay` runs every file of the [corpora](corpus_folder) through them, and some thousand simple mutations of each; it
//! is an ordinary test and needs nothing installed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a property that does not hold is told by a panic"
)]

use std::path::{Path, PathBuf};

pub mod fixed;
pub mod mutate;
pub mod targets;

/// What a target made of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was refused, as it should be.
    Refused,
    /// It was understood, and all that must hold of it does.
    Accepted,
}

impl Outcome {
    /// Accepted, if so.
    pub fn accepted_if(accepted: bool) -> Self {
        if accepted { Self::Accepted } else { Self::Refused }
    }
}

/// One reader, and what must hold of it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name, of its corpus's folder too.
    pub name: &'static str,
    /// Reads arbitrary bytes. Panics where something does not hold.
    pub run: fn(&[u8]) -> Outcome,
    /// Mutated inputs in the test run: as many as half a second has room for.
    pub mutations: u32,
    /// The longest input that says something new, in bytes.
    pub longest: usize,
}

/// Every target, by name.
pub const TARGETS: &[Target] = &[
    target("certificate", targets::certificates::packets, 400, 8192),
    target("certificate_armored", targets::certificates::armored, 400, 8192),
    target("claims", targets::documents::claims, 3000, 4096),
    target("configuration", targets::configuration::configuration, 600, 4096),
    target("email", targets::words::email, 5000, 512),
    target("fingerprint", targets::words::fingerprint, 5000, 160),
    target("headers", targets::web::headers, 3000, 2048),
    target("names", targets::words::names, 5000, 256),
    target("payload", targets::documents::payload, 4000, 1024),
    target("query", targets::web::query, 4000, 1024),
    target("redirect", targets::web::redirect, 5000, 2200),
    target("refresh_token", targets::tokens::refresh, 1500, 2048),
    target("requests", targets::documents::requests, 2000, 4096),
    target("responses", targets::documents::responses, 3000, 4096),
    target("session_cookie", targets::tokens::cookie, 1000, 4096),
    target("signature_cleartext", targets::signatures::armored, 300, 4096),
    target("signature_detached", targets::signatures::detached, 400, 2048),
    target("signature_inline", targets::signatures::inline, 400, 4096),
    target("token", targets::tokens::access, 500, 4096),
    target("web_key_directory", targets::certificates::directory, 300, 8192),
];

const fn target(name: &'static str, run: fn(&[u8]) -> Outcome, mutations: u32, longest: usize) -> Target {
    Target { name, run, mutations, longest }
}

/// The target of this name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

impl Target {
    /// Words that its inputs are made of, as libFuzzer reads them; there need not be any.
    pub fn dictionary(&self) -> PathBuf {
        folder().join("dictionaries").join(format!("{}.dict", self.name))
    }

    /// The inputs that are kept.
    pub fn corpus(&self) -> PathBuf {
        corpus_folder().join(self.name)
    }
}

/// Where the inputs are kept that reach something: a folder for each target.
pub fn corpus_folder() -> PathBuf {
    folder().join("corpus")
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
