//! A pseudo-terminal with the docker command on it, as a user sits before it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::engine::{Container, DEADLINE, poll, text};

/// The terminal, its screen so far, and `docker run -it` on it.
pub struct Terminal {
    keyboard: File,
    screen: Vec<u8>,
    docker: Child,
    _container: Container,
}

impl Terminal {
    /// `docker run -it IMAGE COMMAND`
    pub fn run(image: &str, command: &[&str]) -> Self {
        let (mut master, mut slave) = (-1, -1);
        let size = libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: both descriptors and the size are valid for the call; no name and no attributes are asked for.
        let opened = unsafe {
            libc::openpty(&raw mut master, &raw mut slave, std::ptr::null_mut(), std::ptr::null(), &raw const size)
        };
        assert_eq!(opened, 0, "openpty");
        // SAFETY: openpty has just made the two, and nobody else owns them.
        let (master, slave) = unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
        let stdio = || Stdio::from(slave.try_clone().expect("another descriptor"));

        let (container, args) = Container::prepare();
        let mut docker = Command::new("docker");
        docker.args(args).args(["--interactive", "--tty", image]).args(command);
        docker.stdin(stdio()).stdout(stdio()).stderr(stdio());
        // SAFETY: setsid and ioctl are async-signal-safe (signal-safety(7)).
        unsafe {
            docker.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let docker = docker.spawn().expect("docker runs");
        Self { keyboard: File::from(master), screen: Vec::new(), docker, _container: container }
    }

    /// Types.
    pub fn send(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes it");
    }

    /// Waits until `text` is on what came since the last call, and forgets everything up to its end.
    #[track_caller]
    pub fn expect(&mut self, expected: &str) -> String {
        let start = Instant::now();
        loop {
            if let Some(at) = self.screen.windows(expected.len()).position(|w| w == expected.as_bytes()) {
                let seen: Vec<u8> = self.screen.drain(..at + expected.len()).collect();
                return text(&seen);
            }
            assert!(start.elapsed() < DEADLINE, "no {expected:?} on the screen: {}", text(&self.screen));
            assert!(self.read(), "ended without {expected:?}: {}", text(&self.screen));
        }
    }

    /// The window gets another size, which the kernel tells the docker command by SIGWINCH.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the descriptor is open and the size valid for the call.
        let set = unsafe { libc::ioctl(self.keyboard.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(set, 0, "TIOCSWINSZ");
    }

    /// Status of docker, and the rest of the screen.
    pub fn finish(mut self) -> (i32, String) {
        let start = Instant::now();
        // The end of the terminal: docker and everything that it started has let go of it.
        while self.read() {
            assert!(start.elapsed() < DEADLINE, "no end: {}", text(&self.screen));
        }
        let status = poll("the end of docker run", || self.docker.try_wait().expect("docker is our child"));
        (status.code().expect("docker is not killed"), text(&self.screen))
    }

    /// Takes what there is, waiting a little for something to be there. False at the end: nobody has the terminal open.
    fn read(&mut self) -> bool {
        let mut ready = libc::pollfd { fd: self.keyboard.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let wait = Duration::from_millis(100).as_millis() as i32;
        // SAFETY: one valid pollfd.
        if unsafe { libc::poll(&raw mut ready, 1, wait) } <= 0 {
            return true;
        }
        let mut buffer = [0; 4096];
        // EIO is the end of a terminal (pty(7)).
        let read = self.keyboard.read(&mut buffer).unwrap_or(0);
        self.screen.extend(buffer.iter().take(read));
        read > 0
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.docker.kill();
        let _ = self.docker.wait();
    }
}
