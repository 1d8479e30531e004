//! Exits that no request explains. An exit is never a death by signal, whatever its number.

use super::case::Case;
use super::{Confidence, Diagnosis, registry, wording};
use crate::signals::Signo;
use Confidence::{Certain, Likely, Possible, Unknown};

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
            .next("nothing, for a Job. If it restarts for ever: a Deployment, or docker run --restart=always, restarts whatever ends, so keep a server in the foreground (no daemon mode, no \"&\")")
            .brief(true),
    )
}

/// An exit code from 129 to 192 without a matching request. Shells end so when a command of theirs was killed, and
/// programs use these numbers for themselves: possible.
pub(super) fn descendant_killed(case: &Case<'_>) -> Option<Diagnosis> {
    let code = case.code()?;
    let signal = Signo::new(i32::from(code) - 128)?;
    let (program, lifetime) = (case.program(), case.lifetime());
    let verdict = format!(
        "{program} exited with status {code} {lifetime}: one possibility is that a command it ran was ended by {signal}, or {code} is a code of its own"
    );
    let hint = match signal {
        Signo::KILL => {
            ". For SIGKILL also compare the memory limit with what it used: the OOM killer may have ended that command"
        }
        _ => "",
    };
    Some(
        Diagnosis::new(&registry::DESCENDANT_KILLED, Possible, verdict)
            .evidence(format!("it exited by itself, shells report a command that died of {signal} with 128+{}", signal.raw()))
            .ruled_out(format!("{signal} ending {program} itself (it exited, it was not signalled)"))
            .next(format!("a shell often prints which command was ended: read the end of its output. Not a shell: look {code} up in the program's documentation{hint}")),
    )
}

/// Any other failure. Nothing outside the program says why: unknown.
pub(super) fn other(case: &Case<'_>, code: u8) -> Diagnosis {
    let (program, lifetime) = (case.program(), case.lifetime());
    let verdict =
        format!("{program} exited with status {code} {lifetime}: rinit cannot see why, its own output may say it");
    let name = program.as_str();
    Diagnosis::new(&registry::EXIT_ERROR, Unknown, verdict)
        .ruled_out(format!("a signal ending {name} itself (it exited, it was not signalled)"))
        .not_known(format!("what {code} means to {name}"))
        .next("read the end of its output: kubectl logs POD -c CONTAINER --previous, or docker logs CONTAINER")
}
