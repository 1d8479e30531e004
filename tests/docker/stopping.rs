//! `docker stop` of programs that do not stop: rinit is faster than Docker's own SIGKILL, and the kubelet finds the reason.

use std::time::{Duration, Instant};

use crate::engine::{Container, TempDir, docker_ok, image};
use crate::report::{assert_report, termination_message};

/// Runs `sh -c script` with `options` until it says `ready`, then `docker stop --time 5`; what the kubelet finds.
#[track_caller]
fn stop(options: &[&str], script: &str, status: i32) -> String {
    let dir = TempDir::new();
    let log = dir.create("log");
    let mount = format!("{}:/dev/termination-log", log.display());
    let container = Container::start(&[&["--volume", &mount], options].concat(), image(), &["sh", "-c", script]);
    container.wait_for_line("ready");
    let start = Instant::now();
    docker_ok(&["stop", "--time", "5", container.name()]);
    assert!(start.elapsed() < Duration::from_millis(4500), "docker stop had to kill");
    assert_eq!(container.wait(), status);
    termination_message(&log)
}

#[test]
#[ignore = "needs a Docker engine"]
fn what_does_not_stop_is_killed_and_reported_in_time() {
    for (script, why) in [
        ("trap '' TERM; echo ready; while :; do sleep 0.1; done", "it ignores SIGTERM"),
        (
            "trap 'sleep 1000' TERM; echo ready; while :; do sleep 0.1; done",
            "it has a handler for SIGTERM, but had not ended",
        ),
        ("trap 'while :; do :; done' TERM; echo ready; while :; do sleep 0.1; done", "but was busy"),
        ("echo ready; kill -STOP $$", "it was stopped"),
        ("trap 'exit 0' TERM; echo ready; sleep 1000; exit 5", "its child sleep (pid "),
    ] {
        let report = stop(&["--env", "RINIT_STOP_TIMEOUT=1s"], script, 137);
        assert_eq!(assert_report(&report, 137), "killed-after-stop-timeout");
        assert!(report.contains(why) && report.contains("SIGTERM from outside"), "{report}");
        assert!(report.contains("cause: killed-after-stop-timeout (certain)") && report.len() <= 1024, "{report}");
    }
}

/// A shell that dies of the signal leaves its program, which then gets it too.
#[test]
#[ignore = "needs a Docker engine"]
fn what_a_shell_leaves_is_drained() {
    let script = "(trap 'echo got it; exit 0' TERM; echo ready; while :; do sleep 0.1; done); exit 5";
    let report = stop(&["--env", "RINIT_STOP_TIMEOUT=4s", "--env", "RINIT_DRAIN=3s"], script, 143);
    assert_eq!(assert_report(&report, 143), "shell-kept-signal");
    assert!(report.contains("for --drain: ") && report.contains("1 exited"), "{report}");
}
