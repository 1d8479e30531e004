//! How PROGRAM ended, and the one place where that becomes an exit status.

#![forbid(unsafe_code)]

use crate::signals::Signo;

/// What became of PROGRAM. Code and signal stay two facts; they are joined to one number only in
/// [`Outcome::exit_status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It ended by itself with this code (wait(2), `WIFEXITED`).
    Exited(u8),
    /// A signal ended it (wait(2), `WIFSIGNALED`).
    Signaled {
        /// The signal.
        signal: Signo,
        /// Whether the kernel says that it dumped core (`WCOREDUMP`).
        core_dumped: bool,
    },
    /// It never ran.
    NotStarted(StartError),
}

/// The system call that kept PROGRAM from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartError {
    /// Which call failed.
    pub stage: Stage,
    /// errno of that call.
    pub errno: i32,
}

impl StartError {
    /// For the way from the child, where only `Prepare` and `Exec` fail: the errno, below zero for the former.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 4] {
        if self.stage == Stage::Exec { self.errno } else { -self.errno }.to_ne_bytes()
    }

    /// What [`StartError::to_bytes`] made.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 4]) -> Self {
        let errno = i32::from_ne_bytes(bytes);
        Self { stage: if errno > 0 { Stage::Exec } else { Stage::Prepare }, errno: errno.saturating_abs() }
    }
}

/// The steps of a start that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Something rinit needs for itself: the signal descriptor, the pipe.
    Prepare,
    /// fork(2).
    Fork,
    /// execve(2), after the search in PATH.
    Exec,
}

/// rinit's own failure, usage included (the convention of env(1), timeout(1) and `docker run`).
pub const OWN_FAILURE: u8 = 125;
/// Found, but not executable (bash(1), EXIT STATUS).
const NOT_EXECUTABLE: u8 = 126;
/// Not found (bash(1), EXIT STATUS).
const NOT_FOUND: u8 = 127;
/// bash(1): "a command that terminates on a fatal signal N has status 128+N".
const SIGNAL_BASE: u8 = 128;

impl Outcome {
    /// The status that rinit exits with: PROGRAM's own code, 128+n for signal n, 127 where PROGRAM or its
    /// interpreter was not found, 126 where execve(2) failed otherwise, 125 where rinit failed.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match *self {
            Self::Exited(code) => code,
            Self::Signaled { signal, .. } => SIGNAL_BASE + signal.as_u8(),
            Self::NotStarted(StartError { stage: Stage::Exec, errno }) if errno == libc::ENOENT => NOT_FOUND,
            Self::NotStarted(StartError { stage: Stage::Exec, .. }) => NOT_EXECUTABLE,
            Self::NotStarted(_) => OWN_FAILURE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_in_the_child_comes_back_as_it_was() {
        for stage in [Stage::Prepare, Stage::Exec] {
            for errno in [libc::EPERM, libc::ENOENT, 133] {
                let error = StartError { stage, errno };
                assert_eq!(StartError::from_bytes(error.to_bytes()), error);
            }
        }
        // No such bytes are sent: they are no word of execve, and no panic.
        for errno in [0, i32::MIN] {
            assert_eq!(StartError::from_bytes(i32::to_ne_bytes(errno)).stage, Stage::Prepare);
        }
    }
}
