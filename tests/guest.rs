//! rinit in a machine with cgroup v2 alone: one boot of an emulated PC, one container per scenario (tests/guest,
//! tests/scenarios).
//!
//! `TEST_KERNEL=$(tests/guest/kernel DIRECTORY) cargo test --test guest -- --ignored`, with qemu-system-x86 and
//! busybox-static installed. A missing emulator is then a failure. With `TEST_ROUNDS=20` the storm lasts a minute, and the
//! kills that leave nobody to report are counted 20 times each; the count is printed (`--nocapture`).
//!
//! Another boot lets calls of a rinit at its memory limit fail (tests/inject); with TEST_ROUNDS all of them, which takes half
//! an hour. A part of the name runs one of the two: `in_a_machine`, `calls_fail`.
//!
//! `tests/guest/kernel DIRECTORY linux-image-rt-amd64` is another of Debian's kernels; `.ci/kernels` takes them all.
#![allow(missing_docs, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stdout)]

#[path = "common/scenario.rs"]
mod scenario;
#[path = "common/schema.rs"]
mod schema;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::{env, fs};

use scenario::{End, Scenario};

const TARGET: &str = "x86_64-unknown-linux-musl";
/// Seconds. Each boot takes about 40, and in the full form two minutes, or half an hour where calls fail.
const DEADLINE: &str = "4000";

/// What came of a container.
#[derive(Default)]
struct Output {
    stdout: String,
    log: String,
    stderr: String,
}

/// One OOM kill ends all of a container, as in Kubernetes: slowly and at once, at its own limit and at the pod's. Without
/// and with a rinit that is passed over.
const GROUPS: [(&str, &str); 7] = [
    ("--memory 32M --oom-group 1", "exec $RINIT -- probe eat 64 60 0"),
    ("--memory 32M --oom-group 1", "exec $RINIT -- probe eat 64 0 0"),
    ("--pod 32M --memory 64M --oom-group 1", "exec $RINIT -- probe eat 64 60 0"),
    ("--memory 32M --oom-group 1", "exec $RINIT --oom-shield -- probe eat 64 60 0"),
    ("--memory 32M --oom-group 1", "exec $RINIT --oom-shield -- probe eat 64 0 0"),
    ("--pod 32M --memory 64M --oom-group 1", "exec $RINIT --oom-shield -- probe eat 64 0 0"),
    ("--memory 32M --oom-group 1", "exec $RINIT --oom-shield -- cat /proc/self/oom_score_adj /proc/1/oom_score_adj"),
];

#[derive(Clone, Copy)]
struct Container<'a> {
    options: &'a str,
    script: &'a str,
    signals: &'a str,
}

/// The calls of a rinit that comes to the limit fail one by one (tests/inject): those that watch memory, and in the full
/// form all of them.
#[test]
#[ignore = "needs QEMU"]
fn calls_fail_at_the_memory_limit() {
    let console = boot(&[], true);
    println!("{console}");
    assert!(console.contains("inject: 0\n"), "not every run went right: see above");
}

#[test]
#[ignore = "needs QEMU"]
fn in_a_machine_with_cgroup_v2() {
    let scenarios = scenario::corpus("guest");
    let scripts: Vec<String> = scenarios.iter().map(Scenario::script).collect();
    let containers = scenarios.iter().zip(&scripts).map(|(scenario, script)| Container {
        options: scenario.get("container"),
        script,
        signals: scenario.get("send"),
    });
    let rounds: usize = env::var("TEST_ROUNDS").map_or(2, |rounds| rounds.parse().expect("a number"));
    // At its limit all the time.
    let storm = format!("exec $RINIT -- probe storm {}", rounds * 3);
    let storm = Container { options: "--memory 16M", script: &storm, signals: "" };
    let groups: Vec<_> = GROUPS.map(|(options, script)| Container { options, script, signals: "" }).into();
    let often = groups[..2].iter().flat_map(|group| std::iter::repeat_n(*group, rounds));
    let containers = containers.chain([storm]).chain(groups.iter().copied()).chain(often);
    let containers: Vec<_> = containers.collect();
    let outputs = parse(&boot(&containers, false), containers.len());

    let (of_scenarios, rest) = outputs.split_at(scenarios.len());
    let (storm, rest) = rest.split_first().expect("the storm");
    assert!(storm.stdout.contains("status 0"), "{}{}{}", storm.stdout, storm.stderr, storm.log);
    let reclaims = number_after(&storm.stdout, " max ");
    let wake_ups = number_after(&storm.stdout, "wake-ups ");
    assert!(reclaims > 100, "no storm: {}", storm.stdout);
    assert!((1..10).contains(&wake_ups), "{wake_ups} wake-ups for {reclaims} events");
    let (groups, often) = rest.split_at(GROUPS.len());
    die_whole(&groups[..3]);
    are_shielded(&groups[3..]);
    for (outputs, how) in often.chunks(rounds).zip(["slowly", "at once"]) {
        let told = outputs.iter().filter(|output| output.log.contains("memory.events max 0 -> ")).count();
        println!("eaten {how}: the last event stands in the file {told} times of {rounds}");
        assert!(told > 0 || how == "at once");
    }

    scenario::run("guest", |scenario| {
        let number = scenarios.iter().position(|other| other.name == scenario.name).expect("it ran");
        let Output { stdout, stderr, .. } = &of_scenarios[number];
        let status = i64::try_from(number_after(stdout, "status ")).expect("a status");
        let peak = !stdout.contains("no memory.peak");
        (End { status, stderr: stderr.clone(), peak }, "/tmp/work".to_owned())
    });
}

/// rinit dies with all others: what it wrote before stands there.
fn die_whole(outputs: &[Output]) {
    let group = "memory.oom.group=1: one OOM kill ends every process here, rinit too";
    for (Output { stdout, log, .. }, limit) in outputs.iter().zip(["32 MiB", "32 MiB", "64 MiB"]) {
        assert!(stdout.contains("status 137"), "{stdout}");
        assert!(log.starts_with("rinit: the container was killed as a whole before rinit could report"), "{log}");
        for fact in ["      cause: killed-without-report (unknown)", group, limit] {
            assert!(log.contains(fact), "no {fact:?} in\n{log}");
        }
    }
    let slowly = &outputs[0].log;
    for fact in
        ["last thing seen, at ", "      cause: oom-container-limit (", "memory.events max 0 -> ", " of 32 MiB in use, "]
    {
        assert!(slowly.contains(fact), "no {fact:?} in\n{slowly}");
    }
}

/// And with the shield it does not.
fn are_shielded(outputs: &[Output]) {
    let causes = ["oom-container-limit (likely)", "oom-container-limit (likely)", "oom-outside-container (likely)"];
    for (Output { stdout, log, .. }, cause) in outputs.iter().zip(causes) {
        assert!(stdout.contains("status 137"), "{stdout}");
        for fact in ["rinit: probe was killed by SIGKILL (exit status 137)", "oom_kill 0 -> 2", cause] {
            assert!(log.contains(fact), "no {fact:?} in\n{log}");
        }
        assert!(!log.contains("killed-without-report"), "{log}");
    }
    let inherited = &outputs[3].stdout;
    assert!(inherited.starts_with("0\n"), "{inherited}");
}

fn number_after(text: &str, word: &str) -> u64 {
    let (_, rest) = text.split_once(word).unwrap_or_else(|| panic!("no {word:?} in {text}"));
    rest.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

/// Boots, runs all, and powers off. One machine at a time: each has two processors.
fn boot(containers: &[Container<'_>], inject: bool) -> String {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    let kernel = env::var_os("TEST_KERNEL").expect("TEST_KERNEL names a kernel: tests/guest/kernel");
    let dir = TempDir::new();
    let initrd = initrd(&dir.0, containers, inject);
    // What the kernel does not know is in its init's environment.
    let settings = ["TEST_ROUNDS", "TEST_ONLY"].map(|name| (name, env::var(name).unwrap_or_default()));
    let settings = settings.into_iter().filter(|(_, value)| !value.is_empty());
    let settings: String = settings.map(|(name, value)| format!(" \"{name}={value}\"")).collect();
    let output = Command::new("timeout")
        .args([DEADLINE, "qemu-system-x86_64", "-M", "pc", "-m", "512", "-smp", "2", "-nodefaults", "-no-user-config"])
        .args(["-display", "none", "-no-reboot", "-serial", "stdio"])
        .args(["-append", &format!("console=ttyS0 quiet panic=-1{settings}")])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initrd)
        .stdin(Stdio::null())
        .output()
        .expect("timeout(1) runs");
    // The console ends its lines as a terminal does.
    let console = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && console.contains("<<<end"), "{}: {why}\n{console}", output.status);
    console
}

fn parse(console: &str, count: usize) -> Vec<Output> {
    // The kernel's own lines may stand anywhere but in a line of ours.
    let is_kernels = |line: &&str| line.starts_with('[') && line.contains("] ");
    let console: String = console.lines().filter(|line| !is_kernels(line)).flat_map(|line| [line, "\n"]).collect();
    let block = |number: usize| {
        let number = name(number);
        let (_, rest) = console.split_once(&format!("<<<{number}\n"))?;
        let (body, _) = rest.split_once(&format!(">>>{number}\n"))?;
        let (stdout, rest) = body.split_once("---log\n")?;
        let (log, stderr) = rest.split_once("---stderr\n")?;
        Some(Output { stdout: stdout.into(), log: log.into(), stderr: stderr.into() })
    };
    (0..count).map(|number| block(number).unwrap_or_default()).collect()
}

/// Of a container in the guest; the shell there goes through them in order.
fn name(number: usize) -> String {
    format!("{number:03}")
}

/// busybox, rinit, the probe, and the init that runs the containers.
fn initrd(dir: &Path, containers: &[Container<'_>], inject: bool) -> PathBuf {
    let root = dir.join("root");
    for path in ["bin", "proc", "sys", "dev", "tmp", "inject/deps", "inject/examples"] {
        fs::create_dir_all(root.join(path)).expect("a directory");
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let probe = build(repository, &["--example", "probe"]);
    let rinit = env::var_os("TEST_RINIT").map(PathBuf::from);
    let rinit = rinit.unwrap_or_else(|| build(repository, &["--bin", "rinit"]));
    if inject {
        let test = build(repository, &["--test", "inject"]);
        fs::copy(test, root.join("inject/deps/inject")).expect("a copy");
        // Where it looks for it.
        symlink("/bin/probe", root.join("inject/examples/probe")).expect("a link");
    }
    for (from, to) in [
        (Path::new("/bin/busybox"), "bin/busybox"),
        (&rinit, "rinit"),
        (&probe, "bin/probe"),
        (&repository.join("tests/guest/init"), "init"),
    ] {
        fs::copy(from, root.join(to)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }
    for (number, container) in containers.iter().enumerate() {
        let directory = root.join("scenarios").join(name(number));
        fs::create_dir_all(&directory).expect("a directory");
        let Container { options, script, signals } = container;
        for (file, content) in [("container", options), ("script", script), ("send", signals)] {
            fs::write(directory.join(file), content).expect("a file");
        }
    }
    let initrd = dir.join("initrd");
    let archive = "busybox find . | busybox cpio -o -H newc";
    let packed = Command::new("sh")
        .args(["-c", archive])
        .current_dir(&root)
        .stdout(fs::File::create(&initrd).expect("a file"))
        .stderr(Stdio::null())
        .status();
    assert!(packed.expect("sh runs").success(), "{archive}");
    initrd
}

/// Static, as the guest has no libraries. Gives the file.
fn build(repository: &Path, what: &[&str]) -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--target", TARGET, "--target-dir", "target"])
        .args(["--message-format", "json-render-diagnostics"])
        .args(what)
        .current_dir(repository)
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(built.status.success(), "{what:?} does not build");
    let messages = String::from_utf8_lossy(&built.stdout);
    // Beside what was asked for there may be what that needs.
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut asked_for = messages.filter(|message| message["target"]["name"] == what[1]);
    let file = asked_for.find_map(|message| message["executable"].as_str().map(PathBuf::from));
    file.unwrap_or_else(|| panic!("{what:?} gives no program"))
}

struct TempDir(PathBuf);

impl TempDir {
    fn new() -> Self {
        let path = env::temp_dir().join(format!("rinit-guest-{}", std::process::id()));
        fs::create_dir(&path).expect("a temporary directory");
        Self(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
