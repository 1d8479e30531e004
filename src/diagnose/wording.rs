//! Durations, times, names and senders in words, the same in every sentence. All of it is ASCII.

use std::time::Duration;

use nix::errno::Errno;

use crate::report::escape;
use crate::signals::{Origin, Sender};

/// Whole lists are for machines: a sentence names this many.
const LISTED: usize = 5;
/// Longest name or path in a sentence, after escaping. NAME_MAX is 255, but line 1 must stay readable.
const NAME_LENGTH: usize = 200;
/// Longest line of the program's own in a sentence.
const QUOTE_LENGTH: usize = 400;
/// Longest line of the program's own by itself.
const LINE_LENGTH: usize = 1000;

/// `4 ms`, `0.4 s`, `41.2 s`, `3m12s`, `2h05m`, `3d04h`: cut, never rounded up to what has not been reached.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0 if duration.as_millis() == 0 => "less than 1 ms".to_owned(),
        0 if duration.as_millis() < 100 => format!("{} ms", duration.as_millis()),
        0..60 => format!("{seconds}.{} s", duration.subsec_millis() / 100),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// Seconds since 1970 as `14:03:22Z`.
#[must_use]
pub fn clock(epoch: u64) -> String {
    let second = epoch % 86_400;
    format!("{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// Seconds since 1970 as `2026-11-21T14:03:22Z`.
#[must_use]
pub fn timestamp(epoch: u64) -> String {
    let (year, month, day) = date(epoch / 86_400);
    format!("{year:04}-{month:02}-{day:02}T{}", clock(epoch))
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Years are counted from March here, so that the leap day is the last of its year, and in cycles of 400 years
/// (146,097 days), after which the calendar repeats.
fn date(days: u64) -> (u64, u64, u64) {
    const CYCLE: u64 = 146_097;
    // 0000-03-01 is 719,468 days before 1970-01-01.
    let days = days + 719_468;
    let (cycle, day) = (days / CYCLE, days % CYCLE);
    // Leap days so far in this cycle: every 4 years (1,461 days), not every 100 (36,524), but at the end of 400.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // March to July and August to December both have 31 30 31 30 31 days: 153 in five months.
    let month = (5 * day + 2) / 153;
    let first = (153 * month + 2) / 5;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (cycle * 400 + year + next_year, month, day - first + 1)
}

/// `ENOENT (No such file or directory)`.
#[must_use]
pub fn errno(raw: i32) -> String {
    match Errno::from_raw(raw) {
        Errno::UnknownErrno => format!("errno {raw}"),
        known => format!("{known:?} ({})", known.desc()),
    }
}

/// KiB as a person reads them: `640 KiB`, `84 MiB`.
#[must_use]
pub fn kib(kib: u64) -> String {
    if kib < 10 * 1024 { format!("{kib} KiB") } else { format!("{} MiB", kib / 1024) }
}

/// Something from outside, escaped, with its middle left out if it is long: both ends of a path say more.
#[must_use]
pub fn name(bytes: &[u8]) -> String {
    shortened(bytes, NAME_LENGTH)
}

/// A line that the program wrote, for a sentence: as [`name`], but longer, and with the quotation marks of ASCII.
#[must_use]
pub fn quote(line: &[u8]) -> String {
    shortened(&plain(line), QUOTE_LENGTH)
}

/// The same for a line by itself.
#[must_use]
pub fn line(line: &[u8]) -> String {
    shortened(&plain(line), LINE_LENGTH)
}

/// A line for machines: only escaped and, if it is long, cut.
#[must_use]
pub fn line_as_written(line: &[u8]) -> String {
    shortened(line, LINE_LENGTH)
}

/// What is easily said in ASCII: quotation marks, and tabs, which indent traces.
fn plain(line: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((first, tail)) = rest.split_first() {
        rest = match rest {
            [0xe2, 0x80, quotation @ 0x98..=0x9d, after @ ..] => {
                plain.push(if *quotation < 0x9c { b'\'' } else { b'"' });
                after
            }
            [b'\t', after @ ..] => {
                plain.extend(b"    ");
                after
            }
            _ => {
                plain.push(*first);
                tail
            }
        };
    }
    plain
}

fn shortened(bytes: &[u8], most: usize) -> String {
    // Escaping never shortens: what is far too long need not be escaped whole.
    let escaped = match (bytes.get(..most), bytes.len().checked_sub(most).and_then(|n| bytes.get(n..))) {
        (Some(head), Some(tail)) if bytes.len() > 2 * most => escape(head) + &escape(tail),
        _ => escape(bytes),
    };
    match (escaped.get(..most / 2), escaped.len().checked_sub(most / 2).and_then(|n| escaped.get(n..))) {
        (Some(head), Some(tail)) if escaped.len() > most => format!("{head}...{tail}"),
        _ => escaped,
    }
}

/// `nginx (pid 12)`; `pid 12` if nothing else is known: it may be gone, or not to be seen (no /proc, hidepid).
#[must_use]
pub fn process(pid: i32, comm: Option<&[u8]>) -> String {
    match comm {
        Some(comm) => format!("{} (pid {pid})", name(comm)),
        None => format!("pid {pid}"),
    }
}

/// `a, b, c and 4 more`.
#[must_use]
pub fn list(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(LISTED);
    and_more(&items.take(LISTED).collect::<Vec<_>>(), more)
}

// Not generic: there are many callers.
fn and_more(named: &[String], more: usize) -> String {
    let named = named.join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

/// `1 process`, `2 processes`. Of bytes there may be more than a usize holds.
#[must_use]
pub fn count(number: impl TryInto<u64>, one: &str, many: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Who sent a signal, to follow its name: `from outside`.
#[must_use]
pub fn origin(origin: &Origin) -> String {
    let from = |sender: &Sender| process(sender.pid, sender.name.as_deref());
    match origin {
        Origin::Outside => "from outside".to_owned(),
        Origin::Exec(sender) => format!("from an exec session, {}", from(sender)),
        Origin::Terminal => "from the terminal".to_owned(),
        Origin::Own => "raised for rinit itself".to_owned(),
        Origin::Process(sender) => format!("from {}", from(sender)),
        Origin::Claimed(pid) => format!("by sigqueue from pid {pid} (by its own word)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_bytes_are_counted_than_a_32_bit_machine_could_hold() {
        let five_gib = 5_u64 << 30;
        assert_eq!(count(five_gib, "byte", "bytes"), "5368709120 bytes");
        assert_eq!((count(1_usize, "one", "many"), count(0_u32, "one", "many")), ("1 one".into(), "0 many".into()));
    }

    #[test]
    fn durations_are_cut_and_never_rounded_up() {
        for (ms, words) in [
            (0, "less than 1 ms"),
            (4, "4 ms"),
            (99, "99 ms"),
            (100, "0.1 s"),
            (450, "0.4 s"),
            (41_299, "41.2 s"),
            (59_999, "59.9 s"),
            (60_000, "1m00s"),
            (192_031, "3m12s"),
            (3_599_999, "59m59s"),
            (7_500_000, "2h05m"),
            (86_399_999, "23h59m"),
            (273_600_000, "3d04h"),
        ] {
            assert_eq!(duration(Duration::from_millis(ms)), words);
        }
        assert!(duration(Duration::MAX).ends_with('h'));
    }

    #[test]
    fn every_day_of_800_years_follows_the_one_before() {
        let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
        let mut expected = (1970, 1, 1);
        for day in (0..292_194).take(292_194 / crate::one_of(1000)) {
            assert_eq!(date(day), expected, "day {day}");
            let (y, m, d) = expected;
            let length = match m {
                2 => 28 + u64::from(leap(y)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = if d < length {
                (y, m, d + 1)
            } else if m < 12 {
                (y, m + 1, 1)
            } else {
                (y + 1, 1, 1)
            };
        }
    }

    #[test]
    fn timestamps() {
        for (epoch, words) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_795_269_611, "2026-11-21T14:00:11Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(epoch), words);
        }
        assert_eq!(clock(1_795_269_611), "14:00:11Z");
        assert!(timestamp(u64::MAX).ends_with('Z'));
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        let long = [b"/first".as_slice(), &[b'x'; 5000], b"last"].concat();
        let short = name(&long);
        assert!(short.starts_with("/first") && short.ends_with("xlast") && short.len() <= NAME_LENGTH + 3, "{short}");
        assert_eq!(name(&[b'x'; NAME_LENGTH]), "x".repeat(NAME_LENGTH));
        assert_eq!(name(b"a\nb\x1b[0m"), "a\\nb\\x1b[0m");
        for length in 190..450 {
            assert!(name(&vec![0xff; length]).len() <= NAME_LENGTH + 3);
        }
    }

    #[test]
    fn sizes_are_cut_from_ten_mebibytes_on() {
        for (size, words) in [(0, "0 KiB"), (10_239, "10239 KiB"), (10_240, "10 MiB"), (11_263, "10 MiB")] {
            assert_eq!(kib(size), words);
        }
    }

    #[test]
    fn lists_name_five() {
        let items = |n: usize| list((0..n).map(|i| i.to_string()));
        assert_eq!(items(0), "");
        assert_eq!(items(5), "0, 1, 2, 3, 4");
        assert_eq!(items(7), "0, 1, 2, 3, 4 and 2 more");
    }

    #[test]
    fn errnos() {
        assert_eq!(errno(libc::ENOENT), "ENOENT (No such file or directory)");
        assert_eq!(errno(9999), "errno 9999");
        assert_eq!(errno(-1), "errno -1");
    }
}
