//! Called by the name of tini, dumb-init or catatonit, rinit does what that program does: each scenario runs with the real
//! one and with a link of its name to rinit, and what comes of both is compared. docs/peers.md says where they differ on
//! purpose.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use common::{Got, Rinit, Status, TempDir, each};

/// The names, and the program that each belongs to, as Debian installs it.
const NAMES: [(&str, &str); 5] = [
    ("tini", "/usr/bin/tini-static"),
    ("docker-init", "/usr/bin/tini-static"),
    ("dumb-init", "/usr/bin/dumb-init"),
    ("catatonit", "/usr/bin/catatonit"),
    ("podman-init", "/usr/bin/catatonit"),
];

/// A link to rinit of the name.
struct Link {
    directory: TempDir,
    name: &'static str,
}

impl Link {
    fn new(name: &'static str) -> Self {
        let directory = TempDir::new();
        symlink(common::rinit(), directory.join(name)).unwrap();
        Self { directory, name }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(self.name)
    }
}

/// Runs `scenario` with the real program and with rinit under its name; both give the same.
#[track_caller]
fn same<T: PartialEq + std::fmt::Debug>(name: &'static str, what: &str, scenario: impl Fn(&Path) -> T) {
    let (_, real) = NAMES.iter().find(|(other, _)| *other == name).unwrap();
    assert!(Path::new(real).exists(), "{real} is not installed");
    let link = Link::new(name);
    let (theirs, ours) = (scenario(Path::new(real)), scenario(&link.path()));
    assert_eq!(ours, theirs, "{name}: {what} (rinit left, {real} right)");
}

/// Without the program's own path or pid, which differ.
fn normal(stderr: &str, init: &Path) -> String {
    let name = init.file_name().unwrap().to_str().unwrap();
    let text = stderr.replace(init.to_str().unwrap(), "INIT").replace(&format!("{name}:"), "INIT:");
    let digits =
        |text: &str| text.split(|c: char| c.is_ascii_digit()).filter(|s| !s.is_empty()).collect::<Vec<_>>().join("N");
    digits(&text)
}

#[test]
fn statuses_and_output_are_the_same() {
    each(NAMES, |(name, _)| {
        for script in
            ["exit 0", "echo out; echo err >&2", "echo out; exit 3", "exit 255", "kill -TERM $$", "kill -KILL $$"]
        {
            same(name, script, |init| {
                let ended = Rinit::as_init().init(init).args(["--", "sh", "-c", script]).run();
                // What a failure says is the reason to have rinit.
                let stderr = if ended.status == Status::Code(0) { ended.stderr() } else { String::new() };
                (ended.status, ended.stdout(), stderr)
            });
        }
        for signal in [1, 6, 11, 14, 31] {
            same(name, "death by signal", |init| {
                Rinit::as_init().init(init).probe(["die", &signal.to_string()]).run().status
            });
        }
    });
}

#[test]
fn wrong_calls_have_the_same_status() {
    each(NAMES, |(name, _)| {
        for args in [&[][..], &["-Z"], &["-Z", "sh"], &["--no-such", "sh"], &["--"], &["-q", "sh"]] {
            same(name, "wrong call", |init| {
                let ended = Rinit::as_init().init(init).args(args).run();
                (ended.status, ended.stdout(), ended.stderr().is_empty())
            });
        }
    });
    for (name, flag) in [("tini", "-p"), ("tini", "-e"), ("dumb-init", "-r")] {
        same(name, flag, |init| Rinit::as_init().init(init).args([flag]).run().status);
    }
    // The words of getopt(3).
    for name in ["tini", "dumb-init", "catatonit"] {
        same(name, "-Z", |init| {
            let stderr = Rinit::as_init().init(init).args(["-Z", "sh"]).run().stderr();
            normal(stderr.lines().next().unwrap(), init)
        });
    }
}

#[test]
fn a_failed_start_has_the_same_status_and_the_same_line() {
    let dir = TempDir::new();
    std::fs::write(dir.join("plain"), "text").unwrap();
    let plain = dir.join("plain");
    let plain = plain.to_str().unwrap();
    each(["tini", "dumb-init", "catatonit"], |name| {
        for program in ["/nonexistent", "rinit-test-nowhere", plain, "/"] {
            same(name, program, |init| {
                let ended = Rinit::as_init().init(init).args(["--", program]).run();
                let line = ended.stderr().lines().next().unwrap_or_default().to_owned();
                (ended.status, normal(&line, init))
            });
        }
    });
}

/// What is in front of a colon, a dash or a number: the shape of a version line.
#[test]
fn the_version_has_the_same_shape() {
    for (name, flags) in
        [("tini", &["--version"][..]), ("dumb-init", &["-V", "--version"]), ("catatonit", &["-V", "--version"])]
    {
        for flag in flags {
            same(name, flag, |init| {
                let ended = Rinit::as_init().init(init).args([flag]).run();
                let shape = |text: &str| text.split(|c: char| c.is_ascii_digit()).next().unwrap().to_owned();
                (ended.status, shape(&ended.stdout()), shape(&ended.stderr()), ended.stdout().lines().count())
            });
        }
    }
    let line = Rinit::as_subreaper().init(Link::new("docker-init").path()).args(["--version"]).run().stdout();
    let (version, sha) = line.trim_end().split_once(" - git.").unwrap();
    assert_eq!(version, format!("tini version {}_rinit", env!("CARGO_PKG_VERSION")));
    assert!(!sha.is_empty() && sha.bytes().all(|byte| byte.is_ascii_hexdigit()), "`docker info` parses it: {line}");
}

/// Signals that each of the three passes on; which of the others rinit passes on as well is in docs/peers.md.
#[test]
fn the_same_signals_arrive() {
    each(["tini", "dumb-init", "catatonit"], |name| {
        for signal in
            [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGTERM, libc::SIGWINCH]
        {
            same(name, "forwarded", |init| {
                let until = format!("until={signal}");
                let mut run = Rinit::as_init().init(init).probe(["listen", &until]).spawn();
                run.ready();
                run.signal(signal);
                let Got { signal, pid, code, value } = run.expect_signal();
                (signal, pid, code, value, run.wait().status)
            });
        }
    });
}

/// `PGRP SESSION TTY` of a program, as seen against its own pid.
const PLACE: &str =
    "read pid comm state ppid pgrp session tty rest </proc/$$/stat; echo $((pgrp == pid)) $((session == pid)) $tty";

#[test]
fn the_program_stands_in_the_same_group_and_session() {
    let cases = [
        ("tini", &[][..], &[][..]),
        ("catatonit", &[], &[]),
        ("dumb-init", &[], &[]),
        ("dumb-init", &["-c"], &[]),
        ("dumb-init", &[], &[("DUMB_INIT_SETSID", "0")]),
    ];
    each(cases, |(name, flags, vars)| {
        same(name, "group and session", |init| {
            let mut run = Rinit::as_init().init(init).args(flags).args(["--", "sh", "-c", PLACE]);
            for (name, value) in vars {
                run = run.env(name, value);
            }
            // In single-child mode dumb-init leaves it in its own group, rinit as PID 1 gives it one for the terminal.
            let place = run.run().stdout();
            if flags.is_empty() && vars.is_empty() { place } else { place.split(' ').skip(1).collect() }
        });
    });
}

/// A signal to the group reaches a child in the background, too.
const FAMILY: &str = "trap : TERM; \
    (trap 'echo child; exit 0' TERM; echo ready; while :; do sleep 0.01; done) & wait; wait; exit 0";

#[test]
fn a_signal_reaches_the_group_where_it_does_with_the_original() {
    for (name, flags, vars) in [
        ("tini", &["-s", "-g"][..], &[][..]),
        ("tini", &["-s"], &[("TINI_KILL_PROCESS_GROUP", "")]),
        ("catatonit", &["-g"], &[]),
        ("dumb-init", &[], &[]),
    ] {
        same(name, "group", |init| {
            let mut run = Rinit::as_init().init(init);
            for (name, value) in vars {
                run = run.env(name, value);
            }
            let mut run = run.args(flags).args(["--", "sh", "-c", FAMILY]).spawn();
            run.expect_line("ready");
            run.signal(libc::SIGTERM);
            run.expect_line("child");
            run.wait().status
        });
    }
}

/// dumb-init ends what PROGRAM left in its group with SIGTERM.
#[test]
fn what_is_left_of_the_session_gets_sigterm() {
    let script = "(trap 'echo left got it; exit 0' TERM; echo ready; while :; do sleep 0.01; done) & read line";
    same("dumb-init", "leftovers", |init| {
        let mut run = Rinit::as_subreaper().session_leader().init(init).stdin(common::Io::Pipe);
        run = run.args(["--", "sh", "-c", script]);
        let mut run = run.spawn();
        run.expect_line("ready");
        run.close_stdin();
        run.expect_line("left got it");
        run.wait().status
    });
}

#[test]
fn numbers_are_rewritten() {
    for rewrite in [["-r", "15:3"], ["--rewrite", "15:3"]] {
        same("dumb-init", "rewrite", |init| {
            let mut run = Rinit::as_init().init(init).args(rewrite).probe(["listen", "until=3"]).spawn();
            run.ready();
            run.signal(libc::SIGTERM);
            run.expect_signal();
            run.wait().status
        });
    }
    same("dumb-init", "dropped", |init| {
        let mut run = Rinit::as_init().init(init).args(["-r", "15:0"]).probe(["listen", "until=3"]).spawn();
        run.ready();
        run.signal(libc::SIGTERM);
        run.signal(libc::SIGQUIT);
        run.expect_signal().signal
    });
}

#[test]
fn flags_of_tini() {
    for args in [&["-e", "143", "-e", "3"][..], &["-e3"], &["-s", "-w", "-vvv", "-e3"], &["-p", "SIGKILL", "-e", "3"]] {
        same("tini", "flags", |init| {
            Rinit::as_init().init(init).args(args).args(["--", "sh", "-c", "exit 3"]).run().status
        });
    }
    // As its usage line has it, and as getopt(3) lets it stand.
    same("tini", "PROGRAM -- ARGS", |init| {
        let ended = Rinit::as_init().init(init).args(["echo", "--", "a", "b"]).run();
        (ended.status, ended.stdout())
    });
    let link = Link::new("tini");
    let run = Rinit::as_init().init(link.path()).stdin(common::Io::Pipe).args(["-w", "--", "sh", "-c"]);
    let mut run = run.args(["(true &); (true &); read line"]).spawn();
    for _ in 0..2 {
        run.expect_err_line("[WARN  tini (1)] Reaped zombie process with pid=");
    }
    run.close_stdin();
    run.wait();
    for (value, lines) in [("0", false), ("1", false), ("2", true)] {
        let run = Rinit::as_init().init(link.path()).env("TINI_VERBOSITY", value).args(["--", "true"]);
        assert_eq!(!run.run().stderr().is_empty(), lines, "TINI_VERBOSITY={value}");
    }
}

#[test]
fn a_pause_ends_as_that_of_catatonit() {
    for name in ["catatonit", "podman-init"] {
        for signal in [libc::SIGINT, libc::SIGTERM] {
            same(name, "-P", |init| {
                let mut run = Rinit::as_init().init(init).args(["-P"]).spawn();
                run.blocks_signals();
                run.signal(signal);
                run.wait().status
            });
        }
    }
}

/// That is why one switches.
#[test]
fn a_failure_is_reported_unless_it_is_not_wanted() {
    for (name, _) in NAMES {
        let link = Link::new(name);
        let fails = || Rinit::as_init().init(link.path()).args(["--", "sh", "-c", "exit 3"]);
        assert!(fails().run().stderr().contains("cause: exit-error"), "{name}");
        assert_eq!(fails().env("RINIT_REPORT", "never").run().stderr(), "", "{name}");
        assert_eq!(fails().env("RINIT_OFF", "1").run().stderr(), "", "{name}");
        let missing = Rinit::as_init().init(link.path()).args(["--", "/nonexistent"]).run();
        let Status::Code(status) = missing.status else { panic!("{missing:?}") };
        assert!(
            missing.stderr().contains(&format!("no such file (exit status {status})")),
            "{name}: {}",
            missing.stderr()
        );
    }
}

/// With dumb-init a stop for a key is a SIGSTOP for the whole session, and of itself, so that the shell around sees it.
#[test]
fn a_stop_is_passed_on_and_followed() {
    same("dumb-init", "TSTP", |init| {
        let mut run = Rinit::as_subreaper().init(init).probe(["listen", "until=15"]).spawn();
        let program = run.ready();
        run.signal(libc::SIGTSTP);
        let pid = run.pid();
        run.until("both have stopped", || {
            let stopped = |pid| common::proc::state(pid) == Some('T');
            (stopped(pid) && stopped(program)).then_some(())
        });
        run.signal(libc::SIGCONT);
        run.until("both go on", || {
            let stopped = |pid| common::proc::state(pid) == Some('T');
            (!stopped(pid) && !stopped(program)).then_some(())
        });
        run.signal(libc::SIGTERM);
        run.wait().status
    });
}
