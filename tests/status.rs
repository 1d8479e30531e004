//! The status that comes out is the status that went in.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{Io, PLACES, Rinit, Running, Status, TempDir, each, is_root, proc};

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

#[test]
fn a_remapped_status_becomes_0_and_no_other_does() {
    each(PLACES, |place| {
        let run = |probe: [&str; 2]| place().args(["-e", "143", "--remap-exit", "3"]).probe(probe).run();
        run(["exit", "3"]).assert_code(0);
        run(["die", "15"]).assert_code(0);
        run(["exit", "4"]).assert_code(4);
        place().args(["-e", "127", "--", "/nonexistent"]).run().assert_code(127);
    });
}

#[test]
fn a_pause_ends_with_0_on_sigterm_and_sigint_alone() {
    each(PLACES.into_iter().flat_map(|place| [(place, libc::SIGTERM), (place, libc::SIGINT)]), |(place, signal)| {
        let mut run = place().args(["-P"]).spawn();
        run.blocks_signals();
        [libc::SIGHUP, libc::SIGUSR1, libc::SIGCONT, 40].into_iter().for_each(|other| run.signal(other));
        let rinit = run.pid();
        run.until("it has read them and waits", || {
            let pending = proc::signal_set(rinit, "SigPnd")? | proc::signal_set(rinit, "ShdPnd")?;
            (pending == 0 && proc::state(rinit)? == 'S').then_some(())
        });
        run.signal(signal);
        run.wait().assert_code(0);
    });
}

#[test]
fn nothing_depends_on_proc_or_dev() {
    each([&["/proc"][..], &["/dev"], &["/proc", "/dev"]], |hidden| {
        let init = || hidden.iter().fold(Rinit::as_init(), |run, directory| run.hide(directory));
        init().probe(["exit", "5"]).run().assert_code(5);
        init().probe(["die", "11"]).run().assert_code(139);
        init().args(["--", "/nonexistent"]).run().assert_code(127);
        // Its default path, where that is not the machine's.
        if hidden.contains(&"/dev") {
            init().env_remove("RINIT_TERMINATION_LOG").probe(["exit", "6"]).run().assert_code(6);
        }
        let closed = init().stdin(Io::Closed).stdout(Io::Closed).stderr(Io::Closed);
        closed.probe(["exit", "7"]).run().assert_code(7);
        let mut run = init().args(["-g", "-vv"]).probe(["listen", "until=15"]).spawn();
        run.ready();
        run.signal(libc::SIGTERM);
        assert_eq!(run.expect_signal().signal, libc::SIGTERM);
        run.wait().assert_code(0);
    });
}

#[test]
fn a_start_without_room_for_descriptors_fails_with_125_or_succeeds() {
    each(PLACES, |place| {
        let statuses: Vec<_> = (4..14)
            .map(|limit| place().rlimit(libc::RLIMIT_NOFILE, limit, limit).probe(["exit", "5"]).run())
            .inspect(|ended| assert!(matches!(ended.status, Status::Code(5 | 125)), "{ended:?}"))
            .map(|ended| ended.status)
            .collect();
        assert_eq!((statuses[0], statuses[9]), (Status::Code(125), Status::Code(5)));
    });
}

#[test]
fn a_refused_fork_fails_with_125() {
    if !is_root("another user") {
        return;
    }
    // Users that nobody else is, another run of this test included: the limit counts all processes of a user.
    let users = 1_000_000_000 + 2 * std::process::id()..;
    each(PLACES.into_iter().zip(users), |(place, user)| {
        let ended = place().rlimit(libc::RLIMIT_NPROC, 1, 1).uid(user).probe(["exit", "5"]).run();
        assert!(ended.assert_code(125).stderr().contains("rinit: "), "{ended:?}");
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

#[test]
fn a_program_is_not_found_in_a_directory_that_may_not_be_searched() {
    let Some(run) = Rinit::as_unprivileged_init() else { return };
    let dir = TempDir::new();
    let (locked, refused) = (dir.join("locked"), dir.join("refused"));
    for path in [&locked, &refused] {
        std::fs::create_dir(path).unwrap();
    }
    std::fs::write(refused.join("there"), "").unwrap();
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o700)).unwrap();
    let path = format!("{}:{}", locked.display(), refused.display());
    run.env("PATH", &path).args(["nosuch"]).run().assert_code(127);
    // What is found and may not be executed is another matter, wherever it is.
    Rinit::as_unprivileged_init().unwrap().env("PATH", &path).args(["there"]).run().assert_code(126);
}
