//! Everything in rinit that reads bytes from outside, each with what must hold for all bytes. The fuzz targets and
//! tests/property.rs call the same functions.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
// What is added to the evidence is unknown here until somebody makes it arbitrary.
#![allow(clippy::needless_update)]

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use rinit::check::{MountLine, OwnStatus};
use rinit::cli::{self, Action, Format};
use rinit::diagnose::{Confidence, diagnose, registry};
use rinit::evidence::cgroup::place::Version;
use rinit::evidence::cgroup::values::Events;
use rinit::evidence::cgroup::{self, Memory};
use rinit::evidence::content::Content;
use rinit::evidence::death::{Death, Executed, Full};
use rinit::evidence::elf::{Elf, Executable, Header};
use rinit::evidence::files::{Candidate, FileFacts, Inspection, Role, Target};
use rinit::evidence::language::Language;
use rinit::evidence::limits::{Limit, Limits};
use rinit::evidence::mountinfo::Mount;
use rinit::evidence::process::{Process, Status};
use rinit::evidence::shebang::Shebang;
use rinit::evidence::snapshot::{Later, Snapshot, Threads, Waiting};
use rinit::evidence::sockets::Backlog;
use rinit::evidence::start_limits::{Sizes, StartLimits};
use rinit::evidence::user::{FileCapabilities, User};
use rinit::evidence::walk::{Directory, Obstacle, Permissions, Place};
use rinit::evidence::{Command, Evidence, Fate, Killed, SignalEvent, Usage};
use rinit::outcome::{Outcome, Stage, StartError};
use rinit::report::{Report, escape, find_report, is_json};
use rinit::signals::{Origin, Sender, SignalSet, Signo};

type EntryPoint = fn(&[u8]);

/// Each with the name of its corpus.
pub const ALL: [(&str, EntryPoint); 7] = [
    ("status", status),
    ("limits", limits),
    ("process", process),
    ("mount", mount),
    ("command_line", command_line),
    ("messages", messages),
    ("diagnosis", diagnosis),
];

/// /proc/PID/status: a line that is not there leaves its field unknown.
pub fn status(text: &[u8]) {
    let status = Status::parse(text);
    let has = |key: &[u8]| text.windows(key.len()).any(|part| part == key);
    for (known, key) in [
        (status.name.is_some(), &b"Name:"[..]),
        (status.state.is_some(), b"State:"),
        (status.parent.is_some(), b"PPid:"),
        (status.pending.is_some(), b"ShdPnd:"),
        (status.blocked.is_some(), b"SigBlk:"),
        (status.ignored.is_some(), b"SigIgn:"),
        (status.caught.is_some(), b"SigCgt:"),
        (status.seccomp.is_some(), b"Seccomp:"),
    ] {
        assert!(!known || has(key), "{status:?}");
    }
    let own = OwnStatus::parse(text);
    assert!(own.capabilities.is_none() || has(b"CapEff:"));
    assert!(own.no_new_privs.is_none() || has(b"NoNewPrivs:"));
    assert!(!own.signal_sets || has(b"SigCgt:"));
}

/// /proc/PID/limits: a row that is not there is unknown.
pub fn limits(text: &[u8]) {
    let limits = Limits::parse(text);
    let has = |row: &[u8]| text.windows(row.len()).any(|part| part == row);
    for (limit, row) in [
        (limits.cpu, &b"Max cpu time"[..]),
        (limits.file_size, b"Max file size"),
        (limits.stack, b"Max stack size"),
        (limits.core, b"Max core file size"),
        (limits.address_space, b"Max address space"),
        (limits.open_files, b"Max open files"),
    ] {
        let Some(limit) = limit else { continue };
        assert!(has(row), "{limits:?}");
        // Unlimited is a word, no row has a bound that is not in the text.
        assert!(limit.soft.is_some() && limit.hard.is_some() || has(b"unlimited"), "{limits:?}");
        assert!(
            [limit.soft, limit.hard].into_iter().flatten().all(|bound| bound == 0 || has(bound.to_string().as_bytes()))
        );
    }
}

/// /proc/PID/stat: the comm is whatever stands between the outermost parentheses.
pub fn process(text: &[u8]) {
    let Some(process) = Process::parse(text) else { return };
    let mut comm = vec![b'('];
    comm.extend(&process.name);
    comm.push(b')');
    assert!(text.windows(comm.len()).any(|part| part == comm), "{process:?}");
}

/// /proc/PID/mountinfo, line by line.
pub fn mount(text: &[u8]) {
    for line in text.split(|byte| *byte == b'\n') {
        let Some(mount) = Mount::parse(line) else {
            let mut fields = line.split(|byte| *byte == b' ');
            let is_number = |field: Option<&[u8]>| std::str::from_utf8(field?).ok()?.parse::<u64>().ok();
            let ids = (is_number(fields.next()), is_number(fields.next()));
            assert!(fields.count() < 3 || ids.0.is_none() || ids.1.is_none());
            continue;
        };
        assert!(mount.root.len() + mount.mount_point.len() <= line.len());
        assert!(
            !mount.is_pod_termination_log() || mount.root.windows(6).any(|part| part == b"/pods/" || part == b"pods/u")
        );
        if let Some(line) = MountLine::parse(line) {
            assert_eq!(line.mount, mount);
            for name in ["hidepid", "memory", ""] {
                assert!(line.option(name).is_none_or(|value| value.len() <= line.options.len()));
            }
        }
    }
}

/// Words separated by NUL; after an empty word, the environment as NAME=VALUE.
pub fn command_line(text: &[u8]) {
    let mut words = text.split(|byte| *byte == 0);
    let args: Vec<OsString> = [&b"rinit"[..]]
        .into_iter()
        .chain(words.by_ref().take_while(|word| !word.is_empty()))
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect();
    let count = args.len();
    let variables: Vec<(&[u8], &[u8])> = words
        .filter_map(|word| {
            let equals = word.iter().position(|byte| *byte == b'=')?;
            Some((&word[..equals], &word[equals + 1..]))
        })
        .collect();
    let env = |name: &str| {
        let value = variables.iter().find(|(known, _)| *known == name.as_bytes())?.1;
        Some(OsString::from_vec(value.to_vec()))
    };
    match cli::parse(args.clone().into_iter(), &env) {
        Ok(Action::Run { program, .. } | Action::StandAside { program }) => {
            assert!((1..count).contains(&program), "{args:?}");
            // PROGRAM is a word without a dash, or the first behind the double dash.
            assert!(
                !args[program].as_bytes().starts_with(b"-") || args[program] == "-" || args[program - 1] == "--",
                "{args:?}"
            );
        }
        Ok(_) => {}
        Err(error) => {
            assert!(error.0.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{error:?}");
            assert!(error.0.len() < 2000, "{error:?}");
        }
    }
}

/// What PROGRAM may leave in the termination log.
pub fn messages(text: &[u8]) {
    if let Some(start) = find_report(text) {
        assert!(start == 0 || text[start - 1] == b'\n');
        assert!(text[start..].starts_with(b"rinit: ") || text[start..].starts_with(b"{\"schema\":1,"));
    }
    // serde_json is the other judge. It refuses more: depth, numbers too large, lone surrogates, bytes that are not UTF-8.
    let values: Result<Vec<serde_json::Value>, _> = serde_json::Deserializer::from_slice(text).into_iter().collect();
    let containers = values
        .as_ref()
        .is_ok_and(|values| !values.is_empty() && values.iter().all(|value| value.is_array() || value.is_object()));
    let alike = text.is_ascii()
        && text.len() < 128
        && !text.windows(2).any(|two| two == b"\\u")
        && !text.iter().any(|byte| matches!(byte, b'e' | b'E'));
    assert!(is_json(text) || !containers, "{:?}", String::from_utf8_lossy(text));
    assert!(!alike || is_json(text) == containers, "{:?}", String::from_utf8_lossy(text));

    let escaped = escape(text);
    assert!(escaped.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    assert_eq!(unescape(&escaped), text);
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        (rest, _) = match (first, after) {
            (b'\\', [b'x', hex @ ..]) => {
                let digits = std::str::from_utf8(&hex[..2]).unwrap();
                (&hex[2..], bytes.push(u8::from_str_radix(digits, 16).unwrap()))
            }
            (b'\\', [b'n', after @ ..]) => (after, bytes.push(b'\n')),
            (b'\\', [b'r', after @ ..]) => (after, bytes.push(b'\r')),
            (b'\\', [b't', after @ ..]) => (after, bytes.push(b'\t')),
            (b'\\', [b'\\', after @ ..]) => (after, bytes.push(b'\\')),
            (plain, after) => (after, bytes.push(*plain)),
        };
    }
    bytes
}

/// Outcome and evidence that `bytes` stand for.
pub fn evidence(bytes: &[u8]) -> (Outcome, Evidence) {
    let mut source = Source(bytes);
    (source.outcome(), source.evidence())
}

/// Any evidence: a diagnosis comes, says no more than is proven, and renders within every limit.
pub fn diagnosis(bytes: &[u8]) {
    let mut source = Source(bytes);
    let (outcome, evidence) = (source.outcome(), source.evidence());
    let limit = 256 + source.below(3841);
    let diagnosis = diagnose(&outcome, &evidence);
    let id = diagnosis.cause.id;
    let report = Report { outcome, evidence: &evidence, diagnosis: &diagnosis };
    let whole = String::from_utf8(report.render(Format::Text, usize::MAX)).unwrap();

    assert!(registry::ALL.iter().any(|cause| cause.id == id));
    if diagnosis.confidence == Confidence::Certain {
        assert!(proof(id, &outcome, &evidence), "certain without proof: {outcome:?} {evidence:?}\n{whole}");
    }
    says_nothing_of_the_unknown(&evidence, &whole);

    for text in [&whole, &String::from_utf8(report.render(Format::Text, limit)).unwrap()] {
        assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{text}");
        let cause = format!("      cause: {id} ({})", diagnosis.confidence.as_str());
        assert_eq!(text.lines().nth(1), Some(cause.as_str()), "{text}");
        assert_eq!(find_report(text.as_bytes()), Some(0), "{text}");
        assert!(text.starts_with("rinit: ") && !text.ends_with('\n') && text.lines().count() <= 6, "{text}");
    }
    for limit in [limit, usize::MAX] {
        for format in [Format::Text, Format::Json] {
            assert!(report.render(format, limit).len() <= limit);
        }
        let json = report.render(Format::Json, limit);
        assert!(json.iter().all(|byte| (b' '..=b'~').contains(byte)));
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(value["cause"]["id"], id);
        assert_eq!(value["exit_status"], outcome.exit_status());
        assert!(is_json(&json) && find_report(&json) == Some(0));
    }
    // Too little room for any: nothing, never a piece.
    let short = report.render(Format::Json, limit % 256);
    assert!(short.is_empty() || serde_json::from_slice::<serde_json::Value>(&short).is_ok());
}

/// What makes a cause certain: the facts that exclude everything else. A cause that is not named here is never certain.
pub fn proof(id: &str, outcome: &Outcome, evidence: &Evidence) -> bool {
    let errno = match outcome {
        Outcome::NotStarted(error) => Some((error.stage, error.errno)),
        _ => None,
    };
    let of_exec = |wanted: i32| errno == Some((Stage::Exec, wanted));
    let inspection = evidence.inspection.as_ref();
    let candidates = inspection.map_or(&[][..], |inspection| &inspection.candidates);
    let errno_at = |target: &Target| target.file.as_ref().err().map(|obstacle| obstacle.errno);
    let absent = |candidate: &Candidate| matches!(errno_at(&candidate.target), Some(libc::ENOENT | libc::ENOTDIR));
    let needs = |role: Role| {
        let all = candidates.iter().flat_map(|candidate| &candidate.needs);
        all.filter(move |need| need.0 == role).map(|need| &need.1)
    };
    let all = || candidates.iter().map(|one| &one.target).chain(needs(Role::Interpreter)).chain(needs(Role::Loader));
    let stat_says = |wanted: i32| all().any(|target| errno_at(target) == Some(wanted));
    let files = || all().filter_map(|target| target.file.as_ref().ok());
    let has = |wanted: &dyn Fn(&Content) -> bool| files().any(|file| file.content.as_ref().is_some_and(wanted));
    let kind = |file: &FileFacts| file.permissions.mode & libc::S_IFMT;
    // Where a search can have been refused, only one path is not empty.
    let one_is_there = || candidates.iter().filter(|candidate| !absent(candidate)).count() == 1;
    let place = |wanted: &dyn Fn(&Obstacle) -> bool| {
        let obstacles = candidates.iter().filter_map(|candidate| candidate.target.file.as_ref().err());
        obstacles.into_iter().any(wanted)
    };
    let denied = |file: &FileFacts| {
        kind(file) != libc::S_IFREG
            || file.permissions.mode & 0o111 == 0
            || file.noexec == Some(true)
            || (file.access != Some(true) && !file.has_acl)
    };
    let lacks_capability = || inspection.is_some_and(|inspection| inspection.user.effective.is_some());
    let name = &evidence.command.program;
    match id {
        "fd-limit" => errno.is_some_and(|(_, errno)| matches!(errno, libc::EMFILE | libc::ENFILE)),
        "process-limit" => {
            let limit = evidence.start_limits.as_ref().and_then(|limits| limits.cgroup_processes);
            errno == Some((Stage::Fork, libc::EAGAIN)) && limit.is_some_and(|(current, most)| current >= most)
        }
        "command-not-found" | "shell-syntax-as-command" => {
            of_exec(libc::ENOENT) && (name.is_empty() || (!candidates.is_empty() && candidates.iter().all(absent)))
        }
        "path-missing" => {
            of_exec(libc::ENOENT) && place(&|obstacle| matches!(obstacle.place, Some(Place::Missing(..))))
        }
        "dangling-symlink" => {
            let leads_nowhere =
                |obstacle: &Obstacle| obstacle.link.is_some() && matches!(obstacle.place, Some(Place::Missing(..)));
            of_exec(libc::ENOENT) && place(&leads_nowhere)
        }
        "shebang-crlf" | "shebang-interpreter-missing" => {
            of_exec(libc::ENOENT) && needs(Role::Interpreter).any(|target| errno_at(target) == Some(libc::ENOENT))
        }
        "loader-missing" => {
            of_exec(libc::ENOENT)
                && needs(Role::Loader).any(|target| matches!(errno_at(target), Some(0 | libc::ENOENT)))
        }
        "is-a-directory" => of_exec(libc::EACCES) && one_is_there() && files().any(|file| kind(file) == libc::S_IFDIR),
        "noexec-mount" => of_exec(libc::EACCES) && one_is_there() && files().any(|file| file.noexec == Some(true)),
        "not-executable" | "interpreter-not-executable" => {
            of_exec(libc::EACCES) && one_is_there() && files().any(denied)
        }
        "path-not-traversable" => {
            of_exec(libc::EACCES)
                && lacks_capability()
                && place(&|obstacle| matches!(obstacle.place, Some(Place::Closed(_, Some(_)))))
        }
        "capabilities-not-granted" => {
            let bounding = inspection.and_then(|inspection| inspection.user.bounding);
            let asks = |file: &FileFacts| file.capabilities.map_or(0, |capabilities| capabilities.permitted);
            of_exec(libc::EPERM) && bounding.is_some_and(|bounding| files().any(|file| asks(file) & !bounding != 0))
        }
        "not-a-directory" => of_exec(libc::ENOTDIR) && stat_says(libc::ENOTDIR),
        "symlink-loop" => {
            of_exec(libc::ELOOP) && (stat_says(libc::ELOOP) || candidates.iter().any(|one| one.needs.len() > 5))
        }
        "name-too-long" => of_exec(libc::ENAMETOOLONG) && stat_says(libc::ENAMETOOLONG),
        "arguments-too-large" => of_exec(libc::E2BIG),
        "executable-busy" => of_exec(libc::ETXTBSY),
        "bad-loader" => {
            let short = |target: &Target| target.file.as_ref().is_ok_and(|file| file.size < 52);
            of_exec(libc::ELIBBAD) || (of_exec(libc::EIO) && needs(Role::Loader).any(short))
        }
        "wrong-architecture" => {
            let machine = inspection.and_then(|inspection| inspection.machine.as_deref());
            of_exec(libc::ENOEXEC) && machine.is_some() && has(&|content| matches!(content, Content::Elf(_)))
        }
        "empty-file" => of_exec(libc::ENOEXEC) && files().any(|file| file.size == 0),
        "no-shebang" => {
            of_exec(libc::ENOEXEC) && has(&|content| matches!(content, Content::Text | Content::BrokenScript(_)))
        }
        "shebang-not-first" => of_exec(libc::ENOEXEC) && has(&|content| matches!(content, Content::LateShebang(_))),
        "not-a-program" => {
            of_exec(libc::ENOEXEC)
                && has(&|content| {
                    matches!(
                        content,
                        Content::Foreign(_) | Content::Zeros | Content::BrokenElf | Content::Data | Content::Elf(_)
                    )
                })
        }
        "shell-kept-signal" => shell_kept(outcome, evidence),
        "stopped-by-own-handler" => jvm_stopped(outcome, evidence),
        "cpu-time-limit" => cpu_limit_reached(outcome, evidence),
        "seccomp-killed" => {
            let sent = |event: &SignalEvent| delivered_as(event) == Some(Signo::SYS);
            matches!(outcome, Outcome::Signaled { signal: Signo::SYS, .. })
                && evidence.zombie.as_ref().and_then(|zombie| zombie.seccomp) == Some(3)
                && evidence.signals_omitted == 0
                && !evidence.signals.iter().any(sent)
        }
        "oom-container-limit" => {
            let moved = |memory: &Memory| {
                let before = memory.before.oom_kill;
                before.is_some_and(|before| memory.after.oom_kill == Some(before + 1)) && memory.local_oom > Some(0)
            };
            matches!(outcome, Outcome::Signaled { signal: Signo::KILL, .. })
                && evidence.is_init
                && evidence.killed.count == 0
                && evidence.memory.as_deref().is_some_and(moved)
        }
        "completed" => *outcome == Outcome::Exited(0) && evidence.signals.is_empty() && evidence.signals_omitted == 0,
        _ => false,
    }
}

fn delivered_as(event: &SignalEvent) -> Option<Signo> {
    match event.fate {
        Fate::Sent(signal) => Some(signal),
        Fate::Direct => Some(event.signal),
        Fate::Dropped | Fate::Failed(_) => None,
    }
}

/// One signal, sent to this process alone, that no handler took and that is pending still; a child of then is left.
fn shell_kept(outcome: &Outcome, evidence: &Evidence) -> bool {
    let Outcome::Signaled { signal, .. } = *outcome else { return false };
    let mut events = evidence.signals.iter().filter(|event| delivered_as(event) == Some(signal));
    let (Some(event), None) = (events.next(), events.next()) else { return false };
    let pending = evidence.zombie.as_ref().and_then(|zombie| zombie.pending);
    let Some(snapshot) = &event.snapshot else { return false };
    let is_left = |child: &Process| evidence.left.iter().flatten().any(|left| left.pid == child.pid);
    evidence.signals_omitted == 0
        && !evidence.group
        && matches!(event.fate, Fate::Sent(_))
        && snapshot.caught(signal) == Some(false)
        && pending.is_some_and(|set| set.contains(signal))
        && evidence.duration.saturating_sub(event.at) <= Duration::from_secs(2)
        && snapshot.children.iter().flatten().any(is_left)
}

/// A JVM with a handler, without a child, that took the signal.
fn jvm_stopped(outcome: &Outcome, evidence: &Evidence) -> bool {
    let Outcome::Exited(code) = *outcome else { return false };
    let Some(signal) = Signo::new(i32::from(code) - 128) else { return false };
    let event = evidence.signals.iter().rev().find(|event| delivered_as(event) == Some(signal));
    let Some(snapshot) = event.and_then(|event| event.snapshot.as_ref()) else { return false };
    let pending = evidence.zombie.as_ref().and_then(|zombie| zombie.pending);
    evidence.signals_omitted == 0
        && evidence.executed.as_ref().and_then(Executed::name) == Some(b"java")
        && snapshot.caught(signal) == Some(true)
        && snapshot.children.as_ref().is_some_and(Vec::is_empty)
        && pending.is_some_and(|set| !set.contains(signal))
}

/// SIGKILL past the hard limit, or SIGXCPU at the inherited soft limit, which the kernel has moved since.
fn cpu_limit_reached(outcome: &Outcome, evidence: &Evidence) -> bool {
    let Outcome::Signaled { signal, .. } = *outcome else { return false };
    let Some(Death { limits: Limits { cpu: Some(limit), .. }, cpu: Some(used), inherited_cpu_limit, .. }) =
        &evidence.death
    else {
        return false;
    };
    let reached =
        |seconds: u64, slack: u64| used.saturating_add(Duration::from_millis(slack)) >= Duration::from_secs(seconds);
    evidence.signals_omitted == 0
        && match signal {
            Signo::KILL => limit.hard.is_some_and(|hard| reached(hard, 0)),
            Signo::XCPU => {
                inherited_cpu_limit.is_some_and(|then| limit.soft.is_some_and(|now| then < now) && reached(then, 100))
            }
            _ => false,
        }
}

/// Words that rest on a fact do not stand in a report without it.
fn says_nothing_of_the_unknown(evidence: &Evidence, text: &str) {
    // Names from outside could say anything.
    if !evidence.command.program.iter().all(u8::is_ascii_alphanumeric) || evidence.command.shown.is_some() {
        return;
    }
    let zombie = evidence.zombie.as_ref();
    let handlers = evidence.signals.iter().any(|event| event.snapshot.is_some());
    for (known, words) in [
        (zombie.is_some_and(|zombie| zombie.pending.is_some()), &["pending at its death", "left pending"][..]),
        (zombie.is_some_and(|zombie| zombie.seccomp.is_some()), &["in /proc/PID/status"]),
        (evidence.usage.is_some(), &["of CPU time, the largest process had"]),
        (evidence.left.is_some(), &["still there at the end", " running\n"]),
        (handlers, &["it had a handler for it", "it ignored it then"]),
        (evidence.inspection.is_some(), &["looked in", " is mode ", " is a directory ("]),
        (evidence.is_init, &["they kill PID 1", "they go to PID 1", "ends with the container"]),
    ] {
        assert!(known || !words.iter().any(|words| text.contains(words)), "{words:?}: {evidence:?}\n{text}");
    }
}

/// Evidence made of bytes, as arbitrary as its types allow.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn one_in(&mut self, number: u8) -> bool {
        self.byte().is_multiple_of(number)
    }

    fn below(&mut self, limit: usize) -> usize {
        (usize::from(self.byte()) << 8 | usize::from(self.byte())) % limit
    }

    fn long(&mut self) -> u64 {
        match self.byte() % 4 {
            0 => u64::from(self.byte()),
            1 => u64::MAX - u64::from(self.byte()),
            2 => 1_795_269_611 + u64::from(self.byte()),
            _ => (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte())),
        }
    }

    fn int(&mut self) -> i32 {
        match self.byte() % 4 {
            0 => i32::from(self.byte()),
            1 => 1,
            2 => i32::MIN,
            _ => self.long() as i32,
        }
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.one_in(4) { None } else { Some(make(self)) }
    }

    fn list<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let length = self.below(most + 1);
        (0..length).map(|_| make(self)).collect()
    }

    fn name(&mut self) -> Vec<u8> {
        match self.byte() % 12 {
            0 => Vec::new(),
            8 => b"cd".to_vec(),
            9 => b"/app/x".to_vec(),
            10 => b"/bin/sh\r".to_vec(),
            11 => b"/app".to_vec(),
            1 => b"node".to_vec(),
            2 => b"/usr/bin/python3".to_vec(),
            3 => b"ls -l /".to_vec(),
            4 => vec![b'"'; self.below(3000)],
            5 if self.one_in(2) => b"sh".to_vec(),
            5 => b"x\nrinit: y\n      cause: segfault (certain)".to_vec(),
            6 => self.list(300, Self::byte),
            _ => b"worker".to_vec(),
        }
    }

    fn signal(&mut self) -> Signo {
        const COMMON: [i32; 8] = [1, 2, 3, 9, 15, 15, 31, 13];
        let number = self.byte();
        let common = COMMON[usize::from(number % 8)];
        Signo::new(if number < 128 { common } else { i32::from(number % 64) + 1 }).unwrap()
    }

    fn set(&mut self) -> SignalSet {
        match self.byte() % 4 {
            0 => SignalSet(0),
            1 => SignalSet::ALL,
            2 => SignalSet(0).with(self.signal()),
            _ => SignalSet(self.long()),
        }
    }

    fn duration(&mut self) -> Duration {
        match self.byte() % 4 {
            0 => Duration::MAX,
            1 => Duration::from_secs(self.long()),
            _ => Duration::from_millis(self.below(60_000) as u64),
        }
    }

    fn errno(&mut self) -> i32 {
        const KNOWN: [i32; 22] = [
            libc::ENOENT,
            libc::EACCES,
            libc::ENOENT,
            libc::EACCES,
            libc::ENOEXEC,
            libc::ENOEXEC,
            libc::ENOEXEC,
            libc::ENOTDIR,
            libc::ELOOP,
            libc::ENAMETOOLONG,
            libc::E2BIG,
            libc::ETXTBSY,
            libc::EMFILE,
            libc::ENFILE,
            libc::EAGAIN,
            libc::ENOMEM,
            libc::EPERM,
            libc::EIO,
            libc::EISDIR,
            libc::ELIBBAD,
            libc::EINVAL,
            libc::ENOSYS,
        ];
        match self.byte() {
            byte @ 0..240 => KNOWN[usize::from(byte) % KNOWN.len()],
            _ => self.int(),
        }
    }

    fn outcome(&mut self) -> Outcome {
        match self.byte() % 8 {
            0 | 1 => Outcome::Exited(self.byte()),
            2 => Outcome::Exited(0),
            3 | 4 => Outcome::Signaled { signal: self.signal(), core_dumped: self.one_in(2) },
            5 => Outcome::Signaled { signal: Signo::SYS, core_dumped: false },
            _ => {
                let stage = [Stage::Exec, Stage::Exec, Stage::Exec, Stage::Fork, Stage::Prepare];
                let stage = stage[usize::from(self.byte() % 5)];
                Outcome::NotStarted(StartError { stage, errno: self.errno() })
            }
        }
    }

    fn status(&mut self) -> Status {
        Status {
            name: self.maybe(Self::name),
            state: self.maybe(Self::byte),
            parent: self.maybe(Self::int),
            pending: self.maybe(Self::set),
            blocked: self.maybe(Self::set),
            ignored: self.maybe(Self::set),
            caught: self.maybe(Self::set),
            capabilities: self.maybe(Self::long),
            seccomp: self.maybe(|source| source.byte() % 5),
            ..Status::default()
        }
    }

    fn event(&mut self) -> SignalEvent {
        let signal = self.signal();
        let origin = match self.byte() % 6 {
            0 => Origin::Outside,
            1 => Origin::Exec(Sender { pid: self.int(), name: self.maybe(Self::name) }),
            2 => Origin::Terminal,
            3 => Origin::Own,
            4 => Origin::Process(Sender { pid: self.int(), name: self.maybe(Self::name) }),
            _ => Origin::Claimed(self.int()),
        };
        let fate = match self.byte() % 6 {
            0 => Fate::Dropped,
            1 => Fate::Direct,
            2 => Fate::Failed(self.errno()),
            3 => Fate::Sent(self.signal()),
            _ => Fate::Sent(signal),
        };
        SignalEvent { signal, origin, at: self.duration(), fate, snapshot: self.maybe(Self::snapshot) }
    }

    fn snapshot(&mut self) -> Snapshot {
        let queue = |source: &mut Self| Waiting {
            backlog: Backlog { port: source.long() as u16, waiting: source.long() as u32, inode: source.long() },
            held: source.maybe(|source| source.one_in(2)),
        };
        Snapshot {
            status: self.status(),
            children: self.maybe(|source| source.list(3, Self::left)),
            threads: self.maybe(|source| Threads {
                count: source.below(33),
                stopped: source.below(33),
                uninterruptible: source.below(33),
            }),
            backlogs: self.list(2, queue),
            later: self.maybe(|source| Later { after: source.duration(), pending: source.set(), state: source.byte() }),
            ..Snapshot::default()
        }
    }

    fn left(&mut self) -> Process {
        Process {
            pid: if self.one_in(2) { 9 } else { self.int() },
            name: self.name(),
            parent: self.int(),
            state: b"SRDZX"[usize::from(self.byte() % 5)],
        }
    }

    fn limit(&mut self) -> Limit {
        Limit { soft: self.maybe(Self::long), hard: self.maybe(Self::long) }
    }

    fn death(&mut self) -> Death {
        let limits = Limits {
            cpu: self.maybe(Self::limit),
            file_size: self.maybe(Self::limit),
            stack: self.maybe(Self::limit),
            core: self.maybe(Self::limit),
            ..Limits::default()
        };
        Death {
            limits,
            cpu: self.maybe(Self::duration),
            inherited_cpu_limit: self.maybe(Self::long),
            core_pattern: self.maybe(Self::name),
            full: self.list(2, |source| Full { path: source.name(), tmpfs: source.one_in(2), size: source.long() }),
            ..Death::default()
        }
    }

    fn memory(&mut self) -> Memory {
        let few = |source: &mut Self| source.maybe(|source| u64::from(source.byte() % 3));
        Memory {
            version: if self.one_in(3) { Version::V1 } else { Version::V2 },
            before: Events { max: few(self), oom: few(self), oom_kill: Some(0) },
            after: Events { max: few(self), oom: few(self), oom_kill: few(self) },
            local_oom: few(self),
            unmoved_until: self.maybe(Self::duration),
            survived: u64::from(self.one_in(4)),
            limit: self.maybe(|source| cgroup::Limit { bytes: source.maybe(Self::long), level: source.below(3) }),
            hierarchical_limit: self.maybe(Self::long),
            peak: self.maybe(Self::long),
            shared: self.maybe(Self::long),
            swap_refused: few(self),
        }
    }

    fn permissions(&mut self, kind: u32) -> Permissions {
        let mode = kind | [0o755, 0o644, 0, 0o100, 0o4111][usize::from(self.byte() % 5)];
        let id = |byte: u8| if byte < 128 { 0 } else { 1000 };
        Permissions { mode, uid: id(self.byte()), gid: id(self.byte()) }
    }

    fn mount(&mut self) -> Mount {
        Mount { mount_point: self.name(), file_system: self.maybe(Self::name), ..Mount::default() }
    }

    /// What a file holds: the start of one of each kind, or bytes.
    fn content(&mut self) -> Content {
        const STARTS: [&[u8]; 12] = [
            b"",
            &[0; 9],
            b"#!\n",
            b"\n#!/bin/sh\n",
            b"#\n#!/bin/sh\n",
            b"\xef\xbb\xbf#!/bin/sh\n",
            b"MZ",
            b"{\"a\": 1}",
            b"\x7fELF",
            b"echo\n",
            b"\x01",
            b"\x1f\x8b",
        ];
        match self.byte() % 16 {
            at @ 0..12 => Content::parse(STARTS[usize::from(at)]),
            12 => Content::Script(Shebang { interpreter: self.name(), argument: self.maybe(Self::name) }),
            13 => Content::parse(&self.list(300, Self::byte)),
            _ => Content::Elf(self.elf()),
        }
    }

    fn elf(&mut self) -> Elf {
        const MACHINES: [u16; 6] = [62, 183, 3, 40, 22, 9999];
        let header = Header {
            wide: self.one_in(2),
            big_endian: self.one_in(3),
            kind: u16::from(self.byte() % 6),
            machine: MACHINES[usize::from(self.byte() % 6)],
            table: self.long(),
            entries: u16::from(self.byte()),
        };
        Elf { header, loader: self.maybe(Self::name), end: self.maybe(Self::long), stack: self.long() }
    }

    fn facts(&mut self) -> FileFacts {
        const KINDS: [u32; 6] =
            [libc::S_IFREG, libc::S_IFREG, libc::S_IFDIR, libc::S_IFIFO, libc::S_IFSOCK, libc::S_IFCHR];
        let kind = KINDS[usize::from(self.byte() % 6)];
        let is_file = kind == libc::S_IFREG;
        FileFacts {
            permissions: self.permissions(kind),
            size: self.long(),
            has_acl: self.one_in(4),
            access: if is_file { Some(self.one_in(2)) } else { None },
            noexec: self.maybe(|source| source.one_in(3)),
            nosuid: self.maybe(|source| source.one_in(3)),
            mount: self.maybe(Self::mount),
            content: if is_file { self.maybe(Self::content) } else { None },
            capabilities: self.maybe(|source| FileCapabilities {
                permitted: source.long(),
                effective: source.one_in(2),
                namespaced: source.one_in(2),
            }),
        }
    }

    fn obstacle(&mut self) -> Obstacle {
        let errno = [libc::ENOENT, libc::EACCES, self.errno(), 0][usize::from(self.byte() % 4)];
        let place = self.maybe(|source| match source.byte() % 4 {
            0 => Place::File(source.name()),
            1 => Place::Closed(source.name(), source.maybe(|source| source.permissions(libc::S_IFDIR))),
            _ => Place::Missing(
                source.name(),
                Directory {
                    path: source.name(),
                    entries: source.maybe(|source| source.below(3)),
                    lost_and_found: source.one_in(2),
                    near: source.list(3, Self::name),
                    mount: source.maybe(Self::mount),
                },
            ),
        });
        let link = if self.one_in(4) { Some((self.name(), self.name())) } else { None };
        Obstacle { errno, place, link }
    }

    fn target(&mut self) -> Target {
        Target { path: self.name(), file: if self.one_in(2) { Ok(self.facts()) } else { Err(self.obstacle()) } }
    }

    fn candidate(&mut self) -> Candidate {
        let role = |byte: u8| if byte < 160 { Role::Interpreter } else { Role::Loader };
        Candidate { target: self.target(), needs: self.list(6, |source| (role(source.byte()), source.target())) }
    }

    fn inspection(&mut self) -> Inspection {
        const MACHINES: [&[u8]; 4] = [b"x86_64", b"aarch64", b"vax", b""];
        let id = |byte: u8| u32::from(byte % 2) * 1000;
        Inspection {
            candidates: self.list(2, Self::candidate),
            search_path: self.maybe(Self::name),
            user: User {
                uid: id(self.byte()),
                gid: id(self.byte()),
                groups: self.maybe(|source| source.list(3, |source| id(source.byte()))),
                effective: self.maybe(|source| if source.one_in(2) { 0 } else { source.long() }),
                bounding: self.maybe(Self::long),
            },
            near: self.list(3, Self::name),
            elsewhere: self.maybe(Self::name),
            interpreter: self.maybe(Self::name),
            loaders: self.maybe(|source| source.list(3, Self::name)),
            machine: self.maybe(|source| MACHINES[usize::from(source.byte() % 4)].to_vec()),
            security_label: self.maybe(Self::name),
        }
    }

    fn start_limits(&mut self) -> StartLimits {
        StartLimits {
            descriptors: self.maybe(Self::long),
            processes: self.maybe(Self::long),
            stack: self.maybe(Self::long),
            cgroup_processes: self.maybe(|source| (source.long(), source.long())),
            sizes: self.maybe(|source| Sizes {
                arguments: source.below(60_000),
                longest_argument: source.below(60_000),
                environment: source.long() as usize,
                variables: source.below(300),
                largest_variable: source.maybe(|source| (source.name(), source.below(60_000))),
            }),
        }
    }

    fn evidence(&mut self) -> Evidence {
        Evidence {
            command: Command {
                program: self.name(),
                arguments: self.below(9),
                shown: if self.one_in(4) { Some(self.list(5, Self::name)) } else { None },
            },
            // First what takes many bytes: where there are no more, nothing is known.
            inspection: self.maybe(Self::inspection),
            start_limits: self.maybe(Self::start_limits),
            elf: self.maybe(|source| Executable { path: source.name(), size: source.long(), elf: source.elf() }),
            pid: self.maybe(Self::int),
            is_init: self.one_in(2),
            started: self.long(),
            ended: self.long(),
            duration: self.duration(),
            usage: self.maybe(|source| Usage {
                user: source.duration(),
                system: source.duration(),
                max_rss_kib: source.long(),
            }),
            signals: self.maybe(|source| source.list(16, Self::event)).unwrap_or_default(),
            signals_omitted: self.maybe(Self::long).unwrap_or_default() * u64::from(self.one_in(3)),
            zombie: self.maybe(Self::status),
            memory: self.maybe(|source| Box::new(source.memory())),
            faults_of_children: self.maybe(|source| (source.byte() / 128).into()),
            killed: Killed { count: (self.byte() / 128).into(), named: Vec::new() },
            reaped: self.long(),
            group: self.one_in(4),
            executed: self.maybe(|source| Executed {
                exe: source.maybe(|source| if source.one_in(2) { b"/usr/bin/java".to_vec() } else { source.name() }),
                directory: source.maybe(Self::name),
            }),
            death: self.maybe(Self::death),
            language: self.maybe(|source| if source.one_in(2) { Language::Go } else { Language::Rust }),
            left: self.maybe(|source| source.list(12, Self::left)),
            ..Evidence::default()
        }
    }
}
