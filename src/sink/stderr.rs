//! stderr, written without ever blocking for longer than the deadline.

#![forbid(unsafe_code)]

use std::fs::OpenOptions;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};

use crate::sys::descriptor::{self, pipe_now, send_now};

/// How long the report may wait for a reader, all in all.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes the report.
pub fn write_report(bytes: &[u8]) {
    write_within(bytes, PATIENCE);
}

/// Writes a line of the log, or drops what finds no room at once.
pub fn log_line(line: &[u8]) {
    write_within(line, Duration::ZERO);
}

/// What kind of file stderr is decides how a write returns at once. O_NONBLOCK would do it for all, but it belongs to
/// the open file description, which PROGRAM and others share.
fn write_within(bytes: &[u8], patience: Duration) {
    let stderr = descriptor::stderr();
    let Ok(stat) = fstat(stderr) else { return };
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFIFO => write_all(stderr, bytes, patience, pipe_now),
        SFlag::S_IFSOCK => write_all(stderr, bytes, patience, send_now),
        SFlag::S_IFCHR => write_to_device(stderr, bytes, patience),
        // A file on disk: its writes wait for nobody.
        _ => write_all(stderr, bytes, patience, |fd, bytes| nix::unistd::write(fd, bytes)),
    }
}

/// A terminal may be held with Ctrl-S, and its other side may have stopped reading. A description of rinit's own can
/// have O_NONBLOCK.
fn write_to_device(stderr: BorrowedFd<'_>, bytes: &[u8], patience: Duration) {
    let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
    match OpenOptions::new().write(true).custom_flags(flags).open("/proc/self/fd/2") {
        Ok(own) => write_all(own.as_fd(), bytes, patience, |fd, bytes| nix::unistd::write(fd, bytes)),
        // Without /proc: as much as poll(2) finds room for, in pieces that a terminal takes whole.
        Err(_) => write_all(stderr, bytes, patience, |fd, bytes| {
            wait_for_room(fd, Duration::ZERO)?;
            nix::unistd::write(fd, bytes.get(..64).unwrap_or(bytes))
        }),
    }
}

/// `write_now` returns EAGAIN where it would have to wait. Any other error means that nobody can read it any more.
fn write_all(
    to: BorrowedFd<'_>,
    mut bytes: &[u8],
    patience: Duration,
    write_now: impl Fn(BorrowedFd<'_>, &[u8]) -> Result<usize, Errno>,
) {
    let deadline = Instant::now() + patience;
    while !bytes.is_empty() {
        match write_now(to, bytes) {
            Ok(0) => return,
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() || wait_for_room(to, left).is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

/// # Errors
/// EAGAIN when `limit` is over.
fn wait_for_room(fd: BorrowedFd<'_>, limit: Duration) -> Result<(), Errno> {
    let milliseconds = u16::try_from(limit.as_millis()).unwrap_or(u16::MAX);
    let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
    match poll(&mut fds, PollTimeout::from(milliseconds)) {
        Ok(0) => Err(Errno::EAGAIN),
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}
