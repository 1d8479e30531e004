//! What a last line claims, looked at in the container: facts, no decisions. All of it is bounded, because it is done
//! between PROGRAM's end and rinit's own: nothing is opened that could wait, and nothing is looked at that another
//! machine, or a daemon, would have to answer for.

#![forbid(unsafe_code)]

mod names;
mod network;
mod paths;
#[cfg(test)]
mod tests;

use std::time::Instant;

use super::files::Inspection;
use super::process::Proc;
use super::tail::Claim;
use super::user::User;
pub use names::{Library, PidFile, Variable, has_uid};
pub use network::{Bound, Holder, Peer, PortUse, Resolver, find_host, only_loopback};
pub use paths::{FileSystem, Look, Step};

/// What was found about a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// Who has the port.
    Port(PortUse),
    /// The ports that are taken, where none was named.
    Listening(Vec<u16>),
    /// Whether the socket that stands at a path is still somebody's.
    SocketFile(Box<Look>, Option<Bound>),
    /// `ip_unprivileged_port_start`: ports below take a capability.
    Privileged(u16),
    /// Who is at an address.
    Peer(Peer),
    /// How names are resolved here.
    Resolver(Resolver),
    /// The file systems that can have been meant.
    Space(Vec<FileSystem>),
    /// `fs.inotify.max_user_watches` and `max_user_instances`; for a watch, the file systems that can have been meant instead.
    Watches(Option<u64>, Option<u64>, Vec<FileSystem>),
    /// What is at a path, and on the way there.
    Path(Box<Look>),
    /// What execve(2) would meet.
    Command(Box<Inspection>),
    /// Whether a variable is set.
    Variable(Variable),
    /// Where a library is.
    Library(Library),
    /// Whether /etc/passwd has an entry for PROGRAM's user; `None` if it cannot be read.
    Passwd(Option<bool>),
    /// Whose the pid in a pid file is.
    PidFile(PidFile),
}

/// What PROGRAM was.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The working directory in which it was started.
    pub directory: Option<&'a [u8]>,
    /// Its PATH at its start.
    pub path: Option<&'a [u8]>,
    /// Its credentials at its end.
    pub user: Option<&'a User>,
    /// /proc, if it is that of rinit's own namespace.
    pub proc: Option<Proc>,
    /// When to stop searching, with what was found until then: the exit waits.
    pub until: Instant,
}

/// Looks whether the container bears `claim` out. `None` if there is nothing to look at, or it cannot be seen.
#[must_use]
// Not inlined: its buffers would lie on the stack of every run.
#[inline(never)]
pub fn check(claim: &Claim, context: &Context<'_>) -> Option<Checked> {
    let path_of = |path: &Option<Vec<u8>>| context.absolute(path.as_deref()?);
    Some(match claim {
        Claim::AddressInUse { port: Some(port), .. } => Checked::Port(PortUse::of(*port, context)?),
        Claim::AddressInUse { path: None, port: None } => {
            Checked::Listening(context.proc.map(|_| network::listening())?)
        }
        Claim::AddressInUse { path, port: None } => {
            let path = path_of(path)?;
            Checked::SocketFile(Box::new(Look::at(&path)?), network::bound_to(&path, context))
        }
        Claim::MayNotBind { .. } => Checked::Privileged(network::first_unprivileged_port()?),
        Claim::ConnectionRefused { host, port } => Checked::Peer(Peer::of(host.as_deref()?, *port, context)),
        Claim::NameResolution { name, .. } => Checked::Resolver(Resolver::read(name.as_deref())),
        Claim::NoSpace { watches: true, .. } | Claim::NoInstances => {
            let sysctl = |name| names::read_number(&format!("/proc/sys/fs/inotify/{name}"));
            let systems = if *claim == Claim::NoInstances { Vec::new() } else { context.file_systems(None, true) };
            Checked::Watches(sysctl("max_user_watches"), sysctl("max_user_instances"), systems)
        }
        Claim::NoSpace { path, .. } => Checked::Space(context.file_systems(path_of(path), true)),
        Claim::ReadOnly { path } => Checked::Space(context.file_systems(path_of(path), false)),
        Claim::Denied { path } => Checked::Path(Box::new(Look::at(&path_of(path)?)?)),
        Claim::Missing { path } => {
            let look = Look::at(&path_of(path)?)?;
            // It is there: what it needs may not be.
            if look.is_executable() {
                return Some(Checked::Command(Box::new(paths::inspect(look.path, context)?)));
            }
            Checked::Path(Box::new(look))
        }
        Claim::NotExecutable { path } => Checked::Command(Box::new(paths::inspect(path_of(path)?, context)?)),
        Claim::NoCommand { name } => Checked::Command(Box::new(paths::inspect(name.clone(), context)?)),
        Claim::NoVariable { name } => Checked::Variable(Variable::find(name)),
        Claim::NoLibrary { name } => Checked::Library(Library::find(name, context.until)?),
        Claim::NoUser => Checked::Passwd(names::has_entry(context.user?.uid)),
        Claim::StalePidFile { path } => Checked::PidFile(PidFile::read(&path_of(path)?, context.proc?)?),
        Claim::TooManyFiles | Claim::NotPermitted | Claim::NoMemory | Claim::NoThreads | Claim::HeapLimit { .. } => {
            return None;
        }
    })
}

impl Context<'_> {
    /// Those that can have been meant: that of the path first, if one was named; else the usual ones, then the volumes
    /// that are full.
    fn file_systems(&self, named: Option<Vec<u8>>, full: bool) -> Vec<FileSystem> {
        let usual = [self.directory, Some(b"/tmp"), Some(b"/dev/shm"), Some(b"/")];
        let mut systems = paths::file_systems(named.as_deref().into_iter().chain(usual.into_iter().flatten()));
        if named.is_none() && full {
            systems.extend(paths::full_volumes());
        }
        systems
    }

    fn absolute(&self, path: &[u8]) -> Option<Vec<u8>> {
        let path = path.strip_prefix(b"file://").unwrap_or(path);
        match path {
            [] => None,
            [b'/', ..] => Some(path.to_vec()),
            [b'.', b'/', rest @ ..] => self.absolute(rest),
            _ => Some([self.directory?, b"/", path].concat()),
        }
    }
}
