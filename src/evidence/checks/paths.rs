//! Paths, what is on the way there, and the file systems that they are on.

#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};

use super::Context;
use crate::child;
use crate::evidence::files::{Inspection, as_path};
use crate::evidence::mountinfo::Mount;
use crate::evidence::roads::{Roads, is_remote};
use crate::evidence::walk::{Obstacle, Permissions};
use crate::sys::descriptor::errno_of;
use crate::sys::process::attribute;

/// Directories of a path that are looked at.
const MOST_STEPS: usize = 64;
/// Volumes that are looked at.
const MOST_VOLUMES: usize = 256;

/// A part of a path that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// From / on, without symbolic links.
    pub path: Vec<u8>,
    /// Mode and owner.
    pub permissions: Permissions,
    /// Whether it has an access control list, which may say other than the mode.
    pub has_acl: bool,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The path, absolute.
    pub path: Vec<u8>,
    /// What of it exists, links followed: / first, the path itself last if it does.
    pub steps: Vec<Step>,
    /// Why it cannot be reached, if it cannot be.
    pub obstacle: Option<Obstacle>,
    /// What the last step is on.
    pub file_system: Option<FileSystem>,
}

impl Look {
    /// Looks at `path`, which is absolute. `None` if nobody but a server could say.
    #[must_use]
    pub fn at(path: &[u8]) -> Option<Self> {
        let roads = Roads::read()?;
        let real = roads.resolve(path)?;
        let mut steps = Vec::new();
        let ends = (1..real.len()).filter(|at| real.get(*at) == Some(&b'/')).chain([real.len()]);
        for prefix in std::iter::once(1).chain(ends).filter_map(|end| real.get(..end)).take(MOST_STEPS) {
            let Ok(meta) = fs::metadata(as_path(prefix)) else { break };
            if steps.last().is_some_and(|last: &Step| last.path == prefix) {
                continue;
            }
            let has_acl = attribute(as_path(prefix), c"system.posix_acl_access").is_some();
            steps.push(Step { path: prefix.to_vec(), permissions: Permissions::from(&meta), has_acl });
        }
        let file_system = steps.last().and_then(|step| FileSystem::of(&roads, &step.path));
        // Not that of `real`: a slash at its end makes a difference.
        let error = fs::metadata(as_path(path)).err();
        let obstacle = error.map(|error| Obstacle::find(path, errno_of(&error) as i32, &roads.mounts));
        Some(Self { path: path.to_vec(), steps, obstacle, file_system })
    }

    /// What is at the path itself.
    #[must_use]
    pub fn file(&self) -> Option<&Step> {
        self.steps.last().filter(|_| self.obstacle.is_none())
    }

    /// Whether a regular file is there that somebody may execute.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.file().is_some_and(|file| {
            let mode = file.permissions.mode;
            mode & libc::S_IFMT == libc::S_IFREG && mode & 0o111 != 0
        })
    }
}

/// A file system, as statvfs(3) shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// What it was asked for.
    pub path: Vec<u8>,
    /// Where it is mounted.
    pub mount: Option<Mount>,
    /// Bytes in all; 0 where there is no limit.
    pub size: u64,
    /// Bytes that a program without special rights can have.
    pub free: u64,
    /// Files in all; 0 where there is no limit.
    pub inodes: u64,
    /// Those that can still be made.
    pub free_inodes: u64,
    /// Whether it, or its mount here, is read-only.
    pub read_only: bool,
}

impl FileSystem {
    fn of(roads: &Roads, real: &[u8]) -> Option<Self> {
        let stat = statvfs(as_path(real)).ok()?;
        #[allow(clippy::useless_conversion, reason = "c_ulong has 32 bits on some machines")]
        let block = u64::from(stat.fragment_size());
        let bytes = |blocks: u64| blocks.saturating_mul(block);
        Some(Self {
            path: real.to_vec(),
            mount: roads.mount(real),
            size: bytes(stat.blocks()),
            free: bytes(stat.blocks_available()),
            inodes: stat.files(),
            free_inodes: stat.files_available(),
            read_only: stat.flags().contains(FsFlags::ST_RDONLY),
        })
    }

    /// Whether nothing can be written to it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        (self.size > 0 && self.free == 0) || (self.inodes > 0 && self.free_inodes == 0)
    }
}

/// The file systems that `paths` are on, each once, of a path that does not exist that of its directory.
pub(super) fn file_systems<'a>(paths: impl Iterator<Item = &'a [u8]>) -> Vec<FileSystem> {
    let mut found: Vec<FileSystem> = Vec::new();
    let Some(roads) = Roads::read() else { return found };
    for path in paths {
        let Some(real) = roads.resolve(path) else { continue };
        let mut there = Path::new(OsStr::from_bytes(&real));
        while fs::metadata(there).is_err()
            && let Some(parent) = there.parent()
        {
            there = parent;
        }
        let next = FileSystem::of(&roads, there.as_os_str().as_bytes());
        found.extend(next.filter(|next| found.iter().all(|known| known.mount.is_none() || known.mount != next.mount)));
    }
    found
}

/// The volumes to which nothing more can be written, though a file system that is read-only is not full.
pub(super) fn full_volumes() -> Vec<FileSystem> {
    let Some(roads) = Roads::read() else { return Vec::new() };
    let mounts = roads.mounts.split(|byte| *byte == b'\n').filter_map(Mount::parse);
    let local = mounts.filter(|mount| !is_remote(mount)).take(MOST_VOLUMES);
    // A mount may lie below a remote one, or be a single file.
    let points = local.filter_map(|mount| roads.resolve(&mount.mount_point));
    let volumes = points.filter(|point| fs::metadata(as_path(point)).is_ok_and(|there| there.is_dir()));
    let systems = volumes.filter_map(|point| FileSystem::of(&roads, &point));
    systems.filter(|system| system.is_full() && !system.read_only).collect()
}

/// What execve(2) would meet at `name`, a path or a command to be searched for. `None` if a part of PATH leads where
/// nobody may answer.
pub(super) fn inspect(name: Vec<u8>, context: &Context<'_>) -> Option<Inspection> {
    let roads = Roads::read()?;
    let directory = context.directory.map(as_path);
    let paths = child::candidates(&name, context.path);
    for path in &paths {
        let path = if path.starts_with(b"/") { path.clone() } else { context.absolute(path)? };
        roads.resolve(&path)?;
    }
    let searched = !name.contains(&b'/');
    let search_path = searched.then(|| context.path.unwrap_or(child::DEFAULT_PATH).to_vec());
    Some(Inspection::of(&name, paths, search_path, directory, false))
}
