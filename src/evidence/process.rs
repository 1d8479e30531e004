//! Processes as /proc shows them.

use crate::signals::SignalSet;

/// The lines of /proc/PID/status (proc_pid_status(5)) that rinit reasons from. They still read on a zombie.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// `Name`: the comm, at most 15 bytes, unescaped.
    pub name: Option<Vec<u8>>,
    /// `State`: the letter (R S D T t Z X I).
    pub state: Option<u8>,
    /// `PPid`.
    pub parent: Option<i32>,
    /// `ShdPnd`: signals pending for the whole process.
    pub pending: Option<SignalSet>,
    /// `SigBlk` of the main thread.
    pub blocked: Option<SignalSet>,
    /// `SigIgn`.
    pub ignored: Option<SignalSet>,
    /// `SigCgt`.
    pub caught: Option<SignalSet>,
    /// `Seccomp`: 0 off, 1 strict, 2 filter, 3 killed by its filter (`SECCOMP_MODE_DEAD`, kernel/seccomp.c).
    pub seccomp: Option<u8>,
}

/// A process that is still there at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// pid in this namespace.
    pub pid: i32,
    /// Its comm.
    pub name: Vec<u8>,
    /// The parent's pid; 0 for one that came from outside.
    pub parent: i32,
    /// The state letter.
    pub state: u8,
}
