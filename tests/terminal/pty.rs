//! A pseudo-terminal with rinit or a shell on it, as a user sits before it.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::common::{self, Ended, Got, Io, Rinit, Running, kill, proc};

/// Every wait on a screen ends at the latest this long after its terminal was made.
const DEADLINE: Duration = Duration::from_secs(20);

/// A signal that the probe gets after all those that a terminal generates, for pending ones come by their number.
pub const MARK: i32 = 40;

pub const CTRL_C: &str = "\x03";
pub const CTRL_D: &str = "\x04";
pub const CTRL_S: &str = "\x13";
pub const CTRL_Z: &str = "\x1a";
pub const CTRL_BACKSLASH: &str = "\x1c";

/// The master side, and all that was on the screen so far.
pub struct Terminal {
    master: Option<File>,
    slave: OwnedFd,
    screen: Vec<u8>,
    /// Bytes that `expect` has gone past.
    seen: usize,
    deadline: Instant,
}

impl Terminal {
    pub fn new() -> Self {
        let own = |fd: i32, what: &str| {
            assert!(fd >= 0, "{what}: {}", std::io::Error::last_os_error());
            unsafe { OwnedFd::from_raw_fd(fd) }
        };
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        let master = own(unsafe { libc::posix_openpt(flags) }, "posix_openpt");
        let fd = master.as_raw_fd();
        assert_eq!(unsafe { libc::grantpt(fd) }, 0, "grantpt");
        assert_eq!(unsafe { libc::unlockpt(fd) }, 0, "unlockpt");
        let slave = own(unsafe { libc::ioctl(fd, libc::TIOCGPTPEER, flags) }, "TIOCGPTPEER");
        assert_eq!(unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) }, 0, "O_NONBLOCK");
        let deadline = Instant::now() + DEADLINE;
        let terminal = Self { master: Some(File::from(master)), slave, screen: Vec::new(), seen: 0, deadline };
        terminal.resize(24, 80);
        terminal
    }

    /// The side that programs have.
    pub fn io(&self) -> Io {
        Io::Fd(self.slave.try_clone().unwrap())
    }

    fn master(&self) -> &File {
        self.master.as_ref().expect("the terminal was hung up")
    }

    pub fn send(&self, keys: &str) {
        self.master().write_all(keys.as_bytes()).unwrap();
    }

    /// TIOCSWINSZ, which the kernel tells the foreground group if the size is another one.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let set = unsafe { libc::ioctl(self.master().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(set, 0, "TIOCSWINSZ");
    }

    /// The foreground group; 0 without one.
    pub fn foreground(&self) -> i32 {
        let mut group = 0;
        let got = unsafe { libc::ioctl(self.master().as_raw_fd(), libc::TIOCGPGRP, &raw mut group) };
        assert_eq!(got, 0, "TIOCGPGRP");
        group
    }

    /// Closes the master: the line is cut.
    pub fn hang_up(&mut self) {
        self.master = None;
    }

    /// Takes what there is.
    fn drain(&mut self) {
        let mut chunk = [0; 4096];
        while let Some(master) = &mut self.master {
            match master.read(&mut chunk) {
                Ok(n) if n > 0 => self.screen.extend_from_slice(&chunk[..n]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // EIO: nobody has the other side open.
                _ => return,
            }
        }
    }

    /// What is on the screen and was not expected yet.
    pub fn rest(&mut self) -> String {
        self.drain();
        String::from_utf8_lossy(&self.screen[self.seen..]).into_owned()
    }

    pub fn screen(&mut self) -> String {
        self.drain();
        String::from_utf8_lossy(&self.screen).into_owned()
    }
}

/// A terminal, and what runs on it.
pub struct Session {
    pub run: Running,
    pub terminal: Terminal,
}

impl Session {
    /// PID 1 with the terminal as its controlling one and as stdio, as after `docker run -it`.
    pub fn start(run: Rinit) -> Self {
        let terminal = Terminal::new();
        let run = run.stdin(terminal.io()).stdout(terminal.io()).stderr(terminal.io()).controlling_terminal().spawn();
        Self { run, terminal }
    }

    /// The same with a pipe as stdout: what the probe prints cannot be lost when Ctrl-C flushes the terminal.
    pub fn start_with_pipes(run: Rinit) -> Self {
        let terminal = Terminal::new();
        let run = run.stdin(terminal.io()).controlling_terminal().spawn();
        Self { run, terminal }
    }

    /// An interactive shell. It is PID 1, so that nothing outlives the test, and rinit is not.
    pub fn shell() -> Self {
        let mut session = Self::start(interactive(Rinit::as_init().init("/bin/bash")));
        session.prompt();
        session
    }

    pub fn send(&self, keys: &str) {
        self.terminal.send(keys);
    }

    /// Types a line and sees it echoed.
    #[track_caller]
    pub fn command(&mut self, line: &str) {
        self.send(&format!("{line}\n"));
        self.expect(&format!("{line}\r\n"));
    }

    #[track_caller]
    pub fn prompt(&mut self) {
        self.expect("$ ");
    }

    /// Waits until `text` is on the screen, and forgets what is before its end.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        let mut over = false;
        loop {
            self.terminal.drain();
            let rest = &self.terminal.screen[self.terminal.seen..];
            if let Some(at) = rest.windows(text.len()).position(|w| w == text.as_bytes()) {
                self.terminal.seen += at + text.len();
                return;
            }
            if over {
                self.fail(&format!("{text:?} is not on the screen"));
            }
            std::thread::sleep(Duration::from_millis(1));
            // Then what it wrote last is drained above, once more.
            over = self.run.has_ended() || Instant::now() > self.terminal.deadline;
        }
    }

    /// The next signal of the probe, whose stdout is a pipe, is this one, by the kernel, and rinit does not send it too.
    #[track_caller]
    pub fn arrives_once(&mut self, signal: i32, rinit: i32) {
        assert_eq!(self.run.expect_signal(), Got { signal, pid: 0, code: libc::SI_KERNEL, value: None });
        kill(rinit, MARK);
        assert_eq!(self.run.expect_signal().signal, MARK, "after {signal}");
    }

    /// Polls a state.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut state: impl FnMut(&mut Self) -> bool) {
        while !state(self) {
            if Instant::now() > self.terminal.deadline {
                self.fail(&format!("not in time: {what}"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[track_caller]
    fn fail(&mut self, why: &str) -> ! {
        let screen = self.terminal.screen();
        let group = self.terminal.foreground();
        let mut tree = String::new();
        for pid in std::iter::once(self.run.pid()).chain(descendants(self.run.pid())) {
            let stat = proc::stat(pid).unwrap_or_default().join(" ");
            tree += &format!("{pid} {} {}\n", proc::status(pid, "Name").unwrap_or_default(), stat);
        }
        panic!("{why}\nforeground: {group}\nscreen: {screen:?}\n{tree}");
    }

    /// The pids of the `count` programs of this name, once they are there.
    #[track_caller]
    pub fn programs(&mut self, name: &str, count: usize) -> Vec<i32> {
        let mut found = Vec::new();
        self.until(&format!("{count} of {name}"), |session| {
            found = descendants(session.run.pid());
            found.retain(|pid| proc::status(*pid, "Name").is_some_and(|n| n == name));
            found.len() == count
        });
        found
    }

    #[track_caller]
    pub fn program(&mut self, name: &str) -> i32 {
        self.programs(name, 1)[0]
    }

    /// Waits until all that PID 1 has started is gone.
    #[track_caller]
    pub fn nothing_left(&mut self) {
        self.until("nothing is left", |session| descendants(session.run.pid()).is_empty());
    }

    #[track_caller]
    pub fn stopped(&mut self, pids: &[i32]) {
        self.until("all are stopped", |_| pids.iter().all(|pid| proc::state(*pid) == Some('T')));
    }

    #[track_caller]
    pub fn running(&mut self, pids: &[i32]) {
        self.until("all go on", |_| pids.iter().all(|pid| matches!(proc::state(*pid), Some('R' | 'S' | 'D'))));
    }

    #[track_caller]
    pub fn has_terminal(&mut self, group: i32) {
        self.until("the group has the terminal", |session| session.terminal.foreground() == group);
    }

    /// How PID 1 ended, and the screen.
    #[track_caller]
    pub fn wait(mut self) -> (Ended, Terminal) {
        self.until("the end", |session| {
            // A full terminal would hold it up.
            session.terminal.drain();
            session.run.has_ended()
        });
        (self.run.wait(), self.terminal)
    }

    /// `exit` typed into the shell.
    #[track_caller]
    pub fn leave(mut self, status: i32) {
        self.command(&format!("exit {status}"));
        self.wait().0.assert_code(status);
    }
}

/// A shell without a line editor and without anybody's settings; `$R` is rinit, `$P` the probe.
pub fn interactive(run: Rinit) -> Rinit {
    with_names(run).args(["--noprofile", "--norc", "--noediting", "-i"]).env("PS1", "$ ")
}

pub fn with_names(run: Rinit) -> Rinit {
    run.env("R", common::rinit()).env("P", common::probe()).env("TERM", "dumb").env("RINIT_QUIET", "1")
}

/// All below `pid`, zombies included.
pub fn descendants(pid: i32) -> Vec<i32> {
    let children = proc::children(pid);
    let below: Vec<i32> = children.iter().flat_map(|child| descendants(*child)).collect();
    children.into_iter().chain(below).collect()
}

/// The process group.
pub fn group_of(pid: i32) -> i32 {
    proc::stat(pid).unwrap()[2].parse().unwrap()
}
