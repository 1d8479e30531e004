//! The command line and the environment: bytes in, a [`Config`] or a usage error out.

#![forbid(unsafe_code)]

use std::ffi::OsString;

use crate::signals::Signo;

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
    /// `--install PATH`.
    Install(OsString),
}

/// Every setting of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `--group`
    pub group: bool,
    /// `--rewrite`: the last one for a signal counts; `None` drops it.
    pub rewrite: Vec<(Signo, Option<Signo>)>,
    /// `--parent-death-signal`
    pub parent_death_signal: Option<Signo>,
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
    /// `--show-args`
    pub show_args: bool,
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
