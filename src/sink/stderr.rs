//! stderr, written without ever blocking for longer than the deadline.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat, makedev};

use crate::sys::descriptor::{self, kind_of, write_now};

/// How long the report may wait for a reader, all in all, and what PROGRAM wrote before it.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Writes the report.
pub fn write_report(bytes: &[u8]) {
    write_within(bytes, PATIENCE);
}

/// The same where part of the time has been used already.
pub fn write_report_until(bytes: &[u8], deadline: Instant) {
    write_within(bytes, deadline.saturating_duration_since(Instant::now()));
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
    match kind_of(&stat) {
        // /dev/null (null(4)): nobody will read it.
        SFlag::S_IFCHR if stat.st_rdev == makedev(1, 3) => {}
        SFlag::S_IFCHR => write_to_device(stderr, bytes, patience),
        kind => write_all(stderr, bytes, patience, |fd, bytes| write_now(kind, fd, bytes)),
    }
}

/// A terminal may be held with Ctrl-S, and its other side may have stopped reading. A description of rinit's own can
/// have O_NONBLOCK.
fn write_to_device(stderr: BorrowedFd<'_>, bytes: &[u8], patience: Duration) {
    match descriptor::own_description(stderr) {
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
