//! What is on disk where PROGRAM should be, looked at after execve(2) refused it.

#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::sys::descriptor::errno_of;

/// The look at one command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inspection {
    /// Every path that was tried, in order: one for a command with a slash, else one per directory of PATH.
    pub candidates: Vec<Candidate>,
    /// PATH as it was searched; `None` for a command with a slash.
    pub search_path: Option<Vec<u8>>,
    /// Effective user and group of rinit, hence of PROGRAM.
    pub uid: u32,
    /// See `uid`.
    pub gid: u32,
}

/// One path that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The path, absolute if rinit's working directory at the start was known.
    pub path: Vec<u8>,
    /// What stat(2) says of it, symbolic links followed; errno if it fails.
    pub file: Result<FileFacts, i32>,
    /// The first component of the path that does not exist, if the file does not.
    pub missing: Option<Vec<u8>>,
}

/// stat(2) in brief.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Owner.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
}

impl Inspection {
    /// Looks at each of `paths`; those that are relative start at `directory`, where PROGRAM was to be started.
    #[must_use]
    pub fn of(paths: Vec<Vec<u8>>, search_path: Option<Vec<u8>>, directory: &Path) -> Self {
        let absolute = |path: Vec<u8>| directory.join(OsStr::from_bytes(&path));
        Self {
            candidates: paths.into_iter().map(|path| Candidate::of(&absolute(path))).collect(),
            search_path,
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
        }
    }
}

impl Candidate {
    fn of(path: &Path) -> Self {
        let file = fs::metadata(path)
            .map(|meta| FileFacts { mode: meta.mode(), uid: meta.uid(), gid: meta.gid(), size: meta.size() })
            .map_err(|error| errno_of(&error) as i32);
        let missing = if file == Err(libc::ENOENT) { first_missing(path) } else { None };
        Self { path: path.as_os_str().as_bytes().to_vec(), file, missing }
    }
}

/// The shortest prefix that does not exist. A dangling link exists, and what is missing is not in this path.
fn first_missing(path: &Path) -> Option<Vec<u8>> {
    let mut prefixes: Vec<&Path> = path.ancestors().collect();
    prefixes.reverse();
    let missing = prefixes
        .into_iter()
        .filter(|prefix| !prefix.as_os_str().is_empty())
        .find(|prefix| fs::symlink_metadata(prefix).is_err_and(|error| error.raw_os_error() == Some(libc::ENOENT)));
    missing.map(|prefix| prefix.as_os_str().as_bytes().to_vec())
}
