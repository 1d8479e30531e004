//! Real programs that a fault or a limit ends, and what the report makes of it.
#![allow(clippy::print_stderr, missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Ended, Rinit, TempDir, each};

const PYTHON: &str = "/usr/bin/python3";
const BUSY: &str = "while True: pass";

fn run(words: &[&str]) -> Ended {
    Rinit::as_init().json().args(["--"]).args(words).run()
}

fn shell(script: &str) -> Ended {
    run(&["/usr/bin/dash", "-c", script])
}

/// Compiles a program with `compiler`; None, loudly, without it.
fn compiled(compiler: &str, source: &str, dir: &TempDir, options: &[&str]) -> Option<PathBuf> {
    let (program, file) = (dir.join("program"), dir.join("program.c"));
    fs::write(&file, source).unwrap();
    let done = Command::new(compiler).args(options).arg("-o").args([&program, &file]).status();
    match done {
        Ok(status) => assert!(status.success(), "{compiler}"),
        Err(why) => {
            eprintln!("SKIPPED, no {compiler}: {why}");
            return None;
        }
    }
    Some(program)
}

#[test]
fn an_inherited_limit_on_cpu_time() {
    let ended = Rinit::as_init().json().rlimit(libc::RLIMIT_CPU, 1, 5).args(["--", PYTHON, "-c", BUSY]).run();
    ended.assert_cause(152, "cpu-time-limit", "certain", "it used up its limit of 1 second on CPU time");
}

#[test]
fn a_limit_on_cpu_time_of_its_own() {
    let ended = shell("ulimit -S -t 1; exec /usr/bin/python3 -c 'while True: pass'");
    ended.assert_cause(152, "cpu-time-limit", "likely", "limit of 1 second on CPU time");
}

#[test]
fn the_hard_limit_on_cpu_time() {
    let ended = shell("ulimit -t 1; exec /usr/bin/python3 -c 'while True: pass'");
    ended.assert_cause(137, "cpu-time-limit", "likely", "it used up its hard limit of 1 second on CPU time");
}

#[test]
fn a_sent_xcpu_without_a_limit_is_no_limit() {
    run(&["/usr/bin/dash", "-c", "kill -XCPU $$"]).assert_cause(
        152,
        "unhandled-signal",
        "likely",
        "passed no SIGXCPU on",
    );
    let limited = Rinit::as_init().json().rlimit(libc::RLIMIT_CPU, 50, 60);
    limited.args(["--", "/usr/bin/dash", "-c", "kill -XCPU $$"]).run().assert_cause(
        152,
        "unhandled-signal",
        "likely",
        "SIGXCPU",
    );
}

#[test]
fn the_limit_on_file_size() {
    let dir = TempDir::new();
    let script = format!("ulimit -f 2; exec dd if=/dev/zero of={} bs=4096 count=9", dir.join("x").display());
    shell(&script).assert_cause(
        153,
        "file-size-limit",
        "likely",
        "a file that it wrote grew past its limit of 1024 bytes",
    );
    let script = format!("ulimit -f 0; exec dd if=/dev/zero of={} count=1", dir.join("y").display());
    shell(&script).assert_cause(153, "file-size-limit", "likely", "its limit of 0 bytes");
}

#[test]
fn a_full_tmpfs_behind_a_mapping() {
    // In the run's own mount namespace.
    let python = "import mmap, os
f = os.open(\"/dev/shm/x\", os.O_RDWR | os.O_CREAT)
os.ftruncate(f, 1 << 20)
m = mmap.mmap(f, 1 << 20)
for at in range(0, 1 << 20, 4096): m[at] = 1";
    let ended = shell(&format!("mount -t tmpfs -o size=256k none /dev/shm && exec /usr/bin/python3 -c '{python}'"));
    ended.assert_cause(135, "shm-full", "likely", "/dev/shm was full (256 KiB)");
    assert!(ended.says("--shm-size"), "{ended:?}");
}

#[test]
fn a_mapped_file_that_was_truncated() {
    let python = "import mmap, os
f = os.memfd_create('x')
os.ftruncate(f, 8192)
m = mmap.mmap(f, 8192)
os.ftruncate(f, 0)
m[0] = 1";
    run(&[PYTHON, "-c", python]).assert_cause(135, "bus-error", "likely", "truncated or overwritten");
}

#[test]
fn a_truncated_program() {
    let dir = TempDir::new();
    let mut programs = vec!["/usr/bin/perl", "/usr/bin/busybox"];
    programs.retain(|program| Path::new(program).exists());
    for program in programs {
        let whole = fs::metadata(program).unwrap().len();
        // Even the first page may be all that is left.
        for kept in [whole / 2, whole / 10, 8192] {
            let cut = dir.join(format!("cut-{kept}"));
            common::copy_program(Path::new(program), &cut);
            let done = Command::new("truncate").args(["-s", &kept.to_string()]).arg(&cut).status().unwrap();
            assert!(done.success());
            fs::set_permissions(&cut, PermissionsExt::from_mode(0o755)).unwrap();
            let ended = run(&[cut.to_str().unwrap()]);
            let report = ended.report();
            assert!(
                ["SIGSEGV", "SIGBUS"].iter().any(|signal| report["signal"] == *signal),
                "{kept} of {program}: {report:#}"
            );
            let status = report["exit_status"].as_i64().unwrap() as i32;
            ended.assert_cause(
                status,
                "truncated-binary",
                "likely",
                &format!("has {kept} bytes, its program headers need"),
            );
        }
    }
}

#[test]
fn a_seccomp_filter_that_kills() {
    let ended = Rinit::as_init().json().probe(["seccomp"]).run();
    ended.assert_cause(159, "seccomp-killed", "certain", "Seccomp: 3");
}

#[test]
fn a_sent_sys_is_no_filter() {
    shell("kill -SYS $$").assert_cause(159, "bad-system-call", "possible", "audit log");
}

#[test]
fn an_abort_without_and_with_a_core_dump() {
    let abort = [PYTHON, "-c", "import os; os.abort()"];
    let pattern = fs::read("/proc/sys/kernel/core_pattern").unwrap();
    let is_file = !matches!(pattern.first(), Some(b'|' | b'@' | b'/' | b'\n') | None);
    let dir = TempDir::new();
    let none = Rinit::as_init().json().rlimit(libc::RLIMIT_CORE, 0, 0).args(["--"]).args(abort).run();
    none.assert_cause(134, "aborted", "likely", "gave up by itself");
    if is_file {
        assert!(none.says("no core dump, its limit was 0 (ulimit -c)"), "{none:?}");
        let unlimited = libc::RLIM_INFINITY;
        let dumped = Rinit::as_init().json().cwd(dir.path()).rlimit(libc::RLIMIT_CORE, unlimited, unlimited);
        let dumped = dumped.args(["--"]).args(abort).run();
        assert_eq!(dumped.report()["core_dumped"], true, "{dumped:?}");
        dumped.assert_cause(134, "aborted", "likely", " in its working directory (core_pattern)");
        assert!(fs::read_dir(dir.path()).unwrap().next().is_some(), "no core file");
    }
}

#[test]
fn a_null_pointer() {
    let ended = run(&[PYTHON, "-c", "import ctypes; ctypes.string_at(0)"]);
    ended.assert_cause(139, "segfault", "likely", "whether its stack overflowed");
    assert!(!ended.says("musl"), "{ended:?}");
}

#[test]
fn a_thread_on_a_small_stack_of_musl() {
    let source = "#include <pthread.h>\n#include <string.h>
static void *run(void *p) { volatile char frame[300 * 1024]; memset((void *)frame, 1, sizeof frame); return p; }
int main(void) { pthread_t t; pthread_create(&t, 0, run, 0); pthread_join(t, 0); return 0; }";
    let dir = TempDir::new();
    let Some(program) = compiled("musl-gcc", source, &dir, &["-O0", "-pthread"]) else { return };
    let ended = run(&[program.to_str().unwrap()]);
    ended.assert_cause(139, "segfault", "likely", "a thread gets 128 KiB (glibc: mostly 8 MiB)");
    assert!(ended.says("Debian base"), "{ended:?}");
}

#[test]
fn faults_of_the_processor() {
    let dir = TempDir::new();
    for (body, status, id) in [
        ("volatile int zero = argc - 1; return argc / zero;", 136, "divide-by-zero"),
        ("__builtin_trap();", 132, "illegal-instruction"),
    ] {
        if !cfg!(target_arch = "x86_64") {
            continue;
        }
        let source = format!("int main(int argc, char **argv) {{ (void)argv; {body} }}");
        let Some(program) = compiled("gcc", &source, &dir, &["-O0"]) else { return };
        run(&[program.to_str().unwrap()]).assert_cause(status, id, "likely", "rinit (it passed no ");
    }
}

#[test]
fn pipes_timers_and_sent_signals() {
    each(
        [
            ("use Time::HiRes 'ualarm'; ualarm 10000; sleep 1000", 142, "timer-expired", "likely"),
            ("pipe(R, W); close R; $SIG{PIPE} = 'DEFAULT'; syswrite W, 'x'; sleep 1000", 141, "broken-pipe", "likely"),
            ("kill 'PIPE', $$; sleep 1000", 141, "unhandled-signal", "likely"),
            ("kill 'USR1', $$; sleep 1000", 138, "unhandled-signal", "likely"),
            ("kill 'KILL', $$; sleep 1000", 137, "killed-by-unknown", "unknown"),
            ("kill 'HUP', $$; sleep 1000", 129, "hangup", "possible"),
            ("kill 'INT', $$; sleep 1000", 130, "interrupted-from-terminal", "possible"),
            ("kill 50, $$; sleep 1000", 178, "unhandled-signal", "likely"),
        ],
        |(script, status, id, confidence)| {
            run(&["/usr/bin/perl", "-e", script]).assert_cause(status, id, confidence, "perl was ");
        },
    );
}
