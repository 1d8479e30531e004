//! Orphans are collected, and PROGRAM's own end is never missed.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs::File;
use std::io::Read;

use common::{Io, PLACES, Rinit, Running, each, proc};

fn zombies(pid: i32) -> usize {
    proc::children(pid).into_iter().filter(|p| proc::state(*p) == Some('Z')).count()
}

#[test]
fn ten_thousand_orphans_leave_no_zombie_and_no_memory() {
    for place in PLACES {
        let mut run = place().stdin(Io::Pipe).probe(["orphans", "10000"]).spawn();
        run.expect_line("first");
        let rinit = run.pid();
        run.until("the first are reaped", || (proc::children(rinit).len() == 1).then_some(()));
        let before = proc::anonymous_kb(rinit);
        run.write_stdin(b"\n");
        run.expect_line("done");
        run.until("all orphans are reaped", || (proc::children(rinit).len() == 1).then_some(()));
        assert_eq!(proc::anonymous_kb(rinit), before);
        run.close_stdin();
        run.wait().assert_code(0);
    }
}

#[test]
fn orphans_stay_zombies_under_a_parent_that_does_not_reap() {
    // Or the test above proves nothing.
    let probe = common::probe();
    let run = Rinit::as_init().init(&probe).stdin(Io::Pipe).args(["noreap".as_ref(), probe.as_os_str()]);
    let mut run = run.args(["orphans", "100"]).spawn();
    make_orphans(&mut run);
    let rinit = run.pid();
    run.until("100 zombies", || (zombies(rinit) == 100).then_some(()));
}

#[test]
fn a_merged_sigchld_hides_no_end() {
    each(PLACES, |place| {
        let mut run = place().stdin(Io::Pipe).probe(["orphans", "300"]).spawn();
        run.expect_line("first");
        let (rinit, program) = (run.pid(), run.program());
        run.signal(libc::SIGSTOP);
        run.until("rinit is stopped", || (proc::state(rinit)? == 'T').then_some(()));
        run.write_stdin(b"\n");
        run.expect_line("done");
        run.close_stdin();
        run.until("PROGRAM has ended", || (proc::state(program)? == 'Z').then_some(()));
        assert!(zombies(rinit) > 1, "SIGCHLD had nothing to merge");
        run.signal(libc::SIGCONT);
        run.wait().assert_code(0);
    });
}

#[test]
fn sigchld_inherited_as_ignored() {
    each(PLACES, |place| {
        place().ignore(libc::SIGCHLD).probe(["exit", "6"]).run().assert_code(6);
        place().ignore(libc::SIGCHLD).probe(["die", "15"]).run().assert_code(143);
        all_reaped(place().ignore(libc::SIGCHLD));
    });
}

#[test]
fn sigchld_inherited_as_blocked() {
    each(PLACES, |place| {
        place().block(libc::SIGCHLD).probe(["exit", "6"]).run().assert_code(6);
        all_reaped(place().block(libc::SIGCHLD));
    });
}

#[test]
fn orphans_under_an_unprivileged_pid_1() {
    if let Some(run) = Rinit::as_unprivileged_init() {
        all_reaped(run);
    }
}

#[test]
fn a_warning_per_reaped_orphan_when_asked_for() {
    each(PLACES, |place| {
        for (run, expected) in [(place().args(["-w"]), 50), (place().env("RINIT_WARN_REAPED", "1"), 50), (place(), 0)] {
            // Nobody reads before the end: a line must not need more room than its bytes.
            let (read, write) = common::pipe();
            let mut run = run.stdin(Io::Pipe).stderr(Io::Fd(write)).probe(["orphans", "50"]).spawn();
            make_orphans(&mut run);
            let rinit = run.pid();
            run.until("all orphans are reaped", || (proc::children(rinit).len() == 1).then_some(()));
            run.close_stdin();
            run.wait().assert_code(0);
            let mut text = String::new();
            File::from(read).read_to_string(&mut text).unwrap();
            assert_eq!(text.lines().filter(|l| l.contains("reaped")).count(), expected, "{text}");
        }
    });
}

fn make_orphans(run: &mut Running) {
    run.expect_line("first");
    run.write_stdin(b"\n");
    run.expect_line("done");
}

fn all_reaped(run: Rinit) {
    let mut run: Running = run.stdin(Io::Pipe).probe(["orphans", "200"]).spawn();
    make_orphans(&mut run);
    let rinit = run.pid();
    run.until("all orphans are reaped", || (proc::children(rinit).len() == 1).then_some(()));
    run.close_stdin();
    run.wait().assert_code(0);
}
