//! rinit as PID 1 of real containers. Every test needs a Docker engine, those of podman that as well, and is
//! ignored without being asked for: `cargo test --test docker -- --ignored`. An engine that does not answer is then a failure.
#![allow(missing_docs, unsafe_code, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../../benches/cost/elf.rs"]
mod elf;
mod engine;
mod engine_init;
mod example;
mod exec;
mod hardened;
mod install;
mod interactive;
mod memory;
mod podman;
mod report;
#[path = "../common/scenario.rs"]
mod scenario;
mod scenarios;
#[path = "../common/schema.rs"]
mod schema;
mod secrets;
mod signals;
mod status;
mod stopping;
mod survives;
mod tail;
mod terminal;
mod termination_log;
