//! `--tail` with an engine that reads the container's stdio.

use crate::engine::{Container, HARDENED, docker_ok, image, poll};

const TAIL: [&str; 4] = ["--env", "RINIT_TAIL=20", "--env", "RINIT_TAIL_STDOUT=1"];

fn numbers(count: u32) -> String {
    (1..=count).map(|n| format!("{n}\n")).collect()
}

#[test]
#[ignore = "needs a Docker engine"]
fn the_engine_gets_every_line() {
    let script = "seq 1 200000 >&2; seq 1 100000; exit 3";
    let run = Container::run(&TAIL, image(), &["sh", "-c", script]);
    assert_eq!(run.status, 3);
    assert!(run.stdout == numbers(100_000), "{} bytes", run.stdout.len());
    assert!(
        run.stderr.starts_with(&(numbers(200_000) + "rinit: sh exited with status 3")),
        "{} bytes",
        run.stderr.len()
    );
    let (stdout, stderr) = run.container.logs();
    assert!(stdout == run.stdout && stderr == run.stderr);
}

#[test]
#[ignore = "needs a Docker engine"]
fn dev_stderr_opens_without_any_rights() {
    let options = [TAIL.as_slice(), &HARDENED].concat();
    let run = Container::run(&options, image(), &["sh", "-c", "echo one >/dev/stderr; echo two >/dev/stdout"]);
    assert_eq!((run.status, run.stdout.as_str()), (0, "two\n"), "{}", run.stderr);
    assert!(run.stderr.starts_with("one\n"), "{}", run.stderr);
}

#[test]
#[ignore = "needs a Docker engine"]
fn an_exec_session_still_writes_to_the_log() {
    let container = Container::start(&TAIL, image(), &["sh", "-c", "echo ready; exec sleep 1000"]);
    container.wait_for_line("ready");
    container.exec(&["sh", "-c", "echo from outside >/proc/1/fd/2"]);
    poll("the line of the exec session", || container.logs().1.contains("from outside\n").then_some(()));
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_terminal_stays_one() {
    let options = [TAIL.as_slice(), &["--tty"]].concat();
    let container = Container::start(&options, image(), &["sh", "-c", "test -t 1 && test -t 2 && exit 5"]);
    assert_eq!(docker_ok(&["wait", container.name()]), "5");
}
