//! Descriptors: kept above stdio, closed by range, written without ever blocking.

use std::ffi::{c_int, c_long};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::sys::socket::MsgFlags;
use nix::sys::stat::{FileStat, Mode, SFlag};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};

/// Moves a new descriptor to 3 or above: where stdio came closed, the kernel hands out 0 to 2.
///
/// # Errors
/// EMFILE.
pub fn above_stdio(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(fd);
    }
    copy_above_stdio(fd.as_fd())
}

/// Another descriptor of the same description, at 3 or above.
///
/// # Errors
/// EMFILE, EBADF.
pub fn copy_above_stdio(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(libc::STDERR_FILENO + 1))?;
    // SAFETY: fcntl just made this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Standard input, which may be closed.
#[must_use]
pub fn stdin() -> BorrowedFd<'static> {
    borrow(libc::STDIN_FILENO)
}

/// Standard output, which may be closed.
#[must_use]
pub fn stdout() -> BorrowedFd<'static> {
    borrow(libc::STDOUT_FILENO)
}

/// Standard error, which may be closed.
#[must_use]
pub fn stderr() -> BorrowedFd<'static> {
    borrow(libc::STDERR_FILENO)
}

/// One of the three that no owner in this process holds.
fn borrow(stdio: RawFd) -> BorrowedFd<'static> {
    // SAFETY: rinit opens nothing at 0 to 2 but /dev/null; a descriptor that came closed gives EBADF, no worse.
    unsafe { BorrowedFd::borrow_raw(stdio) }
}

/// The width of the terminal `fd`, in columns; `None` if it is no terminal, or does not know.
#[must_use]
pub fn columns(fd: BorrowedFd<'_>) -> Option<u16> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ (ioctl_tty(2)) fills in a winsize.
    let done = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    Some(size.ws_col).filter(|columns| done == 0 && *columns > 0)
}

/// Whether descriptor `fd` is open.
#[must_use]
pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD reads a flag.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

/// dup2(2): makes `stdio`, 0 to 2, another name of `source`.
///
/// # Errors
/// EBADF, EINTR.
pub fn put(source: BorrowedFd<'_>, stdio: RawFd) -> Result<(), Errno> {
    match stdio {
        libc::STDIN_FILENO => dup2_stdin(source),
        libc::STDOUT_FILENO => dup2_stdout(source),
        _ => dup2_stderr(source),
    }
}

/// Closes every descriptor from 3 on but those in `keep`, which has all that anybody in this process owns.
///
/// # Errors
/// Where close_range(2) is refused (Linux before 5.9, seccomp) and /proc is not there either, or its list breaks off: ENOENT
/// and the like.
pub fn close_all_but(keep: &mut [RawFd]) -> Result<(), Errno> {
    keep.sort_unstable();
    let mut first = libc::STDERR_FILENO + 1;
    for fd in keep.iter().map(|fd| Some(*fd)).chain([None]) {
        let last = fd.map_or(i32::MAX, |fd| fd - 1);
        if first <= last {
            // SAFETY: what is closed was inherited and has no owner in this process: the caller's word.
            let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
            if closed == -1 {
                return close_listed(keep);
            }
        }
        first = fd.map_or(i32::MAX, |fd| fd.saturating_add(1));
    }
    Ok(())
}

/// The same by /proc/self/fd: never by a loop to RLIMIT_NOFILE, which may be a billion.
fn close_listed(keep: &[RawFd]) -> Result<(), Errno> {
    let list = std::fs::read_dir("/proc/self/fd").map_err(|error| errno_of(&error))?;
    // Collected first: one of them is the directory that is being read.
    let (mut open, mut all): (Vec<RawFd>, _) = (Vec::new(), Ok(()));
    for entry in list {
        match entry {
            Ok(entry) => open.extend(entry.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok())),
            Err(error) => all = Err(errno_of(&error)),
        }
    }
    for fd in open {
        if fd > libc::STDERR_FILENO && !keep.contains(&fd) {
            // SAFETY: as above; the directory itself is closed already, which gives EBADF.
            unsafe { libc::close(fd) };
        }
    }
    all
}

/// The errno of a standard library error; EIO for those that have none.
#[must_use]
pub fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

/// Writes as much of `bytes` to `to`, a file of this kind, as has room now. Only a device needs a description of its own
/// with O_NONBLOCK for that; a file on disk waits for nobody.
///
/// # Errors
/// EAGAIN when there is no room; EPIPE and the like.
pub fn write_now(kind: SFlag, to: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    match kind {
        SFlag::S_IFIFO => pipe_now(to, bytes),
        SFlag::S_IFSOCK => send_now(to, bytes),
        _ => nix::unistd::write(to, bytes),
    }
}

/// What kind of file this is.
#[must_use]
pub fn kind_of(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// Writes as much of `bytes` to the pipe `to` as has room now, where [`pipe_at_once`] cannot by way of a pipe of rinit's own:
/// splice(2) moves its content with SPLICE_F_NONBLOCK. Second choice, because every splice takes one of the reader's 16
/// slots, however few the bytes: the 17th line that is not read yet finds no room. Where both are refused (seccomp), a
/// description of rinit's own can have O_NONBLOCK.
///
/// # Errors
/// EAGAIN when there is no room; EPIPE, EMFILE.
pub fn pipe_now(to: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    if let Some(written) = pipe_at_once(to, bytes)? {
        return Ok(written);
    }
    let (read_end, write_end) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    let staged = nix::unistd::write(&write_end, bytes)?;
    match splice(read_end, None, to, None, staged, SpliceFFlags::SPLICE_F_NONBLOCK) {
        Err(Errno::ENOSYS | Errno::EPERM) => nix::unistd::write(own_description(to)?, bytes),
        spliced => spliced,
    }
}

/// Another description of what `fd` leads to, for writing and with O_NONBLOCK, by /proc.
///
/// # Errors
/// ENOENT without /proc; EACCES without the right; EMFILE.
pub fn own_description(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    above_stdio(nix::fcntl::open(path.as_str(), flags, Mode::empty())?)
}

/// Writes as much of `bytes` to the pipe `to` as has room now. poll(2) does not bound write(2): another writer may take
/// the room. RWF_NOWAIT does; pipes know it since Linux 6.4, named ones do not: `None`.
///
/// # Errors
/// EAGAIN when there is no room; EPIPE.
pub fn pipe_at_once(to: BorrowedFd<'_>, bytes: &[u8]) -> Result<Option<usize>, Errno> {
    match pwritev2(to, bytes, -1, libc::RWF_NOWAIT) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL | Errno::EPERM) => Ok(None),
        done => done.map(Some),
    }
}

/// Whether two of rinit's own descriptors are one open file description; no where kcmp(2) is refused.
#[must_use]
pub fn are_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    const KCMP_FILE: c_int = 0;
    let pid = nix::unistd::getpid().as_raw();
    // kcmp(2) takes longs: what is shorter leaves half of a register to chance.
    let [one, other] = [one, other].map(|fd| c_long::from(fd.as_raw_fd()));
    // SAFETY: only numbers go in and out.
    unsafe { libc::syscall(libc::SYS_kcmp, pid, pid, KCMP_FILE, one, other) == 0 }
}

/// Sends as much of `bytes` to the socket `to` as has room now.
///
/// # Errors
/// EAGAIN when there is no room; EPIPE, ENOTCONN.
pub fn send_now(to: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    nix::sys::socket::send(to.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)
}

/// pwritev2(2) with RWF_APPEND: at the end of `file`, whoever else writes to it, without O_APPEND on the descriptor. The
/// position of `file` is then behind what was written.
///
/// # Errors
/// ENOSPC, EFBIG, EDQUOT, EIO; EOPNOTSUPP and ENOSYS before Linux 4.16.
pub fn append(file: &File, bytes: &[u8]) -> Result<usize, Errno> {
    pwritev2(file.as_fd(), bytes, -1, libc::RWF_APPEND)
}

/// `offset` -1 is the file's own position.
fn pwritev2(fd: BorrowedFd<'_>, bytes: &[u8], offset: c_long, flags: c_int) -> Result<usize, Errno> {
    let vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: the vector describes `bytes`, which is only read. The offset is split over two registers, as the kernel
    // takes it on 32-bit machines: 0 and -1 are the same in both.
    let written = unsafe {
        let count: c_long = 1;
        libc::syscall(libc::SYS_pwritev2, fd.as_raw_fd(), &raw const vector, count, offset, offset, flags)
    };
    Errno::result(written).map(|written| usize::try_from(written).unwrap_or(0))
}
