//! Where a stream goes, and how bytes get there without waiting.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, tee};
use nix::sys::socket::{SockType, getsockopt, sockopt};
use nix::sys::stat::{SFlag, fstat};

use crate::sys::descriptor;

/// The container's stderr or stdout.
#[derive(Debug)]
pub(super) struct Output {
    fd: OwnedFd,
    kind: SFlag,
    tee: Tee,
    /// A pipe without a name, or a socket: once its reader is gone, there will never be another.
    final_end: bool,
}

/// Whether tee(2) serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tee {
    /// No pipe, or no tee(2).
    Never,
    /// Where it saves a copy of much.
    ForMuch,
    /// Nothing else goes without waiting.
    Always,
}

impl Output {
    /// A descriptor of its own for `stdio`; or why its stream is left alone.
    pub(super) fn to(stdio: BorrowedFd<'static>) -> Result<Self, &'static str> {
        let flags = fcntl(stdio, FcntlArg::F_GETFL).map_err(|_| "it is closed")?;
        if flags & OFlag::O_ACCMODE.bits() == OFlag::O_RDONLY.bits() || flags & OFlag::O_PATH.bits() != 0 {
            return Err("it cannot be written to");
        }
        if nix::unistd::isatty(stdio).unwrap_or(false) {
            return Err("it is a terminal");
        }
        let kind = descriptor::kind_of(&fstat(stdio).map_err(Errno::desc)?);
        // Where one message begins and the next ends would be lost.
        if kind == SFlag::S_IFSOCK && getsockopt(&stdio, sockopt::SockType) != Ok(SockType::Stream) {
            return Err("it is a socket for messages");
        }
        // The description is also PROGRAM's and others', O_NONBLOCK would be, too.
        let own = if kind == SFlag::S_IFCHR { descriptor::own_description(stdio).ok() } else { None };
        let fd = own.map_or_else(|| descriptor::copy_above_stdio(stdio), Ok).map_err(Errno::desc)?;
        let tee = if kind == SFlag::S_IFIFO { Tee::ForMuch } else { Tee::Never };
        Ok(Self { fd, kind, tee, final_end: kind == SFlag::S_IFSOCK })
    }
    /// `pipe` is one without a name; if this is one, too, they are of the same file system.
    pub(super) fn compare(&mut self, pipe: &OwnedFd) {
        let device = |fd: &OwnedFd| fstat(fd).map(|stat| stat.st_dev);
        self.final_end |= self.kind == SFlag::S_IFIFO && device(pipe) == device(&self.fd);
    }

    /// Whether poll(2) says that the reader is gone, once and for all.
    pub(super) fn tells_its_end(&self) -> bool {
        self.final_end
    }

    /// Whether tee(2) is to be tried, for `much` or for little.
    pub(super) fn wants_tee(&self, much: bool) -> bool {
        self.tee == Tee::Always || (much && self.tee == Tee::ForMuch)
    }

    /// Whether it would be tried for much.
    pub(super) fn may_tee(&self) -> bool {
        self.tee != Tee::Never
    }

    /// tee(2) does not serve here.
    pub(super) fn refuses_tee(&mut self) {
        self.tee = Tee::Never;
    }

    /// Copies what is in the pipe `from`, at most `most` bytes, without a copy and without taking it out.
    ///
    /// # Errors
    /// EAGAIN when there is nothing, or no room for it.
    pub(super) fn tee_from(&self, from: &OwnedFd, most: usize) -> Result<usize, Errno> {
        tee(from, &self.fd, most, SpliceFFlags::SPLICE_F_NONBLOCK)
    }

    /// Writes as much as has room now.
    ///
    /// # Errors
    /// EAGAIN when there is no room; EPIPE and the like.
    pub(super) fn write_now(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        if self.tee == Tee::ForMuch {
            match descriptor::pipe_at_once(self.fd.as_fd(), bytes) {
                Ok(None) => self.tee = Tee::Always,
                Ok(Some(written)) => return Ok(written),
                Err(errno) => return Err(errno),
            }
        }
        descriptor::write_now(self.kind, self.fd.as_fd(), bytes)
    }
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whether bytes written to either come to the same place, one behind the other.
pub(super) fn lead_to_the_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let (Ok(first), Ok(second)) = (fstat(one), fstat(other)) else { return false };
    // Each description of a file has its own position.
    let appends = |fd| fcntl(fd, FcntlArg::F_GETFL).is_ok_and(|flags| flags & OFlag::O_APPEND.bits() != 0);
    (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)
        && (descriptor::kind_of(&first) != SFlag::S_IFREG
            || (appends(one) && appends(other))
            || descriptor::are_same(one, other))
}

/// What is in `pipe`, at most `most` bytes of it, which stay there.
pub(super) fn copy_of(pipe: &OwnedFd, most: usize) -> Vec<u8> {
    let mut copy = Vec::new();
    if let Ok((read_end, write_end)) = nix::unistd::pipe2(OFlag::O_CLOEXEC)
        && let Ok(1..) = tee(pipe, &write_end, most, SpliceFFlags::SPLICE_F_NONBLOCK)
    {
        drop(write_end);
        let _ = File::from(read_end).read_to_end(&mut copy);
    }
    copy
}
