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
use rinit::evidence::death::{Death, Executed, Full};
use rinit::evidence::elf::Elf;
use rinit::evidence::files::{Candidate, FileFacts, Inspection};
use rinit::evidence::language::Language;
use rinit::evidence::limits::{Limit, Limits};
use rinit::evidence::mountinfo::Mount;
use rinit::evidence::process::{Process, Status};
use rinit::evidence::snapshot::{Later, Snapshot, Threads, Waiting};
use rinit::evidence::sockets::Backlog;
use rinit::evidence::{Command, Evidence, Fate, SignalEvent, Usage};
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
            assert!(line.iter().filter(|byte| **byte == b' ').count() < 4);
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
    let candidates = evidence.inspection.as_ref().map_or(&[][..], |inspection| &inspection.candidates);
    let absent = |candidate: &Candidate| matches!(candidate.file, Err(libc::ENOENT | libc::ENOTDIR));
    // The one that is there, where every other path that was tried is empty.
    let alone = || {
        let mut there = candidates.iter().filter(|candidate| !absent(candidate));
        there.next().filter(|_| there.next().is_none()).and_then(|candidate| candidate.file.ok())
    };
    let kind = |file: FileFacts| file.mode & libc::S_IFMT;
    let stat_says = |wanted: i32| candidates.iter().any(|candidate| candidate.file == Err(wanted));
    let name = &evidence.command.program;
    match id {
        "fd-limit" => errno.is_some_and(|(_, errno)| matches!(errno, libc::EMFILE | libc::ENFILE)),
        "command-not-found" => {
            of_exec(libc::ENOENT) && (name.is_empty() || (!candidates.is_empty() && candidates.iter().all(absent)))
        }
        "path-missing" => {
            of_exec(libc::ENOENT) && candidates.first().is_some_and(|first| absent(first) && first.missing.is_some())
        }
        "is-a-directory" => of_exec(libc::EACCES) && alone().is_some_and(|file| kind(file) == libc::S_IFDIR),
        "not-executable" => {
            of_exec(libc::EACCES) && alone().is_some_and(|file| kind(file) != libc::S_IFREG || file.mode & 0o111 == 0)
        }
        "not-a-directory" => of_exec(libc::ENOTDIR) && stat_says(libc::ENOTDIR),
        "symlink-loop" => of_exec(libc::ELOOP) && stat_says(libc::ELOOP),
        "name-too-long" => of_exec(libc::ENAMETOOLONG) && stat_says(libc::ENAMETOOLONG),
        "arguments-too-large" => of_exec(libc::E2BIG),
        "executable-busy" => of_exec(libc::ETXTBSY),
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
        match self.byte() % 8 {
            0 => Vec::new(),
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
        const KNOWN: [i32; 20] = [
            libc::ENOENT,
            libc::EACCES,
            libc::ENOENT,
            libc::EACCES,
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

    fn candidate(&mut self) -> Candidate {
        let file = match self.byte() % 3 {
            0 => Err(libc::ENOENT),
            1 => Err(self.errno()),
            _ => {
                const KINDS: [u32; 6] =
                    [libc::S_IFREG, libc::S_IFREG, libc::S_IFDIR, libc::S_IFIFO, libc::S_IFSOCK, libc::S_IFCHR];
                let kind = KINDS[usize::from(self.byte() % 6)];
                let mode = kind | [0o755, 0o644, 0, 0o100, 0o4111][usize::from(self.byte() % 5)];
                let id = |byte: u8| if byte < 128 { 0 } else { 1000 };
                Ok(FileFacts { mode, uid: id(self.byte()), gid: id(self.byte()), size: self.long() })
            }
        };
        Candidate { path: self.name(), file, missing: self.maybe(Self::name) }
    }

    fn evidence(&mut self) -> Evidence {
        Evidence {
            command: Command {
                program: self.name(),
                arguments: self.below(9),
                shown: if self.one_in(4) { Some(self.list(5, Self::name)) } else { None },
            },
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
            reaped: self.long(),
            group: self.one_in(4),
            executed: self.maybe(|source| Executed {
                exe: source.maybe(|source| if source.one_in(2) { b"/usr/bin/java".to_vec() } else { source.name() }),
                directory: source.maybe(Self::name),
            }),
            death: self.maybe(Self::death),
            elf: self.maybe(|source| Elf {
                path: source.name(),
                size: source.long(),
                end: source.long(),
                loader: source.maybe(Self::name),
                stack: source.long(),
            }),
            language: self.maybe(|source| if source.one_in(2) { Language::Go } else { Language::Rust }),
            left: self.maybe(|source| source.list(12, Self::left)),
            inspection: self.maybe(|source| Inspection {
                candidates: source.list(4, Self::candidate),
                search_path: source.maybe(Self::name),
                uid: u32::from(source.byte() % 2) * 1000,
                gid: u32::from(source.byte() % 2) * 1000,
                ..Inspection::default()
            }),
            ..Evidence::default()
        }
    }
}
