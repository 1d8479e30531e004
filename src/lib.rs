//! rinit, a minimal container init that says why the container ended.
//!
//! argv → [`cli`] → spawn ([`child`]) → [`supervise`] → [`outcome`] + [`evidence`] → [`diagnose`] → [`report`] →
//! [`sink`] → exit status: one direction, each step a type. The program itself only wires them: `main.rs`, `setup.rs`,
//! `run.rs`, `pause.rs`.

pub mod check;
pub mod child;
pub mod cli;
pub mod diagnose;
pub mod evidence;
pub mod explain;
pub mod install;
pub mod logging;
pub mod outcome;
pub mod provisional;
pub mod relay;
pub mod report;
pub mod signals;
pub mod sink;
pub mod supervise;
pub mod sys;
