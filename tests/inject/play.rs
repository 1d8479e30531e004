//! One run, from its start to its end, with one call that fails.

use std::fmt;
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Io, Rinit, Running, TempDir, kill, pipe, probe, proc, rinit};
use crate::scenarios::{Scenario, Step};
use crate::tracer::{Act, Plan, Progress, Trace, trace};

/// A run that has not ended then hangs.
const DEADLINE: Duration = Duration::from_secs(60);
/// Where a signal may have been lost on purpose, it is sent again after so long.
const AGAIN: Duration = Duration::from_millis(400);

/// What came of it.
pub struct Run {
    pub trace: Trace,
    pub hits: usize,
    /// PROGRAM was executed.
    pub started: bool,
    /// PROGRAM got no signal through rinit, since kill(2) failed, and was killed instead.
    pub killed: bool,
    /// kill(2) is what fails.
    pub signals_lost: bool,
    /// SIGUSR1 came before anything else.
    pub signaled: bool,
    pub stdout: String,
    pub stderr: String,
    pub log: Vec<u8>,
    /// Why the scenario could not be played to its end.
    pub stuck: Option<String>,
}

impl Run {
    pub fn status(&self) -> Option<i32> {
        libc::WIFEXITED(self.trace.word).then(|| libc::WEXITSTATUS(self.trace.word))
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = String::from_utf8_lossy(&self.log);
        let Self { hits, started, killed, stdout, stderr, .. } = self;
        let status = self.status();
        writeln!(f, "status {status:?}, {hits} hits, started {started}, killed {killed}")?;
        writeln!(f, "stdout: {stdout}\nstderr: {stderr}\nlog: {log}")
    }
}

struct Play<'a> {
    run: Running,
    rinit: i32,
    plan: Plan,
    progress: &'a Progress,
    log: PathBuf,
    /// The signal that may have been lost.
    last: Option<(i32, bool)>,
    killed: bool,
    /// Whether what PROGRAM writes comes through rinit.
    relays: bool,
}

/// Plays `scenario` with `plan`. rinit makes no more than `most` calls of its own.
pub fn play(scenario: &Scenario, plan: Plan, most: usize) -> Run {
    let directory = TempDir::new();
    // As the kubelet has them.
    let pod = directory.join("pods/0c1d7a5e-4a52-4a43-9b25-6a7e1f7a9c11/containers/app");
    fs::create_dir_all(&pod).unwrap();
    let log = pod.join("5f3a91c2");
    fs::write(&log, "").unwrap();
    fs::set_permissions(&log, PermissionsExt::from_mode(0o666)).unwrap();
    let progress = Progress::default();
    progress.most.store(most, Relaxed);
    let cgroup = scenario.memory.map(|limit| Cgroup::new(limit, scenario.dies_whole));
    let (gate, opener) = pipe();
    let terminal = scenario.terminal.then(terminal);
    let run = rinit_for(scenario, &directory, &log, cgroup.as_ref())
        .fd(9, gate)
        .stdin(terminal.as_ref().map_or(Io::Null, |(_, slave)| Io::Fd(slave.try_clone().unwrap())))
        .deadline(DEADLINE)
        .spawn();
    let (ready, is_ready) = mpsc::channel();
    thread::scope(|scope| {
        let mut run = run;
        let pid = if scenario.init {
            run.pid()
        } else {
            let around = run.pid();
            run.until("rinit is there", || proc::children(around).first().copied())
        };
        let tracer = scope.spawn({
            let progress = &progress;
            move || trace(pid, plan, progress, || ready.send(()).unwrap())
        });
        is_ready.recv().unwrap();
        drop(opener);
        let relays = scenario.options.contains(&"--tail-stdout");
        let mut play =
            Play { run, rinit: pid, plan, progress: &progress, log: log.clone(), last: None, killed: false, relays };
        let played = catch_unwind(AssertUnwindSafe(|| play.steps(scenario.steps)));
        let signals_lost = play.loses_signals();
        let Play { run, killed, .. } = play;
        let ended = catch_unwind(AssertUnwindSafe(|| run.wait()));
        let (stdout, stderr) = ended.as_ref().map(|ended| (ended.stdout(), ended.stderr())).unwrap_or_default();
        let stuck =
            played.and(ended.map(drop)).err().map(|why| why.downcast_ref::<String>().cloned().unwrap_or_default());
        Run {
            trace: tracer.join().unwrap(),
            hits: progress.hits.load(Relaxed),
            started: progress.program.load(Relaxed) != 0,
            killed,
            signals_lost,
            signaled: progress.in_time.load(Relaxed),
            stdout,
            stderr,
            log: fs::read(&log).unwrap(),
            stuck,
        }
    })
}

fn rinit_for(scenario: &Scenario, directory: &TempDir, log: &Path, cgroup: Option<&Cgroup>) -> Rinit {
    let probe = probe();
    let mut init = Rinit::as_init().init(&probe).env("PROBE", &probe);
    if scenario.terminal {
        init = init.controlling_terminal();
    }
    if scenario.default_log {
        let message = directory.join("message");
        fs::write(&message, "").unwrap();
        // Nor may anything come into the machine's /dev.
        init = init.tmpfs("/dev", "").bind(log, message).env_remove("RINIT_TERMINATION_LOG");
    } else {
        init = init.env("RINIT_TERMINATION_LOG", log);
    }
    if let Some(Cgroup(cgroup)) = cgroup {
        init = init.args([Path::new("inside"), cgroup, &probe]);
    }
    if !scenario.init {
        init = init.args([Path::new("around"), &probe]);
    }
    init = init.args([Path::new("gate"), &rinit()]).args(scenario.options);
    match scenario.program {
        [] => init,
        [other, rest @ ..] if other.starts_with('!') => init.args(["--", &other[1..]]).args(rest),
        own => init.probe(own),
    }
}

/// Where scenarios with a memory limit make their cgroups, and are the ones to run: the root of a cgroup v2 hierarchy.
pub fn cgroups() -> Option<PathBuf> {
    std::env::var_os("TEST_CGROUP").map(PathBuf::from)
}

/// It goes with the value.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(limit: &str, dies_whole: bool) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let path = cgroups().unwrap().join(format!("inject-{}", NUMBER.fetch_add(1, Relaxed)));
        fs::create_dir(&path).unwrap();
        fs::write(path.join("memory.max"), limit).unwrap();
        fs::write(path.join("memory.oom.group"), if dies_whole { "1" } else { "0" }).unwrap();
        Self(path)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Both sides of a pseudo-terminal.
fn terminal() -> (OwnedFd, OwnedFd) {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    let own = |fd: i32| {
        assert!(fd >= 0, "a pseudo-terminal: {}", std::io::Error::last_os_error());
        unsafe { OwnedFd::from_raw_fd(fd) }
    };
    let master = own(unsafe { libc::posix_openpt(flags) });
    assert_eq!(unsafe { libc::unlockpt(master.as_raw_fd()) }, 0, "unlockpt");
    let slave = own(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) });
    (master, slave)
}

impl Play<'_> {
    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            let goes_on = match *step {
                Step::Line => self.line(),
                Step::Quiet => self.quiet(),
                Step::Signal(signal) => self.send(signal, false) && self.line(),
                Step::Queue(signal) => self.send(signal, true) && self.line(),
                Step::Stop(signal) => {
                    self.progress.stopping.store(true, Relaxed);
                    self.send(signal, false) && self.end()
                }
                Step::Reports(count) => self.reports(count),
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Whether kill(2) is what fails: then signals get lost, and nobody can help it.
    fn loses_signals(&self) -> bool {
        let calls = [libc::SYS_kill, libc::SYS_rt_sigqueueinfo];
        matches!(self.plan.act, Act::Fail(_) | Act::FailForEver(_)) && calls.contains(&self.plan.call)
    }

    fn send(&mut self, signal: i32, queue: bool) -> bool {
        self.last = Some((signal, queue));
        if self.run.has_ended() {
            return false;
        }
        if queue && self.rinit == self.run.pid() {
            self.run.sigqueue(signal, 7);
        } else {
            kill(self.rinit, signal);
        }
        true
    }

    fn line(&mut self) -> bool {
        let start = Instant::now();
        self.wait_for(|play, limit| {
            play.run.line_within(limit).is_some() || play.loses_lines() && start.elapsed() > Duration::from_secs(2)
        })
    }

    /// Whether writing is what fails: then a line may not come through, as it would not without rinit.
    fn loses_lines(&self) -> bool {
        let calls = [libc::SYS_write, libc::SYS_writev, libc::SYS_pwritev2, libc::SYS_splice, libc::SYS_tee];
        self.relays
            && self.progress.hits.load(Relaxed) > 0
            && matches!(self.plan.act, Act::Fail(_) | Act::FailForEver(_))
            && calls.contains(&self.plan.call)
    }

    /// Whether PROGRAM's reader is gone: it is told so by SIGPIPE, and the probe writes a line for each signal.
    fn breaks_the_pipe(&self) -> bool {
        self.loses_lines() && matches!(self.plan.act, Act::Fail(libc::EPIPE) | Act::FailForEver(libc::EPIPE))
    }

    fn end(&mut self) -> bool {
        self.wait_for(|play, limit| {
            let _ = play.run.line_within(limit);
            play.run.has_ended()
        })
    }

    /// Waits for an effect. False: the run has ended.
    fn wait_for(&mut self, mut done: impl FnMut(&mut Self, Duration) -> bool) -> bool {
        let start = Instant::now();
        for attempt in 1.. {
            if done(self, AGAIN) {
                return true;
            }
            if self.run.has_ended() {
                return false;
            }
            assert!(start.elapsed() < DEADLINE, "not in time");
            let program = self.progress.program.load(Relaxed);
            if (self.loses_signals() || self.breaks_the_pipe()) && program != 0 {
                match self.last {
                    Some((signal, queue)) if attempt < 3 => _ = self.send(signal, queue),
                    _ => {
                        self.killed = true;
                        unsafe { libc::kill(program, libc::SIGKILL) };
                    }
                }
            }
        }
        false
    }

    /// Until rinit makes no call for a while, or makes very many.
    fn quiet(&mut self) -> bool {
        let start = Instant::now();
        let mut before = self.progress.calls.load(Relaxed);
        while !self.run.has_ended() && start.elapsed() < Duration::from_secs(3) {
            thread::sleep(Duration::from_millis(60));
            let now = self.progress.calls.load(Relaxed);
            if now == before && now > 0 {
                return true;
            }
            before = now;
        }
        !self.run.has_ended()
    }

    /// Until the log has so many, which may be never where a call fails.
    fn reports(&mut self, count: usize) -> bool {
        let start = Instant::now();
        while !self.run.has_ended() && start.elapsed() < Duration::from_secs(2) {
            let content = fs::read(&self.log).unwrap();
            let text = String::from_utf8_lossy(&content);
            if text.matches("provisional").count().max(text.matches("cause: ").count()) >= count {
                return true;
            }
            thread::sleep(Duration::from_millis(2));
        }
        !self.run.has_ended()
    }
}
