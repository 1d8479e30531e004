//! Counts signals without a handler, by sigwaitinfo(2): faster than anybody sends them.

use std::{mem, process, ptr};

use crate::raw;

/// What four senders send: each a real-time signal and another.
const QUEUED: [i32; 4] = [40, 41, 42, 43];
const OTHERS: [i32; 4] = [libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH];

/// The next signal of `set`, and its value.
fn next(set: u64) -> (i32, i32) {
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    loop {
        let none = ptr::null::<libc::timespec>();
        let signal = unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set, &raw mut info, none, 8usize) };
        if signal > 0 {
            return (signal as i32, unsafe { info.si_value() }.sival_ptr as usize as i32);
        }
    }
}

fn wait_for_line() {
    unsafe { libc::read(0, [0_u8; 64].as_mut_ptr().cast(), 64) };
}

/// Takes no signal before there is a line to read, then `signal` until its value is -1.
pub fn takes(signal: i32) -> i32 {
    raw::set_mask(u64::MAX);
    raw::print(&format!("ready {}", process::id()));
    wait_for_line();
    let mut took = 0;
    loop {
        match next(1 << (signal - 1)).1 {
            -1 => break,
            value if value == took => took += 1,
            value => {
                raw::print(&format!("took {value} instead of {took}"));
                return 1;
            }
        }
    }
    raw::print(&format!("took {took}"));
    0
}

/// Has four senders send `each` real-time signals to rinit, with others between them, and counts what comes back: `warm`
/// after a tenth, then waits for a line; `done` after all of it, then waits for a line.
pub fn count(each: usize) -> i32 {
    let set = QUEUED.iter().chain(&OTHERS).fold(0, |set, signal| set | 1_u64 << (signal - 1));
    raw::set_mask(u64::MAX);
    raw::die_with_parent();
    let rinit = unsafe { libc::getppid() };
    let gate = raw::pipe();
    for (queued, other) in QUEUED.into_iter().zip(OTHERS) {
        if raw::fork() == 0 {
            unsafe { libc::close(gate[1]) };
            for value in 0..each {
                if value == each / 10 {
                    unsafe { libc::read(gate[0], [0_u8; 1].as_mut_ptr().cast(), 1) };
                }
                let word = libc::sigval { sival_ptr: ptr::without_provenance_mut(value) };
                while unsafe { libc::sigqueue(rinit, queued, word) } != 0 {
                    if raw::gone(rinit) {
                        unsafe { libc::_exit(0) };
                    }
                    unsafe { libc::sched_yield() };
                }
                raw::kill(rinit, other);
            }
            unsafe { libc::_exit(0) };
        }
    }
    unsafe { libc::close(gate[0]) };
    raw::print(&format!("ready {}", process::id()));
    let mut counted = [0; QUEUED.len()];
    let mut seen = 0_u64;
    for (until, word) in [(each / 10, "warm"), (each, "done")] {
        while counted.iter().any(|count| *count < until) || OTHERS.iter().any(|other| seen & 1 << other == 0) {
            let (signal, value) = next(set);
            seen |= 1 << signal;
            if let Some(queued) = QUEUED.iter().position(|queued| *queued == signal) {
                if value as usize != counted[queued] {
                    raw::print(&format!("signal {signal}: {value} instead of {}", counted[queued]));
                    return 1;
                }
                counted[queued] += 1;
            }
        }
        raw::print(word);
        wait_for_line();
        // Each kind has to come once more: its last one was sent after this.
        seen = 0;
        unsafe { libc::close(gate[1]) };
    }
    0
}
