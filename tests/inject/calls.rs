//! Which calls rinit makes, and how each of them can fail in life.

use libc::*;

/// A system call of rinit's.
#[derive(Debug)]
pub struct Call {
    pub number: i64,
    pub name: &'static str,
    /// What it can fail with, the most plausible first.
    pub errnos: &'static [i32],
}

macro_rules! calls {
    ($($name:ident $number:ident: $($errno:ident)*;)*) => {
        &[$(Call { number: $number, name: stringify!($name), errnos: &[$($errno),*] }),*]
    };
}

/// The errnos are those of the call's manual page that a container, a full machine, a network file system or a
/// stop and continue can bring about, and what seccomp profiles (EPERM), gVisor and old kernels (ENOSYS) say. Left
/// out: EFAULT and EBADF, which would be rinit's own mistakes, and calls that cannot fail (getpid, exit_group).
pub const CALLS: &[Call] = calls! {
    // Memory: RLIMIT_AS, a strict overcommit.
    mmap SYS_mmap: ENOMEM EAGAIN EPERM;
    mremap SYS_mremap: ENOMEM;
    munmap SYS_munmap: ENOMEM;
    // Its raw form returns no errno: without memory the end stays where it is (brk(2), NOTES).
    brk SYS_brk: ;
    madvise SYS_madvise: EINVAL;
    mprotect SYS_mprotect: ENOMEM EACCES;
    // Signals. Nothing can be done without the mask; a filter can forbid the rest.
    rt_sigprocmask SYS_rt_sigprocmask: EPERM EINVAL;
    rt_sigaction SYS_rt_sigaction: EPERM EINVAL;
    rt_sigpending SYS_rt_sigpending: EPERM;
    rt_sigtimedwait SYS_rt_sigtimedwait: EAGAIN EINTR;
    rt_sigqueueinfo SYS_rt_sigqueueinfo: EAGAIN EPERM ESRCH;
    signalfd4 SYS_signalfd4: ENOSYS EMFILE ENFILE ENOMEM EPERM;
    kill SYS_kill: EPERM ESRCH;
    // Processes.
    clone SYS_clone: EAGAIN ENOMEM EPERM;
    execve SYS_execve: ENOENT EACCES ENOEXEC ENOMEM E2BIG EAGAIN EIO ETXTBSY EMFILE;
    wait4 SYS_wait4: EINTR ECHILD ENOSYS EPERM;
    waitid SYS_waitid: EINTR ECHILD ENOSYS EPERM;
    setpgid SYS_setpgid: EPERM EACCES ESRCH;
    getpgid SYS_getpgid: ESRCH EPERM;
    setsid SYS_setsid: EPERM;
    getsid SYS_getsid: EPERM;
    prctl SYS_prctl: EINVAL EPERM ENOSYS;
    prlimit64 SYS_prlimit64: EPERM ENOSYS;
    getrlimit SYS_getrlimit: EPERM;
    kcmp SYS_kcmp: EPERM ENOSYS;
    pidfd_open SYS_pidfd_open: ENOSYS EMFILE EPERM;
    sysinfo SYS_sysinfo: EPERM;
    uname SYS_uname: EPERM;
    capget SYS_capget: EPERM;
    // Waiting. EINVAL: more descriptors than RLIMIT_NOFILE.
    poll SYS_poll: EINTR ENOMEM EINVAL;
    ppoll SYS_ppoll: EINTR ENOMEM EINVAL;
    nanosleep SYS_nanosleep: EINTR;
    clock_nanosleep SYS_clock_nanosleep: EINTR;
    // Descriptors. EINTR and EIO of close: NFS, FUSE; it is closed all the same.
    pipe2 SYS_pipe2: EMFILE ENFILE;
    dup2 SYS_dup2: EMFILE EINTR EBUSY;
    dup3 SYS_dup3: EMFILE EINTR EBUSY;
    fcntl SYS_fcntl: EMFILE EPERM EINVAL;
    ioctl SYS_ioctl: ENOTTY EIO EPERM;
    close SYS_close: EIO EINTR;
    close_range SYS_close_range: ENOSYS EPERM;
    fchmod SYS_fchmod: EPERM EROFS;
    inotify_init1 SYS_inotify_init1: EMFILE ENOSYS;
    inotify_add_watch SYS_inotify_add_watch: ENOSPC EACCES;
    // Files.
    open SYS_open: ENOENT EACCES EMFILE ENFILE EIO ELOOP EINTR;
    openat SYS_openat: ENOENT EACCES EMFILE ENFILE EIO ELOOP EINTR;
    access SYS_access: ENOENT EACCES EIO;
    faccessat SYS_faccessat: ENOENT EACCES EIO;
    faccessat2 SYS_faccessat2: ENOSYS EACCES EIO;
    stat SYS_stat: ENOENT EACCES EIO ELOOP;
    lstat SYS_lstat: ENOENT EACCES EIO;
    fstat SYS_fstat: EIO ENOMEM;
    newfstatat SYS_newfstatat: EIO ENOENT EACCES ENOMEM;
    statx SYS_statx: EIO ENOSYS EPERM ENOENT EACCES;
    statfs SYS_statfs: EIO EACCES ENOSYS;
    fstatfs SYS_fstatfs: EIO ENOSYS;
    readlink SYS_readlink: EACCES ENOENT EIO ENOMEM;
    readlinkat SYS_readlinkat: EACCES ENOENT EIO;
    getcwd SYS_getcwd: ENOENT ENOMEM;
    chdir SYS_chdir: EACCES EIO;
    getdents64 SYS_getdents64: ENOENT EIO;
    getxattr SYS_getxattr: EOPNOTSUPP EIO;
    lseek SYS_lseek: ESPIPE EINVAL;
    ftruncate SYS_ftruncate: EIO EPERM EINTR;
    read SYS_read: EIO EINTR EAGAIN ENOMEM;
    readv SYS_readv: EIO EINTR;
    pread64 SYS_pread64: EIO EINTR ENOMEM;
    write SYS_write: ENOSPC EIO EPIPE EAGAIN EINTR;
    writev SYS_writev: ENOSPC EIO EPIPE EAGAIN EINTR;
    pwrite64 SYS_pwrite64: ENOSPC EIO EINTR;
    pwritev2 SYS_pwritev2: EOPNOTSUPP ENOSPC EIO ENOSYS EAGAIN EPIPE;
    sendto SYS_sendto: EAGAIN EPIPE ENOBUFS EINTR;
    splice SYS_splice: EINVAL EAGAIN ENOMEM EPIPE;
    tee SYS_tee: EINVAL EAGAIN ENOMEM EPIPE;
    getsockopt SYS_getsockopt: ENOTSOCK;
    // They cannot fail, but may be slow.
    getpid SYS_getpid: ;
    getppid SYS_getppid: ;
    getpgrp SYS_getpgrp: ;
    getuid SYS_getuid: ;
    geteuid SYS_geteuid: ;
    getgid SYS_getgid: ;
    getegid SYS_getegid: ;
    gettid SYS_gettid: ;
    exit_group SYS_exit_group: ;
    restart_syscall SYS_restart_syscall: ;
    clock_gettime SYS_clock_gettime: ;
    getrandom SYS_getrandom: ;
    sched_yield SYS_sched_yield: ;
    futex SYS_futex: ;
    tkill SYS_tkill: ;
    sched_getaffinity SYS_sched_getaffinity: ;
};

/// The row of a call. Each that rinit makes has one: a new call is thought about first.
pub fn row(number: i64) -> &'static Call {
    CALLS
        .iter()
        .find(|call| call.number == number)
        .unwrap_or_else(|| panic!("system call {number} has no row in tests/inject/calls.rs"))
}

/// Whether it can be the answer for ever. The others are of a moment: EBUSY is a race of dup2(2) with open(2), each EINTR
/// takes a signal of its own, ECHILD ends with the next child, and after an EAGAIN that is no limit poll(2) says when to
/// try again.
pub fn lasts(number: i64, errno: i32) -> bool {
    let limit = [SYS_clone, SYS_execve, SYS_mmap].contains(&number);
    ![EINTR, ECHILD, EBUSY].contains(&errno) && (errno != EAGAIN || limit)
}

/// An errno's name.
pub fn errno_name(errno: i32) -> String {
    format!("{:?}", nix::errno::Errno::from_raw(errno))
}
