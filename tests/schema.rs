//! Every report is what docs/report.schema.json says, whatever the end and the size.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "common/schema.rs"]
mod schema;

use std::fs;

use common::{Rinit, TempDir, each};
use serde_json::{Value, json};

/// The report of `sh -c SCRIPT` in a termination log of `size` bytes.
fn report(script: &str, size: usize) -> Vec<u8> {
    let scratch = TempDir::new();
    let log = scratch.join("log");
    let run = Rinit::as_init().env("RINIT_TERMINATION_LOG", &log).args(["--format", "json", "--report-size"]);
    run.args([&size.to_string(), "--show-args", "sh", "-c", script]).run();
    fs::read(&log).unwrap()
}

#[test]
fn reports_of_many_ends_at_many_sizes() {
    let many = [
        "exit 0",
        "exit 1",
        "exit 2",
        "exit 137",
        "exit 255",
        "kill -KILL $$",
        "kill -SEGV $$",
        "kill -ABRT $$",
        "kill -TERM $$",
        "kill -35 $$",
        "kill -64 $$",
        // Notes: processes that are left.
        "sleep 60 & sleep 60 & exit 3",
        // Signals through rinit, from PROGRAM itself; 40 of them.
        "trap '' USR1; i=0; while [ $i -lt 40 ]; do kill -USR1 1; i=$((i+1)); done; exit 4",
        "trap 'exit 0' TERM; kill -TERM 1; while :; do sleep 0.01; done",
    ];
    each(many, |script| {
        for size in [256, 300, 512, 777, 1024, 2048, 4096] {
            let report = report(script, size);
            assert!(report.len() <= size, "{script}: {size}");
            let value = schema::validate(&report);
            assert!(size < 2048 || value.as_object().unwrap().len() == 27, "{script}: {size}: {value}");
        }
    });
}

#[test]
fn reports_of_what_did_not_start() {
    let scratch = TempDir::new();
    let log = scratch.join("log");
    fs::write(scratch.join("plain"), "x").unwrap();
    let plain = scratch.join("plain");
    let long = "x".repeat(5000);
    for program in ["/nonexistent", "no-such-program", "/", "", "ls -l", &long, plain.to_str().unwrap()] {
        let run = Rinit::as_subreaper().env("RINIT_TERMINATION_LOG", &log).args(["--format", "json", "--", program]);
        let ended = run.run();
        assert_eq!(schema::validate(&fs::read(&log).unwrap())["outcome"], "not_started", "{program}");
        schema::validate(ended.stderr().as_bytes());
    }
}

#[test]
fn a_signal_from_outside() {
    let mut run = Rinit::as_init().args(["--stderr-format=json"]).probe(["listen", "until=15"]).spawn();
    run.ready();
    for signal in 34..=64 {
        run.signal(signal);
        assert_eq!(run.expect_signal().signal, signal);
    }
    run.signal(libc::SIGTERM);
    let report = schema::validate(run.wait().stderr().as_bytes());
    assert_eq!(report["signals"].as_array().unwrap().len(), 16);
}

#[test]
fn what_the_schema_forbids() {
    let schema = schema::of_reports();
    let good: Value = serde_json::from_slice(&report("kill -KILL $$", 4096)).unwrap();
    assert_eq!(schema::errors(&schema, &good), Vec::<String>::new());
    let changed = |key: &str, value: Value| {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().insert(key.to_owned(), value);
        bad
    };
    let without = |key: &str| {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(key).unwrap();
        bad
    };
    let mut bad = vec![
        json!([]),
        json!({}),
        changed("extra", json!(1)),
        changed("schema", json!(2)),
        changed("outcome", json!("exited")),
        changed("outcome", json!("ended")),
        changed("exit_status", json!(256)),
        changed("exit_status", json!(-1)),
        changed("exit_status", json!(1.5)),
        changed("code", json!(137)),
        changed("signal", json!("KILL")),
        changed("signal", json!(9)),
        changed("message", json!("a\nb")),
        changed("message", json!("\u{e4}")),
        changed("started", json!("2026-11-21 14:00:11")),
        changed("evidence", json!([1])),
        changed("notes", json!([{"id": "x"}])),
        changed("left", json!([{"pid": 1, "program": "x", "args": []}])),
        changed("signals", json!([{"signal": "SIGTERM", "from": "kubelet", "at_ms": 1, "sent_as": null}])),
        changed("signals", json!(vec![json!({"signal":"SIGHUP","from":"exec","at_ms":1,"sent_as":null}); 17])),
        changed("cause", json!({"id": "x", "confidence": "certain"})),
        changed("cause", json!({"id": "X", "confidence": "sure", "class": "app", "summary": "", "next": ""})),
        changed("rinit", json!("1")),
    ];
    // A cut takes keys from the end, none from the middle.
    let last = without("rinit");
    assert_eq!(schema::errors(&schema, &last), Vec::<String>::new());
    bad.extend(good.as_object().unwrap().keys().filter(|key| *key != "rinit").map(|key| without(key)));
    for value in bad {
        assert_ne!(schema::errors(&schema, &value), Vec::<String>::new(), "{value}");
    }
}

#[test]
#[should_panic(expected = "does not know minLength")]
fn a_keyword_that_nobody_checks_is_refused() {
    schema::errors(&json!({"minLength": 1}), &json!(""));
}
