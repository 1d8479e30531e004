//! Evidence that cannot be read: reports get shorter, never wrong.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "common/schema.rs"]
mod schema;

use std::fs;

use common::{Ended, Io, NOBODY, Rinit, TempDir, is_root, probe, rinit};
use regex_lite::Regex;
use serde_json::Value;

/// What happens, as a shell's script. PID 1 is rinit.
const ENDS: [(&str, i32); 9] = [
    ("exit 0", 0),
    ("exit 1", 1),
    ("exit 137", 137),
    ("kill -KILL $$", 137),
    ("kill -TERM $$", 143),
    ("kill -SEGV $$", 139),
    ("kill -TERM 1; while :; do sleep 0.01; done", 143),
    ("trap 'exit 3' TERM; kill -TERM 1; while :; do sleep 0.01; done", 3),
    ("sleep 60 & kill -USR1 $$", 138),
];

/// What only /proc can have told.
const FROM_PROC: [&str; 11] = [
    "handler for it, so",
    "it had a handler",
    "it ignored",
    "still pending",
    "left pending",
    "Seccomp:",
    "still there at the end",
    " running",
    "from an exec session",
    "already gone",
    "already ended",
];
/// What only the cgroup's files can have told.
const FROM_CGROUP: [&str; 9] = [
    "memory.events",
    "memory.max",
    "oom_kill 0",
    "oom_kill still",
    "no OOM kill",
    "not by the OOM killer",
    "memory limit of",
    "peak ",
    "pids.max =",
];

struct Told {
    text: String,
    json: Value,
}

/// Runs `script` under rinit as PID 1; the report in both formats.
fn told(script: &str, status: i32, set_up: impl Fn(Rinit) -> Rinit) -> Told {
    let scratch = TempDir::new();
    let log = scratch.join("log");
    fs::write(&log, "").unwrap();
    fs::set_permissions(&log, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let run = Rinit::as_init().env("RINIT_TERMINATION_LOG", &log).env("RINIT_STDERR_FORMAT", "json");
    let ended = set_up(run.env("RINIT_REPORT_SIZE", "4096")).args(["--", "/bin/sh", "-c", script]).run();
    ended.assert_code(status);
    let text = fs::read_to_string(&log).unwrap();
    Told { text, json: report_on(&ended) }
}

/// The report on stderr, where the shell and what it leaves behind may have something to say as well.
fn report_on(ended: &Ended) -> Value {
    let stderr = ended.stderr();
    schema::validate(stderr.lines().find(|line| line.starts_with('{')).unwrap_or_default().as_bytes())
}

fn confidence(told: &Told) -> usize {
    let word = told.json["cause"]["confidence"].as_str().unwrap();
    ["unknown", "possible", "likely", "certain"].iter().position(|known| *known == word).unwrap()
}

/// The facts of a report without their figures, and processes without their names.
fn facts(told: &Told, key: &str) -> Vec<String> {
    let items = told.json[key].as_array().unwrap();
    let figures = Regex::new("[0-9]+").unwrap();
    let names = Regex::new("[^ ]+ \\(pid \\)").unwrap();
    let plain = |item: &str| names.replace_all(&figures.replace_all(item, ""), "pid ").into_owned();
    items.iter().map(|item| plain(item.as_str().unwrap())).collect()
}

/// `blind` says nothing that `sighted` does not: no fact, no exclusion, no more confidence.
fn says_no_more(script: &str, blind: &Told, sighted: &Told) {
    let both = || format!("{script}\n{}\n{}", blind.text, sighted.text);
    assert!(confidence(blind) <= confidence(sighted), "{}", both());
    for key in ["evidence", "ruled_out"] {
        let known = facts(sighted, key).join("; ");
        for fact in facts(blind, key) {
            let start = fact.split(" at ::Z").next().unwrap();
            let start = start.split(" (").next().unwrap();
            let start = start.split(" of CPU time").next().unwrap().trim_start_matches(|c| c != ' ');
            let is_fact = !fact.starts_with("used ") && !fact.ends_with("not known");
            assert!(!is_fact || known.contains(start), "{fact:?}\n{}", both());
        }
    }
    for key in ["outcome", "exit_status", "code", "signal", "core_dumped", "program"] {
        assert_eq!(blind.json[key], sighted.json[key], "{}", both());
    }
}

#[test]
fn without_proc() {
    for (script, status) in ENDS {
        let (blind, sighted) = (told(script, status, |run| run.hide("/proc")), told(script, status, |run| run));
        for words in FROM_PROC {
            assert!(!blind.text.contains(words), "{words}: {}", blind.text);
        }
        assert_eq!(blind.json["left"], Value::Null);
        assert!(sighted.json["left"].is_array());
        says_no_more(script, &blind, &sighted);
    }
    // The scripts can show what is missing: with /proc, it is there.
    let sighted = |index: usize| told(ENDS[index].0, ENDS[index].1, |run| run).text;
    assert!(sighted(7).contains("it had a handler") && sighted(8).contains("still there at the end"));
}

#[test]
fn without_the_cgroups_files() {
    for (script, status) in ENDS {
        let (blind, sighted) =
            (told(script, status, |run| run.hide("/sys/fs/cgroup")), told(script, status, |run| run));
        // A machine that has killed nothing since it booted says so in /proc, and that excludes the OOM killer as well.
        let by_proc = std::fs::read_to_string("/proc/vmstat").unwrap().lines().any(|line| line == "oom_kill 0");
        for words in FROM_CGROUP.into_iter().filter(|words| !(by_proc && words.contains("OOM kill"))) {
            assert!(!blind.text.contains(words), "{words}: {}", blind.text);
        }
        says_no_more(script, &blind, &sighted);
    }
}

#[test]
fn without_both_and_dev() {
    // Without the last one: a shell starts nothing in the background without /dev/null.
    for (script, status) in ENDS.into_iter().take(8) {
        let hidden = told(script, status, |run| run.hide("/sys/fs/cgroup").hide("/proc").hide("/dev"));
        for words in FROM_PROC.iter().chain(&FROM_CGROUP) {
            assert!(!hidden.text.contains(words), "{words}: {}", hidden.text);
        }
    }
}

/// rinit as nobody under hidepid=2, with a process of root beside it: it is there, and cannot be seen.
#[test]
fn hidden_processes_are_not_known() {
    if !is_root("a process of another user") {
        return;
    }
    for (script, status) in ENDS {
        let scratch = TempDir::new();
        common::copy_program(&rinit(), &scratch.join("rinit"));
        let start = format!(
            "mount -o remount,hidepid=2 /proc; sleep 60 & \
             exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups --inh-caps=-all \
             {}/rinit --stderr-format json -- sh -c \"$0\"",
            scratch.path().display()
        );
        let ended = Rinit::as_init().init("/bin/sh").args(["-c", &start, script]).run();
        ended.assert_code(status);
        let report = report_on(&ended);
        assert_eq!(report["left"], Value::Null, "{script}: {report}");
        let text = report.to_string();
        for words in ["still there", "no process was left", "already gone"] {
            assert!(!text.contains(words), "{words}: {text}");
        }
    }
}

/// The same without hidepid: it is seen. Otherwise the test above would hold for nothing.
#[test]
fn processes_of_other_users_are_known() {
    if !is_root("a process of another user") {
        return;
    }
    let scratch = TempDir::new();
    common::copy_program(&rinit(), &scratch.join("rinit"));
    let start = format!(
        "sleep 60 & exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups --inh-caps=-all \
         {}/rinit --stderr-format json -- sh -c 'exit 3'",
        scratch.path().display()
    );
    let ended = Rinit::as_init().init("/bin/sh").args(["-c", &start]).run();
    ended.assert_code(3);
    let report = report_on(&ended);
    assert_eq!(report["left"].as_array().map(Vec::len), Some(1), "{report}");
}

/// Where the cgroup cannot be read, the counter of the whole machine may tell. Other containers move it, too. Of a
/// program that ended at once there is no difference to tell.
#[test]
fn the_machine_counts_oom_kills_as_well() {
    let hidden = |run: Rinit| run.hide("/sys/fs/cgroup");
    let text = told("sleep 1.1; kill -9 $$", 137, hidden).text;
    let none = text.contains("OOM (the kernel counted no OOM kill on the whole machine while it ran)")
        || text.contains("OOM (the kernel counts no OOM kill since the machine booted)");
    assert!(!none || text.contains("not by the OOM killer"), "{text}");
    assert!(none != text.contains("the OOM killer struck on this machine while it ran"), "{text}");
    let text = told("kill -9 $$", 137, hidden).text;
    assert!(!text.contains("while it ran"), "{text}");
    assert!(text.contains("the OOM killer is one possibility") || text.contains("since the machine booted"), "{text}");
}

/// A sender that cannot be looked up is a pid and nothing else.
#[test]
fn a_sender_without_proc_is_a_pid() {
    let script = "trap 'exit 0' USR2; (kill -USR2 1); while :; do sleep 0.01; done";
    let blind = told(script, 0, |run| run.hide("/proc"));
    let from = blind.json["signals"][0]["from"].as_str().unwrap();
    assert!(from.strip_prefix("pid ").is_some_and(|pid| pid.parse::<i32>().is_ok()), "{from}");
    assert!(!blind.text.contains("gone"), "{}", blind.text);
}

/// Nothing to look for PROGRAM with: every path is refused to this user.
#[test]
fn a_program_out_of_sight() {
    let Some(run) = Rinit::as_unprivileged_init() else { return };
    let scratch = TempDir::new();
    let directory = scratch.join("closed");
    fs::create_dir(&directory).unwrap();
    fs::copy(probe(), directory.join("probe")).unwrap();
    fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    if !is_root("a directory of another user") {
        return;
    }
    let program = directory.join("probe");
    let ended = run.stdout(Io::Null).args(["--stderr-format=json", "--", program.to_str().unwrap()]).run();
    ended.assert_code(126);
    let report = report_on(&ended);
    assert_eq!(report["cause"]["id"], "path-not-traversable", "{report}");
    assert_ne!(report["cause"]["confidence"], "certain", "{report}");
    assert!(!report.to_string().contains("does not exist"), "{report}");
}
