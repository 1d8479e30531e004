//! The texts that tell what the kernel and its /proc are. Pure: bytes in, facts out.

use crate::evidence::mountinfo::Mount;
use crate::evidence::process::fields;

/// The lines of /proc/self/status (proc_pid_status(5)) that say what rinit may do. A line that is missing or does not
/// parse leaves its field unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnStatus {
    /// `CapEff`
    pub capabilities: Option<u64>,
    /// `NoNewPrivs`, Linux 4.10.
    pub no_new_privs: Option<bool>,
    /// `Seccomp`: 0 off, 1 strict, 2 filter.
    pub seccomp: Option<u8>,
    /// Whether it has a line `SigCgt`, as Linux always has.
    pub signal_sets: bool,
}

impl OwnStatus {
    /// Reads the text of /proc/self/status.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut status = Self::default();
        for (key, value) in fields(text) {
            let Ok(value) = std::str::from_utf8(value) else { continue };
            match key {
                b"CapEff" => status.capabilities = u64::from_str_radix(value, 16).ok(),
                b"NoNewPrivs" => status.no_new_privs = value.parse::<u8>().ok().map(|set| set != 0),
                b"Seccomp" => status.seccomp = value.parse().ok(),
                b"SigCgt" => status.signal_sets = u64::from_str_radix(value, 16).is_ok(),
                _ => {}
            }
        }
        status
    }
}

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
pub fn recognize(release: &[u8], version: &[u8], own: Option<&OwnStatus>) -> Option<Recognized> {
    let names = |text: &[u8]| text.to_ascii_lowercase().windows(6).any(|word| word == b"gvisor");
    if names(release) || names(version) || version.windows(GVISOR_BUILD.len()).any(|part| part == GVISOR_BUILD) {
        return Some(Recognized::GVisor);
    }
    own.filter(|own| !own.signal_sets).map(|_| Recognized::SyntheticProc)
}

/// A mount with what stands behind the dash of its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountLine {
    /// What stands before the dash.
    pub mount: Mount,
    /// The type of the file system.
    pub file_system: Vec<u8>,
    /// The options of the file system itself.
    pub options: Vec<u8>,
}

impl MountLine {
    /// Reads one line of /proc/self/mountinfo (proc_pid_mountinfo(5)). `None` if it has fewer fields.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mount = Mount::parse(line)?;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        // The number of fields before the dash varies.
        let mut fields = line.split(|byte| *byte == b' ').skip_while(|field| *field != b"-").skip(1);
        let file_system = fields.next()?.to_vec();
        let options = fields.nth(1)?.to_vec();
        Some(Self { mount, file_system, options })
    }

    /// The value of option `name`; empty for one without a value.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&[u8]> {
        self.options.split(|byte| *byte == b',').find_map(|option| match option.strip_prefix(name.as_bytes())? {
            [] => Some(&[][..]),
            [b'=', value @ ..] => Some(value),
            _ => None,
        })
    }
}
