//! OOM kills: every rule, and each condition of the one proof.

use super::edges::{says, says_not};
use super::*;
use crate::evidence::cgroup::place::Version;
use crate::evidence::cgroup::values::Events;
use crate::evidence::cgroup::{Limit, Memory, Strain};
use crate::evidence::death::Death;
use crate::evidence::{Killed, Killer};

const MIB: u64 = 1 << 20;

pub(in crate::diagnose) fn events(max: u64, oom: u64, oom_kill: u64) -> Events {
    Events { max: Some(max), oom: Some(oom), oom_kill: Some(oom_kill) }
}

/// 512 MiB of its own, and these counters at the end.
pub(in crate::diagnose) fn v2(after: Events) -> Memory {
    Memory {
        version: Version::V2,
        before: events(0, 0, 0),
        after,
        local_oom: after.oom,
        unmoved_until: Some(Duration::ZERO),
        survived: 0,
        limit: Some(Limit { bytes: Some(512 * MIB), level: 0 }),
        hierarchical_limit: None,
        peak: Some(512 * MIB),
        shared: Some(0),
        kernel: Some(0),
        swap_refused: Some(0),
    }
}

fn v1(oom_kill: u64, peak: u64) -> Memory {
    let events = |oom_kill| Events { max: None, oom: None, oom_kill: Some(oom_kill) };
    let (before, after) = (events(0), events(oom_kill));
    Memory { version: Version::V1, before, after, local_oom: None, unmoved_until: None, peak: Some(peak), ..v2(after) }
}

fn with(mut evidence: Evidence, memory: Memory) -> Evidence {
    evidence.memory = Some(Box::new(memory));
    evidence
}

/// Everything that the proof needs.
fn proven() -> Evidence {
    let memory = Memory { unmoved_until: Some(LIFETIME - Duration::from_millis(900)), ..v2(events(41, 1, 1)) };
    let mut evidence = with(pending(python(), Signo::KILL), memory);
    evidence.usage.as_mut().unwrap().max_rss_kib = 489 * 1024;
    evidence.death = Some(Death { faults_of_children: Some(0), ..Death::default() });
    evidence.zombie.as_mut().unwrap().ignored = Some(SignalSet(0).with(Signo::PIPE));
    evidence
}

fn killed(mut evidence: Evidence, count: u64) -> Evidence {
    let victim = Sender { pid: 12, name: Some(b"worker".to_vec()) };
    evidence.killed = Killed { count, named: vec![victim] };
    evidence
}

fn ranked(mut evidence: Evidence, score_adj: i32, kubernetes: bool) -> Evidence {
    evidence.killer = Killer { on_machine: Some(3), score_adj: Some(score_adj), kubernetes, ..Killer::default() };
    evidence
}

/// The kills of the whole machine, soon after the start and at the end.
fn counted(mut evidence: Evidence, before: u64, now: u64) -> Evidence {
    evidence.killer = Killer { on_machine_before: Some(before), on_machine: Some(now), ..Killer::default() };
    evidence
}

fn strained(strain: Strain) -> Evidence {
    Evidence { strain, ..python() }
}

fn memory_of(evidence: &mut Evidence) -> &mut Memory {
    evidence.memory.as_mut().unwrap()
}

#[test]
fn certain_needs_every_part_of_its_proof() {
    let outcome = died(Signo::KILL);
    let diagnosis = diagnose(&outcome, &proven());
    assert_eq!((diagnosis.cause.id, diagnosis.confidence), ("oom-container-limit", Certain));
    type Break = fn(&mut Evidence);
    let breaks: [(&str, Break); 16] = [
        ("not PID 1", |e| e.is_init = false),
        ("two kills", |e| memory_of(e).after.oom_kill = Some(2)),
        ("another death", |e| e.killed.count = 1),
        ("a limit below", |e| memory_of(e).local_oom = Some(0)),
        ("no local counter", |e| memory_of(e).local_oom = None),
        ("cgroup v1", |e| (memory_of(e).version, memory_of(e).local_oom) = (Version::V1, Some(0))),
        ("the look was long ago", |e| memory_of(e).unmoved_until = Some(LIFETIME - Duration::from_millis(1001))),
        ("no look", |e| memory_of(e).unmoved_until = None),
        ("it waited for a child", |e| e.death.as_mut().unwrap().faults_of_children = Some(1)),
        ("not known whether it did", |e| e.death.as_mut().unwrap().faults_of_children = None),
        ("its children vanish", |e| e.zombie.as_mut().unwrap().ignored = Some(SignalSet(0).with(Signo::CHLD))),
        ("not known whether they do", |e| e.zombie.as_mut().unwrap().ignored = None),
        ("the signal was not sent to the process", |e| e.zombie.as_mut().unwrap().pending = Some(SignalSet(0))),
        ("no zombie", |e| e.zombie = None),
        ("another may have been larger", |e| e.usage.as_mut().unwrap().max_rss_kib = 255 * 1024),
        ("the limit is not its own", |e| memory_of(e).limit.as_mut().unwrap().level = 1),
    ];
    for (what, broken) in breaks {
        let mut evidence = proven();
        broken(&mut evidence);
        assert_ne!(diagnose(&outcome, &evidence).confidence, Certain, "{what}");
    }
}

/// One kill and one death that can have been its: who else there was is told, on both versions.
#[test]
fn the_only_one_that_was_seen_to_die() {
    let outcome = died(Signo::KILL);
    let alone = |memory| with(Evidence { left: Some(Vec::new()), ..proven() }, memory);
    for memory in [v1(1, 512 * MIB), v1(1, 100 * MIB), Memory { unmoved_until: None, ..v2(events(41, 1, 1)) }] {
        let said = |evidence: &Evidence| {
            let diagnosis = diagnose(&outcome, evidence);
            assert_eq!(diagnosis.confidence, Likely, "{diagnosis:#?}");
            (diagnosis.evidence.join("; "), diagnosis.not_known.join("; "))
        };
        let (evidence, not_known) = said(&alone(memory.clone()));
        assert!(evidence.contains("no other process that could have been it was seen to end"), "{evidence}");
        assert!(not_known.contains("whether it was a process of an exec session instead"), "{not_known}");
        type Break = fn(&mut Evidence);
        let breaks: [(&str, Break); 8] = [
            ("not PID 1", |e| e.is_init = false),
            ("two kills", |e| memory_of(e).after.oom_kill = Some(2)),
            ("one that it survived", |e| {
                (memory_of(e).after.oom_kill, memory_of(e).survived) = (Some(2), 1);
            }),
            ("it waited for a child", |e| e.death.as_mut().unwrap().faults_of_children = Some(1)),
            ("its children vanish", |e| e.zombie.as_mut().unwrap().ignored = Some(SignalSet(0).with(Signo::CHLD))),
            ("no zombie", |e| e.zombie = None),
            ("somebody is left, who may have waited for it", |e| {
                e.left = Some(vec![Process { pid: 12, name: b"sh".to_vec(), parent: 1, state: b'S' }])
            }),
            ("not known who is left", |e| e.left = None),
        ];
        for (what, broken) in breaks {
            let mut evidence = alone(memory.clone());
            broken(&mut evidence);
            let (facts, not_known) = said(&evidence);
            assert!(!facts.contains("no other process") && not_known.contains("the counters do not say"), "{what}");
        }
    }
}

#[test]
fn a_kill_is_told_with_what_was_counted_and_no_more() {
    let kill = died(Signo::KILL);
    let own = || with(python(), v2(events(41, 1, 1)));
    for several in [killed(own(), 1), with(python(), v2(events(9, 2, 2)))] {
        says_not(kill, &several, "one kill, one death");
    }
    for nothing in ["swap was full", "tmpfs", "the OOM killer ended"] {
        says_not(kill, &own(), nothing);
    }
    says(kill, &own(), "which process it was, the counters do not say");
    says_not(kill, &proven(), "which process it was");
    let failed = Outcome::Exited(1);
    says(failed, &own(), "which process it was, if its output does not say");
    says_not(failed, &killed(own(), 1), "which process it was");
    says_not(failed, &own(), "the OOM killer ended");
    says(Outcome::Exited(0), &killed(own(), 2), "perhaps of these: worker (pid 12) and 1 more");
    // What a signal ended, no OOM kill explains: there is nothing to rule out.
    says_not(died(Signo::SEGV), &with(python(), v2(events(0, 0, 0))), "an OOM kill (");
    let same = Memory { hierarchical_limit: Some(512 * MIB), ..v1(1, 400 * MIB) };
    says_not(kill, &with(python(), same), "above the container applies too");
}

#[test]
fn the_advice_is_for_the_limit_that_was_reached() {
    let own = || v2(events(41, 1, 1));
    let below = || Memory { local_oom: Some(0), ..own() };
    let above = || v2(events(0, 0, 1));
    for (outcome, whom) in [(died(Signo::KILL), "python3"), (Outcome::Exited(1), "that process")] {
        for (memory, advice) in [
            (own(), format!("raise the memory limit (limits.memory, docker run -m), or lower what {whom} uses")),
            (below(), format!("raise the memory limit of that cgroup, or lower what {whom} uses")),
            (above(), format!("lower what {whom} uses, or set the memory request")),
        ] {
            says(outcome, &with(python(), memory), &advice);
        }
    }
}

#[test]
fn little_memory_is_told_in_kib() {
    for (peak, words) in [
        (512 << 10, "peak 512 KiB of 512 MiB"),
        (10 * MIB - 1024, "peak 10239 KiB of 512 MiB"),
        (10 * MIB, "peak 10 of 512 MiB"),
    ] {
        says(Outcome::Exited(1), &with(python(), Memory { peak: Some(peak), ..v2(events(0, 0, 0)) }), words);
    }
}

/// Every sentence about a kill, and none without one.
pub(super) fn rows() -> Vec<Row> {
    use Outcome::Exited;
    let kill = died(Signo::KILL);
    let own = || v2(events(41, 1, 1));
    let above = || Memory { peak: Some(210 * MIB), ..v2(events(0, 0, 1)) };
    let none = || Memory { peak: Some(210 * MIB), ..v2(events(0, 0, 0)) };
    let unlimited = Limit { bytes: None, level: 0 };
    let pod = Limit { bytes: Some(64 * MIB), level: 1 };
    vec![
        (kill, proven(), "oom-container-limit", Certain, ": out of memory, the container reached its limit of 512 MiB"),
        (
            kill,
            proven(),
            "oom-container-limit",
            Certain,
            "(one kill, one death by SIGKILL: python3); peak 512 of 512 MiB",
        ),
        (kill, with(python(), own()), "oom-container-limit", Likely, "most likely by the OOM killer, the container"),
        (kill, with(not_init(python()), own()), "oom-container-limit", Likely, "the cgroup reached its limit"),
        (kill, killed(with(python(), own()), 1), "oom-container-limit", Possible, "as well: worker (pid 12)"),
        (kill, killed(with(python(), v2(events(9, 2, 2))), 1), "oom-container-limit", Likely, "rinit saw: 2)"),
        (
            kill,
            with(python(), Memory { local_oom: Some(0), ..own() }),
            "oom-container-limit",
            Likely,
            "a cgroup inside the container reached its memory limit",
        ),
        (
            kill,
            with(python(), Memory { shared: Some(300 * MIB), swap_refused: Some(1), ..own() }),
            "oom-container-limit",
            Likely,
            "300 MiB of the limit is tmpfs or shared memory (/dev/shm, an emptyDir with medium Memory), which no kill frees; swap was full",
        ),
        (kill, with(python(), v1(1, 512 * MIB)), "oom-container-limit", Likely, "memory.oom_control oom_kill 0 -> 1"),
        // Pages in use are counted in batches.
        (kill, with(python(), v1(1, 503 * MIB)), "oom-container-limit", Likely, "reached its limit of 512 MiB"),
        (kill, with(python(), v1(1, 501 * MIB)), "oom-outside-container", Likely, "peak 501 of 512 MiB"),
        (kill, with(python(), v1(1, 400 * MIB)), "oom-outside-container", Likely, "peak 400 of 512 MiB"),
        (
            kill,
            with(python(), Memory { limit: None, ..own() }),
            "oom-container-limit",
            Likely,
            "the OOM killer, the container reached its memory limit",
        ),
        (
            kill,
            with(python(), Memory { hierarchical_limit: Some(400 * MIB), ..v1(1, 400 * MIB) }),
            "oom-outside-container",
            Likely,
            "a limit of 400 MiB above the container applies too",
        ),
        (
            kill,
            with(python(), Memory { limit: Some(unlimited), ..v1(1, 400 * MIB) }),
            "oom-outside-container",
            Likely,
            "the container has no limit of its own",
        ),
        (kill, with(python(), Memory { limit: None, ..v1(1, MIB) }), "oom-container-limit", Possible, "at which limit"),
        (
            kill,
            with(python(), Memory { limit: Some(pod), ..v1(1, 64 * MIB) }),
            "oom-container-limit",
            Possible,
            "peak 64 of 64 MiB (a limit above the container)",
        ),
        (kill, with(python(), above()), "oom-outside-container", Likely, "below its own limit (peak 210 of 512 MiB)"),
        (kill, ranked(with(python(), above()), 1000, true), "oom-outside-container", Likely, "QoS BestEffort"),
        (kill, ranked(with(python(), above()), 1000, false), "oom-outside-container", Likely, "oom_score_adj 1000; no"),
        (kill, ranked(with(python(), above()), -997, true), "oom-outside-container", Likely, "QoS Guaranteed"),
        (kill, ranked(with(python(), above()), 968, true), "oom-outside-container", Likely, "QoS Burstable"),
        (kill, with(python(), none()), "killed-by-unknown", Unknown, "not by the OOM killer, and not by the kubelet"),
        (kill, with(python(), none()), "killed-by-unknown", Unknown, "OOM (oom_kill still 0, peak 210 of 512 MiB)"),
        (kill, with(not_init(python()), none()), "killed-by-unknown", Unknown, "not by the OOM killer, by whom"),
        (kill, ranked(with(python(), none()), 0, true), "killed-by-unknown", Unknown, "OOM (oom_kill still 0"),
        (
            kill,
            with(python(), Memory { survived: 1, ..own() }),
            "killed-by-unknown",
            Unknown,
            "OOM (oom_kill did not move any more",
        ),
        (kill, with(python(), Memory { survived: 1, ..v2(events(9, 2, 2)) }), "oom-container-limit", Likely, "0 -> 2"),
        (
            kill,
            Evidence { killer: Killer { on_machine: Some(0), ..Killer::default() }, ..python() },
            "killed-by-unknown",
            Unknown,
            "OOM (the kernel counts no OOM kill since the machine booted)",
        ),
        (
            kill,
            counted(python(), 3, 3),
            "killed-by-unknown",
            Unknown,
            "OOM (the kernel counted no OOM kill on the whole machine while it ran)",
        ),
        (
            kill,
            Evidence { duration: Duration::from_millis(999), ..counted(python(), 3, 3) },
            "killed-by-unknown",
            Unknown,
            "So soon after the start, a security agent on the host",
        ),
        (
            kill,
            Evidence { duration: Duration::from_millis(999), ..counted(python(), 3, 3) },
            "killed-by-unknown",
            Unknown,
            "the OOM killer is one possibility",
        ),
        (
            kill,
            counted(with(python(), none()), 3, 5),
            "killed-by-unknown",
            Unknown,
            "(/proc/vmstat oom_kill 3 -> 5), not in this container",
        ),
        (kill, counted(python(), 3, 5), "killed-by-unknown", Unknown, "oom_kill 3 -> 5), here, in another container"),
        (
            kill,
            with(python(), Memory { kernel: Some(400 * MIB), ..own() }),
            "oom-container-limit",
            Likely,
            "400 MiB of the limit is the kernel's own memory",
        ),
        // What cannot be read rules nothing out.
        (
            kill,
            with(python(), Memory { after: Events::default(), ..none() }),
            "killed-by-unknown",
            Unknown,
            "the OOM killer is one possibility",
        ),
        (
            kill,
            with(python(), Memory { before: Events::default(), ..own() }),
            "killed-by-unknown",
            Unknown,
            "the OOM killer is one possibility",
        ),
        (
            kill,
            with(python(), v2(Events { oom: None, ..events(0, 0, 1) })),
            "oom-container-limit",
            Possible,
            "at which",
        ),
        // What was asked for outranks it.
        (
            kill,
            with(got(python(), rewritten(Fate::Sent(Signo::KILL), event(Signo::TERM, 4))), own()),
            "stopped-without-handler",
            Likely,
            "the OOM killer ended 1 process of this container before the end",
        ),
        (Exited(137), with(python(), own()), "oom-of-other-process", Likely, "a command that it ran was OOM-killed"),
        (
            Exited(137),
            with(python(), v1(1, 512 * MIB)),
            "oom-of-other-process",
            Likely,
            ": most likely a command that it ran was OOM-killed, the container",
        ),
        (Exited(137), with(python(), above()), "oom-of-other-process", Likely, "below its own limit"),
        (Exited(1), with(python(), own()), "oom-of-other-process", Likely, "most likely because another process was"),
        (
            Exited(1),
            with(python(), v1(1, 512 * MIB)),
            "oom-of-other-process",
            Possible,
            "one possibility is that another",
        ),
        (Exited(1), killed(with(python(), own()), 1), "oom-of-other-process", Likely, "these orphans: worker (pid 12)"),
        (
            Exited(1),
            killed(with(python(), Memory { survived: 1, ..own() }), 1),
            "exit-error",
            Unknown,
            "(memory.events oom 0 -> 1, oom_kill 0 -> 1), most likely worker (pid 12)",
        ),
        (Exited(0), with(python(), own()), "completed", Certain, "the OOM killer ended 1 process of this container"),
        (died(Signo::SEGV), with(python(), own()), "segfault", Likely, "the OOM killer ended 1 process"),
        (
            Exited(1),
            with(python(), none()),
            "exit-error",
            Unknown,
            "an OOM kill (oom_kill still 0, peak 210 of 512 MiB)",
        ),
        (
            Exited(1),
            with(python(), Memory { peak: Some(487 * MIB), ..none() }),
            "exit-error",
            Unknown,
            "memory came close to its limit: peak 487 of 512 MiB",
        ),
        (
            Exited(1),
            Evidence {
                usage: Some(Usage { system: Duration::from_secs(40), ..Usage::default() }),
                ..with(python(), Memory { after: events(12_345, 0, 0), ..none() })
            },
            "exit-error",
            Unknown,
            "memory stood at its limit (12345 times",
        ),
        (
            Exited(1),
            strained(Strain { refused_forks: Some(7), process_limit: Some(10), ..Strain::default() }),
            "exit-error",
            Unknown,
            "refused forks or threads: 7 since the container began, pids.max is 10",
        ),
        (
            Exited(1),
            strained(Strain {
                periods: Some(100),
                throttled: Some(45),
                throttled_for: Some(Duration::from_secs(12)),
                ..Strain::default()
            }),
            "exit-error",
            Unknown,
            "held the container back in 45 of 100 periods, 12.0 s in all",
        ),
    ]
}

/// For the properties that hold for every end.
pub(super) fn every_memory() -> Vec<Evidence> {
    let mut all: Vec<Evidence> = rows().into_iter().map(|row| row.1).collect();
    all.push(with(python(), v2(events(u64::MAX, u64::MAX, u64::MAX))));
    let backwards = Memory { before: events(9, 9, 9), survived: 9, peak: Some(0), ..v2(events(0, 0, 0)) };
    all.push(with(python(), backwards));
    let nothing = Limit { bytes: Some(0), level: 7 };
    all.push(with(python(), Memory { limit: Some(nothing), peak: Some(u64::MAX), ..v1(u64::MAX, 0) }));
    all
}

#[test]
fn what_did_not_happen_is_not_told() {
    let quiet = with(python(), Memory { peak: Some(84 * MIB), ..v2(events(0, 0, 0)) });
    let strain = Strain { refused_forks: Some(0), periods: Some(1000), throttled: Some(9), ..Strain::default() };
    for outcome in [Outcome::Exited(0), Outcome::Exited(1), died(Signo::SEGV), died(Signo::KILL)] {
        let notes = diagnose(&outcome, &Evidence { strain, ..quiet.clone() }).notes;
        assert!(notes.is_empty(), "{outcome:?}: {notes:?}");
    }
    // A success is not the place for remarks on limits.
    let near = with(python(), Memory { peak: Some(512 * MIB), ..v2(events(5000, 0, 0)) });
    assert!(diagnose(&Outcome::Exited(0), &near).brief);
}

#[test]
fn what_did_not_move_explains_nothing() {
    let failed = Outcome::Exited(1);
    for memory in [v1(0, 512 * MIB), v2(events(0, 0, 0))] {
        let diagnosis = diagnose(&failed, &with(python(), memory));
        assert_eq!(diagnosis.cause.id, "exit-error", "{diagnosis:#?}");
    }
    let elsewhere = |before, now| {
        let diagnosis = diagnose(&died(Signo::KILL), &counted(python(), before, now));
        diagnosis.evidence.iter().any(|fact| fact.contains("struck on this machine"))
    };
    assert_eq!([elsewhere(3, 4), elsewhere(3, 3), elsewhere(4, 3)], [true, false, false]);
    let thrashing = |system_ms, user_ms, reclaims| {
        let mut evidence = with(python(), v2(events(reclaims, 0, 0)));
        let (user, system) = (Duration::from_millis(user_ms), Duration::from_millis(system_ms));
        evidence.usage = Some(Usage { user, system, max_rss_kib: 1024 });
        diagnose(&failed, &evidence).notes.iter().any(|note| note.id == "memory-thrashing")
    };
    assert!(thrashing(1000, 499, 1000));
    assert!(!thrashing(999, 0, 1000) && !thrashing(1000, 500, 1000) && !thrashing(1000, 0, 999));
}
