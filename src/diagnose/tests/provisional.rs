//! What is told of a container that runs, as after its kill.

use super::*;
use crate::diagnose::provisional;
use crate::evidence::cgroup::values::Events;
use crate::evidence::cgroup::{Limit, Use};
use crate::evidence::running::{Moment, Running};
use crate::evidence::snapshot::{Threads, Waiting};
use crate::evidence::sockets::Backlog;

type Row = (Evidence, Running, &'static str, Confidence, &'static [&'static str]);

fn at(moment: Moment) -> Running {
    Running { moment, asks_to_stop: true, ..Running::default() }
}

fn threads(count: usize, stopped: usize) -> Option<Snapshot> {
    Some(Snapshot { threads: Some(Threads { count, stopped, uninterruptible: 0 }), ..Snapshot::default() })
}

fn holding(signal: Signo) -> Option<Snapshot> {
    let set = Some(SignalSet(0).with(signal));
    seen(Status { pending: set, blocked: set, ..Status::default() })
}

/// A connection waited to be accepted, at a port that is the program's or not.
fn waiting(held: Option<bool>, mut event: SignalEvent) -> SignalEvent {
    let backlog = Backlog { port: 8080, waiting: 126, inode: 1 };
    event.snapshot.as_mut().unwrap().backlogs = vec![Waiting { backlog, held }];
    event
}

/// memory.events `max oom oom_kill` now, from nothing; MiB used and anonymous of a limit of 512 MiB.
fn memory(moment: Moment, [max, oom, oom_kill]: [u64; 3], [used, anonymous]: [u64; 2], group: bool) -> Running {
    let events = |max, oom, oom_kill| Events { max: Some(max), oom: Some(oom), oom_kill: Some(oom_kill) };
    let memory = Use {
        limit: Some(Limit { bytes: Some(512 << 20), level: 0 }),
        group: Some(group),
        used: Some(used << 20),
        anonymous: Some(anonymous << 20),
    };
    Running { memory: Some(memory), events: Some((events(0, 0, 0), events(max, oom, oom_kill))), ..at(moment) }
}

fn not_init(mut evidence: Evidence) -> Evidence {
    evidence.is_init = false;
    evidence
}

pub(super) fn rows() -> Vec<Row> {
    let asked = |event: SignalEvent| got(python(), event);
    let term = || event(Signo::TERM, 25_000);
    let term_alone = Some(SignalSet(0).with(Signo::TERM));
    let (start, signal, later) = (Moment::Start, Moment::Signal(0), Moment::Asked(0));
    vec![
        (
            python(),
            at(start),
            "killed-without-report",
            Unknown,
            &[
                "the container was killed as a whole before rinit could report",
                "no signal from outside, unless one is told of below",
                "started 2026-11-21T14:00:11Z",
                "never from inside",
            ],
        ),
        (
            not_init(python()),
            at(start),
            "killed-without-report",
            Unknown,
            &["rinit was killed before it could report, python3 may live on", "any process that may signal rinit"],
        ),
        (
            python(),
            memory(start, [0; 3], [0, 0], true),
            "killed-without-report",
            Unknown,
            &[
                "neither a signal from outside nor a memory event",
                "memory limit 512 MiB",
                "memory.oom.group=1: one OOM kill",
            ],
        ),
        (
            asked(handled(term())),
            at(signal),
            "killed-without-report",
            Unknown,
            &[
                "python3 was asked to stop at 14:02:58Z (SIGTERM from outside); then the container was killed as a whole",
            ],
        ),
        (
            not_init(asked(term())),
            at(later),
            "stop-too-slow",
            Possible,
            &["25.0 s later it still ran, then rinit was killed, and the program may live on"],
        ),
        (
            asked(event(Signo::HUP, 5)),
            Running { asks_to_stop: false, ..at(signal) },
            "killed-without-report",
            Unknown,
            &["SIGHUP from outside at 14:03:23Z came for python3; later the container was killed"],
        ),
        (
            asked(not_heeded(term())),
            at(signal),
            "signal-ignored",
            Possible,
            &["and it ignores that signal; then", "trap ''"],
        ),
        (
            asked(not_heeded(term())),
            at(later),
            "signal-ignored",
            Likely,
            &[
                "and did not, for it ignores that signal: 25.0 s later it still ran, then the container was killed",
                "trap ''",
            ],
        ),
        (
            asked(unhandled(term())),
            Running { program: holding(Signo::TERM), ..at(later) },
            "signal-blocked",
            Likely,
            &["for it blocks that signal"],
        ),
        (
            asked(unhandled(term())),
            Running { program: threads(3, 3), ..at(later) },
            "process-frozen",
            Likely,
            &["for it is stopped itself (state T)"],
        ),
        // No thread was seen to be stopped, no signal to be blocked.
        (
            asked(handled(term())),
            Running { program: threads(0, 0), ..at(later) },
            "stop-too-slow",
            Likely,
            &["and did not: 25.0 s later it still ran"],
        ),
        (
            asked(handled(term())),
            Running { program: seen(Status { pending: term_alone, ..Status::default() }), ..at(later) },
            "stop-too-slow",
            Likely,
            &["and did not: 25.0 s later it still ran"],
        ),
        (
            asked(waiting(Some(true), handled(term()))),
            at(later),
            "stop-too-slow",
            Likely,
            &["next: Events say \"failed liveness probe\": it had hung before the signal came"],
        ),
        (
            asked(waiting(Some(false), handled(term()))),
            at(later),
            "stop-too-slow",
            Likely,
            &["next: raise terminationGracePeriodSeconds"],
        ),
        (
            asked(rewritten(Fate::Dropped, term())),
            at(later),
            "killed-without-report",
            Unknown,
            &["and did not, for --rewrite drops that signal"],
        ),
        (
            asked(handled(term())),
            Running {
                cpu: Some(Duration::from_millis(24_900)),
                program: threads(3, 2),
                ..memory(later, [0; 3], [210, 84], false)
            },
            "stop-too-slow",
            Likely,
            &[
                "asked to stop at 14:02:58Z (SIGTERM from outside) and did not: 25.0 s later it still ran, then the",
                "used 24.9 s of CPU time in those 25.0 s; SIGTERM from outside at 14:02:58Z, passed on to pid 7, it had a handler",
                "memory 210 of 512 MiB in use; no memory event",
                "A failed liveness probe",
                "raise terminationGracePeriodSeconds",
            ],
        ),
        (
            python(),
            memory(Moment::Memory, [1, 0, 0], [511, 503], true),
            "oom-container-limit",
            Possible,
            &[
                "last thing seen, at 14:03:23Z: memory at its limit of 512 MiB",
                "14:03:23Z, 3m12s after the start: memory.events max 0 -> 1, memory 511 of 512 MiB in use, 503 MiB of it anonymous",
                "memory.oom.group=1",
                "Reason OOMKilled, and Finished close to 14:03:23Z: it was this",
            ],
        ),
        // Three quarters of the limit.
        (
            python(),
            memory(Moment::Memory, [1, 0, 0], [511, 384], true),
            "oom-container-limit",
            Possible,
            &["at its limit of 512 MiB"],
        ),
        (
            python(),
            memory(Moment::Memory, [1, 0, 0], [511, 383], true),
            "killed-without-report",
            Unknown,
            &["at its limit of 512 MiB"],
        ),
        // Who has most of it is named.
        (
            python(),
            Running { resident_kib: Some(300 << 10), ..memory(Moment::Memory, [1, 0, 0], [511, 500], true) },
            "oom-container-limit",
            Possible,
            &["python3 (pid 7) 300 MiB resident", "or lower what python3 uses"],
        ),
        (
            python(),
            Running { resident_kib: Some(200 << 10), ..memory(Moment::Memory, [1, 0, 0], [511, 500], true) },
            "oom-container-limit",
            Possible,
            &["or lower what the program uses"],
        ),
        // Page cache gives way.
        (
            python(),
            memory(Moment::Memory, [9, 0, 0], [511, 20], true),
            "killed-without-report",
            Unknown,
            &["at its limit"],
        ),
        (
            python(),
            memory(Moment::Memory, [9, 1, 2], [511, 503], true),
            "oom-container-limit",
            Likely,
            &["oom 0 -> 1, oom_kill 0 -> 2"],
        ),
        (
            python(),
            memory(Moment::Memory, [9, 1, 1], [511, 503], false),
            "oom-container-limit",
            Possible,
            &["out of memory at its limit"],
        ),
        (
            python(),
            memory(Moment::Memory, [0, 0, 1], [90, 80], true),
            "oom-outside-container",
            Likely,
            &["not at its own limit"],
        ),
        (
            python(),
            memory(Moment::Memory, [0, 0, 0], [90, 80], true),
            "killed-without-report",
            Unknown,
            &["limit was changed: now of"],
        ),
        (
            asked(term()),
            memory(Moment::Memory, [1, 0, 0], [511, 503], false),
            "oom-container-limit",
            Possible,
            &["SIGTERM from outside at 14:02:58Z"],
        ),
    ]
}

#[test]
fn every_moment() {
    for (i, (evidence, running, id, confidence, facts)) in rows().into_iter().enumerate() {
        let diagnosis = provisional(&evidence, &running);
        let report = crate::report::Report {
            outcome: KILLED_WITH_RINIT,
            evidence: &evidence,
            diagnosis: &diagnosis,
            provisional: true,
        };
        let text = String::from_utf8(report.render(crate::cli::Format::Text, usize::MAX)).unwrap();
        assert_eq!((diagnosis.cause.id, diagnosis.confidence), (id, confidence), "row {i}:\n{text}");
        for fact in facts {
            assert!(text.contains(fact), "row {i}: no {fact:?} in\n{text}");
        }
        assert!(
            text.is_ascii() && !text.contains(" ago") && text.len() <= 1024,
            "row {i}: {} bytes\n{text}",
            text.len()
        );
        let json = report.render(crate::cli::Format::Json, usize::MAX);
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!((&json["outcome"], &json["provisional"]), (&"running".into(), &true.into()));
    }
}
