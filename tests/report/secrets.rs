//! What a command line or an environment holds stays there, and a name from outside does no harm to a terminal.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::common::{PLACES, Rinit, TempDir, each};
use crate::{file, read};

const SECRET: &str = "hunter2-Zq";

/// Everything that rinit says: stdout, stderr with every line of the log, the termination log.
#[track_caller]
fn said<A: AsRef<OsStr>>(run: Rinit, command: &[A]) -> String {
    let dir = TempDir::new();
    let log = file(&dir, "log", "");
    let run = run.env("RINIT_LOG", "trace").env("DB_PASSWORD", SECRET);
    let ended = run.log(&log).args(["--"]).args(command).run();
    let log = read(&log);
    assert!(!log.is_empty(), "there is a report of {:?}", command[0].as_ref());
    format!("{}\n{}\n{log}", ended.stdout(), ended.stderr())
}

fn commands() -> Vec<Vec<String>> {
    let flag = format!("--password={SECRET}");
    let words: [&[&str]; 16] = [
        &["sh", "-c", "exit 3", "sh", &flag],
        &["sh", "-c", "kill -SEGV $$", SECRET],
        &["sh", "-c", "exit 0", SECRET],
        &["sh", "-c", "exit 137", SECRET],
        &["/no/such/program", &flag],
        &["no-such-command", &flag],
        &["/", SECRET],
        &["/etc/passwd", SECRET],
        &["/etc/passwd/x", SECRET],
        // Neither an assignment nor a whole line is a command, and people write both.
        &[&format!("DB_PASSWORD={SECRET}"), "sh"],
        &[&format!("mysql -p{SECRET} db")],
        &[&format!("DB_PASSWORD={SECRET} /usr/bin/mysql -p{SECRET}")],
        // A shell or a wrapper could not start what these name.
        &["sh", "-c", &format!("DB_PASSWORD={SECRET} no-such-command {SECRET}")],
        &["sh", "-c", &format!("exec /no/such/program --password={SECRET}")],
        &["env", &format!("DB_PASSWORD={SECRET}"), "no-such-command", SECRET],
        &["nice", &format!("-p{SECRET}"), "no-such-command"],
    ];
    words.iter().map(|words| words.iter().map(ToString::to_string).collect()).collect()
}

#[test]
fn appear_nowhere() {
    each(commands(), |command| {
        for place in PLACES {
            for args in [&["--format=text"][..], &["--format=json"], &["--format=text", "-w"]] {
                let said = said(place().args(args), &command);
                assert!(!said.contains(SECRET), "{command:?}: {said}");
            }
        }
    });
}

/// What env and timeout print themselves shows it; the report does not.
#[test]
fn appear_not_in_the_name_of_what_a_wrapper_could_not_start() {
    let wrong =
        [format!("mysql -p{SECRET} db"), format!("/no/such/program --password={SECRET}"), format!("A={SECRET}/x")];
    each(wrong, |name| {
        for format in ["text", "json"] {
            let dir = TempDir::new();
            let log = file(&dir, "log", "");
            Rinit::as_init().log(&log).args(["--format", format, "--", "timeout", "9", &name]).run().assert_code(127);
            let log = read(&log);
            assert!(log.contains(" could not be started: ") && !log.contains(SECRET), "{log}");
        }
    });
}

#[test]
fn appear_nowhere_without_a_report() {
    each(commands(), |command| {
        for args in [&["--report=never"][..], &["-q"], &["--report=never", "-vvv"]] {
            let ended = Rinit::as_init().args(args).args(["--"]).args(&command).run();
            let said = ended.stdout() + &ended.stderr();
            assert!(!said.contains(SECRET), "{command:?}: {said}");
        }
        // /etc/passwd and the like are the only ones that it can say something of.
        let ended = Rinit::as_init().env("RINIT_OFF", "1").args(["--"]).args(&command).run();
        let said = ended.stderr();
        assert!(!said.lines().any(|line| line.starts_with("rinit") && line.contains(SECRET)), "{command:?}: {said}");
    });
}

#[test]
fn appear_nowhere_after_a_usage_error() {
    for args in [
        vec![format!("--password={SECRET}"), "sh".into()],
        vec!["-q".into(), "--report=always".into(), "--no-such".into(), "sh".into(), SECRET.into()],
        vec!["--pause".into(), "sh".into(), SECRET.into()],
        vec!["--show-args=yes".into(), SECRET.into()],
    ] {
        let ended = Rinit::as_init().args(&args).run();
        ended.assert_code(125);
        assert!(!ended.stderr().contains(SECRET), "{}", ended.stderr());
    }
}

#[test]
fn the_name_of_an_assignment_is_told() {
    let said = said(Rinit::as_init(), &[format!("DB_PASSWORD={SECRET}")]);
    assert!(said.contains("DB_PASSWORD"), "{said}");
}

#[test]
fn are_shown_on_request() {
    for run in [Rinit::as_init().args(["--show-args"]), Rinit::as_init().env("RINIT_SHOW_ARGS", "1")] {
        let said = said(run, &["sh", "-c", "exit 3", "sh", "a\u{1b}[31m\nb", SECRET]);
        assert!(said.contains(SECRET), "{said}");
        assert!(said.contains("a\\x1b[31m\\nb"), "{said}");
        is_harmless(&said);
    }
}

#[track_caller]
fn is_harmless(said: &str) {
    assert!(said.bytes().all(|b| b == b'\n' || (b' '..=b'~').contains(&b)), "{said:?}");
}

/// A name cannot begin a line of its own, and cannot colour it.
#[test]
fn a_hostile_name_is_escaped() {
    let names: [&[u8]; 6] = [
        b"new\nline",
        b"\x1b[31mred\x1b[0m",
        b"\xff\xfe\x80",
        b"carriage\rreturn",
        b"tab\tand \"quote\" \\ back",
        "\u{202e}caf\u{e9}".as_bytes(),
    ];
    each(names, |name| {
        for place in PLACES {
            for format in ["text", "json"] {
                for missing in [true, false] {
                    let dir = TempDir::new();
                    let path: OsString = dir.join(OsStr::from_bytes(name)).into();
                    if !missing {
                        std::os::unix::fs::symlink("/bin/sh", &path).unwrap();
                    }
                    let script = ["-c", "exit 3"].map(OsStr::new);
                    let said = said(place().args(["--format", format]), &[&[path.as_os_str()], &script[..]].concat());
                    is_harmless(&said);
                    assert!(!said.lines().any(|line| line.starts_with("line")), "{said}");
                }
            }
        }
    });
}

#[test]
fn a_sender_and_a_process_left_behind_with_hostile_names_are_escaped() {
    let dir = TempDir::new();
    let name = dir.join("bad\n\u{1b}[31m");
    crate::common::copy_program(std::path::Path::new("/bin/sh"), &name);
    let script = "\"$0\" -c 'kill -USR1 1; sleep 100 & :' ; \"$0\" -c 'read line < /dev/zero; :' & exit 3";
    let said = said(Rinit::as_init(), &["sh".as_ref(), "-c".as_ref(), script.as_ref(), name.as_os_str()]);
    is_harmless(&said);
}

#[test]
fn a_hostile_path_of_the_termination_log_is_escaped() {
    let ended = Rinit::as_init().log("/no/such\n\u{1b}[31m/log").sh("exit 3").run();
    ended.assert_code(3);
    is_harmless(&ended.stderr());
}
