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
/// Forks 400 times, and waits for each child, which forks 50 times and waits for nobody; all others end at once.
#[allow(dead_code)]
pub const ORPHANS: &[u8] = &[
    0xbd, 0x90, 1, 0, 0, // mov ebp, 400
    0xb8, 57, 0, 0, 0, 0x0f, 0x05, // again: SYS_fork
    0x85, 0xc0, 0x74, 0x1e, // test eax, eax; jz child
    0x83, 0xcf, 0xff, 0x31, 0xf6, 0x31, 0xd2, 0x45, 0x31,
    0xd2, // or edi, -1; xor esi, esi; xor edx, edx; xor r10d, r10d
    0xb8, 61, 0, 0, 0, 0x0f, 0x05, // SYS_wait4
    0xff, 0xcd, 0x75, 0xe0, // dec ebp; jnz again
    0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05, // exit: xor edi, edi; SYS_exit
    0xbb, 50, 0, 0, 0, // child: mov ebx, 50
    0xb8, 57, 0, 0, 0, 0x0f, 0x05, // next: SYS_fork
    0x85, 0xc0, 0x74, 0xe7, // test eax, eax; jz exit
    0xff, 0xcb, 0x75, 0xf1, 0xeb, 0xe1, // dec ebx; jnz next; jmp exit
];
/// Those that come to init.
#[allow(dead_code)]
pub const ORPHANED: usize = 400 * 50;
/// An init that does nothing else: forks, and waits until that child has ended. To stand in front of a program's code, which
/// the child runs.
#[allow(dead_code)]
pub const REAPER: &[u8] = &[
    0xb8, 57, 0, 0, 0, 0x0f, 0x05, // SYS_fork
    0x89, 0xc3, 0x85, 0xc0, 0x74, 0x1e, // mov ebx, eax; test eax, eax; jz the child's code
    0x83, 0xcf, 0xff, 0x31, 0xf6, 0x31, 0xd2, 0x45, 0x31, 0xd2, // next: or edi, -1; ...
    0xb8, 61, 0, 0, 0, 0x0f, 0x05, // SYS_wait4
    0x39, 0xd8, 0x75, 0xeb, // cmp eax, ebx; jne next
    0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05, // xor edi, edi; SYS_exit
];

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
