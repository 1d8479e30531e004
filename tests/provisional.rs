//! What is in the termination log while the program runs, and what is left of that: nothing, and not a byte less of what
//! the program wrote.
//!
//! The full form, 200 kills and 1,000 messages in each way: `TEST_ROUNDS=10 cargo test --test provisional`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stderr, unsafe_code)]

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{Io, Rinit, Running, TempDir, rinit};
use rinit::report::find_report;

const WITHOUT_REPORT: &str = "      cause: killed-without-report (unknown)";

/// Tens of rounds in the full form.
fn rounds() -> usize {
    std::env::var("TEST_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap())
}

fn log_in(dir: &TempDir) -> PathBuf {
    let path = dir.join("log");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    path
}

impl Rinit {
    fn log(self, path: &Path) -> Self {
        self.args([Path::new("--termination-log"), path])
    }

    fn sh(self, script: &str, arguments: &[&Path]) -> Self {
        self.args(["--", "sh", "-c", script]).args(arguments)
    }
}

/// As the kubelet reads it.
fn read(log: &Path) -> String {
    let content = fs::read(log).unwrap();
    String::from_utf8(content[content.len().saturating_sub(4096)..].to_vec()).unwrap()
}

/// The reports in `content`, each of them whole, and nothing else.
#[track_caller]
fn reports(content: &str) -> Vec<String> {
    // What a kill in the middle of the last write leaves.
    let content = content.trim_end_matches(' ');
    let mut reports: Vec<String> = Vec::new();
    for line in content.lines() {
        if line.starts_with("rinit: ") {
            reports.push(String::new());
        }
        let report = reports.last_mut().unwrap_or_else(|| panic!("no report in front: {content}"));
        *report += if report.is_empty() { "" } else { "\n" };
        *report += line;
    }
    for report in &reports {
        assert_eq!(find_report(report.as_bytes()), Some(0), "{content}");
        assert!(report.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{content}");
        let keys = ["      cause: ", "      evidence: ", "      ruled out: ", "      not known: ", "      next: "];
        let order: Vec<_> =
            report.lines().skip(1).map(|line| keys.iter().position(|key| line.starts_with(key)).unwrap()).collect();
        assert!(order.is_sorted_by(|a, b| a < b), "{content}");
    }
    assert!(content.len() <= 4096);
    reports
}

fn until_reports(run: &mut Running, log: &Path, count: usize) -> Vec<String> {
    run.until("a block is written", || Some(reports(&read(log))).filter(|reports| reports.len() >= count))
}

fn kill(run: Running) {
    run.signal(libc::SIGKILL);
    run.wait();
}

#[test]
fn a_kill_leaves_what_was_known() {
    for init in [true, false] {
        let dir = TempDir::new();
        let log = log_in(&dir);
        let run = if init { Rinit::as_init() } else { Rinit::as_subreaper() };
        let mut run = run.log(&log).probe(["listen"]).spawn();
        run.ready();
        let [first] = &until_reports(&mut run, &log, 1)[..] else { panic!("one") };
        assert!(first.contains(WITHOUT_REPORT) && first.contains("unless one is told of below"), "{first}");
        assert_eq!(first.contains("may live on"), !init, "{first}");
        run.signal(libc::SIGHUP);
        run.expect_line("signal=1 ");
        // Not as PID 1, the test is a process among others, and HUP no request.
        if init {
            let told = &until_reports(&mut run, &log, 2)[1];
            assert!(told.starts_with("rinit: SIGHUP from outside at ") && told.contains(WITHOUT_REPORT), "{told}");
        }
        run.signal(libc::SIGTERM);
        run.expect_line("signal=15 ");
        let asked = until_reports(&mut run, &log, 2 + usize::from(init)).pop().unwrap();
        assert!(
            asked.starts_with("rinit: probe was asked to stop at ") && asked.contains("it had a handler"),
            "{asked}"
        );
        let later = until_reports(&mut run, &log, 3 + usize::from(init)).pop().unwrap();
        assert!(later.contains("1.5 s later it still ran, then "), "{later}");
        assert!(later.contains("      cause: stop-too-slow (likely)"), "{later}");
        let before = read(&log);
        kill(run);
        assert_eq!(read(&log), before);
    }
}

#[test]
fn why_it_does_not_stop() {
    let ignores = "trap '' TERM; echo ready; while :; do sleep 1; done";
    let stopped = "echo ready; kill -STOP $$; sleep 60";
    let waits = "trap : TERM; echo ready; sleep 60; :";
    for (script, cause, words) in [
        (ignores, "signal-ignored (likely)", "and did not, for it ignores that signal: 1.5 s later it still ran"),
        (stopped, "process-frozen (likely)", "for it is stopped itself (state T)"),
        (waits, "stop-too-slow (likely)", "for a shell waits for the command in its foreground first"),
    ] {
        let dir = TempDir::new();
        let log = log_in(&dir);
        let mut run = Rinit::as_init().log(&log).sh(script, &[]).spawn();
        run.expect_line("ready");
        let program = run.program();
        run.until("it waits", || {
            let state = common::proc::state(program);
            matches!(state, Some('S' | 'T')).then_some(())
        });
        run.signal(libc::SIGTERM);
        let last = until_reports(&mut run, &log, 3).pop().unwrap();
        kill(run);
        assert!(last.contains(&format!("      cause: {cause}")) && last.contains(words), "{last}");
    }
    // The probe inherits the mask.
    let dir = TempDir::new();
    let log = log_in(&dir);
    let mut run = Rinit::as_init().log(&log).block(libc::SIGTERM).probe(["hold"]).spawn();
    run.ready();
    run.signal(libc::SIGTERM);
    let last = until_reports(&mut run, &log, 3).pop().unwrap();
    kill(run);
    assert!(last.contains("      cause: signal-blocked (likely)"), "{last}");
}

#[test]
fn nothing_of_it_is_left_at_the_end() {
    for (options, end, left) in [
        (&["--report=failure"][..], "exit 0", false),
        (&[], "exit 0", true),
        (&[], "exit 3", true),
        (&["--format=json"], "exit 3", true),
        (&["--report-size=256"], "exit 3", true),
        (&["--report=never"], "exit 3", false),
    ] {
        let dir = TempDir::new();
        let log = log_in(&dir);
        let script = format!("trap 'exit 4' USR1; read go; {end}");
        let mut run = Rinit::as_init().args(options).log(&log).sh(&script, &[]).stdin(Io::Pipe).spawn();
        if !options.contains(&"--report=never") {
            run.until("the first block", || (fs::metadata(&log).unwrap().len() > 0).then_some(()));
        }
        assert!(
            !options.contains(&"--format=json") || read(&log).contains("\"outcome\":\"running\""),
            "{}",
            read(&log)
        );
        assert!(fs::metadata(&log).unwrap().len() <= if options.contains(&"--report-size=256") { 256 } else { 1024 });
        run.write_stdin(b"\n");
        run.wait();
        let content = read(&log);
        assert_eq!(!content.is_empty(), left, "{options:?} {end}: {content}");
        assert!(!content.contains("killed-without-report"), "{content}");
        assert!(find_report(content.as_bytes()).is_none_or(|at| at == 0), "{content}");
    }
}

#[test]
fn a_message_in_json_stays_alone_and_an_older_block_goes() {
    let dir = TempDir::new();
    let log = log_in(&dir);
    let mut run = Rinit::as_init().log(&log).probe(["listen"]).spawn();
    run.ready();
    kill(run);
    assert!(read(&log).contains(WITHOUT_REPORT));
    // The next start of the same container.
    let script =
        "grep -c '^rinit: ' \"$0\"; printf '{\"a\":1}' > \"$0\"; trap : HUP; echo ready; read go; read go; exit 3";
    let mut run = Rinit::as_init().log(&log).sh(script, &[&log]).stdin(Io::Pipe).spawn();
    run.expect_line("1");
    run.expect_line("ready");
    run.signal(libc::SIGHUP);
    run.until("it waits", || (read(&log) == "{\"a\":1}").then_some(()));
    run.write_stdin(b"\n\n");
    run.wait().assert_code(3);
    assert_eq!(read(&log), "{\"a\":1}");
}

/// How a program can write a message of one line, `$m`, to the file `$0`.
const WAYS: [&str; 4] = [
    "echo \"$m\" > \"$0\"",
    "echo \"$m\" >> \"$0\"",
    "echo \"$m\" 1<> \"$0\"",
    "echo \"$m\" > \"$0.new\"; mv \"$0.new\" \"$0\"",
];

/// 100 messages in each way, looked for after each write, while signals make rinit append.
#[test]
fn no_message_is_lost() {
    const RUNS: usize = 4;
    const MESSAGES: usize = 25;
    for (n, way) in WAYS.into_iter().enumerate() {
        for round in 0..RUNS * rounds() {
            let dir = TempDir::new();
            let log = log_in(&dir);
            let look = if n == 1 { "grep -q \"$m$\" \"$0\"" } else { "read -r got < \"$0\"; [ \"$got\" = \"$m\" ]" };
            let script = format!(
                "trap : HUP USR1 TERM; echo ready; i=0; while [ $i -lt {MESSAGES} ]; do m=message-$((100 + i)); {way}; {look} || echo \"lost $m\"; i=$((i+1)); done; exit 3"
            );
            let mut run = Rinit::as_init().log(&log).sh(&script, &[&log]).spawn();
            run.expect_line("ready");
            for signal in [libc::SIGHUP, libc::SIGUSR1, libc::SIGTERM] {
                // Some come while it writes, the last ones perhaps when it has ended.
                std::thread::sleep(Duration::from_micros(1500 * (round as u64 % 8)));
                let signal = nix::sys::signal::Signal::try_from(signal).unwrap();
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(run.pid()), signal);
            }
            let ended = run.wait();
            ended.assert_code(3);
            assert_eq!(ended.stdout(), "ready\n", "{way}");
            let content = read(&log);
            let message = |i: usize| format!("message-{}\n", 100 + i);
            let all: String = (0..MESSAGES).map(message).collect();
            let expected = if n == 1 { all } else { message(MESSAGES - 1) };
            let rest = content.strip_prefix(&expected).unwrap_or_else(|| panic!("{way}: {content}"));
            match n {
                3 => assert_eq!(rest, ""),
                _ => {
                    let [report] = &reports(rest)[..] else { panic!("{way}: {content}") };
                    assert!(report.contains("status 3"), "{report}");
                }
            }
        }
    }
}

/// The message of a program that opened the file at its start and writes when it is asked to stop: over rinit's words.
#[test]
fn a_message_over_a_block_keeps_its_end() {
    for (message, newline) in
        [("the last words", false), ("{\"a\":[1]}", false), ("short\n", true), ("x".repeat(900).as_str(), false)]
    {
        let dir = TempDir::new();
        let log = log_in(&dir);
        let script = "exec 3> \"$0\"; trap 'printf %s \"$1\" >&3; exit 3' TERM; trap : HUP; echo ready; while :; do read go; done";
        let mut run = Rinit::as_init().log(&log).sh(script, &[&log, Path::new(message)]).stdin(Io::Pipe).spawn();
        run.expect_line("ready");
        run.signal(libc::SIGHUP);
        until_reports(&mut run, &log, 1);
        run.signal(libc::SIGTERM);
        run.write_stdin(b"\n");
        run.wait().assert_code(3);
        let content = read(&log);
        let rest = content.strip_prefix(message).unwrap_or_else(|| panic!("{content}"));
        if message.starts_with('{') {
            assert_eq!(rest, "");
        } else {
            let rest = if newline { rest } else { rest.strip_prefix('\n').expect("a line of its own") };
            assert_eq!(reports(rest).len(), 1, "{content}");
        }
    }
}

/// Whole and true: no part of a report, no end that did not come, no signal that was not sent.
#[test]
fn a_kill_at_any_moment_leaves_whole_reports() {
    const KILLS: usize = 7;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut seen = [0; 3];
    for (phase, most) in [("start", 8000), ("stop", 30_000), ("end", 6000)] {
        for _ in 0..KILLS * rounds() {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let dir = TempDir::new();
            let log = log_in(&dir);
            let end = if phase == "stop" { "trap '' TERM; echo ready; read go" } else { "echo ready; exit 3" };
            let mut run = Rinit::as_init().log(&log).sh(end, &[]).stdin(Io::Pipe).spawn();
            if phase != "start" {
                run.expect_line("ready");
            }
            if phase == "stop" {
                run.signal(libc::SIGTERM);
            }
            let wait = Duration::from_micros(random % most);
            let start = Instant::now();
            while start.elapsed() < wait {
                std::hint::spin_loop();
            }
            // It may have ended.
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(run.pid()), nix::sys::signal::SIGKILL);
            run.wait();
            let reports = reports(&read(&log));
            let asked = reports.iter().any(|report| report.contains("SIGTERM"));
            assert!(!asked || phase == "stop", "{reports:?}");
            let ended = reports.iter().any(|report| report.contains("status 3"));
            assert!(!ended || phase != "stop", "{reports:?}");
            assert!(!(ended && reports.len() > 1), "{reports:?}");
            assert!(phase == "start" || !reports.is_empty());
            seen[usize::from(ended) + 2 * usize::from(asked)] += 1;
        }
    }
    eprintln!(
        "after the kill: nothing more than at the start {}, the end {}, the signal {}",
        seen[0], seen[1], seen[2]
    );
}

/// A nested rinit's is left alone as its final report is.
#[test]
fn a_nested_rinit() {
    let dir = TempDir::new();
    let log = log_in(&dir);
    let nested = rinit();
    let run = Rinit::as_init().log(&log).args(["--"]).args([&nested]).log(&log).sh("exit 3", &[]).run();
    run.assert_code(3);
    let [report] = &reports(&read(&log))[..] else { panic!("{}", read(&log)) };
    assert!(report.starts_with("rinit: sh exited with status 3"), "{report}");
}

const CAP_SYS_RESOURCE: u32 = 24;

/// Idle before and after a signal: rinit was on no processor, so it made no system call.
#[test]
fn idle_means_idle() {
    let dir = TempDir::new();
    let log = log_in(&dir);
    let mut run = Rinit::as_init().deadline(Duration::from_secs(150)).log(&log).probe(["listen"]).spawn();
    run.ready();
    for signal in [None, Some(libc::SIGHUP)] {
        if let Some(signal) = signal {
            run.signal(signal);
            run.expect_line("signal=1 ");
            until_reports(&mut run, &log, 2);
        }
        let times = |pid: i32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            status.lines().filter(|line| line.contains("ctxt_switches")).map(str::to_owned).collect::<Vec<_>>()
        };
        // The machine's OOM kills are counted a moment after the start.
        let pid = run.pid();
        let before = run.until("it sleeps", || {
            let before = times(pid);
            std::thread::sleep(Duration::from_millis(300));
            (times(pid) == before).then_some(before)
        });
        // A minute in the full form.
        std::thread::sleep(Duration::from_secs(if rounds() > 1 { 60 } else { 2 }));
        assert_eq!(times(pid), before);
    }
}

/// rinit alone, once PROGRAM runs: nothing inherits it. Without the capability a warning says so.
#[test]
fn the_shield_is_rinits_alone() {
    let adjusted = |pid: i32| fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim().to_owned();
    let before = adjusted(std::process::id() as i32);
    let may = common::proc::signal_set(std::process::id() as i32, "CapEff").unwrap() & 1 << CAP_SYS_RESOURCE != 0;
    let mut run = Rinit::as_init().args(["--oom-shield"]).probe(["listen"]).spawn();
    run.ready();
    if !may {
        run.expect_err_line("rinit: warn: --oom-shield has no effect, it takes CAP_SYS_RESOURCE");
        // The guest's root may: tests/guest.
        return;
    }
    let (init, program) = (run.pid(), run.program());
    run.until("it is shielded", || (adjusted(init) == "-1000").then_some(()));
    assert_eq!(adjusted(program), before);
    if let Some(run) = Rinit::as_unprivileged_init() {
        let mut run = run.args(["--oom-shield"]).probe(["listen"]).spawn();
        run.expect_err_line("rinit: warn: --oom-shield has no effect, it takes CAP_SYS_RESOURCE");
        run.ready();
        assert_eq!(adjusted(run.pid()), before);
    }
}

/// What cannot be overwritten can still be cut off: the text of a kill that never was must not stay.
#[test]
fn where_nothing_can_be_written_at_the_end_nothing_false_stays() {
    if !common::is_root("prlimit on rinit") {
        return;
    }
    let dir = TempDir::new();
    let log = log_in(&dir);
    let mut run = Rinit::as_init().stdin(Io::Pipe).log(&log).sh("echo ready; read line; exit 3", &[]).spawn();
    run.expect_line("ready");
    assert!(read(&log).contains(WITHOUT_REPORT));
    let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: one structure is read, none is written.
    assert_eq!(unsafe { libc::prlimit(run.pid(), libc::RLIMIT_FSIZE, &raw const limit, std::ptr::null_mut()) }, 0);
    run.close_stdin();
    run.wait().assert_code(3);
    assert_eq!(read(&log), "");
}

/// PROGRAM has ended: its report is there while rinit waits for what it left, for the case that the time to stop is over
/// before that; and gives way to the one that says what became of them.
#[test]
fn during_a_drain_the_report_stands_already() {
    for killed in [true, false] {
        let dir = TempDir::new();
        let log = log_in(&dir);
        let left = "(trap 'exit 0' TERM; echo left; while :; do sleep 0.05; done) &";
        let left = if killed { left.replace("'exit 0'", "''") } else { left.to_owned() };
        let script = format!("{left} trap 'sleep 2; exit 4' TERM; echo ready; while :; do wait; done");
        let mut run = Rinit::as_init().log(&log).args(["-d", "30s"]).sh(&script, &[]).spawn();
        let program = run.program();
        for _ in 0..2 {
            run.line();
        }
        fs::OpenOptions::new().append(true).open(&log).unwrap().write_all(b"its own words\n").unwrap();
        run.signal(libc::SIGTERM);
        run.until("that it still ran", || read(&log).contains("it still ran").then_some(()));
        run.until("its end", || common::proc::state(program).is_none().then_some(()));
        let has_ended = |text: &str| text.contains("status 4") && text.contains("      cause: ");
        run.until("its report", || has_ended(&read(&log)).then_some(()));
        if killed {
            run.signal(libc::SIGKILL);
            run.wait();
        } else {
            run.wait().assert_code(4);
        }
        let text = read(&log);
        let report = text.strip_prefix("its own words\n").unwrap_or_else(|| panic!("{text}"));
        assert!(has_ended(report), "{text}");
        assert_eq!((reports(report).len(), text.contains("it still ran")), (1, false), "{text}");
        assert_eq!(text.contains("--drain"), !killed, "{text}");
    }
}

#[test]
fn a_pause_says_that_it_cannot_have_the_log_that_was_named() {
    let dir = TempDir::new();
    let mut run = Rinit::as_init().log(&dir.join("no/such/log")).args(["--pause"]).spawn();
    run.expect_err_line("no termination log at ");
    run.signal(libc::SIGTERM);
    run.wait().assert_code(0);
}

/// There is no PROGRAM to report on, but a kill of the pause is one of its container.
#[test]
fn a_pause_that_is_killed_leaves_its_text_and_one_that_is_asked_to_end_none() {
    for place in common::PLACES {
        for (signal, left) in [(libc::SIGTERM, false), (libc::SIGKILL, true)] {
            let dir = TempDir::new();
            let log = log_in(&dir);
            let mut run = place().log(&log).args(["--pause"]).spawn();
            run.blocks_signals();
            run.until("the first block", || (!read(&log).is_empty()).then_some(()));
            assert!(reports(&read(&log))[0].contains(WITHOUT_REPORT));
            run.signal(signal);
            run.wait();
            assert_eq!(read(&log).contains(WITHOUT_REPORT), left, "{}", read(&log));
            assert!(left || read(&log).is_empty(), "{}", read(&log));
        }
    }
}
