//! Ends, orphans and parents.

use std::ffi::CStr;
use std::ptr;

use crate::SURVIVED;
use crate::raw::{self, Action};

/// Kills itself with this signal; SURVIVED if that does not end it.
pub fn die(signal: i32) -> i32 {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
    // A core_pattern that is a pipe does not care for the limit.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
    if signal != libc::SIGKILL && signal != libc::SIGSTOP {
        raw::action(signal, Some(&Action::default()));
    }
    raw::set_mask(0);
    raw::kill(unsafe { libc::getpid() }, signal);
    SURVIVED
}

/// Waits for a signal that ends it.
pub fn hold() -> i32 {
    raw::print(&format!("ready {}", std::process::id()));
    loop {
        unsafe { libc::pause() };
    }
}

/// Makes `count` orphans: some, then `first` and a wait for a line, then the others and `done`; ends with stdin.
pub fn orphans(count: usize) -> i32 {
    const AT_ONCE: usize = 100;
    let mut made = 0;
    while made < count {
        let batch = AT_ONCE.min(count - made);
        let [gate, alive] = [pipe(), pipe()];
        let between = raw::fork();
        if between == 0 {
            for _ in 0..batch {
                if raw::fork() == 0 {
                    unsafe { libc::close(gate[1]) };
                    wait_for_end(gate[0]);
                    unsafe { libc::_exit(0) };
                }
            }
            unsafe { libc::_exit(0) };
        }
        // From here on they are orphans.
        unsafe { libc::waitpid(between, ptr::null_mut(), 0) };
        unsafe { libc::close(gate[1]) };
        unsafe { libc::close(alive[1]) };
        wait_for_end(alive[0]);
        unsafe { libc::close(gate[0]) };
        unsafe { libc::close(alive[0]) };
        made += batch;
        if made == batch {
            raw::print("first");
            unsafe { libc::read(0, [0_u8; 64].as_mut_ptr().cast(), 64) };
        }
    }
    raw::print("done");
    wait_for_end(0);
    0
}

/// Ends with status 3 and leaves `count` children that hold.
pub fn leave(count: usize) -> i32 {
    for _ in 0..count {
        if raw::fork() == 0 {
            hold();
        }
    }
    3
}

/// Goes to the background as daemon(3) does: status 0, and a process of its name that lives on.
pub fn daemonise() -> i32 {
    if raw::fork() == 0 {
        unsafe { libc::setsid() };
        hold();
    }
    0
}

/// Makes the call that its own filter kills for: getppid(2).
pub fn seccomp() -> i32 {
    const NUMBER: u32 = 0;
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let [jump, end] =
        [libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::BPF_RET | libc::BPF_K].map(|code| code as u16);
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut steps = [
        step(load, 0, 0, NUMBER),
        step(jump, 0, 1, libc::SYS_getppid as u32),
        step(end, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
        step(end, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter), 0);
        libc::getppid();
    }
    SURVIVED
}

/// Starts a program and waits for neither it nor its end.
pub fn parent(command: &[&CStr]) -> i32 {
    start(command);
    loop {
        unsafe { libc::pause() };
    }
}

/// An init that waits for its program and for nobody else.
pub fn noreap(command: &[&CStr]) -> i32 {
    let mut status = 0;
    let pid = start(command);
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    libc::WEXITSTATUS(status)
}

fn start(command: &[&CStr]) -> i32 {
    let pid = raw::fork();
    if pid == 0 {
        let argv: Vec<_> = command.iter().map(|a| a.as_ptr()).chain([ptr::null()]).collect();
        unsafe { libc::execv(argv[0], argv.as_ptr()) };
        unsafe { libc::_exit(126) };
    }
    pid
}

fn pipe() -> [i32; 2] {
    let mut ends = [0; 2];
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0, "pipe");
    ends
}

fn wait_for_end(fd: i32) {
    let mut byte = [0_u8; 64];
    while unsafe { libc::read(fd, byte.as_mut_ptr().cast(), byte.len()) } > 0 {}
}
