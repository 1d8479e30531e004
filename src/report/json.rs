//! The report for machines: one object on one line, its keys in a fixed order, the most important first.

use std::time::Duration;

use super::Report;
use super::text::verdict;
use crate::diagnose::wording::timestamp;
use crate::diagnose::{program_label, survivors, went_well};
use crate::evidence::drained::{Rest, RestFate};
use crate::evidence::process::Process;
use crate::evidence::tail::Tail;
use crate::evidence::{Fate, SignalEvent};
use crate::outcome::Outcome;
use crate::signals::{Origin, Sender};

/// Version of this layout.
const SCHEMA: u32 = 1;
/// Processes in `left`: the note has their number.
const LEFT: usize = 100;

/// Arrays in the order in which they give way.
const GIVE_WAY: [&str; 7] = ["stderr_tail", "left", "signals", "notes", "ruled_out", "not_known", "evidence"];

/// The value of a key, its elements written already.
enum Value {
    Plain(String),
    Array(Vec<String>),
}

impl Value {
    fn len(&self) -> usize {
        match self {
            Self::Plain(text) => text.len(),
            // Two brackets, and a comma between each two.
            Self::Array(items) => 2 + items.iter().map(String::len).sum::<usize>() + items.len().saturating_sub(1),
        }
    }

    fn write(&self, to: &mut String) {
        match self {
            Self::Plain(text) => to.push_str(text),
            Self::Array(items) => {
                to.push('[');
                to.push_str(&items.join(","));
                to.push(']');
            }
        }
    }
}

/// An object in the making.
struct Object(Vec<(&'static str, Value)>);

impl Object {
    fn get(&mut self, key: &str) -> Option<&mut Value> {
        self.0.iter_mut().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    fn len(&self) -> usize {
        // {"key":value,"key":value}
        1 + self.0.iter().map(|(key, value)| key.len() + 4 + value.len()).sum::<usize>().max(1)
    }

    fn write(&self) -> String {
        let mut text = String::with_capacity(self.len());
        for (key, value) in &self.0 {
            text.push(if text.is_empty() { '{' } else { ',' });
            text.push('"');
            text.push_str(key);
            text.push_str("\":");
            value.write(&mut text);
        }
        text.push('}');
        text
    }
}

/// The object, whole and valid, in at most `limit` bytes (256 at least; below, in whatever two keys take).
///
/// Arrays give way first, element by element, then the advice, then the length of the message, then keys from the end.
pub(super) fn render(report: &Report<'_>, limit: usize) -> String {
    let mut object = object(report, limit);
    for key in GIVE_WAY {
        while object.len() > limit {
            let Some(Value::Array(items)) = object.get(key) else { break };
            let at = match key {
                // The first and the last say most.
                "signals" => items.len() / 2,
                // The newest says most.
                "stderr_tail" => 0,
                _ => items.len().wrapping_sub(1),
            };
            if at >= items.len() {
                break;
            }
            items.remove(at);
        }
    }
    if object.len() > limit
        && let Some(value) = object.get("cause")
    {
        *value = Value::Plain(cause(report, ""));
    }
    let excess = object.len().saturating_sub(limit);
    if let Some(value) = object.get("message") {
        // Without its two quotes.
        let room = value.len().saturating_sub(2 + excess);
        *value = Value::Plain(fitting(&verdict(report.diagnosis), room));
    }
    // The schema, the cause, the outcome and the status are what it is for.
    while object.len() > limit && object.0.len() > 4 {
        object.0.pop();
    }
    object.write()
}

/// `text` as a string of JSON whose content has at most `room` bytes, or the three of the mark where it was cut.
pub(super) fn fitting(text: &str, room: usize) -> String {
    const MARK: &str = "...";
    let mut written = string(text);
    if written.len() > room + 2 {
        let kept = written.get(..1 + room.saturating_sub(MARK.len())).unwrap_or_default();
        // Not between a backslash and what it stands before.
        let half = kept.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2;
        written = [kept.get(..kept.len() - half).unwrap_or_default(), MARK, "\""].concat();
    }
    written
}

fn object(report: &Report<'_>, limit: usize) -> Object {
    let (evidence, diagnosis) = (report.evidence, report.diagnosis);
    let (outcome, code, signal, core_dumped) = match report.outcome {
        _ if report.provisional => ("running", None, None, false),
        Outcome::Exited(code) => ("exited", Some(code), None, false),
        Outcome::Signaled { signal, core_dumped } => ("signaled", None, Some(signal), core_dumped),
        Outcome::NotStarted(_) => ("not_started", None, None, false),
    };
    let status = report.evidence.exit_status(&report.outcome);
    let level = if status == 0 || went_well(diagnosis.cause) { "info" } else { "error" };
    let usage = evidence.usage;
    let strings = |items: &[String]| Value::Array(items.iter().map(|item| string(item)).collect());
    let notes = diagnosis
        .notes
        .iter()
        .map(|note| format!("{{\"id\":{},\"summary\":{}}}", string(note.id), string(&note.summary)))
        .collect();
    let rest = |pid: i32| evidence.drained.as_ref()?.get(pid);
    let left = survivors(evidence).map_or(Value::Plain("null".to_owned()), |left| {
        let process = |process: &&Process| {
            let program = string(&crate::diagnose::wording::name(&process.name));
            format!(
                "{{\"pid\":{},\"program\":{program}{}}}",
                process.pid,
                rest(process.pid).map(drained_end).unwrap_or_default()
            )
        };
        Value::Array(left.iter().take(LEFT).map(process).collect())
    });
    Object(vec![
        ("schema", Value::Plain(SCHEMA.to_string())),
        ("cause", Value::Plain(cause(report, &diagnosis.next))),
        ("outcome", Value::Plain(string(outcome))),
        ("exit_status", Value::Plain(status.to_string())),
        ("code", Value::Plain(or_null(code))),
        ("signal", Value::Plain(or_null(signal.map(|signal| string(&signal.to_string()))))),
        ("core_dumped", Value::Plain(core_dumped.to_string())),
        ("program", Value::Plain(string(&program_label(&report.outcome, evidence)))),
        ("pid", Value::Plain(or_null(evidence.pid))),
        ("provisional", Value::Plain(report.provisional.to_string())),
        ("started", Value::Plain(string(&timestamp(evidence.started)))),
        ("time", Value::Plain(string(&timestamp(evidence.ended)))),
        ("level", Value::Plain(string(level))),
        ("message", Value::Plain(string(&verdict(diagnosis)))),
        ("duration_ms", Value::Plain(evidence.duration.as_millis().to_string())),
        ("user_ms", Value::Plain(or_null(usage.map(|usage| usage.user.as_millis())))),
        ("system_ms", Value::Plain(or_null(usage.map(|usage| usage.system.as_millis())))),
        ("max_rss_kib", Value::Plain(or_null(usage.map(|usage| usage.max_rss_kib)))),
        ("evidence", strings(&diagnosis.evidence)),
        ("ruled_out", strings(&diagnosis.ruled_out)),
        ("not_known", strings(&diagnosis.not_known)),
        ("notes", Value::Array(notes)),
        ("signals", Value::Array(evidence.signals.iter().map(event).collect())),
        ("reaped", Value::Plain(evidence.reaped.to_string())),
        ("left", left),
        ("stderr_tail", Value::Array(evidence.tail.as_ref().map_or_else(Vec::new, |tail| last_lines(tail, limit)))),
        ("rinit", Value::Plain(string(env!("CARGO_PKG_VERSION")))),
    ])
}

/// The newest lines of the tail, as many as can fit in `limit` bytes at most.
fn last_lines(tail: &Tail, limit: usize) -> Vec<String> {
    let mut room = Some(limit);
    let fits = |line: &String| {
        room = room.and_then(|room| room.checked_sub(line.len()));
        room.is_some()
    };
    let lines = tail.shown().iter().rev().map(|line| string(&crate::diagnose::wording::line_as_written(&line.text)));
    let mut lines: Vec<String> = lines.take_while(fits).collect();
    lines.reverse();
    lines
}

fn cause(report: &Report<'_>, next: &str) -> String {
    let (cause, confidence) = (report.diagnosis.cause, report.diagnosis.confidence);
    format!(
        "{{\"id\":{},\"confidence\":{},\"class\":{},\"summary\":{},\"next\":{}}}",
        string(cause.id),
        string(confidence.as_str()),
        string(cause.class.as_str()),
        string(cause.summary),
        string(next)
    )
}

fn event(event: &SignalEvent) -> String {
    let sent_as = match event.fate {
        Fate::Sent(signal) => Some(signal),
        Fate::Direct => Some(event.signal),
        Fate::Dropped | Fate::Failed(_) => None,
    };
    format!(
        "{{\"signal\":{},\"from\":{},\"at_ms\":{},\"sent_as\":{}}}",
        string(&event.signal.to_string()),
        string(&from(&event.origin)),
        whole_ms(event.at),
        or_null(sent_as.map(|signal| string(&signal.to_string())))
    )
}

/// The sender in the contract's words.
fn from(origin: &Origin) -> String {
    match origin {
        Origin::Outside => "outside".to_owned(),
        Origin::Exec(_) => "exec".to_owned(),
        Origin::Terminal => "terminal".to_owned(),
        Origin::Own => "self".to_owned(),
        Origin::Process(Sender { pid, name: Some(name) }) => {
            format!("pid {pid} ({})", crate::diagnose::wording::name(name))
        }
        Origin::Process(Sender { pid, name: None }) => format!("pid {pid}"),
        Origin::Claimed(pid) => format!("pid {pid} (by its own word)"),
    }
}

/// What `--drain` made of a process that was left, as two more keys of it.
fn drained_end(rest: &Rest) -> String {
    let (ended, after) = match rest.fate {
        RestFate::Exited(code, after) => (string(&format!("exit {code}")), Some(after)),
        RestFate::Signaled(signal, after) => (string(&signal.to_string()), Some(after)),
        RestFate::Gone => (string("gone"), None),
        RestFate::There => ("null".to_owned(), None),
    };
    format!(",\"ended\":{ended},\"after_ms\":{}", or_null(after.map(whole_ms)))
}

fn whole_ms(duration: Duration) -> u128 {
    duration.as_millis()
}

fn or_null(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

/// A string of JSON. The text is printable ASCII already, so that only two characters need a backslash.
pub(crate) fn string(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 2);
    written.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            written.push('\\');
        }
        written.push(character);
    }
    written.push('"');
    written
}
