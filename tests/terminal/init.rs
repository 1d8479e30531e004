//! As PID 1 and session leader: PROGRAM leads the foreground group, and nobody is there who could type `fg`.

use crate::common::{Got, Io, Rinit, kill, proc};
use crate::pty::{
    CTRL_BACKSLASH, CTRL_C, CTRL_D, CTRL_S, CTRL_Z, MARK, Session, Terminal, group_of, interactive, with_names,
};

const BASH: &str = "bash";

fn bash() -> Session {
    let mut session = Session::start(interactive(Rinit::as_init().args(["--", BASH])));
    session.prompt();
    session
}

fn on_terminal(program: &[&str]) -> Session {
    Session::start(with_names(Rinit::as_init()).args(["--"]).args(program))
}

#[test]
fn an_interactive_shell_has_job_control_and_a_clean_screen() {
    let mut session = bash();
    let shell = session.program(BASH);
    session.has_terminal(shell);
    session.command("sleep 1000");
    let sleep = session.program("sleep");
    session.has_terminal(sleep);
    session.send(CTRL_C);
    session.expect("^C");
    session.prompt();
    session.command("exit 3");
    let (ended, mut terminal) = session.wait();
    ended.assert_code(3);
    assert_eq!(terminal.screen(), "$ sleep 1000\r\n^C\r\n$ exit 3\r\nexit\r\n");
}

#[test]
fn without_quiet_only_the_report_comes_at_the_end() {
    let run = interactive(Rinit::as_init().args(["--", BASH])).env_remove("RINIT_QUIET");
    let mut session = Session::start(run);
    session.prompt();
    session.command("exit 3");
    let (ended, mut terminal) = session.wait();
    ended.assert_code(3);
    let screen = terminal.screen();
    let report = screen.strip_prefix("$ exit 3\r\nexit\r\n").unwrap_or_else(|| panic!("{screen:?}"));
    assert!(report.starts_with("rinit: "), "{screen:?}");
    assert_eq!(report.matches("rinit: ").count(), 1, "{screen:?}");
}

#[test]
fn ctrl_z_and_fg_work_in_an_interactive_shell() {
    let mut session = bash();
    session.command("cat");
    let cat = session.program("cat");
    session.has_terminal(cat);
    session.send(CTRL_Z);
    session.expect("[1]+  Stopped");
    session.prompt();
    session.stopped(&[cat]);
    session.command("fg");
    session.expect("cat\r\n");
    session.has_terminal(cat);
    session.running(&[cat]);
    session.command("hello");
    session.expect("hello\r\n");
    session.send(CTRL_C);
    session.prompt();
    session.leave(130);
}

#[test]
fn ctrl_c_ends_a_program_that_does_not_catch_it() {
    for program in ["sleep 1000", "cat"] {
        let mut session = on_terminal(&program.split(' ').collect::<Vec<_>>());
        let name = program.split(' ').next().unwrap();
        let pid = session.program(name);
        session.has_terminal(pid);
        session.send(CTRL_C);
        let (ended, mut terminal) = session.wait();
        ended.assert_code(130);
        assert_eq!(terminal.screen(), "^C", "{program}");
    }
}

/// tini: stopped for ever, silently.
#[test]
fn ctrl_z_does_not_hang_a_program() {
    let mut session = on_terminal(&["cat"]);
    let cat = session.program("cat");
    session.has_terminal(cat);
    for round in 0..20 {
        session.send(CTRL_Z);
        session.command(&format!("hello {round}"));
        session.expect(&format!("hello {round}\r\n"));
    }
    session.send(CTRL_D);
    session.wait().0.assert_code(0);
}

#[test]
fn ctrl_z_does_not_hang_a_group_of_processes() {
    let mut session = on_terminal(&["sh", "-c", "cat | cat; exit 6"]);
    let cats = session.programs("cat", 2);
    for round in 0..20 {
        session.send(CTRL_Z);
        session.command(&format!("hello {round}"));
        session.expect(&format!("hello {round}\r\n"));
    }
    session.running(&cats);
    session.send(CTRL_D);
    session.wait().0.assert_code(6);
}

#[test]
fn ctrl_z_is_continued_by_rinit_and_does_reach_the_program() {
    let terminal = Terminal::new();
    let run = Rinit::as_init().args(["-vv", "--", "cat"]).stdin(terminal.io()).controlling_terminal().spawn();
    let mut session = Session { run, terminal };
    let cat = session.program("cat");
    session.has_terminal(cat);
    session.send(CTRL_Z);
    session.run.expect_err_line("SIGTSTP");
    session.running(&[cat]);
    session.send(CTRL_D);
    session.wait().0.assert_code(0);
}

#[test]
fn what_the_terminal_sends_arrives_once() {
    let mut session = Session::start_with_pipes(Rinit::as_init().probe(["listen", "raw"]));
    session.run.ready();
    let init = session.run.pid();
    for (keys, signal) in [(CTRL_C, libc::SIGINT), (CTRL_BACKSLASH, libc::SIGQUIT), (CTRL_Z, libc::SIGTSTP)] {
        session.send(keys);
        session.arrives_once(signal, init);
    }
    session.terminal.resize(50, 132);
    session.arrives_once(libc::SIGWINCH, init);
}

#[test]
fn a_hangup_reaches_the_program_once() {
    let mut session = Session::start_with_pipes(Rinit::as_init().probe(["listen", "raw"]));
    session.run.ready();
    session.terminal.hang_up();
    // The kernel tells the session leader alone: a hangup, and a SIGCONT in case that it is stopped.
    for signal in [libc::SIGHUP, libc::SIGCONT] {
        assert_eq!(session.run.expect_signal(), Got { signal, pid: 1, code: libc::SI_USER, value: None });
    }
    session.run.signal(MARK);
    assert_eq!(session.run.expect_signal().signal, MARK);
}

#[test]
fn a_hangup_ends_a_program_that_does_not_catch_it() {
    for program in [&["sleep", "1000"][..], &["sh", "-c", "sleep 1000; :"], &["cat"]] {
        let mut session = Session::start_with_pipes(Rinit::as_init().args(["--"]).args(program));
        session.program(if program[0] == "cat" { "cat" } else { "sleep" });
        session.terminal.hang_up();
        // cat may see the end of its input first.
        let status = session.run.wait().status;
        let allowed: &[i32] = if program[0] == "cat" { &[129, 0, 1] } else { &[129] };
        assert!(allowed.iter().any(|code| status == crate::common::Status::Code(*code)), "{program:?}: {status:?}");
    }
}

#[test]
fn a_hangup_does_not_keep_the_report_from_ending() {
    let mut session = Session::start(Rinit::as_init().args(["--", "sleep", "1000"]));
    let sleep = session.program("sleep");
    session.has_terminal(sleep);
    session.terminal.hang_up();
    session.run.wait().assert_code(129);
}

#[test]
fn a_terminal_held_with_ctrl_s_holds_up_neither_the_report_nor_the_end() {
    let mut session = Session::start(Rinit::as_init().args(["--", "sh", "-c", "echo ready; read line; exit 3"]));
    session.expect("ready\r\n");
    session.send(CTRL_S);
    session.send("\n");
    session.wait().0.assert_code(3);
}

#[test]
fn a_terminal_that_stops_background_writers_gets_the_report() {
    let mut session = Session::start(Rinit::as_init().args(["--", "sh", "-c", "stty tostop; exit 3"]));
    session.expect("rinit: sh ");
    session.wait().0.assert_code(3);
}

#[test]
fn a_program_whose_stdin_is_no_terminal_still_gets_the_foreground() {
    // The shell becomes rinit; the terminal stays the controlling one.
    let run = with_names(Rinit::as_init().init("/bin/sh")).args(["-c", r#"exec "$R" "$P" listen raw </dev/null"#]);
    let mut session = Session::start_with_pipes(run);
    session.run.ready();
    let probe = session.program("probe");
    assert_eq!(session.terminal.foreground(), probe);
    session.send(CTRL_C);
    let init = session.run.pid();
    session.arrives_once(libc::SIGINT, init);

    let run = with_names(Rinit::as_init().init("/bin/sh"));
    let run = run.args(["-c", r#"exec "$R" sh -c 'read line </dev/tty; echo "got $line"; exit 7' </dev/null"#]);
    let mut session = Session::start(run);
    session.command("text");
    session.expect("got text\r\n");
    session.wait().0.assert_code(7);
}

/// tini: fatal EBADF.
#[test]
fn closed_stdio_does_not_keep_the_program_from_the_terminal() {
    for closed in ["<&-", "<&- >&- 2>&-"] {
        let script = format!(r#"exec "$R" sh -c 'read line </dev/tty; echo "got $line" >/dev/tty; exit 7' {closed}"#);
        let mut session = Session::start(with_names(Rinit::as_init().init("/bin/sh")).args(["-c", &script]));
        session.command("text");
        session.expect("got text\r\n");
        session.wait().0.assert_code(7);
    }
}

#[test]
fn no_terminal_is_no_problem() {
    Rinit::as_init().args(["sh", "-c", "exit 4"]).run().assert_code(4);
    Rinit::as_init().args(["sh", "-c", "exit 5"]).stdin(Io::Closed).run().assert_code(5);
    Rinit::as_init().args(["sh", "-c", "kill -TSTP $$; exit 6"]).run().assert_code(6);
}

#[test]
fn a_terminal_that_is_not_the_controlling_one_is_used_and_not_taken() {
    let terminal = Terminal::new();
    // A log on stderr, because rinit opens it again to write to it.
    let run = Rinit::as_init().args(["-vv", "--", "sh", "-c", "kill -TSTP $$; read line; echo \"got $line\"; exit 8"]);
    let run = run.stdin(terminal.io()).stdout(terminal.io()).stderr(terminal.io()).spawn();
    let mut session = Session { run, terminal };
    session.expect("SIGTSTP");
    session.send("text\n");
    session.expect("got text\r\n");
    let (ended, terminal) = session.wait();
    ended.assert_code(8);
    assert_eq!(terminal.foreground(), 0);
}

#[test]
fn a_terminal_on_stderr_does_not_become_the_controlling_one() {
    let terminal = Terminal::new();
    let run = Rinit::as_init().args(["-vv"]).probe(["listen", "raw"]).stdin(terminal.io()).stderr(terminal.io());
    let mut session = Session { run: run.spawn(), terminal };
    session.run.ready();
    session.run.signal(libc::SIGUSR1);
    session.expect("SIGUSR1");
    let controlling = |pid| proc::stat(pid).unwrap()[4].clone();
    assert_eq!(controlling(session.run.pid()), "0");
}

#[test]
fn a_session_leader_that_is_not_pid_1_gives_the_terminal_away_too() {
    let terminal = Terminal::new();
    let run = Rinit::as_subreaper().args(["--", "cat"]).stdin(terminal.io()).stdout(terminal.io());
    let mut session = Session { run: run.controlling_terminal().spawn(), terminal };
    let cat = session.program("cat");
    session.has_terminal(cat);
    assert_eq!(group_of(cat), cat);
    session.send(CTRL_Z);
    session.command("hello");
    session.expect("hello\r\n");
    kill(session.run.pid(), libc::SIGINT);
    session.wait().0.assert_code(130);
}
