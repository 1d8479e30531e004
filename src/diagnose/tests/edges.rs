//! Where one condition alone is missing: what a rule then does not say.

use super::*;
use crate::evidence::Killer;
use crate::evidence::cgroup::Strain;
use crate::evidence::drained::{Drained, Rest, RestFate};
use crate::evidence::elf::{Elf, Executable, Header};
use crate::evidence::snapshot::{Later, Threads};

/// All that a report says.
fn text(outcome: Outcome, evidence: &Evidence) -> String {
    let Diagnosis { cause, verdict, evidence, ruled_out, not_known, next, notes, .. } = diagnose(&outcome, evidence);
    let notes = notes.into_iter().map(|note| format!("{}: {}", note.id, note.summary));
    let all = [evidence, ruled_out, not_known, notes.collect()].concat().join("\n");
    format!("{}\n{verdict}\n{all}\n{next}", cause.id)
}

#[track_caller]
pub(super) fn says(outcome: Outcome, evidence: &Evidence, words: &str) {
    let text = text(outcome, evidence);
    assert!(text.contains(words), "{words:?} is not in:\n{text}");
}

#[track_caller]
pub(super) fn says_not(outcome: Outcome, evidence: &Evidence, words: &str) {
    let text = text(outcome, evidence);
    assert!(!text.contains(words), "{words:?} is in:\n{text}");
}

#[test]
fn of_two_signals_of_a_kind_nobody_knows_which_is_pending() {
    let one = got(pending(python(), Signo::TERM), event(Signo::TERM, 4000));
    let two = got(one.clone(), event(Signo::TERM, 2000));
    says(Outcome::Exited(1), &one, "it had not taken it when it ended");
    says_not(Outcome::Exited(1), &two, "it had not taken it when it ended");
    says_not(Outcome::Exited(1), &omitted(one), "it had not taken it when it ended");
}

#[test]
fn zombies_whose_parent_is_not_there_are_the_programs() {
    let evidence = leaving(&[(9, 1, b'S'), (20, 1, b'Z'), (21, 1, b'Z'), (22, 1, b'Z')]);
    says(Outcome::Exited(1), &evidence, "zombies-not-reaped: 3 processes had ended");
}

#[test]
fn what_threads_did_is_told_where_some_were_seen_to_do_it() {
    let doing = |count, stopped, uninterruptible| {
        let mut event = event(Signo::TERM, 4000);
        let threads = Some(Threads { count, stopped, uninterruptible });
        let later = Some(Later { after: Duration::from_secs(1), pending: SignalSet(0), state: b'D' });
        event.snapshot = Some(Snapshot { threads, later, ..Snapshot::default() });
        got(python(), event)
    };
    let failed = Outcome::Exited(1);
    says(failed, &doing(2, 2, 0), ", it was stopped then");
    says_not(failed, &doing(0, 0, 0), "it was stopped then");
    says(failed, &doing(1, 0, 1), "it was in uninterruptible sleep then");
    says(failed, &doing(3, 0, 2), "2 of 3 threads looked at were in uninterruptible sleep then");
    for none in [doing(1, 0, 0), doing(3, 0, 0)] {
        says_not(failed, &none, "uninterruptible sleep");
    }
}

#[test]
fn a_name_that_did_not_change_is_not_told() {
    let named = |name: &[u8]| {
        let mut evidence = ran(b"/app/worker");
        evidence.zombie.as_mut().unwrap().name = Some(name.to_vec());
        evidence
    };
    says(Outcome::Exited(1), &named(b"gunicorn"), "its process name at its end was gunicorn");
    says_not(Outcome::Exited(1), &named(b"worker"), "its process name at its end");
    // Nor where there is nothing to explain.
    says_not(Outcome::Exited(0), &named(b"gunicorn"), "its process name at its end");
}

#[test]
fn a_signal_is_told_with_what_became_of_it_and_no_more() {
    let failed = Outcome::Exited(1);
    says_not(failed, &got(python(), unhandled(event(Signo::TERM, 4000))), "it ignored it then");
    let rewritten = got(python(), rewritten(Fate::Sent(Signo::INT), event(Signo::TERM, 4000)));
    says(failed, &rewritten, "passed on as SIGINT");
    says_not(failed, &rewritten, "passed on to pid 7");
    says_not(failed, &omitted(python()), "no signal came through rinit");
    says_not(failed, &got(python(), by(Origin::Terminal, event(Signo::WINCH, 4000))), "SIGWINCH");
    says(failed, &got(python(), event(Signo::WINCH, 4000)), "SIGWINCH from outside");
}

#[test]
fn a_command_line_that_fits_is_not_called_cut() {
    let with = |length: usize| {
        let mut evidence = python();
        evidence.command.shown = Some(vec![vec![b'x'; length]]);
        evidence
    };
    let room = 1024 - "command line: /usr/bin/python3 ".len();
    says_not(Outcome::Exited(1), &with(room), "x...");
    says(Outcome::Exited(1), &with(room + 1), "x...");
}

#[test]
fn a_daemon_is_one_that_ends_well_untold_and_soon() {
    let left = |program: &[u8], names: &[&[u8]]| {
        let process =
            |(at, name): (usize, &&[u8])| Process { pid: 20 + at as i32, name: name.to_vec(), parent: 1, state: b'S' };
        let left = Some(names.iter().enumerate().map(process).collect());
        Evidence { duration: Duration::from_secs(1), left, ..ran(program) }
    };
    let daemon = left(b"mydaemon", &[b"mydaemon", b"cron", b"mydaemon"]);
    let well = Outcome::Exited(0);
    says(well, &daemon, "daemonised\nmydaemon finished");
    says(well, &daemon, "left 2 mydaemon processes running");
    says_not(Outcome::Exited(3), &daemon, "daemonised");
    says_not(well, &got(daemon.clone(), event(number(libc::SIGUSR1), 500)), "daemonised");
    says_not(well, &omitted(daemon.clone()), "daemonised");
    says(well, &Evidence { duration: Duration::from_secs(10), ..daemon.clone() }, "daemonised");
    says_not(well, &Evidence { duration: Duration::from_secs(11), ..daemon }, "daemonised");
    // By its file, where a script has started it.
    let by_file = |exe: &[u8]| {
        let executed = Some(Executed { exe: Some(exe.to_vec()) });
        Evidence { executed, ..left(b"start", &[b"mydaemon"]) }
    };
    says(well, &by_file(b"/app/mydaemon"), "daemonised\n");
    says_not(well, &by_file(b"/bin/sh"), "daemonised");
}

#[test]
fn a_command_that_sigkill_ended_may_have_met_the_oom_killer() {
    says(Outcome::Exited(137), &ran(b"sh"), "For SIGKILL also compare the memory limit");
    says_not(Outcome::Exited(134), &ran(b"sh"), "For SIGKILL");
    let killer = Killer { on_machine: Some(0), ..Killer::default() };
    says(Outcome::Exited(137), &Evidence { killer, ..ran(b"sh") }, "a supervisor: no OOM kill was counted");
}

#[test]
fn a_kill_soon_after_the_start_can_have_another_sender() {
    let after = |ms| Evidence { duration: Duration::from_millis(ms), ..python() };
    says(died(Signo::KILL), &after(999), "a security agent on the host");
    says_not(died(Signo::KILL), &after(1000), "a security agent on the host");
}

#[test]
fn a_cut_off_file_explains_a_fault_at_once_alone() {
    let cut = |duration, user| {
        let header = Header { wide: true, big_endian: false, kind: 2, machine: 62, table: 64, entries: 1 };
        let elf = Elf { header, loader: None, end: Some(200), stack: 0 };
        let usage = Usage { user, system: Duration::ZERO, max_rss_kib: 1024 };
        let elf = Some(Executable { path: b"/app".to_vec(), size: 100, elf });
        Evidence { elf, usage: Some(usage), duration, ..ran(b"/app") }
    };
    let ms = Duration::from_millis;
    let fault = died(Signo::SEGV);
    says(fault, &cut(ms(1000), ms(50)), "truncated-binary\n");
    says(fault, &cut(ms(2000), ms(0)), "segfault\n");
    says(fault, &cut(ms(500), ms(51)), "segfault\n");
}

#[test]
fn only_a_segfault_asks_for_the_address() {
    says(died(Signo::SEGV), &python(), "hence whether its stack overflowed");
    says_not(died(Signo::ILL), &python(), "hence whether its stack overflowed");
}

#[test]
fn what_few_know_of_execve_is_told_with_its_errno_and_no_other() {
    for (errno, words) in [(libc::EISDIR, "its interpreter is a directory"), (libc::EINVAL, "broken headers")] {
        says(refused(errno), &python(), words);
        says_not(refused(libc::EFAULT), &python(), words);
    }
    for (errno, words) in
        [(libc::EIO, "the disk or network file system behind it"), (EACCES, "every directory on its path")]
    {
        says(refused(errno), &python(), words);
    }
    let there = looked(b"/app/x", 0, &[("/app/x", Ok(0o100_755), None)]);
    says(refused(ENOENT), &there, "the file may have come or gone meanwhile");
    // What is wrong with the container is not what is wrong with the program.
    says_not(refused(libc::EFAULT), &python(), "this is the container's environment");
    says(unforked(Stage::Prepare, libc::EFAULT), &python(), "this is the container's environment");
}

#[test]
fn a_signal_that_dumps_core_leaves_no_trace_to_reason_from() {
    let quit = |event| got(python(), event);
    says_not(died(Signo::QUIT), &quit(handled(event(Signo::QUIT, 4))), "was left pending");
    says(died(Signo::QUIT), &quit(unhandled(event(Signo::QUIT, 4))), "most likely it has no handler");
    says(died(Signo::TERM), &quit(handled(event(Signo::TERM, 4))), "no SIGTERM was left pending");
    says_not(died(Signo::TERM), &quit(unhandled(event(Signo::TERM, 4))), "still pending at its death");
}

#[test]
fn what_only_wakes_or_stops_a_program_asks_it_for_nothing() {
    for signal in [Signo::CONT, Signo::CHLD, number(libc::SIGURG), Signo::STOP, Signo::TSTP] {
        says(Outcome::Exited(0), &got(python(), event(signal, 50)), "completed\n");
    }
    says_not(Outcome::Exited(0), &got(python(), event(number(libc::SIGUSR1), 50)), "completed\n");
}

#[test]
fn a_few_throttled_periods_are_not_worth_a_word() {
    let throttled = |throttled| {
        let strain = Strain { periods: Some(1000), throttled: Some(throttled), ..Strain::default() };
        Evidence { strain, ..python() }
    };
    says(Outcome::Exited(1), &throttled(100), "cpu-throttled: the CPU limit held the container back in 100 of 1000");
    says_not(Outcome::Exited(1), &throttled(99), "cpu-throttled");
}

#[test]
fn a_signal_names_its_sender() {
    let term = by(bash(), event(Signo::TERM, 4));
    says(died(Signo::TERM), &got(python(), term), "bash (pid 12)");
}

#[test]
fn json_has_what_became_of_the_rest() {
    let process = |pid| Process { pid, name: b"worker".to_vec(), parent: 1, state: b'S' };
    let after = Duration::from_millis(40);
    let fates = [
        (RestFate::Exited(3, after), r#""ended":"exit 3","after_ms":40"#),
        (RestFate::Signaled(Signo::TERM, after), r#""ended":"SIGTERM","after_ms":40"#),
        (RestFate::Gone, r#""ended":"gone","after_ms":null"#),
        (RestFate::There, r#""ended":null,"after_ms":null"#),
    ];
    for (fate, words) in fates {
        let processes = vec![Rest { process: process(12), fate }];
        let drained = Some(Drained { processes, killed_after: None });
        let evidence = Evidence { drained, left: Some(vec![process(12)]), ..python() };
        let outcome = Outcome::Exited(1);
        let diagnosis = diagnose(&outcome, &evidence);
        let report = crate::report::Report { outcome, evidence: &evidence, diagnosis: &diagnosis, provisional: false };
        let json = String::from_utf8(report.render(crate::cli::Format::Json, 4096)).unwrap();
        assert!(json.contains(&format!(r#"{{"pid":12,"program":"worker",{words}}}"#)), "{words}: {json}");
    }
}
