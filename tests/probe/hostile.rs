//! What a program should never do.

use std::ffi::CStr;
use std::{process, ptr};

use crate::raw::{self, Action};

/// Processes that make orphans at the same time.
const AT_ONCE: usize = 4;

/// Orphans without end: each process forks and ends at once, and its child does the same. What is to become of PROGRAM
/// meanwhile: SIGTERM ends it, SIGTERM is ignored, or it ends by itself with status 5.
pub fn forks(how: &str) -> i32 {
    if how == "ignored" {
        raw::action(libc::SIGTERM, Some(&Action { handler: libc::SIG_IGN, ..Action::default() }));
    }
    raw::die_with_parent();
    let rinit = unsafe { libc::getppid() };
    for _ in 0..AT_ONCE {
        if raw::fork() == 0 {
            // Nor does a --drain end it.
            raw::action(libc::SIGTERM, Some(&Action { handler: libc::SIG_IGN, ..Action::default() }));
            // Where there are too many already, the next try may succeed.
            while !raw::gone(rinit) && unsafe { libc::fork() } <= 0 {}
            unsafe { libc::_exit(0) };
        }
    }
    raw::print(&format!("ready {}", process::id()));
    if how == "gone" {
        return 5;
    }
    loop {
        unsafe { libc::pause() };
    }
}

/// Becomes `command`, when there is a line to read, with `count` ended children that nobody has waited for.
pub fn zombies(count: usize, command: &[&CStr]) -> i32 {
    for _ in 0..count {
        if raw::fork() == 0 {
            unsafe { libc::_exit(0) };
        }
    }
    unsafe { libc::read(0, [0_u8; 1].as_mut_ptr().cast(), 1) };
    let argv: Vec<_> = command.iter().map(|a| a.as_ptr()).chain([ptr::null()]).collect();
    unsafe { libc::execv(argv[0], argv.as_ptr()) };
    126
}

/// Stops itself as Ctrl-Z does, again and again.
pub fn stops() -> i32 {
    raw::die_with_parent();
    raw::print(&format!("ready {}", process::id()));
    loop {
        raw::kill(unsafe { libc::getpid() }, libc::SIGTSTP);
    }
}

/// Leaves processes that send rinit each of `signals` without end, and ignores them itself. Ends with `status`, or holds.
pub fn pesters(signals: &str, status: Option<i32>) -> i32 {
    let signals: Vec<i32> = signals.split(',').map(|signal| signal.parse().unwrap()).collect();
    for signal in &signals {
        raw::action(*signal, Some(&Action { handler: libc::SIG_IGN, ..Action::default() }));
    }
    raw::die_with_parent();
    let rinit = unsafe { libc::getppid() };
    for _ in 0..AT_ONCE {
        if raw::fork() == 0 {
            while !raw::gone(rinit) {
                signals.iter().for_each(|signal| raw::kill(rinit, *signal));
            }
            unsafe { libc::_exit(0) };
        }
    }
    raw::print(&format!("ready {}", process::id()));
    status.unwrap_or_else(|| {
        loop {
            unsafe { libc::pause() };
        }
    })
}
