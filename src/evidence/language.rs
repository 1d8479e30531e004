//! What an executable was built from, for the two languages whose runtimes end a program with a code of their own.

#![forbid(unsafe_code)]

use std::io::Read;
use std::path::Path;

use super::files::open_regular;

/// A language that shows in its executables, stripped ones included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// The linker puts a note of the name "Go" into the first pages (cmd/link, `.note.go.buildid`).
    Go,
    /// The paths of the standard library, `/rustc/COMMIT/`, stand in it for the messages of panics.
    Rust,
}

/// The note's header: sizes of its name and text, its type (4), its name.
const GO_NOTE: [u8; 4] = *b"Go\0\0";
const RUST_PATH: &[u8] = b"/rustc/";
/// Length of a commit's name.
const COMMIT: usize = 40;
const PIECE: usize = 16 * 1024;
/// No more of a file is read than this: some milliseconds.
const ENOUGH: usize = 64 << 20;

impl Language {
    /// Looks at the ELF file `path`. `None` if it shows neither, is no such file, or cannot be read.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        Self::read(&mut open_regular(path)?)
    }

    /// The same for an open file.
    // Inlined, the buffer would be part of main's frame, and that lies under everything while PROGRAM runs.
    #[inline(never)]
    pub fn read(file: &mut impl Read) -> Option<Self> {
        let mut buffer = [0; PIECE];
        let mut kept = 0;
        for piece in 0..ENOUGH / PIECE {
            let end = kept + fill(file, buffer.get_mut(kept..)?)?;
            let filled = buffer.get(..end)?;
            if piece == 0 && !filled.starts_with(b"\x7fELF") {
                return None;
            }
            if piece == 0 && has_go_note(filled) {
                return Some(Self::Go);
            }
            if has_rust_path(filled) {
                return Some(Self::Rust);
            }
            if end < PIECE {
                return None;
            }
            // What is looked for may lie across two pieces.
            kept = RUST_PATH.len() + COMMIT;
            buffer.copy_within(end - kept..end, 0);
        }
        None
    }
}

/// Reads until `buffer` is full or the file ends. Returns how much it was.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> Option<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest).ok()? {
            0 => break,
            got => filled += got,
        }
    }
    Some(filled)
}

fn has_go_note(bytes: &[u8]) -> bool {
    let note = |at: usize| {
        let word = |from: usize| bytes.get(at + from..at + from + 4);
        word(0) == Some(&[4, 0, 0, 0]) && word(8) == Some(&[4, 0, 0, 0]) && word(12) == Some(&GO_NOTE)
    };
    // elf(5): notes are aligned to four bytes.
    (0..bytes.len()).step_by(4).any(note)
}

fn has_rust_path(bytes: &[u8]) -> bool {
    let last = RUST_PATH.len() - 1;
    let mut at = 0;
    // From the end of the word: a byte that is not in it lets the whole word be passed over.
    while let Some(byte) = bytes.get(at + last) {
        if *byte == b'/' && bytes.get(at..=at + last) == Some(RUST_PATH) {
            let commit = bytes.get(at + last + 1..at + last + 1 + COMMIT).unwrap_or_default();
            if commit.len() == COMMIT && commit.iter().all(u8::is_ascii_hexdigit) {
                return true;
            }
        }
        at += if RUST_PATH.contains(byte) { 1 } else { RUST_PATH.len() };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = buffer.len().min(self.1);
            Read::read(&mut self.0, &mut buffer[..length])
        }
    }

    fn read(bytes: &[u8]) -> Option<Language> {
        let whole = Language::read(&mut Slow(bytes, PIECE));
        for piece in [64, 97, 1000] {
            assert_eq!(Language::read(&mut Slow(bytes, piece)), whole, "{piece}");
        }
        whole
    }

    #[test]
    fn a_path_of_the_standard_library_is_found_anywhere() {
        let path = [RUST_PATH, &[b'a'; COMMIT], b"/library"].concat();
        for before in (4..300).chain(PIECE - 60..PIECE + 60).chain([5 * PIECE - 20]) {
            let elf = [b"\x7fELF", vec![b'c'; before].as_slice(), &path, &[0; 99]].concat();
            assert_eq!(Language::read(&mut Slow(&elf, PIECE)), Some(Language::Rust), "{before}");
        }
        assert_eq!(read(&[&b"\x7fELF"[..], &[0; 30], path.as_slice()].concat()), Some(Language::Rust));
    }

    #[test]
    fn a_note_named_go() {
        let note = b"\x04\0\0\0\x53\0\0\0\x04\0\0\0Go\0\0abc";
        assert_eq!(read(&[&b"\x7fELF"[..], &[0; 56], &note[..], &[0; 20_000]].concat()), Some(Language::Go));
        // Not aligned, or too far into the file: some data.
        assert_eq!(read(&[&b"\x7fELF"[..], &[0; 57], &note[..]].concat()), None);
        assert_eq!(read(&[&b"\x7fELF"[..], &[0; 40_000], &note[..]].concat()), None);
    }

    #[test]
    fn what_shows_nothing() {
        let path = [RUST_PATH, &[b'a'; COMMIT]].concat();
        for bytes in [&b""[..], b"\x7f", b"\x7fELF", b"\x7fELF/rustc/", b"\x7fELF /rustc/0123456789 /rustc", &path] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
        assert_eq!(read(&[b"#!/bin/sh\n", path.as_slice()].concat()), None);
    }

    #[test]
    fn this_test_is_rust_and_a_shell_is_not() {
        assert_eq!(Language::of(&std::env::current_exe().unwrap()), Some(Language::Rust));
        for other in ["/bin/sh", "/dev/null", "/nonexistent", "/"] {
            assert_eq!(Language::of(Path::new(other)), None, "{other}");
        }
    }
}
