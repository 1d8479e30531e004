//! System calls by number: the C library refuses its own signals 32 and 33, and stdio may be closed.

use std::ptr;

/// Writes a line to stdout at once and in one piece.
pub fn print(line: &str) {
    write(1, &format!("{line}\n"));
}

pub fn write(fd: i32, text: &str) {
    unsafe { libc::write(fd, text.as_ptr().cast(), text.len()) };
}

/// struct kernel_sigaction (the same on x86-64 and arm64).
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Action {
    pub handler: usize,
    pub flags: u64,
    pub restorer: usize,
    pub mask: u64,
}

pub fn action(signal: i32, new: Option<&Action>) -> Action {
    let mut old = Action::default();
    let new = new.map_or(ptr::null(), ptr::from_ref);
    let result = unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, &raw mut old, 8usize) };
    assert_eq!(result, 0, "sigaction {signal}");
    old
}

pub fn set_mask(set: u64) {
    let none = ptr::null_mut::<u64>();
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const set, none, 8usize) };
}

pub fn kill(pid: i32, signal: i32) {
    unsafe { libc::syscall(libc::SYS_kill, pid, signal) };
}

/// Whether this process is gone and reaped. What forks, or is busy, without end goes by it: a namespace ends with its
/// PID 1, but a rinit that is none may be killed together with its test, and nobody looks for what is left.
pub fn gone(pid: i32) -> bool {
    unsafe { libc::kill(pid, 0) != 0 }
}

/// For PROGRAM itself, whose parent is rinit. Children do not have it from their parents, and to an orphan its new parent
/// would count.
pub fn die_with_parent() {
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

pub fn fork() -> i32 {
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    pid
}

pub fn pipe() -> [i32; 2] {
    let mut ends = [0; 2];
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0, "pipe");
    ends
}

pub fn wait_for_end(fd: i32) {
    let mut byte = [0_u8; 64];
    while unsafe { libc::read(fd, byte.as_mut_ptr().cast(), byte.len()) } > 0 {}
}
