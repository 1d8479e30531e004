//! The program headers of an ELF file (elf(5)).

#![forbid(unsafe_code)]

use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// What the program headers of an executable say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Elf {
    /// The path that was read.
    pub path: Vec<u8>,
    /// Bytes in the file.
    pub size: u64,
    /// Where the furthest `PT_LOAD` segment ends in the file. Beyond `size`: its end is missing.
    pub end: u64,
    /// `PT_INTERP`: the loader. `None` in a static program.
    pub loader: Option<Vec<u8>>,
    /// `PT_GNU_STACK`: the size of stack that the program asks for; musl takes it for new threads as well.
    pub stack: u64,
}

const PT_LOAD: u64 = 1;
const PT_INTERP: u64 = 3;
const PT_GNU_STACK: u64 = 0x6474_e551;
/// More program headers than any linker makes.
const MOST_HEADERS: u64 = 128;
const LONGEST_LOADER: u64 = 255;

impl Elf {
    /// Reads `path`. `None` where it is no regular file, no ELF file, or cannot be read.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        use std::os::unix::ffi::OsStrExt;
        // A FIFO must not hold rinit up.
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path).ok()?;
        let size = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
        let read = |offset: u64, buffer: &mut [u8]| file.read_exact_at(buffer, offset).ok();
        Self::parse(size, read).map(|elf| Self { path: path.as_os_str().as_bytes().to_vec(), ..elf })
    }

    /// `read` fills a buffer from an offset, wholly or not at all.
    fn parse(size: u64, read: impl Fn(u64, &mut [u8]) -> Option<()>) -> Option<Self> {
        let mut header = [0; 64];
        // A 32-bit header is 52 bytes, but then the program headers follow.
        read(0, &mut header)?;
        let [0x7f, b'E', b'L', b'F', class, order, ..] = header else { return None };
        let (wide, big) = (class == 2, order == 2);
        let number = |bytes: &[u8], at: usize, length: usize| -> Option<u64> {
            let bytes = bytes.get(at..at + length)?;
            let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
            Some(if big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
        };
        let word = if wide { 8 } else { 4 };
        let first = number(&header, if wide { 32 } else { 28 }, word)?;
        let (entry, count) = if wide { (54, 56) } else { (42, 44) };
        let (entry, count) = (number(&header, entry, 2)?, number(&header, count, 2)?);
        // p_offset, p_filesz, p_memsz; p_type is the first word of both.
        let (offset_at, size_at, memory_at, length) = if wide { (8, 32, 40, 56) } else { (4, 16, 20, 32) };
        if entry < length {
            return None;
        }
        let mut elf = Self { size, ..Self::default() };
        for n in 0..count.min(MOST_HEADERS) {
            let mut bytes = [0; 56];
            let bytes = bytes.get_mut(..usize::try_from(length).ok()?)?;
            // Headers beyond the file's end say nothing about what would be in them.
            read(first.checked_add(n * entry)?, bytes)?;
            let (offset, in_file) = (number(bytes, offset_at, word)?, number(bytes, size_at, word)?);
            match number(bytes, 0, 4)? {
                PT_LOAD => elf.end = elf.end.max(offset.saturating_add(in_file)),
                PT_INTERP if in_file <= LONGEST_LOADER => {
                    let mut path = vec![0; usize::try_from(in_file).ok()?];
                    if read(offset, &mut path).is_some() {
                        path.truncate(path.iter().position(|byte| *byte == 0).unwrap_or(path.len()));
                        elf.loader = Some(path);
                    }
                }
                PT_GNU_STACK => elf.stack = number(bytes, memory_at, word)?,
                _ => {}
            }
        }
        Some(elf)
    }

    /// Whether its loader is musl's (`/lib/ld-musl-x86_64.so.1`).
    #[must_use]
    pub fn needs_musl(&self) -> bool {
        self.loader.as_ref().is_some_and(|loader| loader.windows(7).any(|part| part == b"ld-musl"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Option<Elf> {
        Elf::parse(bytes.len() as u64, |offset, buffer| {
            let start = usize::try_from(offset).ok()?;
            buffer.copy_from_slice(bytes.get(start..start.checked_add(buffer.len())?)?);
            Some(())
        })
    }

    /// One header of each kind; a 64-bit or a 32-bit file of either byte order.
    fn file(wide: bool, big: bool) -> Vec<u8> {
        let mut bytes = vec![0; 512];
        let mut put = |at: usize, length: usize, value: u64| {
            let all = if big { value.to_be_bytes() } else { value.to_le_bytes() };
            let part = if big { &all[8 - length..] } else { &all[..length] };
            bytes[at..at + length].copy_from_slice(part);
        };
        let (word, entry) = if wide { (8, 56) } else { (4, 32) };
        put(if wide { 32 } else { 28 }, word, 64);
        put(if wide { 54 } else { 42 }, 2, entry);
        put(if wide { 56 } else { 44 }, 2, 3);
        let (offset, size, memory) = if wide { (8, 32, 40) } else { (4, 16, 20) };
        for (n, [kind, at, length, in_memory]) in
            [[PT_LOAD, 256, 700, 800], [PT_INTERP, 400, 26, 26], [PT_GNU_STACK, 0, 0, 0x10_0000]]
                .into_iter()
                .enumerate()
        {
            let start = 64 + n * entry as usize;
            put(start, 4, kind);
            put(start + offset, word, at);
            put(start + size, word, length);
            put(start + memory, word, in_memory);
        }
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1 + u8::from(wide), 1 + u8::from(big)]);
        bytes[400..426].copy_from_slice(b"/lib/ld-musl-x86_64.so.1\0\0");
        bytes
    }

    #[test]
    fn both_classes_in_both_byte_orders() {
        for (wide, big) in [(true, false), (true, true), (false, false), (false, true)] {
            let elf = parse(&file(wide, big)).unwrap();
            assert_eq!((elf.size, elf.end, elf.stack), (512, 956, 0x10_0000));
            assert_eq!(elf.loader.as_deref(), Some(&b"/lib/ld-musl-x86_64.so.1"[..]));
            assert!(elf.needs_musl());
        }
    }

    #[test]
    fn every_prefix_and_every_byte_changed() {
        let whole = file(true, false);
        for end in 0..whole.len() {
            let _ = parse(&whole[..end]);
            for byte in [0, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[end] = byte;
                let _ = parse(&changed);
            }
        }
        assert_eq!(parse(b""), None);
        assert_eq!(parse(&[b'#'; 300]), None);
    }

    #[test]
    fn a_real_program_is_whole() {
        let elf = Elf::read(Path::new("/proc/self/exe")).unwrap();
        assert!(elf.end <= elf.size && elf.end > 0, "{elf:?}");
        assert_eq!(Elf::read(Path::new("/dev/null")), None);
        assert_eq!(Elf::read(Path::new("/")), None);
    }
}
