//! docs/fleet.md: its lines for jq, run as they stand there on a recorded list of pods, and its table of labels.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "common/schema.rs"]
mod schema;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use common::{Rinit, TempDir};
use serde_json::Value;

const GUIDE: &str = include_str!("../docs/fleet.md");
/// The messages are those of real containers.
const PODS: &str = include_str!("fixtures/pods.json");

/// What the guide's only command with `part` in it prints for `pods`.
#[track_caller]
fn lines_of(part: &str, pods: &str) -> Vec<String> {
    let mut commands = GUIDE.split("```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let command = commands.find(|command| command.contains(part)).expect("a command");
    let bin = TempDir::new();
    fs::write(bin.join("pods.json"), pods).unwrap();
    let kubectl = bin.join("kubectl");
    let script = "#!/bin/sh\ntest \"$*\" = 'get pods --all-namespaces -o json' && cat \"${0%/*}/pods.json\"\n";
    fs::write(bin.join("script"), script).unwrap();
    common::copy_program(&bin.join("script"), &kubectl);
    fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh").args(["-c", command]).env("PATH", path).env("LC_ALL", "C").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn causes_are_counted_in_text_and_json() {
    let expected = [
        "2 signal-ignored",
        "2 no report (Error)",
        "2 exit-error",
        "2 completed",
        "1 stopped-without-handler",
        "1 segfault",
        "1 path-missing",
        "1 no report (StartError)",
        "1 missing-module",
        "1 killed-without-report",
        "1 command-not-found",
    ];
    assert_eq!(lines_of("group_by", PODS), expected);
    assert_eq!(lines_of("group_by", r#"{"items": []}"#), [""; 0]);
    // Every id that is counted is one of the registry.
    let registry = Rinit::as_subreaper().args(["--explain", "--format", "json"]).run().stdout();
    for line in expected.iter().filter(|line| !line.contains("no report")) {
        let id = line.split_once(' ').unwrap().1;
        assert!(registry.contains(&format!(r#""id":"{id}""#)), "{id}");
    }
}

/// What rinit writes today has the form that the line looks for.
#[test]
fn a_report_of_today_is_counted() {
    for format in ["text", "json"] {
        let dir = TempDir::new();
        let log = dir.join("log");
        let run = Rinit::as_init().env("RINIT_TERMINATION_LOG", &log).args(["--format", format, "--", "/no/such/path"]);
        run.run().assert_code(127);
        let message = fs::read_to_string(&log).unwrap();
        let end = serde_json::json!({"terminated": {"exitCode": 127, "reason": "Error", "message": message}});
        let pods = serde_json::json!({"items": [{"status": {"containerStatuses": [{"state": end, "lastState": {}}]}}]});
        assert_eq!(lines_of("group_by", &pods.to_string()), ["1 path-missing"], "{message}");
    }
}

#[test]
fn pods_that_go_around_the_entry_point_are_found() {
    let found = lines_of("$pod.namespace", PODS);
    assert_eq!(
        found,
        [
            "shop/mail-0 mail registry.example/mail:1 sh",
            "batch/import-1 import registry.example/import:1 import-all",
            "payments/new-0 new registry.example/new:1 /bin/bash",
        ]
    );
}

/// The recorded reports are what rinit writes: all whole but one, which is cut as the kubelet cuts.
#[test]
fn the_recorded_reports_keep_to_the_schema() {
    let pods: Value = serde_json::from_str(PODS).unwrap();
    let mut whole = 0;
    let mut cut = Vec::new();
    for pod in pods["items"].as_array().unwrap() {
        for list in ["initContainerStatuses", "containerStatuses"] {
            for container in pod["status"][list].as_array().into_iter().flatten() {
                for state in ["state", "lastState"] {
                    let message = container[state]["terminated"]["message"].as_str().unwrap_or_default();
                    for report in message.lines().filter(|line| line.starts_with(r#"{"schema""#)) {
                        if report.ends_with('}') {
                            schema::validate(report.as_bytes());
                            whole += 1;
                        } else {
                            cut.push(container["name"].as_str().unwrap());
                        }
                    }
                }
            }
        }
    }
    assert_eq!((whole, cut.as_slice()), (7, ["many"].as_slice()));
}

/// A set that is finite, whatever runs: the schema says so.
fn is_bounded(schema: &Value) -> bool {
    let bounded = ["#/$defs/id", "#/$defs/status", "#/$defs/signal"];
    schema.get("enum").is_some()
        || schema.get("const").is_some()
        || ["boolean", "null"].iter().any(|t| schema["type"] == *t)
        || bounded.iter().any(|reference| schema["$ref"] == *reference)
        || schema["anyOf"].as_array().is_some_and(|all| all.iter().all(is_bounded))
}

#[test]
fn the_labels_are_the_bounded_fields() {
    let table = GUIDE.split("## Labels for metrics").nth(1).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let named: BTreeSet<String> = rows.map(|row| row.split('`').next().unwrap().to_owned()).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/report.schema.json");
    let schema: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let fields = |prefix: &str, schema: &Value| -> Vec<String> {
        let properties = schema["properties"].as_object().unwrap();
        properties.iter().filter(|(_, field)| is_bounded(field)).map(|(name, _)| format!("{prefix}{name}")).collect()
    };
    let mut bounded: BTreeSet<String> = fields("", &schema).into_iter().collect();
    bounded.extend(fields("cause.", &schema["properties"]["cause"]));
    assert_eq!(named, bounded);
}
