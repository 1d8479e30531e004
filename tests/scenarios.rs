//! The scenario corpus, as far as a PID 1 in a namespace of this machine shows it: see tests/scenarios/README.md.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "common/scenario.rs"]
mod scenario;
#[path = "common/schema.rs"]
mod schema;

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use common::{Rinit, Status, TempDir, proc};
use rinit::diagnose::registry;
use scenario::{End, PATH, Scenario};

#[test]
fn in_a_namespace() {
    // Where every user can reach them.
    let programs = TempDir::new();
    common::copy_program(&common::rinit(), &programs.join("rinit"));
    common::copy_program(&common::probe(), &programs.join("probe"));
    scenario::run("namespace", |scenario| run(scenario, &programs));
}

/// Every cause is the right answer of some scenario, and every scenario's answer is a cause.
#[test]
fn every_cause_has_a_scenario() {
    let scenarios = scenario::all();
    let answers = scenarios.iter().flat_map(|scenario| scenario.get("cause").split(" | "));
    let expected: BTreeSet<&str> = answers.filter_map(|answer| answer.split(' ').next()).collect();
    let known: BTreeSet<&str> = registry::ALL.iter().map(|cause| cause.id).collect();
    assert_eq!(expected.difference(&known).next(), None, "no such cause");
    let missing: Vec<_> = known.difference(&expected).filter(|id| !WITHOUT_A_SCENARIO.contains(*id)).collect();
    assert!(missing.is_empty(), "no scenario expects {missing:?}");
}

/// Causes that no process of these three places can end with: what rinit writes before it is killed itself, which
/// tests/provisional.rs and tests/docker/survives.rs read.
const WITHOUT_A_SCENARIO: &[&str] =
    &["killed-without-report", "process-frozen", "signal-blocked", "signal-ignored", "stop-too-slow"];

#[test]
fn what_is_wrong_is_found() {
    let right = "run: false\nstatus: 1\ncause: exit-error (unknown)\nsays: false exited with status 1\nnever: killed";
    let stderr = || Rinit::as_init().json().args(["--", "false"]).run().stderr();
    let judge = |text: &str| {
        let scenario = Scenario::parse("group/name".into(), text);
        scenario.judge(&End { status: 1, stderr: stderr(), peak: true }, "/").err().unwrap_or_default()
    };
    assert_eq!(judge(right), "");
    for (from, to, why) in [
        ("status: 1", "status: 2", "status 1 and not 2"),
        ("exit-error", "usage-error", "cause exit-error (unknown) and not usage-error (unknown)"),
        ("(unknown)", "(certain)", "cause exit-error (unknown) and not exit-error (certain)"),
        ("says: false", "says: $PWD", "does not say \"/ exited with status 1\""),
        ("never: killed", "never: false", "says \"false\""),
        ("never: killed", "stderr: warn", "no \"warn\" on stderr"),
    ] {
        let wrong = judge(&right.replace(from, to));
        assert!(wrong.contains(why), "{to}: {wrong}");
    }
}

fn run(scenario: &Scenario, programs: &TempDir) -> (End, String) {
    let dir = TempDir::new();
    let path = dir.path().to_str().unwrap().to_owned();
    let [rinit, probe] = ["rinit", "probe"].map(|name| programs.join(name));
    let environment = [
        format!("PATH={PATH}"),
        format!("HOME={path}"),
        format!("RINIT={}", rinit.display()),
        format!("PROBE={}", probe.display()),
        format!("RUSTC={}", rustc()),
        "LC_ALL=C.UTF-8".into(),
        "RINIT_TERMINATION_LOG=off".into(),
        "RINIT_STDERR_FORMAT=json".into(),
    ];
    let environment: Vec<&[u8]> = environment.iter().map(String::as_bytes).collect();
    let run = Rinit::as_init().init("/bin/sh").args(["-c", &scenario.script()]).raw_env(&environment);
    let mut run = run.cwd(dir.path()).deadline(Duration::from_secs(scenario.seconds())).spawn();
    let mut sessions = Vec::new();
    for (number, target) in scenario.all("send").flat_map(str::split_whitespace).enumerate() {
        let init = run.pid();
        // The shell is rinit when it has a child that is none of the setup's.
        run.until("rinit runs", || (proc::status(init, "Name")? == "rinit").then_some(()));
        if number == 0 && scenario.get("when").is_empty() {
            while !run.line().starts_with("ready") {}
        }
        let program = run.program();
        if number == 0 && !scenario.get("when").is_empty() {
            run.until(scenario.get("when"), || holds(scenario.get("when"), init, program, &dir));
        }
        match target.split_once(':') {
            Some(("program", signal)) => common::kill(program, number_of(signal)),
            Some(("exec", signal)) => sessions.push(session(init, signal)),
            _ => run.signal(number_of(target)),
        }
    }
    let ended = run.wait();
    for session in &mut sessions {
        session.wait().unwrap();
    }
    let status = match ended.status {
        Status::Code(code) => code.into(),
        Status::Signal(signal) => i64::from(-signal),
    };
    (End { status, stderr: ended.stderr(), peak: true }, path)
}

/// The compiler itself: rustup's stand-in would look for its toolchains in `$HOME`.
fn rustc() -> &'static str {
    static RUSTC: OnceLock<String> = OnceLock::new();
    RUSTC.get_or_init(|| {
        let root = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
        format!("{}/bin/rustc", String::from_utf8(root.stdout).unwrap().trim())
    })
}

/// What an exec session is: a process from outside in the namespaces of `init`. It sends the signal, and stays to be seen.
fn session(init: i32, signal: &str) -> Child {
    let script = format!("kill -{signal} 1; sleep 1000");
    let init = init.to_string();
    Command::new("nsenter").args(["-p", "-m", "-t", &init, "/bin/sh", "-c", &script]).spawn().unwrap()
}

/// A condition of the shell, seen from outside the namespace.
fn holds(condition: &str, init: i32, program: i32, dir: &TempDir) -> Option<()> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", condition]).current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
    shell.stderr(Stdio::null()).env("INIT", init.to_string()).env("PROGRAM", program.to_string());
    shell.status().unwrap().success().then_some(())
}

fn number_of(signal: &str) -> i32 {
    let number = Command::new("/bin/bash").args(["-c", "kill -l \"$0\"", signal]).output().unwrap();
    String::from_utf8(number.stdout).unwrap().trim().parse().unwrap_or_else(|_| panic!("no signal {signal}"))
}
