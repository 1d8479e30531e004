//! What rinit makes of itself and of what it was given, before and right after the start.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::unistd::getpid;

use rinit::cli::{Config, ReportWhen};
use rinit::diagnose::{public_part, wording};
use rinit::sink::termination_log::TerminationLog;
use rinit::sys::entry::Arguments;
use rinit::sys::signal::SignalFd;
use rinit::sys::{descriptor, process};

/// The pid of a namespace's init.
pub const INIT: i32 = 1;

/// What prctl(2) refused.
#[derive(Default)]
pub struct Refused {
    parent_death_signal: Option<Errno>,
    subreaper: Option<Errno>,
}

/// Sets what rinit is towards its parent and its orphans. Returns its pid.
pub fn prepare(config: &Config) -> (i32, Refused) {
    let pid = getpid().as_raw();
    let mut refused = Refused::default();
    if let Some(signal) = config.parent_death_signal {
        refused.parent_death_signal = process::set_parent_death_signal(signal).err();
    }
    if pid != INIT {
        refused.subreaper = nix::sys::prctl::set_child_subreaper(true).err();
    }
    (pid, refused)
}

/// What went wrong before logging had started.
#[inline(never)]
pub fn tell(warning: Option<String>, refused: &Refused, signals: Option<&SignalFd>) {
    if let Some(warning) = warning {
        log::warn!("{warning}");
    }
    for (level, refused, what) in [
        (log::Level::Warn, refused.parent_death_signal, "--parent-death-signal has no effect"),
        (log::Level::Debug, refused.subreaper, "orphans do not come to rinit"),
        (log::Level::Debug, signals.and_then(SignalFd::refused), "no signalfd, signals alone wake rinit"),
    ] {
        if let Some(errno) = refused {
            log::log!(level, "{what}: {}", errno.desc());
        }
    }
}

/// Lets go of what was inherited, for PROGRAM has its own copies: whoever is at the other end of a pipe has to see it
/// when PROGRAM closes it, and a file system has to be free to be unmounted. stderr stays for the report, and as
/// PID 1 stdout too, because programs log to /proc/1/fd/1.
pub fn release_inherited(is_init: bool, signals: &SignalFd, keep: &mut [i32]) {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").ok();
    let null = null.and_then(|null| descriptor::above_stdio(null.into()).ok());
    // Without /dev/null: any descriptor that does no harm.
    let harmless = null.as_ref().map_or(signals.as_fd(), AsFd::as_fd);
    for (stdio, kept) in [(0, false), (1, is_init), (2, true)] {
        if !(kept && descriptor::is_open(stdio)) {
            let _ = descriptor::put(harmless, stdio);
        }
    }
    drop(null);
    if let Err(errno) = descriptor::close_all_but(keep) {
        log::debug!("cannot close inherited descriptors: {}", errno.desc());
    }
    let _ = nix::unistd::chdir("/");
}

/// The termination log, or why there is none, to be logged once logging has started.
pub fn open_log(config: &Config, pid: i32) -> (Option<TerminationLog>, Option<String>) {
    if config.report == ReportWhen::Never {
        return (None, None);
    }
    match TerminationLog::open(&config.termination_log, pid == INIT) {
        Ok(log) => (log, None),
        Err(warning) => (None, Some(warning)),
    }
}

pub fn path() -> Option<Vec<u8>> {
    std::env::var_os("PATH").map(OsString::into_vec)
}

/// PROGRAM's name for a line of the log.
pub fn name_of(arguments: Arguments, program: usize) -> String {
    let name = arguments.get(program).unwrap_or_default().to_bytes();
    wording::name(public_part(name))
}
