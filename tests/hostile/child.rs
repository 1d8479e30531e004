//! A program that does its worst while it runs: the status is its own, and the report is true.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{self, Ended, Io, NOBODY, PLACES, Rinit, TempDir, copy_program, each, is_root};
use crate::{patience, rounds, schema};

/// The JSON report on stderr: whole, as the schema has it, and nothing but printable ASCII.
#[track_caller]
fn report(ended: &Ended) -> Value {
    let stderr = ended.stderr();
    let line = stderr.lines().rfind(|line| line.starts_with("{\"schema\"")).unwrap_or_else(|| panic!("{ended:?}"));
    assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
    let report = schema::validate(line.as_bytes());
    assert_eq!(report["message"].as_str().unwrap().lines().count(), 1, "{report}");
    report
}

/// A report in text: a verdict, a cause, and what else a report has, once each.
#[track_caller]
fn assert_text(text: &str) {
    assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{text:?}");
    let mut labels = ["cause: ", "evidence: ", "ruled out: ", "not known: ", "next: ", "last lines:"].into_iter();
    let mut lines = text.lines();
    assert!(lines.next().is_some_and(|line| line.starts_with("rinit: ")), "{text}");
    for line in lines {
        let line = line.strip_prefix("      ").unwrap_or_else(|| panic!("{line:?} in {text}"));
        // Behind the last label stand the program's own words.
        if !line.starts_with("  ") && !line.starts_with("| ") {
            assert!(labels.any(|label| line.starts_with(label)), "{line:?} in {text}");
        }
    }
}

#[test]
fn the_termination_log_under_attack() {
    each(PLACES.into_iter().flat_map(|place| (0..3 * rounds().min(10)).map(move |_| place)), |place| {
        let dir = TempDir::new();
        let (log, victim) = (dir.join("log"), dir.join("victim"));
        fs::write(&log, "").unwrap();
        fs::write(&victim, "kept").unwrap();
        let run = place().json().stdin(Io::Pipe).deadline(patience()).args([Path::new("--termination-log"), &log]);
        let run = run.probe(["attack-log".as_ref(), log.as_os_str(), victim.as_os_str()]);
        let mut run = run.spawn();
        run.ready();
        // A request to stop is a block in the file, or would be.
        run.signal(libc::SIGWINCH);
        run.signal(libc::SIGURG);
        run.close_stdin();
        let ended = run.wait();
        ended.assert_code(3);
        assert_eq!(report(&ended)["exit_status"], 3);
        assert_eq!(fs::read(&victim).unwrap(), b"kept", "a file that a link led to");
    });
}

#[test]
fn names_of_every_bad_kind() {
    if !is_root("a file of any name below a directory of any name") {
        return;
    }
    let name = b"evil\n      cause: oom (certain)\n\x1b[31m\r\t\xff\xfe\"}\\ \x7f";
    let ways = [("exit", 3), ("11", 139), ("9", 137), ("15", 143), ("wait", 143)];
    each(PLACES.into_iter().flat_map(|place| ways.map(|way| (place, way))), |(place, (how, status))| {
        let dir = TempDir::new();
        let folder = dir.join(OsString::from_vec(name.to_vec()));
        fs::create_dir(&folder).unwrap();
        let program = folder.join(OsString::from_vec(name.to_vec()));
        copy_program(&common::probe(), &program);
        for json in [false, true] {
            let log = folder.join("log");
            let format = if json { "json" } else { "text" };
            let run = place().deadline(patience()).cwd(&folder).args(["--show-args", "-vv", "--stderr-format", format]);
            let run =
                run.args(["--format", format, "--report-size", "4096"]).args([Path::new("--termination-log"), &log]);
            let run = run.args(["--".as_ref(), program.as_os_str(), "names".as_ref(), how.as_ref()]);
            let mut run = run.args([OsString::from_vec(name.to_vec())]).spawn();
            run.ready();
            if how == "wait" {
                run.signal(libc::SIGTERM);
            }
            let ended = run.wait();
            ended.assert_code(status);
            assert!(ended.stderr().bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{ended:?}");
            let log = fs::read_to_string(&log).unwrap();
            if json {
                assert_eq!(report(&ended)["exit_status"], status);
                schema::validate(log.as_bytes());
            } else {
                assert_text(&log);
            }
            fs::remove_file(folder.join("log")).unwrap();
        }
    });
}

#[test]
fn a_start_that_fails_has_names_too() {
    let name = OsString::from_vec(b"no\n      cause: oom (certain)\n\x1b[31m\xff\"}\\".to_vec());
    let dir = TempDir::new();
    let folder = dir.join(&name);
    fs::create_dir(&folder).unwrap();
    let script = folder.join("script");
    fs::write(&script, b"#!/no/\x1b[31m\xff\"interpreter\n").unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let near = folder.join(OsString::from_vec(b"ab\n\xffc".to_vec()));
    fs::write(&near, "").unwrap();
    let missing = folder.join(OsString::from_vec(b"ab\n\xffd".to_vec()));
    for program in [name, folder.into_os_string(), script.into_os_string(), missing.into_os_string()] {
        let log = dir.join("log");
        let run = Rinit::as_init().json().args([Path::new("--termination-log"), &log]).args(["--".into(), program]);
        let ended = run.run();
        assert!([126, 127].map(common::Status::Code).contains(&ended.status), "{ended:?}");
        report(&ended);
        assert_text(&fs::read_to_string(&log).unwrap());
        fs::remove_file(&log).unwrap();
    }
}

#[test]
fn last_words_that_pretend_to_be_a_report() {
    let words = [
        "\n      cause: oom-container-limit (certain)\n      evidence: none\nrinit: another verdict\n",
        "\x1b[2J\x1b]0;title\x07\x1b[31mError\x1b[0m\r\n\0\0\u{85}\u{202e}\u{9b}31m\x7f",
        "\"}],\"exit_status\":0,\"cause\":{\"id\":\"completed\"}}\n{\"schema\":1}\n",
        "Traceback (most recent call last):\n  File \"/\x1b[31m\n      cause: x (certain)\", line 1, in f\nOSError: [Errno 28]\x1b \n",
    ];
    each(PLACES.into_iter().flat_map(|place| words.map(|words| (place, words))), |(place, words)| {
        let dir = TempDir::new();
        let (log, file) = (dir.join("log"), dir.join("words"));
        fs::write(&file, [words.as_bytes(), b"\xff\xfe\n"].concat()).unwrap();
        let run = place().json().args(["--tail", "20"]).args([Path::new("--termination-log"), &log]);
        let ended = run.args(["--", "sh", "-c", "cat \"$0\" >&2; exit 3"]).args([&file]).run();
        ended.assert_code(3);
        assert_eq!(report(&ended)["exit_status"], 3);
        let text = fs::read_to_string(&log).unwrap();
        assert_text(&text);
        assert!(!text.contains("(certain)\n      evidence: none"), "{text}");
    });
}

#[test]
fn a_program_that_another_one_traces() {
    // Its end is told to who traces it, and to nobody else before that one is gone: rinit waits, and keeps its deadline.
    each(PLACES, |place| {
        let run = place().json().deadline(patience()).stdin(Io::Pipe).args(["-t", "1s"]).probe(["traced"]);
        let mut run = run.spawn();
        run.ready();
        let traced = run.line() == "traced";
        run.close_stdin();
        if traced {
            let program = run.program();
            run.until("it has ended", || (common::proc::state(program)? == 'Z').then_some(()));
            run.signal(libc::SIGTERM);
            let ended = run.wait();
            ended.assert_code(3);
            let report = report(&ended);
            assert_eq!((&report["outcome"], &report["exit_status"]), (&"exited".into(), &3.into()), "{report:#}");
        } else {
            run.wait().assert_code(3);
        }
    });
}

#[test]
fn a_program_that_has_rinit_trace_it() {
    // Some do, to keep debuggers out. A parent that does not know of it leaves them standing at their first signal.
    let probe = common::probe();
    let commands = [vec!["traceme".as_ref()], vec!["traceme".as_ref(), probe.as_os_str(), "hold".as_ref()]];
    each(PLACES.into_iter().flat_map(|place| commands.clone().map(|command| (place, command))), |(place, command)| {
        let mut run = place().json().deadline(patience()).probe(command).spawn();
        run.ready();
        run.signal(libc::SIGWINCH);
        run.signal(libc::SIGTERM);
        let ended = run.wait();
        ended.assert_code(143);
        assert_eq!(report(&ended)["cause"]["id"], "stopped-without-handler");
    });
}

#[test]
fn a_program_that_dies_while_it_is_looked_at() {
    each((0..40 * rounds().min(10)).map(|n| (PLACES[n % 2], n as u64)), |(place, n)| {
        let mut run = place().json().args(["--tail", "5", "-t", "10s"]).probe(["block", "15"]).spawn();
        run.ready();
        let program = run.program();
        // What is sent to rinit is looked at, for as long as a millisecond.
        run.signal(libc::SIGTERM);
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(n * 37 % 1500) {}
        common::kill(program, libc::SIGKILL);
        let ended = run.wait();
        ended.assert_code(137);
        let report = report(&ended);
        assert_eq!((&report["outcome"], &report["signal"]), (&"signaled".into(), &"SIGKILL".into()), "{report:#}");
        assert_eq!(report["cause"]["id"], "killed-by-unknown", "{report:#}");
    });
}

#[test]
fn ends_in_every_order() {
    let digits = "0123";
    let orders = (0..256_usize).map(|n| [0, 2, 4, 6].map(|shift| &digits[n >> shift & 3..][..1]).concat());
    let orders: Vec<String> = orders.filter(|order| digits.chars().all(|digit| order.contains(digit))).collect();
    assert_eq!(orders.len(), 24);
    let ways = PLACES.into_iter().flat_map(|place| [(place, &[][..]), (place, &["-d", "10s"][..])]);
    each(ways.flat_map(|way| orders.iter().map(move |order| (way, order))), |((place, options), order)| {
        let ended = place().json().args(options).probe(["ends", order]).run();
        ended.assert_code(7);
        assert_eq!(report(&ended)["exit_status"], 7, "{order}");
    });
}

#[test]
fn another_user_may_do_nothing_to_rinit() {
    if !is_root("another user") {
        return;
    }
    each(PLACES, |place| {
        let ended = place().deadline(patience()).probe(["touch", &NOBODY.to_string()]).run();
        ended.assert_code(0);
        // What is in the same session may send it (kill(2)).
        assert_eq!(ended.stdout(), format!("may kill {}\ntried 85\n", libc::SIGCONT), "{ended:?}");
    });
}

#[test]
fn the_same_user_may_do_what_the_kernel_lets_it() {
    // Or the test above proves nothing. rinit stays dumpable: programs log to /proc/1/fd/1.
    let out = Rinit::as_init().deadline(patience()).probe(["touch", "0"]).run().stdout();
    for what in ["may kill 0\n", "may kill 1\n", "may open fd/2\n", "tried 85\n"] {
        assert!(out.contains(what), "{out}");
    }
}
