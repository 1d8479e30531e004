//! The OOM killer: whether it struck, at whose limit, and whether the program was its victim.
//!
//! The kernel counts before it kills (mm/oom_kill.c, `__oom_kill_process`), so counters that are read after the death
//! are complete. They do not say who was killed.

use std::time::Duration;

use super::case::Case;
use super::{Confidence, Diagnosis, Note, registry, wording};
use crate::evidence::cgroup::Memory;
use crate::evidence::cgroup::place::Version;
use crate::outcome::Outcome;
use crate::signals::Signo;
use Confidence::{Certain, Likely, Possible};

/// A look at the counters this long before the death is one shortly before it.
const SHORTLY: Duration = Duration::from_secs(1);

/// A program that lived this long was no victim of a kill that was counted soon after its start.
const LATER: Duration = Duration::from_secs(1);

/// Whose limit was reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// The container's.
    Own,
    /// Of a cgroup that was made inside it.
    Below,
    /// A cgroup above it, or the machine has no memory left.
    Above,
    Unknown,
}

/// SIGKILL, and OOM kills were counted that the program is not known to have survived.
///
/// Certain needs all of: PID 1, so that rinit sees the container's orphans; cgroup v2, whose `memory.events.local`
/// says that this very cgroup was out of memory; one kill counted, one death by SIGKILL seen, and that one was sent to
/// the process; no other victim that the program hid by reaping it (it waited for no child, and its children do not
/// vanish unseen); oom and oom_kill unmoved at a look shortly before the death, so that kill and death are one event;
/// and the program had half of the limit at least, so that no other process can have been larger. Else likely; possible
/// if there were more deaths than kills.
pub(super) fn oom_killed(case: &Case<'_>) -> Option<Diagnosis> {
    let signal = case.signal().filter(|signal| *signal == Signo::KILL)?;
    let memory = case.evidence.memory.as_ref()?;
    let kills = fresh_kills(memory).filter(|kills| *kills > 0)?;
    let reached = reached(memory);
    let confidence = match reached {
        Reached::Own if is_the_victim(case, memory) => Certain,
        Reached::Unknown => Possible,
        _ if kills > case.evidence.killed.count || had_half_of_the_limit(case, memory) => Likely,
        _ => Possible,
    };
    let who = match confidence {
        Certain => "out of memory",
        Likely => "most likely by the OOM killer",
        _ => "one possibility is the OOM killer",
    };
    let (cause, why) = match reached {
        Reached::Above => (&registry::OOM_OUTSIDE_CONTAINER, format!("{who}, {}", ran_out_above(case, memory))),
        _ => (&registry::OOM_CONTAINER_LIMIT, format!("{who}, {}", limit_reached(case, memory, reached))),
    };
    let deaths = case.evidence.killed.count + 1;
    let program = case.program();
    let count = if kills == 1 && deaths == 1 {
        format!(" (one kill, one death by SIGKILL: {program})")
    } else {
        format!(" (deaths by SIGKILL that rinit saw: {deaths})")
    };
    let mut diagnosis = case.killed(signal, cause, confidence, &why).evidence(counters(memory) + &count);
    diagnosis.evidence.extend(usage(memory));
    if case.evidence.killed.count > 0 {
        diagnosis = diagnosis.evidence(format!("SIGKILL ended these as well: {}", victims(case)));
    }
    diagnosis.evidence.extend(tmpfs(memory));
    diagnosis.evidence.extend(of_the_kernel(memory));
    if memory.swap_refused.is_some_and(|refused| refused > 0) {
        diagnosis = diagnosis.evidence("swap was full or at its limit");
    }
    if reached == Reached::Above {
        diagnosis.evidence.extend(limit_above(memory));
        diagnosis.evidence.extend(quality_of_service(case));
    }
    if confidence == Likely && is_the_only_death(case, memory) {
        diagnosis = diagnosis
            .evidence("no other process that could have been it was seen to end")
            .not_known("whether it was a process of an exec session instead, whose end PID 1 does not see");
    } else if confidence != Certain {
        diagnosis = diagnosis.not_known("which process it was, the counters do not say");
    }
    Some(diagnosis.next(advice(reached, &program)))
}

/// A failure of a program that was not killed itself, with OOM kills counted. Status 137 is how a shell passes on that
/// its command was killed: likely. Any other failure: likely if it came at once, possible where it is not known when.
pub(super) fn other_was_oom_killed(case: &Case<'_>) -> Option<Diagnosis> {
    const KILLED_COMMAND: u8 = 137;
    let code = case.code().filter(|code| *code != 0)?;
    let memory = case.evidence.memory.as_ref()?;
    let kills = memory.oom_kills().filter(|kills| *kills > 0)?;
    let confidence = match code {
        KILLED_COMMAND => Likely,
        _ if memory.version == Version::V2 && fresh_kills(memory) == Some(0) => return None,
        _ if memory.version == Version::V2 => Likely,
        _ => Possible,
    };
    let (program, lifetime) = (case.program(), case.lifetime());
    let reached = reached(memory);
    let what = match reached {
        Reached::Above => ran_out_above(case, memory),
        _ => limit_reached(case, memory, reached),
    };
    let whom = if code == KILLED_COMMAND { "a command that it ran" } else { "another process" };
    let explains = match (confidence, code) {
        (Likely, KILLED_COMMAND) => format!("most likely {whom} was OOM-killed, {what}"),
        (Likely, _) => format!("most likely because {whom} was OOM-killed, {what}"),
        _ => format!("one possibility is that {whom} was OOM-killed, {what}"),
    };
    let number = wording::count(kills, "process was", "processes were");
    let verdict = format!("{program} exited with status {code} {lifetime}: {explains}");
    let mut diagnosis = Diagnosis::new(&registry::OOM_OF_OTHER_PROCESS, confidence, verdict)
        .evidence(format!("{} ({number} OOM-killed)", counters(memory)))
        .ruled_out(format!("SIGKILL ending {program} itself (it exited, it was not signalled)"));
    diagnosis.evidence.extend(usage(memory));
    if case.evidence.killed.count > 0 {
        diagnosis = diagnosis.evidence(format!("SIGKILL ended these orphans: {}", victims(case)));
    }
    diagnosis.evidence.extend(tmpfs(memory));
    diagnosis.evidence.extend(of_the_kernel(memory));
    if case.evidence.killed.count != kills {
        diagnosis = diagnosis.not_known("which process it was, if its output does not say");
    }
    Some(diagnosis.next(advice(reached, "that process")))
}

/// That the OOM killer did not end the program: none was counted, here or on the whole machine.
pub(super) fn no_oom_kill(case: &Case<'_>) -> Option<String> {
    let memory = case.evidence.memory.as_ref();
    if let Some((memory, 0)) = memory.and_then(|memory| Some((memory, fresh_kills(memory)?))) {
        let kills = memory.after.oom_kill.unwrap_or_default();
        let counter = if memory.oom_kills() == Some(0) {
            format!("oom_kill still {kills}")
        } else {
            "oom_kill did not move any more".to_owned()
        };
        return Some(match usage(memory) {
            Some(usage) => format!("{counter}, {usage}"),
            None => counter,
        });
    }
    match kills_on_machine(case) {
        _ if case.evidence.killer.on_machine == Some(0) => {
            Some("the kernel counts no OOM kill since the machine booted".to_owned())
        }
        // The kernel counts, then kills: a victim of before would not have lived on.
        Some((before, now)) if before == now && case.evidence.duration >= LATER => {
            Some("the kernel counted no OOM kill on the whole machine while it ran".to_owned())
        }
        _ => None,
    }
}

/// The counter of the whole machine, limits of containers included, soon after the start and at the end.
fn kills_on_machine(case: &Case<'_>) -> Option<(u64, u64)> {
    let killer = &case.evidence.killer;
    killer.on_machine_before.zip(killer.on_machine)
}

/// That OOM kills were counted on the machine while the program ran. Whose they were, the counter does not say.
pub(super) fn elsewhere(case: &Case<'_>) -> Option<String> {
    let (before, now) = kills_on_machine(case).filter(|(before, now)| now > before)?;
    let whose = if no_oom_kill(case).is_some() {
        "not in this container: another one at its limit, or a node short of memory"
    } else {
        "here, in another container or for lack of memory on the node"
    };
    Some(format!(
        "the OOM killer struck on this machine while it ran (/proc/vmstat oom_kill {before} -> {now}), {whose}"
    ))
}

/// Side facts, whatever the cause is.
pub(super) fn complete(case: &Case<'_>, diagnosis: &mut Diagnosis) {
    let failed = case.start_error().is_none() && *case.outcome != Outcome::Exited(0);
    if let Some(memory) = &case.evidence.memory {
        let named =
            [registry::OOM_CONTAINER_LIMIT.id, registry::OOM_OUTSIDE_CONTAINER.id, registry::OOM_OF_OTHER_PROCESS.id];
        match memory.oom_kills() {
            Some(kills @ 1..) if !named.contains(&diagnosis.cause.id) => {
                diagnosis.notes.push(killed_meanwhile(case, memory, kills))
            }
            Some(0) if failed => {
                if case.code().is_some() && !diagnosis.brief {
                    let none = no_oom_kill(case).unwrap_or_default();
                    diagnosis.ruled_out.push(format!("an OOM kill ({none})"));
                }
                diagnosis.notes.extend(near_miss(memory));
                diagnosis.notes.extend(thrashing(case, memory));
            }
            _ => {}
        }
    }
    let strain = &case.evidence.strain;
    if let Some(refused @ 1..) = strain.refused_forks.filter(|_| failed) {
        let limit = strain.process_limit.map_or_else(String::new, |limit| format!(", pids.max is {limit}"));
        let summary =
            format!("a limit on processes refused forks or threads: {refused} since the container began{limit}");
        diagnosis.notes.push(Note { id: "forks-refused", summary });
    }
    if let (Some(periods), Some(throttled @ 10..)) = (strain.periods.filter(|_| failed), strain.throttled)
        && throttled >= periods / 10
    {
        let time =
            strain.throttled_for.map_or_else(String::new, |time| format!(", {} in all", wording::duration(time)));
        let summary = format!("the CPU limit held the container back in {throttled} of {periods} periods{time}");
        diagnosis.notes.push(Note { id: "cpu-throttled", summary });
    }
}

fn killed_meanwhile(case: &Case<'_>, memory: &Memory, kills: u64) -> Note {
    let number = wording::count(kills, "process", "processes");
    let place = container(case);
    let whom = match case.evidence.killed.count {
        0 => String::new(),
        count if count == kills => format!(", most likely {}", victims(case)),
        _ => format!(", perhaps of these: {}", victims(case)),
    };
    let summary = format!("the OOM killer ended {number} of this {place} before the end ({}){whom}", counters(memory));
    Note { id: registry::OOM_OF_OTHER_PROCESS.id, summary }
}

/// 95 % of the limit were in use at some time.
fn near_miss(memory: &Memory) -> Option<Note> {
    let limit = memory.limit?.bytes?;
    memory.peak.filter(|peak| *peak / 19 >= limit / 20)?;
    let summary = format!("memory came close to its limit: {} (page cache counts too, and gives way)", usage(memory)?);
    Some(Note { id: "memory-near-limit", summary })
}

/// At the limit over and over, nothing was killed, and most of the CPU time went to the kernel.
fn thrashing(case: &Case<'_>, memory: &Memory) -> Option<Note> {
    let reclaims = memory.after.max?.checked_sub(memory.before.max?).filter(|reclaims| *reclaims >= 1000)?;
    let usage = case.evidence.usage.filter(|usage| usage.system.as_secs() >= 1 && usage.system > usage.user * 2)?;
    let (kernel, user) = (wording::duration(usage.system), wording::duration(usage.user));
    let summary = format!(
        "memory stood at its limit ({reclaims} times something had to be given up first), and the kernel used {kernel} of CPU time against {user} of the program's own: most likely it read the same pages over and over"
    );
    Some(Note { id: "memory-thrashing", summary })
}

/// OOM kills since the fork, without those that the program is known to have survived.
fn fresh_kills(memory: &Memory) -> Option<u64> {
    memory.oom_kills()?.checked_sub(memory.survived)
}

/// The proof of [`oom_killed`] but for the limit.
fn is_the_victim(case: &Case<'_>, memory: &Memory) -> bool {
    let unmoved = |until| case.evidence.duration.saturating_sub(until) <= SHORTLY;
    is_the_only_kill(case, memory)
        && memory.local_oom.is_some_and(|oom| oom > 0)
        && case.pending(Signo::KILL) == Some(true)
        && memory.unmoved_until.is_some_and(unmoved)
        && had_half_of_the_limit(case, memory)
}

/// One kill was counted, and of all whose end rinit sees, the program is the one that SIGKILL ended: it has waited for no
/// child, and its children do not vanish unseen.
fn is_the_only_kill(case: &Case<'_>, memory: &Memory) -> bool {
    let evidence = case.evidence;
    evidence.is_init
        && memory.oom_kills() == Some(1)
        && evidence.killed.count == 0
        && case.death().and_then(|death| death.faults_of_children) == Some(0)
        && evidence.zombie.as_ref().and_then(|zombie| zombie.ignored).is_some_and(|set| !set.contains(Signo::CHLD))
}

/// And nobody is left who can have waited for another victim: only a process whose parents are outside, or in another PID
/// namespace, can be it. v1 counts the kills of this very cgroup alone (mm/memcontrol.c, `memcg_memory_event`).
fn is_the_only_death(case: &Case<'_>, memory: &Memory) -> bool {
    is_the_only_kill(case, memory) && case.evidence.left.as_ref().is_some_and(Vec::is_empty)
}

fn had_half_of_the_limit(case: &Case<'_>, memory: &Memory) -> bool {
    let limit = memory.limit.filter(|limit| limit.level == 0).and_then(|limit| limit.bytes);
    let largest = case.evidence.usage.map(|usage| usage.max_rss_kib.saturating_mul(1024));
    limit.zip(largest).is_some_and(|(limit, largest)| largest >= limit / 2)
}

fn reached(memory: &Memory) -> Reached {
    match memory.version {
        Version::V2 => match (memory.ooms(), memory.local_oom) {
            (Some(0), _) => Reached::Above,
            (Some(_), Some(0)) => Reached::Below,
            (Some(_), _) => Reached::Own,
            (None, _) => Reached::Unknown,
        },
        // v1 does not count at which limit. Pages in use are counted in batches: nearly is all.
        Version::V1 => match (memory.limit, memory.peak) {
            (Some(limit), Some(peak)) => match limit.bytes.filter(|_| limit.level == 0) {
                Some(bytes) if peak >= bytes - bytes / 50 => Reached::Own,
                Some(_) => Reached::Above,
                None if limit.level == 0 => Reached::Above,
                None => Reached::Unknown,
            },
            _ => Reached::Unknown,
        },
    }
}

fn limit_reached(case: &Case<'_>, memory: &Memory, reached: Reached) -> String {
    let place = container(case);
    let limit = memory.limit.filter(|limit| limit.level == 0).and_then(|limit| limit.bytes);
    match (reached, limit) {
        (Reached::Own, Some(limit)) => format!("the {place} reached its limit of {}", bytes(limit)),
        (Reached::Own, None) => format!("the {place} reached its memory limit"),
        (Reached::Below, _) => format!("a cgroup inside the {place} reached its memory limit"),
        _ => "at which limit is not known".to_owned(),
    }
}

fn ran_out_above(case: &Case<'_>, memory: &Memory) -> String {
    let place = container(case);
    let own = memory.limit.filter(|limit| limit.level == 0).map(|limit| limit.bytes);
    let below = match (own, memory.peak) {
        (Some(Some(_)), Some(_)) => {
            format!("though the {place} was below its own limit ({})", usage(memory).unwrap_or_default())
        }
        (Some(None), _) => format!("though the {place} has no limit of its own"),
        _ => format!("though the {place} was not at its own limit"),
    };
    format!("{below}: the pod, another cgroup above or the node ran out of memory")
}

/// `memory.events oom 0 -> 1, oom_kill 0 -> 1`
fn counters(memory: &Memory) -> String {
    let moved = |name, before: Option<u64>, after: Option<u64>| {
        before.zip(after).map(|(before, after)| format!("{name} {before} -> {after}"))
    };
    let file = match memory.version {
        Version::V1 => "memory.oom_control",
        Version::V2 => "memory.events",
    };
    let moves = [
        moved("oom", memory.before.oom, memory.after.oom),
        moved("oom_kill", memory.before.oom_kill, memory.after.oom_kill),
    ];
    format!("{file} {}", moves.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// `peak 210 of 512 MiB`
pub(super) fn usage(memory: &Memory) -> Option<String> {
    Some(format!("peak {}", of_limit(memory.peak?, memory.limit.map(|limit| (limit.bytes, limit.level)))))
}

/// `210 of 512 MiB`: what is used, of a limit so many levels above the container, if it is known.
pub(super) fn of_limit(used: u64, limit: Option<(Option<u64>, usize)>) -> String {
    let above = limit.map_or("", |(_, level)| if level == 0 { "" } else { " (a limit above the container)" });
    match limit.map(|(limit, _)| limit) {
        Some(Some(limit)) if used.min(limit) >= 10 << 20 => format!("{} of {}{above}", used >> 20, bytes(limit)),
        Some(Some(limit)) => format!("{} of {}{above}", bytes(used), bytes(limit)),
        Some(None) => format!("{}, no limit", bytes(used)),
        None => bytes(used),
    }
}

/// v1: a limit that rules here, but is not in sight.
fn limit_above(memory: &Memory) -> Option<String> {
    let lowest = memory.limit?.bytes.unwrap_or(u64::MAX);
    let rules = memory.hierarchical_limit.filter(|limit| *limit < lowest)?;
    Some(format!("a limit of {} above the container applies too (hierarchical_memory_limit)", bytes(rules)))
}

/// Files in memory are charged to whoever wrote them, and no kill frees them.
fn tmpfs(memory: &Memory) -> Option<String> {
    let limit = memory.limit?.bytes?;
    let shared = memory.shared.filter(|shared| *shared >= limit / 2)?;
    Some(format!(
        "{} of the limit is tmpfs or shared memory (/dev/shm, an emptyDir with medium Memory), which no kill frees",
        bytes(shared)
    ))
}

/// What is charged to the container and belongs to no process. What a process had of it went with its end.
fn of_the_kernel(memory: &Memory) -> Option<String> {
    let limit = memory.limit?.bytes?;
    let kernel = memory.kernel.filter(|kernel| *kernel >= limit / 2)?;
    Some(format!("{} of the limit is the kernel's own memory (sockets, directory entries and the like)", bytes(kernel)))
}

/// Only Kubernetes sets these numbers to these ends (pkg/kubelet/qos/policy.go).
pub(super) fn quality_of_service(case: &Case<'_>) -> Option<String> {
    let score = case.evidence.killer.score_adj.filter(|score| *score != 0)?;
    let class = match score {
        _ if !case.evidence.killer.kubernetes => return Some(format!("oom_score_adj {score}")),
        1000 => "BestEffort, among the first to be killed when the node runs out of memory",
        -997 => "Guaranteed or node-critical, among the last to be killed when the node runs out of memory",
        2..1000 => "Burstable, killed before Guaranteed pods when the node runs out of memory",
        _ => return Some(format!("oom_score_adj {score}")),
    };
    Some(format!("oom_score_adj {score}: Kubernetes QoS {class}"))
}

fn victims(case: &Case<'_>) -> String {
    let killed = &case.evidence.killed;
    let named = wording::list(killed.named.iter().map(|victim| wording::process(victim.pid, victim.name.as_deref())));
    match killed.count.saturating_sub(killed.named.len() as u64) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn advice(reached: Reached, program: &str) -> String {
    match reached {
        Reached::Above => format!(
            "see the pod's other containers and the node (kubectl describe node: MemoryPressure, SystemOOM), lower what {program} uses, or set the memory request to what it needs, so that others are killed first"
        ),
        Reached::Below => format!("raise the memory limit of that cgroup, or lower what {program} uses"),
        _ => format!(
            "raise the memory limit (limits.memory, docker run -m), or lower what {program} uses (workers, caches, heap size). A peak at the limit says that it wanted more, not how much more"
        ),
    }
}

/// A cgroup is the container's if rinit is its init.
fn container(case: &Case<'_>) -> &'static str {
    if case.evidence.is_init { "container" } else { "cgroup" }
}

pub(super) fn bytes(bytes: u64) -> String {
    wording::kib(bytes / 1024)
}
