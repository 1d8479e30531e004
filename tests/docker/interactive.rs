//! `docker run -it`: the keyboard belongs to the program.

use crate::engine::image;
use crate::terminal::Terminal;

const PROMPT: &str = "/ # ";
const CTRL_C: &str = "\x03";
const CTRL_Z: &str = "\x1a";

#[test]
#[ignore = "needs a Docker engine"]
fn a_shell_has_job_control() {
    let mut terminal = Terminal::run(image(), &["sh", "-i"]);
    let start = terminal.expect(PROMPT);
    assert!(!start.contains("job control turned off"), "{start}");
    assert!(!start.contains("rinit"), "noise: {start}");

    // The job itself says that it runs, and what is typed is not what it says.
    terminal.send("sh -c \"echo run''ning; exec sleep 1000\"\r");
    terminal.expect("running");
    terminal.send(CTRL_C);
    terminal.expect(PROMPT);
    terminal.send("echo status''=$?\r");
    terminal.expect("status=130");
    terminal.expect(PROMPT);

    terminal.send("sh -c \"echo run''ning; read line; echo \\$line-\\$line\"\r");
    terminal.expect("running");
    terminal.send(CTRL_Z);
    terminal.expect("Stopped");
    terminal.expect(PROMPT);
    terminal.send("fg\r");
    terminal.expect("read line");
    terminal.send("hello\r");
    terminal.expect("hello-hello");
    terminal.expect(PROMPT);
    terminal.send("exit 7\r");
    let (status, screen) = terminal.finish();
    assert_eq!(status, 7, "{screen}");
}

#[test]
#[ignore = "needs a Docker engine"]
fn ctrl_c_ends_a_program() {
    let mut terminal = Terminal::run(image(), &["sh", "-c", "echo ready; exec sleep 1000"]);
    terminal.expect("ready");
    terminal.send(CTRL_C);
    let (status, screen) = terminal.finish();
    assert_eq!(status, 130, "{screen}");
    assert!(screen.contains("rinit: "), "{screen}");
}

/// Nobody could continue it: a stop of the program itself would be for ever.
#[test]
#[ignore = "needs a Docker engine"]
fn ctrl_z_does_not_hang_the_container() {
    let script = "echo ready; while read line; do echo \"got $line\"; done";
    let mut terminal = Terminal::run(image(), &["sh", "-c", script]);
    terminal.expect("ready");
    terminal.send(CTRL_Z);
    terminal.send("hello\r");
    terminal.expect("got hello");
    terminal.send(CTRL_C);
    assert_eq!(terminal.finish().0, 130);
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_new_window_size_arrives() {
    // docker sets the first size some time after the start.
    let script = "until [ \"$(stty size)\" = '24 80' ]; do sleep 0.1; done; trap 'stty size; exit 9' WINCH; \
                  echo ready; while :; do sleep 0.1; done";
    let mut terminal = Terminal::run(image(), &["sh", "-c", script]);
    terminal.expect("ready");
    terminal.resize(33, 101);
    terminal.expect("33 101");
    assert_eq!(terminal.finish().0, 9);
}
