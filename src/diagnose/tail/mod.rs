//! What the last lines of PROGRAM say of its end: recognized from their text alone. Whether the container bears it out
//! is checked elsewhere.

#![forbid(unsafe_code)]

mod extract;
mod meanings;
mod pattern;
mod speakers;
#[cfg(test)]
pub(super) mod tests;
mod traces;

use super::{Cause, Confidence, programs, registry};
use crate::evidence::tail::{Claim, MOST_LINES, Tail};
use crate::outcome::Outcome;
use meanings::Meant;
use speakers::{SPEAKERS, Speaker};

/// A recognized line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// What it says.
    pub cause: &'static Cause,
    /// As far as the text and the end that it goes with carry: certain for a runtime's own last words, likely for a line
    /// of a log.
    pub confidence: Confidence,
    /// The line, without colours and blanks around it: any bytes, of any length.
    pub quote: Vec<u8>,
    /// Which one of the tail's lines it is.
    pub line: usize,
    /// Whether it came from stdout.
    pub stdout: bool,
    /// Where it was raised, as the trace says it: `/app/db.py:14 in connect`.
    pub place: Option<Vec<u8>>,
    /// Whether it is a runtime's report of what nobody caught.
    pub uncaught: bool,
    /// Whether it tells of a thread, a worker or a child of the program: that alone need not have ended it.
    pub part: bool,
    /// What it says of the container.
    pub claim: Option<Claim>,
    /// What to do, where the line tells more than the cause; else empty.
    pub next: &'static str,
}

/// Programs that start others, besides shells.
const STARTERS: &[&str] = &["env", "nice", "nohup", "timeout", "chroot", "stdbuf", "setpriv", "gosu", "su-exec"];
/// Servers whose words are known.
const SERVERS: &[&str] = &[
    "nginx",
    "postgres",
    "mysqld",
    "mariadbd",
    "redis-server",
    "valkey-server",
    "apache2",
    "httpd",
    "haproxy",
    "memcached",
    "php-fpm",
];

/// How much a line counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// The last words of a runtime, a loader or a server: certain, if the end is the one that they come with.
    Own,
    /// The same, with a dump behind it that may be long.
    Dump,
    /// The same of a shell.
    Shell,
    /// The same of a server, in words that others use in their logs.
    Server,
    /// Last words by their end alone: another program says the same on other occasions.
    Only,
    /// The same of what starts commands: a shell, env.
    Command,
    /// A line of a log.
    Line,
    /// It says only that what it ran has failed.
    Wrapper,
    /// It is about a thread, a worker or a child.
    Part,
}

impl Weight {
    /// Whether somebody says why the program ends.
    fn said(self) -> bool {
        !matches!(self, Self::Line | Self::Wrapper | Self::Part)
    }
}

/// Lines behind last words that take nothing from them: what other threads and exit handlers still say.
const AFTERWARDS: usize = 8;
/// Of lines that are nobody's in particular, only the last are read.
const NEAR_THE_END: usize = 8;
/// By its own word, such a line of a log is no error.
const NO_ERROR: &str = "INFO|DEBUG|TRACE|NOTICE|WARN|[info|[debug|[notice|[warn|l=info|l=debug|l=warn|l\":\"info|l\":\"debug|l\":\"warn|^info: |^debug: |^warn";
/// Of a line, no more is looked at; the collector keeps about as much.
const LONGEST: usize = 4096;

/// A line that was recognized, and how it ranks among the others.
struct Found {
    /// The last line of what belongs to it.
    end: usize,
    weight: Weight,
    /// Whether the end is the one that goes with it.
    fits: bool,
    /// Whether it says what happened, not only that something did.
    telling: bool,
    signature: Signature,
}

/// The line that says why the program ended, if there is one that fits how it ended. `names`: the program's file, comm
/// and argv[0], without directories. After an exit with 0 only what a part of it met.
///
/// It wants all that was kept: a dump of Go's or a JVM's begins with its reason.
#[must_use]
pub fn recognize(tail: &Tail, outcome: &Outcome, names: &[&[u8]]) -> Option<Signature> {
    let end = End::of(outcome)?;
    let before = tail.lines.len().saturating_sub(MOST_LINES);
    let lines: Vec<Vec<u8>> = tail.lines.iter().skip(before).map(|line| plain(&line.text)).collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(text) = lines.get(at) {
        let one = traced(&lines, at, end, names).or_else(|| spoken(&lines, at, text, end));
        at = one.as_ref().map_or(at, |one| one.end) + 1;
        found.extend(one);
    }
    let mut found = choose(found, end, &lines)?;
    let known = |list: &[&str]| names.iter().any(|name| list.iter().any(|known| name.starts_with(known.as_bytes())));
    let shell = names.iter().any(|name| programs::is_runner(name));
    let own = match found.weight {
        Weight::Shell => shell,
        Weight::Command => shell || known(STARTERS),
        Weight::Server => known(SERVERS),
        // A shell ends with the status of whatever it ran last.
        _ => !shell,
    };
    if found.signature.confidence == Confidence::Certain && !own {
        found.signature.confidence = Confidence::Likely;
    }
    found.signature.line += before;
    found.signature.stdout = tail.lines.get(found.signature.line).is_some_and(|line| line.stdout);
    Some(found.signature)
}

/// The last of what counts most.
fn choose(mut found: Vec<Found>, end: End, lines: &[Vec<u8>]) -> Option<Found> {
    if end == End(0) {
        found.retain(|one| one.weight == Weight::Part);
        return found.pop();
    }
    let vouched = found.iter().rposition(|one| one.weight == Weight::Wrapper && one.fits);
    for one in found.iter_mut().take(vouched.unwrap_or(0)) {
        // What ran it says with the right status that it failed.
        one.fits |= one.weight.said();
    }
    // From each line on, how many say something of their own.
    let mut after = vec![0; lines.len() + 1];
    let mut wrappers = found.iter().filter(|one| one.weight == Weight::Wrapper).map(|one| one.end).rev().peekable();
    for (at, text) in lines.iter().enumerate().rev() {
        let counts = wrappers.next_if_eq(&at).is_none() && !text.is_empty();
        let later = after.get(at + 1).copied().unwrap_or_default();
        if let Some(count) = after.get_mut(at) {
            *count = later + usize::from(counts);
        }
    }
    let is_late = |one: &Found| after.get(one.end + 1).is_none_or(|after| *after <= AFTERWARDS);
    let rank = |one: &Found| match one.weight {
        Weight::Dump if one.fits => 5,
        weight if weight.said() && one.fits && is_late(one) => 5,
        weight if one.telling && (weight.said() || weight == Weight::Line && is_late(one)) => 4,
        Weight::Part => 3,
        Weight::Wrapper => 1,
        _ => 2,
    };
    // The last one of the highest rank.
    let (highest, mut one) = found.into_iter().map(|one| (rank(&one), one)).max_by_key(|(rank, _)| *rank)?;
    if highest < 5 && one.signature.confidence == Confidence::Certain {
        one.signature.confidence = Confidence::Likely;
    }
    // It has lived on after that.
    if one.weight == Weight::Line && !is_late(&one) {
        one.signature.confidence = Confidence::Possible;
    }
    Some(one)
}

/// How the program ended: its code, or its signal as a negative number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End(i16);

impl End {
    /// `None` where no line can be the reason: not started, or ended by a signal that somebody sends.
    fn of(outcome: &Outcome) -> Option<Self> {
        const RAISED: [i32; 7] =
            [libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGTRAP, libc::SIGFPE, libc::SIGSYS];
        match *outcome {
            Outcome::Exited(code) => Some(Self(code.into())),
            Outcome::Signaled { signal, .. } => {
                RAISED.contains(&signal.raw()).then(|| i16::try_from(signal.raw()).map(|raw| Self(-raw)).ok())?
            }
            Outcome::NotStarted(_) => None,
        }
    }

    /// Whether it is one of `ends`; a shell passes a signal on as 128 and its number. Where there are none, any failure
    /// that no signal raised.
    fn is_of(self, ends: &[i16]) -> bool {
        let passed_on = |signal: i16| signal.is_negative() && self.0 == 128 - signal;
        match ends {
            [] => self.0.is_positive(),
            ends => ends.iter().any(|end| *end == self.0 || passed_on(*end)),
        }
    }

    /// Whether a program that says what was wrong ends like this, whatever its runtime: with a failure, or abort(3).
    fn is_plain(self) -> bool {
        self.0 > 0 || i32::from(-self.0) == libc::SIGABRT
    }
}

/// The trace that begins at a line.
fn traced(lines: &[Vec<u8>], at: usize, end: End, names: &[&[u8]]) -> Option<Found> {
    let trace = traces::READERS.iter().find_map(|reader| reader(lines, at))?;
    if !trace.runtime.is_empty() && !names.iter().any(|name| name.starts_with(trace.runtime.as_bytes())) {
        return None;
    }
    let fits = end.is_of(trace.ends);
    if !fits && !trace.part && !end.is_plain() {
        return None;
    }
    let read = |at: usize| Some((at, meanings::read(traces::message(lines.get(at)?))?));
    let own = read(trace.quote);
    let known = own.is_some();
    // What it was raised for says more than an exception that says nothing.
    let (line, meant) = match own.or_else(|| read(trace.origin?)) {
        Some((line, meant)) => (line, meant),
        None => (trace.quote, Meant { cause: trace.cause, claim: None, next: "" }),
    };
    let mut confidence = if known || line == trace.quote { Confidence::Certain } else { Confidence::Likely };
    if trace.part || !(trace.uncaught || trace.last) || meant.cause.id == registry::ENV_VARIABLE_MISSING.id {
        confidence = Confidence::Likely;
    }
    let claim = match meant.claim {
        Some(Claim::Denied { path: None }) if trace.binds => Some(Claim::MayNotBind { port: None }),
        claim => claim,
    };
    let signature = Signature {
        cause: meant.cause,
        confidence,
        quote: quoted(lines, line)?,
        line,
        stdout: false,
        // The origin was raised elsewhere.
        place: trace.place.filter(|_| line == trace.quote),
        uncaught: trace.uncaught,
        part: trace.part,
        claim,
        next: meant.next,
    };
    let weight = match trace {
        _ if trace.part => Weight::Part,
        _ if trace.last => Weight::Dump,
        _ => Weight::Own,
    };
    Some(Found { end: trace.end.max(at), weight, fits, telling: true, signature })
}

/// The line at `at`. C++ says what was thrown in the line before.
fn quoted(lines: &[Vec<u8>], at: usize) -> Option<Vec<u8>> {
    let text = lines.get(at)?.trim_ascii();
    let before = at.checked_sub(1).and_then(|before| lines.get(before));
    let before = before.filter(|before| text.starts_with(b"what():") && before.starts_with(b"terminate called"));
    Some(before.map_or_else(|| text.to_vec(), |before| [before, text].join(&b", "[..])))
}

/// What a single line says.
fn spoken(lines: &[Vec<u8>], at: usize, text: &[u8], end: End) -> Option<Found> {
    if text.is_empty() {
        return None;
    }
    let fitting = |row: &&Speaker| {
        let fits = end.is_of(row.ends);
        let counts = match row.weight {
            Weight::Only | Weight::Command => fits,
            Weight::Part => true,
            _ => fits || end.is_plain(),
        };
        counts && pattern::occurs(row.pattern, text)
    };
    let row = SPEAKERS.iter().find(fitting);
    let near = lines.len() - at <= NEAR_THE_END;
    let meant = match row {
        Some(row) if !row.read => None,
        Some(_) => meanings::read(text),
        None if near && end.is_plain() && !pattern::occurs(NO_ERROR, text) => Some(meanings::read(text)?),
        None => return None,
    };
    let telling = meant.is_some() || row.is_some_and(|row| row.cause.id != registry::EXIT_ERROR.id);
    let fits = row.is_some_and(|row| end.is_of(row.ends));
    let (weight, meant) = match (row, meant) {
        // A wrapper may quote more than its own failure.
        (Some(row), Some(meant)) => (if row.weight == Weight::Wrapper { Weight::Line } else { row.weight }, meant),
        (Some(row), None) => {
            let at = pattern::find(row.pattern, text)?;
            let claim = extract::claim(row.kind, text, at);
            (row.weight, Meant { cause: row.cause, claim, next: row.next })
        }
        (None, meant) => (Weight::Line, meant?),
    };
    let said = weight.said();
    let last = lines.iter().skip(at + 1).all(Vec::is_empty);
    let confidence = match weight {
        // The name may be of something else.
        Weight::Own | Weight::Dump | Weight::Server if meant.cause.id == registry::ENV_VARIABLE_MISSING.id => {
            Confidence::Likely
        }
        _ if said && fits => Confidence::Certain,
        Weight::Part => Confidence::Possible,
        _ if said || row.is_some() && telling || last => Confidence::Likely,
        _ => Confidence::Possible,
    };
    let signature = Signature {
        cause: meant.cause,
        confidence,
        quote: text.trim_ascii().to_vec(),
        line: at,
        stdout: false,
        place: None,
        uncaught: false,
        part: weight == Weight::Part,
        claim: meant.claim,
        next: meant.next,
    };
    Some(Found { end: at, weight, fits, telling, signature })
}

/// A line without colours (ECMA-48, CSI) and without blanks at its end.
fn plain(text: &[u8]) -> Vec<u8> {
    let text = text.get(..LONGEST).unwrap_or(text);
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if let (0x1b, Some(sequence)) = (first, after.strip_prefix(b"[")) {
            let end = sequence.iter().position(|byte| (0x40..=0x7e).contains(byte)).map_or(sequence.len(), |at| at + 1);
            rest = sequence.get(end..).unwrap_or_default();
        } else {
            plain.push(*first);
        }
    }
    plain.truncate(plain.trim_ascii_end().len());
    plain
}
