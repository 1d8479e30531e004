//! Ends by signals that are neither asked for nor faults: seccomp, limits, timers, SIGKILL, and whatever is left.

use std::time::Duration;

use super::case::Case;
use super::faults::{if_all_known, not_passed_on};
use super::stopped::leaves_trace;
use super::{Confidence, Diagnosis, memory, registry, wording};
use crate::evidence::limits::Limit;
use crate::signals::Signo;
use Confidence::{Certain, Likely, Possible, Unknown};

/// `Seccomp: 3` in the zombie (`SECCOMP_MODE_DEAD`). With SIGSYS that rinit did not pass on, this excludes
/// everything else: certain. The mark is of the main thread alone, which a filter can end before the others: where
/// another SIGSYS came, and for SIGKILL (the strict mode), likely.
pub(super) fn seccomp_killed(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal().filter(|_| case.seccomp() == Some(3))?;
    let (confidence, why) = match signal {
        Signo::SYS if case.delivered(signal).is_none() && case.all_signals_known() => {
            (Certain, "a seccomp filter killed it for a system call")
        }
        Signo::SYS => (Likely, "most likely a seccomp filter killed it for a system call"),
        Signo::KILL => (Likely, "most likely seccomp's strict mode killed it for a system call"),
        _ => return None,
    };
    Some(
        case.killed(signal, &registry::SECCOMP_KILLED, confidence, why)
            .evidence("Seccomp: 3 in /proc/PID/status at its death, which the kernel sets when seccomp kills")
            .not_known("which call it was"),
    )
}

/// ALRM, VTALRM or PROF. Its own timer sends them to the process as kill(2) does: never more than likely, and only
/// if that is how it came.
pub(super) fn timer_expired(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal().filter(|signal| matches!(*signal, Signo::ALRM | Signo::VTALRM | Signo::PROF))?;
    let confidence = if_all_known(case, if case.pending(signal) == Some(true) { Likely } else { Possible });
    let why = format!("{}a timer of its own ran out and nothing handled the signal", confidence.hedge());
    let diagnosis = case.killed(signal, &registry::TIMER_EXPIRED, confidence, &why);
    Some(not_passed_on(case, diagnosis, signal).not_known(format!("whether a process sent {signal} with kill")))
}

/// SIGXCPU, or SIGKILL at the hard limit.
///
/// The kernel sends SIGXCPU at the soft limit and then moves that limit up by a second
/// (kernel/time/posix-cpu-timers.c, `check_process_timers`). SIGXCPU, certain: the soft limit that was inherited from rinit
/// was just used up, and has been moved. Likely: the CPU time is near the limit; the kernel compares by another clock. At
/// the hard limit it sends SIGKILL, which leaves no such mark: likely.
pub(super) fn cpu_time_limit(case: &Case<'_>) -> Option<Diagnosis> {
    // The kernel counts the tick that it finds a process running in as wholly its own; on a busy machine that was 12 %
    // more than the process got.
    let slack = |limit: Duration| (limit / 4).min(Duration::from_secs(1));
    let signal = case.signal().filter(|signal| matches!(*signal, Signo::XCPU | Signo::KILL))?;
    let death = case.death();
    let used = death.and_then(|death| death.cpu);
    let limit = death.and_then(|death| death.limits.cpu);
    let (confidence, seconds) = match (signal, used, limit) {
        (Signo::KILL, Some(used), Some(Limit { hard: Some(hard), .. })) => {
            let limit = Duration::from_secs(hard);
            (Likely, Some(hard).filter(|_| used.saturating_add(slack(limit)) >= limit))
        }
        (Signo::KILL, ..) => return None,
        // Without a limit the kernel does not send it.
        (_, _, Some(Limit { soft: None, .. })) => return None,
        (_, Some(used), Some(Limit { soft: Some(soft), .. })) => {
            let reached = soft.saturating_sub(1);
            // Moved once, and the default action does not wait.
            let moved = death.and_then(|death| death.inherited_cpu_limit) == Some(reached) && soft > 0;
            match Duration::from_secs(reached) {
                limit
                    if moved
                        && used.saturating_add(slack(limit)) >= limit
                        && used <= limit.saturating_add(slack(limit)) =>
                {
                    (Certain, Some(reached))
                }
                limit if moved || used.saturating_add(slack(limit)) >= limit => (Likely, Some(reached)),
                _ => return None,
            }
        }
        _ => (Likely, None),
    };
    if signal == Signo::KILL && seconds.is_none() {
        return None;
    }
    let confidence = if_all_known(case, confidence);
    let which = if signal == Signo::KILL { "hard limit" } else { "limit" };
    let of = seconds.map(|seconds| format!(" of {}", wording::count(seconds, "second", "seconds")));
    let why = format!("{}it used up its {which}{} on CPU time", confidence.hedge(), of.unwrap_or_default());
    let mut diagnosis = case.killed(signal, &registry::CPU_TIME_LIMIT, confidence, &why);
    if let (Some(used), Some(_)) = (used, seconds) {
        diagnosis = diagnosis.evidence(format!("it had used {} of CPU time itself", wording::duration(used)));
    }
    if confidence != Certain {
        diagnosis = diagnosis.not_known(format!("whether a process sent {signal} with kill"));
    }
    Some(not_passed_on(case, diagnosis, signal))
}

/// SIGKILL of timeout(1), which sends what `-s KILL` and `-k` ask for to its own process group, itself included. Anybody
/// else can have sent it: likely.
pub(super) fn timeout_killed(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal().filter(|signal| *signal == Signo::KILL)?;
    let name = case.evidence.zombie.as_ref()?.name.as_deref()?;
    if name != b"timeout" || case.delivered(signal).is_some() {
        return None;
    }
    let confidence = if_all_known(case, Likely);
    let why = format!("{}its own -s KILL or -k struck, for the time was up", confidence.hedge());
    Some(
        case.killed(signal, &registry::TIMEOUT_EXPIRED, confidence, &why)
            .evidence("timeout sends that SIGKILL to its own process group, itself included"),
    )
}

/// SIGXFSZ where there is a limit on file size: likely, any process can send it with kill. Without a limit the kernel
/// does not send it.
pub(super) fn file_size_limit(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal().filter(|signal| *signal == Signo::XFSZ)?;
    let bytes = match case.limits().file_size {
        Some(Limit { soft: None, .. }) => return None,
        limit => limit.and_then(|limit| limit.soft),
    };
    let confidence = if_all_known(case, Likely);
    let limit = bytes.map(|bytes| format!(" of {}", wording::count(bytes, "byte", "bytes")));
    let why = format!("{}a file that it wrote grew past its limit{}", confidence.hedge(), limit.unwrap_or_default());
    let diagnosis = case.killed(signal, &registry::FILE_SIZE_LIMIT, confidence, &why);
    let diagnosis = match bytes {
        Some(bytes) => diagnosis.evidence(format!("Max file size in /proc/PID/limits was {bytes}")),
        None => diagnosis,
    };
    Some(not_passed_on(case, diagnosis, signal).not_known("which file, and whether a process sent SIGXFSZ with kill"))
}

/// SIGKILL that rinit did not send, and no OOM kill explains it. The kernel does not record the sender: unknown. Where
/// the counters cannot be read, an OOM kill looks the same from here. As PID 1, rinit would not have outlived a stop by
/// the kubelet or Docker.
pub(super) fn killed_by_unknown(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal().filter(|signal| *signal == Signo::KILL)?;
    let no_oom_kill = memory::no_oom_kill(case);
    let why = match (&no_oom_kill, case.evidence.is_init) {
        (Some(_), true) => "not by the OOM killer, and not by the kubelet or Docker",
        (Some(_), false) => "not by the OOM killer, by whom is not known",
        (None, _) => "by whom is not known, the OOM killer is one possibility",
    };
    let mut diagnosis = case.killed(signal, &registry::KILLED_BY_UNKNOWN, Unknown, why);
    let others = if no_oom_kill.is_some() { "" } else { "the OOM killer, " };
    if let Some(proof) = no_oom_kill {
        diagnosis = diagnosis
            .ruled_out(format!("OOM ({proof})"))
            .next("look for kill -9, pkill or a watchdog in scripts, exec probes and preStop");
    }
    diagnosis.evidence.extend(memory::elsewhere(case));
    diagnosis.evidence.extend(memory::quality_of_service(case));
    if case.evidence.is_init {
        diagnosis = diagnosis.ruled_out(
            "the end of a grace period, docker kill and the like (they kill PID 1, and rinit is alive to write this)",
        );
    }
    let at_the_start = if case.evidence.duration < Duration::from_secs(1) {
        ". So soon after the start, a security agent on the host or an old kernel that could not load it are possible as well"
    } else {
        ""
    };
    // Unlimited, it strikes nobody.
    let by_limit = match case.limits().cpu {
        Some(Limit { hard: None, .. }) => "",
        _ => ", or the hard limit on CPU time (ulimit -t)",
    };
    Some(
        not_passed_on(case, diagnosis, signal)
            .not_known(format!("the sender, the kernel does not record it: {others}a process in this container (exec sessions included) or on the host{by_limit}{at_the_start}"))
    )
}

/// A signal that no rule knows more of. That its default action ended the program is a fact, but a handler may have
/// raised it again: likely.
pub(super) fn other(case: &Case<'_>, signal: Signo) -> Diagnosis {
    let confidence = if_all_known(case, Likely);
    let why = format!("{}it does not handle this signal", confidence.hedge());
    let diagnosis = case.killed(signal, &registry::UNHANDLED_SIGNAL, confidence, &why);
    let diagnosis = match case.pending(signal) {
        Some(true) if leaves_trace(signal) => {
            diagnosis.evidence(format!("{signal} was still pending at its death, as it is when it was sent with kill"))
        }
        _ => diagnosis,
    };
    not_passed_on(case, diagnosis, signal)
        .not_known("the sender: the program itself, another process of the container, or one on the host")
}
