//! What the kernel counts for the container: memory, OOM kills, refused forks, throttling.
//!
//! Before the fork only what a difference needs is read, for it is on the way to PROGRAM; the rest is read at the end,
//! and only if the outcome makes it matter.

#![forbid(unsafe_code)]

pub mod gauges;
pub mod place;
pub mod values;
pub mod watch;

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::errno::Errno;

use place::{Membership, Own, Place, Version};
use values::{Events, cpu_share, keyed, limit, value};
use watch::Watch;

use crate::sys::descriptor::errno_of;

/// The memory cgroup at the end, against what it was before the fork.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Version of the hierarchy.
    pub version: Version,
    /// Counters before the fork.
    pub before: Events,
    /// Counters at the end.
    pub after: Events,
    /// v2: how often since the fork this very cgroup was out of memory, descendants left out (`memory.events.local`,
    /// Linux 5.2).
    pub local_oom: Option<u64>,
    /// v2: the last look, counted from the start, that found oom and oom_kill as they were before the
    /// fork. The baseline is one.
    pub unmoved_until: Option<Duration>,
    /// v2: of the OOM kills since the fork those that PROGRAM is known to have survived, by another look at it later.
    pub survived: u64,
    /// The lowest limit that can be seen from here; `None` if that is not known.
    pub limit: Option<Limit>,
    /// v1: the lowest limit, those that cannot be seen from here included (`hierarchical_memory_limit`).
    pub hierarchical_limit: Option<u64>,
    /// Most that was used at once, bytes (`memory.peak`, Linux 5.19; `memory.max_usage_in_bytes`).
    pub peak: Option<u64>,
    /// tmpfs, shared memory: bytes after the end.
    pub shared: Option<u64>,
    /// Memory of the kernel's own after the end, sockets included: bytes (v2: `memory.stat`, Linux 5.18; v1:
    /// `memory.kmem.usage_in_bytes`).
    pub kernel: Option<u64>,
    /// `memory.swap.events`, fail and max: how often swap was wanted and not to be had, since the cgroup was made.
    pub swap_refused: Option<u64>,
}

/// A memory limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Bytes; `None`: there is none.
    pub bytes: Option<u64>,
    /// How many levels above the container's own cgroup it was set.
    pub level: usize,
}

/// The container's memory while PROGRAM runs (v2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Use {
    /// The lowest limit that can be seen from here; `None` if that is not known.
    pub limit: Option<Limit>,
    /// `memory.oom.group` of the container's cgroup (Linux 4.19): whether an OOM kill ends all of its processes.
    pub group: Option<bool>,
    /// `memory.current`: bytes.
    pub used: Option<u64>,
    /// `anon` in `memory.stat`: bytes of it that only swap could take.
    pub anonymous: Option<u64>,
}

/// Other counters of the container, all since its cgroup was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Strain {
    /// `pids.events`: forks that a limit on processes refused.
    pub refused_forks: Option<u64>,
    /// `pids.max` of the container; `None` also where there is none.
    pub process_limit: Option<u64>,
    /// `cpu.stat`: periods in which it ran.
    pub periods: Option<u64>,
    /// Those in which it had to wait for the next.
    pub throttled: Option<u64>,
    /// How long it waited, all CPUs together.
    pub throttled_for: Option<Duration>,
}

/// Read before the fork: where to look later, and what the difference is taken from.
#[derive(Debug)]
pub struct Baseline {
    place: Place,
    before: Events,
    local_oom: Option<u64>,
    /// What `before` was read from, held open for the watch and the end.
    events: Option<File>,
}

/// How much of the end matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The OOM kills alone.
    Kills,
    /// The limit and what was used of it.
    Usage,
    /// What it was used for, too.
    Everything,
}

impl Baseline {
    /// `None` where no memory cgroup is to be seen.
    // Neither this nor the end is inlined: their buffers would enlarge main's frame, under everything else.
    #[must_use]
    #[inline(never)]
    pub fn take(own_pid: i32) -> Option<Box<Self>> {
        let open = |place: Place| {
            let file = File::open(OsStr::from_bytes(&place.file(events_name(place.version)))).ok()?;
            Some((place, file))
        };
        let (place, file) = Place::guesses().find_map(open).or_else(|| {
            let membership = Membership::own(b"memory")?;
            open(membership.usual_place()).or_else(|| Own::new(own_pid).place(&membership).and_then(open))
        })?;
        let before = read_again(&file).unwrap_or_default();
        // The local counter is never above the other one.
        let local_oom = match before.oom {
            Some(0) => Some(0),
            _ => local_oom(&place),
        };
        let events = crate::sys::descriptor::above_stdio(file.into()).ok().map(File::from);
        Some(Box::new(Self { place, before, local_oom, events }))
    }

    /// The watch on `memory.events`, where there is one to be had.
    #[must_use]
    pub fn watch(&mut self) -> Option<Watch> {
        if self.place.version == Version::V1 || self.before.oom_kill.is_none() {
            return None;
        }
        Some(Watch::new(self.events.take()?, self.before))
    }

    /// What holds from the start on. `None` where nothing is watched.
    #[must_use]
    #[inline(never)]
    pub fn memory_limits(&self) -> Option<Use> {
        let place = Some(&self.place).filter(|place| place.version == Version::V2)?;
        let group = place.number("memory.oom.group");
        Some(Use { limit: lowest_limit(place), group: group.map(|group| group != 0), ..Use::default() })
    }

    /// The descriptor that has to stay open.
    #[must_use]
    pub fn descriptor(&self) -> Option<RawFd> {
        self.events.as_ref().map(File::as_raw_fd)
    }

    /// The end. `program` is where PROGRAM died, if that is known. `None` if the counters turn out to be another
    /// cgroup's.
    #[must_use]
    #[inline(never)]
    pub fn finish(
        &self,
        own: &Own,
        watch: Option<&Watch>,
        program: Option<&Membership>,
        depth: Depth,
    ) -> Option<Box<Memory>> {
        let place = &self.place;
        let after = match watch.map(Watch::file).or(self.events.as_ref()) {
            Some(events) => read_again(events)?,
            None => read(&place.file(events_name(place.version)), Events::parse)?,
        };
        let mut memory = Memory {
            version: place.version,
            before: self.before,
            after,
            local_oom: None,
            unmoved_until: watch.map(Watch::unmoved_until),
            survived: watch.map_or(0, Watch::survived),
            limit: None,
            hierarchical_limit: None,
            peak: None,
            shared: None,
            kernel: None,
            swap_refused: None,
        };
        let depth = if memory.oom_kills().is_some_and(|kills| kills > 0) { Depth::Everything } else { depth };
        if depth == Depth::Kills {
            return Some(Box::new(memory));
        }
        // The place was a guess, and if another one is right, so are other numbers.
        let covered = |membership: &Membership| own.place(membership).is_some_and(|other| place.covers(&other));
        // v1 shows a zombie in the root (kernel/cgroup/cgroup.c, `proc_cgroup_show`) and counts no cgroup below: if there
        // is one, PROGRAM may have been killed there.
        let program_is_covered = program.is_none_or(|program| match place.version {
            Version::V1 => !place.has_cgroups_below(),
            Version::V2 => covered(program),
        });
        if !own.membership(b"memory").as_ref().is_some_and(covered) || !program_is_covered {
            return None;
        }
        memory.add_usage(place);
        if depth == Depth::Everything {
            let local_oom = local_oom(place).zip(self.local_oom);
            memory.local_oom = local_oom.and_then(|(after, before)| after.checked_sub(before));
            memory.add_details(place);
        }
        Some(Box::new(memory))
    }
}

impl Memory {
    /// Processes that the OOM killer ended since the fork.
    #[must_use]
    pub fn oom_kills(&self) -> Option<u64> {
        self.after.oom_kill?.checked_sub(self.before.oom_kill?)
    }

    /// How often since the fork a limit of this cgroup, or of one below it, left no other way out (v2).
    #[must_use]
    pub fn ooms(&self) -> Option<u64> {
        self.after.oom?.checked_sub(self.before.oom?)
    }

    fn add_usage(&mut self, place: &Place) {
        self.limit = lowest_limit(place);
        let peak = match place.version {
            Version::V1 => "memory.max_usage_in_bytes",
            Version::V2 => "memory.peak",
        };
        self.peak = place.number(peak);
    }

    fn add_details(&mut self, place: &Place) {
        if place.version == Version::V2 {
            let refused = |text: &[u8]| Some(keyed(text, b"fail")?.max(keyed(text, b"max")?));
            self.swap_refused = read(&place.file("memory.swap.events"), refused).flatten();
        }
        if place.version == Version::V1 {
            self.kernel = place.number("memory.kmem.usage_in_bytes");
        }
        let mut sockets = None;
        each_line(&place.file("memory.stat"), &mut |line| {
            self.kernel = self.kernel.or_else(|| value(line, b"kernel"));
            sockets = sockets.or_else(|| value(line, b"sock"));
            self.shared = self.shared.or_else(|| value(line, b"shmem"));
            self.hierarchical_limit = self.hierarchical_limit.or_else(|| value(line, b"hierarchical_memory_limit"));
            true
        });
        self.kernel = self.kernel.map(|kernel| kernel.saturating_add(sockets.unwrap_or(0)));
    }
}

impl Strain {
    /// Reads it for rinit's own cgroups.
    #[must_use]
    #[inline(never)]
    pub fn read(own: &Own) -> Self {
        let mut strain = Self::default();
        if let Some(pids) = own.place_of(b"pids") {
            strain.refused_forks = read(&pids.file("pids.events"), |text| keyed(text, b"max")).flatten();
            strain.process_limit = pids.number("pids.max");
        }
        if let Some(cpu) = own.place_of(b"cpu") {
            read(&cpu.file("cpu.stat"), |text| {
                strain.periods = keyed(text, b"nr_periods");
                strain.throttled = keyed(text, b"nr_throttled");
                strain.throttled_for = match cpu.version {
                    Version::V2 => keyed(text, b"throttled_usec").map(Duration::from_micros),
                    Version::V1 => keyed(text, b"throttled_time").map(Duration::from_nanos),
                };
            });
        }
        strain
    }
}

/// What rinit's own cgroup allows. Cgroups above it can allow less. `Some(None)`: no limit here; `None`: not known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allowance {
    /// Version of the hierarchy that has the memory controller, and where its files are.
    pub memory_place: Option<(Version, Vec<u8>)>,
    /// Bytes.
    pub memory: Option<Option<u64>>,
    /// Processes and threads.
    pub pids: Option<Option<u64>>,
    /// Hundredths of a CPU.
    pub cpu: Option<Option<u64>>,
}

impl Allowance {
    /// Reads it for process `own_pid`, rinit itself.
    #[must_use]
    pub fn read(own_pid: i32) -> Self {
        let own = Own::new(own_pid);
        Self::of(|controller| own.place_of(controller))
    }

    /// Reads it where `place` says that each controller is.
    pub(crate) fn of(place: impl Fn(&'static [u8]) -> Option<Place>) -> Self {
        let memory = place(b"memory");
        let max = |place: &Place, name| read(&place.file(name), limit).flatten();
        Self {
            memory: memory.as_ref().and_then(|memory| max(memory, memory_limit_name(memory.version))),
            memory_place: memory.map(|memory| (memory.version, memory.directory().to_vec())),
            pids: place(b"pids").and_then(|pids| max(&pids, "pids.max")),
            cpu: place(b"cpu").and_then(|cpu| match cpu.version {
                Version::V2 => read(&cpu.file("cpu.max"), cpu_share).flatten(),
                // -1 is no limit.
                Version::V1 => match read(&cpu.file("cpu.cfs_quota_us"), |text| text.starts_with(b"-"))? {
                    true => Some(None),
                    false => {
                        let (quota, period) = (cpu.number("cpu.cfs_quota_us")?, cpu.number("cpu.cfs_period_us")?);
                        Some(Some(quota.saturating_mul(100).checked_div(period)?))
                    }
                },
            }),
        }
    }
}

/// OOM kills on the whole machine since it booted (/proc/vmstat, `oom_kill`; Linux 4.13).
#[must_use]
pub fn oom_kills_of_the_machine() -> Option<u64> {
    let mut count = None;
    each_line(b"/proc/vmstat", &mut |line| {
        count = value(line, b"oom_kill");
        count.is_none()
    });
    count
}

/// rinit's own oom_score_adj. PROGRAM inherits it.
#[must_use]
pub fn oom_score_adj() -> Option<i32> {
    read(b"/proc/self/oom_score_adj", |text| std::str::from_utf8(text).ok()?.trim().parse().ok()).flatten()
}

/// The OOM killer passes rinit over from now on (proc_pid_oom_score_adj(5)).
///
/// # Errors
/// EACCES without CAP_SYS_RESOURCE; ENOENT without /proc.
pub fn never_kill_rinit() -> Result<(), Errno> {
    std::fs::write("/proc/self/oom_score_adj", "-1000").map_err(|error| errno_of(&error))
}

fn events_name(version: Version) -> &'static str {
    match version {
        Version::V1 => "memory.oom_control",
        Version::V2 => "memory.events",
    }
}

fn memory_limit_name(version: Version) -> &'static str {
    match version {
        Version::V1 => "memory.limit_in_bytes",
        Version::V2 => "memory.max",
    }
}

fn local_oom(place: &Place) -> Option<u64> {
    if place.version == Version::V1 {
        return None;
    }
    read(&place.file("memory.events.local"), |text| keyed(text, b"oom")).flatten()
}

/// The lowest limit from the cgroup itself up to the mount point. A level without the file (the root) has none; if
/// there is none at all, nothing is known.
fn lowest_limit(place: &Place) -> Option<Limit> {
    let name = memory_limit_name(place.version);
    let mut lowest: Option<Limit> = None;
    for (level, directory) in place.levels().enumerate() {
        let Some(bytes) = read(&place::join(directory, name.as_bytes()), limit).flatten() else { continue };
        let lower = match (lowest.and_then(|lowest| lowest.bytes), bytes) {
            _ if lowest.is_none() => true,
            (None, Some(_)) => true,
            (Some(lowest), Some(bytes)) => bytes < lowest,
            (_, None) => false,
        };
        if lower {
            lowest = Some(Limit { bytes, level });
        }
    }
    lowest
}

/// Room for the small files; those that may be larger are read line by line.
const SMALL: usize = 512;

/// Parses a file that fits into [`SMALL`] bytes.
#[inline(never)]
fn read<T>(path: &[u8], parse: impl FnOnce(&[u8]) -> T) -> Option<T> {
    let mut buffer = [0; SMALL];
    let length = File::open(OsStr::from_bytes(path)).ok()?.read(&mut buffer).ok()?;
    Some(parse(buffer.get(..length)?))
}

/// Reads a file of counters that was read before.
#[inline(never)]
fn read_again(file: &File) -> Option<Events> {
    let mut buffer = [0; SMALL];
    let length = file.read_at(&mut buffer, 0).ok()?;
    Some(Events::parse(buffer.get(..length)?))
}

/// Hands each line to `take` until that says no. One longer than the buffer is left out. What is touched here before
/// the start stays in rinit's memory for as long as PROGRAM runs, so the file is read in pieces.
fn each_line(path: &[u8], take: &mut dyn FnMut(&[u8]) -> bool) {
    let Ok(mut file) = File::open(OsStr::from_bytes(path)) else { return };
    let _ = values::each_line(&mut |buffer| file.read(buffer).ok(), take);
}
