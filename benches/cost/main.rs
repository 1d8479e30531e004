//! What rinit costs, in one table with Debian's tini-static and catatonit of the same run, and whether it keeps its
//! budgets: `cargo bench --bench cost`, as root, with `tini`, `catatonit` and `strace` installed.
//!
//! Everything is measured on an init that is PID 1 of a fresh PID namespace with its own /proc, around programs of
//! under 140 bytes (`elf`), so that the init is nearly all there is. `TEST_RINIT` names the binary; without it cargo
//! builds the static one.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used
)]

mod elf;
mod measure;
mod namespace;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use measure::{Idle, Memory};
use namespace::{Program, Run, Stderr};

/// Timed runs of each init, interleaved.
const ROUNDS: usize = 500;
/// A ratio that is over its budget by somebody else's load is under it in one of these.
const ATTEMPTS: usize = 3;
/// The same binary's ratios differ by a tenth between the quiet and the busy hours of a shared machine, and by far more while
/// others make cgroups there. What is over its budget is told; by more than this it fails.
const TOLERANCE: f64 = 1.5;

/// What it may cost: all that it can do today, the diagnosis included, in 600,000 bytes.
const MAX_BYTES: u64 = 600_000;
const MAX_ANONYMOUS_KB: u64 = 24;
const MAX_CALLS: usize = 22;
const MAX_TRUE_RATIO: f64 = 0.75;
const MAX_REPORT_RATIO: f64 = 0.95;
/// Of the report alone. The look at a death by signal (limits, the file, the memory cgroup) has come on top.
const MAX_CRASH_RATIO: f64 = 1.00;

/// An init and how it is run.
pub struct Init {
    name: &'static str,
    path: PathBuf,
    environment: Vec<String>,
    /// Its termination log: like the kubelet's, it is there and empty at the start of each run.
    termination_log: Option<PathBuf>,
}

/// The rows, in this order.
const REPORT_OFF: usize = 0;
const REPORT: usize = 1;
const TINI: usize = 2;

fn inits(scratch: &Path) -> Vec<Init> {
    let row = |name, path: &Path| {
        assert!(path.exists(), "{} is not installed", path.display());
        Init { name, path: path.to_owned(), environment: Vec::new(), termination_log: None }
    };
    let rinit = rinit();
    let log = scratch.join("termination-log");
    let reporting = format!("RINIT_TERMINATION_LOG={}", log.display());
    vec![
        Init { environment: vec!["RINIT_REPORT=never".to_owned()], ..row("rinit, report off", &rinit) },
        Init { environment: vec![reporting], termination_log: Some(log), ..row("rinit", &rinit) },
        row("tini-static", Path::new("/usr/bin/tini-static")),
        row("catatonit", Path::new("/usr/bin/catatonit")),
    ]
}

fn rinit() -> PathBuf {
    if let Some(path) = std::env::var_os("TEST_RINIT") {
        return std::fs::canonicalize(path).expect("TEST_RINIT names a file");
    }
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--bin", "rinit", "--target", &target, "--target-dir", "target"])
        .current_dir(root)
        .status();
    assert!(built.expect("cargo runs").success(), "the static binary does not build");
    root.join("target").join(target).join("release/rinit")
}

/// Medians of one attempt, in microseconds.
struct Times {
    bare: f64,
    /// Start and exit of a program that succeeds, by row.
    exit: Vec<f64>,
    /// The same of one that dies by a signal.
    crash: Vec<f64>,
}

fn time(inits: &[Init], exits: &Program, crashes: &Program) -> Times {
    // A real container's stderr is a pipe. A successful program's report goes where it costs least.
    let mut runs = vec![Run::bare(exits)];
    runs.extend(inits.iter().map(|init| Run::new(init, exits, Stderr::Null)));
    runs.extend(inits.iter().map(|init| Run::new(init, crashes, Stderr::pipe())));
    let mut samples = vec![Vec::with_capacity(ROUNDS); runs.len()];
    for round in 0..ROUNDS {
        // Each has each of the others before it equally often.
        for i in 0..runs.len() {
            let i = (i + round) % runs.len();
            samples[i].push(runs[i].time());
        }
    }
    let medians: Vec<f64> = samples.into_iter().map(median).collect();
    let (exit, crash) = medians[1..].split_at(inits.len());
    Times { bare: medians[0], exit: exit.to_vec(), crash: crash.to_vec() }
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn main() -> ExitCode {
    // SAFETY: it only returns a number.
    assert_eq!(unsafe { libc::geteuid() }, 0, "namespaces need root");
    namespace::prepare();
    let scratch = Scratch::new();
    let exits = Program::new(&scratch.0, "true", elf::TRUE, 0);
    let crashes = Program::new(&scratch.0, "crash", elf::CRASH, 128 + libc::SIGSEGV);
    let waits = Program::new(&scratch.0, "wait", elf::PAUSE, 128 + libc::SIGKILL);
    let inits = inits(&scratch.0);

    let bytes: Vec<u64> = inits.iter().map(|init| init.path.metadata().expect("a size").len()).collect();
    let calls: Vec<usize> = inits.iter().map(|init| measure::calls(init, &exits, &scratch.0)).collect();
    let (memory, idle): (Vec<Memory>, Vec<Idle>) = measure::at_rest(&inits, &waits).into_iter().unzip();

    let mut attempts = 1;
    let times = loop {
        let times = time(&inits, &exits, &crashes);
        let over = ratio(&times.exit, REPORT_OFF) > MAX_TRUE_RATIO
            || ratio(&times.exit, REPORT) > MAX_REPORT_RATIO
            || ratio(&times.crash, REPORT) > MAX_CRASH_RATIO;
        if !over || attempts == ATTEMPTS {
            break times;
        }
        attempts += 1;
    };

    println!("                       bytes   RSS  anon dirty | calls | wake-ups ticks |  true  ratio | SIGSEGV  ratio");
    println!("                                kB    kB    kB |       |     in 10 s    |    us        |      us       ");
    for (i, init) in inits.iter().enumerate() {
        println!(
            "{:18} {:>9} {:>5} {:>5} {:>5} | {:>5} | {:>8} {:>5} | {:>5.0} {:>6.2} | {:>7.0} {:>6.2}",
            init.name,
            bytes[i],
            memory[i].resident_kb,
            memory[i].anonymous_kb,
            memory[i].private_dirty_kb,
            calls[i],
            idle[i].wake_ups,
            idle[i].ticks,
            times.exit[i],
            ratio(&times.exit, i),
            times.crash[i],
            ratio(&times.crash, i),
        );
    }
    println!("{:18} {:>64.0}", "without an init", times.bare);
    println!("medians of {ROUNDS} interleaved runs, ratios to tini-static, attempt {attempts} of at most {ATTEMPTS}\n");

    let mut kept = true;
    let mut within = |what: &str, is: f64, most: f64, tolerance: f64| {
        kept &= is <= most * tolerance;
        println!("{} {what}: {is} of at most {most}", if is <= most { "ok  " } else { "OVER" });
    };
    let mut budget = |what: &str, is: f64, most: f64| within(what, is, most, 1.0);
    budget("bytes", bytes[REPORT] as f64, MAX_BYTES as f64);
    for row in [REPORT_OFF, REPORT] {
        budget("anonymous kB of the waiting init", memory[row].anonymous_kb as f64, MAX_ANONYMOUS_KB as f64);
        budget("private dirty kB of the waiting init", memory[row].private_dirty_kb as f64, MAX_ANONYMOUS_KB as f64);
        budget("wake-ups in 10 s", idle[row].wake_ups as f64, 0.0);
        budget("CPU ticks in 10 s", idle[row].ticks as f64, 0.0);
    }
    budget("system calls to the program, report off", calls[REPORT_OFF] as f64, MAX_CALLS as f64);
    for (what, medians, row, most) in [
        ("true, report off, to tini-static", &times.exit, REPORT_OFF, MAX_TRUE_RATIO),
        ("true with the report to tini-static without", &times.exit, REPORT, MAX_REPORT_RATIO),
        ("SIGSEGV with the report to tini-static without", &times.crash, REPORT, MAX_CRASH_RATIO),
    ] {
        within(what, round(ratio(medians, row)), most, TOLERANCE);
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Of row `row` to tini-static.
fn ratio(medians: &[f64], row: usize) -> f64 {
    medians[row] / medians[TINI]
}

/// To thousandths, upwards: what is printed is not better than what was measured.
fn round(ratio: f64) -> f64 {
    (ratio * 1000.0).ceil() / 1000.0
}

/// A directory that goes at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("rinit-cost-{}", std::process::id()));
        std::fs::create_dir(&path).expect("a temporary directory");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
