//! From outcome and evidence to one cause with an honest confidence: a pure function, no clock, no files, no calls.

#![forbid(unsafe_code)]

mod case;
pub mod codes;
mod exited;
mod faults;
pub mod inside;
mod killed;
mod last_words;
mod memory;
mod not_started;
mod not_stopped;
mod programs;
mod provisional;
pub mod registry;
mod stopped;
pub mod tail;
#[cfg(test)]
pub(crate) mod tests;
pub mod wording;

use crate::evidence::files::Inspection;
use crate::evidence::{Command, Evidence};
use crate::outcome::{Outcome, Stage, StartError};
use case::Case;
pub use case::{program_label, public_part, survivors, went_well};
pub use last_words::{adds_nothing, claim};
pub use provisional::{OUTCOME as KILLED_WITH_RINIT, provisional};

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

impl Confidence {
    /// The word in line 2 and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Possible => "possible",
            Self::Unknown => "unknown",
        }
    }

    /// What goes before a clause of this confidence, so that the words never say more than line 2.
    fn hedge(self) -> &'static str {
        match self {
            Self::Certain | Self::Unknown => "",
            Self::Likely => "most likely ",
            Self::Possible => "one possibility is that ",
        }
    }
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

impl Class {
    /// The word in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Limit => "limit",
            Self::App => "app",
            Self::Config => "config",
            Self::Image => "image",
            Self::Platform => "platform",
            Self::Unknown => "unknown",
        }
    }
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
    /// What a rule must see to name it, and how sure that makes it.
    pub proof: &'static str,
    /// What to do; a rule that knows more says more.
    pub next: &'static str,
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

impl Diagnosis {
    /// The bare cause with its own advice; the methods below add to it.
    fn new(cause: &'static Cause, confidence: Confidence, verdict: String) -> Self {
        let (evidence, ruled_out, not_known, notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let next = cause.next.to_owned();
        Self { cause, confidence, verdict, evidence, ruled_out, not_known, next, notes, brief: false }
    }

    fn evidence(mut self, fact: impl Into<String>) -> Self {
        self.evidence.push(fact.into());
        self
    }

    fn ruled_out(mut self, fact: impl Into<String>) -> Self {
        self.ruled_out.push(fact.into());
        self
    }

    fn not_known(mut self, question: impl Into<String>) -> Self {
        self.not_known.push(question.into());
        self
    }

    fn next(mut self, advice: impl Into<String>) -> Self {
        self.next = advice.into();
        self
    }

    fn brief(mut self, brief: bool) -> Self {
        self.brief = brief;
        self
    }
}

/// A rule finds its cause or leaves the case to the rules after it. The doc comment of each says what proof it needs.
type Rule = fn(&Case<'_>) -> Option<Diagnosis>;

/// The order of reasoning, after those of [`not_started`]: the first rule that finds its cause is believed.
const RULES: &[Rule] = &[
    // Signalled. What seccomp did is written in the zombie; what rinit did it knows; what was asked for outranks what usually raises a signal.
    killed::seccomp_killed,
    not_stopped::killed_after_stop_timeout,
    stopped::from_terminal,
    stopped::terminated_by_process,
    stopped::shell_kept_signal,
    stopped::by_passed_on_signal,
    stopped::terminated_from_inside,
    stopped::interrupted,
    stopped::hangup,
    faults::truncated_binary,
    faults::no_room_to_start,
    faults::shm_full,
    last_words::last_words,
    faults::fault,
    faults::bad_system_call,
    faults::broken_pipe,
    killed::timer_expired,
    killed::cpu_time_limit,
    killed::file_size_limit,
    memory::oom_killed,
    killed::timeout_killed,
    killed::killed_by_unknown,
    // Exited.
    stopped::by_own_code,
    stopped::cleanly,
    stopped::failed,
    memory::other_was_oom_killed,
    exited::daemonised,
    exited::completed,
    last_words::last_words,
    exited::unread_script,
    exited::known_code,
    exited::go_panic,
    exited::rust_panic,
    exited::perl_errno,
    exited::descendant_killed,
    exited::conventional_code,
];

/// Why a command that somebody in the container started (a shell that ended with 126 or 127) cannot have run. The
/// verdict is a clause that can follow `NAME could not be started: `, without a hedge, and NAME comes with it as it may be
/// shown. `None` if what was seen lets it run, and where no rule knows why not.
#[must_use]
pub fn why_not(name: &[u8], inspection: &Inspection) -> Option<(String, Diagnosis)> {
    let outcome = Outcome::NotStarted(StartError { stage: Stage::Exec, errno: inspection.expected_errno()? });
    let command = Command { program: name.to_vec(), ..Command::default() };
    let evidence = Evidence { command, inspection: Some(inspection.clone()), ..Evidence::default() };
    let case = Case { outcome: &outcome, evidence: &evidence, signature: None, is_inner: true };
    let mut diagnosis = not_started::RULES.iter().find_map(|rule| rule(&case))?;
    not_started::leave_out_own_call(&case, &mut diagnosis);
    Some((case.program(), diagnosis))
}

/// Finds the cause.
#[must_use]
pub fn diagnose(outcome: &Outcome, evidence: &Evidence) -> Diagnosis {
    let case = Case { outcome, evidence, signature: last_words::signature(outcome, evidence), is_inner: false };
    let mut diagnosis =
        not_started::RULES.iter().chain(RULES).find_map(|rule| rule(&case)).unwrap_or_else(|| match *outcome {
            Outcome::NotStarted(error) => not_started::other(&case, error),
            Outcome::Signaled { signal, .. } => killed::other(&case, signal),
            Outcome::Exited(code) => exited::other(&case, code),
        });
    case.complete(&mut diagnosis);
    diagnosis
}
