//! What every report has, whatever it says.

use crate::engine::text;
use std::fs;
use std::path::Path;

/// Asserts the form of a report that is not brief, and its status; gives its cause.
#[track_caller]
pub fn assert_report(report: &str, status: i32) -> &str {
    let mut lines = report.lines();
    let verdict = lines.next().unwrap_or_default();
    assert!(verdict.starts_with("rinit: "), "{report}");
    assert!(verdict.contains(&format!("status {status}")), "no status {status}: {report}");
    let cause = lines.next().and_then(|l| l.strip_prefix("      cause: ")).unwrap_or_else(|| panic!("{report}"));
    let (id, confidence) = cause.split_once(' ').unwrap_or_else(|| panic!("{report}"));
    assert!(["(certain)", "(likely)", "(possible)", "(unknown)"].contains(&confidence), "{report}");
    while let Some(line) = lines.next() {
        if line == "      last lines:" {
            // To the end, each indented by two more.
            assert!(lines.all(|line| line.starts_with("        ")), "{report}");
            break;
        }
        let line = line.strip_prefix("      ").unwrap_or_else(|| panic!("not indented: {line:?}"));
        let known = ["evidence: ", "ruled out: ", "not known: ", "next: "];
        assert!(known.iter().any(|start| line.starts_with(start)), "{report}");
    }
    assert_plain(report.trim_end_matches('\n'));
    id
}

/// ASCII, and of the control bytes the line end alone.
#[track_caller]
pub fn assert_plain(report: &str) {
    assert!(report.bytes().all(|b| b == b'\n' || (0x20..0x7f).contains(&b)), "{report:?}");
}

/// The termination message as the kubelet takes it: the last 4,096 bytes, invalid UTF-8 replaced
/// (pkg/util/tail, encoding/json).
pub fn termination_message(path: &Path) -> String {
    let file = fs::read(path).expect("the termination log");
    text(&file[file.len().saturating_sub(4096)..])
}
