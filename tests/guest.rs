//! rinit in a machine with cgroup v2 alone: one boot of an emulated PC, one container per scenario (tests/guest).
//!
//! `TEST_KERNEL=$(tests/guest/kernel DIRECTORY) cargo test --test guest -- --ignored`, with qemu-system-x86 and
//! busybox-static installed. A missing emulator is then a failure.
#![allow(missing_docs, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

const TARGET: &str = "x86_64-unknown-linux-musl";
/// Seconds. It takes about 20.
const DEADLINE: &str = "180";

/// What came of a scenario.
struct Scenario {
    stdout: String,
    log: String,
    stderr: String,
}

impl Scenario {
    /// Status, cause with confidence, and what the report has to say.
    #[track_caller]
    fn assert(&self, status: i32, cause: &str, facts: &[&str]) {
        let Self { stdout, log, stderr } = self;
        assert!(stdout.lines().any(|line| line == format!("status {status}")), "{stdout}{stderr}");
        assert!(log.lines().any(|line| line == format!("      cause: {cause}")), "not {cause}:\n{log}");
        for fact in facts {
            assert!(log.contains(fact), "no {fact:?} in\n{log}");
        }
    }

    fn warned(&self) -> bool {
        self.stderr.contains("rinit: warn: a process of this container was OOM-killed (oom_kill 0 -> 1), pid 2 runs on")
    }
}

#[test]
#[ignore = "needs QEMU"]
fn memory_in_a_machine_with_cgroup_v2() {
    let scenarios = boot();
    let of = |name: &str| scenarios.get(name).unwrap_or_else(|| panic!("{name} did not run: {:?}", scenarios.keys()));

    let own = "the container reached its limit of 32 MiB";
    for name in ["own-limit-slowly", "own-limit-host-namespace"] {
        let one = "memory.events oom 0 -> 1, oom_kill 0 -> 1 (one kill, one death by SIGKILL: probe)";
        of(name).assert(137, "oom-container-limit (certain)", &[": out of memory, ", own, one, "peak 32 of 32 MiB"]);
        assert!(!of(name).warned(), "nothing runs on");
    }
    // A shell that waited for a child of its own: nobody knows that it was not that child.
    of("own-limit-at-once").assert(137, "oom-container-limit (likely)", &[own]);
    of("killed-after-anothers-oom").assert(137, "oom-container-limit (likely)", &["which process it was"]);
    of("tmpfs-victim").assert(137, "oom-container-limit (likely)", &["of the limit is tmpfs or shared memory"]);

    let above = "the pod, another cgroup above or the node ran out of memory";
    of("pod-limit").assert(
        137,
        "oom-outside-container (likely)",
        &[above, "below its own limit (peak 3", "oom 0 -> 0"],
    );
    of("pod-limit-host-namespace").assert(
        137,
        "oom-outside-container (likely)",
        &[above, "a limit above the container"],
    );
    of("pod-limit-alone").assert(137, "oom-outside-container (likely)", &[above, "has no limit of its own"]);

    let ended = "the OOM killer ended 1 process of this container before the end";
    of("other-process").assert(0, "completed (certain)", &[ended]);
    of("orphan").assert(4, "exit-error (unknown)", &[ended, "most likely probe (pid "]);
    of("killed-long-after-anothers-oom").assert(
        137,
        "killed-by-unknown (unknown)",
        &[ended, "oom_kill did not move any"],
    );
    for name in ["other-process", "orphan", "killed-long-after-anothers-oom"] {
        assert!(of(name).warned(), "{name}: {}", of(name).stderr);
    }
    let command = ["a command that it ran was OOM-killed", own];
    of("command-of-a-shell").assert(137, "oom-of-other-process (likely)", &command);
    of("tmpfs").assert(5, "oom-of-other-process (likely)", &["another process was OOM-killed", own]);

    let ruled_out = "not by the OOM killer, and not by the kubelet or Docker";
    of("kill-9").assert(137, "killed-by-unknown (unknown)", &[ruled_out, "oom_kill still 0", "of 32 MiB)"]);
    of("kill-9-no-limit").assert(137, "killed-by-unknown (unknown)", &[ruled_out, "no limit)"]);
    of("near-miss").assert(
        3,
        "exit-error (unknown)",
        &["memory came close to its limit: peak 6", "an OOM kill (oom_kill still 0"],
    );

    // At its limit all the time, and rinit looks once a second.
    let storm = of("storm");
    assert!(storm.stdout.contains("status 0"), "{}{}", storm.stdout, storm.stderr);
    let reclaims = number_after(&storm.stdout, " max ");
    let wake_ups = number_after(&storm.stdout, "wake-ups ");
    assert!(reclaims > 100, "no storm: {}", storm.stdout);
    assert!((1..=20).contains(&wake_ups), "{wake_ups} wake-ups for {reclaims} events");
}

fn number_after(text: &str, word: &str) -> u64 {
    let (_, rest) = text.split_once(word).unwrap_or_else(|| panic!("no {word:?} in {text}"));
    rest.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

/// Boots, runs all, and powers off.
fn boot() -> BTreeMap<String, Scenario> {
    let kernel = env::var_os("TEST_KERNEL").expect("TEST_KERNEL names a kernel: tests/guest/kernel");
    let dir = TempDir::new();
    let initrd = initrd(&dir.0);
    let output = Command::new("timeout")
        .args([DEADLINE, "qemu-system-x86_64", "-M", "pc", "-m", "512", "-smp", "2", "-nodefaults", "-no-user-config"])
        .args(["-display", "none", "-no-reboot", "-serial", "stdio", "-append", "console=ttyS0 quiet panic=-1"])
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
    parse(&console)
}

fn parse(console: &str) -> BTreeMap<String, Scenario> {
    // The kernel's own lines may stand anywhere but in a line of ours.
    let is_kernels = |line: &&str| line.starts_with('[') && line.contains("] ");
    let console: String = console.lines().filter(|line| !is_kernels(line)).flat_map(|line| [line, "\n"]).collect();
    let blocks = console.split("<<<").skip(1).filter_map(|block| {
        let (name, rest) = block.split_once('\n')?;
        let (body, _) = rest.split_once(&format!(">>>{name}\n"))?;
        let (stdout, rest) = body.split_once("---log\n")?;
        let (log, stderr) = rest.split_once("---stderr\n")?;
        Some((name.to_owned(), Scenario { stdout: stdout.into(), log: log.into(), stderr: stderr.into() }))
    });
    blocks.collect()
}

/// busybox, rinit, the probe, and the init that runs the scenarios.
fn initrd(dir: &Path) -> PathBuf {
    let root = dir.join("root");
    for path in ["bin", "proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(root.join(path)).expect("a directory");
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let probe = build(repository, &["--example", "probe"]).join("examples/probe");
    let rinit = env::var_os("TEST_RINIT").map(PathBuf::from);
    let rinit = rinit.unwrap_or_else(|| build(repository, &["--bin", "rinit"]).join("rinit"));
    for (from, to) in [
        (Path::new("/bin/busybox"), "bin/busybox"),
        (&rinit, "rinit"),
        (&probe, "bin/probe"),
        (&repository.join("tests/guest/init"), "init"),
        (&repository.join("tests/guest/scenarios"), "scenarios"),
    ] {
        fs::copy(from, root.join(to)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
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

/// Static, as the guest has no libraries. Gives the directory of the profile.
fn build(repository: &Path, what: &[&str]) -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--target", TARGET, "--target-dir", "target"])
        .args(what)
        .current_dir(repository)
        .status();
    assert!(built.expect("cargo runs").success(), "{what:?} does not build");
    repository.join("target").join(TARGET).join("release")
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
