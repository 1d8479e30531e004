//! Facts in words. Pure; everything from outside is escaped here.

use super::{Facts, ProcView, Recognized, Space, Stdio};
use crate::diagnose::wording;
use crate::evidence::cgroup::place::Version;
use crate::signals::{SignalSet, Signo};
use crate::sink::termination_log::{Content, Look};

/// One line of the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub key: &'static str,
    pub value: String,
    /// What reports will lack because of it, a sentence each.
    pub remark: Vec<&'static str>,
}

/// include/uapi/linux/capability.h
const CAPABILITIES: [(&str, u32); 4] = [("DAC_OVERRIDE", 1), ("KILL", 5), ("SYS_PTRACE", 19), ("SYS_RESOURCE", 24)];
const UNKNOWN: &str = "not known";

pub(super) fn rows(facts: &Facts) -> Vec<Row> {
    let row = |key, (value, remark): (String, Vec<&'static str>)| Row { key, value, remark };
    vec![
        row("rinit", (format!("{} (git {})", env!("CARGO_PKG_VERSION"), env!("RINIT_GIT_SHA")), Vec::new())),
        row("pid", pid(facts)),
        row("user", (format!("uid {} gid {}", facts.uid, facts.gid), Vec::new())),
        row("capabilities", capabilities(facts)),
        row("no new privs", (no_new_privs(facts), Vec::new())),
        row("seccomp", (seccomp(facts), Vec::new())),
        row("kernel", kernel(facts)),
        row("proc", proc(facts)),
        row("cgroup", cgroup(facts)),
        row("memory limit", limit(facts, facts.cgroup.memory, |bytes| wording::kib(bytes / 1024))),
        row("pids limit", limit(facts, facts.cgroup.pids, |pids| pids.to_string())),
        row("cpu limit", limit(facts, facts.cgroup.cpu, |share| format!("{}.{:02} CPUs", share / 100, share % 100))),
        row("termination log", termination_log(facts.log.as_ref())),
        row("terminal", (if facts.terminal { "yes" } else { "none" }.to_owned(), Vec::new())),
        row("stdin", (stdio(facts.stdio[0]).to_owned(), Vec::new())),
        row("stdout", (stdio(facts.stdio[1]).to_owned(), Vec::new())),
        row("stderr", stderr(facts.stdio[2])),
        row("ignored signals", inherited(facts.ignored)),
        row("blocked signals", inherited(facts.blocked)),
        row("core dumps", core_dumps(facts)),
        row("dev shm", (facts.shm.map_or_else(|| "no mount of its own".to_owned(), space), Vec::new())),
        row("tmpfs", (tmpfs(&facts.tmpfs), Vec::new())),
        row("platform", (platform(facts), Vec::new())),
    ]
}

fn pid(facts: &Facts) -> (String, Vec<&'static str>) {
    if facts.pid == 1 {
        return ("1".to_owned(), Vec::new());
    }
    let init = match &facts.init {
        Some(name) => format!("PID 1 is {}", wording::name(name)),
        None => format!("what PID 1 is: {UNKNOWN}"),
    };
    (
        format!("{}, {init}", facts.pid),
        vec!["Reports will not know what is sent to the container as a whole, because that goes to PID 1"],
    )
}

fn capabilities(facts: &Facts) -> (String, Vec<&'static str>) {
    let Some(set) = facts.own.as_ref().and_then(|own| own.capabilities) else {
        return (UNKNOWN.to_owned(), Vec::new());
    };
    let has = |name: &str| CAPABILITIES.iter().any(|(known, bit)| *known == name && set & (1 << bit) != 0);
    let words: Vec<_> =
        CAPABILITIES.iter().map(|(name, _)| format!("{name} {}", if has(name) { "yes" } else { "no" })).collect();
    let mut remarks = Vec::new();
    if !has("KILL") {
        remarks.push("Without KILL, a signal cannot be passed on to a program that changed to another user");
    }
    if !has("SYS_PTRACE") {
        remarks.push("Reports will not know what processes of other users have open, because SYS_PTRACE is missing");
    }
    (words.join(", "), remarks)
}

fn no_new_privs(facts: &Facts) -> String {
    match facts.own.as_ref().and_then(|own| own.no_new_privs) {
        Some(true) => "set: set-user-ID programs and file capabilities have no effect".to_owned(),
        Some(false) => "not set".to_owned(),
        None => UNKNOWN.to_owned(),
    }
}

fn seccomp(facts: &Facts) -> String {
    match facts.own.as_ref().and_then(|own| own.seccomp) {
        Some(0) => "off".to_owned(),
        Some(1) => "strict".to_owned(),
        Some(2) => "a filter is installed".to_owned(),
        Some(mode) => format!("mode {mode}"),
        None => UNKNOWN.to_owned(),
    }
}

fn kernel(facts: &Facts) -> (String, Vec<&'static str>) {
    let release = if facts.release.is_empty() { UNKNOWN.to_owned() } else { wording::name(&facts.release) };
    match facts.recognized {
        None => (release, Vec::new()),
        Some(Recognized::GVisor) => (
            format!("{release}, gVisor (a kernel in user space)"),
            vec![
                "Reports will not know which signals a program handles, ignores or blocks, because gVisor's /proc does not tell",
                "Reports will know little of memory, because gVisor's cgroup files are its own",
            ],
        ),
        Some(Recognized::SyntheticProc) => (
            format!("{release}, with a /proc that is not Linux' own (gVisor's looks like this)"),
            vec!["Reports will not know which signals a program handles, because /proc/PID/status does not tell"],
        ),
    }
}

fn proc(facts: &Facts) -> (String, Vec<&'static str>) {
    let (mut value, mut remarks) = match facts.proc {
        ProcView::Own => ("own".to_owned(), Vec::new()),
        ProcView::Foreign => (
            "of another PID namespace".to_owned(),
            vec![
                "Reports will not know who sent a signal, which signals the program handled and what it left running, because /proc shows other processes",
            ],
        ),
        ProcView::Missing => (
            "not mounted".to_owned(),
            vec![
                "Reports will not know who sent a signal, which signals the program handled and what it left running, because that stands in /proc",
            ],
        ),
    };
    if let Some(hidepid) = &facts.hidepid {
        value += &format!(", hidepid={}", wording::name(hidepid));
        remarks.push("Reports may not know processes of other users, because hidepid hides them");
    }
    if !facts.lxcfs.is_empty() {
        let files = wording::list(facts.lxcfs.iter().map(|file| wording::name(file)));
        value += &format!(", lxcfs answers for {files}");
        remarks.push("What those files say is about the container, not about the node");
    }
    (value, remarks)
}

fn cgroup(facts: &Facts) -> (String, Vec<&'static str>) {
    match &facts.cgroup.memory_place {
        Some((version, directory)) => {
            let version = if *version == Version::V1 { 1 } else { 2 };
            (format!("v{version}, {}", wording::name(directory)), Vec::new())
        }
        None if facts.has_cgroups => (
            "mounted without a memory controller".to_owned(),
            vec!["Reports will not know of OOM kills, because no memory counters are there"],
        ),
        None => (
            "not mounted".to_owned(),
            vec!["Reports will not know of OOM kills and limits, because the cgroup's files are not there"],
        ),
    }
}

fn limit(facts: &Facts, limit: Option<Option<u64>>, words: impl Fn(u64) -> String) -> (String, Vec<&'static str>) {
    let value = match limit {
        Some(Some(limit)) => words(limit),
        Some(None) => "none in this cgroup (one above it may have one)".to_owned(),
        None => UNKNOWN.to_owned(),
    };
    let unknown = limit.is_none() && facts.cgroup.memory_place.is_some();
    let remark = "Reports will not know it either, because its file cannot be read";
    (value, if unknown { vec![remark] } else { Vec::new() })
}

fn termination_log(look: Option<&Look>) -> (String, Vec<&'static str>) {
    const ALONE: &str = "Reports go to stderr alone";
    let Some(look) = look else { return ("off".to_owned(), vec![ALONE]) };
    let path = wording::name(look.path.as_os_str().as_encoded_bytes());
    let kind = if look.is_mount { "a mount" } else { "no mount" };
    let writable = if look.writable { "writable" } else { "not writable" };
    let mut remarks = Vec::new();
    if !look.writable {
        remarks.push(ALONE);
    }
    let content = match look.content {
        Content::Missing if look.writable => return (format!("{path}, not there, would be created"), remarks),
        Content::Missing => return (format!("{path}, not there"), remarks),
        Content::NotRegular => {
            return (format!("{path}, not a regular file"), vec![ALONE]);
        }
        Content::Unreadable => "cannot be read",
        Content::Empty => "empty",
        Content::Report => "holds an earlier report",
        Content::Json => "holds JSON of another program",
        Content::Message => "holds a message of another program",
    };
    if look.content == Content::Json {
        remarks.push("No report will follow JSON in it: that has to stay alone");
    }
    (format!("{path}, {kind}, {writable}, {content}"), remarks)
}

fn stdio(kind: Stdio) -> &'static str {
    match kind {
        Stdio::Closed => "closed",
        Stdio::Null => "/dev/null",
        Stdio::Terminal => "a terminal",
        Stdio::Pipe => "a pipe",
        Stdio::Socket => "a socket",
        Stdio::File => "a file",
        Stdio::Other => "another kind of file",
    }
}

fn stderr(kind: Stdio) -> (String, Vec<&'static str>) {
    let lost = matches!(kind, Stdio::Closed | Stdio::Null);
    (stdio(kind).to_owned(), if lost { vec!["Nobody will see reports and warnings there"] } else { Vec::new() })
}

fn inherited(set: SignalSet) -> (String, Vec<&'static str>) {
    let signals: Vec<_> = Signo::all().filter(|signal| set.contains(*signal)).collect();
    if signals.is_empty() {
        return ("none".to_owned(), Vec::new());
    }
    let names: Vec<_> = signals.iter().map(ToString::to_string).collect();
    let stop = signals.contains(&Signo::TERM);
    (names.join(" "), if stop { vec!["A program that leaves it so does not stop on SIGTERM"] } else { Vec::new() })
}

fn core_dumps(facts: &Facts) -> (String, Vec<&'static str>) {
    let limit = match facts.core_limit {
        Some(0) => "limit 0".to_owned(),
        Some(libc::RLIM_INFINITY) => "no limit".to_owned(),
        Some(bytes) => format!("limit {}", wording::kib(bytes / 1024)),
        None => format!("limit {UNKNOWN}"),
    };
    match &facts.core_pattern {
        None => (format!("{limit}, core_pattern {UNKNOWN}"), Vec::new()),
        // core(5): the limit does not hold for a pipe.
        Some(pattern) if pattern.starts_with(b"|") => (
            format!("to a program of the host ({}), whatever the {limit}", wording::name(pattern)),
            vec!["A core dump is then on the node, not in the container"],
        ),
        Some(pattern) => {
            let remark = "A crash leaves no core dump, because the limit is 0 (ulimit -c)";
            let none = facts.core_limit == Some(0);
            (format!("{limit}, core_pattern {}", wording::name(pattern)), if none { vec![remark] } else { Vec::new() })
        }
    }
}

fn space(space: Space) -> String {
    let size = |bytes: u64| wording::kib(bytes / 1024);
    if space.size == 0 { "no limit".to_owned() } else { format!("{}, {} free", size(space.size), size(space.free)) }
}

fn tmpfs(mounts: &[(Vec<u8>, Option<Space>)]) -> String {
    if mounts.is_empty() {
        return "none".to_owned();
    }
    wording::list(mounts.iter().map(|(path, room)| match room {
        Some(room) => format!("{} ({})", wording::name(path), space(*room)),
        None => wording::name(path),
    }))
}

fn platform(facts: &Facts) -> String {
    if facts.platform.is_empty() { "no sign of one".to_owned() } else { facts.platform.join(", ") }
}
