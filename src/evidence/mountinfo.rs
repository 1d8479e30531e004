//! /proc/PID/mountinfo (proc_pid_mountinfo(5)).

#![forbid(unsafe_code)]

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Field 4: the path within its own file system that is mounted; of a bind-mounted file, the host's path.
    pub root: Vec<u8>,
    /// Field 5: where it is mounted.
    pub mount_point: Vec<u8>,
}

impl Mount {
    /// Reads one line. `None` if it has fewer fields.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let root = unescape(fields.nth(3)?);
        let mount_point = unescape(fields.next()?);
        Some(Self { root, mount_point })
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
            let mount = Mount { root: root.into(), mount_point: b"/x".to_vec() };
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
