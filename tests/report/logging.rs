//! rinit's own log: what each level says, and that no line of it holds up anything.

use std::time::{Duration, Instant};

use crate::common::{Io, PLACES, Rinit, each};
use crate::stderr::{each_pipe, fill};
use crate::{Kind, kind};

/// Lines on stderr, without the report.
fn lines(run: Rinit, script: &str) -> Vec<String> {
    let ended = run.args(["-q"]).sh(script).run();
    ended.stderr().lines().map(str::to_string).collect()
}

/// The levels that are in these lines.
#[track_caller]
fn levels(lines: &[String]) -> Vec<&'static str> {
    let names = ["error", "warn", "info", "debug", "trace"];
    let of = |line: &String| names.iter().position(|n| line.starts_with(&format!("rinit: {n}: "))).expect(line);
    let mut found: Vec<_> = lines.iter().map(of).collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|n| names[n]).collect()
}

#[test]
fn a_success_is_the_reports_line_and_nothing_else() {
    each(PLACES, |place| {
        let ended = place().sh("exit 0").run();
        ended.assert_code(0);
        assert_eq!(kind(ended.stderr().trim_end()), Kind::Line, "{}", ended.stderr());
        assert_eq!(ended.stdout(), "");
    });
}

#[test]
fn without_a_report_there_is_silence() {
    each(PLACES, |place| {
        for args in [&["-q"][..], &["--report", "never"], &["-q", "--report", "never"]] {
            let ended = place().args(args).sh("exit 0").run();
            ended.assert_code(0);
            assert_eq!((ended.stdout(), ended.stderr()), Default::default(), "{args:?}");
            let ended = place().args(args).sh("kill -9 $$").run();
            ended.assert_code(137);
            assert_eq!((ended.stdout(), ended.stderr()), Default::default(), "{args:?}");
        }
    });
}

#[test]
fn a_program_that_was_not_started_is_an_error_line_without_a_report() {
    each(PLACES, |place| {
        for args in [&["-q"][..], &["--report", "never"]] {
            let ended = place().args(args).args(["--", "/no/such/program", "argument"]).run();
            ended.assert_code(127);
            assert_eq!(ended.stderr(), "rinit: error: cannot start /no/such/program: No such file or directory\n");
        }
    });
}

#[test]
fn each_level() {
    // An orphan and a signal: something to talk about.
    let script = "(sleep 0 &) ; kill -USR1 1; exit 0";
    let script = format!("trap '' USR1; {script}");
    let of = |run: Rinit| levels(&lines(run, &script));
    assert_eq!(of(Rinit::as_init()), [""; 0]);
    assert_eq!(of(Rinit::as_init().args(["-v"])), ["info"]);
    assert_eq!(of(Rinit::as_init().args(["-vv"])), ["info", "debug"]);
    assert_eq!(of(Rinit::as_init().args(["-vvv"])).first(), Some(&"info"));
    assert_eq!(of(Rinit::as_init().env("RINIT_LOG", "info")), ["info"]);
    assert_eq!(of(Rinit::as_init().env("RINIT_LOG", "debug")), ["info", "debug"]);
    assert_eq!(of(Rinit::as_init().env("RINIT_LOG", "rinit=debug")), ["info", "debug"]);
    assert_eq!(of(Rinit::as_init().env("RINIT_LOG", "error")), [""; 0]);
    assert_eq!(of(Rinit::as_init().env("RINIT_LOG", "off").args(["-v"])), ["info"]);
    assert_eq!(of(Rinit::as_init().env("RINIT_LOG", "trace").args(["-v"])), ["info"]);
}

#[test]
fn the_names_of_the_pids() {
    let told = lines(Rinit::as_init().args(["-vv"]), "exit 0");
    assert!(told.iter().any(|line| line.starts_with("rinit: info: started pid ")), "{told:?}");
}

#[test]
fn a_forwarded_signal_is_told() {
    let mut run = Rinit::as_init().args(["-vv", "-q"]).probe(["listen", "until=15"]).spawn();
    run.ready();
    run.signal(libc::SIGTERM);
    let line = run.expect_err_line("SIGTERM");
    assert!(line.starts_with("rinit: debug: "), "{line}");
    assert!(line.contains("outside") && !line.contains("Outside") && !line.contains('('), "for people: {line}");
    run.wait().assert_code(0);
}

#[test]
fn lines_for_a_reader_that_does_not_read_delay_nothing() {
    each_pipe(|place, (_read_end, write_end)| {
        fill(&write_end);
        let run = place().env("RINIT_LOG", "trace").args(["-q"]).stderr(Io::Fd(write_end));
        let mut run = run.probe(["listen", "raw", "until=15"]).spawn();
        run.ready();
        let since = Instant::now();
        // If each line waited as the report does, this would take half a minute.
        for _ in 0..30 {
            run.signal(libc::SIGUSR1);
            assert_eq!(run.expect_signal().signal, libc::SIGUSR1);
        }
        run.signal(libc::SIGTERM);
        run.wait().assert_code(0);
        assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    });
}

#[test]
fn lines_for_a_stderr_that_is_broken_delay_nothing() {
    each(PLACES, |place| {
        for stderr in [Io::Closed, Io::Fd(std::fs::File::options().write(true).open("/dev/full").unwrap().into())] {
            let run = place().env("RINIT_LOG", "trace").stderr(stderr);
            let mut run = run.probe(["listen", "raw", "until=15"]).spawn();
            run.ready();
            for _ in 0..20 {
                run.signal(libc::SIGUSR1);
                assert_eq!(run.expect_signal().signal, libc::SIGUSR1);
            }
            run.signal(libc::SIGTERM);
            run.wait().assert_code(0);
        }
    });
}
