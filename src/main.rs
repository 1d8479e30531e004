//! Wiring: from argv to the exit status.

#![no_main]

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::unistd::getpid;

use rinit::child::{self, Placement, Started};
use rinit::cli::{self, Action, Config, ReportWhen};
use rinit::diagnose::diagnose;
use rinit::evidence::files::Inspection;
use rinit::evidence::limits::StartLimits;
use rinit::evidence::process::Proc;
use rinit::evidence::{self, Evidence};
use rinit::outcome::{OWN_FAILURE, Outcome, Stage, StartError};
use rinit::report::{Report, escape};
use rinit::sink::stderr;
use rinit::sink::termination_log::TerminationLog;
use rinit::supervise::{Ended, Supervisor};
use rinit::sys::entry::Arguments;
use rinit::sys::heap::Heap;
use rinit::sys::signal::{Inherited, SignalFd};
use rinit::sys::{descriptor, process};
use rinit::{install, logging};

#[global_allocator]
static HEAP: Heap = Heap::new();

rinit::entry_point!(run);

fn run(arguments: Arguments) -> u8 {
    // First of all: a signal that arrives from here on is kept until PROGRAM can have it.
    let inherited = Inherited::take();
    // abort() would make it 139, and the message could hold a secret: the place is enough.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        stderr::log_line(format!("rinit: internal error at {place}\n").as_bytes());
        process::exit(OWN_FAILURE);
    }));
    match cli::parse(arguments.to_os_strings(), &|name| std::env::var_os(name)) {
        Ok(Action::Run { config, program }) => Run::new(arguments, program, config).run(&inherited),
        Ok(Action::Pause(config)) => pause(&config),
        Ok(Action::StandAside { program }) => stand_aside(arguments, program, &inherited),
        Ok(Action::Print(text)) => print(text.as_bytes()),
        Ok(Action::Install(path)) => install::install(path.as_ref()).map_or_else(|error| fail(&error), |()| 0),
        Err(usage) => fail(&usage.0),
    }
}

fn fail(message: &str) -> u8 {
    stderr::log_line(format!("rinit: {message}\n").as_bytes());
    OWN_FAILURE
}

fn print(mut text: &[u8]) -> u8 {
    while !text.is_empty() {
        match nix::unistd::write(descriptor::stdout(), text) {
            Ok(written) => text = text.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return fail(&format!("cannot write to stdout: {}", errno.desc())),
        }
    }
    0
}

/// `RINIT_OFF=1`
fn stand_aside(arguments: Arguments, program: usize, inherited: &Inherited) -> u8 {
    let errno = child::Command::new(arguments, program, path().as_deref()).become_program(inherited);
    let outcome = Outcome::NotStarted(StartError { stage: Stage::Exec, errno: errno as i32 });
    fail(&format!("cannot start {}: {}", name_of(arguments, program), errno.desc()));
    outcome.exit_status()
}

/// `--pause`
fn pause(config: &Config) -> u8 {
    let signals = match SignalFd::new() {
        Ok(signals) => signals,
        Err(errno) => return fail(&format!("cannot make a signal descriptor: {}", errno.desc())),
    };
    let pid = prepare(config);
    logging::start(&config.log_filter);
    release_inherited(pid == INIT, &signals, &mut [signals.as_fd().as_raw_fd()]);
    Supervisor {
        pid,
        signals: &signals,
        rewrite: &[],
        group: false,
        placement: Placement::Leader,
        warn_reaped: config.warn_reaped,
        proc: None,
        start: Instant::now(),
    }
    .pause();
    0
}

fn path() -> Option<Vec<u8>> {
    std::env::var_os("PATH").map(OsString::into_vec)
}

/// The pid of a namespace's init.
const INIT: i32 = 1;

/// Sets what rinit is towards its parent and its orphans. Returns its pid.
fn prepare(config: &Config) -> i32 {
    let pid = getpid().as_raw();
    if let Some(signal) = config.parent_death_signal {
        let _ = process::set_parent_death_signal(signal);
    }
    if pid != INIT {
        let _ = nix::sys::prctl::set_child_subreaper(true);
    }
    pid
}

/// Lets go of what was inherited, for PROGRAM has its own copies: whoever is at the other end of a pipe has to see it
/// when PROGRAM closes it, and a file system has to be free to be unmounted. stderr stays for the report, and as
/// PID 1 stdout too, because programs log to /proc/1/fd/1.
fn release_inherited(is_init: bool, signals: &SignalFd, keep: &mut [i32]) {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").ok();
    let null = null.and_then(|null| descriptor::above_stdio(null.into()).ok());
    // Without /dev/null: any descriptor that does no harm.
    let harmless = null.as_ref().map_or(signals.as_fd(), AsFd::as_fd);
    for (stdio, kept) in [(0, false), (1, is_init), (2, true)] {
        if !(kept && descriptor::is_open(stdio)) {
            let _ = descriptor::put(harmless, stdio);
        }
    }
    drop(null);
    if let Err(errno) = descriptor::close_all_but(keep) {
        log::debug!("cannot close inherited descriptors: {}", errno.desc());
    }
    let _ = nix::unistd::chdir("/");
}

/// One run of PROGRAM.
struct Run {
    arguments: Arguments,
    program: usize,
    config: Config,
    pid: i32,
    log: Option<TerminationLog>,
    evidence: Evidence,
    start: Instant,
}

impl Run {
    fn new(arguments: Arguments, program: usize, config: Config) -> Self {
        let pid = prepare(&config);
        let log = match config.report {
            ReportWhen::Never => None,
            ReportWhen::Always | ReportWhen::Failure => TerminationLog::open(&config.termination_log, pid == INIT),
        };
        let evidence = Evidence { is_init: pid == INIT, started: seconds_since_1970(), ..Evidence::default() };
        Self { arguments, program, config, pid, log, evidence, start: Instant::now() }
    }

    fn run(mut self, inherited: &Inherited) -> u8 {
        let placement = if self.pid == INIT || process::is_session_leader() {
            Placement::Leader
        } else if self.config.group {
            Placement::OwnGroup
        } else {
            Placement::SameGroup
        };
        let mut command = child::Command::new(self.arguments, self.program, path().as_deref());
        let signals = SignalFd::new().map_err(|errno| StartError { stage: Stage::Prepare, errno: errno as i32 });
        let started = signals.and_then(|signals| Ok((command.start(inherited, placement)?, signals)));
        logging::start(&self.config.log_filter);
        // The directory that rinit is about to leave; a look for PROGRAM on disk may need it.
        let directory = if command.is_relative() { std::env::current_dir().ok() } else { None };
        let outcome = match started {
            Ok((started, signals)) => self.supervise(&started, &signals, placement),
            Err(error) => Outcome::NotStarted(error),
        };
        self.finish(outcome, directory)
    }

    fn supervise(&mut self, started: &Started, signals: &SignalFd, placement: Placement) -> Outcome {
        let log = self.log.as_ref().map(TerminationLog::descriptor);
        let mut keep = [signals.as_fd().as_raw_fd(), started.descriptor(), log.unwrap_or(started.descriptor())];
        release_inherited(self.pid == INIT, signals, &mut keep);
        log::info!("started pid {}", started.pid);
        let proc = if self.wants_report() { Proc::of(self.pid) } else { None };
        let supervisor = Supervisor {
            pid: self.pid,
            signals,
            rewrite: &self.config.rewrite,
            group: self.config.group,
            placement,
            warn_reaped: self.config.warn_reaped,
            proc,
            start: self.start,
        };
        let Ended { outcome, usage, zombie, history, reaped } = supervisor.run(started);
        let (signals, signals_omitted) = history.into_events();
        self.evidence = Evidence {
            pid: Some(started.pid),
            duration: self.start.elapsed(),
            usage: Some(usage),
            signals,
            signals_omitted,
            zombie,
            reaped,
            left: proc.and_then(|proc| if self.pid == INIT { proc.others() } else { proc.descendants() }),
            ..std::mem::take(&mut self.evidence)
        };
        outcome
    }

    fn wants_report(&self) -> bool {
        self.config.report != ReportWhen::Never
    }

    /// Reports, and says what to exit with.
    fn finish(mut self, outcome: Outcome, directory: Option<PathBuf>) -> u8 {
        let status = match outcome.exit_status() {
            status if self.config.remap_exit.contains(&status) && !matches!(outcome, Outcome::NotStarted(_)) => 0,
            status => status,
        };
        if self.wants_report() {
            self.report(outcome, status, directory);
        }
        if let Outcome::NotStarted(error) = outcome
            && (!self.wants_report() || self.config.quiet)
        {
            let name = name_of(self.arguments, self.program);
            log::error!("cannot start {name}: {}", Errno::from_raw(error.errno).desc());
        }
        status
    }

    fn report(&mut self, outcome: Outcome, status: u8, directory: Option<PathBuf>) {
        let words: Vec<Vec<u8>> = self.arguments.from(self.program).map(|word| word.to_bytes().to_vec()).collect();
        let evidence = &mut self.evidence;
        evidence.ended = seconds_since_1970();
        if let Outcome::NotStarted(_) = outcome {
            evidence.start_limits = Some(StartLimits::read(&words));
        }
        evidence.command = evidence::Command {
            program: words.first().cloned().unwrap_or_default(),
            arguments: words.len().saturating_sub(1),
            shown: self.config.show_args.then(|| words.into_iter().skip(1).collect()),
        };
        if let Outcome::NotStarted(StartError { stage: Stage::Exec, .. }) = outcome {
            let path = path();
            let candidates = child::candidates(&evidence.command.program, path.as_deref());
            let searched = !evidence.command.program.contains(&b'/');
            let search_path = searched.then(|| path.unwrap_or_else(|| child::DEFAULT_PATH.to_vec()));
            let program = &evidence.command.program;
            evidence.inspection = Some(Inspection::of(program, candidates, search_path, directory.as_deref()));
        }
        let diagnosis = diagnose(&outcome, evidence);
        if self.config.report == ReportWhen::Failure && status == 0 && diagnosis.notes.is_empty() {
            return;
        }
        let report = Report { outcome, evidence, diagnosis: &diagnosis };
        if let Some(log) = &self.log {
            let plain_success = outcome == Outcome::Exited(0) && diagnosis.notes.is_empty();
            log.write(self.config.report_size, plain_success, |limit| {
                Some(report.render(self.config.format, limit)).filter(|report| report.len() <= limit)
            });
        }
        if !self.config.quiet {
            stderr::write_report(&report.render_for_stderr(self.config.stderr_format));
        }
    }
}

/// PROGRAM's name for a line of the log: its first word alone, since the rest may be secret.
fn name_of(arguments: Arguments, program: usize) -> String {
    let name = arguments.get(program).unwrap_or_default().to_bytes();
    escape(name.split(u8::is_ascii_whitespace).next().unwrap_or_default())
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
