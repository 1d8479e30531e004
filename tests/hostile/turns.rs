//! What comes without end leaves room for everything else.

use crate::common::{self, Io, PLACES, Rinit, TempDir, each, proc};
use crate::patience;
use std::fs::{self, File};
use std::path::Path;

const MANY: &str = "3000";

fn logged(run: Rinit, log: &Path) -> Rinit {
    run.deadline(patience()).stderr(Io::Fd(File::create(log).unwrap().into())).args(["-vv", "--report", "never"])
}

/// How many orphans were reaped before the line of the log that has `word` in it.
fn reaped_before(log: &Path, word: &str) -> usize {
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains(word), "{log}");
    log.lines().take_while(|line| !line.contains(word)).filter(|line| line.contains("reaped")).count()
}

#[test]
fn a_signal_is_passed_on_among_thousands_of_zombies() {
    each(PLACES, |place| {
        let dir = TempDir::new();
        let log = dir.join("log");
        let mut run = logged(place(), &log).stdin(Io::Pipe).probe(["orphans", MANY]).spawn();
        run.expect_line("first");
        let rinit = run.pid();
        run.signal(libc::SIGSTOP);
        run.until("rinit is stopped", || (proc::state(rinit)? == 'T').then_some(()));
        run.write_stdin(b"\n");
        run.expect_line("done");
        run.signal(libc::SIGTERM);
        run.signal(libc::SIGCONT);
        run.wait().assert_code(143);
        let before = reaped_before(&log, "SIGTERM");
        assert!(before < 1000, "{before} orphans were reaped before the signal was looked at");
    });
}

#[test]
fn a_pause_ends_among_thousands_of_zombies() {
    let dir = TempDir::new();
    let log = dir.join("log");
    let (probe, rinit) = (common::probe(), common::rinit());
    // What becomes a pause has the children already.
    let run = logged(Rinit::as_subreaper().init(&probe).args(["zombies", MANY]).args([rinit]), &log).args(["--pause"]);
    let mut run = run.stdin(Io::Pipe).block(libc::SIGTERM).spawn();
    run.signal(libc::SIGTERM);
    run.write_stdin(b"\n");
    run.wait().assert_code(0);
    let reaped = fs::read_to_string(&log).unwrap().matches("reaped").count();
    assert!(reaped < 1000, "{reaped} orphans were reaped before the signal was looked at");
}

#[test]
fn a_storm_of_forks_delays_no_signal() {
    let mut run = Rinit::as_init().deadline(patience()).probe(["forks", "default"]).spawn();
    run.ready();
    run.signal(libc::SIGTERM);
    run.wait().assert_code(143);
}

#[test]
fn a_storm_of_forks_delays_no_stop_timeout() {
    let mut run = Rinit::as_init().deadline(patience()).json().args(["-t", "1s"]).probe(["forks", "ignored"]).spawn();
    run.ready();
    run.signal(libc::SIGTERM);
    run.wait().assert_cause(137, "killed-after-stop-timeout", "certain", "it ignores SIGTERM");
}

#[test]
fn a_storm_of_forks_delays_no_drain() {
    let run = Rinit::as_init().deadline(patience()).json().args(["-d", "1s"]).probe(["forks", "gone"]);
    let report = run.run().assert_code(5).report();
    assert_eq!(report["outcome"], "exited", "{report}");
}

#[test]
fn a_program_that_stops_again_and_again_delays_no_signal() {
    // A PID 1 continues it each time.
    let mut run = Rinit::as_init().deadline(patience()).probe(["stops"]).spawn();
    run.ready();
    run.signal(libc::SIGUSR1);
    run.wait().assert_code(128 + libc::SIGUSR1);
}

#[test]
fn a_storm_of_signals_delays_no_end() {
    each(PLACES, |place| {
        // Whoever sends them outlives PROGRAM.
        let mut run = place().deadline(patience()).json().probe(["pesters", "10,12,17,23,28", "3"]).spawn();
        run.ready();
        let report = run.wait().assert_code(3).report();
        assert_eq!(report["outcome"], "exited", "{report}");
        assert!(report["signals"].as_array().unwrap().len() <= 16, "{report}");
    });
}

#[test]
fn a_storm_of_signals_keeps_no_other_kind_back() {
    // The kernel hands out the lowest number first.
    const LOWER: &str = "1,2,3,4,5,6,7,8,10,11,12,13,14";
    each(PLACES, |place| {
        let mut run = place().deadline(patience()).probe(["pesters", LOWER]).spawn();
        run.ready();
        run.signal(libc::SIGTERM);
        run.wait().assert_code(143);
    });
}
