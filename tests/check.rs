//! `--check`: it looks, and leaves everything as it was.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "common/schema.rs"]
mod schema;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{Io, NOBODY, Rinit, TempDir, is_root};

/// Value and remarks of a fact.
fn fact(run: Rinit, name: &str) -> (String, String) {
    let ended = run.args(["--check", "--format=json"]).run();
    ended.assert_code(0);
    let answer = schema::validate_check(ended.stdout().as_bytes());
    let fact = &answer["facts"][name];
    let remarks: Vec<_> = fact["remarks"].as_array().unwrap().iter().map(|r| r.as_str().unwrap().to_owned()).collect();
    (fact["value"].as_str().unwrap().to_owned(), remarks.join(". "))
}

#[test]
fn one_aligned_line_each_in_the_order_of_the_json() {
    let ended = Rinit::as_init().args(["--check"]).run();
    let text = ended.assert_code(0).stdout();
    let json = Rinit::as_init().args(["--check", "--format", "json"]).run().stdout();
    schema::validate_check(json.as_bytes());
    let mut rest = json.split_once("\"facts\":").unwrap().1;
    for line in text.lines() {
        let (key, value) = line.split_at(17);
        assert!(key.ends_with("  ") && !value.starts_with(' '), "{line}");
        let key = format!("\"{}\":{{\"value\":", key.trim().replace(' ', "_"));
        rest = rest.split_once(&key).unwrap_or_else(|| panic!("{key} in {rest}")).1;
    }
    assert_eq!(text.lines().count(), 23);
}

#[test]
fn who_it_is() {
    assert_eq!(fact(Rinit::as_init(), "pid"), ("1".to_owned(), String::new()));
    let (value, remark) = fact(Rinit::as_subreaper(), "pid");
    assert!(value.contains(", PID 1 is ") && remark.contains("because that goes to PID 1"), "{value}: {remark}");
    if let Some(run) = Rinit::as_unprivileged_init() {
        let (value, remark) = fact(run, "capabilities");
        assert_eq!(value, "DAC_OVERRIDE no, KILL no, SYS_PTRACE no, SYS_RESOURCE no");
        assert!(remark.contains("Without KILL"), "{remark}");
    }
}

#[test]
fn proc_that_is_missing_or_of_somebody_else() {
    assert_eq!(fact(Rinit::as_init(), "proc").0, "own");
    let (value, remark) = fact(Rinit::as_init().hide("/proc"), "proc");
    assert!(value == "not mounted" && remark.contains("because that stands in /proc"), "{value}: {remark}");
    for name in ["capabilities", "seccomp", "no_new_privs"] {
        assert_eq!(fact(Rinit::as_init().hide("/proc"), name).0, "not known", "{name}");
    }
    let (value, remark) = fact(Rinit::as_init().hide("/proc"), "cgroup");
    assert!(value == "not mounted" && remark.contains("will not know of OOM kills"), "{value}: {remark}");
}

#[test]
fn the_termination_log_stays_as_it_was() {
    let scratch = TempDir::new();
    let report = "rinit: sh exited\n      cause: exit-error (unknown)";
    for (content, words) in [
        (None, "not there, would be created"),
        (Some(""), "no mount, writable, empty"),
        (Some("x"), "no mount, writable, holds a message of another program"),
        (Some("{\"a\":1}"), "no mount, writable, holds JSON of another program"),
        (Some(report), "no mount, writable, holds an earlier report"),
        (Some("a message\nrinit: x\n      cause: segfault (likely)"), "no mount, writable, holds an earlier report"),
    ] {
        let log = scratch.join("log");
        let _ = fs::remove_file(&log);
        if let Some(content) = content {
            fs::write(&log, content).unwrap();
        }
        let before = log.metadata().ok().map(|metadata| metadata.modified().unwrap());
        for place in common::PLACES {
            let (value, _) = fact(place().env("RINIT_TERMINATION_LOG", &log), "termination_log");
            assert_eq!(value, format!("{}, {words}", log.display()));
        }
        assert_eq!(fs::read_to_string(&log).ok().as_deref(), content);
        assert_eq!(log.metadata().ok().map(|metadata| metadata.modified().unwrap()), before);
    }
    let (value, remark) = fact(Rinit::as_init().args(["--termination-log=off"]), "termination_log");
    assert_eq!((value.as_str(), remark.as_str()), ("off", "Reports go to stderr alone"));
    let directory = Rinit::as_init().env("RINIT_TERMINATION_LOG", scratch.path());
    assert!(fact(directory, "termination_log").0.ends_with("not a regular file"));
    if is_root("a file of another user") {
        let log = scratch.join("log");
        fs::set_permissions(&log, fs::Permissions::from_mode(0o600)).unwrap();
        let run = Rinit::as_init().uid(NOBODY).env("RINIT_TERMINATION_LOG", &log);
        let (value, remark) = fact(run, "termination_log");
        assert!(value.ends_with("no mount, not writable, cannot be read"), "{value}");
        assert_eq!(remark, "Reports go to stderr alone");
    }
}

#[test]
fn what_is_inherited() {
    let run = || Rinit::as_init().ignore(libc::SIGPIPE).ignore(libc::SIGCHLD).ignore(33).block(libc::SIGTERM).block(64);
    assert_eq!(fact(run(), "ignored_signals").0, "SIGPIPE SIGCHLD SIG33");
    let (value, remark) = fact(run(), "blocked_signals");
    assert_eq!(value, "SIGTERM SIGRTMAX");
    assert!(remark.contains("does not stop on SIGTERM"), "{remark}");
    assert_eq!(fact(Rinit::as_init(), "ignored_signals").0, "none");
    let run = || Rinit::as_init().stdin(Io::Closed).stderr(Io::Null).rlimit(libc::RLIMIT_CORE, 0, 0);
    assert_eq!(fact(run(), "stdin").0, "closed");
    assert_eq!(fact(run(), "stdout").0, "a pipe");
    assert!(fact(run(), "stderr").1.contains("Nobody will see"));
    assert!(fact(run(), "core_dumps").0.contains("limit 0"));
}

#[test]
fn it_takes_no_program_and_answers_nothing_where_a_setting_is_wrong() {
    for (args, says) in [
        (vec!["--check", "true"], "--check: takes no PROGRAM"),
        (vec!["--check", "--pause"], "--check: cannot go with"),
        (vec!["--check", "--format", "yaml"], "--format: \"yaml\""),
    ] {
        let ended = Rinit::as_subreaper().args(args).run();
        assert!(ended.assert_code(125).stderr().contains(says), "{ended:?}");
    }
    let ended = Rinit::as_subreaper().env("RINIT_REPORT", "x").args(["--check"]).run();
    assert!(ended.assert_code(125).stderr().contains("RINIT_REPORT"), "{ended:?}");
}
