//! Runs rinit as a real PID 1 or as a subreaper, under a deadline, with any inherited state.
//!
//! ```ignore
//! let mut run = Rinit::as_init().probe(["listen", "until=15"]).spawn();
//! run.expect_line("ready");
//! run.signal(libc::SIGTERM);
//! assert_eq!(run.expect_signal(), Got { signal: 15, pid: 1, code: 0, value: None });
//! run.wait().assert_code(0);
//! ```
//!
//! `TEST_RINIT=/path/to/binary` runs the same tests against another init.
#![allow(dead_code, unsafe_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::undocumented_unsafe_blocks)]

pub mod proc;
mod report;
mod running;
mod spawn;

use std::ffi::{CString, OsStr, OsString};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

#[allow(unused_imports)]
pub use running::{Ended, Got, Running, Status, kill, try_sigqueue};

/// Every wait of a run ends at the latest this long after its start.
const DEADLINE: Duration = Duration::from_secs(60);
/// With TEST_EMULATED set, where `TEST_RINIT` is a rinit of another machine.
const EMULATED_DEADLINE: Duration = Duration::from_secs(120);
/// The user of unprivileged runs: nobody.
pub const NOBODY: u32 = 65534;

/// What is in one of the descriptors 0 to 2.
pub enum Io {
    Null,
    Pipe,
    Closed,
    Fd(OwnedFd),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// PID 1 of a PID namespace, with a user namespace around it for a caller who is not root.
    Init,
    /// PID 1 as user 65534 without any capability, in a user namespace.
    UnprivilegedInit,
    /// A plain child.
    Subreaper,
}

/// One piece of inherited state, set in the order of the calls.
enum Step {
    Ignore(i32),
    Block(u64),
    Rlimit(u32, u64, u64),
    Umask(u32),
    Cwd(CString),
    Fd(i32, OwnedFd),
    Close(i32),
    Uid(u32),
    Mount { source: CString, target: CString, kind: CString, flags: u64, options: CString },
}

/// A run to be.
pub struct Rinit {
    mode: Mode,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    raw_env: Option<Vec<CString>>,
    stdio: [Io; 3],
    steps: Vec<Step>,
    session: bool,
    terminal: bool,
    init: Option<PathBuf>,
    deadline: Duration,
}

impl Rinit {
    fn new(mode: Mode) -> Self {
        let mut env: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        env.retain(|(name, _)| !name.as_bytes().starts_with(b"RINIT_"));
        env.push(("RINIT_TERMINATION_LOG".into(), "off".into()));
        Self {
            mode,
            args: Vec::new(),
            env,
            raw_env: None,
            stdio: [Io::Null, Io::Pipe, Io::Pipe],
            steps: Vec::new(),
            session: mode != Mode::Subreaper,
            terminal: false,
            init: None,
            deadline: if std::env::var_os("TEST_EMULATED").is_some() { EMULATED_DEADLINE } else { DEADLINE },
        }
    }

    /// PID 1 and session leader, as in a container, with its own /proc.
    pub fn as_init() -> Self {
        Self::new(Mode::Init)
    }

    /// A plain child that leads a process group in this session.
    pub fn as_subreaper() -> Self {
        Self::new(Mode::Subreaper)
    }

    /// PID 1 as user 65534 without capabilities. None, loudly, where the kernel refuses user namespaces; with CI set
    /// that is a failure.
    pub fn as_unprivileged_init() -> Option<Self> {
        static ALLOWED: OnceLock<Result<(), String>> = OnceLock::new();
        let allowed = ALLOWED.get_or_init(|| Self::new(Mode::UnprivilegedInit).init("/bin/true").try_spawn().map(drop));
        match allowed {
            Ok(()) => Some(Self::new(Mode::UnprivilegedInit)),
            Err(why) if std::env::var_os("CI").is_none() => {
                skipped(&format!("no user namespace here: {why}"));
                None
            }
            Err(why) => panic!("no user namespace here: {why}"),
        }
    }

    /// rinit's arguments, more than one call adds.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_os_string()));
        self
    }

    /// `-- PROBE ARGS...`
    pub fn probe<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Self {
        let probe = self.reachable(&probe());
        self.args([OsStr::new("--"), probe.as_os_str()]).args(args)
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.retain(|(n, _)| n != name.as_ref());
        self.env.push((name.as_ref().into(), value.as_ref().into()));
        self
    }

    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.retain(|(n, _)| n != name.as_ref());
        self
    }

    /// The whole environment as the kernel has it, entries without `=` and doubles included.
    pub fn raw_env(mut self, entries: &[&[u8]]) -> Self {
        self.raw_env = Some(entries.iter().map(|e| CString::new(*e).unwrap()).collect());
        self
    }

    pub fn stdin(mut self, io: Io) -> Self {
        self.stdio[0] = io;
        self
    }

    pub fn stdout(mut self, io: Io) -> Self {
        self.stdio[1] = io;
        self
    }

    pub fn stderr(mut self, io: Io) -> Self {
        self.stdio[2] = io;
        self
    }

    pub fn ignore(self, signal: i32) -> Self {
        self.step(Step::Ignore(signal))
    }

    pub fn block(self, signal: i32) -> Self {
        self.step(Step::Block(1 << (signal - 1)))
    }

    /// `resource` is one of `libc::RLIMIT_*`.
    pub fn rlimit(self, resource: u32, soft: u64, hard: u64) -> Self {
        self.step(Step::Rlimit(resource, soft, hard))
    }

    pub fn umask(self, mask: u32) -> Self {
        self.step(Step::Umask(mask))
    }

    pub fn cwd(self, path: impl AsRef<Path>) -> Self {
        self.step(Step::Cwd(CString::new(path.as_ref().as_os_str().as_bytes()).unwrap()))
    }

    /// `file` as descriptor `number` (below 100), not close-on-exec.
    pub fn fd(self, number: i32, file: impl Into<OwnedFd>) -> Self {
        self.step(Step::Fd(number, spawn::high(file.into())))
    }

    pub fn close_fd(self, number: i32) -> Self {
        self.step(Step::Close(number))
    }

    /// rinit's user and group, without supplementary groups. What stands after it is done as that user.
    pub fn uid(self, uid: u32) -> Self {
        self.step(Step::Uid(uid))
    }

    /// An empty file system over `directory`.
    pub fn hide(self, directory: &str) -> Self {
        self.tmpfs(directory, "")
    }

    /// Mounts the file or directory `source` at `target`, in the mount namespace of this PID 1 alone.
    pub fn bind(self, source: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        self.mount(source.as_ref(), target.as_ref(), "", libc::MS_BIND | libc::MS_REC, "")
    }

    pub fn bind_read_only(self, source: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        self.bind(source, &target).change_mount(target.as_ref(), libc::MS_RDONLY)
    }

    pub fn tmpfs(self, target: impl AsRef<Path>, options: &str) -> Self {
        self.mount(Path::new("none"), target.as_ref(), "tmpfs", 0, options)
    }

    /// `directory` as a mount of its own with these flags (`libc::MS_NOEXEC`).
    pub fn remount(self, directory: impl AsRef<Path>, flags: u64) -> Self {
        self.bind(&directory, &directory).change_mount(directory.as_ref(), flags)
    }

    /// The mount `target`, without the right to write.
    pub fn read_only(self, target: &str) -> Self {
        self.change_mount(Path::new(target), libc::MS_RDONLY)
    }

    /// /proc anew with these options.
    pub fn proc_options(self, options: &str) -> Self {
        self.mount(Path::new("proc"), Path::new("/proc"), "proc", 0, options)
    }

    fn change_mount(self, target: &Path, flags: u64) -> Self {
        self.mount(Path::new("none"), target, "", libc::MS_BIND | libc::MS_REMOUNT | flags, "")
    }

    pub fn noexec_tmpfs(self, target: impl AsRef<Path>) -> Self {
        self.mount(Path::new("none"), target.as_ref(), "tmpfs", libc::MS_NOEXEC, "")
    }

    fn mount(self, source: &Path, target: &Path, kind: &str, flags: u64, options: &str) -> Self {
        assert!(self.mode != Mode::Subreaper, "a plain child has the mounts of the test");
        let c = |bytes: &[u8]| CString::new(bytes).unwrap();
        let [source, target] = [source, target].map(|path| c(path.as_os_str().as_bytes()));
        self.step(Step::Mount { source, target, kind: c(kind.as_bytes()), flags, options: c(options.as_bytes()) })
    }

    /// A new session for the plain child too.
    pub fn session_leader(mut self) -> Self {
        self.session = true;
        self
    }

    /// Makes stdin the controlling terminal; implies a session.
    pub fn controlling_terminal(mut self) -> Self {
        self.session = true;
        self.terminal = true;
        self
    }

    /// Another program in rinit's place: the cross-check of a test, or a parent for rinit.
    pub fn init(mut self, path: impl Into<PathBuf>) -> Self {
        self.init = Some(path.into());
        self
    }

    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    pub fn spawn(self) -> Running {
        self.try_spawn().unwrap_or_else(|why| panic!("cannot start the run: {why}"))
    }

    /// Runs to the end.
    pub fn run(self) -> Ended {
        self.spawn().wait()
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// A path under which the run's user can execute `path`: a checkout may lie in a home directory of mode 0700.
    fn reachable(&self, path: &Path) -> PathBuf {
        let open = |p: &Path| p.metadata().is_ok_and(|m| m.permissions().mode() & 0o001 != 0);
        let other_user = self.mode == Mode::UnprivilegedInit || self.steps.iter().any(|s| matches!(s, Step::Uid(_)));
        if !other_user || path.ancestors().all(open) { path.to_path_buf() } else { public_copy(path) }
    }
}

/// The init under test.
pub fn rinit() -> PathBuf {
    std::env::var_os("TEST_RINIT").map_or_else(|| env!("CARGO_BIN_EXE_rinit").into(), PathBuf::from)
}

/// The program that the tests run under rinit: tests/probe.
pub fn probe() -> PathBuf {
    // target/PROFILE/deps/TEST-HASH -> target/PROFILE/examples/probe
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples/probe");
    assert!(path.exists(), "{} is missing: cargo build --example probe", path.display());
    path
}

/// A new directory that every user may enter; it goes with the value.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        let mut template = std::env::temp_dir().join("rinit-test-XXXXXX").into_os_string().into_vec();
        template.push(0);
        assert!(!unsafe { libc::mkdtemp(template.as_mut_ptr().cast()) }.is_null(), "mkdtemp");
        template.pop();
        let path = PathBuf::from(OsString::from_vec(template));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Copies by cp(1): a descriptor open for writing in this process would be in every child that another test's thread
/// forks meanwhile, and execve(2) answers ETXTBSY.
pub fn copy_program(from: &Path, to: &Path) {
    let done = Command::new("cp").arg(from).arg(to).status().unwrap();
    assert!(done.success(), "cp {} {}", from.display(), to.display());
}

fn public_copy(path: &Path) -> PathBuf {
    let copy = std::env::temp_dir().join(format!("rinit-test-copies-{}", std::process::id()));
    std::fs::create_dir_all(&copy).unwrap();
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
    let copy = copy.join(path.file_name().unwrap());
    if !copy.exists() {
        copy_program(path, &copy);
    }
    copy
}

/// A pipe, both ends close-on-exec: (read, write).
pub fn pipe() -> (OwnedFd, OwnedFd) {
    spawn::pipe()
}

/// Sets or clears O_NONBLOCK.
pub fn nonblocking(fd: &impl AsRawFd, on: bool) {
    let flags = if on { libc::O_NONBLOCK } else { 0 };
    assert_eq!(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) }, 0, "F_SETFL");
}

/// Not by eprintln!, which the test harness keeps to itself when the test passes.
fn skipped(why: &str) {
    let test = std::thread::current();
    let _ = writeln!(std::io::stderr(), "SKIPPED {}: {why}", test.name().unwrap_or(""));
}

/// Whether the tests run as root of the machine or of a container: some states cannot be set up without.
/// Says so loudly where not.
pub fn is_root(what: &str) -> bool {
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        skipped(&format!("needs root: {what}"));
    }
    root
}

/// Runs `test` for every item, on two threads: the machine has two cores.
pub fn each<T: Send>(items: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    let queue = std::sync::Mutex::new(items.into_iter().collect::<Vec<T>>().into_iter());
    let next = || queue.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(item) = next() {
                    test(item);
                }
            });
        }
    });
}

/// The two places in which rinit works.
pub const PLACES: [fn() -> Rinit; 2] = [Rinit::as_init, Rinit::as_subreaper];

/// Every signal that can be forwarded: nothing catches KILL and STOP, and CHLD means reap.
pub fn forwardable() -> impl Iterator<Item = i32> {
    (1..=64).filter(|s| ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD].contains(s))
}
