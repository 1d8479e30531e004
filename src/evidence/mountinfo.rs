//! /proc/PID/mountinfo (proc_pid_mountinfo(5)).

#![forbid(unsafe_code)]

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mount {
    /// Field 1.
    pub id: u64,
    /// Field 2: the id of the mount that this one is mounted on.
    pub parent: u64,
    /// Field 4: the path within its own file system that is mounted; of a bind-mounted file, the host's path.
    pub root: Vec<u8>,
    /// Field 5: where it is mounted.
    pub mount_point: Vec<u8>,
    /// Field 9: `ext4`, `tmpfs`, `overlay`; `None` if it is missing.
    pub file_system: Option<Vec<u8>>,
}

impl Mount {
    /// Reads one line. `None` if it has fewer fields.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let file_system = file_system(line).map(|(name, _)| unescape(name));
        let mut fields = line.split(|byte| *byte == b' ');
        let (id, parent) = (number(fields.next()?)?, number(fields.next()?)?);
        let root = unescape(fields.nth(1)?);
        let mount_point = unescape(fields.next()?);
        Some(Self { id, parent, root, mount_point, file_system })
    }

    /// The mount that holds `path`, which is absolute and without symbolic links, in the text of a mountinfo.
    ///
    /// Followed from the root as the kernel walks: of the mounts on one, the shortest on the way comes first, and it
    /// hides what was mounted below it before.
    #[must_use]
    pub fn covering(text: &[u8], path: &[u8]) -> Option<Self> {
        let mounts: Vec<Self> = text.split(|byte| *byte == b'\n').filter_map(Self::parse).collect();
        let on_the_way = |mount: &Self| match path.strip_prefix(mount.mount_point.as_slice()) {
            Some(rest) => rest.is_empty() || rest.starts_with(b"/") || mount.mount_point == b"/",
            None => false,
        };
        let is_root = |mount: &&Self| mount.mount_point == b"/" && !mounts.iter().any(|on| on.id == mount.parent);
        let mut current = mounts.iter().find(is_root)?;
        // No chain is longer than the list; this bounds what a broken list could do.
        for _ in 0..mounts.len() {
            let children = mounts.iter().filter(|mount| mount.parent == current.id && mount.id != current.id);
            match children.filter(|mount| on_the_way(mount)).min_by_key(|mount| mount.mount_point.len()) {
                Some(child) => current = child,
                None => break,
            }
        }
        Some(current.clone())
    }

    /// Whether this is the termination log of a pod's container: the kubelet keeps the file as
    /// `pods/UID/containers/NAME/8 hex digits` under its root (pkg/kubelet/kuberuntime, makeMounts).
    #[must_use]
    pub fn is_pod_termination_log(&self) -> bool {
        let mut parts = self.root.rsplit(|byte| *byte == b'/');
        let [Some(file), Some(_name), Some(b"containers"), Some(_uid), Some(b"pods")] = [(); 5].map(|()| parts.next())
        else {
            return false;
        };
        file.len() == 8 && file.iter().all(u8::is_ascii_hexdigit)
    }
}

/// What one line has behind its hyphen: the type of the file system, and the file system's own options.
#[must_use]
pub fn file_system(line: &[u8]) -> Option<(&[u8], &[u8])> {
    // Six fields come before it, and any number of optional ones.
    let fields = line.trim_ascii_end().split(|byte| *byte == b' ').skip(6);
    let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
    Some((fields.next()?, fields.nth(1)?))
}

/// The value of option `name`; empty for one without a value.
#[must_use]
pub fn option<'a>(options: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    options.split(|byte| *byte == b',').find_map(|option| match option.strip_prefix(name)? {
        [] => Some(&[][..]),
        [b'=', value @ ..] => Some(value),
        _ => None,
    })
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Blank, tab, newline and backslash are written as three octal digits (fs/proc_namespace.c, `mangle`).
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        bytes.push(match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                rest = after;
                (a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')
            }
            _ => *first,
        });
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_with_a_path_of_its_own() {
        let line = b"812 790 254:1 /var/lib/kubelet/pods/7f0e-11/containers/web\\040app/0a1b2c3d /my\\040dir/term-log rw,relatime - ext4 /dev/vda1 rw";
        let mount = Mount::parse(line).unwrap();
        assert_eq!(mount.mount_point, b"/my dir/term-log");
        assert!(mount.is_pod_termination_log());
        assert_eq!((mount.id, mount.parent, mount.file_system.as_deref()), (812, 790, Some(&b"ext4"[..])));
    }

    #[test]
    fn the_mount_that_holds_a_path() {
        let text = b"21 1 0:20 / / rw - overlay overlay rw\n\
            22 21 0:21 / /proc rw - proc proc rw\n\
            23 21 0:22 / /app rw,noexec shared:1 master:2 - tmpfs none rw\n\
            24 23 0:23 / /app/data rw - ext4 /dev/sda rw\n\
            25 21 0:24 / /opt/a/b rw - ext4 /dev/sdb rw\n\
            26 21 0:25 / /opt rw - xfs /dev/sdc rw\n\
            27 23 0:26 / /app rw - nfs server:/x rw\n";
        for (path, id) in [
            ("/", 21),
            ("/bin/sh", 21),
            ("/proc", 22),
            ("/procs", 21),
            ("/app", 27),
            ("/app/data/x", 27),
            ("/opt/a/b/c", 26),
        ] {
            assert_eq!(Mount::covering(text, path.as_bytes()).unwrap().id, id, "{path}");
        }
        assert_eq!(Mount::covering(b"", b"/"), None);
        assert_eq!(Mount::covering(b"5 5 0:1 / /x rw - a b c\n", b"/x"), None);
        // Each on the other: it ends.
        let circle =
            b"1 0 0:1 / / rw - a b c\n2 1 0:1 / /x rw - a b c\n3 2 0:1 / /x rw - a b c\n2 3 0:1 / /x rw - a b c\n";
        assert!(Mount::covering(circle, b"/x").is_some());
    }

    #[test]
    fn other_mounts_are_none() {
        for root in [
            "/",
            "/pods/u/containers/n/0a1b2c3",
            "/pods/u/containers/n/0a1b2c3g",
            "/pods/u/volumes/n/0a1b2c3d",
            "/u/containers/n/0a1b2c3d",
        ] {
            let mount = Mount { root: root.into(), mount_point: b"/x".to_vec(), ..Mount::default() };
            assert!(!mount.is_pod_termination_log(), "{root}");
        }
        for broken in [&b""[..], b"1 2 3", b"1 2 3 /", b"\xff"] {
            assert_eq!(Mount::parse(broken), None);
        }
        assert_eq!(unescape(b"\\"), b"\\");
        assert_eq!(unescape(b"a\\04"), b"a\\04");
        assert_eq!(unescape(b"\\134\\012"), b"\\\n");
    }
}
