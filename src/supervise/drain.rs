//! `--drain`: what PROGRAM leaves is asked to stop, waited for, and killed when its time is over.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::stop::KILL_TAKES;
use super::{AT_ONCE, INIT, Supervisor};
use crate::child::Placement;
use crate::evidence::drained::{Drained, Rest, RestFate};
use crate::evidence::process::{Proc, Process};
use crate::relay::Relay;
use crate::signals::{Received, Signo};
use crate::sys::wait::{self, Change};
use crate::sys::{process, signal};

/// Processes fork while they are being signalled: after so many walks through /proc the rest is left to the SIGKILL.
const WALKS: usize = 4;
/// The same for the SIGKILL, and for as many wake-ups.
const LAST_WALKS: usize = 64;
/// How often those are looked for of whose end nobody tells.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A drain under way.
struct Drain {
    start: Instant,
    /// When SIGKILL is due; `None`: never.
    until: Option<Instant>,
    result: Drained,
}

impl Supervisor<'_> {
    /// Ends what PROGRAM has left: SIGTERM and SIGCONT, up to `limit` for it to end, then SIGKILL. `stop` is when the stop
    /// timeout is over, if one runs: the drain is over then, too. `None`: nothing was left.
    /// What they write meanwhile passes through `relay`.
    pub fn drain(&self, limit: Duration, stop: Option<Instant>, relay: &mut Relay) -> Option<Drained> {
        let start = Instant::now();
        let mut drain = Drain { start, until: earlier(start.checked_add(limit), stop), result: Drained::default() };
        self.reap(&mut drain);
        if let Left::Nothing = self.what_is_left() {
            return None;
        }
        if let Some(proc) = self.proc {
            let (mut left, complete) = if self.pid == INIT { proc.everybody() } else { proc.family() };
            // Their number is told.
            left.retain(|process| complete && process.pid != self.pid && process.is_running());
            let runs = left.into_iter();
            drain.result.processes = runs.map(|process| Rest { process, fate: RestFate::There }).collect();
        }
        if drain.time_left() != Some(Duration::ZERO) {
            self.signal_rest(&[Signo::TERM, Signo::CONT], WALKS);
        }
        if !self.wait_for_rest(&mut drain, relay, 0) {
            drain.result.killed_after = Some(start.elapsed());
            self.signal_rest(&[Signo::KILL], WALKS);
            drain.until = Instant::now().checked_add(KILL_TAKES);
            self.wait_for_rest(&mut drain, relay, LAST_WALKS);
        }
        for rest in drain.result.processes.iter_mut().filter(|rest| rest.fate == RestFate::There) {
            let found = self.proc.and_then(|proc| proc.process(rest.process.pid));
            if !found.is_some_and(|process| process.is_running()) {
                rest.fate = RestFate::Gone;
            }
        }
        Some(drain.result)
    }

    /// Waits until nothing is left; false if that is not so in time. At each of the first `walks` wake-ups SIGKILL goes to
    /// what was forked since.
    fn wait_for_rest(&self, drain: &mut Drain, relay: &mut Relay, mut walks: usize) -> bool {
        loop {
            let all_reaped = self.reap(drain);
            let mut nobody_tells = false;
            let other = match self.what_is_left() {
                Left::Nothing => return true,
                Left::Children => None,
                Left::Others(Some(other)) if self.signals.refused().is_none() => Some(other),
                Left::Others(_) => {
                    nobody_tells = true;
                    None
                }
            };
            let mut limit = drain.time_left();
            if limit == Some(Duration::ZERO) {
                return false;
            }
            if !all_reaped {
                limit = Some(Duration::ZERO);
            } else if nobody_tells {
                limit = earlier(limit, Some(LOOK_AGAIN));
            }
            if walks > 0 {
                walks -= 1;
                self.signal_rest(&[Signo::KILL], 1);
            }
            let [input, output, input2, output2] = relay.interests();
            let fds = [
                Some((self.signals.as_fd(), PollFlags::POLLIN)),
                other.as_ref().map(|other| (other.as_fd(), PollFlags::POLLIN)),
                input,
                output,
                input2,
                output2,
            ];
            let [signals, _, of_relay @ ..] = self.wait(fds, limit);
            if !signals.is_empty() {
                self.next_signals(|received| self.pass_on_to_rest(received, drain));
            }
            relay.pass(of_relay);
        }
    }

    /// A stop signal that comes meanwhile is for those who are left. What one of them sends is not: it would come back.
    fn pass_on_to_rest(&self, received: Received, drain: &mut Drain) {
        let is_theirs = drain.result.get(received.pid).is_some();
        let has_it_already = self.placement == Placement::SameGroup && received.is_from_terminal();
        if !self.asks_to_stop(received.signal) || is_theirs || has_it_already {
            return;
        }
        if let Some(signal) = self.rewritten(received.signal) {
            self.signal_rest(&[signal], WALKS);
            drain.until =
                earlier(drain.until, self.stop_timeout.and_then(|timeout| Instant::now().checked_add(timeout)));
        }
    }

    /// Sends `signals` to everybody here but rinit (as PID 1), else to its descendants, walking through /proc until there
    /// are no new ones, at most `walks` times.
    fn signal_rest(&self, signals: &[Signo], walks: usize) {
        if self.pid == INIT {
            // One call for all of them: nobody can escape it by a fork (kernel/fork.c, `copy_process`).
            for signal in signals {
                let _ = signal::kill(-1, *signal);
            }
            return;
        }
        let Some(proc) = Proc::of(self.pid) else { return };
        let mut before: Vec<i32> = Vec::new();
        for _ in 0..walks {
            let (family, _) = proc.family();
            let mut pids: Vec<i32> = family.into_iter().filter(Process::is_running).map(|one| one.pid).collect();
            let all = pids.clone();
            pids.retain(|pid| before.binary_search(pid).is_err());
            if pids.is_empty() {
                return;
            }
            for pid in pids {
                for signal in signals {
                    // Pids are given out in turn: one that has ended since the walk is not another's already.
                    let _ = signal::kill(pid, *signal);
                }
            }
            before = all;
        }
    }

    /// Reaps what has ended; false if there may be more.
    fn reap(&self, drain: &mut Drain) -> bool {
        for _ in 0..AT_ONCE {
            let Some(peeked) = wait::peek() else { return true };
            let after = drain.start.elapsed();
            let fate = match peeked.end {
                Some(Change::Exited(code)) => Some(RestFate::Exited(code, after)),
                Some(Change::Signaled { signal, .. }) => Some(RestFate::Signaled(signal, after)),
                _ => None,
            };
            if let (Some(fate), Some(rest)) = (fate, drain.result.get_mut(peeked.pid)) {
                rest.fate = fate;
            }
            self.reap_orphan(peeked);
        }
        false
    }

    /// Orphans become rinit's children: without children there are no descendants. As PID 1 there may be others,
    /// whose parents are outside (exec sessions).
    fn what_is_left(&self) -> Left {
        if wait::has_children() {
            return Left::Children;
        }
        let nobody = || kill(Pid::from_raw(-1), None) == Err(Errno::ESRCH);
        if self.pid != INIT || nobody() {
            return Left::Nothing;
        }
        let Some(proc) = Proc::of(self.pid) else { return Left::Others(None) };
        // What was there a moment ago may be gone at each look. Waiting for it then would take all the time.
        for _ in 0..AT_ONCE {
            let (mut others, complete) = proc.everybody();
            others.retain(|process| process.pid != self.pid);
            match others.iter().find(|process| process.is_running()).map(|running| process::watch(running.pid)) {
                Some(Err(Errno::ESRCH)) => {}
                // Nobody else tells rinit of its end.
                Some(watch) => {
                    if let Err(errno) = watch {
                        log::debug!("no pidfd of what is left ({}): it is looked for again and again", errno.desc());
                    }
                    return Left::Others(watch.ok());
                }
                None if others.is_empty() && nobody() => return Left::Nothing,
                // Something is there, and /proc does not show it.
                None if others.is_empty() || !complete => break,
                // Ended, and not collected by its parent outside.
                None => return Left::Nothing,
            }
        }
        Left::Others(None)
    }
}

/// Whether a process is left.
enum Left {
    Nothing,
    /// SIGCHLD tells of their end.
    Children,
    /// None of them is rinit's child: with what tells of the end of one.
    Others(Option<OwnedFd>),
}

impl Drain {
    /// `None`: without end.
    fn time_left(&self) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(Instant::now()))
    }
}

fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.into_iter().chain(other).min()
}
