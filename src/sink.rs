//! Where a report goes: the termination log, then stderr, neither of which can hold up the exit.

#![forbid(unsafe_code)]

pub mod stderr;
pub mod termination_log;
