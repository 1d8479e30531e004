//! What is known while PROGRAM still runs, for the report that has to be there if rinit is killed with it.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::cgroup::Use;
use super::cgroup::values::Events;
use super::snapshot::Snapshot;

/// One look at a container that runs. What came of signals is in [`super::Evidence`].
#[derive(Debug, Clone, Default)]
pub struct Running {
    /// What made rinit look.
    pub moment: Moment,
    /// The container's memory, where it is watched (v2).
    pub memory: Option<Use>,
    /// memory.events before the fork and now, where it is watched.
    pub events: Option<(Events, Events)>,
    /// What PROGRAM has resident, in KiB; only at a look at memory.
    pub resident_kib: Option<u64>,
    /// PROGRAM now.
    pub program: Option<Snapshot>,
    /// CPU time that PROGRAM has used since the signal that asked it to stop.
    pub cpu: Option<Duration>,
    /// Whether the signal of this moment asks PROGRAM to stop.
    pub asks_to_stop: bool,
}

/// Why rinit looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Moment {
    /// PROGRAM is about to be started.
    #[default]
    Start,
    /// This signal (an index into `Evidence::signals`) was just passed on.
    Signal(usize),
    /// PROGRAM was asked to stop by this signal some time ago, and runs on.
    Asked(usize),
    /// Something in memory.events, or the limit, has moved.
    Memory,
}
