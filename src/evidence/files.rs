//! What is on disk where PROGRAM should be, looked at after execve(2) refused it: the file, and every file that
//! execve(2) opens for it, interpreters and loader. A few KiB of regular files are read, and nothing else is opened.

#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::AccessFlags;

use super::content::Content;
use super::elf::{self, Elf};
use super::listing::Listing;
use super::mountinfo::Mount;
use super::roads::Roads;
use super::user::{FileCapabilities, User};
use super::walk::{self, Obstacle, Permissions};
use crate::sys::descriptor::errno_of;
use crate::sys::process::attribute;

/// How much of a file is read to see what it is.
const START: u64 = 4096;
/// Interpreters are followed this far. The kernel gives up after five (fs/exec.c, `exec_binprm`).
const LONGEST_CHAIN: usize = 7;
/// More than an image has.
const MOST_LOADERS: usize = 8;
/// Longest mountinfo that is read. A container has some dozens of mounts.
pub(super) const LONGEST_MOUNTINFO: u64 = 1 << 20;

/// The look at one command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inspection {
    /// Every path that was tried, in order: one for a command with a slash, else one per directory of PATH.
    pub candidates: Vec<Candidate>,
    /// PATH as it was searched; `None` for a command with a slash.
    pub search_path: Option<Vec<u8>>,
    /// rinit's credentials, hence PROGRAM's.
    pub user: User,
    /// Files of PATH whose names are near to that of a command that is in none of its directories.
    pub near: Vec<Vec<u8>>,
    /// Where a command is that is in no directory of PATH, or the first word of one with blanks in it.
    pub elsewhere: Option<Vec<u8>>,
    /// Where the interpreter is whose path a script gives wrongly: without the carriage return behind it, or in
    /// another directory.
    pub interpreter: Option<Vec<u8>>,
    /// The loaders that were found in /lib and /lib64; `None` if these could not be read.
    pub loaders: Option<Vec<Vec<u8>>>,
    /// The machine that uname(2) names.
    pub machine: Option<Vec<u8>>,
    /// What a security module calls rinit (/proc/self/attr/current): `docker-default (enforce)`.
    pub security_label: Option<Vec<u8>>,
}

/// One path that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The path, absolute if rinit's working directory at the start was known, and what is there.
    pub target: Target,
    /// What execve(2) opens next: the interpreter that the script names, that one's, and so on; at last the loader.
    pub needs: Vec<(Role, Target)>,
}

/// What a file is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Named by the `#!` line of the file before.
    Interpreter,
    /// Named by the ELF file before (`PT_INTERP`).
    Loader,
}

/// A path, and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The path.
    pub path: Vec<u8>,
    /// What stat(2) says of it, symbolic links followed. `Obstacle::bare(0)` if it was not looked at.
    pub file: Result<FileFacts, Obstacle>,
}

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// Mode and owner.
    pub permissions: Permissions,
    /// Bytes.
    pub size: u64,
    /// Whether it has an access control list, which may say other than the mode.
    pub has_acl: bool,
    /// Whether access(2) lets this user execute it; `None` for what is no regular file.
    pub access: Option<bool>,
    /// Whether its mount is noexec.
    pub noexec: Option<bool>,
    /// Whether its mount is nosuid: file capabilities do not count there.
    pub nosuid: Option<bool>,
    /// Its mount.
    pub mount: Option<Mount>,
    /// What its first bytes show; `None` if it is no regular file, or may not be read.
    pub content: Option<Content>,
    /// The capabilities that it gives.
    pub capabilities: Option<FileCapabilities>,
}

impl FileFacts {
    /// Whether it is a regular file.
    #[must_use]
    pub fn is_regular(&self) -> bool {
        self.permissions.mode & libc::S_IFMT == libc::S_IFREG
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.permissions.mode & libc::S_IFMT == libc::S_IFDIR
    }

    /// errno with which execve(2) refuses to open it.
    fn refusal(&self) -> Option<i32> {
        (!self.is_regular() || self.noexec == Some(true) || self.access == Some(false)).then_some(libc::EACCES)
    }

    /// Whether its content is seen to be none that this machine's kernel runs.
    fn is_unknown_format(&self, machine: Option<&[u8]>) -> bool {
        match &self.content {
            None | Some(Content::Script(_)) => false,
            Some(Content::Elf(elf)) => kinship(machine, elf).is_some_and(|(kinship, _)| kinship == Kinship::Foreign),
            Some(_) => true,
        }
    }
}

impl Candidate {
    /// errno that execve(2) should give for it on the machine that uname(2) calls `machine`, from what was seen; `None`
    /// if nothing stands in its way.
    #[must_use]
    pub fn expected_errno(&self, machine: Option<&[u8]>) -> Option<i32> {
        let needs = self.needs.iter().map(|(role, target)| (Some(*role), target));
        std::iter::once((None, &self.target)).chain(needs).find_map(|(role, target)| match &target.file {
            Err(obstacle) => Some(obstacle.errno),
            Ok(facts) if facts.is_unknown_format(machine) => Some(facts.refusal().unwrap_or(match role {
                Some(Role::Loader) => libc::ELIBBAD,
                _ => libc::ENOEXEC,
            })),
            Ok(facts) => facts.refusal(),
        })
    }

    /// What a shell, or an execvp(3) that tries one, would read as a script if the kernel does not take it (the last of
    /// its chain): text, or nothing.
    fn runs_by_a_shell(&self) -> bool {
        let last = self.needs.iter().rfind(|(role, _)| *role != Role::Loader).map_or(&self.target, |(_, last)| last);
        let content = last.file.as_ref().ok().and_then(|facts| facts.content.as_ref());
        matches!(content, Some(Content::Empty | Content::Text | Content::LateShebang(_) | Content::BrokenScript(_)))
    }
}

/// How an ELF file relates to the machine that it is to run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinship {
    /// Made for it.
    Native,
    /// 32-bit, and the kernel runs such programs if it was built so.
    Companion,
    /// For another one.
    Foreign,
}

/// How `elf` relates to the machine that uname(2) calls `machine`, and what that is called; `None` if it is not known.
#[must_use]
pub fn kinship(machine: Option<&[u8]>, elf: &Elf) -> Option<(Kinship, &'static str)> {
    let uname = machine?;
    let is_wide = uname.windows(2).any(|window| window == b"64") || uname == b"s390x";
    let (native, machine) = (elf::machine_of(uname)?, elf.header.machine);
    let is_big_endian = elf::is_big_endian(uname);
    let kinship = match (native, machine) {
        // The kernel reads the header in its own byte order, and finds no number of a machine in the other.
        _ if is_big_endian.is_some_and(|big| big != elf.header.big_endian) => Kinship::Foreign,
        (elf::EM_X86_64, elf::EM_386) | (elf::EM_AARCH64, elf::EM_ARM) | (elf::EM_PPC64, elf::EM_PPC) => {
            Kinship::Companion
        }
        _ if native != machine => Kinship::Foreign,
        _ if is_wide && !elf.header.wide => Kinship::Companion,
        _ => Kinship::Native,
    };
    Some((kinship, elf::machine_name(native, is_wide, is_big_endian == Some(true))?))
}

impl Inspection {
    /// Looks at each of `paths`; those that are relative start at `directory`, where PROGRAM was to be started.
    /// `answered`: execve(2) has just had an answer from all of them. Otherwise nothing is looked at that a server would
    /// have to answer for.
    #[must_use]
    // Not inlined: its buffers would lie on the stack of every run.
    #[inline(never)]
    pub fn of(
        name: &[u8],
        paths: Vec<Vec<u8>>,
        search_path: Option<Vec<u8>>,
        directory: Option<&Path>,
        answered: bool,
    ) -> Self {
        let looker = Looker { roads: Roads::read(), directory, is_search: search_path.is_some(), answered };
        let candidates: Vec<Candidate> = paths.into_iter().map(|path| looker.candidate(path)).collect();
        let is_missing = candidates.iter().all(|candidate| candidate.target.file.is_err());
        let directories = || search_path.as_deref().unwrap_or_default().split(|byte| *byte == b':');
        let find = |name: &[u8]| looker.find(name);
        let (mut near, mut elsewhere) = (Vec::new(), None);
        if is_missing && search_path.is_some() && !name.is_empty() {
            near = walk::near_in(directories().filter(|path| looker.may_look(as_path(path))), name);
            elsewhere = find(name);
        }
        if is_missing && elsewhere.is_none() {
            elsewhere = first_word(name).and_then(find);
        }
        let interpreter = candidates.iter().flat_map(|candidate| &candidate.needs).find_map(|(role, target)| {
            let missing = *role == Role::Interpreter && target.file.is_err();
            missing.then(|| looker.existing_interpreter(&target.path)).flatten()
        });
        let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        let label = read_start("/proc/self/attr/current", 256);
        let label = label.trim_ascii_end().strip_suffix(b"\0").unwrap_or(label.trim_ascii_end());
        Self {
            candidates,
            user: User::parse(&read_start("/proc/self/status", 4096), uid, gid),
            near,
            elsewhere,
            interpreter,
            loaders: looker.loaders(),
            machine: nix::sys::utsname::uname().ok().map(|name| name.machine().as_bytes().to_vec()),
            security_label: Some(label).filter(|label| !label.is_empty()).map(<[u8]>::to_vec),
            search_path,
        }
    }
}

impl Inspection {
    /// errno that a search like execvp(3) should end with, from what was seen: for a command that somebody else than
    /// rinit could not start. `None` if one of the candidates should start.
    #[must_use]
    pub fn expected_errno(&self) -> Option<i32> {
        let mut result = libc::ENOENT;
        for candidate in &self.candidates {
            match candidate.expected_errno(self.machine.as_deref())? {
                // A directory that may not be searched counts as one that has nothing, as in rinit's own search.
                libc::EACCES if self.search_path.is_some() && candidate.target.file.is_err() => {}
                libc::ENOENT | libc::ENOTDIR if self.candidates.len() > 1 => {}
                libc::EACCES if result == libc::ENOENT => result = libc::EACCES,
                libc::EACCES => {}
                errno => return Some(errno),
            }
        }
        Some(result)
    }

    /// Whether a shell, or a program that starts others as env(1) does, ends with `code`, 126 or 127, because of what was
    /// seen. Measured with bash 5.2, dash 0.5.12, busybox 1.35, coreutils 9.1: 127 where nothing is found; either of them
    /// where the kernel does not find what the file needs or what its path leads through, and for what is no program, which
    /// some hand to /bin/sh as a script; never for a text, which runs so.
    #[must_use]
    pub fn explains(&self, code: u8) -> bool {
        match self.expected_errno() {
            Some(libc::ENOENT) => code == 127 || self.candidates.iter().any(|candidate| candidate.target.file.is_ok()),
            Some(libc::EACCES) => code == 126,
            Some(libc::ENOEXEC) => !self.candidates.iter().any(Candidate::runs_by_a_shell),
            Some(errno) => matches!(errno, libc::ENOTDIR | libc::ELOOP | libc::ENAMETOOLONG | libc::ELIBBAD),
            None => false,
        }
    }
}

/// Where programs usually are.
const STANDARD_DIRECTORIES: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is before the first blank, if there is one.
fn first_word(name: &[u8]) -> Option<&[u8]> {
    let word = name.split(u8::is_ascii_whitespace).next()?;
    (word.len() < name.len() && !word.is_empty()).then_some(word)
}

pub(super) fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Up to `most` bytes of a file of /proc; nothing if it cannot be read.
pub(super) fn read_start(path: &str, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    bytes
}

/// A file of /proc that has less than `most` bytes, whole.
pub(super) fn read_whole(path: &str, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let length = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).ok()?;
    ((length as u64) < most).then_some(bytes)
}

struct Looker<'a> {
    roads: Option<Roads>,
    directory: Option<&'a Path>,
    /// Whether the paths are those of a search: that most of them lead nowhere is no news.
    is_search: bool,
    answered: bool,
}

impl Looker<'_> {
    /// Whether `path`, for which nobody has asked, can be looked at. Without a mount table: where nothing has run yet.
    fn is_open(&self, path: &Path) -> bool {
        self.roads.as_ref().map_or(self.answered, |roads| roads.is_open(path))
    }

    /// Whether `path`, one of those that execve(2) may have tried, can be looked at.
    fn may_look(&self, path: &Path) -> bool {
        self.answered || self.is_open(path)
    }

    fn mounts(&self) -> &[u8] {
        self.roads.as_ref().map_or(&[], |roads| &roads.mounts)
    }

    /// Where programs usually are: the first regular file of this name, which may be a path. Relative ones are left out.
    fn find(&self, name: &[u8]) -> Option<Vec<u8>> {
        STANDARD_DIRECTORIES.split(|byte| *byte == b':').find_map(|directory| {
            let path = if name.starts_with(b"/") { name.to_vec() } else { [directory, b"/", name].concat() };
            let is_file = self.is_open(as_path(&path)) && fs::metadata(as_path(&path)).is_ok_and(|meta| meta.is_file());
            is_file.then_some(path)
        })
    }

    /// What a script must have meant by `path`.
    fn existing_interpreter(&self, path: &[u8]) -> Option<Vec<u8>> {
        let clean = path.strip_suffix(b"\r").unwrap_or(path);
        let name = clean.rsplit(|byte| *byte == b'/').next().filter(|name| !name.is_empty())?;
        if clean.len() < path.len() && self.is_open(as_path(clean)) && fs::metadata(as_path(clean)).is_ok() {
            return Some(clean.to_vec());
        }
        self.find(name)
    }

    /// The dynamic loaders that distributions put where every binary looks for them. `None` if a directory is there and
    /// cannot be read to its end.
    fn loaders(&self) -> Option<Vec<Vec<u8>>> {
        const NAMES: [&[u8]; 4] = [b"ld-musl-", b"ld-linux", b"ld64.so.", b"ld.so.1"];
        let mut found = Vec::new();
        for directory in ["/lib", "/lib64"] {
            if !self.is_open(Path::new(directory)) {
                return None;
            }
            let mut list = match Listing::of(directory) {
                Ok(list) => list,
                Err(error) if errno_of(&error) == nix::errno::Errno::ENOENT => continue,
                Err(_) => return None,
            };
            for entry in list.by_ref() {
                let name = entry.file_name();
                let name = name.as_bytes();
                // /lib64 may be a link to /lib.
                let is_new = found.iter().all(|other: &Vec<u8>| !other.ends_with(name));
                if NAMES.iter().any(|start| name.starts_with(start)) && is_new && found.len() < MOST_LOADERS {
                    found.push([directory.as_bytes(), b"/", name].concat());
                }
            }
            if list.broken_off() {
                return None;
            }
        }
        Some(found)
    }

    fn candidate(&self, path: Vec<u8>) -> Candidate {
        let target = self.target(path);
        let mut needs: Vec<(Role, Target)> = Vec::new();
        while needs.len() < LONGEST_CHAIN {
            let last = needs.last().map_or(&target, |(_, target)| target);
            let next = match last.file.as_ref().map(|facts| &facts.content) {
                Ok(Some(Content::Script(script))) => (Role::Interpreter, script.interpreter.clone()),
                Ok(Some(Content::Elf(Elf { loader: Some(loader), .. }))) => (Role::Loader, loader.clone()),
                _ => break,
            };
            let is_last = next.0 == Role::Loader;
            needs.push((next.0, self.target(next.1)));
            if is_last {
                break;
            }
        }
        Candidate { target, needs }
    }

    fn target(&self, path: Vec<u8>) -> Target {
        let path = match self.directory {
            Some(directory) => directory.join(as_path(&path)).into_os_string().as_bytes().to_vec(),
            // rinit itself is in another directory by now.
            None if !path.starts_with(b"/") => return Target { path, file: Err(Obstacle::bare(0)) },
            None => path,
        };
        if !self.may_look(as_path(&path)) {
            return Target { path, file: Err(Obstacle::bare(0)) };
        }
        let file = match fs::metadata(as_path(&path)) {
            Ok(meta) => Ok(self.facts(as_path(&path), &meta)),
            Err(error) => {
                let errno = errno_of(&error) as i32;
                let is_news = || !self.is_search || errno == libc::EACCES || as_path(&path).is_symlink();
                Err(if is_news() { Obstacle::find(&path, errno, self.mounts()) } else { Obstacle::bare(errno) })
            }
        };
        Target { path, file }
    }

    fn facts(&self, path: &Path, meta: &fs::Metadata) -> FileFacts {
        let flags = statvfs(path).ok().map(|mount| mount.flags());
        let real = fs::canonicalize(path).ok();
        let start = if meta.is_file() { look_into(path) } else { None };
        FileFacts {
            permissions: Permissions::from(meta),
            size: meta.size(),
            has_acl: attribute(path, c"system.posix_acl_access").is_some(),
            access: meta.is_file().then(|| nix::unistd::eaccess(path, AccessFlags::X_OK).is_ok()),
            noexec: flags.map(|flags| flags.contains(FsFlags::ST_NOEXEC)),
            nosuid: flags.map(|flags| flags.contains(FsFlags::ST_NOSUID)),
            mount: real.and_then(|real| Mount::covering(self.mounts(), real.as_os_str().as_bytes())),
            content: start,
            capabilities: attribute(path, c"security.capability").and_then(|bytes| FileCapabilities::parse(&bytes)),
        }
    }
}

/// Opens a regular file. Should something else be there: no waiting for a FIFO's writer, no terminal taken over.
pub(super) fn open_regular(path: &Path) -> Option<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).ok()?;
    file.metadata().is_ok_and(|meta| meta.is_file()).then_some(file)
}

/// Reads what `path`, a regular file a moment ago, begins with.
fn look_into(path: &Path) -> Option<Content> {
    let file = open_regular(path)?;
    let content = Content::parse(&start_of(&file)?);
    Some(match content {
        Content::Elf(Elf { header, .. }) => Content::Elf(Elf::read(header, elf::exactly(&file))),
        other => other,
    })
}

/// The first [`START`] bytes; all of a shorter file.
fn start_of(file: &File) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(START).read_to_end(&mut bytes).ok().map(|_| bytes)
}
