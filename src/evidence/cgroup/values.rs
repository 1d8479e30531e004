//! The text of cgroup files. Whatever is missing, or is not what it should be, is unknown.

#![forbid(unsafe_code)]

/// `memory.events` (cgroup-v2.rst), or of v1's `memory.oom_control` the one counter that it has. Counters include all
/// cgroups below in v2, and none in v1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Events {
    /// The limit was about to be passed, and something had to be reclaimed.
    pub max: Option<u64>,
    /// The limit was reached and nothing could be reclaimed.
    pub oom: Option<u64>,
    /// Processes killed "by any kind of OOM killer".
    pub oom_kill: Option<u64>,
}

impl Events {
    /// Reads the file's text.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        Self { max: keyed(text, b"max"), oom: keyed(text, b"oom"), oom_kill: keyed(text, b"oom_kill") }
    }
}

/// The value behind `key` in a file of `KEY VALUE` lines.
#[must_use]
pub fn keyed(text: &[u8], key: &[u8]) -> Option<u64> {
    text.split_inclusive(|byte| *byte == b'\n').find_map(|line| value(line, key))
}

/// The same in one line. A last one without its newline may be cut: not believed.
#[must_use]
pub fn value(line: &[u8], key: &[u8]) -> Option<u64> {
    number(line.strip_prefix(key)?.strip_prefix(b" ")?.strip_suffix(b"\n")?)
}

/// A file or field that is one number.
#[must_use]
pub fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    // `parse` alone would take a sign.
    text.first().filter(|byte| byte.is_ascii_digit())?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A limit in bytes; `Some(None)`: no limit, `max` in v2. v1 has no word for it but a number that nothing reaches
/// (mm/page_counter.c, PAGE_COUNTER_MAX).
#[must_use]
pub fn limit(text: &[u8]) -> Option<Option<u64>> {
    const NO_LIMIT: u64 = 1 << 62;
    match text.trim_ascii() {
        b"max" => Some(None),
        text => number(text).map(|bytes| Some(bytes).filter(|bytes| *bytes < NO_LIMIT)),
    }
}

/// `QUOTA PERIOD` or `max PERIOD` of v2's `cpu.max`, in hundredths of a CPU; as [`limit`].
#[must_use]
pub fn cpu_share(text: &[u8]) -> Option<Option<u64>> {
    let mut fields = text.trim_ascii().split(|byte| *byte == b' ');
    let (quota, period) = (limit(fields.next()?)?, number(fields.next()?)?);
    Some(match quota {
        Some(quota) => Some(quota.saturating_mul(100).checked_div(period)?),
        None => None,
    })
}

/// Cuts what `read` gives, piece by piece, into lines, newline included, and hands each to `take` until that says no.
/// Lines longer than the buffer are left out. `None` at a read error.
pub fn each_line(read: &mut dyn FnMut(&mut [u8]) -> Option<usize>, take: &mut dyn FnMut(&[u8]) -> bool) -> Option<()> {
    let mut buffer = [0_u8; 1024];
    let mut filled = 0;
    let mut skipping = false;
    loop {
        let length = read(buffer.get_mut(filled..)?)?;
        if length == 0 {
            return Some(());
        }
        filled += length;
        let mut start = 0;
        while let Some(end) = buffer.get(start..filled)?.iter().position(|byte| *byte == b'\n') {
            let line = buffer.get(start..=start + end)?;
            start += end + 1;
            if !std::mem::take(&mut skipping) && !take(line) {
                return Some(());
            }
        }
        if start == 0 && filled == buffer.len() {
            skipping = true;
            filled = 0;
        } else {
            buffer.copy_within(start..filled, 0);
            filled -= start;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn events_of_both_versions() {
        let v2 = b"low 0\nhigh 3\nmax 41\noom 1\noom_kill 2\noom_group_kill 0\n";
        assert_eq!(Events::parse(v2), Events { max: Some(41), oom: Some(1), oom_kill: Some(2) });
        let v1 = b"oom_kill_disable 0\nunder_oom 0\noom_kill 7\n";
        assert_eq!(Events::parse(v1), Events { max: None, oom: None, oom_kill: Some(7) });
        // Linux before 4.13 does not count kills.
        assert_eq!(Events::parse(b"low 0\nhigh 0\nmax 0\noom 0\n").oom_kill, None);
        assert_eq!(Events::parse(b"oom_kill_disable 0\nunder_oom 0\n"), Events::default());
    }

    #[test]
    fn what_is_missing_or_broken_is_unknown_and_never_zero() {
        for text in [
            &b""[..],
            b"\n",
            b"oom_kill",
            b"oom_kill \n",
            b"oom_kill -1\n",
            b"oom_kill +1\n",
            b"oom_kill 0x1\n",
            b"oom_kill 1 2\n",
            b"oom_kill 99999999999999999999\n",
            b"oom_kill 1",
            b"\0oom_kill 1\n",
            b"oom_kill\t1\n",
            b"\xff\xfe\n\xff",
            b"xoom_kill 1\n",
        ] {
            assert_eq!(Events::parse(text), Events::default(), "{text:?}");
        }
        assert_eq!(Events::parse(&vec![b'x'; 100_000 / crate::one_of(100)]), Events::default());
    }

    #[test]
    fn no_cut_of_a_file_changes_a_number() {
        let whole = b"max 411\noom 122\noom_kill 133\n";
        let all = Events::parse(whole);
        for end in 0..whole.len() {
            let Events { max, oom, oom_kill } = Events::parse(&whole[..end]);
            assert!((max.is_none() || max == all.max) && (oom.is_none() || oom == all.oom) && oom_kill.is_none());
        }
    }

    #[test]
    fn limits() {
        assert_eq!(limit(b"max\n"), Some(None));
        assert_eq!(limit(b"67108864\n"), Some(Some(67_108_864)));
        assert_eq!(limit(b"9223372036854771712\n"), Some(None));
        assert_eq!(limit(b"0\n"), Some(Some(0)));
        for broken in [&b""[..], b"\n", b"none", b"-1", b"1e9", b"\xff"] {
            assert_eq!(limit(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn shares_of_a_cpu() {
        assert_eq!(cpu_share(b"max 100000\n"), Some(None));
        assert_eq!(cpu_share(b"150000 100000\n"), Some(Some(150)));
        for broken in [&b""[..], b"5", b"max", b"1 0\n", b"x 1", b"-1 100000", b"1 x"] {
            assert_eq!(cpu_share(broken), None, "{broken:?}");
        }
    }

    /// Lines of every length around the buffer's, in pieces of several sizes.
    #[test]
    fn lines_come_whole_or_not_at_all() {
        for piece in [512, 1024, 7, 1].into_iter().take(4 / crate::one_of(2)) {
            for long in [0, 1, 511, 1022, 1023, 1024, 1025, 5000].into_iter().step_by(crate::one_of(5)) {
                let text = [b"first\n".as_slice(), &vec![b'x'; long], b"\nlast\ncut"].concat();
                let mut rest = text.as_slice();
                let mut lines = Vec::new();
                let mut read = |buffer: &mut [u8]| rest.by_ref().take(piece).read(buffer).ok();
                each_line(&mut read, &mut |line| {
                    lines.push(line.to_vec());
                    true
                });
                assert!(lines.iter().all(|line| line == b"first\n" || line == b"last\n" || line.len() == long + 1));
                assert_eq!(lines.len(), if long < 1024 { 3 } else { 2 }, "{piece} {long}");
            }
        }
        assert_eq!(each_line(&mut |_| None, &mut |_| true), None);
        let mut calls = 0;
        each_line(
            &mut |buffer| {
                buffer[..4].copy_from_slice(b"a\nb\n");
                Some(4)
            },
            &mut |_| {
                calls += 1;
                calls < 3
            },
        );
        assert_eq!(calls, 3);
    }
}
