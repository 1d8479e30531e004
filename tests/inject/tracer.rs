//! Lets single system calls of rinit fail, or lets them wait: what `strace --inject` does, but only rinit's own, which
//! are those of the child up to its execve(2) too, each side counted by itself, and PROGRAM is let go of.
//!
//! ptrace(2). A call that is to fail is not made (its number becomes -1), as with strace. Only one that the kernel
//! carries out although it reports an error is made: close(2).

use std::collections::HashMap;
use std::io::Error;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// Whose call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    Rinit,
    /// The forked child, which is not PROGRAM yet.
    Child,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Nothing,
    Fail(i32),
    /// It fails from then on.
    FailForEver(i32),
    /// It starts late.
    HoldEnter,
    /// It returns late.
    HoldExit,
    /// It is made as it is, and at that moment rinit is sent SIGUSR1.
    Signal,
}

/// Which call, and what happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    pub side: Side,
    pub call: i64,
    /// The first is 1.
    pub occurrence: usize,
    pub act: Act,
}

/// What everybody can see meanwhile.
#[derive(Debug, Default)]
pub struct Progress {
    /// Calls of rinit's own since its main().
    pub calls: AtomicUsize,
    /// How often the plan came true.
    pub hits: AtomicUsize,
    /// rinit has been asked to stop.
    pub stopping: AtomicBool,
    /// SIGUSR1 came before that.
    pub in_time: AtomicBool,
    /// PROGRAM, once it has been executed.
    pub program: AtomicI32,
    /// rinit's own calls may be no more than this, then it is killed.
    pub most: AtomicUsize,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Trace {
    /// All calls from main() on, those of rinit and of the child.
    pub calls: Vec<(Side, i64)>,
    /// rinit's end, as wait(2) tells it.
    pub word: i32,
    /// It was killed for its number of calls.
    pub busy: bool,
}

/// How long a call is held: the other side has time to come as far as it can.
const HOLD: Duration = Duration::from_millis(15);

const OPTIONS: i32 =
    libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_EXITKILL;

/// The C library's type: in the guest that is musl.
#[cfg(target_env = "musl")]
type Request = i32;
#[cfg(not(target_env = "musl"))]
type Request = u32;

/// include/uapi/linux/ptrace.h
const GET_SYSCALL_INFO: Request = 0x420e;

#[derive(Default)]
struct Task {
    child: bool,
    /// Its main() has begun: rt_sigprocmask(2) is what rinit does first, all before is the C library's start.
    counts: bool,
    seen: HashMap<i64, usize>,
    /// What to make of the result of the call that is under way.
    result: Option<i64>,
    hold_exit: bool,
    held: Option<Instant>,
}

/// Traces `rinit`, which is not yet executed, to its end. Calls `ready` when everything that it does is seen.
pub fn trace(rinit: i32, plan: Plan, progress: &Progress, ready: impl FnOnce()) -> Trace {
    ptrace(libc::PTRACE_SEIZE, rinit, 0, OPTIONS as usize).unwrap_or_else(|error| panic!("PTRACE_SEIZE: {error}"));
    ready();
    let mut trace = Trace::default();
    let mut tasks: HashMap<i32, Task> = HashMap::from([(rinit, Task::default())]);
    loop {
        // While a call is held the others go on.
        let held = tasks.values().any(|task| task.held.is_some());
        let mut word = 0;
        let options = libc::__WALL | libc::__WNOTHREAD | if held { libc::WNOHANG } else { 0 };
        let pid = unsafe { libc::waitpid(-1, &raw mut word, options) };
        if pid == 0 {
            thread::sleep(Duration::from_micros(500));
            let now = Instant::now();
            for (pid, task) in &mut tasks {
                if task.held.take_if(|until| *until <= now).is_some() {
                    go_on(*pid, 0);
                }
            }
            continue;
        }
        if pid < 0 {
            assert_eq!(Error::last_os_error().raw_os_error(), Some(libc::ECHILD));
            return trace;
        }
        if libc::WIFEXITED(word) || libc::WIFSIGNALED(word) {
            tasks.remove(&pid);
            if pid == rinit {
                trace.word = word;
            }
            continue;
        }
        let task = tasks.entry(pid).or_insert_with(|| Task { child: true, counts: true, ..Task::default() });
        let (signal, event) = (libc::WSTOPSIG(word), word >> 16);
        if signal == libc::SIGTRAP | 0x80 {
            at_call((pid, rinit), task, plan, progress, &mut trace);
        } else if event == libc::PTRACE_EVENT_EXEC && task.child {
            progress.program.store(pid, Relaxed);
            let _ = ptrace(libc::PTRACE_DETACH, pid, 0, 0);
            tasks.remove(&pid);
        } else if event == libc::PTRACE_EVENT_STOP && signal != libc::SIGTRAP {
            // Stopped, and to stay so until SIGCONT.
            let _ = ptrace(libc::PTRACE_LISTEN, pid, 0, 0);
        } else if [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE].contains(&signal) {
            // A fault. A traced PID 1 would survive it, again and again.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            go_on(pid, 0);
        } else {
            go_on(pid, if event == 0 { signal } else { 0 });
        }
    }
}

fn at_call((pid, rinit): (i32, i32), task: &mut Task, plan: Plan, progress: &Progress, trace: &mut Trace) {
    const ENTRY: u8 = 1;
    let Some(info) = Info::of(pid) else { return };
    let side = if task.child { Side::Child } else { Side::Rinit };
    if info.operation != ENTRY {
        if let Some(result) = task.result.take() {
            set_register(pid, RESULT, result);
        }
        if std::mem::take(&mut task.hold_exit) {
            task.held = Some(Instant::now() + HOLD);
        }
    } else {
        task.counts |= info.call == libc::SYS_rt_sigprocmask;
        if task.counts {
            trace.calls.push((side, info.call));
            if side == Side::Rinit {
                let calls = progress.calls.fetch_add(1, Relaxed) + 1;
                if calls > progress.most.load(Relaxed) {
                    trace.busy = true;
                    unsafe { libc::kill(pid, libc::SIGKILL) };
                }
            }
            let seen = task.seen.entry(info.call).or_default();
            *seen += 1;
            let for_ever = matches!(plan.act, Act::FailForEver(_));
            let meant = *seen == plan.occurrence || for_ever && *seen > plan.occurrence;
            if meant && (side, info.call) == (plan.side, plan.call) && plan.act != Act::Nothing {
                progress.hits.fetch_add(1, Relaxed);
                match plan.act {
                    Act::Nothing => {}
                    Act::Fail(errno) | Act::FailForEver(errno) => {
                        if info.call != libc::SYS_close {
                            task.result = Some(-i64::from(errno));
                            set_register(pid, CALL, -1);
                        } else if !is_directory(pid, info.arguments[0]) {
                            task.result = Some(-i64::from(errno));
                        }
                    }
                    Act::HoldEnter => task.held = Some(Instant::now() + HOLD),
                    Act::HoldExit => task.hold_exit = true,
                    Act::Signal => {
                        unsafe { libc::kill(rinit, libc::SIGUSR1) };
                        progress.in_time.store(!progress.stopping.load(Relaxed), Relaxed);
                    }
                }
            }
        }
    }
    if task.held.is_none() {
        go_on(pid, 0);
    }
}

/// close(2) writes nothing back then: it cannot fail.
fn is_directory(pid: i32, fd: u64) -> bool {
    std::fs::metadata(format!("/proc/{pid}/fd/{fd}")).is_ok_and(|meta| meta.is_dir())
}

fn go_on(pid: i32, signal: i32) {
    // It may have been killed meanwhile.
    let _ = ptrace(libc::PTRACE_SYSCALL, pid, 0, signal as usize);
}

/// The head of ptrace_syscall_info, there too.
#[repr(C)]
#[derive(Default)]
struct Info {
    operation: u8,
    padding: [u8; 3],
    machine: u32,
    instruction: u64,
    stack: u64,
    call: i64,
    arguments: [u64; 6],
}

impl Info {
    fn of(pid: i32) -> Option<Self> {
        let mut info = Self::default();
        let address = ptr::from_mut(&mut info) as usize;
        ptrace(GET_SYSCALL_INFO, pid, size_of::<Self>(), address).ok().map(|()| info)
    }
}

// Offsets into struct user (sys/user.h): orig_rax and rax.
const CALL: usize = 15 * 8;
const RESULT: usize = 10 * 8;

fn set_register(pid: i32, register: usize, value: i64) {
    let _ = ptrace(libc::PTRACE_POKEUSER, pid, register, value as usize);
}

fn ptrace(request: Request, pid: i32, address: usize, data: usize) -> Result<(), Error> {
    let result = unsafe { libc::ptrace(request, pid, address, data) };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}
