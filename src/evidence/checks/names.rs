//! Variables, libraries, users and pid files.

#![forbid(unsafe_code)]

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

use crate::evidence::files::{as_path, open_regular};
use crate::evidence::listing::Listing;
use crate::evidence::near::Nearest;
use crate::evidence::process::{Proc, Process, number};
use crate::evidence::roads::Roads;

/// Longest file of /etc that is read.
const LONGEST_FILE: u64 = 1 << 18;
/// Names of a directory that are looked at.
const MOST_ENTRIES: usize = 20_000;
/// Other versions of a library that are kept.
const MOST_VERSIONS: usize = 3;

/// A variable of PROGRAM's environment, as it was at its start. Its value is looked at for one thing: whether it is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variable {
    /// `None`: it is not set; else whether it is empty.
    pub empty: Option<bool>,
    /// Variables with names near to it.
    pub near: Vec<Vec<u8>>,
    /// How many there are.
    pub count: usize,
}

impl Variable {
    /// Looks for `name` in rinit's environment, which is PROGRAM's.
    #[must_use]
    pub fn find(name: &[u8]) -> Self {
        Self::among(name, std::env::vars_os().map(|(other, value)| (other.as_bytes().to_vec(), value.is_empty())))
    }

    fn among(name: &[u8], all: impl Iterator<Item = (Vec<u8>, bool)>) -> Self {
        let mut nearest = Nearest::to(name);
        let (mut empty, mut count) = (None, 0);
        for (other, is_empty) in all {
            count += 1;
            if other == name {
                empty = Some(is_empty);
            }
            nearest.offer(&other, || other.clone());
        }
        Self { empty, near: nearest.into_names(), count }
    }
}

/// A shared library that was not found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Library {
    /// Where one of this very name is.
    pub path: Option<Vec<u8>>,
    /// Where other versions of it are.
    pub versions: Vec<Vec<u8>>,
    /// How many directories were looked at.
    pub directories: usize,
}

impl Library {
    /// Looks for `name` where the loaders do (ld.so(8)), and in the usual directories beside. `None` if it is a path, or
    /// was not found before the search had to end.
    #[must_use]
    pub fn find(name: &[u8], until: Instant) -> Option<Self> {
        // A 32-bit rinit starts 64-bit programs as well.
        const ARCHITECTURES: &[&str] =
            if cfg!(target_arch = "x86") { &["i386", "x86_64"] } else { &[std::env::consts::ARCH] };
        const USUAL: &str = "/lib:/usr/lib:/lib64:/usr/lib64:/usr/local/lib:/usr/local/lib64:/opt/lib";
        if name.contains(&b'/') || name.is_empty() {
            return None;
        }
        let roads = Roads::read()?;
        let set = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let mut directories: Vec<Vec<u8>> = Vec::new();
        for directory in set.as_bytes().split(|byte| *byte == b':').chain(USUAL.as_bytes().split(|byte| *byte == b':'))
        {
            let Some(real) = Some(directory).filter(|path| path.starts_with(b"/")).and_then(|path| roads.resolve(path))
            else {
                continue;
            };
            // Debian has one more level: /usr/lib/x86_64-linux-gnu.
            let triplets =
                ARCHITECTURES.iter().map(|name| [real.as_slice(), b"/", name.as_bytes(), b"-linux-gnu"].concat());
            let triplets: Vec<_> = triplets.collect();
            for directory in std::iter::once(real).chain(triplets) {
                if !directories.contains(&directory) {
                    directories.push(directory);
                }
            }
        }
        let mut library = Self::default();
        let cut = directories.iter().filter(|directory| !library.look_in(directory, name, until)).count();
        (cut == 0 || library.path.is_some()).then_some(library)
    }

    /// Says whether it came to the end of the directory.
    fn look_in(&mut self, directory: &[u8], name: &[u8], until: Instant) -> bool {
        let Ok(mut list) = Listing::of(as_path(directory)) else { return true };
        self.directories += 1;
        for (count, entry) in list.by_ref().enumerate() {
            if count == MOST_ENTRIES || Instant::now() >= until {
                return false;
            }
            let found = entry.file_name();
            let found = found.as_bytes();
            let path = || [directory, b"/", found].concat();
            if found == name {
                self.path.get_or_insert_with(path);
            } else if is_other_version(found, name) && self.versions.len() < MOST_VERSIONS {
                self.versions.push(path());
            }
        }
        !list.broken_off()
    }
}

/// `libssl.so.3` for `libssl.so.1.1`.
fn is_other_version(found: &[u8], name: &[u8]) -> bool {
    let stem = |name: &'_ [u8]| name.windows(3).position(|part| part == b".so").map(|end| end + 3);
    let (Some(end), Some(of_found)) = (stem(name), stem(found)) else { return false };
    end == of_found && found.get(..end) == name.get(..end)
}

/// A pid file that an earlier run left, or that of a process which lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidFile {
    /// Where it is.
    pub path: Vec<u8>,
    /// What is written in it.
    pub pid: Option<i32>,
    /// The process that has this pid now.
    pub process: Option<Process>,
    /// Whether that is rinit itself.
    pub is_own: bool,
}

impl PidFile {
    /// Reads a pid file. `None` if it is not there.
    #[must_use]
    pub fn read(path: &[u8], proc: Proc) -> Option<Self> {
        let path = Roads::read()?.resolve(path)?;
        let mut text = [0; 32];
        let length = open_regular(as_path(&path))?.read(&mut text).ok()?;
        let pid = words(text.get(..length)?).next().and_then(number).filter(|pid: &i32| *pid > 0);
        let process = pid.and_then(|pid| proc.process(pid)).filter(Process::is_running);
        Some(Self { path, pid, process, is_own: pid.is_some_and(|pid| proc.is_own(pid)) })
    }
}

/// Whether /etc/passwd has an entry for `uid`.
pub(super) fn has_entry(uid: u32) -> Option<bool> {
    read_file("/etc/passwd").map(|text| has_uid(&text, uid))
}

/// Whether one of the lines of passwd(5) is that of `uid`.
#[must_use]
pub fn has_uid(passwd: &[u8], uid: u32) -> bool {
    passwd
        .split(|byte| *byte == b'\n')
        .any(|line| line.split(|byte| *byte == b':').nth(2).and_then(number) == Some(uid))
}

/// A file of /etc, whole; `None` if it cannot be read, or is longer than any that people write.
pub(super) fn read_file(path: &str) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let length = open_regular(Path::new(path))?.take(LONGEST_FILE).read_to_end(&mut text).ok()?;
    ((length as u64) < LONGEST_FILE).then_some(text)
}

/// A file of /proc/sys with one number.
pub(super) fn read_number(path: &str) -> Option<u64> {
    words(&read_file(path)?).next().and_then(number)
}

/// What stands between blanks.
pub(super) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_among_others() {
        let all = [("PATH", false), ("DATABASE_URI", false), ("EMPTY", true)];
        let find = |name: &str| {
            let all = all.into_iter().map(|(name, empty)| (name.as_bytes().to_vec(), empty));
            Variable::among(name.as_bytes(), all)
        };
        let near = vec![b"DATABASE_URI".to_vec()];
        assert_eq!(find("DATABASE_URL"), Variable { empty: None, near, count: 3 });
        assert_eq!(find("EMPTY").empty, Some(true));
        assert_eq!(find("PATH").empty, Some(false));
    }

    #[test]
    fn other_versions() {
        for (found, name, is) in [
            ("libssl.so.3", "libssl.so.1.1", true),
            ("libssl.so", "libssl.so.1.1", true),
            ("libssl3.so", "libssl.so.1.1", false),
            ("libcrypto.so.3", "libssl.so.3", false),
            ("libssl.a", "libssl.so.3", false),
            ("", "", false),
        ] {
            assert_eq!(is_other_version(found.as_bytes(), name.as_bytes()), is, "{found} {name}");
        }
    }

    #[test]
    fn users_of_passwd() {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nbroken\nx:y\n::\napp:x:1000:1000::/:\n";
        assert!(has_uid(passwd, 0) && has_uid(passwd, 1000) && !has_uid(passwd, 10) && !has_uid(b"", 0));
    }
}
