//! The termination log: where Kubernetes looks for the last words of a container.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::sys::uio::pread;
use nix::unistd::{AccessFlags, eaccess};

use crate::cli::TerminationLog as Setting;
use crate::evidence::mountinfo::Mount;
use crate::report::{find_report, is_json};
use crate::sys::descriptor::{above_stdio, append, errno_of};

/// Where Kubernetes looks unless the pod says otherwise (`terminationMessagePath`).
const DEFAULT: &str = "/dev/termination-log";
/// The kubelet reads no more than the last 4,096 bytes (pkg/kubelet/container, MaxContainerTerminationMessageLength).
pub const CAPACITY: usize = 4096;

/// The open file.
#[derive(Debug)]
pub struct TerminationLog {
    file: File,
    path: PathBuf,
}

/// What PROGRAM itself left in the file.
enum Message {
    None,
    /// This many bytes; a report may follow, after a newline if there is none yet.
    Text {
        length: usize,
        ends_line: bool,
    },
    /// It has to stay alone: JSON, or a nested rinit's report.
    Alone,
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
            Ok(file) => Self { file, path },
            Err(errno) if by_hand => return Err(format!("no termination log at {}: {}", escaped(&path), errno.desc())),
            Err(_) => return Ok(None),
        };
        log.drop_older_report(is_init);
        Ok(Some(log))
    }

    fn open_regular(path: &Path) -> Result<File, Errno> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o666).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
        let opened = options.open(path).or_else(|error| match errno_of(&error) {
            Errno::ENOENT => options.create_new(true).open(path),
            // It may be writable all the same.
            Errno::EACCES => options.read(false).open(path),
            _ => Err(error),
        });
        let file = opened.map_err(|error| errno_of(&error))?;
        let metadata = file.metadata().map_err(|error| errno_of(&error))?;
        // 0 to 2 will be /dev/null.
        if metadata.is_file() { above_stdio(file.into()).map(File::from) } else { Err(Errno::EINVAL) }
    }

    /// In Kubernetes each start of a container has a new file. Elsewhere the report of an earlier run may be in it, and
    /// would pass for this one's. In a mount, somebody else's may be: an outer rinit's, unless rinit is PID 1.
    fn drop_older_report(&self, is_init: bool) {
        let Ok(content) = self.content() else { return };
        if let Some(start) = find_report(&content)
            && (is_init || !mounts().any(|mount| mount.mount_point == self.path.as_os_str().as_bytes()))
        {
            let _ = self.file.set_len(start as u64);
        }
    }

    /// The descriptor that has to stay open.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Adds the report behind whatever PROGRAM wrote. `render` makes one that fits into so many bytes, or none if it
    /// cannot be made as short. Any failure is a line of the debug log.
    pub fn write(&self, size: usize, only_if_empty: bool, render: impl Fn(usize) -> Option<Vec<u8>>) {
        if let Err(errno) = self.try_write(size, only_if_empty, render) {
            log::debug!("cannot write the report to {}: {}", escaped(&self.path), errno.desc());
        }
    }

    fn try_write(
        &self,
        size: usize,
        only_if_empty: bool,
        render: impl Fn(usize) -> Option<Vec<u8>>,
    ) -> Result<(), Errno> {
        let (room, newline) = match self.message()? {
            Message::None => (CAPACITY, false),
            Message::Text { length, ends_line } if !only_if_empty => {
                (CAPACITY.saturating_sub(length).saturating_sub(usize::from(!ends_line)), !ends_line)
            }
            Message::Text { .. } | Message::Alone => return Ok(()),
        };
        let Some(report) = render(size.min(room)) else { return Ok(()) };
        let bytes = if newline { [b"\n", report.as_slice()].concat() } else { report };
        let before = self.file.metadata().map_err(|error| errno_of(&error))?.len();
        let written = match append(&self.file, &bytes) {
            // Linux before 4.16 has no RWF_APPEND.
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => self.write_at_end(&bytes)?,
            result => result?,
        };
        if written < bytes.len() {
            // A full file system: half a report is worse than none.
            self.file.set_len(before).map_err(|error| errno_of(&error))?;
            return Err(Errno::ENOSPC);
        }
        Ok(())
    }

    fn write_at_end(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let mut file = &self.file;
        file.seek(io::SeekFrom::End(0)).map_err(|error| errno_of(&error))?;
        nix::unistd::write(file, bytes)
    }

    fn message(&self) -> Result<Message, Errno> {
        let content = match self.content() {
            Ok(content) => content,
            // Not readable: its length at least is known.
            Err(Errno::EBADF) => {
                let length = self.file.metadata().map_err(|error| errno_of(&error))?.len();
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                return Ok(match length {
                    0 => Message::None,
                    _ => Message::Text { length, ends_line: false },
                });
            }
            Err(errno) => return Err(errno),
        };
        Ok(match content.last() {
            None => Message::None,
            _ if is_json(&content) || find_report(&content).is_some() => Message::Alone,
            last => Message::Text { length: content.len(), ends_line: last == Some(&b'\n') },
        })
    }

    /// The first [`CAPACITY`] bytes.
    fn content(&self) -> Result<Vec<u8>, Errno> {
        let length = self.file.metadata().map_err(|error| errno_of(&error))?.len();
        let mut content = vec![0; CAPACITY.min(usize::try_from(length).unwrap_or(CAPACITY))];
        let read = if content.is_empty() { 0 } else { pread(&self.file, &mut content, 0)? };
        content.truncate(read);
        Ok(content)
    }
}

fn escaped(path: &Path) -> String {
    crate::report::escape(path.as_os_str().as_bytes())
}

/// Where this container's log is when nobody says so: as PID 1, a pod with another `terminationMessagePath` has the
/// kubelet's file mounted there, and nothing at the usual path.
fn default_path(is_init: bool) -> PathBuf {
    let mut pods_own = None;
    if is_init {
        for mount in mounts() {
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
fn mounts() -> impl Iterator<Item = Mount> {
    let mut line = Vec::with_capacity(512);
    let mut table = File::open("/proc/self/mountinfo").ok().map(|table| BufReader::with_capacity(1024, table));
    std::iter::from_fn(move || {
        line.clear();
        table.as_mut()?.read_until(b'\n', &mut line).ok().filter(|length| *length > 0)?;
        Some(Mount::parse(&line))
    })
    .flatten()
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
        let is_mount = mounts().any(|mount| mount.mount_point == path.as_os_str().as_bytes());
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
