//! The texts that tell what the kernel and its /proc are. Pure: bytes in, facts out.

use crate::evidence::mountinfo::{self, Mount};
use crate::evidence::process::Status;

/// Something that answers in Linux' place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recognized {
    /// gVisor: a kernel in user space, with a /proc and cgroup file systems of its own making.
    GVisor,
    /// A /proc/self/status without `SigCgt`, as gVisor's is, and nothing that names its maker.
    SyntheticProc,
}

/// gVisor's build date, the same for all of its versions (pkg/sentry/syscalls/linux: five minutes after Linux 4.4 was tagged).
const GVISOR_BUILD: &[u8] = b"#1 SMP Sun Jan 10 15:06:54 PST 2016";

/// Recognizes gVisor by its name in the kernel's release (since 2025: `4.19.0-gvisor`) or by its build date, and any
/// synthetic /proc by what it lacks. `version` is uname(2)'s or /proc/version's.
#[must_use]
pub fn recognize(release: &[u8], version: &[u8], own: Option<&Status>) -> Option<Recognized> {
    let names = |text: &[u8]| text.to_ascii_lowercase().windows(6).any(|word| word == b"gvisor");
    if names(release) || names(version) || version.windows(GVISOR_BUILD.len()).any(|part| part == GVISOR_BUILD) {
        return Some(Recognized::GVisor);
    }
    own.filter(|own| own.caught.is_none()).map(|_| Recognized::SyntheticProc)
}

/// A mount with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountLine {
    /// The mount.
    pub mount: Mount,
    /// The options of the file system itself.
    pub options: Vec<u8>,
}

impl MountLine {
    /// Reads one line of /proc/self/mountinfo (proc_pid_mountinfo(5)). `None` if it has fewer fields.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let (_, options) = mountinfo::file_system(line)?;
        Some(Self { mount: Mount::parse(line)?, options: options.to_vec() })
    }

    /// Whether its file system is of this type.
    #[must_use]
    pub fn is(&self, file_system: &[u8]) -> bool {
        self.mount.file_system.as_deref() == Some(file_system)
    }

    /// The value of option `name`; empty for one without a value.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&[u8]> {
        mountinfo::option(&self.options, name.as_bytes())
    }
}
