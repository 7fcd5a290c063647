//! The targets, by what they read.

pub mod certificates;
pub mod configuration;
pub mod documents;
pub mod signatures;
pub mod tokens;
pub mod web;
pub mod words;

/// Input that is text, as most readers get it.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// What is asked for, and the bytes it is asked of: the first byte chooses.
fn choice(data: &[u8]) -> Option<(u8, &[u8])> {
    data.split_first().map(|(first, rest)| (*first, rest))
}
