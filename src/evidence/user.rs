//! Who rinit is, hence PROGRAM: what permissions are checked against.

#![forbid(unsafe_code)]

/// May bind the ports below `ip_unprivileged_port_start` (ip(7)).
pub const CAP_NET_BIND_SERVICE: u8 = 10;
/// May read, write and search whatever the mode says, and execute what anybody may (capabilities(7)).
pub const CAP_DAC_OVERRIDE: u8 = 1;
/// May read and search whatever the mode says.
pub const CAP_DAC_READ_SEARCH: u8 = 2;

/// Credentials. What could not be read is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Option<Vec<u32>>,
    /// `CapEff`, as a set of bits.
    pub effective: Option<u64>,
    /// `CapBnd`: what no program started from here can have more than.
    pub bounding: Option<u64>,
}

impl User {
    /// Reads the text of /proc/PID/status (proc_pid_status(5)); uid and gid are the caller's.
    #[must_use]
    pub fn parse(text: &[u8], uid: u32, gid: u32) -> Self {
        let value = |key: &[u8]| {
            let mut lines = text.split(|byte| *byte == b'\n');
            lines.find_map(|line| std::str::from_utf8(line.strip_prefix(key)?).ok())
        };
        let set = |key| u64::from_str_radix(value(key)?.trim(), 16).ok();
        let groups = value(b"Groups:").and_then(|list| list.split_whitespace().map(|id| id.parse().ok()).collect());
        Self { uid, gid, groups, effective: set(b"CapEff:"), bounding: set(b"CapBnd:") }
    }

    /// Whether the mode of a file denies its execute (search) bit to this user, access lists and capabilities left
    /// out. `None` if that depends on groups that are not known.
    #[must_use]
    pub fn is_denied_by_mode(&self, mode: u32, owner: u32, group: u32) -> Option<bool> {
        let bit = if self.uid == owner {
            0o100
        } else if self.gid == group || self.groups.as_ref().is_some_and(|groups| groups.contains(&group)) {
            0o010
        } else if self.groups.is_none() && (mode & 0o010 == 0) != (mode & 0o001 == 0) {
            return None;
        } else {
            0o001
        };
        Some(mode & bit == 0)
    }

    /// Whether this user lacks all of these capabilities.
    #[must_use]
    pub fn lacks(&self, capabilities: &[u8]) -> Option<bool> {
        let effective = self.effective?;
        Some(capabilities.iter().all(|capability| effective & (1 << capability) == 0))
    }
}

/// The capabilities that a file gives (capabilities(7), "File capabilities"): the extended attribute
/// `security.capability`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileCapabilities {
    /// What it adds to the permitted set.
    pub permitted: u64,
    /// Whether that is to be effective at once; then all of it must be had, or execve(2) gives EPERM.
    pub effective: bool,
    /// Version 3: it counts in one user namespace only, which may be another one.
    pub namespaced: bool,
}

impl FileCapabilities {
    /// Reads the attribute (include/uapi/linux/capability.h, `struct vfs_ns_cap_data`).
    #[must_use]
    pub fn parse(attribute: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(attribute.get(at..at + 4)?.try_into().ok()?));
        let magic = word(0)?;
        let (length, wide) = match magic >> 24 {
            1 => (12, false),
            2 => (20, true),
            3 => (24, true),
            _ => return None,
        };
        if attribute.len() != length {
            return None;
        }
        let high = if wide { word(12)? } else { 0 };
        let permitted = u64::from(high) << 32 | u64::from(word(4)?);
        Some(Self { permitted, effective: magic & 1 == 1, namespaced: magic >> 24 == 3 })
    }
}

/// `CAP_NET_ADMIN, CAP_SYS_TIME`
#[must_use]
pub fn capability_names(set: u64) -> String {
    // In the order of their numbers (include/uapi/linux/capability.h).
    const NAMES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
        NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE \
        SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE \
        AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF \
        CHECKPOINT_RESTORE";
    let mut names: Vec<String> = Vec::new();
    let mut known = 0;
    for (bit, name) in NAMES.split_whitespace().enumerate() {
        known |= 1 << bit;
        if set & 1 << bit != 0 {
            names.push(format!("CAP_{name}"));
        }
    }
    if set & !known != 0 {
        names.push(format!("{:#x}", set & !known));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials() {
        let text = b"Name:\tx\nGroups:\t4 24 \nCapEff:\t0000000000000002\nCapBnd:\t00000000a80425fb\n";
        let user = User::parse(text, 1000, 1000);
        assert_eq!(user.groups.as_deref(), Some(&[4, 24][..]));
        assert_eq!((user.effective, user.bounding), (Some(2), Some(0xa804_25fb)));
        assert_eq!(user.lacks(&[CAP_DAC_OVERRIDE]), Some(false));
        assert_eq!(user.lacks(&[CAP_DAC_READ_SEARCH]), Some(true));
        assert_eq!(User::parse(b"Groups:\t\n", 0, 0).groups, Some(Vec::new()));
        for broken in [&b""[..], b"Groups:\tx\nCapEff:\tzz\nCapBnd:\n", b"\xff\nGroups: \xff"] {
            let user = User::parse(broken, 0, 0);
            assert_eq!((user.groups, user.effective, user.bounding), (None, None, None));
        }
    }

    #[test]
    fn a_mode_denies_by_the_first_class_that_fits() {
        let user = User { uid: 5, gid: 6, groups: Some(vec![7]), ..User::default() };
        for (mode, owner, group, denied) in [
            (0o100, 5, 0, false),
            (0o077, 5, 6, true),
            (0o010, 0, 6, false),
            (0o101, 0, 6, true),
            (0o010, 0, 7, false),
            (0o101, 0, 7, true),
            (0o001, 0, 8, false),
            (0o770, 0, 8, true),
        ] {
            assert_eq!(user.is_denied_by_mode(mode, owner, group), Some(denied), "{mode:o} {owner} {group}");
        }
        let unknown = User { groups: None, ..user };
        assert_eq!(unknown.is_denied_by_mode(0o710, 0, 8), None);
        assert_eq!(unknown.is_denied_by_mode(0o700, 0, 8), Some(true));
        assert_eq!(unknown.is_denied_by_mode(0o711, 0, 8), Some(false));
    }

    #[test]
    fn file_capabilities() {
        let v2 = b"\x01\0\0\x02\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let parsed = FileCapabilities::parse(v2).unwrap();
        assert_eq!(parsed, FileCapabilities { permitted: 0x1400, effective: true, namespaced: false });
        assert_eq!(capability_names(parsed.permitted), "CAP_NET_BIND_SERVICE, CAP_NET_ADMIN");
        let v3 = [b"\0\0\0\x03\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0".as_slice(), &[1, 0, 0, 0]].concat();
        let parsed = FileCapabilities::parse(&v3).unwrap();
        assert_eq!(parsed, FileCapabilities { permitted: 1 << 32, effective: false, namespaced: true });
        for end in 0..v2.len() {
            assert_eq!(FileCapabilities::parse(&v2[..end]), None);
        }
        assert_eq!(FileCapabilities::parse(&[0xff; 20]), None);
        assert_eq!(capability_names(0), "");
        assert!(capability_names(u64::MAX).ends_with("CAP_CHECKPOINT_RESTORE, 0xfffffe0000000000"));
    }
}
