//! The loop: reap, then wait, then forward. From here on nothing returns early: what fails is logged, and life goes on.

#![forbid(unsafe_code)]

mod backlog;
mod drain;
mod end;
mod forward;
mod history;
mod job;
mod stop;

use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::child::{Placement, Started};
use crate::cli::Peer;
use crate::evidence::cgroup::{self, watch::Watch};
use crate::evidence::process::Proc;
use crate::evidence::{Killed, SignalEvent};
use crate::relay::Relay;
use crate::report::escape;
use crate::signals::{Received, Sender, Signo};
use crate::sys::signal::{self, SignalFd};
use crate::sys::wait::{self, Change, Peeked};
pub use end::{Ended, Seen};
pub use history::History;
pub use stop::Stopping;

/// The pid of a namespace's init.
const INIT: i32 = 1;

/// What the loop needs to know.
#[derive(Debug)]
pub struct Supervisor<'a> {
    /// rinit's own.
    pub pid: i32,
    /// Where signals come from.
    pub signals: &'a SignalFd,
    /// `--rewrite`
    pub rewrite: &'a [(Signo, Option<Signo>)],
    /// `--group`
    pub group: bool,
    /// `--stop-timeout`
    pub stop_timeout: Option<Duration>,
    /// `--stop-signal`
    pub stop_signals: &'a [Signo],
    /// Where PROGRAM stands.
    pub placement: Placement,
    /// `--warn-reaped`
    pub warn_reaped: bool,
    /// By whose name rinit was called.
    pub peer: Option<Peer>,
    /// /proc, if evidence is wanted and can be had.
    pub proc: Option<Proc>,
    /// Where PROGRAM was started, if evidence is wanted.
    pub directory: Option<&'a Path>,
    /// When PROGRAM was started.
    pub start: Instant,
}

/// When the machine's OOM kills are counted. /proc/vmstat takes the kernel longer than all other files of the start
/// together, so a program that ends at once does without.
const SOON: Duration = Duration::from_millis(20);

/// How often everything is looked at where poll(2) fails.
const BY_HAND: Duration = Duration::from_millis(50);

/// Ended processes that are collected before anything else is looked at: others may fork, or stop and go on, faster than
/// rinit looks, and neither signals nor deadlines wait for that to end.
const AT_ONCE: usize = 256;

/// Is told what happens while PROGRAM runs. Nothing that it does may take long: signals wait meanwhile.
pub trait Witness {
    /// A signal was received for PROGRAM and dealt with.
    fn signal(&mut self, event: &SignalEvent);

    /// When to be woken, at the latest. `None`: never.
    fn due(&self) -> Option<Instant>;

    /// PROGRAM has become what it was to be, or has not.
    fn executed(&mut self);

    /// Something has woken rinit, and PROGRAM runs on.
    fn woken(&mut self);

    /// The container's memory was looked at.
    fn memory(&mut self, watch: &Watch);
}

impl Supervisor<'_> {
    /// Runs until PROGRAM has ended. Looks at the container's memory when `watch` says so, and tells `witness` what
    /// happens meanwhile. What PROGRAM writes passes through `relay`. What is seen goes into `seen`: a value of that size
    /// that is returned lies on the stack more than once, under everything that waits.
    #[must_use]
    #[inline(never)]
    pub fn run(
        &self,
        started: &Started,
        watch: &mut Option<Watch>,
        relay: &mut Relay,
        witness: &mut dyn Witness,
        seen: &mut Seen,
    ) -> Ended {
        // A kill is safe as long as this pid is unreaped, and the loop ends with its reaping.
        let program = started.pid;
        // Until it ends, execve has not closed it. Nobody asks when no report is wanted.
        let mut exec = self.proc.map(|_| started.descriptor());
        let mut soon = self.proc.map(|_| self.start + SOON);
        loop {
            let mut looks = 0;
            for peeked in std::iter::from_fn(wait::peek).take(AT_ONCE) {
                looks += 1;
                if peeked.pid != program {
                    self.note_kill(&peeked, &mut seen.killed);
                    seen.reaped += self.reap_orphan(peeked);
                } else if let Some((outcome, usage)) = self.collect(started, peeked, seen) {
                    return Ended { outcome, usage };
                }
            }
            seen.backlog.pass_on(program, self.signals);
            if let Some(proc) = self.proc {
                seen.history.look_again(self.start.elapsed(), || proc.status(program));
            }
            if let Some(stopping) = &mut seen.stopping
                && let Some(outcome) = self.stop_in_time(program, stopping)
            {
                return Ended { outcome, usage: None };
            }
            if soon.is_some_and(|soon| Instant::now() >= soon) {
                soon = None;
                seen.oom_kills_before = cgroup::oom_kills_of_the_machine();
            }
            witness.woken();
            let rest = watch.as_ref().and_then(Watch::rest);
            // With nothing asked, the kernel would still tell of changes (kernfs: POLLERR): while it rests, it is left out.
            let memory = watch.as_ref().filter(|_| rest.is_none()).map(Watch::as_fd);
            let [input, output, input2, output2] = relay.interests();
            let fds = [
                Some((self.signals.as_fd(), PollFlags::POLLIN)),
                exec.map(|exec| (exec, PollFlags::POLLIN)),
                memory.map(|memory| (memory, PollFlags::POLLPRI)),
                input,
                output,
                input2,
                output2,
            ];
            let stop = seen.stopping.as_ref().and_then(Stopping::due);
            let due = [soon, witness.due(), stop, seen.backlog.due()].into_iter().flatten();
            let due = due.map(|due| due.saturating_duration_since(Instant::now())).chain(rest).min();
            let [signals, of_exec, of_memory, of_relay @ ..] = self.wait(fds, at_most(due, looks));
            if !of_exec.is_empty() {
                exec = None;
                // Something to read is an errno: it never became PROGRAM.
                seen.executed =
                    self.proc.filter(|_| !of_exec.contains(PollFlags::POLLIN)).map(|proc| proc.executed(program));
                witness.executed();
            }
            if !signals.is_empty() {
                self.next_signals(|received| self.forward(program, received, seen, witness));
            }
            relay.pass(of_relay);
            let changed = !of_memory.is_empty();
            if let Some(memory) = watch
                && (changed || memory.rest() == Some(Duration::ZERO))
                && !self.look_at_memory(program, memory, changed, witness)
            {
                *watch = None;
            }
        }
    }

    /// Tells of processes that were OOM-killed while PROGRAM runs on. False if `watch` is of no use any more.
    #[inline(never)]
    fn look_at_memory(&self, program: i32, watch: &mut Watch, changed: bool, witness: &mut dyn Witness) -> bool {
        if !watch.look() {
            return false;
        }
        witness.memory(watch);
        // The first look may come before the victim's end, and the victim may be PROGRAM: only after a rest.
        if let Some((from, to)) = watch.untold().filter(|_| !changed && self.runs_on(program)) {
            log::warn!("a process of this container was OOM-killed (oom_kill {from} -> {to}), pid {program} runs on");
            watch.tell();
        }
        true
    }

    /// Whether `program` lives, and no SIGKILL is on its way to it.
    fn runs_on(&self, program: i32) -> bool {
        let Some(status) = self.proc.and_then(|proc| proc.status(program)) else { return false };
        !matches!(status.state, None | Some(b'Z' | b'X'))
            && status.pending.is_some_and(|set| !set.contains(Signo::KILL))
    }

    /// `--pause`: reaps until SIGTERM or SIGINT, then does what `--drain` asks for.
    pub fn pause(&self, drain: Option<Duration>) {
        let mut asked_to_stop = false;
        while !asked_to_stop {
            let ended = std::iter::from_fn(wait::peek).take(AT_ONCE);
            let looks = ended.inspect(|peeked| _ = self.reap_orphan(*peeked)).count();
            let [signals] = self.wait([Some((self.signals.as_fd(), PollFlags::POLLIN))], at_most(None, looks));
            if !signals.is_empty() {
                self.next_signals(|received| asked_to_stop |= [Signo::TERM, Signo::INT].contains(&received.signal));
            }
        }
        if let Some(limit) = drain {
            let stop = self.stop_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
            let _ = self.drain(limit, stop, &mut Relay::default());
        }
    }

    /// Waits, at most for `limit`, until one of `fds` has what it is asked for or has ended, and says which; the first is
    /// that of signals. Without a signalfd signals alone are waited for, and the others are looked at then.
    fn wait<const N: usize>(
        &self,
        fds: [Option<(BorrowedFd<'_>, PollFlags)>; N],
        limit: Option<Duration>,
    ) -> [PollFlags; N] {
        let Some(received) = self.signals.wait(limit) else {
            // Rounded up, or its last fraction of a millisecond would be spent in a busy loop.
            let rounded = |limit: Duration| if limit.is_zero() { 0 } else { limit.as_millis() + 1 };
            let timeout = limit.map(|limit| PollTimeout::try_from(rounded(limit)).unwrap_or(PollTimeout::MAX));
            return self.poll(fds, timeout.unwrap_or(PollTimeout::NONE));
        };
        let mut ready = self.poll(fds, PollTimeout::ZERO);
        if let Some(signals) = ready.first_mut() {
            *signals = if received { PollFlags::POLLIN } else { PollFlags::empty() };
        }
        ready
    }

    /// Where the first of `fds` is the only one nothing needs to be asked: its read waits.
    fn poll<const N: usize>(
        &self,
        fds: [Option<(BorrowedFd<'_>, PollFlags)>; N],
        timeout: PollTimeout,
    ) -> [PollFlags; N] {
        let mut ready = [PollFlags::empty(); N];
        if timeout != PollTimeout::NONE || fds.iter().skip(1).any(Option::is_some) {
            let mut fds = fds.map(|fd| {
                let (fd, events) = fd.unwrap_or((self.signals.as_fd(), PollFlags::empty()));
                PollFd::new(fd, events)
            });
            match poll(&mut fds, timeout) {
                Ok(_) => return fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty())),
                Err(Errno::EINTR) => return ready,
                // A lack of memory, or more descriptors than RLIMIT_NOFILE: a look at all of them now and then. Only the
                // read of signals would wait where there is nothing.
                Err(_) => {
                    // (PollTimeout::duration of nix 0.31 panics where there is none.)
                    let limit = u64::try_from(i32::from(timeout)).map_or(BY_HAND, Duration::from_millis);
                    std::thread::sleep(limit.min(BY_HAND));
                    ready = fds.map(|fd| fd.events());
                    if let Some(signals) = ready.first_mut().filter(|_| !signal::is_any_pending()) {
                        *signals = PollFlags::empty();
                    }
                    return ready;
                }
            }
        }
        if let Some(signals) = ready.first_mut() {
            *signals = PollFlags::POLLIN;
        }
        ready
    }

    #[inline(never)]
    fn next_signals(&self, mut take: impl FnMut(Received)) {
        match self.signals.read(&mut take) {
            Ok(()) | Err(Errno::EINTR) => {}
            // Unheard of. They can be had without a descriptor, too, and the wait keeps rinit from burning a processor.
            Err(errno) => {
                log::error!("cannot read signals: {}", errno.desc());
                if let Some(received) = signal::next(Duration::from_secs(1)) {
                    take(received);
                }
            }
        }
    }

    /// Keeps the name of a child that has died of SIGKILL: it may be a victim of the OOM killer.
    fn note_kill(&self, peeked: &Peeked, killed: &mut Killed) {
        const NAMED: usize = 4;
        let Peeked { pid, end, .. } = *peeked;
        let Some(proc) = self.proc.filter(|_| end.and_then(Change::signal) == Some(Signo::KILL)) else { return };
        killed.count += 1;
        if killed.named.len() == NAMED {
            killed.named.pop();
        }
        killed.named.push(Sender { pid, name: proc.process(pid).map(|process| process.name) });
    }

    /// Reaps what has ended already; bounded, because what is left can go on forking.
    #[inline(never)]
    fn reap_rest(&self, killed: &mut Killed) -> u64 {
        const MOST: usize = 4096;
        std::iter::from_fn(wait::peek)
            .take(MOST)
            .map(|peeked| {
                self.note_kill(&peeked, killed);
                self.reap_orphan(peeked)
            })
            .sum()
    }

    /// Returns how many were reaped: not a child that was merely stopped.
    fn reap_orphan(&self, peeked: Peeked) -> u64 {
        let pid = peeked.pid;
        let level = if self.warn_reaped { log::Level::Warn } else { log::Level::Debug };
        // Its name goes with the zombie.
        let found = if log::log_enabled!(level) { Proc::of(self.pid).and_then(|proc| proc.process(pid)) } else { None };
        let name = found.as_ref().map_or(Cow::Borrowed("an orphan"), |process| escape(&process.name).into());
        match peeked.collect() {
            // What scripts look for.
            Some((Change::Exited(_) | Change::Signaled { .. }, _)) if self.peer == Some(Peer::Tini) => {
                log::log!(level, "Reaped zombie process with pid={pid}");
            }
            Some((Change::Exited(code), _)) => log::log!(level, "reaped {name} (pid {pid}): exit status {code}"),
            Some((Change::Signaled { signal, .. }, _)) => log::log!(level, "reaped {name} (pid {pid}): {signal}"),
            _ => return 0,
        }
        1
    }
}

/// How long to wait, `due` at the longest, after so many looks for who has ended: not at all where there may be more.
fn at_most(due: Option<Duration>, looks: usize) -> Option<Duration> {
    if looks < AT_ONCE { due } else { Some(Duration::ZERO) }
}
