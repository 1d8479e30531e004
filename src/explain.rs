//! `--explain`: exit codes, statuses, signals and causes in words for a terminal. Words in, text out.

#![forbid(unsafe_code)]

mod topics;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::cli::{Format, quoted};
use crate::diagnose::Cause;
use crate::diagnose::codes::{ROWS, Row, sysexit};
use crate::diagnose::registry;
use crate::report::json_string;
use crate::signals::Signo;
use topics::{CODES, Topic, default_action, of_signal};

/// Narrower is unreadable.
const NARROWEST: usize = 40;
/// Longer lines are hard to read.
const WIDEST: usize = 100;

/// The text for `words`, for a terminal of `width` columns. Without words: the whole table, or as JSON the registry of
/// causes.
///
/// # Errors
/// A line that names the word that is none of these.
pub fn explain(words: &[OsString], format: Format, width: usize) -> Result<String, String> {
    let mut page = Page { text: String::new(), width: width.clamp(NARROWEST, WIDEST) };
    let whats = words.iter().map(what).collect::<Result<Vec<_>, _>>()?;
    if format == Format::Json {
        return as_json(&whats);
    }
    if whats.is_empty() {
        table(&mut page);
    }
    for (i, what) in whats.iter().enumerate() {
        if i > 0 {
            page.line("");
        }
        match *what {
            What::Number(number) => page.number(number),
            What::Signal(signal) => page.signal(signal),
            What::Cause(cause) => page.cause(cause),
        }
    }
    Ok(page.text)
}

/// What a word asks for.
#[derive(Clone, Copy)]
enum What {
    Number(i64),
    Signal(Signo),
    Cause(&'static Cause),
}

fn what(word: &OsString) -> Result<What, String> {
    let text = word.to_str().unwrap_or_default();
    if let Ok(number) = text.parse() {
        return Ok(What::Number(number));
    }
    if let Some(signal) = Signo::parse(text) {
        return Ok(What::Signal(signal));
    }
    let cause = registry::ALL.iter().find(|cause| cause.id == text);
    cause.map(|cause| What::Cause(cause)).ok_or_else(|| {
        format!(
            "--explain: {} is no exit status, signal or cause (rinit --explain lists them)",
            quoted(word.as_bytes())
        )
    })
}

fn as_json(whats: &[What]) -> Result<String, String> {
    let asked: Vec<&Cause> =
        whats.iter().filter_map(|what| if let What::Cause(cause) = what { Some(*cause) } else { None }).collect();
    if asked.len() < whats.len() {
        return Err("--explain: as JSON there are causes alone".to_owned());
    }
    let causes = if asked.is_empty() { registry::ALL.to_vec() } else { asked };
    let object = |cause: &&Cause| {
        format!(
            "{{\"id\":{},\"class\":{},\"summary\":{},\"proof\":{},\"next\":{}}}",
            json_string(cause.id),
            json_string(cause.class.as_str()),
            json_string(cause.summary),
            json_string(cause.proof),
            json_string(cause.next)
        )
    };
    let causes: Vec<String> = causes.iter().map(object).collect();
    Ok(format!("{{\"schema\":1,\"causes\":[\n{}\n]}}\n", causes.join(",\n")))
}

/// A text in the making.
struct Page {
    text: String,
    width: usize,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// `text` behind `label`, broken between words, its further lines under the text's beginning.
    fn item(&mut self, label: &str, text: &str) {
        let indent = label.len();
        self.text.push_str(label);
        let mut column = indent;
        for word in text.split(' ') {
            if column > indent && column + 1 + word.len() > self.width {
                self.text.push('\n');
                self.text.extend(std::iter::repeat_n(' ', indent));
                column = indent;
            } else if column > indent {
                self.text.push(' ');
                column += 1;
            }
            self.text.push_str(word);
            column += word.len();
        }
        self.text.push('\n');
    }

    fn paragraph(&mut self, text: &str) {
        if !text.is_empty() {
            self.item("  ", text);
        }
    }

    fn list(&mut self, title: &str, items: &[&str], numbered: bool) {
        if items.is_empty() {
            return;
        }
        self.line(title);
        for (i, item) in items.iter().enumerate() {
            let label = if numbered { format!("{:>4}. ", i + 1) } else { "    - ".to_owned() };
            self.item(&label, item);
        }
    }

    fn number(&mut self, number: i64) {
        // exit(3): "status & 0xFF".
        let code = number.rem_euclid(256) as u8;
        if i64::from(code) != number {
            self.item(
                "",
                &format!("{number} becomes {code}: the kernel keeps the low 8 bits of what a program exits with."),
            );
            if number < 0 {
                self.paragraph(
                    "dash and busybox sh refuse a negative number: there it has to come from another program.",
                );
            }
            if code == 0 {
                self.paragraph("So this failure looks like a success. Have the program exit with 1 to 255.");
            }
        }
        self.code(code);
    }

    fn code(&mut self, code: u8) {
        let topic = CODES.iter().find(|(its, _)| *its == code).map(|(_, topic)| topic);
        let signal = Signo::new(i32::from(code) - 128);
        let title = match (topic, signal, sysexit(code)) {
            (Some(topic), ..) => topic.title.to_owned(),
            (_, Some(signal), _) if signal.can_end() => {
                format!("{signal} (128+{}), or a program's own code", signal.raw())
            }
            (.., Some((name, _))) => format!("a program's own code, {name} in sysexits.h"),
            _ => "a program's own code".to_owned(),
        };
        self.item("", &format!("exit status {code}: {title}"));
        match (topic, signal) {
            (Some(topic), _) => self.topic(topic),
            (None, Some(signal)) if signal.can_end() => {
                self.paragraph(&format!("Two different ends show this number, and the report tells them apart: \"was killed by {signal}\", or \"ended by\" it, means that the signal ended the program itself. \"exited with status {code}\" means that it ended by itself, and reports somebody else's end, or something of its own."));
                self.line("");
                self.signal(signal);
            }
            _ => self.own(code, signal),
        }
        self.programs(code);
    }

    /// A code that only the program can explain.
    fn own(&mut self, code: u8, signal: Option<Signo>) {
        self.paragraph("The program ended by itself and chose this number. What it means stands in its documentation, and mostly at the end of its output: kubectl logs POD --previous, docker logs CONTAINER.");
        if let Some((_, means)) = sysexit(code) {
            self.paragraph(&format!("Programs that follow sysexits.h mean: {means}. Few do."));
        }
        match (signal, code) {
            (Some(signal), _) => {
                self.paragraph(&format!("128+{} would be {signal}, of which no program dies.", signal.raw()))
            }
            (None, 193..) => self.paragraph("No signal: those end at 64, so that 128+n ends at 192."),
            (None, _) if Signo::new(code.into()).is_some_and(Signo::can_end) => {
                let died = u16::from(code) + 128;
                self.paragraph(&format!(
                    "Not signal {code}: a program that this signal ends shows 128 plus its number, {died}."
                ));
            }
            _ => {}
        }
        self.paragraph(&format!("A larger number shows so too: exit({}) is {code}.", u16::from(code) + 256));
    }

    /// What known programs mean by `code`.
    fn programs(&mut self, code: u8) {
        let rows: Vec<&Row> = ROWS.iter().filter(|row| row.codes.contains(&code)).collect();
        if !rows.is_empty() {
            self.line("In these programs:");
        }
        for row in rows {
            let next = if row.next.is_empty() { String::new() } else { format!(". Do: {}", row.next) };
            self.item("    - ", &format!("{}: {}{next}", row.who.label, row.means));
        }
    }

    fn signal(&mut self, signal: Signo) {
        let topic = of_signal(signal);
        let number = signal.raw();
        self.item("", &format!("{signal}, signal {number}: {}", topic.title));
        let status = if signal.can_end() {
            format!(" Ended by it, a program shows status {}.", 128 + number)
        } else {
            String::new()
        };
        self.paragraph(&format!("It {}.{status}", default_action(signal)));
        // signal(7): these have other numbers on MIPS, and some on other machines.
        if matches!(number, 7 | 10 | 12 | 16..=31) {
            self.paragraph("Its number is that of x86 and ARM: MIPS, SPARC, PA-RISC and Alpha count differently.");
        }
        self.topic(topic);
    }

    fn topic(&mut self, topic: &Topic) {
        self.paragraph(topic.means);
        if !topic.not.is_empty() {
            self.line("Often mistaken:");
            self.paragraph(topic.not);
        }
        self.list("Causes, the likeliest first:", topic.causes, true);
        self.list("To tell them apart:", topic.apart, false);
        if !topic.todo.is_empty() {
            self.line("What to do:");
            self.paragraph(topic.todo);
        }
    }

    fn cause(&mut self, cause: &Cause) {
        self.item("", &format!("{}: {}", cause.id, cause.summary));
        self.paragraph(&format!("Class {}. Proof: {}.", cause.class.as_str(), cause.proof));
        self.line("What to do:");
        self.paragraph(cause.next);
    }
}

/// Everything, in a line each.
fn table(page: &mut Page) {
    page.item("", "Exit statuses of a program. rinit --explain WHAT... says more of a status, a signal (SEGV, RTMIN+3) or a cause.");
    page.line("");
    for code in 0..=255 {
        let topic = CODES.iter().find(|(its, _)| *its == code).map(|(_, topic)| topic.title);
        let (label, text) = match (code, topic) {
            (_, Some(title)) => (code.to_string(), title),
            (3, _) => {
                ("3-123".to_owned(), "the program's own; 64-78 sysexits.h, in programs that follow it; 101 Rust: panic")
            }
            (129, _) => (
                "129-192".to_owned(),
                "128+n: signal n ended it, or a program's own: shells so report the end of a command",
            ),
            (193, _) => ("193-254".to_owned(), "the program's own; no signals"),
            _ => continue,
        };
        page.item(&format!("  {label:<9}"), text);
    }
    page.item("  >255, -1 ", "the low 8 bits: 256 is 0, 300 is 44, -1 is 255");
    page.line("");
    page.item("", "Signals, and the status that a program shows when one ends it:");
    for signal in Signo::all().filter(|signal| signal.raw() < 32) {
        let status = if signal.can_end() { (128 + signal.raw()).to_string() } else { "-".to_owned() };
        page.item(&format!("  {status:<5}{:<11}", signal.to_string()), of_signal(signal).title);
    }
    page.item("  162-192  ", "SIGRTMIN (34) to SIGRTMAX (64)");
    page.line("");
    page.item("", "Where to look:");
    page.item("    - ", "kubectl describe pod POD: State and Last State (Waiting, Running, Terminated) with Reason (Completed, Error, OOMKilled, StartError), Exit Code, Started, Finished, and as Message the report of rinit. Events tell probes, evictions and rollouts.");
    page.item("    - ", "docker ps -a --filter exited=N, docker inspect: State.ExitCode, State.OOMKilled, State.Error. A container is created, running, paused, restarting, removing, exited or dead.");
    page.item("    - ", "Without a report of rinit's, 125 to 128 and 255 may come from an engine that never started the container, or that lost its status.");
    page.item(
        "    - ",
        "kubectl logs POD --previous: the output of the container that ended, not of the one that runs now.",
    );
    page.line("");
    page.item("", "PID 1: a program that is PID 1 itself gets no signal that it does not handle (but SIGKILL and SIGSTOP from outside), and has to reap orphans. Under rinit neither matters: rinit is PID 1.");
    page.line("");
    let ids: Vec<&str> = registry::ALL.iter().map(|cause| cause.id).collect();
    page.item("", &format!("Causes that a report can name: {}", ids.join(" ")));
}
