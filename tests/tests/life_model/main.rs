//! The whole life of keys against a model of it: whatever people, administrators and time do, in any order.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail at once and loudly"
)]

mod chance;
mod facts;
mod model;
mod people;
mod steps;
mod stories;
