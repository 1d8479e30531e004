//! What is in a directory, as far as its list goes.

#![forbid(unsafe_code)]

use std::fs::{DirEntry, ReadDir, read_dir};
use std::io::Result;
use std::path::Path;

/// The entries of a directory. Their list can break off: what was not seen by then may be there all the same.
#[derive(Debug)]
pub struct Listing {
    entries: ReadDir,
    broken_off: bool,
}

impl Listing {
    /// Opens the directory `path`.
    ///
    /// # Errors
    /// Those of opendir(3).
    pub fn of(path: impl AsRef<Path>) -> Result<Self> {
        // Not generic, so that there is one of it.
        fn open(path: &Path) -> Result<Listing> {
            read_dir(path).map(|entries| Listing { entries, broken_off: false })
        }
        open(path.as_ref())
    }

    /// Whether the end that it came to was not that of the directory.
    #[must_use]
    pub fn broken_off(&self) -> bool {
        self.broken_off
    }
}

impl Iterator for Listing {
    type Item = DirEntry;

    fn next(&mut self) -> Option<DirEntry> {
        let entry = self.entries.next()?;
        self.broken_off |= entry.is_err();
        entry.ok()
    }
}
