//! Ends that somebody asked for: a signal that rinit passed on, a key at the terminal, a SIGTERM from inside.
//!
//! A signal and an end that follows it are two facts. That the one led to the other is the likeliest reading, but a
//! program can end by itself in the same moment: what is certain here states its proof.

use std::time::Duration;

use super::case::{Case, caught, delivered_as, ignored};
use super::{Confidence, Diagnosis, Note, exited, programs, registry, wording};
use crate::evidence::death::Executed;
use crate::evidence::language::Language;
use crate::evidence::snapshot::Snapshot;
use crate::evidence::{Fate, SignalEvent};
use crate::signals::{Origin, Sender, Signo};
use Confidence::{Certain, Likely, Possible};

/// An end this long after a request is no longer plainly its result. Longer than most grace periods.
const GRACE: Duration = Duration::from_secs(600);
/// The same for signals that are a request to some programs only.
const SHORT_GRACE: Duration = Duration::from_secs(60);
/// The same for keys, and for signals that are seldom a request.
const AT_ONCE: Duration = Duration::from_secs(10);
/// A default action does not take longer than this, unless the program was stopped or blocked the signal.
const IMMEDIATE: Duration = Duration::from_secs(2);

/// INT or QUIT from the terminal, and death by it. Another process can send the same one in between: likely.
pub(super) fn from_terminal(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal()?;
    let key = match signal {
        Signo::INT => "Ctrl-C",
        Signo::QUIT => "Ctrl-\\",
        _ => return None,
    };
    let event = case.delivered(signal).filter(|event| event.origin == Origin::Terminal && event.signal == signal)?;
    let confidence = if case.since(event) <= AT_ONCE { Likely } else { Possible };
    let (program, status, gap) = (case.program(), case.status(), wording::duration(case.since(event)));
    let verdict = format!("{program} was ended by {signal} ({status}), {gap} after {key} at the terminal");
    Some(Diagnosis::new(&registry::INTERRUPTED_FROM_TERMINAL, confidence, verdict).evidence(case.history(event)))
}

/// Death by SIGTERM that a process of this container sent to rinit. It can also have got one by another way: likely.
pub(super) fn terminated_by_process(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal().filter(|signal| *signal == Signo::TERM)?;
    let event = case.delivered(signal)?;
    // Only as PID 1 does rinit's PID namespace tell the container's processes from others.
    let Origin::Process(sender) = &event.origin else { return None };
    if !case.evidence.is_init {
        return None;
    }
    let (program, status, gap) = (case.program(), case.status(), wording::duration(case.since(event)));
    let sender = sender_words(sender);
    let verdict =
        format!("{program} was ended by {signal} ({status}) {gap} after a process of this container asked: {sender}");
    Some(
        Diagnosis::new(&registry::TERMINATED_FROM_INSIDE, within(case, event, GRACE), verdict)
            .evidence(case.history(event))
            .not_known("whether it belongs to an exec session, such as a preStop hook")
            .next(format!("find out why it sent {signal}: {sender}")),
    )
}

/// Death of a shell, or of another program that runs one behind it, by a signal that rinit passed on to it alone, while a
/// child that it had then lives on.
///
/// Certain: just before there was no handler that could have passed the signal on, it is the only one of its kind, the
/// zombie holds it as pending (it was sent, not raised by a trap), and the end came at once. Likely: not all of that is known.
pub(super) fn shell_kept_signal(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal().filter(|signal| *signal != Signo::KILL)?;
    let event = case.delivered(signal).filter(|event| matches!(event.fate, Fate::Sent(_)) && !case.evidence.group)?;
    let snapshot = event.snapshot.as_ref()?;
    let runner = snapshot.status.name.as_deref().filter(|name| programs::is_runner(name));
    let exe = case.evidence.executed.as_ref().and_then(Executed::name).filter(|name| programs::is_shell(name));
    // By its comm, a script has its own name; by its file, a shell may have become another program since.
    let is_runner = runner.is_some()
        || (exe.is_some()
            && snapshot
                .status
                .name
                .as_deref()
                .is_some_and(|name| programs::same(name, programs::base(&case.evidence.command.program))));
    let orphaned = case.orphaned(event);
    let first = orphaned.first().filter(|_| is_runner && snapshot.caught(signal) != Some(true))?;
    let sent = case.evidence.signals.iter().filter(|event| delivered_as(event) == Some(signal)).count();
    let proven = snapshot.caught(signal) == Some(false)
        && (case.pending(signal) == Some(true) && leaves_trace(signal))
        && case.since(event) <= IMMEDIATE
        && (sent == 1 && case.all_signals_known());
    let confidence = if proven { Certain } else { Likely };
    let (program, status, gap) = (case.program(), case.status(), wording::duration(case.since(event)));
    let child = wording::process(first.pid, Some(&first.name));
    let children = match orphaned.len() {
        1 => format!("its child {child} got none from rinit and still ran"),
        more => format!("its {more} children, {child} among them, got none from rinit and still ran"),
    };
    let alone = format!("{}the signal reached {program} alone", confidence.hedge());
    let request = case.request(event);
    let verdict = format!("{program} was ended by {signal} ({status}) {gap} after {request}: {alone}, {children}");
    let name = wording::name(&first.name);
    let next = if exe.is_some() || runner.is_some_and(programs::is_shell) {
        format!(
            "let {program} become {name} instead of waiting for it: exec before the command in the script, CMD in exec form ([\"{name}\", ...]). Or rinit -g, which signals all of them"
        )
    } else {
        format!("start {name} itself instead of {program}, or use rinit -g, which signals all of them")
    };
    let diagnosis = Diagnosis::new(&registry::SHELL_KEPT_SIGNAL, confidence, verdict);
    Some(asked(case, diagnosis, event).evidence(case.history(event)).next(next))
}

/// That a trap has to wait for the command in the foreground, where a shell took its time (bash(1), SIGNALS).
pub(super) fn trap_waits(case: &Case<'_>, event: &SignalEvent) -> Option<String> {
    const NOTICEABLE: Duration = Duration::from_secs(1);
    let snapshot = event.snapshot.as_ref().filter(|_| case.since(event) >= NOTICEABLE)?;
    let signal = delivered_as(event).filter(|signal| snapshot.caught(*signal) == Some(true))?;
    snapshot.status.name.as_deref().filter(|name| programs::is_shell(name))?;
    let child = snapshot.children.as_ref()?.iter().find(|child| child.is_running())?;
    let child = wording::process(child.pid, Some(&child.name));
    Some(format!(
        "{child} ran then, and a shell runs its trap for {signal} only when the command in its foreground has ended (\"command & wait\" does not block it)"
    ))
}

/// Death by a signal that rinit passed on: by the default action, or raised again by the program's own handler.
///
/// Own handler, likely: a handler was there just before, so the default action cannot have struck at once.
/// Default action, likely: no handler was seen, or it is not known but the zombie still holds the signal as pending.
/// Possible where neither shows, or where the two disagree.
pub(super) fn by_passed_on_signal(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal()?;
    let event = case.delivered(signal)?;
    let (program, status, gap) = (case.program(), case.status(), case.since(event));
    let since = wording::duration(gap);
    let request = case.request(event);
    let of_terminal = event.origin == Origin::Terminal;
    if signal == Signo::HUP && of_terminal {
        return Some(lost_terminal(case, signal, within(case, event, AT_ONCE)).evidence(case.history(event)));
    }
    if caught(event, signal) == Some(true) && signal != Signo::KILL {
        let confidence = match (leaves_trace(signal), case.pending(signal)) {
            // Raised again with kill(2), as Python does, it is pending too.
            (true, Some(_)) | (false, _) => within(case, event, GRACE),
            (true, None) => Possible,
        };
        let verdict = match (confidence, is_stop(signal)) {
            (Likely, true) => format!(
                "{program} stopped on request: {request}, {since} later its own handler most likely raised the same signal again ({status})"
            ),
            (Likely, false) => format!(
                "{program} was ended by {signal} ({status}) {since} after {request}: most likely its own handler raised it again"
            ),
            _ => format!(
                "{program} was ended by {signal} ({status}) {since} after {request}: one possibility is that its own handler raised it again"
            ),
        };
        let diagnosis =
            Diagnosis::new(&registry::STOPPED_BY_OWN_HANDLER, confidence, verdict).evidence(case.history(event));
        let diagnosis = match case.pending(signal) {
            Some(false) if leaves_trace(signal) => {
                diagnosis.evidence(format!("no {signal} was left pending, as it is after a raise()"))
            }
            _ => diagnosis,
        };
        return Some(asked(case, diagnosis, event).brief(confidence == Likely && is_stop(signal)));
    }
    let confidence = match (caught(event, signal), case.pending(signal)) {
        _ if signal == Signo::KILL => within(case, event, AT_ONCE),
        _ if gap > IMMEDIATE || ignored(event, signal) => Possible,
        (Some(_), Some(false)) if leaves_trace(signal) => Possible,
        (Some(_), _) => Likely,
        (None, Some(true)) if leaves_trace(signal) => Likely,
        (None, _) => Possible,
    };
    let why = match confidence {
        _ if signal == Signo::KILL => "nothing was cleaned up, SIGKILL cannot be handled",
        Likely => "most likely it has no handler for it, so nothing was cleaned up",
        _ => "one possibility is that it has no handler for it",
    };
    let verdict = format!("{program} was ended by {signal} ({status}) {since} after {request}: {why}");
    let mut diagnosis =
        Diagnosis::new(&registry::STOPPED_WITHOUT_HANDLER, confidence, verdict).evidence(case.history(event));
    if case.pending(signal) == Some(true) && leaves_trace(signal) {
        diagnosis =
            diagnosis.evidence(format!("{signal} was still pending at its death, as it is after a default action"));
    }
    if signal == Signo::KILL {
        diagnosis = diagnosis.next("pass a signal on that the program can handle (--rewrite), if it holds state");
    }
    Some(asked(case, diagnosis, event))
}

/// Death by SIGTERM that rinit never passed on. Likely if the zombie shows that it was sent to the process: as PID 1
/// rinit would have got what the runtime sends. Possible otherwise: it may have raised it itself.
pub(super) fn terminated_from_inside(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal().filter(|signal| *signal == Signo::TERM)?;
    let sent = case.pending(signal) == Some(true);
    let confidence = if sent && case.evidence.is_init && case.all_signals_known() { Likely } else { Possible };
    let (program, status, lifetime) = (case.program(), case.status(), case.lifetime());
    let why = if case.all_signals_known() { "no SIGTERM was passed on by rinit" } else { "its sender was not seen" };
    let verdict = format!("{program} was ended by {signal} ({status}) {lifetime}: {why}");
    let mut diagnosis = Diagnosis::new(&registry::TERMINATED_FROM_INSIDE, confidence, verdict);
    if sent {
        diagnosis = diagnosis
            .evidence("SIGTERM was still pending at its death, as it is when it was sent to the process with kill");
    }
    if case.evidence.is_init && case.all_signals_known() {
        diagnosis = diagnosis.ruled_out("the kubelet's own signal and docker stop (they go to PID 1, which is rinit)");
    }
    let others = "another process of this container, an exec session, a process of the host, or the program itself";
    Some(diagnosis.not_known(format!("the sender: {others}")))
}

/// Death by INT or QUIT that rinit did not pass on. With a terminal, the keys go straight to the program; anybody
/// else can send the same signals: possible.
pub(super) fn interrupted(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal().filter(|signal| matches!(*signal, Signo::INT | Signo::QUIT))?;
    let key = if signal == Signo::INT { "Ctrl-C" } else { "Ctrl-\\" };
    let (program, status, lifetime) = (case.program(), case.status(), case.lifetime());
    let verdict = format!(
        "{program} was ended by {signal} ({status}) {lifetime}: one possibility is {key} at the terminal, if it had one"
    );
    Some(
        Diagnosis::new(&registry::INTERRUPTED_FROM_TERMINAL, Possible, verdict)
            .not_known(
                "the sender: the terminal sends these to its foreground group, and any process can send them with kill",
            )
            .next("nothing, if the key was pressed. Without a terminal: look for what sends it inside the container"),
    )
}

/// Death by HUP that rinit did not pass on, where rinit is not PID 1: a terminal that both share sends it to both, and
/// rinit's own may have come too late. Any process can send it: possible. To a PID 1 the terminal's comes first (drivers/tty,
/// `tty_signal_session_leader`), and the program has it from there alone.
pub(super) fn hangup(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal().filter(|signal| *signal == Signo::HUP && !case.evidence.is_init)?;
    Some(
        lost_terminal(case, signal, Possible)
            .not_known("whether it had a terminal, and the sender: that terminal, or any process with kill -HUP"),
    )
}

/// Exit code 128+n after signal n was passed on. A command that the program ran can have died of the same signal,
/// which a shell passes on as 128+n: likely.
///
/// Certain for a JVM, which ends so after its shutdown hooks: it had its handler, it took the signal, it had no child that
/// can have died of it, and the end came within the grace period.
pub(super) fn by_own_code(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = Signo::new(i32::from(case.code()?) - 128)?;
    let event = case.delivered(signal).filter(|event| !ignored(event, signal))?;
    if case.left_pending(event) {
        return None;
    }
    let confidence = match within(case, event, if event.origin == Origin::Terminal { AT_ONCE } else { GRACE }) {
        Likely if is_jvm(case) && took_with_handler(case, event, signal) => Certain,
        confidence => confidence,
    };
    let (program, status, since) = (case.program(), case.status(), wording::duration(case.since(event)));
    let request = case.request(event);
    let stopped = confidence != Possible && is_stop(signal);
    let verdict = if stopped {
        format!("{program} stopped on request: {request}, {since} later it ended with {status}")
    } else {
        format!("{program} ended with {status}, {since} after {request}: that number stands for {signal}")
    };
    let diagnosis = Diagnosis::new(&registry::STOPPED_BY_OWN_HANDLER, confidence, verdict)
        .evidence(case.history(event))
        .evidence(format!("it exited by itself with 128+{}, which is how {signal} is reported", signal.raw()))
        .next(format!(
            "nothing, if a stop was due. Where this status counts as a failure: rinit -e {}",
            case.outcome.exit_status()
        ));
    Some(asked(case, diagnosis, event).brief(stopped))
}

/// Whether what runs is a JVM by its file; of a script, the file is the shell's.
fn is_jvm(case: &Case<'_>) -> bool {
    case.evidence.executed.as_ref().and_then(Executed::name) == Some(b"java")
}

/// Whether the program had a handler for `signal` and no child just before, and nothing of the signal was left at its end.
fn took_with_handler(case: &Case<'_>, event: &SignalEvent, signal: Signo) -> bool {
    let childless = |snapshot: &Snapshot| snapshot.children.as_ref().is_some_and(Vec::is_empty);
    caught(event, signal) == Some(true)
        && event.snapshot.as_ref().is_some_and(childless)
        && case.pending(signal) == Some(false)
        && case.all_signals_known()
}

/// Exit 0 after a request to stop. It can have finished by itself in the same moment: likely.
pub(super) fn cleanly(case: &Case<'_>) -> Option<Diagnosis> {
    case.code().filter(|code| *code == 0)?;
    let (event, confidence) = request_to_stop(case)?;
    let (program, status, since) = (case.program(), case.status(), wording::duration(case.since(event)));
    let request = case.request(event);
    let verdict = match confidence {
        Likely => format!("{program} stopped on request: {request}, {since} later it ended with {status}"),
        _ => format!(
            "{program} ended with {status}, {since} after {request}: one possibility is that this was the request to stop"
        ),
    };
    let diagnosis = Diagnosis::new(&registry::STOPPED_CLEANLY, confidence, verdict).evidence(case.history(event));
    Some(asked(case, diagnosis, event).brief(confidence == Likely))
}

/// A failure after a request to stop. It can have failed by itself in the same moment: likely.
pub(super) fn failed(case: &Case<'_>) -> Option<Diagnosis> {
    case.code().filter(|code| *code != 0)?;
    let (event, confidence) = request_to_stop(case)?;
    let signal = delivered_as(event).filter(|signal| is_stop(*signal))?;
    let confidence = if matches!(signal, Signo::TERM | Signo::INT) { confidence } else { Possible };
    let (program, status, since) = (case.program(), case.status(), wording::duration(case.since(event)));
    let request = case.request(event);
    if (signal, case.code(), case.evidence.language) == (Signo::QUIT, Some(2), Some(Language::Go)) {
        let verdict = format!(
            "{program} got {request} and ended {since} later with {status}: most likely Go's own answer to SIGQUIT, a dump of all goroutines"
        );
        let diagnosis = Diagnosis::new(&registry::STOP_FAILED, Likely, verdict)
            .evidence(case.history(event))
            .evidence(exited::GO_FILE);
        return Some(asked(case, diagnosis, event).next(
            "the dump is in its output. For a stop that cleans up have SIGTERM sent (STOPSIGNAL, rinit --rewrite QUIT:TERM), or let the program handle SIGQUIT (signal.Notify)",
        ));
    }
    let verdict = match confidence {
        Likely => format!("{program} was asked to stop ({request}) and ended {since} later with a failure ({status})"),
        _ => format!("{program} ended with {status}, {since} after {request}: one possibility is that its stop failed"),
    };
    let diagnosis = Diagnosis::new(&registry::STOP_FAILED, confidence, verdict).evidence(case.history(event));
    Some(asked(case, diagnosis, event))
}

/// The last signal that can have been the request to stop, and how surely it was: TERM and INT to every program;
/// QUIT (nginx), WINCH (httpd), PWR (lxc) and RTMIN+3 (systemd) from outside to some; any other from outside only
/// if the end came at once.
fn request_to_stop<'a>(case: &Case<'a>) -> Option<(&'a SignalEvent, Confidence)> {
    let (stop, other): (Vec<_>, Vec<_>) = case
        .evidence
        .signals
        .iter()
        .rev()
        .filter_map(|event| Some((event, delivered_as(event)?)))
        // What it never took is no reason for its end.
        .filter(|(event, signal)| !ignored(event, *signal) && !case.left_pending(event))
        .partition(|(_, signal)| matches!(*signal, Signo::TERM | Signo::INT));
    let by_key = |event: &SignalEvent| event.origin == Origin::Terminal;
    let stop = stop.into_iter().find(|(event, _)| !by_key(event) || case.since(event) <= AT_ONCE);
    if let Some((event, _)) = stop {
        return Some((event, within(case, event, GRACE)));
    }
    other.into_iter().filter(|(event, _)| matches!(event.origin, Origin::Outside | Origin::Exec(_))).find_map(
        |(event, signal)| match signal.raw() {
            libc::SIGCONT | libc::SIGCHLD | libc::SIGURG | libc::SIGSTOP | libc::SIGTSTP => None,
            libc::SIGQUIT | libc::SIGWINCH | libc::SIGPWR | SYSTEMD_STOP if case.since(event) <= SHORT_GRACE => {
                Some((event, Likely))
            }
            _ if case.since(event) <= AT_ONCE => Some((event, Possible)),
            _ => None,
        },
    )
}

/// `SIGRTMIN+3`, systemd(1): "Halts the machine".
const SYSTEMD_STOP: i32 = 37;

/// Likely if the end followed `event` within `span`.
fn within(case: &Case<'_>, event: &SignalEvent, span: Duration) -> Confidence {
    if case.since(event) <= span { Likely } else { Possible }
}

/// Signals that are sent to stop a program, as against those that are sent to make it do something else.
fn is_stop(signal: Signo) -> bool {
    matches!(signal.raw(), libc::SIGTERM | libc::SIGINT | libc::SIGQUIT | libc::SIGHUP | libc::SIGPWR | SYSTEMD_STOP)
}

/// Whether the zombie shows as pending that this signal was sent to it: only where the default action is to end
/// without a core dump (kernel/signal.c, `complete_signal`).
pub(super) fn leaves_trace(signal: Signo) -> bool {
    !signal.dumps_core()
}

/// What else there is to say of a stop.
fn asked(case: &Case<'_>, mut diagnosis: Diagnosis, event: &SignalEvent) -> Diagnosis {
    diagnosis.evidence.extend(trap_waits(case, event));
    diagnosis.notes.extend(near_grace(case, event));
    who_asked(diagnosis, event)
}

/// Who asked is beyond what PID 1 can see.
pub(super) fn who_asked(diagnosis: Diagnosis, event: &SignalEvent) -> Diagnosis {
    match (&event.origin, event.signal) {
        (Origin::Outside, Signo::TERM) => diagnosis
            .not_known("who asked: a rollout, a drain, a failed liveness probe and docker stop send the same signal"),
        (Origin::Outside, signal) => diagnosis.not_known(format!("who sent {signal}")),
        _ => diagnosis,
    }
}

/// That the stop took nearly as long as those who ask mostly wait before they kill.
fn near_grace(case: &Case<'_>, event: &SignalEvent) -> Option<Note> {
    let whose = match case.since(event).as_secs() {
        8..10 => "docker stop kills after 10 s unless told otherwise (--time, --stop-timeout)",
        25..30 => "Kubernetes kills after 30 s unless terminationGracePeriodSeconds says otherwise",
        _ => return None,
    };
    let took = wording::duration(case.since(event));
    let from_outside = matches!(event.origin, Origin::Outside) && case.evidence.is_init;
    from_outside.then(|| Note { id: "near-grace-period", summary: format!("the stop took {took}, {whose}") })
}

fn lost_terminal(case: &Case<'_>, signal: Signo, confidence: Confidence) -> Diagnosis {
    let how = if confidence == Likely { "most likely" } else { "one possibility is that" };
    let (program, status, lifetime) = (case.program(), case.status(), case.lifetime());
    let verdict = format!("{program} was ended by {signal} ({status}) {lifetime}: {how} its terminal went away");
    Diagnosis::new(&registry::HANGUP, confidence, verdict)
}

fn sender_words(sender: &Sender) -> String {
    wording::process(sender.pid, sender.name.as_deref())
}
