//! A SIGKILL that takes rinit too: what the kubelet then finds in the termination log.

use std::path::Path;

use crate::engine::{Container, TempDir, docker_ok};
use crate::memory::image;
use crate::report::{assert_plain, termination_message};

/// Starts `command`, whose command line is then `process`, with `log` where the kubelet has it.
fn start(log: &Path, command: &[&str], process: &str) -> Container {
    let mount = format!("{}:/dev/termination-log", log.display());
    let container = Container::start(&["--volume", &mount], image(), command);
    container.wait_for_process(process);
    container
}

/// The last report in the message, which is understood alone.
#[track_caller]
fn last_report(log: &Path) -> (String, String) {
    let message = termination_message(log);
    assert_plain(&message);
    assert!(message.starts_with("rinit: the container was killed as a whole before rinit could report"), "{message}");
    let last = message.rfind("rinit: ").expect("a report");
    (message[last..].to_owned(), message)
}

/// `docker stop -t 2` of a program that takes no notice: the cause, and what line 1 says.
#[track_caller]
fn stopped_in_vain(command: &[&str], process: &str, cause: &str, words: &str) {
    let dir = TempDir::new();
    let log = dir.create("log");
    let container = start(&log, command, process);
    docker_ok(&["stop", "--time", "2", container.name()]);
    assert_eq!(container.wait(), 137);
    let (report, message) = last_report(&log);
    let mut lines = report.lines();
    let verdict = lines.next().expect("line 1");
    for part in ["was asked to stop at ", "(SIGTERM from outside) and did not", words, "then the container was killed"]
    {
        assert!(verdict.contains(part), "no {part:?} in {message}");
    }
    assert_eq!(lines.next(), Some(format!("      cause: {cause}").as_str()), "{message}");
}

#[test]
#[ignore = "needs a Docker engine"]
fn stop_of_a_program_that_ignores_it() {
    let script = "trap '' TERM; sleep 1000";
    stopped_in_vain(
        &["sh", "-c", script],
        "sleep 1000",
        "signal-ignored (likely)",
        "for it ignores that signal: 1.5 s",
    );
}

#[test]
#[ignore = "needs a Docker engine"]
fn stop_of_a_program_that_blocks_it() {
    let words = "for it blocks that signal: 1.5 s";
    stopped_in_vain(&["probe", "block", "15"], "probe block 15", "signal-blocked (likely)", words);
}

#[test]
#[ignore = "needs a Docker engine"]
fn stop_of_a_program_that_is_slow() {
    let script = "trap 'sleep 1001' TERM; sleep 1000 & wait";
    stopped_in_vain(&["sh", "-c", script], "sleep 1000", "stop-too-slow (likely)", "1.5 s later it still ran");
}

#[test]
#[ignore = "needs a Docker engine"]
fn stop_of_a_program_that_is_stopped() {
    let script = "sleep 1000 & kill -STOP $$";
    stopped_in_vain(
        &["sh", "-c", script],
        "sleep 1000",
        "process-frozen (likely)",
        "for it is stopped itself (state T)",
    );
}

#[test]
#[ignore = "needs a Docker engine"]
fn stop_of_a_program_behind_a_shell_that_waits_for_it() {
    let script = "trap : TERM; sleep 1000; :";
    let words = "for a shell waits for the command in its foreground first";
    stopped_in_vain(&["sh", "-c", script], "sleep 1000", "stop-too-slow (likely)", words);
}

#[test]
#[ignore = "needs a Docker engine"]
fn kill_without_a_warning() {
    let dir = TempDir::new();
    let log = dir.create("log");
    let container = start(&log, &["sleep", "1000"], "sleep 1000");
    docker_ok(&["kill", container.name()]);
    assert_eq!(container.wait(), 137);
    let (report, message) = last_report(&log);
    assert_eq!(report, message, "one report");
    assert!(report.contains("      cause: killed-without-report (unknown)"), "{report}");
    // The same container once more: what it left is gone, and what it says now is its own.
    docker_ok(&["start", container.name()]);
    container.wait_for_process("sleep 1000");
    let again = last_report(&log).0;
    assert!(!again.is_empty() && again.matches("cause: ").count() == 1, "{again}");
    docker_ok(&["stop", "--time", "20", container.name()]);
    assert_eq!(container.wait(), 143);
    let message = termination_message(&log);
    assert!(
        message.contains("      cause: stopped-without-handler (") && !message.contains("killed-without"),
        "{message}"
    );
}
