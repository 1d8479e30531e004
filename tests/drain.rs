//! `--drain`: what PROGRAM leaves ends with it, and the report says how.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "common/schema.rs"]
mod schema;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use common::{Ended, PLACES, Rinit, each, proc};
use serde_json::Value;

const PYTHON: &str = "/usr/bin/python3";

/// The report, as the schema has it.
#[track_caller]
fn report(ended: &Ended) -> Value {
    let line = ended.stderr().lines().find(|line| line.starts_with("{\"schema\"")).unwrap().to_owned();
    schema::validate(line.as_bytes())
}

/// The note on what was drained.
#[track_caller]
fn drained(ended: &Ended) -> String {
    let report = report(ended);
    let notes = report["notes"].as_array().unwrap();
    let note = notes.iter().find(|note| note["id"] == "drained").unwrap_or_else(|| panic!("{report:#}"));
    assert!(!notes.iter().any(|note| note["id"] == "processes-left"), "{report:#}");
    assert!(!report["message"].as_str().unwrap().contains("--drain"), "{report:#}");
    note["summary"].as_str().unwrap().to_owned()
}

/// Every process with this word in its environment.
fn marked(mark: &str) -> BTreeSet<i32> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let has = |pid: &i32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
    };
    pids.filter(has).collect()
}

/// Nobody that PROGRAM made is there any more.
#[track_caller]
fn assert_nobody(mark: &str) {
    let left = marked(mark);
    assert!(left.is_empty(), "{left:?}");
}

fn mark(n: u32) -> (String, String) {
    let name = "DRAINED_TEST".to_owned();
    let value = format!("{}-{n}", std::process::id());
    (format!("{name}={value}"), value)
}

#[test]
fn by_default_rinit_goes_at_once() {
    let ended = Rinit::as_init().json().probe(["leave", "3"]).run();
    ended.assert_code(3);
    let report = report(&ended);
    assert_eq!(report["left"].as_array().unwrap().len(), 3);
    assert!(report["left"][0].get("ended").is_none(), "{report:#}");
    assert!(ended.says("still there at the end: probe (pid "), "{ended:?}");
}

#[test]
fn what_is_left_ends_by_sigterm() {
    each(PLACES.into_iter().enumerate(), |(n, place)| {
        let (entry, value) = mark(n as u32);
        let start = Instant::now();
        let ended = place().json().env("DRAINED_TEST", value).args(["-d", "60s"]).probe(["leave", "3"]).run();
        assert!(start.elapsed() < Duration::from_secs(40), "it waited for nobody");
        ended.assert_cause(
            3,
            "exit-error",
            "unknown",
            "3 processes were still there at the end for --drain: 3 ended by SIGTERM",
        );
        let report = report(&ended);
        for left in report["left"].as_array().unwrap() {
            assert_eq!((&left["ended"], &left["program"]), (&"SIGTERM".into(), &"probe".into()), "{report:#}");
            assert!(left["after_ms"].as_u64().unwrap() < 40_000);
        }
        assert_eq!(report["left"].as_array().unwrap().len(), 3);
        assert_nobody(&entry);
    });
}

#[test]
fn nothing_left_is_not_worth_a_word_nor_a_wait() {
    each(PLACES, |place| {
        let start = Instant::now();
        let ended = place().json().args(["-d", "60s"]).probe(["exit", "0"]).run();
        assert!(start.elapsed() < Duration::from_secs(40));
        ended.assert_code(0);
        assert_eq!(report(&ended)["notes"].as_array().unwrap().len(), 0);
    });
}

#[test]
fn each_does_what_it_does() {
    // A handler that takes its time, one that is deaf, one that is stopped, one whose parent lives and waits for it.
    let script = "import os, signal, sys, time
def child(what):
    ready, done = os.pipe()
    if os.fork() == 0:
        os.close(ready)
        what(done)
        os.close(done)
        while True: signal.pause()
    os.close(done)
    os.read(ready, 1)
def slow(_): signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.2), os._exit(7)))
def deaf(_): signal.signal(signal.SIGTERM, signal.SIG_IGN)
def stopped(done):
    os.close(done)
    os.kill(os.getpid(), signal.SIGSTOP)
    signal.pause()
def parent(done):
    pid = os.fork()
    if pid == 0:
        os.close(done)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        while True: signal.pause()
    signal.signal(signal.SIGTERM, lambda *_: (os.waitpid(pid, 0), os._exit(0)))
for what in (slow, deaf, stopped): child(what)
child(parent)
sys.exit(0)";
    each(PLACES.into_iter().enumerate(), |(n, place)| {
        let (entry, value) = mark(10 + n as u32);
        let run = place().json().env("DRAINED_TEST", value).args(["-d", "5s", "--", PYTHON, "-c", script]);
        let ended = run.run();
        ended.assert_code(0);
        let note = drained(&ended);
        assert!(note.starts_with("5 processes were still there at the end for --drain: "), "{note}");
        assert!(note.contains("1 ended by SIGTERM") || note.contains("2 ended by SIGTERM"), "{note}");
        assert!(note.contains(" exited within "), "{note}");
        assert!(note.contains("1 killed after 5."), "{note}");
        let report = report(&ended);
        let how: BTreeSet<_> =
            report["left"].as_array().unwrap().iter().map(|left| left["ended"].to_string()).collect();
        for wanted in ["\"exit 7\"", "\"SIGKILL\"", "\"SIGTERM\"", "\"gone\""] {
            assert!(how.contains(wanted), "{wanted}: {report:#}");
        }
        assert_nobody(&entry);
    });
}

#[test]
fn a_thousand_of_all_kinds() {
    for (n, place) in PLACES.into_iter().enumerate() {
        let (entry, value) = mark(20 + n as u32);
        let run = place().json().deadline(Duration::from_secs(60)).env("DRAINED_TEST", value);
        let mut run = run.args(["-d", "2s", "-v"]).probe(["litter", "1000"]).spawn();
        let program = run.program();
        run.until("PROGRAM has ended", || (!matches!(proc::state(program), Some('R' | 'S' | 'D'))).then_some(()));
        let start = Instant::now();
        let ended = run.wait();
        let took = start.elapsed();
        ended.assert_code(3);
        assert!(took < Duration::from_secs(20), "{took:?}");
        let note = drained(&ended);
        for part in [" ended by SIGTERM", " killed after "] {
            assert!(note.contains(part), "{note}");
        }
        assert!(!note.contains("still there ("), "{note}");
        assert_nobody(&entry);
    }
}

#[test]
fn orphans_of_orphans_in_sessions_of_their_own() {
    each(PLACES.into_iter().enumerate(), |(n, place)| {
        let (entry, value) = mark(30 + n as u32);
        let run = place().json().env("DRAINED_TEST", value).args(["-d", "60s"]);
        let ended = run.probe(["daemonise"]).run();
        ended.assert_cause(
            0,
            "daemonised",
            "likely",
            "1 process was still there at the end for --drain: 1 ended by SIGTERM",
        );
        assert_nobody(&entry);
    });
}

/// The stop timeout goes on after PROGRAM's end: the drain has what is left of it.
#[test]
fn the_stop_timeout_is_over_for_the_rest_too() {
    let script = "import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    while True: signal.pause()
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print('ready', flush=True)
while True: signal.pause()";
    each(PLACES, |place| {
        let run = place().json().args(["-t", "3s", "-d", "60s", "--", PYTHON, "-c", script]);
        let mut run = run.spawn();
        run.expect_line("ready");
        let start = Instant::now();
        run.signal(libc::SIGTERM);
        let ended = run.wait();
        let took = start.elapsed();
        assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(40), "{took:?}");
        ended.assert_cause(0, "stopped-cleanly", "likely", "1 killed after ");
    });
}

/// A stop signal that comes meanwhile is passed on, and starts the stop timeout.
#[test]
fn signals_that_come_meanwhile() {
    let script = "import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
ready, done = os.pipe()
if os.fork() == 0:
    signal.signal(signal.SIGINT, lambda *_: (print('child got it', flush=True), os._exit(9)))
    signal.signal(signal.SIGHUP, lambda *_: print('hangup', flush=True))
    os.close(done)
    while True: signal.pause()
os.close(done)
os.read(ready, 1)
print('bye', flush=True)
os.read(0, 1)";
    each(PLACES, |place| {
        let run = place().json().stdin(common::Io::Pipe);
        let mut run = run.args(["-d", "60s", "--", PYTHON, "-c", script]).spawn();
        let (rinit, program) = (run.pid(), run.program());
        run.expect_line("bye");
        run.close_stdin();
        run.until("PROGRAM is reaped", || (!proc::children(rinit).contains(&program)).then_some(()));
        // No request to stop: not for them.
        run.signal(libc::SIGHUP);
        run.signal(libc::SIGINT);
        run.expect_line("child got it");
        let ended = run.wait();
        ended.assert_code(0);
        assert!(!ended.stdout().contains("hangup"), "{ended:?}");
        assert!(drained(&ended).contains("1 exited"), "{ended:?}");

        let run = place().json().stdin(common::Io::Pipe);
        let mut run = run.args(["-d", "60s", "-t", "300ms", "--", PYTHON, "-c", script]).spawn();
        let (rinit, program) = (run.pid(), run.program());
        run.expect_line("bye");
        run.close_stdin();
        run.until("PROGRAM is reaped", || (!proc::children(rinit).contains(&program)).then_some(()));
        run.signal(libc::SIGTERM);
        let start = Instant::now();
        let ended = run.wait();
        assert!(start.elapsed() < Duration::from_secs(40), "the stop timeout did not bound it");
        assert!(drained(&ended).contains("1 killed after"), "{ended:?}");
    });
}

#[test]
fn after_a_kill_by_the_stop_timeout_nothing_is_waited_for() {
    let script = "import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
os.write(1, b'ready\\n')
while True: signal.pause()";
    each(PLACES.into_iter().enumerate(), |(n, place)| {
        let (entry, value) = mark(40 + n as u32);
        let run =
            place().json().env("DRAINED_TEST", value).args(["-t", "300ms", "-d", "60s", "--", PYTHON, "-c", script]);
        let mut run = run.spawn();
        run.expect_line("ready");
        run.expect_line("ready");
        let start = Instant::now();
        run.signal(libc::SIGTERM);
        let ended = run.wait();
        assert!(start.elapsed() < Duration::from_secs(40));
        ended.assert_cause(137, "killed-after-stop-timeout", "certain", "it ignores SIGTERM");
        assert!(drained(&ended).contains("1 killed after"), "{ended:?}");
        assert_nobody(&entry);
    });
}

/// An exec session is nobody's child here, and nobody tells rinit of its end.
#[test]
fn an_exec_session_is_drained_too() {
    if !common::is_root("nsenter") {
        return;
    }
    for (deaf, limit) in [(false, "60s"), (true, "4s")] {
        let mut run = Rinit::as_init().json().stdin(common::Io::Pipe).args(["-d", limit, "--", "/bin/cat"]).spawn();
        let rinit = run.pid();
        let program = run.program();
        run.until("cat runs", || (proc::status(program, "Name")? == "cat").then_some(()));
        let script = if deaf { "trap '' TERM; echo in; exec sleep 1000" } else { "echo in; exec sleep 1000" };
        let mut session = std::process::Command::new("nsenter")
            .args(["--target", &rinit.to_string(), "--pid", "--mount", "--", "/bin/sh", "-c", script])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0; 3];
        std::io::Read::read_exact(session.stdout.as_mut().unwrap(), &mut line).unwrap();
        let start = Instant::now();
        run.close_stdin();
        let ended = run.wait();
        session.wait().unwrap();
        ended.assert_code(0);
        assert!(start.elapsed() < Duration::from_secs(40), "its end was not noticed: {ended:?}");
        let note = drained(&ended);
        assert!(note.contains(" from an exec session"), "{note}");
        assert_eq!(start.elapsed() >= Duration::from_millis(3900), deaf, "{note}");
    }
}

/// While it waits, rinit sleeps.
#[test]
fn no_wake_up_while_it_waits() {
    let script = "trap '' TERM; sleep 1000 & trap - TERM; echo ready; read line; exit 0";
    each(PLACES, |place| {
        let run = place().stdin(common::Io::Pipe);
        let mut run = run.args(["-d", "60s", "--", "/usr/bin/dash", "-c", script]).spawn();
        let (rinit, program) = (run.pid(), run.program());
        run.expect_line("ready");
        run.close_stdin();
        run.until("PROGRAM is reaped", || (!proc::children(rinit).contains(&program)).then_some(()));
        let switches = || proc::status(rinit, "voluntary_ctxt_switches").and_then(|n| n.parse::<u64>().ok());
        let before = run.until("it sleeps", || {
            let before = switches()?;
            std::thread::sleep(Duration::from_millis(300));
            (switches()? == before).then_some(before)
        });
        std::thread::sleep(Duration::from_millis(800));
        assert_eq!(switches(), Some(before), "it woke up");
        proc::children(rinit).into_iter().for_each(|left| common::kill(left, libc::SIGKILL));
        run.wait().assert_code(0);
    });
}

#[test]
fn a_pause_drains_at_its_end() {
    let mut run = Rinit::as_init().args(["-P", "-d", "10s"]).spawn();
    run.blocks_signals();
    let start = Instant::now();
    run.signal(libc::SIGTERM);
    run.wait().assert_code(0);
    assert!(start.elapsed() < Duration::from_secs(40));
    if !common::is_root("nsenter") {
        return;
    }
    for deaf in [false, true] {
        let mut run = Rinit::as_init().args(["--pause", "--drain=600ms"]).spawn();
        run.blocks_signals();
        let trap = if deaf { "trap '' TERM; " } else { "" };
        let mut session = std::process::Command::new("nsenter")
            .args(["--target", &run.pid().to_string(), "--pid", "--mount", "--", "/bin/sh", "-c"])
            .arg(format!("{trap}echo in; exec sleep 1000"))
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0; 3];
        std::io::Read::read_exact(session.stdout.as_mut().unwrap(), &mut line).unwrap();
        run.signal(libc::SIGTERM);
        run.wait().assert_code(0);
        let status = session.wait().unwrap();
        // nsenter passes on how its child ended.
        let signal = if deaf { libc::SIGKILL } else { libc::SIGTERM };
        let ended = std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0);
        assert!(ended == signal || status.code() == Some(128 + signal), "{status:?}");
    }
}

#[test]
fn what_did_not_start_drains_nothing() {
    let ended = Rinit::as_init().json().args(["-d", "60s", "--", "/nonexistent"]).run();
    ended.assert_code(127);
    assert_eq!(report(&ended)["notes"].as_array().unwrap().len(), 0);
}
