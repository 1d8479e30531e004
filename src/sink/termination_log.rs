//! The termination log: where Kubernetes looks for the last words of a container.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::sys::uio::{pread, pwrite};
use nix::unistd::{AccessFlags, eaccess};

use crate::cli::TerminationLog as Setting;
use crate::evidence::mountinfo::Mount;
use crate::report::{find_report, is_json};
use crate::sys::descriptor::{above_stdio, append, errno_of};

/// Where Kubernetes looks unless the pod says otherwise (`terminationMessagePath`).
const DEFAULT: &str = "/dev/termination-log";
/// The kubelet reads no more than the last 4,096 bytes (pkg/kubelet/container, MaxContainerTerminationMessageLength).
pub const CAPACITY: usize = 4096;

/// More behind a block of rinit's is not moved: nobody reads it from its beginning, and moving takes time.
const MOVED: u64 = 1 << 20;
/// What a block that only remains in parts has to have in common with what was written, to be told from PROGRAM's words.
const RECOGNIZED: usize = 8;

/// The open file.
#[derive(Debug)]
pub struct TerminationLog {
    file: File,
    path: PathBuf,
    /// Whether it can be read: what cannot be found again is not written while PROGRAM runs.
    readable: bool,
    /// What rinit has written, oldest first.
    blocks: Vec<Block>,
}

/// Bytes that rinit wrote, the newline in front of them included.
#[derive(Debug)]
struct Block {
    /// Where they stood. `None` for the last one, until somebody asks: right behind them stands the file's position.
    at: Option<u64>,
    bytes: Vec<u8>,
}

/// What is in the file when PROGRAM has ended.
struct Found {
    length: u64,
    /// Without rinit's blocks; where there were none, its first bytes.
    content: Vec<u8>,
    /// Where the first of the blocks stood.
    start: Option<usize>,
}

impl TerminationLog {
    /// Opens the file before PROGRAM starts, so that nothing that PROGRAM does to the path leads the report elsewhere.
    /// Without blocking (a FIFO), without following a link, regular files only. `None` where none is wanted, or none
    /// is to be had at a path that nobody named.
    ///
    /// # Errors
    /// Why there is none at the path that was named by hand, for a warning.
    pub fn open(setting: &Setting, is_init: bool) -> Result<Option<Self>, String> {
        let (path, by_hand) = match setting {
            Setting::Off => return Ok(None),
            Setting::Path(path) => (PathBuf::from(path), true),
            Setting::Default => (default_path(is_init), false),
        };
        let log = match Self::open_regular(&path) {
            Ok((file, readable)) => Self { file, path, readable, blocks: Vec::new() },
            Err(errno) if by_hand => return Err(format!("no termination log at {}: {}", escaped(&path), errno.desc())),
            Err(_) => return Ok(None),
        };
        log.drop_older_report(is_init);
        Ok(Some(log))
    }

    fn open_regular(path: &Path) -> Result<(File, bool), Errno> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o666).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
        let opened = options.open(path).map(|file| (file, true)).or_else(|error| match errno_of(&error) {
            Errno::ENOENT => Ok((options.create_new(true).open(path)?, true)),
            // It may be writable all the same.
            Errno::EACCES => Ok((options.read(false).open(path)?, false)),
            _ => Err(error),
        });
        let (file, readable) = opened.map_err(|error| errno_of(&error))?;
        let metadata = file.metadata().map_err(|error| errno_of(&error))?;
        // 0 to 2 will be /dev/null.
        if !metadata.is_file() {
            return Err(Errno::EINVAL);
        }
        above_stdio(file.into()).map(|file| (File::from(file), readable))
    }

    /// In Kubernetes each start of a container has a new file. Elsewhere the report of an earlier run may be in it, and
    /// would pass for this one's. In a mount, somebody else's may be: an outer rinit's, unless rinit is PID 1. Where the
    /// mount table cannot be read, it may be one.
    fn drop_older_report(&self, is_init: bool) {
        let Ok(content) = self.content() else { return };
        if let Some(start) = find_report(&content)
            && (is_init || is_mount(&self.path) == Some(false))
        {
            let _ = self.file.set_len(start as u64);
        }
    }

    /// The descriptor that has to stay open.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// While PROGRAM runs: appends what is known so far, unless the file has to be left alone or is full. `render` is
    /// given the room for it. Whoever else writes at the same time, nothing of theirs is touched.
    pub fn append(&mut self, render: impl FnOnce(usize) -> Option<Vec<u8>>) -> bool {
        match self.try_append(render) {
            Ok(appended) => appended,
            Err(errno) => {
                self.debug(errno);
                false
            }
        }
    }

    fn try_append(&mut self, render: impl FnOnce(usize) -> Option<Vec<u8>>) -> Result<bool, Errno> {
        if !self.readable {
            return Ok(false);
        }
        let length = self.length()?;
        let content = if length < CAPACITY as u64 { self.read(0, length)? } else { return Ok(false) };
        let newline = content.last().is_some_and(|last| *last != b'\n');
        let room = CAPACITY - content.len() - usize::from(newline);
        if stays_alone(&self.without_blocks(content)?.0) {
            return Ok(false);
        }
        let Some(report) = render(room) else { return Ok(false) };
        let bytes = if newline { [b"\n", report.as_slice()].concat() } else { report };
        self.locate_last()?;
        // Half a block on a full disk is taken back at the end like a whole one.
        let written = append(&self.file, &bytes)?;
        self.blocks.push(Block { at: None, bytes });
        if let Some(block) = self.blocks.last_mut() {
            block.bytes.truncate(written);
        }
        Ok(true)
    }

    /// PROGRAM has ended: takes back what rinit wrote so far, and adds the report behind whatever PROGRAM wrote.
    /// `render` makes one that fits into so many bytes, or none if it cannot be made as short, or none is wanted. Any
    /// failure is a line of the debug log.
    pub fn write(&mut self, size: usize, only_if_empty: bool, render: impl Fn(usize) -> Option<Vec<u8>>) {
        // A second look: many a failure is one of the moment.
        let written = match self.look().or_else(|_| self.look()) {
            Ok(found) => found.map_or(Ok(()), |found| self.place(found, size, only_if_empty, render)),
            // What is there cannot be seen, and a block that stayed last would tell of a kill that never was.
            Err(errno) => match render(size).filter(|_| !self.blocks.is_empty()) {
                Some(report) => append(&self.file, &[b"\n", report.as_slice()].concat()).and(Err(errno)),
                None => Err(errno),
            },
        };
        if let Err(errno) = written {
            self.debug(errno);
        }
    }

    fn debug(&self, errno: Errno) {
        log::debug!("cannot write the report to {}: {}", escaped(&self.path), errno.desc());
    }

    /// What is in the file; `None` if it is too much to be touched.
    fn look(&mut self) -> Result<Option<Found>, Errno> {
        let length = self.length()?;
        self.locate_last()?;
        let (content, start) = match (self.readable, self.blocks.is_empty()) {
            (false, false) => return Ok(None),
            // Its length at least is known.
            (false, true) => (vec![0; usize::try_from(length).unwrap_or(CAPACITY).min(CAPACITY)], None),
            (true, true) => (self.content()?, None),
            (true, false) if length > MOVED => return Ok(None),
            (true, false) => self.without_blocks(self.read(0, length)?)?,
        };
        Ok(Some(Found { length, content, start }))
    }

    fn place(
        &mut self,
        found: Found,
        size: usize,
        only_if_empty: bool,
        render: impl Fn(usize) -> Option<Vec<u8>>,
    ) -> Result<(), Errno> {
        let Found { length, content, start } = found;
        let newline = content.last().is_some_and(|last| *last != b'\n');
        let is_alone = !content.is_empty() && (only_if_empty || self.readable && stays_alone(&content));
        // Where there were no blocks, only the first bytes were read.
        let others = if start.is_none() { usize::try_from(length).unwrap_or(CAPACITY) } else { content.len() };
        let room = CAPACITY.saturating_sub(others + usize::from(newline));
        let report = if is_alone { None } else { render(size.min(room)) };
        let bytes = match report {
            Some(report) if newline => [b"\n", report.as_slice()].concat(),
            report => report.unwrap_or_default(),
        };
        let at = match start {
            Some(start) => {
                let kept = content.get(start..).unwrap_or_default();
                self.replace(start, length, kept, &bytes)?;
                Some((start + kept.len()) as u64)
            }
            None if bytes.is_empty() => return Ok(()),
            None => {
                self.add(length, &bytes)?;
                None
            }
        };
        self.blocks.clear();
        self.blocks.push(Block { at, bytes });
        Ok(())
    }

    /// Behind everything that is there.
    fn add(&self, length: u64, bytes: &[u8]) -> Result<(), Errno> {
        let written = match append(&self.file, bytes) {
            // Linux before 4.16 has no RWF_APPEND, and a seccomp profile may refuse the call.
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EPERM) => self.write_at_end(bytes)?,
            result => result?,
        };
        if written < bytes.len() {
            // A full file system: half a report is worse than none.
            self.set_len(length)?;
            return Err(Errno::ENOSPC);
        }
        Ok(())
    }

    /// Puts `kept`, PROGRAM's, and `bytes` in place of what stands from `start` to `length`.
    ///
    /// In one write that ends where the file ended, blanks last, which are then cut off: a kill in between leaves a whole
    /// report. And whatever is appended meanwhile, by a process that outlives PROGRAM, is moved behind it.
    fn replace(&self, start: usize, length: u64, kept: &[u8], bytes: &[u8]) -> Result<(), Errno> {
        let mut tail = [kept, bytes].concat();
        let (from, mut end) = (start as u64, start as u64 + tail.len() as u64);
        let mut length = length;
        tail.resize(tail.len().max(usize::try_from(length - from).unwrap_or(0)), b' ');
        let blank = tail.iter().all(|byte| *byte == b' ');
        let written = if blank { Ok(tail.len()) } else { self.write_at(&tail, from) };
        if written != Ok(tail.len()) {
            // Half a report is worse than none, and a block that stayed would tell of a kill that never was. But where
            // nothing was written, PROGRAM's words still stand behind it.
            if written.is_ok() || kept.is_empty() {
                self.set_len(from + kept.len() as u64)?;
            }
            return Err(written.err().unwrap_or(Errno::ENOSPC));
        }
        length = length.max(from + tail.len() as u64);
        const TRIES: usize = 3;
        for _ in 0..TRIES {
            let now = self.length()?;
            if now <= length || now - length > MOVED {
                break;
            }
            let more = self.read(length, now)?;
            end += self.write_at(&more, end)? as u64;
            length = now;
        }
        if end < length { self.set_len(end) } else { Ok(()) }
    }

    fn set_len(&self, length: u64) -> Result<(), Errno> {
        self.file.set_len(length).map_err(|error| errno_of(&error))
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> Result<usize, Errno> {
        pwrite(&self.file, bytes, i64::try_from(at).unwrap_or(i64::MAX))
    }

    fn write_at_end(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let mut file = &self.file;
        file.seek(io::SeekFrom::End(0)).map_err(|error| errno_of(&error))?;
        nix::unistd::write(file, bytes)
    }

    /// Finds out where the last block stands. pwritev2(2): with an offset of -1 the file's position moves along.
    fn locate_last(&mut self) -> Result<(), Errno> {
        let mut file = &self.file;
        if let Some(block) = self.blocks.last_mut().filter(|block| block.at.is_none()) {
            let end = file.stream_position().map_err(|error| errno_of(&error))?;
            block.at = Some(end.saturating_sub(block.bytes.len() as u64));
        }
        Ok(())
    }

    /// `content`, the file from its beginning on, without what is left of rinit's blocks, and where the first of that
    /// stood.
    fn without_blocks(&self, mut content: Vec<u8>) -> Result<(Vec<u8>, Option<usize>), Errno> {
        let mut first: Option<usize> = None;
        let position = || (&self.file).stream_position().map_err(|error| errno_of(&error));
        // From the last one on, so that the places of the others stay what they were.
        for block in self.blocks.iter().rev() {
            let at = match block.at {
                Some(at) => at,
                None => position()?.saturating_sub(block.bytes.len() as u64),
            };
            let parts = remains(&content, usize::try_from(at).unwrap_or(usize::MAX), &block.bytes);
            for part in parts.into_iter().flatten() {
                first = Some(first.map_or(part.start, |first| first.min(part.start)));
                content.drain(part);
            }
        }
        Ok((content, first))
    }

    fn length(&self) -> Result<u64, Errno> {
        Ok(self.file.metadata().map_err(|error| errno_of(&error))?.len())
    }

    fn read(&self, from: u64, to: u64) -> Result<Vec<u8>, Errno> {
        if from == to {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
        let read = pread(&self.file, &mut bytes, i64::try_from(from).unwrap_or(i64::MAX))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// The first [`CAPACITY`] bytes.
    fn content(&self) -> Result<Vec<u8>, Errno> {
        self.read(0, self.length()?.min(CAPACITY as u64))
    }
}

/// Whether a message has to: JSON, or a nested rinit's report.
fn stays_alone(message: &[u8]) -> bool {
    let message = message.get(..CAPACITY).unwrap_or(message);
    is_json(message) || find_report(message).is_some()
}

/// What of `block`, which was written at `at`, is still in `content`, last part first.
///
/// Whole, there or, where PROGRAM has put something in front, elsewhere; or what PROGRAM's words have left of it when they
/// went over it: its end, and its beginning if they began behind that. Where the last of those words happens to be what
/// stood there before, nobody can tell whose it is.
fn remains(content: &[u8], at: usize, block: &[u8]) -> [Option<Range<usize>>; 2] {
    let whole = |at: usize| [Some(at..at + block.len()), None];
    if block.is_empty() {
        return [None, None];
    }
    let here = content.get(at..).unwrap_or_default();
    if here.starts_with(block) {
        return whole(at);
    }
    if let Some(at) = content.windows(block.len()).position(|window| window == block) {
        return whole(at);
    }
    let is = here.get(..block.len()).unwrap_or(here);
    let same = |(is, was): &(&u8, &u8)| is == was;
    let beginning = is.iter().zip(block).take_while(same).count();
    let ending = is.iter().rev().zip(block.iter().rev()).take_while(same).count();
    let (head, end) = (Some(at..at + beginning).filter(|_| beginning >= RECOGNIZED), at + is.len());
    if is.len() < block.len() {
        // Cut off in the middle.
        return [head.filter(|_| beginning == is.len()), None];
    }
    // A report of another rinit's begins in the same way: only together with the end is the beginning ours.
    let tail = Some(end - ending..end).filter(|_| ending >= RECOGNIZED);
    [tail.clone(), tail.and(head)]
}

fn escaped(path: &Path) -> String {
    crate::report::escape(path.as_os_str().as_bytes())
}

/// Where this container's log is when nobody says so: as PID 1, a pod with another `terminationMessagePath` has the
/// kubelet's file mounted there, and nothing at the usual path.
fn default_path(is_init: bool) -> PathBuf {
    let mut pods_own = None;
    if is_init {
        for mount in mounts().into_iter().flatten() {
            if mount.mount_point == DEFAULT.as_bytes() {
                return PathBuf::from(DEFAULT);
            }
            if mount.is_pod_termination_log() {
                pods_own = Some(PathBuf::from(OsString::from_vec(mount.mount_point)));
            }
        }
    }
    pods_own.unwrap_or_else(|| PathBuf::from(DEFAULT))
}

/// The mount table, line by line: what is touched here stays in rinit's memory for as long as PROGRAM runs.
fn mounts() -> Option<impl Iterator<Item = Mount>> {
    let mut line = Vec::with_capacity(512);
    let mut table = BufReader::with_capacity(1024, File::open("/proc/self/mountinfo").ok()?);
    let mounts = std::iter::from_fn(move || {
        line.clear();
        table.read_until(b'\n', &mut line).ok().filter(|length| *length > 0)?;
        Some(Mount::parse(&line))
    });
    Some(mounts.flatten())
}

/// `None` without a mount table.
fn is_mount(path: &Path) -> Option<bool> {
    Some(mounts()?.any(|mount| mount.mount_point == path.as_os_str().as_bytes()))
}

/// The look of `--check`: what would be used and what is in it. Nothing is changed, no writer of a FIFO is woken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The file that reports would go to.
    pub path: PathBuf,
    /// Whether it is a mount of its own, as Kubernetes makes it.
    pub is_mount: bool,
    /// Whether it can be written, or made where it is missing.
    pub writable: bool,
    /// What is in it.
    pub content: Content,
}

/// What is in a termination log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// There is no such file.
    Missing,
    /// A directory, a FIFO, a symbolic link: rinit takes none of these.
    NotRegular,
    /// It cannot be read.
    Unreadable,
    /// Nothing.
    Empty,
    /// A report of rinit's, perhaps behind a message.
    Report,
    /// A message that is JSON.
    Json,
    /// Any other message.
    Message,
}

impl Look {
    /// `None` for `off`.
    #[must_use]
    pub fn at(setting: &Setting, is_init: bool) -> Option<Self> {
        let path = match setting {
            Setting::Off => return None,
            Setting::Path(path) => PathBuf::from(path),
            Setting::Default => default_path(is_init),
        };
        let is_mount = is_mount(&path) == Some(true);
        let may_write = |path: &Path| eaccess(path, AccessFlags::W_OK).is_ok();
        let (writable, content) = match path.symlink_metadata() {
            Err(error) if errno_of(&error) == Errno::ENOENT => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                (may_write(parent.unwrap_or(Path::new("."))), Content::Missing)
            }
            Err(_) => (false, Content::Unreadable),
            Ok(metadata) if metadata.is_file() => (may_write(&path), Content::of(&path)),
            Ok(_) => (false, Content::NotRegular),
        };
        Some(Self { path, is_mount, writable, content })
    }
}

impl Content {
    fn of(path: &Path) -> Self {
        let mut content = Vec::new();
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
        match opened.and_then(|file| file.take(CAPACITY as u64).read_to_end(&mut content)) {
            Err(_) => Self::Unreadable,
            Ok(0) => Self::Empty,
            Ok(_) if find_report(&content).is_some() => Self::Report,
            Ok(_) if is_json(&content) => Self::Json,
            Ok(_) => Self::Message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_block_is_found_and_nothing_else() {
        let block = b"rinit: one line\n      cause: an-id (unknown)";
        let end = block.len();
        let over = |at: usize, words: &[u8]| {
            let mut content = [b"front|".as_slice(), block, b"|behind"].concat();
            content[at..at + words.len()].copy_from_slice(words);
            content
        };
        let text = |content: &[u8]| {
            let mut content = content.to_vec();
            remains(&content.clone(), 6, block).into_iter().flatten().for_each(|part| drop(content.drain(part)));
            String::from_utf8(content).unwrap()
        };
        assert_eq!(text(&over(0, b"front|")), "front||behind");
        assert_eq!(text(&over(6, b"MESSAGE\n")), "front|MESSAGE\n|behind");
        assert_eq!(text(&over(20, b"MESSAGE")), "front|MESSAGE|behind");
        assert_eq!(text(&over(6, &vec![b'X'; end - 8])), format!("front|{}|behind", "X".repeat(end - 8)));
        // Put in front by PROGRAM, cut off, gone.
        assert_eq!(text(&[b"new words|front|".as_slice(), block].concat()), "new words|front|");
        assert_eq!(text(&over(0, b"front|")[..26]), "front|");
        assert_eq!(text(b"front|"), "front|");
        assert_eq!(text(b""), "");
        // Too little to be sure, and another report in its place.
        let other =
            [b"front|rinit: another line, quite different\n      cause: an-id (certain), yes".as_slice()].concat();
        for content in [over(6, &vec![b'X'; end - 7]), b"front|rinit".to_vec(), other] {
            assert_eq!(text(&content).as_bytes(), content);
        }
    }
}
