//! Starting PROGRAM: fork, process group, terminal, the search in PATH, execve; and the errno back.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, getpgrp, setpgid, tcgetpgrp, tcsetpgrp};

use crate::outcome::{Outcome, Stage, StartError};
use crate::relay::Relay;
use crate::sys::descriptor::{above_stdio, stdin};
use crate::sys::entry::{Arguments, Environment};
use crate::sys::process::{self, Fork};
use crate::sys::signal::Inherited;

/// Where PROGRAM stands towards rinit and the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// rinit is PID 1 or leads its session: PROGRAM leads a group of its own and gets the terminal, if there is one.
    Leader,
    /// `--group` elsewhere: a group of its own, and the terminal if rinit's group has it. A background start must not
    /// steal it.
    OwnGroup,
    /// It leads a session of its own, and its stdin's terminal is that session's: dumb-init's default.
    Session,
    /// In rinit's group, so that pipelines and the job control of the shell that started rinit work.
    SameGroup,
}

impl Placement {
    /// Whether PROGRAM leads a process group.
    #[must_use]
    pub fn leads_group(self) -> bool {
        self != Self::SameGroup
    }
}

/// PROGRAM, and how it is to be started.
#[derive(Debug)]
pub struct Command {
    arguments: Arguments,
    program: usize,
    environment: Environment,
    search: Search,
}

/// The started child.
#[derive(Debug)]
pub struct Started {
    /// Its pid.
    pub pid: i32,
    errno_pipe: OwnedFd,
}

impl Command {
    /// `arguments[program]` is PROGRAM, what follows are its arguments. `path` is PATH's value, if it is set.
    #[must_use]
    pub fn new(arguments: Arguments, program: usize, path: Option<&[u8]>) -> Self {
        let name = arguments.get(program).unwrap_or_default();
        Self { arguments, program, environment: Environment::inherited(), search: Search::new(name, path) }
    }

    /// Forks and lets the child become PROGRAM. Returns at once: whether execve worked is known when the child has
    /// ended ([`Started::start_error`]), and nothing waits for it, because a stopped child would make that a hang.
    ///
    /// # Errors
    /// What kept the child from being made.
    pub fn start(&mut self, inherited: &Inherited, placement: Placement, relay: &Relay) -> Result<Started, StartError> {
        let failed = |stage| move |errno: Errno| StartError { stage, errno: errno as i32 };
        let (read_end, write_end) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(failed(Stage::Prepare))?;
        let read_end = above_stdio(read_end).map_err(failed(Stage::Prepare))?;
        let write_end = above_stdio(write_end).map_err(failed(Stage::Prepare))?;
        if placement == Placement::Session {
            process::give_up_terminal(stdin());
        }
        match process::fork().map_err(failed(Stage::Fork))? {
            // Nothing is allocated from here to execve.
            Fork::Child => {
                if placement.leads_group() {
                    take_group_and_terminal(placement);
                }
                relay.take_stdio();
                let error = self.become_program(inherited);
                let _ = nix::unistd::write(&write_end, &error.to_bytes());
                // Should the pipe fail, too, the status at least is right.
                process::exit(Outcome::NotStarted(error).exit_status());
            }
            Fork::Parent(pid) => {
                // The leader of a group could not make a session.
                if placement.leads_group() && placement != Placement::Session {
                    // From both sides: whoever comes first, the group is there before anything is sent to it. EACCES
                    // says that the child has already run execve, hence done it itself.
                    let _ = setpgid(Pid::from_raw(pid), Pid::from_raw(pid));
                }
                Ok(Started { pid, errno_pipe: read_end })
            }
        }
    }

    /// Executes PROGRAM in rinit's own place. Returns only the failure.
    pub fn become_program(&mut self, inherited: &Inherited) -> StartError {
        let argv = self.arguments.as_argv(self.program);
        let envp = self.environment.for_program();
        match inherited.give_back() {
            Ok(()) => {
                let errno = self.search.run(|path| process::execve(path, argv, envp));
                StartError { stage: Stage::Exec, errno: errno as i32 }
            }
            Err(errno) => StartError { stage: Stage::Prepare, errno: errno as i32 },
        }
    }
}

impl Started {
    /// Why execve failed, if it did. For when the child has ended: reading does not block then, since the child held
    /// the only writing end.
    #[must_use]
    pub fn start_error(&self) -> Option<StartError> {
        let mut bytes = [0; 4];
        let mut read = || nix::unistd::read(&self.errno_pipe, &mut bytes);
        // A second time: the first may have been interrupted.
        (read().or_else(|_| read()) == Ok(4)).then(|| StartError::from_bytes(bytes))
    }

    /// The descriptor that has to stay open until PROGRAM has ended. The other end is closed by execve(2) when it works;
    /// when it fails, there is something to read first.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.errno_pipe.as_fd()
    }
}

/// In the child, every signal blocked: SIGTTOU cannot stop it when it takes the terminal from the background.
fn take_group_and_terminal(placement: Placement) {
    let own = nix::unistd::getpid();
    if placement == Placement::Session {
        let _ = nix::unistd::setsid();
        process::take_terminal(stdin());
    } else if placement == Placement::OwnGroup {
        let rinits = getpgrp();
        let _ = setpgid(own, own);
        pass_terminal(rinits, own);
    } else {
        let _ = setpgid(own, own);
        with_terminal(|terminal| tcsetpgrp(terminal, own));
    }
}

/// Gives the controlling terminal's foreground to `group`, if `holder` has it now. Says whether it did.
pub fn pass_terminal(holder: Pid, group: Pid) -> bool {
    with_terminal(|terminal| {
        let passes = tcgetpgrp(terminal)? == holder;
        if passes { tcsetpgrp(terminal, group).map(|()| true) } else { Ok(false) }
    })
    .unwrap_or(false)
}

/// The process group in the controlling terminal's foreground; None without a terminal.
#[must_use]
pub fn foreground() -> Option<Pid> {
    with_terminal(|terminal| tcgetpgrp(terminal))
}

/// Calls `act` with the controlling terminal: stdin, or /dev/tty where stdin is none. Without a terminal both fail.
fn with_terminal<T>(act: impl Fn(BorrowedFd<'_>) -> nix::Result<T>) -> Option<T> {
    act(stdin()).ok().or_else(|| {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let terminal = nix::fcntl::open(c"/dev/tty", flags, Mode::empty()).ok()?;
        act(terminal.as_fd()).ok()
    })
}

/// The search for PROGRAM as execvp(3) does it, but with one difference: ENOEXEC is told, never retried with /bin/sh.
#[derive(Debug)]
struct Search {
    name: &'static CStr,
    /// PATH; empty for a name with a slash, which is not searched for.
    directories: Vec<u8>,
    /// Room for the longest candidate, so that the child allocates nothing.
    candidate: Vec<u8>,
}

/// What execvp(3) of musl searches when PATH is not set.
pub const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/bin:/usr/bin";

impl Search {
    fn new(name: &'static CStr, path: Option<&[u8]>) -> Self {
        let searched = !name.to_bytes().contains(&b'/') && !name.is_empty();
        let directories = if searched { path.unwrap_or(DEFAULT_PATH).to_vec() } else { Vec::new() };
        let longest = directories.split(|byte| *byte == b':').map(<[u8]>::len).max().unwrap_or(0);
        let candidate = Vec::with_capacity(longest + 1 + name.count_bytes() + 1);
        Self { name, directories, candidate }
    }

    /// Tries one candidate after the other until `exec` does not return. The error is the one that says most.
    fn run(&mut self, exec: impl Fn(&CStr) -> Errno) -> Errno {
        if self.name.is_empty() || self.name.to_bytes().contains(&b'/') {
            return exec(self.name);
        }
        let mut result = Errno::ENOENT;
        for directory in self.directories.split(|byte| *byte == b':') {
            // No push beyond the capacity: the child must not allocate.
            self.candidate.clear();
            self.candidate.extend_from_slice(directory);
            if !directory.is_empty() {
                self.candidate.push(b'/');
            }
            self.candidate.extend_from_slice(self.name.to_bytes_with_nul());
            let Ok(path) = CStr::from_bytes_with_nul(&self.candidate) else { continue };
            match exec(path) {
                // Not here.
                Errno::ENOENT | Errno::ENOTDIR => {}
                // A directory that this user may not search: nothing was found there. (execvp's EACCES would make it
                // "found, but not executable".)
                Errno::EACCES if nix::sys::stat::stat(path).is_err() => {}
                // Not from here: it may still be in another directory. Unreachable directories are no reason to stop.
                errno @ (Errno::EACCES
                | Errno::ELOOP
                | Errno::ENAMETOOLONG
                | Errno::ESTALE
                | Errno::ENODEV
                | Errno::ETIMEDOUT) => {
                    if result == Errno::ENOENT {
                        result = errno;
                    }
                }
                errno => return errno,
            }
        }
        result
    }
}

/// The paths that are tried for `name`: for the look at what is on disk after a failure.
pub fn candidates<'a>(name: &'a [u8], path: Option<&'a [u8]>) -> Vec<Vec<u8>> {
    if name.is_empty() || name.contains(&b'/') {
        return vec![name.to_vec()];
    }
    let join = |directory: &[u8]| {
        if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
    };
    path.unwrap_or(DEFAULT_PATH).split(|byte| *byte == b':').map(join).collect()
}

/// The first of the paths that are tried for `name` that is an executable file. A relative one starts at `directory`.
/// Those that are not `open` are not looked at.
pub fn first_executable(
    name: &[u8],
    path: Option<&[u8]>,
    directory: Option<&Path>,
    open: impl Fn(&Path) -> bool,
) -> Option<Vec<u8>> {
    let directory = directory.unwrap_or(Path::new("/"));
    let paths = candidates(name, path).into_iter().map(|path| directory.join(OsStr::from_bytes(&path)));
    let path = paths
        .filter(|path| open(path))
        .find(|path| path.metadata().is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0))?;
    Some(path.into_os_string().into_vec())
}
