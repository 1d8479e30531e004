//! Which paths can be looked at without waiting for anybody: what is done at PROGRAM's end holds up the exit, and a
//! server that is gone may never answer. The mount table tells, and reading it touches no file system.

#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::files::{LONGEST_MOUNTINFO, as_path, read_whole};
use super::mountinfo::Mount;

/// Symbolic links that are followed (path_resolution(7) has the kernel's number, which is the same).
const MOST_LINKS: usize = 40;

/// The mount table: which roads lead where an answer comes at once.
#[derive(Debug)]
pub struct Roads {
    /// The table as it was read.
    pub mounts: Vec<u8>,
    /// Whether any file system of it is one that may not answer.
    any_remote: bool,
}

impl Roads {
    /// `None` without a whole mount table: then no road is known to be safe.
    #[must_use]
    pub fn read() -> Option<Self> {
        let mounts = read_whole("/proc/self/mountinfo", LONGEST_MOUNTINFO)?;
        (!mounts.is_empty()).then(|| Self::of(mounts))
    }

    /// Of a table that was read.
    #[must_use]
    pub fn of(mounts: Vec<u8>) -> Self {
        let any_remote = mounts.split(|byte| *byte == b'\n').filter_map(Mount::parse).any(|mount| is_remote(&mount));
        Self { mounts, any_remote }
    }

    /// `path`, which is absolute, without symbolic links and dots, whether it exists or not. `None` if it leads where
    /// somebody else than this kernel would have to answer (a server, a daemon), who may never do it, or goes round and
    /// round, or into another process's descriptors.
    #[must_use]
    pub fn resolve(&self, path: &[u8]) -> Option<Vec<u8>> {
        let reversed = |path: &[u8]| path.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec).collect::<Vec<_>>();
        let mut left = reversed(path);
        let mut here: Vec<u8> = Vec::new();
        let mut links = 0;
        while let Some(name) = left.pop() {
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    here.truncate(here.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            here.push(b'/');
            here.extend_from_slice(&name);
            if self.any_remote && Mount::covering(&self.mounts, &here).is_none_or(|mount| is_remote(&mount)) {
                return None;
            }
            if here.starts_with(b"/proc/") && here.ends_with(b"/fd") {
                return None;
            }
            let Ok(target) = fs::read_link(as_path(&here)) else { continue };
            links += 1;
            if links > MOST_LINKS {
                return None;
            }
            let target = target.into_os_string().into_vec();
            let end = if target.starts_with(b"/") { 0 } else { here.len() - name.len() - 1 };
            here.truncate(end);
            left.extend(reversed(&target));
        }
        Some(if here.is_empty() { b"/".to_vec() } else { here })
    }

    /// Whether whoever looks at `path` has an answer at once. Not for a relative one.
    #[must_use]
    pub fn is_open(&self, path: &Path) -> bool {
        path.is_absolute() && (!self.any_remote || self.resolve(path.as_os_str().as_bytes()).is_some())
    }

    /// The mount that holds a path that [`Roads::resolve`] gave.
    #[must_use]
    pub fn mount(&self, real: &[u8]) -> Option<Mount> {
        Mount::covering(&self.mounts, real)
    }
}

/// Whether a file system asks a server or a daemon. What is mounted at / holds the image, which PROGRAM came from.
pub(super) fn is_remote(mount: &Mount) -> bool {
    const KINDS: [&[u8]; 15] = [
        b"nfs",
        b"nfs4",
        b"cifs",
        b"smb3",
        b"smbfs",
        b"ceph",
        b"glusterfs",
        b"9p",
        b"afs",
        b"lustre",
        b"gfs2",
        b"ocfs2",
        b"beegfs",
        b"autofs",
        b"fuse",
    ];
    let kind = mount.file_system.as_deref().unwrap_or_default();
    mount.mount_point != b"/" && (KINDS.contains(&kind) || kind.starts_with(b"fuse."))
}
