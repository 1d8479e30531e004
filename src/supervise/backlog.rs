//! Real-time signals for which PROGRAM has no room.
//!
//! Whoever sends one by sigqueue(3) is told whether the kernel has room for it (`RLIMIT_SIGPENDING`, counted by user), and
//! tries again later if not. So what rinit has received is not lost on its way: it waits, while its senders are told
//! that there is no room, and other signals pass by.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

use crate::signals::{SignalSet, Signo};
use crate::sys::signal::{self, SignalFd};

/// From so many on no more of their kinds are read. Not sooner: what rinit has not read takes the same room, and reading it
/// makes some, less what one read returned before rinit's own limit was lowered, and one of each kind beyond all limits.
const ENOUGH: usize = 128;
/// Between the first tries; then twice as long each time.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(1);

/// What waits, with its values.
#[derive(Debug, Default)]
pub struct Backlog {
    signals: Vec<(Signo, u64)>,
    pause: Duration,
    /// When the next try is due.
    due: Option<Instant>,
    /// What limited rinit's own queue before.
    limit: Option<(rlim_t, rlim_t)>,
}

impl Backlog {
    /// Sends `signal` with `value` to `program`, now or later.
    ///
    /// # Errors
    /// ESRCH, EPERM.
    pub(super) fn send(&mut self, program: i32, signal: Signo, value: u64) -> Result<(), Errno> {
        // Signals of one kind stay in order.
        if !self.signals.iter().any(|(waiting, _)| *waiting == signal) {
            match signal::queue(program, signal, value) {
                Err(Errno::EAGAIN) => {}
                // Refused (seccomp): kill(2) still gets the signal through, without its value.
                Err(Errno::ENOSYS | Errno::EPERM) => return signal::kill(program, signal),
                sent => return sent,
            }
        }
        self.signals.push((signal, value));
        Ok(())
    }

    /// When to be called again at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Sends what there is room for by now.
    pub(super) fn pass_on(&mut self, program: i32, from: &SignalFd) {
        if !self.signals.is_empty() || self.limit.is_some() {
            self.try_again(program, from);
        }
    }

    #[inline(never)]
    fn try_again(&mut self, program: i32, from: &SignalFd) {
        if self.due.is_none_or(|due| Instant::now() >= due) {
            self.pause = self.pause.saturating_mul(2).clamp(SHORTEST, LONGEST);
        }
        let waits = |(signal, value): &(Signo, u64)| signal::queue(program, *signal, *value) == Err(Errno::EAGAIN);
        let sent = self.signals.iter().position(waits).unwrap_or(self.signals.len());
        if sent > 0 {
            self.signals.drain(..sent);
            self.pause = SHORTEST;
        }
        let most = if self.signals.len() < ENOUGH { 0 } else { usize::MAX };
        let waiting = self.signals.iter().take(most);
        from.listen_to(waiting.fold(SignalSet::ALL, |set, (signal, _)| set.without(*signal)));
        if self.signals.is_empty() {
            self.due = None;
            if let Some((soft, hard)) = self.limit.take() {
                let _ = setrlimit(Resource::RLIMIT_SIGPENDING, soft, hard);
            }
        } else {
            self.due = Instant::now().checked_add(self.pause);
            // Or senders who try all the time would take the room that rinit makes before it can.
            if self.limit.is_none()
                && let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_SIGPENDING)
                && setrlimit(Resource::RLIMIT_SIGPENDING, 0, hard).is_ok()
            {
                self.limit = Some((soft, hard));
            }
        }
    }
}
