//! Outcome and evidence of one end, with the questions that several rules ask of them.

use std::time::Duration;

use super::stopped::leaves_trace;
use super::tail::Signature;
use super::{Cause, Confidence, Diagnosis, Note, codes, last_words, memory, not_stopped, registry, wording};
use crate::evidence::death::Death;
use crate::evidence::limits::Limits;
use crate::evidence::process::Process;
use crate::evidence::{Evidence, Fate, SignalEvent};
use crate::outcome::{Outcome, Stage, StartError};
use crate::report::escape;
use crate::signals::{Origin, Signo};

/// Longest command line in a report, with `--show-args`.
const COMMAND_LINE_LENGTH: usize = 1024;

/// What a rule looks at.
pub(super) struct Case<'a> {
    pub outcome: &'a Outcome,
    pub evidence: &'a Evidence,
    /// What its last lines say.
    pub signature: Option<Signature>,
    /// Whether it is about a command that PROGRAM could not start, and not about PROGRAM.
    pub is_inner: bool,
}

impl<'a> Case<'a> {
    /// The program as a sentence names it: its basename, and the pid where the name alone would mislead.
    pub fn program(&self) -> String {
        let label = program_label(self.outcome, self.evidence);
        // In `kubectl describe`, node means the machine.
        match self.evidence.pid.filter(|_| self.start_error().is_none()) {
            Some(pid) if label == "node" => format!("node (pid {pid})"),
            None if label == "node" => "the program node".to_owned(),
            _ => label,
        }
    }

    /// `exit status 137`.
    pub fn status(&self) -> String {
        format!("exit status {}", self.evidence.exit_status(self.outcome))
    }

    /// `after 3m12s`.
    pub fn lifetime(&self) -> String {
        format!("after {}", wording::duration(self.evidence.duration))
    }

    /// The signal that ended the program.
    pub fn signal(&self) -> Option<Signo> {
        match *self.outcome {
            Outcome::Signaled { signal, .. } => Some(signal),
            _ => None,
        }
    }

    /// The code that the program exited with.
    pub fn code(&self) -> Option<u8> {
        match *self.outcome {
            Outcome::Exited(code) => Some(code),
            _ => None,
        }
    }

    /// The call that kept the program from running.
    pub fn start_error(&self) -> Option<StartError> {
        match *self.outcome {
            Outcome::NotStarted(error) => Some(error),
            _ => None,
        }
    }

    /// errno of execve(2).
    pub fn exec_errno(&self) -> Option<i32> {
        self.start_error().filter(|error| error.stage == Stage::Exec).map(|error| error.errno)
    }

    /// The last time that rinit, or the terminal together with rinit, gave `signal` to the program.
    pub fn delivered(&self, signal: Signo) -> Option<&'a SignalEvent> {
        self.evidence.signals.iter().rev().find(|event| delivered_as(event) == Some(signal))
    }

    /// Whether `evidence.signals` holds everything that came.
    pub fn all_signals_known(&self) -> bool {
        self.evidence.signals_omitted == 0
    }

    /// From `event` to the end.
    pub fn since(&self, event: &SignalEvent) -> Duration {
        self.evidence.duration.saturating_sub(event.at)
    }

    /// `SIGTERM from outside at 14:03:22Z`, with the signal that it was passed on as if that is another.
    pub fn request(&self, event: &SignalEvent) -> String {
        let time = wording::clock(self.evidence.started.saturating_add(event.at.as_secs()));
        let sent_as = match event.fate {
            Fate::Sent(signal) if signal != event.signal => format!(", passed on as {signal}"),
            _ => String::new(),
        };
        format!("{} {} at {time}{sent_as}", event.signal, wording::origin(&event.origin))
    }

    /// A sentence on a signal: who, when, what became of it, what the program was set to do with it.
    pub fn history(&self, event: &SignalEvent) -> String {
        let fate = match event.fate {
            // `request` has said it where it is another one.
            Fate::Sent(signal) if signal != event.signal => String::new(),
            Fate::Sent(_) => match self.evidence.pid {
                Some(pid) => format!(", passed on to pid {pid}"),
                None => ", passed on".to_owned(),
            },
            Fate::Dropped => ", dropped by --rewrite".to_owned(),
            Fate::Direct => ", which the terminal sent to the program as well".to_owned(),
            Fate::Failed(errno) => format!(", not passed on: {}", wording::errno(errno)),
        };
        let disposition = match delivered_as(event) {
            // A live snapshot is believed in what it shows, not in what it lacks: a thread may wait in sigwait(3).
            Some(signal) if caught(event, signal) == Some(true) => ", it had a handler for it",
            Some(signal) if ignored(event, signal) => ", it ignored it then",
            _ => "",
        };
        format!("{}{fate}{disposition}{}{}", self.request(event), states(event), self.untaken(event))
    }

    /// That a signal was passed on and never taken: blocked, or the program was stopped.
    fn untaken(&self, event: &SignalEvent) -> String {
        let Some(signal) = delivered_as(event) else { return String::new() };
        if self.left_pending(event) {
            return ", it had not taken it when it ended".to_owned();
        }
        let later = event.snapshot.as_ref().and_then(|snapshot| snapshot.later);
        match later.filter(|later| later.pending.contains(signal)) {
            Some(later) => format!(", it had not taken it {} later", wording::duration(later.after)),
            None => String::new(),
        }
    }

    /// Whether the program ended, but not by this signal, and had not even taken it: the zombie still holds it. A second
    /// one of the same kind may be the one that is held, so only the last counts, and only if it is the only one.
    pub fn left_pending(&self, event: &SignalEvent) -> bool {
        let Some(signal) = delivered_as(event) else { return false };
        let same = self.evidence.signals.iter().filter(|event| delivered_as(event) == Some(signal)).count();
        same == 1 && self.all_signals_known() && self.signal() != Some(signal) && self.pending(signal) == Some(true)
    }

    /// More of the zombie, if a signal ended the program.
    pub fn death(&self) -> Option<&'a Death> {
        self.evidence.death.as_ref()
    }

    /// The limits that it had at its death.
    pub fn limits(&self) -> Limits {
        self.death().map(|death| death.limits).unwrap_or_default()
    }

    /// The children that the program had when `event` was passed on and that outlive it.
    pub fn orphaned(&self, event: &SignalEvent) -> Vec<&'a Process> {
        let children = event.snapshot.as_ref().and_then(|snapshot| snapshot.children.as_deref()).unwrap_or_default();
        let was_child =
            |process: &&Process| children.iter().any(|child| child.pid == process.pid && child.is_running());
        survivors(self.evidence).unwrap_or_default().into_iter().filter(was_child).collect()
    }

    /// Whether the zombie still holds `signal` as pending for the whole process.
    ///
    /// The kernel leaves a signal there that was sent to the process and ended it by a default action without core
    /// dump (kernel/signal.c, `complete_signal`). This is not documented, and never makes more than a `likely`.
    pub fn pending(&self, signal: Signo) -> Option<bool> {
        Some(self.evidence.zombie.as_ref()?.pending?.contains(signal))
    }

    /// What the zombie's `Seccomp:` says.
    pub fn seccomp(&self) -> Option<u8> {
        self.evidence.zombie.as_ref()?.seccomp
    }

    /// `name was killed by SIGSEGV (exit status 139) after 41.2 s`, to be followed by the cause in words.
    pub fn killed(&self, signal: Signo, cause: &'static Cause, confidence: Confidence, why: &str) -> Diagnosis {
        let (program, status, lifetime) = (self.program(), self.status(), self.lifetime());
        Diagnosis::new(cause, confidence, format!("{program} was killed by {signal} ({status}) {lifetime}: {why}"))
    }

    /// Adds what every report of this end has: the other signals, the core dump, what was used, what is left.
    pub fn complete(&self, diagnosis: &mut Diagnosis) {
        let evidence = self.evidence;
        if self.start_error().is_none() {
            self.add_signals(diagnosis);
        }
        if let Outcome::Signaled { core_dumped: true, .. } = self.outcome {
            diagnosis.evidence.push(format!("the kernel reports a core dump{}", self.core_destination()));
        } else if let (Some(signal), Some(b'!'..)) = (self.signal(), self.core_pattern().first())
            && !leaves_trace(signal)
            && self.core_pattern().first() != Some(&b'|')
            && self.limits().core.is_some_and(|limit| limit.soft == Some(0))
        {
            diagnosis.evidence.push("no core dump, its limit was 0 (ulimit -c)".to_owned());
        }
        if let Some(name) = codes::name_at_end(evidence).filter(|_| !diagnosis.brief && self.start_error().is_none()) {
            let sentence = format!("its process name at its end was {name}");
            if !diagnosis.evidence.contains(&sentence) {
                diagnosis.evidence.push(sentence);
            }
        }
        self.add_backlogs(diagnosis);
        if let (Some(usage), false) = (evidence.usage, diagnosis.brief || self.start_error().is_some()) {
            let cpu = wording::duration(usage.user.saturating_add(usage.system));
            let peak = wording::kib(usage.max_rss_kib);
            diagnosis.evidence.push(format!("used {cpu} of CPU time, the largest process had {peak} resident"));
        }
        last_words::complete(self, diagnosis);
        if let Some(arguments) = &evidence.command.shown {
            diagnosis.evidence.push(command_line(&evidence.command.program, arguments));
        }
        memory::complete(self, diagnosis);
        not_stopped::complete(self, diagnosis);
        diagnosis.notes.extend(match &evidence.drained {
            Some(drained) => Some(not_stopped::drained(self, drained)),
            None => self.left(),
        });
        diagnosis.notes.extend(self.zombies());
        diagnosis.brief &= diagnosis.notes.is_empty();
    }

    fn core_pattern(&self) -> &'a [u8] {
        self.death().and_then(|death| death.core_pattern.as_deref()).unwrap_or_default()
    }

    /// Where core(5) says that a dump goes.
    fn core_destination(&self) -> String {
        match self.core_pattern() {
            // The program runs in the host's namespaces; its arguments are not shown.
            [b'|', program @ ..] => {
                let program = program.split(|byte| is_blank(*byte)).next().unwrap_or_default();
                format!(", given to {} on the host (core_pattern)", wording::name(program))
            }
            [b'@', socket @ ..] => format!(", sent to the socket {} (core_pattern)", wording::name(socket)),
            path @ [b'/', ..] => format!(", as {} (core_pattern)", wording::name(path)),
            [] => String::new(),
            name => format!(", as {} in its working directory (core_pattern)", wording::name(name)),
        }
    }

    /// Connections that waited when the program was first asked for something: it may have hung before.
    pub fn add_backlogs(&self, diagnosis: &mut Diagnosis) {
        const TOLD: usize = 3;
        let of = |event: &'a SignalEvent| event.snapshot.iter().flat_map(|snapshot| &snapshot.backlogs);
        let Some(event) = self.evidence.signals.iter().find(|event| of(event).any(|one| one.held != Some(false)))
        else {
            return;
        };
        for waiting in of(event).filter(|one| one.held != Some(false)).take(TOLD) {
            let count = waiting.backlog.waiting;
            let waited = wording::count(count, "connection", "connections");
            let whose = if waiting.held == Some(true) { "" } else { " (whose port it is was not seen)" };
            let (port, signal) = (waiting.backlog.port, event.signal);
            diagnosis.evidence.push(format!("{waited} to port {port} waited to be accepted when {signal} came{whose}"));
        }
    }

    /// The note on processes that ended and were not waited for. Those of the program itself have become rinit's children
    /// by now, as orphans do whose parent ended in time: a few of them say nothing.
    fn zombies(&self) -> Option<Note> {
        const MANY: usize = 3;
        let left = self.evidence.left.as_deref().unwrap_or_default();
        let zombies = || left.iter().filter(|process| process.state == b'Z');
        let of_others =
            zombies().find(|zombie| left.iter().any(|parent| parent.pid == zombie.parent && parent.is_running()));
        let summary = if let Some(zombie) = of_others {
            let parent = left.iter().find(|parent| parent.pid == zombie.parent)?;
            let count = zombies().filter(|other| other.parent == parent.pid).count();
            let ended = wording::count(count, "ended child", "ended children");
            format!("{} had {ended} that it had not waited for", wording::process(parent.pid, Some(&parent.name)))
        } else {
            let own = zombies().filter(|zombie| zombie.parent != 0).count();
            // A signal to the group, from the terminal as well, ends them together with the program.
            if own < MANY || self.evidence.group || self.code().is_none() {
                return None;
            }
            format!(
                "{own} processes had ended and nobody had waited for them when {} ended: most likely they were its children",
                self.program()
            )
        };
        Some(Note { id: "zombies-not-reaped", summary })
    }

    /// The last signals that the rule itself has not told.
    pub fn add_signals(&self, diagnosis: &mut Diagnosis) {
        const TOLD: usize = 3;
        let signals = &self.evidence.signals;
        if signals.is_empty() && self.all_signals_known() && !diagnosis.brief {
            diagnosis.evidence.push("no signal came through rinit".to_owned());
        }
        // A terminal that changes its size says nothing.
        let noise = |event: &SignalEvent| event.signal == Signo::WINCH && event.origin == Origin::Terminal;
        let mut others: Vec<_> =
            signals.iter().filter(|event| !noise(event)).map(|event| self.history(event)).collect();
        others.retain(|history| !diagnosis.evidence.contains(history));
        let untold = others.len().saturating_sub(TOLD);
        diagnosis.evidence.extend(others.split_off(untold));
        let untold = (untold as u64).saturating_add(self.evidence.signals_omitted);
        if untold > 0 {
            diagnosis.evidence.push(format!("other signals that came through rinit: {untold}"));
        }
    }

    /// How many processes the program left behind. Exec sessions are none of its own.
    pub fn left_behind(&self) -> Option<usize> {
        Some(survivors(self.evidence)?.iter().filter(|process| !self.is_injected(process)).count())
    }

    /// Whether a process came from outside: its parent is in another PID namespace (pid_namespaces(7)).
    pub fn is_injected(&self, process: &Process) -> bool {
        self.evidence.is_init && process.parent == 0
    }

    /// The note on processes that outlive the program. An exec session alone is worth a
    /// word only where a sender is sought.
    fn left(&self) -> Option<Note> {
        let left = survivors(self.evidence)?;
        if left.is_empty() || (self.signal().is_none() && self.left_behind() == Some(0)) {
            return None;
        }
        let names = wording::list(left.iter().map(|process| {
            let session = if self.is_injected(process) { " from an exec session" } else { "" };
            wording::process(process.pid, Some(&process.name)) + session
        }));
        let fate = if self.evidence.is_init { "what is left ends with the container" } else { "it may live on" };
        let count = wording::count(left.len(), "process was", "processes were");
        Some(Note { id: "processes-left", summary: format!("{count} still there at the end: {names} ({fate})") })
    }
}

/// What the program's threads were doing when `event` was passed on, if that keeps a signal from being taken.
fn states(event: &SignalEvent) -> String {
    let Some(snapshot) = &event.snapshot else { return String::new() };
    let Some(threads) = snapshot.threads else { return String::new() };
    // State D is also a page on its way, or a parent in vfork(2): it tells something only if it lasts.
    let lasts = snapshot.later.is_some_and(|later| later.state == b'D');
    match threads.count {
        0 => String::new(),
        all if threads.stopped == all => ", it was stopped then".to_owned(),
        _ if !lasts => String::new(),
        1 if threads.uninterruptible == 1 => ", it was in uninterruptible sleep then".to_owned(),
        all if threads.uninterruptible > 0 => {
            format!(", {} of {all} threads looked at were in uninterruptible sleep then", threads.uninterruptible)
        }
        _ => String::new(),
    }
}

/// What reached the program, if the signal did.
pub(super) fn delivered_as(event: &SignalEvent) -> Option<Signo> {
    match event.fate {
        Fate::Sent(signal) => Some(signal),
        Fate::Direct => Some(event.signal),
        Fate::Dropped | Fate::Failed(_) => None,
    }
}

/// Whether the program had a handler for `signal` just before `event` was passed on.
pub(super) fn caught(event: &SignalEvent, signal: Signo) -> Option<bool> {
    event.snapshot.as_ref()?.caught(signal)
}

/// Whether the program is known to have ignored `signal` just before `event` was passed on.
pub(super) fn ignored(event: &SignalEvent, signal: Signo) -> bool {
    event.snapshot.as_ref().and_then(|snapshot| snapshot.status.ignored).is_some_and(|set| set.contains(signal))
}

/// The processes that really outlive the program: a zombie has ended.
pub fn survivors(evidence: &Evidence) -> Option<Vec<&Process>> {
    Some(evidence.left.as_ref()?.iter().filter(|process| !matches!(process.state, b'Z' | b'X')).collect())
}

/// The program's name for line 1 and for JSON: the basename of what ran. What could not be started may be a whole
/// command line with secrets in it: then the first word, and of an assignment the name.
#[must_use]
pub fn program_label(outcome: &Outcome, evidence: &Evidence) -> String {
    let command = &evidence.command;
    let given = command.program.as_slice();
    if !matches!(outcome, Outcome::NotStarted(_)) {
        let base = given.rsplit(|byte| *byte == b'/').next().filter(|base| !base.is_empty()).unwrap_or(given);
        return if base.is_empty() { "\"\"".to_owned() } else { wording::name(base) };
    }
    if given.is_empty() {
        return "\"\"".to_owned();
    }
    let public = if command.shown.is_some() { given } else { public_part(given) };
    let rest = match given.get(public.len()) {
        Some(b'=') => "=...",
        Some(_) => " ...",
        None => "",
    };
    // Leading blanks make it another word, so that something is left to show.
    if public.is_empty() { format!("\"{}\"", rest.trim_start()) } else { wording::name(public) + rest }
}

/// The start of `given` that may be shown: up to the first blank, and up to a `=` that is not part of a path.
#[must_use]
pub fn public_part(given: &[u8]) -> &[u8] {
    let end = given.iter().position(|byte| is_blank(*byte)).unwrap_or(given.len());
    let word = given.get(..end).unwrap_or(given);
    match word.iter().position(|byte| matches!(byte, b'=' | b'/')) {
        Some(at) if word.get(at) == Some(&b'=') => word.get(..at).unwrap_or(word),
        _ => word,
    }
}

/// What separates words for a shell, and what else looks like it.
pub(super) fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// `command line: "a" "b c"`, for `--show-args`.
fn command_line(program: &[u8], arguments: &[Vec<u8>]) -> String {
    let mut line = "command line:".to_owned();
    for word in std::iter::once(program).chain(arguments.iter().map(Vec::as_slice)) {
        let plain = !word.is_empty() && !word.iter().any(|byte| is_blank(*byte));
        let word = escape(word.get(..COMMAND_LINE_LENGTH).unwrap_or(word));
        line += &if plain { format!(" {word}") } else { format!(" \"{word}\"") };
        if line.len() > COMMAND_LINE_LENGTH {
            line.truncate(COMMAND_LINE_LENGTH);
            return line + "...";
        }
    }
    line
}

/// Whether a diagnosis says that a request was met, which is nobody's failure.
#[must_use]
pub fn went_well(cause: &Cause) -> bool {
    [registry::STOPPED_CLEANLY.id, registry::STOPPED_BY_OWN_HANDLER.id, registry::COMPLETED.id].contains(&cause.id)
}
