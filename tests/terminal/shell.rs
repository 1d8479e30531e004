//! Under a shell with job control, without -g: PROGRAM is in rinit's group, and the two are one process to the shell.

use std::path::Path;

use crate::common::{self, Rinit, kill, proc};
use crate::pty::{CTRL_BACKSLASH, CTRL_C, CTRL_D, CTRL_Z, Session, with_names};

#[test]
fn a_pipeline_works() {
    let mut session = Session::shell();
    session.command("$R echo hello | $R tr a-z A-Z | $R cat");
    session.expect("HELLO\r\n");
    session.prompt();
    session.leave(0);
}

#[test]
fn ctrl_c_ends_a_pipeline() {
    let mut session = Session::shell();
    session.command("$R sleep 1000 | $R cat");
    session.program("sleep");
    session.program("cat");
    session.send(CTRL_C);
    session.expect("^C");
    session.prompt();
    session.nothing_left();
    session.command("echo \"[${PIPESTATUS[*]}]\"");
    session.expect("[130 130]\r\n");
    session.prompt();
    session.leave(0);
}

#[test]
fn ctrl_z_stops_a_whole_pipeline_and_fg_continues_it() {
    let mut session = Session::shell();
    session.command("$R cat | $R cat");
    session.programs("cat", 2);
    let all = crate::pty::descendants(session.run.pid());
    assert_eq!(all.len(), 4);
    for round in 0..3 {
        session.send(CTRL_Z);
        session.expect("[1]+  Stopped");
        session.prompt();
        session.stopped(&all);
        session.command("fg");
        session.expect("$R cat | $R cat\r\n");
        session.running(&all);
        session.command(&format!("hello {round}"));
        session.expect(&format!("hello {round}\r\n"));
    }
    session.send(CTRL_D);
    session.prompt();
    session.leave(0);
}

#[test]
fn ctrl_z_works_through_nested_inits() {
    let mut session = Session::shell();
    session.command("$R $R cat");
    let cat = session.program("cat");
    session.send(CTRL_Z);
    session.expect("[1]+  Stopped");
    session.prompt();
    session.stopped(&[cat]);
    session.command("fg");
    session.running(&[cat]);
    session.command("hello");
    session.expect("hello\r\n");
    session.send(CTRL_C);
    session.prompt();
    session.leave(130);
}

#[test]
fn bg_continues_a_stopped_job_in_the_background() {
    let mut session = Session::shell();
    session.command("$R sleep 1000");
    let sleep = session.program("sleep");
    session.send(CTRL_Z);
    session.expect("Stopped");
    session.prompt();
    session.command("bg");
    session.prompt();
    session.running(&[sleep]);
    session.command("jobs");
    session.expect("Running");
    session.prompt();
    session.command("kill %1; wait %1; echo \"[$?]\"");
    session.expect("[143]\r\n");
    session.leave(0);
}

/// tini: the shell loses its terminal.
#[test]
fn a_background_start_does_not_steal_the_terminal() {
    let mut session = Session::shell();
    session.command("$R sleep 1000 &");
    session.prompt();
    session.program("sleep");
    assert_eq!(session.terminal.foreground(), session.run.pid());
    session.command("echo still' 'here");
    session.expect("still here\r\n");
    session.prompt();
    session.command("jobs");
    session.expect("[1]+  Running");
    session.prompt();
    session.command("kill %1; wait %1; echo \"[$?]\"");
    session.expect("[143]\r\n");
    session.nothing_left();
    session.leave(0);
}

#[test]
fn a_background_job_that_reads_the_terminal_is_stopped_and_fg_lets_it_read() {
    let mut session = Session::shell();
    session.command("$R cat &");
    session.prompt();
    let cat = session.program("cat");
    session.stopped(&[cat]);
    // The shell tells it before its next prompt.
    session.until("the shell knows", |s| {
        s.send("\n");
        s.terminal.rest().contains("Stopped")
    });
    session.command("fg");
    session.expect("$R cat\r\n");
    session.running(&[cat]);
    session.command("hello");
    session.expect("hello\r\n");
    session.send(CTRL_D);
    session.prompt();
    session.leave(0);
}

#[test]
fn a_pager_reads_the_terminal_while_stdin_is_a_pipe() {
    for options in ["", "-g "] {
        let mut session = Session::shell();
        session.command(&format!(r#"printf x | $R {options}sh -c 'cat; read key </dev/tty; echo " got $key"'"#));
        session.expect("x");
        session.command("text");
        session.expect(" got text\r\n");
        session.prompt();
        session.leave(0);
    }
}

#[test]
fn less_works_at_the_end_of_a_pipe() {
    if !Path::new("/usr/bin/less").exists() {
        return;
    }
    for options in ["", "-g "] {
        let mut session = Session::shell();
        session.command(&format!("printf 'one\\ntwo\\n' | LESS=d $R {options}less"));
        session.expect("two");
        let less = session.program("less");
        session.running(&[less]);
        session.send("q");
        session.prompt();
        session.nothing_left();
        session.leave(0);
    }
}

#[test]
fn what_the_terminal_sends_arrives_once_in_rinits_group() {
    // The group of PID 1 has the terminal; rinit and the probe are in it.
    let words = ["parent".into(), common::rinit(), common::probe()];
    let run = Rinit::as_init().init(common::probe()).args(words).args(["listen", "raw"]);
    let mut session = Session::start_with_pipes(run);
    session.run.ready();
    let init = session.run.pid();
    let rinit = proc::children(init)[0];
    let keys = [(CTRL_C, libc::SIGINT), (CTRL_BACKSLASH, libc::SIGQUIT), (CTRL_Z, libc::SIGTSTP)];
    for (keys, signal) in keys {
        session.send(keys);
        session.arrives_once(signal, rinit);
    }
    session.terminal.resize(50, 132);
    session.arrives_once(libc::SIGWINCH, rinit);
}

#[test]
fn a_trap_that_signals_its_group_does_not_loop() {
    // Deaf while it does it, so only rinit could bring the signal back.
    let script = r#"
        again() { echo "got TERM"; trap '' TERM; kill 0; trap again TERM; }
        trap again TERM; trap 'echo mark' IO; trap : USR1
        echo ready
        while :; do read line; done"#;
    let run = with_names(Rinit::as_init().init(common::probe()));
    let run = run.args(["parent".as_ref(), common::rinit().as_os_str()]);
    let mut session = Session::start_with_pipes(run.args(["/bin/bash", "-c", script]));
    session.run.expect_line("ready");
    let rinit = proc::children(session.run.pid())[0];
    kill(rinit, libc::SIGTERM);
    session.run.expect_line("got TERM");
    let bash = session.program("bash");
    // Back in `read`: the trap is done, and what it sent has been sent.
    session.until("the trap is done", |_| {
        let term = 1_u64 << (libc::SIGTERM - 1);
        proc::signal_set(bash, "SigCgt").is_some_and(|set| set & term != 0) && proc::state(bash) == Some('S')
    });
    kill(rinit, libc::SIGIO);
    session.run.expect_line("mark");
}

#[test]
fn a_program_that_stops_itself_gives_the_shell_back() {
    // As top does at Ctrl-Z, and as an editor does.
    for (options, signal) in [("", "STOP"), ("", "TSTP"), ("-g ", "STOP"), ("-g ", "TSTP")] {
        let mut session = Session::shell();
        session.command(&format!("$R {options}sh -c 'kill -{signal} $$; read key; echo got $key; exit 9'"));
        session.expect("[1]+  Stopped");
        session.prompt();
        session.command("fg");
        session.expect("exit 9'\r\n");
        session.command("text");
        session.expect("got text\r\n");
        session.prompt();
        session.leave(9);
    }
}

#[test]
fn a_terminal_that_stops_background_writers_does_not_hold_up_the_report() {
    let mut session = Session::shell();
    session.command("stty tostop");
    session.prompt();
    session.command("RINIT_QUIET=0 $R sh -c 'exit 3' & wait $!; echo \"[$?]\"");
    session.expect("rinit: ");
    session.expect("[3]\r\n");
    session.leave(0);
}

/// rinit would stay stopped: nobody sends the SIGCONT to it as well.
#[test]
fn a_program_that_is_stopped_and_continued_behind_rinits_back_ends_as_usual() {
    for options in [&[][..], &["-g"]] {
        let mut run = Rinit::as_subreaper().args(options).args(["--", "sleep", "1000"]).spawn();
        let program = run.program();
        run.until("PROGRAM runs", || (proc::status(program, "Name")? == "sleep").then_some(()));
        kill(program, libc::SIGSTOP);
        run.until("PROGRAM is stopped", || (proc::state(program)? == 'T').then_some(()));
        kill(program, libc::SIGCONT);
        run.until("PROGRAM goes on", || (proc::state(program)? == 'S').then_some(()));
        kill(program, libc::SIGUSR2);
        run.wait().assert_code(128 + libc::SIGUSR2);
    }
}
