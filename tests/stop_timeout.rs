//! `--stop-timeout`: a PROGRAM that does not stop is killed in time, and the report says why it did not.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "common/schema.rs"]
mod schema;

use std::time::{Duration, Instant};

use common::{Ended, NOBODY, PLACES, Rinit, Running, each, is_root, proc};
use serde_json::Value;

const PYTHON: &str = "/usr/bin/python3";
const TERM: u64 = 1 << (libc::SIGTERM - 1);
const ID: &str = "killed-after-stop-timeout";

const IGNORES: &str = "import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('ready', flush=True)
time.sleep(1000)";
const BLOCKS: &str = "import signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print('ready', flush=True)
time.sleep(1000)";
/// Takes the signal by sigwait: neither handler nor block.
const WAITS: &str = "import signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print('ready', flush=True)
signal.sigwait([signal.SIGTERM])
print('taken', flush=True)
time.sleep(1000)";
const SLOW: &str = "import signal, time
signal.signal(signal.SIGTERM, lambda *_: (print('taken', flush=True), time.sleep(1000)))
print('ready', flush=True)
time.sleep(1000)";
const BUSY: &str = "import signal, time
def forever(*_):
    while True: pass
signal.signal(signal.SIGTERM, forever)
print('ready', flush=True)
time.sleep(1000)";

fn start(place: fn() -> Rinit, options: &[&str], words: &[&str]) -> Running {
    let mut run = place().json().args(options).args(["--"]).args(words).spawn();
    run.expect_line("ready");
    run
}

/// The report, as the schema has it.
#[track_caller]
fn report(ended: &Ended) -> Value {
    let line = ended.stderr().lines().find(|line| line.starts_with("{\"schema\"")).unwrap().to_owned();
    schema::validate(line.as_bytes())
}

/// Killed by rinit, for the reason `note`, which the verdict says in these words.
#[track_caller]
fn assert_killed(ended: &Ended, note: &str, words: &str) {
    ended.assert_cause(137, ID, "certain", words);
    let report = report(ended);
    assert_eq!((report["outcome"].as_str(), report["signal"].as_str()), (Some("signaled"), Some("SIGKILL")));
    assert!(report["message"].as_str().unwrap().contains(words), "{report:#}");
    assert_eq!(report["notes"][0]["id"], note, "{report:#}");
}

#[test]
fn the_report_says_why_it_did_not_stop() {
    let dash = "trap 'exit 0' TERM; echo ready; sleep 1000; exit 5";
    let cases: [(&[&str], &str, &str); 6] = [
        (&[PYTHON, "-c", IGNORES], "signal-ignored", "it ignores SIGTERM"),
        (&[PYTHON, "-c", BLOCKS], "signal-blocked", "it blocks SIGTERM"),
        (&[PYTHON, "-c", WAITS], "stop-too-slow", "it took SIGTERM, but had not ended"),
        (&[PYTHON, "-c", SLOW], "stop-too-slow", "it has a handler for SIGTERM, but had not ended"),
        (&[PYTHON, "-c", BUSY], "stop-too-slow", "it has a handler for SIGTERM, but was busy"),
        (&["/usr/bin/dash", "-c", dash], "shell-kept-signal", "its child sleep (pid "),
    ];
    let places = PLACES.into_iter().flat_map(|place| cases.map(|case| (place, case)));
    each(places, |(place, (words, note, why))| {
        for options in [["-t", "800ms"].as_slice(), &["-g", "--stop-timeout=800ms"]] {
            // dash and its child get the signal both: no shell keeps anything.
            if options[0] == "-g" && note == "shell-kept-signal" {
                continue;
            }
            let mut run = start(place, options, words);
            if note == "shell-kept-signal" {
                let program = run.program();
                run.until("sleep runs", || {
                    let is_sleep = |child: &i32| proc::status(*child, "Name").as_deref() == Some("sleep");
                    proc::children(program).into_iter().find(is_sleep)
                });
            }
            let asked = Instant::now();
            run.signal(libc::SIGTERM);
            let ended = run.wait();
            assert!(asked.elapsed() >= Duration::from_millis(800), "{ended:?}");
            assert_killed(&ended, note, why);
            assert!(ended.says("--stop-timeout 0.8 s was over, SIGKILL from rinit"), "{ended:?}");
            assert!(ended.says("passed on to pid "), "{ended:?}");
        }
    });
}

#[test]
fn a_stopped_program_is_killed_all_the_same() {
    each(PLACES, |place| {
        let mut run = start(place, &["-t", "300ms"], &[PYTHON, "-c", SLOW]);
        let program = run.program();
        common::kill(program, libc::SIGSTOP);
        run.until("it is stopped", || (proc::state(program)? == 'T').then_some(()));
        run.signal(libc::SIGTERM);
        assert_killed(&run.wait(), "process-frozen", "it was stopped");
    });
}

#[test]
fn only_the_first_signal_starts_the_time() {
    let run = start(Rinit::as_init, &["-t", "4s"], &[PYTHON, "-c", IGNORES]);
    let asked = Instant::now();
    run.signal(libc::SIGTERM);
    for after in [900, 1800, 2700, 3600] {
        // Not a wait for something, but the stimulus itself: a signal every 900 ms.
        std::thread::sleep(Duration::from_millis(after).saturating_sub(asked.elapsed()));
        run.signal(libc::SIGTERM);
    }
    let ended = run.wait();
    let took = asked.elapsed();
    assert!(took >= Duration::from_secs(4), "{took:?}: a second signal shortened it");
    assert!(took < Duration::from_millis(7600), "{took:?}: a second signal extended it");
    assert_killed(&ended, "signal-ignored", "it ignores SIGTERM");
    assert_eq!(report(&ended)["signals"].as_array().unwrap().len(), 5, "all of them were passed on");
}

#[test]
fn a_second_signal_is_passed_on() {
    each(PLACES, |place| {
        let mut run = place().json().args(["-t", "10s"]).probe(["listen", "until=2"]).spawn();
        run.ready();
        for _ in 0..2 {
            run.signal(libc::SIGTERM);
            assert_eq!(run.expect_signal().signal, libc::SIGTERM);
        }
        run.signal(libc::SIGINT);
        let ended = run.wait();
        ended.assert_cause(0, "stopped-cleanly", "likely", "SIGINT");
    });
}

#[test]
fn a_second_one_pending_behind_a_running_handler_is_no_block() {
    // While its handler runs, the C library's signal stays blocked: perl's safe signals and Python's are not like that.
    let mut run = Rinit::as_init().json().args(["-t", "600ms"]).probe(["deaf-handler"]).spawn();
    run.ready();
    run.signal(libc::SIGTERM);
    run.expect_line("taken");
    run.signal(libc::SIGTERM);
    assert_killed(&run.wait(), "stop-too-slow", "it has a handler for SIGTERM");
}

#[test]
fn what_ends_in_time_is_reported_as_it_ended() {
    each(PLACES, |place| {
        let mut run = place().json().args(["-t", "5s"]).probe(["listen", "until=15"]).spawn();
        run.ready();
        run.signal(libc::SIGTERM);
        let ended = run.wait();
        ended.assert_cause(0, "stopped-cleanly", "likely", "stopped on request");
        assert!(!ended.says("stop-timeout"), "{ended:?}");
    });
}

#[test]
fn an_end_at_the_very_deadline_is_one_or_the_other() {
    // Its own timer against rinit's: 0 with its own words, or 137 with rinit's.
    let script = "import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.298), sys.exit(0)))
print('ready', flush=True)
time.sleep(1000)";
    let codes = std::sync::Mutex::new(Vec::new());
    each(0..24, |_| {
        let run = start(Rinit::as_init, &["-t", "300ms"], &[PYTHON, "-c", script]);
        run.signal(libc::SIGTERM);
        let ended = run.wait();
        let report = report(&ended);
        let (code, id) = (report["exit_status"].as_i64().unwrap(), report["cause"]["id"].as_str().unwrap().to_owned());
        assert_eq!(id, if code == 0 { "stopped-cleanly" } else { ID }, "{report:#}");
        assert!(code == 0 || code == 137, "{report:#}");
        codes.lock().unwrap().push(code);
    });
    assert_eq!(codes.lock().unwrap().len(), 24);
}

#[test]
fn which_signals_start_it() {
    // As received: a rewritten TERM does, and what is dropped or none of them does not.
    let listen = ["listen", "until=12"];
    each(
        [
            (["-r", "TERM:QUIT", "-t", "200ms"], libc::SIGTERM, Some(libc::SIGQUIT), true),
            (["-r", "USR1:TERM", "-t", "200ms"], libc::SIGUSR1, Some(libc::SIGTERM), false),
            (["-r", "TERM:0", "-t", "200ms"], libc::SIGTERM, None, false),
            (["--stop-signal", "QUIT", "-t", "200ms"], libc::SIGQUIT, Some(libc::SIGQUIT), true),
            (["--stop-signal", "RTMIN+3", "-t", "200ms"], 37, Some(37), true),
            (["--stop-signal", "QUIT", "-t", "200ms"], libc::SIGTERM, Some(libc::SIGTERM), true),
            (["--stop-signal", "QUIT", "-t", "200ms"], libc::SIGHUP, Some(libc::SIGHUP), false),
            (["--stop-signal", "QUIT", "-t", "200ms"], libc::SIGINT, Some(libc::SIGINT), true),
        ],
        |(options, signal, got, starts)| {
            let mut run = Rinit::as_init().json().args(options).probe(listen).spawn();
            run.ready();
            run.signal(signal);
            if let Some(got) = got {
                assert_eq!(run.expect_signal().signal, got, "{options:?}");
            }
            if starts {
                assert_killed(&run.wait(), "stop-too-slow", "it has a handler for");
                return;
            }
            // Far beyond the time; the sleep is what is tested.
            std::thread::sleep(Duration::from_millis(700));
            assert!(!run.has_ended(), "{options:?}");
            run.signal(libc::SIGUSR2);
            run.wait().assert_code(0);
        },
    );
}

#[test]
fn a_group_is_killed_with_it() {
    each(PLACES, |place| {
        let mut run = place().json().args(["-g", "-t", "300ms"]).probe(["listen", "child"]).spawn();
        run.ready();
        let program = run.program();
        let child = run.until("its child", || proc::children(program).first().copied());
        run.signal(libc::SIGTERM);
        let ended = run.wait();
        assert_killed(&ended, "stop-too-slow", "it has a handler for SIGTERM");
        assert!(ended.says("SIGKILL from rinit to its group"), "{ended:?}");
        let gone = || (!matches!(proc::state(child), Some('R' | 'S' | 'D'))).then_some(());
        let deadline = Instant::now() + Duration::from_secs(5);
        while gone().is_none() {
            assert!(Instant::now() < deadline, "the child lives on");
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_program_that_left_its_group_is_killed_too() {
    let mut run = Rinit::as_subreaper().json().args(["-g", "-t", "300ms"]).probe(["listen", "leave-group"]).spawn();
    run.ready();
    run.signal(libc::SIGTERM);
    assert_killed(&run.wait(), "stop-too-slow", "it has a handler for SIGTERM");
}

/// PROGRAM that became another user: rinit can neither pass the signal on nor kill.
#[test]
fn not_permitted() {
    if !is_root("a set-user-ID program") {
        return;
    }
    let scratch = common::TempDir::new();
    let become_root = scratch.join("probe");
    common::copy_program(&common::probe(), &become_root);
    std::fs::set_permissions(&become_root, std::os::unix::fs::PermissionsExt::from_mode(0o4755)).unwrap();
    let mut run = Rinit::as_init()
        .json()
        .uid(NOBODY)
        .args(["-t", "300ms", "--"])
        .args([become_root.as_os_str(), "listen".as_ref(), "become-root".as_ref()])
        .spawn();
    run.ready();
    let asked = Instant::now();
    run.signal(libc::SIGTERM);
    let ended = run.wait();
    assert!(asked.elapsed() < Duration::from_secs(20));
    assert_killed(&ended, "signal-not-passed-on", "SIGTERM could not be passed on");
    assert!(ended.says("rinit may not kill it"), "{ended:?}");

    // Not PID 1: to go would only let it out of sight.
    let mut run = Rinit::as_subreaper()
        .json()
        .uid(NOBODY)
        .args(["-t", "300ms", "--"])
        .args([become_root.as_os_str(), "listen".as_ref(), "become-root".as_ref(), "until=12".as_ref()])
        .spawn();
    run.ready();
    run.signal(libc::SIGTERM);
    run.expect_err_line("cannot be killed: Operation not permitted");
    let program = run.program();
    common::kill(program, libc::SIGUSR2);
    let ended = run.wait();
    ended.assert_code(0);
    assert!(ended.says("rinit may not kill it: EPERM"), "{ended:?}");
}

/// A frozen cgroup (v1) keeps even SIGKILL waiting: state D.
#[test]
fn not_even_sigkill() {
    let freezer = std::path::Path::new("/sys/fs/cgroup/freezer");
    if !is_root("a frozen cgroup") || !freezer.join("tasks").exists() {
        return;
    }
    each(PLACES.into_iter().enumerate(), |(n, place)| {
        let cgroup = freezer.join(format!("rinit-test-{}-{n}", std::process::id()));
        std::fs::create_dir(&cgroup).unwrap();
        let write = |name: &str, value: &str| std::fs::write(cgroup.join(name), value).unwrap();
        let mut run = start(place, &["-t", "300ms"], &[PYTHON, "-c", SLOW]);
        let program = run.program();
        write("tasks", &program.to_string());
        write("freezer.state", "FROZEN");
        run.until("it is frozen", || (proc::state(program)? == 'D').then_some(()));
        let asked = Instant::now();
        run.signal(libc::SIGTERM);
        let line = run.err_line();
        let took = asked.elapsed();
        assert!(took >= Duration::from_millis(1300) && took < Duration::from_secs(20), "{took:?}");
        write("freezer.state", "THAWED");
        let report = schema::validate(line.as_bytes());
        assert_eq!(report["cause"]["id"], ID, "{report:#}");
        assert!(report["message"].as_str().unwrap().contains("even SIGKILL did not end it"), "{report:#}");
        assert_eq!(report["notes"][0]["id"], "uninterruptible-sleep");
        run.wait().assert_code(137);
        let deadline = Instant::now() + Duration::from_secs(5);
        while std::fs::remove_dir(&cgroup).is_err() {
            assert!(Instant::now() < deadline, "the cgroup is still in use");
            std::thread::yield_now();
        }
    });
}

/// Somebody else's SIGKILL while the time runs is not rinit's.
#[test]
fn another_sigkill_is_not_rinits() {
    let mut run = start(Rinit::as_init, &["-t", "20s"], &[PYTHON, "-c", IGNORES]);
    let program = run.program();
    run.signal(libc::SIGTERM);
    run.until("SIGTERM was passed on", || Some(()));
    common::kill(program, libc::SIGKILL);
    let ended = run.wait();
    ended.assert_cause(137, "killed-by-unknown", "unknown", "the kernel does not record it");
    assert!(!ended.says("stop-timeout"), "{ended:?}");
}

/// Between the signal and the end of the time rinit sleeps.
#[test]
fn one_wake_up_at_the_deadline() {
    let mut run = start(Rinit::as_init, &["-t", "5s"], &[PYTHON, "-c", IGNORES]);
    let (rinit, program) = (run.pid(), run.program());
    let switches = || proc::status(rinit, "voluntary_ctxt_switches").and_then(|n| n.parse::<u64>().ok());
    run.signal(libc::SIGTERM);
    run.until("SIGTERM was dealt with", || {
        // Ignored, so it leaves no trace in PROGRAM: rinit is back in its sleep once the signal is no longer pending.
        (proc::signal_set(rinit, "ShdPnd")? & TERM == 0 && proc::state(rinit)? == 'S').then_some(())
    });
    // Nothing else can be seen of the moment in which it goes to sleep again.
    let before = run.until("it sleeps", || {
        let before = switches()?;
        std::thread::sleep(Duration::from_millis(300));
        (switches()? == before).then_some(before)
    });
    std::thread::sleep(Duration::from_millis(1000));
    assert_eq!(switches(), Some(before), "it woke up");
    assert_eq!(proc::state(program), Some('S'));
    assert_killed(&run.wait(), "signal-ignored", "it ignores SIGTERM");
}

#[test]
fn without_a_report_the_kill_is_the_same() {
    each(PLACES, |place| {
        let mut run = place().args(["-t", "300ms", "--report", "never", "--", PYTHON, "-c", IGNORES]).spawn();
        run.expect_line("ready");
        run.signal(libc::SIGTERM);
        let ended = run.wait();
        ended.assert_code(137);
        assert_eq!(ended.stderr(), "");
    });
}

#[test]
fn from_the_environment() {
    let mut run = Rinit::as_init()
        .json()
        .env("RINIT_STOP_TIMEOUT", "300ms")
        .env("RINIT_STOP_SIGNAL", "QUIT,USR1")
        .args(["--"])
        .args([PYTHON, "-c", "import signal, time\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)\nprint('ready', flush=True)\ntime.sleep(1000)"])
        .spawn();
    run.expect_line("ready");
    run.signal(libc::SIGUSR1);
    assert_killed(&run.wait(), "signal-ignored", "it ignores SIGUSR1");
}
