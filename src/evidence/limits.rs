//! /proc/PID/limits (proc_pid_limits(5)). It still reads on a zombie.

#![forbid(unsafe_code)]

use super::process::number;

/// A soft and a hard limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What the kernel enforces; `None` is unlimited.
    pub soft: Option<u64>,
    /// How far the process may raise it.
    pub hard: Option<u64>,
}

/// The rows that rinit reasons from. A row that is missing or does not parse is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// `Max cpu time`, seconds. The kernel adds one second to the soft limit each time it sends SIGXCPU
    /// (kernel/time/posix-cpu-timers.c, `check_process_timers`).
    pub cpu: Option<Limit>,
    /// `Max file size`, bytes.
    pub file_size: Option<Limit>,
    /// `Max stack size`, bytes.
    pub stack: Option<Limit>,
    /// `Max core file size`, bytes.
    pub core: Option<Limit>,
    /// `Max address space`, bytes.
    pub address_space: Option<Limit>,
    /// `Max open files`.
    pub open_files: Option<Limit>,
    /// `Max processes`, of the user.
    pub processes: Option<Limit>,
}

impl Limits {
    /// Reads the text of /proc/PID/limits.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut limits = Self::default();
        for line in text.split(|byte| *byte == b'\n') {
            // The names contain blanks: a column is 26 wide (fs/proc/base.c, `proc_pid_limits`).
            let Some((name, rest)) = line.split_at_checked(26) else { continue };
            let field = match name.trim_ascii_end() {
                b"Max cpu time" => &mut limits.cpu,
                b"Max file size" => &mut limits.file_size,
                b"Max stack size" => &mut limits.stack,
                b"Max core file size" => &mut limits.core,
                b"Max address space" => &mut limits.address_space,
                b"Max open files" => &mut limits.open_files,
                b"Max processes" => &mut limits.processes,
                _ => continue,
            };
            let mut words = rest.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            *field = limit(words.next(), words.next());
        }
        limits
    }
}

fn limit(soft: Option<&[u8]>, hard: Option<&[u8]>) -> Option<Limit> {
    Some(Limit { soft: bound(soft?)?, hard: bound(hard?)? })
}

/// `Some(None)` is unlimited.
fn bound(word: &[u8]) -> Option<Option<u64>> {
    if word == b"unlimited" { Some(None) } else { number(word).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"Limit                     Soft Limit           Hard Limit           Units     \n\
        Max cpu time              2                    unlimited            seconds   \n\
        Max file size             0                    4096                 bytes     \n\
        Max nice priority         0                    0                    \n\
        Max open files            20000                x                    files     \n";

    #[test]
    fn rows() {
        let limits = Limits::parse(TEXT);
        assert_eq!(limits.cpu, Some(Limit { soft: Some(2), hard: None }));
        assert_eq!(limits.file_size, Some(Limit { soft: Some(0), hard: Some(4096) }));
        assert_eq!((limits.open_files, limits.stack), (None, None));
    }

    #[test]
    fn every_prefix_is_survived_and_a_broken_row_stays_unknown() {
        for end in (0..TEXT.len()).step_by(crate::one_of(37)) {
            let limits = Limits::parse(&TEXT[..end]);
            assert!(limits.cpu.is_none_or(|limit| limit.soft == Some(2)), "{end}");
        }
        for broken in [&b""[..], &[0xff; 5000], b"Max cpu time              ", b"Max cpu time              -1  5"] {
            assert_eq!(Limits::parse(broken), Limits::default(), "{broken:?}");
        }
    }

    #[test]
    fn own_limits_read() {
        assert!(Limits::parse(&std::fs::read("/proc/self/limits").unwrap()).open_files.is_some());
    }
}
