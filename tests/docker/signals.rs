//! `docker stop` and `docker kill`: the program gets what was sent, and ends as it wants to.

use crate::engine::{Container, docker_ok, image};
use crate::report::assert_report;

/// A program that never ends by itself: `trap` first, then `ready`.
fn waiting(trap: &str) -> [String; 3] {
    ["sh".into(), "-c".into(), format!("{trap}; sleep 1000 & echo ready; while :; do wait $!; done")]
}

fn start(trap: &str) -> Container {
    let command = waiting(trap);
    let container = Container::start(&[], image(), &command.each_ref().map(String::as_str));
    container.wait_for_line("ready");
    container
}

#[test]
#[ignore = "needs a Docker engine"]
fn stop_of_a_program_with_a_handler() {
    for status in [0, 9, 143] {
        let container = start(&format!("trap 'echo stopping; kill $!; exit {status}' TERM"));
        assert_eq!(container.stop(), status);
        let (stdout, stderr) = container.logs();
        assert_eq!(stdout, "ready\nstopping\n");
        assert!(stderr.starts_with("rinit: sh "), "{stderr}");
        if status == 9 {
            assert_report(&stderr, status);
        }
    }
}

/// As PID 1 it would ignore SIGTERM, having no handler, and be killed when the time is up.
#[test]
#[ignore = "needs a Docker engine"]
fn stop_of_a_program_without_a_handler() {
    let container = Container::start(&[], image(), &["sh", "-c", "echo ready; exec sleep 1000"]);
    container.wait_for_line("ready");
    assert_eq!(container.stop(), 143);
    let stderr = container.logs().1;
    assert_eq!(assert_report(&stderr, 143), "stopped-without-handler");
    assert!(stderr.contains("SIGTERM"), "{stderr}");
}

/// The STOPSIGNAL of an image comes as any other signal.
#[test]
#[ignore = "needs a Docker engine"]
fn stop_by_another_signal() {
    let command = waiting("trap 'echo quitting; kill $!; exit 0' QUIT");
    let container = Container::start(&["--stop-signal", "SIGQUIT"], image(), &command.each_ref().map(String::as_str));
    container.wait_for_line("ready");
    assert_eq!(container.stop(), 0);
    assert_eq!(container.logs().0, "ready\nquitting\n");
}

#[test]
#[ignore = "needs a Docker engine"]
fn kill_with_any_signal_reaches_the_program() {
    let sent = ["HUP", "USR1", "USR2", "WINCH", "RTMIN+3", "SEGV"];
    let trapped = ["HUP", "USR1", "USR2", "WINCH", "37", "SEGV"];
    let traps: Vec<String> = trapped.iter().map(|s| format!("trap 'echo got {s}' {s}")).collect();
    let container = start(&traps.join("; "));
    for (sent, trapped) in sent.iter().zip(trapped) {
        docker_ok(&["kill", "--signal", sent, container.name()]);
        container.wait_for_line(&format!("got {trapped}"));
    }
    assert_eq!(container.inspect("{{.State.Status}}"), "running");
}

#[test]
#[ignore = "needs a Docker engine"]
fn kill_without_a_handler_is_the_status() {
    for (signal, status) in [("USR1", 138), ("RTMIN+3", 165)] {
        let container = Container::start(&[], image(), &["sh", "-c", "echo ready; exec sleep 1000"]);
        container.wait_for_line("ready");
        docker_ok(&["kill", "--signal", signal, container.name()]);
        assert_eq!(container.wait(), status);
        assert_report(&container.logs().1, status);
    }
}
