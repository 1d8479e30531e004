//! What is left of PROGRAM when it has ended: looked at before it is reaped, and then reaped.

#![forbid(unsafe_code)]

use nix::unistd::{Pid, getpgrp};

use super::backlog::Backlog;
use super::{History, Stopping, Supervisor};
use crate::child::{Placement, Started, pass_terminal};
use crate::evidence::cgroup::place::Membership;
use crate::evidence::death::{Death, Executed};
use crate::evidence::limits::Limits;
use crate::evidence::process::Status;
use crate::evidence::{Killed, Usage};
use crate::outcome::Outcome;
use crate::signals::Signo;
use crate::sys::wait::{self, Change, Peeked};
use crate::sys::{process, signal};

/// What the loop ends with.
#[derive(Debug)]
pub struct Ended {
    /// How PROGRAM ended.
    pub outcome: Outcome,
    /// What it used; `None` if it is still there.
    pub usage: Option<Usage>,
}

/// What the loop saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// The zombie's /proc/PID/status.
    pub zombie: Option<Status>,
    /// The limits that it had.
    pub limits: Option<Limits>,
    /// What PROGRAM became right after its execve(2).
    pub executed: Option<Executed>,
    /// More of the zombie, if a signal ended it.
    pub death: Option<Death>,
    /// OOM kills on the whole machine soon after the start, if it lived that long.
    pub oom_kills_before: Option<u64>,
    /// The memory cgroup in which SIGKILL ended it.
    pub cgroup: Option<Membership>,
    /// What it was sent.
    pub history: History,
    /// What is still to be sent.
    pub(super) backlog: Backlog,
    /// A stop under way.
    pub stopping: Option<Stopping>,
    /// Orphans reaped.
    pub reaped: u64,
    /// Those of them that died of SIGKILL.
    pub killed: Killed,
}

impl Supervisor<'_> {
    /// PROGRAM has changed: `None` if it lives on. `peeked` is what a look without reaping showed.
    #[inline(never)]
    pub(super) fn collect(
        &self,
        started: &Started,
        peeked: Peeked,
        seen: &mut Seen,
    ) -> Option<(Outcome, Option<Usage>)> {
        let Peeked { pid: program, end, is_traced, .. } = peeked;
        if !peeked.is_there() {
            log::debug!("waitid(2) is refused: pid {program} was reaped before it could be looked at");
        }
        // A success that nobody asked for raises no question that /proc could answer.
        let answers = |end| end != Change::Exited(0) || !seen.history.is_empty();
        let proc = self.proc.filter(|_| peeked.is_there() && end.is_some_and(answers));
        let signaled = end.and_then(Change::signal);
        let killed_proc = proc.filter(|_| signaled == Some(Signo::KILL));
        seen.zombie = proc.and_then(|proc| proc.status(program));
        seen.death = proc.zip(signaled).map(|(proc, signal)| proc.death(program, signal, self.directory));
        seen.limits = match (&seen.death, end) {
            (Some(death), _) => Some(death.limits),
            (None, Some(Change::Exited(1..))) => proc.and_then(|proc| proc.limits(program)),
            _ => None,
        };
        seen.cgroup = killed_proc.and_then(|_| Membership::of(program, b"memory"));
        if self.placement == Placement::Session && end.is_some() {
            // While the zombie holds its number, no other group can have it.
            let _ = signal::kill(-program, Signo::TERM);
        }
        let (change, usage) = peeked.collect()?;
        match change {
            // It has asked its parent to trace it. Nobody would let it go on at a signal, or at an execve(2), whose SIGTRAP
            // is for a debugger alone.
            Change::Stopped(signal) if is_traced => {
                let _ = process::stop_tracing(program, Some(signal).filter(|signal| *signal != Signo::TRAP));
            }
            Change::Stopped(signal) => {
                self.on_stop(program, signal);
                seen.history.continued = wait::was_continued(program);
            }
            _ => {}
        }
        let outcome = change.outcome()?;
        if self.placement == Placement::OwnGroup {
            pass_terminal(Pid::from_raw(program), getpgrp());
        }
        if signaled == Some(Signo::KILL) {
            // Its children came to rinit with its end: which of them the same killer took counts.
            seen.reaped += self.reap_rest(&mut seen.killed);
        }
        Some((started.start_error().map_or(outcome, Outcome::NotStarted), usage))
    }
}
