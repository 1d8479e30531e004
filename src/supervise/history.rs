//! What was received for PROGRAM, in bounded room.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::time::Duration;

use crate::evidence::SignalEvent;
use crate::evidence::process::Status;
use crate::evidence::snapshot::SETTLED;

/// The first and the last signals; a storm must not grow rinit.
#[derive(Debug, Default)]
pub struct History {
    first: Vec<SignalEvent>,
    last: VecDeque<SignalEvent>,
    omitted: u64,
    looked_at: Duration,
    /// The SIGCONT that rinit is to read next has reached PROGRAM too.
    pub(super) continued: bool,
}

impl History {
    const KEPT: usize = 8;

    /// Whether to look into /proc for a signal that arrives `at`: for the first ones always, then once a second.
    pub(super) fn wants_details(&mut self, at: Duration) -> bool {
        let wanted = self.first.len() < Self::KEPT || at.saturating_sub(self.looked_at) >= Duration::from_secs(1);
        if wanted {
            self.looked_at = at;
        }
        wanted
    }

    pub(super) fn push(&mut self, event: SignalEvent) {
        if self.first.len() < Self::KEPT {
            self.first.push(event);
            return;
        }
        if self.last.len() == Self::KEPT {
            self.last.pop_front();
            self.omitted += 1;
        }
        self.last.push_back(event);
    }

    /// Looks again at what was sent at least [`SETTLED`] before `now` and not looked at again yet.
    pub(super) fn look_again(&mut self, now: Duration, status: impl FnOnce() -> Option<Status>) {
        let waits = |event: &SignalEvent| {
            let snapshot = event.snapshot.as_ref();
            snapshot.is_some_and(|snapshot| snapshot.later.is_none()) && now.saturating_sub(event.at) >= SETTLED
        };
        if !self.first.iter().chain(&self.last).any(waits) {
            return;
        }
        let Some(status) = status() else { return };
        for event in self.first.iter_mut().chain(&mut self.last) {
            let after = now.saturating_sub(event.at);
            if let Some(snapshot) = &mut event.snapshot {
                snapshot.look_again(after, &status);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The events, oldest first, and how many are missing between them.
    #[must_use]
    pub fn into_events(self) -> (Vec<SignalEvent>, u64) {
        (self.first.into_iter().chain(self.last).collect(), self.omitted)
    }
}
