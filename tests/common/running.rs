//! A run under way: its lines, its signals, its end.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use super::proc;

/// How rinit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Code(i32),
    Signal(i32),
}

/// A run that is over.
pub struct Ended {
    pub status: Status,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}\nstdout: {}\nstderr: {}", self.status, self.stdout(), self.stderr())
    }
}

impl Ended {
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.status, Status::Code(code), "{self:?}");
        self
    }
}

/// A signal that the probe got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Got {
    pub signal: i32,
    /// The sender, in the probe's PID namespace.
    pub pid: i32,
    /// `si_code`
    pub code: i32,
    /// `si_value`, where the sender used sigqueue and the probe listened raw.
    pub value: Option<i32>,
}

impl Got {
    pub fn parse(line: &str) -> Option<Self> {
        let field = |name: &str| line.split(' ').find_map(|f| f.strip_prefix(name)?.strip_prefix('='));
        Some(Self {
            signal: field("signal")?.parse().ok()?,
            pid: field("pid")?.parse().ok()?,
            code: field("code")?.parse().ok()?,
            value: field("value")?.parse().ok(),
        })
    }
}

#[derive(Default)]
struct Stream {
    file: Option<File>,
    bytes: Vec<u8>,
    /// Bytes that `line` has given out.
    read: usize,
}

impl Stream {
    fn new(fd: Option<OwnedFd>) -> Self {
        if let Some(fd) = &fd {
            // This end's own description: the writer's end still blocks.
            super::nonblocking(fd, true);
        }
        Self { file: fd.map(File::from), ..Self::default() }
    }

    /// Takes what is there.
    fn drain(&mut self) {
        while let Some(file) = &mut self.file {
            let mut chunk = [0; 65536];
            match file.read(&mut chunk) {
                Ok(0) => self.file = None,
                Ok(n) => self.bytes.extend_from_slice(&chunk[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => panic!("reading the run's output: {e}"),
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let rest = &self.bytes[self.read..];
        let end = rest.iter().position(|b| *b == b'\n')?;
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.read += end + 1;
        Some(line)
    }
}

/// A run under way. Dropped, it is killed with all that belongs to it.
pub struct Running {
    /// Our child: rinit, or the process between.
    child: i32,
    init: i32,
    own_group: bool,
    child_fd: OwnedFd,
    stdin: Option<File>,
    out: Stream,
    err: Stream,
    deadline: Instant,
    ended: bool,
}

impl Running {
    pub(super) fn new(
        child: i32,
        init: i32,
        [stdin, out, err]: [Option<OwnedFd>; 3],
        deadline: Duration,
        own_group: bool,
    ) -> Self {
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child, 0) };
        assert!(fd >= 0, "pidfd_open: {}", std::io::Error::last_os_error());
        Self {
            child,
            init,
            own_group,
            child_fd: unsafe { OwnedFd::from_raw_fd(fd as i32) },
            stdin: stdin.map(File::from),
            out: Stream::new(out),
            err: Stream::new(err),
            deadline: Instant::now() + deadline,
            ended: false,
        }
    }

    /// rinit's pid as the test sees it.
    pub fn pid(&self) -> i32 {
        self.init
    }

    /// rinit's pid as PROGRAM sees it.
    pub fn pid_inside(&self) -> i32 {
        if self.init == self.child { self.init } else { 1 }
    }

    /// PROGRAM's pid as the test sees it: rinit's first child. Waits until it is there.
    pub fn program(&mut self) -> i32 {
        let init = self.init;
        self.until("PROGRAM is there", || proc::children(init).into_iter().min())
    }

    /// Waits until rinit blocks signals: from then on none may be lost.
    #[track_caller]
    pub fn blocks_signals(&mut self) {
        const TERM: u64 = 1 << (libc::SIGTERM - 1);
        let init = self.init;
        self.until("SIGTERM is blocked", || (proc::signal_set(init, "SigBlk")? & TERM != 0).then_some(()));
    }

    /// Sends by kill(2), from outside the namespace.
    #[track_caller]
    pub fn signal(&self, signal: i32) {
        kill(self.init, signal);
    }

    /// Sends by sigqueue(3), from outside the namespace.
    #[track_caller]
    pub fn sigqueue(&self, signal: i32, value: i32) {
        assert!(try_sigqueue(self.init, signal, value), "sigqueue {signal}: no room");
    }

    pub fn write_stdin(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().expect("stdin is no pipe").write_all(bytes).unwrap();
    }

    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Takes the reading end away: whoever writes to stdout gets EPIPE.
    pub fn close_stdout(&mut self) {
        self.out.file = None;
    }

    pub fn close_stderr(&mut self) {
        self.err.file = None;
    }

    /// The next line of stdout.
    #[track_caller]
    pub fn line(&mut self) -> String {
        self.next_line(|run| &mut run.out, "stdout")
    }

    /// The next line of stdout; `None` if there is none within `limit`, or the run has ended without one.
    pub fn line_within(&mut self, limit: Duration) -> Option<String> {
        let until = Instant::now() + limit;
        loop {
            let ended = self.has_ended();
            self.pump(Duration::from_millis(if ended { 1 } else { 20 }), true);
            let line = self.out.line();
            if line.is_some() || ended || Instant::now() >= until {
                return line;
            }
        }
    }

    /// The next line of stderr.
    #[track_caller]
    pub fn err_line(&mut self) -> String {
        self.next_line(|run| &mut run.err, "stderr")
    }

    /// The next line of stdout, which must begin like this.
    #[track_caller]
    pub fn expect_line(&mut self, start: &str) -> String {
        let line = self.line();
        if !line.starts_with(start) {
            self.fail(&format!("expected a line {start:?}, got {line:?}"));
        }
        line
    }

    /// Skips lines of stderr until one contains `part`.
    #[track_caller]
    pub fn expect_err_line(&mut self, part: &str) -> String {
        loop {
            let line = self.err_line();
            if line.contains(part) {
                return line;
            }
        }
    }

    /// `ready PID`: the probe's pid as it sees itself.
    #[track_caller]
    pub fn ready(&mut self) -> i32 {
        let line = self.expect_line("ready ");
        line["ready ".len()..].parse().unwrap()
    }

    /// The next line of stdout, which must be a signal that the probe got.
    #[track_caller]
    pub fn expect_signal(&mut self) -> Got {
        let line = self.line();
        Got::parse(&line).unwrap_or_else(|| self.fail(&format!("expected a signal, got {line:?}")))
    }

    /// Polls a state until it gives a value.
    #[track_caller]
    pub fn until<T>(&mut self, what: &str, mut state: impl FnMut() -> Option<T>) -> T {
        loop {
            if let Some(value) = state() {
                return value;
            }
            if self.over() {
                self.fail(&format!("not in time: {what}"));
            }
            self.pump(Duration::from_millis(2), false);
        }
    }

    /// Waits for the end.
    #[track_caller]
    pub fn wait(mut self) -> Ended {
        while !self.has_ended() {
            if self.over() {
                self.fail("it did not end");
            }
            self.pump(self.deadline.saturating_duration_since(Instant::now()), true);
        }
        let mut word = 0;
        assert_eq!(unsafe { libc::waitpid(self.child, &raw mut word, 0) }, self.child);
        self.ended = true;
        self.out.drain();
        self.err.drain();
        let status = if libc::WIFSIGNALED(word) {
            Status::Signal(libc::WTERMSIG(word))
        } else {
            Status::Code(libc::WEXITSTATUS(word))
        };
        let (stdout, stderr) = (std::mem::take(&mut self.out.bytes), std::mem::take(&mut self.err.bytes));
        Ended { status, stdout, stderr }
    }

    /// Whether rinit is over, collected or not.
    pub fn has_ended(&self) -> bool {
        let mut ready = libc::pollfd { fd: self.child_fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        unsafe { libc::poll(&raw mut ready, 1, 0) == 1 }
    }

    #[track_caller]
    fn next_line(&mut self, stream: fn(&mut Self) -> &mut Stream, name: &str) -> String {
        loop {
            if let Some(line) = stream(self).line() {
                return line;
            }
            if stream(self).file.is_none() {
                self.fail(&format!("{name} has ended"));
            }
            if self.over() {
                self.fail(&format!("no line on {name} in time"));
            }
            // A run that is over must not end every wait: a grandchild may still write.
            self.pump(self.deadline.saturating_duration_since(Instant::now()), false);
        }
    }

    /// Waits for output, or the end where that counts, and takes the output.
    fn pump(&mut self, most: Duration, watch_end: bool) {
        let of = |s: &Stream| s.file.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let child = if watch_end { self.child_fd.as_raw_fd() } else { -1 };
        let mut ready =
            [of(&self.out), of(&self.err), child].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
        let milliseconds = i32::try_from(most.as_millis()).unwrap().max(1);
        unsafe { libc::poll(ready.as_mut_ptr(), ready.len() as u64, milliseconds) };
        self.out.drain();
        self.err.drain();
    }

    fn over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    #[track_caller]
    fn fail(&mut self, why: &str) -> ! {
        self.pump(Duration::from_millis(1), false);
        let text = |s: &Stream| String::from_utf8_lossy(&s.bytes).into_owned();
        let state = std::fs::read_to_string(format!("/proc/{}/status", self.init)).unwrap_or_default();
        panic!("{why}\nstdout: {}\nstderr: {}\nrinit: {state}", text(&self.out), text(&self.err));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        unsafe {
            if self.own_group {
                // rinit's group outlives it when PROGRAM did.
                libc::kill(-self.init, libc::SIGKILL);
            }
            if self.ended {
                return;
            }
            libc::kill(self.init, libc::SIGKILL);
            let mut word = 0;
            libc::waitpid(self.child, &raw mut word, 0);
        }
    }
}

/// kill(2) by its number: the C library has no opinion then.
#[track_caller]
pub fn kill(pid: i32, signal: i32) {
    let result = unsafe { libc::syscall(libc::SYS_kill, pid, signal) };
    assert_eq!(result, 0, "kill {pid} {signal}: {}", std::io::Error::last_os_error());
}

/// sigqueue(3) by its number: the C library refuses 32 and 33. False where there is no room.
#[track_caller]
pub fn try_sigqueue(pid: i32, signal: i32, value: i32) -> bool {
    // siginfo_t: three words (signal, errno, code), padding, pid, uid, value.
    let mut info = [0_i32; 32];
    (info[0], info[2]) = (signal, libc::SI_QUEUE);
    (info[4], info[5]) = (std::process::id() as i32, unsafe { libc::getuid() } as i32);
    info[6] = value;
    let result = unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, signal, info.as_ptr()) };
    let error = std::io::Error::last_os_error();
    assert!(result == 0 || error.raw_os_error() == Some(libc::EAGAIN), "sigqueue {pid} {signal}: {error}");
    result == 0
}
