//! `--explain` has a true word for everything, on every terminal.
#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::undocumented_unsafe_blocks)]

mod common;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use common::{Ended, Io, Rinit, each};
use rinit::diagnose::codes::ROWS;
use rinit::diagnose::registry;
use serde_json::Value;

fn explain<S: AsRef<str>>(words: &[S], columns: &str) -> Ended {
    let words = words.iter().map(AsRef::as_ref);
    Rinit::as_subreaper().env("COLUMNS", columns).args(["--explain"]).args(words).run()
}

fn text<S: AsRef<str>>(words: &[S]) -> String {
    let ended = explain(words, "80");
    ended.assert_code(0);
    assert_eq!(ended.stderr(), "");
    ended.stdout()
}

/// The text without its line breaks.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn everything() -> Vec<String> {
    let codes = (0..=255).map(|code| code.to_string());
    let signals = (1..=64).map(|n| rinit::signals::Signo::new(n).unwrap().to_string());
    codes.chain(signals).chain(registry::ALL.iter().map(|cause| cause.id.to_owned())).collect()
}

#[test]
fn every_code_has_a_text_of_its_own() {
    each(0..=255, |code: u8| {
        let text = flat(&text(&[code.to_string()]));
        assert!(text.starts_with(&format!("exit status {code}: ")) && text.len() > 200, "{text}");
        let signal = (129..=192).contains(&code) && ![145, 146, 147, 148, 149, 150, 151, 156].contains(&code);
        assert_eq!(text.contains("Two different ends"), signal, "{text}");
        assert_eq!(text.contains("sysexits.h"), (64..=78).contains(&code), "{text}");
        assert_eq!(text.contains("No signal: those end at 64"), (193..=254).contains(&code), "{text}");
        for row in ROWS.iter().filter(|row| row.codes.contains(&code)) {
            assert!(text.contains(&flat(&format!("- {}: {}", row.who.label, row.means))), "{text}");
        }
    });
}

#[test]
fn every_signal_has_a_text_by_each_of_its_names() {
    each(1..=64, |number: i32| {
        let name = rinit::signals::Signo::new(number).unwrap().to_string();
        let by_name = text(&[&name]);
        assert!(by_name.starts_with(&format!("{name}, signal {number}: ")) && by_name.len() > 80, "{by_name}");
        assert!(flat(&by_name).contains(" It "), "{by_name}");
        // Of the two that have no name, the rest is a number.
        if number != 32 && number != 33 {
            assert_eq!(text(&[name[3..].to_lowercase()]), by_name);
        }
        if ![17, 18, 19, 20, 21, 22, 23, 28].contains(&number) {
            let status = (128 + number).to_string();
            assert!(by_name.contains(&status), "{by_name}");
            assert!(text(&[status]).contains(&by_name), "the status has what the signal has");
        }
    });
    assert!(text(&["SIGHUP"]).contains("SIGHUP, signal 1:"));
    assert!(text(&["BUS"]).contains("SIGBUS, signal 7:"));
}

#[test]
fn what_does_not_fit_in_a_byte_is_reduced_as_the_kernel_does() {
    for (asked, is) in [("256", 0), ("300", 44), ("-1", 255), ("-2", 254), ("512", 0), ("-256", 0), ("4294967296", 0)] {
        let text = text(&[asked]);
        assert!(text.starts_with(&format!("{asked} becomes {is}: the kernel keeps the low 8 bits")), "{text}");
        assert!(text.contains(&format!("exit status {is}: ")), "{text}");
        assert_eq!(text.contains("looks like a success"), is == 0, "{text}");
    }
}

#[test]
fn several_at_once_come_in_order_and_a_wrong_one_is_named() {
    let both = text(&["137", "segv", "usage-error", "-1"]);
    let places: Vec<_> =
        ["exit status 137", "SIGSEGV, signal 11", "usage-error: ", "-1 becomes"].map(|part| both.find(part)).to_vec();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{both}");
    for wrong in ["no-such-thing", "SIGNOPE", "1.5", "", "--help", "99999999999999999999", "\u{e9}"] {
        let ended = explain(&["0", wrong], "80");
        let line = ended.assert_code(125).stderr();
        assert!(line.starts_with("rinit: --explain: \"") && line.matches('\n').count() == 1, "{line}");
        assert_eq!(ended.stdout(), "");
    }
    let with_equals = Rinit::as_subreaper().env("COLUMNS", "80").args(["-v", "--explain=0", "--", "3"]).run();
    assert_eq!(with_equals.assert_code(0).stdout(), text(&["0", "3"]));
    // It answers whatever the environment holds.
    let run = Rinit::as_subreaper().env("COLUMNS", "80").env("RINIT_FORMAT", "json").env("RINIT_LOG", "=bad/=");
    assert_eq!(run.args(["--explain", "0"]).run().assert_code(0).stdout(), text(&["0"]));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let all: Vec<String> = everything();
    let table: Vec<String> = Vec::new();
    each(40..=200, |width: usize| {
        for words in [&table, &all] {
            let text = explain(words, &width.to_string()).stdout();
            assert!(!text.is_empty());
            for line in text.lines() {
                assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
                assert!(line.trim_end() == line, "{line:?}");
                let breakable = line.trim_start().trim_start_matches("- ").contains(' ');
                assert!(line.len() <= width || !breakable, "{width}: {line:?}");
            }
        }
    });
    // Breaking lines loses no word.
    let narrow = explain(&all, "40").stdout();
    assert_eq!(flat(&narrow), flat(&explain(&all, "100").stdout()));
    assert!(narrow.lines().count() > explain(&all, "100").stdout().lines().count());
    for columns in ["0", "1", "x", "", "99999999999999999999"] {
        assert_eq!(flat(&explain(&all, columns).stdout()), flat(&narrow), "{columns:?}");
    }
}

#[test]
fn the_width_is_the_terminals_where_columns_is_not_set() {
    let (mut main, mut terminal) = (0, 0);
    let size = libc::winsize { ws_row: 24, ws_col: 50, ws_xpixel: 0, ws_ypixel: 0 };
    let done = unsafe {
        libc::openpty(&raw mut main, &raw mut terminal, std::ptr::null_mut(), std::ptr::null(), &raw const size)
    };
    assert_eq!(done, 0, "openpty");
    let (main, terminal) = unsafe { (OwnedFd::from_raw_fd(main), OwnedFd::from_raw_fd(terminal)) };
    let run = || Rinit::as_subreaper().env_remove("COLUMNS").args(["--explain", "13"]);
    run().stdout(Io::Fd(terminal)).run().assert_code(0);
    let mut shown = vec![0; 65536];
    let read = unsafe { libc::read(main.as_raw_fd(), shown.as_mut_ptr().cast(), shown.len()) };
    let shown = String::from_utf8(shown[..usize::try_from(read).unwrap()].to_vec()).unwrap().replace('\r', "");
    assert!(shown.lines().all(|line| line.len() <= 50) && shown.lines().any(|line| line.len() > 40), "{shown}");
    assert_eq!(flat(&shown), flat(&text(&["13"])));
    assert_eq!(run().run().stdout(), text(&["13"]), "80 where there is no terminal");
}

#[test]
fn the_table_names_every_signal_every_cause_and_the_codes_with_a_meaning() {
    let table = text::<&str>(&[]);
    for number in 1..=31 {
        let name = rinit::signals::Signo::new(number).unwrap().to_string();
        assert!(table.lines().any(|line| line.split_whitespace().nth(1) == Some(&name)), "{name}: {table}");
    }
    for cause in registry::ALL {
        assert!(flat(&table).split(' ').any(|word| word == cause.id), "{}", cause.id);
    }
    for code in ["0", "1", "2", "124", "125", "126", "127", "128", "129-192", "255", ">255,"] {
        assert!(table.lines().any(|line| line.split_whitespace().next() == Some(code)), "{code}: {table}");
    }
    assert!(table.lines().count() < 100, "short: {}", table.lines().count());
}

#[test]
fn json_is_the_registry() {
    let ended = explain(&["--format", "json"], "40");
    let value: Value = serde_json::from_str(&ended.assert_code(0).stdout()).unwrap();
    assert_eq!(value["schema"], 1);
    let causes = value["causes"].as_array().unwrap();
    let ids: Vec<&str> = causes.iter().map(|cause| cause["id"].as_str().unwrap()).collect();
    assert_eq!(ids, registry::ALL.iter().map(|cause| cause.id).collect::<Vec<_>>());
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    for (cause, its) in causes.iter().zip(registry::ALL) {
        let mut keys: Vec<&String> = cause.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["class", "id", "next", "proof", "summary"]);
        assert_eq!((&cause["class"], &cause["proof"]), (&its.class.as_str().into(), &its.proof.into()));
        assert_eq!((&cause["summary"], &cause["next"]), (&its.summary.into(), &its.next.into()));
    }
    let before = Rinit::as_subreaper().args(["--format", "json", "--explain"]).run();
    assert_eq!(before.stdout(), ended.stdout());
    let one: Value = serde_json::from_str(&explain(&["segfault", "--format=json"], "80").stdout()).unwrap();
    assert_eq!(one["causes"].as_array().unwrap().len(), 1);
    assert!(explain(&["137", "--format", "json"], "80").assert_code(125).stderr().contains("--explain"));
    explain(&["--format", "xml"], "80").assert_code(125);
    explain(&["--format"], "80").assert_code(125);
}

/// What articles on exit codes say, and is wrong. None of it, in these or in near words, may be in a text of rinit's.
#[test]
fn no_wrong_claim_that_is_often_made_is_repeated() {
    const WRONG: [&str; 42] = [
        "SIGHUP is 7",
        "SIGHUP (7",
        "signal 7: hangup",
        "accompanied by SIGHUP",
        "standard Unix signal",
        "standard Linux signal",
        "kill -HUB",
        "kill - HUB",
        "compiler error",
        "docker ps -la",
        "rebuild the container with docker run",
        "as PID 2",
        "PID 5",
        "expose the port",
        "change the ports",
        "not attached to a specific container",
        "not attached to a container",
        "use docker start instead",
        "invalid argument to exit",
        "invalid exit argument",
        "exit 3.5 gives 128",
        "only allows 0-255",
        "only integers between 0 and 255",
        "exit code out of range",
        "flushes open streams",
        "abort() closes",
        "irreversible",
        "from the operating system",
        "by the host OS",
        "memory problem on the host",
        "go on after a segfault by",
        "terminated gracefully",
        "recreate the network",
        "overlay network",
        "129 to 255 are signals",
        "129-255: signal",
        "kubectl translates",
        "fatal errors produce",
        "terminates the container gracefully first",
        "restarts the pod",
        "alpha feature",
        "asks the process to end first",
    ];
    let mut texts = flat(&text(&everything()));
    texts += &flat(&text::<&str>(&[]));
    for row in ROWS {
        texts += &format!(" {} {}", row.means, row.next);
    }
    texts += &explain(&["--format", "json"], "80").stdout();
    let texts = texts.to_lowercase();
    for wrong in WRONG {
        assert!(!texts.contains(&wrong.to_lowercase()), "{wrong}");
    }
    // The check finds what is there.
    assert!(texts.contains("memory is one cause of several") && texts.contains("no signal is involved"));
}

#[test]
fn a_closed_or_full_stdout_is_an_error() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let ended = Rinit::as_subreaper().stdout(Io::Fd(full.into())).args(["--explain", "1"]).run();
    assert!(ended.assert_code(125).stderr().contains("stdout"));
    Rinit::as_subreaper().stdout(Io::Closed).args(["--explain", "1"]).run().assert_code(125);
}
