//! Something was too small for the start.

use super::{Case, Certain, Diagnosis, Likely, Stage, call, failed, gave, registry, wording};
use crate::evidence::start_limits::{StartLimits, UNLIMITED};

/// No descriptor was free. The errno alone proves it: nothing else gives EMFILE or ENFILE here.
pub(in super::super) fn fd_limit(case: &Case<'_>) -> Option<Diagnosis> {
    let error = case.start_error().filter(|error| matches!(error.errno, libc::EMFILE | libc::ENFILE))?;
    let whose = if error.errno == libc::EMFILE { "this process" } else { "the whole system" };
    let what = format!("no file descriptor was free for {whose}");
    let mut diagnosis = failed(case, &registry::FD_LIMIT, Certain, &what).evidence(call(error));
    if let (libc::EMFILE, Some(limit)) = (error.errno, limits(case).and_then(|limits| limits.descriptors)) {
        diagnosis = diagnosis.evidence(format!("the limit on open files (RLIMIT_NOFILE) is {}", number(limit)));
    }
    if error.errno == libc::ENFILE {
        diagnosis = diagnosis.next(
            "raise fs.file-max on the node, or find what holds so many open there: /proc/sys/fs/file-nr counts them",
        );
    }
    Some(diagnosis)
}

/// EAGAIN of fork(2) or execve(2). Certain if the container's cgroup was at its limit right after, for then fork has to
/// fail. Otherwise which limit it was cannot be told from the errno, and a rare one of them is no limit on processes:
/// likely.
pub(in super::super) fn process_limit(case: &Case<'_>) -> Option<Diagnosis> {
    let error = case.start_error().filter(|error| error.errno == libc::EAGAIN && error.stage != Stage::Prepare)?;
    let cgroup = limits(case).and_then(|limits| limits.cgroup_processes);
    if let (Stage::Fork, Some((current, most))) = (error.stage, cgroup.filter(|(current, most)| current >= most)) {
        let what = format!("the container's limit of {most} processes and threads was reached");
        return Some(
            failed(case, &registry::PROCESS_LIMIT, Certain, &what)
                .evidence(call(error))
                .evidence(format!("pids.current {current}, pids.max {most}")),
        );
    }
    let mut diagnosis =
        failed(case, &registry::PROCESS_LIMIT, Likely, "a limit on the number of processes was most likely reached")
            .evidence(call(error));
    if let Some((current, most)) = cgroup {
        diagnosis =
            diagnosis.evidence(format!("pids.current {current}, pids.max {most} in the container's own cgroup"));
    }
    if let Some(limit) = limits(case).and_then(|limits| limits.processes).filter(|limit| *limit != UNLIMITED) {
        diagnosis = diagnosis.evidence(format!("this user may have {limit} processes and threads (RLIMIT_NPROC), other containers with the same uid counted as well"));
    }
    Some(diagnosis.not_known("which limit: the container's (pids.max), the user's (ulimit -u), or the host's"))
}

/// ENOMEM. A PID namespace whose init has ended gives the same at fork(2): likely.
pub(in super::super) fn no_memory(case: &Case<'_>) -> Option<Diagnosis> {
    let error = case.start_error().filter(|error| error.errno == libc::ENOMEM)?;
    let diagnosis = failed(case, &registry::NO_MEMORY_TO_START, Likely, "most likely the kernel had no memory for it")
        .evidence(call(error));
    Some(match error.stage {
        // rinit itself is the init where it is PID 1.
        Stage::Fork if !case.evidence.is_init => {
            diagnosis.not_known("whether this PID namespace still has an init: without one, fork fails in the same way")
        }
        _ => diagnosis,
    })
}

/// E2BIG. The errno alone proves it.
pub(in super::super) fn arguments_too_large(case: &Case<'_>) -> Option<Diagnosis> {
    let given = gave(case, libc::E2BIG)?;
    let arguments = wording::count(case.evidence.command.arguments, "argument", "arguments");
    let what = "its arguments and environment together are too large";
    let mut diagnosis = failed(case, &registry::ARGUMENTS_TOO_LARGE, Certain, what).evidence(given);
    let limits = limits(case);
    let Some(sizes) = limits.and_then(|limits| limits.sizes.as_ref()) else {
        return Some(
            diagnosis.evidence(format!("the command has {arguments}")).not_known("which of them is the large one"),
        );
    };
    let kib = |bytes: usize| wording::kib(bytes.div_ceil(1024) as u64);
    diagnosis = diagnosis.evidence(format!(
        "{arguments} with {} in all, the longest with {}",
        kib(sizes.arguments),
        kib(sizes.longest_argument)
    ));
    let mut environment = format!(
        "environment of {}, {}",
        kib(sizes.environment),
        wording::count(sizes.variables, "variable", "variables")
    );
    if let Some((name, size)) = &sizes.largest_variable {
        environment += &format!(", the largest is {} with {}", wording::name(name), kib(*size));
    }
    diagnosis = diagnosis.evidence(environment);
    if let Some(most) = limits.and_then(StartLimits::most_bytes) {
        diagnosis = diagnosis.evidence(format!("all together may have at most {} here", wording::kib(most / 1024)));
    }
    Some(diagnosis)
}

fn limits<'a>(case: &Case<'a>) -> Option<&'a StartLimits> {
    case.evidence.start_limits.as_ref()
}

fn number(limit: u64) -> String {
    if limit == UNLIMITED { "unlimited".to_owned() } else { limit.to_string() }
}
