//! The loop: reap, then wait, then forward. From here on nothing returns early: what fails is logged, and life goes on.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Pid, getpgid, getpgrp};

use crate::child::{Placement, Started, foreground, pass_terminal};
use crate::diagnose::wording;
use crate::evidence::cgroup::place::Membership;
use crate::evidence::cgroup::watch::Watch;
use crate::evidence::death::{Death, Executed};
use crate::evidence::process::{Proc, Status};
use crate::evidence::snapshot::SETTLED;
use crate::evidence::{Fate, Killed, SignalEvent, Usage};
use crate::outcome::Outcome;
use crate::report::escape;
use crate::signals::{Origin, Received, SI_QUEUE, Sender, Signo};
use crate::sys::signal::{self, SignalFd};
use crate::sys::wait::{self, Change, Peeked};

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
    /// What it became right after its execve(2).
    pub executed: Option<Executed>,
    /// More of the zombie, if a signal ended it.
    pub death: Option<Death>,
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
    /// The SIGCONT that rinit is to read next has reached PROGRAM too.
    continued: bool,
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

    /// Looks again at what was sent at least [`SETTLED`] before `now` and not looked at again yet.
    fn look_again(&mut self, now: Duration, status: impl FnOnce() -> Option<Status>) {
        let waits = |event: &SignalEvent| {
            let snapshot = event.snapshot.as_ref();
            snapshot.is_some_and(|snapshot| snapshot.later.is_none()) && now.saturating_sub(event.at) >= SETTLED
        };
        if !self.first.iter().chain(&self.last).any(waits) {
            return;
        }
        let Some(status) = status() else { return };
        for event in self.first.iter_mut().chain(&mut self.last) {
            let after = now.saturating_sub(event.at);
            if let Some(snapshot) = &mut event.snapshot {
                snapshot.look_again(after, &status);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.first.is_empty()
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
        let mut executed = None;
        // Until it ends, execve has not closed it. Nobody asks when no report is wanted.
        let mut exec = self.proc.map(|_| started.descriptor());
        loop {
            while let Some(Peeked { pid, end }) = wait::peek() {
                if pid != program {
                    self.note_kill(pid, end, &mut killed);
                    reaped += self.reap_orphan(pid);
                    continue;
                }
                // A success that nobody asked for raises no question that /proc could answer.
                let answers = |end| end != Change::Exited(0) || !history.is_empty();
                let proc = self.proc.filter(|_| end.is_some_and(answers));
                let signal = end.and_then(Change::signal);
                let killed_proc = proc.filter(|_| signal == Some(Signo::KILL));
                let zombie = proc.and_then(|proc| proc.status(pid));
                let directory = executed.as_ref().and_then(|executed: &Executed| executed.directory.as_deref());
                let death = proc.zip(signal).map(|(proc, signal)| proc.death(pid, signal, directory));
                let faults_of_children = killed_proc.and_then(|proc| proc.faults_of_children(pid));
                let cgroup = killed_proc.and_then(|_| Membership::of(pid, b"memory"));
                let outcome = match wait::collect(pid) {
                    Some((Change::Exited(code), usage)) => Some((Outcome::Exited(code), usage)),
                    Some((Change::Signaled { signal, core_dumped }, usage)) => {
                        Some((Outcome::Signaled { signal, core_dumped }, usage))
                    }
                    Some((Change::Stopped(signal), _)) => {
                        self.on_stop(program, signal);
                        history.continued = wait::was_continued(program);
                        None
                    }
                    Some((Change::Continued, _)) | None => None,
                };
                if let Some((outcome, usage)) = outcome {
                    let outcome = started.start_error().map_or(outcome, Outcome::NotStarted);
                    if self.placement == Placement::OwnGroup {
                        pass_terminal(Pid::from_raw(program), getpgrp());
                    }
                    if signal == Some(Signo::KILL) {
                        // Its children came to rinit with its end: which of them the same killer took counts.
                        reaped += self.reap_rest(&mut killed);
                    }
                    return Ended {
                        outcome,
                        usage,
                        zombie,
                        executed,
                        death,
                        faults_of_children,
                        cgroup,
                        history,
                        reaped,
                        killed,
                    };
                }
            }
            if let Some(proc) = self.proc {
                history.look_again(self.start.elapsed(), || proc.status(program));
            }
            let rest = watch.as_ref().and_then(Watch::rest);
            // With nothing asked, the kernel would still tell of changes (kernfs: POLLERR): while it rests, it is left out.
            let memory = watch.as_ref().filter(|_| rest.is_none()).map(Watch::as_fd);
            let fds = [
                Some((self.signals.as_fd(), PollFlags::POLLIN)),
                exec.map(|exec| (exec, PollFlags::POLLIN)),
                memory.map(|memory| (memory, PollFlags::POLLPRI)),
            ];
            let [signals, of_exec, of_memory] = self.wait(fds, rest);
            if !of_exec.is_empty() {
                exec = None;
                // Something to read is an errno: it never became PROGRAM.
                executed =
                    self.proc.filter(|_| !of_exec.contains(PollFlags::POLLIN)).map(|proc| proc.executed(program));
            }
            if !signals.is_empty() {
                self.next_signals(|received| self.forward(program, received, &mut history));
            }
            let changed = !of_memory.is_empty();
            if let Some(memory) = watch
                && (changed || memory.rest() == Some(Duration::ZERO))
                && !self.look_at_memory(program, memory, changed)
            {
                *watch = None;
            }
        }
    }

    /// Tells of processes that were OOM-killed while PROGRAM runs on. False if `watch` is of no use any more.
    fn look_at_memory(&self, program: i32, watch: &mut Watch, changed: bool) -> bool {
        if !watch.look() {
            return false;
        }
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

    /// `--pause`: reaps until SIGTERM or SIGINT.
    pub fn pause(&self) {
        let mut asked_to_stop = false;
        while !asked_to_stop {
            while let Some(peeked) = wait::peek() {
                self.reap_orphan(peeked.pid);
            }
            self.next_signals(|received| asked_to_stop |= [Signo::TERM, Signo::INT].contains(&received.signal));
        }
    }

    /// Waits, at most for `limit`, until one of `fds` has what it is asked for or has ended, and says which; the first is
    /// that of signals. Where it is the only one nothing needs to be asked: its read waits.
    fn wait<const N: usize>(
        &self,
        fds: [Option<(BorrowedFd<'_>, PollFlags)>; N],
        limit: Option<Duration>,
    ) -> [PollFlags; N] {
        let mut ready = [PollFlags::empty(); N];
        if limit.is_some() || fds.iter().skip(1).any(Option::is_some) {
            let mut fds = fds.map(|fd| {
                let (fd, events) = fd.unwrap_or((self.signals.as_fd(), PollFlags::empty()));
                PollFd::new(fd, events)
            });
            // Rounded up, or its last fraction of a millisecond would be spent in a busy loop.
            let timeout = limit.map(|limit| u16::try_from(limit.as_millis() + 1).unwrap_or(u16::MAX));
            match poll(&mut fds, timeout.map_or(PollTimeout::NONE, PollTimeout::from)) {
                Ok(_) => return fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty())),
                Err(Errno::EINTR) => return ready,
                // Unheard of. Signals matter more than the others.
                Err(_) => {}
            }
        }
        if let Some(signals) = ready.first_mut() {
            *signals = PollFlags::POLLIN;
        }
        ready
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
    fn note_kill(&self, pid: i32, end: Option<Change>, killed: &mut Killed) {
        const NAMED: usize = 4;
        let Some(proc) = self.proc.filter(|_| end.and_then(Change::signal) == Some(Signo::KILL)) else { return };
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
            .map(|Peeked { pid, end }| {
                self.note_kill(pid, end, killed);
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
        let closely = received.pid == 0 || [Signo::TERM, Signo::INT, Signo::QUIT].contains(&received.signal);
        let snapshot = proc.and_then(|proc| proc.snapshot(program, closely));
        let rewritten = self.rewrite.iter().rev().find(|(from, _)| *from == received.signal);
        let fate = match rewritten.map_or(Some(received.signal), |(_, to)| *to) {
            _ if self.has_it_already(program, &received, history) => Fate::Direct,
            None => Fate::Dropped,
            Some(signal) => match self.send(program, signal, &received) {
                Ok(()) => Fate::Sent(signal),
                Err(errno) => {
                    log::warn!("cannot pass {signal} on to pid {program}: {}", errno.desc());
                    Fate::Failed(errno as i32)
                }
            },
        };
        log::debug!("{} {}{}", received.signal, wording::origin(&origin), what_became(fate, received.signal));
        history.push(SignalEvent { signal: received.signal, origin, at, fate, snapshot });
    }

    /// In rinit's own group PROGRAM gets by itself what the terminal sends to the group. And what PROGRAM sends to its
    /// group (`kill 0`) must not come back to it: with a trap that does it again, that would never end. Nor may a
    /// shell's SIGCONT come late and undo the next Ctrl-Z.
    fn has_it_already(&self, program: i32, received: &Received, history: &mut History) -> bool {
        let continued = received.signal == Signo::CONT && std::mem::take(&mut history.continued);
        self.placement == Placement::SameGroup && (received.is_from_terminal() || received.pid == program || continued)
    }

    fn send(&self, program: i32, signal: Signo, received: &Received) -> Result<(), Errno> {
        if !self.group {
            return send_to_program(program, signal, received);
        }
        // A group cannot be sent a value.
        let sent = signal::kill(-program, signal);
        if sent.is_ok() && leads_group(program) {
            return sent;
        }
        // PROGRAM has left its group.
        send_to_program(program, signal, received)
    }

    /// A stop of PROGRAM is a stop of the job, and the shell that waits for rinit has to see it.
    fn on_stop(&self, program: i32, signal: Signo) {
        if self.placement == Placement::Leader {
            continue_after_ctrl_z(program, signal);
            return;
        }
        let (rinits, programs) = (getpgrp(), Pid::from_raw(program));
        let own_group = self.placement == Placement::OwnGroup;
        // `fg` for a job that ran on in the background: it gives the terminal to rinit's group and sends nothing.
        let wants_terminal = [Signo::TTIN, Signo::TTOU].contains(&signal);
        if own_group && wants_terminal && pass_terminal(rinits, programs) {
            let _ = signal::kill(-program, Signo::CONT);
            return;
        }
        let foreground = foreground();
        let in_front = foreground == Some(rinits) || (own_group && foreground == Some(programs));
        // Somebody else's SIGSTOP (a debugger, a CPU limiter): the SIGCONT that follows would come to PROGRAM alone, and
        // rinit would stay stopped for ever. On the terminal the user can see it, and has to get the shell back.
        let behind_our_back = signal == Signo::STOP && !in_front;
        // SIGCONT comes to rinit too; one that is here already has undone the stop.
        if behind_our_back || signal::is_pending(Signo::CONT) {
            return;
        }
        // The terminal stopped PROGRAM's group only. A script around rinit and the rest of a pipeline are of the job.
        let whom = if own_group && foreground == Some(programs) { 0 } else { self.pid };
        let stopped = signal::stop_by(whom, if signal == Signo::STOP { Signo::TSTP } else { signal });
        if own_group {
            pass_terminal(rinits, programs);
        }
        if !stopped {
            continue_after_ctrl_z(program, signal);
        }
    }
}

/// To follow the signal and its sender in a line of the log.
fn what_became(fate: Fate, received: Signo) -> String {
    match fate {
        Fate::Sent(signal) if signal == received => ": passed on".to_owned(),
        Fate::Sent(signal) => format!(": passed on as {signal}"),
        Fate::Dropped => ": dropped".to_owned(),
        Fate::Direct => ": PROGRAM has it already".to_owned(),
        Fate::Failed(errno) => format!(": not passed on, {}", Errno::from_raw(errno).desc()),
    }
}

/// Ctrl-Z, and there is no shell around rinit to type `fg` in. PROGRAM's whole group was stopped.
fn continue_after_ctrl_z(program: i32, signal: Signo) {
    if signal == Signo::TSTP {
        log::debug!("pid {program} was stopped by {signal}: continued, since nobody else can");
        // Once each: a second SIGCONT could undo the next Ctrl-Z for PROGRAM alone, and then nobody sees its group's stop.
        let _ = signal::kill(if leads_group(program) { -program } else { program }, Signo::CONT);
    }
}

/// PROGRAM can leave the group that it was started in.
fn leads_group(program: i32) -> bool {
    getpgid(Some(Pid::from_raw(program))) == Ok(Pid::from_raw(program))
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
