//! The command line and the environment: bytes in, a [`Config`] or a usage error out.

#![forbid(unsafe_code)]

mod peers;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use lexopt::Parser;
use lexopt::prelude::*;
use log::LevelFilter;

use crate::signals::{Signo, digits};
pub use peers::Peer;

/// What rinit was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Run PROGRAM, which is `argv[program]` of rinit's own argv.
    Run {
        /// How.
        config: Config,
        /// Index of PROGRAM in rinit's argv.
        program: usize,
    },
    /// `--pause`: no PROGRAM, reap until SIGTERM or SIGINT.
    Pause(Config),
    /// `RINIT_OFF=1`: execute `argv[program]` in rinit's place.
    StandAside {
        /// Index of PROGRAM in rinit's argv.
        program: usize,
    },
    /// `--help`, `--version`, `--license`: print this to stdout and exit 0.
    Print(&'static str),
    /// The same to stderr, where some of the [`Peer`]s print it.
    PrintToStderr(&'static str),
    /// `--check`: print what rinit sees here and exit 0.
    Check(Config),
    /// `--install PATH`.
    Install(OsString),
    /// `--explain WHAT...`: print what these mean to stdout and exit 0.
    Explain {
        /// Codes, signals, causes; none is the whole table.
        words: Vec<OsString>,
        /// Text, or the registry of causes as JSON.
        format: Format,
    },
}

/// Every setting of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// By whose name rinit was called, if by another's.
    pub peer: Option<Peer>,
    /// dumb-init's default: PROGRAM leads a session of its own.
    pub session: bool,
    /// `--group`
    pub group: bool,
    /// `--rewrite`: at most one for a signal; `None` drops it.
    pub rewrite: Vec<(Signo, Option<Signo>)>,
    /// `--parent-death-signal`
    pub parent_death_signal: Option<Signo>,
    /// `--stop-timeout`
    pub stop_timeout: Option<Duration>,
    /// `--stop-signal`: what starts the stop timeout besides TERM and INT.
    pub stop_signals: Vec<Signo>,
    /// `--drain`
    pub drain: Option<Duration>,
    /// `--remap-exit`
    pub remap_exit: Vec<u8>,
    /// `--warn-reaped`
    pub warn_reaped: bool,
    /// env_logger's filter: from `--verbose`, else `RINIT_LOG`, else `warn`.
    pub log_filter: String,
    /// `--quiet`: no report on stderr.
    pub quiet: bool,
    /// `--report`
    pub report: ReportWhen,
    /// `--format`
    pub format: Format,
    /// `--stderr-format`, or else `--format`.
    pub stderr_format: Format,
    /// `--report-size`: bytes in the termination log.
    pub report_size: usize,
    /// `--termination-log`
    pub termination_log: TerminationLog,
    /// `--defer-to-logs`
    pub defer_to_logs: bool,
    /// `--tail`: how many lines, if any are wanted.
    pub tail: Option<usize>,
    /// `--tail-stdout`: those of stdout too.
    pub tail_stdout: bool,
    /// `--show-args`
    pub show_args: bool,
    /// `--oom-shield`
    pub oom_shield: bool,
}

/// `--report WHEN`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportWhen {
    /// After every end.
    Always,
    /// When the status is not 0, or there is a note.
    Failure,
    /// Not at all.
    Never,
}

/// `--format F`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    Text,
    /// One object on one line.
    Json,
}

/// `--termination-log PATH`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerminationLog {
    /// Not named: /dev/termination-log, or as PID 1 the path that this pod has instead.
    Default,
    /// Named by hand.
    Path(OsString),
    /// `off`
    Off,
}

/// One line that names the bad flag or value. It holds no other argument, which may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError(pub String);

/// The kubelet reads no more of the file.
const MAX_REPORT_SIZE: usize = 4096;
/// Of `--tail-stdout` alone.
const DEFAULT_TAIL: usize = 20;
const USAGE: &str = "usage: rinit [OPTIONS] [--] PROGRAM [ARGS...]";
const HELP: &str = include_str!("cli/help.txt");
// The form of tini's and catatonit's version lines: `docker info` takes the commit from behind "git.".
const VERSION: &str = concat!("rinit ", env!("CARGO_PKG_VERSION"), " - git.", env!("RINIT_GIT_SHA"), "\n");
const LICENSE: &str = concat!("MIT OR Apache-2.0\n\n", include_str!("../LICENSE-MIT"));

/// Looks up a variable by name.
type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Reads a value, or says what is wrong with it: a sentence that goes on behind the value.
type Read<T> = fn(&str) -> Result<T, &'static str>;

/// Reads rinit's `args`, its own name first, and the variables that `env` knows.
///
/// A flag beats the variable of the same setting; the variable must be right all the same. `RINIT_OFF=1` is for the day
/// when rinit is in the way: then nothing but PROGRAM is looked for, and a wrong value anywhere does not matter.
///
/// # Errors
/// See [`UsageError`].
#[inline(never)]
pub fn parse(mut args: impl Iterator<Item = OsString>, env: Env) -> Result<Action, UsageError> {
    let name = args.next();
    let mut words = Parser::from_args(up_to_program(args));
    let count = words_left(&mut words);
    let peer = name.and_then(|name| Peer::by_name(name.as_bytes()));
    // An error waits: --help and --version answer whatever the environment holds.
    let switched_off = switch(env, "RINIT_OFF");
    let off = switched_off == Ok(true);
    if let Some(peer) = peer {
        let action = peers::parse(peer, &mut words, count, off, env);
        return match action {
            Ok(Action::Run { program, .. }) if off => Ok(Action::StandAside { program }),
            Ok(Action::Run { .. } | Action::Pause(_)) => switched_off.and(action),
            action => action,
        };
    }
    let mut flags = Flags::default();
    let mut program = None;

    while let Some(word) = words.next().map_err(misshapen)? {
        match word {
            Short('g') | Long("group") => flags.group = true,
            Short('r') | Long("rewrite") => flags.rewrite.extend(value(&mut words, off, "--rewrite", rewrite)?),
            Short('p') | Long("parent-death-signal") => {
                flags.parent_death_signal = value(&mut words, off, "--parent-death-signal", signal)?;
            }
            Short('s') | Long("subreaper") => {}
            Short('t') | Long("stop-timeout") => {
                flags.stop_timeout = value(&mut words, off, "--stop-timeout", duration)?;
            }
            Long("stop-signal") => flags.stop_signals.extend(value(&mut words, off, "--stop-signal", signal)?),
            Short('d') | Long("drain") => flags.drain = value(&mut words, off, "--drain", duration)?,
            Short('e') | Long("remap-exit") => flags.remap_exit.extend(value(&mut words, off, "--remap-exit", status)?),
            Short('w') | Long("warn-reaped") => flags.warn_reaped = true,
            Short('v') | Long("verbose") => flags.verbose += 1,
            Short('q') | Long("quiet") => flags.quiet = true,
            Long("report") => flags.report = value(&mut words, off, "--report", report_when)?,
            Long("format") => flags.format = value(&mut words, off, "--format", format)?,
            Long("stderr-format") => flags.stderr_format = value(&mut words, off, "--stderr-format", format)?,
            Long("report-size") => flags.report_size = value(&mut words, off, "--report-size", report_size)?,
            Long("termination-log") => flags.termination_log = Some(path(&mut words, off, "--termination-log")?),
            Long("defer-to-logs") => flags.defer_to_logs = true,
            Long("tail") => flags.tail = value(&mut words, off, "--tail", lines)?,
            Long("tail-stdout") => flags.tail_stdout = true,
            Long("show-args") => flags.show_args = true,
            Long("oom-shield") => flags.oom_shield = true,
            Short('P') | Long("pause") => flags.pause = true,
            Long("check") => flags.check = true,
            Long("install") => flags.install = Some(path(&mut words, off, "--install")?),
            Long("explain") => return explain(&mut words, flags.format),
            Short('h') | Long("help") => return Ok(Action::Print(HELP)),
            Short('V') | Long("version") => return Ok(Action::Print(VERSION)),
            Short('l') | Long("license") => return Ok(Action::Print(LICENSE)),
            Short(flag) => return Err(unknown("-", flag.encode_utf8(&mut [0; 4]))),
            Long(flag) => return Err(unknown("--", flag)),
            Value(_) => {
                // Of `count` words behind rinit's name, all up to PROGRAM are taken.
                program = Some(count - words_left(&mut words));
                break;
            }
        }
    }

    let off = switched_off?;
    if flags.check {
        return match (program, flags.install.is_some() || flags.pause) {
            (None, false) => Ok(Action::Check(flags.config(env)?)),
            (Some(_), _) => Err(UsageError("--check: takes no PROGRAM".into())),
            (None, true) => Err(UsageError("--check: cannot go with --install or --pause".into())),
        };
    }
    match (program, flags.install.take(), flags.pause) {
        (Some(program), ..) if off => Ok(Action::StandAside { program }),
        (Some(program), None, false) => Ok(Action::Run { config: flags.config(env)?, program }),
        (None, None, true) if !off => Ok(Action::Pause(flags.config(env)?)),
        (None, Some(path), false) => Ok(Action::Install(path)),
        (None, None, _) => Err(UsageError(format!("PROGRAM is missing; {USAGE}"))),
        (_, Some(_), true) => Err(UsageError("--install: cannot go with --pause".into())),
        (Some(_), Some(_), _) => Err(UsageError("--install: takes no PROGRAM".into())),
        (Some(_), None, true) => Err(UsageError("--pause: takes no PROGRAM".into())),
    }
}

/// The command line as far as it goes; what it leaves open is the environment's to say.
#[derive(Default)]
struct Flags {
    peer: Option<Peer>,
    group: bool,
    rewrite: Vec<(Signo, Option<Signo>)>,
    parent_death_signal: Option<Signo>,
    stop_timeout: Option<Duration>,
    stop_signals: Vec<Signo>,
    drain: Option<Duration>,
    remap_exit: Vec<u8>,
    warn_reaped: bool,
    verbose: usize,
    quiet: bool,
    report: Option<ReportWhen>,
    format: Option<Format>,
    stderr_format: Option<Format>,
    report_size: Option<usize>,
    termination_log: Option<OsString>,
    defer_to_logs: bool,
    tail: Option<usize>,
    tail_stdout: bool,
    show_args: bool,
    oom_shield: bool,
    pause: bool,
    check: bool,
    install: Option<OsString>,
}

impl Flags {
    /// Fills in the environment, then the defaults.
    fn config(self, env: Env) -> Result<Config, UsageError> {
        let rewrite = or_if_none(self.rewrite, list(env, "RINIT_REWRITE", rewrite)?);
        let format_of_both = self.format.or(setting(env, "RINIT_FORMAT", format)?).unwrap_or(Format::Text);
        let log_filter = setting(env, "RINIT_LOG", log_filter)?;
        let termination_log = self.termination_log.or(variable(env, "RINIT_TERMINATION_LOG"));
        let tail_stdout = switch(env, "RINIT_TAIL_STDOUT")? || self.tail_stdout;
        let tail = self.tail.or(setting(env, "RINIT_TAIL", lines)?).or(tail_stdout.then_some(DEFAULT_TAIL));
        let tail = tail.filter(|lines| *lines > 0);
        let default_size = if tail.is_some() { MAX_REPORT_SIZE } else { 1024 };
        let default_report = if self.peer.is_some() { peers::REPORT } else { ReportWhen::Always };
        Ok(Config {
            peer: self.peer,
            session: false,
            group: switch(env, "RINIT_GROUP")? || self.group,
            rewrite: last_of_each(rewrite),
            parent_death_signal: self.parent_death_signal,
            stop_timeout: self.stop_timeout.or(setting(env, "RINIT_STOP_TIMEOUT", duration)?),
            stop_signals: or_if_none(self.stop_signals, list(env, "RINIT_STOP_SIGNAL", signal)?),
            drain: self.drain.or(setting(env, "RINIT_DRAIN", duration)?),
            remap_exit: or_if_none(self.remap_exit, list(env, "RINIT_REMAP_EXIT", status)?),
            warn_reaped: switch(env, "RINIT_WARN_REAPED")? || self.warn_reaped,
            log_filter: match self.verbose {
                0 => log_filter.unwrap_or_else(|| "warn".into()),
                1 => "info".into(),
                2 => "debug".into(),
                _ => "trace".into(),
            },
            quiet: switch(env, "RINIT_QUIET")? || self.quiet,
            report: self.report.or(setting(env, "RINIT_REPORT", report_when)?).unwrap_or(default_report),
            format: format_of_both,
            stderr_format: self
                .stderr_format
                .or(setting(env, "RINIT_STDERR_FORMAT", format)?)
                .unwrap_or(format_of_both),
            report_size: self.report_size.or(setting(env, "RINIT_REPORT_SIZE", report_size)?).unwrap_or(default_size),
            termination_log: match termination_log {
                None => TerminationLog::Default,
                Some(word) if word == "off" => TerminationLog::Off,
                Some(path) => TerminationLog::Path(path),
            },
            defer_to_logs: switch(env, "RINIT_DEFER_TO_LOGS")? || self.defer_to_logs,
            tail,
            tail_stdout,
            show_args: switch(env, "RINIT_SHOW_ARGS")? || self.show_args,
            oom_shield: switch(env, "RINIT_OOM_SHIELD")? || self.oom_shield,
        })
    }
}

/// The words before PROGRAM, PROGRAM itself, and few behind it: lexopt copies all that it gets, PROGRAM's arguments can be
/// 2 MB (execve(2)), and a waiting rinit has 24 kB. A word without a dash is PROGRAM unless it is the value of a flag.
fn up_to_program(mut args: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut behind_flag = false;
    let mut done = false;
    let mut explained = false;
    std::iter::from_fn(move || {
        let word = if done { None } else { args.next() }?;
        let bytes = word.as_bytes();
        // All that follows is its own.
        explained |= bytes.starts_with(b"--explain");
        let flag = bytes.starts_with(b"-") && bytes != b"--";
        done = !flag && !behind_flag && !explained && bytes != b"--";
        behind_flag = flag;
        Some(word)
    })
}

/// What follows `--explain`: a word may be a negative number, so that no other flag but `--format` is looked for. The
/// format of the environment is that of reports.
fn explain(words: &mut Parser, format_before: Option<Format>) -> Result<Action, UsageError> {
    let mut asked: Vec<OsString> = words.optional_value().into_iter().collect();
    let mut format_given = format_before.unwrap_or(Format::Text);
    let mut rest = words.raw_args().map_err(misshapen)?;
    while let Some(word) = rest.next() {
        match word.as_bytes() {
            b"--" => {}
            b"--format" => {
                let value = rest.next().ok_or_else(|| UsageError("--format: needs a value".into()))?;
                format_given = checked("--format", &value, format)?;
            }
            bytes => match bytes.strip_prefix(b"--format=") {
                Some(value) => format_given = checked("--format", OsStr::from_bytes(value), format)?,
                None => asked.push(word),
            },
        }
    }
    Ok(Action::Explain { words: asked, format: format_given })
}

fn words_left(words: &mut Parser) -> usize {
    words.try_raw_args().map_or(0, |rest| rest.as_slice().len())
}

/// The value of the flag that was just met; `None` if `off`, where it need not be right.
fn value<T>(words: &mut Parser, off: bool, name: &str, read: Read<T>) -> Result<Option<T>, UsageError> {
    let value = words.value().map_err(misshapen)?;
    checked_unless(off, name, &value, read)
}

/// `None` if `off`. Not inlined: one copy for all names that rinit is called by.
#[inline(never)]
fn checked_unless<T>(off: bool, name: &str, value: &OsStr, read: Read<T>) -> Result<Option<T>, UsageError> {
    if off { Ok(None) } else { checked(name, value, read).map(Some) }
}

fn path(words: &mut Parser, off: bool, name: &str) -> Result<OsString, UsageError> {
    let path = words.value().map_err(misshapen)?;
    if path.is_empty() && !off { Err(UsageError(format!("{name}: \"\" is no path"))) } else { Ok(path) }
}

/// A variable that is set to nothing is as good as unset: templates leave such behind.
fn variable(env: Env, name: &str) -> Option<OsString> {
    env(name).filter(|value| !value.is_empty())
}

fn setting<T>(env: Env, name: &str, read: Read<T>) -> Result<Option<T>, UsageError> {
    variable(env, name).map(|value| checked(name, &value, read)).transpose()
}

fn list<T>(env: Env, name: &str, read: Read<T>) -> Result<Vec<T>, UsageError> {
    let Some(value) = variable(env, name) else { return Ok(Vec::new()) };
    value.as_bytes().split(|byte| *byte == b',').map(|item| checked(name, OsStr::from_bytes(item), read)).collect()
}

fn switch(env: Env, name: &str) -> Result<bool, UsageError> {
    let on = setting(env, name, |text| match text {
        "1" => Ok(true),
        "0" => Ok(false),
        _ => Err("is neither 1 (on) nor 0 (off)"),
    });
    Ok(on? == Some(true))
}

fn checked<T>(name: &str, value: &OsStr, read: Read<T>) -> Result<T, UsageError> {
    // No value is written with U+FFFD, so that every `read` refuses what is not UTF-8 in its own words.
    read(value.to_str().unwrap_or("\u{fffd}"))
        .map_err(|wrong| UsageError(format!("{name}: {} {wrong}", quoted(value.as_bytes()))))
}

fn rewrite(text: &str) -> Result<(Signo, Option<Signo>), &'static str> {
    const WRONG: &str = "is not A:B, two signals, or A:0, which drops A";
    let (from, to) = text.split_once(':').ok_or(WRONG)?;
    match Signo::parse(from).ok_or(WRONG)? {
        Signo::KILL => Err("rewrites SIGKILL, which no process can receive"),
        Signo::STOP => Err("rewrites SIGSTOP, which no process can receive"),
        Signo::CHLD => Err("rewrites SIGCHLD, which is never forwarded"),
        from if to == "0" => Ok((from, None)),
        from => Ok((from, Some(Signo::parse(to).ok_or(WRONG)?))),
    }
}

fn signal(text: &str) -> Result<Signo, &'static str> {
    Signo::parse(text).ok_or("is no signal")
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    // "ms" first: "s" is its end.
    let milliseconds = [("ms", 1), ("s", 1000), ("m", 60_000), ("", 1000)];
    milliseconds
        .into_iter()
        .find_map(|(unit, each)| Some((digits::<u32>(text.strip_suffix(unit)?)?, each)))
        .filter(|(count, _)| *count > 0)
        .map(|(count, each)| Duration::from_millis(u64::from(count) * each))
        .ok_or("is no duration such as 10s, 500ms, 2m, or 10 (seconds)")
}

fn lines(text: &str) -> Result<usize, &'static str> {
    digits(text).filter(|lines| *lines <= 1000).ok_or("is no number of lines, 0 (none) to 1000")
}

fn status(text: &str) -> Result<u8, &'static str> {
    digits(text).ok_or("is no exit status, 0 to 255")
}

fn report_when(text: &str) -> Result<ReportWhen, &'static str> {
    match text {
        "always" => Ok(ReportWhen::Always),
        "failure" => Ok(ReportWhen::Failure),
        "never" => Ok(ReportWhen::Never),
        _ => Err("is none of always, failure, never"),
    }
}

fn format(text: &str) -> Result<Format, &'static str> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err("is neither text nor json"),
    }
}

/// The kubelet keeps the file's last 4,096 bytes, and the first 12,288 / number-of-containers of those.
fn report_size(text: &str) -> Result<usize, &'static str> {
    digits(text)
        .filter(|size| (256..=MAX_REPORT_SIZE).contains(size))
        .ok_or("is not 256 to 4096 (bytes; 256 is what a pod of 48 containers leaves to each)")
}

/// The grammar of env_logger's filters (env_filter's `parse_spec`), which would print a warning of its own, with a macro
/// that can panic, and go on with another filter. It takes any word for a module's name and then logs nothing else, so
/// that `RINIT_LOG=debgu` is silence: a lone word must be a level, or a module of rinit's.
fn log_filter(text: &str) -> Result<String, &'static str> {
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    let is_directive = |word: &str| match word.split_once('=') {
        Some((_, level)) => level.trim().is_empty() || is_level(level.trim()),
        None => word.is_empty() || is_level(word) || word.starts_with("rinit"),
    };
    let mut parts = text.split('/');
    let directives = parts.next().unwrap_or_default();
    // What stands behind the slash is a text that a line must contain.
    if directives.split(',').all(|word| is_directive(word.trim())) && parts.nth(1).is_none() {
        Ok(text.into())
    } else {
        Err("is no filter such as info or warn,rinit=trace (levels: off, error, warn, info, debug, trace)")
    }
}

fn or_if_none<T>(flags: Vec<T>, environment: Vec<T>) -> Vec<T> {
    if flags.is_empty() { environment } else { flags }
}

fn last_of_each(rewrites: Vec<(Signo, Option<Signo>)>) -> Vec<(Signo, Option<Signo>)> {
    let mut last: Vec<(Signo, Option<Signo>)> = Vec::new();
    for (from, to) in rewrites {
        last.retain(|(other, _)| *other != from);
        last.push((from, to));
    }
    last
}

/// A name that rinit does not have. What follows a `=` is not shown: it was meant for somebody else, and may be secret.
fn unknown(dashes: &str, name: &str) -> UsageError {
    UsageError(format!("{dashes}{}: no such option, see rinit --help", escaped(name.as_bytes())))
}

/// A flag of rinit's without the value that it needs, or with one that it does not take.
fn misshapen(error: lexopt::Error) -> UsageError {
    UsageError(match error {
        lexopt::Error::MissingValue { option: Some(option) } => format!("{option}: needs a value"),
        lexopt::Error::UnexpectedValue { option, .. } => format!("{option}: takes no value"),
        // parse() has met every other case itself.
        _ => USAGE.into(),
    })
}

/// `bytes` from outside, in quotes, fit for a line on a terminal.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", escaped(bytes))
}

/// One line stays one line: ASCII, no control bytes, and no more than a screen shows of a value gone wrong.
fn escaped(bytes: &[u8]) -> String {
    const ENOUGH: usize = 200;
    match bytes.split_at_checked(ENOUGH) {
        Some((start, rest)) if !rest.is_empty() => format!("{}...", start.escape_ascii()),
        _ => bytes.escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests;
