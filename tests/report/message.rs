//! What stands in the file besides the report: the program's own message, an older report, a nested rinit's.

use std::fs;
use std::path::PathBuf;

use crate::common::{PLACES, Rinit, TempDir, each, rinit};
use crate::{DEFAULT, Dev, Kind, assert_report, file, kind, read};

const CAPACITY: usize = 4096;

/// Runs a program that leaves `message` in the file. What is behind the message afterwards.
#[track_caller]
fn behind(run: Rinit, message: &[u8], end: &str, status: i32) -> String {
    let dir = TempDir::new();
    let (log, own) = (file(&dir, "log", ""), file(&dir, "own", message));
    let script = format!("cat \"$0\" >> \"$1\"; {end}");
    run.log(&log).sh(&script).args([&own, &log]).run().assert_code(status);
    let content = fs::read(&log).unwrap();
    let rest = content.strip_prefix(message).unwrap_or_else(|| panic!("lost: {}", content.escape_ascii()));
    String::from_utf8(rest.to_vec()).unwrap()
}

#[test]
fn the_report_follows_the_message_on_a_line_of_its_own() {
    each(PLACES, |place| {
        for format in ["text", "json"] {
            let run = || place().args(["--format", format]);
            let report = behind(run(), b"the database is gone", "exit 3", 3);
            assert_ne!(kind(report.strip_prefix('\n').expect(&report)), Kind::None);
            assert_ne!(kind(&behind(run(), b"the database is gone\n", "exit 3", 3)), Kind::None);
            // The message needs not be text.
            let report = behind(run(), b"\x00\xff\xfe\x1b[31m", "exit 3", 3);
            assert_ne!(kind(report.strip_prefix('\n').expect(&report)), Kind::None);
        }
    });
}

#[test]
fn the_report_gives_way_to_a_long_message() {
    let lengths = [1, 2999, 3000, 3500, 3700, 3800, 3840, 3900, 3950, 4000, 4050, 4090, 4094, 4095, 4096, 4097, 10_000];
    each(lengths.into_iter().flat_map(|l| [(l, false), (l, true)]), |(length, newline)| {
        let mut message = vec![b'x'; length];
        if newline {
            message[length - 1] = b'\n';
        }
        for (format, written) in [("text", Kind::Text), ("json", Kind::Json)] {
            let run = Rinit::as_init().args(["--report-size=4096", "--format", format]);
            let rest = behind(run, &message, "kill -SEGV $$", 139);
            let case = format!("{length} {newline} {format}: {rest}");
            assert!(length + rest.len() <= CAPACITY.max(length), "{case}");
            if rest.is_empty() {
                assert!(length > CAPACITY - 256, "there was room: {case}");
                continue;
            }
            let report = if newline { &rest } else { rest.strip_prefix('\n').expect(&case) };
            assert_eq!(kind(report), written, "{case}");
        }
    });
}

#[test]
fn a_message_that_is_json_stays_alone() {
    let messages: [&[u8]; 5] = [
        b"{\"a\":1}",
        b"[{\"key\":\"digest\",\"value\":\"sha256:00\",\"type\":1}]",
        b"  {\"a\": [1, 2, {\"b\": null}]}\n",
        b"{}\n{}\n",
        b"[]",
    ];
    for message in messages {
        for (end, status) in [("exit 3", 3), ("exit 0", 0), ("kill -SEGV $$", 139)] {
            assert_eq!(behind(Rinit::as_init(), message, end, status), "");
            assert_eq!(behind(Rinit::as_init().args(["--format=json"]), message, end, status), "");
        }
    }
    // And this is none.
    for message in [b"{\"a\":1".as_slice(), b"[1] went wrong", b"{}x"] {
        assert_ne!(behind(Rinit::as_init(), message, "exit 3", 3), "");
    }
}

#[test]
fn on_a_plain_success_any_message_stays_alone() {
    each(PLACES, |place| {
        for message in ["done\n", "done", "{\"a\":1", "rinit: done"] {
            assert_eq!(behind(place(), message.as_bytes(), "exit 0", 0), "");
        }
        // Remapped to success it still was a failure.
        assert_ne!(behind(place().args(["-e", "3"]), b"done\n", "exit 3", 0), "");
    });
}

#[test]
fn a_nested_rinits_report_stays_alone() {
    for format in ["text", "json"] {
        let dir = TempDir::new();
        let log = file(&dir, "log", "");
        let run = Rinit::as_init().args(["--format", format]).log(&log).args([rinit()]).args(["--format", format]);
        run.log(&log).sh("exit 3").run().assert_code(3);
        let content = read(&log);
        assert_eq!(kind(&content), if format == "text" { Kind::Text } else { Kind::Json });
        assert!(content.contains("\"program\":\"sh\"") || content.starts_with("rinit: sh"), "{content}");
    }
}

#[test]
fn a_nested_rinit_at_the_default_path() {
    let dir = TempDir::new();
    let (dev, log) = (Dev::with_log(&dir), file(&dir, "log", ""));
    let run = Rinit::as_init().default_log(&dev).bind(&log, DEFAULT);
    run.args([rinit()]).sh("echo the message > /dev/termination-log; exit 3").run().assert_code(3);
    let content = read(&log);
    let report = content.strip_prefix("the message\n").expect(&content);
    assert_eq!(kind(report), Kind::Text);
    assert!(report.starts_with("rinit: sh"), "{report}");
}

/// A report that an earlier run left, and whatever stood in front of it.
fn older(dir: &TempDir, front: &str, format: &str) -> PathBuf {
    let log = file(dir, "log", front);
    Rinit::as_init().args(["--format", format]).log(&log).sh("exit 42").run().assert_code(42);
    let content = read(&log);
    assert!(content.starts_with(front) && content.len() > front.len(), "{content}");
    log
}

#[test]
fn an_older_report_is_dropped_first() {
    each(PLACES, |place| {
        for format in ["text", "json"] {
            let dir = TempDir::new();
            let log = older(&dir, "", format);
            place().log(&log).sh("exit 3").run().assert_code(3);
            assert_report(&log, "status 3");
        }
    });
}

/// `docker restart` with a file of the host's mounted. Kubernetes has a new one for every start.
#[test]
fn an_older_report_in_a_mounted_file_is_dropped_by_pid_1_alone() {
    let dir = TempDir::new();
    let (dev, log) = (Dev::with_log(&dir), older(&dir, "", "text"));
    Rinit::as_init().default_log(&dev).bind(&log, DEFAULT).sh("exit 3").run().assert_code(3);
    assert_report(&log, "status 3");
    // Elsewhere it may be that of a rinit inside or beside this one.
    let run = Rinit::as_init().init("/bin/sh").default_log(&dev).bind(&log, DEFAULT);
    run.args(["-c", "\"$0\" sh -c 'exit 4'; exit $?"]).args([rinit()]).run().assert_code(4);
    assert_report(&log, "status 3");
    // Without a mount table it may be a mount, too.
    let run = Rinit::as_init().init("/bin/sh").hide("/proc").env("RINIT_TERMINATION_LOG", &log);
    run.args(["-c", "\"$0\" sh -c 'exit 4'; exit $?"]).args([rinit()]).run().assert_code(4);
    assert_report(&log, "status 3");
}

#[test]
fn an_older_report_is_gone_before_the_program_starts() {
    let dir = TempDir::new();
    let log = older(&dir, "", "text");
    let ended = Rinit::as_init().log(&log).args(["--report=failure"]).sh("cat \"$0\"").args([&log]).run();
    ended.assert_code(0);
    assert!(ended.stdout().contains("cause: killed-without-report (unknown)"), "{ended:?}");
    assert!(!ended.stdout().contains("status 42"), "{ended:?}");
    assert_eq!(read(&log), "");
}

#[test]
fn what_stands_in_front_of_an_older_report_is_kept() {
    for (n, front) in ["other text\n", "rinit: is mentioned, no more\n"].into_iter().enumerate() {
        let dir = TempDir::new();
        let log = older(&dir, front, if n == 0 { "text" } else { "json" });
        Rinit::as_init().log(&log).sh("exit 3").run().assert_code(3);
        let content = read(&log);
        let report = content.strip_prefix(front).expect(&content);
        assert_eq!(kind(report), Kind::Text, "{content}");
        // The older run's status, in the words of either format: a bare 42 can be a figure of this one's.
        assert!(!content.contains("status 42") && !content.contains(":42,"), "{content}");
    }
    // Without any report nothing is dropped.
    let dir = TempDir::new();
    let log = file(&dir, "log", "not a report of rinit:\n      cause: none\n");
    Rinit::as_init().log(&log).args(["--report=failure"]).sh("exit 0").run().assert_code(0);
    assert_eq!(read(&log), "not a report of rinit:\n      cause: none\n");
}

#[test]
fn rinit_off_leaves_the_file_alone() {
    let dir = TempDir::new();
    let log = older(&dir, "", "text");
    let before = read(&log);
    Rinit::as_init().env("RINIT_OFF", "1").log(&log).sh("exit 3").run().assert_code(3);
    assert_eq!(read(&log), before);
}
