//! PROGRAM gets what rinit was given, and rinit keeps nothing of it.
//!
//! Most tests run the probe twice in the same state, under rinit and in its place, and compare what it saw.
#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use common::{Io, PLACES, Rinit, Running, TempDir, each, is_root, proc};

type State = BTreeMap<String, String>;

/// What the probe saw under rinit, after a check that it is what it sees in rinit's place.
#[track_caller]
fn unchanged(place: fn() -> Rinit, given: impl Fn(Rinit) -> Rinit) -> State {
    let dir = TempDir::new();
    let file = dir.join("state");
    let args = |run: Rinit| run.args(["state".as_ref(), file.as_os_str()]);
    args(given(place()).init(common::probe())).run().assert_code(0);
    let alone = read(&file);
    args(given(place()).probe::<&str>([])).run().assert_code(0);
    let under = read(&file);
    let names: BTreeSet<&String> = alone.keys().chain(under.keys()).collect();
    for name in names.into_iter().filter(|n| !["pid", "ppid", "pgrp", "sid"].contains(&n.as_str())) {
        // Every run has pipes of its own.
        let value = |state: &State| state.get(name).map(|v| v.split("pipe:[").next().map(str::to_string));
        assert_eq!(value(&under), value(&alone), "{name}: under rinit, alone");
    }
    under
}

fn read(file: &Path) -> State {
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(|l| l.split_once('=').unwrap()).map(|(n, v)| (n.into(), v.into())).collect()
}

#[test]
fn the_plain_state() {
    each(PLACES, |place| {
        let state = unchanged(place, |run| run);
        assert_eq!(state["SigIgn"], "0000000000000000", "SIGPIPE, as Rust's runtime would leave it");
        assert_eq!(state["SigBlk"], "0000000000000000");
        let fds: Vec<_> = state.keys().filter(|k| k.starts_with("fd.")).collect();
        assert_eq!(fds, ["fd.0", "fd.1", "fd.2"], "a descriptor of rinit's has leaked");
    });
}

#[test]
fn the_plain_state_under_an_unprivileged_pid_1() {
    let Some(run) = Rinit::as_unprivileged_init() else { return };
    let out = run.stdout(Io::Pipe).probe(["state", "-"]).run().assert_code(0).stdout();
    assert!(out.contains("\nSigIgn=0000000000000000\n"), "{out}");
    assert_eq!(out.matches("\nfd.").count(), 3, "{out}");
}

#[test]
fn the_signal_mask() {
    each(PLACES, |place| {
        let blocked = [1, 2, 10, 13, 15, 17, 20, 32, 33, 34, 64];
        let state = unchanged(place, |run| blocked.into_iter().fold(run, Rinit::block));
        assert_eq!(state["SigBlk"], format!("{:016x}", set(blocked)));
    });
}

#[test]
fn every_signal_blocked() {
    each(PLACES, |place| {
        unchanged(place, |run| (1..=64).fold(run, Rinit::block));
    });
}

#[test]
fn ignored_signals_one_by_one() {
    each([libc::SIGCHLD, libc::SIGPIPE, libc::SIGHUP, libc::SIGTERM, libc::SIGTSTP, 32, 33, 34, 64], |signal| {
        for place in PLACES {
            let state = unchanged(place, |run| run.ignore(signal));
            assert_eq!(state["SigIgn"], format!("{:016x}", set([signal])));
        }
    });
}

#[test]
fn every_signal_ignored() {
    each(PLACES, |place| {
        unchanged(place, |run| common::forwardable().chain([libc::SIGCHLD]).fold(run, Rinit::ignore));
    });
}

#[test]
fn resource_limits() {
    each(PLACES, |place| {
        let state = unchanged(place, |run| {
            run.rlimit(libc::RLIMIT_NOFILE, 40, 50)
                .rlimit(libc::RLIMIT_CORE, 0, 4096)
                .rlimit(libc::RLIMIT_STACK, 1 << 20, 1 << 24)
                .rlimit(libc::RLIMIT_NPROC, 5000, 6000)
                .rlimit(libc::RLIMIT_MEMLOCK, 4096, 8192)
                .rlimit(libc::RLIMIT_SIGPENDING, 100, 200)
        });
        assert_eq!(state[&format!("rlimit.{}", libc::RLIMIT_NOFILE)], "40:50");
    });
}

#[test]
fn umask_and_working_directory() {
    each(PLACES, |place| {
        let dir = TempDir::new();
        let state = unchanged(place, |run| run.umask(0o137).cwd(dir.path()));
        assert_eq!(state["Umask"], "0137");
        assert_eq!(Path::new(&state["cwd"]), dir.path().canonicalize().unwrap());
    });
}

#[test]
fn descriptors_from_3_on() {
    each(PLACES, |place| {
        let dir = TempDir::new();
        let file = |name: &str| File::create(dir.join(name)).unwrap();
        let state = unchanged(place, |run| run.fd(3, file("three")).fd(4, file("four")).fd(57, file("fifty-seven")));
        let fds: Vec<_> = state.keys().filter(|k| k.starts_with("fd.")).collect();
        assert_eq!(fds, ["fd.0", "fd.1", "fd.2", "fd.3", "fd.4", "fd.57"]);
    });
}

#[test]
fn descriptors_up_to_the_limit() {
    each(PLACES, |place| {
        let null = || File::open("/dev/null").unwrap();
        // Little room for rinit's own.
        unchanged(place, |run| (3..20).fold(run, |run, n| run.fd(n, null())).rlimit(libc::RLIMIT_NOFILE, 32, 32));
    });
}

#[test]
fn environment_byte_for_byte() {
    each(PLACES, |place| {
        let entries: [&[u8]; 9] = [
            b"PLAIN=1",
            b"TWICE=1",
            b"TWICE=2",
            b"NOT_UTF8=\xff\xfe\x80",
            b"\xff=name",
            b"no assignment",
            b"=empty name",
            b"",
            b"RINIT_TERMINATION_LOG=off",
        ];
        let state = unchanged(place, |run| run.raw_env(&entries));
        for (n, entry) in entries.iter().enumerate() {
            assert_eq!(state[&format!("env.{n}")], entry.escape_ascii().to_string());
        }
        unchanged(place, |run| run.raw_env(&[b"RINIT_TERMINATION_LOG=off"]));
    });
}

#[test]
fn arguments_that_are_not_utf8() {
    let dir = TempDir::new();
    let file = dir.join("state");
    each(PLACES, |place| {
        let file = file.with_extension(format!("{:p}", place as *const ()));
        let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe \x01");
        let args = ["state".as_ref(), file.as_os_str(), odd, "".as_ref(), "--".as_ref(), "-v".as_ref()];
        place().probe(args).run().assert_code(0);
        let state = read(&file);
        let args = [3, 4, 5, 6].map(|n| state[&format!("argv.{n}")].as_str());
        assert_eq!(args, ["\\xff\\xfe \\x01", "", "--", "-v"]);
    });
}

#[test]
fn stdio_closed_in_every_combination() {
    each((0..8).flat_map(|closed| PLACES.map(|place| (closed, place))), |(closed, place)| {
        let io = |n: u32| if closed & 1 << n != 0 { Io::Closed } else { Io::Null };
        let state = unchanged(place, |run| run.stdin(io(0)).stdout(io(1)).stderr(io(2)));
        for n in 0..3 {
            assert_eq!(state.contains_key(&format!("fd.{n}")), closed & 1 << n == 0, "{state:?}");
        }
    });
}

#[test]
fn statuses_with_all_stdio_closed() {
    each(PLACES, |place| {
        let closed = || place().stdin(Io::Closed).stdout(Io::Closed).stderr(Io::Closed);
        closed().probe(["exit", "9"]).run().assert_code(9);
        closed().probe(["die", "11"]).run().assert_code(139);
        closed().args(["--", "/nonexistent/program"]).run().assert_code(127);
    });
}

#[test]
fn listen_pid_that_names_rinit_names_the_program_afterwards() {
    let state = listen_pid("1");
    assert_eq!(state["env.0"], format!("LISTEN_PID={}", state["pid"]));
    assert_eq!(state["env.1"], "LISTEN_FDS=1");
}

#[test]
fn listen_pid_that_names_another_process_stays() {
    for pid in ["77", "11", "", "x", "-1"] {
        assert_eq!(listen_pid(pid)["env.0"], format!("LISTEN_PID={pid}"));
    }
}

fn listen_pid(pid: &str) -> State {
    let dir = TempDir::new();
    let file = dir.join("state");
    let entry = format!("LISTEN_PID={pid}");
    let env: [&[u8]; 3] = [entry.as_bytes(), b"LISTEN_FDS=1", b"RINIT_TERMINATION_LOG=off"];
    let run = Rinit::as_init().raw_env(&env).fd(3, File::open("/dev/null").unwrap());
    run.probe(["state".as_ref(), file.as_os_str()]).run().assert_code(0);
    read(&file)
}

#[test]
fn rinit_keeps_stderr_and_as_pid_1_stdout_and_no_other_descriptor() {
    let dir = TempDir::new();
    each(PLACES.into_iter().zip([true, false]), |(place, is_init)| {
        let name = |n: usize| dir.join(format!("{n}-{is_init}"));
        let file = |n: usize| OwnedFd::from(File::create(name(n)).unwrap());
        let run = place().stdin(Io::Fd(file(0))).stdout(Io::Fd(file(1))).stderr(Io::Fd(file(2)));
        let run = run.fd(3, file(3)).fd(9, file(9)).cwd(dir.path());
        let mut run = run.probe(["hold"]).spawn();
        let expected = if is_init { vec![name(1), name(2)] } else { vec![name(2)] };
        let rinit = run.pid();
        let held = || -> Vec<_> {
            let targets = proc::descriptors(rinit).into_iter().map(|(_, target)| dir.join(target));
            targets.filter(|t| t.starts_with(dir.path()) && t.is_file()).collect()
        };
        run.until("only these descriptors are held", || (held() == expected).then_some(()));
        run.until("the working directory is /", || {
            (fs::read_link(format!("/proc/{rinit}/cwd")).ok()? == Path::new("/")).then_some(())
        });
        let low = proc::descriptors(rinit).into_iter().take_while(|(n, _)| *n < 3).map(|(n, _)| n);
        assert!(low.eq(0..3), "a descriptor of rinit's own could land there: {:?}", proc::descriptors(rinit));
    });
}

#[test]
fn a_reader_sees_that_the_program_closed_its_end() {
    each(PLACES, |place| {
        let (read, write) = common::pipe();
        let script = "exec 5>&-; echo closed; read x";
        let mut run = place().stdin(Io::Pipe).fd(5, write).args(["sh", "-c", script]).spawn();
        run.expect_line("closed");
        let mut reader = File::from(read);
        assert!(at_end(&mut run, &mut reader));
        run.close_stdin();
        run.wait().assert_code(1);
    });
}

#[test]
fn rinits_own_descriptors_are_3_and_above_when_stdio_came_closed() {
    each(PLACES, |place| {
        let run = place().stdin(Io::Closed).stdout(Io::Closed).stderr(Io::Closed).probe(["hold"]);
        let mut run = run.spawn();
        let (rinit, program) = (run.pid(), run.program());
        run.until("PROGRAM runs", || {
            (fs::read_link(format!("/proc/{program}/exe")).ok()? != fs::read_link(format!("/proc/{rinit}/exe")).ok()?)
                .then_some(())
        });
        for (n, target) in proc::descriptors(rinit) {
            assert!(n > 2 || target == "/dev/null", "{n} -> {target}");
        }
        assert_eq!(proc::descriptors(program), []);
    });
}

#[test]
fn credentials() {
    if !is_root("another user") {
        return;
    }
    let run = Rinit::as_init().uid(1000).args(["--", "sh", "-c", "id -u; id -g; grep CapEff /proc/self/status"]);
    assert_eq!(run.run().assert_code(0).stdout(), "1000\n1000\nCapEff:\t0000000000000000\n");
}

/// Polls a pipe's reading end for its end, within the run's deadline.
fn at_end(run: &mut Running, reader: &mut File) -> bool {
    use std::os::fd::AsRawFd;
    assert_eq!(unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) }, 0);
    run.until("the pipe has ended", || reader.read(&mut [0]).ok()) == 0
}

fn set(signals: impl IntoIterator<Item = i32>) -> u64 {
    signals.into_iter().map(|s| 1 << (s - 1)).sum()
}
