//! The header of an ELF file (elf(5)): what execve(2) looks at before it runs one. By hand, because four fields and
//! one table in two classes and two byte orders are all that is needed, and only of a file that failed.

#![forbid(unsafe_code)]

/// 32-bit x86.
pub const EM_386: u16 = 3;
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
pub struct Segments {
    /// Offset and size of the loader's path (`PT_INTERP`): the file is dynamically linked.
    pub loader: Option<(u64, u64)>,
    /// How long the file has to be for all of its `PT_LOAD` segments to be in it.
    pub end: u64,
}

/// An ELF file as far as execve(2) cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf {
    /// Its header.
    pub header: Header,
    /// The loader's path; `None` if there is none or it could not be read.
    pub loader: Option<Vec<u8>>,
    /// See [`Segments::end`]; `None` if the program headers could not be read.
    pub end: Option<u64>,
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

    /// Size of the table of program headers in bytes.
    #[must_use]
    pub fn table_size(&self) -> usize {
        usize::from(self.entries) * self.entry_size()
    }

    /// `e_phentsize`: execve(2) takes no other than the usual one.
    fn entry_size(&self) -> usize {
        if self.wide { 56 } else { 32 }
    }

    /// Reads the table of program headers. `None` if some of it is missing.
    #[must_use]
    pub fn segments(&self, table: &[u8]) -> Option<Segments> {
        const PT_LOAD: u64 = 1;
        const PT_INTERP: u64 = 3;
        let mut segments = Segments::default();
        for entry in table.get(..self.table_size())?.chunks_exact(self.entry_size()) {
            let reader = Reader { bytes: entry, big_endian: self.big_endian };
            let (offset, size) = if self.wide {
                (reader.number(8, 8)?, reader.number(32, 8)?)
            } else {
                (reader.number(4, 4)?, reader.number(16, 4)?)
            };
            match reader.number(0, 4)? {
                PT_LOAD if size > 0 => segments.end = segments.end.max(offset.saturating_add(size)),
                // Of several the kernel takes the first.
                PT_INTERP if segments.loader.is_none() => segments.loader = Some((offset, size)),
                _ => {}
            }
        }
        Some(segments)
    }

    /// `x86-64`, `32-bit arm`, `machine 8190`.
    #[must_use]
    pub fn machine_name(&self) -> String {
        let name = machine_name(self.machine, self.wide);
        let order = if self.big_endian && matches!(self.machine, 8 | 21) { "big-endian " } else { "" };
        match name {
            Some(name) => format!("{order}{name}"),
            None => format!("machine {} of the ELF list", self.machine),
        }
    }
}

/// The name that people use for a machine.
#[must_use]
pub fn machine_name(machine: u16, wide: bool) -> Option<&'static str> {
    Some(match (machine, wide) {
        (2 | 18 | 43, _) => "SPARC",
        (EM_386, _) => "32-bit x86",
        (8, true) => "64-bit MIPS",
        (8, false) => "32-bit MIPS",
        (20, _) => "32-bit PowerPC",
        (21, _) => "64-bit PowerPC",
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

/// `e_machine` of the programs that a kernel runs whose uname(2) gives this `machine`.
#[must_use]
pub fn machine_of(uname: &[u8]) -> Option<u16> {
    Some(match uname {
        b"x86_64" => EM_X86_64,
        b"aarch64" => EM_AARCH64,
        b"riscv64" | b"riscv32" => 243,
        b"s390x" => 22,
        b"ppc64" | b"ppc64le" => 21,
        b"loongarch64" => 258,
        b"i386" | b"i486" | b"i586" | b"i686" => EM_386,
        _ if uname.starts_with(b"arm") => EM_ARM,
        _ if uname.starts_with(b"mips") => 8,
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

    #[test]
    fn headers_of_both_classes_and_byte_orders() {
        for (wide, big_endian) in [(true, false), (true, true), (false, false), (false, true)] {
            let file =
                elf(wide, big_endian, ET_DYN, EM_AARCH64, &[(1, 0, 4096), (3, 500, 28), (1, 8192, 100), (3, 1, 1)]);
            let header = Header::parse(&file).unwrap();
            assert_eq!((header.wide, header.big_endian), (wide, big_endian));
            assert_eq!((header.kind, header.machine, header.entries), (ET_DYN, EM_AARCH64, 4));
            let table = &file[usize::try_from(header.table).unwrap()..];
            assert_eq!(header.segments(table), Some(Segments { loader: Some((500, 28)), end: 8292 }));
            for end in 0..table.len() {
                assert_eq!(header.segments(&table[..end]), None);
            }
        }
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
        let header = Header::parse(&file).unwrap();
        assert_eq!(header.segments(&file[64..]).unwrap().end, u64::MAX);
    }

    #[test]
    fn this_program_reads() {
        let file = std::fs::read("/proc/self/exe").unwrap();
        let header = Header::parse(&file).unwrap();
        let table = usize::try_from(header.table).unwrap();
        let segments = header.segments(&file[table..]).unwrap();
        assert!(segments.end <= file.len() as u64 && segments.end > 0);
        assert!(header.wide == (size_of::<usize>() == 8));
    }

    #[test]
    fn machines_have_names() {
        for uname in ["x86_64", "aarch64", "armv7l", "i686", "riscv64", "s390x", "ppc64le", "mips64", "loongarch64"] {
            let machine = machine_of(uname.as_bytes()).unwrap();
            assert!(machine_name(machine, true).is_some(), "{uname}");
        }
        assert_eq!(machine_of(b"vax"), None);
        let header = Header::parse(&elf(true, true, ET_EXEC, 21, &[])).unwrap();
        assert_eq!(header.machine_name(), "big-endian 64-bit PowerPC");
        let header = Header::parse(&elf(true, false, ET_EXEC, 8190, &[])).unwrap();
        assert_eq!(header.machine_name(), "machine 8190 of the ELF list");
    }
}
