//! `--pause`: no PROGRAM, rinit only reaps.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

use rinit::child::Placement;
use rinit::cli::Config;
use rinit::evidence::Evidence;
use rinit::evidence::cgroup::Baseline;
use rinit::logging;
use rinit::provisional;
use rinit::sink::termination_log::TerminationLog;
use rinit::supervise::Supervisor;
use rinit::sys::clock::seconds_since_1970;
use rinit::sys::signal::SignalFd;

use crate::fail;
use crate::setup::{INIT, open_log, prepare, release_inherited, tell};

/// Until a request to stop.
#[inline(never)]
pub fn pause(config: &Config) -> u8 {
    let signals = match SignalFd::new() {
        Ok(signals) => signals,
        Err(errno) => return fail(&format!("cannot make a signal descriptor: {}", errno.desc())),
    };
    let (pid, refused) = prepare(config);
    let (mut log, warning) = open_log(config, pid);
    if let Some(log) = &mut log {
        provisional_only(log, config, pid);
    }
    logging::start(&config.log_filter, config.peer);
    tell(warning, &refused, Some(&signals));
    let signal_fd = signals.as_fd().as_raw_fd();
    let kept = log.as_ref().map_or(signal_fd, TerminationLog::descriptor);
    release_inherited(pid == INIT, &signals, &mut [signal_fd, kept]);
    Supervisor {
        pid,
        signals: &signals,
        rewrite: &[],
        group: false,
        stop_timeout: config.stop_timeout,
        stop_signals: &config.stop_signals,
        placement: Placement::Leader,
        warn_reaped: config.warn_reaped,
        peer: config.peer,
        proc: None,
        directory: None,
        start: Instant::now(),
    }
    .pause(config.drain);
    if let Some(log) = &mut log {
        log.write(config.report_size, true, |_| None);
    }
    0
}

/// What is to be found in the termination log if a pause is killed. An end that was asked for leaves nothing.
#[inline(never)]
fn provisional_only(log: &mut TerminationLog, config: &Config, pid: i32) {
    let mut evidence = Evidence { is_init: pid == INIT, started: seconds_since_1970(), ..Evidence::default() };
    evidence.command.program = b"rinit".to_vec();
    provisional::begin(log, &mut evidence, config, Baseline::take(pid).as_deref());
}
