//! What a command line or an environment holds stays there.

use crate::engine::{Container, TempDir, image};
use crate::report::termination_message;

const SECRET: &str = "hunter2-Zq";

#[test]
#[ignore = "needs a Docker engine"]
fn appear_nowhere() {
    let flag = format!("--password={SECRET}");
    let assignment = format!("DB_PASSWORD={SECRET}");
    let line = format!("mysql -p{SECRET} db");
    let commands: [&[&str]; 6] = [
        &["sh", "-c", "exit 3", "sh", &flag],
        &["sh", "-c", "kill -SEGV $$", SECRET],
        &["/no/such/program", &flag],
        &["no-such-command", &flag],
        // Neither an assignment nor a whole line is a command, and people write both.
        &[&assignment, "sh"],
        &[&line],
    ];
    for command in commands {
        for format in ["text", "json"] {
            let dir = TempDir::new();
            let log = dir.create("log");
            let mount = format!("{}:/dev/termination-log", log.display());
            let format = format!("RINIT_FORMAT={format}");
            let options = ["--volume", &mount, "--env", &format, "--env", &assignment, "--env", "RINIT_LOG=trace"];
            let run = Container::run(&options, image(), command);
            let message = termination_message(&log);
            assert!(run.status > 0 && !message.is_empty(), "{command:?} has a report");
            assert!(!run.stderr.contains(SECRET), "{}", run.stderr);
            assert!(!message.contains(SECRET), "{message}");
            if command.first() == Some(&assignment.as_str()) {
                assert!(message.contains("DB_PASSWORD"), "{message}");
            }
        }
    }
}
