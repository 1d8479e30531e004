//! What a look at memory reads while PROGRAM runs (v2), held open: at the limit even an open(2) is charged for, and may
//! be what calls the OOM killer.

#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use super::values::{keyed, limit, number};
use super::{Baseline, Limit, SMALL, Use};
use crate::evidence::process::Status;

/// Open files.
#[derive(Debug)]
pub struct Gauges {
    known: Use,
    max: Option<File>,
    current: Option<File>,
    stat: Option<File>,
    status: Option<File>,
}

impl Baseline {
    /// Opens them; `program` is PROGRAM's pid where /proc has it. `None` where nothing is watched.
    #[must_use]
    #[inline(never)]
    pub fn gauges(&self, program: Option<i32>) -> Option<Gauges> {
        let known = self.memory_limits()?;
        let open = |name| File::open(OsStr::from_bytes(&self.place.file(name))).ok();
        // The level of the lowest limit is where it can be changed; others stay what they were at the start.
        let max = known.limit.filter(|limit| limit.level == 0).and_then(|_| open("memory.max"));
        let status = program.and_then(|pid| File::open(format!("/proc/{pid}/status")).ok());
        Some(Gauges { known, max, current: open("memory.current"), stat: open("memory.stat"), status })
    }
}

impl Gauges {
    /// What is used now, and what PROGRAM has of it (KiB).
    #[must_use]
    pub fn read(&self) -> (Use, Option<u64>) {
        let bytes = self.max.as_ref().and_then(|file| look(file, limit)).flatten();
        let memory = Use {
            limit: bytes.map(|bytes| Limit { bytes, level: 0 }).or(self.known.limit),
            group: self.known.group,
            used: self.current.as_ref().and_then(|file| look(file, number)).flatten(),
            // The first line of the file.
            anonymous: self.stat.as_ref().and_then(|file| look(file, |text| keyed(text, b"anon"))).flatten(),
        };
        let resident = self.status.as_ref().and_then(|file| look(file, |text| Status::parse(text).resident_kib));
        (memory, resident.flatten())
    }
}

#[inline(never)]
fn look<T>(file: &File, parse: impl FnOnce(&[u8]) -> T) -> Option<T> {
    // /proc/PID/status has the resident set in its first half.
    let mut buffer = [0; 3 * SMALL];
    let length = file.read_at(&mut buffer, 0).ok()?;
    Some(parse(buffer.get(..length)?))
}
