//! `--stop-timeout`: a PROGRAM that was asked to stop and does not is looked at and killed. Its time starts with the first
//! stop signal that is passed on, and nothing changes it afterwards.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::Supervisor;
use crate::diagnose::wording;
use crate::evidence::stuck::Stuck;
use crate::evidence::{Fate, SignalEvent};
use crate::outcome::Outcome;
use crate::signals::Signo;
use crate::sys::signal;
use crate::sys::wait::Change;

/// What SIGKILL has struck is gone in a moment, unless the kernel holds it (state D). rinit waits no longer than this.
pub(super) const KILL_TAKES: Duration = Duration::from_secs(1);

/// How rinit reports a PROGRAM that it leaves to the kernel.
pub(super) const ABANDONED: Outcome = Outcome::Signaled { signal: Signo::KILL, core_dumped: false };

/// A stop under way.
#[derive(Debug)]
pub struct Stopping {
    request: SignalEvent,
    /// CPU time that PROGRAM had used then.
    cpu: Option<Duration>,
    /// When the next step is due; `None`: never.
    due: Option<Instant>,
    struck: Option<Box<Stuck>>,
}

impl Stopping {
    /// When the next step is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// For PROGRAM's end: when the time is over, and what was seen if it was over already.
    #[must_use]
    pub fn into_parts(self) -> (Option<Instant>, Option<Box<Stuck>>) {
        (if self.struck.is_some() { Some(Instant::now()) } else { self.due }, self.struck)
    }
}

impl Supervisor<'_> {
    /// Whether `signal`, as it was received, asks PROGRAM to stop. What it is rewritten to does not matter: who stops a
    /// container sends the one that was agreed on.
    pub(super) fn asks_to_stop(&self, signal: Signo) -> bool {
        [Signo::TERM, Signo::INT].contains(&signal) || self.stop_signals.contains(&signal)
    }

    /// Starts the time, if `event` asks to stop and nothing has before. A key at the terminal that PROGRAM got by itself
    /// does not, nor does what `--rewrite` drops: rinit has passed nothing on.
    pub(super) fn note_request(&self, program: i32, event: &SignalEvent, stopping: &mut Option<Stopping>) {
        let passed_on = matches!(event.fate, Fate::Sent(_) | Fate::Failed(_));
        if let (Some(timeout), None, true, true) =
            (self.stop_timeout, &stopping, passed_on, self.asks_to_stop(event.signal))
        {
            let due = Instant::now().checked_add(timeout);
            let cpu = self.proc.and_then(|proc| proc.cpu_time(program));
            let SignalEvent { signal, ref origin, at, fate, .. } = *event;
            let request = SignalEvent { signal, origin: origin.clone(), at, fate, snapshot: None };
            *stopping = Some(Stopping { request, cpu, due, struck: None });
        }
    }

    /// Does what is due. An outcome if there is nothing more to wait for although PROGRAM is not to be reaped: it is PID 1's to go
    /// where it may not kill, and everybody's where not even SIGKILL ends PROGRAM. Where it may not kill and is not PID 1,
    /// rinit stays: PROGRAM would only be out of sight.
    #[inline(never)]
    pub(super) fn stop_in_time(&self, program: i32, stopping: &mut Stopping) -> Option<Outcome> {
        if stopping.due.is_none_or(|due| Instant::now() < due) {
            return None;
        }
        if let Some(stuck) = &mut stopping.struck {
            // Whoever traces it is told of its end, and nobody else before that one is gone.
            let word = self.proc.and_then(|proc| proc.exit_word(program));
            let ended = word.and_then(Change::decode).and_then(Change::outcome);
            stuck.abandoned = ended.is_none();
            return Some(ended.unwrap_or(ABANDONED));
        }
        let look = self.proc.and_then(|proc| proc.look_at_stuck(program, stopping.cpu));
        // PROGRAM is not reaped: the pid is its own.
        let killed = signal::kill(program, Signo::KILL);
        if self.group {
            let _ = signal::kill(-program, Signo::KILL);
        }
        let (at, timeout) = (self.start.elapsed(), self.stop_timeout.unwrap_or_default());
        let abandoned = killed.is_err() && self.pid == super::INIT;
        stopping.due = killed.ok().and_then(|()| Instant::now().checked_add(KILL_TAKES));
        let after = wording::duration(timeout);
        match killed {
            Ok(()) => log::info!("pid {program} did not stop in {after}: killed"),
            Err(errno) => log::warn!("pid {program} did not stop in {after} and cannot be killed: {}", errno.desc()),
        }
        let (request, kill) = (stopping.request.clone(), killed.map_err(|errno| errno as i32));
        stopping.struck = Some(Box::new(Stuck { request, timeout, at, look, kill, abandoned }));
        abandoned.then_some(ABANDONED)
    }
}
