//! From a diagnosis to bytes: text and JSON, their size limit, escaping. Where the bytes go is not known here.

#![forbid(unsafe_code)]

mod escape;
mod find;
mod json;
#[cfg(test)]
mod tests;
mod text;

use crate::cli::Format;
use crate::diagnose::Diagnosis;
use crate::evidence::Evidence;
use crate::outcome::Outcome;
pub use escape::escape;
pub use find::{find_report, is_json};
pub(crate) use json::string as json_string;

/// Everything that a rendering needs.
#[derive(Debug)]
pub struct Report<'a> {
    /// How PROGRAM ended.
    pub outcome: Outcome,
    /// What was seen.
    pub evidence: &'a Evidence,
    /// What it means.
    pub diagnosis: &'a Diagnosis,
    /// PROGRAM still runs: this is for the case that rinit is killed with it.
    pub provisional: bool,
}

impl Report<'_> {
    /// The report for the termination log: at most `limit` bytes, no final newline. The last lines that the program wrote
    /// stand in it as well; on stderr they are just above.
    ///
    /// From 256 bytes on it is always whole: lines 1 and 2 of text, one valid object of JSON. In less room than the
    /// shortest of these takes, nothing of it is true to its format any more, and it is empty.
    #[must_use]
    pub fn render(&self, format: Format, limit: usize) -> Vec<u8> {
        let rendered = match format {
            Format::Text => {
                let text = text::render(self.diagnosis, limit);
                let tail = self.evidence.tail.as_ref().filter(|_| !self.diagnosis.brief);
                match tail {
                    Some(tail) => text::with_last_lines(text, tail, limit),
                    None => text,
                }
            }
            Format::Json => json::render(self, limit),
        };
        if rendered.len() <= limit { rendered.into_bytes() } else { Vec::new() }
    }

    /// The report for stderr: unlimited, with its final newline; line 1 alone where there is nothing to remark.
    #[must_use]
    pub fn render_for_stderr(&self, format: Format) -> Vec<u8> {
        let mut rendered = match format {
            Format::Text if self.diagnosis.brief => text::verdict(self.diagnosis),
            Format::Text => text::render(self.diagnosis, usize::MAX),
            Format::Json => json::render(self, usize::MAX),
        };
        rendered.push('\n');
        rendered.into_bytes()
    }
}
