//! The loop: reap, then wait, then forward. From here on nothing returns early: what fails is logged, and life goes on.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Pid, getpgid, getpgrp};

use crate::child::{Placement, Started, pass_terminal};
use crate::evidence::cgroup::place::Membership;
use crate::evidence::cgroup::watch::Watch;
use crate::evidence::process::{Proc, Status};
use crate::evidence::{Fate, Killed, SignalEvent, Usage};
use crate::outcome::Outcome;
use crate::report::escape;
use crate::signals::{Origin, Received, SI_QUEUE, Sender, Signo};
use crate::sys::signal::{self, SignalFd};
use crate::sys::wait::{self, Change};

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
    /// Where PROGRAM stands.
    pub placement: Placement,
    /// `--warn-reaped`
    pub warn_reaped: bool,
    /// /proc, if evidence is wanted and can be had.
    pub proc: Option<Proc>,
    /// When PROGRAM was started.
    pub start: Instant,
}

/// What the loop saw.
#[derive(Debug)]
pub struct Ended {
    /// How PROGRAM ended.
    pub outcome: Outcome,
    /// What it used.
    pub usage: Usage,
    /// The zombie's /proc/PID/status.
    pub zombie: Option<Status>,
    /// Page faults of the children that it had waited for, if SIGKILL ended it.
    pub faults_of_children: Option<u64>,
    /// The memory cgroup in which SIGKILL ended it.
    pub cgroup: Option<Membership>,
    /// What it was sent.
    pub history: History,
    /// Orphans reaped.
    pub reaped: u64,
    /// Those of them that died of SIGKILL.
    pub killed: Killed,
}

/// The first and the last signals; a storm must not grow rinit.
#[derive(Debug, Default)]
pub struct History {
    first: Vec<SignalEvent>,
    last: VecDeque<SignalEvent>,
    omitted: u64,
    looked_at: Duration,
}

impl History {
    const KEPT: usize = 8;

    /// Whether to look into /proc for a signal that arrives `at`: for the first ones always, then once a second.
    fn wants_details(&mut self, at: Duration) -> bool {
        let wanted = self.first.len() < Self::KEPT || at.saturating_sub(self.looked_at) >= Duration::from_secs(1);
        if wanted {
            self.looked_at = at;
        }
        wanted
    }

    fn push(&mut self, event: SignalEvent) {
        if self.first.len() < Self::KEPT {
            self.first.push(event);
            return;
        }
        if self.last.len() == Self::KEPT {
            self.last.pop_front();
            self.omitted += 1;
        }
        self.last.push_back(event);
    }

    /// The events, oldest first, and how many are missing between them.
    #[must_use]
    pub fn into_events(self) -> (Vec<SignalEvent>, u64) {
        (self.first.into_iter().chain(self.last).collect(), self.omitted)
    }
}

impl Supervisor<'_> {
    /// Runs until PROGRAM has ended. Looks at the container's memory when `watch` says so.
    #[must_use]
    pub fn run(&self, started: &Started, watch: &mut Option<Watch>) -> Ended {
        let mut history = History::default();
        let mut reaped = 0;
        let mut killed = Killed::default();
        // A kill is safe as long as this pid is unreaped, and the loop ends with its reaping.
        let program = started.pid;
        loop {
            while let Some(pid) = wait::peek() {
                if pid != program {
                    self.note_kill(pid, &mut killed);
                    reaped += self.reap_orphan(pid);
                    continue;
                }
                let end = wait::end_of(pid);
                // A success raises no question that /proc could answer.
                let zombie_proc = self.proc.filter(|_| end.is_some_and(|end| end != Change::Exited(0)));
                let zombie = zombie_proc.and_then(|proc| proc.status(pid));
                let killed_proc = self.proc.filter(|_| end.is_some_and(Change::is_kill));
                let faults_of_children = killed_proc.and_then(|proc| proc.faults_of_children(pid));
                let cgroup = killed_proc.and_then(|_| Membership::of(pid, b"memory"));
                let outcome = match wait::collect(pid) {
                    Some((Change::Exited(code), usage)) => Some((Outcome::Exited(code), usage)),
                    Some((Change::Signaled { signal, core_dumped }, usage)) => {
                        Some((Outcome::Signaled { signal, core_dumped }, usage))
                    }
                    Some((Change::Stopped(signal), _)) => {
                        self.on_stop(program, signal);
                        None
                    }
                    Some((Change::Continued, _)) | None => None,
                };
                if let Some((outcome, usage)) = outcome {
                    let outcome = started.start_error().map_or(outcome, Outcome::NotStarted);
                    if self.placement == Placement::OwnGroup {
                        pass_terminal(Pid::from_raw(program), getpgrp());
                    }
                    if matches!(outcome, Outcome::Signaled { signal: Signo::KILL, .. }) {
                        // Its children came to rinit with its end: which of them the same killer took counts.
                        reaped += self.reap_rest(&mut killed);
                    }
                    return Ended { outcome, usage, zombie, faults_of_children, cgroup, history, reaped, killed };
                }
            }
            let forward = |received| self.forward(program, received, &mut history);
            match watch {
                Some(memory) => {
                    if !self.next_signals_or_memory(program, memory, forward) {
                        *watch = None;
                    }
                }
                None => self.next_signals(forward),
            }
        }
    }

    /// Waits for signals, and for `watch`. False if that fails, for good.
    fn next_signals_or_memory(&self, program: i32, watch: &mut Watch, take: impl FnMut(Received)) -> bool {
        let rest = watch.rest();
        let timeout = match rest {
            // Rounded up, or its last fraction of a millisecond would be spent in a busy loop.
            Some(rest) => u16::try_from(rest.as_millis() + 1).unwrap_or(u16::MAX).into(),
            None => PollTimeout::NONE,
        };
        let mut polled = [
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            // With nothing asked, the kernel would still tell of changes (kernfs: POLLERR): while it rests, it is left out.
            PollFd::new(watch.as_fd(), PollFlags::POLLPRI),
        ];
        let (asked, _) = polled.split_at_mut(if rest.is_some() { 1 } else { 2 });
        let ready = match poll(asked, timeout) {
            Ok(ready) => ready,
            Err(errno) => return errno == Errno::EINTR,
        };
        let [signals, changed] = polled.map(|fd| fd.any() == Some(true));
        if signals {
            self.next_signals(take);
        }
        if changed || (rest.is_some() && ready == 0) {
            if !watch.look() {
                return false;
            }
            // The first look may come before the victim's end, and the victim may be PROGRAM: only after a rest.
            if let Some((from, to)) = watch.untold().filter(|_| !changed && self.runs_on(program)) {
                log::warn!(
                    "a process of this container was OOM-killed (oom_kill {from} -> {to}), pid {program} runs on"
                );
                watch.tell();
            }
        }
        true
    }

    /// Whether `program` lives, and no SIGKILL is on its way to it.
    fn runs_on(&self, program: i32) -> bool {
        let Some(status) = self.proc.and_then(|proc| proc.status(program)) else { return false };
        !matches!(status.state, None | Some(b'Z' | b'X'))
            && status.pending.is_some_and(|set| !set.contains(Signo::KILL))
    }

    /// `--pause`: reaps until SIGTERM or SIGINT.
    pub fn pause(&self) {
        let mut asked_to_stop = false;
        while !asked_to_stop {
            while let Some(pid) = wait::peek() {
                self.reap_orphan(pid);
            }
            self.next_signals(|received| asked_to_stop |= [Signo::TERM, Signo::INT].contains(&received.signal));
        }
    }

    fn next_signals(&self, take: impl FnMut(Received)) {
        match self.signals.read(take) {
            Ok(()) | Err(Errno::EINTR) => {}
            // Unheard of. A pause keeps even that from burning a processor.
            Err(errno) => {
                log::error!("cannot read signals: {}", errno.desc());
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }

    /// Keeps the name of a child that has died of SIGKILL: it may be a victim of the OOM killer.
    fn note_kill(&self, pid: i32, killed: &mut Killed) {
        const NAMED: usize = 4;
        let Some(proc) = self.proc.filter(|_| wait::end_of(pid).is_some_and(Change::is_kill)) else { return };
        killed.count += 1;
        if killed.named.len() == NAMED {
            killed.named.pop();
        }
        killed.named.push(Sender { pid, name: proc.process(pid).map(|process| process.name) });
    }

    /// Reaps what has ended already; bounded, because what is left can go on forking.
    fn reap_rest(&self, killed: &mut Killed) -> u64 {
        const MOST: usize = 4096;
        std::iter::from_fn(wait::peek)
            .take(MOST)
            .map(|pid| {
                self.note_kill(pid, killed);
                self.reap_orphan(pid)
            })
            .sum()
    }

    /// Returns how many were reaped: not a child that was merely stopped.
    fn reap_orphan(&self, pid: i32) -> u64 {
        let level = if self.warn_reaped { log::Level::Warn } else { log::Level::Debug };
        // Its name goes with the zombie.
        let name = if log::log_enabled!(level) { Proc::of(self.pid).and_then(|proc| proc.process(pid)) } else { None };
        let name = name.map_or_else(|| "an orphan".to_owned(), |process| escape(&process.name));
        match wait::collect(pid) {
            Some((Change::Exited(code), _)) => log::log!(level, "reaped {name} (pid {pid}): exit status {code}"),
            Some((Change::Signaled { signal, .. }, _)) => log::log!(level, "reaped {name} (pid {pid}): {signal}"),
            _ => return 0,
        }
        1
    }

    fn forward(&self, program: i32, received: Received, history: &mut History) {
        if received.signal == Signo::CHLD || received.is_own_write(self.pid) {
            return;
        }
        let at = self.start.elapsed();
        // Looked at before it is sent: afterwards neither the sender nor PROGRAM need be there.
        let proc = self.proc.filter(|_| history.wants_details(at));
        let sender = proc.filter(|_| received.pid != 0).and_then(|proc| proc.process(received.pid));
        let origin = Origin::of(&received, self.pid, sender.map(|sender| (sender.parent, sender.name)));
        let snapshot = proc.and_then(|proc| proc.status(program));
        let rewritten = self.rewrite.iter().rev().find(|(from, _)| *from == received.signal);
        let fate = match rewritten.map_or(Some(received.signal), |(_, to)| *to) {
            _ if self.has_it_already(program, &received) => Fate::Direct,
            None => Fate::Dropped,
            Some(signal) => match self.send(program, signal, &received) {
                Ok(()) => Fate::Sent(signal),
                Err(errno) => {
                    log::warn!("cannot pass {signal} on to pid {program}: {}", errno.desc());
                    Fate::Failed(errno as i32)
                }
            },
        };
        log::debug!("{} from {origin:?}: {fate:?}", received.signal);
        history.push(SignalEvent { signal: received.signal, origin, at, fate, snapshot });
    }

    /// In rinit's own group PROGRAM gets by itself what the terminal sends to the group. And what PROGRAM sends to its
    /// group (`kill 0`) must not come back to it: with a trap that does it again, that would never end.
    fn has_it_already(&self, program: i32, received: &Received) -> bool {
        self.placement == Placement::SameGroup && (received.is_from_terminal() || received.pid == program)
    }

    fn send(&self, program: i32, signal: Signo, received: &Received) -> Result<(), Errno> {
        if !self.group {
            return send_to_program(program, signal, received);
        }
        // A group cannot be sent a value.
        let sent = signal::kill(-program, signal);
        if sent.is_ok() && getpgid(Some(Pid::from_raw(program))) == Ok(Pid::from_raw(program)) {
            return sent;
        }
        // PROGRAM has left its group.
        send_to_program(program, signal, received)
    }

    fn on_stop(&self, program: i32, signal: Signo) {
        if self.placement == Placement::Leader {
            // Ctrl-Z, and there is no shell around rinit to type `fg` in. Its whole group was stopped.
            if signal == Signo::TSTP {
                log::debug!("pid {program} was stopped by {signal}: continued, since nobody else can");
                let _ = signal::kill(-program, Signo::CONT);
                let _ = signal::kill(program, Signo::CONT);
            }
            return;
        }
        // A stop of PROGRAM is a stop of the job, and the shell that waits for rinit has to see it. SIGCONT comes to
        // rinit too; one that is here already has undone the stop.
        if !signal::is_pending(Signo::CONT) {
            let _ = signal::kill(self.pid, Signo::STOP);
            if self.placement == Placement::OwnGroup {
                pass_terminal(getpgrp(), Pid::from_raw(program));
            }
        }
    }
}

fn send_to_program(program: i32, signal: Signo, received: &Received) -> Result<(), Errno> {
    if received.code == SI_QUEUE {
        match signal::queue(program, signal, received.value) {
            // Its queue is full; kill(2) still gets the signal through, without its value.
            Err(Errno::EAGAIN) => {}
            sent => return sent,
        }
    }
    signal::kill(program, signal)
}
