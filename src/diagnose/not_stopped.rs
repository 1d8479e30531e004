//! What rinit itself ended: a program that did not stop in time (`--stop-timeout`), and what a program left (`--drain`).
//!
//! That rinit killed it is certain. Why it had to is told by what was seen then, and no more than that: a fact about the
//! program's state, never a guess at its intention.

use std::time::Duration;

use super::case::{Case, caught, delivered_as, ignored};
use super::stopped::who_asked;
use super::{Confidence, Diagnosis, Note, programs, registry, wording};
use crate::evidence::drained::{Drained, Rest, RestFate};
use crate::evidence::process::Process;
use crate::evidence::snapshot::SETTLED;
use crate::evidence::stuck::{Look, Stuck};
use crate::evidence::{Fate, SignalEvent};
use crate::signals::Signo;
use Confidence::{Certain, Likely};

/// Why a program did not stop.
struct Reason {
    /// Of a note: that of the cause where the contract has one.
    id: &'static str,
    /// To end the verdict with.
    why: String,
    /// What shows it.
    proof: String,
    next: &'static str,
}

/// Death by SIGKILL, or rinit's leave, after rinit's own SIGKILL. Certain if right before that PROGRAM lived and no other
/// SIGKILL was on its way to it. If one was, this explains nothing. Not known: likely.
pub(super) fn killed_after_stop_timeout(case: &Case<'_>) -> Option<Diagnosis> {
    let stuck = case.evidence.stuck.as_deref().filter(|stuck| stuck.kill.is_ok() || stuck.abandoned)?;
    case.signal().filter(|signal| *signal == Signo::KILL)?;
    let confidence = match stuck.look.as_ref().map(|look| look.doomed) {
        Some(Some(true)) => return None,
        Some(Some(false)) => Certain,
        _ => Likely,
    };
    let same = |event: &&SignalEvent| event.at == stuck.request.at && event.signal == stuck.request.signal;
    let event = case.evidence.signals.iter().find(same).unwrap_or(&stuck.request);
    let after = wording::duration(stuck.at.saturating_sub(event.at));
    let (program, status, request) = (case.program(), case.status(), case.request(event));
    let Reason { id, why, proof, next } = reason(case, stuck, event);
    let hedge = confidence.hedge();
    let verdict = match (stuck.kill, stuck.abandoned) {
        (Err(_), _) => format!("{program} still ran {after} after {request}, rinit may not kill it ({status}): {why}"),
        (_, true) => {
            format!("{program} still ran {after} after {request}, even SIGKILL did not end it ({status}): {why}")
        }
        _ => format!("{program} was {hedge}killed by rinit ({status}) {after} after {request}: {why}"),
    };
    let diagnosis = Diagnosis::new(&registry::KILLED_AFTER_STOP_TIMEOUT, confidence, verdict)
        .evidence(case.history(event))
        .evidence(struck(case, stuck));
    let mut diagnosis = who_asked(diagnosis, event).next(next);
    if let Some(look) = &stuck.look {
        diagnosis.evidence.extend(doing(look, &after));
    }
    diagnosis.notes.push(Note { id, summary: proof });
    Some(diagnosis)
}

/// What rinit did and what followed.
fn struck(case: &Case<'_>, stuck: &Stuck) -> String {
    let timeout = wording::duration(stuck.timeout);
    let end = wording::duration(case.evidence.duration.saturating_sub(stuck.at));
    let fate = match (stuck.kill, stuck.abandoned) {
        (Err(errno), _) => format!("kill gave {}, and rinit ends, which ends the container", wording::errno(errno)),
        (_, true) if case.evidence.is_init => format!("it was still there {end} later, it ends with the container"),
        (_, true) => format!("it was still there {end} later, and ends when the kernel lets it"),
        _ => format!("it ended {end} later"),
    };
    let whom = if case.evidence.group { " to its group" } else { "" };
    format!("--stop-timeout {timeout} was over, SIGKILL from rinit{whom}: {fate}")
}

/// The first that explains it. What excludes that the signal did its work comes first.
fn reason(case: &Case<'_>, stuck: &Stuck, event: &SignalEvent) -> Reason {
    let reason = |id, why: String, proof: String, next| Reason { id, why, proof, next };
    let Some(signal) = delivered_as(event) else {
        let errno = match event.fate {
            Fate::Failed(errno) => wording::errno(errno),
            _ => String::new(),
        };
        return reason(
            "signal-not-passed-on",
            format!("{} could not be passed on", event.signal),
            format!("kill gave {errno}"),
            "let rinit run as root, or the program as rinit's user: who is not root may signal the processes of its own user alone (CAP_KILL)",
        );
    };
    let Some(look) = &stuck.look else {
        return reason(
            "not-seen",
            "why it did not stop could not be seen".to_owned(),
            "/proc showed nothing of it".to_owned(),
            "mount /proc, and see what the program's own log says of its stop",
        );
    };
    let (status, threads) = (&look.snapshot.status, look.snapshot.threads.unwrap_or_default());
    let pending = status.pending.is_some_and(|set| set.contains(signal));
    if threads.count > 0 && threads.stopped == threads.count {
        let all = wording::count(threads.count, "thread was", "threads were");
        return reason(
            "process-frozen",
            "it was stopped".to_owned(),
            format!(
                "{all} in state T (SIGSTOP, Ctrl-Z, a debugger), where no signal but SIGKILL and SIGCONT does anything"
            ),
            "find what stops it (kill -STOP, a debugger, a CPU limiter). kill -CONT lets it go on",
        );
    }
    let ignored_later = status.ignored.is_some_and(|set| set.contains(signal));
    if ignored(event, signal) || (event.snapshot.is_none() && ignored_later) {
        return reason(
            "signal-ignored",
            format!("it ignores {signal}"),
            format!("{signal} was in its SigIgn"),
            "remove what sets it to be ignored (trap '' TERM, nohup, SIG_IGN in the program or in what started it), or have the signal sent that the program knows (STOPSIGNAL, --rewrite)",
        );
    }
    if status.state == Some(b'D') {
        return reason(
            "uninterruptible-sleep",
            "it was in uninterruptible sleep in the kernel".to_owned(),
            "its main thread was in state D, where it takes no signal".to_owned(),
            "look at what it reads and writes: a disk, NFS or another network file system that does not answer, a frozen cgroup",
        );
    }
    if pending && status.blocked.is_some_and(|set| set.contains(signal)) && never_taken(case, event, stuck.at) {
        return reason(
            "signal-blocked",
            format!("it blocks {signal}"),
            format!("{signal} was in its SigBlk, and not taken"),
            "look for who blocked it: a launcher whose mask the program inherited, sigprocmask in the program without a thread in sigwait or a signalfd that is read",
        );
    }
    if let Some(child) = waited_for(look, event, signal) {
        let child = wording::process(child.pid, Some(&child.name));
        return reason(
            "shell-kept-signal",
            format!("a shell runs its trap only after the command in front, and its child {child} still ran"),
            format!("the shell has a trap for {signal}, and {child} ran when it came and still"),
            "let the shell wait for a command in the background (command & wait $!), or become it: exec before the command, with no trap. Or rinit -g, which signals all of them",
        );
    }
    let elapsed = stuck.at.saturating_sub(event.at);
    let has = match caught(event, signal) {
        Some(true) => format!("it has a handler for {signal}"),
        _ if pending => format!("it had not taken {signal}"),
        _ => format!("it took {signal}"),
    };
    // Ready to run counts too: it may not have got the processor (other programs, cpu.max).
    let share = if status.state == Some(b'R') { 10 } else { 1 };
    match look.cpu.filter(|cpu| elapsed >= SETTLED && cpu.saturating_mul(5 * share) >= elapsed.saturating_mul(4)) {
        Some(cpu) => reason(
            "stop-too-slow",
            format!("{has}, but was busy"),
            match status.state {
                Some(b'R') => "it was running, or ready to run".to_owned(),
                _ => format!("it used {} of CPU time meanwhile", wording::duration(cpu)),
            },
            "profile it: it computed all the time, in its handler or in a loop that does not look for the request. If it needs that long: a longer --stop-timeout, within the grace period",
        ),
        None => reason(
            "stop-too-slow",
            format!("{has}, but had not ended"),
            "it was neither stopped nor busy".to_owned(),
            "see what it waits for (its log, the sleep named above): connections, a lock, another process. If it needs that long: a longer --stop-timeout, and a grace period that is longer still",
        ),
    }
}

/// Whether the signal of `event` was still pending at a later look, `now` at the latest. A second one of its kind may be
/// the one that is pending now: then the look before it was sent tells. A handler blocks its own signal while it runs.
fn never_taken(case: &Case<'_>, event: &SignalEvent, now: Duration) -> bool {
    let signal = delivered_as(event);
    let second = case.evidence.signals.iter().find(|other| other.at > event.at && delivered_as(other) == signal);
    let settled = |at: Duration| at.saturating_sub(event.at) >= SETTLED;
    match second {
        None => settled(now) && case.all_signals_known(),
        Some(second) => {
            let pending = second.snapshot.as_ref().and_then(|snapshot| snapshot.status.pending);
            settled(second.at) && pending.zip(signal).is_some_and(|(set, signal)| set.contains(signal))
        }
    }
}

/// A child that a shell with a trap had when the signal came, and has still.
fn waited_for<'a>(look: &'a Look, event: &SignalEvent, signal: Signo) -> Option<&'a Process> {
    look.snapshot.status.name.as_deref().filter(|name| programs::is_shell(name))?;
    let before = event.snapshot.as_ref().filter(|_| caught(event, signal) == Some(true))?.children.as_deref()?;
    let had_it = |child: &&Process| child.is_running() && before.iter().any(|one| one.pid == child.pid);
    look.snapshot.children.as_deref()?.iter().find(had_it)
}

/// What the program did while the time ran, and at its end.
fn doing(look: &Look, elapsed: &str) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(cpu) = look.cpu {
        let cpu = if cpu.is_zero() { "no".to_owned() } else { wording::duration(cpu) + " of" };
        facts.push(format!("it used {cpu} CPU time in those {elapsed}"));
    }
    if let Some(wchan) = &look.wchan {
        facts.push(format!("its main thread slept in {}", wording::name(wchan)));
    }
    let children = look.snapshot.children.as_deref().unwrap_or_default();
    let running: Vec<_> = children.iter().filter(|child| child.is_running()).collect();
    if !running.is_empty() {
        let names = wording::list(running.iter().map(|child| wording::process(child.pid, Some(&child.name))));
        facts.push(format!("its children were {names}"));
    }
    for waiting in look.snapshot.backlogs.iter().filter(|waiting| waiting.held == Some(true)) {
        let count = wording::count(waiting.backlog.waiting, "connection", "connections");
        facts.push(format!("at the end {count} to port {} waited to be accepted", waiting.backlog.port));
    }
    facts
}

/// What every other report says of a stop timeout that was over: rinit stays where it may not kill and is not PID 1, and
/// an end can come in the very moment of the SIGKILL.
pub(super) fn complete(case: &Case<'_>, diagnosis: &mut Diagnosis) {
    let Some(stuck) = &case.evidence.stuck else { return };
    if diagnosis.cause.id == registry::KILLED_AFTER_STOP_TIMEOUT.id {
        return;
    }
    let timeout = wording::duration(stuck.timeout);
    let summary = match stuck.kill {
        Err(errno) => {
            format!("--stop-timeout {timeout} was over, and rinit may not kill it: {}", wording::errno(errno))
        }
        Ok(()) => format!("--stop-timeout {timeout} was over, and rinit sent SIGKILL as it was ending"),
    };
    diagnosis.notes.push(Note { id: "stop-timeout-over", summary });
}

/// The note on what `--drain` did.
pub(super) fn drained(case: &Case<'_>, drained: &Drained) -> Note {
    let count = wording::count(drained.processes.len(), "process was", "processes were");
    let killed = drained.killed_after.map(wording::duration);
    let mut parts = Vec::new();
    let mut part = |what: &str, belongs: &dyn Fn(RestFate) -> Option<Duration>| {
        let all: Vec<_> = drained.processes.iter().filter_map(|rest| Some((rest, belongs(rest.fate)?))).collect();
        let Some(slowest) = all.iter().map(|(_, after)| *after).max() else { return };
        let session = |rest: &Rest| if case.is_injected(&rest.process) { " from an exec session" } else { "" };
        let name = |rest: &Rest| wording::process(rest.process.pid, Some(&rest.process.name)) + session(rest);
        let names = wording::list(all.iter().map(|(rest, _)| name(rest)));
        let within = match slowest.as_millis() {
            0 => String::new(),
            _ => format!(" within {}", wording::duration(slowest)),
        };
        parts.push(format!("{} {what}{within} ({names})", all.len()));
    };
    let by_kill = |signal| signal == Signo::KILL && drained.killed_after.is_some();
    part("ended by SIGTERM", &|fate| match fate {
        RestFate::Signaled(Signo::TERM, after) => Some(after),
        _ => None,
    });
    part("exited", &|fate| match fate {
        RestFate::Exited(_, after) => Some(after),
        _ => None,
    });
    part("ended by another signal", &|fate| match fate {
        RestFate::Signaled(signal, after) if signal != Signo::TERM && !by_kill(signal) => Some(after),
        _ => None,
    });
    let gone = |wanted: RestFate| move |fate: RestFate| (fate == wanted).then_some(Duration::ZERO);
    part("collected by their own parent", &gone(RestFate::Gone));
    part(&format!("killed after {}", killed.unwrap_or_default()), &|fate| match fate {
        RestFate::Signaled(signal, _) if by_kill(signal) => Some(Duration::ZERO),
        _ => None,
    });
    part("still there", &gone(RestFate::There));
    let summary = match parts.as_slice() {
        [] => "processes were still there at the end for --drain, which ones is not known".to_owned(),
        parts => format!("{count} still there at the end for --drain: {}", parts.join(", ")),
    };
    Note { id: "drained", summary }
}
