//! rinit as PID 1 of real containers. Every test needs a Docker engine and is ignored without being asked for:
//! `cargo test --test docker -- --ignored`. An engine that does not answer is then a failure.
#![allow(missing_docs, unsafe_code, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../../benches/cost/elf.rs"]
mod elf;
mod engine;
mod example;
mod exec;
mod hardened;
mod interactive;
mod memory;
mod report;
mod secrets;
mod signals;
mod status;
mod terminal;
mod termination_log;
