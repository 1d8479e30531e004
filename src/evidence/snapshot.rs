//! PROGRAM just before a signal is passed on to it.

#![forbid(unsafe_code)]

use std::fs;
use std::time::Duration;

use super::listing::Listing;
use super::process::{Proc, Process, Status};
use super::sockets::{Backlog, backlogs};
use crate::signals::{SignalSet, Signo};

/// What PROGRAM was like. All but `status` is looked at only for signals that may be meant to stop it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// /proc/PID/status.
    pub status: Status,
    /// Its children, ended ones included.
    pub children: Option<Vec<Process>>,
    /// Its threads.
    pub threads: Option<Threads>,
    /// Connections that waited to be accepted.
    pub backlogs: Vec<Waiting>,
    /// A second look, at the first wake-up at least [`SETTLED`] later: a live process moves.
    pub later: Option<Later>,
}

/// The threads of a process, the first of them at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Threads {
    /// How many were looked at.
    pub count: usize,
    /// Of these, stopped by a signal or a debugger (state T or t).
    pub stopped: usize,
    /// Of these, in a sleep that no signal ends (state D).
    pub uninterruptible: usize,
}

/// A queue, and whether it is PROGRAM's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The queue.
    pub backlog: Backlog,
    /// Whether PROGRAM or one of its children holds the socket; `None` if that could not be looked up.
    pub held: Option<bool>,
}

/// The second look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Later {
    /// How long after the signal.
    pub after: Duration,
    /// What was pending for the process then.
    pub pending: SignalSet,
    /// The state letter of the main thread then.
    pub state: u8,
}

/// What is pending this long after a signal is not merely on its way.
pub const SETTLED: Duration = Duration::from_millis(100);
/// Threads, and children, that are looked at: a snapshot must not hold the signal up.
const LOOKED_AT: usize = 32;
/// Descriptors of a process that are looked at to find a socket.
const MOST_DESCRIPTORS: usize = 1024;

impl Snapshot {
    /// Whether the main thread had a handler for `signal`.
    #[must_use]
    pub fn caught(&self, signal: Signo) -> Option<bool> {
        Some(self.status.caught?.contains(signal))
    }

    /// Adds a second look, unless it has one or it is too early for it.
    pub fn look_again(&mut self, after: Duration, status: &Status) {
        if let (None, true, Some(pending), Some(state)) = (self.later, after >= SETTLED, status.pending, status.state) {
            self.later = Some(Later { after, pending, state });
        }
    }
}

impl Proc {
    /// Looks at PROGRAM; `closely` for a signal that may be meant to stop it.
    #[must_use]
    pub fn snapshot(self, pid: i32, closely: bool) -> Option<Snapshot> {
        let status = self.status(pid)?;
        if !closely {
            return Some(Snapshot { status, ..Snapshot::default() });
        }
        let (threads, children) = self.threads_and_children(pid);
        let holders = children.iter().flatten().map(|child| child.pid);
        let backlogs = backlogs(pid, 1)
            .into_iter()
            .map(|backlog| Waiting {
                held: holds_socket([pid].into_iter().chain(holders.clone()), backlog.inode),
                backlog,
            })
            .collect();
        Some(Snapshot { status, children, threads, backlogs, later: None })
    }

    /// Children belong to the thread that forked them (proc_tid_children(5)).
    fn threads_and_children(self, pid: i32) -> (Option<Threads>, Option<Vec<Process>>) {
        let Ok(mut entries) = Listing::of(format!("/proc/{pid}/task")) else { return (None, None) };
        let mut threads = Threads::default();
        let mut children = None;
        for entry in entries.by_ref().take(LOOKED_AT) {
            let Some(thread) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let Some(state) = self.thread_state(pid, thread) else { continue };
            threads.count += 1;
            threads.stopped += usize::from(matches!(state, b'T' | b't'));
            threads.uninterruptible += usize::from(state == b'D');
            if let Some(of_thread) = self.children_of_thread(pid, thread) {
                let room = LOOKED_AT.saturating_sub(children.as_ref().map_or(0, Vec::len));
                let of_thread = of_thread.into_iter().take(room).filter_map(|child| self.process(child));
                children.get_or_insert_with(Vec::new).extend(of_thread);
            }
        }
        // One that was not seen may run, and have children.
        if threads.count == 0 || entries.broken_off() { (None, None) } else { (Some(threads), children) }
    }
}

/// Whether one of the processes has the socket open. `None` where none is known to and not all could be looked at.
fn holds_socket(pids: impl Iterator<Item = i32>, inode: u64) -> Option<bool> {
    let wanted = format!("socket:[{inode}]");
    let mut all_seen = true;
    for pid in pids {
        let Ok(mut entries) = Listing::of(format!("/proc/{pid}/fd")) else {
            all_seen = false;
            continue;
        };
        let mut seen = 0;
        for entry in entries.by_ref().take(MOST_DESCRIPTORS) {
            seen += 1;
            if fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == wanted.as_str()) {
                return Some(true);
            }
        }
        all_seen &= seen < MOST_DESCRIPTORS && !entries.broken_off();
    }
    all_seen.then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::Signo;

    #[test]
    fn the_second_look_comes_once_and_not_too_early() {
        let pending = SignalSet(0).with(Signo::TERM);
        let status = Status { pending: Some(pending), state: Some(b'S'), ..Status::default() };
        let mut snapshot = Snapshot::default();
        snapshot.look_again(Duration::from_millis(99), &status);
        assert_eq!(snapshot.later, None);
        snapshot.look_again(Duration::from_millis(200), &Status::default());
        assert_eq!(snapshot.later, None, "nothing was seen");
        for after in [300, 400] {
            snapshot.look_again(Duration::from_millis(after), &status);
            let later = Later { after: Duration::from_millis(300), pending, state: b'S' };
            assert_eq!(snapshot.later, Some(later));
        }
    }

    #[test]
    fn own_threads_and_sockets() {
        let own = std::process::id().cast_signed();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let _client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let snapshot = Proc::of(own).unwrap().snapshot(own, true).unwrap();
        let threads = snapshot.threads.unwrap();
        assert!(threads.count >= 1 && threads.stopped == 0, "{threads:?}");
        let ours = snapshot.backlogs.iter().find(|waiting| waiting.backlog.port == port).unwrap();
        assert_eq!((ours.backlog.waiting, ours.held), (1, Some(true)));
        assert_eq!(holds_socket([own].into_iter(), u64::MAX), Some(false));
        assert_eq!(holds_socket([-1].into_iter(), u64::MAX), None);
    }
}
