//! `--tail`: what PROGRAM writes comes through as if there were no pipe between, and its last lines are kept.
#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::undocumented_unsafe_blocks)]

mod common;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use common::{Ended, Io, PLACES, Rinit, Running, TempDir, each, is_root, pipe, proc};

/// How long an exit may wait for a reader.
const PATIENCE: Duration = Duration::from_secs(1);
/// What a loaded machine may add.
const SLACK: Duration = Duration::from_secs(12);

impl Rinit {
    /// `--tail 20 -- sh -c SCRIPT`
    fn tail(self, script: &str) -> Self {
        self.args(["--tail", "20", "--", "sh", "-c", script])
    }

    fn tail_both(self, script: &str) -> Self {
        self.args(["--tail-stdout", "--tail=20", "--", "sh", "-c", script])
    }
}

/// What the report has of the last lines.
#[track_caller]
fn kept(ended: &Ended) -> Vec<String> {
    let report = ended.report();
    report["stderr_tail"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

/// Reads to the end, at full speed.
fn read_all(fd: OwnedFd) -> JoinHandle<Vec<u8>> {
    spawn(move || {
        let mut all = Vec::new();
        File::from(fd).read_to_end(&mut all).unwrap();
        all
    })
}

/// Reads to the end and forgets it. How much it was.
fn discard(fd: OwnedFd) -> JoinHandle<u64> {
    spawn(move || std::io::copy(&mut File::from(fd), &mut std::io::sink()).unwrap())
}

fn named_pipe() -> (OwnedFd, OwnedFd) {
    let dir = TempDir::new();
    let path = dir.join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let read_end = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    let write_end = File::options().write(true).open(&path).unwrap();
    common::nonblocking(&read_end, false);
    (read_end.into(), write_end.into())
}

fn socket() -> (OwnedFd, OwnedFd) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (ours.into(), theirs.into())
}

/// What a container's stderr can be, as (read, write).
const KINDS: [fn() -> (OwnedFd, OwnedFd); 3] = [pipe, named_pipe, socket];

/// Of every kind: short lines, long ones, one of 10 MB, all bytes, no newline at the end.
fn material(path: &Path) -> Vec<u8> {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut bytes = Vec::new();
    for n in 0..20_000 {
        bytes.extend(format!("line {n}\n").bytes());
    }
    for n in 0..6 {
        bytes.extend(vec![b'a' + n; 1 << 20]);
        bytes.push(b'\n');
    }
    for _ in 0..1 << 20 {
        bytes.extend(next().to_le_bytes());
    }
    bytes.extend(vec![b'z'; 10 << 20]);
    fs::write(path, &bytes).unwrap();
    bytes
}

#[track_caller]
fn assert_same(got: &[u8], expected: &[u8]) {
    assert_eq!(got.len(), expected.len());
    let first = got.iter().zip(expected).position(|(a, b)| a != b);
    assert_eq!(first, None, "the first byte that differs");
}

#[test]
fn every_byte_comes_through_in_order() {
    let dir = TempDir::new();
    let path = dir.join("material");
    let material = material(&path);
    // In pieces of many sizes: a copy of each kind pays for itself at another.
    let script = |to: &str| {
        let path = path.display();
        format!("for size in 100 4096 65536 1000000; do dd if={path} bs=$size iflag=fullblock {to} 2>/dev/null; done")
    };
    let runs = PLACES.into_iter().flat_map(|place| KINDS.map(|kind| (place, kind)));
    each(runs, |(place, kind)| {
        for stdout in [false, true] {
            let ((read_end, write_end), (idle, idle_end)) = (kind(), pipe());
            let reader = read_all(read_end);
            let run = place().args(["-q"]).deadline(Duration::from_secs(120));
            let ended = if stdout {
                run.stdout(Io::Fd(write_end)).stderr(Io::Fd(idle_end)).tail_both(&script("")).run()
            } else {
                run.stderr(Io::Fd(write_end)).stdout(Io::Fd(idle_end)).tail(&script(">&2")).run()
            };
            ended.assert_code(0);
            let got = reader.join().unwrap();
            assert_same(&got, &material.repeat(4));
            assert!(read_all(idle).join().unwrap().is_empty());
        }
    });
}

#[test]
fn a_file_gets_every_byte_where_it_belongs() {
    let dir = TempDir::new();
    let source = dir.join("material");
    let material = material(&source);
    each(PLACES.into_iter().flat_map(|place| [false, true].map(|append| (place, append))), |(place, append)| {
        let path = TempDir::new();
        let path = path.join("out");
        fs::write(&path, "first\n").unwrap();
        let mut file = File::options().append(append).write(true).open(&path).unwrap();
        file.write_all(b"second").unwrap();
        let ended =
            place().args(["-q"]).stderr(Io::Fd(file.into())).tail(&format!("cat {} >&2", source.display())).run();
        ended.assert_code(0);
        let front: &[u8] = if append { b"first\nsecond" } else { b"second" };
        assert_same(&fs::read(&path).unwrap(), &[front, &material].concat());
    });
}

#[test]
fn the_last_lines_come_with_the_report() {
    each(PLACES, |place| {
        let ended = place().json().tail("echo one >&2; echo out; printf 'two\\nthr' >&2; exit 3").run();
        ended.assert_code(3);
        assert_eq!(kept(&ended), ["one", "two", "thr"]);
        assert_eq!(ended.stdout(), "out\n");
        // The report has a line of its own.
        assert!(ended.stderr().starts_with("one\ntwo\nthr\n{\"schema\""), "{ended:?}");
        let ended = place().json().args(["--tail=2", "sh", "-c", "seq 100000 >&2; exit 3"]).run();
        assert_eq!(kept(&ended), ["99999", "100000"]);
    });
}

#[test]
fn the_lines_of_both_streams_are_in_order() {
    each(PLACES, |place| {
        let script = "echo o1; read x; echo e1 >&2; read x; echo o2; read x; echo e2 >&2; exit 3";
        let mut run = place().json().stdin(Io::Pipe).tail_both(script).spawn();
        run.expect_line("o1");
        run.write_stdin(b"\n");
        run.expect_err_line("e1");
        run.write_stdin(b"\n");
        run.expect_line("o2");
        run.write_stdin(b"\n");
        let ended = run.wait();
        assert_eq!(kept(&ended), ["o1", "e1", "o2", "e2"]);
    });
}

#[test]
fn streams_that_are_one_stay_one() {
    each(PLACES, |place| {
        let (read_end, write_end) = pipe();
        let reader = read_all(read_end);
        let both = (write_end.try_clone().unwrap(), write_end);
        let script = "i=0; while [ $i -lt 3000 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done";
        let run = place().args(["-q"]).stdout(Io::Fd(both.0)).stderr(Io::Fd(both.1));
        run.tail_both(script).run().assert_code(0);
        let expected: String = (0..3000).map(|i| format!("o{i}\ne{i}\n")).collect();
        assert_eq!(String::from_utf8(reader.join().unwrap()).unwrap(), expected);
    });
}

/// Whether PROGRAM's `fd` is the very pipe that the test made for it.
fn has_its_own(place: fn() -> Rinit, arguments: &[&str], fd: i32) -> bool {
    let (read_end, write_end) = pipe();
    let inode = fs::metadata(format!("/proc/self/fd/{}", write_end.as_raw_fd())).unwrap().ino();
    let script = format!("stat -Lc %i /proc/self/fd/{fd} >&{fd}");
    let run = place().args(["-q"]).args(arguments).args(["--", "sh", "-c", &script]);
    let run = if fd == 1 { run.stdout(Io::Fd(write_end)) } else { run.stderr(Io::Fd(write_end)) };
    run.run().assert_code(0);
    String::from_utf8(read_all(read_end).join().unwrap()).unwrap().trim() == inode.to_string()
}

#[test]
fn only_what_is_used_passes_through() {
    each(PLACES, |place| {
        assert!(has_its_own(place, &[], 2));
        assert!(has_its_own(place, &["--tail=0"], 2));
        assert!(has_its_own(place, &["--tail=20", "--report=never"], 2));
        assert!(has_its_own(place, &["--tail=20"], 1));
        assert!(!has_its_own(place, &["--tail=20"], 2));
        assert!(!has_its_own(place, &["--tail-stdout"], 1));
        assert!(!has_its_own(place, &["--tail-stdout"], 2));
    });
}

#[test]
fn program_has_no_descriptor_more() {
    each(PLACES, |place| {
        let list = |run: Rinit| run.args(["sh", "-c", "ls /proc/$$/fd"]).run().stdout();
        assert_eq!(list(place().args(["--tail-stdout"])), list(place()));
    });
}

/// A terminal: (the side of the emulator, the side of the program).
fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut ours, mut theirs) = (0, 0);
    let none = std::ptr::null_mut();
    assert_eq!(unsafe { libc::openpty(&raw mut ours, &raw mut theirs, none, none.cast(), none.cast()) }, 0, "openpty");
    let own = |fd| unsafe {
        libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        OwnedFd::from_raw_fd(fd)
    };
    (own(ours), own(theirs))
}

#[test]
fn a_terminal_is_left_alone() {
    each(PLACES, |place| {
        let (ours, theirs) = terminal();
        let run = place().args(["-v"]).stderr(Io::Fd(theirs)).tail("test -t 2 && exit 5");
        run.run().assert_code(5);
        common::nonblocking(&ours, true);
        let mut said = [0; 4096];
        let count = File::from(ours).read(&mut said).unwrap();
        let said = String::from_utf8_lossy(&said[..count]).into_owned();
        assert_eq!(said.matches("stderr does not pass through rinit").count(), 1, "{said}");
        assert!(said.contains("it is a terminal"), "{said}");
    });
}

#[test]
fn a_stderr_that_is_closed_stays_closed() {
    each(PLACES, |place| {
        let ended = place().stderr(Io::Closed).tail_both("ls /proc/$$/fd; exit 3").run();
        ended.assert_code(3);
        assert!(!ended.stdout().lines().any(|fd| fd == "2"), "{ended:?}");
    });
}

#[test]
fn devices_and_what_cannot_be_written() {
    each(PLACES, |place| {
        for path in ["/dev/null", "/dev/full"] {
            let device = File::options().write(true).open(path).unwrap();
            let ended = place().stderr(Io::Fd(device.into())).tail("echo one >&2; echo two >&2; exit 3").run();
            ended.assert_code(3);
        }
        // As without rinit: EBADF, no SIGPIPE.
        let read_only = File::open("/dev/null").unwrap();
        place().stderr(Io::Fd(read_only.into())).tail("echo one >&2 || exit 4").run().assert_code(4);
    });
}

/// /proc/PID/io: how many bytes a process has written.
fn written(pid: i32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().parse().unwrap()
}

fn context_switches(pid: i32) -> u64 {
    let of = |kind: &str| proc::status(pid, kind).unwrap().parse::<u64>().unwrap();
    of("voluntary_ctxt_switches") + of("nonvoluntary_ctxt_switches")
}

/// Waits until neither the writer nor rinit makes any progress. How much the writer has got rid of.
fn stalls(run: &mut Running, writer: i32) -> u64 {
    let init = run.pid();
    loop {
        let state = |_: &()| (written(writer), context_switches(writer), context_switches(init));
        let before = state(&());
        // Long for a pipe, and only the time in which nothing may happen.
        sleep(Duration::from_millis(200));
        if state(&()) == before && before.0 > 0 {
            return before.0;
        }
    }
}

#[test]
fn a_reader_that_stalls_stalls_program_and_nobody_else() {
    let kinds = PLACES.into_iter().flat_map(|place| KINDS.map(|kind| (place, kind)));
    each(kinds, |(place, kind)| {
        for chunk in ["yes", "head -c 10000000 /dev/zero"] {
            let (read_end, write_end) = kind();
            let script = format!("trap 'echo term; exit 5' TERM; {chunk} >&2 & echo $!; while :; do wait; done");
            let mut run = place().stderr(Io::Fd(write_end)).tail(&script).spawn();
            run.line();
            let program = run.program();
            let writer = run.until("the writer is there", || proc::children(program).into_iter().next());
            let accepted = stalls(&mut run, writer);
            // Its own pipe, the reader's, and what is on its way. A socket holds what net.core.wmem_default says.
            assert!(accepted <= 4 * 65536 + 212_992, "{accepted}");
            let since = Instant::now();
            run.signal(libc::SIGTERM);
            run.expect_line("term");
            run.wait().assert_code(5);
            assert!(since.elapsed() < PATIENCE + SLACK, "{:?}", since.elapsed());
            drop(read_end);
        }
    });
}

#[test]
fn a_reader_that_goes_on_gets_everything() {
    let kinds = PLACES.into_iter().flat_map(|place| KINDS.map(|kind| (place, kind)));
    each(kinds, |(place, kind)| {
        let (read_end, write_end) = kind();
        let script = "seq 300000 >&2 & echo; wait";
        let mut run = place().args(["-q"]).stderr(Io::Fd(write_end)).tail(script).spawn();
        run.line();
        let program = run.program();
        let writer = run.until("the writer is there", || proc::children(program).into_iter().next());
        stalls(&mut run, writer);
        let reader = read_all(read_end);
        run.wait().assert_code(0);
        let expected: String = (1..=300_000).map(|n| format!("{n}\n")).collect();
        assert_same(&reader.join().unwrap(), expected.as_bytes());
    });
}

#[test]
fn a_reader_that_is_gone_is_gone_for_program_too() {
    let kinds = PLACES.into_iter().flat_map(|place| KINDS.map(|kind| (place, kind)));
    each(kinds, |(place, kind)| {
        let (read_end, write_end) = kind();
        let run = place().stdout(Io::Fd(write_end)).args(["--tail-stdout", "yes"]).spawn();
        let mut some = [0; 1000];
        File::from(read_end).read_exact(&mut some).unwrap();
        run.wait().assert_code(128 + libc::SIGPIPE);
    });
}

#[test]
fn the_first_write_after_the_reader_went_fails() {
    each(PLACES, |place| {
        let mut run =
            place().stdin(Io::Pipe).tail("echo ready >&2; read x; trap '' PIPE; echo late >&2 || exit 6").spawn();
        assert_eq!(run.err_line(), "ready");
        let pipes = |pid: i32| {
            let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
            fds.filter(|fd| {
                fs::read_link(fd.as_ref().unwrap().path()).is_ok_and(|to| to.to_string_lossy().starts_with("pipe:"))
            })
            .count()
        };
        let init = run.pid();
        let before = pipes(init);
        run.close_stderr();
        run.until("rinit lets go of PROGRAM's pipe", || (pipes(init) < before).then_some(()));
        run.write_stdin(b"\n");
        run.wait().assert_code(6);
    });
}

#[test]
fn dev_stderr_opens_for_whoever_program_becomes() {
    if !is_root("another user") {
        return;
    }
    each(PLACES, |place| {
        let script =
            "setpriv --reuid 1000 --regid 1000 --clear-groups sh -c 'echo one >/dev/stderr; echo two >/dev/stdout'";
        let ended = place().args(["-q"]).tail_both(script).run();
        ended.assert_code(0);
        assert_eq!((ended.stderr().as_str(), ended.stdout().as_str()), ("one\n", "two\n"));
    });
}

#[test]
fn pid_1_still_has_the_containers_stdio() {
    let ended = Rinit::as_init()
        .args(["-q"])
        .tail_both("echo out >/proc/1/fd/1; echo err >/proc/1/fd/2; stat -Lc %i /proc/1/fd/1 /proc/self/fd/1")
        .run();
    ended.assert_code(0);
    assert_eq!(ended.stderr(), "err\n");
    let lines: Vec<String> = ended.stdout().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{ended:?}");
    assert!(lines[0] == "out" && lines[1] != lines[2], "{ended:?}");
}

#[test]
fn whoever_goes_on_in_the_background_does_not_hold_up_the_exit() {
    each(PLACES, |place| {
        let goes_at_once = || {
            let mut run = place()
                .args(["-q"])
                .stdin(Io::Pipe)
                .tail("(echo late >&2; exec sleep 1000) & read x; echo last >&2; exit 3")
                .spawn();
            assert_eq!(run.err_line(), "late");
            let since = Instant::now();
            run.write_stdin(b"\n");
            let ended = run.wait();
            ended.assert_code(3);
            assert_eq!(ended.stderr(), "late\nlast\n");
            since.elapsed() < PATIENCE
        };
        // A busy machine may need that long by itself; a rinit that waits needs it each time.
        assert!((0..5).any(|_| goes_at_once()), "it waited for nobody");
    });
    // Nor one that writes and writes.
    each(PLACES, |place| {
        let (read_end, write_end) = pipe();
        let reader = discard(read_end);
        let mut run = place().stderr(Io::Fd(write_end)).stdin(Io::Pipe).tail("yes >&2 & read x; exit 3").spawn();
        run.program();
        let since = Instant::now();
        run.write_stdin(b"\n");
        run.wait().assert_code(3);
        assert!(since.elapsed() < PATIENCE + SLACK, "{:?}", since.elapsed());
        reader.join().unwrap();
    });
}

#[test]
fn signals_and_orphans_are_served_at_full_speed() {
    each(PLACES, |place| {
        let (read_end, write_end) = pipe();
        let read_end = File::from(read_end);
        let probe = common::probe();
        let script = format!("(cat /dev/zero >&2 &); exec {} listen until=15", probe.display());
        let mut run = place().stderr(Io::Fd(write_end)).tail(&script).spawn();
        run.ready();
        let passed = std::io::copy(&mut (&read_end).take(1 << 20), &mut std::io::sink()).unwrap();
        assert_eq!(passed, 1 << 20);
        let reader = discard(read_end.into());
        for _ in 0..200 {
            run.signal(libc::SIGUSR1);
            assert_eq!(run.expect_signal().signal, libc::SIGUSR1);
        }
        run.signal(libc::SIGTERM);
        assert_eq!(run.expect_signal().signal, libc::SIGTERM);
        run.wait().assert_code(0);
        reader.join().unwrap();
    });
}

#[test]
fn a_gigabyte_takes_no_more_memory_than_the_ring() {
    each(PLACES, |place| {
        let (read_end, write_end) = pipe();
        let reader = discard(read_end);
        let script = "read x; head -c 1073741824 /dev/zero >&2; echo done; read x";
        let mut run = place()
            .args(["-q"])
            .stdin(Io::Pipe)
            .stderr(Io::Fd(write_end))
            .deadline(Duration::from_secs(120))
            .tail(script)
            .spawn();
        let init = run.pid();
        let program = run.program();
        run.until("PROGRAM waits", || {
            (proc::status(program, "Name")? == "sh" && proc::state(program)? == 'S').then_some(())
        });
        let before = proc::anonymous_kb(init).unwrap();
        run.write_stdin(b"\n");
        run.expect_line("done");
        let grown = proc::anonymous_kb(init).unwrap() - before;
        // A page or two of the stack, and of the heap.
        assert!(grown <= 64 + 16, "{grown} kB");
        // And there is peace again.
        let switches = run.until("rinit is idle", || {
            let before = context_switches(init);
            sleep(Duration::from_millis(100));
            (context_switches(init) == before).then_some(before)
        });
        sleep(Duration::from_millis(300));
        assert_eq!(context_switches(init), switches);
        run.write_stdin(b"\n");
        run.wait().assert_code(0);
        assert_eq!(reader.join().unwrap(), 1 << 30);
    });
}

#[test]
fn what_is_written_while_it_drains_comes_through() {
    each(PLACES, |place| {
        let (read_end, write_end) = pipe();
        let reader = read_all(read_end);
        // What is forked while rinit walks through /proc is sent SIGTERM as well: head(1) ignores it.
        let rest = r#"trap 'trap "" TERM; head -c 1000000 /dev/zero >&2; exit 0' TERM; echo ready; while :; do sleep 0.05; done"#;
        let script = format!("({rest}) & read x; exit 3");
        let run = place().args(["-q", "--drain=15"]).stdin(Io::Pipe).stderr(Io::Fd(write_end));
        let mut run = run.tail(&script).spawn();
        run.expect_line("ready");
        run.write_stdin(b"\n");
        run.wait().assert_code(3);
        // The shell has a word of its own for its sleep(1).
        assert_eq!(reader.join().unwrap().iter().filter(|byte| **byte == 0).count(), 1_000_000);
    });
}
