//! What other inits got wrong and no other file here holds.
//!
//! Elsewhere: SIGCHLD ignored, reap.rs; deaths by real-time signals and abort(), status.rs; signals at the start,
//! refused forwards, signals 32 to 64, signals.rs; inherited masks and ignored signals, closed stdio, descriptors,
//! arguments that are not UTF-8, inherit.rs; Ctrl-Z and background starts, terminal.rs.
#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{Io, PLACES, Rinit, Running, TempDir, each, proc};

const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

#[test]
fn a_program_with_options_needs_no_double_dash() {
    each(PLACES, |place| {
        place().args(["sh", "-c", "exit 3"]).run().assert_code(3);
        place().args(["-g", "sh", "-c", "exit 4"]).run().assert_code(4);
        let out = place().args(["echo", "-v", "--", "-g", "--help"]).run().assert_code(0).stdout();
        assert_eq!(out, "-v -- -g --help\n");
    });
}

#[test]
fn a_file_in_no_known_format_is_not_given_to_a_shell() {
    let dir = TempDir::new();
    let script = program(&dir, "no-shebang", b"echo ran; exit 2\n");
    let empty = program(&dir, "empty", b"");
    let foreign = program(&dir, "foreign", &foreign_elf());
    for (place, file) in PLACES.into_iter().flat_map(|p| [&script, &empty, &foreign].map(|f| (p, f))) {
        let ended = place().args([OsStr::new("--"), file.as_os_str()]).run();
        assert_eq!(ended.assert_code(NOT_EXECUTABLE).stdout(), "", "{}", file.display());
        // By a search in PATH as well.
        let name = file.file_name().unwrap();
        let ended = place().env("PATH", dir.path()).args([OsStr::new("--"), name]).run();
        assert_eq!(ended.assert_code(NOT_EXECUTABLE).stdout(), "", "{}", file.display());
    }
}

#[test]
fn what_cannot_be_executed_gives_126_and_what_is_not_there_127() {
    let dir = TempDir::new();
    let path = |name: &str| dir.join(name);
    fs::write(path("plain"), "text").unwrap();
    fs::create_dir(path("directory")).unwrap();
    symlink("loop", path("loop")).unwrap();
    symlink("nowhere", path("dangling")).unwrap();
    program(&dir, "lost-interpreter", b"#!/nonexistent/interpreter\n");
    let busy = path("busy");
    common::copy_program(Path::new("/bin/true"), &busy);
    let _writer = File::options().append(true).open(&busy).unwrap();
    let cases = [
        ("EACCES: no execute permission", path("plain"), NOT_EXECUTABLE),
        ("EACCES: a directory", path("directory"), NOT_EXECUTABLE),
        ("ENOTDIR", path("plain/program"), NOT_EXECUTABLE),
        ("ELOOP", path("loop"), NOT_EXECUTABLE),
        ("ENAMETOOLONG: one name", path(&"n".repeat(256)), NOT_EXECUTABLE),
        ("ENAMETOOLONG: the whole path", path(&"n/".repeat(2100)), NOT_EXECUTABLE),
        ("ETXTBSY", busy, NOT_EXECUTABLE),
        ("ENOENT: no file", path("missing"), NOT_FOUND),
        ("ENOENT: no directory", path("missing/program"), NOT_FOUND),
        ("ENOENT: a dangling symlink", path("dangling"), NOT_FOUND),
        ("ENOENT: no interpreter", path("lost-interpreter"), NOT_FOUND),
        ("ENOENT: an empty word", PathBuf::new(), NOT_FOUND),
        ("ENOENT: nowhere in PATH", PathBuf::from("rinit-test-nowhere"), NOT_FOUND),
    ];
    each(cases, |(case, file, status)| {
        for place in PLACES {
            let ended = place().args([OsStr::new("--"), file.as_os_str()]).run();
            assert_eq!(ended.status, common::Status::Code(status), "{case}: {ended:?}");
            assert!(ended.stderr().contains("rinit"), "{case}: it must say so: {ended:?}");
        }
    });
}

#[test]
fn a_search_in_path_remembers_what_it_may_not_execute() {
    let dir = TempDir::new();
    let sub = |name: &str| {
        fs::create_dir(dir.join(name)).unwrap();
        dir.join(name)
    };
    let (denied, good, none) = (sub("denied"), sub("good"), sub("none"));
    fs::write(denied.join("tool"), "text").unwrap();
    fs::write(good.join("tool"), "#!/bin/sh\nexit 8\n").unwrap();
    fs::set_permissions(good.join("tool"), PermissionsExt::from_mode(0o755)).unwrap();
    let path = |dirs: &[&PathBuf]| dirs.iter().map(|d| d.to_str().unwrap()).collect::<Vec<_>>().join(":");
    let cases = [
        (path(&[&denied, &good]), 8),
        (path(&[&none, &good, &denied]), 8),
        (path(&[&none, &denied]), NOT_EXECUTABLE),
        (path(&[&denied, &none]), NOT_EXECUTABLE),
        (path(&[&none]), NOT_FOUND),
        (format!("{}/tool/not-a-directory:{}", denied.display(), good.display()), 8),
    ];
    each(cases, |(path, status)| {
        for place in PLACES {
            place().env("PATH", &path).args(["--", "tool"]).run().assert_code(status);
        }
    });
    // An empty entry is the working directory.
    let here = || Rinit::as_init().cwd(&good).args(["--", "tool"]);
    here().env("PATH", format!("{}:", none.display())).run().assert_code(8);
    here().env("PATH", format!(":{}", none.display())).run().assert_code(8);
}

#[test]
fn a_search_without_path_finds_the_standard_places() {
    each(PLACES, |place| {
        place().env_remove("PATH").args(["--", "sh", "-c", "exit 5"]).run().assert_code(5);
    });
}

#[test]
fn arguments_too_long_for_the_program_give_126() {
    // rinit's own arguments just fit; the interpreter line of PROGRAM makes it more than fits.
    let dir = TempDir::new();
    let interpreter = format!("#!/bin/{}sh {}\n", "./".repeat(50), "x".repeat(100));
    let script = program(&dir, "script", interpreter.as_bytes());
    each(PLACES, |place| {
        let run = |bytes: usize| {
            let words = (0..bytes / 64).map(|_| "a".repeat(63)).chain([format!("{:x<1$}", "", bytes % 64)]);
            // The limit is a quarter of the stack's, but not less than 128 KiB.
            let run = place().rlimit(libc::RLIMIT_STACK, 1 << 20, 1 << 20);
            let run = run.raw_env(&[b"RINIT_TERMINATION_LOG=off"]).args([OsStr::new("--"), script.as_os_str()]);
            run.args(words).try_spawn()
        };
        let (mut fits, mut too_long) = (0, 1 << 20);
        while too_long - fits > 1 {
            let middle = usize::midpoint(fits, too_long);
            if run(middle).is_ok() { fits = middle } else { too_long = middle }
        }
        run(fits).unwrap().wait().assert_code(NOT_EXECUTABLE);
    });
}

#[test]
fn an_idle_rinit_never_wakes_up() {
    each(PLACES, |place| {
        let mut run = place().probe(["listen"]).spawn();
        run.ready();
        unmoved(&mut run, Duration::from_secs(2));
    });
}

#[test]
fn a_slow_stop_is_not_cut_short() {
    each(PLACES.into_iter().flat_map(|place| [(place, &[][..]), (place, &["-g"])]), |(place, group)| {
        let mut run = place().args(group).probe(["listen", "raw", "until=10"]).spawn();
        run.ready();
        for _ in 0..3 {
            run.signal(libc::SIGTERM);
            assert_eq!(run.expect_signal().signal, libc::SIGTERM);
        }
        // Others kill after two seconds.
        unmoved(&mut run, Duration::from_millis(2500));
        run.signal(libc::SIGUSR1);
        assert_eq!(run.expect_signal().signal, libc::SIGUSR1);
        run.wait().assert_code(0);
    });
}

#[test]
fn the_end_does_not_wait_for_what_the_program_left() {
    each(PLACES, |place| {
        // They hold stdout and stderr.
        place().probe(["leave", "3"]).run().assert_code(3);
    });
}

#[test]
fn a_stalled_reader_behind_stderr_holds_up_neither_signals_nor_the_end() {
    each(PLACES.into_iter().flat_map(|place| [(place, &[][..]), (place, &["-vvv"])]), |(place, verbose)| {
        let (read, write) = full_pipe();
        let run = place().args(verbose).stderr(Io::Fd(write)).probe(["listen", "raw", "until=15"]);
        let start = Instant::now();
        let mut run = run.spawn();
        run.ready();
        for signal in [libc::SIGUSR1, 40, libc::SIGHUP] {
            run.signal(signal);
            assert_eq!(run.expect_signal().signal, signal);
        }
        run.signal(libc::SIGTERM);
        run.wait().assert_code(0);
        // A second for the report, and some for a loaded machine.
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        drop(read);
    });
}

#[test]
fn a_stalled_reader_behind_stderr_does_not_change_the_status() {
    each(PLACES, |place| {
        for (program, status) in [(["die", "11"], 139), (["exit", "1"], 1), (["die", "64"], 192)] {
            let (_read, write) = full_pipe();
            place().stderr(Io::Fd(write)).probe(program).run().assert_code(status);
        }
        let (_read, write) = full_pipe();
        place().stderr(Io::Fd(write)).args(["--", "/nonexistent"]).run().assert_code(NOT_FOUND);
    });
}

/// Watches rinit for a time: no context switch and no tick of CPU, so no wake-up.
#[track_caller]
fn unmoved(run: &mut Running, time: Duration) {
    let rinit = run.pid();
    let look = || {
        let stat = proc::stat(rinit).unwrap();
        let switches = ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"].map(|f| proc::status(rinit, f));
        // utime and stime: fields 14 and 15 (proc(5)).
        (switches, stat[11].clone(), stat[12].clone())
    };
    // It goes to sleep a moment after PROGRAM's line.
    let mut last = look();
    let mut quiet_since = Instant::now();
    run.until("rinit is at rest", || {
        let now = look();
        if now != last || proc::state(rinit) != Some('S') {
            (last, quiet_since) = (now, Instant::now());
        }
        (quiet_since.elapsed() > Duration::from_millis(300)).then_some(())
    });
    let end = Instant::now() + time;
    run.until("the time is over", || {
        assert_eq!(look(), last, "rinit has woken up");
        (Instant::now() > end).then_some(())
    });
}

fn program(dir: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let source = dir.join(format!("{name}.source"));
    fs::write(&source, content).unwrap();
    fs::set_permissions(&source, PermissionsExt::from_mode(0o755)).unwrap();
    let path = dir.join(name);
    common::copy_program(&source, &path);
    path
}

/// The head of an executable for a machine that nobody runs: EM_S390, big-endian.
fn foreign_elf() -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x02\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([0, 2, 0, 22, 0, 0, 0, 1]);
    elf.resize(200, 0);
    elf
}

/// A pipe without room, and with a reader that does not read.
fn full_pipe() -> (std::os::fd::OwnedFd, std::os::fd::OwnedFd) {
    let (read, write) = common::pipe();
    let flags = |flags: i32| assert_eq!(unsafe { libc::fcntl(write.as_raw_fd(), libc::F_SETFL, flags) }, 0);
    flags(libc::O_NONBLOCK);
    let mut file = File::from(write.try_clone().unwrap());
    while file.write(&[b'x'; 4096]).is_ok() {}
    while file.write(b"x").is_ok() {}
    flags(0);
    (read, write)
}
