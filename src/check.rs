//! `--check`: what rinit sees of its container, one line each, with a remark where that will limit its reports.
//!
//! collect → [`Facts`] → rows → text or JSON. Only [`mod@collect`] asks the system; nothing is changed by it, the
//! termination log least of all.

#![forbid(unsafe_code)]

mod collect;
mod parse;
mod render;
mod rows;
#[cfg(test)]
mod tests;

use crate::cli::{Format, TerminationLog};
use crate::evidence::cgroup::Allowance;
use crate::evidence::process::Status;
use crate::signals::SignalSet;
use crate::sink::termination_log::Look;
use crate::sys::signal::Inherited;
pub use parse::{MountLine, Recognized, recognize};

/// What `--check` prints: lines, or one object on one line.
#[must_use]
pub fn check(setting: &TerminationLog, format: Format, inherited: &Inherited) -> String {
    let rows = rows::rows(&collect::facts(setting, inherited));
    match format {
        Format::Text => render::text(&rows),
        Format::Json => render::json(&rows),
    }
}

/// What rinit sees. `None` is always "not known", never "none".
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// rinit's own.
    pub pid: i32,
    /// The comm of PID 1, where that is another process.
    pub init: Option<Vec<u8>>,
    /// Effective user and group.
    pub uid: u32,
    /// See `uid`.
    pub gid: u32,
    /// /proc/self/status; `None` where it cannot be read.
    pub own: Option<Status>,
    /// Whose /proc it is.
    pub proc: ProcView,
    /// The value of /proc's mount option hidepid (proc(5)), where it is not 0.
    pub hidepid: Option<Vec<u8>>,
    /// The termination log; `None` where it is switched off.
    pub log: Option<Look>,
    /// Whether there is a controlling terminal.
    pub terminal: bool,
    /// Descriptors 0 to 2.
    pub stdio: [Stdio; 3],
    /// Signals that came ignored: PROGRAM gets them so.
    pub ignored: SignalSet,
    /// Signals that came blocked: PROGRAM gets them so.
    pub blocked: SignalSet,
    /// /proc/sys/kernel/core_pattern.
    pub core_pattern: Option<Vec<u8>>,
    /// Soft `RLIMIT_CORE` in bytes, `RLIM_INFINITY` for none.
    pub core_limit: Option<u64>,
    /// /dev/shm, where it is a mount that can be asked.
    pub shm: Option<Space>,
    /// Other tmpfs mounts, but those of /dev, /proc and /sys.
    pub tmpfs: Vec<(Vec<u8>, Option<Space>)>,
    /// Whether any cgroup file system is mounted.
    pub has_cgroups: bool,
    /// Cgroup and limits.
    pub cgroup: Allowance,
    /// uname(2), release.
    pub release: Vec<u8>,
    /// A kernel or a /proc that is not Linux' own.
    pub recognized: Option<Recognized>,
    /// Files of /proc that lxcfs answers for.
    pub lxcfs: Vec<Vec<u8>>,
    /// Hints on who runs the container.
    pub platform: Vec<&'static str>,
}

/// Whose processes /proc shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProcView {
    /// Those of rinit's own PID namespace.
    Own,
    /// Those of another one.
    Foreign,
    /// There is none.
    #[default]
    Missing,
}

/// What a descriptor leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stdio {
    /// It is closed.
    #[default]
    Closed,
    /// /dev/null
    Null,
    /// A terminal.
    Terminal,
    /// A pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A regular file.
    File,
    /// Anything else: a device, a directory.
    Other,
}

/// Room in a file system, in bytes (statvfs(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All of it; 0 for a tmpfs without a limit.
    pub size: u64,
    /// What is free.
    pub free: u64,
}
