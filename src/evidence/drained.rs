//! What became of the processes that PROGRAM left, where rinit ended them (`--drain`).

#![forbid(unsafe_code)]

use std::time::Duration;

use super::process::Process;
use crate::signals::Signo;

/// The processes that were left, and what rinit did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drained {
    /// Those that ran when PROGRAM had ended, by pid; empty also where /proc does not show them.
    pub processes: Vec<Rest>,
    /// When rinit sent SIGKILL, counted from PROGRAM's end; `None` if it had not to.
    pub killed_after: Option<Duration>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// As it was when PROGRAM had ended.
    pub process: Process,
    /// What it did.
    pub fate: RestFate,
}

/// What such a process did. Times count from PROGRAM's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestFate {
    /// It ended by itself with this code.
    Exited(u8, Duration),
    /// A signal ended it: SIGTERM from rinit, or another.
    Signaled(Signo, Duration),
    /// It is gone, and its own parent collected it.
    Gone,
    /// It is still there.
    There,
}

impl Drained {
    /// The one with this pid.
    #[must_use]
    pub fn get(&self, pid: i32) -> Option<&Rest> {
        self.processes.get(self.position(pid)?)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, pid: i32) -> Option<&mut Rest> {
        let position = self.position(pid)?;
        self.processes.get_mut(position)
    }

    fn position(&self, pid: i32) -> Option<usize> {
        self.processes.binary_search_by_key(&pid, |rest| rest.process.pid).ok()
    }
}
