//! A look at `memory.events` whenever the kernel says that it changed (v2), and no wake-up otherwise.
//!
//! By poll(2) on the file itself: cgroup-v2.rst, "a file modified event". inotify(7) tells the same, but closing its
//! descriptor waits for all readers of the kernel's marks: 15 ms, measured, added to every exit.

#![forbid(unsafe_code)]

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::values::Events;

/// Reading files with the memory at its limit moves `max` hundreds of times a second: after each look there is rest.
const REST: Duration = Duration::from_secs(1);
/// And each rest is twice as long as the one before it, this long together: seven looks a minute in a storm.
const WINDOW: Duration = Duration::from_secs(60);

/// The watch.
#[derive(Debug)]
pub struct Watch {
    events: File,
    start: Instant,
    before: Events,
    last: Events,
    rest_until: Option<Instant>,
    /// When rests began to grow, and the next one.
    window: Option<(Instant, Duration)>,
    unmoved_until: Duration,
    /// oom_kill when it was last told.
    told: Option<u64>,
}

impl Watch {
    /// `events` was read just now, and its content was `before`.
    pub(super) fn new(events: File, before: Events) -> Self {
        let (start, told) = (Instant::now(), before.oom_kill);
        Self {
            events,
            start,
            before,
            last: before,
            rest_until: None,
            window: None,
            unmoved_until: Duration::ZERO,
            told,
        }
    }

    /// `memory.events`, which has to stay open.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.events
    }

    /// How long to leave the file out of the poll; `None`: it is watched.
    #[must_use]
    pub fn rest(&self) -> Option<Duration> {
        self.rest_until.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// The file has changed, or the rest is over: reads it. It rests again if something moved, so that a storm costs
    /// one wake-up a second. False if it cannot be read any more.
    pub fn look(&mut self) -> bool {
        let Some(events) = super::read_again(&self.events).filter(|events| events.oom_kill.is_some()) else {
            return false;
        };
        let now = Instant::now();
        if (events.oom, events.oom_kill) == (self.before.oom, self.before.oom_kill) {
            self.unmoved_until = now.duration_since(self.start);
        }
        let moved = std::mem::replace(&mut self.last, events) != events;
        self.rest_until = (moved || events.oom_kill != self.told).then(|| now + self.next_rest(now));
        true
    }

    fn next_rest(&mut self, now: Instant) -> Duration {
        let (start, rest) = self.window.filter(|(start, _)| now.duration_since(*start) < WINDOW).unwrap_or((now, REST));
        // The second look after the first tells who survived an OOM kill: that one comes soon, whatever follows.
        self.window = Some((start, if start == now { rest } else { rest * 2 }));
        rest
    }

    /// memory.events before the fork and at the last look.
    #[must_use]
    pub fn events(&self) -> (Events, Events) {
        (self.before, self.last)
    }

    /// oom_kill as it was last told and as it is, if it has moved since.
    #[must_use]
    pub fn untold(&self) -> Option<(u64, u64)> {
        self.told.zip(self.last.oom_kill).filter(|(told, is)| told != is)
    }

    /// They have been told, and PROGRAM has survived them.
    pub fn tell(&mut self) {
        self.told = self.last.oom_kill;
    }

    /// See [`super::Memory::unmoved_until`].
    #[must_use]
    pub fn unmoved_until(&self) -> Duration {
        self.unmoved_until
    }

    /// See [`super::Memory::survived`].
    #[must_use]
    pub fn survived(&self) -> u64 {
        self.told.zip(self.before.oom_kill).and_then(|(told, before)| told.checked_sub(before)).unwrap_or(0)
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}
