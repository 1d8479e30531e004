//! Runs an init as PID 1 of a fresh PID namespace, by clone(2) from here: no shell and no other program in between.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::ptr::null;
use std::time::{Duration, Instant};

use crate::{Init, death, elf};

/// A mount namespace of our own, for the /proc of each run, and no core dumps.
pub fn prepare() {
    let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: valid pointers for the calls; there is one thread.
    let done = unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core) == 0
            && libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(null(), c"/".as_ptr(), null(), libc::MS_REC | libc::MS_PRIVATE, null()) == 0
    };
    assert!(done, "a mount namespace: {}", io::Error::last_os_error());
}

/// A program and the status that an init is to make of it.
pub struct Program {
    pub path: PathBuf,
    status: i32,
}

impl Program {
    pub fn new(dir: &Path, name: &str, code: &[u8], status: i32) -> Self {
        let path = dir.join(name);
        fs::write(&path, elf::executable(code)).expect("a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
        Self { path, status }
    }
}

/// Where the init's stderr goes.
pub enum Stderr {
    Null,
    Pipe { writer: OwnedFd, reader: File },
}

impl Stderr {
    pub fn pipe() -> Self {
        let (reader, writer) = io::pipe().expect("a pipe");
        // SAFETY: the descriptor is open. Its end is the end of what there is, not of all writers.
        unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        Self::Pipe { writer: writer.into(), reader: File::from(OwnedFd::from(reader)) }
    }
}

/// Everything that a run needs, made beforehand.
pub struct Run {
    path: CString,
    argv: Vec<CString>,
    environment: Vec<CString>,
    null: File,
    stderr: Stderr,
    status: i32,
    termination_log: Option<PathBuf>,
    /// The cgroup.procs of the cgroup that it runs in; `None`: ours.
    cgroup: Option<CString>,
    /// What the child took to mount its /proc, in ns: that is ours, not the init's.
    setup: &'static mut u64,
}

impl Run {
    /// `INIT -- PROGRAM`
    pub fn new(init: &Init, program: &Program, stderr: Stderr) -> Self {
        let argv = vec![c_path(&init.path), c"--".to_owned(), c_path(&program.path)];
        let environment = init.environment.iter().map(|e| CString::new(e.as_str()).expect("no NUL")).collect();
        let run = Self {
            termination_log: init.termination_log.clone(),
            ..Self::of(argv, environment, stderr, program.status)
        };
        run.new_log();
        run
    }

    /// The same in the cgroup of this cgroup.procs.
    pub fn in_cgroup(self, procs: &CStr) -> Self {
        Self { cgroup: Some(procs.to_owned()), ..self }
    }

    /// PROGRAM as PID 1 itself.
    pub fn bare(program: &Program) -> Self {
        Self::of(vec![c_path(&program.path)], Vec::new(), Stderr::Null, program.status)
    }

    fn of(argv: Vec<CString>, mut environment: Vec<CString>, stderr: Stderr, status: i32) -> Self {
        environment.push(c"PATH=/usr/bin:/bin".to_owned());
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, and it stays until the process ends; zero bytes are a u64.
        let setup = unsafe {
            let page = libc::mmap(std::ptr::null_mut(), size_of::<u64>(), protection, flags, -1, 0);
            assert_ne!(page, libc::MAP_FAILED, "shared memory");
            &mut *page.cast::<u64>()
        };
        let null = File::options().read(true).write(true).open("/dev/null").expect("/dev/null");
        Self {
            path: argv[0].clone(),
            argv,
            environment,
            null,
            stderr,
            status,
            termination_log: None,
            cgroup: None,
            setup,
        }
    }

    /// Microseconds from the clone(2) to the end of the wait, without the child's own preparations.
    pub fn time(&mut self) -> f64 {
        let start = Instant::now();
        let pid = self.spawn(false);
        let status = wait(pid);
        let whole = start.elapsed();
        assert_eq!(status, self.status, "{:?}", self.path);
        // SAFETY: a constant string. The mount is the child's /proc.
        let unmounted = unsafe { libc::umount2(c"/proc".as_ptr(), libc::MNT_DETACH) };
        assert_eq!(unmounted, 0, "umount /proc");
        self.reset();
        (whole - Duration::from_nanos(*self.setup)).as_secs_f64() * 1e6
    }

    /// A new termination log and an empty pipe.
    pub fn reset(&mut self) {
        if let (Some(log), 1..) = (&self.termination_log, self.status) {
            let report = fs::read_to_string(log).expect("a report");
            let told = if self.cgroup.is_some() { death::TOLD } else { "cause:" };
            assert!(report.contains(told), "a run without a report costs less: {report:?}");
        }
        self.new_log();
        if let Stderr::Pipe { reader, .. } = &mut self.stderr {
            let _ = reader.read(&mut [0; 65536]);
        }
    }

    /// As the kubelet does it: each start has a file of its own. (One that is emptied instead costs more: ext4 takes that
    /// for a replacement, and writes it to the disk when it is closed.)
    fn new_log(&self) {
        if let Some(log) = &self.termination_log {
            let _ = fs::remove_file(log);
            File::create(log).expect("a file");
        }
    }

    /// Starts the init. With `own_mounts` our own /proc stays as it is.
    pub fn spawn(&mut self, own_mounts: bool) -> libc::pid_t {
        let argv = pointers(&self.argv);
        let environment = pointers(&self.environment);
        let flags = libc::CLONE_NEWPID | if own_mounts { libc::CLONE_NEWNS } else { 0 } | libc::SIGCHLD;
        // SAFETY: without a stack of its own the child is a copy as after fork(2), and there is one thread.
        let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } as libc::pid_t;
        assert!(pid >= 0, "clone: {}", io::Error::last_os_error());
        if pid == 0 {
            self.become_init(&argv, &environment);
        }
        pid
    }

    /// The child: /proc, a session and stdio as a container has them, then the init.
    fn become_init(&mut self, argv: &[*const libc::c_char], environment: &[*const libc::c_char]) -> ! {
        let start = Instant::now();
        let null_fd = self.null.as_raw_fd();
        let stderr = if let Stderr::Pipe { writer, .. } = &self.stderr { writer.as_raw_fd() } else { null_fd };
        // SAFETY: strings and arrays that end in NUL and live until the exec; plain calls otherwise.
        unsafe {
            let proc = c"proc".as_ptr();
            if libc::mount(proc, c"/proc".as_ptr(), proc, 0, null()) < 0 {
                libc::_exit(255);
            }
            if let Some(procs) = &self.cgroup {
                let procs = libc::open(procs.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                if libc::write(procs, c"0".as_ptr().cast(), 1) != 1 {
                    libc::_exit(255);
                }
            }
            libc::setsid();
            libc::dup2(null_fd, 0);
            libc::dup2(null_fd, 1);
            libc::dup2(stderr, 2);
            *self.setup = start.elapsed().as_nanos() as u64;
            libc::execve(self.path.as_ptr(), argv.as_ptr(), environment.as_ptr());
            libc::_exit(255)
        }
    }
}

/// The exit status of an init, which dies by no signal but our own SIGKILL.
pub fn wait(pid: libc::pid_t) -> i32 {
    let mut word = 0;
    // SAFETY: the word is valid for the call.
    let waited = unsafe { libc::waitpid(pid, &raw mut word, 0) };
    assert_eq!(waited, pid, "waitpid: {}", io::Error::last_os_error());
    if libc::WIFEXITED(word) { libc::WEXITSTATUS(word) } else { 128 + libc::WTERMSIG(word) }
}

pub fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no NUL")
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|s| CStr::as_ptr(s)).chain([null()]).collect()
}
