//! What can still be seen of PROGRAM when a signal has ended it, and of the places where that may have begun. Looked at
//! before the zombie is reaped.

#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Duration;

use nix::sys::statfs::{TMPFS_MAGIC, statfs};

use super::files::open_regular;
use super::limits::Limits;
use super::process::{Proc, number, read_small};
use crate::signals::Signo;

/// A death by signal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Death {
    /// /proc/PID/limits.
    pub limits: Limits,
    /// CPU time of the process alone, without its children: in steps of 10 ms, cut.
    pub cpu: Option<Duration>,
    /// At a SIGXCPU: rinit's own soft limit on CPU time, which PROGRAM inherited, in seconds; `None` if it is unlimited or
    /// not known.
    pub inherited_cpu_limit: Option<u64>,
    /// /proc/sys/kernel/core_pattern (core(5)).
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
    /// /proc/PID/cwd.
    pub directory: Option<Vec<u8>>,
}

impl Executed {
    /// What execve(2) makes of the file `path`, for when PROGRAM ended before its exe could be read: the interpreter that
    /// the first line of a script names, else the file that `path` leads to. `None` if it cannot be read.
    #[must_use]
    pub fn of_file(path: &Path) -> Option<Vec<u8>> {
        let mut start = [0; SCRIPT_LINE];
        let length = open_regular(path)?.read(&mut start).ok()?;
        let file = match interpreter(start.get(..length)?) {
            Some(interpreter) => Path::new(OsStr::from_bytes(interpreter)),
            None => path,
        };
        Some(file.canonicalize().ok()?.into_os_string().into_vec())
    }

    /// The last component of `exe`.
    #[must_use]
    pub fn name(&self) -> Option<&[u8]> {
        self.exe.as_ref()?.rsplit(|byte| *byte == b'/').next()
    }
}

/// What the kernel reads of a script (`BINPRM_BUF_SIZE`).
const SCRIPT_LINE: usize = 256;

/// The interpreter that a script's first line names, without its argument (execve(2)).
fn interpreter(start: &[u8]) -> Option<&[u8]> {
    let line = start.strip_prefix(b"#!")?;
    let line = line.get(..line.iter().position(|byte| *byte == b'\n')?)?.trim_ascii_start();
    line.split(|byte| matches!(byte, b' ' | b'\t')).next().filter(|interpreter| !interpreter.is_empty())
}

impl Proc {
    /// What PROGRAM has become. For when execve(2) has closed the pipe that reports its failure.
    #[must_use]
    pub fn executed(self, pid: i32) -> Executed {
        let link = |name: &str| {
            fs::read_link(format!("/proc/{pid}/{name}")).ok().map(|target| target.into_os_string().into_vec())
        };
        Executed { exe: link("exe"), directory: link("cwd") }
    }

    /// The zombie `pid`, which `signal` ended. `directory` is where it was started.
    #[must_use]
    pub fn death(self, pid: i32, signal: Signo, directory: Option<&[u8]>) -> Death {
        let limits = |pid| read_small(&format!("/proc/{pid}/limits"), Limits::parse).unwrap_or_default();
        let inherited = if signal == Signo::XCPU { limits(self.own_pid).cpu } else { None };
        Death {
            limits: limits(pid),
            cpu: read_small(&format!("/proc/{pid}/stat"), cpu_time).flatten(),
            inherited_cpu_limit: inherited.and_then(|limit| limit.soft),
            core_pattern: core_pattern(),
            full: if signal == Signo::BUS { full_file_systems(directory) } else { Vec::new() },
        }
    }
}

/// utime and stime, the 14th and 15th field of /proc/PID/stat, in clock ticks, which are 10 ms wherever Rust runs
/// (`USER_HZ`, include/asm-generic/param.h).
fn cpu_time(stat: &[u8]) -> Option<Duration> {
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

fn full_file_systems(directory: Option<&[u8]>) -> Vec<Full> {
    let paths = [Some(b"/dev/shm".as_slice()), Some(b"/tmp"), directory];
    let full = paths.into_iter().flatten().filter_map(|path| {
        let stat = statfs(path).ok()?;
        // A tmpfs without a limit has no blocks at all.
        (stat.blocks() > 0 && stat.blocks_available() == 0).then(|| Full {
            path: path.to_vec(),
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
        for (start, found) in [
            (&b"#!/bin/sh\n"[..], Some(&b"/bin/sh"[..])),
            (b"#! \t/usr/bin/env python3\nx", Some(b"/usr/bin/env")),
            (b"#!/bin/sh\t-e\n", Some(b"/bin/sh")),
            (b"#!/bin/sh\r\n", Some(b"/bin/sh\r")),
            (b"#!\n/bin/sh\n", None),
            (b"#!  \n", None),
            (b"#!/bin/sh", None),
            (b"#", None),
            (b"", None),
            (b"\x7fELF\n", None),
        ] {
            assert_eq!(interpreter(start), found, "{start:?}");
        }
        let sh = Path::new("/bin/sh").canonicalize().unwrap().into_os_string().into_vec();
        assert_eq!(Executed::of_file(Path::new("/bin/sh")), Some(sh));
        for none in ["/nonexistent", "/"] {
            assert_eq!(Executed::of_file(Path::new(none)), None, "{none}");
        }
    }

    /// PROGRAM may have put anything in its file's place, and an open(2) of a FIFO waits for its other end.
    #[test]
    fn a_fifo_holds_nobody_up() {
        let path = std::env::temp_dir().join(format!("rinit-fifo-{}", std::process::id()));
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let seen = (Executed::of_file(&path), crate::evidence::language::Language::of(&path));
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
        let death = proc.death(own, Signo::BUS, Some(b"/proc"));
        assert!(death.limits.stack.is_some() && death.core_pattern.is_some() && death.cpu.is_some());
        assert!(death.full.iter().all(|full| full.path != b"/proc"), "{:?}", death.full);
    }
}
