//! What programs say at their end, quoted and held against the container: through the pipe, from real sockets and files.

mod common;

use std::net::TcpListener;

use common::Rinit;

/// `sh -c script` as PID 1's program, with its last lines kept.
fn run(script: &str) -> common::Ended {
    Rinit::as_init().json().env("RINIT_TAIL", "20").args(["--", "sh", "-c", script]).run()
}

#[test]
fn a_shells_own_words_are_certain_and_checked() {
    let ended = run("no-such-command-here .");
    ended.assert_cause(127, "command-not-found-in-script", "certain", "no-such-command-here cannot be started: ");
    let report = ended.report();
    assert!(report["message"].as_str().unwrap().ends_with("not found"), "{report:#}");
    assert!(report["stderr_tail"][0].as_str().unwrap().contains("no-such-command-here"), "{report:#}");
}

#[test]
fn a_port_that_somebody_outside_of_the_container_has() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!("echo 'Error: listen EADDRINUSE: address already in use 127.0.0.1:{port}' >&2; exit 1");
    let ended = run(&script);
    assert!(ended.says(&format!("port {port} is still in use in this network namespace")), "{:#}", ended.report());
    assert!(ended.says("no process of this container holds it"), "{:#}", ended.report());
    drop(listener);
    let ended = run(&script);
    assert!(ended.says("checked, and it does not bear this out: right after, nothing listens"), "{:#}", ended.report());
}

#[test]
fn a_variable_with_a_name_like_it() {
    let script = "printf 'Traceback (most recent call last):\\n  File \"/app/x.py\", line 3, in <module>\\nKeyError: \
                  \\047DATABASE_URL\\047\\n' >&2; exit 1";
    let run = |name: &str| {
        Rinit::as_init().json().env("RINIT_TAIL", "20").env(name, "sEcReT").args(["--", "sh", "-c", script]).run()
    };
    let ended = run("DATABASE_URI");
    assert!(ended.says("was started without DATABASE_URL, close: DATABASE_URI"), "{:#}", ended.report());
    let ended = run("DATABASE_URL");
    assert!(ended.says("was started with DATABASE_URL set, and not empty"), "{:#}", ended.report());
    assert!(!ended.stderr().contains("sEcReT"));
}
