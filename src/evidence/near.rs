//! Names that are close to one that does not exist.

#![forbid(unsafe_code)]

/// How many are kept.
const KEPT: usize = 3;
/// Longer names are not compared: the cost grows with the square.
const LONGEST: usize = 64;

/// The names closest to `wanted` among those that were offered.
#[derive(Debug)]
pub struct Nearest<'a> {
    wanted: &'a [u8],
    /// Rank, name, and what is made of it.
    best: Vec<(usize, Vec<u8>, Vec<u8>)>,
}

impl<'a> Nearest<'a> {
    /// None so far.
    #[must_use]
    pub fn to(wanted: &'a [u8]) -> Self {
        Self { wanted, best: Vec::new() }
    }

    /// Keeps what `path` makes of `name` if the name is near and nearer than what is kept; of one name the first.
    pub fn offer(&mut self, name: &[u8], path: impl FnOnce() -> Vec<u8>) {
        let Some(rank) = rank(self.wanted, name) else { return };
        let at = self.best.iter().position(|(other, ..)| rank < *other).unwrap_or(self.best.len());
        if at < KEPT && self.best.iter().all(|(_, other, _)| other != name) {
            self.best.insert(at, (rank, name.to_vec(), path()));
            self.best.truncate(KEPT);
        }
    }

    /// What is kept, the nearest first.
    #[must_use]
    pub fn into_names(self) -> Vec<Vec<u8>> {
        self.best.into_iter().map(|(.., path)| path).collect()
    }
}

/// How far `name` is from `wanted`; `None` if it is another name, or the same.
// Not inlined: `offer` is generic.
#[inline(never)]
fn rank(wanted: &[u8], name: &[u8]) -> Option<usize> {
    if wanted == name || wanted.len() > LONGEST || name.len() > LONGEST || wanted.is_empty() {
        return None;
    }
    // `start` or `start.py` for `start.sh`, `python3.11` for `python`, `Run` for `run`.
    let stem = stem(wanted);
    let versioned = name.strip_prefix(wanted).is_some_and(|rest| rest.iter().all(|b| b.is_ascii_digit() || *b == b'.'));
    if versioned || wanted.eq_ignore_ascii_case(name) || (stem.len() > 1 && stem == self::stem(name)) {
        return Some(1);
    }
    // Two changes make any short name into any other.
    let most = match wanted.len() {
        0..=2 => return None,
        3..=4 => 1,
        _ => 2,
    };
    Some(distance(wanted, name)).filter(|distance| *distance <= most)
}

/// Without its extension.
fn stem(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => name.get(..dot).unwrap_or(name),
        _ => name,
    }
}

/// How many bytes have to be inserted, removed or replaced (Levenshtein's distance).
fn distance(a: &[u8], b: &[u8]) -> usize {
    // One row of the table: the distance of what was read of `a` from each start of `b`.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut left = i + 1;
        let mut diagonal = i;
        for (cell, y) in row.iter_mut().skip(1).zip(b) {
            let replaced = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = replaced.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("start.sh", "startup.sh", 2),
            ("pyhton", "python", 2),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
            assert_eq!(distance(b.as_bytes(), a.as_bytes()), expected, "{b} {a}");
        }
    }

    #[test]
    fn near_names_are_near() {
        let near = |wanted: &str, name: &str| rank(wanted.as_bytes(), name.as_bytes()).is_some();
        for (wanted, name) in [
            ("start.sh", "startup.sh"),
            ("start.sh", "start.py"),
            ("start.sh", "start"),
            ("start", "start.sh"),
            ("python", "python3"),
            ("python", "python3.11"),
            ("Server", "server"),
            ("nginxx", "nginx"),
            ("pip", "pip3"),
        ] {
            assert!(near(wanted, name), "{wanted} {name}");
        }
        for (wanted, name) in
            [("ls", "ps"), ("ls", "ls"), ("jq", "nl"), ("cat", "dog"), ("node", "mode2"), ("", "x"), (".a", ".b")]
        {
            assert!(!near(wanted, name), "{wanted} {name}");
        }
        assert!(!near(&"x".repeat(65), &"x".repeat(64)));
    }

    #[test]
    fn the_nearest_three_are_kept_once_each() {
        let mut nearest = Nearest::to(b"server");
        for name in ["serverxx", "serve", "sever", "server", "serverx", "servers", "serve", "Server"] {
            nearest.offer(name.as_bytes(), || name.as_bytes().to_vec());
        }
        assert_eq!(nearest.into_names(), [b"serve".to_vec(), b"sever".to_vec(), b"serverx".to_vec()]);
    }
}
