//! Exits that no request explains. An exit is never a death by signal, whatever its number.

use std::time::Duration;

use super::case::{Case, program_label, survivors};
use super::codes::{self, Source};
use super::{Cause, Confidence, Diagnosis, memory, programs, registry, why_not, wording};
use crate::evidence::death::Executed;
use crate::evidence::language::Language;
use crate::evidence::process::Process;
use crate::signals::Signo;
use Confidence::{Certain, Likely, Possible, Unknown};

/// Exit 0 soon after the start with no signal, and processes are left that are the program's own by name, or that are
/// known to go to the background. They may have been meant to be left: likely.
pub(super) fn daemonised(case: &Case<'_>) -> Option<Diagnosis> {
    const SOON: Duration = Duration::from_secs(10);
    let evidence = case.evidence;
    case.code().filter(|code| *code == 0 && evidence.signals.is_empty() && case.all_signals_known())?;
    let left: Vec<_> = survivors(evidence)?.into_iter().filter(|process| !case.is_injected(process)).collect();
    if evidence.duration > SOON {
        return None;
    }
    let label = program_label(case.outcome, evidence);
    let exe = evidence.executed.as_ref().and_then(Executed::name).filter(|name| !programs::is_shell(name));
    // A shell that leaves a part of itself behind is a script with "&", not a daemon.
    let own = |name: &[u8]| {
        !programs::is_shell(name)
            && (programs::same(name, label.as_bytes()) || exe.is_some_and(|exe| programs::same(name, exe)))
    };
    let is_daemon = |process: &&&Process| own(&process.name) || programs::foreground(&process.name).is_some();
    let daemon = left.iter().find(is_daemon)?;
    let (program, status, lifetime, name) =
        (case.program(), case.status(), case.lifetime(), wording::name(&daemon.name));
    let same = left.iter().filter(|process| process.name == daemon.name).count();
    let processes = wording::count(same, &format!("{name} process"), &format!("{name} processes"));
    let verdict = format!(
        "{program} finished with {status} {lifetime} and left {processes} running: most likely it went to the background, which ends the container"
    );
    let how = match programs::foreground(&daemon.name).or_else(|| exe.and_then(programs::foreground)) {
        Some(option) => format!("run it in the foreground: {option}"),
        None => {
            "run it in the foreground: most daemons have an option for it (-F, -f, --foreground, --nodaemon)".to_owned()
        }
    };
    Some(
        Diagnosis::new(&registry::DAEMONISED, Likely, verdict)
            .evidence("no signal came through rinit, it ended by itself. A container ends when its first program ends")
            .next(how),
    )
}

/// Exit 0, and no request to stop passed through rinit. Certain if no signal reached it through rinit at all: the
/// cause claims no more than that.
pub(super) fn completed(case: &Case<'_>) -> Option<Diagnosis> {
    case.code().filter(|code| *code == 0)?;
    let quiet = case.evidence.signals.is_empty() && case.all_signals_known();
    let (program, status, lifetime) = (case.program(), case.status(), case.lifetime());
    let rest = match (quiet, case.left_behind()) {
        (true, Some(0) | None) => ", no signal came through rinit".to_owned(),
        (false, Some(0) | None) => String::new(),
        (_, Some(left)) => format!(" and left {} running", wording::count(left, "process", "processes")),
    };
    let confidence = if quiet { Certain } else { Likely };
    Some(
        Diagnosis::new(&registry::COMPLETED, confidence, format!("{program} finished with {status} {lifetime}{rest}"))
            .brief(true),
    )
}

/// A code that the program that ran is known to use, by its name. Likely at most: a program can be told to exit with
/// any number.
pub(super) fn known_code(case: &Case<'_>) -> Option<Diagnosis> {
    let code = case.code()?;
    let (row, confidence) = codes::row(case.evidence, code)?;
    let diagnosis = match confidence {
        Unknown => without_reason(case, code, row.means),
        _ => by_itself(case, code, row.cause, confidence, row.means),
    };
    let diagnosis = matched_on(case, diagnosis);
    Some(if row.next.is_empty() { diagnosis } else { diagnosis.next(row.next) })
}

/// The code with which shells end that cannot open their script, soon after the start, where its file is one that rinit's
/// own user may not read: the kernel starts a script all the same. Likely for what a shell was seen to run. Of what ended
/// before its interpreter could be looked at, a program that is no script looks the same: possible.
pub(super) fn unread_script(case: &Case<'_>) -> Option<Diagnosis> {
    const STARTED: Duration = Duration::from_secs(5);
    let evidence = case.evidence;
    let code = case.code().filter(|code| matches!(code, 2 | 126) && evidence.duration < STARTED)?;
    let permissions = evidence.unread.as_ref()?;
    let (confidence, means) = match evidence.executed.as_ref().and_then(Executed::name) {
        Some(shell) if programs::is_shell(shell) => (
            Likely,
            format!("{} may not read its script, which the kernel could start all the same", wording::name(shell)),
        ),
        Some(_) => return None,
        None => (Possible, "it is a script that its shell may not read".to_owned()),
    };
    let script = wording::name(&evidence.command.program);
    Some(
        by_itself(case, code, &registry::PERMISSION_DENIED, confidence, &means)
            .evidence(format!(
                "{script} is {permissions}, and rinit's own user, which it was started as, may not read it"
            ))
            .next("let that user read the script as well as execute it: COPY --chmod=755, chmod +r"),
    )
}

/// A code of perl's from 2 on: die ends with errno, if it is set. Errno may be left over from something harmless, and
/// exit may have been called with that number: possible.
pub(super) fn perl_errno(case: &Case<'_>) -> Option<Diagnosis> {
    let code = case.code().filter(|code| (2..=133).contains(code))?;
    codes::who(case.evidence).filter(|(_, name)| codes::is_perl(name))?;
    let means = format!("it died while errno was {}", wording::errno(code.into()));
    let diagnosis = by_itself(case, code, &registry::RUNTIME_SPECIFIC, Possible, &means);
    Some(matched_on(case, diagnosis).next("read the last line of its output: die says what, and at which line"))
}

/// What shows that it is Go.
pub(super) const GO_FILE: &str = "its file has the note that Go's linker writes";

/// Exit 2 of a Go program, which ends so after a panic, and after a wrong flag. That it is Go stands in its file. The
/// flags are read at the start: likely only for one that lived on, else possible.
pub(super) fn go_panic(case: &Case<'_>) -> Option<Diagnosis> {
    const STARTED: Duration = Duration::from_secs(5);
    let code = case.code().filter(|code| *code == 2 && case.evidence.language == Some(Language::Go))?;
    let confidence = if case.evidence.duration >= STARTED { Likely } else { Possible };
    let means = "a panic or another fatal error of the Go runtime ended it";
    Some(by_itself(case, code, &registry::GO_PANIC, confidence, means).evidence(GO_FILE))
}

/// Exit 101 of a Rust program. That it has Rust in it stands in its file: likely.
pub(super) fn rust_panic(case: &Case<'_>) -> Option<Diagnosis> {
    let code = case.code().filter(|code| *code == 101 && case.evidence.language == Some(Language::Rust))?;
    Some(
        by_itself(case, code, &registry::RUST_PANIC, Likely, "a panic of its main thread ended it")
            .evidence("its file names Rust's standard library"),
    )
}

/// An exit code from 129 to 192 without a matching request. Likely for a shell, which ends so when a command of its
/// own was killed. Programs use these numbers for themselves as well: else possible.
pub(super) fn descendant_killed(case: &Case<'_>) -> Option<Diagnosis> {
    let code = case.code()?;
    let signal = Signo::new(i32::from(code) - 128).filter(|signal| signal.can_end())?;
    let (program, lifetime) = (case.program(), case.lifetime());
    let shell = codes::who(case.evidence).filter(|(_, name)| codes::is_shell(name));
    let confidence = if shell.is_some_and(|(source, _)| source != Source::Start) { Likely } else { Possible };
    let own = if confidence == Likely { String::new() } else { format!(", or {code} is a code of its own") };
    let verdict = format!(
        "{program} exited with status {code} {lifetime}: {}a command it ran was ended by {signal}{own}",
        confidence.hedge()
    );
    let diagnosis = Diagnosis::new(&registry::DESCENDANT_KILLED, confidence, verdict).evidence(format!(
        "it exited by itself, shells report a command that died of {signal} with 128+{}",
        signal.raw()
    ));
    let diagnosis = if shell.is_some() { matched_on(case, diagnosis) } else { diagnosis };
    let hint = match signal {
        Signo::KILL if memory::no_oom_kill(case).is_some() => {
            ". For SIGKILL also look for kill -9, timeout -s KILL or a supervisor: no OOM kill was counted"
        }
        Signo::KILL => {
            ". For SIGKILL also compare the memory limit with what it used: the OOM killer may have ended that command"
        }
        Signo::PIPE => ". For SIGPIPE: under set -o pipefail a writer whose reader ended first fails the pipeline",
        _ => "",
    };
    Some(
        diagnosis
            .ruled_out(format!("{signal} ending {program} itself (it exited, it was not signalled)"))
            .next(format!("{}{hint}", registry::DESCENDANT_KILLED.next)),
    )
}

/// A code that has a meaning by convention, from a program that is not known to have its own. A convention binds
/// nobody: possible.
pub(super) fn conventional_code(case: &Case<'_>) -> Option<Diagnosis> {
    let code = case.code()?;
    // What only an unknown program can be.
    if matches!(code, 2 | 101) && codes::who(case.evidence).is_some() {
        return None;
    }
    if let Some((name, means)) = codes::sysexit(code) {
        return Some(
            by_itself(case, code, &registry::SYSEXITS, Possible, means)
                .evidence(format!("{code} is {name} in sysexits.h")),
        );
    }
    let (cause, means) = codes::generic(code)?;
    Some(by_itself(case, code, cause, Possible, means))
}

/// Any other failure. Nothing outside the program says why: unknown.
pub(super) fn other(case: &Case<'_>, code: u8) -> Diagnosis {
    without_reason(case, code, "its own output may say it")
}

fn without_reason(case: &Case<'_>, code: u8, more: &str) -> Diagnosis {
    let (program, lifetime) = (case.program(), case.lifetime());
    let verdict = format!("{program} exited with status {code} {lifetime}: rinit cannot see why, {more}");
    let mut diagnosis = exited(case, Diagnosis::new(&registry::EXIT_ERROR, Unknown, verdict))
        .not_known(format!("what {code} means to {program}"));
    if case.evidence.tail.is_none() {
        diagnosis.next.push_str(". With RINIT_TAIL=20 it stands here");
    }
    diagnosis
}

fn by_itself(case: &Case<'_>, code: u8, cause: &'static Cause, confidence: Confidence, means: &str) -> Diagnosis {
    let inner = inner_failure(case, code);
    let (confidence, means) = match &inner {
        Some((name, inner)) => {
            let weaker = if inner.confidence == Possible { Possible } else { confidence };
            (weaker, format!("{name} could not be started: {}", inner.verdict))
        }
        None => (confidence, means.to_owned()),
    };
    let (program, lifetime, hedge) = (case.program(), case.lifetime(), confidence.hedge());
    let verdict = format!("{program} exited with status {code} {lifetime}: {hedge}{means}");
    let mut diagnosis = exited(case, Diagnosis::new(cause, confidence, verdict))
        .not_known(format!("whether {code} means that here, any program may exit with any number"));
    if let Some((_, inner)) = inner {
        diagnosis.evidence.extend(inner.evidence);
        diagnosis.not_known.extend(inner.not_known);
        diagnosis.next = inner.next;
    }
    diagnosis
}

/// Why a command that the program was to run cannot be started, by what is on disk now: the command as it may be
/// shown, and the reason. Nothing of one that the program has become: it was started. Nor where permission is what it
/// lacks and another user was to run it.
fn inner_failure(case: &Case<'_>, code: u8) -> Option<(String, Diagnosis)> {
    let inside = case.evidence.inside.as_ref().filter(|_| matches!(code, 126 | 127))?;
    let file = programs::base(&inside.name);
    let comm = case.evidence.zombie.as_ref().and_then(|zombie| zombie.name.as_deref());
    let has_run = comm.is_some_and(|comm| programs::same(comm, file));
    let is_others = inside.other_user && inside.inspection.expected_errno() == Some(libc::EACCES);
    (!has_run && !is_others && inside.inspection.explains(code)).then(|| why_not(&inside.name, &inside.inspection))?
}

fn exited(case: &Case<'_>, diagnosis: Diagnosis) -> Diagnosis {
    diagnosis.ruled_out(format!("a signal ending {} itself (it exited, it was not signalled)", case.program()))
}

/// What the program's name was taken from.
fn matched_on(case: &Case<'_>, diagnosis: Diagnosis) -> Diagnosis {
    let Some((source, name)) = codes::who(case.evidence) else { return diagnosis };
    // npm and others put their arguments into their names.
    let first_word = |name: &[u8]| wording::name(name.split(u8::is_ascii_whitespace).next().unwrap_or_default());
    let at_end = case.evidence.zombie.as_ref().and_then(|zombie| zombie.name.as_deref()).map(first_word);
    let name = first_word(name);
    match (source, at_end) {
        (Source::Comm, _) => diagnosis.evidence(format!("its process name at its end was {name}")),
        (Source::File, _) => diagnosis.evidence(format!("its file, or its script's interpreter, is {name}")),
        (Source::Start, Some(at_end)) => {
            diagnosis.evidence(format!("it was started as {name}, its process name at its end was {at_end}"))
        }
        (Source::Start, None) => diagnosis.not_known(format!("whether it was still {name} at its end")),
    }
}
