//! rinit where the kernel gives less than usual: refused calls, exhausted limits, missing files, file systems that do not
//! answer. The status is right, the report true or none, nothing hangs, and what cannot be started says why.
#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::type_complexity)]

#[path = "../common/mod.rs"]
mod common;
mod limits;
mod missing;
mod refused;
mod unanswered;

use std::time::Duration;

/// Generous: whoever hangs is caught all the same.
const DEADLINE: Duration = Duration::from_secs(60);

#[track_caller]
fn contains(text: &str, words: &str) {
    assert!(text.contains(words), "no {words:?} in: {text}");
}
