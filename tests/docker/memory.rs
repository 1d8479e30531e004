//! Memory and process limits of a real engine, whatever the version of its cgroups.

use std::path::Path;
use std::sync::OnceLock;

use crate::engine::{Container, Finished, Source, build, rinit};
use crate::report::assert_report;

/// The image of the other tests, and the probe.
fn image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        build(
            "FROM scratch\nCOPY bin /bin\nCOPY probe /bin/probe\nCOPY rinit /rinit\nENTRYPOINT [\"/rinit\", \"--\"]\n",
            &[("bin", Source::Busybox), ("probe", Source::File(&probe())), ("rinit", Source::File(rinit()))],
        )
    })
}

/// Static, as the image has no libraries.
fn probe() -> std::path::PathBuf {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = std::process::Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--example", "probe", "--target", &target, "--target-dir", "target"])
        .current_dir(root)
        .status();
    assert!(built.expect("cargo runs").success(), "the probe does not build");
    root.join("target").join(target).join("release/examples/probe")
}

/// Swap would go on where the limit ends.
const LIMIT: [&str; 4] = ["--memory", "64m", "--memory-swap", "64m"];

#[track_caller]
fn run(options: &[&str], command: &[&str], status: i32, facts: &[&str]) -> (Finished, String) {
    let run = Container::run(options, image(), command);
    assert_eq!(run.status, status, "{}", run.stderr);
    let report = run.stderr.find("rinit: ").map_or("", |start| &run.stderr[start..]);
    let cause = assert_report(report, status).to_owned();
    for fact in facts {
        assert!(report.contains(fact), "no {fact:?} in\n{report}");
    }
    (run, cause)
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_program_that_eats_more_than_the_limit() {
    let facts = ["the container reached its limit of 64 MiB", "oom_kill 0 -> 1", "peak 64 of 64 MiB"];
    let (run, cause) = run(&LIMIT, &["probe", "eat", "200", "0", "0"], 137, &facts);
    assert_eq!(cause, "oom-container-limit");
    assert_eq!(run.container.inspect("{{.State.OOMKilled}}"), "true", "the engine says the same");
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_child_that_eats_more_than_the_limit() {
    let facts = ["most likely a command that it ran was OOM-killed", "64 MiB", "(it exited, it was not signalled)"];
    let (_, cause) = run(&LIMIT, &["sh", "-c", "probe eat 200 0 0; exit $?"], 137, &facts);
    assert_eq!(cause, "oom-of-other-process");
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_shell_that_goes_on_after_it() {
    let run = Container::run(&LIMIT, image(), &["sh", "-c", "probe eat 200 0 0; exit 0"]);
    assert_eq!(run.status, 0);
    assert!(run.stderr.contains("cause: completed"), "{}", run.stderr);
    assert!(run.stderr.contains("the OOM killer ended 1 process of this container before the end"), "{}", run.stderr);
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_kill_that_is_none() {
    let facts = ["not by the OOM killer, and not by the kubelet or Docker", "OOM (oom_kill still 0", "of 64 MiB)"];
    let (run, cause) = run(&LIMIT, &["sh", "-c", "kill -9 $$"], 137, &facts);
    assert_eq!(cause, "killed-by-unknown");
    assert_eq!(run.container.inspect("{{.State.OOMKilled}}"), "false", "the engine says the same");
}

#[test]
#[ignore = "needs a Docker engine"]
fn forks_that_the_limit_on_processes_refused() {
    let script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 60 & done";
    let facts = ["a limit on processes refused forks or threads: 1 since", "pids.max is 6"];
    let (_, cause) = run(&["--pids-limit", "6"], &["sh", "-c", script], 2, &facts);
    assert_ne!(cause, "completed");
}
