//! fork, namespaces, inherited state, exec. Between fork and exec there are only system calls: other threads of the
//! test may have held any lock at the fork (signal-safety(7)).

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::ptr;

use super::running::Running;
use super::{Io, Mode, NOBODY, Rinit, Step};

/// Message tags on the report pipe.
const PID: i32 = 1;
const FAILED: i32 = 2;
const TEXT: [&CStr; 12] = [
    c"fork",
    c"become nobody",
    c"unshare",
    c"write the id maps",
    c"mount /proc",
    c"session",
    c"stdio",
    c"signals",
    c"a step of inherited state",
    c"execve",
    c"setrlimit",
    c"pdeathsig",
];

struct Plan {
    mode: Mode,
    clone_flags: i32,
    become_nobody: bool,
    uid_map: CString,
    gid_map: CString,
    session: bool,
    terminal: bool,
    stdio: [Option<RawFd>; 3],
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    report: RawFd,
}

pub(super) fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [0; 2];
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0, "pipe2");
    let own = |fd| unsafe { OwnedFd::from_raw_fd(fd) };
    (own(ends[0]), own(ends[1]))
}

/// The same file at 100 or above, out of the way of the numbers that tests ask for.
pub(super) fn high(fd: OwnedFd) -> OwnedFd {
    let new = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 100) };
    assert!(new >= 100, "F_DUPFD_CLOEXEC: {}", std::io::Error::last_os_error());
    unsafe { OwnedFd::from_raw_fd(new) }
}

impl Rinit {
    pub fn try_spawn(mut self) -> Result<Running, String> {
        let stdio = std::mem::replace(&mut self.stdio, [Io::Closed, Io::Closed, Io::Closed]);
        let mut ours: [Option<OwnedFd>; 3] = [None, None, None];
        let mut theirs: [Option<OwnedFd>; 3] = [None, None, None];
        for (n, io) in stdio.into_iter().enumerate() {
            theirs[n] = match io {
                Io::Null => Some(File::options().read(true).write(true).open("/dev/null").unwrap().into()),
                Io::Closed => None,
                Io::Fd(fd) => Some(fd),
                Io::Pipe => {
                    let (read, write) = pipe();
                    let (our, their) = if n == 0 { (write, read) } else { (read, write) };
                    ours[n] = Some(our);
                    Some(their)
                }
            }
            .map(high);
        }
        let init = self.init.clone().unwrap_or_else(super::rinit);
        let init = self.reachable(&init);
        let mut args = vec![CString::new(init.as_os_str().as_bytes()).unwrap()];
        args.extend(self.args.drain(..).map(|a| CString::new(a.into_vec()).unwrap()));
        let env = self.raw_env.take().unwrap_or_else(|| {
            let entry = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
                CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).unwrap()
            };
            self.env.drain(..).map(entry).collect()
        });
        let with_null = |list: &[CString]| list.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect();

        let (report, report_end) = pipe();
        let report_end = high(report_end);
        let euid = unsafe { libc::geteuid() };
        let egid = unsafe { libc::getegid() };
        let user_namespace = self.mode == Mode::UnprivilegedInit || euid != 0;
        let (inside, outside, outside_group) = match (self.mode, euid) {
            (Mode::UnprivilegedInit, 0) => (NOBODY, NOBODY, NOBODY),
            (Mode::UnprivilegedInit, _) => (NOBODY, euid, egid),
            _ => (0, euid, egid),
        };
        let mut clone_flags = libc::CLONE_NEWPID | libc::CLONE_NEWNS;
        if user_namespace {
            clone_flags |= libc::CLONE_NEWUSER;
        }
        let plan = Plan {
            mode: self.mode,
            clone_flags,
            become_nobody: self.mode == Mode::UnprivilegedInit && euid == 0,
            uid_map: CString::new(format!("{inside} {outside} 1")).unwrap(),
            gid_map: CString::new(format!("{inside} {outside_group} 1")).unwrap(),
            session: self.session,
            terminal: self.terminal,
            stdio: [0, 1, 2].map(|n| theirs[n].as_ref().map(AsRawFd::as_raw_fd)),
            argv: with_null(&args),
            envp: with_null(&env),
            report: report_end.as_raw_fd(),
        };
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
        if child == 0 {
            unsafe { in_child(&plan, &self.steps) };
        }
        drop((theirs, report_end, self.steps));

        // It ends when rinit has been executed, and in the process between, or when that failed.
        let mut messages = Vec::new();
        File::from(report).read_to_end(&mut messages).unwrap();
        let mut init = child;
        let mut failure = None;
        for message in messages.chunks_exact(12) {
            let word = |n: usize| i32::from_ne_bytes(message[n * 4..][..4].try_into().unwrap());
            match word(0) {
                PID => init = word(1),
                _ => {
                    let what = TEXT[word(1) as usize].to_str().unwrap();
                    failure = Some(format!("{what}: {}", std::io::Error::from_raw_os_error(word(2))));
                }
            }
        }
        // Collects the child in any case.
        let running = Running::new(child, init, ours, self.deadline, self.mode == Mode::Subreaper);
        failure.map_or(Ok(running), Err)
    }
}

unsafe fn in_child(plan: &Plan, steps: &[Step]) -> ! {
    unsafe {
        // Whatever cargo or the terminal's program left open would look like a leak of rinit's.
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        if plan.mode != Mode::Subreaper {
            enter_namespaces(plan);
        }
        // Nothing survives a failed test. After the change of user, which clears it.
        check(plan, 11, libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL));
        if plan.session {
            check(plan, 5, libc::setsid());
        } else {
            check(plan, 5, libc::setpgid(0, 0));
        }
        for (n, fd) in plan.stdio.iter().enumerate() {
            match fd {
                Some(fd) => check(plan, 6, libc::dup2(*fd, n as i32)),
                None => {
                    libc::close(n as i32);
                }
            }
        }
        if plan.terminal {
            check(plan, 5, libc::ioctl(0, libc::TIOCSCTTY, 0));
        }
        for signal in 1..=64 {
            disposition(signal, libc::SIG_DFL);
        }
        let mut blocked = 0;
        mask(0);
        for step in steps {
            let result = match step {
                Step::Ignore(signal) => disposition(*signal, libc::SIG_IGN),
                Step::Block(bit) => {
                    blocked |= bit;
                    mask(blocked)
                }
                Step::Rlimit(resource, soft, hard) => {
                    let limit = libc::rlimit { rlim_cur: *soft, rlim_max: *hard };
                    // By its number: each C library has another type for the resource.
                    libc::syscall(libc::SYS_setrlimit, *resource, &raw const limit) as i32
                }
                Step::Umask(mask) => {
                    libc::umask(*mask);
                    0
                }
                Step::Cwd(path) => libc::chdir(path.as_ptr()),
                Step::Fd(number, file) => libc::dup2(file.as_raw_fd(), *number),
                Step::Close(number) => libc::close(*number),
                Step::Uid(uid) => become_user(*uid),
                Step::Mount { source, target, kind, flags, options } => {
                    libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), *flags, options.as_ptr().cast())
                }
            };
            check(plan, 8, result);
        }
        libc::execve(plan.argv[0], plan.argv.as_ptr(), plan.envp.as_ptr());
        fail(plan, 9)
    }
}

unsafe fn enter_namespaces(plan: &Plan) {
    unsafe {
        if plan.become_nobody {
            check(plan, 1, become_user(NOBODY));
            // Or /proc/self/*_map belong to root (proc(5)).
            check(plan, 1, libc::prctl(libc::PR_SET_DUMPABLE, 1));
        }
        check(plan, 11, libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL));
        check(plan, 2, libc::unshare(plan.clone_flags));
        if plan.clone_flags & libc::CLONE_NEWUSER != 0 {
            check(plan, 3, write_file(c"/proc/self/setgroups", c"deny"));
            check(plan, 3, write_file(c"/proc/self/uid_map", &plan.uid_map));
            check(plan, 3, write_file(c"/proc/self/gid_map", &plan.gid_map));
        }
        let init = libc::fork();
        check(plan, 0, init);
        if init > 0 {
            tell(plan, [PID, init, 0]);
            pass_status_on(init);
        }
        check(
            plan,
            4,
            libc::mount(ptr::null(), c"/".as_ptr(), ptr::null(), libc::MS_REC | libc::MS_PRIVATE, ptr::null()),
        );
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        check(plan, 4, libc::mount(c"proc".as_ptr(), c"/proc".as_ptr(), c"proc".as_ptr(), flags, ptr::null()));
    }
}

/// The process between the test and PID 1: only unshare's children are in the new PID namespace.
unsafe fn pass_status_on(init: i32) -> ! {
    unsafe {
        libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0);
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        let mut status = 0;
        while libc::waitpid(init, &raw mut status, 0) != init {}
        if libc::WIFSIGNALED(status) {
            let signal = libc::WTERMSIG(status);
            disposition(signal, libc::SIG_DFL);
            mask(0);
            libc::syscall(libc::SYS_kill, libc::getpid(), signal);
        }
        libc::_exit(libc::WEXITSTATUS(status))
    }
}

unsafe fn become_user(uid: u32) -> i32 {
    unsafe {
        if libc::setgroups(0, ptr::null()) < 0 || libc::setresgid(uid, uid, uid) < 0 {
            return -1;
        }
        // The raw call: glibc's setresuid tells all threads, and after a fork there are none.
        libc::syscall(libc::SYS_setresuid, uid, uid, uid) as i32
    }
}

unsafe fn write_file(path: &CStr, text: &CStr) -> i32 {
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        let written = libc::write(fd, text.as_ptr().cast(), text.count_bytes());
        let errno = *libc::__errno_location();
        libc::close(fd);
        *libc::__errno_location() = errno;
        if written < 0 { -1 } else { 0 }
    }
}

/// sigaction(2) by its number: the C library refuses its own signals 32 and 33.
unsafe fn disposition(signal: i32, handler: usize) -> i32 {
    let action = [handler, 0, 0, 0];
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), ptr::null_mut::<usize>(), 8usize) };
    0
}

unsafe fn mask(set: u64) -> i32 {
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const set, ptr::null_mut::<u64>(), 8usize)
            as i32
    }
}

unsafe fn check(plan: &Plan, what: i32, result: i32) {
    if result < 0 {
        unsafe { fail(plan, what) }
    }
}

unsafe fn fail(plan: &Plan, what: i32) -> ! {
    unsafe {
        tell(plan, [FAILED, what, *libc::__errno_location()]);
        libc::_exit(125)
    }
}

unsafe fn tell(plan: &Plan, message: [i32; 3]) {
    unsafe {
        libc::write(plan.report, message.as_ptr().cast(), 12);
    }
}
