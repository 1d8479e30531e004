//! The termination log, bind-mounted as the kubelet does it and read back as the kubelet does it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::engine::{Container, HARDENED, TempDir, image};
use crate::report::{assert_plain, assert_report, termination_message};

/// Runs `sh -c script` with `log` mounted at `at`; the message that the kubelet gets.
#[track_caller]
fn message(log: &Path, at: &str, options: &[&str], script: &str, status: i32) -> String {
    let mount = format!("{}:{at}", log.display());
    let run = Container::run(&[&["--volume", &mount], options].concat(), image(), &["sh", "-c", script]);
    assert_eq!(run.status, status, "{}", run.stderr);
    let mode = fs::metadata(log).expect("it is still there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o666, "the kubelet's mode");
    termination_message(log)
}

/// What a report in the file must be besides a report.
#[track_caller]
fn assert_in_file(report: &str, status: i32) -> &str {
    assert!(report.len() <= 1024, "{} bytes", report.len());
    assert!(!report.ends_with('\n'), "kubectl describe would show an empty line");
    assert_report(report, status)
}

#[test]
#[ignore = "needs a Docker engine"]
fn holds_the_report() {
    for options in [&[], HARDENED.as_slice()] {
        let dir = TempDir::new();
        let message = message(&dir.create("log"), "/dev/termination-log", options, "exit 3", 3);
        assert_eq!(assert_in_file(&message, 3), "exit-error");
    }
}

#[test]
#[ignore = "needs a Docker engine"]
fn holds_the_last_lines() {
    let dir = TempDir::new();
    let options = [&["--env", "RINIT_TAIL=20"], HARDENED.as_slice()].concat();
    let script = "echo 'one\ttwo' >&2; no-such-command";
    let message = message(&dir.create("log"), "/dev/termination-log", &options, script, 127);
    assert_eq!(assert_report(&message, 127), "command-not-found-in-script");
    let (_, lines) = message.split_once("\n      last lines:\n").unwrap_or_else(|| panic!("{message}"));
    assert!(lines.contains("one") && lines.ends_with("not found"), "{message}");
}

#[test]
#[ignore = "needs a Docker engine"]
fn keeps_the_programs_own_message_in_front() {
    for options in [&[], HARDENED.as_slice()] {
        let dir = TempDir::new();
        let script = "printf 'the database is gone' >/dev/termination-log; kill -ABRT $$";
        let message = message(&dir.create("log"), "/dev/termination-log", options, script, 134);
        let report = message.strip_prefix("the database is gone").unwrap_or_else(|| panic!("{message}"));
        assert_in_file(report.trim_start_matches('\n'), 134);
    }
}

/// The kubelet takes the last 4,096 bytes: all of them stay the program's.
#[test]
#[ignore = "needs a Docker engine"]
fn gives_way_to_a_long_message() {
    let dir = TempDir::new();
    let log = dir.create("log");
    let script = "head -c 5000 /dev/zero | tr '\\0' x >/dev/termination-log; exit 1";
    assert_eq!(message(&log, "/dev/termination-log", &[], script, 1), "x".repeat(4096));
    assert_eq!(fs::read(&log).expect("the log").len(), 5000);
}

/// Programs that parse their message again must find nothing else in it.
#[test]
#[ignore = "needs a Docker engine"]
fn leaves_a_message_in_json_alone() {
    const JSON: &str = r#"[{"key":"digest","value":"sha256:00"}]"#;
    for status in [0, 1] {
        let dir = TempDir::new();
        let script = format!("printf '%s' '{JSON}' >/dev/termination-log; exit {status}");
        assert_eq!(message(&dir.create("log"), "/dev/termination-log", &[], &script, status), JSON);
    }
}

/// A name from outside can hold any byte; none of them reaches kubectl's terminal or its JSON.
#[test]
#[ignore = "needs a Docker engine"]
fn has_nothing_but_ascii() {
    let dir = TempDir::new();
    let log = dir.create("log");
    let mount = format!("{}:/dev/termination-log", log.display());
    let run = Container::run(&["--volume", &mount], image(), &["/caf\u{e9}\u{1b}[31m\t\u{1f600}\n"]);
    assert_eq!(run.status, 127);
    assert_plain(run.stderr.trim_end_matches('\n'));
    assert_in_file(&termination_message(&log), 127);
}

/// A pod with its own terminationMessagePath: nobody tells rinit, the mount table does.
#[test]
#[ignore = "needs a Docker engine"]
fn is_found_where_the_pod_has_it() {
    const IN_POD: &str = "pods/0f0e7c5a-6a5e-4a5c-9a55-0a5cb9b3c1de/containers/app/9f8e7d6c";
    for options in [&[], HARDENED.as_slice()] {
        let dir = TempDir::new();
        let message = message(&dir.create(IN_POD), "/my/term-log", options, "exit 3", 3);
        assert_in_file(&message, 3);
    }
    // Another mount of a file is none of rinit's business.
    let dir = TempDir::new();
    assert_eq!(message(&dir.create("pods/data"), "/my/term-log", &[], "exit 3", 3), "");
}

#[test]
#[ignore = "needs a Docker engine"]
fn is_off_on_request() {
    let dir = TempDir::new();
    let off = ["--env", "RINIT_TERMINATION_LOG=off"];
    assert_eq!(message(&dir.create("log"), "/dev/termination-log", &off, "exit 3", 3), "");
}
