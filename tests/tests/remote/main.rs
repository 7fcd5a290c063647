//! Applications whose keys are at a central service: ours, failing in every way, and the Python one.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod app;
mod faults;
mod python;
mod wire;
