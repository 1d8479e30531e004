//! What rinit ended itself.

use super::*;
use crate::evidence::drained::{Drained, Rest, RestFate};
use crate::evidence::snapshot::{Threads, Waiting};
use crate::evidence::sockets::Backlog;
use crate::evidence::stuck::{Look, Stuck};

const TERM: SignalSet = SignalSet(1 << 14);
const NONE: SignalSet = SignalSet(0);

fn status(state: u8, pending: SignalSet, blocked: SignalSet, ignored: SignalSet, caught: SignalSet) -> Status {
    let [pending, blocked, ignored, caught] = [pending, blocked, ignored, caught].map(Some);
    Status { state: Some(state), pending, blocked, ignored, caught, ..Status::default() }
}

fn process(pid: i32, name: &[u8], state: u8) -> Process {
    Process { pid, name: name.to_vec(), parent: 7, state }
}

/// rinit killed python3 25 s after `request`, and it was gone 2 ms later. `status` is that of the end.
fn stuck(request: SignalEvent, status: Status) -> Evidence {
    let at = LIFETIME - Duration::from_millis(2);
    let threads = Some(Threads { count: 1, ..Threads::default() });
    let snapshot = Snapshot { status, threads, ..Snapshot::default() };
    let look = Look { snapshot, wchan: None, cpu: Some(Duration::ZERO), doomed: Some(false) };
    let timeout = Duration::from_secs(25);
    // It was noted before PROGRAM was looked at.
    let noted = SignalEvent { snapshot: None, ..request.clone() };
    let stuck = Stuck { request: noted, timeout, at, look: Some(look), kill: Ok(()), abandoned: false };
    Evidence { stuck: Some(Box::new(stuck)), ..got(python(), request) }
}

fn change(mut evidence: Evidence, change: impl FnOnce(&mut Stuck)) -> Evidence {
    change(evidence.stuck.as_mut().unwrap());
    evidence
}

fn looking(evidence: Evidence, to: impl FnOnce(&mut Look)) -> Evidence {
    change(evidence, |stuck| to(stuck.look.as_mut().unwrap()))
}

fn asked() -> SignalEvent {
    event(Signo::TERM, 25_002)
}

fn shell() -> Evidence {
    let mut request = handled(asked());
    request.snapshot.as_mut().unwrap().children = Some(vec![process(8, b"sleep", b'S')]);
    let mut status = status(b'S', NONE, NONE, NONE, TERM);
    status.name = Some(b"sh".to_vec());
    looking(stuck(request, status), |look| look.snapshot.children = Some(vec![process(8, b"sleep", b'S')]))
}

fn deaf() -> Evidence {
    stuck(not_heeded(asked()), status(b'S', NONE, NONE, TERM, NONE))
}

fn blocking() -> Evidence {
    stuck(unhandled(asked()), status(b'S', TERM, TERM, NONE, NONE))
}

fn slow() -> Evidence {
    stuck(handled(asked()), status(b'S', NONE, NONE, NONE, TERM))
}

pub(super) fn rows() -> Vec<Row> {
    let id = registry::KILLED_AFTER_STOP_TIMEOUT.id;
    let row = |evidence, confidence, fact| (died(Signo::KILL), evidence, id, confidence, fact);
    let second = |before: SignalSet| {
        let mut again = event(Signo::TERM, 10_000);
        again.snapshot = seen(status(b'S', before, TERM, NONE, NONE));
        again
    };
    let at_work = |evidence, cpu| looking(evidence, |look| look.cpu = Some(Duration::from_secs(cpu)));
    let mut with_queue = slow();
    with_queue = looking(with_queue, |look| {
        let backlog = Backlog { port: 8080, waiting: 7, inode: 1 };
        look.snapshot.backlogs = vec![Waiting { backlog, held: Some(true) }];
    });
    let failed = rewritten(Fate::Failed(libc::EPERM), unhandled(asked()));
    let refused = change(stuck(failed, status(b'S', NONE, NONE, NONE, NONE)), |stuck| {
        (stuck.kill, stuck.abandoned) = (Err(libc::EPERM), true);
    });
    let frozen = looking(stuck(handled(asked()), status(b'T', TERM, NONE, NONE, TERM)), |look| {
        look.snapshot.threads = Some(Threads { count: 2, stopped: 2, uninterruptible: 0 });
    });
    let half_frozen = looking(frozen.clone(), |look| look.snapshot.threads.as_mut().unwrap().stopped = 1);
    let children = |evidence, change: fn(&mut Process)| {
        looking(evidence, |look| change(&mut look.snapshot.children.as_mut().unwrap()[0]))
    };
    // A key at the terminal starts no time, the same signal from outside does.
    let mut after_a_key = stuck(event(Signo::INT, 25_002), status(b'S', NONE, NONE, NONE, NONE));
    after_a_key.signals.insert(0, rewritten(Fate::Direct, by(Origin::Terminal, event(Signo::INT, 60_000))));
    let uninterruptible = stuck(handled(asked()), status(b'D', TERM, NONE, NONE, TERM));
    let deep = change(uninterruptible.clone(), |stuck| stuck.abandoned = true);
    vec![
        row(
            deaf(),
            Certain,
            "python3 was killed by rinit (exit status 137) 25.0 s after SIGTERM from outside at 14:02:58Z: it ignores SIGTERM",
        ),
        row(deaf(), Certain, "--stop-timeout 25.0 s was over, SIGKILL from rinit: it ended 2 ms later"),
        row(Evidence { group: true, ..deaf() }, Certain, "SIGKILL from rinit to its group: it ended"),
        row(blocking(), Certain, "it blocks SIGTERM"),
        // The second one is what is pending now; the first was taken, or was not.
        row(got(blocking(), second(NONE)), Certain, "it had not taken SIGTERM, but had not ended"),
        row(got(blocking(), second(TERM)), Certain, "it blocks SIGTERM"),
        row(omitted(blocking()), Certain, "it had not taken SIGTERM"),
        row(frozen, Certain, "it was stopped"),
        row(half_frozen, Certain, "it has a handler for SIGTERM, but had not ended"),
        row(uninterruptible, Certain, "it was in uninterruptible sleep in the kernel"),
        row(
            deep.clone(),
            Certain,
            "still ran 25.0 s after SIGTERM from outside at 14:02:58Z, even SIGKILL did not end it",
        ),
        row(not_init(deep.clone()), Certain, "it was still there 2 ms later, and ends when the kernel lets it"),
        row(deep, Certain, "it was still there 2 ms later, it ends with the container"),
        row(after_a_key, Certain, "killed by rinit (exit status 137) 25.0 s after SIGINT from outside"),
        row(
            shell(),
            Certain,
            "a shell runs its trap only after the command in front, and its child sleep (pid 8) still ran",
        ),
        row(children(shell(), |child| child.pid = 9), Certain, "its children were sleep (pid 9)"),
        // No child that it waited for when the signal came, or none that still runs.
        row(children(shell(), |child| child.pid = 9), Certain, "it has a handler for SIGTERM, but had not ended"),
        row(children(shell(), |child| child.state = b'Z'), Certain, "it has a handler for SIGTERM, but had not ended"),
        row(slow(), Certain, "it has a handler for SIGTERM, but had not ended"),
        row(looking(slow(), |look| look.snapshot.threads = None), Certain, "it has a handler for SIGTERM, but had not"),
        // Not looked at when the signal came: then what it ignores at the end is what is known.
        row(stuck(asked(), status(b'S', NONE, NONE, TERM, NONE)), Certain, "it ignores SIGTERM"),
        row(stuck(asked(), status(b'S', NONE, NONE, NONE, NONE)), Certain, "it took SIGTERM, but had not ended"),
        row(
            stuck(handled(asked()), status(b'S', NONE, NONE, TERM, NONE)),
            Certain,
            "it has a handler for SIGTERM, but had not ended",
        ),
        row(with_queue, Certain, "at the end 7 connections to port 8080 waited to be accepted"),
        row(at_work(slow(), 21), Certain, "it has a handler for SIGTERM, but was busy"),
        row(at_work(slow(), 3), Certain, "but had not ended"),
        row(looking(at_work(slow(), 3), |look| look.snapshot.status.state = Some(b'R')), Certain, "but was busy"),
        row(
            looking(at_work(slow(), 3), |look| look.snapshot.status.state = Some(b'R')),
            Certain,
            "it was running, or ready to run",
        ),
        row(
            looking(slow(), |look| look.wchan = Some(b"do_wait".to_vec())),
            Certain,
            "its main thread slept in do_wait",
        ),
        // A sigwait in another thread: neither handler nor block, and not pending.
        row(
            stuck(unhandled(asked()), status(b'S', NONE, NONE, NONE, NONE)),
            Certain,
            "it took SIGTERM, but had not ended",
        ),
        row(refused.clone(), Certain, "SIGTERM could not be passed on"),
        row(refused.clone(), Certain, "rinit may not kill it"),
        row(refused, Certain, "kill gave EPERM (Operation not permitted), and rinit ends, which ends the container"),
        row(change(deaf(), |stuck| stuck.look = None), Likely, "most likely killed by rinit"),
        row(looking(deaf(), |look| look.doomed = None), Likely, "it ignores SIGTERM"),
        // Somebody else's SIGKILL was first, or rinit's was not the end.
        (
            died(Signo::KILL),
            looking(deaf(), |look| look.doomed = Some(true)),
            "killed-by-unknown",
            Unknown,
            "rinit sent SIGKILL as it was ending",
        ),
        (Outcome::Exited(0), slow(), "stopped-cleanly", Likely, "rinit sent SIGKILL as it was ending"),
        (
            died(Signo::KILL),
            change(deaf(), |stuck| stuck.kill = Err(libc::EPERM)),
            "killed-by-unknown",
            Unknown,
            "rinit may not kill it: EPERM",
        ),
    ]
}

#[test]
fn the_note_bears_the_id_of_the_reason() {
    let noted = |evidence: Evidence| diagnose(&died(Signo::KILL), &evidence).notes[0].id;
    assert_eq!(
        [deaf(), blocking(), shell(), slow()].map(noted),
        ["signal-ignored", "signal-blocked", "shell-kept-signal", "stop-too-slow"]
    );
}

#[test]
fn what_was_left_is_told_with_what_it_did() {
    let ms = Duration::from_millis;
    let fates = [
        RestFate::Signaled(Signo::TERM, ms(0)),
        RestFate::Signaled(Signo::TERM, ms(12)),
        RestFate::Exited(3, ms(400)),
        RestFate::Signaled(Signo::SEGV, ms(5)),
        RestFate::Gone,
        RestFate::Signaled(Signo::KILL, ms(2001)),
        RestFate::There,
    ];
    let rest = |(pid, fate)| Rest { process: process(pid, b"worker", b'S'), fate };
    let note = |processes: Vec<Rest>, killed_after| {
        let evidence = Evidence { drained: Some(Drained { processes, killed_after }), ..python() };
        let diagnosis = diagnose(&Outcome::Exited(0), &evidence);
        assert!(!diagnosis.verdict.contains("drain") && !diagnosis.brief);
        diagnosis.notes[0].summary.clone()
    };
    assert_eq!(
        note((20..).zip(fates).map(rest).collect(), Some(ms(2000))),
        "7 processes were still there at the end for --drain: 2 ended by SIGTERM within 12 ms (worker (pid 20), worker (pid 21)), \
         1 exited within 0.4 s (worker (pid 22)), 1 ended by another signal within 5 ms (worker (pid 23)), \
         1 collected by their own parent (worker (pid 24)), 1 killed after 2.0 s (worker (pid 25)), 1 still there (worker (pid 26))"
    );
    // Somebody else's SIGKILL, before rinit's time was over.
    assert_eq!(
        note(vec![rest((20, fates[5]))], None),
        "1 process was still there at the end for --drain: 1 ended by another signal within 2.0 s (worker (pid 20))"
    );
    assert!(note(Vec::new(), None).ends_with("which ones is not known"));
}
