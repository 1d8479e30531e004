//! Programs that are asked to stop, and what the report makes of it, where it takes more than one signal. All others:
//! tests/scenarios/stopping.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::net::{TcpListener, TcpStream};

use common::{Rinit, Running, proc};

const PYTHON: &str = "/usr/bin/python3";

fn start(words: &[&str]) -> Running {
    Rinit::as_init().json().args(["--"]).args(words).spawn()
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
fn a_shell_keeps_the_signal_from_an_unprivileged_pid_1_as_well() {
    let Some(run) = Rinit::as_unprivileged_init() else { return };
    let mut run = run.json().args(["--", "/usr/bin/dash", "-c", "echo ready; sleep 1000; exit 5"]).spawn();
    run.expect_line("ready");
    shell_waits_for_sleep(&mut run);
    run.signal(libc::SIGTERM);
    run.wait().assert_cause(143, "shell-kept-signal", "certain", "got none from rinit and still ran");
}

#[test]
fn an_ignored_signal_explains_no_end() {
    let script = "trap '' TERM; echo ready; read line; exit 4";
    let run = Rinit::as_init().json().stdin(common::Io::Pipe);
    let mut run = run.args(["-vv", "--", "/usr/bin/dash", "-c", script]).spawn();
    run.expect_line("ready");
    run.signal(libc::SIGTERM);
    run.expect_err_line("SIGTERM from");
    run.close_stdin();
    run.wait().assert_cause(4, "exit-error", "unknown", "it ignored it then");
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
