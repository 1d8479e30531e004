//! Masks, dispositions, signalfd, kill.

use std::cell::Cell;
use std::ffi::c_long;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::signals::{Received, SI_QUEUE, SI_USER, SignalSet, Signo};

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
    ///
    /// # Errors
    /// EPERM and the like under a seccomp filter: without this nothing can be promised.
    pub fn take() -> Result<Self, Errno> {
        let mask = set_mask(SignalSet::ALL)?;
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        // SAFETY: no handler is installed.
        let old = unsafe { sigaction(Signal::SIGCHLD, &default) }?;
        Ok(Self { mask, chld_ignored: matches!(old.handler(), SigHandler::SigIgn) })
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
    ///
    /// # Errors
    /// As [`Inherited::take`]: a PROGRAM that no signal reaches must not run.
    pub fn give_back(&self) -> Result<(), Errno> {
        if self.chld_ignored {
            let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
            // SAFETY: no handler is installed.
            unsafe { sigaction(Signal::SIGCHLD, &ignore) }?;
        }
        set_mask(self.mask).map(drop)
    }
}

/// rt_sigprocmask(2) itself: musl's wrapper cannot name 32 to 34. Returns the mask before. (The kernel's set is an array
/// of longs; as one u64 it is right on all but 32-bit big-endian machines.)
fn set_mask(mask: SignalSet) -> Result<SignalSet, Errno> {
    let mut old = 0_u64;
    // SAFETY: both pointers are to sets of the size that is given.
    let set = unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask.0, &raw mut old, SET_SIZE)
    };
    Errno::result(set).map(|_| SignalSet(old))
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
pub struct SignalFd {
    /// signalfd(2)'s; where that is refused one that stands in its place, and on which nothing ever happens.
    fd: OwnedFd,
    wanted: Cell<SignalSet>,
    refused: Option<Errno>,
    /// What [`SignalFd::wait`] has received.
    received: Cell<Option<Received>>,
}

impl SignalFd {
    /// signalfd(2) for every signal. Reading blocks. Where it is refused (seccomp), signals are received by
    /// rt_sigtimedwait(2), and nothing can be waited for beside them.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM; ENOSYS and EPERM where both calls are refused.
    pub fn new() -> Result<Self, Errno> {
        let wanted = SignalSet::ALL;
        let (fd, refused) = match signalfd(-1, wanted) {
            Ok(fd) => (fd, None),
            // None of an empty set arrives, unless the call itself is refused.
            Err(errno) if receive(SignalSet::default(), Some(Duration::ZERO)) == Ok(None) => {
                // SAFETY: no memory is involved.
                (Errno::result(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?, Some(errno))
            }
            Err(errno) => return Err(errno),
        };
        // SAFETY: the kernel just made this descriptor, nobody else owns it.
        let fd = above_stdio(unsafe { OwnedFd::from_raw_fd(fd) })?;
        Ok(Self { fd, wanted: Cell::new(wanted), refused, received: Cell::new(None) })
    }

    /// Why there is no signalfd, if there is none.
    #[must_use]
    pub fn refused(&self) -> Option<Errno> {
        self.refused
    }

    /// Without a signalfd: waits for a signal, `limit` at most, and says whether there is one to be read. With one: `None`.
    pub fn wait(&self, limit: Option<Duration>) -> Option<bool> {
        self.refused?;
        if let Ok(received @ Some(_)) = receive(self.wanted.get(), limit) {
            self.received.set(received);
        }
        Some(self.received.get().is_some())
    }

    /// From now on only the signals of `set` are read; the others wait.
    pub fn listen_to(&self, set: SignalSet) {
        if self.wanted.get() != set && (self.refused.is_some() || signalfd(self.fd.as_raw_fd(), set).is_ok()) {
            self.wanted.set(set);
        }
    }

    /// Waits for a signal; hands those that are there to `take`, one of each kind at least.
    ///
    /// # Errors
    /// None are known but EINTR: a stop and continue of rinit itself (signal(7)).
    pub fn read(&self, mut take: impl FnMut(Received)) -> Result<(), Errno> {
        if self.refused.is_some() {
            let wanted = self.wanted.get();
            let first = self.received.take().map_or_else(|| receive(wanted, None), |one| Ok(Some(one)))?;
            hand_over(first, wanted, &mut take);
            return Ok(());
        }
        let mut buffer = [const { MaybeUninit::<libc::signalfd_siginfo>::uninit() }; 8];
        // SAFETY: the buffer is as large as said.
        let read = unsafe { libc::read(self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), size_of_val(&buffer)) };
        let read = usize::try_from(Errno::result(read)?).unwrap_or(0) / size_of::<libc::signalfd_siginfo>();
        let mut others = self.wanted.get();
        for info in buffer.iter().take(read) {
            // SAFETY: the kernel filled as many whole structures as it returned bytes for.
            let info = unsafe { info.assume_init_ref() };
            let Some(signal) = i32::try_from(info.ssi_signo).ok().and_then(Signo::new) else { continue };
            others = others.without(signal);
            take(Received { signal, code: info.ssi_code, pid: info.ssi_pid as i32, value: info.ssi_ptr });
        }
        if read == buffer.len() {
            hand_over(None, others, &mut take);
        }
        Ok(())
    }
}

/// Hands `next` to `take`, and then one of each other kind of `set` that is there. Faults come first, then the lowest
/// number: where those come as fast as they are taken, others never would.
fn hand_over(mut next: Option<Received>, mut set: SignalSet, take: &mut impl FnMut(Received)) {
    while let Some(received) = next.take().or_else(|| next_of(set)) {
        set = set.without(received.signal);
        take(received);
    }
}

/// signalfd4(2): a new descriptor (`fd` -1), or what `fd` reads from now on.
fn signalfd(fd: i32, set: SignalSet) -> Result<i32, Errno> {
    // SAFETY: the pointer is to a set of the size that is given.
    let fd = unsafe { libc::syscall(libc::SYS_signalfd4, fd, &raw const set.0, SET_SIZE, libc::SFD_CLOEXEC) };
    i32::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)
}

impl std::os::fd::AsFd for SignalFd {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
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
    let _ = set_mask(SignalSet::ALL.without(signal));
    let _ = set_mask(SignalSet::ALL);
    is_pending(Signo::CONT)
}

/// Whether `signal` waits to be read.
#[must_use]
pub fn is_pending(signal: Signo) -> bool {
    pending().contains(signal)
}

/// Whether a signal waits to be read.
#[must_use]
pub fn is_any_pending() -> bool {
    pending() != SignalSet::default()
}

fn pending() -> SignalSet {
    let mut pending = 0_u64;
    // SAFETY: the pointer is to a set of the size that is given.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, SET_SIZE) };
    SignalSet(pending)
}

/// The next signal without a descriptor; `None` if there is none within `limit`.
#[must_use]
pub fn next(limit: Duration) -> Option<Received> {
    receive(SignalSet::ALL, Some(limit)).ok().flatten()
}

/// Takes `signal` away if it waits to be read.
pub fn discard(signal: Signo) {
    let _ = next_of(SignalSet::default().with(signal));
}

/// Takes a signal of `set` that waits to be read, if there is one.
fn next_of(set: SignalSet) -> Option<Received> {
    receive(set, Some(Duration::ZERO)).ok().flatten()
}

/// Takes a signal of `set`, and waits for it, `limit` at most (rt_sigtimedwait(2)). `None`: none came.
///
/// # Errors
/// EINTR; ENOSYS and EPERM under a seccomp filter.
fn receive(set: SignalSet, limit: Option<Duration>) -> Result<Option<Received>, Errno> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // A timespec, as the call of this number takes it on every machine: two longs.
    let limit = limit.map(|limit| [limit.as_secs() as c_long, c_long::from(limit.subsec_nanos().cast_signed())]);
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: a set of the size that is given, a siginfo_t, and a timespec or none.
    let signal =
        unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set.0, info.as_mut_ptr(), limit, SET_SIZE) };
    let signal = match Errno::result(signal) {
        Err(Errno::EAGAIN) => return Ok(None),
        signal => i32::try_from(signal?).ok().and_then(Signo::new),
    };
    // SAFETY: all zero is a valid siginfo_t. What is read is what kill(2) and sigqueue(3) fill, and plain numbers.
    let (code, pid, value) = unsafe {
        let info = info.assume_init_ref();
        (info.si_code, info.si_pid(), info.si_value().sival_ptr)
    };
    // Other kinds have something else in those places; signalfd(2) leaves them zero then.
    let pid = if [SI_USER, SI_QUEUE, libc::SI_TKILL].contains(&code) { pid } else { 0 };
    let value = if code == SI_QUEUE { value as u64 } else { 0 };
    Ok(signal.map(|signal| Received { signal, code, pid, value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "miri blocks no signals")]
    fn a_signal_that_comes_again_and_again_keeps_no_higher_one_back() {
        let raise = |signal: Signo| {
            // SAFETY: no memory is involved.
            let sent = unsafe { libc::syscall(libc::SYS_tkill, libc::gettid(), signal.raw()) };
            assert_eq!(sent, 0, "{signal}");
        };
        let before = set_mask(SignalSet::ALL).unwrap();
        let signals = SignalFd::new().unwrap();
        // A SIGTSTP takes a SIGCONT away that waits (signal(7)).
        let all = || Signo::all().filter(|signal| ![Signo::KILL, Signo::STOP, Signo::CONT].contains(signal));
        all().for_each(raise);
        let mut seen = Vec::new();
        signals
            .read(|received| {
                seen.push(received);
                raise(received.signal);
            })
            .unwrap();
        while all().any(|signal| next_of(SignalSet::default().with(signal)).is_some()) {}
        set_mask(before).unwrap();
        let pid = std::process::id().cast_signed();
        for signal in all() {
            let one = Received { signal, code: libc::SI_TKILL, pid, value: 0 };
            assert!(seen.contains(&one), "{signal} is not among {seen:?}");
        }
    }
}
