//! What real programs exit with, and what the report makes of it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::indexing_slicing)]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{Io, Rinit, TempDir, each};
use serde_json::Value;

/// Whether `program` is here. Where it must be, its absence is a failure.
fn is_installed(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let installed = path.split(':').any(|directory| Path::new(directory).join(program).exists());
    assert!(installed || std::env::var_os("CI").is_none(), "{program} is not installed");
    if !installed {
        eprintln!("SKIPPED: {program} is not installed");
    }
    installed
}

/// What PID 1's termination log says of the end of `command`, and the status that came out.
#[track_caller]
fn ended(command: &[&str], status: i32) -> Value {
    let scratch = TempDir::new();
    let log = scratch.join("log");
    let run = Rinit::as_init()
        .env("RINIT_TERMINATION_LOG", &log)
        .env_remove("PYTHONUNBUFFERED")
        .deadline(Duration::from_secs(60));
    run.args(["--format", "json", "--report-size", "4096", "--"]).args(command).run().assert_code(status);
    serde_json::from_str(&std::fs::read_to_string(&log).unwrap()).unwrap()
}

/// Command, status, cause, confidence, a fact of the text.
type Row<'a> = (&'a [&'a str], i32, &'a str, &'a str, &'a str);

fn check((command, status, id, confidence, fact): Row<'_>) {
    if !is_installed(command[0]) && !command[0].contains('/') {
        return;
    }
    let report = ended(command, status);
    let cause = &report["cause"];
    assert_eq!((&cause["id"], &cause["confidence"]), (&id.into(), &confidence.into()), "{command:?}: {report}");
    assert!(report.to_string().contains(fact), "{command:?}: no {fact:?} in {report}");
    assert_eq!((&report["outcome"], &report["code"]), (&"exited".into(), &status.into()), "{command:?}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains(&format!("exited with status {status} ")), "{message}");
    assert!(!message.contains("was killed"), "{message}");
}

const SCRIPT: &str = "command-not-found-in-script";
const REFUSED: &str = "command-not-executable-in-script";

#[test]
fn shells() {
    for shell in [&["bash"][..], &["dash"], &["busybox", "sh"]] {
        let of = |script: &'static str| [shell, &["-c", script]].concat();
        let name = format!("name at its end was {}", shell[0]);
        check((&of("no-such-command"), 127, SCRIPT, "likely", &name));
        check((&of("no-such-command"), 127, SCRIPT, "likely", "no-such-command could not be started: it is in no dir"));
        check((&of("exec /no/such/file"), 127, SCRIPT, "likely", "/no/such/file could not be started: no such file"));
        check((&of("/no/such/file; exit $?"), 127, SCRIPT, "likely", "ldd FILE"));
        check((
            &of("/etc/passwd x"),
            126,
            REFUSED,
            "likely",
            "/etc/passwd could not be started: permission denied, it is not executable",
        ));
        check((&of("cd /no/such/directory; exit 127"), 127, SCRIPT, "likely", "most likely a command of its script"));
        check((&of("/etc/passwd; exit $?"), 126, REFUSED, "likely", "Permission denied"));
        check((&of("if"), 2, "shell-syntax-error", "possible", "a syntax error"));
        check((&of("ls /no/such/file; exit 2"), 2, "shell-syntax-error", "possible", "its last command ended with 2"));
        check((&of("false"), 1, "exit-error", "unknown", "the status of its last command"));
        check((&of("exit 3"), 3, "exit-error", "unknown", "what 3 means to"));
        check((&of("exit 300"), 44, "exit-error", "unknown", "what 44 means to"));
        check((&of("exit 255"), 255, "status-255", "possible", "comes out as 255"));
        check((&of("exit 64"), 64, "sysexits", "possible", "EX_USAGE"));
        check((&of("/usr/bin/timeout 0.01 sleep 60; exit $?"), 124, "timeout-expired", "possible", "passed on"));
        // A signal that nobody sends to PROGRAM itself.
        check((&of("sh -c 'kill -9 $$'; exit $?"), 137, "descendant-killed", "likely", "ended by SIGKILL"));
        check((&of("sh -c 'kill -SEGV $$'; exit $?"), 139, "descendant-killed", "likely", "ended by SIGSEGV"));
        check((&of("exit 143"), 143, "descendant-killed", "likely", "most likely a command it ran"));
        check((&of("exit 146"), 146, "exit-error", "unknown", "146"));
        check((&of("exit 193"), 193, "exit-error", "unknown", "193"));
    }
    check((&["bash", "-c", "set -o pipefail; yes | head -n 1"], 141, "descendant-killed", "likely", "pipefail"));
    check((&["bash", "-uc", "echo $no_such_variable"], 127, SCRIPT, "likely", "unset variable"));
    check((&["dash", "-uc", "echo $no_such_variable"], 2, "shell-syntax-error", "possible", "unset variable"));
    check((&["bash", "/no/such/script"], 127, SCRIPT, "likely", "not found"));
    check((&["dash", "/no/such/script"], 2, "shell-syntax-error", "possible", "dash"));
}

#[test]
fn a_script_is_known_by_its_interpreter_until_it_becomes_another_program() {
    let scratch = TempDir::new();
    let script = |name: &str, text: &str| {
        let path = scratch.join(name);
        // By another process: see copy_program.
        let write = ["-c", "printf '%s\\n' \"$1\" >\"$0\" && chmod +x \"$0\""];
        assert!(Command::new("sh").args(write).arg(&path).arg(text).status().unwrap().success());
        path.to_str().unwrap().to_owned()
    };
    let start = script("start.sh", "#!/bin/dash\nno-such-command");
    check((&[&start], 127, SCRIPT, "likely", "start.sh exited with status 127"));
    check((&[&start], 127, SCRIPT, "likely", "its file, or its script's interpreter, is dash"));
    let becomes = script("becomes.sh", "#!/bin/dash\nexec timeout 0.01 sleep 60");
    check((&[&becomes], 124, "timeout-expired", "likely", "name at its end was timeout"));
    let own = script("own.sh", "#!/bin/dash\nexec sleep no-such-time");
    check((&[&own], 1, "exit-error", "unknown", "what 1 means to own.sh"));
    let python = script("app.py", "#!/usr/bin/env python3\nimport sys; sys.exit(2)");
    if is_installed("python3") {
        check((&[&python], 2, "usage-error", "likely", "name at its end was python3"));
    }
}

/// What is on disk says why a shell could not start it, from where PROGRAM was started, and where a shell cannot say it.
#[test]
fn what_a_shell_could_not_start() {
    let scratch = TempDir::new();
    let put = |name: &str, text: &[u8], mode: &str| {
        let source = scratch.join(format!("{name}.source"));
        std::fs::write(&source, text).unwrap();
        // By another process: see copy_program.
        let done = Command::new("install").args(["-m", mode]).arg(&source).arg(scratch.join(name)).status();
        assert!(done.unwrap().success());
    };
    put("crlf.sh", b"#!/bin/sh\r\necho\r\n", "755");
    put("orphan.sh", b"#!/no/such/interpreter\n", "755");
    put("closed.sh", b"#!/bin/sh\n", "644");
    put("text.sh", b"exit 127\n", "755");
    put("archive", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x01\xff\x00\x00", "755");
    // The header of a program of a machine that this is not.
    put("foreign", &foreign_program(), "755");
    std::fs::create_dir(scratch.join("directory")).unwrap();
    let check = |program: &[&str], status: i32, confidence: &str, fact: &str| {
        let run = Rinit::as_init().json().cwd(scratch.path()).args(["--"]).args(program).run();
        run.assert_cause(status, if status == 127 { SCRIPT } else { REFUSED }, confidence, fact);
        assert!(!run.says("execve gave") && !run.says("nothing was run"), "{run:?}");
    };
    for shell in ["bash", "dash"] {
        let sh = |name: &'static str, status, fact: &str| check(&[shell, "-c", name], status, "likely", fact);
        sh("./crlf.sh", 127, "most likely ./crlf.sh could not be started: its first line asks for \"/bin/sh\\r\"");
        sh("./orphan.sh", 127, "its first line asks for /no/such/interpreter, which does not exist");
        sh("./closed.sh", 126, "to its interpreter: sh closed.sh");
        sh("./foreign", 126, "most likely ./foreign could not be started: it is built for");
        sh("./archive", 126, "it is compressed by gzip");
        sh("./directory", 126, "most likely ./directory could not be started: it is a directory");
        // A shell runs it, and 127 is its own.
        sh("./text.sh", 127, "most likely a command of its script");
    }
    for wrapper in [&["env"][..], &["timeout", "9"], &["nice"]] {
        let of = |name| [wrapper, &[name]].concat();
        check(&of("./crlf.sh"), 127, "likely", "./crlf.sh could not be started: its first line asks for");
        check(&of("./closed.sh"), 126, "likely", "to its interpreter: sh closed.sh");
    }
    // What env runs tries a shell, and 127 is that shell's.
    check(&["env", "./foreign"], 127, "likely", "./foreign could not be started: it is built for");
    // No row tells of setpriv.
    check(
        &["setpriv", "--no-new-privs", "./crlf.sh"],
        127,
        "possible",
        "one possibility is that ./crlf.sh could not be",
    );
    // Another user's permissions.
    check(
        &["setpriv", "--no-new-privs", "./closed.sh"],
        126,
        "possible",
        "one possibility is that a command that it ran",
    );
}

/// An ELF header, and nothing else, for s390x, or there for x86-64.
fn foreign_program() -> Vec<u8> {
    let (order, machine) = if cfg!(target_arch = "s390x") { (1, [62, 0]) } else { (2, [0, 22]) };
    let mut header = vec![0; 64];
    header[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, order, 1]);
    header[16 + usize::from(order == 2)] = 2;
    header[18..20].copy_from_slice(&machine);
    header
}

#[test]
fn wrappers() {
    each(
        [
            (&["timeout", "0.01", "sleep", "60"][..], 124, "timeout-expired", "likely", "--preserve-status"),
            (&["timeout", "--no-such-option"], 125, "wrapper-failed", "likely", "it failed itself"),
            (&["timeout", "9", "no-such-command"], 127, SCRIPT, "likely", "no-such-command could not be started"),
            (&["timeout", "--no", "9", "no-such-command"], 125, "wrapper-failed", "likely", "it failed itself"),
            (&["nice", "timeout", "9", "sh", "-c", "no-such-command"], 127, SCRIPT, "likely", "no-such-command could"),
            // 127 of something that is there.
            (&["timeout", "9", "sh", "-c", "exit 127"], 127, SCRIPT, "likely", "the command that it was to run"),
            (&["timeout", "9", "sh", "-c", "exit 7"], 7, "exit-error", "unknown", "what 7 means to timeout"),
            (&["env", "--no-such-option"], 125, "wrapper-failed", "likely", "name at its end was env"),
            (&["env", "no-such-command"], 127, SCRIPT, "likely", "not found"),
            (&["env", "/etc/passwd"], 126, REFUSED, "likely", "/etc/passwd could not be started: permission denied"),
            // env is another program by the time it ends.
            (&["env", "sh", "-c", "exit 125"], 125, "wrapper-failed", "possible", "one possibility is that a wrapper"),
            (&["nohup", "no-such-command"], 127, SCRIPT, "likely", "nohup"),
            (&["chroot", "/no/such/directory", "true"], 125, "wrapper-failed", "likely", "chroot"),
            (&["xargs", "-a", "/etc/passwd", "false"], 123, "runtime-specific", "likely", "status 1 to 125"),
            (&["xargs", "-a", "/etc/passwd", "sh", "-c", "exit 255"], 124, "runtime-specific", "likely", "with 255"),
            (
                &["xargs", "-a", "/etc/passwd", "sh", "-c", "kill -9 $$"],
                125,
                "runtime-specific",
                "likely",
                "by a signal",
            ),
            (&["xargs", "-a", "/etc/passwd", "/etc/passwd"], 126, REFUSED, "likely", "xargs"),
            (&["xargs", "-a", "/etc/passwd", "no-such-command"], 127, SCRIPT, "likely", "xargs"),
        ],
        check,
    );
}

#[test]
fn interpreters() {
    const PENDING: &str = "await new Promise(() => {})";
    const CLOSED: &str = "import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1); print(1)";
    each(
        [
            (&["python3", "-c", "1 / 0"][..], 1, "exit-error", "unknown", "uncaught exception"),
            (&["python3", "-c", "import no_such_module"], 1, "exit-error", "unknown", "end was python3"),
            (&["python3", "-c", "import sys; sys.exit(300)"], 44, "exit-error", "unknown", "44"),
            (&["python3", "/no/such/script.py"], 2, "usage-error", "likely", "could not open the script"),
            (&["python3", "--no-such-option"], 2, "usage-error", "likely", "arguments were refused"),
            (&["python3", "-c", CLOSED], 120, "runtime-specific", "likely", "write out stdout"),
            (&["node", "-e", "throw new Error()"], 1, "exit-error", "unknown", "unhandled rejection"),
            (&["node", "--no-such-option"], 9, "usage-error", "likely", "NODE_OPTIONS"),
            (&["node", "--input-type=module", "-e", PENDING], 13, "runtime-specific", "likely", "never settled"),
            (
                &["node", "-e", "process.on('uncaughtException', () => { throw 1 }); throw 2"],
                7,
                "runtime-specific",
                "likely",
                "its own handler",
            ),
            (&["java", "NoSuchClass"], 1, "exit-error", "unknown", "a JVM ends so"),
            (&["perl", "-e", "die"], 255, "status-255", "likely", "died with a message"),
            (&["perl", "-e", "$! = 13; die"], 13, "runtime-specific", "possible", "EACCES (Permission denied)"),
            (&["perl", "-e", "exit 1"], 1, "exit-error", "unknown", "what 1 means to perl"),
        ],
        check,
    );
}

#[test]
fn a_jvm_reports_sigterm_by_exiting() {
    if !is_installed("java") {
        return;
    }
    let scratch = TempDir::new();
    let log = scratch.join("log");
    // A program of the JRE that waits for its input.
    let tool = ["--", "java", "-m", "java.base/sun.security.tools.keytool.Main", "-printcert"];
    let run = Rinit::as_init().env("RINIT_TERMINATION_LOG", &log).stdin(Io::Pipe).deadline(Duration::from_secs(60));
    let mut run = run.args(tool).spawn();
    let program = run.program();
    // With its handler a JVM that still starts would fail.
    run.until("it reads its input", || {
        let threads = std::fs::read_dir(format!("/proc/{program}/task")).ok()?;
        let mut sleeps = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("wchan")).ok());
        sleeps.any(|wchan| wchan.contains("pipe")).then_some(())
    });
    run.signal(15);
    run.wait().assert_code(143);
    let report = std::fs::read_to_string(&log).unwrap();
    assert!(report.contains("cause: stopped-by-own-handler (certain)"), "{report}");
    assert!(report.contains("java stopped on request: SIGTERM"), "{report}");
    assert!(report.contains("it exited by itself with 128+15"), "{report}");
}

#[test]
fn tools() {
    each(
        [
            (
                &["curl", "-s", "http://127.0.0.1:1/"][..],
                7,
                "runtime-specific",
                "likely",
                "localhost means this container",
            ),
            (&["curl", "-s", "file:///no/such/file"], 37, "exit-error", "unknown", "37"),
            (&["grep", "x", "/no/such/file"], 2, "runtime-specific", "likely", "could not be read"),
            (&["grep", "no such line", "/etc/passwd"], 1, "runtime-specific", "likely", "no line matched"),
            (&["make", "-f", "/no/such/file"], 2, "runtime-specific", "likely", "none to make"),
            (&["git", "-C", "/", "log"], 128, "exit-128", "likely", "safe.directory"),
        ]
        .into_iter()
        .filter(|row| !["curl", "make", "git"].contains(&row.0[0]) || Path::new("/usr/bin").join(row.0[0]).exists()),
        check,
    );
}

#[test]
fn what_a_program_was_built_from_stands_in_its_file() {
    let scratch = TempDir::new();
    let compile = |compiler: &str, name: &str, source: &str, arguments: &[&str]| {
        let (file, program) = (scratch.join(name), scratch.join(name.split('.').next().unwrap()));
        std::fs::write(&file, source).unwrap();
        let done = Command::new(compiler).args(arguments).arg("-o").arg(&program).arg(&file).status().unwrap();
        assert!(done.success(), "{compiler} {name}");
        program.to_str().unwrap().to_owned()
    };
    let rust = compile(
        "rustc",
        "panics.rs",
        "fn main() { let none: Option<u8> = None; none.unwrap(); }",
        &["-Cstrip=symbols"],
    );
    check((&[&rust], 101, "rust-panic", "likely", "RUST_BACKTRACE=1"));
    let exits = compile("rustc", "exits.rs", "fn main() { std::process::exit(2) }", &[]);
    check((&[&exits], 2, "usage-error", "possible", "one possibility"));
    let c = compile("cc", "c101.c", "int main(void) { return 101; }", &[]);
    check((&[&c], 101, "rust-panic", "possible", "one possibility is that it is a Rust program"));
    // What Go's linker writes, in a program that exits as a panic does.
    let note = "__asm__(\".section .note.go.buildid,\\\"a\\\",@note\\n.balign 4\\n.long 4, 4, 4\\n.asciz \\\"Go\\\"\\n.byte 0\\n.long 0\\n.previous\");";
    let go = compile("cc", "go.c", &format!("{note}\nint main(void) {{ return 2; }}"), &[]);
    check((&[&go], 2, "go-panic", "possible", "the note that Go's linker writes"));
    let plain = compile("cc", "c2.c", "int main(void) { return 2; }", &[]);
    check((&[&plain], 2, "usage-error", "possible", "one possibility"));
}
