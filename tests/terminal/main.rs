//! rinit on a terminal: job control works as if it were not there.
#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::indexing_slicing, clippy::undocumented_unsafe_blocks)]

#[path = "../common/mod.rs"]
mod common;

mod group;
mod init;
mod pty;
mod shell;
