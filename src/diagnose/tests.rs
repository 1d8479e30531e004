//! Every rule from a table, then everything that can be enumerated.

mod edges;
pub(super) mod memory;
mod not_stopped;
mod provisional;
mod stopping;

use std::collections::BTreeSet;
use std::time::Duration;

use super::not_started::tests::looked;
use super::*;
use crate::evidence::death::Executed;
use crate::evidence::language::Language;
use crate::evidence::process::{Process, Status};
use crate::evidence::snapshot::Snapshot;
use crate::evidence::walk::Permissions;
use crate::evidence::{Command, Fate, Inside, SignalEvent, Usage};
use crate::outcome::{Stage, StartError};
use crate::signals::{Origin, Sender, SignalSet, Signo};
use Confidence::{Certain, Likely, Possible, Unknown};

/// 2026-11-21T14:00:11Z, and 3m12s later.
const STARTED: u64 = 1_795_269_611;
const LIFETIME: Duration = Duration::from_millis(192_031);

pub(crate) fn ran(program: &[u8]) -> Evidence {
    Evidence {
        command: Command { program: program.to_vec(), arguments: 2, shown: None },
        pid: Some(7),
        is_init: true,
        started: STARTED,
        ended: STARTED + 192,
        duration: LIFETIME,
        usage: Some(Usage {
            user: Duration::from_millis(1200),
            system: Duration::from_millis(300),
            max_rss_kib: 86_016,
        }),
        zombie: Some(Status { pending: Some(SignalSet(0)), seccomp: Some(0), ..Status::default() }),
        left: Some(Vec::new()),
        ..Evidence::default()
    }
}

fn python() -> Evidence {
    ran(b"/usr/bin/python3")
}

/// PROGRAM died with `signal` pending for the process.
fn pending(mut evidence: Evidence, signal: Signo) -> Evidence {
    evidence.zombie.as_mut().unwrap().pending = Some(SignalSet(0).with(signal));
    evidence
}

/// Not known what was pending.
fn opaque(mut evidence: Evidence) -> Evidence {
    evidence.zombie = None;
    evidence
}

/// A signal from outside, passed on `before_end` ms before the end.
pub(crate) fn event(signal: Signo, before_end: u64) -> SignalEvent {
    let at = LIFETIME - Duration::from_millis(before_end);
    SignalEvent { signal, origin: Origin::Outside, at, fate: Fate::Sent(signal), snapshot: None }
}

fn seen(status: Status) -> Option<Snapshot> {
    Some(Snapshot { status, ..Snapshot::default() })
}

fn handled(mut event: SignalEvent) -> SignalEvent {
    let caught = Some(SignalSet(0).with(event.signal));
    event.snapshot = seen(Status { caught, ignored: Some(SignalSet(0)), ..Status::default() });
    event
}

fn unhandled(mut event: SignalEvent) -> SignalEvent {
    let none = Some(SignalSet(0));
    event.snapshot = seen(Status { caught: none, ignored: none, ..Status::default() });
    event
}

fn not_heeded(mut event: SignalEvent) -> SignalEvent {
    let ignored = Some(SignalSet(0).with(event.signal));
    event.snapshot = seen(Status { caught: Some(SignalSet(0)), ignored, ..Status::default() });
    event
}

fn by(origin: Origin, mut event: SignalEvent) -> SignalEvent {
    event.origin = origin;
    event
}

fn rewritten(fate: Fate, mut event: SignalEvent) -> SignalEvent {
    event.fate = fate;
    event
}

fn got(mut evidence: Evidence, event: SignalEvent) -> Evidence {
    evidence.signals.push(event);
    evidence
}

fn bash() -> Origin {
    Origin::Process(Sender { pid: 12, name: Some(b"bash".to_vec()) })
}

pub(crate) fn died(signal: Signo) -> Outcome {
    Outcome::Signaled { signal, core_dumped: false }
}

pub(crate) fn refused(errno: i32) -> Outcome {
    Outcome::NotStarted(StartError { stage: Stage::Exec, errno })
}

pub(crate) fn unforked(stage: Stage, errno: i32) -> Outcome {
    Outcome::NotStarted(StartError { stage, errno })
}

fn number(signal: i32) -> Signo {
    Signo::new(signal).unwrap()
}

fn omitted(mut evidence: Evidence) -> Evidence {
    evidence.signals_omitted = 3;
    evidence
}

fn not_init(mut evidence: Evidence) -> Evidence {
    evidence.is_init = false;
    evidence
}

fn seccomp(mode: u8) -> Evidence {
    let mut evidence = python();
    evidence.zombie.as_mut().unwrap().seccomp = Some(mode);
    evidence
}

fn leaving(processes: &[(i32, i32, u8)]) -> Evidence {
    let mut evidence = ran(b"nginx");
    let process = |(pid, parent, state): &(i32, i32, u8)| Process {
        pid: *pid,
        name: b"worker".to_vec(),
        parent: *parent,
        state: *state,
    };
    evidence.left = Some(processes.iter().map(process).collect());
    evidence
}

pub(crate) type Row = (Outcome, Evidence, &'static str, Confidence, &'static str);

const ENOENT: i32 = libc::ENOENT;
const EACCES: i32 = libc::EACCES;

fn signalled() -> Vec<Row> {
    let (term, int, hup, usr1) = (Signo::TERM, Signo::INT, Signo::HUP, number(libc::SIGUSR1));
    let ctrl_c = || by(Origin::Terminal, event(int, 4));
    let direct = || rewritten(Fate::Direct, ctrl_c());
    vec![
        (died(Signo::SYS), seccomp(3), "seccomp-killed", Certain, "Seccomp: 3"),
        (died(Signo::SYS), got(seccomp(3), event(Signo::SYS, 1)), "seccomp-killed", Likely, "Seccomp: 3"),
        (died(Signo::KILL), seccomp(3), "seccomp-killed", Likely, "strict mode"),
        (died(Signo::SYS), seccomp(2), "bad-system-call", Likely, "Seccomp: 2"),
        (died(Signo::SYS), opaque(python()), "bad-system-call", Possible, "audit log"),
        (died(int), got(python(), ctrl_c()), "interrupted-from-terminal", Likely, "4 ms after Ctrl-C"),
        (died(int), got(python(), direct()), "interrupted-from-terminal", Likely, "sent to the program as well"),
        (
            died(Signo::QUIT),
            got(python(), by(Origin::Terminal, event(Signo::QUIT, 60_000))),
            "interrupted-from-terminal",
            Possible,
            "1m00s after Ctrl-\\ at",
        ),
        (died(int), python(), "interrupted-from-terminal", Possible, "if it had one"),
        (died(hup), got(python(), by(Origin::Terminal, event(hup, 4))), "hangup", Likely, "terminal went away"),
        (died(hup), Evidence { is_init: false, ..python() }, "hangup", Possible, "whether it had a terminal"),
        // The terminal's would have come through a PID 1.
        (died(hup), python(), "unhandled-signal", Likely, "it passed no SIGHUP on"),
        (
            died(hup),
            got(python(), by(Origin::Outside, event(hup, 4))),
            "stopped-without-handler",
            Possible,
            "after SIGHUP from outside",
        ),
        (died(term), got(python(), by(bash(), event(term, 4))), "terminated-from-inside", Likely, "bash (pid 12)"),
        (died(term), pending(python(), term), "terminated-from-inside", Likely, "still pending"),
        (died(term), python(), "terminated-from-inside", Possible, "no SIGTERM was passed on"),
        (died(term), pending(not_init(python()), term), "terminated-from-inside", Possible, "the host"),
        (died(term), pending(omitted(python()), term), "terminated-from-inside", Possible, "sender was not seen"),
        (
            died(term),
            got(python(), rewritten(Fate::Failed(libc::EPERM), event(term, 4))),
            "terminated-from-inside",
            Possible,
            "not passed on: EPERM",
        ),
        (
            died(term),
            pending(got(python(), unhandled(event(term, 4))), term),
            "stopped-without-handler",
            Likely,
            "4 ms after SIGTERM from outside at 14:03:23Z: most likely it has no handler",
        ),
        (died(term), pending(got(python(), event(term, 4)), term), "stopped-without-handler", Likely, "still pending"),
        (died(term), got(opaque(python()), unhandled(event(term, 4))), "stopped-without-handler", Likely, "no handler"),
        (died(term), got(python(), unhandled(event(term, 4))), "stopped-without-handler", Possible, "possibility"),
        (died(term), got(opaque(python()), event(term, 4)), "stopped-without-handler", Possible, "possibility"),
        (
            died(term),
            pending(got(python(), not_heeded(event(term, 4))), term),
            "stopped-without-handler",
            Possible,
            "it ignored it then",
        ),
        (
            died(term),
            pending(got(python(), unhandled(event(term, 5000))), term),
            "stopped-without-handler",
            Possible,
            "5.0 s after",
        ),
        (
            died(Signo::KILL),
            got(python(), rewritten(Fate::Sent(Signo::KILL), event(term, 4))),
            "stopped-without-handler",
            Likely,
            "passed on as SIGKILL: nothing was cleaned up",
        ),
        (
            died(term),
            got(not_init(python()), unhandled(by(bash(), event(term, 4)))),
            "stopped-without-handler",
            Possible,
            "from bash (pid 12)",
        ),
        (died(term), got(python(), handled(event(term, 3200))), "stopped-by-own-handler", Likely, "3.2 s later"),
        (
            died(int),
            pending(got(python(), handled(event(int, 20))), int),
            "stopped-by-own-handler",
            Likely,
            "it had a handler for it",
        ),
        (died(term), got(opaque(python()), handled(event(term, 4))), "stopped-by-own-handler", Possible, "possibility"),
        (
            died(Signo::SEGV),
            got(python(), handled(event(Signo::SEGV, 4))),
            "stopped-by-own-handler",
            Likely,
            "SIGSEGV from outside",
        ),
        (
            died(Signo::SEGV),
            got(python(), event(Signo::SEGV, 4)),
            "stopped-without-handler",
            Possible,
            "SIGSEGV from outside",
        ),
        (died(Signo::SEGV), python(), "segfault", Likely, "passed no SIGSEGV on"),
        (died(Signo::SEGV), omitted(python()), "segfault", Possible, "other signals that came through rinit: 3"),
        (
            Outcome::Signaled { signal: Signo::ABRT, core_dumped: true },
            python(),
            "aborted",
            Likely,
            "the kernel reports a core dump",
        ),
        // A script that became another program by exec.
        (died(Signo::SEGV), named("/start.sh", "java"), "segfault", Likely, "its process name at its end was java"),
        (died(Signo::ABRT), ran(b"node"), "aborted", Likely, "--max-old-space-size"),
        (died(Signo::ABRT), ran(b"/opt/jdk/bin/java"), "aborted", Likely, "hs_err_pid"),
        (died(Signo::ABRT), ran(b"ruby3.1"), "aborted", Likely, "[BUG]"),
        (died(Signo::BUS), python(), "bus-error", Likely, "/dev/shm"),
        (died(Signo::ILL), python(), "illegal-instruction", Likely, "/proc/cpuinfo"),
        (died(Signo::TRAP), python(), "trap", Likely, "breakpoint"),
        (died(Signo::FPE), python(), "divide-by-zero", Likely, "division"),
        (died(Signo::PIPE), python(), "broken-pipe", Likely, "whose reader was gone"),
        (died(Signo::PIPE), opaque(python()), "broken-pipe", Possible, "which pipe"),
        (died(Signo::PIPE), pending(python(), Signo::PIPE), "unhandled-signal", Likely, "sent with kill"),
        (died(Signo::ALRM), pending(python(), Signo::ALRM), "timer-expired", Likely, "alarm()"),
        (died(Signo::PROF), python(), "timer-expired", Possible, "profiler"),
        (died(Signo::VTALRM), pending(python(), Signo::VTALRM), "timer-expired", Likely, "profiler"),
        (died(Signo::XCPU), python(), "cpu-time-limit", Likely, "used 1.5 s of CPU time"),
        (died(Signo::XFSZ), python(), "file-size-limit", Likely, "ulimit -f"),
        (died(Signo::KILL), python(), "killed-by-unknown", Unknown, "ruled out: the end of a grace period"),
        (
            died(Signo::KILL),
            got(python(), event(term, 25_000)),
            "killed-by-unknown",
            Unknown,
            "SIGTERM from outside at 14:02:58Z, passed on to pid 7",
        ),
        (died(Signo::KILL), not_init(python()), "killed-by-unknown", Unknown, "passed no SIGKILL on"),
        // timeout sends -s KILL and -k to its own process group.
        (died(Signo::KILL), named("/start.sh", "timeout"), "timeout-expired", Likely, "its own -s KILL or -k struck"),
        (died(Signo::KILL), named("timeout", "sleep"), "killed-by-unknown", Unknown, "the sender"),
        (
            died(Signo::KILL),
            got(named("timeout", "timeout"), rewritten(Fate::Sent(Signo::KILL), event(term, 4))),
            "stopped-without-handler",
            Likely,
            "passed on as SIGKILL",
        ),
        (died(usr1), pending(python(), usr1), "unhandled-signal", Likely, "exit status 138"),
        (died(number(64)), omitted(python()), "unhandled-signal", Possible, "SIGRTMAX"),
        (
            died(usr1),
            pending(got(python(), event(usr1, 4)), usr1),
            "stopped-without-handler",
            Likely,
            "SIGUSR1 from outside",
        ),
    ]
}

fn exited() -> Vec<Row> {
    use Outcome::Exited;
    let (term, int, quit, usr1) = (Signo::TERM, Signo::INT, Signo::QUIT, number(libc::SIGUSR1));
    let day = Duration::from_secs(86_400);
    let mut long_ago = got(python(), event(term, 4));
    long_ago.duration += day;
    vec![
        (Exited(143), got(ran(b"java"), handled(event(term, 3200))), "stopped-by-own-handler", Likely, "128+15"),
        (Exited(138), got(python(), event(usr1, 5)), "stopped-by-own-handler", Likely, "stands for SIGUSR1"),
        (Exited(143), long_ago.clone(), "stopped-by-own-handler", Possible, "1d00h after SIGTERM"),
        (Exited(0), got(python(), event(term, 3200)), "stopped-cleanly", Likely, "3.2 s later it ended"),
        (Exited(0), long_ago, "stopped-cleanly", Possible, "one possibility"),
        (Exited(0), got(python(), event(quit, 3200)), "stopped-cleanly", Likely, "SIGQUIT from outside"),
        (Exited(0), got(python(), event(number(37), 5)), "stopped-cleanly", Likely, "SIGRTMIN+3"),
        (Exited(0), got(python(), event(usr1, 5)), "stopped-cleanly", Possible, "one possibility"),
        (Exited(0), got(python(), event(usr1, 50_000)), "completed", Likely, "SIGUSR1 from outside"),
        (Exited(0), got(python(), not_heeded(event(term, 50))), "completed", Likely, "it ignored it then"),
        (
            Exited(0),
            got(python(), rewritten(Fate::Dropped, event(term, 50))),
            "completed",
            Likely,
            "dropped by --rewrite",
        ),
        (Exited(0), got(python(), by(Origin::Terminal, event(int, 50))), "stopped-cleanly", Likely, "the terminal"),
        (Exited(0), got(python(), by(Origin::Terminal, event(int, 50_000))), "completed", Likely, "the terminal"),
        (
            Exited(3),
            got(python(), event(term, 200)),
            "stop-failed",
            Likely,
            "0.2 s later with a failure (exit status 3)",
        ),
        (Exited(2), got(python(), event(quit, 200)), "stop-failed", Possible, "one possibility"),
        (Exited(5), got(python(), event(usr1, 200)), "exit-error", Unknown, "SIGUSR1 from outside"),
        (Exited(137), got(python(), event(term, 200)), "stop-failed", Likely, "exit status 137"),
        (Exited(0), python(), "completed", Certain, "no signal came through rinit"),
        (Exited(0), omitted(python()), "completed", Likely, "other signals"),
        (Exited(0), leaving(&[(9, 1, b'S'), (10, 9, b'S')]), "completed", Certain, "left 2 processes running"),
        (Exited(137), python(), "descendant-killed", Possible, "SIGKILL"),
        (Exited(192), python(), "descendant-killed", Possible, "SIGRTMAX"),
        (Exited(145), python(), "exit-error", Unknown, "what 145 means to python3"),
        (Exited(1), python(), "exit-error", Unknown, "python3 exited with status 1 after 3m12s"),
        (Exited(193), python(), "exit-error", Unknown, "193"),
    ]
}

/// Ran as `argv0`, and was called `comm` at its end.
fn named(argv0: &str, comm: &str) -> Evidence {
    let mut evidence = ran(argv0.as_bytes());
    evidence.zombie.as_mut().unwrap().name = Some(comm.as_bytes().to_vec());
    evidence
}

fn executed(argv0: &str, comm: &str, exe: &str) -> Evidence {
    let mut evidence = named(argv0, comm);
    evidence.executed = Some(Executed { exe: Some(exe.as_bytes().to_vec()) });
    evidence
}

/// Its file was not to be read by rinit either.
fn unread(exe: &str, seconds: u64) -> Evidence {
    let mut evidence = executed("/app/start", "start", &format!("/usr/bin/{exe}"));
    evidence.unread = Some(Permissions { mode: 0o100_711, uid: 0, gid: 0 });
    evidence.duration = Duration::from_secs(seconds);
    evidence
}

fn written_in(language: Language, seconds: u64) -> Evidence {
    let mut evidence = named("/app/server", "server");
    evidence.language = Some(language);
    evidence.duration = Duration::from_secs(seconds);
    evidence
}

/// A shell was to run `name`, of which the inspection is that of `seen`.
fn inside(argv0: &str, comm: &str, name: &str, seen: Evidence) -> Evidence {
    let mut evidence = named(argv0, comm);
    let inspection = seen.inspection.unwrap();
    evidence.inside = Some(Box::new(Inside { name: name.as_bytes().to_vec(), other_user: false, inspection }));
    evidence
}

fn as_another_user(mut evidence: Evidence) -> Evidence {
    evidence.inside.as_mut().unwrap().other_user = true;
    evidence
}

/// 126 and 127 of what runs others, with a look at what it was to run.
fn inner() -> Vec<Row> {
    use Outcome::Exited;
    const MISSING: &str = "command-not-found-in-script";
    const REFUSED: &str = "command-not-executable-in-script";
    let absent = || looked(b"jq", 0, &[("/bin/jq", Err(ENOENT), None)]);
    let path = || looked(b"/app/run", 0, &[("/app/run", Err(ENOENT), Some("/app/run"))]);
    let closed = || looked(b"/app/run", 1000, &[("/app/run", Ok(0o100_644), None)]);
    let fine = || looked(b"/app/run", 0, &[("/app/run", Ok(0o100_755), None)]);
    vec![
        (
            Exited(127),
            inside("sh", "sh", "jq", absent()),
            MISSING,
            Likely,
            "sh exited with status 127 after 3m12s: most likely jq could not be started: it is in no directory of PATH",
        ),
        (Exited(127), inside("sh", "sh", "jq", absent()), MISSING, Likely, "PATH was /usr/local/bin:/bin"),
        (Exited(127), inside("env", "env", "jq", absent()), MISSING, Likely, "install the program in the image"),
        (Exited(127), as_another_user(inside("sh", "sh", "jq", absent())), MISSING, Likely, "jq could not be started"),
        (
            Exited(127),
            inside("sh", "sh", "/app/run", path()),
            MISSING,
            Likely,
            "most likely /app/run could not be started: no such file",
        ),
        (Exited(127), inside("sh", "sh", "/app/run", path()), MISSING, Likely, "/app exists and has 12 entries"),
        (
            Exited(126),
            inside("timeout", "timeout", "/app/run", closed()),
            REFUSED,
            Likely,
            "most likely /app/run could not be started: permission denied, it is not executable",
        ),
        (Exited(126), inside("sh", "sh", "/app/run", closed()), REFUSED, Likely, "to its interpreter: sh run"),
        // By what it was at its start alone.
        (
            Exited(127),
            inside("sh", "other", "jq", absent()),
            MISSING,
            Possible,
            "one possibility is that jq could not be started: it is in no",
        ),
        // What was seen does not explain that.
        (Exited(126), inside("sh", "sh", "jq", absent()), REFUSED, Likely, "most likely a command of its script was"),
        (Exited(127), inside("sh", "sh", "/app/run", closed()), MISSING, Likely, "most likely a command of its"),
        (Exited(127), inside("sh", "sh", "/app/run", fine()), MISSING, Likely, "most likely a command of its"),
        (
            Exited(126),
            as_another_user(inside("sh", "sh", "/app/run", closed())),
            REFUSED,
            Likely,
            "most likely a command of its",
        ),
        // It was started, and has removed itself.
        (Exited(127), inside("sh", "run", "/app/run", path()), MISSING, Possible, "one possibility is that a command"),
        (Exited(3), inside("sh", "sh", "jq", absent()), "exit-error", Unknown, "rinit cannot see why"),
    ]
}

/// Codes with a meaning, of programs by their names, by what they are made of, and of anybody.
fn codes() -> Vec<Row> {
    use Outcome::Exited;
    let of = |argv0, code: u8| (Exited(code), named(argv0, argv0));
    let row =
        |(outcome, evidence): (Outcome, Evidence), id, confidence, fact| (outcome, evidence, id, confidence, fact);
    vec![
        row(of("bash", 2), "shell-syntax-error", Possible, "or its last command ended with 2"),
        row(
            of("dash", 2),
            "shell-syntax-error",
            Possible,
            "one possibility is that its script has a syntax error or cannot be read",
        ),
        row(
            of("bash", 126),
            "command-not-executable-in-script",
            Likely,
            "most likely a command of its script was found",
        ),
        row(of("sh", 127), "command-not-found-in-script", Likely, "was not found"),
        row(of("bash", 1), "exit-error", Unknown, "under set -e"),
        row(of("bash", 254), "runtime-specific", Possible, "could not fork"),
        row(of("bash", 137), "descendant-killed", Likely, "most likely a command it ran was ended by SIGKILL"),
        row(of("dash", 141), "descendant-killed", Likely, "pipefail"),
        row(of("entry.sh", 127), "command-not-found-in-script", Possible, "a library that it needs"),
        row(of("python3.11", 1), "exit-error", Unknown, "uncaught exception"),
        row(of("python3", 2), "usage-error", Likely, "Python could not open the script"),
        row(of("python3", 120), "runtime-specific", Likely, "most likely Python could not write out stdout"),
        row(of("python3", 101), "exit-error", Unknown, "what 101 means"),
        row(of("gunicorn", 3), "runtime-specific", Likely, "failed to boot"),
        row(of("node", 9), "usage-error", Likely, "NODE_OPTIONS"),
        row(of("node", 13), "runtime-specific", Likely, "never settled"),
        row(of("npm", 254), "runtime-specific", Likely, "package.json"),
        row(of("java", 3), "runtime-specific", Possible, "OutOfMemoryError"),
        row(of("java", 143), "runtime-specific", Possible, "none came through rinit"),
        row(of("java", 78), "runtime-specific", Possible, "vm.max_map_count"),
        row(of("dotnet", 137), "runtime-specific", Likely, "could not be initialised"),
        row(of("dotnet", 150), "runtime-specific", Likely, "is not installed"),
        row(of("php", 255), "status-255", Likely, "parse error"),
        row(of("php-fpm8.2", 78), "sysexits", Likely, "php-fpm -t"),
        row(of("perl", 255), "status-255", Likely, "died with a message"),
        row(of("perl", 13), "runtime-specific", Possible, "errno was EACCES (Permission denied)"),
        row(of("timeout", 124), "timeout-expired", Likely, "the time was up"),
        row(of("env", 125), "wrapper-failed", Likely, "it failed itself"),
        row(of("env", 127), "command-not-found-in-script", Likely, "was not found"),
        row(of("xargs", 123), "runtime-specific", Likely, "a command that it ran failed"),
        row(of("curl", 7), "runtime-specific", Likely, "localhost means this container"),
        row(of("mongod", 48), "runtime-specific", Likely, "could not listen"),
        row(of("apt-get", 100), "runtime-specific", Likely, "E:"),
        row(of("git", 128), "exit-128", Likely, "safe.directory"),
        row(of("app", 2), "usage-error", Possible, "one possibility is that its arguments were refused"),
        row(of("app", 64), "sysexits", Possible, "64 is EX_USAGE in sysexits.h"),
        row(of("app", 78), "sysexits", Possible, "EX_CONFIG"),
        row(of("app", 101), "rust-panic", Possible, "one possibility is that it is a Rust program"),
        row(of("app", 124), "timeout-expired", Possible, "passed on"),
        row(of("app", 125), "wrapper-failed", Possible, "one possibility"),
        row(of("app", 126), "command-not-executable-in-script", Possible, "Exec format error"),
        row(of("app", 128), "exit-128", Possible, "git"),
        row(of("app", 255), "status-255", Possible, "-1"),
        // What it was started as says less than what it was called at its end, and never more than possible.
        row((Exited(124), named("sh", "timeout")), "timeout-expired", Likely, "name at its end was timeout"),
        row((Exited(9), named("node", "worker")), "usage-error", Possible, "started as node, its process name"),
        row(
            (Exited(9), executed("node", "MainThread", "/usr/bin/node")),
            "usage-error",
            Likely,
            "interpreter, is node",
        ),
        row((Exited(9), executed("x", "MainThread", "/usr/bin/node")), "usage-error", Likely, "interpreter, is node"),
        row((Exited(9), executed("x", "y", "/usr/bin/node")), "usage-error", Possible, "as node, its process name"),
        row(
            (Exited(127), executed("/app/entry.sh", "entry.sh", "/usr/bin/dash")),
            "command-not-found-in-script",
            Likely,
            "its script's interpreter, is dash",
        ),
        row((Exited(137), executed("/a/b", "b", "/bin/busybox")), "descendant-killed", Likely, "is busybox"),
        // A script that has become another program is none any more, and busybox is what it is called.
        row((Exited(137), executed("/a/b", "app", "/bin/dash")), "descendant-killed", Possible, "a code of its own"),
        row((Exited(137), executed("timeout", "timeout", "/bin/busybox")), "descendant-killed", Possible, "of its own"),
        row((Exited(2), executed("sh", "timeout", "/bin/dash")), "exit-error", Unknown, "what 2 means"),
        row(
            (Exited(9), opaque(ran(b"/usr/bin/node"))),
            "usage-error",
            Possible,
            "whether it was still node at its end",
        ),
        row((Exited(137), opaque(ran(b"bash"))), "descendant-killed", Possible, "or 137 is a code of its own"),
        row((Exited(2), unread("dash", 1)), "permission-denied", Likely, "/app/start is mode 0711, owner 0:0, and"),
        row((Exited(126), unread("bash", 1)), "permission-denied", Likely, "most likely bash may not read its script"),
        row((Exited(2), unread("dash", 6)), "shell-syntax-error", Possible, ""),
        row((Exited(2), unread("server", 1)), "usage-error", Possible, ""),
        row((Exited(2), Evidence { executed: None, ..unread("", 1) }), "permission-denied", Possible, "it is a script"),
        row((Exited(2), written_in(Language::Go, 5)), "go-panic", Likely, "Go's linker"),
        row((Exited(2), written_in(Language::Go, 4)), "go-panic", Possible, "one possibility is that a panic"),
        row(
            (Exited(2), got(written_in(Language::Go, 192), event(Signo::QUIT, 5))),
            "stop-failed",
            Likely,
            "Go's own answer to SIGQUIT, a dump of all goroutines",
        ),
        row((Exited(2), got(python(), event(Signo::QUIT, 5))), "stop-failed", Possible, "its stop failed"),
        row((Exited(101), written_in(Language::Rust, 0)), "rust-panic", Likely, "names Rust's standard library"),
        row((Exited(2), written_in(Language::Rust, 5)), "usage-error", Possible, "arguments"),
    ]
}

#[test]
fn every_row_of_the_codes_is_found_by_every_name_and_never_surer_than_it_says() {
    for row in codes::ROWS {
        for (name, code) in row.who.names().iter().flat_map(|name| row.codes.iter().map(move |code| (name, *code))) {
            let outcome = Outcome::Exited(code);
            let found = diagnose(&outcome, &named("/x/start", name));
            assert_eq!((found.cause.id, found.confidence), (row.cause.id, row.confidence), "{name} {code}");
            assert!(found.verdict.contains(row.means), "{name} {code}: {}", found.verdict);
            let next = if row.next.is_empty() { row.cause.next } else { row.next };
            let rest = found.next.strip_prefix(next).unwrap_or_else(|| panic!("{name} {code}: {}", found.next));
            assert_eq!(!rest.is_empty(), rest.contains("RINIT_TAIL") && found.confidence == Unknown, "{name} {code}");
            let started = diagnose(&outcome, &named(&format!("/x/{name}"), "other"));
            assert_eq!(started.cause.id, row.cause.id, "{name} {code}");
            assert!(matches!(started.confidence, Possible | Unknown), "{name} {code}");
        }
    }
}

#[test]
fn no_exit_by_itself_is_surer_than_likely_whatever_ran() {
    let names = codes::ROWS.iter().flat_map(|row| row.who.names()).chain(&["start.sh", "", "\n", "x; y"]);
    for name in names {
        for code in 1..=255 {
            let diagnosis = diagnose(&Outcome::Exited(code), &named("/x/a b", name));
            assert!(diagnosis.confidence != Certain, "{name} {code}");
            assert!(diagnosis.verdict.contains(&format!("exited with status {code} ")), "{}", diagnosis.verdict);
            assert!(!diagnosis.verdict.contains("was killed"), "{}", diagnosis.verdict);
            let hedged = match diagnosis.confidence {
                Likely => "most likely ",
                Possible => "one possibility is that ",
                _ => "rinit cannot see why",
            };
            assert!(diagnosis.verdict.contains(hedged), "{}", diagnosis.verdict);
        }
    }
}

pub(crate) fn every_row() -> Vec<Row> {
    [
        not_started::tests::rows(),
        signalled(),
        exited(),
        stopping::rows(),
        not_stopped::rows(),
        codes(),
        inner(),
        memory::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn text(outcome: &Outcome, evidence: &Evidence) -> String {
    let diagnosis = diagnose(outcome, evidence);
    let report = crate::report::Report { outcome: *outcome, evidence, diagnosis: &diagnosis, provisional: false };
    String::from_utf8(report.render(crate::cli::Format::Text, usize::MAX)).unwrap()
}

#[test]
fn every_rule() {
    for (i, (outcome, evidence, id, confidence, fact)) in every_row().into_iter().enumerate() {
        let diagnosis = diagnose(&outcome, &evidence);
        let text = text(&outcome, &evidence);
        assert_eq!((diagnosis.cause.id, diagnosis.confidence), (id, confidence), "row {i}, {outcome:?}:\n{text}");
        assert!(text.contains(fact), "row {i}: no {fact:?} in\n{text}");
    }
}

#[test]
fn the_registry_holds_the_causes_that_the_rules_find_and_no_other() {
    let from_tail = super::tail::tests::ends();
    let from_tail = from_tail.iter().map(|(outcome, evidence)| diagnose(outcome, evidence).cause.id);
    let provisional = provisional::rows().into_iter().map(|row| row.2);
    let found: BTreeSet<_> = every_row().iter().map(|row| row.2).chain(provisional).chain(from_tail).collect();
    let registered: BTreeSet<_> = registry::ALL.iter().map(|cause| cause.id).collect();
    assert_eq!(found, registered);
}

#[test]
fn only_what_went_well_is_brief() {
    for (outcome, evidence, id, confidence, _) in every_row() {
        let diagnosis = diagnose(&outcome, &evidence);
        assert!(!diagnosis.brief || went_well(diagnosis.cause), "{id}");
        assert!(!diagnosis.brief || matches!(confidence, Certain | Likely), "{id}");
        assert!(!diagnosis.brief || diagnosis.notes.is_empty(), "{id}");
    }
    let brief = |outcome: Outcome, evidence: Evidence| diagnose(&outcome, &evidence).brief;
    assert!(brief(Outcome::Exited(0), python()));
    assert!(brief(Outcome::Exited(0), got(python(), event(Signo::TERM, 5))));
    assert!(brief(Outcome::Exited(143), got(python(), event(Signo::TERM, 5))));
    assert!(brief(died(Signo::TERM), got(python(), handled(event(Signo::TERM, 5)))));
    assert!(!brief(died(Signo::SEGV), got(python(), handled(event(Signo::SEGV, 5)))));
    assert!(!brief(Outcome::Exited(0), leaving(&[(9, 1, b'S')])));
    assert!(!brief(Outcome::Exited(1), python()));
}

#[test]
fn the_words_follow_the_confidence() {
    for (outcome, evidence) in everything().into_iter().chain(every_row().into_iter().map(|row| (row.0, row.1))) {
        let Diagnosis { cause, confidence, verdict, .. } = diagnose(&outcome, &evidence);
        assert!(!verdict.contains("most likely") || confidence == Likely, "{confidence:?}: {verdict}");
        let unknown_sender = cause.id == "killed-by-unknown";
        assert!(!verdict.contains("possibility") || confidence == Possible || unknown_sender, "{verdict}");
    }
}

#[test]
fn a_program_called_node_carries_its_pid() {
    for (outcome, mut evidence, ..) in every_row() {
        if matches!(outcome, Outcome::NotStarted(_)) {
            continue;
        }
        evidence.command.program = b"/usr/local/bin/node".to_vec();
        assert!(diagnose(&outcome, &evidence).verdict.starts_with("node (pid 7) "));
    }
    let verdict = diagnose(&refused(ENOENT), &ran(b"node")).verdict;
    assert!(verdict.starts_with("cannot start the program node: "), "{verdict}");
}

#[test]
fn what_is_left_is_named_up_to_five_and_zombies_have_ended() {
    let many: Vec<_> = (10..17).map(|pid| (pid, 1, b'S')).collect();
    let note = |processes: &[(i32, i32, u8)], outcome: Outcome| {
        diagnose(&outcome, &leaving(processes)).notes.pop().map(|note| note.summary)
    };
    let seven = note(&many, Outcome::Exited(0)).unwrap();
    assert!(seven.starts_with("7 processes were still there at the end: worker (pid 10), "), "{seven}");
    assert!(seven.contains("worker (pid 14) and 2 more (what is left ends with the container)"), "{seven}");
    assert_eq!(note(&[(10, 1, b'Z'), (11, 1, b'X')], Outcome::Exited(0)), None);
    assert_eq!(note(&[(10, 0, b'S')], Outcome::Exited(0)), None);
    assert!(note(&[(10, 0, b'S')], died(Signo::KILL)).unwrap().contains("(pid 10) from an exec session"));
    let evidence = not_init(leaving(&[(10, 1, b'S')]));
    assert!(diagnose(&Outcome::Exited(0), &evidence).notes[0].summary.ends_with("(it may live on)"));
}

const SECRET: &str = "hunter2";

#[test]
fn arguments_are_shown_only_on_demand() {
    let programs: [&[u8]; 8] = [
        b"ls --password=hunter2",
        b"/bin/ls\thunter2",
        b"/bin/ls\n hunter2 /x",
        b"PASSWORD=hunter2",
        b"--password=hunter2",
        b" hunter2",
        b"A=/opt/hunter2/x",
        b"=hunter2",
    ];
    for program in programs {
        let path = [b"/bin/".as_slice(), program].concat();
        let path = std::str::from_utf8(if program.contains(&b'/') { program } else { &path }).unwrap();
        for file in [Err(ENOENT), Err(EACCES), Err(libc::ELOOP), Ok(0o100_755), Ok(0o100_644), Ok(0o40_755)] {
            for (stage, errno) in every_start_error() {
                let outcome = unforked(stage, errno);
                let mut evidence = looked(program, 1000, &[(path, file, Some(path))]);
                let hidden = text(&outcome, &evidence);
                assert!(!hidden.contains(SECRET), "{hidden}");
                evidence.command.shown = Some(vec![b"x".to_vec()]);
                assert!(text(&outcome, &evidence).contains(SECRET));
            }
        }
    }
    let mut evidence = python();
    evidence.command.shown = Some(vec![b"-c".to_vec(), b"print(1) \n".to_vec(), Vec::new()]);
    let shown = text(&Outcome::Exited(1), &evidence);
    assert!(shown.contains("command line: /usr/bin/python3 -c \"print(1) \\n\" \"\""), "{shown}");
    evidence.command.shown = Some(vec![vec![0xff; 5000]; 1000]);
    assert!(text(&Outcome::Exited(1), &evidence).len() < 3000);
}

fn every_start_error() -> impl Iterator<Item = (Stage, i32)> {
    let stages = [Stage::Prepare, Stage::Fork, Stage::Exec];
    stages.into_iter().flat_map(|stage| (-1..=133).chain([i32::MIN, i32::MAX]).map(move |errno| (stage, errno)))
}

/// Every outcome, with signals passed on or not, and everything that changes what a rule concludes.
pub(crate) fn everything() -> Vec<(Outcome, Evidence)> {
    let mut all = Vec::new();
    let files =
        [None, Some(Err(ENOENT)), Some(Err(EACCES)), Some(Ok(0o100_644)), Some(Ok(0o100_755)), Some(Ok(0o40_755))];
    for (stage, errno) in every_start_error() {
        for file in files {
            for program in ["x", "/a/x", "x y", ""] {
                let evidence = match file {
                    None => ran(program.as_bytes()),
                    Some(file) => looked(program.as_bytes(), 1000, &[("/a/x", file, Some("/a"))]),
                };
                all.push((unforked(stage, errno), evidence));
            }
        }
    }
    let memories = memory::every_memory();
    let outcomes = (0..=255).map(Outcome::Exited);
    let deaths =
        Signo::all().flat_map(|signal| [true, false].map(|core_dumped| Outcome::Signaled { signal, core_dumped }));
    for outcome in outcomes.chain(deaths) {
        let signal = match outcome {
            Outcome::Signaled { signal, .. } => signal,
            Outcome::Exited(code) => Signo::new(i32::from(code) - 128).unwrap_or(Signo::TERM),
            Outcome::NotStarted(_) => panic!("only ends of what ran"),
        };
        // The codes and signals that OOM kills say something of, and one of each that they do not.
        let told = [Outcome::Exited(0), Outcome::Exited(1), Outcome::Exited(137), died(Signo::KILL), died(Signo::SEGV)];
        if told.contains(&outcome) {
            all.extend(memories.iter().map(|memory| (outcome, memory.clone())));
        }
        for zombie in [pending(python(), signal), python(), opaque(python()), omitted(not_init(python()))] {
            all.push((outcome, zombie.clone()));
            let now = event(signal, 4);
            for event in [now.clone(), event(Signo::TERM, 4), event(signal, 180_000)] {
                for event in [handled(event.clone()), unhandled(event.clone()), not_heeded(event.clone()), event] {
                    all.push((outcome, got(zombie.clone(), event)));
                }
            }
            for origin in [Origin::Terminal, bash(), Origin::Claimed(0), Origin::Own] {
                all.push((outcome, got(zombie.clone(), by(origin, now.clone()))));
            }
            for fate in [Fate::Dropped, Fate::Direct, Fate::Failed(3), Fate::Sent(Signo::KILL)] {
                all.push((outcome, got(zombie.clone(), rewritten(fate, now.clone()))));
            }
        }
    }
    all
}

#[test]
fn every_end_has_a_diagnosis_in_plain_lines() {
    for (outcome, evidence) in everything().into_iter().chain(every_row().into_iter().map(|row| (row.0, row.1))) {
        let diagnosis = diagnose(&outcome, &evidence);
        let id = diagnosis.cause.id;
        assert!(!diagnosis.verdict.is_empty() && !diagnosis.next.is_empty(), "{id}");
        let status = format!("status {}", outcome.exit_status());
        assert!(diagnosis.verdict.contains(&status), "{}", diagnosis.verdict);
        let Diagnosis { verdict, evidence: facts, ruled_out, not_known, next, notes, .. } = &diagnosis;
        let notes = notes.iter().map(|note| &note.summary);
        let items = facts.iter().chain(ruled_out).chain(not_known).chain(notes).chain([verdict, next]);
        for item in items {
            assert!(item.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{id}: {item}");
            // `; ` joins items.
            assert!(!item.contains("; ") && !item.contains("  ") && !item.ends_with(' '), "{id}: {item}");
        }
        assert!(verdict.len() < 250, "{verdict}");
    }
}

#[test]
fn no_exit_is_called_a_kill_and_no_sent_signal_a_fault() {
    const FAULTS: [&str; 6] = ["segfault", "aborted", "bus-error", "illegal-instruction", "trap", "divide-by-zero"];
    for (outcome, evidence) in everything().into_iter().chain(every_row().into_iter().map(|row| (row.0, row.1))) {
        let diagnosis = diagnose(&outcome, &evidence);
        let (id, verdict) = (diagnosis.cause.id, &diagnosis.verdict);
        match outcome {
            Outcome::Signaled { signal, .. } => {
                let case = Case { outcome: &outcome, evidence: &evidence, signature: None, is_inner: false };
                assert!(case.delivered(signal).is_none() || !FAULTS.contains(&id), "{verdict}");
            }
            Outcome::Exited(_) => {
                assert!(
                    !verdict.starts_with("python3 was killed") && !verdict.starts_with("python3 was ended"),
                    "{verdict}"
                );
            }
            Outcome::NotStarted(_) => assert!(verdict.starts_with("cannot start "), "{verdict}"),
        }
        if diagnosis.confidence == Certain && !matches!(outcome, Outcome::NotStarted(_)) {
            assert!(stopping::proves(id, &outcome, &evidence), "{verdict}");
        }
    }
}

#[test]
fn the_registry_says_what_makes_a_cause_certain_where_a_rule_is() {
    let certain = |(outcome, evidence): &(Outcome, Evidence)| {
        Some(diagnose(outcome, evidence)).filter(|diagnosis| diagnosis.confidence == Certain)
    };
    let rows = every_row().into_iter().map(|row| (row.0, row.1));
    for diagnosis in rows.chain(everything()).filter_map(|end| certain(&end)) {
        let (id, proof) = (diagnosis.cause.id, diagnosis.cause.proof);
        assert!(proof.contains("Certain") || proof.contains("nothing else gives"), "{id}: {proof}");
    }
}
