//! Whether there is a report, where, in which format, how long.

use crate::common::{PLACES, Rinit, TempDir, each};
use crate::{Kind, file, kind, read};

/// What is in the file and on stderr after `sh -c script`.
#[track_caller]
fn outcome(run: Rinit, script: &str, status: i32) -> (String, String) {
    let dir = TempDir::new();
    let log = file(&dir, "log", "");
    let ended = run.log(&log).sh(script).run();
    ended.assert_code(status);
    let stderr = ended.stderr();
    assert!(stderr.is_empty() || stderr.ends_with('\n'), "{stderr:?}");
    (read(&log), stderr.trim_end().to_string())
}

#[test]
fn a_failure_is_told_in_both_places() {
    each(PLACES, |place| {
        let (log, stderr) = outcome(place(), "exit 3", 3);
        assert_eq!((kind(&log), kind(&stderr)), (Kind::Text, Kind::Text));
        assert!(log.lines().next().unwrap().contains("exited with status 3"), "{log}");
        assert!(log.lines().next() == stderr.lines().next(), "{log}\n{stderr}");
    });
}

#[test]
fn a_success_is_one_line_on_stderr_and_a_report_in_the_file() {
    each(PLACES, |place| {
        let (log, stderr) = outcome(place(), "exit 0", 0);
        assert_eq!((kind(&log), kind(&stderr)), (Kind::Text, Kind::Line));
        assert!(log.contains("cause: completed (certain)"), "{log}");
    });
}

#[test]
fn a_program_that_was_not_started_is_told_in_both_places() {
    each(PLACES, |place| {
        let dir = TempDir::new();
        let log = file(&dir, "log", "");
        let ended = place().log(&log).args(["--", "/no/such/program"]).run();
        ended.assert_code(127);
        assert_eq!(kind(&read(&log)), Kind::Text);
        assert_eq!(kind(ended.stderr().trim_end()), Kind::Text);
        assert!(read(&log).contains("cause: path-missing"), "{}", read(&log));
    });
}

#[test]
fn when() {
    let (always, failure, never) = ("always", "failure", "never");
    for (flag, variable, written) in [
        (None, None, (true, true)),
        (Some(always), None, (true, true)),
        (Some(failure), None, (false, true)),
        (Some(never), None, (false, false)),
        (None, Some(always), (true, true)),
        (None, Some(failure), (false, true)),
        (None, Some(never), (false, false)),
        // A flag beats its variable.
        (Some(always), Some(never), (true, true)),
        (Some(never), Some(always), (false, false)),
    ] {
        let run = || {
            let mut run = Rinit::as_init();
            if let Some(value) = flag {
                run = run.args(["--report", value]);
            }
            if let Some(value) = variable {
                run = run.env("RINIT_REPORT", value);
            }
            run
        };
        let (success, failed) = written;
        for (script, status, written) in [("exit 0", 0, success), ("exit 3", 3, failed)] {
            let (log, stderr) = outcome(run(), script, status);
            let case = format!("{flag:?} {variable:?} {script}");
            assert_eq!(kind(&log) != Kind::None, written, "{case}: {log}");
            assert_eq!(kind(&stderr) != Kind::None, written, "{case}: {stderr}");
        }
    }
}

#[test]
fn a_status_that_becomes_0_is_no_failure() {
    let (log, stderr) = outcome(Rinit::as_init().args(["--report", "failure", "-e", "3"]), "exit 3", 0);
    assert_eq!((log.as_str(), stderr.as_str()), ("", ""));
    // Written all the same, the true one is in it.
    let (log, _) = outcome(Rinit::as_init().args(["-e", "3"]), "exit 3", 0);
    assert!(log.contains("status 3"), "{log}");
}

#[test]
fn quiet_is_for_stderr_alone() {
    for run in [Rinit::as_init().args(["-q"]), Rinit::as_init().env("RINIT_QUIET", "1")] {
        let (log, stderr) = outcome(run, "kill -9 $$", 137);
        assert_eq!((kind(&log), stderr.as_str()), (Kind::Text, ""));
    }
}

#[test]
fn formats() {
    use Kind::{Json, Text};
    for (args, env, log_kind, stderr_kind) in [
        (vec!["--format", "json"], vec![], Json, Json),
        (vec!["--format", "json", "--stderr-format", "text"], vec![], Json, Text),
        (vec!["--stderr-format", "json"], vec![], Text, Json),
        (vec![], vec![("RINIT_FORMAT", "json")], Json, Json),
        (vec![], vec![("RINIT_STDERR_FORMAT", "json")], Text, Json),
        (vec![], vec![("RINIT_FORMAT", "json"), ("RINIT_STDERR_FORMAT", "text")], Json, Text),
        (vec!["--format", "text"], vec![("RINIT_FORMAT", "json")], Text, Text),
        (vec!["--stderr-format", "text"], vec![("RINIT_STDERR_FORMAT", "json")], Text, Text),
    ] {
        let run = env.iter().fold(Rinit::as_init().args(&args), |run, (name, value)| run.env(name, value));
        let (log, stderr) = outcome(run, "exit 3", 3);
        assert_eq!((kind(&log), kind(&stderr)), (log_kind, stderr_kind), "{args:?} {env:?}\n{log}\n{stderr}");
    }
}

#[test]
fn size() {
    // Long enough to be cut: a name of 4,000 bytes.
    let name = format!("/{}", "long-name/".repeat(400));
    for format in ["text", "json"] {
        let report = |run: Rinit| {
            let dir = TempDir::new();
            let log = file(&dir, "log", "");
            run.args(["--format", format]).log(&log).args(["--", &name]).run().assert_code(127);
            let log = read(&log);
            assert_eq!(kind(&log), if format == "text" { Kind::Text } else { Kind::Json });
            log
        };
        for size in [256, 257, 300, 400, 512, 1024, 4096] {
            let text = size.to_string();
            let by_flag = report(Rinit::as_init().args(["--report-size", &text]));
            assert!(by_flag.len() <= size, "{size}: {}", by_flag.len());
            let by_variable = report(Rinit::as_init().env("RINIT_REPORT_SIZE", &text));
            assert!(by_variable.len() <= size, "{size}: {}", by_variable.len());
        }
        let (small, large) = (Rinit::as_init().args(["--report-size=256"]), Rinit::as_init());
        assert!(report(small).len() < report(large).len());
    }
}

#[test]
fn off() {
    let dir = TempDir::new();
    for run in [Rinit::as_init().env("RINIT_TERMINATION_LOG", "off"), Rinit::as_init().log("off")] {
        let ended = run.cwd(dir.path()).sh("exit 3").run();
        ended.assert_code(3);
        assert_eq!(kind(ended.stderr().trim_end()), Kind::Text);
    }
    assert!(!dir.join("off").exists());
}

#[test]
fn the_variable_names_the_file_and_the_flag_beats_it() {
    let dir = TempDir::new();
    let (log, other) = (file(&dir, "log", ""), file(&dir, "other", ""));
    Rinit::as_init().env("RINIT_TERMINATION_LOG", &log).sh("exit 3").run().assert_code(3);
    assert_eq!(kind(&read(&log)), Kind::Text);
    Rinit::as_init().env("RINIT_TERMINATION_LOG", &log).log(&other).sh("exit 4").run().assert_code(4);
    assert!(read(&log).contains("status 3") && read(&other).contains("status 4"));
}

#[test]
fn a_relative_path_starts_where_rinit_was_started() {
    let dir = TempDir::new();
    Rinit::as_init().cwd(dir.path()).log("log").sh("cd /; exit 3").run().assert_code(3);
    assert_eq!(kind(&read(&dir.join("log"))), Kind::Text);
}

/// The kubelet shows the log's end only where the file is empty.
#[test]
fn a_report_that_adds_nothing_can_give_way_to_the_log() {
    for (set, script, status, kind_in_file) in [
        (false, "exit 1", 1, Kind::Text),
        (true, "exit 1", 1, Kind::None),
        (true, "exit 77", 77, Kind::None),
        (true, "kill -SEGV $$", 139, Kind::Text),
        (true, "sleep 1000 & exit 1", 1, Kind::Text),
    ] {
        let run = if set { Rinit::as_init().env("RINIT_DEFER_TO_LOGS", "1") } else { Rinit::as_init() };
        let (log, stderr) = outcome(run, script, status);
        assert_eq!(kind(&log), kind_in_file, "{script}: {log}");
        assert_eq!(kind(&stderr), Kind::Text, "{script}");
    }
}
