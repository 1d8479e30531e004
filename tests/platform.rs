//! What depends on the size of a word, the order of bytes, or the C library of the machine that rinit is built for.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{PLACES, Rinit, each};

#[test]
fn what_a_program_used_is_told() {
    each(PLACES, |place| {
        let ended =
            place().json().args(["sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exit 3"]).run();
        let report = ended.assert_code(3).report();
        let number = |key: &str| report[key].as_u64().unwrap();
        assert!(number("max_rss_kib") > 100, "{report}");
        assert!(number("user_ms") + number("system_ms") > 0, "{report}");
    });
}

/// More bytes than 32 bits hold.
#[test]
fn a_limit_beyond_4_gib_is_told_whole() {
    let eight_gib = 8 << 30;
    let run = Rinit::as_subreaper().json().rlimit(libc::RLIMIT_FSIZE, eight_gib, eight_gib);
    let ended = run.args(["sh", "-c", "kill -XFSZ $$"]).run();
    ended.assert_cause(153, "file-size-limit", "likely", "8589934592 bytes");
}

/// A file whose size and place of its last byte take more than 32 bits.
#[test]
fn a_program_larger_than_4_gib_is_read() {
    let dir = common::TempDir::new();
    let path = dir.join("large");
    let file = std::fs::File::create(&path).unwrap();
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    file.set_len(5 << 30).unwrap();
    drop(file);
    let ended = Rinit::as_subreaper().json().args([&path]).run();
    ended.assert_code(126);
    assert!(ended.stderr().contains("5368709120 bytes"), "{ended:?}");
}
