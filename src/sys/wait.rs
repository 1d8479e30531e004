//! Waiting. nix's `waitpid` loses the status of a process that a real-time signal killed, and its `WaitStatus`
//! panics on 255 of the 65,536 words; so the words are decoded here.

use std::mem::MaybeUninit;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::time::{TimeVal, TimeValLike};

use crate::evidence::Usage;
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
}

/// A child that has changed state, if there is one. The change stays: /proc/PID still reads, and [`collect`] takes it.
#[must_use]
pub fn peek() -> Option<Peeked> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the pointer is to a siginfo_t. waitid(2) with WNOHANG leaves it as it is, all zero, if there is nothing.
    let result = unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options) };
    // SAFETY: all zero is a valid siginfo_t, and both fields are in the part that SIGCHLD fills.
    let (code, pid, status) = unsafe {
        let info = info.assume_init_ref();
        (info.si_code, info.si_pid(), info.si_status())
    };
    let end = match code {
        libc::CLD_EXITED => u8::try_from(status).ok().map(Change::Exited),
        libc::CLD_KILLED | libc::CLD_DUMPED => {
            Signo::new(status).map(|signal| Change::Signaled { signal, core_dumped: code == libc::CLD_DUMPED })
        }
        _ => None,
    };
    (result == 0 && pid != 0).then_some(Peeked { pid, end })
}

/// Whether SIGCONT has continued child `pid` since its last stop. Says it once.
#[must_use]
pub fn was_continued(pid: i32) -> bool {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WCONTINUED | libc::WNOHANG;
    // SAFETY: the pointer is to a siginfo_t. waitid(2) with WNOHANG leaves it as it is, all zero, if there is nothing.
    let result = unsafe { libc::waitid(libc::P_PID, pid.unsigned_abs(), info.as_mut_ptr(), options) };
    // SAFETY: all zero is a valid siginfo_t, and si_pid is in the part that SIGCHLD fills.
    result == 0 && unsafe { info.assume_init_ref().si_pid() } == pid
}

/// Takes the change of child `pid`, and with its end the zombie.
#[must_use]
pub fn collect(pid: i32) -> Option<(Change, Usage)> {
    let mut word = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to what wait4(2) fills.
    let result = unsafe { libc::wait4(pid, &raw mut word, libc::WNOHANG | libc::WUNTRACED, usage.as_mut_ptr()) };
    if Errno::result(result).is_ok_and(|pid| pid > 0) {
        // SAFETY: all zero is a valid rusage, and wait4 has filled it.
        let usage = unsafe { usage.assume_init() };
        return Change::decode(word).map(|change| {
            let usage = Usage {
                user: duration(usage.ru_utime),
                system: duration(usage.ru_stime),
                max_rss_kib: u64::try_from(usage.ru_maxrss).unwrap_or(0),
            };
            (change, usage)
        });
    }
    None
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
        for word in 0..=0xffff_i32 {
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
