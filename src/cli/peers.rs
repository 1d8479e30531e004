//! Called by the name of tini, dumb-init or catatonit (a link, an engine's setting), rinit takes that program's flags,
//! variables and defaults. The environment of rinit's own applies as well: who replaces an init cannot change every
//! command line. What a flag means, and what each program says, is in docs/peers.md with the differences.

use super::{Action, Env, Flags, HELP, LICENSE, Parser, ReportWhen, UsageError, rewrite, signal, status};
use super::{variable, words_left};
use crate::outcome::{Stage, StartError};
use std::ffi::OsString;

use lexopt::prelude::*;
use log::LevelFilter;

/// The program whose name rinit was called by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// `tini`, `tini-static`, and Docker's name for it, `docker-init`.
    Tini,
    /// `dumb-init`
    DumbInit,
    /// `catatonit`, and podman's name for it, `podman-init`.
    Catatonit,
}

impl Peer {
    /// By rinit's own argv[0].
    #[must_use]
    pub fn by_name(argv0: &[u8]) -> Option<Self> {
        match argv0.rsplit(|byte| *byte == b'/').next()? {
            b"tini" | b"tini-static" | b"docker-init" => Some(Self::Tini),
            b"dumb-init" => Some(Self::DumbInit),
            b"catatonit" | b"podman-init" => Some(Self::Catatonit),
            _ => None,
        }
    }

    /// What all three exit with when they were called wrongly.
    pub const USAGE_STATUS: u8 = 1;

    /// What it exits with when PROGRAM could not be started.
    #[must_use]
    pub fn start_status(self, error: StartError) -> u8 {
        match (self, error.stage, error.errno) {
            (Self::Tini, Stage::Exec, libc::ENOENT) => 127,
            (Self::Tini, Stage::Exec, libc::EACCES) => 126,
            (Self::DumbInit, Stage::Exec, _) => 2,
            _ => 1,
        }
    }

    /// The line that it prints then. `program` is fit to be printed; `pid` is rinit's.
    #[must_use]
    pub fn start_line(self, pid: i32, program: &str, errno: &str) -> String {
        match self {
            Self::Tini => format!("[FATAL tini ({pid})] exec {program} failed: {errno}"),
            Self::DumbInit => format!("[dumb-init] {program}: {errno}"),
            Self::Catatonit => format!("ERROR (catatonit:{pid}): failed to exec pid1: {errno}"),
        }
    }

    /// What stands before a line of the log.
    #[must_use]
    pub fn log_prefix(self, pid: i32, level: log::Level) -> String {
        match self {
            Self::Tini => format!("[{level:5} tini ({pid})] "),
            Self::DumbInit => "[dumb-init] ".to_owned(),
            Self::Catatonit => format!("{level} (catatonit:{pid}): "),
        }
    }

    /// Whether the `--` may stand behind PROGRAM as well: glibc's getopt(3) finds it there and takes it away.
    #[must_use]
    pub fn takes_dashes_behind_program(self) -> bool {
        self != Self::DumbInit
    }
}

const TINI_VERSION: &str =
    concat!("tini version ", env!("CARGO_PKG_VERSION"), "_rinit - git.", env!("RINIT_GIT_SHA"), "\n");
const CATATONIT_VERSION: &str = concat!("tini version ", env!("CARGO_PKG_VERSION"), "_rinit\n");
const DUMB_INIT_VERSION: &str = concat!("dumb-init v", env!("CARGO_PKG_VERSION"), "_rinit\n");

/// Reads `words`, which follow `peer`'s name. If rinit is `off`, no value needs to be right.
pub(super) fn parse(peer: Peer, words: &mut Parser, count: usize, off: bool, env: Env) -> Result<Action, UsageError> {
    let env: Env = if off { &|_| None } else { env };
    let is = |it: Peer| peer == it;
    let (tini, dumb, cat) = (is(Peer::Tini), is(Peer::DumbInit), is(Peer::Catatonit));
    let mut flags = Flags { peer: Some(peer), ..Flags::default() };
    let mut session = dumb && variable(env, "DUMB_INIT_SETSID").is_none_or(|value| value != "0");
    if tini {
        flags.group = env("TINI_KILL_PROCESS_GROUP").is_some();
    }
    let mut program = None;
    while let Some(word) = words.next().map_err(|error| misshapen(&error))? {
        match word {
            Short('s') if tini => {}
            Short('p') if tini => flags.parent_death_signal = value(words, off, "-p", signal)?,
            Short('g') if !dumb => flags.group = true,
            Short('e') if tini => flags.remap_exit.extend(value(words, off, "-e", status)?),
            Short('w') if tini => flags.warn_reaped = true,
            Short('v') if !cat => flags.verbose += 1,
            Long("verbose") if dumb => flags.verbose += 1,
            Short('c') | Long("single-child") if dumb => session = false,
            Short('r') | Long("rewrite") if dumb => flags.rewrite.extend(value(words, off, "-r", rewrite)?),
            Short('P') if cat => flags.pause = true,
            Long("version") if tini => return Ok(Action::Print(TINI_VERSION)),
            Short('V') | Long("version") if cat => return Ok(Action::Print(CATATONIT_VERSION)),
            Short('V') | Long("version") if dumb => return Ok(Action::PrintToStderr(DUMB_INIT_VERSION)),
            Short('h') if tini => return Ok(Action::Print(HELP)),
            Short('h') => return Ok(Action::PrintToStderr(HELP)),
            Long("help") if dumb => return Ok(Action::PrintToStderr(HELP)),
            Short('l') if tini => return Ok(Action::Print(LICENSE)),
            Short('L') if cat => return Ok(Action::Print(LICENSE)),
            Short(flag) => return Err(UsageError(format!("invalid option -- '{}'", flag.escape_default()))),
            Long(flag) => return Err(UsageError(format!("unrecognized option '--{}'", flag.escape_default()))),
            Value(_) => {
                program = Some(count - words_left(words));
                break;
            }
        }
    }
    if dumb {
        // dumb-init.c: its own group does not stop for a key, and a child without a job-control shell has to be told.
        let untouched: Vec<_> = [super::Signo::TSTP, super::Signo::TTIN, super::Signo::TTOU]
            .into_iter()
            .filter(|signal| session && !flags.rewrite.iter().any(|(from, _)| from == signal))
            .collect();
        flags.rewrite.extend(untouched.into_iter().map(|signal| (signal, Some(super::Signo::STOP))));
        flags.group = session;
        // Its -v, and its variable, tell everything.
        if flags.verbose > 0 || variable(env, "DUMB_INIT_DEBUG").is_some_and(|value| value == "1") {
            flags.verbose = 2;
        }
    }
    let pause = flags.pause;
    let level = if tini { tini_level(env, flags.verbose) } else { None };
    let mut config = flags.config(env)?;
    config.session = session;
    if let Some(level) = level {
        config.log_filter = level.as_str().to_ascii_lowercase();
    }
    match program {
        Some(program) if !pause => Ok(Action::Run { config, program }),
        None if pause => Ok(Action::Pause(config)),
        Some(_) => Err(UsageError("-P takes no program".into())),
        None => Err(UsageError("missing program name".into())),
    }
}

/// `TINI_VERBOSITY` and `-v` add up: 0 fatal errors, 1 warnings (the default), 2 info, 3 debug. `None`: neither is
/// given, and rinit's own variable may say.
fn tini_level(env: Env, flags: usize) -> Option<LevelFilter> {
    let variable = variable(env, "TINI_VERBOSITY").map(|value| {
        // As atoi(3) has it: what is no number is 0.
        value.to_str().and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or(0)
    });
    if variable.is_none() && flags == 0 {
        return None;
    }
    Some(match variable.unwrap_or(1).saturating_add(flags) {
        0 => LevelFilter::Error,
        1 => LevelFilter::Warn,
        2 => LevelFilter::Info,
        3 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    })
}

fn value<T>(words: &mut Parser, off: bool, name: &str, read: super::Read<T>) -> Result<Option<T>, UsageError> {
    let value: OsString = words.value().map_err(|error| misshapen(&error))?;
    super::checked_unless(off, name, &value, read)
}

/// getopt(3)'s words.
fn misshapen(error: &lexopt::Error) -> UsageError {
    UsageError(match error {
        lexopt::Error::MissingValue { option: Some(option) } => {
            format!("option requires an argument -- '{}'", option.trim_start_matches('-'))
        }
        lexopt::Error::UnexpectedValue { option, .. } => format!("option '{option}' doesn't allow an argument"),
        _ => "missing program name".into(),
    })
}

/// What a peer prints when it is called rightly and PROGRAM succeeds is nothing.
pub(super) const REPORT: ReportWhen = ReportWhen::Failure;
