//! stderr in every state that it can be in: the exit comes in time, with the status, and the report if it can.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::{Duration, Instant};

use crate::common::{self, Ended, Io, NOBODY, PLACES, Rinit, Running, TempDir, each, is_root, proc};
use crate::obstacles::make_fifo;
use crate::{Kind, file, kind};

/// How long the report may wait.
const PATIENCE: Duration = Duration::from_secs(1);
/// What a loaded machine may add.
const SLACK: Duration = Duration::from_secs(12);

/// Runs to the end, which has to come in time. How long it took from the program's end on.
#[track_caller]
fn ends_in_time(run: Rinit) -> Duration {
    let mut run = run.stdin(Io::Pipe).sh("read line; exit 3").spawn();
    run.program();
    let since = Instant::now();
    run.write_stdin(b"\n");
    let ended: Ended = run.wait();
    ended.assert_code(3);
    let took = since.elapsed();
    assert!(took < PATIENCE + SLACK, "{took:?}");
    took
}

#[track_caller]
fn is_whole(report: &[u8]) {
    let report = String::from_utf8_lossy(report);
    assert!(report.ends_with('\n'), "{report:?}");
    assert_eq!(kind(report.trim_end()), Kind::Text);
    assert!(report.contains("exited with status 3"), "{report}");
}

/// Fills what `fd` leads to, through a description of its own where there can be one.
pub fn fill(fd: &OwnedFd) {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let mut own = File::options().write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).unwrap();
    for size in [4096, 1] {
        while own.write(&vec![b'x'; size]).is_ok() {}
    }
}

fn fill_socket(fd: &OwnedFd) {
    for size in [4096, 1] {
        let chunk = vec![b'x'; size];
        while unsafe { libc::send(fd.as_raw_fd(), chunk.as_ptr().cast(), size, libc::MSG_DONTWAIT) } > 0 {}
    }
}

fn flags(fd: &OwnedFd) -> i32 {
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) }
}

/// A terminal: (the side of the emulator, the side of the program).
fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut ours, mut theirs) = (0, 0);
    let none = std::ptr::null_mut();
    let result = unsafe { libc::openpty(&raw mut ours, &raw mut theirs, none, none.cast(), none.cast()) };
    assert_eq!(result, 0, "openpty");
    let own = |fd| unsafe {
        libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        OwnedFd::from_raw_fd(fd)
    };
    (own(ours), own(theirs))
}

/// A named pipe: (read, write).
fn fifo() -> (OwnedFd, OwnedFd) {
    let dir = TempDir::new();
    let path = dir.join("fifo");
    make_fifo(&path);
    let read_end = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    let write_end = File::options().write(true).open(&path).unwrap();
    assert_eq!(unsafe { libc::fcntl(read_end.as_raw_fd(), libc::F_SETFL, 0) }, 0);
    (read_end.into(), write_end.into())
}

/// The kernel has another way to write to each without waiting.
const PIPES: [fn() -> (OwnedFd, OwnedFd); 2] = [common::pipe, fifo];

/// Everywhere, with either pipe.
pub fn each_pipe(test: impl Fn(fn() -> Rinit, (OwnedFd, OwnedFd)) + Sync) {
    each(PLACES.into_iter().flat_map(|place| PIPES.map(|pipe| (place, pipe))), |(place, pipe)| test(place, pipe()));
}

/// What can be read without waiting.
fn what_is_there(fd: OwnedFd) -> Vec<u8> {
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    let (mut file, mut all, mut chunk) = (File::from(fd), Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = file.read(&mut chunk) {
        all.extend_from_slice(&chunk[..n]);
    }
    all
}

#[test]
fn closed() {
    each(PLACES, |place| {
        ends_in_time(place().stderr(Io::Closed));
        place().stderr(Io::Closed).args(["--", "/no/such/program"]).run().assert_code(127);
        place().stderr(Io::Closed).args(["--no-such-flag"]).run().assert_code(125);
    });
}

#[test]
fn a_full_device() {
    each(PLACES, |place| {
        let full = File::options().write(true).open("/dev/full").unwrap();
        ends_in_time(place().stderr(Io::Fd(full.into())));
    });
}

#[test]
fn a_descriptor_that_cannot_be_written() {
    each(PLACES, |place| {
        ends_in_time(place().stderr(Io::Fd(File::open("/").unwrap().into())));
        ends_in_time(place().stderr(Io::Fd(File::open("/dev/null").unwrap().into())));
        let (read_end, _write_end) = common::pipe();
        ends_in_time(place().stderr(Io::Fd(read_end)));
    });
}

#[test]
fn a_reader_that_is_gone() {
    each(PLACES, |place| {
        let mut run = place().stdin(Io::Pipe).sh("read line; exit 3").spawn();
        run.program();
        run.close_stderr();
        run.write_stdin(b"\n");
        run.wait().assert_code(3);
    });
}

#[test]
fn a_reader_that_reads() {
    each_pipe(|place, (read_end, write_end)| {
        ends_in_time(place().stderr(Io::Fd(write_end)));
        let mut report = Vec::new();
        File::from(read_end).read_to_end(&mut report).unwrap();
        is_whole(&report);
    });
}

#[test]
fn a_full_pipe_that_nobody_reads() {
    each_pipe(|place, (_read_end, write_end)| {
        fill(&write_end);
        let took = ends_in_time(place().stderr(Io::Fd(write_end)));
        assert!(took > PATIENCE * 9 / 10, "it did not wait for the reader: {took:?}");
    });
}

/// The program is reaped, and rinit waits for room.
fn waits_for_room(run: &mut Running) {
    let rinit = run.pid();
    run.until("PROGRAM is reaped", || proc::children(rinit).is_empty().then_some(()));
}

#[test]
fn a_reader_that_resumes_gets_the_whole_report() {
    each_pipe(|place, (read_end, write_end)| {
        fill(&write_end);
        let mut run = place().stderr(Io::Fd(write_end)).stdin(Io::Pipe).sh("read line; exit 3").spawn();
        run.program();
        run.write_stdin(b"\n");
        waits_for_room(&mut run);
        let mut all = Vec::new();
        File::from(read_end).read_to_end(&mut all).unwrap();
        run.wait().assert_code(3);
        let start = all.iter().position(|b| *b != b'x').expect("there is a report");
        is_whole(&all[start..]);
    });
}

/// Room for poll(2) is gone again when rinit writes: other writers wait for it in the kernel, and are quicker.
#[test]
fn other_writers_that_take_the_room() {
    each_pipe(|place, (read_end, write_end)| {
        fill(&write_end);
        let run = place().stderr(Io::Fd(write_end.try_clone().unwrap())).stdin(Io::Pipe);
        let mut run = run.sh("read line; exit 3").spawn();
        run.program();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let mut writer = File::from(write_end.try_clone().unwrap());
                // EPIPE ends it.
                scope.spawn(move || while writer.write_all(&[b'x'; 4096]).is_ok() {});
            }
            drop(write_end);
            let mut reader = File::from(read_end);
            run.write_stdin(b"\n");
            waits_for_room(&mut run);
            // Some room, a few times, and then none any more.
            for _ in 0..3 {
                let _ = reader.read(&mut [0; 4096]);
            }
            let since = Instant::now();
            run.wait().assert_code(3);
            assert!(since.elapsed() < PATIENCE + SLACK, "{:?}", since.elapsed());
            drop(reader);
        });
    });
}

#[test]
fn sockets() {
    each(PLACES, |place| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ends_in_time(place().stderr(Io::Fd(theirs.into())));
        is_whole(&what_is_there(ours.into()));
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        ends_in_time(place().stderr(Io::Fd(theirs.into())));
        is_whole(&what_is_there(ours.into()));
        // Nobody at the other end.
        let (_, theirs) = UnixStream::pair().unwrap();
        ends_in_time(place().stderr(Io::Fd(theirs.into())));
        let (_, theirs) = UnixDatagram::pair().unwrap();
        ends_in_time(place().stderr(Io::Fd(theirs.into())));
    });
}

#[test]
fn full_sockets() {
    let stream = || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (OwnedFd::from(ours), OwnedFd::from(theirs))
    };
    let datagram = || {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        (OwnedFd::from(ours), OwnedFd::from(theirs))
    };
    let kinds: [fn() -> (OwnedFd, OwnedFd); 2] = [stream, datagram];
    each(PLACES.into_iter().flat_map(|place| kinds.map(|pair| (place, pair))), |(place, pair)| {
        let (_ours, theirs) = pair();
        fill_socket(&theirs);
        ends_in_time(place().stderr(Io::Fd(theirs)));
    });
}

#[test]
fn a_datagram_socket_whose_queue_is_full() {
    // Connected to one that is not connected back: poll(2) and send(2) know different limits.
    let dir = TempDir::new();
    let receiver = UnixDatagram::bind(dir.join("receiver")).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect(dir.join("receiver")).unwrap();
    let sender = OwnedFd::from(sender);
    fill_socket(&sender);
    ends_in_time(Rinit::as_init().stderr(Io::Fd(sender)));
    drop(receiver);
}

#[test]
fn a_terminal() {
    each(PLACES, |place| {
        let (ours, theirs) = terminal();
        let kept = theirs.try_clone().unwrap();
        ends_in_time(place().stderr(Io::Fd(theirs)));
        let report = String::from_utf8(what_is_there(ours)).unwrap().replace("\r\n", "\n");
        is_whole(report.as_bytes());
        drop(kept);
    });
}

#[test]
fn a_terminal_that_nobody_reads() {
    each(PLACES, |place| {
        let (_ours, theirs) = terminal();
        fill(&theirs);
        ends_in_time(place().stderr(Io::Fd(theirs)));
    });
}

#[test]
fn a_terminal_that_rinit_may_not_open_again() {
    if !is_root("another user") {
        return;
    }
    each(PLACES, |place| {
        let (ours, theirs) = terminal();
        let kept = theirs.try_clone().unwrap();
        unsafe { libc::fchmod(theirs.as_raw_fd(), 0o600) };
        ends_in_time(place().uid(NOBODY).stderr(Io::Fd(theirs)));
        let report = String::from_utf8(what_is_there(ours)).unwrap().replace("\r\n", "\n");
        is_whole(report.as_bytes());
        drop(kept);
    });
    // Full to the last byte, and with every little room left that could make a write wait.
    each([0_usize, 1, 64, 200, 255, 256, 257, 300, 511, 512, 1000, 1024, 2048, 4095, 4096, 8192, 20000], |room| {
        let (ours, theirs) = terminal();
        unsafe { libc::fchmod(theirs.as_raw_fd(), 0o600) };
        fill(&theirs);
        let mut emulator = File::from(ours);
        if room > 0 {
            let _ = emulator.read(&mut vec![0; room]).unwrap();
        }
        ends_in_time(Rinit::as_init().uid(NOBODY).stderr(Io::Fd(theirs)));
    });
}

#[test]
fn a_terminal_that_is_held_with_ctrl_s() {
    each(PLACES, |place| {
        let (_ours, theirs) = terminal();
        assert_eq!(unsafe { libc::tcflow(theirs.as_raw_fd(), libc::TCOOFF) }, 0);
        ends_in_time(place().stderr(Io::Fd(theirs)));
    });
}

#[test]
fn a_terminal_that_has_hung_up() {
    each(PLACES, |place| {
        let (ours, theirs) = terminal();
        let mut run = place().stderr(Io::Fd(theirs)).stdin(Io::Pipe).sh("read line; exit 3").spawn();
        run.program();
        drop(ours);
        run.write_stdin(b"\n");
        run.wait().assert_code(3);
    });
}

#[test]
fn a_regular_file() {
    each(PLACES.into_iter().flat_map(|place| [(place, true), (place, false)]), |(place, append)| {
        let dir = TempDir::new();
        let path = file(&dir, "stderr", if append { "earlier\n" } else { "" });
        let stderr = File::options().write(true).append(append).open(&path).unwrap();
        place().stderr(Io::Fd(stderr.into())).sh("echo its own >&2; exit 3").run().assert_code(3);
        let content = fs::read(&path).unwrap();
        let before: &[u8] = if append { b"earlier\nits own\n" } else { b"its own\n" };
        is_whole(content.strip_prefix(before).unwrap_or_else(|| panic!("{}", content.escape_ascii())));
    });
}

#[test]
fn a_regular_file_that_cannot_grow() {
    each(PLACES, |place| {
        let dir = TempDir::new();
        let stderr = File::create(dir.join("stderr")).unwrap();
        ends_in_time(place().rlimit(libc::RLIMIT_FSIZE, 0, 0).stderr(Io::Fd(stderr.into())));
    });
}

#[test]
fn no_flag_of_a_shared_description_is_changed() {
    let pipe = || {
        let (ours, theirs) = common::pipe();
        fill(&theirs);
        (ours, theirs)
    };
    let named_pipe = || {
        let (ours, theirs) = fifo();
        fill(&theirs);
        (ours, theirs)
    };
    let socket = || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let theirs = OwnedFd::from(theirs);
        fill_socket(&theirs);
        (OwnedFd::from(ours), theirs)
    };
    let pty = || {
        let (ours, theirs) = terminal();
        fill(&theirs);
        (ours, theirs)
    };
    let kinds: [fn() -> (OwnedFd, OwnedFd); 4] = [pipe, named_pipe, socket, pty];
    each(kinds.into_iter().flat_map(|kind| [(kind, 0), (kind, libc::O_NONBLOCK)]), |(kind, extra)| {
        let (_ours, theirs) = kind();
        let kept = theirs.as_fd().try_clone_to_owned().unwrap();
        assert_eq!(
            unsafe { libc::fcntl(kept.as_raw_fd(), libc::F_SETFL, flags(&kept) & !libc::O_NONBLOCK | extra) },
            0
        );
        let before = flags(&kept);
        let mut run = Rinit::as_init().stderr(Io::Fd(theirs)).stdin(Io::Pipe).sh("read line; exit 3").spawn();
        run.program();
        assert_eq!(flags(&kept), before, "while it runs");
        run.write_stdin(b"\n");
        waits_for_room(&mut run);
        assert_eq!(flags(&kept), before, "while it waits");
        run.wait().assert_code(3);
        assert_eq!(flags(&kept), before, "afterwards");
    });
}

#[test]
fn too_few_descriptors_for_a_pipe_of_its_own() {
    // rinit cannot even start the program; that has to be said all the same.
    // Three are stdio, and one more is what a dynamic loader needs.
    each([4, 5, 6], |limit| {
        let ended = Rinit::as_init().rlimit(libc::RLIMIT_NOFILE, limit, limit).sh("exit 3").run();
        is_told(&ended, limit);
    });
}

#[track_caller]
fn is_told(ended: &Ended, limit: u64) {
    let stderr = ended.stderr();
    assert_eq!(kind(stderr.trim_end()), Kind::Text, "{limit}: {stderr}");
}
