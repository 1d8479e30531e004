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

/// Its handler for SIGTERM says so and never returns: as long as it runs, SIGTERM is blocked.
pub fn deaf_handler() -> i32 {
    extern "C" fn handler(_: i32) {
        raw::write(1, "taken\n");
        loop {
            unsafe { libc::pause() };
        }
    }
    unsafe { libc::signal(libc::SIGTERM, handler as *const () as usize) };
    hold()
}

/// Ends with status 3 and leaves `count` processes, of six kinds: ended by SIGTERM; ignoring it; stopped; a daemon
/// (orphaned, in a session of its own); one that forks itself anew again and again; the same, ignoring SIGTERM. Those
/// that run end when rinit is gone.
pub fn litter(count: usize) -> i32 {
    let rinit = unsafe { libc::getppid() };
    for kind in [0, 1, 2, 3, 4, 0, 1, 2, 3, 5, 0, 3].into_iter().cycle().take(count) {
        let ends = raw::pipe();
        if raw::fork() == 0 {
            if kind == 1 || kind == 5 {
                raw::action(libc::SIGTERM, Some(&Action { handler: libc::SIG_IGN, ..Action::default() }));
            }
            if kind >= 3 {
                unsafe { libc::setsid() };
                if raw::fork() != 0 {
                    unsafe { libc::_exit(0) };
                }
            }
            unsafe { libc::close(ends[1]) };
            unsafe { libc::close(ends[0]) };
            if kind == 2 {
                raw::kill(unsafe { libc::getpid() }, libc::SIGSTOP);
            }
            while !raw::gone(rinit) {
                unsafe { libc::usleep(400_000) };
                if kind >= 4 && raw::fork() != 0 {
                    break;
                }
            }
            unsafe { libc::_exit(0) };
        }
        unsafe { libc::close(ends[1]) };
        raw::wait_for_end(ends[0]);
        unsafe { libc::close(ends[0]) };
    }
    3
}

/// Makes `count` orphans: some, then `first` and a wait for a line, then the others and `done`; ends with stdin.
pub fn orphans(count: usize) -> i32 {
    const AT_ONCE: usize = 100;
    let mut made = 0;
    while made < count {
        let batch = AT_ONCE.min(count - made);
        let [gate, alive] = [raw::pipe(), raw::pipe()];
        let between = raw::fork();
        if between == 0 {
            for _ in 0..batch {
                if raw::fork() == 0 {
                    unsafe { libc::close(gate[1]) };
                    raw::wait_for_end(gate[0]);
                    unsafe { libc::_exit(0) };
                }
            }
            unsafe { libc::_exit(0) };
        }
        // From here on they are orphans.
        unsafe { libc::waitpid(between, ptr::null_mut(), 0) };
        unsafe { libc::close(gate[1]) };
        unsafe { libc::close(alive[1]) };
        raw::wait_for_end(alive[0]);
        unsafe { libc::close(gate[0]) };
        unsafe { libc::close(alive[0]) };
        made += batch;
        if made == batch {
            raw::print("first");
            unsafe { libc::read(0, [0_u8; 64].as_mut_ptr().cast(), 64) };
        }
    }
    raw::print("done");
    raw::wait_for_end(0);
    0
}

/// As many as fast as can be, after `ready`: `warm` after a tenth, then waits for a line; `done` after all of them, then waits for a line.
pub fn orphans_at_once(count: usize) -> i32 {
    const AT_ONCE: usize = 50;
    raw::print(&format!("ready {}", std::process::id()));
    for (count, word) in [(count / 10, "warm"), (count - count / 10, "done")] {
        for _ in 0..count / AT_ONCE {
            let between = raw::fork();
            if between == 0 {
                for _ in 0..AT_ONCE {
                    if raw::fork() == 0 {
                        unsafe { libc::_exit(0) };
                    }
                }
                unsafe { libc::_exit(0) };
            }
            unsafe { libc::waitpid(between, ptr::null_mut(), 0) };
        }
        raw::print(word);
        unsafe { libc::read(0, [0_u8; 64].as_mut_ptr().cast(), 64) };
    }
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
    filter(&[(libc::SYS_getppid, 64)], libc::SECCOMP_RET_KILL_PROCESS);
    unsafe { libc::getppid() };
    SURVIVED
}

/// `deny CALL,CALL,... ERRNO PROGRAM ARGS...`: becomes PROGRAM, for which and whose children these calls fail with ERRNO.
/// By execveat(2), so that execve(2) can be what is denied.
pub fn deny(calls: &str, errno: u32, command: &[&CStr]) -> i32 {
    let numbers: Vec<_> = calls.split(',').filter_map(number).collect();
    if numbers.len() != calls.split(',').count() {
        return 2;
    }
    filter(&numbers, libc::SECCOMP_RET_ERRNO | errno);
    let argv: Vec<_> = command.iter().map(|a| a.as_ptr()).chain([ptr::null()]).collect();
    unsafe {
        unsafe extern "C" {
            static environ: *const *const libc::c_char;
        }
        libc::syscall(libc::SYS_execveat, libc::AT_FDCWD, argv[0], argv.as_ptr(), environ, 0);
    }
    SURVIVED
}

/// The number of a call, here and in 32-bit x86 programs.
fn number(call: &str) -> Option<(libc::c_long, u32)> {
    Some(match call {
        "clone" => (libc::SYS_clone, 120),
        "close_range" => (libc::SYS_close_range, 436),
        "execve" => (libc::SYS_execve, 11),
        "getdents64" => (libc::SYS_getdents64, 220),
        "getxattr" => (libc::SYS_getxattr, 229),
        "inotify_add_watch" => (libc::SYS_inotify_add_watch, 292),
        "inotify_init1" => (libc::SYS_inotify_init1, 332),
        "kcmp" => (libc::SYS_kcmp, 349),
        "pidfd_open" => (libc::SYS_pidfd_open, 434),
        "pipe2" => (libc::SYS_pipe2, 331),
        "prctl" => (libc::SYS_prctl, 172),
        "prlimit64" => (libc::SYS_prlimit64, 340),
        "pwritev2" => (libc::SYS_pwritev2, 379),
        "rt_sigqueueinfo" => (libc::SYS_rt_sigqueueinfo, 178),
        "rt_sigtimedwait" => (libc::SYS_rt_sigtimedwait, 177),
        "signalfd4" => (libc::SYS_signalfd4, 327),
        "splice" => (libc::SYS_splice, 313),
        "statfs" => (libc::SYS_statfs, 99),
        "statx" => (libc::SYS_statx, 383),
        "tee" => (libc::SYS_tee, 315),
        "waitid" => (libc::SYS_waitid, 284),
        _ => return None,
    })
}

/// From now on each of `calls` meets `answer`.
fn filter(calls: &[(libc::c_long, u32)], answer: u32) {
    const NUMBER: u32 = 0;
    const ARCHITECTURE: u32 = 4;
    /// include/uapi/linux/audit.h
    const AUDIT_ARCH_I386: u32 = 0x4000_0003;
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let [jump, end] =
        [libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::BPF_RET | libc::BPF_K].map(|code| code as u16);
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let compare = |numbers: Vec<u32>| {
        let mut steps = vec![step(load, 0, 0, NUMBER)];
        steps.extend(numbers.iter().flat_map(|number| [step(jump, 0, 1, *number), step(end, 0, 0, answer)]));
        steps.push(step(end, 0, 0, libc::SECCOMP_RET_ALLOW));
        steps
    };
    let native = compare(calls.iter().map(|(call, _)| *call as u32).collect());
    let on_i386 = compare(calls.iter().map(|(_, call)| *call).collect());
    let mut steps = vec![step(load, 0, 0, ARCHITECTURE), step(jump, native.len() as u8, 0, AUDIT_ARCH_I386)];
    steps.extend(native.into_iter().chain(on_i386));
    let filter = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter), 0);
    }
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

/// Becomes `command` when something can be read from descriptor 9, or it has ended.
pub fn gate(command: &[&CStr]) -> i32 {
    unsafe { libc::read(9, [0_u8].as_mut_ptr().cast(), 1) };
    unsafe { libc::close(9) };
    become_it(command)
}

/// The PID 1 around a rinit that is none: waits for it, and says `left` if there is still somebody when it has ended.
pub fn around(command: &[&CStr]) -> i32 {
    let pid = start(command);
    unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
    while unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) } > 0 {}
    if unsafe { libc::kill(-1, 0) } == 0 {
        raw::print("left");
    }
    0
}

/// An init that does nothing but wait for whoever ends.
pub fn reap(command: &[&CStr]) -> i32 {
    let (mut status, pid) = (0, start(command));
    while unsafe { libc::waitpid(-1, &raw mut status, 0) } != pid {}
    libc::WEXITSTATUS(status)
}

fn start(command: &[&CStr]) -> i32 {
    let pid = raw::fork();
    if pid == 0 {
        become_it(command);
    }
    pid
}

/// `bury DIRECTORY PROGRAM ARGS...`: becomes PROGRAM, and whoever looks at DIRECTORY from now on has to be killed: the file
/// system that is mounted there is served by a process that never answers, and lives as long as its namespace's init.
pub fn bury(directory: &CStr, command: &[&CStr]) -> i32 {
    let server = unsafe { libc::open(c"/dev/fuse".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    if raw::fork() == 0 {
        loop {
            unsafe { libc::pause() };
        }
    }
    let options = std::ffi::CString::new(format!("fd={server},rootmode=40000,user_id=0,group_id=0")).unwrap();
    let (name, kind) = (c"buried".as_ptr(), c"fuse".as_ptr());
    let done = unsafe { libc::mount(name, directory.as_ptr(), kind, 0, options.as_ptr().cast()) };
    if server < 0 || done != 0 {
        raw::write(2, &format!("no FUSE: {}\n", std::io::Error::last_os_error()));
        return 2;
    }
    let argv: Vec<_> = command.iter().map(|a| a.as_ptr()).chain([ptr::null()]).collect();
    unsafe { libc::execvp(argv[0], argv.as_ptr()) };
    SURVIVED
}

pub fn become_it(command: &[&CStr]) -> ! {
    let argv: Vec<_> = command.iter().map(|a| a.as_ptr()).chain([ptr::null()]).collect();
    unsafe { libc::execv(argv[0], argv.as_ptr()) };
    unsafe { libc::_exit(126) }
}
