//! Asks the system. Whatever gives no answer stays unknown.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{SFlag, fstat, major, minor};

use super::parse::{MountLine, recognize};
use super::{Facts, ProcView, Space, Stdio};
use crate::cli::TerminationLog;
use crate::evidence::cgroup::Allowance;
use crate::evidence::process::{Proc, Process, Status};
use crate::signals::{SignalSet, Signo};
use crate::sink::termination_log::Look;
use crate::sys::descriptor;
use crate::sys::signal::{Inherited, ignored};

pub(super) fn facts(setting: &TerminationLog, inherited: &Inherited) -> Facts {
    let pid = nix::unistd::getpid().as_raw();
    let proc = match fs::read_link("/proc/self") {
        Err(_) => ProcView::Missing,
        Ok(_) if Proc::of(pid).is_some() => ProcView::Own,
        Ok(_) => ProcView::Foreign,
    };
    let own = small("/proc/self/status").map(|text| Status::parse(&text));
    let mounts: Vec<MountLine> =
        large("/proc/self/mountinfo").split(|byte| *byte == b'\n').filter_map(MountLine::parse).collect();
    let uname = nix::sys::utsname::uname().ok();
    let release = uname.as_ref().map_or(&[][..], |uname| uname.release().as_bytes());
    let version = uname.as_ref().map_or(&[][..], |uname| uname.version().as_bytes());
    let chld = if inherited.ignores_chld() { SignalSet::default().with(Signo::CHLD) } else { SignalSet::default() };
    Facts {
        pid,
        init: Some(proc).filter(|proc| *proc == ProcView::Own && pid != 1).and_then(|_| init_name()),
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
        recognized: recognize(release, version, own.as_ref()),
        own,
        proc,
        hidepid: last_at(&mounts, b"/proc")
            .and_then(|mount| mount.option("hidepid"))
            .filter(|value| !matches!(*value, b"0" | b"off"))
            .map(<[u8]>::to_vec),
        log: Look::at(setting, pid == 1),
        terminal: open_terminal().is_ok(),
        stdio: [(descriptor::stdin(), 0), (descriptor::stdout(), 1), (descriptor::stderr(), 2)]
            .map(|(fd, number)| if descriptor::is_open(number) { kind(fd) } else { Stdio::Closed }),
        ignored: SignalSet(ignored().0 | chld.0),
        blocked: inherited.mask(),
        core_pattern: small("/proc/sys/kernel/core_pattern").map(|text| text.trim_ascii().to_vec()),
        core_limit: getrlimit(Resource::RLIMIT_CORE).ok().map(|(soft, _)| soft),
        shm: last_at(&mounts, b"/dev/shm").and_then(|_| space(b"/dev/shm")),
        tmpfs: mounts
            .iter()
            .filter(|mount| mount.is(b"tmpfs") && !is_of_runtime(&mount.mount.mount_point))
            .map(|mount| (mount.mount.mount_point.clone(), space(&mount.mount.mount_point)))
            .collect(),
        has_cgroups: mounts.iter().any(|mount| mount.is(b"cgroup") || mount.is(b"cgroup2")),
        cgroup: Allowance::read(pid),
        release: release.to_vec(),
        lxcfs: mounts
            .iter()
            .filter(|mount| mount.is(b"fuse.lxcfs") && mount.mount.mount_point.starts_with(b"/proc/"))
            .map(|mount| mount.mount.mount_point.clone())
            .collect(),
        platform: platform(),
    }
}

/// A file of a page at most.
fn small(path: &str) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 4096];
    let length = File::open(path).ok()?.read(&mut buffer).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

fn large(path: &str) -> Vec<u8> {
    fs::read(path).unwrap_or_default()
}

fn init_name() -> Option<Vec<u8>> {
    Process::parse(&small("/proc/1/stat")?).map(|process| process.name)
}

/// Of several mounts over each other the last one counts.
fn last_at<'a>(mounts: &'a [MountLine], path: &[u8]) -> Option<&'a MountLine> {
    mounts.iter().rev().find(|mount| mount.mount.mount_point == path)
}

/// What runtimes mount for themselves: /dev, and the masks over parts of /proc and /sys.
fn is_of_runtime(path: &[u8]) -> bool {
    [&b"/dev"[..], b"/proc", b"/sys"].iter().any(|top| match path.strip_prefix(*top) {
        Some(rest) => rest.is_empty() || rest.starts_with(b"/"),
        None => false,
    })
}

fn open_terminal() -> std::io::Result<File> {
    let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags).open("/dev/tty")
}

fn kind(fd: BorrowedFd<'_>) -> Stdio {
    let Ok(stat) = fstat(fd) else { return Stdio::Other };
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFIFO => Stdio::Pipe,
        SFlag::S_IFSOCK => Stdio::Socket,
        SFlag::S_IFREG => Stdio::File,
        // Documentation/admin-guide/devices.txt: 1, 3.
        SFlag::S_IFCHR if (major(stat.st_rdev), minor(stat.st_rdev)) == (1, 3) => Stdio::Null,
        SFlag::S_IFCHR if nix::unistd::isatty(fd) == Ok(true) => Stdio::Terminal,
        _ => Stdio::Other,
    }
}

fn space(path: &[u8]) -> Option<Space> {
    let stat = nix::sys::statvfs::statvfs(path).ok()?;
    #[allow(clippy::useless_conversion, reason = "c_ulong has 32 bits on some machines")]
    let block = u64::from(stat.fragment_size());
    Some(Space { size: stat.blocks().saturating_mul(block), free: stat.blocks_available().saturating_mul(block) })
}

/// Files and variables that runtimes leave; only the names of the variables are looked at.
fn platform() -> Vec<&'static str> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    [
        ("Kubernetes (KUBERNETES_SERVICE_HOST)", set("KUBERNETES_SERVICE_HOST")),
        ("Docker (/.dockerenv)", Path::new("/.dockerenv").exists()),
        ("Podman (/run/.containerenv)", Path::new("/run/.containerenv").exists()),
        ("ECS (ECS_CONTAINER_METADATA_URI_V4)", set("ECS_CONTAINER_METADATA_URI_V4")),
        ("Knative or Cloud Run (K_SERVICE)", set("K_SERVICE")),
    ]
    .into_iter()
    .filter_map(|(name, there)| there.then_some(name))
    .collect()
}
