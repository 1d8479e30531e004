//! The last lines that PROGRAM wrote, with `--tail`, and what they claim about the container.

#![forbid(unsafe_code)]

/// The kept lines. They are whatever PROGRAM wrote: any bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tail {
    /// Oldest first, without their newlines. The last one may lack its end. More than are shown: a runtime often names its
    /// reason before a long dump.
    pub lines: Vec<Line>,
    /// How many of the last ones were asked for; `None`: all.
    pub wanted: Option<usize>,
    /// Whether something came before them.
    pub cut: bool,
}

/// Lines that are looked at.
pub const MOST_LINES: usize = 2000;

impl Tail {
    /// Those that were asked for.
    #[must_use]
    pub fn shown(&self) -> &[Line] {
        let before = self.wanted.map_or(0, |wanted| self.lines.len().saturating_sub(wanted));
        self.lines.get(before..).unwrap_or_default()
    }
}

/// A line of the tail.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line {
    /// Its bytes; of a long line, the beginning.
    pub text: Vec<u8>,
    /// Whether it came from stdout (`--tail-stdout`).
    pub stdout: bool,
}

/// What a recognized line says about the container, as far as that can be checked from here. Names and paths are bytes as
/// they stood in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the line above each variant says what its fields are")]
pub enum Claim {
    /// EADDRINUSE: somebody listens on the port, or on a Unix socket's path.
    AddressInUse { port: Option<u16>, path: Option<Vec<u8>> },
    /// EACCES from bind(2).
    MayNotBind { port: Option<u16> },
    /// ECONNREFUSED: nobody listens there.
    ConnectionRefused { host: Option<Vec<u8>>, port: Option<u16> },
    /// A name that was not resolved; `temporary` where no server answered (EAI_AGAIN).
    NameResolution { name: Option<Vec<u8>>, temporary: bool },
    /// ENOSPC; `watches` where inotify(7) was refused a watch.
    NoSpace { path: Option<Vec<u8>>, watches: bool },
    /// EROFS.
    ReadOnly { path: Option<Vec<u8>> },
    /// EACCES for a path.
    Denied { path: Option<Vec<u8>> },
    /// ENOENT for a path.
    Missing { path: Option<Vec<u8>> },
    /// A shell or another program could not find a command.
    NoCommand { name: Vec<u8> },
    /// ENOEXEC for a path.
    NotExecutable { path: Option<Vec<u8>> },
    /// EMFILE, ENFILE.
    TooManyFiles,
    /// EMFILE of inotify(7).
    NoInstances,
    /// EPERM.
    NotPermitted,
    /// ENOMEM, `std::bad_alloc` and the like.
    NoMemory,
    /// EAGAIN from fork(2) or clone(2).
    NoThreads,
    /// A runtime's own heap limit, in bytes if it says so.
    HeapLimit { bytes: Option<u64> },
    /// An environment variable that is not set, or empty.
    NoVariable { name: Vec<u8> },
    /// A shared library that a loader did not find.
    NoLibrary { name: Vec<u8> },
    /// No entry for the user in /etc/passwd.
    NoUser,
    /// A pid file from an earlier run.
    StalePidFile { path: Option<Vec<u8>> },
}
