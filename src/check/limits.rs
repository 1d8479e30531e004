//! The cgroup and its limits: the least that `--check` needs. To be replaced by the collector of the reports
//! (`evidence::cgroup`) once that has landed, so that both say the same.

use std::fs;
use std::path::{Path, PathBuf};

use super::parse::MountLine;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What rinit's own cgroup allows. Cgroups above it can allow less.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cgroup {
    /// 1 or 2; `None` where no cgroup file system is mounted.
    pub version: Option<u8>,
    /// Where the files are.
    pub directory: Option<Vec<u8>>,
    /// Bytes.
    pub memory: Limit,
    /// Processes and threads.
    pub pids: Limit,
    /// Hundredths of a CPU.
    pub cpu: Limit,
}

/// A limit, which may be unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Limit {
    /// Not known.
    #[default]
    Unknown,
    /// None here.
    None,
    /// This much.
    At(u64),
}

/// v1 has no word for "no limit": the largest number of whole pages (mm/page_counter.c, PAGE_COUNTER_MAX).
const V1_NONE: u64 = 1 << 62;

impl Cgroup {
    /// Reads the limits of the cgroup that `own` (/proc/self/cgroup) names.
    #[must_use]
    pub fn of(mounts: &[MountLine], own: &[u8]) -> Self {
        let v1 = |controller: &str| {
            let mount =
                mounts.iter().find(|mount| mount.file_system == b"cgroup" && mount.option(controller).is_some())?;
            let path = own.split(|byte| *byte == b'\n').find_map(|line| {
                let (_, rest) = split_once(line, b':')?;
                let (controllers, path) = split_once(rest, b':')?;
                controllers.split(|byte| *byte == b',').any(|name| name == controller.as_bytes()).then_some(path)
            });
            Some(directory(mount, path))
        };
        if let Some(memory) = v1("memory") {
            let (pids, cpu) = (v1("pids").unwrap_or_default(), v1("cpu").unwrap_or_default());
            return Self {
                version: Some(1),
                memory: match number(&memory.join("memory.limit_in_bytes")) {
                    Limit::At(bytes) if bytes >= V1_NONE => Limit::None,
                    limit => limit,
                },
                pids: number(&pids.join("pids.max")),
                cpu: match (read(&cpu.join("cpu.cfs_quota_us")), number(&cpu.join("cpu.cfs_period_us"))) {
                    (Some(quota), _) if quota.starts_with(b"-") => Limit::None,
                    (Some(quota), Limit::At(period)) => share(parse(&quota), period),
                    _ => Limit::Unknown,
                },
                directory: Some(memory.as_os_str().as_bytes().to_vec()),
            };
        }
        let Some(mount) = mounts.iter().find(|mount| mount.file_system == b"cgroup2") else {
            let v1 = mounts.iter().any(|mount| mount.file_system == b"cgroup");
            return Self { version: v1.then_some(1), ..Self::default() };
        };
        let path = own.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::"));
        let directory = directory(mount, path);
        Self {
            version: Some(2),
            memory: number(&directory.join("memory.max")),
            pids: number(&directory.join("pids.max")),
            cpu: read(&directory.join("cpu.max")).map_or(Limit::Unknown, |text| match split_once(&text, b' ') {
                Some((quota, period)) => match parse(period) {
                    Limit::At(period) => share(parse(quota), period),
                    _ => Limit::Unknown,
                },
                None => Limit::Unknown,
            }),
            directory: Some(directory.as_os_str().as_bytes().to_vec()),
        }
    }
}

/// The cgroup's directory: its path as seen from the mount's root, or else the mount itself.
fn directory(mount: &MountLine, path: Option<&[u8]>) -> PathBuf {
    let mount_point = PathBuf::from(OsStr::from_bytes(&mount.mount.mount_point));
    let below = path.and_then(|path| path.strip_prefix(mount.mount.root.as_slice()));
    let below = below
        .map(|below| below.strip_prefix(b"/").unwrap_or(below))
        .filter(|below| !below.is_empty() && !below.starts_with(b".."));
    match below {
        Some(below) if mount_point.join(OsStr::from_bytes(below)).exists() => {
            mount_point.join(OsStr::from_bytes(below))
        }
        _ => mount_point,
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    fs::read(path).ok().map(|text| text.trim_ascii().to_vec())
}

fn number(path: &Path) -> Limit {
    read(path).map_or(Limit::Unknown, |text| parse(&text))
}

fn parse(text: &[u8]) -> Limit {
    match std::str::from_utf8(text) {
        Ok("max") => Limit::None,
        Ok(text) => text.parse().map_or(Limit::Unknown, Limit::At),
        Err(_) => Limit::Unknown,
    }
}

fn share(quota: Limit, period: u64) -> Limit {
    match quota {
        Limit::At(quota) if period > 0 => Limit::At(quota.saturating_mul(100) / period),
        Limit::None => Limit::None,
        _ => Limit::Unknown,
    }
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = text.iter().position(|byte| *byte == at)?;
    Some((text.get(..position)?, text.get(position + 1..)?))
}
