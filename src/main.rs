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
use rinit::diagnose::{diagnose, public_part, wording};
use rinit::evidence::cgroup::watch::Watch;
use rinit::evidence::cgroup::{self, Baseline, Depth, Strain};
use rinit::evidence::death::Executed;
use rinit::evidence::elf::Executable;
use rinit::evidence::files::Inspection;
use rinit::evidence::language::Language;
use rinit::evidence::process::Proc;
use rinit::evidence::start_limits::StartLimits;
use rinit::evidence::{self, Evidence, Killer};
use rinit::explain::explain;
use rinit::outcome::{OWN_FAILURE, Outcome, Stage, StartError};
use rinit::report::Report;
use rinit::signals::Signo;
use rinit::sink::stderr;
use rinit::sink::termination_log::TerminationLog;
use rinit::supervise::{Ended, Supervisor};
use rinit::sys::entry::Arguments;
use rinit::sys::heap::Heap;
use rinit::sys::signal::{Inherited, SignalFd};
use rinit::sys::{descriptor, process};
use rinit::{check, install, logging};

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
        Ok(Action::Check(config)) => print(check::check(&config.termination_log, config.format, &inherited).as_bytes()),
        Ok(Action::StandAside { program }) => stand_aside(arguments, program, &inherited),
        Ok(Action::Print(text)) => print(text.as_bytes()),
        Ok(Action::Explain { words, format }) => match explain(&words, format, columns()) {
            Ok(text) => print(text.as_bytes()),
            Err(wrong) => fail(&wrong),
        },
        Ok(Action::Install(path)) => install::install(path.as_ref()).map_or_else(|error| fail(&error), |()| 0),
        Err(usage) => fail(&usage.0),
    }
}

fn fail(message: &str) -> u8 {
    stderr::write_report(format!("rinit: {message}\n").as_bytes());
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

/// How wide a text may be: what COLUMNS or else the terminal says, 80 where there is none.
fn columns() -> usize {
    let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    set.or_else(|| descriptor::columns(descriptor::stdout()).map(usize::from)).unwrap_or(80)
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
    /// Why there is no termination log, kept until logging has started.
    warning: Option<String>,
    evidence: Evidence,
    start: Instant,
}

impl Run {
    fn new(arguments: Arguments, program: usize, config: Config) -> Self {
        let pid = prepare(&config);
        let (log, warning) = match config.report {
            ReportWhen::Never => (None, None),
            ReportWhen::Always | ReportWhen::Failure => {
                match TerminationLog::open(&config.termination_log, pid == INIT) {
                    Ok(log) => (log, None),
                    Err(warning) => (None, Some(warning)),
                }
            }
        };
        let evidence = Evidence {
            is_init: pid == INIT,
            group: config.group,
            started: seconds_since_1970(),
            ..Evidence::default()
        };
        Self { arguments, program, config, pid, log, warning, evidence, start: Instant::now() }
    }

    fn run(mut self, inherited: &Inherited) -> u8 {
        let placement = if self.pid == INIT || process::is_session_leader() {
            Placement::Leader
        } else if self.config.group {
            Placement::OwnGroup
        } else {
            Placement::SameGroup
        };
        let mut memory = if self.wants_report() { Baseline::take(self.pid) } else { None };
        let mut command = child::Command::new(self.arguments, self.program, path().as_deref());
        let signals = SignalFd::new().map_err(|errno| StartError { stage: Stage::Prepare, errno: errno as i32 });
        let started = signals.and_then(|signals| Ok((command.start(inherited, placement)?, signals)));
        logging::start(&self.config.log_filter);
        // The directory that rinit is about to leave; a look for PROGRAM on disk may need it.
        let directory = if command.is_relative() { std::env::current_dir().ok() } else { None };
        if let Some(warning) = self.warning.take() {
            log::warn!("{warning}");
        }
        let outcome = match started {
            Ok((started, signals)) => self.supervise(&started, &signals, placement, memory.as_deref_mut()),
            Err(error) => Outcome::NotStarted(error),
        };
        self.finish(outcome, directory)
    }

    fn supervise(
        &mut self,
        started: &Started,
        signals: &SignalFd,
        placement: Placement,
        memory: Option<&mut Baseline>,
    ) -> Outcome {
        let mut memory = memory;
        let mut watch = memory.as_mut().and_then(|memory| memory.watch());
        let signal_fd = signals.as_fd().as_raw_fd();
        let log = self.log.as_ref().map_or(signal_fd, TerminationLog::descriptor);
        let watched = watch.as_ref().map_or(signal_fd, Watch::descriptor);
        let mut keep = [signal_fd, started.descriptor().as_raw_fd(), log, watched];
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
        let Ended { outcome, usage, zombie, executed, death, faults_of_children, cgroup, history, reaped, killed } =
            supervisor.run(started, &mut watch);
        let depth = match outcome {
            Outcome::Signaled { signal: Signo::KILL, .. } | Outcome::Exited(KILLED) => Depth::Everything,
            Outcome::Exited(1..) => Depth::Usage,
            _ => Depth::Kills,
        };
        let memory = memory.and_then(|memory| memory.finish(self.pid, watch.as_ref(), cgroup.as_ref(), depth));
        let (signals, signals_omitted) = history.into_events();
        // Field by field: a new Evidence would be built on the stack first.
        let evidence = &mut self.evidence;
        evidence.pid = Some(started.pid);
        evidence.duration = self.start.elapsed();
        evidence.usage = Some(usage);
        evidence.signals = signals;
        evidence.signals_omitted = signals_omitted;
        evidence.zombie = zombie;
        evidence.executed = executed;
        evidence.death = death;
        evidence.faults_of_children = faults_of_children;
        if depth >= Depth::Usage && proc.is_some() {
            evidence.strain = Strain::read(self.pid);
        }
        if depth == Depth::Everything {
            evidence.killer = killer();
        }
        evidence.memory = memory;
        evidence.reaped = reaped;
        evidence.killed = killed;
        evidence.left = proc.and_then(|proc| if self.pid == INIT { proc.others() } else { proc.descendants() });
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
        // A file that is cut off kills its program; Go ends with 2, Rust with 101, after a panic; every other failure is
        // read by the program's name.
        if let Outcome::Signaled { signal: Signo::SEGV | Signo::BUS, .. } | Outcome::Exited(1..) = outcome {
            // What dies in its execve, or soon after, has no /proc/PID/exe any more.
            let exe = evidence.executed.as_ref().and_then(|executed| executed.exe.clone());
            let exe = exe.or_else(|| {
                let file = child::first_executable(&evidence.command.program, path().as_deref(), directory.as_deref())?;
                Executed::of_file(&PathBuf::from(OsString::from_vec(file)))
            });
            let file = exe.clone().map(|exe| PathBuf::from(OsString::from_vec(exe)));
            match outcome {
                Outcome::Exited(code) => {
                    evidence.executed.get_or_insert_default().exe = exe;
                    evidence.language = file.filter(|_| matches!(code, 2 | 101)).and_then(|file| Language::of(&file));
                }
                _ => evidence.elf = file.and_then(|file| Executable::read(&file)),
            }
        }
        let diagnosis = diagnose(&outcome, evidence);
        if self.config.report == ReportWhen::Failure && status == 0 && diagnosis.notes.is_empty() {
            return;
        }
        let report = Report { outcome, evidence, diagnosis: &diagnosis };
        if let Some(log) = &self.log {
            let plain_success = outcome == Outcome::Exited(0) && diagnosis.notes.is_empty();
            log.write(self.config.report_size, plain_success, |limit| {
                Some(report.render(self.config.format, limit)).filter(|report| !report.is_empty())
            });
        }
        if !self.config.quiet {
            stderr::write_report(&report.render_for_stderr(self.config.stderr_format));
        }
    }
}

/// The status of a program that SIGKILL ended, and of a shell whose last command it ended.
const KILLED: u8 = 137;

fn killer() -> Killer {
    Killer {
        on_machine: cgroup::oom_kills_of_the_machine(),
        score_adj: cgroup::oom_score_adj(),
        kubernetes: std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
    }
}

/// PROGRAM's name for a line of the log.
fn name_of(arguments: Arguments, program: usize) -> String {
    let name = arguments.get(program).unwrap_or_default().to_bytes();
    wording::name(public_part(name))
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
