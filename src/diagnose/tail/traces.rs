//! What takes more than a line: the traces of the runtimes. Each reader is given a line at which its trace may begin,
//! and finds the line to be quoted, the place that raised it and the trace's end.

#![forbid(unsafe_code)]

use super::pattern::{find, occurs};
use crate::diagnose::Cause;
use crate::diagnose::registry as cause;

/// A trace.
pub(super) struct Trace {
    /// The line to be quoted.
    pub quote: usize,
    /// Its last line.
    pub end: usize,
    pub place: Option<Vec<u8>>,
    /// As in the table of speakers.
    pub ends: &'static [i16],
    /// Where the message itself says nothing that is known.
    pub cause: &'static Cause,
    /// Whether it is of a thread, or of an exception that somebody caught and logged.
    pub part: bool,
    /// Whether the runtime says that nobody caught it.
    pub uncaught: bool,
    /// An exception that this one was raised for: its line.
    pub origin: Option<usize>,
    /// Whether the program is at its end by then: what follows is a dump.
    pub last: bool,
    /// Whether a line of it calls bind(2).
    pub binds: bool,
    /// What the program's name begins with; empty where the trace alone shows its language.
    pub runtime: &'static str,
}

impl Trace {
    fn new(quote: usize, end: usize, place: Option<Vec<u8>>, ends: &'static [i16]) -> Self {
        let cause = &cause::UNCAUGHT_EXCEPTION;
        let (part, uncaught, last, binds, origin) = (false, true, false, false, None);
        Self { quote, end, place, ends, cause, part, uncaught, origin, last, binds, runtime: "" }
    }
}

/// The message of a line without what the runtime puts before it.
#[inline(never)]
pub(super) fn message(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii();
    let start = find("^Caused by: |^Exception in thread \"*\" |^---> |^Unhandled exception. |^[cause]: |^| ", text);
    text.get(start.unwrap_or(0)..).unwrap_or(text)
}

/// Lines as they came, without colours and blanks at their ends.
pub(super) type Lines<'a> = &'a [Vec<u8>];

/// The readers, each for the line at which it is asked.
pub(super) const READERS: &[fn(Lines<'_>, usize) -> Option<Trace>] =
    &[python, python_message, java, node, go, rust, ruby, php, dotnet, cpp, lua, haskell, spring, perl, musl];

#[inline(never)]
fn line<'a>(lines: Lines<'a>, at: usize) -> &'a [u8] {
    lines.get(at).map_or(&[], Vec::as_slice)
}

/// What stands between `open` and `close`; without `close`, all that is left.
#[inline(never)]
fn between<'a>(text: &'a [u8], open: &str, close: &str) -> Option<&'a [u8]> {
    let rest = text.get(find(open, text)?..)?;
    let end = if close.is_empty() { rest.len() } else { find(close, rest)?.checked_sub(close.len())? };
    rest.get(..end)
}

/// `PLACE in NAME`.
#[inline(never)]
fn place(path: &[u8], line: &[u8], name: Option<&[u8]>) -> Vec<u8> {
    let mut place = [path, line].join(&b':');
    if let Some(name) = name.filter(|name| !name.is_empty() && !name.starts_with(b"<")) {
        place.extend_from_slice(b" in ");
        place.extend_from_slice(name);
    }
    place
}

/// Python's frames: `  File "x", line 3, in f`, then the line and perhaps markers, then the exception without indent.
fn python(lines: Lines<'_>, at: usize) -> Option<Trace> {
    if !is_frame(line(lines, at)) || has_begun(lines, at) {
        return None;
    }
    let first = at;
    let (mut found, mut deepest, mut binds) = (None, None, false);
    let mut end = first;
    while let Some(text) = lines.get(end).filter(|text| text.starts_with(b" ")) {
        if is_frame(text) {
            let path = between(text, "File \"", "\"")?;
            let number = text.get(find("\", line ", text)?..)?;
            let digits = number.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(number.len());
            let name = between(text, ", in ", "");
            let own = !occurs("-packages/|lib/python|<frozen|^<string>", path);
            let frame = place(path, number.get(..digits)?, name);
            if own {
                found = Some(frame);
            } else if !path.starts_with(b"<") {
                deepest = Some(frame);
            }
        }
        binds |= find(".bind(", text).is_some();
        end += 1;
    }
    let message = lines.get(end)?;
    // Ctrl-C, or a SIGINT: no fault of its own.
    if !is_exception(message) || message.starts_with(b"KeyboardInterrupt") {
        return None;
    }
    let before = |back: usize| first.checked_sub(back).map_or(&b""[..], |at| line(lines, at));
    let header = before(1).starts_with(b"Traceback (most recent call last)");
    let title = if header { before(2) } else { before(1) };
    // logging.exception() writes the same, below a line of its own.
    let logged = occurs("ERROR|CRITICAL|WARNING|error|Error:", title) && !occurs("Exception in worker process", title);
    let chained = |text: &[u8]| occurs("direct cause of the following exception|another exception occurred", text);
    let origin = if header && chained(before(3)) {
        (0..first.saturating_sub(4)).rev().find(|at| is_exception(line(lines, *at)))
    } else {
        None
    };
    Some(Trace {
        part: occurs("^Exception in thread|^Exception ignored", title),
        uncaught: header && !logged || occurs("^SyntaxError|^IndentationError|^TabError", message),
        origin,
        binds,
        ..Trace::new(end, end, found.or(deepest), &[1])
    })
}

fn is_frame(text: &[u8]) -> bool {
    text.starts_with(b"  File \"")
}

/// Whether a frame stands before this one: what was no trace from there on is none from here, and need not be read again.
fn has_begun(lines: Lines<'_>, at: usize) -> bool {
    (0..at).rev().map(|at| line(lines, at)).find(|text| !text.starts_with(b"    ")).is_some_and(is_frame)
}

/// The last line of a Python exception whose frames were cut off, or that has none.
fn python_message(lines: Lines<'_>, at: usize) -> Option<Trace> {
    // "Error: " alone is anybody's word.
    let first = at == 0
        && line(lines, 1).is_empty()
        && occurs("^*Error: |^*Exception: ", line(lines, 0))
        && !line(lines, 0).starts_with(b"Error: ")
        && is_exception(line(lines, 0));
    let group = line(lines, at).starts_with(b"  | ExceptionGroup: ");
    let end = at + lines.iter().skip(at + 1).take_while(|text| text.starts_with(b"  ")).count();
    (group || first).then(|| Trace { uncaught: group, ..Trace::new(at, end, None, &[1]) })
}

/// `a.b.Name` or `a.b.Name: message`.
fn is_exception(text: &[u8]) -> bool {
    let end = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
    let name = text.get(..end).unwrap_or_default();
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_');
    name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(word)
        && matches!(text.get(end + 1), None | Some(b' '))
        && !name.ends_with(b".")
        && (name.iter().any(u8::is_ascii_uppercase) || name.ends_with(b"error"))
}

/// `Exception in thread "main" x.Y: message`, frames `\tat x.y(F.java:1)`, `Caused by: x.Z: message`: the last of those
/// is the root.
fn java(lines: Lines<'_>, at: usize) -> Option<Trace> {
    let text = line(lines, at);
    let is_frame = |text: &[u8]| text.starts_with(b"\tat ") || text.starts_with(b"\t... ");
    let header = text.starts_with(b"Exception in thread \"");
    let starts = header
        || text.starts_with(b"Caused by: ")
        || is_frame(line(lines, at + 1)) && !text.starts_with(b"\t") && occurs("Exception|Error", text);
    // Not a second time for a message of several lines.
    let before = at.checked_sub(1).map(|before| line(lines, before));
    let inside = before.is_some_and(|before| before.starts_with(b"Exception in thread \""));
    if !starts || inside && !header {
        return None;
    }
    let (mut quote, mut end) = (at, at);
    while let Some(next) = lines.get(end + 1) {
        if next.starts_with(b"Caused by: ") {
            quote = end + 1;
        } else if !next.starts_with(b"\t") {
            break;
        }
        end += 1;
    }
    if !header && end == at {
        return None;
    }
    let foreign = "^\tat java.|^\tat javax.|^\tat jdk.|^\tat sun.|^\tat java.base/|^\tat org.springframework.|^\tat org.apache.|^\t...";
    let frames = || (quote..=end).chain(at..=quote).map(|at| line(lines, at)).filter(|text| is_frame(text));
    let frame = frames().find(|text| !occurs(foreign, text)).or_else(|| frames().next());
    let place = frame.and_then(|text| {
        let name = between(text, "\tat ", "(")?;
        let file = between(text, "(", ")")?;
        Some([file, b" in ", name].concat())
    });
    let part = header && !text.starts_with(b"Exception in thread \"main\"");
    Some(Trace { part, uncaught: header, ..Trace::new(quote, end, place, &[1]) })
}

/// The source line with a mark below it, an empty line, the error, frames, perhaps the error's fields, `Node.js v20`.
fn node(lines: Lines<'_>, at: usize) -> Option<Trace> {
    let text = line(lines, at);
    if text.is_empty() || text.starts_with(b" ") {
        return None;
    }
    let frame = |at: usize| line(lines, at).starts_with(b"    at ");
    let thrown = occurs("^(Use `node --trace-uncaught", line(lines, at + 1));
    let begins = occurs("Error|^UnhandledPromiseRejection|Exception|^[", text) && !text.starts_with(b"Emitted");
    let marked =
        |at: usize| !line(lines, at).is_empty() && line(lines, at).trim_ascii().iter().all(|byte| *byte == b'^');
    if marked(at + 1) {
        return None;
    }
    // Some messages have lines between the error and its frames.
    let first = (at..at + 8).find(|at| frame(*at));
    let plain = first.is_some() && !(at..first?).any(|at| occurs("^Emitted|^Node.js v", line(lines, at)));
    let last = (at..lines.len().min(at + 80)).find(|at| occurs("^Node.js v%", line(lines, *at)));
    if !thrown && !(begins && (plain || last.is_some())) {
        return None;
    }
    // An error inside of another one's fields is indented.
    let end = last.unwrap_or_else(|| {
        let rest =
            (at + 1..lines.len()).take_while(|at| line(lines, *at).starts_with(b" ") || line(lines, *at) == b"}");
        rest.last().unwrap_or(at)
    });
    let own = |text: &&[u8]| occurs("^    at */*:%", text) && !occurs("(node:|at node:|node_modules|internal/", text);
    let place = (at..=end).map(|at| line(lines, at)).find(own).and_then(|text| match between(text, "(", ")") {
        Some(file) => {
            let name = between(text, "    at ", " (")?;
            let name = name.strip_prefix(b"async ").unwrap_or(name);
            let known = !name.starts_with(b"Object.<anonymous>");
            Some(if known { [file, b" in ", name].concat() } else { file.to_vec() })
        }
        None => {
            let text = text.trim_ascii().strip_prefix(b"at ")?;
            let text = text.strip_prefix(b"async ").unwrap_or(text);
            Some(text.strip_suffix(b" {").unwrap_or(text).to_vec())
        }
    });
    // The cause of the error stands among its fields.
    let origin = (at..=end).rev().find(|at| occurs("^  [cause]: ", line(lines, *at)));
    let uncaught = last.is_some() || at.checked_sub(2).is_some_and(|mark| occurs("^ *^$", line(lines, mark)));
    Some(Trace { uncaught, origin, ..Trace::new(at, end, place, &[1, 7]) })
}

/// `panic: x` or `fatal error: x`, then the stacks of the goroutines: the one that runs comes first.
fn go(lines: Lines<'_>, at: usize) -> Option<Trace> {
    let text = line(lines, at);
    if !occurs(
        "^panic: |^fatal error: |^SIGQUIT: |^SIGABRT: |^SIGTERM: |^SIGSEGV: |^runtime: failed to create new OS thread",
        text,
    ) {
        return None;
    }
    let stack = (at..lines.len().min(at + 30)).find(|at| occurs("^goroutine %*[", line(lines, *at)))?;
    let own = |at: &usize| {
        let file = line(lines, *at);
        occurs("^\t*.go:%", file) && {
            let function = line(lines, at - 1);
            !occurs("^panic(|^runtime.|^created by |^testing.|^log.|^main.main.func%*.%*.0(", function)
                && !occurs("\truntime/|/src/runtime/", file)
        }
    };
    let frames = stack..lines.len();
    let stops = frames.clone().find(|at| line(lines, *at).is_empty()).unwrap_or(lines.len());
    let place = (stack..stops).find(own).and_then(|at| {
        let file = line(lines, at).trim_ascii();
        let file = file.split(|byte| *byte == b' ').next()?;
        let function = line(lines, at - 1);
        let name = function.get(..function.iter().rposition(|byte| *byte == b'(')?)?;
        Some([file, b" in ", name].concat())
    });
    let end = frames.rev().find(|at| line(lines, *at).starts_with(b"\t")).unwrap_or(stack);
    Some(Trace { cause: &cause::GO_PANIC, last: true, ..Trace::new(at, end, place, &[2, -6]) })
}

/// `thread 'main' panicked at src/main.rs:2:5:` and the message in the next line; before 1.73 `'message', src/main.rs:2:5`.
fn rust(lines: Lines<'_>, at: usize) -> Option<Trace> {
    let text = line(lines, at);
    let panicked = find(
        "^thread '*' panicked at |^thread '*' (%*) panicked at |^thread <unnamed> panicked at |^thread '<unnamed>' panicked at ",
        text,
    )?;
    let rest = text.get(panicked..)?;
    let (quote, place) = match rest.strip_suffix(b":") {
        Some(place) if !line(lines, at + 1).is_empty() => (at + 1, place),
        Some(place) => (at, place),
        None => (at, rest.get(rest.windows(3).rposition(|three| three == b"', ").map_or(0, |at| at + 3)..)?),
    };
    let rest = (quote + 1..lines.len())
        .take_while(|at| occurs("^note: |^stack backtrace:|^ |^  left: |^ right: ", line(lines, *at)));
    let trace = Trace::new(quote, rest.last().unwrap_or(quote), Some(place.to_vec()), &[101, -6]);
    Some(Trace { cause: &cause::RUST_PANIC, part: !text.starts_with(b"thread 'main'"), ..trace })
}

/// `app.rb:2:in 'connect': message (ArgumentError)`, then `\tfrom app.rb:4:in '<main>'`.
fn ruby(lines: Lines<'_>, at: usize) -> Option<Trace> {
    let text = line(lines, at);
    let raised = occurs(":%*:in `*': *(*)$|:%*:in '*': *(*)$|:in `*': unhandled exception", text);
    let syntax = occurs("^*.rb:%*: syntax error", text);
    if !(raised || syntax) {
        return None;
    }
    let frames = (at + 1..lines.len())
        .take_while(|at| line(lines, *at).starts_with(b"\t") || line(lines, *at).starts_with(b" "));
    let end = frames.last().unwrap_or(at);
    let place = (at..=end)
        .map(|at| line(lines, at))
        .find(|text| !occurs("<internal:|/gems/|/rubygems/|/usr/lib/ruby/", text))
        .and_then(|text| {
            let text = text.strip_prefix(b"\tfrom ").unwrap_or(text);
            let file = text.get(..find(":%", text)?.checked_sub(2)?)?;
            let rest = text.get(file.len() + 1..)?;
            let digits = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
            let name = between(rest, ":in `", "'").or_else(|| between(rest, ":in '", "'"));
            Some(place(file, rest.get(..digits)?, name))
        });
    let part =
        at.checked_sub(1).is_some_and(|before| occurs("^#<Thread:*terminated with exception", line(lines, before)));
    Some(Trace { part, ..Trace::new(at, end, place, &[1]) })
}

/// `PHP Fatal error:  Uncaught X: message in /app.php:3`, at the end `  thrown in /app.php on line 3`; or `... in /app.php on
/// line 3` at once.
fn php(lines: Lines<'_>, at: usize) -> Option<Trace> {
    let text = line(lines, at);
    find("^PHP Fatal error: |^Fatal error: |^PHP Parse error: |^Parse error: ", text)?;
    let rest = (at + 1..lines.len()).take_while(|at| occurs("^Stack trace:|^#%|^  thrown in ", line(lines, *at)));
    let end = rest.last().unwrap_or(at);
    let last = line(lines, end);
    let place = last.windows(4).rposition(|four| four == b" in ").and_then(|at| {
        let rest = last.get(at + 4..)?;
        let number = find(" on line ", rest)?;
        let file = rest.get(..number)?.strip_suffix(b" on line ")?;
        let number = rest.get(number..)?;
        number.iter().all(u8::is_ascii_digit).then(|| place(file, number, None))
    });
    let trace = Trace::new(at, end, place, &[255]);
    Some(if occurs("Parse error: ", text) { Trace { cause: &cause::SYNTAX_ERROR, ..trace } } else { trace })
}

/// `Unhandled exception. X: message`, ` ---> Y: inner`, `   at A.B() in /src/a.cs:line 12`.
fn dotnet(lines: Lines<'_>, at: usize) -> Option<Trace> {
    if !occurs("^Unhandled exception. |^Unhandled Exception: ", line(lines, at)) {
        return None;
    }
    let rest = (at + 1..lines.len()).take_while(|at| line(lines, *at).starts_with(b" "));
    let end = rest.last().unwrap_or(at);
    let quote = (at..=end).rev().find(|at| line(lines, *at).starts_with(b" ---> ")).unwrap_or(at);
    let place = (at..=end).find_map(|at| {
        let text = line(lines, at);
        let file = between(text, " in ", ":line ")?;
        Some(place(file, text.get(find(":line ", text)?..)?, between(text, "   at ", "(")))
    });
    Some(Trace::new(quote, end, place, &[-6]))
}

/// `terminate called after throwing an instance of 'X'`, `  what():  message`.
fn cpp(lines: Lines<'_>, at: usize) -> Option<Trace> {
    if !occurs("^terminate called after throwing an instance of '", line(lines, at)) {
        return None;
    }
    let quote = if occurs("^  what():", line(lines, at + 1)) { at + 1 } else { at };
    Some(Trace::new(quote, quote, None, &[-6]))
}

/// `lua: app.lua:2: message`, then `stack traceback:`.
fn lua(lines: Lines<'_>, at: usize) -> Option<Trace> {
    let text = line(lines, at);
    if !occurs("^lua*: |^*/lua*: |^luajit*: |^*/luajit*: ", text) {
        return None;
    }
    let stack = (at..lines.len().min(at + 40)).find(|at| line(lines, *at) == b"stack traceback:")?;
    let end = (stack + 1..lines.len()).take_while(|at| line(lines, *at).starts_with(b"\t")).last().unwrap_or(stack);
    let place = between(text, ": ", ":%").and_then(|file| {
        let number = text.get(find(": ", text)? + file.len() + 1..)?;
        let digits = number.iter().position(|byte| !byte.is_ascii_digit())?;
        Some(place(file, number.get(..digits)?, None))
    });
    Some(Trace::new(at, end, place, &[1]))
}

/// `app: message`, then `CallStack (from HasCallStack):`.
fn haskell(lines: Lines<'_>, at: usize) -> Option<Trace> {
    if line(lines, at).is_empty() || line(lines, at + 1) != b"CallStack (from HasCallStack):" {
        return None;
    }
    let end = (at + 2..lines.len()).take_while(|at| line(lines, *at).starts_with(b"  ")).last().unwrap_or(at);
    let called = line(lines, at + 2);
    let place = between(called, "called at ", " in ").map(<[u8]>::to_vec);
    Some(Trace::new(at, end, place, &[1]))
}

/// `APPLICATION FAILED TO START`, `Description:`, an empty line, the reason.
fn spring(lines: Lines<'_>, at: usize) -> Option<Trace> {
    if line(lines, at) != b"APPLICATION FAILED TO START" {
        return None;
    }
    let title = (at..lines.len()).find(|at| line(lines, *at) == b"Description:")?;
    let quote = (title + 1..lines.len()).find(|at| !line(lines, *at).is_empty())?;
    Some(Trace { cause: &cause::CONFIGURATION_ERROR, last: true, ..Trace::new(quote, quote, None, &[1]) })
}

/// `message at app.pl line 3.`, also with `, <STDIN> line 5.` behind it.
fn perl(lines: Lines<'_>, at: usize) -> Option<Trace> {
    let text = line(lines, at);
    if occurs("^BEGIN failed--|^Compilation failed in require", text) {
        return None;
    }
    let syntax = occurs("^syntax error at * line %", text);
    if !syntax
        && !occurs(
            "^* at *.pl line %*.$|^* at *.pm line %*.$|^* at *.t line %*.$|^* at -e line %*.$|^* at * line %*, <*> line %*.$",
            text,
        )
    {
        return None;
    }
    let from = text.windows(4).rposition(|four| four == b" at ")? + 4;
    let rest = text.get(from..)?;
    let file = rest.get(..find(" line ", rest)?.checked_sub(6)?)?;
    let number = rest.get(file.len() + 6..)?;
    let digits = number.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(number.len());
    // die ends with errno where there is one.
    const ENDS: &[i16] = &[255, 1, 2, 9, 13, 17, 20, 22, 24, 28, 30, 32, 98, 99, 104, 110, 111, 113];
    Some(Trace { runtime: "perl", ..Trace::new(at, at, Some(place(file, number.get(..digits)?, None)), ENDS) })
}

/// `Error loading shared library x: reason (needed by y)`, then a line for each symbol that is missing for it: the first is
/// the reason.
fn musl(lines: Lines<'_>, at: usize) -> Option<Trace> {
    let is_one = |at: &usize| occurs("^Error loading shared library |^Error relocating ", line(lines, *at));
    let end = (at..lines.len()).take_while(is_one).last()?;
    let trace = Trace { uncaught: false, last: true, ..Trace::new(at, end, None, &[127]) };
    Some(Trace { cause: &cause::LIBRARY_INCOMPATIBLE, ..trace })
}
