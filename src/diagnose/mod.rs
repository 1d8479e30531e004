//! From outcome and evidence to one cause with an honest confidence: a pure function, no clock, no files, no calls.

#![forbid(unsafe_code)]

use crate::evidence::Evidence;
use crate::outcome::Outcome;

/// How far the evidence carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confidence {
    /// The evidence excludes everything else.
    Certain,
    /// The evidence points there, and something else could have left the same.
    Likely,
    /// One possibility among several.
    Possible,
    /// It cannot be known from inside.
    Unknown,
}

/// For routing and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Somebody asked for it.
    Request,
    /// A limit was reached.
    Limit,
    /// PROGRAM itself.
    App,
    /// How PROGRAM was configured.
    Config,
    /// What is in the image.
    Image,
    /// The runtime, the node, the platform.
    Platform,
    /// Not known.
    Unknown,
}

/// A cause in the registry: what is the same for every report that names it.
#[derive(Debug, PartialEq, Eq)]
pub struct Cause {
    /// Stable and public.
    pub id: &'static str,
    /// For routing.
    pub class: Class,
    /// What it means, in a few words.
    pub summary: &'static str,
}

/// A side fact that is not the cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Stable and public.
    pub id: &'static str,
    /// One sentence, ASCII.
    pub summary: String,
}

/// What the report says. All text is ASCII already; what came from outside went through [`crate::report::escape`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The cause.
    pub cause: &'static Cause,
    /// How sure.
    pub confidence: Confidence,
    /// Line 1 without `rinit: `: it alone must be enough.
    pub verdict: String,
    /// What proves it, in numbers.
    pub evidence: Vec<String>,
    /// What it was not, and why.
    pub ruled_out: Vec<String>,
    /// What cannot be known from here.
    pub not_known: Vec<String>,
    /// What to do now.
    pub next: String,
    /// Side facts.
    pub notes: Vec<Note>,
    /// Nothing to remark: one line on stderr is enough.
    pub brief: bool,
}

/// Finds the cause.
#[must_use]
pub fn diagnose(outcome: &Outcome, _evidence: &Evidence) -> Diagnosis {
    static NONE: Cause = Cause { id: "exit-error", class: Class::Unknown, summary: "" };
    Diagnosis {
        cause: &NONE,
        confidence: Confidence::Unknown,
        verdict: format!("it ended: {outcome:?} (exit status {})", outcome.exit_status()),
        evidence: vec![],
        ruled_out: vec![],
        not_known: vec![],
        next: String::new(),
        notes: vec![],
        brief: false,
    }
}
