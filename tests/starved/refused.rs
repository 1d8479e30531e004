//! System calls that a seccomp profile refuses, or that an older kernel does not have: rinit finds another way, or goes
//! without, and the status, the signals and the report stay what they were.
//!
//! Every call of [`REFUSED`] with both errnos, in both places and every scenario; `--nocapture` prints the table.

use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use crate::common::{Io, PLACES, Rinit, TempDir, copy_program, each, is_root, probe, proc, rinit};
use crate::{DEADLINE, contains};

/// What rinit has calls for that can be refused, one by one, and then all at once.
const REFUSED: [&str; 15] = [
    "signalfd4",
    "waitid",
    "close_range",
    "pidfd_open",
    "prctl",
    "pwritev2",
    "splice",
    "tee",
    "pwritev2,splice",
    "pwritev2,splice,tee",
    "statx",
    "rt_sigqueueinfo",
    "kcmp,getxattr,statfs,prlimit64",
    "inotify_init1,inotify_add_watch",
    "signalfd4,waitid,close_range,pidfd_open,prctl,pwritev2,splice,tee,statx,kcmp,rt_sigqueueinfo,inotify_init1",
];
const ERRNOS: [i32; 2] = [libc::ENOSYS, libc::EPERM];
/// What a run waits at most for what it leaves: longer than [`DEADLINE`].
const NEVER: &str = "1000";

/// Under which filter, and where.
#[derive(Clone, Copy)]
struct Case {
    place: fn() -> Rinit,
    calls: &'static str,
    errno: i32,
}

impl Case {
    /// rinit behind the filter, with these options.
    fn rinit(self, options: &[&str]) -> Rinit {
        let run = (self.place)().init(probe()).deadline(DEADLINE).args(["deny", self.calls, &self.errno.to_string()]);
        run.args([rinit()]).args(options)
    }

    fn refuses(self, call: &str) -> bool {
        self.calls.split(',').any(|refused| refused == call)
    }
}

const SCENARIOS: [(&str, fn(Case)); 10] = [
    ("exit", exit),
    ("death", death),
    ("not found", not_found),
    ("signals", signals),
    ("orphans", orphans),
    ("stop timeout", stop_timeout),
    ("drain", drain),
    ("tail", tail),
    ("descriptors", descriptors),
    ("pause", pause),
];

#[test]
fn every_call_that_can_be_done_without() {
    let wrong = Mutex::new(Vec::new());
    let cases = REFUSED.into_iter().flat_map(|calls| ERRNOS.map(|errno| (calls, errno)));
    let cases = cases.flat_map(|(calls, errno)| PLACES.map(|place| Case { place, calls, errno }));
    let runs: Vec<_> = cases.flat_map(|case| SCENARIOS.map(|scenario| (case, scenario))).collect();
    each(runs.iter().copied(), |(case, (name, scenario))| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| scenario(case))) {
            let why = panic.downcast_ref::<String>().map_or("", String::as_str);
            wrong.lock().unwrap().push((case.calls, case.errno, name, why.to_owned()));
        }
    });
    let wrong = wrong.into_inner().unwrap();
    for calls in REFUSED {
        let number = |errno| wrong.iter().filter(|(of, with, ..)| (*of, *with) == (calls, errno)).count();
        let each = SCENARIOS.len() * PLACES.len();
        let [enosys, eperm] = ERRNOS.map(|errno| each - number(errno));
        println!("ENOSYS {enosys}/{each}  EPERM {eperm}/{each}  {calls}");
    }
    println!("{} runs, {} right", runs.len(), runs.len() - wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn exit(case: Case) {
    let dir = TempDir::new();
    let log = dir.join("log");
    fs::write(&log, "").unwrap();
    let ended = case.rinit(&[]).env("RINIT_TERMINATION_LOG", &log).probe(["exit", "7"]).run();
    ended.assert_code(7);
    contains(&ended.stderr(), "rinit: probe exited with status 7");
    contains(&fs::read_to_string(&log).unwrap(), "rinit: probe exited with status 7");
}

fn death(case: Case) {
    let ended = case.rinit(&[]).rlimit(libc::RLIMIT_CORE, 0, 0).args(["sh", "-c", "kill -SEGV $$"]).run();
    contains(&ended.assert_code(139).stderr(), "rinit: sh was killed by SIGSEGV (exit status 139)");
}

fn not_found(case: Case) {
    let ended = case.rinit(&["/nonexistent/program"]).run();
    contains(&ended.assert_code(127).stderr(), "rinit: cannot start /nonexistent/program");
}

/// Each once, real-time signals counted, with the value of sigqueue(3) unless that is what is refused.
fn signals(case: Case) {
    let mut run = case.rinit(&[]).probe(["listen", "raw", "until=15"]).spawn();
    run.ready();
    let rinit = run.pid_inside();
    for signal in [libc::SIGUSR1, libc::SIGHUP, libc::SIGSEGV, 33, 64] {
        run.signal(signal);
        let got = run.expect_signal();
        assert_eq!((got.signal, got.pid), (signal, rinit), "{got:?}");
    }
    for value in 0..20 {
        run.sigqueue(40, value);
    }
    for value in 0..20 {
        let got = run.expect_signal();
        let expected = (!case.refuses("rt_sigqueueinfo")).then_some(value);
        assert_eq!((got.signal, got.value), (40, expected), "{got:?}");
    }
    run.signal(libc::SIGTERM);
    assert_eq!(run.expect_signal().signal, libc::SIGTERM);
    run.wait().assert_code(0);
}

fn orphans(case: Case) {
    let mut run = case.rinit(&[]).stdin(Io::Pipe).probe(["orphans", "200"]).spawn();
    run.expect_line("first");
    run.write_stdin(b"\n");
    run.expect_line("done");
    let rinit = run.pid();
    run.until("all orphans are reaped", || (proc::children(rinit).len() == 1).then_some(()));
    run.close_stdin();
    run.wait().assert_code(0);
}

fn stop_timeout(case: Case) {
    let mut run = case.rinit(&["--stop-timeout", "100ms"]).probe(["block", "15"]).spawn();
    run.ready();
    run.signal(libc::SIGTERM);
    contains(&run.wait().assert_code(137).stderr(), "rinit: probe ");
}

/// They end when they are asked to, and rinit sees it.
fn drain(case: Case) {
    let ended = case.rinit(&["--drain", NEVER]).probe(["leave", "3"]).run();
    contains(&ended.assert_code(3).stderr(), "rinit: probe exited with status 3");
}

fn tail(case: Case) {
    let ended = case.rinit(&["--tail", "5"]).args(["sh", "-c", "echo its own words >&2; exit 3"]).run();
    contains(&ended.assert_code(3).stderr(), "its own words\n");
    contains(&ended.stderr(), "rinit: sh exited with status 3");
}

fn descriptors(case: Case) {
    let dir = TempDir::new();
    let file = |name: &str| File::create(dir.join(name)).unwrap();
    let mut run = case.rinit(&[]).fd(3, file("three")).fd(57, file("fifty-seven")).probe(["hold"]).spawn();
    run.ready();
    let rinit = run.pid();
    let held = || proc::descriptors(rinit).into_iter().any(|(_, to)| Path::new(&to).starts_with(dir.path()));
    run.until("nothing inherited is held", || (!held()).then_some(()));
}

fn pause(case: Case) {
    let mut run = case.rinit(&["--pause"]).spawn();
    // Where it goes when everything is prepared. (In rt_sigtimedwait(2) the kernel shows no signal as blocked.)
    let directory = format!("/proc/{}/cwd", run.pid());
    run.until("it is in /", || fs::read_link(&directory).ok().filter(|to| to == Path::new("/")));
    run.signal(libc::SIGTERM);
    run.wait().assert_code(0);
}

/// What is done without is told of at the level of debug.
#[test]
fn it_is_told() {
    let told: [(&str, fn() -> Rinit, &[&str], &str); 5] = [
        (
            "signalfd4",
            Rinit::as_init,
            &["-vv"],
            "debug: no signalfd, signals alone wake rinit: Function not implemented",
        ),
        ("waitid", Rinit::as_init, &["-vv"], "debug: waitid(2) is refused: pid "),
        ("prctl", Rinit::as_subreaper, &["-vv"], "debug: orphans do not come to rinit"),
        ("prctl", Rinit::as_subreaper, &["-p", "TERM"], "warn: --parent-death-signal has no effect"),
        ("signalfd4", Rinit::as_init, &["-v", "--tail=5"], "info: stderr does not pass through rinit"),
    ];
    for (calls, place, options, words) in told {
        let ended = Case { place, calls, errno: libc::ENOSYS }.rinit(options).probe(["exit", "7"]).run();
        contains(&ended.assert_code(7).stderr(), words);
    }
}

/// Without any way to receive signals nothing is started.
#[test]
fn no_way_to_receive_signals() {
    for errno in ERRNOS {
        let case = Case { place: Rinit::as_init, calls: "signalfd4,rt_sigtimedwait", errno };
        let ended = case.rinit(&[]).args(["sh", "-c", "echo started"]).run();
        contains(&ended.assert_code(125).stderr(), "rinit: cannot start sh: ");
        assert_eq!(ended.stdout(), "");
        println!("{}", ended.stderr());
        let ended = case.rinit(&["--pause"]).run();
        contains(&ended.assert_code(125).stderr(), "rinit: cannot make a signal descriptor: ");
    }
}

/// An exec session is nobody's child here: without a pidfd, or a signalfd beside which one could be waited for, it is
/// looked for again and again.
#[test]
fn the_end_of_an_exec_session() {
    if !is_root("nsenter") {
        return;
    }
    for calls in ["pidfd_open", "signalfd4", "pidfd_open,signalfd4,waitid"] {
        let case = Case { place: Rinit::as_init, calls, errno: libc::ENOSYS };
        let mut run =
            case.rinit(&["--drain", NEVER]).stdin(Io::Pipe).args(["sh", "-c", "echo ready; read line"]).spawn();
        run.expect_line("ready");
        let script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done";
        let mut session = Command::new("nsenter")
            .args(["-p", "-m", "-t", &run.pid().to_string(), "/bin/sh", "-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It is there.
        session.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        run.write_stdin(b"\n");
        run.wait().assert_code(0);
        session.wait().unwrap();
    }
}

/// Of a directory that cannot be read to its end nothing is concluded from what was not seen.
#[test]
fn a_list_that_breaks_off() {
    let case = |calls| Case { place: Rinit::as_init, calls, errno: libc::EIO };
    let rinit = |options: &[&str]| case("getdents64").rinit(options);
    let dir = TempDir::new();
    let [full, volume] = ["full", "volume"].map(|name| dir.join(name));
    for dir in [&full, &volume] {
        fs::create_dir(dir).unwrap();
    }
    fs::write(full.join("startup.sh"), "x").unwrap();
    let missing = |dir: &Path| rinit(&[]).args([dir.join("start.sh")]);
    for run in [missing(&full), missing(&volume).bind(&full, &volume)] {
        let ended = run.run();
        contains(&ended.assert_code(127).stderr(), "cause: path-missing (certain)");
        assert!(!ended.stderr().contains("is empty"), "{ended:?}");
    }

    let mut program = fs::read(probe()).unwrap();
    let loader = program.windows(9).position(|bytes| bytes == b"/ld-linux").unwrap();
    program[loader + 1] = b'x';
    let [copy, other] = ["copy", "other"].map(|name| dir.join(name));
    copy_program(&probe(), &copy);
    fs::write(&other, program).unwrap();
    fs::set_permissions(&other, fs::metadata(&copy).unwrap().permissions()).unwrap();
    let ended = rinit(&[]).args([&other]).run();
    contains(&ended.assert_code(127).stderr(), "cause: loader-missing (certain)");
    assert!(!ended.stderr().contains("no other loader"), "{ended:?}");

    let says = |line: &str| rinit(&["--tail=3", "/bin/sh", "-c"]).args([format!("echo '{line}' >&2; exit 1")]).run();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let ended = says(&format!("Error: listen EADDRINUSE: address already in use 127.0.0.1:{port}"));
    contains(
        &ended.assert_code(1).stderr(),
        "is still in use in this network namespace, and whose it is was not to be seen",
    );
    let ended = says(
        "app: error while loading shared libraries: libnone.so.1: cannot open shared object file: No such file or directory",
    );
    assert!(!ended.assert_code(1).stderr().contains("is in none of"), "{ended:?}");

    let ended = case("getdents64,close_range").rinit(&["-vv"]).probe(["exit", "0"]).run();
    contains(&ended.assert_code(0).stderr(), "cannot close inherited descriptors: ");
}
