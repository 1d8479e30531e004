//! The last bytes of a stream, and the lines that they are.

#![forbid(unsafe_code)]

use std::collections::VecDeque;

/// Of a line, this many bytes are given.
pub const LONGEST_LINE: usize = 2048;
/// Stands where a line lacks its beginning or its rest.
pub const MARK: &[u8] = b"...";
/// How often the streams may alternate before the order of the oldest lines is forgotten.
const MARKS: usize = 256;

/// Keeps as many of the last bytes as its memory holds.
#[derive(Debug)]
pub struct Ring<'a> {
    bytes: &'a mut [u8],
    /// How many ever came.
    total: u64,
    /// Where other streams came between, oldest first: from this many own bytes on, that many of all streams had come.
    marks: VecDeque<(u64, u64)>,
}

/// A line and its place among the lines of all streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// How many bytes of all streams had come with its end; too few where the streams have alternated often since.
    pub arrived: u64,
    /// Its bytes, at most [`LONGEST_LINE`] of them: the first, or, if its beginning is lost, the last. [`MARK`] stands
    /// for the others.
    pub text: Vec<u8>,
}

impl<'a> Ring<'a> {
    /// An empty ring in `bytes`.
    #[must_use]
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, total: 0, marks: VecDeque::new() }
    }

    /// How many bytes it keeps.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The place of the next bytes, in place of the oldest; at most `most`, and fewer where it wraps around.
    pub fn room(&mut self, most: usize) -> &mut [u8] {
        let start = self.place(self.total);
        let end = start.saturating_add(most).min(self.bytes.len());
        self.bytes.get_mut(start..end).unwrap_or_default()
    }

    /// `count` bytes are in their place now. `before` is how many had come in all streams until then.
    pub fn add(&mut self, count: usize, before: u64) {
        if count > 0 && self.arrival(self.total) != before {
            if self.marks.len() == MARKS {
                self.marks.pop_front();
            }
            self.marks.push_back((self.total, before));
        }
        self.total += count as u64;
    }

    /// The newest `count` bytes, or as many of their first ones as lie in one piece.
    #[must_use]
    pub fn newest(&self, count: usize) -> &[u8] {
        let count = usize::try_from(self.total).unwrap_or(count).min(count);
        let start = self.place(self.total - count as u64);
        let end = start.saturating_add(count).min(self.bytes.len());
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// The last lines, at most `most`, oldest first, as if `more` had come too; and whether something came before them.
    #[must_use]
    pub fn lines(&self, more: &[u8], most: usize) -> (Vec<Kept>, bool) {
        let (newer, older) = self.bytes.split_at_checked(self.place(self.total)).unwrap_or_default();
        let older = if self.total < self.bytes.len() as u64 { &[] } else { older };
        let all = [older, newer, more].concat();
        let end = self.total + more.len() as u64;
        let lost = end - all.len() as u64;
        let mut lines = Vec::new();
        let mut rest = all.as_slice();
        while !rest.is_empty() && lines.len() < most {
            let arrived = self.arrival(lost + rest.len() as u64);
            let line = rest.strip_suffix(b"\n").unwrap_or(rest);
            let start = line.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
            let (before, line) = line.split_at_checked(start).unwrap_or_default();
            lines.push(Kept { arrived, text: shown(line, start == 0 && lost > 0) });
            rest = before;
        }
        lines.reverse();
        (lines, lost > 0 || !rest.is_empty())
    }

    /// Where in memory a byte goes before which `count` have come.
    fn place(&self, count: u64) -> usize {
        // What is left of a division by a length has room in one.
        count.checked_rem(self.bytes.len() as u64).unwrap_or(0) as usize
    }

    /// How many bytes of all streams had come with the first `count` of this one.
    fn arrival(&self, count: u64) -> u64 {
        // A mark stands for the bytes that come after it.
        let mark = self.marks.iter().rev().find(|(own, _)| *own < count);
        mark.map_or(if self.marks.len() == MARKS { 0 } else { count }, |(own, all)| all + (count - own))
    }
}

fn shown(line: &[u8], lacks_beginning: bool) -> Vec<u8> {
    let over = line.len().saturating_sub(LONGEST_LINE);
    if lacks_beginning {
        [MARK, line.get(over..).unwrap_or_default()].concat()
    } else if over > 0 {
        [line.get(..LONGEST_LINE).unwrap_or_default(), MARK].concat()
    } else {
        line.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts `bytes` in, in pieces of at most `piece`.
    fn put(ring: &mut Ring<'_>, mut bytes: &[u8], piece: usize, arrived: &mut u64) {
        while !bytes.is_empty() {
            let room = ring.room(piece);
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            ring.add(count, *arrived);
            assert_eq!(ring.newest(count), &bytes[..count], "what was put in last can be written");
            *arrived += count as u64;
            bytes = &bytes[count..];
        }
    }

    fn texts(ring: &Ring<'_>, more: &[u8], most: usize) -> (Vec<Vec<u8>>, bool) {
        let (lines, cut) = ring.lines(more, most);
        (lines.into_iter().map(|line| line.text).collect(), cut)
    }

    /// The lines of `bytes` in a ring of `size`.
    fn lines_of(bytes: &[u8], size: usize, most: usize) -> (Vec<Vec<u8>>, bool) {
        let mut memory = vec![0; size];
        let mut ring = Ring::new(&mut memory);
        put_all(&mut ring, bytes, 7);
        texts(&ring, b"", most)
    }

    fn are(expected: &[&str], cut: bool) -> (Vec<Vec<u8>>, bool) {
        (expected.iter().map(|line| line.as_bytes().to_vec()).collect(), cut)
    }

    #[test]
    fn the_last_lines() {
        assert_eq!(lines_of(b"", 16, 3), are(&[], false));
        assert_eq!(lines_of(b"one", 16, 3), are(&["one"], false));
        assert_eq!(lines_of(b"one\n", 16, 3), are(&["one"], false));
        assert_eq!(lines_of(b"\n\none\n\n", 16, 9), are(&["", "", "one", ""], false));
        assert_eq!(lines_of(b"one\ntwo\nthree", 16, 3), are(&["one", "two", "three"], false));
        assert_eq!(lines_of(b"one\ntwo\nthree", 16, 2), are(&["two", "three"], true));
        assert_eq!(lines_of(b"one\ntwo\nthree", 16, 0), are(&[], true));
    }

    #[test]
    fn a_line_whose_beginning_is_lost_says_so() {
        assert_eq!(lines_of(b"one\ntwo\nthree\n", 14, 9), are(&["one", "two", "three"], false));
        assert_eq!(lines_of(b"one\ntwo\nthree\n", 13, 9), are(&["...ne", "two", "three"], true));
        assert_eq!(lines_of(b"one\ntwo\nthree\n", 13, 2), are(&["two", "three"], true));
        assert_eq!(lines_of(b"one\ntwo\nthree\n", 3, 9), are(&["...ee"], true));
        assert_eq!(lines_of(b"one\ntwo", 0, 9), are(&[], true));
    }

    #[test]
    fn a_long_line_is_given_in_part() {
        let long = [b"Error: ".as_slice(), &[b'x'; 5000], b" the end\n"].concat();
        let (lines, cut) = lines_of(&long, 65536, 9);
        assert!(!cut && lines[0].starts_with(b"Error: x") && lines[0].ends_with(b"xx..."), "{lines:?}");
        assert_eq!(lines[0].len(), LONGEST_LINE + MARK.len());
        // Its beginning is gone: its end says most.
        let long = [b"Error: ".as_slice(), &vec![b'x'; 10 << 20], b" the end\nlast"].concat();
        let (lines, cut) = lines_of(&long, 65536, 9);
        assert!(cut && lines[0].starts_with(b"...xx") && lines[0].ends_with(b"xx the end"), "{lines:?}");
        assert_eq!((lines[0].len(), &lines[1][..]), (LONGEST_LINE + MARK.len(), &b"last"[..]));
    }

    #[test]
    fn what_is_still_in_the_pipe_belongs_to_it() {
        let mut memory = [0; 16];
        let mut ring = Ring::new(&mut memory);
        put(&mut ring, b"one\ntw", 16, &mut 0);
        assert_eq!(texts(&ring, b"o\nthree", 9), are(&["one", "two", "three"], false));
        assert_eq!(texts(&ring, b"", 9), are(&["one", "tw"], false));
    }

    #[test]
    fn lines_of_two_streams_are_in_order() {
        let mut memory = [[0; 64]; 2];
        let mut rings = memory.each_mut().map(|memory| Ring::new(memory));
        let mut arrived = 0;
        for (stream, bytes) in
            [(1, "banner\n"), (0, "e1\ne"), (1, "o1\n"), (0, "2\n"), (1, "half"), (0, "e3\n"), (1, " o2\no3")]
        {
            put(&mut rings[stream], bytes.as_bytes(), 64, &mut arrived);
        }
        let mut lines: Vec<Kept> = rings.iter().flat_map(|ring| ring.lines(b"", 9).0).collect();
        lines.sort_by_key(|line| line.arrived);
        let lines: Vec<&str> = lines.iter().map(|line| std::str::from_utf8(&line.text).unwrap()).collect();
        assert_eq!(lines, ["banner", "e1", "o1", "e2", "e3", "half o2", "o3"]);
    }

    #[test]
    fn streams_that_alternate_for_ever_take_no_more_room() {
        let mut memory = [[0; 4096]; 2];
        let mut rings = memory.each_mut().map(|memory| Ring::new(memory));
        let mut arrived = 0;
        for n in 0..10 * MARKS {
            put(&mut rings[n % 2], format!("{n}\n").as_bytes(), 64, &mut arrived);
        }
        assert!(rings.iter().all(|ring| ring.marks.len() == MARKS));
        let mut lines: Vec<Kept> = rings.iter().flat_map(|ring| ring.lines(b"", MARKS).0).collect();
        lines.sort_by_key(|line| line.arrived);
        let numbers: Vec<usize> =
            lines.iter().map(|line| std::str::from_utf8(&line.text).unwrap().parse().unwrap()).collect();
        assert_eq!(numbers, (8 * MARKS..10 * MARKS).collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_in_any_pieces_give_what_tail_would() {
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        for round in (0..2000).step_by(crate::one_of(50)) {
            let size = next(300) as usize;
            let length = next(600) as usize;
            // Newlines often, seldom or never; all other bytes, control bytes and what is no UTF-8 included.
            let bytes: Vec<u8> = (0..length)
                .map(|_| if round % 3 > 0 && next(1 + round / 40) == 0 { b'\n' } else { next(256) as u8 })
                .collect();
            let (most, piece) = (next(12) as usize, 1 + next(80) as usize);
            let passed = next(1 + length as u64) as usize;
            let mut memory = vec![0; size];
            let mut ring = Ring::new(&mut memory);
            put_all(&mut ring, &bytes[..passed], piece);
            let (lines, cut) = texts(&ring, &bytes[passed..], most);
            // A second way to the same: from the front.
            let lost = passed.saturating_sub(size);
            let kept = &bytes[lost..];
            let body = kept.strip_suffix(b"\n").unwrap_or(kept);
            let mut all: Vec<Vec<u8>> =
                if kept.is_empty() { Vec::new() } else { body.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect() };
            if let Some(first) = all.first_mut().filter(|_| lost > 0) {
                first.splice(0..0, MARK.iter().copied());
            }
            assert_eq!(cut, lost > 0 || all.len() > most);
            assert_eq!(lines, all.split_off(all.len().saturating_sub(most)), "round {round}");
        }
    }

    fn put_all(ring: &mut Ring<'_>, bytes: &[u8], piece: usize) {
        // A ring without memory takes nothing in.
        if ring.size() == 0 {
            ring.add(bytes.len(), 0);
        } else {
            put(ring, bytes, piece, &mut 0);
        }
    }
}
