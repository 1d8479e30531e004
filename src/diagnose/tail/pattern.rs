//! What the tables are written in: `|` between alternatives, `*` for anything, `%` for a digit, `~` for an asterisk, `^`
//! and `$` for the ends of the line. Everything else stands for itself. No step is taken back, so the time is that of a
//! search for each piece.

#![forbid(unsafe_code)]

/// Where the first alternative that occurs in `text` ends.
#[inline(never)]
pub(super) fn find(pattern: &str, text: &[u8]) -> Option<usize> {
    pattern.as_bytes().split(|byte| *byte == b'|').find_map(|alternative| one(alternative, text))
}

/// Whether an alternative occurs in `text`.
#[inline(never)]
pub(super) fn occurs(pattern: &str, text: &[u8]) -> bool {
    find(pattern, text).is_some()
}

#[inline(never)]
fn one(pattern: &[u8], text: &[u8]) -> Option<usize> {
    let (at_start, pattern) = match pattern.strip_prefix(b"^") {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let (at_end, pattern) = match pattern.strip_suffix(b"$") {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let mut pieces = pattern.split(|byte| *byte == b'*').peekable();
    let (mut at, mut first) = (0, at_start);
    while let Some(piece) = pieces.next() {
        let rest = text.get(at..)?;
        let from = if first {
            same(piece, rest).then_some(0)?
        } else if at_end && pieces.peek().is_none() {
            let from = rest.len().checked_sub(piece.len())?;
            same(piece, rest.get(from..)?).then_some(from)?
        } else {
            search(piece, rest)?
        };
        at += from + piece.len();
        first = false;
    }
    (!at_end || at == text.len()).then_some(at)
}

#[inline(never)]
fn search(piece: &[u8], text: &[u8]) -> Option<usize> {
    let Some(first) = piece.first() else { return Some(0) };
    let last = text.len().checked_sub(piece.len())?;
    text.get(..=last)?.iter().enumerate().find_map(|(at, byte)| {
        let begins = byte == first || matches!(first, b'%' | b'~');
        (begins && same(piece, text.get(at..)?)).then_some(at)
    })
}

/// Whether `text` begins with `piece`.
#[inline(never)]
fn same(piece: &[u8], text: &[u8]) -> bool {
    let fits = |(wanted, byte): (&u8, &u8)| match wanted {
        b'%' => byte.is_ascii_digit(),
        b'~' => *byte == b'*',
        wanted => wanted == byte,
    };
    piece.len() <= text.len() && piece.iter().zip(text).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, end) in [
            ("a", "bab", Some(2)),
            ("^a", "ba", None),
            ("^b*a", "bxxay", Some(4)),
            ("a$", "aba", Some(3)),
            ("a$", "ab", None),
            ("^a$", "a", Some(1)),
            ("^a$", "aa", None),
            ("^a*b$", "ab", Some(2)),
            ("^ab*b$", "ab", None),
            ("x|b", "ab", Some(2)),
            (": line %*: *: not found", "run.sh: line 12: foo: not found", Some(31)),
            (": line %", "run.sh: line x", None),
            ("^%%/%", "11/2", Some(4)),
            ("^%%/%", "1/2", None),
            ("^~~ (", "** (x", Some(4)),
            ("^~~ (", "xx (x", None),
            ("", "", Some(0)),
            ("a", "", None),
            ("a*", "xa", Some(2)),
            ("*a*b*", "xaxb", Some(4)),
        ] {
            assert_eq!(find(pattern, text.as_bytes()), end, "{pattern} {text}");
        }
    }
}
