//! The status that comes out is the status that went in.

use crate::engine::{Container, image, plain_image, rinit};
use crate::report::assert_report;

/// `docker run`'s own status, and what `docker inspect` says of the container.
#[track_caller]
fn assert_status(command: &[&str], status: i32) -> String {
    let run = Container::run(&[], image(), command);
    assert_eq!(run.status, status, "docker run {command:?}: {}", run.stderr);
    let state = run.container.inspect("{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}} {{.State.Error}}");
    assert_eq!(state, format!("exited {status} false"), "{command:?}");
    assert_eq!(run.container.logs(), (run.stdout, run.stderr.clone()), "docker logs has the same");
    run.stderr
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_success_is_one_line() {
    let report = assert_status(&["true"], 0);
    assert!(report.starts_with("rinit: true "), "{report}");
    assert_eq!(report.lines().count(), 1, "{report}");
}

#[test]
#[ignore = "needs a Docker engine"]
fn exit_codes() {
    for code in [1, 3, 125, 255] {
        let report = assert_status(&["sh", "-c", &format!("exit {code}")], code);
        assert_report(&report, code);
    }
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_program_that_is_not_there() {
    assert_eq!(assert_report(&assert_status(&["no-such-command"], 127), 127), "command-not-found");
    assert_eq!(assert_report(&assert_status(&["/no/such/path"], 127), 127), "path-missing");
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_program_that_cannot_run() {
    assert_eq!(assert_report(&assert_status(&["/bin"], 126), 126), "is-a-directory");
    assert_eq!(assert_report(&assert_status(&["/etc/hostname"], 126), 126), "not-executable");
}

/// The program kills itself: rinit is there to tell, and `docker inspect` has the status that a shell would give.
#[test]
#[ignore = "needs a Docker engine"]
fn death_by_signal() {
    for (signal, number) in [
        ("HUP", 1),
        ("ILL", 4),
        ("TRAP", 5),
        ("ABRT", 6),
        ("BUS", 7),
        ("FPE", 8),
        ("KILL", 9),
        ("SEGV", 11),
        ("XCPU", 24),
        ("XFSZ", 25),
        ("SYS", 31),
    ] {
        let report = assert_status(&["sh", "-c", &format!("kill -{signal} $$")], 128 + number);
        let cause = assert_report(&report, 128 + number);
        // rinit lives to tell, so it was neither a stop nor the kernel's end of the whole container.
        assert_eq!(cause == "killed-by-unknown", signal == "KILL", "{report}");
        let verdict = report.lines().next().unwrap_or_default();
        assert!(verdict.contains(&format!("SIG{signal}")), "{verdict}");
    }
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_usage_error_is_125() {
    let run = Container::run(&["--entrypoint", "/rinit"], image(), &["--no-such-flag", "true"]);
    assert_eq!(run.status, 125);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("--no-such-flag"), "{}", run.stderr);
}

/// As `docker run --init` does it: the binary is mounted into an image that knows nothing of it.
#[test]
#[ignore = "needs a Docker engine"]
fn mounted_into_an_unchanged_image() {
    let mount = format!("{}:/sbin/docker-init:ro", rinit().display());
    let options = ["--volume", &mount, "--entrypoint", "/sbin/docker-init"];
    let run = Container::run(&options, plain_image(), &["--", "sh", "-c", "readlink /proc/1/exe; exit 7"]);
    assert_eq!((run.status, run.stdout.as_str()), (7, "/sbin/docker-init\n"), "{}", run.stderr);
    assert_report(&run.stderr, 7);
}
