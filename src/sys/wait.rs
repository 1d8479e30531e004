//! Waiting. nix's `waitpid` loses the status of a process that a real-time signal killed, and its `WaitStatus`
//! panics on 255 of the 65,536 words; so the words are decoded here.

use std::mem::MaybeUninit;
use std::ptr;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::time::{TimeVal, TimeValLike};

use crate::evidence::Usage;
use crate::outcome::Outcome;
use crate::signals::Signo;

/// A change of state that wait4(2) tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It ended by itself.
    Exited(u8),
    /// A signal ended it.
    Signaled {
        /// Which.
        signal: Signo,
        /// `WCOREDUMP`.
        core_dumped: bool,
    },
    /// A signal stopped it.
    Stopped(Signo),
    /// It goes on.
    Continued,
}

impl Change {
    /// The signal that ended it, if one did.
    #[must_use]
    pub fn signal(self) -> Option<Signo> {
        match self {
            Self::Signaled { signal, .. } => Some(signal),
            Self::Exited(_) | Self::Stopped(_) | Self::Continued => None,
        }
    }

    /// What became of it, if it has ended.
    #[must_use]
    pub fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Exited(code) => Some(Outcome::Exited(code)),
            Self::Signaled { signal, core_dumped } => Some(Outcome::Signaled { signal, core_dumped }),
            Self::Stopped(_) | Self::Continued => None,
        }
    }

    /// Reads a status word (include/linux/wait.h; wait(2)). `None` for the words that the kernel does not make.
    #[must_use]
    pub fn decode(word: i32) -> Option<Self> {
        let word = u16::try_from(word).ok()?;
        let [high, low] = word.to_be_bytes();
        let signal = Signo::new(i32::from(low & 0x7f));
        match (high, low) {
            (code, 0 | 0x80) => Some(Self::Exited(code)),
            (0xff, 0xff) => Some(Self::Continued),
            (stopped_by, 0x7f) => Signo::new(i32::from(stopped_by)).map(Self::Stopped),
            (0, _) => Some(Self::Signaled { signal: signal?, core_dumped: low & 0x80 != 0 }),
            _ => None,
        }
    }
}

/// A child that has changed state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peeked {
    /// Its pid.
    pub pid: i32,
    /// How it ended; `None` if it was only stopped.
    pub end: Option<Change>,
    /// Whether it is stopped for this process to trace it (ptrace(2)).
    pub is_traced: bool,
    /// The change itself, where it could not be seen without being taken: nothing is left to be looked at.
    taken: Option<(Change, Usage)>,
}

/// A child that has changed state, if there is one. The change stays: /proc/PID still reads, and [`Peeked::collect`]
/// takes it. Where waitid(2) fails there is no looking without taking: it is taken at once.
#[must_use]
pub fn peek() -> Option<Peeked> {
    let is_end = |change: &Change| matches!(change, Change::Exited(_) | Change::Signaled { .. });
    let options = libc::WEXITED | libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT;
    if let Ok(found) = wait_id(libc::P_ALL, 0, options) {
        let (pid, change, is_traced) = found?;
        return Some(Peeked { pid, end: change.filter(is_end), is_traced, taken: None });
    }
    let (pid, change, usage) = take(ANY)?;
    Some(Peeked { pid, end: Some(change).filter(is_end), is_traced: false, taken: Some((change, usage)) })
}

impl Peeked {
    /// Whether it is still there to be looked at.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.taken.is_none()
    }

    /// Takes the change, and with its end the zombie. What it used is only known from wait4(2).
    #[must_use]
    pub fn collect(self) -> Option<(Change, Option<Usage>)> {
        if let Some((change, usage)) = self.taken.or_else(|| take(self.pid).map(|(_, change, usage)| (change, usage))) {
            return Some((change, Some(usage)));
        }
        let options = libc::WEXITED | libc::WSTOPPED | libc::WNOHANG;
        let (_, change, _) = wait_id(libc::P_PID, self.pid.unsigned_abs(), options).ok()??;
        change.map(|change| (change, None))
    }
}

/// waitid(2): a child, its change, `None` for one that is none of ours, and whether it is stopped for a tracer.
///
/// # Errors
/// ECHILD; ENOSYS and EPERM under a seccomp filter.
fn wait_id(kind: libc::idtype_t, id: u32, options: i32) -> Result<Option<(i32, Option<Change>, bool)>, Errno> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the pointer is to a siginfo_t. waitid(2) with WNOHANG leaves it as it is, all zero, if there is nothing.
    Errno::result(unsafe { libc::waitid(kind, id, info.as_mut_ptr(), options) })?;
    // SAFETY: all zero is a valid siginfo_t, and both fields are in the part that SIGCHLD fills.
    let (code, pid, status) = unsafe {
        let info = info.assume_init_ref();
        (info.si_code, info.si_pid(), info.si_status())
    };
    let change = match code {
        libc::CLD_EXITED => u8::try_from(status).ok().map(Change::Exited),
        libc::CLD_KILLED | libc::CLD_DUMPED => {
            Signo::new(status).map(|signal| Change::Signaled { signal, core_dumped: code == libc::CLD_DUMPED })
        }
        libc::CLD_STOPPED => Signo::new(status).map(Change::Stopped),
        _ => None,
    };
    Ok((pid != 0).then_some((pid, change, code == libc::CLD_TRAPPED)))
}

/// Whether this process has a child, ended or not.
#[must_use]
pub fn has_children() -> bool {
    match wait_id(libc::P_ALL, 0, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) {
        Ok(_) | Err(Errno::EINTR) => true,
        Err(Errno::ECHILD) => false,
        // Refused. There is no other call that only asks: one that has ended this very moment is reaped unseen.
        // SAFETY: null pointers: nothing is to be told.
        Err(_) => Errno::result(unsafe { libc::waitpid(ANY, ptr::null_mut(), libc::WNOHANG) }) != Err(Errno::ECHILD),
    }
}

/// Whether SIGCONT has continued child `pid` since its last stop. Says it once.
#[must_use]
pub fn was_continued(pid: i32) -> bool {
    wait_id(libc::P_PID, pid.unsigned_abs(), libc::WCONTINUED | libc::WNOHANG).is_ok_and(|found| found.is_some())
}

/// Any child (wait4(2)).
const ANY: i32 = -1;

/// Takes the change of child `pid`: whose it was, and what.
fn take(pid: i32) -> Option<(i32, Change, Usage)> {
    let mut word = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    let options = libc::WNOHANG | libc::WUNTRACED;
    // SAFETY: both pointers are to what wait4(2) fills. By its number: on 32-bit machines the libc crate takes musl's function for
    // programs from before 64-bit times, which leaves the usage as it is (compat/time32/wait4_time32.c asks for a result of 0).
    let pid = unsafe { libc::syscall(libc::SYS_wait4, pid, &raw mut word, options, usage.as_mut_ptr()) };
    // SAFETY: all zero is a valid rusage.
    let usage = unsafe { usage.assume_init() };
    let usage = Usage {
        user: duration(usage.ru_utime),
        system: duration(usage.ru_stime),
        max_rss_kib: u64::try_from(usage.ru_maxrss).unwrap_or(0),
    };
    i32::try_from(pid).ok().filter(|pid| *pid > 0).and_then(|pid| Some((pid, Change::decode(word)?, usage)))
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_micros(u64::try_from(TimeVal::from(time).num_microseconds()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every word that fits in 16 bits, against libc's macros.
    #[test]
    fn all_65536_wait_words() {
        for word in (0..=0xffff_i32).step_by(crate::one_of(61)) {
            let ours = Change::decode(word);
            match ours {
                Some(Change::Exited(code)) => {
                    assert!(libc::WIFEXITED(word), "{word:#x}");
                    assert_eq!(libc::WEXITSTATUS(word), i32::from(code), "{word:#x}");
                }
                Some(Change::Signaled { signal, core_dumped }) => {
                    assert!(libc::WIFSIGNALED(word), "{word:#x}");
                    assert_eq!(libc::WTERMSIG(word), signal.raw(), "{word:#x}");
                    assert_eq!(libc::WCOREDUMP(word), core_dumped, "{word:#x}");
                }
                Some(Change::Stopped(signal)) => {
                    assert!(libc::WIFSTOPPED(word), "{word:#x}");
                    assert_eq!(libc::WSTOPSIG(word), signal.raw(), "{word:#x}");
                }
                Some(Change::Continued) => assert!(libc::WIFCONTINUED(word), "{word:#x}"),
                // What is left: signals above 64, and an exit code and a signal at once.
                None => {
                    let (high, low) = (word >> 8, word & 0xff);
                    let stopped_by_none = low == 0x7f && !(1..=64).contains(&high);
                    let killed_by_none = low & 0x7f > 64 && low != 0x7f;
                    assert!(stopped_by_none || killed_by_none || high != 0, "{word:#x}");
                    assert!(low & 0x7f != 0, "{word:#x}: an exit");
                }
            }
        }
        assert_eq!(Change::decode(-1), None);
        assert_eq!(Change::decode(0x1_0000), None);
    }
}
