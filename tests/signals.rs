//! Every signal reaches PROGRAM, at any moment, and nothing else does.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;

use common::{Got, Io, PLACES, Rinit, Running, Status, TempDir, each, forwardable, is_root, proc};

const USER: i32 = 1000;

/// A line of the probe, for a signal that rinit sent by kill(2).
fn from(run: &Running, signal: i32) -> Got {
    Got { signal, pid: run.pid_inside(), code: libc::SI_USER, value: None }
}

#[track_caller]
fn arrives(run: &mut Running, sent: i32, as_signal: i32) {
    run.signal(sent);
    let got = run.expect_signal();
    assert_eq!(got, from(run, as_signal), "sent {sent}");
}

#[test]
fn every_signal_arrives_with_rinit_as_the_sender() {
    each(PLACES.into_iter().flat_map(|place| [(place, "raw"), (place, "hooked")]), |(place, how)| {
        let mut run = place().probe(["listen", how]).spawn();
        run.ready();
        for signal in forwardable() {
            arrives(&mut run, signal, signal);
        }
    });
}

#[test]
fn every_signal_arrives_under_an_unprivileged_pid_1() {
    let Some(run) = Rinit::as_unprivileged_init() else { return };
    let mut run = run.probe(["listen", "raw"]).spawn();
    run.ready();
    for signal in forwardable() {
        arrives(&mut run, signal, signal);
    }
}

#[test]
fn the_value_of_sigqueue_arrives_with_every_signal() {
    each(PLACES, |place| {
        let mut run = place().probe(["listen", "raw"]).spawn();
        run.ready();
        for signal in forwardable() {
            run.sigqueue(signal, 1000 + signal);
            let got = run.expect_signal();
            assert_eq!(
                got,
                Got { signal, pid: run.pid_inside(), code: libc::SI_QUEUE, value: Some(1000 + signal) },
                "sent {signal}"
            );
        }
    });
}

#[test]
fn a_signal_inherited_as_ignored_reaches_a_program_that_handles_it() {
    // As under nohup.
    each(PLACES, |place| {
        let mut run = forwardable().fold(place(), Rinit::ignore).probe(["listen", "raw"]).spawn();
        run.ready();
        for signal in forwardable() {
            arrives(&mut run, signal, signal);
        }
    });
}

#[test]
fn a_signal_inherited_as_blocked_reaches_a_program_that_unblocks_it() {
    each(PLACES, |place| {
        let mut run = (1..=64).fold(place(), Rinit::block).probe(["listen", "raw", "unblock"]).spawn();
        run.ready();
        for signal in forwardable() {
            arrives(&mut run, signal, signal);
        }
    });
}

#[test]
fn twenty_queued_real_time_signals_arrive_in_order() {
    each(PLACES, |place| {
        let mut run = place().probe(["listen", "raw"]).spawn();
        run.ready();
        stop(&mut run);
        (0..20).for_each(|value| run.sigqueue(40, value));
        run.signal(libc::SIGCONT);
        let mut values = Vec::new();
        while values.len() < 20 {
            let got = run.expect_signal();
            match got.signal {
                40 => values.push(got.value),
                _ => assert_eq!(got.signal, libc::SIGCONT),
            }
        }
        assert_eq!(values, (0..20).map(Some).collect::<Vec<_>>());
    });
}

#[test]
fn a_burst_of_every_real_time_signal_arrives_whole() {
    const EACH: i32 = 10;
    each(PLACES, |place| {
        let mut run = place().probe(["listen", "raw"]).spawn();
        run.ready();
        for value in 0..EACH {
            (32..=64).for_each(|signal| run.sigqueue(signal, value));
        }
        let mut next = [0; 65];
        for _ in 0..EACH * 33 {
            let got = run.expect_signal();
            let expected = &mut next[got.signal as usize];
            assert_eq!(got.value, Some(*expected), "{got:?}");
            *expected += 1;
        }
    });
}

#[test]
fn a_signal_reaches_the_program_alone_without_group() {
    each(PLACES, |place| {
        let mut run = place().probe(["listen", "raw", "child", "until=10"]).spawn();
        run.ready();
        arrives(&mut run, libc::SIGTERM, libc::SIGTERM);
        run.signal(libc::SIGUSR1);
        let ended = run.wait();
        assert!(!ended.assert_code(0).stdout().contains("child "), "{ended:?}");
    });
}

#[test]
fn a_signal_reaches_the_whole_group_once() {
    each(PLACES, |place| {
        let mut run = place().args(["-g"]).probe(["listen", "raw", "child", "until=10"]).spawn();
        run.ready();
        for signal in forwardable().filter(|s| *s != libc::SIGUSR1) {
            run.signal(signal);
            let mut lines = [run.line(), run.line()];
            lines.sort();
            let expected = format!("signal={signal} pid={} code=0 value=-", run.pid_inside());
            assert_eq!(lines, [format!("child {expected}"), expected]);
        }
    });
}

#[test]
fn the_value_of_sigqueue_does_not_keep_a_signal_from_the_group() {
    each(PLACES, |place| {
        let mut run = place().args(["-g"]).probe(["listen", "raw", "child"]).spawn();
        run.ready();
        run.sigqueue(40, 7);
        let lines = [run.line(), run.line()];
        assert!(lines.iter().any(|l| l.starts_with("child signal=40 ")), "{lines:?}");
        assert!(lines.iter().any(|l| l.starts_with("signal=40 ")), "{lines:?}");
    });
}

#[test]
fn a_program_that_left_its_group_is_signalled_too() {
    each(PLACES, |place| {
        // Nobody is left in the group.
        let mut run = place().args(["-g"]).probe(["listen", "raw", "leave-group"]).spawn();
        run.ready();
        arrives(&mut run, libc::SIGTERM, libc::SIGTERM);
        // Somebody is, so kill(2) succeeds without PROGRAM.
        let mut run = place().args(["-g"]).probe(["listen", "raw", "child", "leave-group"]).spawn();
        run.ready();
        run.signal(libc::SIGTERM);
        let mut lines = [run.line(), run.line()];
        lines.sort();
        assert!(lines[0].starts_with("child signal=15 ") && lines[1].starts_with("signal=15 "), "{lines:?}");
    });
}

#[test]
fn a_rewritten_signal_arrives_as_the_other() {
    each(PLACES, |place| {
        let args = ["-r", "TERM:USR1", "-rSIGHUP:12", "--rewrite", "RTMIN:RTMAX-1", "-r", "3:SIGRTMIN+5"];
        let mut run = place().args(args).probe(["listen", "raw"]).spawn();
        run.ready();
        for (sent, expected) in [(15, 10), (1, 12), (34, 63), (3, 39), (2, 2)] {
            arrives(&mut run, sent, expected);
        }
    });
}

#[test]
fn a_signal_rewritten_to_0_is_dropped() {
    each(PLACES, |place| {
        let mut run = place().args(["-r", "HUP:0", "-r", "40:0"]).probe(["listen", "raw", "until=15"]).spawn();
        run.ready();
        run.signal(libc::SIGHUP);
        run.signal(40);
        arrives(&mut run, libc::SIGUSR1, libc::SIGUSR1);
        run.signal(libc::SIGTERM);
        let out = run.wait().assert_code(0).stdout();
        assert!(!out.contains("signal=1 ") && !out.contains("signal=40 "), "{out}");
    });
}

#[test]
fn rewrites_are_no_chain() {
    each(PLACES, |place| {
        let args = ["-r", "TERM:USR1", "-r", "USR1:USR2", "-r", "USR2:TERM"];
        let mut run = place().args(args).probe(["listen", "raw"]).spawn();
        run.ready();
        for (sent, expected) in [(15, 10), (10, 12), (12, 15)] {
            arrives(&mut run, sent, expected);
        }
    });
}

#[test]
fn the_parent_death_signal_arrives_when_the_parent_dies() {
    let (rinit, probe) = (common::rinit(), common::probe());
    let words = ["parent".as_ref(), rinit.as_os_str(), "-p".as_ref(), "USR1".as_ref(), "--".as_ref()];
    let run = Rinit::as_subreaper().init(&probe).args(words).args([probe.as_os_str()]);
    let mut run = run.args(["listen", "raw", "until=10"]).spawn();
    run.ready();
    run.signal(libc::SIGKILL);
    assert_eq!(run.expect_signal().signal, libc::SIGUSR1);
}

#[test]
fn a_refused_forward_is_logged_and_not_fatal() {
    if !is_root("a set-user-ID program") {
        return;
    }
    let dir = TempDir::new();
    let probe = dir.join("probe");
    common::copy_program(&common::probe(), &probe);
    fs::set_permissions(&probe, PermissionsExt::from_mode(0o4755)).unwrap();
    each([&[][..], &["-g"]], |options| {
        for place in PLACES {
            let run = place().uid(USER as u32).args(options).args(["--"]).args([probe.as_os_str()]);
            let mut run = run.args(["listen", "raw", "become-root", "until=10"]).spawn();
            run.ready();
            run.signal(libc::SIGTERM);
            run.expect_err_line("SIGTERM");
            common::kill(run.program(), libc::SIGUSR1);
            let out = run.wait().assert_code(0).stdout();
            assert!(!out.contains("signal=15 "), "{out}");
        }
    });
}

#[test]
fn a_signal_sent_before_rinit_does_anything_arrives() {
    // Blocked beforehand, so that the kernel keeps it: without that, the exec of rinit itself is a gap.
    each(starts(60), |(place, group)| {
        let mut run = place().args(group).block(libc::SIGTERM).probe(["listen", "raw", "unblock", "until=15"]).spawn();
        run.signal(libc::SIGTERM);
        loop {
            match run.line() {
                line if line.starts_with("ready") => {}
                line => break assert!(line.starts_with("signal=15 "), "{line}"),
            }
        }
        run.wait().assert_code(0);
    });
}

#[test]
fn a_signal_sent_as_soon_as_rinit_blocks_signals_arrives() {
    each(starts(60), |(place, group)| {
        let mut run = place().args(group).probe(["listen", "raw", "until=15"]).spawn();
        run.blocks_signals();
        run.signal(libc::SIGTERM);
        caught_or_killed(&run.wait().status);
    });
}

#[test]
fn a_signal_sent_between_fork_and_exec_arrives() {
    // A long way to PROGRAM makes a wide gap.
    let probe = common::probe();
    let path = format!("{}{}", "/nonexistent:".repeat(4000), probe.parent().unwrap().display());
    each(starts(30), |(place, group)| {
        let run = place().env("PATH", &path).args(group).args(["--", "probe", "listen", "raw", "until=15"]);
        let mut run = run.spawn();
        run.program();
        run.signal(libc::SIGTERM);
        caught_or_killed(&run.wait().status);
    });
}

#[test]
fn a_signal_sent_at_once_to_a_subreaper_is_never_lost() {
    each(0..100, |_| {
        let run = Rinit::as_subreaper().args(["-g"]).probe(["listen", "raw", "until=15"]).spawn();
        run.signal(libc::SIGTERM);
        match run.wait().status {
            // Before it blocked anything.
            Status::Signal(libc::SIGTERM) => {}
            status => caught_or_killed(&status),
        }
    });
}

#[test]
fn a_write_to_a_closed_stderr_raises_nothing_in_the_program() {
    each(PLACES, |place| {
        let mut run = place().args(["-vvv"]).probe(["listen", "raw", "until=15"]).spawn();
        run.ready();
        run.close_stderr();
        (0..3).for_each(|_| arrives(&mut run, libc::SIGUSR1, libc::SIGUSR1));
        // But one that somebody sends arrives.
        arrives(&mut run, libc::SIGPIPE, libc::SIGPIPE);
        run.signal(libc::SIGTERM);
        let out = run.wait().assert_code(0).stdout();
        assert_eq!(out.matches("signal=13 ").count(), 1, "{out}");
    });
}

#[test]
fn a_write_beyond_the_file_size_limit_raises_nothing_in_the_program() {
    let dir = TempDir::new();
    each(PLACES.into_iter().zip(["init", "subreaper"]), |(place, name)| {
        let file = File::create(dir.join(name)).unwrap();
        let run = place().args(["-vvv"]).rlimit(libc::RLIMIT_FSIZE, 0, 0).stderr(Io::Fd(file.into()));
        let mut run = run.probe(["listen", "raw", "until=15"]).spawn();
        run.ready();
        (0..3).for_each(|_| arrives(&mut run, libc::SIGUSR1, libc::SIGUSR1));
        arrives(&mut run, libc::SIGXFSZ, libc::SIGXFSZ);
        run.signal(libc::SIGTERM);
        let out = run.wait().assert_code(0).stdout();
        assert_eq!(out.matches("signal=25 ").count(), 1, "{out}");
    });
}

/// `count` starts, as PID 1 and as subreaper, with and without -g.
fn starts(count: usize) -> impl Iterator<Item = (fn() -> Rinit, &'static [&'static str])> {
    let all = PLACES.into_iter().flat_map(|place| [(place, &[][..]), (place, &["-g"][..])]).collect::<Vec<_>>();
    (0..count).map(move |n| all[n % all.len()])
}

/// Before its handler stands, PROGRAM dies of the signal.
#[track_caller]
fn caught_or_killed(status: &Status) {
    assert!(matches!(status, Status::Code(0 | 143)), "{status:?}");
}

fn stop(run: &mut Running) {
    run.signal(libc::SIGSTOP);
    let pid = run.pid();
    run.until("rinit is stopped", || (proc::state(pid)? == 'T').then_some(()));
}
