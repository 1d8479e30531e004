//! A child that does its worst, and storms: the status is right, the report is whole and true, nothing hangs, nothing is
//! lost, nothing grows.
//!
//! The full form, 1,000,000 signals and as many orphans: `TEST_ROUNDS=50 cargo test --test hostile -- --nocapture
//! --test-threads=1`.
#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stderr, clippy::undocumented_unsafe_blocks)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/schema.rs"]
mod schema;

mod child;
mod meter;
mod orphans;
mod queue;
mod turns;

use std::time::Duration;

/// 50 in the full form.
fn rounds() -> usize {
    std::env::var("TEST_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap())
}

/// So long a run may take on a machine that is busy with other things.
fn patience() -> Duration {
    Duration::from_secs(60) * rounds() as u32
}
