//! One run of PROGRAM: from the start to the exit status.

#![forbid(unsafe_code)]

use std::cell::OnceCell;
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::errno::Errno;

use rinit::child::{self, Placement, Started};
use rinit::cli::{Config, ReportWhen};
use rinit::diagnose::{self, adds_nothing, diagnose, inside};
use rinit::evidence::cgroup::place::Own;
use rinit::evidence::cgroup::watch::Watch;
use rinit::evidence::cgroup::{self, Baseline, Depth, Strain};
use rinit::evidence::checks::{Context, check as check_claim};
use rinit::evidence::death::Executed;
use rinit::evidence::elf::Executable;
use rinit::evidence::files::Inspection;
use rinit::evidence::language::Language;
use rinit::evidence::process::Proc;
use rinit::evidence::roads::Roads;
use rinit::evidence::start_limits::StartLimits;
use rinit::evidence::{self, Evidence, Inside, Killer};
use rinit::logging;
use rinit::outcome::{Outcome, Stage, StartError};
use rinit::provisional::{self, Provisional};
use rinit::relay::Relay;
use rinit::report::Report;
use rinit::signals::Signo;
use rinit::sink::stderr;
use rinit::sink::termination_log::TerminationLog;
use rinit::supervise::{Ended, Seen, Stopping, Supervisor};
use rinit::sys::clock::seconds_since_1970;
use rinit::sys::entry::Arguments;
use rinit::sys::process;
use rinit::sys::signal::{Inherited, SignalFd};

use crate::HEAP;
use crate::setup::{INIT, Refused, name_of, open_log, path, prepare, release_inherited, tell};

/// One run of PROGRAM.
pub struct Run {
    given: Given,
    log: Option<TerminationLog>,
    /// Why there is no termination log, kept until logging has started.
    warning: Option<String>,
    refused: Refused,
    evidence: Evidence,
    /// Whether [`Given::complete`] has been there.
    is_complete: bool,
    relay: Relay,
}

/// What of it is settled from the beginning.
struct Given {
    arguments: Arguments,
    program: usize,
    config: Config,
    pid: i32,
    start: Instant,
}

impl Run {
    #[inline(never)]
    pub fn new(arguments: Arguments, program: usize, config: Config) -> Self {
        let (pid, refused) = prepare(&config);
        let (log, warning) = open_log(&config, pid);
        let mut run = Self {
            given: Given { arguments, program, config, pid, start: Instant::now() },
            log,
            warning,
            refused,
            // In its place: a new one with other values would lie on the stack twice.
            evidence: Evidence::default(),
            is_complete: false,
            relay: Relay::default(),
        };
        run.evidence.is_init = pid == INIT;
        run.evidence.group = run.given.config.group;
        run.evidence.started = seconds_since_1970();
        run
    }

    pub fn run(&mut self, inherited: &Inherited) -> u8 {
        let placement = if self.given.config.session {
            Placement::Session
        } else if self.given.pid == INIT || process::is_session_leader() {
            Placement::Leader
        } else if self.given.config.group {
            Placement::OwnGroup
        } else {
            Placement::SameGroup
        };
        let mut memory = if self.given.wants_report() { Baseline::take(self.given.pid) } else { None };
        self.evidence.command.program =
            self.given.arguments.get(self.given.program).unwrap_or_default().to_bytes().to_vec();
        if let Some(log) = &mut self.log {
            provisional::begin(log, &mut self.evidence, &self.given.config, memory.as_deref());
        }
        let signals = SignalFd::new().map_err(|errno| StartError { stage: Stage::Prepare, errno: errno as i32 });
        if self.given.config.tail.is_some() && self.given.wants_report() {
            // What only signals wake must not stand between PROGRAM and its reader.
            let readable = signals.as_ref().is_ok_and(|signals| signals.refused().is_none());
            self.relay =
                if readable { Relay::new(self.given.config.tail_stdout) } else { Relay::none("there is no signalfd") };
        }
        let mut command = child::Command::new(self.given.arguments, self.given.program, path().as_deref());
        let started = signals.and_then(|signals| Ok((command.start(inherited, placement, &self.relay)?, signals)));
        logging::start(&self.given.config.log_filter, self.given.config.peer);
        // The directory that rinit is about to leave; a look for PROGRAM, or what it was to run, on disk may need it.
        let directory = if self.given.wants_report() { std::env::current_dir().ok() } else { None };
        tell(self.warning.take(), &self.refused, started.as_ref().ok().map(|(_, signals)| signals));
        self.relay.started();
        let outcome = match started {
            Ok((started, signals)) => {
                self.supervise(&started, &signals, placement, memory.as_deref_mut(), directory.as_deref())
            }
            Err(error) => Outcome::NotStarted(error),
        };
        self.finish(outcome, directory.as_deref())
    }

    #[inline(never)]
    fn supervise(
        &mut self,
        started: &Started,
        signals: &SignalFd,
        placement: Placement,
        mut memory: Option<&mut Baseline>,
        directory: Option<&Path>,
    ) -> Outcome {
        let mut watch = memory.as_mut().and_then(|memory| memory.watch());
        let memory = memory.as_deref();
        let signal_fd = signals.as_fd().as_raw_fd();
        let log = self.log.as_ref().map_or(signal_fd, TerminationLog::descriptor);
        let watched = watch.as_ref().map(|watch| watch.file().as_raw_fd());
        let watched = watched.or_else(|| memory.as_ref()?.descriptor()).unwrap_or(signal_fd);
        let [input, output, input2, output2] = self.relay.descriptors(signal_fd);
        let mut keep = [signal_fd, started.descriptor().as_raw_fd(), log, watched, input, output, input2, output2];
        release_inherited(self.given.pid == INIT, signals, &mut keep);
        log::info!("started pid {}", started.pid);
        let proc =
            if self.given.wants_report() || self.given.config.oom_shield { Proc::of(self.given.pid) } else { None };
        let supervisor = Supervisor {
            pid: self.given.pid,
            signals,
            rewrite: &self.given.config.rewrite,
            group: self.given.config.group,
            stop_timeout: self.given.config.stop_timeout,
            stop_signals: &self.given.config.stop_signals,
            placement,
            warn_reaped: self.given.config.warn_reaped,
            peer: self.given.config.peer,
            proc,
            directory,
            start: self.given.start,
        };
        HEAP.settle();
        let (log, evidence) = (self.log.as_mut(), &mut self.evidence);
        let (memory_now, program) = ((memory, watch.as_ref()), (proc, started.pid));
        let mut witness = Provisional::new(log, evidence, &self.given.config, memory_now, program, self.given.start);
        let mut seen = Seen::default();
        let Ended { outcome, usage } = supervisor.run(started, &mut watch, &mut self.relay, &mut witness, &mut seen);
        let stopping = seen.stopping.take();
        self.evidence.duration = self.given.start.elapsed();
        self.evidence.pid = Some(started.pid);
        self.evidence.usage = usage;
        let depth = match outcome {
            Outcome::Signaled { signal: Signo::KILL, .. } | Outcome::Exited(KILLED) => Depth::Everything,
            Outcome::Exited(1..) => Depth::Usage,
            // A runtime's own limit is compared with the container's.
            Outcome::Signaled { .. } if self.given.config.tail.is_some() => Depth::Usage,
            _ => Depth::Kills,
        };
        gather(&mut self.evidence, (self.given.pid, proc), depth, &mut seen, memory, watch.as_ref());
        self.evidence.tail = self.given.config.tail.and_then(|lines| self.relay.tail(lines));
        let (stop, stuck) = stopping.map(Stopping::into_parts).unwrap_or_default();
        let abandoned = stuck.as_ref().is_some_and(|stuck| stuck.abandoned);
        self.evidence.stuck = stuck;
        if let (Some(limit), Outcome::Exited(_) | Outcome::Signaled { .. }, false) =
            (self.given.config.drain, outcome, abandoned)
        {
            // For the case that rinit is killed while it waits.
            let is_left = self.evidence.left.as_ref().is_none_or(|left| !left.is_empty());
            if let Some(log) = self.log.as_mut().filter(|_| is_left) {
                self.given.complete(&mut self.evidence, outcome, directory, Instant::now() + stderr::PATIENCE);
                self.given.report(&self.evidence, outcome, Some(log), None);
                self.is_complete = true;
            }
            self.evidence.drained = supervisor.drain(limit, stop, &mut self.relay);
        }
        outcome
    }

    /// Reports, and says what to exit with.
    #[inline(never)]
    fn finish(&mut self, outcome: Outcome, directory: Option<&Path>) -> u8 {
        let (given, evidence) = (&self.given, &mut self.evidence);
        if let (Outcome::NotStarted(error), Some(peer)) = (outcome, given.config.peer) {
            evidence.start_status = Some(peer.start_status(error));
            let name = name_of(given.arguments, given.program);
            let line = peer.start_line(given.pid, &name, Errno::from_raw(error.errno).desc());
            stderr::log_line(format!("{line}\n").as_bytes());
        }
        let status = given.status(outcome, evidence);
        let deadline = Instant::now() + stderr::PATIENCE;
        if given.wants_report() {
            if !self.is_complete {
                given.complete(evidence, outcome, directory, deadline);
            }
            given.report(evidence, outcome, self.log.as_mut(), Some((&mut self.relay, deadline)));
        }
        self.relay.finish(deadline);
        if let Outcome::NotStarted(error) = outcome
            && given.config.peer.is_none()
            && (!given.wants_report() || given.config.quiet)
        {
            let name = name_of(given.arguments, given.program);
            log::error!("cannot start {name}: {}", Errno::from_raw(error.errno).desc());
        }
        status
    }
}

impl Given {
    fn wants_report(&self) -> bool {
        self.config.report != ReportWhen::Never
    }

    /// What rinit exits with.
    fn status(&self, outcome: Outcome, evidence: &Evidence) -> u8 {
        match evidence.exit_status(&outcome) {
            status if self.config.remap_exit.contains(&status) && !matches!(outcome, Outcome::NotStarted(_)) => 0,
            status => status,
        }
    }

    /// Adds to `evidence` what an end like this one makes worth a look.
    // Not inlined: what it needs would lie on the stack for as long as PROGRAM runs.
    #[inline(never)]
    fn complete(&self, evidence: &mut Evidence, outcome: Outcome, directory: Option<&Path>, deadline: Instant) {
        let words: Vec<Vec<u8>> = self.arguments.from(self.program).map(|word| word.to_bytes().to_vec()).collect();
        evidence.ended = seconds_since_1970();
        if let Outcome::NotStarted(_) = outcome {
            evidence.start_limits = Some(StartLimits::read(&words));
        }
        if let Outcome::Exited(126 | 127) = outcome {
            let look = |command: inside::Command<'_>| {
                let inspection = inspect(command.name, directory, false);
                Inside { name: command.name.to_vec(), other_user: command.other_user, inspection }
            };
            let fails = |inside: &Inside| inside.inspection.expected_errno().is_some();
            evidence.inside = inside::commands(&words).into_iter().map(look).find(fails).map(Box::new);
        }
        evidence.command = evidence::Command {
            program: words.first().cloned().unwrap_or_default(),
            arguments: words.len().saturating_sub(1),
            shown: self.config.show_args.then(|| words.into_iter().skip(1).collect()),
        };
        if let Outcome::NotStarted(StartError { stage: Stage::Exec, .. }) = outcome {
            evidence.inspection = Some(inspect(&evidence.command.program, directory, true));
        }
        if let Outcome::Signaled { signal: Signo::SEGV | Signo::BUS, .. } | Outcome::Exited(1..) = outcome {
            Self::look_at_file(evidence, outcome, directory);
        }
        if let Some(claim) = diagnose::claim(&outcome, evidence) {
            let path = path();
            let context = Context {
                directory: directory.map(|directory| directory.as_os_str().as_bytes()),
                path: path.as_deref(),
                user: evidence.zombie.as_ref().and_then(|zombie| zombie.user.as_ref()),
                proc: Proc::of(self.pid),
                // A quarter of the time: the rest is for whoever reads the report.
                until: deadline.checked_sub(stderr::PATIENCE * 3 / 4).unwrap_or(deadline),
            };
            evidence.checked = check_claim(&claim, &context);
        }
    }

    /// Looks at the file that PROGRAM was: one that is cut off kills its program; Go ends with 2, Rust with 101, after a
    /// panic; a shell with 2 or 126, where it may not read its script; every other failure is read by the program's name.
    fn look_at_file(evidence: &mut Evidence, outcome: Outcome, directory: Option<&Path>) {
        let roads = OnceCell::new();
        let open = |path: &Path| roads.get_or_init(Roads::read).as_ref().is_some_and(|roads| roads.is_open(path));
        let named = || {
            let file = child::first_executable(&evidence.command.program, path().as_deref(), directory, open)?;
            Some(PathBuf::from(OsString::from_vec(file)))
        };
        let exe = evidence.executed.as_ref().and_then(|executed| executed.exe.clone());
        // What dies in its execve, or soon after, has no /proc/PID/exe any more.
        let exe = exe.or_else(|| Executed::of_file(&named()?, open));
        let file = exe.clone().map(|exe| PathBuf::from(OsString::from_vec(exe)));
        if let Outcome::Exited(code) = outcome {
            let script = if matches!(code, 2 | 126) { named() } else { None };
            let executed = evidence.executed.get_or_insert_default();
            executed.exe = exe;
            evidence.unread = script.and_then(|script| executed.unread(&script));
            evidence.language =
                file.filter(|file| matches!(code, 2 | 101) && open(file)).and_then(|file| Language::of(&file));
        } else {
            evidence.elf = file.filter(|file| open(file)).and_then(|file| Executable::read(&file));
        }
    }

    /// Writes the report to the termination log and, if `stderr` is there, to stderr in time, behind what PROGRAM wrote.
    #[inline(never)]
    fn report(
        &self,
        evidence: &Evidence,
        outcome: Outcome,
        log: Option<&mut TerminationLog>,
        stderr: Option<(&mut Relay, Instant)>,
    ) {
        let diagnosis = diagnose(&outcome, evidence);
        let wanted = self.config.report == ReportWhen::Always
            || self.status(outcome, evidence) != 0
            || !diagnosis.notes.is_empty();
        let report = Report { outcome, evidence, diagnosis: &diagnosis, provisional: false };
        if let Some(log) = log {
            let plain_success = outcome == Outcome::Exited(0) && diagnosis.notes.is_empty();
            let deferred = self.config.defer_to_logs && adds_nothing(&diagnosis);
            log.write(self.config.report_size, plain_success, |limit| {
                Some(report.render(self.config.format, limit))
                    .filter(|report| wanted && !deferred && !report.is_empty())
            });
        }
        if let Some((relay, deadline)) = stderr.filter(|_| wanted && !self.config.quiet) {
            let mut report = report.render_for_stderr(self.config.stderr_format);
            // On lines of its own.
            relay.finish(deadline);
            if relay.is_within_a_line() {
                report.insert(0, b'\n');
            }
            stderr::write_report_until(&report, deadline);
        }
    }
}

/// What is on disk where `name` is looked for. `answered`: execve(2) has just done so.
fn inspect(name: &[u8], directory: Option<&Path>, answered: bool) -> Inspection {
    let path = path();
    let candidates = child::candidates(name, path.as_deref());
    let search_path = (!name.contains(&b'/')).then(|| path.unwrap_or_else(|| child::DEFAULT_PATH.to_vec()));
    Inspection::of(name, candidates, search_path, directory, answered)
}

/// What is left to be seen when PROGRAM has ended.
#[inline(never)]
fn gather(
    evidence: &mut Evidence,
    (own_pid, proc): (i32, Option<Proc>),
    depth: Depth,
    seen: &mut Seen,
    memory: Option<&Baseline>,
    watch: Option<&Watch>,
) {
    let own = Own::new(own_pid);
    let memory = memory.and_then(|memory| memory.finish(&own, watch, seen.cgroup.as_ref(), depth));
    let (signals, signals_omitted) = std::mem::take(&mut seen.history).into_events();
    // Field by field: a new Evidence would be built on the stack first.
    evidence.signals = signals;
    evidence.signals_omitted = signals_omitted;
    evidence.zombie = seen.zombie.take();
    evidence.limits = seen.limits.take();
    evidence.executed = seen.executed.take();
    evidence.death = seen.death.take();
    if depth >= Depth::Usage && proc.is_some() {
        evidence.strain = Strain::read(&own);
    }
    if depth == Depth::Everything {
        evidence.killer = Killer {
            score_adj: evidence.killer.score_adj.or_else(cgroup::oom_score_adj),
            ..killer(seen.oom_kills_before)
        };
    }
    evidence.memory = memory;
    evidence.reaped = seen.reaped;
    evidence.killed = std::mem::take(&mut seen.killed);
    evidence.left = proc.and_then(|proc| if own_pid == INIT { proc.others() } else { proc.descendants() });
}

/// The status of a program that SIGKILL ended, and of a shell whose last command it ended.
const KILLED: u8 = 137;

fn killer(on_machine_before: Option<u64>) -> Killer {
    Killer {
        on_machine_before,
        on_machine: cgroup::oom_kills_of_the_machine(),
        score_adj: None,
        kubernetes: std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
    }
}
