//! What can still be seen of PROGRAM when a signal has ended it, and of the places where that may have begun. Looked at
//! before the zombie is reaped.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::unistd::{AccessFlags, eaccess};

use super::files::open_regular;
use super::limits::Limits;
use super::process::{Proc, faults_of_children, number, read_small};
use super::roads::Roads;
use super::shebang::{self, Shebang};
use super::walk::Permissions;
use crate::signals::Signo;

/// A death by signal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Death {
    /// /proc/PID/limits.
    pub limits: Limits,
    /// At a SIGXCPU or SIGKILL: CPU time of the process alone, without its children: in steps of 10 ms, cut.
    pub cpu: Option<Duration>,
    /// At a SIGXCPU: rinit's own soft limit on CPU time, which PROGRAM inherited, in seconds; `None` if it is unlimited or
    /// not known.
    pub inherited_cpu_limit: Option<u64>,
    /// At a SIGKILL: page faults of the children that it had waited for.
    pub faults_of_children: Option<u64>,
    /// At a signal that dumps core: /proc/sys/kernel/core_pattern (core(5)).
    pub core_pattern: Option<Vec<u8>>,
    /// At a SIGBUS: file systems without a free block.
    pub full: Vec<Full>,
}

/// A file system without a free block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Full {
    /// Where it was found.
    pub path: Vec<u8>,
    /// Whether it is a tmpfs.
    pub tmpfs: bool,
    /// Its size in bytes.
    pub size: u64,
}

/// What PROGRAM had become right after its execve(2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Executed {
    /// /proc/PID/exe: of a script, its interpreter.
    pub exe: Option<Vec<u8>>,
}

impl Executed {
    /// What execve(2) makes of the file `path`, for when PROGRAM ended before its exe could be read: the interpreter that
    /// the first line of a script names, else the file that `path` leads to. `None` if it cannot be read, or is not `open`.
    #[must_use]
    pub fn of_file(path: &Path, open: impl Fn(&Path) -> bool) -> Option<Vec<u8>> {
        let mut start = [0; shebang::LOOKED_AT];
        let length = open_regular(path)?.read(&mut start).ok()?;
        let file = match Shebang::parse(start.get(..length)?) {
            Some(Ok(script)) => PathBuf::from(OsString::from_vec(script.interpreter)),
            _ => path.to_owned(),
        };
        Some(Some(file).filter(|file| open(file))?.canonicalize().ok()?.into_os_string().into_vec())
    }

    /// Owner and mode of the file `path`, which PROGRAM was started from, if rinit's own user, which PROGRAM was started
    /// as, may not read it, and it is not known that it was no script.
    #[must_use]
    pub fn unread(&self, path: &Path) -> Option<Permissions> {
        let file = path.canonicalize().ok()?;
        let ran = self.exe.as_deref() == Some(file.as_os_str().as_bytes());
        let denied = !ran && eaccess(&file, AccessFlags::R_OK) == Err(Errno::EACCES);
        denied.then(|| file.metadata().ok().as_ref().map(Permissions::from))?
    }

    /// The last component of `exe`.
    #[must_use]
    pub fn name(&self) -> Option<&[u8]> {
        self.exe.as_ref()?.rsplit(|byte| *byte == b'/').next()
    }
}

impl Proc {
    /// What PROGRAM has become. For when execve(2) has closed the pipe that reports its failure.
    #[must_use]
    #[inline(never)]
    pub fn executed(self, pid: i32) -> Executed {
        let exe = fs::read_link(format!("/proc/{pid}/exe")).ok();
        Executed { exe: exe.map(|exe| exe.into_os_string().into_vec()) }
    }

    /// /proc/PID/limits.
    #[must_use]
    pub fn limits(self, pid: i32) -> Option<Limits> {
        read_small(&format!("/proc/{pid}/limits"), Limits::parse)
    }

    /// The zombie `pid`, which `signal` ended. `directory` is where it was started.
    #[must_use]
    pub fn death(self, pid: i32, signal: Signo, directory: Option<&Path>) -> Death {
        let inherited = if signal == Signo::XCPU { self.limits(self.own_pid).and_then(|own| own.cpu) } else { None };
        let counted = |stat: &[u8]| (cpu_time(stat), faults_of_children(stat));
        let (cpu, faults_of_children) = match signal {
            Signo::KILL | Signo::XCPU => read_small(&format!("/proc/{pid}/stat"), counted).unwrap_or_default(),
            _ => (None, None),
        };
        Death {
            limits: self.limits(pid).unwrap_or_default(),
            cpu,
            inherited_cpu_limit: inherited.and_then(|limit| limit.soft),
            faults_of_children,
            core_pattern: if signal.dumps_core() { core_pattern() } else { None },
            full: if signal == Signo::BUS { full_file_systems(directory) } else { Vec::new() },
        }
    }
}

/// utime and stime, the 14th and 15th field of /proc/PID/stat, in clock ticks, which are 10 ms wherever Rust runs
/// (`USER_HZ`, include/asm-generic/param.h).
#[must_use]
pub fn cpu_time(stat: &[u8]) -> Option<Duration> {
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = stat.get(close + 1..)?.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    let (user, system): (u64, u64) = (number(fields.nth(11)?)?, number(fields.next()?)?);
    Some(Duration::from_millis(user.checked_add(system)?.checked_mul(10)?))
}

fn core_pattern() -> Option<Vec<u8>> {
    // CORENAME_MAX_SIZE
    let mut pattern = [0; 128];
    let length = fs::File::open("/proc/sys/kernel/core_pattern").ok()?.read(&mut pattern).ok()?;
    Some(pattern.get(..length)?.trim_ascii_end().to_vec())
}

fn full_file_systems(directory: Option<&Path>) -> Vec<Full> {
    let paths = [Some(Path::new("/dev/shm")), Some(Path::new("/tmp")), directory];
    let Some(roads) = Roads::read() else { return Vec::new() };
    let full = paths.into_iter().flatten().filter(|path| roads.is_open(path)).filter_map(|path| {
        let stat = statfs(path).ok()?;
        // A tmpfs without a limit has no blocks at all.
        (stat.blocks() > 0 && stat.blocks_available() == 0).then(|| Full {
            path: path.as_os_str().as_bytes().to_vec(),
            tmpfs: stat.filesystem_type() == TMPFS_MAGIC,
            size: stat.blocks().saturating_mul(stat.block_size() as u64),
        })
    });
    full.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_of_a_script() {
        let sh = Path::new("/bin/sh").canonicalize().unwrap().into_os_string().into_vec();
        assert_eq!(Executed::of_file(Path::new("/bin/sh"), |_| true), Some(sh.clone()));
        let path = std::env::temp_dir().join(format!("rinit-script-{}", std::process::id()));
        let own = Some(path.clone().into_os_string().into_vec());
        // The kernel needs no newline.
        for (text, found) in [
            (&b"#!/bin/sh\n"[..], Some(sh.clone())),
            (b"#!/bin/sh", Some(sh.clone())),
            (b"#! \t/bin/sh -e\n", Some(sh)),
            (b"#!/bin/sh\r\n", None),
            (b"#!\n/bin/sh\n", own.clone()),
            (b"echo\n", own),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(Executed::of_file(&path, |_| true), found, "{text:?}");
        }
        fs::remove_file(&path).unwrap();
        for none in ["/nonexistent", "/"] {
            assert_eq!(Executed::of_file(Path::new(none), |_| true), None, "{none}");
        }
    }

    /// PROGRAM may have put anything in its file's place, and an open(2) of a FIFO waits for its other end.
    #[test]
    fn a_fifo_holds_nobody_up() {
        let path = std::env::temp_dir().join(format!("rinit-fifo-{}", std::process::id()));
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let seen = (Executed::of_file(&path, |_| true), crate::evidence::language::Language::of(&path));
        fs::remove_file(&path).unwrap();
        assert_eq!(seen, (None, None));
    }

    #[test]
    fn cpu_time_of_the_process_alone() {
        let stat = b"42 (a) R 1 (b) Z 1 42 42 0 -1 4212740 77 9 0 0 98 7 500 600 20 0 1 0 4711";
        assert_eq!(cpu_time(stat), Some(Duration::from_millis(1050)));
        for end in 0..stat.len() - 38 {
            assert_eq!(cpu_time(&stat[..end]), None, "{end}");
        }
        assert_eq!(cpu_time(b"1 (x) Z 1 1 1 0 -1 0 0 0 0 0 18446744073709551615 1 0"), None);
    }

    #[test]
    fn the_test_itself() {
        let own = std::process::id().cast_signed();
        let proc = Proc::of(own).unwrap();
        let executed = proc.executed(own);
        assert_eq!(
            executed.exe.as_deref(),
            std::env::current_exe().ok().map(|path| path.into_os_string().into_vec()).as_deref()
        );
        assert!(executed.name().is_some_and(|name| name.starts_with(b"rinit")));
        let death = proc.death(own, Signo::BUS, Some(Path::new("/proc")));
        assert!(death.limits.stack.is_some() && death.core_pattern.is_some());
        let killed = proc.death(own, Signo::KILL, None);
        assert!(killed.cpu.is_some() && killed.faults_of_children.is_some());
        assert!(death.full.iter().all(|full| full.path != b"/proc"), "{:?}", death.full);
    }
}
