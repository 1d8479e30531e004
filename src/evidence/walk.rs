//! The way to a file that cannot be reached: where it ends, and what is there instead.

#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fmt::{self, Display, Formatter};
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::listing::Listing;
use super::mountinfo::Mount;
use super::near::Nearest;
use crate::sys::descriptor::errno_of;

/// The kernel follows 40 symbolic links (path_resolution(7)); a reader is lost before.
const MOST_LINKS: usize = 8;
/// A directory is read up to here.
const MOST_ENTRIES: usize = 10_000;

/// Mode and owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    /// `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Owner.
    pub gid: u32,
}

/// `mode 0700, owner 0:0`
impl Display for Permissions {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let Self { mode, uid, gid } = self;
        write!(to, "mode {:04o}, owner {uid}:{gid}", mode & 0o7777)
    }
}

impl From<&Metadata> for Permissions {
    fn from(meta: &Metadata) -> Self {
        Self { mode: meta.mode(), uid: meta.uid(), gid: meta.gid() }
    }
}

/// Why a path leads to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// errno of stat(2).
    pub errno: i32,
    /// Where it ends; `None` if that was not found.
    pub place: Option<Place>,
    /// The first symbolic link on the way whose target cannot be reached, and that target as it is written.
    pub link: Option<(Vec<u8>, Vec<u8>)>,
}

/// Where a path ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// ENOENT: this does not exist, and its directory is this.
    Missing(Vec<u8>, Directory),
    /// ENOTDIR: this is no directory.
    File(Vec<u8>),
    /// EACCES: this directory may not be searched.
    Closed(Vec<u8>, Option<Permissions>),
}

/// The directory in which a name is missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    /// Its path.
    pub path: Vec<u8>,
    /// How many entries it has, up to 10,000; `None` if it cannot be read to there.
    pub entries: Option<usize>,
    /// Whether lost+found is one of them: a new file system has that and nothing else.
    pub lost_and_found: bool,
    /// The entries with names near to the missing one.
    pub near: Vec<Vec<u8>>,
    /// The mount that holds it; `None` if that is not known.
    pub mount: Option<Mount>,
}

impl Directory {
    /// Whether something is mounted at it, other than the root of everything.
    #[must_use]
    pub fn mount_over(&self) -> Option<&Mount> {
        self.mount.as_ref().filter(|mount| mount.mount_point != b"/")
    }
}

impl Obstacle {
    /// Looks for the place where `path` ends, after stat(2) of it gave `errno`.
    #[must_use]
    pub fn find(path: &[u8], errno: i32, mounts: &[u8]) -> Self {
        let mut link = None;
        let place = follow(path, &mut link, mounts, 0);
        Self { errno, place, link }
    }

    /// One of which nothing is known but the errno.
    #[must_use]
    pub fn bare(errno: i32) -> Self {
        Self { errno, place: None, link: None }
    }
}

fn follow(path: &[u8], link: &mut Option<(Vec<u8>, Vec<u8>)>, mounts: &[u8], depth: usize) -> Option<Place> {
    // The path of what was seen last, which is there.
    let mut above: &[u8] = if path.starts_with(b"/") { b"/" } else { b"." };
    for prefix in prefixes(path) {
        let here = Path::new(OsStr::from_bytes(prefix));
        let meta = match fs::symlink_metadata(here) {
            Ok(meta) => meta,
            Err(error) => {
                return match errno_of(&error) as i32 {
                    libc::ENOENT => Some(Place::Missing(prefix.to_vec(), directory(above, prefix, mounts))),
                    libc::ENOTDIR => Some(Place::File(above.to_vec())),
                    libc::EACCES => {
                        let closed = fs::metadata(Path::new(OsStr::from_bytes(above))).ok();
                        Some(Place::Closed(above.to_vec(), closed.as_ref().map(Permissions::from)))
                    }
                    _ => None,
                };
            }
        };
        if meta.file_type().is_symlink() && fs::metadata(here).is_err() {
            let target = fs::read_link(here).ok()?;
            let target = target.as_os_str().as_bytes();
            link.get_or_insert_with(|| (prefix.to_vec(), target.to_vec()));
            if depth == MOST_LINKS {
                return None;
            }
            let parent = here.parent().unwrap_or(Path::new("/"));
            return follow(parent.join(OsStr::from_bytes(target)).as_os_str().as_bytes(), link, mounts, depth + 1);
        }
        above = prefix;
    }
    None
}

/// `/a`, `/a/b`, `/a/b/` of `/a/b/`: with a slash at its end a path must be a directory.
fn prefixes(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = (1..path.len()).filter(|at| path.get(*at) == Some(&b'/') && path.get(at - 1) != Some(&b'/'));
    ends.chain([path.len()]).filter_map(|end| path.get(..end)).filter(|prefix| !prefix.is_empty() && *prefix != b"/")
}

/// What is in the directory `path`, where `missing` should be.
fn directory(path: &[u8], missing: &[u8], mounts: &[u8]) -> Directory {
    let here = Path::new(OsStr::from_bytes(path));
    let name = missing.rsplit(|byte| *byte == b'/').next().unwrap_or(missing);
    let mut nearest = Nearest::to(name);
    let (mut entries, mut lost_and_found) = (None, false);
    // stat first: opening is for directories alone.
    if fs::metadata(here).is_ok_and(|meta| meta.is_dir())
        && let Ok(mut list) = Listing::of(here)
    {
        let mut count = 0;
        for entry in list.by_ref().take(MOST_ENTRIES) {
            count += 1;
            let name = entry.file_name();
            lost_and_found |= name.as_bytes() == b"lost+found";
            nearest.offer(name.as_bytes(), || name.as_bytes().to_vec());
        }
        entries = (!list.broken_off()).then_some(count);
    }
    let mount = fs::canonicalize(here).ok().and_then(|real| Mount::covering(mounts, real.as_os_str().as_bytes()));
    Directory { path: path.to_vec(), entries, lost_and_found, near: nearest.into_names(), mount }
}

/// Searches `directories` for names near to `name`, devices, FIFOs and directories left out: their paths.
#[must_use]
pub fn near_in<'a>(directories: impl Iterator<Item = &'a [u8]>, name: &[u8]) -> Vec<Vec<u8>> {
    let mut nearest = Nearest::to(name);
    let mut left = MOST_ENTRIES;
    for directory in directories.filter(|directory| directory.starts_with(b"/")) {
        let Ok(list) = Listing::of(Path::new(OsStr::from_bytes(directory))) else { continue };
        for entry in list.take(left) {
            left -= 1;
            let kind = entry.file_type();
            if kind.is_ok_and(|kind| kind.is_file() || kind.is_symlink()) {
                nearest.offer(entry.file_name().as_bytes(), || entry.path().into_os_string().as_bytes().to_vec());
            }
        }
    }
    nearest.into_names()
}

/// `a directory`, for what is no regular file.
#[must_use]
pub fn kind_name(mode: u32) -> &'static str {
    match mode & libc::S_IFMT {
        libc::S_IFDIR => "a directory",
        libc::S_IFIFO => "a FIFO",
        libc::S_IFSOCK => "a socket",
        libc::S_IFCHR | libc::S_IFBLK => "a device",
        _ => "no regular file",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn temporary(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("rinit-walk-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        fs::canonicalize(path).unwrap()
    }

    #[test]
    fn prefixes_are_cut_at_slashes() {
        let of =
            |path: &str| prefixes(path.as_bytes()).map(|p| String::from_utf8(p.to_vec()).unwrap()).collect::<Vec<_>>();
        assert_eq!(of("/a/b"), ["/a", "/a/b"]);
        assert_eq!(of("/a//b/"), ["/a", "/a//b", "/a//b/"]);
        assert_eq!(of("a/b"), ["a", "a/b"]);
        assert_eq!(of("//a"), ["//a"]);
        assert!(of("/").is_empty() && of("").is_empty());
    }

    #[test]
    fn where_paths_end() {
        let dir = temporary("ends");
        for (name, content) in [("file", "x"), ("startup.sh", "x")] {
            fs::write(dir.join(name), content).unwrap();
        }
        fs::create_dir(dir.join("sub")).unwrap();
        for (link, target) in [("dangling", "sub/nothing"), ("again", "dangling"), ("round", "round"), ("far", "sub")] {
            symlink(target, dir.join(link)).unwrap();
        }
        let path = |name: &str| dir.join(name).into_os_string().as_bytes().to_vec();
        let find = |name: &str| Obstacle::find(&[dir.as_os_str().as_bytes(), b"/", name.as_bytes()].concat(), 0, b"");
        let missing = |name: &str| match find(name).place {
            Some(Place::Missing(missing, directory)) => (missing, directory),
            other => panic!("{other:?}"),
        };
        let (at, parent) = missing("start.sh");
        assert_eq!((at, parent.path), (path("start.sh"), dir.as_os_str().as_bytes().to_vec()));
        assert_eq!((parent.entries, parent.near), (Some(7), vec![b"startup.sh".to_vec()]));
        let (at, parent) = missing("no/such/file");
        assert_eq!((at, parent.entries), (path("no"), Some(7)));
        assert_eq!(missing("far/x").1.entries, Some(0));
        let dangling = find("again/x");
        assert_eq!(dangling.link, Some((path("again"), b"dangling".to_vec())));
        assert!(matches!(&dangling.place, Some(Place::Missing(at, _)) if *at == path("sub/nothing")), "{dangling:?}");
        assert_eq!(find("file/x").place, Some(Place::File(path("file"))));
        assert_eq!(find("file/").place, Some(Place::File(path("file"))));
        assert_eq!(find("round").place, None);
        assert_eq!(find("round").link, Some((path("round"), b"round".to_vec())));
        assert_eq!(find(&"n".repeat(256)), Obstacle::bare(0));
        // What is there after all, and no path at all.
        assert_eq!(find("file"), Obstacle::bare(0));
        assert_eq!(Obstacle::find(b"", 0, b""), Obstacle::bare(0));
        assert_eq!(near_in([path("").as_slice()].into_iter(), b"startup").first(), Some(&path("startup.sh")));
        fs::remove_dir_all(dir).unwrap();
    }
}
