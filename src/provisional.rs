//! What the termination log holds while PROGRAM runs, for the case that rinit is killed with it: the first block before
//! the fork, then a few more when something happens. Nothing wakes rinit up for it but the clock after a request to stop,
//! three times.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::cli::{Config, Format};
use crate::diagnose::{KILLED_WITH_RINIT, provisional};
use crate::evidence::cgroup::gauges::Gauges;
use crate::evidence::cgroup::values::Events;
use crate::evidence::cgroup::watch::Watch;
use crate::evidence::cgroup::{self, Baseline, Limit, Use};
use crate::evidence::process::Proc;
use crate::evidence::running::{Moment, Running};
use crate::evidence::{Evidence, SignalEvent};
use crate::report::Report;
use crate::signals::{Origin, Signo};
use crate::sink::termination_log::TerminationLog;
use crate::supervise::Witness;
use crate::sys::clock::seconds_since_1970;

/// When PROGRAM is looked at again after a request to stop: before the end of the shortest grace period there is
/// (2 s: the kubelet's, and `docker stop -t 2`), of Docker's (10 s) and of Kubernetes' (30 s).
const LATER: [Duration; 3] = [Duration::from_millis(1500), Duration::from_secs(9), Duration::from_secs(25)];
/// A request to stop after this long is a new one: PROGRAM took the one before for something else.
const ANEW: Duration = Duration::from_secs(60);
/// Room that stays for what comes after a request to stop.
const FOR_A_STOP: usize = 1400;
/// From here on a report is whole.
const SMALLEST: usize = 256;
/// Signals that are no request to stop, and looks at memory of one kind, that are told.
const TOLD: usize = 2;
/// Signals that are kept for later blocks.
const KEPT: usize = 8;

/// Writes it.
#[derive(Debug)]
pub struct Provisional<'a> {
    log: Option<&'a mut TerminationLog>,
    evidence: &'a mut Evidence,
    config: &'a Config,
    /// Where memory is looked at, if it is watched.
    gauges: Option<Gauges>,
    proc: Option<Proc>,
    program: i32,
    start: Instant,
    /// The last request to stop.
    asked: Option<Asked>,
    /// Other signals that were told.
    signals: usize,
    /// memory.events, before the fork and at the last look.
    events: Option<(Events, Events)>,
    /// The lowest limit at the last look.
    limit: Option<Limit>,
    /// OOM events that were told.
    ooms: usize,
    /// There was one that is to be told at the next look: right after a kill its victim still has the memory, and
    /// the next one could be ours.
    oom_untold: bool,
    /// Whether it was told that memory is at its limit, and that most of that is there to stay.
    full: (bool, bool),
}

#[derive(Debug)]
struct Asked {
    /// Index of the signal in `Evidence::signals`.
    signal: usize,
    at: Duration,
    /// CPU time that PROGRAM had used then.
    cpu: Option<Duration>,
    /// Looks at it since.
    looks: usize,
}

/// The first block. `evidence` has PROGRAM's name, and when it starts.
pub fn begin(log: &mut TerminationLog, evidence: &mut Evidence, config: &Config, memory: Option<&Baseline>) {
    evidence.ended = evidence.started;
    log.append(|room| {
        let memory = memory.and_then(|memory| memory.memory_limits());
        // Whoever can see the limit sees the events.
        let events = memory.map(|_| Default::default());
        let running = Running { moment: Moment::Start, memory, events, ..Running::default() };
        render(evidence, &running, config.format, config.report_size.min(room))
    });
}

fn render(evidence: &Evidence, running: &Running, format: Format, limit: usize) -> Option<Vec<u8>> {
    if limit < SMALLEST {
        return None;
    }
    let diagnosis = provisional(evidence, running);
    let report = Report { outcome: KILLED_WITH_RINIT, evidence, diagnosis: &diagnosis, provisional: true };
    Some(report.render(format, limit)).filter(|report| !report.is_empty())
}

impl<'a> Provisional<'a> {
    /// PROGRAM runs as `program`.
    #[must_use]
    pub fn new(
        log: Option<&'a mut TerminationLog>,
        evidence: &'a mut Evidence,
        config: &'a Config,
        (memory, watch): (Option<&'a Baseline>, Option<&Watch>),
        (proc, program): (Option<Proc>, i32),
        start: Instant,
    ) -> Self {
        evidence.pid = Some(program);
        let events = watch.filter(|_| log.is_some()).map(Watch::events);
        let memory = memory.filter(|_| events.is_some());
        let gauges = memory.and_then(|memory| memory.gauges(proc.map(|_| program)));
        let (asked, signals, limit, ooms, oom_untold, full) = (None, 0, None, 0, false, (false, false));
        let mut new = Self {
            log,
            evidence,
            config,
            gauges,
            proc,
            program,
            start,
            asked,
            signals,
            events,
            limit,
            ooms,
            oom_untold,
            full,
        };
        new.rehearse();
        new
    }

    /// Everything that a look at memory needs is touched once, while there is memory to be had.
    fn rehearse(&mut self) {
        if self.gauges.is_some() {
            let running = self.look(Moment::Memory);
            self.limit = running.memory.and_then(|memory| memory.limit);
            let (evidence, config) = (&*self.evidence, self.config);
            if let Some(log) = &mut self.log {
                log.append(|_| render(evidence, &running, config.format, config.report_size).filter(|_| false));
            }
            reserve();
        }
    }

    #[inline(never)]
    fn look(&mut self, moment: Moment) -> Running {
        self.evidence.ended = seconds_since_1970();
        self.evidence.duration = self.start.elapsed();
        let (memory, resident_kib) = self.gauges.as_ref().map(Gauges::read).unzip();
        Running { moment, memory, events: self.events, resident_kib: resident_kib.flatten(), ..Running::default() }
    }

    /// Half of the room at most, so that there is some for what comes later.
    #[inline(never)]
    fn write(&mut self, running: &Running) {
        let kept = if self.asked.is_some() { 0 } else { FOR_A_STOP };
        let (evidence, config) = (&*self.evidence, self.config);
        if let Some(log) = &mut self.log {
            log.append(|room| {
                let limit = config.report_size.min(room.saturating_sub(kept) / 2);
                render(evidence, running, config.format, limit)
            });
        }
    }

    fn asks_to_stop(&self, signal: Signo) -> bool {
        [Signo::TERM, Signo::INT, Signo::QUIT].contains(&signal) || self.config.stop_signals.contains(&signal)
    }
}

/// Touches some of the stack and of the heap beyond what the rehearsal did: a look at memory that has more to tell goes
/// deeper. Between an OOM kill and the moment in which its victim's pages are free, one new page of rinit's own is enough
/// for the kernel to kill rinit too, as the only process that it has not killed yet.
#[inline(never)]
fn reserve() {
    const STACK: usize = 12 * 1024;
    const HEAP: usize = 4 * 1024;
    black_box(&mut [0_u8; STACK]);
    black_box(vec![0_u8; HEAP]);
}

impl Witness for Provisional<'_> {
    fn executed(&mut self) {
        if self.config.oom_shield {
            // What PROGRAM has inherited, and goes by.
            self.evidence.killer.score_adj = cgroup::oom_score_adj();
            if let Err(errno) = cgroup::never_kill_rinit() {
                log::warn!("--oom-shield has no effect, it takes CAP_SYS_RESOURCE: {}", errno.desc());
            }
        }
    }

    fn signal(&mut self, event: &SignalEvent) {
        let asks_to_stop = self.asks_to_stop(event.signal);
        let told = match event.origin {
            _ if self.log.is_none() => false,
            Origin::Terminal | Origin::Own => false,
            // Programs of one container have their own uses of signals.
            Origin::Process(_) | Origin::Claimed(_) if !asks_to_stop => false,
            _ if asks_to_stop => self.asked.as_ref().is_none_or(|asked| event.at >= asked.at + ANEW),
            _ => self.signals < TOLD,
        };
        if !told || self.evidence.signals.len() >= KEPT {
            self.evidence.signals_omitted += 1;
            return;
        }
        let signal = self.evidence.signals.len();
        self.evidence.signals.push(event.clone());
        if asks_to_stop {
            let cpu = self.proc.and_then(|proc| proc.cpu_time(self.program));
            self.asked = Some(Asked { signal, at: event.at, cpu, looks: 0 });
        } else {
            self.signals += 1;
        }
        let running = Running { asks_to_stop, ..self.look(Moment::Signal(signal)) };
        self.write(&running);
    }

    fn due(&self) -> Option<Instant> {
        let asked = self.asked.as_ref()?;
        Some(self.start + asked.at + *LATER.get(asked.looks)?)
    }

    fn woken(&mut self) {
        if self.due().is_none_or(|due| due > Instant::now()) {
            return;
        }
        let Some(asked) = &mut self.asked else { return };
        asked.looks += 1;
        let (signal, before) = (asked.signal, asked.cpu);
        let program = self.proc.and_then(|proc| proc.snapshot(self.program, true));
        if program.as_ref().is_some_and(|program| matches!(program.status.state, Some(b'Z' | b'X'))) {
            return;
        }
        let cpu = self.proc.and_then(|proc| proc.cpu_time(self.program)).zip(before);
        let cpu = cpu.and_then(|(now, before)| now.checked_sub(before));
        let running = Running { program, cpu, asks_to_stop: true, ..self.look(Moment::Asked(signal)) };
        self.write(&running);
    }

    fn memory(&mut self, watch: &Watch) {
        let Some((before, last)) = self.events else { return };
        let (_, now) = watch.events();
        self.events = Some((before, now));
        let running = self.look(Moment::Memory);
        let Use { limit, anonymous, .. } = running.memory.unwrap_or_default();
        let limit_moved = std::mem::replace(&mut self.limit, limit) != limit;
        let bytes = limit.and_then(|limit| limit.bytes);
        let stays = anonymous.zip(bytes).is_some_and(|(anonymous, limit)| anonymous >= limit / 4 * 3);
        let told = if stays { &mut self.full.1 } else { &mut self.full.0 };
        let at_limit = now.max != before.max && !std::mem::replace(told, true);
        let moved = (now.oom, now.oom_kill) != (last.oom, last.oom_kill);
        let dies_whole = running.memory.is_some_and(|memory| memory.group == Some(true));
        let oom =
            (moved && dies_whole || std::mem::replace(&mut self.oom_untold, moved && !dies_whole)) && self.ooms < TOLD;
        if moved && !oom {
            return;
        }
        self.ooms += usize::from(oom);
        if oom || at_limit || limit_moved {
            self.write(&running);
        }
    }
}
