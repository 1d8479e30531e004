//! fork, execve, exit.

use std::ffi::{CStr, CString, c_long, c_ulong};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;

use crate::signals::Signo;

use super::entry::StringArray;

/// Which side of a fork this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    /// rinit, with the child's pid.
    Parent(i32),
    /// The child.
    Child,
}

/// clone(2) as a plain fork: libc's fork adds calls of its own around it, for threads that rinit does not have.
///
/// # Errors
/// EAGAIN (a limit on processes), ENOMEM.
pub fn fork() -> Result<Fork, Errno> {
    // clone(2): s390x takes the stack first. No stack of its own: the child goes on with a copy of this one.
    const FLAGS: c_long = libc::SIGCHLD as c_long;
    const NONE: c_long = 0;
    let (first, second) = if cfg!(target_arch = "s390x") { (NONE, FLAGS) } else { (FLAGS, NONE) };
    // SAFETY: rinit has one thread, so no lock can be held in the child; without CLONE_VM it has its own memory.
    let pid = unsafe { libc::syscall(libc::SYS_clone, first, second, NONE, NONE, NONE) };
    match Errno::result(pid)? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid as i32)),
    }
}

/// execve(2) itself, without execvp's second try with /bin/sh. Returns only the failure.
pub fn execve(path: &CStr, argv: StringArray<'_>, envp: StringArray<'_>) -> Errno {
    // SAFETY: a string and two null-terminated arrays of strings, by their types.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    Errno::last()
}

/// Ends the process at once: no handlers, no flushing.
pub fn exit(status: u8) -> ! {
    // SAFETY: _exit(2) has no preconditions.
    unsafe { libc::_exit(i32::from(status)) }
}

/// pidfd_open(2): readable once process `pid` has ended.
///
/// # Errors
/// ESRCH; ENOSYS before Linux 5.3; EMFILE and the like.
pub fn watch(pid: i32) -> Result<OwnedFd, Errno> {
    const NO_FLAGS: c_long = 0;
    // SAFETY: no memory is involved.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, c_long::from(pid), NO_FLAGS) })?;
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel just made this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// ptrace(2), `PTRACE_DETACH`: no longer traces `pid`, which goes on with `signal`.
///
/// # Errors
/// ESRCH when it is not stopped for this process.
pub fn stop_tracing(pid: i32, signal: Option<Signo>) -> Result<(), Errno> {
    // SAFETY: no memory of this process is involved.
    Errno::result(unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, 0, signal.map_or(0, Signo::raw)) }).map(drop)
}

/// Whether this process leads its session (setsid(2)).
#[must_use]
pub fn is_session_leader() -> bool {
    nix::unistd::getsid(None).is_ok_and(|session| session == nix::unistd::getpid())
}

/// Makes the terminal `fd`, if it is one, that of the session that this process has just made (TIOCSCTTY, ioctl_tty(2)).
/// It stays another session's where that has it.
pub fn take_terminal(fd: BorrowedFd<'_>) {
    // SAFETY: no memory is involved.
    unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSCTTY, 0) };
}

/// Gives up the controlling terminal `fd`, if it is that (TIOCNOTTY, ioctl_tty(2)). The kernel then sends a session leader's
/// foreground group SIGHUP and SIGCONT; those that come to this process, with both blocked, are taken away again.
pub fn give_up_terminal(fd: BorrowedFd<'_>) {
    let caused = [Signo::HUP, Signo::CONT].map(|signal| (signal, !super::signal::is_pending(signal)));
    // SAFETY: no memory is involved.
    let given_up = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCNOTTY) } == 0;
    for (signal, _) in caused.into_iter().filter(|(_, is_new)| *is_new && given_up) {
        super::signal::discard(signal);
    }
}

/// prctl(2), `PR_SET_PDEATHSIG`: what this process is sent when its parent dies. PROGRAM does not inherit it.
///
/// # Errors
/// None for a valid signal.
pub fn set_parent_death_signal(signal: Signo) -> Result<(), Errno> {
    // SAFETY: no memory is involved.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, c_ulong::from(signal.as_u8())) }).map(drop)
}

/// getxattr(2): an extended attribute of the file at `path`, links followed. `None` if there is none of this name, or
/// it is longer than 64 bytes and the attribute is not one that rinit reads: then it comes empty.
#[must_use]
pub fn attribute(path: &Path, name: &CStr) -> Option<Vec<u8>> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut value = vec![0_u8; 64];
    // SAFETY: two strings, and a buffer of the length that is given.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    match Errno::result(length) {
        Ok(length) => value.truncate(usize::try_from(length).unwrap_or(0)),
        Err(Errno::ERANGE) => value.clear(),
        Err(_) => return None,
    }
    Some(value)
}
