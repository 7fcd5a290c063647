//! Backups and restores, file by file: what is in them, what is refused, what ends, what is carried over.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub)]

mod carrying;
#[path = "../suite/helpers.rs"]
mod helpers;
mod making;
mod place;
mod planted;
mod restoring;
