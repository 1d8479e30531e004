//! Real programs that are asked to stop, and what the report makes of it.
#![allow(clippy::print_stderr, missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::net::{TcpListener, TcpStream};
use std::path::Path;

use common::{Ended, Rinit, Running, each, proc};

const PYTHON: &str = "/usr/bin/python3";

/// Skips loudly where a program is not installed.
fn installed(program: &str) -> bool {
    let there = Path::new(program).exists();
    if !there {
        eprintln!("SKIPPED, not installed: {program}");
    }
    there
}

fn start(words: &[&str]) -> Running {
    Rinit::as_init().json().args(["--"]).args(words).spawn()
}

/// Runs until `ready`, then sends `signal` and waits for the end.
#[track_caller]
fn stop(words: &[&str], signal: i32) -> Ended {
    let mut run = start(words);
    run.expect_line("ready");
    run.signal(signal);
    run.wait()
}

/// dash blocks all signals around its vfork, which leaves another trace of their delivery.
fn shell_waits_for_sleep(run: &mut Running) {
    const TERM: u64 = 1 << (libc::SIGTERM - 1);
    let program = run.program();
    let is_sleep = |child: &i32| proc::status(*child, "Name").as_deref() == Some("sleep");
    run.until("sleep runs", || proc::children(program).into_iter().find(is_sleep));
    run.until("the shell waits", || {
        (proc::state(program)? == 'S' && proc::signal_set(program, "SigBlk")? & TERM == 0).then_some(())
    });
}

#[test]
fn a_shell_keeps_the_signal_from_the_program_behind_it() {
    // The exit keeps every shell from running the last command in its own place.
    let script = "echo ready; sleep 1000; exit 5";
    let shells: [&[&str]; 4] =
        [&["/usr/bin/dash"], &["/usr/bin/bash"], &["/usr/bin/busybox", "ash"], &["/usr/bin/busybox", "sh"]];
    each(shells, |shell| {
        if !installed(shell[0]) {
            return;
        }
        let mut run = start(&[shell, &["-c", script]].concat());
        run.expect_line("ready");
        shell_waits_for_sleep(&mut run);
        run.signal(libc::SIGTERM);
        let ended = run.wait();
        ended.assert_cause(143, "shell-kept-signal", "certain", "alone, its child sleep (pid ");
        assert!(ended.says("exec before the command") && ended.says("from outside"), "{ended:?}");
        assert_eq!(ended.report()["left"][0]["program"], "sleep");
    });
}

#[test]
fn a_shell_keeps_the_signal_from_an_unprivileged_pid_1_as_well() {
    let Some(run) = Rinit::as_unprivileged_init() else { return };
    let mut run = run.json().args(["--", "/usr/bin/dash", "-c", "echo ready; sleep 1000; exit 5"]).spawn();
    run.expect_line("ready");
    shell_waits_for_sleep(&mut run);
    run.signal(libc::SIGTERM);
    run.wait().assert_cause(143, "shell-kept-signal", "certain", "got none from rinit and still ran");
}

#[test]
fn a_signal_to_the_group_is_not_kept() {
    let script = "echo ready; sleep 1000; exit 5";
    let mut run = Rinit::as_init().json().args(["-g", "--", "/usr/bin/dash", "-c", script]).spawn();
    run.expect_line("ready");
    shell_waits_for_sleep(&mut run);
    run.signal(libc::SIGTERM);
    run.wait().assert_cause(143, "stopped-without-handler", "likely", "no handler");
}

#[test]
fn a_shell_that_becomes_its_program_keeps_nothing() {
    let ended = stop(&["/usr/bin/dash", "-c", "echo ready; exec sleep 1000"], libc::SIGTERM);
    ended.assert_cause(143, "stopped-without-handler", "likely", "dash was ended by SIGTERM");
    assert_eq!(ended.report()["left"].as_array().unwrap().len(), 0);
}

#[test]
fn a_trap_runs_after_the_command_in_the_foreground() {
    // The command ends a while after the signal, which is when the trap has its turn.
    let script = "trap 'exit 0' TERM; echo ready; /usr/bin/python3 -c 'import time; print(\"running\", flush=True); time.sleep(1.5)'; exit 5";
    for shell in ["/usr/bin/dash", "/usr/bin/bash"] {
        let mut run = start(&[shell, "-c", script]);
        run.expect_line("ready");
        run.expect_line("running");
        run.signal(libc::SIGTERM);
        run.wait().assert_cause(0, "stopped-cleanly", "likely", "a shell runs its trap for SIGTERM only when");
    }
}

#[test]
fn a_trap_that_exits() {
    let ended = stop(&["/usr/bin/dash", "-c", "trap 'exit 3' TERM; echo ready; sleep 1000 & wait"], libc::SIGTERM);
    ended.assert_cause(3, "stop-failed", "likely", "it had a handler for it");
}

#[test]
fn a_handler_that_raises_the_signal_again() {
    let python = "import os, signal, time
def handler(n, _):
    signal.signal(n, signal.SIG_DFL)
    os.kill(os.getpid(), n)
signal.signal(signal.SIGTERM, handler)
print('ready', flush=True)
time.sleep(1000)";
    let perl = "$| = 1; $SIG{TERM} = sub { $SIG{TERM} = 'DEFAULT'; kill 'TERM', $$ }; print \"ready\\n\"; sleep 1000";
    for words in [[PYTHON, "-c", python], ["/usr/bin/perl", "-e", perl]] {
        stop(&words, libc::SIGTERM).assert_cause(
            143,
            "stopped-by-own-handler",
            "likely",
            "own handler most likely raised",
        );
    }
}

#[test]
fn no_handler() {
    let ended = stop(&[PYTHON, "-c", "import time; print('ready', flush=True); time.sleep(1000)"], libc::SIGTERM);
    ended.assert_cause(143, "stopped-without-handler", "likely", "still pending at its death");
}

#[test]
fn an_ignored_signal_explains_no_end() {
    let script = "trap '' TERM; echo ready; read line; exit 4";
    let mut run = Rinit::as_init().json().stdin(common::Io::Pipe).args(["--", "/usr/bin/dash", "-c", script]).spawn();
    run.expect_line("ready");
    run.signal(libc::SIGTERM);
    run.close_stdin();
    run.wait().assert_cause(4, "exit-error", "unknown", "it ignored it then");
}

#[test]
fn sigwait_is_neither_a_block_nor_a_missing_handler() {
    let python = "import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print('ready', flush=True)
signal.sigwait([signal.SIGTERM])";
    let ended = stop(&[PYTHON, "-c", python], libc::SIGTERM);
    ended.assert_cause(0, "stopped-cleanly", "likely", "stopped on request");
    assert!(!ended.says("not taken") && !ended.says("no handler") && !ended.says("block"), "{ended:?}");
}

#[test]
fn a_blocked_signal_explains_no_end() {
    let python = "import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print('ready', flush=True)
sys.stdin.read()";
    let mut run = Rinit::as_init().json().stdin(common::Io::Pipe).args(["--", PYTHON, "-c", python]).spawn();
    run.expect_line("ready");
    run.signal(libc::SIGTERM);
    let program = run.program();
    run.until("SIGTERM is pending", || (proc::signal_set(program, "ShdPnd")? & 1 << 14 != 0).then_some(()));
    run.close_stdin();
    run.wait().assert_cause(0, "completed", "likely", "it had not taken it when it ended");
}

#[test]
fn a_stopped_program_takes_nothing() {
    let mut run = start(&[PYTHON, "-c", "import time; print('ready', flush=True); time.sleep(1000)"]);
    run.expect_line("ready");
    let program = run.program();
    common::kill(program, libc::SIGSTOP);
    run.until("it is stopped", || (proc::state(program)? == 'T').then_some(()));
    run.signal(libc::SIGTERM);
    run.until("SIGTERM is pending", || (proc::signal_set(program, "ShdPnd")? & 1 << 14 != 0).then_some(()));
    common::kill(program, libc::SIGKILL);
    let ended = run.wait();
    ended.assert_cause(137, "killed-by-unknown", "unknown", "it was stopped then, it had not taken it when it ended");
}

#[test]
fn connections_that_waited_when_the_signal_came() {
    // Listens and accepts nobody: a hung event loop.
    let python = "import socket, sys, time, signal
s = socket.socket()
s.bind(('127.0.0.1', 0))
s.listen(64)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print('ready', s.getsockname()[1], flush=True)
time.sleep(1000)";
    let mut run = start(&[PYTHON, "-c", python]);
    let line = run.expect_line("ready");
    let port: u16 = line["ready ".len()..].parse().unwrap();
    let clients: Vec<_> = (0..7).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    // Another's queue in the same network namespace is none of its business.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let _waits = TcpStream::connect(other.local_addr().unwrap()).unwrap();
    run.signal(libc::SIGTERM);
    let ended = run.wait();
    let fact = format!("7 connections to port {port} waited to be accepted when SIGTERM came");
    ended.assert_cause(0, "stopped-cleanly", "likely", &fact);
    assert!(!ended.says("1 connection"), "{ended:?}");
    drop(clients);
}

#[test]
fn a_daemon_goes_to_the_background() {
    let ended = Rinit::as_init().json().probe(["daemonise"]).run();
    ended.assert_cause(0, "daemonised", "likely", "left 1 probe process running");
    if installed("/usr/sbin/nginx") {
        Rinit::as_init().json().args(["--", "/usr/sbin/nginx"]).run().assert_cause(
            0,
            "daemonised",
            "likely",
            "daemon off;",
        );
    }
}

#[test]
fn a_command_left_in_the_background_by_a_script_is_no_daemon() {
    let ended = Rinit::as_init().json().args(["--", "/usr/bin/dash", "-c", "sleep 1000 & exit 0"]).run();
    assert_eq!(ended.report()["cause"]["id"], "completed", "{ended:?}");
    assert!(ended.says("left 1 process running"), "{ended:?}");
}

#[test]
fn children_that_were_never_waited_for() {
    let python = "import os, time
for _ in range(4):
    if os.fork() == 0: os._exit(0)
for pid in os.listdir('/proc'):
    while pid.isdigit() and int(pid) > os.getpid() and open(f'/proc/{pid}/stat').read().split(') ')[1][0] != 'Z': pass";
    let ended = Rinit::as_init().json().args(["--", PYTHON, "-c", python]).run();
    ended.assert_cause(
        0,
        "completed",
        "certain",
        "4 processes had ended and nobody had waited for them when python3 ended",
    );
}

#[test]
fn java_stops_on_request() {
    if !installed("/usr/bin/java") {
        return;
    }
    let source = "class Main { public static void main(String[] a) throws Exception { System.out.println(\"ready\"); Thread.sleep(1000000); } }";
    let dir = common::TempDir::new();
    let file = dir.join("Main.java");
    std::fs::write(&file, source).unwrap();
    let ended = stop(&["/usr/bin/java", file.to_str().unwrap()], libc::SIGTERM);
    ended.assert_cause(143, "stopped-by-own-handler", "certain", "it had a handler for it");
}

#[test]
fn a_signal_that_did_not_come_through_rinit() {
    let mut run = start(&[PYTHON, "-c", "import time; print('ready', flush=True); time.sleep(1000)"]);
    run.expect_line("ready");
    let program = run.program();
    common::kill(program, libc::SIGTERM);
    run.wait().assert_cause(143, "terminated-from-inside", "likely", "still pending at its death");
}
