//! Exits that no request explains. An exit is never a death by signal, whatever its number.

use std::time::Duration;

use super::case::{Case, program_label, survivors};
use super::{Confidence, Diagnosis, programs, registry, wording};
use crate::evidence::death::Executed;
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
