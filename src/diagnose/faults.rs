//! Signals that the kernel raises for what the program itself did, and that rinit did not pass on.
//!
//! None is certain: another process of the container can send every one of them with kill(2), and for signals that
//! dump core nothing in the zombie tells the two apart.

use super::case::Case;
use super::{Cause, Confidence, Diagnosis, registry};
use crate::signals::Signo;
use Confidence::{Likely, Possible};

/// A fault signal. Likely; possible if some signals that came were not kept and this may be one of them.
pub(super) fn fault(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal()?;
    let (cause, why, next): (&'static Cause, _, _) = match signal {
        Signo::SEGV => (
            &registry::SEGFAULT,
            "it accessed memory that it may not access",
            "allow a core dump (ulimit -c unlimited, /proc/sys/kernel/core_pattern says where it goes) or run it under a debugger. The node's kernel log may hold the address and the library",
        ),
        Signo::ABRT => (
            &registry::ABORTED,
            "it gave up by itself (abort)",
            "read the last lines of its output: a failed assertion, an uncaught exception or a damaged heap is mostly reported before abort()",
        ),
        Signo::BUS => (
            &registry::BUS_ERROR,
            "it accessed a mapped file or shared memory that could not be read or written",
            "look for a full /dev/shm or other tmpfs (df, Docker gives /dev/shm 64 MiB unless --shm-size says otherwise), and for a mapped file that was truncated or overwritten while in use",
        ),
        Signo::ILL => (
            &registry::ILLEGAL_INSTRUCTION,
            "it ran an instruction that this CPU does not have, or a trap that was compiled in",
            "check for which CPU it was built (x86-64-v3, AVX and the like) against the flags in /proc/cpuinfo, and read the last lines of its output",
        ),
        Signo::TRAP => (
            &registry::TRAP,
            "it ran a breakpoint instruction, which is how some programs end after a failed check",
            "read the last lines of its output: the failed check mostly stands there",
        ),
        Signo::FPE => (
            &registry::DIVIDE_BY_ZERO,
            "it divided by zero, or an arithmetic operation overflowed",
            "look for a division whose divisor can be zero. A core dump names the place",
        ),
        _ => return None,
    };
    let confidence = if_all_known(case, Likely);
    let diagnosis = case.killed(signal, cause, confidence, &format!("{}{why}", confidence.hedge()));
    Some(
        not_passed_on(case, diagnosis, signal)
            .not_known(format!("whether a process sent {signal} with kill"))
            .next(next),
    )
}

/// SIGSYS, and seccomp did not mark the thread as killed by it: a filter that only traps (`Seccomp: 2`), likely; else
/// possible. A kernel without that mark shows the same.
pub(super) fn bad_system_call(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal().filter(|signal| *signal == Signo::SYS)?;
    let confidence = if_all_known(case, if case.seccomp() == Some(2) { Likely } else { Possible });
    let why = format!("{}a seccomp filter refused a system call", confidence.hedge());
    let diagnosis = case.killed(signal, &registry::BAD_SYSTEM_CALL, confidence, &why);
    let diagnosis = match case.seccomp() {
        Some(mode) => diagnosis.evidence(format!("Seccomp: {mode} in /proc/PID/status")),
        None => diagnosis,
    };
    Some(
        not_passed_on(case, diagnosis, signal)
            .not_known("which call, and whether a process sent SIGSYS with kill")
            .next("find the system call: the host's audit log (type=1326) may name it. Then look at the seccomp profile, or at the program's own sandbox"),
    )
}

/// SIGPIPE. A write raises it for the thread, so nothing is pending for the process: likely. Pending: somebody sent
/// it, another rule's case. Not known: possible.
pub(super) fn broken_pipe(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal().filter(|signal| *signal == Signo::PIPE)?;
    let confidence = match case.pending(signal) {
        Some(true) => return None,
        Some(false) => if_all_known(case, Likely),
        None => Possible,
    };
    let why = format!("{}it wrote to a pipe or socket whose reader was gone", confidence.hedge());
    let diagnosis = case.killed(signal, &registry::BROKEN_PIPE, confidence, &why);
    let diagnosis = match case.pending(signal) {
        Some(_) => diagnosis.evidence("no SIGPIPE was left pending, as there is when it is sent with kill"),
        None => diagnosis,
    };
    Some(not_passed_on(case, diagnosis, signal).not_known("which pipe or socket").next(
        "look for the reader that ended first: a pipeline, a log collector, a client. A program that must survive this ignores SIGPIPE and handles EPIPE",
    ))
}

/// `confidence`, but no more than possible where a signal that came may be the one that ended the program.
pub(super) fn if_all_known(case: &Case<'_>, confidence: Confidence) -> Confidence {
    if case.all_signals_known() { confidence } else { Possible }
}

/// That rinit did not send it is a fact only if every signal that came is known.
pub(super) fn not_passed_on(case: &Case<'_>, diagnosis: Diagnosis, signal: Signo) -> Diagnosis {
    if case.all_signals_known() { diagnosis.ruled_out(format!("rinit (it passed no {signal} on)")) } else { diagnosis }
}
