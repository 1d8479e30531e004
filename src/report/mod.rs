//! From a diagnosis to bytes: text and JSON, their size limit, escaping. Where the bytes go is not known here.

#![forbid(unsafe_code)]

use crate::cli::Format;
use crate::diagnose::Diagnosis;
use crate::evidence::Evidence;
use crate::outcome::Outcome;

/// Everything that a rendering needs.
#[derive(Debug)]
pub struct Report<'a> {
    /// How PROGRAM ended.
    pub outcome: Outcome,
    /// What was seen.
    pub evidence: &'a Evidence,
    /// What it means.
    pub diagnosis: &'a Diagnosis,
}

impl Report<'_> {
    /// The report for the termination log: at most `limit` bytes, no final newline.
    #[must_use]
    pub fn render(&self, _format: Format, _limit: usize) -> Vec<u8> {
        format!("rinit: {}\n      cause: {} (unknown)", self.diagnosis.verdict, self.diagnosis.cause.id).into_bytes()
    }

    /// The report for stderr: unlimited, with its final newline; line 1 alone where there is nothing to remark.
    #[must_use]
    pub fn render_for_stderr(&self, _format: Format) -> Vec<u8> {
        format!("rinit: {}\n      cause: {} (unknown)", self.diagnosis.verdict, self.diagnosis.cause.id).into_bytes()
    }
}

/// TODO
pub fn escape(b: &[u8]) -> String {
    String::from_utf8_lossy(b).into_owned()
}
/// TODO
pub fn find_report(_: &[u8]) -> Option<usize> {
    None
}
/// TODO
pub fn is_json(_: &[u8]) -> bool {
    false
}
