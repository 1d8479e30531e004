//! What does not depend on the clock: memory, system calls, wake-ups.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Init;
use crate::namespace::{Program, Run, Stderr, wait};

/// /proc/PID/smaps_rollup. It walks the page tables; the counters in /proc/PID/status may lag behind.
pub struct Memory {
    pub resident_kb: u64,
    pub anonymous_kb: u64,
    pub private_dirty_kb: u64,
}

/// What happened in ten seconds in which nothing had to happen.
pub struct Idle {
    /// Context switches: it was on a CPU, and left it.
    pub wake_ups: u64,
    /// CPU time in clock ticks.
    pub ticks: u64,
}

/// The two of each init, waiting as PID 1 for a program that waits. All of them wait at the same time. Memory is the
/// median of several starts: the kernel shifts the stack within its pages at random, which moves the count by one or two.
pub fn at_rest(inits: &[Init], waits: &Program) -> Vec<(Memory, Idle)> {
    const STARTS: usize = 9;
    let start = |init| (0..STARTS).map(|_| Run::new(init, waits, Stderr::Null).spawn(true)).collect();
    let pids: Vec<Vec<i32>> = inits.iter().map(start).collect();
    for pid in pids.iter().flatten() {
        settle(*pid, &waits.path, Duration::from_millis(100));
    }
    let before: Vec<Idle> = pids.iter().map(|pids| activity(pids[0])).collect();
    sleep(Duration::from_secs(10));
    let measured = pids.iter().zip(before).map(|(pids, before)| {
        let after = activity(pids[0]);
        let idle = Idle { wake_ups: after.wake_ups - before.wake_ups, ticks: after.ticks - before.ticks };
        let mut memory: Vec<Memory> = pids.iter().map(|pid| memory(*pid)).collect();
        memory.sort_by_key(|memory| memory.anonymous_kb);
        (memory.swap_remove(STARTS / 2), idle)
    });
    let measured = measured.collect();
    for pid in pids.into_iter().flatten() {
        // SAFETY: our child, not yet waited for.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        wait(pid);
    }
    measured
}

/// Waits until the program runs and the init has nothing more to do: no context switch for `rest`. Returns the program's
/// pid.
pub fn settle(init: i32, program: &Path, rest: Duration) -> i32 {
    let start = Instant::now();
    loop {
        let before = activity(init).wake_ups;
        sleep(rest);
        if let Some(pid) = program_of(init, program).filter(|_| activity(init).wake_ups == before) {
            return pid;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "pid {init} does not come to rest");
    }
}

/// The pid of the init's child, if that has become `program`.
fn program_of(init: i32, program: &Path) -> Option<i32> {
    let children = fs::read_to_string(format!("/proc/{init}/task/{init}/children")).expect("its children");
    let child = children.split_whitespace().next()?;
    let runs = fs::read_link(format!("/proc/{child}/exe")).is_ok_and(|exe| exe == program);
    child.parse().ok().filter(|_| runs)
}

fn activity(pid: i32) -> Idle {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("its stat");
    // The comm is in parentheses and may hold anything. utime and stime are fields 14 and 15 (proc_pid_stat(5)).
    let fields: Vec<&str> = stat[stat.rfind(')').expect("a comm")..].split_whitespace().collect();
    Idle {
        wake_ups: field(&status, "voluntary_ctxt_switches:") + field(&status, "nonvoluntary_ctxt_switches:"),
        ticks: fields[12].parse::<u64>().expect("utime") + fields[13].parse::<u64>().expect("stime"),
    }
}

fn memory(pid: i32) -> Memory {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("its memory");
    Memory {
        resident_kb: field(&rollup, "Rss:"),
        anonymous_kb: field(&rollup, "Anonymous:"),
        private_dirty_kb: field(&rollup, "Private_Dirty:"),
    }
}

/// The number on the line that starts with `name`.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the line is there");
    line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}

/// System calls on the way to the program: the init's after its own execve, up to and with its fork, and the child's
/// up to and with its execve. What the init does meanwhile is not on the way. By this rule Debian's tini-static makes
/// 26, its catatonit 24.
pub fn calls(init: &Init, program: &Program, scratch: &Path) -> usize {
    let trace = scratch.join("trace");
    let ran = Command::new("strace")
        .args(["-f", "-o"])
        .arg(&trace)
        .args(["unshare", "--pid", "--fork", "--mount-proc"])
        .args([&init.path, Path::new("--"), &program.path])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(init.environment.iter().filter_map(|e| e.split_once('=')))
        .stdin(Stdio::null())
        .output()
        .expect("strace is installed");
    assert!(ran.status.success(), "strace of {}: {}", init.name, String::from_utf8_lossy(&ran.stderr));
    let trace = fs::read_to_string(trace).expect("a trace in ASCII");
    // `PID  call(...`; a line that goes on with a call, a signal or an end has no name before a parenthesis.
    let calls: Vec<(&str, &str)> = trace
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(pid, rest)| Some((pid, rest.trim_start().split_once('(')?)))
        .filter(|(_, (name, _))| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
        .map(|(pid, (name, arguments))| (pid, if is_exec_of(name, arguments, &init.path) { "INIT" } else { name }))
        .collect();
    let start = calls.iter().position(|(_, name)| *name == "INIT").expect("the init was executed");
    let (pid, calls) = (calls[start].0, &calls[start + 1..]);
    let forks = ["fork", "vfork", "clone", "clone3"];
    let own: Vec<&str> = calls.iter().filter(|(p, _)| *p == pid).map(|(_, name)| *name).collect();
    let fork = own.iter().position(|name| forks.contains(name)).expect("a fork");
    // unshare(1) has nothing to do meanwhile but wait; the other process is the child, and it executes one program.
    let child = calls.iter().map(|(p, _)| *p).find(|p| *p != pid).expect("a child");
    let childs: Vec<&str> = calls.iter().filter(|(p, _)| *p == child).map(|(_, name)| *name).collect();
    let exec = childs.iter().rposition(|name| *name == "execve").expect("an execve");
    fork + 1 + exec + 1
}

fn is_exec_of(name: &str, arguments: &str, path: &Path) -> bool {
    name == "execve" && arguments.starts_with(&format!("\"{}\"", path.display()))
}
