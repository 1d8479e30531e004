//! What is on disk where PROGRAM should be, looked at after execve(2) refused it.

/// The look at one command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inspection {
    /// Every path that was tried, in order: one for a command with a slash, else one per directory of PATH.
    pub candidates: Vec<Candidate>,
    /// PATH as it was searched; `None` for a command with a slash.
    pub search_path: Option<Vec<u8>>,
    /// Effective user and group of rinit, hence of PROGRAM.
    pub uid: u32,
    /// See `uid`.
    pub gid: u32,
}

/// One path that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The path.
    pub path: Vec<u8>,
    /// What stat(2) says of it, symbolic links followed; errno if it fails.
    pub file: Result<FileFacts, i32>,
    /// The first component of the path that does not exist, if the file does not.
    pub missing: Option<Vec<u8>>,
}

/// stat(2) in brief.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Owner.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
}
