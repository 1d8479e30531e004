//! Where the cgroup of this container is mounted.
//!
//! With a namespace of its own (the rule in v2) it is at the mount point; without one /proc/self/cgroup has a path of
//! the whole machine, and what is mounted may be the whole tree (privileged pods) or this one cgroup (Docker with v1).
//! At the start the place is guessed; what was read there is believed only if the mount table says the same.

#![forbid(unsafe_code)]

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::values::number;
use super::{each_line, read};
use crate::evidence::mountinfo::{self, Mount};

/// Version of a hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy for each controller, or a few.
    V1,
    /// The unified hierarchy.
    V2,
}

/// A cgroup's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Version of its hierarchy.
    pub version: Version,
    directory: Vec<u8>,
    /// Length of the part that is the mount point.
    mount_point: usize,
}

/// The line of /proc/self/cgroup (cgroups(7)) on one controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Version of the hierarchy that has the controller.
    pub version: Version,
    controller: &'static [u8],
    path: Vec<u8>,
}

impl Membership {
    /// rinit's own, without anything that stays in its memory.
    #[must_use]
    pub fn own(controller: &'static [u8]) -> Option<Self> {
        Self::read(b"/proc/self/cgroup", controller)
    }

    /// That of process `pid`, which may be a zombie.
    #[must_use]
    pub fn of(pid: i32, controller: &'static [u8]) -> Option<Self> {
        Self::read(format!("/proc/{pid}/cgroup").as_bytes(), controller)
    }

    fn read(file: &[u8], controller: &'static [u8]) -> Option<Self> {
        let mut membership = None;
        each_line(file, &mut |line| Self::look_for(&mut membership, line, controller));
        membership
    }

    /// Whether another line could say it better.
    fn look_for(found: &mut Option<Self>, line: &[u8], controller: &'static [u8]) -> bool {
        let Some(membership) = Self::parse(line, controller) else { return true };
        // In a hybrid set-up the line of v2 says nothing of controllers that v1 has.
        let go_on = membership.version == Version::V2;
        *found = Some(membership);
        go_on
    }

    /// Reads a line `ID:CONTROLLERS:PATH`, newline included; `None` if it says nothing of `controller`.
    #[must_use]
    pub fn parse(line: &[u8], controller: &'static [u8]) -> Option<Self> {
        let mut fields = line.strip_suffix(b"\n")?.splitn(3, |byte| *byte == b':');
        let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let version = match (id, controllers) {
            (b"0", b"") => Version::V2,
            _ if controllers.split(|byte| *byte == b',').any(|name| name == controller) => Version::V1,
            _ => return None,
        };
        path.starts_with(b"/").then(|| Self { version, controller, path: path.to_vec() })
    }

    /// Where it nearly always is when the whole tree is to be seen.
    #[must_use]
    pub fn usual_place(&self) -> Place {
        Place::new(self.version, Place::usual_mount_point(self.version), &self.path)
    }

    /// By one line of the mount table: the path behind what of it is mounted, and whether the two match. Where they do not, the
    /// mount point.
    #[must_use]
    pub fn mounted(&self, line: &[u8]) -> Option<(Place, bool)> {
        let is_it = match (self.version, mountinfo::file_system(line)?) {
            (Version::V2, (b"cgroup2", _)) => true,
            (Version::V1, (b"cgroup", options)) => mountinfo::option(options, self.controller).is_some(),
            _ => false,
        };
        let mount = if is_it { Mount::parse(line)? } else { return None };
        let root = mount.root.strip_suffix(b"/").unwrap_or(&mount.root);
        let below = self.path.strip_prefix(root).filter(|below| below.is_empty() || below.starts_with(b"/"));
        // `..`: outside of the cgroup namespace.
        let below = below.filter(|below| !below.split(|byte| *byte == b'/').any(|part| part == b".."));
        Some((Place::new(self.version, &mount.mount_point, below.unwrap_or_default()), below.is_some()))
    }
}

/// rinit's own lines of /proc/self/cgroup, and those of the mount table on cgroups. Each file is read once, when it is
/// asked for: both take long, and the kernel takes locks for them.
#[derive(Debug)]
pub struct Own {
    pid: i32,
    memberships: OnceCell<Vec<u8>>,
    mounts: OnceCell<Vec<u8>>,
}

impl Own {
    /// Of process `pid`, rinit itself. Nothing is read yet.
    #[must_use]
    pub fn new(pid: i32) -> Self {
        Self { pid, memberships: OnceCell::new(), mounts: OnceCell::new() }
    }

    /// rinit's own membership.
    #[must_use]
    pub fn membership(&self, controller: &'static [u8]) -> Option<Membership> {
        let mut found = None;
        let text = self.memberships.get_or_init(|| lines(b"/proc/self/cgroup", |_| true));
        let _ = text.split_inclusive(is_newline).all(|line| Membership::look_for(&mut found, line, controller));
        found
    }

    /// Where rinit's own cgroup of this controller is by the mount table.
    #[must_use]
    pub fn place_of(&self, controller: &'static [u8]) -> Option<Place> {
        self.place(&self.membership(controller)?)
    }

    /// Where a membership is by the mount table.
    #[must_use]
    pub fn place(&self, membership: &Membership) -> Option<Place> {
        // The type is the third field from the end (proc_pid_mountinfo(5)).
        let is_cgroup =
            |line: &[u8]| line.rsplit(|byte| *byte == b' ').nth(2).is_some_and(|of| of.starts_with(b"cgroup"));
        let table = self.mounts.get_or_init(|| lines(b"/proc/self/mountinfo", is_cgroup));
        table.split_inclusive(is_newline).find_map(|line| match membership.mounted(line)? {
            (place, true) => Some(place),
            (place, false) => Some(place).filter(|place| place.holds(self.pid)),
        })
    }
}

/// More than all lines on cgroups take.
const MOST_BYTES: usize = 64 * 1024;

/// The wanted lines of a file, newlines included.
fn lines(file: &[u8], is_wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut text = Vec::new();
    each_line(file, &mut |line| {
        if is_wanted(line) {
            text.extend_from_slice(line);
        }
        text.len() < MOST_BYTES
    });
    text
}

fn is_newline(byte: &u8) -> bool {
    *byte == b'\n'
}

impl Place {
    /// Guesses at where the memory cgroup is, without what costs more than all the rest: the mount table, and
    /// /proc/self/cgroup, for which the kernel takes a lock that others hold for milliseconds while they make
    /// containers. In a container it is the mount point itself. Where that is the root of the whole tree, which in v2
    /// has no such file and in v1 has another one besides, only the path says where.
    pub fn guesses() -> impl Iterator<Item = Self> {
        let is_root = |place: &Self| Path::new(OsStr::from_bytes(&place.file("cgroup.sane_behavior"))).exists();
        [Version::V2, Version::V1]
            .into_iter()
            .map(|version| Self::new(version, Self::usual_mount_point(version), b""))
            .filter(move |place| place.version == Version::V2 || !is_root(place))
    }

    fn usual_mount_point(version: Version) -> &'static [u8] {
        match version {
            Version::V1 => b"/sys/fs/cgroup/memory",
            Version::V2 => b"/sys/fs/cgroup",
        }
    }

    /// Whether what happens in `other` is counted here: in v2, what happens below is.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let below = other.directory.strip_prefix(&*self.directory);
        match self.version {
            Version::V1 => self == other,
            Version::V2 => {
                self.version == other.version && below.is_some_and(|below| below.is_empty() || below.starts_with(b"/"))
            }
        }
    }

    pub(crate) fn new(version: Version, mount_point: &[u8], path: &[u8]) -> Self {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        Self { version, directory: [mount_point, path].concat(), mount_point: mount_point.len() }
    }

    /// Whether process `pid` is in it.
    fn holds(&self, pid: i32) -> bool {
        let mut found = false;
        let wanted = u64::try_from(pid).ok();
        each_line(&self.file("cgroup.procs"), &mut |line| {
            found = number(line).is_some_and(|pid| Some(pid) == wanted);
            !found
        });
        found
    }

    /// Whether it has been divided further. A directory has a link from each one in it.
    #[must_use]
    pub fn has_cgroups_below(&self) -> bool {
        std::fs::metadata(OsStr::from_bytes(&self.directory)).is_ok_and(|directory| directory.nlink() > 2)
    }

    /// Its path.
    #[must_use]
    pub fn directory(&self) -> &[u8] {
        &self.directory
    }

    /// The number that is all of its file `name`.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        read(&self.file(name), number)?
    }

    /// The path of its file `name`.
    #[must_use]
    pub fn file(&self, name: &str) -> Vec<u8> {
        join(&self.directory, name.as_bytes())
    }

    /// Its directory, then those above, up to the mount point.
    pub fn levels(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::successors(Some(self.directory.as_slice()), |directory| {
            let slash = directory.iter().rposition(|byte| *byte == b'/')?;
            directory.get(..slash).filter(|above| above.len() >= self.mount_point)
        })
    }
}

/// `directory/name`
pub(super) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    [directory, b"/", name].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "/kubepods.slice/kubepods-podA.slice/cri-containerd-x.scope";

    fn membership(text: &str, controller: &'static [u8]) -> Option<Membership> {
        let mut lines = text.split_inclusive('\n').filter_map(|line| Membership::parse(line.as_bytes(), controller));
        lines.clone().find(|found| found.version == Version::V1).or_else(|| lines.next())
    }

    /// The directory, and whether it needs no further proof.
    fn place(cgroup: &str, mountinfo: &str, controller: &'static [u8]) -> Option<(String, bool)> {
        let membership = membership(cgroup, controller)?;
        mountinfo
            .lines()
            .find_map(|line| membership.mounted(line.as_bytes()))
            .map(|(place, proven)| (String::from_utf8(place.directory).unwrap(), proven))
    }

    const V2: &str = "30 23 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n";
    const DOCKER_V1: &str = "900 890 0:30 / /sys/fs/cgroup rw,nosuid - tmpfs tmpfs rw,mode=755\n\
        901 900 0:31 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro,nosuid - cgroup cgroup rw,cpu,cpuacct\n\
        902 900 0:32 /docker/abc /sys/fs/cgroup/memory ro,nosuid master:9 - cgroup cgroup rw,memory\n\
        903 900 0:33 /docker/abc /sys/fs/cgroup/pids ro,nosuid - cgroup cgroup rw,pids\n";
    const DOCKER_V1_CGROUP: &str =
        "9:pids:/docker/abc\n4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n";

    #[test]
    fn namespaces_and_versions() {
        let hybrid = format!("{}904 900 0:34 / /sys/fs/cgroup/unified ro - cgroup2 cgroup rw\n", DOCKER_V1);
        let gvisor = "5 1 0:9 / /sys/fs/cgroup rw - tmpfs none rw\n6 5 0:10 / /sys/fs/cgroup/memory rw - cgroup none rw,memory\n";
        for (case, cgroup, mountinfo, controller, expected, proven) in [
            ("v2, own namespace", "0::/\n", V2, b"memory".as_slice(), "/sys/fs/cgroup", true),
            ("v2, host's namespace", &format!("0::{POD}\n"), V2, b"memory", &format!("/sys/fs/cgroup{POD}"), true),
            ("v2, moved below", "0::/init\n", V2, b"pids", "/sys/fs/cgroup/init", true),
            ("v2, outside", "0::/../../x\n", V2, b"memory", "/sys/fs/cgroup", false),
            ("v1, Docker", DOCKER_V1_CGROUP, DOCKER_V1, b"memory", "/sys/fs/cgroup/memory", true),
            ("v1, joint controllers", DOCKER_V1_CGROUP, DOCKER_V1, b"cpu", "/sys/fs/cgroup/cpu,cpuacct", true),
            ("v1, another's mount", "4:memory:/docker/abcd\n", DOCKER_V1, b"memory", "/sys/fs/cgroup/memory", false),
            ("v1, below", "4:memory:/docker/abc/x:y\n", DOCKER_V1, b"memory", "/sys/fs/cgroup/memory/x:y", true),
            ("hybrid", DOCKER_V1_CGROUP, &hybrid, b"memory", "/sys/fs/cgroup/memory", true),
            ("gVisor", "2:memory:/\n1:cpu:/\n", gvisor, b"memory", "/sys/fs/cgroup/memory", true),
        ] {
            assert_eq!(place(cgroup, mountinfo, controller), Some((expected.to_owned(), proven)), "{case}");
        }
    }

    #[test]
    fn hybrid_prefers_the_hierarchy_that_has_the_controller() {
        assert_eq!(membership(DOCKER_V1_CGROUP, b"memory").unwrap().version, Version::V1);
        assert_eq!(membership(DOCKER_V1_CGROUP, b"hugetlb").unwrap().version, Version::V2);
        assert_eq!(membership("4:cpu:/\n", b"memory"), None);
    }

    #[test]
    fn v2_counts_what_is_below_and_v1_does_not() {
        let place = |version, path: &str| Place::new(version, b"/sys/fs/cgroup", path.as_bytes());
        for (here, there, v2) in [
            ("", "", true),
            ("", "/init", true),
            ("/a", "/a/b", true),
            ("/a", "/ab", false),
            ("/a/b", "/a", false),
            ("/a", "/b", false),
        ] {
            assert_eq!(place(Version::V2, here).covers(&place(Version::V2, there)), v2, "{here} {there}");
            assert_eq!(place(Version::V1, here).covers(&place(Version::V1, there)), here == there, "{here} {there}");
            assert!(!place(Version::V2, here).covers(&place(Version::V1, there)));
        }
    }

    #[test]
    fn usual_place_in_the_whole_tree() {
        let directory =
            |text: &str| String::from_utf8(membership(text, b"memory").unwrap().usual_place().directory).unwrap();
        assert_eq!(directory("0::/\n"), "/sys/fs/cgroup");
        assert_eq!(directory(DOCKER_V1_CGROUP), "/sys/fs/cgroup/memory/docker/abc");
    }

    #[test]
    fn broken_tables_give_no_place() {
        for (cgroup, mountinfo) in [
            ("", V2),
            ("0::/", V2),
            ("0::\n", V2),
            ("0:/\n", V2),
            ("::\n", V2),
            ("0::relative\n", V2),
            ("0::/\n", ""),
            ("0::/\n", " - cgroup2"),
            ("0::/\n", "30 23 0:26 - cgroup2 cgroup rw"),
            ("0::/\n", "30 23 0:26 / /sys/fs/cgroup rw"),
            ("0::/\n", DOCKER_V1),
            ("4:memory:/\n", "1 2 0:3 / /x rw - cgroup none"),
            ("4:memory:/\n", "1 2 0:3 / /x rw - cgroup none rw,memory2"),
            ("4:memory:/\n", V2),
        ] {
            assert_eq!(place(cgroup, mountinfo, b"memory"), None, "{cgroup:?} {mountinfo:?}");
        }
        assert_eq!(Membership::parse(b"\xff\n", b"memory"), None);
        for end in 0..V2.len() {
            let _ = place("0::/\n", &V2[..end], b"memory");
        }
    }

    #[test]
    fn levels_end_at_the_mount_point() {
        let levels = |path: &[u8]| {
            let place = Place::new(Version::V2, b"/sys/fs/cgroup", path);
            place.levels().map(|level| String::from_utf8(level.to_vec()).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(levels(b"/"), ["/sys/fs/cgroup"]);
        assert_eq!(levels(b"/a/b"), ["/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup"]);
        assert_eq!(Place::new(Version::V2, b"", b"").levels().count(), 1);
    }
}
