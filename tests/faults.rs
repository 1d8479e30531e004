//! What a core dump leaves behind. Other ends by faults and limits: tests/scenarios/signals.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::fs;

use common::{Rinit, TempDir};

#[test]
fn an_abort_without_and_with_a_core_dump() {
    let abort = ["/usr/bin/python3", "-c", "import os; os.abort()"];
    let pattern = fs::read("/proc/sys/kernel/core_pattern").unwrap();
    let is_file = !matches!(pattern.first(), Some(b'|' | b'@' | b'/' | b'\n') | None);
    let dir = TempDir::new();
    let none = Rinit::as_init().json().rlimit(libc::RLIMIT_CORE, 0, 0).args(["--"]).args(abort).run();
    none.assert_cause(134, "aborted", "likely", "gave up by itself");
    if is_file {
        assert!(none.says("no core dump, its limit was 0 (ulimit -c)"), "{none:?}");
        let unlimited = libc::RLIM_INFINITY;
        let dumped = Rinit::as_init().json().cwd(dir.path()).rlimit(libc::RLIMIT_CORE, unlimited, unlimited);
        let dumped = dumped.args(["--"]).args(abort).run();
        assert_eq!(dumped.report()["core_dumped"], true, "{dumped:?}");
        dumped.assert_cause(134, "aborted", "likely", " in its working directory (core_pattern)");
        assert!(fs::read_dir(dir.path()).unwrap().next().is_some(), "no core file");
    }
}
