//! What the report says if it is found after a SIGKILL that took rinit too: written while the program runs, for a
//! reader who compares its times with `Finished:`. So there is no "ago" in it, and never a `certain`.

#![forbid(unsafe_code)]

use super::case::{Case, caught, delivered_as, ignored};
use super::memory::{bytes, of_limit};
use super::{Cause, Confidence, Diagnosis, registry, wording};
use crate::evidence::cgroup::Use;
use crate::evidence::cgroup::values::Events;
use crate::evidence::running::{Moment, Running};
use crate::evidence::{Evidence, Fate, SignalEvent};
use crate::outcome::Outcome;
use crate::signals::Signo;
use Confidence::{Likely, Possible, Unknown};

/// What the runtime reports when nothing but this is found: PID 1 killed, and all with it.
pub static OUTCOME: Outcome = Outcome::Signaled { signal: Signo::KILL, core_dumped: false };

/// What is known now, told as after the kill.
#[must_use]
pub fn provisional(evidence: &Evidence, running: &Running) -> Diagnosis {
    let case = Case { outcome: &OUTCOME, evidence, is_inner: false, signature: None };
    let event = |at: usize| evidence.signals.get(at);
    match running.moment {
        Moment::Signal(at) => event(at).map(|event| signalled(&case, running, event)),
        Moment::Asked(at) => event(at).map(|event| runs_on(&case, running, event)),
        Moment::Memory => memory_moved(&case, running),
        Moment::Start => None,
    }
    .unwrap_or_else(|| started(&case, running))
}

/// Nothing has happened yet. Unknown: the kernel tells nobody who killed PID 1.
fn started(case: &Case<'_>, running: &Running) -> Diagnosis {
    let seen = match running.events {
        Some(_) => "neither a signal from outside nor a memory event",
        None => "no signal from outside",
    };
    let verdict = format!("{}, and it had seen {seen}, unless one is told of below", whole(case));
    let mut diagnosis = Diagnosis::new(&registry::KILLED_WITHOUT_REPORT, Unknown, verdict)
        .evidence(format!("started {}", wording::timestamp(case.evidence.started)));
    if let Some(limit) = running.memory.and_then(|memory| memory.limit?.bytes) {
        diagnosis = diagnosis.evidence(format!("memory limit {} (a fast allocation reaches it unseen)", bytes(limit)));
    }
    diagnosis.evidence.extend(group(running));
    diagnosis.not_known(sender(case))
}

/// A signal from outside was passed on a moment ago.
fn signalled(case: &Case<'_>, running: &Running, event: &SignalEvent) -> Diagnosis {
    let (program, request) = (case.program(), case.request(event));
    let end = if case.evidence.is_init { "the container was killed as a whole" } else { "rinit was killed" };
    let live_on = if case.evidence.is_init { "" } else { ", and the program may live on" };
    let (cause, confidence, why, _) = why(case, running, event);
    // It has not failed to stop yet.
    let why = why.replacen(", for ", ", and ", 1);
    // Too early to say that it was too slow.
    let (cause, confidence) = match (cause.id, confidence) {
        (id, Likely) if id != registry::STOP_TOO_SLOW.id => (cause, Possible),
        _ => (&registry::KILLED_WITHOUT_REPORT, Unknown),
    };
    let verdict = if running.asks_to_stop {
        format!(
            "{program} was asked to stop {}{why}; then {end} before rinit could report{live_on}",
            asked(case, event)
        )
    } else {
        format!("{request} came for {program}; later {end} before rinit could report{live_on}")
    };
    with_state(case, running, event, Diagnosis::new(cause, confidence, verdict)).not_known(if running.asks_to_stop {
        "who asked and who killed. The end of a grace period and docker kill look the same from here".to_owned()
    } else {
        sender(case)
    })
}

/// It was asked to stop some time ago, and runs on. Likely where it shows why; possible where it shows nothing.
fn runs_on(case: &Case<'_>, running: &Running, event: &SignalEvent) -> Diagnosis {
    let (program, gap) = (case.program(), wording::duration(case.since(event)));
    let (cause, confidence, why, next) = why(case, running, event);
    let end = if case.evidence.is_init {
        "then the container was killed"
    } else {
        "then rinit was killed, and the program may live on"
    };
    let verdict =
        format!("{program} was asked to stop {} and did not{why}: {gap} later it still ran, {end}", asked(case, event));
    let mut diagnosis = Diagnosis::new(cause, confidence, verdict);
    if let Some(cpu) = running.cpu {
        // It is counted in steps of 10 ms.
        let cpu = if cpu.is_zero() {
            "no CPU time to speak of".to_owned()
        } else {
            format!("{} of CPU time", wording::duration(cpu))
        };
        diagnosis = diagnosis.evidence(format!("it used {cpu} in those {gap}"));
    }
    with_state(case, running, event, diagnosis)
        .not_known(format!(
            "who asked. A failed liveness probe, a rollout, a drain and an eviction send the same {}",
            event.signal
        ))
        .next(next)
}

/// The cause of a stop that does not come, its words for line 1, and what to do.
fn why(case: &Case<'_>, running: &Running, event: &SignalEvent) -> (&'static Cause, Confidence, String, String) {
    let now = running.program.as_ref();
    let with = |cause: &'static Cause, confidence, why: String| (cause, confidence, why, cause.next.to_owned());
    let Some(signal) = delivered_as(event) else {
        let why = if event.fate == Fate::Dropped {
            ", for --rewrite drops that signal"
        } else {
            ", for it could not be passed on"
        };
        return with(&registry::KILLED_WITHOUT_REPORT, Unknown, why.to_owned());
    };
    let stopped = |threads: crate::evidence::snapshot::Threads| threads.count > 0 && threads.stopped == threads.count;
    if now.or(event.snapshot.as_ref()).and_then(|snapshot| snapshot.threads).is_some_and(stopped) {
        return with(&registry::PROCESS_FROZEN, Likely, ", for it is stopped itself (state T)".to_owned());
    }
    if ignored(event, signal) {
        return with(&registry::SIGNAL_IGNORED, Likely, ", for it ignores that signal".to_owned());
    }
    // What is pending in the first moments is merely on its way.
    let held = |snapshot: &crate::evidence::snapshot::Snapshot| {
        let has = |set: Option<crate::signals::SignalSet>| set.is_some_and(|set| set.contains(signal));
        has(snapshot.status.pending) && has(snapshot.status.blocked)
    };
    if now.is_some_and(held) && matches!(running.moment, Moment::Asked(_)) {
        return with(&registry::SIGNAL_BLOCKED, Likely, ", for it blocks that signal".to_owned());
    }
    let confidence = if caught(event, signal) == Some(true) { Likely } else { Possible };
    let waiting = |event: &SignalEvent| {
        let snapshot = event.snapshot.as_ref();
        snapshot.is_some_and(|snapshot| snapshot.backlogs.iter().any(|one| one.held != Some(false)))
    };
    let next = if waiting(event) {
        format!(
            "Events say \"failed liveness probe\": it had hung before the signal came: profile it, or give the probe a longer timeoutSeconds. Otherwise {PATIENCE}"
        )
    } else {
        PATIENCE.to_owned()
    };
    let shell = super::stopped::trap_waits(case, event)
        .map_or_else(String::new, |_| ", for a shell waits for the command in its foreground first".to_owned());
    (&registry::STOP_TOO_SLOW, confidence, shell, next)
}

const PATIENCE: &str = "raise terminationGracePeriodSeconds (docker stop -t), or set RINIT_STOP_TIMEOUT to a few seconds less to learn where it hangs";

/// What the program was set to do with the signal, what waited for it, and its memory.
fn with_state(case: &Case<'_>, running: &Running, event: &SignalEvent, diagnosis: Diagnosis) -> Diagnosis {
    let mut diagnosis = diagnosis.evidence(case.history(event));
    diagnosis.evidence.extend(super::stopped::trap_waits(case, event));
    case.add_backlogs(&mut diagnosis);
    diagnosis.evidence.extend(in_use(running));
    if let Some(moved) = running.events.map(|(before, now)| moves(before, now)) {
        diagnosis.evidence.push(if moved.is_empty() { "no memory event".to_owned() } else { moved });
    }
    diagnosis.evidence.extend(group(running));
    diagnosis
}

/// memory.events, or the limit, has moved. oom without a kill that was survived: likely, for it comes right before the
/// kill. max alone: possible if what is in use cannot be taken back, for page cache at the limit is nothing unusual.
fn memory_moved(case: &Case<'_>, running: &Running) -> Option<Diagnosis> {
    let (before, now) = running.events?;
    let has_moved = |of: fn(&Events) -> Option<u64>| of(&now) != of(&before);
    let (oom, oom_kill) = (has_moved(|events| events.oom), has_moved(|events| events.oom_kill));
    let memory = running.memory.unwrap_or_default();
    let limit = memory.limit.and_then(|limit| limit.bytes);
    let at_limit = limit.map_or_else(String::new, |limit| format!(" of {}", bytes(limit)));
    let dies_whole = memory.group == Some(true);
    // An anonymous share of three quarters.
    let held = memory.anonymous.zip(limit).is_some_and(|(anonymous, limit)| anonymous >= limit / 4 * 3);
    let (cause, confidence, seen) = match (oom, oom_kill) {
        (false, true) => (
            &registry::OOM_OUTSIDE_CONTAINER,
            if dies_whole { Likely } else { Possible },
            "an OOM kill in it, not at its own limit".to_owned(),
        ),
        (true, _) => (
            &registry::OOM_CONTAINER_LIMIT,
            if dies_whole { Likely } else { Possible },
            format!("out of memory at its limit{at_limit}"),
        ),
        (false, false) if has_moved(|events| events.max) => {
            let (cause, confidence) = if held {
                (&registry::OOM_CONTAINER_LIMIT, Possible)
            } else {
                (&registry::KILLED_WITHOUT_REPORT, Unknown)
            };
            (cause, confidence, format!("memory at its limit{at_limit}"))
        }
        (false, false) => {
            (&registry::KILLED_WITHOUT_REPORT, Unknown, format!("its memory limit was changed: now{at_limit}"))
        }
    };
    let time = wording::clock(case.evidence.ended);
    let verdict = format!("{}; last thing seen, at {time}: {seen}", whole(case));
    let mut diagnosis = Diagnosis::new(cause, confidence, verdict);
    let when = format!("{time}, {} after the start", wording::duration(case.evidence.duration));
    let mut facts = vec![Some(moves(before, now)).filter(|moves| !moves.is_empty()), in_use(running)];
    facts.push(
        memory
            .anonymous
            .map(|anonymous| format!("{} of it anonymous (nothing but swap takes it back)", bytes(anonymous))),
    );
    // A shell in front of what uses it is not worth a word.
    let resident =
        running.resident_kib.filter(|kib| memory.anonymous.is_some_and(|anonymous| *kib >= anonymous / 2048));
    facts.push(resident.zip(case.evidence.pid).map(|(kib, pid)| {
        let program = crate::diagnose::program_label(&OUTCOME, case.evidence);
        format!("{program} (pid {pid}) {} resident", wording::kib(kib))
    }));
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    diagnosis = diagnosis.evidence(format!("{when}: {}", facts.join(", ")));
    diagnosis.evidence.extend(group(running));
    if !case.evidence.signals.is_empty() {
        case.add_signals(&mut diagnosis);
    }
    let uses = if resident.is_some() { case.program() } else { "the program".to_owned() };
    Some(diagnosis.next(format!(
        "Reason OOMKilled, and Finished close to {time}: it was this. Raise limits.memory, or lower what {uses} uses (workers, caches, heap size), a leak shows as a steady climb. Reason Error: less likely (runtimes miss some OOM kills), see Events and the node's kernel log"
    )))
}

/// `at 14:03:22Z (SIGTERM from outside)`
fn asked(case: &Case<'_>, event: &SignalEvent) -> String {
    let time = wording::clock(case.evidence.started.saturating_add(event.at.as_secs()));
    format!("at {time} ({} {})", event.signal, wording::origin(&event.origin))
}

/// Who was killed, in the words of line 1.
fn whole(case: &Case<'_>) -> String {
    if case.evidence.is_init {
        "the container was killed as a whole before rinit could report".to_owned()
    } else {
        format!("rinit was killed before it could report, {} may live on", case.program())
    }
}

fn sender(case: &Case<'_>) -> String {
    let who = if case.evidence.is_init {
        "A SIGKILL to PID 1 comes from the kernel or from outside the container, never from inside"
    } else {
        "It was the OOM killer, or any process that may signal rinit"
    };
    format!("who did it. {who}")
}

/// `memory.events max 0 -> 1, oom 0 -> 1`; empty where nothing has moved.
fn moves(before: Events, now: Events) -> String {
    let moved = |name, before: Option<u64>, now: Option<u64>| {
        before.zip(now).filter(|(before, now)| before != now).map(|(before, now)| format!("{name} {before} -> {now}"))
    };
    let moves = [
        moved("max", before.max, now.max),
        moved("oom", before.oom, now.oom),
        moved("oom_kill", before.oom_kill, now.oom_kill),
    ];
    let moves: Vec<String> = moves.into_iter().flatten().collect();
    if moves.is_empty() { String::new() } else { format!("memory.events {}", moves.join(", ")) }
}

/// `511 of 512 MiB in use`
fn in_use(running: &Running) -> Option<String> {
    let memory: Use = running.memory?;
    let limit = memory.limit.map(|limit| (limit.bytes, limit.level));
    Some(format!("memory {} in use", of_limit(memory.used?, limit)))
}

/// memory.oom.group, where it takes rinit too.
fn group(running: &Running) -> Option<String> {
    match running.memory?.group? {
        true => Some("memory.oom.group=1: one OOM kill ends every process here, rinit too".to_owned()),
        false => None,
    }
}
