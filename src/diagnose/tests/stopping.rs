//! Ends that need a snapshot, the zombie's limits or what is on disk.

use super::edges::{says, says_not};
use super::*;
use crate::evidence::cgroup::Memory;
use crate::evidence::death::{Death, Executed, Full};
use crate::evidence::elf::{EM_X86_64, ET_DYN, Elf, Executable, Header};
use crate::evidence::limits::{Limit, Limits};
use crate::evidence::snapshot::{Later, Snapshot, Threads, Waiting};
use crate::evidence::sockets::Backlog;

fn process(pid: i32, name: &[u8], parent: i32, state: u8) -> Process {
    Process { pid, name: name.to_vec(), parent, state }
}

/// `comm` runs sleep (pid 8), which outlives it.
fn shell(comm: &[u8], mut event: SignalEvent) -> Evidence {
    let snapshot = event.snapshot.as_mut().unwrap();
    snapshot.status.name = Some(comm.to_vec());
    snapshot.children = Some(vec![process(8, b"sleep", 7, b'S')]);
    let mut evidence = got(ran(b"/bin/sh"), event);
    evidence.left = Some(vec![process(8, b"sleep", 1, b'S')]);
    evidence
}

fn with_exe(exe: &[u8], mut evidence: Evidence) -> Evidence {
    evidence.executed = Some(Executed { exe: Some(exe.to_vec()) });
    evidence
}

fn in_group(mut evidence: Evidence) -> Evidence {
    evidence.group = true;
    evidence
}

fn gone(mut evidence: Evidence) -> Evidence {
    evidence.left = Some(Vec::new());
    evidence
}

/// What is left was no child of the program when the signal came.
fn left_by_another(mut evidence: Evidence) -> Evidence {
    evidence.left = Some(vec![process(9, b"sleep", 1, b'S')]);
    evidence
}

fn death(limits: Limits, cpu: u64) -> Evidence {
    let mut evidence = python();
    evidence.death = Some(Death { limits, cpu: Some(Duration::from_millis(cpu)), ..Death::default() });
    evidence
}

#[test]
fn what_a_limit_can_have_done() {
    let at_once = |mut evidence: Evidence| {
        evidence.duration = Duration::from_millis(5);
        evidence.usage = None;
        evidence
    };
    let limited = |soft: Option<u64>| death(Limits { stack: Some(Limit { soft, hard: None }), ..Limits::default() }, 0);
    for (evidence, says) in [
        (at_once(limited(Some(4096))), "its limit on stack (ulimit -s), 4096 bytes, leaves no room to start"),
        (limited(Some(4096)), "it accessed memory"),
        (at_once(limited(Some(8 << 20))), "it accessed memory"),
        (at_once(limited(None)), "it accessed memory"),
    ] {
        let diagnosis = diagnose(&died(Signo::SEGV), &evidence);
        assert_eq!((diagnosis.cause.id, diagnosis.confidence), ("segfault", Likely));
        assert!(diagnosis.verdict.contains(says), "{}", diagnosis.verdict);
        assert_eq!(diagnosis.next.starts_with("raise that limit"), says.starts_with("its"), "{}", diagnosis.next);
    }
    // Without a limit on CPU time, it cannot have been that.
    for (evidence, told) in [(cpu(None, None, 10, None), false), (python(), true)] {
        let diagnosis = diagnose(&died(Signo::KILL), &evidence);
        assert_eq!(diagnosis.not_known.join("").contains("hard limit on CPU time"), told, "{diagnosis:#?}");
    }
}

/// Soft and hard limit on CPU time, what was used in ms, what was inherited.
fn cpu(soft: Option<u64>, hard: Option<u64>, used: u64, inherited: Option<u64>) -> Evidence {
    let mut evidence = death(Limits { cpu: Some(Limit { soft, hard }), ..Limits::default() }, used);
    evidence.death.as_mut().unwrap().inherited_cpu_limit = inherited;
    evidence
}

fn file_size(soft: Option<u64>) -> Evidence {
    death(Limits { file_size: Some(Limit { soft, hard: None }), ..Limits::default() }, 10)
}

fn full(path: &[u8], tmpfs: bool) -> Evidence {
    let mut evidence = death(Limits::default(), 10);
    evidence.death.as_mut().unwrap().full = vec![Full { path: path.to_vec(), tmpfs, size: 64 << 20 }];
    evidence
}

#[test]
fn what_shows_nothing_is_not_told() {
    // By the kernel, and by somebody's kill: the zombie looks alike after a signal that can dump core.
    let unlimited = pending(file_size(None), Signo::XFSZ);
    says_not(died(Signo::XFSZ), &unlimited, "still pending at its death");
    let by_kill = "whether a process sent SIGXCPU with kill";
    says(died(Signo::XCPU), &cpu(Some(2), None, 300, Some(1)), by_kill);
    says_not(died(Signo::XCPU), &cpu(Some(2), Some(9), 990, Some(1)), by_kill);
    // Stacks of musl, where they are musl's, are small, and the fault may be one of a stack.
    let mut glibc = elf(4000, 4000, 0);
    glibc.elf.as_mut().unwrap().elf.loader = Some(b"/lib64/ld-linux-x86-64.so.2".to_vec());
    says_not(died(Signo::SEGV), &glibc, "built for musl");
    says_not(died(Signo::BUS), &elf(4000, 4000, 0), "built for musl");
    says(died(Signo::SEGV), &elf(4000, 4000, 131_072), "asks for no larger stacks");
    says_not(died(Signo::SEGV), &elf(4000, 4000, 131_073), "asks for no larger stacks");
}

#[test]
fn who_asked_and_what_to_do_depend_on_the_signal() {
    let (term, int, kill) = (Signo::TERM, Signo::INT, Signo::KILL);
    let asked = |event| got(python(), event);
    says(Outcome::Exited(0), &asked(event(term, 500)), "who asked: a rollout");
    says(Outcome::Exited(0), &asked(event(int, 500)), "who sent SIGINT");
    says_not(Outcome::Exited(0), &asked(by(bash(), event(int, 500))), "who sent");
    let of_bash = asked(by(bash(), event(term, 4)));
    says(died(term), &of_bash, "after a process of this container asked: bash (pid 12)");
    says(died(term), &of_bash, "find out why it sent SIGTERM: bash (pid 12)");
    let advice = "pass a signal on that the program can handle";
    says(died(kill), &asked(rewritten(Fate::Sent(kill), event(term, 4))), advice);
    says_not(died(term), &asked(event(term, 4)), advice);
    says(died(int), &python(), "Ctrl-C at the terminal, if it had one");
    says(died(Signo::QUIT), &python(), "Ctrl-\\ at the terminal, if it had one");
    // What a kubelet or Docker sends goes to PID 1, and rinit is told of it.
    let theirs = "the kubelet's own signal and docker stop";
    says(died(term), &python(), theirs);
    says_not(died(term), &not_init(python()), theirs);
    says_not(died(term), &omitted(python()), theirs);
    let nearly = asked(event(term, 9200));
    says_not(Outcome::Exited(0), &not_init(nearly), "near-grace-period");
    says_not(Outcome::Exited(0), &asked(by(bash(), event(term, 9200))), "near-grace-period");
}

fn core(pattern: &[u8], limit: u64) -> Evidence {
    let core = Some(Limit { soft: Some(limit), hard: None });
    let mut evidence = death(Limits { core, ..Limits::default() }, 10);
    evidence.death.as_mut().unwrap().core_pattern = Some(pattern.to_vec());
    evidence
}

fn elf(size: u64, end: u64, stack: u64) -> Evidence {
    let mut evidence = python();
    let loader = Some(b"/lib/ld-musl-x86_64.so.1".to_vec());
    let header = Header { wide: true, big_endian: false, kind: ET_DYN, machine: EM_X86_64, table: 64, entries: 9 };
    let elf = Elf { header, loader, end: Some(end), stack };
    evidence.elf = Some(Executable { path: b"/usr/bin/python3".to_vec(), size, elf });
    evidence
}

fn quick(mut evidence: Evidence) -> Evidence {
    evidence.duration = Duration::from_millis(3);
    evidence.usage = Some(Usage::default());
    evidence
}

fn nginx(name: &[u8], lifetime: Duration) -> Evidence {
    let mut evidence = ran(b"nginx");
    evidence.duration = lifetime;
    evidence.left = Some(vec![process(9, name, 1, b'S'), process(10, name, 9, b'S')]);
    evidence
}

fn seen_as(change: impl FnOnce(&mut Snapshot), mut event: SignalEvent) -> SignalEvent {
    change(event.snapshot.as_mut().unwrap());
    event
}

fn childless(event: SignalEvent) -> SignalEvent {
    seen_as(|snapshot| snapshot.children = Some(Vec::new()), event)
}

/// With the state of the main thread at a second look.
fn threads(count: usize, stopped: usize, uninterruptible: usize, state: u8) -> Evidence {
    let threads = Some(Threads { count, stopped, uninterruptible });
    let later = Some(Later { after: Duration::from_secs(5), pending: SignalSet(0), state });
    let look = |snapshot: &mut Snapshot| (snapshot.threads, snapshot.later) = (threads, later);
    got(python(), seen_as(look, unhandled(event(Signo::TERM, 25_000))))
}

fn queue(held: Option<bool>) -> Evidence {
    let waiting = Waiting { backlog: Backlog { port: 8080, waiting: 126, inode: 1 }, held };
    got(python(), seen_as(|snapshot| snapshot.backlogs = vec![waiting], handled(event(Signo::TERM, 500))))
}

fn still_pending_later() -> Evidence {
    let pending = SignalSet(0).with(Signo::TERM);
    let later = Some(Later { after: Duration::from_secs(5), pending, state: b'S' });
    got(python(), seen_as(|snapshot| snapshot.later = later, unhandled(event(Signo::TERM, 25_000))))
}

pub(super) fn rows() -> Vec<Row> {
    use Outcome::Exited;
    let (term, quit) = (Signo::TERM, Signo::QUIT);
    let ms = Duration::from_millis;
    let core_dump = |signal| Outcome::Signaled { signal, core_dumped: true };
    let default = || pending(shell(b"dash", unhandled(event(term, 4))), term);
    vec![
        (
            died(term),
            default(),
            "shell-kept-signal",
            Certain,
            "the signal reached sh alone, its child sleep (pid 8) got none",
        ),
        (
            died(term),
            pending(shell(b"npm run x", unhandled(event(term, 4))), term),
            "shell-kept-signal",
            Certain,
            "start sleep itself instead of sh",
        ),
        (died(term), default(), "shell-kept-signal", Certain, "let sh become sleep instead of waiting for it"),
        // A script that has become another program.
        (
            died(term),
            pending(with_exe(b"/bin/dash", shell(b"worker", unhandled(event(term, 4)))), term),
            "stopped-without-handler",
            Likely,
            "sleep (pid 8)",
        ),
        (died(term), shell(b"dash", unhandled(event(term, 4))), "shell-kept-signal", Likely, "most likely the signal"),
        (died(term), opaque(default()), "shell-kept-signal", Likely, "sleep"),
        (died(term), omitted(default()), "shell-kept-signal", Likely, "other signals"),
        (died(term), got(default(), unhandled(event(term, 1))), "stopped-without-handler", Likely, "SIGTERM"),
        (died(quit), shell(b"dash", unhandled(event(quit, 4))), "shell-kept-signal", Likely, "most likely"),
        (
            died(term),
            pending(with_exe(b"/bin/dash", shell(b"sh", unhandled(event(term, 4)))), term),
            "shell-kept-signal",
            Certain,
            "rinit -g",
        ),
        (died(term), in_group(default()), "stopped-without-handler", Likely, "sleep (pid 8)"),
        (died(term), gone(default()), "stopped-without-handler", Likely, "no handler"),
        (died(term), left_by_another(default()), "stopped-without-handler", Likely, "no handler"),
        (
            died(term),
            pending(shell(b"python3", unhandled(event(term, 4))), term),
            "stopped-without-handler",
            Likely,
            "sleep",
        ),
        (died(term), pending(shell(b"dash", handled(event(term, 4))), term), "stopped-by-own-handler", Likely, "sleep"),
        (
            Exited(0),
            shell(b"bash", handled(event(term, 5000))),
            "stopped-cleanly",
            Likely,
            "a shell runs its trap for SIGTERM only",
        ),
        // Only a hangup says that the terminal went away, and only one of the terminal's.
        (
            died(Signo::HUP),
            pending(got(python(), unhandled(event(Signo::HUP, 4))), Signo::HUP),
            "stopped-without-handler",
            Likely,
            "SIGHUP from outside",
        ),
        (
            died(term),
            pending(got(python(), by(Origin::Terminal, rewritten(Fate::Sent(term), event(Signo::INT, 4)))), term),
            "stopped-without-handler",
            Likely,
            "passed on as SIGTERM",
        ),
        (
            died(term),
            pending(got(python(), unhandled(event(term, 2000))), term),
            "stopped-without-handler",
            Likely,
            "2.0 s after",
        ),
        // What is pending after a signal that can dump core says nothing.
        (
            died(quit),
            pending(got(python(), event(quit, 4)), quit),
            "stopped-without-handler",
            Possible,
            "one possibility is that it has no handler",
        ),
        // After a key the end comes soon, and after a signal that is a request to some programs only within a minute.
        (
            Exited(130),
            got(python(), by(Origin::Terminal, event(Signo::INT, 11_000))),
            "stopped-by-own-handler",
            Possible,
            "11.0 s after SIGINT from the terminal",
        ),
        (Exited(130), got(python(), event(Signo::INT, 11_000)), "stopped-by-own-handler", Likely, "128+2"),
        (Exited(0), got(python(), event(quit, 60_000)), "stopped-cleanly", Likely, "1m00s later"),
        (Exited(0), got(python(), event(quit, 61_000)), "completed", Likely, "SIGQUIT from outside"),
        // Limits.
        (
            died(Signo::XCPU),
            cpu(Some(2), Some(9), 990, Some(1)),
            "cpu-time-limit",
            Certain,
            "limit of 1 second on CPU time",
        ),
        (
            died(Signo::XCPU),
            cpu(Some(2), Some(9), 990, None),
            "cpu-time-limit",
            Likely,
            "most likely it used up its limit of 1 second",
        ),
        (died(Signo::XCPU), cpu(Some(2), None, 300, Some(1)), "cpu-time-limit", Likely, "limit of 1 second"),
        // Raised by the program itself, long before.
        (died(Signo::XCPU), cpu(Some(60), None, 30_000, Some(1)), "unhandled-signal", Likely, "SIGXCPU"),
        (died(Signo::XCPU), cpu(Some(31), None, 30_000, Some(1)), "cpu-time-limit", Likely, "30 seconds"),
        (died(Signo::XCPU), cpu(Some(0), None, 0, Some(0)), "cpu-time-limit", Likely, "CPU time"),
        (died(Signo::XCPU), omitted(cpu(Some(2), None, 990, Some(1))), "cpu-time-limit", Possible, "possibility"),
        (died(Signo::XCPU), cpu(Some(3), Some(9), 100, Some(3)), "unhandled-signal", Likely, "SIGXCPU"),
        (died(Signo::XCPU), cpu(None, None, 990, None), "unhandled-signal", Likely, "SIGXCPU"),
        (died(Signo::KILL), cpu(Some(1), Some(1), 1000, None), "cpu-time-limit", Likely, "hard limit of 1 second"),
        (died(Signo::KILL), cpu(Some(1), Some(1), 880, None), "cpu-time-limit", Likely, "kill"),
        (died(Signo::KILL), cpu(Some(1), Some(1), 700, None), "killed-by-unknown", Unknown, "sender"),
        (died(Signo::KILL), cpu(None, None, 8000, None), "killed-by-unknown", Unknown, "sender"),
        // The soft limit is no reason for SIGKILL.
        (died(Signo::KILL), cpu(Some(2), None, 3000, None), "killed-by-unknown", Unknown, "sender"),
        (died(Signo::XFSZ), file_size(Some(4096)), "file-size-limit", Likely, "its limit of 4096 bytes"),
        (died(Signo::XFSZ), file_size(None), "unhandled-signal", Likely, "SIGXFSZ"),
        // Places.
        (died(Signo::BUS), full(b"/dev/shm", true), "shm-full", Likely, "most likely /dev/shm was full (64 MiB)"),
        (died(Signo::BUS), full(b"/data", false), "bus-error", Likely, "right after its death /data had no free block"),
        (
            died(Signo::SEGV),
            quick(elf(2000, 4000, 0)),
            "truncated-binary",
            Likely,
            "has 2000 bytes, its program headers need 4000",
        ),
        (died(Signo::BUS), quick(elf(2000, 4000, 0)), "truncated-binary", Likely, "cut off"),
        (died(Signo::SEGV), elf(2000, 4000, 0), "segfault", Likely, "128 KiB"),
        (died(Signo::SEGV), elf(4000, 4000, 0), "segfault", Likely, "asks for no larger stacks"),
        (
            died(Signo::SEGV),
            elf(4000, 4000, 1 << 20),
            "segfault",
            Likely,
            "is built for musl (/lib/ld-musl-x86_64.so.1)",
        ),
        (died(Signo::SEGV), quick(elf(4000, 4000, 0)), "segfault", Likely, "Debian base"),
        // Core dumps.
        (
            core_dump(Signo::SEGV),
            core(b"|/usr/lib/systemd/systemd-coredump %P", 0),
            "segfault",
            Likely,
            "given to /usr/lib/systemd/systemd-coredump on the host",
        ),
        (core_dump(Signo::SEGV), core(b"core.%p", 1), "segfault", Likely, "as core.%p in its working directory"),
        (core_dump(Signo::SEGV), core(b"/cores/%e", 1), "segfault", Likely, "as /cores/%e (core_pattern)"),
        (core_dump(Signo::SEGV), core(b"@/run/x", 1), "segfault", Likely, "sent to the socket /run/x"),
        (died(Signo::SEGV), core(b"core", 0), "segfault", Likely, "no core dump, its limit was 0 (ulimit -c)"),
        // What the program was like.
        (died(Signo::KILL), threads(3, 3, 0, b'T'), "killed-by-unknown", Unknown, "it was stopped then"),
        (
            died(Signo::KILL),
            threads(3, 1, 1, b'D'),
            "killed-by-unknown",
            Unknown,
            "1 of 3 threads looked at were in uninterruptible",
        ),
        (
            died(Signo::KILL),
            threads(1, 0, 1, b'D'),
            "killed-by-unknown",
            Unknown,
            "it was in uninterruptible sleep then",
        ),
        (
            died(Signo::KILL),
            pending(threads(1, 0, 0, b'S'), term),
            "killed-by-unknown",
            Unknown,
            "it had not taken it when it ended",
        ),
        (died(Signo::KILL), still_pending_later(), "killed-by-unknown", Unknown, "it had not taken it 5.0 s later"),
        (Exited(0), pending(got(python(), unhandled(event(term, 500))), term), "completed", Likely, "had not taken it"),
        (
            Exited(3),
            pending(got(python(), unhandled(event(term, 500))), term),
            "exit-error",
            Unknown,
            "had not taken it",
        ),
        (
            Exited(143),
            pending(got(python(), handled(event(term, 500))), term),
            "descendant-killed",
            Possible,
            "had not taken it",
        ),
        (
            Exited(0),
            queue(Some(true)),
            "stopped-cleanly",
            Likely,
            "126 connections to port 8080 waited to be accepted when SIGTERM came",
        ),
        (Exited(0), queue(None), "stopped-cleanly", Likely, "(whose port it is was not seen)"),
        (Exited(0), got(python(), event(term, 9200)), "stopped-cleanly", Likely, "docker stop kills after 10 s"),
        (
            Exited(0),
            got(python(), event(term, 29_000)),
            "stopped-cleanly",
            Likely,
            "the stop took 29.0 s, Kubernetes kills after 30 s",
        ),
        // Daemons.
        (Exited(0), nginx(b"nginx", ms(100)), "daemonised", Likely, "run it in the foreground: nginx -g 'daemon off;'"),
        (Exited(0), nginx(b"redis-server", ms(100)), "daemonised", Likely, "redis-server --daemonize no"),
        (Exited(0), nginx(b"nginx", ms(60_000)), "completed", Certain, "left 2 processes running"),
        (Exited(0), nginx(b"worker", ms(100)), "completed", Certain, "left 2 processes running"),
        (Exited(0), got(nginx(b"nginx", ms(100)), event(term, 192_000)), "stopped-cleanly", Likely, "SIGTERM"),
        // A JVM.
        (
            Exited(143),
            with_exe(b"/opt/jre/bin/java", got(ran(b"java"), childless(handled(event(term, 3200))))),
            "stopped-by-own-handler",
            Certain,
            "3.2 s later it ended with exit status 143",
        ),
        (
            Exited(143),
            with_exe(b"/opt/jre/bin/java", got(ran(b"java"), handled(event(term, 3200)))),
            "stopped-by-own-handler",
            Likely,
            "128+15",
        ),
        (
            Exited(143),
            with_exe(b"/usr/bin/python3", got(python(), childless(handled(event(term, 3200))))),
            "stopped-by-own-handler",
            Likely,
            "128+15",
        ),
    ]
}

/// The proof of each cause that can be certain after a start.
pub(super) fn proves(id: &str, outcome: &Outcome, evidence: &Evidence) -> bool {
    let case = Case { outcome, evidence, signature: None, is_inner: false };
    let death = evidence.death.as_ref();
    match id {
        "seccomp-killed" => case.seccomp() == Some(3),
        "killed-after-stop-timeout" => {
            let stuck = evidence.stuck.as_ref().unwrap();
            case.signal() == Some(Signo::KILL)
                && (stuck.kill.is_ok() || stuck.abandoned)
                && stuck.look.as_ref().unwrap().doomed == Some(false)
        }
        "completed" => evidence.signals.is_empty() && evidence.signals_omitted == 0,
        "shell-kept-signal" => {
            let signal = case.signal().unwrap();
            let event = case.delivered(signal).unwrap();
            case.pending(signal) == Some(true) && !case.orphaned(event).is_empty() && !evidence.group
        }
        "cpu-time-limit" => death.is_some_and(|death| death.cpu.is_some() && death.limits.cpu.is_some()),
        "stopped-by-own-handler" => case.code().is_some() && evidence.executed.is_some(),
        "oom-container-limit" => {
            let moved = |memory: &Memory| {
                let before = memory.before.oom_kill.unwrap();
                memory.after.oom_kill == Some(before + 1) && memory.local_oom > Some(0)
            };
            evidence.is_init && evidence.killed.count == 0 && evidence.memory.as_deref().is_some_and(moved)
        }
        _ => false,
    }
}

#[test]
fn a_sleep_that_did_not_last_is_not_worth_a_word() {
    let diagnosis = diagnose(&died(Signo::KILL), &threads(1, 0, 1, b'S'));
    assert!(!diagnosis.evidence.iter().any(|item| item.contains("uninterruptible")), "{:?}", diagnosis.evidence);
}

#[test]
fn zombies_are_named_with_whoever_does_not_wait_for_them() {
    let note = |left: &[Process], group: bool| {
        let mut evidence = python();
        (evidence.left, evidence.group) = (Some(left.to_vec()), group);
        let notes = diagnose(&Outcome::Exited(0), &evidence).notes;
        notes.into_iter().find(|note| note.id == "zombies-not-reaped").map(|note| note.summary)
    };
    let zombies = |parent| [10, 11, 12].map(|pid| process(pid, b"job", parent, b'Z')).to_vec();
    let of_worker = [zombies(9), vec![process(9, b"worker", 1, b'S')]].concat();
    assert_eq!(note(&of_worker, false).unwrap(), "worker (pid 9) had 3 ended children that it had not waited for");
    assert!(
        note(&zombies(1), false)
            .unwrap()
            .starts_with("3 processes had ended and nobody had waited for them when python3")
    );
    assert_eq!(note(&zombies(1), true), None, "a signal to the group ends them together");
    assert_eq!(note(&zombies(1)[..2], false), None, "they may just have ended");
}
