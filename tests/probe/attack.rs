//! Attacks on the init, on what it writes to, and on what it looks at.

use std::ffi::CStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::{process, ptr};

use crate::{processes, raw};

/// A name that is fifteen bytes long, of every bad kind.
const NAME: &CStr = c"\n\x1b[1m\xff)\"\\ R 1\r";

/// A child that does `work` again and again until the init is gone.
fn again_and_again(work: impl Fn()) {
    let init = unsafe { libc::getppid() };
    if raw::fork() == 0 {
        while !raw::gone(init) {
            work();
        }
        unsafe { libc::_exit(0) };
    }
}

/// Children that change the file `log` in every way at the same time, and a link to `victim` in its place. They outlive
/// PROGRAM, which ends with status 3 when there is a line to read.
pub fn log(log: &str, victim: &str) -> i32 {
    let log = Path::new(log);
    let beside = |name: &str| PathBuf::from(format!("{}.{name}", log.display()));
    let held = File::options().read(true).write(true).open(log).unwrap();
    again_and_again(|| drop(held.write_all_at(&[b'x'; 4000], 0)));
    // Not what the link leads to: that is for rinit to leave alone.
    let mut append = OpenOptions::new();
    append.append(true).custom_flags(libc::O_NOFOLLOW);
    again_and_again(|| drop(append.open(log).map(|mut file| file.write_all(b"rinit: no\n"))));
    again_and_again(|| drop(held.set_len(0)));
    again_and_again(|| drop(held.set_len(1 << 30)));
    again_and_again(|| {
        let all = libc::flock { l_type: libc::F_WRLCK as i16, l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
        unsafe {
            libc::flock(held.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB);
            libc::fcntl(held.as_raw_fd(), libc::F_SETLK, &raw const all);
            libc::fcntl(held.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK);
        }
    });
    again_and_again(|| {
        let _ = fs::write(beside("new"), "other");
        let _ = fs::set_permissions(beside("new"), PermissionsExt::from_mode(0o000));
        let _ = fs::rename(beside("new"), log);
    });
    again_and_again(|| {
        let _ = symlink(victim, beside("link"));
        let _ = fs::rename(beside("link"), log);
        let _ = fs::remove_file(log);
    });
    raw::print(&format!("ready {}", process::id()));
    unsafe { libc::read(0, [0_u8; 1].as_mut_ptr().cast(), 1) };
    3
}

/// Takes a bad name, has a child of that name send rinit a signal, another one killed and orphaned, and a third left
/// behind. Then it does as `how` says.
pub fn names(how: &str) -> i32 {
    unsafe { libc::prctl(libc::PR_SET_NAME, NAME.as_ptr()) };
    unsafe { libc::signal(libc::SIGUSR1, libc::SIG_IGN) };
    let init = unsafe { libc::getppid() };
    if raw::fork() == 0 {
        raw::kill(init, libc::SIGUSR1);
        raw::kill(unsafe { libc::getpid() }, libc::SIGKILL);
    }
    if raw::fork() == 0 {
        if raw::fork() == 0 {
            raw::kill(unsafe { libc::getpid() }, libc::SIGKILL);
        }
        unsafe { libc::_exit(0) };
    }
    unsafe { libc::waitpid(-1, ptr::null_mut(), 0) };
    unsafe { libc::waitpid(-1, ptr::null_mut(), 0) };
    if raw::fork() == 0 {
        loop {
            unsafe { libc::pause() };
        }
    }
    raw::print(&format!("ready {}", process::id()));
    match how {
        "wait" => loop {
            unsafe { libc::pause() };
        },
        "exit" => 3,
        signal => {
            raw::kill(unsafe { libc::getpid() }, signal.parse().unwrap());
            0
        }
    }
}

/// A child traces PROGRAM, does not wait for it, and outlives it: nobody else is told that PROGRAM has ended (status 3).
pub fn traced() -> i32 {
    let program = unsafe { libc::getpid() };
    let seized = raw::pipe();
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
    if raw::fork() == 0 {
        let done = unsafe { libc::ptrace(libc::PTRACE_SEIZE, program, 0, 0) };
        raw::write(seized[1], if done == 0 { "y" } else { "n" });
        loop {
            unsafe { libc::pause() };
        }
    }
    let mut answer = [0_u8];
    unsafe { libc::read(seized[0], answer.as_mut_ptr().cast(), 1) };
    raw::print(&format!("ready {}", process::id()));
    raw::print(if answer == *b"y" { "traced" } else { "refused" });
    unsafe { libc::read(0, [0_u8; 1].as_mut_ptr().cast(), 1) };
    3
}

/// Has rinit trace it, as a debugger's child would: from now on each signal stops it, and rinit is told. Then it becomes
/// `command`, or holds.
pub fn traceme(command: &[&CStr]) -> i32 {
    assert_eq!(unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) }, 0, "ptrace");
    let argv: Vec<_> = command.iter().map(|a| a.as_ptr()).chain([ptr::null()]).collect();
    if !command.is_empty() {
        unsafe { libc::execv(argv[0], argv.as_ptr()) };
    }
    processes::hold()
}

/// As user `uid` (0: as whom it is), tries everything that a process may do to another one: a line `may WHAT` for what is
/// allowed, and `tried COUNT` at the end.
pub fn touch(uid: u32) -> i32 {
    let init = unsafe { libc::getppid() };
    // What is sent to rinit comes back.
    raw::set_mask(u64::MAX);
    if uid != 0 {
        unsafe { libc::syscall(libc::SYS_setgroups, 0, ptr::null::<u32>()) };
        assert_eq!(unsafe { libc::syscall(libc::SYS_setresgid, uid, uid, uid) }, 0, "setresgid");
        assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }, 0, "setresuid");
    }
    let mut tried = 0;
    let mut say = |what: &str, done: bool| {
        tried += 1;
        if done {
            raw::print(&format!("may {what}"));
        }
    };
    for signal in (0..=64).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP, libc::SIGTERM].contains(signal)) {
        say(&format!("kill {signal}"), unsafe { libc::syscall(libc::SYS_kill, init, signal) } == 0);
    }
    for name in ["oom_score_adj", "oom_adj", "mem", "comm", "clear_refs", "coredump_filter", "timerslack_ns", "uid_map"]
    {
        let written = OpenOptions::new().write(true).open(format!("/proc/{init}/{name}"));
        say(&format!("write {name}"), written.and_then(|mut file| file.write_all(b"0")).is_ok());
    }
    for name in ["fd/2", "environ", "mem", "maps", "cwd/", "root/", "exe"] {
        say(&format!("open {name}"), File::open(format!("/proc/{init}/{name}")).is_ok());
    }
    let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let one_cpu = 1_u64;
    unsafe {
        let null = ptr::null::<u8>();
        let pidfd = libc::syscall(libc::SYS_pidfd_open, init, 0);
        say("get a descriptor", libc::syscall(libc::SYS_pidfd_getfd, pidfd, 2, 0) >= 0);
        say("limit it", libc::syscall(libc::SYS_prlimit64, init, libc::RLIMIT_FSIZE, &raw const limit, null) == 0);
        say("move it", libc::syscall(libc::SYS_sched_setaffinity, init, 8, &raw const one_cpu) == 0);
        say("slow it", libc::setpriority(libc::PRIO_PROCESS, init as u32, 19) == 0);
        say("slow its writes", libc::syscall(libc::SYS_ioprio_set, 1, init, 3 << 13) == 0);
        say("put it into a group", libc::setpgid(init, 0) == 0);
        let (here, byte) = (0x40_0000 as *mut libc::c_void, &raw const one_cpu);
        let local = libc::iovec { iov_base: byte.cast_mut().cast(), iov_len: 1 };
        let remote = libc::iovec { iov_base: here, iov_len: 1 };
        say("read its memory", libc::process_vm_readv(init, &raw const local, 1, &raw const remote, 1, 0) == 1);
        say("trace it", libc::ptrace(libc::PTRACE_SEIZE, init, 0, 0) == 0);
    }
    raw::print(&format!("tried {tried}"));
    0
}

/// PROGRAM, a child, its child, and a daemon of that one, which end in the order that `order` gives (`0` is PROGRAM, with
/// status 7). Each of them but the first to go waits for the one before it.
pub fn ends(order: &str) -> i32 {
    let order: Vec<usize> = order.bytes().map(|digit| usize::from(digit - b'0')).collect();
    let alive: Vec<[i32; 2]> = order.iter().map(|_| raw::pipe()).collect();
    let mut me = 0;
    while me + 1 < order.len() && raw::fork() == 0 {
        me += 1;
        match me {
            1 => drop(unsafe { libc::setpgid(0, 0) }),
            2 => drop(unsafe { libc::setsid() }),
            // Once more, as daemon(3) does: it leads no session.
            3 if raw::fork() != 0 => unsafe { libc::_exit(0) },
            _ => {}
        }
    }
    for (other, ends) in alive.iter().enumerate() {
        if other != me {
            unsafe { libc::close(ends[1]) };
        }
    }
    let place = order.iter().position(|one| *one == me).unwrap();
    if let Some(before) = place.checked_sub(1) {
        raw::wait_for_end(alive[order[before]][0]);
    }
    if me == 0 { 7 } else { 0 }
}
