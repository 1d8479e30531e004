//! The smallest programs that the kernel runs: an ELF header and a few instructions, no libc, no stack of their own.
//! What a run of one costs is what its init costs.

/// Exits with status 0: `xor edi, edi; mov eax, SYS_exit; syscall`.
#[allow(dead_code)]
pub const TRUE: &[u8] = &[0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];
/// Waits until a signal ends it: `mov eax, SYS_pause; syscall`, again and again.
#[allow(dead_code)]
pub const PAUSE: &[u8] = &[0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7];
/// Writes to address 0, which is SIGSEGV: `xor eax, eax; mov [rax], eax`.
#[allow(dead_code)]
pub const CRASH: &[u8] = &[0x31, 0xc0, 0x89, 0x00];

/// An x86-64 executable of `code` (elf(5)): one segment, entry right behind the headers.
pub fn executable(code: &[u8]) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let size = HEADERS + code.len() as u64;
    let mut file = Vec::new();
    // e_ident: 64 bits, little-endian, version 1.
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    // e_type EXEC, e_machine x86-64, e_version.
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    // e_entry, e_phoff, e_shoff.
    file.extend([BASE + HEADERS, 64, 0].iter().flat_map(|n: &u64| n.to_le_bytes()));
    // e_flags; e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx.
    file.extend([0; 4]);
    file.extend([64, 56, 1, 0, 0, 0].iter().flat_map(|n: &u16| n.to_le_bytes()));
    // p_type LOAD, p_flags R+X; p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align.
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    file.extend([0, BASE, BASE, size, size, 4096].iter().flat_map(|n: &u64| n.to_le_bytes()));
    file.extend(code);
    file
}
