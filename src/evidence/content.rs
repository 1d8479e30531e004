//! What a file is, from its first bytes.

#![forbid(unsafe_code)]

use super::elf::{self, Elf};
use super::shebang::{Shebang, Unusable};

/// What the beginning of a file shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// No bytes.
    Empty,
    /// Nothing but zero bytes, as far as was read.
    Zeros,
    /// `#!` and an interpreter.
    Script(Shebang),
    /// `#!` without one.
    BrokenScript(Unusable),
    /// `#!` stands where the kernel does not see it.
    LateShebang(Before),
    /// ELF with a whole header.
    Elf(Elf),
    /// ELF without one.
    BrokenElf,
    /// A known kind of file that Linux does not execute.
    Foreign(Foreign),
    /// Text, and none of the above.
    Text,
    /// Other bytes.
    Data,
}

/// What stands before `#!`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// The byte order mark of UTF-8, `EF BB BF`.
    ByteOrderMark,
    /// Blanks, or lines with nothing in them.
    Blank,
    /// Other lines; `#!` begins the line of this number.
    Lines(usize),
}

/// Kinds of files that are mistaken for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// A program for macOS.
    MachO,
    /// A program for Windows.
    Pe,
    /// Compiled Java. (A Mach-O file for several machines starts the same.)
    JavaClass,
    /// A zip archive: a jar is one.
    Zip,
    /// Compressed by gzip.
    Gzip,
    /// Compressed by xz, bzip2 or zstd.
    Compressed,
    /// A web page.
    Html,
    /// An XML document.
    Xml,
    /// JSON.
    Json,
    /// What git checks out where git-lfs is not installed.
    LfsPointer,
    /// Text in UTF-16.
    Utf16,
}

impl Content {
    /// Reads the beginning of a file: its first 4,096 bytes, or all of it. ELF comes without what its program headers
    /// say.
    #[must_use]
    pub fn parse(start: &[u8]) -> Self {
        if start.is_empty() {
            return Self::Empty;
        }
        if start.iter().all(|byte| *byte == 0) {
            return Self::Zeros;
        }
        if elf::is_elf(start) {
            let elf = elf::Header::parse(start).map(Elf::of);
            return elf.map_or(Self::BrokenElf, Self::Elf);
        }
        if let Some(script) = Shebang::parse(start) {
            return script.map_or_else(Self::BrokenScript, Self::Script);
        }
        if let Some(before) = late_shebang(start) {
            return Self::LateShebang(before);
        }
        if let Some(foreign) = Foreign::parse(start) {
            return Self::Foreign(foreign);
        }
        let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | 0x80.. | b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
        if start.iter().all(is_text) { Self::Text } else { Self::Data }
    }
}

fn late_shebang(start: &[u8]) -> Option<Before> {
    if let Some(rest) = start.strip_prefix(b"\xef\xbb\xbf") {
        return rest.starts_with(b"#!").then_some(Before::ByteOrderMark);
    }
    if start.trim_ascii_start().starts_with(b"#!") {
        return Some(Before::Blank);
    }
    // Only among comments: in a text about scripts it means nothing.
    let mut lines = start.split(|byte| *byte == b'\n').enumerate();
    let (above, _) = lines.find(|(_, line)| line.starts_with(b"#!/") || !is_comment(line))?;
    let found = start.split(|byte| *byte == b'\n').nth(above).is_some_and(|line| line.starts_with(b"#!/"));
    found.then_some(Before::Lines(above + 1))
}

fn is_comment(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.is_empty() || line.starts_with(b"#") || line.starts_with(b"//")
}

impl Foreign {
    fn parse(start: &[u8]) -> Option<Self> {
        const MAGIC: [(&[u8], Foreign); 15] = [
            (b"\xfe\xed\xfa\xce", Foreign::MachO),
            (b"\xfe\xed\xfa\xcf", Foreign::MachO),
            (b"\xce\xfa\xed\xfe", Foreign::MachO),
            (b"\xcf\xfa\xed\xfe", Foreign::MachO),
            (b"MZ", Foreign::Pe),
            (b"PK\x03\x04", Foreign::Zip),
            (b"PK\x05\x06", Foreign::Zip),
            (b"\x1f\x8b", Foreign::Gzip),
            (b"\xfd7zXZ\0", Foreign::Compressed),
            (b"BZh", Foreign::Compressed),
            (b"\x28\xb5\x2f\xfd", Foreign::Compressed),
            (b"version https://git-lfs", Foreign::LfsPointer),
            (b"<?xml", Foreign::Xml),
            (b"\xff\xfe", Foreign::Utf16),
            (b"\xfe\xff", Foreign::Utf16),
        ];
        if let Some((_, foreign)) = MAGIC.iter().find(|(magic, _)| start.starts_with(magic)) {
            return Some(*foreign);
        }
        if start.starts_with(b"\xca\xfe\xba\xbe") {
            // The number that follows is the count of machines in a Mach-O file, the version in a class: 45 and more.
            return Some(if start.get(4..8).is_some_and(|n| n < b"\0\0\0\x2d") {
                Self::MachO
            } else {
                Self::JavaClass
            });
        }
        let text = start.trim_ascii_start();
        let starts = |word: &[u8]| text.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
        if starts(b"<!doctype html") || starts(b"<html") || starts(b"<head") {
            return Some(Self::Html);
        }
        let inner = text.strip_prefix(b"{")?.trim_ascii_start();
        matches!(inner.first(), Some(b'"' | b'}')).then_some(Self::Json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_files() {
        let long = [b"#".repeat(5000), b"\n".to_vec()].concat();
        let cases: [(&[u8], Content); 33] = [
            (b"", Content::Empty),
            (&[0; 4096], Content::Zeros),
            (b"\0", Content::Zeros),
            (b"\x7fELF", Content::BrokenElf),
            (b"\x7fELF\x02\x01\x01", Content::BrokenElf),
            (b"\x7fEL", Content::Data),
            (b"#!\n", Content::BrokenScript(Unusable::Nameless)),
            (b"\xef\xbb\xbf#!/bin/sh\n", Content::LateShebang(Before::ByteOrderMark)),
            (b"\xef\xbb\xbfecho\n", Content::Text),
            (b"\n#!/bin/sh\n", Content::LateShebang(Before::Blank)),
            (b" #!/bin/sh\n", Content::LateShebang(Before::Blank)),
            (b"\r\n#! /bin/sh\n", Content::LateShebang(Before::Blank)),
            (b"# (c) us\n\n#!/bin/sh\n", Content::LateShebang(Before::Lines(3))),
            (b"echo hello\n#!/bin/sh\n", Content::Text),
            (b"echo hello\n", Content::Text),
            (&long, Content::Text),
            (b"caf\xc3\xa9\n", Content::Text),
            (b"\x01\x02\x03", Content::Data),
            (b"MZ\x90\0", Content::Foreign(Foreign::Pe)),
            (b"\xcf\xfa\xed\xfe\x07", Content::Foreign(Foreign::MachO)),
            (b"\xca\xfe\xba\xbe\0\0\0\x02", Content::Foreign(Foreign::MachO)),
            (b"\xca\xfe\xba\xbe\0\0\0\x41", Content::Foreign(Foreign::JavaClass)),
            (b"\xca\xfe\xba\xbe", Content::Foreign(Foreign::JavaClass)),
            (b"PK\x03\x04", Content::Foreign(Foreign::Zip)),
            (b"\x1f\x8b\x08", Content::Foreign(Foreign::Gzip)),
            (b"BZh9", Content::Foreign(Foreign::Compressed)),
            (b"<!DOCTYPE html>\n", Content::Foreign(Foreign::Html)),
            (b"\n <HTML>", Content::Foreign(Foreign::Html)),
            (b"<?xml version", Content::Foreign(Foreign::Xml)),
            (b"{ \"message\": \"Not Found\" }", Content::Foreign(Foreign::Json)),
            (b"{ echo; }", Content::Text),
            (b"version https://git-lfs.github.com/spec/v1\n", Content::Foreign(Foreign::LfsPointer)),
            (b"\xff\xfe#\0!\0", Content::Foreign(Foreign::Utf16)),
        ];
        for (start, content) in cases {
            assert_eq!(Content::parse(start), content, "{start:?}");
        }
        assert!(matches!(Content::parse(b"#!/bin/sh\n"), Content::Script(_)));
        let file = elf::tests::elf(true, false, elf::ET_EXEC, elf::EM_X86_64, &[]);
        assert!(matches!(Content::parse(&file), Content::Elf(_)));
        assert_eq!(Content::parse(&file[..63]), Content::BrokenElf);
    }

    #[test]
    fn no_bytes_are_too_odd() {
        // A small generator: every run sees the same bytes.
        let mut state = 1_u64;
        for _ in 0..20_000 / crate::one_of(500) {
            let bytes: Vec<u8> = (0..state % 80)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    b"#!/ \t\r\n\0\x7fELF<{MZPK\xca\xfe\xba\xbe"[(state >> 33) as usize % 22]
                })
                .collect();
            state = state.wrapping_add(1);
            let _ = Content::parse(&bytes);
        }
    }
}
