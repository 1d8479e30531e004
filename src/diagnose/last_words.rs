//! What the program itself said at its end (`--tail`), with what the container shows of it.

#![forbid(unsafe_code)]

mod bearing;

use super::case::Case;
use super::faults::if_all_known;
use super::tail::{Signature, recognize};
use super::{Confidence, Diagnosis, Note, programs, registry, wording};
use crate::evidence::Evidence;
use crate::evidence::death::Executed;
use crate::evidence::tail::Claim;
use crate::outcome::Outcome;
use crate::signals::Signo;
use Confidence::{Certain, Likely, Possible};
use bearing::{Bearing, Fit};

/// What its last words claim about the container, so that it can be looked at before the diagnosis.
#[must_use]
pub fn claim(outcome: &Outcome, evidence: &Evidence) -> Option<Claim> {
    signature(outcome, evidence)?.claim
}

pub(super) fn signature(outcome: &Outcome, evidence: &Evidence) -> Option<Signature> {
    let names: Vec<&[u8]> = names(evidence).collect();
    recognize(evidence.tail.as_ref()?, outcome, &names)
}

/// The names of what ended: its file, its comm, argv[0], without directories. Where the shell of a script has become
/// something else by exec, its comm alone: the others are the script's.
fn names(evidence: &Evidence) -> impl Iterator<Item = &[u8]> {
    let file = evidence.executed.as_ref().and_then(Executed::name);
    let comm = evidence.zombie.as_ref().and_then(|zombie| zombie.name.as_deref());
    let given = evidence.command.program.rsplit(|byte| *byte == b'/').next();
    let is_other = |comm: &[u8]| [file, given].into_iter().flatten().all(|name| !programs::same(name, comm));
    let became = comm.is_some_and(is_other) && file.is_some_and(programs::is_shell);
    [file.filter(|_| !became), comm, given.filter(|_| !became)].into_iter().flatten()
}

/// A failure, or a signal that programs raise for themselves when they give up, and last words that fit it. As certain
/// as the words are, less one step where the container shows otherwise, and never certain for what a part of it met.
pub(super) fn last_words(case: &Case<'_>) -> Option<Diagnosis> {
    let failed = match *case.outcome {
        Outcome::Exited(code) => code != 0,
        Outcome::Signaled { signal, .. } => raised_by_itself(signal),
        Outcome::NotStarted(_) => false,
    };
    Some(explained(case, case.signature.as_ref().filter(|_| failed)?))
}

fn raised_by_itself(signal: Signo) -> bool {
    const GIVING_UP: [Signo; 6] = [Signo::ABRT, Signo::SEGV, Signo::BUS, Signo::ILL, Signo::TRAP, Signo::FPE];
    GIVING_UP.contains(&signal)
}

/// The diagnosis that a recognized line makes.
fn explained(case: &Case<'_>, signature: &Signature) -> Diagnosis {
    let bearing = signature.claim.as_ref().map(|claim| Bearing::of(case, claim)).unwrap_or_default();
    let confidence = match (signature.confidence, bearing.fit) {
        (Certain, Fit::Contradicted) => Likely,
        (Likely, Fit::Contradicted) => Possible,
        (Certain, _) if signature.part => Likely,
        (confidence, _) => confidence,
    };
    let confidence = match *case.outcome {
        Outcome::Signaled { .. } => if_all_known(case, confidence),
        _ => confidence,
    };
    let hedge = if confidence == Possible { "one possibility is in its output: " } else { "" };
    let why = format!("{hedge}{}", wording::quote(&signature.quote));
    let mut diagnosis = match *case.outcome {
        Outcome::Signaled { signal, .. } => case.killed(signal, signature.cause, confidence, &why),
        _ => {
            let (program, lifetime, status) = (case.program(), case.lifetime(), case.outcome.exit_status());
            let verdict = format!("{program} exited with status {status} {lifetime}: {why}");
            Diagnosis::new(signature.cause, confidence, verdict)
        }
    };
    diagnosis = diagnosis.evidence(source(signature));
    if let Some(place) = &signature.place {
        diagnosis = diagnosis.evidence(format!("raised at {}", wording::name(place)));
    }
    let mut facts = bearing.facts.into_iter();
    if let Some(first) = facts.next() {
        let found = if bearing.fit == Fit::Contradicted { "checked, and it does not bear this out" } else { "checked" };
        diagnosis = diagnosis.evidence(format!("{found}: {first}"));
    }
    diagnosis.evidence.extend(facts);
    diagnosis.not_known.extend(bearing.not_known);
    if let Some(next) = bearing.next {
        diagnosis.next(next)
    } else if signature.next.is_empty() {
        diagnosis
    } else {
        diagnosis.next(signature.next)
    }
}

/// `uncaught, from stderr`
fn source(signature: &Signature) -> String {
    let stream = if signature.stdout { "stdout" } else { "stderr" };
    let of_a_part = if signature.part { ", of a thread, worker or child of it" } else { "" };
    let uncaught = if signature.uncaught { "uncaught, " } else { "" };
    format!("{uncaught}from {stream}{of_a_part}")
}

/// Where another rule found the cause, the line that was recognized is worth its place: as evidence of a failure, as a
/// note where the program itself ended well.
pub(super) fn complete(case: &Case<'_>, diagnosis: &mut Diagnosis) {
    let Some(signature) = &case.signature else { return };
    let quote = wording::quote(&signature.quote);
    if diagnosis.verdict.ends_with(&quote) {
        return;
    }
    if *case.outcome == Outcome::Exited(0) {
        let summary = format!("{}: {quote}", source(signature));
        diagnosis.notes.push(Note { id: signature.cause.id, summary });
    } else {
        diagnosis.evidence.push(format!("{}: {quote}", source(signature)));
    }
}

/// Whether a report says no more than the exit code does: then the end of the program's log says more
/// (`--defer-to-logs`).
#[must_use]
pub fn adds_nothing(diagnosis: &Diagnosis) -> bool {
    let by_code = registry::from_code().iter().any(|cause| cause.id == diagnosis.cause.id);
    by_code && matches!(diagnosis.confidence, Possible | Confidence::Unknown) && diagnosis.notes.is_empty()
}

#[cfg(test)]
mod tests;
