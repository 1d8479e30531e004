//! What rinit saw. Collectors fill this in, `diagnose` reads it; nothing here knows what it means.
//! Whatever could not be read is `None`, never zero.

pub mod cgroup;
pub mod checks;
pub mod content;
pub mod death;
pub mod drained;
pub mod elf;
pub mod files;
pub mod language;
pub mod limits;
pub mod listing;
pub mod mountinfo;
pub mod near;
pub mod process;
pub mod roads;
pub mod running;
pub mod shebang;
pub mod snapshot;
pub mod sockets;
pub mod start_limits;
pub mod stuck;
pub mod tail;
pub mod user;
pub mod walk;

use std::time::Duration;

use crate::outcome::Outcome;
use crate::signals::{Origin, Sender, Signo};
use cgroup::{Memory, Strain};
use checks::Checked;
use death::{Death, Executed};
use drained::Drained;
use elf::Executable;
use files::Inspection;
use language::Language;
use limits::Limits;
use process::{Process, Status};
use snapshot::Snapshot;
use start_limits::StartLimits;
use stuck::Stuck;
use tail::Tail;
use walk::Permissions;

/// Everything that is known when PROGRAM has ended.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What was to be run.
    pub command: Command,
    /// What a failed start ends with by the name that rinit was called by; `None`: by its own.
    pub start_status: Option<u8>,
    /// PROGRAM's pid; `None` if there was no fork.
    pub pid: Option<i32>,
    /// Whether rinit is PID 1 of its namespace.
    pub is_init: bool,
    /// Whether signals go to PROGRAM's whole process group.
    pub group: bool,
    /// Start and end as seconds since 1970 UTC.
    pub started: u64,
    /// See `started`.
    pub ended: u64,
    /// How long PROGRAM lived, by the monotonic clock.
    pub duration: Duration,
    /// What it and the children that it waited for used (wait4(2)).
    pub usage: Option<Usage>,
    /// The signals that rinit received for PROGRAM, oldest first: the first 8 and the last 8.
    pub signals: Vec<SignalEvent>,
    /// How many more there were between those.
    pub signals_omitted: u64,
    /// /proc/PID/status of the zombie.
    pub zombie: Option<Status>,
    /// The limits that it had at its end; only if it failed.
    pub limits: Option<Limits>,
    /// What PROGRAM had become right after its execve(2).
    pub executed: Option<Executed>,
    /// More of the zombie, if a signal ended it.
    pub death: Option<Death>,
    /// PROGRAM's executable, at a SIGSEGV or SIGBUS.
    pub elf: Option<Executable>,
    /// The memory cgroup, if there is one to be seen.
    pub memory: Option<Box<Memory>>,
    /// Other counters of the container; only when it failed.
    pub strain: Strain,
    /// Other hints at the OOM killer; only when something was killed.
    pub killer: Killer,
    /// Orphans reaped so far.
    pub reaped: u64,
    /// Orphans among those that died of SIGKILL.
    pub killed: Killed,
    /// Processes of the container (as PID 1) or descendants (else) that are there after PROGRAM, zombies included.
    pub left: Option<Vec<Process>>,
    /// PROGRAM when the time that it had to stop was over; only with `--stop-timeout`.
    pub stuck: Option<Box<Stuck>>,
    /// What became of what it left; only with `--drain`, and if something was left.
    pub drained: Option<Drained>,
    /// What is on disk where PROGRAM should be; only when it could not be started.
    pub inspection: Option<Inspection>,
    /// The first of the commands that PROGRAM was to run that cannot be started, as far as the files show; only after 126
    /// and 127, and only where PROGRAM's arguments tell its name.
    pub inside: Option<Box<Inside>>,
    /// What may have been too small for the start; only when there was none.
    pub start_limits: Option<StartLimits>,
    /// What PROGRAM's file was built from; only where it exited with a code of that language's runtime.
    pub language: Option<Language>,
    /// Owner and mode of PROGRAM's file, which rinit's own user may not read either; only where it exited with a code of
    /// shells that cannot read their script, and may have been one.
    pub unread: Option<Permissions>,
    /// The last lines that PROGRAM wrote; only with `--tail`.
    pub tail: Option<Tail>,
    /// What was found about the claim of the line that was recognized there.
    pub checked: Option<Checked>,
}

/// A command that PROGRAM was to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// As it was given. What is behind a blank or a `=` may be a secret.
    pub name: Vec<u8>,
    /// Whether it was to run as another user than rinit's.
    pub other_user: bool,
    /// What is on disk where it should be.
    pub inspection: Inspection,
}

impl Evidence {
    /// The status that a run ends with, before any `--remap-exit`.
    #[must_use]
    pub fn exit_status(&self, outcome: &Outcome) -> u8 {
        match (outcome, self.start_status) {
            (Outcome::NotStarted(_), Some(status)) => status,
            _ => outcome.exit_status(),
        }
    }
}

/// PROGRAM and its arguments.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// argv[0] as it was given.
    pub program: Vec<u8>,
    /// How many arguments follow.
    pub arguments: usize,
    /// The arguments themselves: only with `--show-args`.
    pub shown: Option<Vec<Vec<u8>>>,
}

/// Resource usage of PROGRAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// CPU time in user mode.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// Largest resident set of any one process, KiB. Never below rinit's own at the fork.
    pub max_rss_kib: u64,
}

/// Orphans that died of SIGKILL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Killed {
    /// How many.
    pub count: u64,
    /// The first and the last.
    pub named: Vec<Sender>,
}

/// What the OOM killer goes by, and how often it struck anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Killer {
    /// OOM kills on the whole machine since it booted.
    pub on_machine: Option<u64>,
    /// The same soon after the start.
    pub on_machine_before: Option<u64>,
    /// rinit's own /proc/PID/oom_score_adj, which PROGRAM inherits.
    pub score_adj: Option<i32>,
    /// Whether Kubernetes set the environment (`KUBERNETES_SERVICE_HOST`).
    pub kubernetes: bool,
}

/// A signal on its way to PROGRAM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalEvent {
    /// What arrived.
    pub signal: Signo,
    /// From whom.
    pub origin: Origin,
    /// When, since the start.
    pub at: Duration,
    /// What became of it.
    pub fate: Fate,
    /// PROGRAM just before; only for the first signals, then once a second.
    pub snapshot: Option<Snapshot>,
}

/// What rinit did with a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Passed on to PROGRAM (or its group) as this signal.
    Sent(Signo),
    /// Dropped by `--rewrite A:0`.
    Dropped,
    /// Not sent: the terminal had already sent it to PROGRAM, which is in rinit's group.
    Direct,
    /// kill(2) failed with this errno.
    Failed(i32),
}
