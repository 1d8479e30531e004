//! Size limits, whole JSON, and names that try to break out.

#[path = "../../tests/common/schema.rs"]
mod schema;

use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::diagnose::diagnose;
use crate::diagnose::tests::{died, event, every_row, everything, ran, refused};
use crate::evidence::process::Process;
use crate::evidence::tail::{Line, Tail};
use crate::evidence::{Fate, SignalEvent};
use crate::signals::{Origin, Sender, Signo};

const KEYS: [&str; 27] = [
    "schema",
    "cause",
    "outcome",
    "exit_status",
    "code",
    "signal",
    "core_dumped",
    "program",
    "pid",
    "provisional",
    "started",
    "time",
    "level",
    "message",
    "duration_ms",
    "user_ms",
    "system_ms",
    "max_rss_kib",
    "evidence",
    "ruled_out",
    "not_known",
    "notes",
    "signals",
    "reaped",
    "left",
    "stderr_tail",
    "rinit",
];

fn rendered(outcome: Outcome, evidence: &Evidence, format: Format, limit: usize) -> String {
    let diagnosis = diagnose(&outcome, evidence);
    let report = Report { outcome, evidence, diagnosis: &diagnosis, provisional: false };
    String::from_utf8(report.render(format, limit)).unwrap()
}

fn on_stderr(outcome: Outcome, evidence: &Evidence, format: Format) -> String {
    let diagnosis = diagnose(&outcome, evidence);
    let report = Report { outcome, evidence, diagnosis: &diagnosis, provisional: false };
    String::from_utf8(report.render_for_stderr(format)).unwrap()
}

/// Reads JSON back, and the order of its keys with it, which a map would lose.
fn parsed(text: &str) -> (Value, Vec<String>) {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut keys = value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    keys.sort_by_key(|key| text.find(&format!("\"{key}\":")));
    (value, keys)
}

/// Checks the grammar of a text report, and returns the keys of its lines from the second on.
fn grammar(text: &str) -> Vec<&str> {
    assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{text}");
    let mut lines = text.split('\n');
    assert!(lines.next().unwrap().starts_with("rinit: "), "{text}");
    let rest: Vec<_> = lines.collect();
    let cause = rest[0].strip_prefix("      cause: ").unwrap();
    let (id, confidence) = cause.split_once(' ').unwrap();
    assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'), "{text}");
    assert!(["(certain)", "(likely)", "(possible)", "(unknown)"].contains(&confidence), "{text}");
    let keys: Vec<_> = rest
        .iter()
        .map(|line| line.strip_prefix("      ").unwrap().split_once(": ").unwrap_or_else(|| panic!("{text}")).0)
        .collect();
    let mut order = ["cause", "evidence", "ruled out", "not known", "next"].iter();
    assert!(keys.iter().all(|key| order.any(|expected| expected == key)), "{text}");
    keys
}

/// Names that would break a line, a string or a terminal, in every place that a name can come from.
fn hostile() -> Vec<Evidence> {
    let names: [&[u8]; 6] = [
        b"a\nrinit: fake\n      cause: segfault (certain)",
        b"\x1b]0;x\x07\x1b[2J",
        b"\xff\xfe\"\\\"}]\\",
        &[b'"'; 4096],
        &[0x80; 4096],
        b"; next: x",
    ];
    let mut all = Vec::new();
    for name in names {
        let mut evidence = ran(name);
        let sender = Sender { pid: i32::MIN, name: Some(name.to_vec()) };
        let origins = [Origin::Process(sender.clone()), Origin::Exec(sender), Origin::Claimed(i32::MIN), Origin::Own];
        evidence.signals = origins
            .into_iter()
            .cycle()
            .take(16)
            .map(|origin| SignalEvent { origin, fate: Fate::Failed(i32::MIN), ..event(Signo::TERM, 5) })
            .collect();
        evidence.signals_omitted = u64::MAX;
        let process = |pid| Process { pid, name: name.to_vec(), parent: 1, state: b'S' };
        evidence.left = Some((0..200).map(process).collect());
        (evidence.started, evidence.ended) = (u64::MAX, u64::MAX);
        evidence.reaped = u64::MAX;
        evidence.command.shown = Some(vec![name.to_vec(); 9]);
        all.push(evidence.clone());
        evidence.duration = Duration::MAX;
        all.push(evidence);
    }
    all
}

fn cases() -> Vec<(Outcome, Evidence)> {
    let hostile = hostile().into_iter().flat_map(|evidence| {
        [Outcome::Exited(0), Outcome::Exited(143), died(Signo::KILL), refused(libc::ENOENT)]
            .map(|outcome| (outcome, evidence.clone()))
    });
    every_row().into_iter().map(|row| (row.0, row.1)).chain(hostile).collect()
}

#[test]
fn text_is_whole_lines_within_every_limit() {
    for (outcome, evidence) in cases().into_iter().step_by(crate::one_of(19)) {
        let diagnosis = diagnose(&outcome, &evidence);
        let report = Report { outcome, evidence: &evidence, diagnosis: &diagnosis, provisional: false };
        let whole = String::from_utf8(report.render(Format::Text, usize::MAX)).unwrap();
        let mut before = 0;
        for limit in (256..=4096).step_by(31 * crate::one_of(20)) {
            let text = String::from_utf8(report.render(Format::Text, limit)).unwrap();
            assert!(text.len() <= limit && text.len() >= before, "{limit}: {text}");
            before = text.len();
            let keys = grammar(&text);
            assert!(whole.len() > limit || text == whole);
            // A line is there only if everything that gives way before it ... is cut after it.
            for (first, then) in [("ruled out", "not known"), ("evidence", "ruled out"), ("next", "evidence")] {
                let had = grammar(&whole);
                assert!(!keys.contains(&then) || keys.contains(&first) || !had.contains(&first), "{limit}: {text}");
            }
        }
        assert_eq!(find_report(whole.as_bytes()), Some(0));
        assert_eq!(find_report(format!("x\n{whole}").as_bytes()), Some(2));
    }
}

#[test]
fn json_is_whole_within_every_limit() {
    for (outcome, evidence) in cases().into_iter().step_by(crate::one_of(19)) {
        let diagnosis = diagnose(&outcome, &evidence);
        let report = Report { outcome, evidence: &evidence, diagnosis: &diagnosis, provisional: false };
        for limit in (256..=4096).step_by(83 * crate::one_of(10)) {
            let text = String::from_utf8(report.render(Format::Json, limit)).unwrap();
            assert!(text.len() <= limit, "{limit}: {text}");
            assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
            let (value, keys) = parsed(&text);
            assert_eq!(keys, KEYS[..keys.len()], "{text}");
            assert_eq!(value["cause"]["id"], diagnosis.cause.id);
            assert_eq!(value["cause"]["confidence"], diagnosis.confidence.as_str());
            assert_eq!(value["exit_status"], outcome.exit_status());
            assert!(is_json(text.as_bytes()));
            assert_eq!(find_report(text.as_bytes()), Some(0));
            if limit >= 1280 {
                assert_eq!(keys.len(), KEYS.len(), "{limit}: {text}");
            }
        }
    }
}

#[test]
fn json_is_what_the_schema_says() {
    for (outcome, evidence) in cases().into_iter().step_by(crate::one_of(19)) {
        for limit in [256, 512, 1024, usize::MAX] {
            schema::validate(rendered(outcome, &evidence, Format::Json, limit).as_bytes());
        }
    }
}

#[test]
fn less_room_than_the_shortest_report_takes_is_left_empty() {
    for (outcome, evidence) in cases().into_iter().step_by(7 * crate::one_of(5)) {
        for format in [Format::Text, Format::Json] {
            for limit in (0..256).step_by(crate::one_of(37)) {
                let text = rendered(outcome, &evidence, format, limit);
                assert!(text.len() <= limit, "{limit}: {text}");
                match format {
                    _ if text.is_empty() => {}
                    Format::Text => _ = grammar(&text),
                    Format::Json => _ = parsed(&text),
                }
            }
        }
    }
}

#[test]
fn every_end_renders_in_both_formats() {
    for (outcome, evidence) in everything().into_iter().step_by(crate::one_of(199)) {
        let keys = grammar(&rendered(outcome, &evidence, Format::Text, 1024)).len();
        assert!(keys >= 2);
        let json = rendered(outcome, &evidence, Format::Json, 1024);
        let value: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
        match outcome {
            Outcome::Exited(code) => {
                assert_eq!((&value["code"], &value["outcome"]), (&code.into(), &"exited".into()));
                assert_eq!(value["signal"], Value::Null);
            }
            Outcome::Signaled { signal, core_dumped } => {
                assert_eq!((&value["code"], &value["outcome"]), (&Value::Null, &"signaled".into()));
                assert_eq!(value["signal"], signal.to_string());
                assert_eq!(value["core_dumped"], core_dumped);
            }
            Outcome::NotStarted(_) => {
                assert_eq!((&value["code"], &value["signal"]), (&Value::Null, &Value::Null));
                assert_eq!(value["outcome"], "not_started");
            }
        }
        assert!(outcome.exit_status() != 0 || value["level"] == "info");
    }
}

#[test]
fn json_holds_the_contract_word_for_word() {
    let mut evidence = ran(b"/usr/bin/python3");
    let process = Origin::Process(Sender { pid: 9, name: Some(b"sh".to_vec()) });
    let rewritten = SignalEvent { fate: Fate::Sent(Signo::INT), ..event(Signo::TERM, 31) };
    let dropped = SignalEvent { fate: Fate::Dropped, origin: process, ..event(Signo::HUP, 31) };
    let direct = SignalEvent { fate: Fate::Direct, origin: Origin::Terminal, ..event(Signo::INT, 31) };
    let claimed = SignalEvent { fate: Fate::Failed(1), origin: Origin::Claimed(0), ..event(Signo::INT, 31) };
    evidence.signals = vec![rewritten, dropped, direct, claimed];
    evidence.left = Some(vec![Process { pid: 12, name: b"nginx".to_vec(), parent: 1, state: b'S' }]);
    evidence.reaped = 3;
    let text = rendered(Outcome::Exited(1), &evidence, Format::Json, usize::MAX);
    for part in [
        "{\"schema\":1,\"cause\":{\"id\":\"stop-failed\",\"confidence\":\"likely\",\"class\":\"app\",\"summary\":\"",
        "},\"outcome\":\"exited\",\"exit_status\":1,\"code\":1,\"signal\":null,\"core_dumped\":false,\
         \"program\":\"python3\",\"pid\":7,\"provisional\":false,\"started\":\"2026-11-21T14:00:11Z\",\
         \"time\":\"2026-11-21T14:03:23Z\",\"level\":\"error\",\"message\":\"rinit: python3 was asked to stop",
        "\"duration_ms\":192031,\"user_ms\":1200,\"system_ms\":300,\"max_rss_kib\":86016,\"evidence\":[\"",
        "\"notes\":[{\"id\":\"processes-left\",\"summary\":\"1 process was still there",
        "\"signals\":[{\"signal\":\"SIGTERM\",\"from\":\"outside\",\"at_ms\":192000,\"sent_as\":\"SIGINT\"},\
         {\"signal\":\"SIGHUP\",\"from\":\"pid 9 (sh)\",\"at_ms\":192000,\"sent_as\":null},\
         {\"signal\":\"SIGINT\",\"from\":\"terminal\",\"at_ms\":192000,\"sent_as\":\"SIGINT\"},\
         {\"signal\":\"SIGINT\",\"from\":\"pid 0 (by its own word)\",\"at_ms\":192000,\"sent_as\":null}],\
         \"reaped\":3,\"left\":[{\"pid\":12,\"program\":\"nginx\"}],\"stderr_tail\":[],\"rinit\":\"",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    assert_eq!(parsed(&text).1, KEYS);
    let unknown = rendered(Outcome::Exited(1), &Evidence::default(), Format::Json, usize::MAX);
    assert!(unknown.contains("\"pid\":null") && unknown.contains("\"user_ms\":null,\"system_ms\":null"), "{unknown}");
}

#[test]
fn json_arrays_give_way_in_order_and_signals_from_the_middle() {
    let mut evidence = ran(b"x");
    evidence.signals = (1..=16).map(|i| event(Signo::new(i).unwrap(), 5)).collect();
    evidence.left = Some((1..9).map(|pid| Process { pid, name: b"y".to_vec(), parent: 1, state: b'S' }).collect());
    let diagnosis = diagnose(&died(Signo::KILL), &evidence);
    let report = Report { outcome: died(Signo::KILL), evidence: &evidence, diagnosis: &diagnosis, provisional: false };
    let whole = report.render(Format::Json, usize::MAX);
    let full = parsed(std::str::from_utf8(&whole).unwrap()).0;
    let length = |value: &Value, key: &str| value[key].as_array().map_or(0, Vec::len);
    for limit in 256..whole.len() {
        let text = String::from_utf8(report.render(Format::Json, limit)).unwrap();
        let value = parsed(&text).0;
        let order = ["left", "signals", "notes", "ruled_out", "not_known", "evidence"];
        for pair in order.windows(2) {
            let shrunk = length(&value, pair[1]) < length(&full, pair[1]);
            assert!(!shrunk || length(&value, pair[0]) == 0, "{limit}: {text}");
        }
        let signals = value["signals"].as_array().map_or(&[][..], Vec::as_slice);
        if let [first, .., last] = signals {
            assert_eq!((&first["signal"], &last["signal"]), (&"SIGHUP".into(), &"SIGSTKFLT".into()));
        }
    }
}

/// Of what has no array left to give, the message gives way, and no byte more than has to.
#[test]
fn json_cuts_the_message_to_the_byte() {
    for text in ["no database", "say \"no\"", "\\\\\\\\\\\"\"\"\"", ""] {
        let whole = json::string(text);
        for room in 3..=whole.len() {
            let written = json::fitting(text, room);
            let read: String = serde_json::from_str(&written).unwrap();
            if room + 2 >= whole.len() {
                assert_eq!(written, whole);
            } else {
                assert!(text.starts_with(read.strip_suffix("...").unwrap()), "{room}: {written}");
                assert!((room + 1..=room + 2).contains(&written.len()), "{room}: {written}");
            }
        }
    }
    let (outcome, evidence) = (Outcome::Exited(1), ran(b"app"));
    let (not_known, ruled_out, facts) = (Vec::new(), Vec::new(), Vec::new());
    let verdict = "x".repeat(600);
    let bare = Diagnosis { verdict, evidence: facts, not_known, ruled_out, ..diagnose(&outcome, &evidence) };
    let advised = Report { outcome, evidence: &evidence, diagnosis: &bare, provisional: false };
    let silent = Diagnosis { next: String::new(), ..bare.clone() };
    let silent = Report { diagnosis: &silent, ..advised };
    let whole = silent.render(Format::Json, 4096).len();
    for limit in whole - 590..whole {
        let text = advised.render(Format::Json, limit);
        assert_eq!(text.len(), limit, "{}", String::from_utf8_lossy(&text));
    }
    let (_, keys) = parsed(&json::render(&advised, 0));
    assert_eq!(keys, KEYS[..4]);
}

#[test]
fn json_calls_what_was_asked_for_no_error() {
    let asked = |evidence: Evidence| Evidence { signals: vec![event(Signo::TERM, 3200)], ..evidence };
    for (outcome, evidence, level) in [
        (Outcome::Exited(0), ran(b"app"), "info"),
        (Outcome::Exited(1), ran(b"app"), "error"),
        (Outcome::Exited(143), asked(ran(b"app")), "info"),
        (died(Signo::TERM), asked(ran(b"app")), "error"),
        (died(Signo::KILL), ran(b"app"), "error"),
    ] {
        let (value, _) = parsed(&rendered(outcome, &evidence, Format::Json, 4096));
        assert_eq!(value["level"], level, "{outcome:?}");
    }
    // Nor a success of which there is more to say.
    let left = vec![Process { pid: 9, name: b"nginx".to_vec(), parent: 1, state: b'S' }];
    let daemonised = Evidence { left: Some(left), duration: Duration::from_millis(100), ..ran(b"nginx") };
    let (value, _) = parsed(&rendered(Outcome::Exited(0), &daemonised, Format::Json, 4096));
    assert_eq!((&value["level"], &value["cause"]["id"]), (&"info".into(), &"daemonised".into()));
}

#[test]
fn stderr_gets_one_line_where_there_is_nothing_to_remark() {
    let evidence = ran(b"/bin/true");
    let line = on_stderr(Outcome::Exited(0), &evidence, Format::Text);
    assert_eq!(line, "rinit: true finished with exit status 0 after 3m12s, no signal came through rinit\n");
    let lines = on_stderr(Outcome::Exited(1), &evidence, Format::Text);
    assert!(lines.ends_with('\n') && !lines.ends_with("\n\n"));
    grammar(lines.trim_end());
    let json = on_stderr(Outcome::Exited(0), &evidence, Format::Json);
    assert_eq!(json.matches('\n').count(), 1);
    assert_eq!(parsed(json.trim_end()).1, KEYS);
    let whole = rendered(Outcome::Exited(0), &evidence, Format::Text, 1024);
    assert_eq!(grammar(&whole), ["cause", "next"]);
}

/// With these last lines.
fn saying(lines: &[&[u8]]) -> Evidence {
    let line = |text: &&[u8]| Line { text: text.to_vec(), stdout: false };
    Evidence { tail: Some(Tail { lines: lines.iter().map(line).collect(), wanted: None, cut: false }), ..ran(b"app") }
}

#[test]
fn the_last_lines_stand_at_the_end_of_the_text_as_far_as_there_is_room() {
    let evidence = saying(&[b"first", b"", b"\tat x\x1b[31m\xff", b"  \xe2\x80\x98last\xe2\x80\x99\n"]);
    let outcome = Outcome::Exited(1);
    let text = rendered(outcome, &evidence, Format::Text, 4096);
    let end = "\n      last lines:\n        first\n            at x\\x1b[31m\\xff\n          'last'\\n";
    assert!(text.ends_with(end), "{text}");
    let keys = text.len() - end.len();
    for limit in 256..=text.len() {
        let cut = rendered(outcome, &evidence, Format::Text, limit);
        assert!(cut.len() <= limit, "{limit}");
        // The newest are kept, and whole.
        let kept: Vec<&str> = cut.lines().skip_while(|line| *line != "      last lines:").skip(1).collect();
        let all: Vec<&str> = end.lines().skip(2).collect();
        assert!(kept.is_empty() || all.ends_with(&kept), "{limit}: {cut}");
        if limit >= keys {
            let least = keys + "\n      last lines:\n          'last'\\n".len();
            assert_eq!(kept.is_empty(), limit < least, "{limit}: {cut}");
        }
    }
    assert!(!on_stderr(outcome, &evidence, Format::Text).contains("last lines"), "they are just above");
    let brief = rendered(Outcome::Exited(0), &evidence, Format::Text, 4096);
    assert!(!brief.contains("last lines"), "{brief}");
    assert!(!rendered(outcome, &saying(&[]), Format::Text, 4096).contains("last lines"));
}

#[test]
fn json_keeps_the_newest_lines_as_they_were_written() {
    let mut lines: Vec<Vec<u8>> = (0..60_000).map(|number| format!("line {number}").into_bytes()).collect();
    lines.push(b"\x00\"\\\xff".to_vec());
    let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    let evidence = saying(&lines);
    for limit in [256, 600, 1024, 4096] {
        let (value, _) = parsed(&rendered(Outcome::Exited(1), &evidence, Format::Json, limit));
        let kept = value["stderr_tail"].as_array().map_or(&[][..], Vec::as_slice);
        if limit == 4096 {
            assert!(kept.len() > 100, "{value:#}");
        }
        if let [.., before, last] = kept {
            assert_eq!((last, before), (&Value::from("\\x00\"\\\\\\xff"), &Value::from("line 59999")), "{limit}");
        }
    }
    let (all, _) = parsed(&on_stderr(Outcome::Exited(1), &evidence, Format::Json));
    assert_eq!(all["stderr_tail"].as_array().unwrap().len(), 60_001);
    let (long, _) = parsed(&rendered(Outcome::Exited(1), &saying(&[&[b'x'; 1 << 20]]), Format::Json, 4096));
    assert_eq!(long["stderr_tail"][0].as_str().unwrap().len(), 1003);
}

#[test]
fn what_just_fits_is_left_as_it_is() {
    let mut evidence = saying(&[b"first", b"last \"\\"]);
    evidence.signals = vec![event(Signo::HUP, 9000), event(Signo::TERM, 4000), event(Signo::INT, 2000)];
    for format in [Format::Text, Format::Json] {
        let whole = rendered(Outcome::Exited(1), &evidence, format, 4096);
        assert!(whole.len() < 4000, "{whole}");
        assert_eq!(rendered(Outcome::Exited(1), &evidence, format, whole.len()), whole);
        let cut = rendered(Outcome::Exited(1), &evidence, format, whole.len() - 1);
        assert!(cut.len() < whole.len() && cut != whole, "{cut}");
    }
    // What gives way gives way one by one, and signals from the middle.
    let (whole, _) = parsed(&rendered(Outcome::Exited(1), &evidence, Format::Json, 4096));
    assert_eq!(whole["signals"].as_array().unwrap().len(), 3);
    let signals: Vec<Vec<String>> = (256..4096)
        .map(|limit| parsed(&rendered(Outcome::Exited(1), &evidence, Format::Json, limit)).0)
        .map(|value| {
            let signals = value["signals"].as_array().into_iter().flatten();
            signals.map(|signal| signal["signal"].as_str().unwrap().to_owned()).collect()
        })
        .collect();
    for kept in [&["SIGHUP", "SIGINT"][..], &["SIGHUP"]] {
        assert!(signals.iter().any(|signals| signals == kept), "{kept:?}");
    }
}
