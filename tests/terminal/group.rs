//! `-g` under a shell: PROGRAM has a group of its own, and the terminal as long as rinit's group would have it.

use crate::common::{Rinit, proc};
use crate::pty::{CTRL_C, CTRL_D, CTRL_Z, Session, group_of, with_names};

#[test]
fn in_the_foreground_the_program_has_the_terminal_and_job_control_works() {
    let mut session = Session::shell();
    session.command("$R -g cat");
    let cat = session.program("cat");
    session.has_terminal(cat);
    assert_eq!(group_of(cat), cat);
    for round in 0..3 {
        session.send(CTRL_Z);
        session.expect("[1]+  Stopped");
        session.prompt();
        session.stopped(&[cat, parent(cat)]);
        session.command("fg");
        session.expect("$R -g cat\r\n");
        session.has_terminal(cat);
        session.running(&[cat, parent(cat)]);
        session.command(&format!("hello {round}"));
        session.expect(&format!("hello {round}\r\n"));
    }
    session.send(CTRL_C);
    session.prompt();
    session.nothing_left();
    session.leave(130);
}

#[test]
fn a_script_gets_the_terminal_back() {
    let mut session = Session::shell();
    session.command(r#"sh -c '$R -g sh -c "read a; echo program \$a"; read b; echo script $b'"#);
    session.command("one");
    session.expect("program one\r\n");
    session.command("two");
    session.expect("script two\r\n");
    session.prompt();
    session.leave(0);
}

#[test]
fn a_background_start_does_not_steal_the_terminal() {
    let mut session = Session::shell();
    session.command("$R -g sleep 1000 &");
    session.prompt();
    session.program("sleep");
    assert_eq!(session.terminal.foreground(), session.run.pid());
    session.command("echo still' 'here");
    session.expect("still here\r\n");
    session.prompt();
    // Brought to the front, it is rinit that has the terminal and passes Ctrl-C on.
    session.command("fg");
    session.expect("$R -g sleep 1000\r\n");
    let rinit = parent(session.program("sleep"));
    session.has_terminal(rinit);
    session.send(CTRL_C);
    session.prompt();
    session.nothing_left();
    session.leave(130);
}

#[test]
fn a_background_job_that_reads_the_terminal_can_after_fg() {
    let mut session = Session::shell();
    // It reads only once it is in the foreground, when SIGUSR1 tells it to.
    session.command("$R -g sh -c 'trap : USR1; sleep 1000 & wait; read a; echo got $a; kill $!' &");
    session.prompt();
    let sleep = session.program("sleep");
    let program = parent(sleep);
    session.command("fg");
    session.has_terminal(parent(program));
    crate::common::kill(program, libc::SIGUSR1);
    session.has_terminal(program);
    session.command("text");
    session.expect("got text\r\n");
    session.prompt();
    session.leave(0);
}

#[test]
fn ctrl_z_stops_the_rest_of_the_job_too() {
    // The shell waits until all of them have stopped: a script around rinit, a neighbour in the pipe.
    for (job, cats, status) in [("sh -c '$R -g cat; exit 5'", 1, 5), ("$R -g cat | cat", 2, 0)] {
        let mut session = Session::shell();
        session.command(job);
        let cats = session.programs("cat", cats);
        session.until("PROGRAM has the terminal", |session| cats.contains(&session.terminal.foreground()));
        session.send(CTRL_Z);
        session.expect("[1]+  Stopped");
        session.prompt();
        session.stopped(&cats);
        session.command("fg");
        session.running(&cats);
        session.command("hello");
        session.expect("hello\r\n");
        session.send(CTRL_D);
        session.prompt();
        session.leave(status);
    }
}

#[test]
fn ctrl_z_does_not_hang_a_program_when_there_is_no_shell_to_continue_it() {
    let run = with_names(Rinit::as_init().init("/bin/sh")).args(["-c", r#""$R" -g cat; exit 5"#]);
    let mut session = Session::start(run);
    let cat = session.program("cat");
    session.has_terminal(cat);
    for round in 0..5 {
        session.send(CTRL_Z);
        session.command(&format!("hello {round}"));
        session.expect(&format!("hello {round}\r\n"));
    }
    session.send(CTRL_D);
    session.wait().0.assert_code(5);
}

fn parent(pid: i32) -> i32 {
    proc::stat(pid).unwrap()[1].parse().unwrap()
}
