//! Signals that the kernel raises for what the program itself did, and that rinit did not pass on.
//!
//! None is certain: another process of the container can send every one of them with kill(2), and for signals that
//! dump core nothing in the zombie tells the two apart.

use std::time::Duration;

use super::case::Case;
use super::{Cause, Confidence, Diagnosis, codes, registry, wording};
use crate::evidence::elf::Executable;
use crate::evidence::limits::Limit;
use crate::signals::Signo;
use Confidence::{Likely, Possible};

/// SIGSEGV or SIGBUS at once, and the executable ends before its program headers say. What the missing part would have
/// been mapped for cannot be known: likely.
pub(super) fn truncated_binary(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal().filter(|signal| matches!(*signal, Signo::SEGV | Signo::BUS) && at_once(case))?;
    let file = case.evidence.elf.as_ref()?;
    let end = file.elf.end.filter(|end| *end > file.size)?;
    let (confidence, path) = (if_all_known(case, Likely), wording::name(&file.path));
    let why = format!("{}its file is cut off", confidence.hedge());
    let size = |bytes: u64| wording::count(bytes, "byte", "bytes");
    Some(
        not_passed_on(case, case.killed(signal, &registry::TRUNCATED_BINARY, confidence, &why), signal)
            .evidence(format!("{path} has {}, its program headers need {}", size(file.size), size(end))),
    )
}

/// Whether it can hardly have begun.
fn at_once(case: &Case<'_>) -> bool {
    // Even where the machine is slow.
    const SOON: Duration = Duration::from_secs(1);
    const NEXT_TO_NOTHING: Duration = Duration::from_millis(50);
    let cpu = case.evidence.usage.map_or(Duration::ZERO, |usage| usage.user.saturating_add(usage.system));
    case.evidence.duration <= SOON && cpu <= NEXT_TO_NOTHING
}

/// SIGSEGV at once under a limit that leaves a program no room to be loaded: the kernel kills with it what it cannot load
/// any more (fs/exec.c, `bprm_execve`). Some programs need no more than that: likely.
pub(super) fn no_room_to_start(case: &Case<'_>) -> Option<Diagnosis> {
    /// What ld.so and a C library need before main, and what no limit is set to on purpose.
    const TOO_LITTLE: u64 = 64 << 10;
    let signal = case.signal().filter(|signal| *signal == Signo::SEGV && at_once(case))?;
    let limits = case.limits();
    let too_little = |limit: Option<Limit>| limit?.soft.filter(|bytes| *bytes <= TOO_LITTLE);
    let (what, bytes) = match (too_little(limits.stack), too_little(limits.address_space)) {
        (Some(bytes), _) => ("stack (ulimit -s)", bytes),
        (None, Some(bytes)) => ("address space (ulimit -v)", bytes),
        (None, None) => return None,
    };
    let confidence = if_all_known(case, Likely);
    let why = format!("{}its limit on {what}, {bytes} bytes, leaves no room to start", confidence.hedge());
    let diagnosis = case.killed(signal, &registry::SEGFAULT, confidence, &why);
    Some(not_passed_on(case, diagnosis, signal).next(
        "raise that limit (ulimit counts KiB, docker run --ulimit bytes): find the script, image or service that set it",
    ))
}

/// SIGBUS, and right after the death a tmpfs had no free block: the kernel raises it for a page that a full tmpfs cannot
/// give to a mapping. Another fault can have come at the same time: likely.
pub(super) fn shm_full(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal().filter(|signal| *signal == Signo::BUS)?;
    let full = case.death()?.full.iter().find(|full| full.tmpfs)?;
    let (confidence, path) = (if_all_known(case, Likely), wording::name(&full.path));
    let size = wording::kib(full.size / 1024);
    let why = format!("{}{path} was full ({size}) when it wrote to a mapping there", confidence.hedge());
    let diagnosis = case.killed(signal, &registry::SHM_FULL, confidence, &why);
    Some(
        not_passed_on(case, diagnosis, signal)
            .evidence(format!("right after its death {path}, a tmpfs of {size}, had no free block"))
            .not_known("which mapping it was, and whether a process sent SIGBUS with kill"),
    )
}

/// A fault signal. Likely; possible if some signals that came were not kept and this may be one of them.
pub(super) fn fault(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal()?;
    let (cause, why): (&'static Cause, _) = match signal {
        Signo::SEGV => (&registry::SEGFAULT, "it accessed memory that it may not access"),
        Signo::ABRT => (&registry::ABORTED, "it gave up by itself (abort)"),
        Signo::BUS => {
            (&registry::BUS_ERROR, "it accessed a mapped file or shared memory that could not be read or written")
        }
        Signo::ILL => (
            &registry::ILLEGAL_INSTRUCTION,
            "it ran an instruction that this CPU does not have, or a trap that was compiled in",
        ),
        Signo::TRAP => {
            (&registry::TRAP, "it ran a breakpoint instruction, which is how some programs end after a failed check")
        }
        Signo::FPE => (&registry::DIVIDE_BY_ZERO, "it divided by zero, or an arithmetic operation overflowed"),
        _ => return None,
    };
    let confidence = if_all_known(case, Likely);
    let mut diagnosis = case.killed(signal, cause, confidence, &format!("{}{why}", confidence.hedge()));
    let mut next = cause.next.to_owned();
    for full in case.death().iter().filter(|_| signal == Signo::BUS).flat_map(|death| &death.full) {
        diagnosis =
            diagnosis.evidence(format!("right after its death {} had no free block", wording::name(&full.path)));
    }
    if let Some(file) = case.evidence.elf.as_ref().filter(|file| signal == Signo::SEGV && file.elf.needs_musl()) {
        diagnosis = diagnosis.evidence(musl_stacks(file));
        next = format!(
            "run the same program on a Debian base. Gone: musl (a thread's stack, or a native module built for glibc: rebuild it inside Alpine). Still there: its own bug, {next}"
        );
    }
    if let Some(message) = codes::abort_message(case.evidence).filter(|_| signal == Signo::ABRT) {
        next = message.to_owned();
    }
    if signal == Signo::SEGV {
        diagnosis = diagnosis.not_known("the address, hence whether its stack overflowed");
    }
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
    Some(not_passed_on(case, diagnosis, signal).not_known("which call, and whether a process sent SIGSYS with kill"))
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
    Some(not_passed_on(case, diagnosis, signal).not_known("which pipe or socket"))
}

/// musl gives a new thread 131,072 bytes (src/internal/pthread_impl.h, `DEFAULT_STACK_SIZE`), or what the executable's
/// `PT_GNU_STACK` asks for.
fn musl_stacks(Executable { path, elf, .. }: &Executable) -> String {
    const DEFAULT: u64 = 131_072;
    let (loader, path) = (wording::name(elf.loader.as_deref().unwrap_or_default()), wording::name(path));
    if elf.stack > DEFAULT {
        return format!("{path} is built for musl ({loader})");
    }
    format!(
        "{path} is built for musl ({loader}) and asks for no larger stacks: a thread gets 128 KiB (glibc: mostly 8 MiB) unless the code that starts it says otherwise"
    )
}

/// `confidence`, but no more than possible where a signal that came may be the one that ended the program.
pub(super) fn if_all_known(case: &Case<'_>, confidence: Confidence) -> Confidence {
    if case.all_signals_known() { confidence } else { Possible }
}

/// That rinit did not send it is a fact only if every signal that came is known.
pub(super) fn not_passed_on(case: &Case<'_>, diagnosis: Diagnosis, signal: Signo) -> Diagnosis {
    if case.all_signals_known() { diagnosis.ruled_out(format!("rinit (it passed no {signal} on)")) } else { diagnosis }
}
