//! PROGRAM when the time that it had to stop (`--stop-timeout`) was over.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::SignalEvent;
use super::death::cpu_time;
use super::process::{Proc, number, read_small};
use super::snapshot::Snapshot;
use crate::signals::Signo;

/// A PROGRAM that did not stop, and what rinit did about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// What started the time: one of [`super::Evidence::signals`] unless too many came, without its snapshot.
    pub request: SignalEvent,
    /// `--stop-timeout`
    pub timeout: Duration,
    /// When the time was over, since the start.
    pub at: Duration,
    /// PROGRAM then; `None` if it could not be looked at.
    pub look: Option<Look>,
    /// Whether rinit's SIGKILL could be sent; else the errno of kill(2).
    pub kill: Result<(), i32>,
    /// Whether rinit goes although PROGRAM is still there.
    pub abandoned: bool,
}

/// What was seen of PROGRAM right before the SIGKILL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Status, threads, children, queues.
    pub snapshot: Snapshot,
    /// The kernel function in which the main thread slept (/proc/PID/wchan); `None` if it ran, or may not be seen.
    pub wchan: Option<Vec<u8>>,
    /// CPU time used since the request, all threads together, in steps of 10 ms.
    pub cpu: Option<Duration>,
    /// Whether it had ended, or somebody else's SIGKILL was on its way to it, at the last look before rinit's own.
    pub doomed: Option<bool>,
}

impl Proc {
    /// Looks at a PROGRAM that did not stop. `before` is the CPU time that it had used when it was asked to.
    #[must_use]
    pub fn look_at_stuck(self, pid: i32, before: Option<Duration>) -> Option<Look> {
        let wchan = read_small(&format!("/proc/{pid}/wchan"), <[u8]>::to_vec);
        let cpu = self.cpu_time(pid).zip(before).and_then(|(now, before)| now.checked_sub(before));
        let snapshot = self.snapshot(pid, true)?;
        // Last of all: between this look and the SIGKILL there is nothing.
        let status = self.status(pid);
        let doomed = status.and_then(|status| {
            let ended =
                matches!(status.state?, b'Z' | b'X') && snapshot.threads.is_none_or(|threads| threads.count < 2);
            Some(ended || status.pending?.contains(Signo::KILL))
        });
        // "0": it runs, or it may not be looked at (fs/proc/base.c, `proc_pid_wchan`).
        Some(Look { snapshot, wchan: wchan.filter(|wchan| !matches!(wchan.as_slice(), b"" | b"0")), cpu, doomed })
    }

    /// How the zombie `pid` has ended, as wait(2) has it. `None` if it has not, or the kernel does not say.
    #[must_use]
    #[inline(never)]
    pub fn exit_word(self, pid: i32) -> Option<i32> {
        let status = self.status(pid).filter(|status| status.state == Some(b'Z'))?;
        let word = read_small(&format!("/proc/{pid}/stat"), exit_code)??;
        // Who may not look is shown 0 (fs/proc/array.c, `do_task_stat`).
        (word != 0 || status.user?.uid == nix::unistd::geteuid().as_raw()).then_some(word)
    }

    /// CPU time of the process alone, without its children.
    #[must_use]
    pub fn cpu_time(self, pid: i32) -> Option<Duration> {
        read_small(&format!("/proc/{pid}/stat"), cpu_time)?
    }
}

/// `exit_code`, the last field of /proc/PID/stat (proc_pid_stat(5)).
fn exit_code(stat: &[u8]) -> Option<i32> {
    number(stat.trim_ascii_end().rsplit(|byte| *byte == b' ').next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_itself() {
        let own = std::process::id().cast_signed();
        let look = Proc::of(own).unwrap().look_at_stuck(own, Some(Duration::ZERO)).unwrap();
        assert_eq!(look.doomed, Some(false));
        assert!(look.cpu.is_some() && look.snapshot.threads.is_some_and(|threads| threads.count > 0), "{look:?}");
        assert_eq!(Proc::of(own).unwrap().look_at_stuck(-1, None), None);
    }
}
