//! An ELF file (elf(5)): its header, and what the program headers ask for. By hand, because few fields in two classes and
//! two byte orders are all that is needed.

#![forbid(unsafe_code)]

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::files::open_regular;

/// 32-bit x86.
pub const EM_386: u16 = 3;
/// MIPS, in both byte orders and sizes.
pub const EM_MIPS: u16 = 8;
/// 32-bit PowerPC.
pub const EM_PPC: u16 = 20;
/// 64-bit PowerPC, in both byte orders.
pub const EM_PPC64: u16 = 21;
/// 32-bit arm.
pub const EM_ARM: u16 = 40;
/// x86-64.
pub const EM_X86_64: u16 = 62;
/// arm64.
pub const EM_AARCH64: u16 = 183;

/// Relocatable: what a compiler makes, and a linker reads.
pub const ET_REL: u16 = 1;
/// An executable at a fixed place.
pub const ET_EXEC: u16 = 2;
/// A shared object; a position-independent executable is one too.
pub const ET_DYN: u16 = 3;
/// A core dump.
pub const ET_CORE: u16 = 4;

/// The ELF header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// 64-bit (`ELFCLASS64`), or 32-bit.
    pub wide: bool,
    /// `ELFDATA2MSB`
    pub big_endian: bool,
    /// `e_type`
    pub kind: u16,
    /// `e_machine`
    pub machine: u16,
    /// `e_phoff`: where the program headers start in the file.
    pub table: u64,
    /// `e_phnum`
    pub entries: u16,
}

/// What the program headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Segments {
    /// Offset and size of the loader's path (`PT_INTERP`).
    loader: Option<(u64, u64)>,
    end: u64,
    stack: u64,
}

/// An ELF file as far as execve(2) and the C library care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf {
    /// Its header.
    pub header: Header,
    /// `PT_INTERP`: the loader's path; `None` in a static program, or if it could not be read.
    pub loader: Option<Vec<u8>>,
    /// Where the furthest `PT_LOAD` segment ends in the file: beyond the file's size, its end is missing. `None` if the
    /// program headers could not be read.
    pub end: Option<u64>,
    /// `PT_GNU_STACK`: the size of stack that the program asks for; musl takes it for new threads as well.
    pub stack: u64,
}

/// A program's file on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executable {
    /// The path that was read.
    pub path: Vec<u8>,
    /// Bytes in the file.
    pub size: u64,
    /// What is in it.
    pub elf: Elf,
}

/// The longest path that the kernel takes for a loader (`PATH_MAX`), and the shortest, with its NUL (fs/binfmt_elf.c).
const LOADER_SIZES: std::ops::RangeInclusive<u64> = 2..=4096;

impl Elf {
    /// What the header alone tells.
    #[must_use]
    pub fn of(header: Header) -> Self {
        Self { header, loader: None, end: None, stack: 0 }
    }

    /// Reads what the program headers tell. `read` fills a buffer from an offset, wholly or not at all.
    #[must_use]
    pub fn read(header: Header, read: impl Fn(u64, &mut [u8]) -> Option<()>) -> Self {
        let Some(Segments { loader, end, stack }) = header.segments(&read) else { return Self::of(header) };
        let loader = loader.and_then(|(offset, size)| {
            let mut path = vec![0; usize::try_from(size).ok().filter(|_| LOADER_SIZES.contains(&size))?];
            read(offset, &mut path)?;
            path.truncate(path.iter().position(|byte| *byte == 0).unwrap_or(path.len()));
            Some(path).filter(|path| !path.is_empty())
        });
        Self { header, loader, end: Some(end), stack }
    }

    /// Whether its loader is musl's (`/lib/ld-musl-x86_64.so.1`).
    #[must_use]
    pub fn needs_musl(&self) -> bool {
        self.loader.as_ref().is_some_and(|loader| loader.windows(7).any(|part| part == b"ld-musl"))
    }
}

impl Executable {
    /// Reads `path`. `None` where it is no regular file, no ELF file, or cannot be read.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        let file = open_regular(path)?;
        // A 32-bit header is shorter, but then the program headers follow.
        let mut start = [0; 64];
        exactly(&file)(0, &mut start)?;
        let elf = Elf::read(Header::parse(&start)?, exactly(&file));
        Some(Self { path: path.as_os_str().as_bytes().to_vec(), size: file.metadata().ok()?.len(), elf })
    }
}

/// Reads `file` for [`Elf::read`].
pub(super) fn exactly(file: &File) -> impl Fn(u64, &mut [u8]) -> Option<()> {
    |offset, buffer| file.read_exact_at(buffer, offset).ok()
}

/// Numbers in the file's own byte order.
#[derive(Clone, Copy)]
struct Reader<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Reader<'_> {
    fn number(self, offset: usize, width: usize) -> Option<u64> {
        let bytes = self.bytes.get(offset..offset.checked_add(width)?)?;
        let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(if self.big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    }

    fn half(self, offset: usize) -> Option<u16> {
        self.number(offset, 2)?.try_into().ok()
    }
}

/// Whether a file that starts like this means to be ELF.
#[must_use]
pub fn is_elf(start: &[u8]) -> bool {
    start.starts_with(b"\x7fELF")
}

impl Header {
    /// Reads the beginning of a file. `None` if it is not ELF, or its header is cut off or of an unknown class.
    #[must_use]
    pub fn parse(start: &[u8]) -> Option<Self> {
        if !is_elf(start) {
            return None;
        }
        let wide = match start.get(4)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        let big_endian = match start.get(5)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        let reader = Reader { bytes: start, big_endian };
        let (table, count, length) = if wide { (reader.number(32, 8), 56, 64) } else { (reader.number(28, 4), 44, 52) };
        start.get(..length)?;
        Some(Self {
            wide,
            big_endian,
            kind: reader.half(16)?,
            machine: reader.half(18)?,
            table: table?,
            entries: reader.half(count)?,
        })
    }

    /// Where the table of program headers ends in the file.
    #[must_use]
    pub fn table_end(&self) -> u64 {
        self.table.saturating_add(u64::from(self.entries) * self.entry_size() as u64)
    }

    /// `e_phentsize`: execve(2) takes no other than the usual one.
    fn entry_size(&self) -> usize {
        if self.wide { 56 } else { 32 }
    }

    /// Reads the program headers. `None` if some of them cannot be read, or are more than execve(2) takes.
    fn segments(&self, read: impl Fn(u64, &mut [u8]) -> Option<()>) -> Option<Segments> {
        const PT_LOAD: u64 = 1;
        const PT_INTERP: u64 = 3;
        const PT_GNU_STACK: u64 = 0x6474_e551;
        /// fs/binfmt_elf.c, `load_elf_phdrs`.
        const LARGEST_TABLE: u64 = 65_536;
        if self.table_end().checked_sub(self.table)? > LARGEST_TABLE {
            return None;
        }
        // p_offset, p_filesz, p_memsz; p_type is the first word of both.
        let (offset_at, size_at, memory_at, word) = if self.wide { (8, 32, 40, 8) } else { (4, 16, 20, 4) };
        let mut segments = Segments::default();
        // Most tables fit, and take one read.
        let mut buffer = [0; 16 * 56];
        let size = self.entry_size();
        let mut read_until = 0;
        let length = usize::from(self.entries) * size;
        while read_until < length {
            let piece = buffer.get_mut(..(length - read_until).min(16 * size))?;
            read(self.table.checked_add(read_until as u64)?, piece)?;
            read_until += piece.len();
            for entry in piece.chunks_exact(size) {
                let reader = Reader { bytes: entry, big_endian: self.big_endian };
                let (offset, size) = (reader.number(offset_at, word)?, reader.number(size_at, word)?);
                match reader.number(0, 4)? {
                    PT_LOAD if size > 0 => segments.end = segments.end.max(offset.saturating_add(size)),
                    // Of several the kernel takes the first.
                    PT_INTERP if segments.loader.is_none() => segments.loader = Some((offset, size)),
                    PT_GNU_STACK => segments.stack = reader.number(memory_at, word)?,
                    _ => {}
                }
            }
        }
        Some(segments)
    }

    /// `x86-64`, `32-bit arm`, `machine 8190`.
    #[must_use]
    pub fn machine_name(&self) -> String {
        machine_name(self.machine, self.wide, self.big_endian)
            .map_or_else(|| format!("machine {} of the ELF list", self.machine), str::to_owned)
    }
}

/// The name that people use for a machine; with the byte order where there are both.
#[must_use]
pub fn machine_name(machine: u16, wide: bool, big_endian: bool) -> Option<&'static str> {
    Some(match (machine, wide) {
        (2 | 18 | 43, _) => "SPARC",
        (EM_386, _) => "32-bit x86",
        (EM_MIPS, true) if big_endian => "big-endian 64-bit MIPS",
        (EM_MIPS, false) if big_endian => "big-endian 32-bit MIPS",
        (EM_MIPS, true) => "64-bit MIPS",
        (EM_MIPS, false) => "32-bit MIPS",
        (EM_PPC, _) => "32-bit PowerPC",
        (EM_PPC64, _) if big_endian => "big-endian 64-bit PowerPC",
        (EM_PPC64, _) => "64-bit PowerPC",
        (22, true) => "s390x",
        (22, false) => "s390",
        (EM_ARM, _) => "32-bit arm",
        (EM_X86_64, true) => "x86-64",
        (EM_X86_64, false) => "x32 (32-bit pointers on x86-64)",
        (EM_AARCH64, true) => "arm64",
        (EM_AARCH64, false) => "32-bit arm64",
        (243, true) => "64-bit RISC-V",
        (243, false) => "32-bit RISC-V",
        (247, _) => "BPF",
        (258, _) => "LoongArch",
        _ => return None,
    })
}

/// Whether the machine that uname(2) calls this is big-endian; `None` where the name does not tell.
#[must_use]
pub fn is_big_endian(uname: &[u8]) -> Option<bool> {
    match uname {
        b"ppc64" | b"s390x" => Some(true),
        _ if uname.starts_with(b"arm") || uname.starts_with(b"mips") => None,
        _ => Some(false),
    }
}

/// `e_machine` of the programs that a kernel runs whose uname(2) gives this `machine`.
#[must_use]
pub fn machine_of(uname: &[u8]) -> Option<u16> {
    Some(match uname {
        b"x86_64" => EM_X86_64,
        b"aarch64" => EM_AARCH64,
        b"riscv64" | b"riscv32" => 243,
        b"s390x" => 22,
        b"ppc64" | b"ppc64le" => EM_PPC64,
        b"loongarch64" => 258,
        b"i386" | b"i486" | b"i586" | b"i686" => EM_386,
        _ if uname.starts_with(b"arm") => EM_ARM,
        _ if uname.starts_with(b"mips") => EM_MIPS,
        _ => return None,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A file with these program headers (type, offset, size).
    pub(crate) fn elf(wide: bool, big_endian: bool, kind: u16, machine: u16, segments: &[(u32, u64, u64)]) -> Vec<u8> {
        let put = |bytes: &mut Vec<u8>, value: u64, width: usize| {
            let little = value.to_le_bytes();
            let value: Vec<u8> = little[..width].to_vec();
            bytes.extend(if big_endian { value.into_iter().rev().collect() } else { value });
        };
        let word = if wide { 8 } else { 4 };
        let mut bytes = b"\x7fELF".to_vec();
        bytes.extend([if wide { 2 } else { 1 }, if big_endian { 2 } else { 1 }, 1]);
        bytes.resize(16, 0);
        put(&mut bytes, kind.into(), 2);
        put(&mut bytes, machine.into(), 2);
        put(&mut bytes, 1, 4);
        put(&mut bytes, 0, word);
        put(&mut bytes, if wide { 64 } else { 52 }, word);
        put(&mut bytes, 0, word);
        put(&mut bytes, 0, 4);
        for half in [if wide { 64 } else { 52 }, if wide { 56 } else { 32 }, segments.len() as u64, 0, 0, 0] {
            put(&mut bytes, half, 2);
        }
        for (kind, offset, size) in segments {
            put(&mut bytes, (*kind).into(), 4);
            if wide {
                put(&mut bytes, 0, 4);
            }
            for value in [*offset, 0, 0, *size, *size] {
                put(&mut bytes, value, word);
            }
            put(&mut bytes, 0, if wide { 8 } else { 4 });
            if !wide {
                put(&mut bytes, 0, 4);
            }
        }
        bytes
    }

    /// What is in `bytes`, as if they were a file.
    fn parse(bytes: &[u8]) -> Option<Elf> {
        Some(Elf::read(Header::parse(bytes)?, |offset, buffer: &mut [u8]| {
            let start = usize::try_from(offset).ok()?;
            buffer.copy_from_slice(bytes.get(start..start.checked_add(buffer.len())?)?);
            Some(())
        }))
    }

    const LOADER: &[u8] = b"/lib/ld-musl-x86_64.so.1\0\0";

    /// A program with a segment of each kind.
    fn program(wide: bool, big_endian: bool) -> Vec<u8> {
        let segments = [(1, 0, 256), (3, 400, 26), (1, 256, 700), (3, 1, 1), (0x6474_e551, 0, 0x10_0000)];
        let mut file = elf(wide, big_endian, ET_DYN, EM_AARCH64, &segments);
        file.resize(400, 0);
        file.extend(LOADER);
        file
    }

    #[test]
    fn both_classes_in_both_byte_orders() {
        for (wide, big_endian) in [(true, false), (true, true), (false, false), (false, true)] {
            let elf = parse(&program(wide, big_endian)).unwrap();
            let header = elf.header;
            assert_eq!((header.wide, header.big_endian), (wide, big_endian));
            assert_eq!((header.kind, header.machine, header.entries), (ET_DYN, EM_AARCH64, 5));
            assert_eq!((elf.end, elf.stack), (Some(956), 0x10_0000));
            assert_eq!(elf.loader.as_deref(), Some(&b"/lib/ld-musl-x86_64.so.1"[..]));
            assert!(elf.needs_musl());
            // Without all of the table, the header alone; without the loader's path, all but that.
            let file = program(wide, big_endian);
            let table = usize::try_from(header.table_end()).unwrap();
            for end in 64..file.len() {
                let cut = parse(&file[..end]).unwrap();
                assert_eq!((cut.end.is_some(), cut.loader), (end >= table, None), "{end}");
            }
        }
    }

    #[test]
    fn every_prefix_and_every_byte_changed() {
        let whole = program(true, false);
        for end in (0..whole.len()).step_by(crate::one_of(7)) {
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
    fn a_table_that_the_kernel_refuses_is_not_read() {
        let mut file = elf(true, false, ET_EXEC, EM_X86_64, &[]);
        file[56..58].copy_from_slice(&1171_u16.to_le_bytes());
        file.resize(70_000, 0);
        assert_eq!(parse(&file).unwrap().end, None);
        file[56..58].copy_from_slice(&1170_u16.to_le_bytes());
        assert_eq!(parse(&file).unwrap().end, Some(0));
    }

    #[test]
    fn no_cut_and_no_garbage_is_a_header() {
        for wide in [true, false] {
            let file = elf(wide, false, ET_EXEC, EM_X86_64, &[]);
            for end in 0..file.len() {
                assert_eq!(Header::parse(&file[..end]), None, "{end}");
            }
            assert!(Header::parse(&file).is_some());
        }
        for at in [4, 5] {
            let mut file = elf(true, false, ET_EXEC, EM_X86_64, &[]);
            file[at] = 9;
            assert_eq!(Header::parse(&file), None);
        }
        assert_eq!(Header::parse(&[0xff; 4096]), None);
        // Sizes near the end of what a number holds.
        let file = elf(true, false, ET_EXEC, EM_X86_64, &[(1, u64::MAX, u64::MAX)]);
        assert_eq!(parse(&file).unwrap().end, Some(u64::MAX));
        let file = elf(true, false, ET_EXEC, EM_X86_64, &[(3, u64::MAX, 4096), (3, 0, 1)]);
        assert_eq!(parse(&file).unwrap().loader, None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "miri has no O_NONBLOCK for files")]
    fn a_real_program_is_whole() {
        let Executable { size, elf, .. } = Executable::read(Path::new("/proc/self/exe")).unwrap();
        assert!(elf.end.is_some_and(|end| end <= size && end > 0), "{elf:?}");
        assert!(elf.header.wide == (size_of::<usize>() == 8));
        assert_eq!(Executable::read(Path::new("/dev/null")), None);
        assert_eq!(Executable::read(Path::new("/")), None);
    }

    #[test]
    fn machines_have_names() {
        for uname in ["x86_64", "aarch64", "armv7l", "i686", "riscv64", "s390x", "ppc64le", "mips64", "loongarch64"] {
            let machine = machine_of(uname.as_bytes()).unwrap();
            for big_endian in [false, true] {
                assert!(machine_name(machine, true, big_endian).is_some(), "{uname}");
            }
        }
        assert_eq!(machine_of(b"vax"), None);
        let header = Header::parse(&elf(true, true, ET_EXEC, 21, &[])).unwrap();
        assert_eq!(header.machine_name(), "big-endian 64-bit PowerPC");
        let header = Header::parse(&elf(true, false, ET_EXEC, 8190, &[])).unwrap();
        assert_eq!(header.machine_name(), "machine 8190 of the ELF list");
    }
}
