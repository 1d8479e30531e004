//! Masks, dispositions, signalfd, kill.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::signals::{Received, SI_QUEUE, SignalSet, Signo};

use super::descriptor::above_stdio;

/// What the kernel takes for the size of its signal set: 64 signals.
const SET_SIZE: usize = size_of::<u64>();

/// Signal state that PROGRAM gets back just before it runs.
#[derive(Debug, Clone, Copy)]
pub struct Inherited {
    mask: SignalSet,
    chld_ignored: bool,
}

impl Inherited {
    /// Blocks every signal, the fault signals too, and makes sure that children become zombies: an inherited SIG_IGN
    /// for SIGCHLD would have the kernel reap them unseen (wait(2), NOTES). All other dispositions stay as they are.
    pub fn take() -> Self {
        let mask = set_mask(SignalSet::ALL);
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        // SAFETY: no handler is installed.
        let old = unsafe { sigaction(Signal::SIGCHLD, &default) };
        Self { mask, chld_ignored: old.is_ok_and(|old| matches!(old.handler(), SigHandler::SigIgn)) }
    }

    /// The signals that were blocked.
    #[must_use]
    pub fn mask(&self) -> SignalSet {
        self.mask
    }

    /// Whether SIGCHLD was ignored.
    #[must_use]
    pub fn ignores_chld(&self) -> bool {
        self.chld_ignored
    }

    /// Gives back what was taken. Allocates nothing: the forked child calls it.
    pub fn give_back(&self) {
        if self.chld_ignored {
            let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
            // SAFETY: no handler is installed.
            let _ = unsafe { sigaction(Signal::SIGCHLD, &ignore) };
        }
        set_mask(self.mask);
    }
}

/// rt_sigprocmask(2) itself: musl's wrapper cannot name 32 to 34. Returns the mask before. It cannot fail with these
/// arguments. (The kernel's set is an array of longs; as one u64 it is right on all but 32-bit big-endian machines.)
fn set_mask(mask: SignalSet) -> SignalSet {
    let mut old = 0_u64;
    // SAFETY: both pointers are to sets of the size that is given.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask.0, &raw mut old, SET_SIZE) };
    SignalSet(old)
}

/// The signals that are ignored. rt_sigaction(2) itself: musl's wrapper cannot name 32 to 34.
#[must_use]
pub fn ignored() -> SignalSet {
    Signo::all().fold(SignalSet::default(), |set, signal| {
        // The kernel's structure has four words at most; the handler is the first.
        let mut action = [0_usize; 8];
        // SAFETY: nothing is set, and what is read fits.
        let read = unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal.raw(), ptr::null::<usize>(), action.as_mut_ptr(), SET_SIZE)
        };
        if read == 0 && action.first() == Some(&libc::SIG_IGN) { set.with(signal) } else { set }
    })
}

/// The one descriptor from which rinit reads all signals.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// signalfd(2) for every signal. Reading blocks.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM; ENOSYS and EPERM under a seccomp filter.
    pub fn new() -> Result<Self, Errno> {
        let all = SignalSet::ALL;
        // SAFETY: the pointer is to a set of the size that is given.
        let fd = unsafe { libc::syscall(libc::SYS_signalfd4, -1, &raw const all.0, SET_SIZE, libc::SFD_CLOEXEC) };
        let fd = i32::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
        // SAFETY: the kernel just made this descriptor, nobody else owns it.
        above_stdio(unsafe { OwnedFd::from_raw_fd(fd) }).map(Self)
    }

    /// Waits for a signal; hands each that is there to `take`.
    ///
    /// # Errors
    /// None are known but EINTR: a stop and continue of rinit itself (signal(7)).
    pub fn read(&self, mut take: impl FnMut(Received)) -> Result<(), Errno> {
        let mut buffer = [const { MaybeUninit::<libc::signalfd_siginfo>::uninit() }; 8];
        // SAFETY: the buffer is as large as said.
        let read = unsafe { libc::read(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), size_of_val(&buffer)) };
        let read = usize::try_from(Errno::result(read)?).unwrap_or(0);
        for info in buffer.iter().take(read / size_of::<libc::signalfd_siginfo>()) {
            // SAFETY: the kernel filled as many whole structures as it returned bytes for.
            let info = unsafe { info.assume_init_ref() };
            let Some(signal) = i32::try_from(info.ssi_signo).ok().and_then(Signo::new) else { continue };
            take(Received { signal, code: info.ssi_code, pid: info.ssi_pid as i32, value: info.ssi_ptr });
        }
        Ok(())
    }
}

impl std::os::fd::AsFd for SignalFd {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// kill(2) with a raw number. A negative pid is a process group.
///
/// # Errors
/// ESRCH, EPERM.
pub fn kill(pid: i32, signal: Signo) -> Result<(), Errno> {
    // SAFETY: no memory is involved.
    Errno::result(unsafe { libc::kill(pid, signal.raw()) }).map(drop)
}

/// `siginfo_t` as rt_sigqueueinfo(2) reads it (include/uapi/asm-generic/siginfo.h).
#[repr(C)]
struct QueueInfo {
    signal: i32,
    errno: i32,
    code: i32,
    #[cfg(target_pointer_width = "64")]
    padding: i32,
    pid: i32,
    uid: u32,
    value: usize,
    #[cfg(target_pointer_width = "64")]
    rest: [u8; 96],
    #[cfg(target_pointer_width = "32")]
    rest: [u8; 104],
}

const _: () = assert!(size_of::<QueueInfo>() == 128);

/// Sends `signal` with the value of sigqueue(3).
///
/// # Errors
/// ESRCH, EPERM; EAGAIN when the receiver's queue is full.
pub fn queue(pid: i32, signal: Signo, value: u64) -> Result<(), Errno> {
    let info = QueueInfo {
        signal: signal.raw(),
        errno: 0,
        code: SI_QUEUE,
        #[cfg(target_pointer_width = "64")]
        padding: 0,
        pid: std::process::id().cast_signed(),
        uid: nix::unistd::getuid().as_raw(),
        value: value as usize,
        #[cfg(target_pointer_width = "64")]
        rest: [0; 96],
        #[cfg(target_pointer_width = "32")]
        rest: [0; 104],
    };
    // SAFETY: the pointer is to a structure of siginfo_t's size.
    let sent = unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, signal.raw(), &raw const info) };
    Errno::result(sent).map(drop)
}

/// Sends `signal` (TSTP, TTIN or TTOU), whose default action is to stop, to `pid` (0: rinit's group), and lets it stop
/// rinit. Returns after a SIGCONT, or at once: the kernel stops no process of an orphaned group, because no shell is
/// there to continue it (setpgid(2)). Says whether the SIGCONT came.
pub fn stop_by(pid: i32, signal: Signo) -> bool {
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed.
    let _ = Signal::try_from(signal.raw()).and_then(|signal| unsafe { sigaction(signal, &action) });
    let _ = kill(pid, signal);
    set_mask(SignalSet(!SignalSet::default().with(signal).0));
    set_mask(SignalSet::ALL);
    is_pending(Signo::CONT)
}

/// Whether `signal` waits to be read.
#[must_use]
pub fn is_pending(signal: Signo) -> bool {
    let mut pending = 0_u64;
    // SAFETY: the pointer is to a set of the size that is given.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, SET_SIZE) };
    SignalSet(pending).contains(signal)
}
