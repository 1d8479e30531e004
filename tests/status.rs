//! The status that comes out is the status that went in.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{PLACES, Rinit, Running, each, proc};

/// The probe's own status when a signal did not end it.
const SURVIVED: i32 = 77;

#[test]
fn every_exit_code_comes_out_as_pid_1() {
    each(0..256, |code| {
        Rinit::as_init().probe(["exit", &code.to_string()]).run().assert_code(code);
    });
}

#[test]
fn every_exit_code_comes_out_as_subreaper() {
    each(0..256, |code| {
        Rinit::as_subreaper().probe(["exit", &code.to_string()]).run().assert_code(code);
    });
}

#[test]
fn exit_codes_come_out_as_unprivileged_pid_1() {
    each([0, 1, 3, 255], |code| {
        if let Some(run) = Rinit::as_unprivileged_init() {
            run.probe(["exit", &code.to_string()]).run().assert_code(code);
        }
    });
}

#[test]
fn every_deadly_signal_comes_out_as_128_plus_its_number() {
    each(PLACES.into_iter().flat_map(|place| (1..=64).map(move |signal| (place, signal))), |(place, signal)| {
        if !is_ignored_by_default(signal) && !stops_by_default(signal) {
            place().probe(["die", &signal.to_string()]).run().assert_code(128 + signal);
        }
    });
}

#[test]
fn deadly_signals_come_out_as_unprivileged_pid_1() {
    each([libc::SIGABRT, libc::SIGKILL, libc::SIGSEGV, libc::SIGTERM, 34, 64], |signal| {
        if let Some(run) = Rinit::as_unprivileged_init() {
            run.probe(["die", &signal.to_string()]).run().assert_code(128 + signal);
        }
    });
}

#[test]
fn signals_ignored_by_default_end_nothing() {
    each(PLACES, |place| {
        for signal in (1..=64).filter(|s| is_ignored_by_default(*s)) {
            place().probe(["die", &signal.to_string()]).run().assert_code(SURVIVED);
        }
    });
}

#[test]
fn a_stopped_program_lives_on_after_sigcont_as_pid_1() {
    each([libc::SIGSTOP, libc::SIGTTIN, libc::SIGTTOU], |signal| {
        let mut run = Rinit::as_init().probe(["die", &signal.to_string()]).spawn();
        let program = run.program();
        stopped(&mut run, program);
        run.signal(libc::SIGCONT);
        run.wait().assert_code(SURVIVED);
    });
}

#[test]
fn a_program_stopped_by_sigtstp_is_continued_at_once_as_pid_1() {
    Rinit::as_init().probe(["die", &libc::SIGTSTP.to_string()]).run().assert_code(SURVIVED);
}

#[test]
fn rinit_stops_with_its_program_as_subreaper() {
    // SIGSTOP, which anybody may send to PROGRAM alone: tests/terminal.
    each([libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU], |signal| {
        let mut run = Rinit::as_subreaper().probe(["die", &signal.to_string()]).spawn();
        let (rinit, program) = (run.pid(), run.program());
        stopped(&mut run, program);
        stopped(&mut run, rinit);
        // As a shell's fg does.
        common::kill(-rinit, libc::SIGCONT);
        run.wait().assert_code(SURVIVED);
    });
}

fn stopped(run: &mut Running, pid: i32) {
    run.until("it is stopped", || (proc::state(pid)? == 'T').then_some(()));
}

fn is_ignored_by_default(signal: i32) -> bool {
    [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH].contains(&signal)
}

fn stops_by_default(signal: i32) -> bool {
    [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].contains(&signal)
}
