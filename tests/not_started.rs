//! A start that fails on some kernels alone. All others: tests/scenarios/not-started.
#![cfg(target_arch = "x86_64")]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{Rinit, Status, TempDir};

#[test]
fn a_32_bit_program_runs_or_is_said_to_be_one() {
    // elf(5): one segment, the whole file, at 0x10000. exit(7) by int 0x80.
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    for half in [2_u16, 3] {
        file.extend(half.to_le_bytes());
    }
    for word in [1_u32, 0x10054, 52, 0, 0, 0x0020_0034, 1, 0] {
        file.extend(word.to_le_bytes());
    }
    for word in [1_u32, 0, 0x10000, 0x10000, 96, 96, 5, 4096] {
        file.extend(word.to_le_bytes());
    }
    file.extend(b"\xb8\x01\0\0\0\xbb\x07\0\0\0\xcd\x80");
    assert_eq!(file.len(), 96);
    let dir = TempDir::new();
    let (source, program) = (dir.join("source"), dir.join("program"));
    fs::write(&source, file).unwrap();
    fs::set_permissions(&source, PermissionsExt::from_mode(0o755)).unwrap();
    common::copy_program(&source, &program);
    let ended = Rinit::as_init().json().args(["--"]).args([program]).run();
    if ended.status != Status::Code(7) {
        ended.assert_cause(126, "wrong-architecture", "likely", "kernel runs no 32-bit programs");
    }
}
