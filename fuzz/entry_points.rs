//! Everything in rinit that reads bytes from outside, each with what must hold for all bytes. The fuzz targets and
//! tests/property.rs call the same functions.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
// What is added to the evidence is unknown here until somebody makes it arbitrary.
#![allow(clippy::needless_update)]

use std::ffi::OsString;
use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use rinit::check::{MountLine, recognize as recognize_kernel};
use rinit::cli::{self, Action, Config, Format};
use rinit::diagnose::tail::recognize;
use rinit::diagnose::{Confidence, Diagnosis, KILLED_WITH_RINIT, claim, diagnose, inside, provisional, registry};
use rinit::evidence::cgroup::place::{Membership, Version};
use rinit::evidence::cgroup::values::{self, Events};
use rinit::evidence::cgroup::{self, Memory, Strain, Use};
use rinit::evidence::checks::{
    Bound, Checked, FileSystem, Holder, Library, Look as PathLook, Peer, PidFile, PortUse, Resolver, Step, Variable,
    find_host, has_uid, only_loopback,
};
use rinit::evidence::content::Content;
use rinit::evidence::death::{Death, Executed, Full, cpu_time};
use rinit::evidence::drained::{Drained, Rest, RestFate};
use rinit::evidence::elf::{Elf, Executable, Header};
use rinit::evidence::files::{Candidate, FileFacts, Inspection, Role, Target};
use rinit::evidence::language::Language;
use rinit::evidence::limits::{Limit, Limits};
use rinit::evidence::mountinfo::Mount;
use rinit::evidence::process::{Process, Status, faults_of_children, hides_processes};
use rinit::evidence::running::{Moment, Running};
use rinit::evidence::shebang::Shebang;
use rinit::evidence::snapshot::{Later, Snapshot, Threads, Waiting};
use rinit::evidence::sockets::{self, Backlog};
use rinit::evidence::start_limits::{Sizes, StartLimits};
use rinit::evidence::stuck::{Look, Stuck};
use rinit::evidence::tail::{Claim, Line, Tail};
use rinit::evidence::user::{FileCapabilities, User};
use rinit::evidence::walk::{Directory, Obstacle, Permissions, Place};
use rinit::evidence::{Command, Evidence, Fate, Inside, Killed, SignalEvent, Usage};
use rinit::explain::explain;
use rinit::outcome::{Outcome, Stage, StartError};
use rinit::relay::ring::{LONGEST_LINE, MARK, Ring};
use rinit::report::{Report, escape, find_report, is_json};
use rinit::signals::{Origin, Sender, SignalSet, Signo};

type EntryPoint = fn(&[u8]);

/// Each with the name of its corpus.
pub const ALL: [(&str, EntryPoint); 11] = [
    ("status", status),
    ("limits", limits),
    ("process", process),
    ("mount", mount),
    ("cgroup", cgroup),
    ("network", network),
    ("program", program),
    ("command_line", command_line),
    ("messages", messages),
    ("tail", tail),
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
        (status.capabilities.is_some(), b"CapEff:"),
        (status.no_new_privs.is_some(), b"NoNewPrivs:"),
    ] {
        assert!(!known || has(key), "{status:?}");
    }
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

/// /proc/PID/stat: the comm is whatever stands between the outermost parentheses, and nothing in it is taken for a field.
pub fn process(text: &[u8]) {
    let without_comm = |text: &[u8]| {
        let close = text.iter().rposition(|byte| *byte == b')')?;
        Some([b"1 (x)", &text[close + 1..]].concat())
    };
    let alike = without_comm(text);
    let alike = alike.as_deref();
    assert_eq!(faults_of_children(text), alike.and_then(faults_of_children));
    assert_eq!(cpu_time(text), alike.and_then(cpu_time));
    let Some(process) = Process::parse(text) else { return };
    let mut comm = vec![b'('];
    comm.extend(&process.name);
    comm.push(b')');
    assert!(text.windows(comm.len()).any(|part| part == comm), "{process:?}");
}

/// /proc/PID/mountinfo, line by line, and what hides a path.
pub fn mount(text: &[u8]) {
    for path in [&b"/"[..], b"/dev/termination-log", b"/a b"] {
        let mount = Mount::covering(text, path);
        assert!(mount.is_none_or(|mount| path.starts_with(&mount.mount_point)), "{path:?}");
    }
    let _ = hides_processes(text);
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

/// The files of a cgroup, /proc/self/cgroup and its line of the mount table: no number that is not in the text.
pub fn cgroup(text: &[u8]) {
    let says = |number: u64| {
        let digits = number.to_string();
        text.windows(digits.len()).any(|part| part == digits.as_bytes())
    };
    let events = Events::parse(text);
    let limit = values::limit(text).flatten();
    let numbers = [events.max, events.oom, events.oom_kill, values::number(text), values::keyed(text, b"anon"), limit];
    assert!(numbers.into_iter().flatten().all(says), "{events:?} {numbers:?}");
    assert!(values::cpu_share(text).flatten().is_none() || text.contains(&b' '));

    // In pieces of any size the lines are the same, but for those that are too long.
    let piece = 1 + text.len() as u64 % 700;
    let mut rest = text;
    let mut lines = Vec::new();
    let mut read = |buffer: &mut [u8]| rest.by_ref().take(piece).read(buffer).ok();
    let mut take = |line: &[u8]| {
        lines.push(line.to_vec());
        true
    };
    assert_eq!(values::each_line(&mut read, &mut take), Some(()));
    let whole = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n") && line.len() <= 1024);
    assert!(whole.eq(lines.iter().map(Vec::as_slice)));

    let members: Vec<Membership> = lines.iter().filter_map(|line| Membership::parse(line, b"memory")).collect();
    for (member, line) in members.iter().flat_map(|member| lines.iter().map(move |line| (member, line))) {
        let Some((place, _)) = member.mounted(line) else { continue };
        assert_eq!(place.version, member.version);
        assert!(place.levels().all(|above| place.directory().starts_with(above)));
        // A cgroup outside of the namespace is none of this container's.
        let mount = Mount::parse(line).unwrap().mount_point;
        let below = place.directory().strip_prefix(&mount[..]).unwrap();
        assert!(!below.split(|byte| *byte == b'/').any(|part| part == b".."), "{place:?}");
    }
}

/// /proc/PID/net/tcp and its kind, and the files of /etc that name hosts and users.
pub fn network(text: &[u8]) {
    struct Pieces<'a>(&'a [u8], usize);
    impl std::io::Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = buffer.len().min(self.1);
            std::io::Read::read(&mut self.0, &mut buffer[..length])
        }
    }
    let rows = |piece: usize| {
        let mut found = Vec::new();
        let mut take = |socket| {
            found.push(socket);
            true
        };
        let seen = sockets::each(Pieces(text, piece), &mut take);
        (seen, found)
    };
    let (seen, found) = rows(4096);
    // A row that does not fit hides what follows, wherever the pieces end.
    let longest = text.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap_or(0);
    assert!(!seen || longest <= 4096, "{longest}");
    let lines = text.iter().filter(|byte| **byte == b'\n').count();
    assert!(found.len() <= lines, "{found:?}");
    if lines < 2000 && longest < 4096 {
        assert_eq!((true, found), rows(1 + text.len() % 50));
    }

    let resolver = Resolver::parse(text);
    let within = |part: &Vec<u8>| text.windows(part.len().max(1)).any(|other| other == part);
    assert!(resolver.servers.len() <= 3 && resolver.servers.iter().chain(&resolver.search).all(within), "{resolver:?}");
    let named = text.to_ascii_lowercase().windows(2).any(|part| part == b"db");
    assert!(find_host(text, b"db").is_none() || named);
    assert!(only_loopback(text) != Some(true) || text.windows(3).any(|part| part == b"lo:"));
    assert!(!has_uid(text, 1000) || text.windows(4).any(|part| part == b"1000"));
    let _ = recognize_kernel(text, b"", None);
}

/// A program's file, from its first byte on, and the attribute that gives it capabilities.
pub fn program(bytes: &[u8]) {
    let start = &bytes[..bytes.len().min(4096)];
    let within = |part: &[u8]| part.is_empty() || bytes.windows(part.len()).any(|other| other == part);
    let content = Content::parse(start);
    match &content {
        Content::Script(shebang) => {
            let named = [Some(shebang.interpreter.as_slice()), shebang.env_program(), shebang.argument.as_deref()];
            assert!(bytes.starts_with(b"#!") && named.into_iter().flatten().all(within), "{content:?}");
            assert!(!shebang.interpreter.is_empty() && shebang.interpreter.len() < 256);
        }
        Content::LateShebang(_) => assert!(!bytes.starts_with(b"#!") && within(b"#!"), "{content:?}"),
        Content::Empty => assert!(bytes.is_empty()),
        Content::Zeros => assert!(start.iter().all(|byte| *byte == 0)),
        _ => {}
    }
    let is_elf = matches!(content, Content::Elf(_) | Content::BrokenElf);
    assert_eq!(is_elf, bytes.starts_with(b"\x7fELF"), "{content:?}");
    if let Some(header) = Header::parse(start) {
        let elf = Elf::read(header, |offset, buffer| {
            let from = usize::try_from(offset).ok()?;
            buffer.copy_from_slice(bytes.get(from..from.checked_add(buffer.len())?)?);
            Some(())
        });
        assert!(elf.loader.as_deref().is_none_or(|loader| !loader.is_empty() && within(loader)), "{elf:?}");
        assert!(elf.end.is_none() || header.table_end() <= bytes.len() as u64 || header.entries == 0, "{elf:?}");
        assert!(!header.machine_name().is_empty());
    }
    match Language::read(&mut &bytes[..]) {
        Some(Language::Go) => assert!(is_elf && within(b"Go\0\0")),
        Some(Language::Rust) => assert!(is_elf && within(b"/rustc/")),
        None => {}
    }
    assert!(FileCapabilities::parse(bytes).is_none() || matches!(bytes.len(), 12 | 20 | 24));
}

/// Words separated by NUL; after an empty word, the environment as NAME=VALUE. By each of the names that rinit answers to.
pub fn command_line(text: &[u8]) {
    let command: Vec<Vec<u8>> = text.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    for inner in inside::commands(&command) {
        assert!(
            command.iter().any(|word| word.windows(inner.name.len().max(1)).any(|part| part == inner.name))
                || inner.name.is_empty()
        );
    }
    let mut words = text.split(|byte| *byte == 0);
    let mut args: Vec<OsString> = [&b"rinit"[..]]
        .into_iter()
        .chain(words.by_ref().take_while(|word| !word.is_empty()))
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect();
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
    for name in ["rinit", "/sbin/tini", "dumb-init", "catatonit"] {
        args[0] = name.into();
        parse(&args, &env);
    }
}

fn parse(args: &[OsString], env: &dyn Fn(&str) -> Option<OsString>) {
    let as_a_line = |line: &str| {
        assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && line.len() < 2000, "{args:?}: {line:?}");
    };
    match cli::parse(args.iter().cloned(), env) {
        Ok(Action::StandAside { program }) => is_program(args, program),
        Ok(Action::Run { config, program }) => {
            is_program(args, program);
            settings(&config);
        }
        Ok(Action::Pause(config) | Action::Check(config)) => settings(&config),
        Ok(Action::Explain { words, format }) => match explain(&words, format, args.len() * 7) {
            Ok(page) => assert!(page.is_ascii() && page.ends_with('\n'), "{args:?}: {page}"),
            Err(line) => as_a_line(&line),
        },
        Ok(Action::Install(_) | Action::Print(_) | Action::PrintToStderr(_)) => {}
        Err(error) => as_a_line(&error.0),
    }
}

/// PROGRAM is a word without a dash, or the first behind the double dash.
fn is_program(args: &[OsString], program: usize) {
    assert!((1..args.len()).contains(&program), "{args:?}");
    assert!(
        !args[program].as_bytes().starts_with(b"-") || args[program] == "-" || args[program - 1] == "--",
        "{args:?}"
    );
}

/// What the rest of rinit takes for granted.
fn settings(config: &Config) {
    // env_logger would print a warning of its own, and go on with another filter.
    let filter = env_filter::Builder::new().try_parse(&config.log_filter).map(drop);
    assert!(filter.is_ok(), "{:?}", config.log_filter);
    assert!((256..=4096).contains(&config.report_size), "{config:?}");
    assert!(config.tail.is_none_or(|lines| (1..=1000).contains(&lines)), "{config:?}");
    assert!([config.stop_timeout, config.drain].into_iter().flatten().all(|time| !time.is_zero()), "{config:?}");
    let mut from: Vec<_> = config.rewrite.iter().map(|(from, _)| from.raw()).collect();
    from.sort_unstable();
    assert!(from.is_sorted_by(|one, other| one < other), "{config:?}");
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

/// The last lines of a program: a byte for its end, then the lines. What is said of them stands in them, in any report too.
pub fn tail(bytes: &[u8]) {
    let Some((end, text)) = bytes.split_first() else { return };
    ring(text, usize::from(*end) * 7, 1 + usize::from(end % 80));
    let died = |signal| Outcome::Signaled { signal, core_dumped: false };
    let outcome = match end {
        b'A' => died(Signo::ABRT),
        b'K' => died(Signo::KILL),
        b'S' => died(Signo::SEGV),
        b'N' => Outcome::NotStarted(StartError { stage: Stage::Exec, errno: libc::ENOENT }),
        b'R' => Outcome::Exited(101),
        b'F' => Outcome::Exited(127),
        b'0'..=b'9' => Outcome::Exited(end - b'0'),
        end => Outcome::Exited(*end),
    };
    let names: &[&[u8]] = if end % 2 == 0 { &[b"perl"] } else { &[b"sh", b"app"] };
    let command = Command { program: names[0].to_vec(), ..Command::default() };
    let evidence = Evidence { command, tail: Some(lines(text)), ..Evidence::default() };
    holds(&outcome, &evidence, &diagnose(&outcome, &evidence), false, 256 + text.len() % 3841);
    let Some(found) = recognize(&lines(text), &outcome, names) else { return };
    assert!(!matches!(end, b'K' | b'N'));
    let line = text.split(|byte| *byte == b'\n').nth(found.line).unwrap();
    let plain = !line.contains(&0x1b);
    let within = |part: &[u8]| !plain || part.is_empty() || line.windows(part.len()).any(|other| other == part);
    // C++ takes two lines.
    let two = || {
        let before = text.split(|byte| *byte == b'\n').nth(found.line.checked_sub(1)?)?;
        Some([before, line.trim_ascii()].join(&b", "[..]))
    };
    let whole =
        within(&found.quote) || two().is_some_and(|two| two.starts_with(b"terminate called") && two == found.quote);
    assert!(whole, "{found:?}");
    assert!(found.place.as_ref().is_none_or(|place| place.len() <= text.len() + 4), "{found:?}");
    assert!(found.part || outcome != Outcome::Exited(0), "{found:?}");
    assert!(!found.part || found.confidence != Confidence::Certain, "{found:?}");
    let named = match found.claim {
        Some(
            Claim::AddressInUse { path: name, .. }
            | Claim::ConnectionRefused { host: name, .. }
            | Claim::NameResolution { name, .. }
            | Claim::NoSpace { path: name, .. }
            | Claim::ReadOnly { path: name }
            | Claim::Denied { path: name }
            | Claim::Missing { path: name }
            | Claim::NotExecutable { path: name }
            | Claim::StalePidFile { path: name },
        ) => name,
        Some(Claim::NoCommand { name } | Claim::NoVariable { name } | Claim::NoLibrary { name }) => Some(name),
        _ => None,
    };
    assert!(named.is_none_or(|name| name == b"/dev/shm" || !name.is_empty() && within(&name)));
}

fn lines(text: &[u8]) -> Tail {
    let line = |text: &[u8]| Line { text: text.to_vec(), stdout: false };
    Tail { lines: text.split(|byte| *byte == b'\n').map(line).collect(), wanted: None, cut: false }
}

/// A ring of `size` bytes, given `text` in pieces, has the lines that stand at the end of it, cut where they are long.
fn ring(text: &[u8], size: usize, piece: usize) {
    const MOST: usize = 20;
    let mut memory = vec![0; size];
    let mut ring = Ring::new(&mut memory);
    let mut rest = text;
    while !rest.is_empty() && size > 0 {
        let room = ring.room(piece);
        let count = room.len().min(rest.len());
        room[..count].copy_from_slice(&rest[..count]);
        ring.add(count, (text.len() - rest.len()) as u64);
        rest = &rest[count..];
    }
    let text = if size > 0 { text } else { &[] };
    let lost = text.len().saturating_sub(size);
    let kept = &text[lost..];
    let mut expected: Vec<Vec<u8>> =
        kept.strip_suffix(b"\n").unwrap_or(kept).split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if kept.is_empty() {
        expected.clear();
    }
    for (at, line) in expected.iter_mut().enumerate() {
        if at == 0 && lost > 0 {
            *line = [MARK, &line[line.len().saturating_sub(LONGEST_LINE)..]].concat();
        } else if line.len() > LONGEST_LINE {
            *line = [&line[..LONGEST_LINE], MARK].concat();
        }
    }
    let (lines, cut) = ring.lines(b"", MOST);
    let before = expected.len().saturating_sub(MOST);
    assert_eq!(cut, lost > 0 || before > 0);
    assert!(lines.iter().map(|line| &line.text).eq(&expected[before..]), "{lines:?}");
}

/// Outcome and evidence that `bytes` stand for.
pub fn evidence(bytes: &[u8]) -> (Outcome, Evidence) {
    Source(bytes).case()
}

/// Any evidence: a diagnosis comes, says no more than is proven, and renders within every limit.
pub fn diagnosis(bytes: &[u8]) {
    let mut source = Source(bytes);
    let (outcome, evidence) = source.case();
    let limit = 256 + source.below(3841);
    let found = diagnose(&outcome, &evidence);
    holds(&outcome, &evidence, &found, false, limit);
    let found = provisional(&evidence, &running(bytes, &evidence));
    holds(&KILLED_WITH_RINIT, &evidence, &found, true, limit);
}

/// What rinit may see while PROGRAM runs, of a run that has this evidence at its end.
pub fn running(bytes: &[u8], evidence: &Evidence) -> Running {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
    let last = evidence.signals.len().saturating_sub(1);
    let memory = evidence.memory.as_ref();
    Running {
        moment: [Moment::Start, Moment::Signal(0), Moment::Asked(last), Moment::Memory][usize::from(byte(0) % 4)],
        memory: memory.map(|memory| Use {
            limit: memory.limit,
            group: [None, Some(false), Some(true)][usize::from(byte(1) % 3)],
            used: memory.peak,
            anonymous: memory.shared.or(memory.peak),
        }),
        events: memory.map(|memory| (memory.before, memory.after)),
        resident_kib: evidence.usage.map(|usage| usage.max_rss_kib),
        program: evidence.signals.get(last).and_then(|event| event.snapshot.clone()),
        cpu: evidence.usage.map(|usage| usage.user),
        asks_to_stop: byte(2) % 2 == 0,
    }
}

fn holds(outcome: &Outcome, evidence: &Evidence, diagnosis: &Diagnosis, provisional: bool, limit: usize) {
    let id = diagnosis.cause.id;
    let report = Report { outcome: *outcome, evidence, diagnosis, provisional };
    let whole = String::from_utf8(report.render(Format::Text, usize::MAX)).unwrap();

    assert!(registry::ALL.iter().any(|cause| cause.id == id));
    if diagnosis.confidence == Confidence::Certain {
        assert!(
            !provisional && proof(id, outcome, evidence),
            "certain without proof: {outcome:?} {evidence:?}\n{whole}"
        );
    }
    if !provisional {
        says_nothing_of_the_unknown(evidence, &whole);
    }

    for text in [&whole, &String::from_utf8(report.render(Format::Text, limit)).unwrap()] {
        assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{text}");
        let cause = format!("      cause: {id} ({})", diagnosis.confidence.as_str());
        assert_eq!(text.lines().nth(1), Some(cause.as_str()), "{text}");
        assert_eq!(find_report(text.as_bytes()), Some(0), "{text}");
        assert!(text.starts_with("rinit: ") && !text.ends_with('\n'), "{text}");
        let lines = evidence.tail.as_ref().map_or(0, |tail| tail.shown().len());
        let (keys, last) = text.split_once("\n      last lines:\n").unwrap_or((text, ""));
        assert!(keys.lines().count() <= 6 && last.lines().count() <= lines, "{text}");
        assert!(last.lines().all(|line| line.starts_with("        ")), "{text}");
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
        let lines = evidence.tail.as_ref().map_or(0, |tail| tail.shown().len());
        assert!(value["stderr_tail"].as_array().is_none_or(|tail| tail.len() <= lines));
        assert!(is_json(&json) && find_report(&json) == Some(0));
    }
    for format in [Format::Text, Format::Json] {
        let on_stderr = report.render_for_stderr(format);
        let (newline, line) = on_stderr.split_last().unwrap();
        assert!(*newline == b'\n' && line.iter().all(|byte| *byte == b'\n' || (b' '..=b'~').contains(byte)));
        assert!(!diagnosis.brief || !line.contains(&b'\n'));
        assert!(format == Format::Text || serde_json::from_slice::<serde_json::Value>(line).is_ok());
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
    let by_rule = match id {
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
        "killed-after-stop-timeout" => {
            let alive = |stuck: &Stuck| stuck.look.as_ref().and_then(|look| look.doomed) == Some(false);
            let ended_it = |stuck: &Stuck| stuck.kill.is_ok() || stuck.abandoned;
            matches!(outcome, Outcome::Signaled { signal: Signo::KILL, .. })
                && evidence.stuck.as_deref().is_some_and(|stuck| alive(stuck) && ended_it(stuck))
        }
        "completed" => *outcome == Outcome::Exited(0) && evidence.signals.is_empty() && evidence.signals_omitted == 0,
        _ => false,
    };
    by_rule || last_words(id, outcome, evidence)
}

/// The program's own last words for this cause, of all of it, and an end that goes with them; nothing that was found in the
/// container says otherwise.
fn last_words(id: &str, outcome: &Outcome, evidence: &Evidence) -> bool {
    let failed = match *outcome {
        Outcome::Exited(code) => code != 0,
        // Whoever sent one of these did not do it through rinit.
        Outcome::Signaled { signal, .. } => {
            let raised = [Signo::ABRT, Signo::SEGV, Signo::BUS, Signo::ILL, Signo::TRAP, Signo::FPE];
            raised.contains(&signal) && evidence.signals_omitted == 0
        }
        Outcome::NotStarted(_) => false,
    };
    let comm = evidence.zombie.as_ref().and_then(|zombie| zombie.name.as_deref());
    let file = evidence.executed.as_ref().and_then(Executed::name);
    let given = evidence.command.program.rsplit(|byte| *byte == b'/').next();
    let speaker = |names: &[Option<&[u8]>]| {
        let names: Vec<&[u8]> = names.iter().copied().flatten().collect();
        let found = evidence.tail.as_ref().and_then(|tail| recognize(tail, outcome, &names));
        found.filter(|found| found.cause.id == id && found.confidence == Confidence::Certain && !found.part)
    };
    // A shell's file may run as something else by then.
    let Some(found) = speaker(&[file, comm, given]).or_else(|| speaker(&[comm])) else { return false };
    failed && !found.claim.zip(evidence.checked.as_ref()).is_some_and(|(claim, checked)| contradicts(&claim, checked))
}

/// Whether the container is plainly other than claimed.
fn contradicts(claim: &Claim, checked: &Checked) -> bool {
    match (claim, checked) {
        (Claim::AddressInUse { port: Some(_), .. }, Checked::Port(ports)) => ports.complete && ports.holders.is_empty(),
        (Claim::NameResolution { .. }, Checked::Resolver(resolver)) => {
            resolver.in_hosts == Some(true) && resolver.only_loopback != Some(true)
        }
        (Claim::NoSpace { path: Some(_), .. }, Checked::Space(systems)) => {
            systems.first().is_some_and(|system| system.inodes == 0 && system.size > 0 && system.free == system.size)
        }
        (Claim::ReadOnly { path: Some(_) }, Checked::Space(systems)) => {
            systems.first().is_some_and(|system| !system.read_only)
        }
        (Claim::Missing { .. }, Checked::Path(look)) => look.obstacle.is_none(),
        (Claim::NoVariable { .. }, Checked::Variable(variable)) => variable.empty == Some(false),
        (Claim::NoLibrary { .. }, Checked::Library(library)) => library.path.is_some(),
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
    let known = |line: &Line| LAST_WORDS.iter().any(|(_, text)| text.as_bytes() == line.text);
    let quotes = evidence.tail.iter().flat_map(|tail| &tail.lines).any(|line| !known(line));
    if !evidence.command.program.iter().all(u8::is_ascii_alphanumeric) || evidence.command.shown.is_some() || quotes {
        return;
    }
    let zombie = evidence.zombie.as_ref();
    let handlers = evidence.signals.iter().any(|event| event.snapshot.is_some());
    for (known, words) in [
        (zombie.is_some_and(|zombie| zombie.pending.is_some()), &["pending at its death", "left pending"][..]),
        (zombie.is_some_and(|zombie| zombie.seccomp.is_some()), &["in /proc/PID/status"]),
        (evidence.usage.is_some(), &["of CPU time, the largest process had"]),
        (evidence.left.is_some() || evidence.drained.is_some(), &["still there at the end"]),
        (evidence.left.is_some(), &[" running\n"]),
        (handlers, &["it had a handler for it", "it ignored it then"]),
        (
            evidence.inspection.is_some() || evidence.inside.is_some() || evidence.checked.is_some(),
            &["looked in", " is mode ", " is a directory ("],
        ),
        (evidence.is_init, &["they kill PID 1", "they go to PID 1", "ends with the container"]),
    ] {
        assert!(known || !words.iter().any(|words| text.contains(words)), "{words:?}: {evidence:?}\n{text}");
    }
}

/// Last words as they were recorded (tests/fixtures/tails), one for each cause that they can name, with the end that goes with
/// them: an exit code, or a signal as a negative number.
const LAST_WORDS: &[(i16, &str)] = &[
    (1, "python3: No module named flask"),
    (
        127,
        "./app: error while loading shared libraries: libssl.so.1.1: cannot open shared object file: No such file or directory",
    ),
    (127, "./app: symbol lookup error: ./app: undefined symbol: f"),
    (
        1,
        "Error: LinkageError occurred while loading main class A\n\tjava.lang.UnsupportedClassVersionError: A has been compiled by a more recent version of the Java Runtime",
    ),
    (1, "app.rb:3:in `initialize': Address already in use - bind(2) for \"0.0.0.0\" port 9292 (Errno::EADDRINUSE)"),
    (
        1,
        "Traceback (most recent call last):\n  File \"/a.py\", line 2, in <module>\nConnectionRefusedError: [Errno 111] Connection refused",
    ),
    (1, "Error: connect ECONNREFUSED 127.0.0.1:5432"),
    (
        1,
        "Traceback (most recent call last):\n  File \"/a.py\", line 2, in <module>\nTimeoutError: [Errno 110] Connection timed out",
    ),
    (
        1,
        "Traceback (most recent call last):\n  File \"/a.py\", line 2, in <module>\nsocket.gaierror: [Errno -3] Temporary failure in name resolution",
    ),
    (1, "curl: (6) Could not resolve host: db"),
    (
        1,
        "Traceback (most recent call last):\n  File \"/a.py\", line 2, in <module>\nssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed",
    ),
    (
        1,
        "Traceback (most recent call last):\n  File \"/a.py\", line 2, in <module>\nOSError: [Errno 28] No space left on device: '/data/x'",
    ),
    (1, "Error: ENOSPC: System limit for number of file watchers reached, watch '/app'"),
    (
        1,
        "Traceback (most recent call last):\n  File \"/a.py\", line 2, in <module>\nOSError: [Errno 30] Read-only file system: '/data/x'",
    ),
    (
        1,
        "Traceback (most recent call last):\n  File \"/a.py\", line 2, in <module>\nPermissionError: [Errno 13] Permission denied: '/data/x'",
    ),
    (
        1,
        "Traceback (most recent call last):\n  File \"/a.py\", line 2, in <module>\nPermissionError: [Errno 1] Operation not permitted",
    ),
    (1, "2026/11/22 01:46:35 [emerg] 1#1: bind() to 0.0.0.0:80 failed (13: Permission denied)"),
    (
        1,
        "Traceback (most recent call last):\n  File \"/a.py\", line 2, in <module>\nFileNotFoundError: [Errno 2] No such file or directory: '/data/x'",
    ),
    (
        1,
        "Traceback (most recent call last):\n  File \"/a.py\", line 2, in <module>\nOSError: [Errno 24] Too many open files",
    ),
    (
        1,
        "Traceback (most recent call last):\n  File \"/a.py\", line 2, in <module>\nRuntimeError: can't start new thread",
    ),
    (1, "Traceback (most recent call last):\n  File \"/a.py\", line 2, in <module>\nMemoryError"),
    (-6, "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"),
    (-6, "Stack overflow.\n   at App.F(Int32)"),
    (-6, "app: app.c:2: main: Assertion `n > 3' failed."),
    (-6, "free(): invalid pointer"),
    (1, "app: thread blocked indefinitely in an MVar operation"),
    (1, "2026-11-22 10:00:00 UTC [1] FATAL:  database files are incompatible with server"),
    (1, "A server is already running. Check /app/tmp/pids/server.pid."),
    (1, "2026/11/22 01:46:35 [emerg] 1#1: getpwnam(\"app\") failed"),
    (1, "Traceback (most recent call last):\n  File \"/a.py\", line 2, in <module>\nValueError: no"),
    (1, "Traceback (most recent call last):\n  File \"/a.py\", line 2, in <module>\nKeyError: 'DATABASE_URL'"),
    (1, "  File \"/a.py\", line 1\n    x = = 1\n        ^\nSyntaxError: invalid syntax"),
    (1, "redis.exceptions.AuthenticationError: WRONGPASS invalid username-password pair"),
    (
        1,
        "Traceback (most recent call last):\n  File \"/a.py\", line 2, in <module>\ndjango.core.exceptions.ImproperlyConfigured: The SECRET_KEY setting must not be empty.",
    ),
    (127, "sh: 1: node-missing: not found"),
    (126, "sh: 1: ./run: Permission denied"),
    (2, "panic: no database\n\ngoroutine 1 [running]:\nmain.main()\n\t./main.go:5 +0x27"),
];

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

    fn stuck(&mut self) -> Stuck {
        let look = |source: &mut Self| Look {
            snapshot: source.snapshot(),
            wchan: source.maybe(Self::name),
            cpu: source.maybe(Self::duration),
            doomed: source.maybe(|source| source.one_in(3)),
        };
        Stuck {
            request: self.event(),
            timeout: self.duration(),
            at: self.duration(),
            look: self.maybe(look),
            kill: if self.one_in(4) { Err(self.errno()) } else { Ok(()) },
            abandoned: self.one_in(3),
        }
    }

    fn drained(&mut self) -> Drained {
        let rest = |source: &mut Self| Rest {
            process: source.left(),
            fate: match source.byte() % 5 {
                0 => RestFate::Exited(source.byte(), source.duration()),
                1 => RestFate::Signaled(source.signal(), source.duration()),
                2 => RestFate::Signaled(Signo::KILL, source.duration()),
                3 => RestFate::Gone,
                _ => RestFate::There,
            },
        };
        Drained { processes: self.list(12, rest), killed_after: self.maybe(Self::duration) }
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
            faults_of_children: self.maybe(|source| (source.byte() / 128).into()),
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
            kernel: self.maybe(Self::long),
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
        Inspection {
            candidates: self.list(2, Self::candidate),
            search_path: self.maybe(Self::name),
            user: self.user(),
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

    /// Outcome and evidence. The tail comes first, and often with the end that goes with it.
    fn case(&mut self) -> (Outcome, Evidence) {
        let outcome = self.outcome();
        if !self.one_in(3) {
            return (outcome, self.evidence());
        }
        let (tail, end) = self.tail();
        let outcome = match end {
            Some(end @ 0..) => Outcome::Exited(end as u8),
            Some(end) => Outcome::Signaled { signal: Signo::new((-end).into()).unwrap(), core_dumped: false },
            None => outcome,
        };
        let evidence = Evidence { tail: Some(tail), ..Evidence::default() };
        let checked =
            claim(&outcome, &evidence).and_then(|claim| self.maybe(|source| source.checked(&claim)).flatten());
        let strain = Strain { refused_forks: self.maybe(Self::long), ..Strain::default() };
        (outcome, Evidence { tail: evidence.tail, checked, strain, ..self.evidence() })
    }

    /// Some lines, and perhaps the end that goes with the last one.
    fn tail(&mut self) -> (Tail, Option<i16>) {
        let mut end = None;
        let mut lines = Vec::new();
        for _ in 0..=self.below(3) {
            let text = if self.one_in(4) {
                self.list(200, Self::byte)
            } else {
                let (of_line, text) = LAST_WORDS[self.below(LAST_WORDS.len())];
                end = Some(of_line);
                text.as_bytes().to_vec()
            };
            let stdout = self.one_in(8);
            lines.extend(text.split(|byte| *byte == b'\n').map(|text| Line { text: text.to_vec(), stdout }));
        }
        let wanted = self.maybe(|source| source.below(12));
        let fits = self.one_in(2);
        (Tail { lines, wanted, cut: self.one_in(2) }, end.filter(|_| fits))
    }

    /// A finding about `claim`.
    fn checked(&mut self, claim: &Claim) -> Option<Checked> {
        Some(match claim {
            Claim::AddressInUse { port: Some(_), .. } => Checked::Port(self.ports()),
            Claim::AddressInUse { .. } => {
                let bound = |source: &mut Self| Bound { bound: source.one_in(2), process: source.maybe(Self::sender) };
                Checked::SocketFile(Box::new(self.path_look()), self.maybe(bound))
            }
            Claim::MayNotBind { .. } => Checked::Privileged([0, 1024, u16::MAX][self.below(3)]),
            Claim::ConnectionRefused { .. } => Checked::Peer(Peer {
                is_known: self.one_in(2),
                from_hosts: self.one_in(2),
                own: self.maybe(|source| source.one_in(2)),
                listens: self.maybe(Self::ports),
            }),
            Claim::NameResolution { .. } => Checked::Resolver(Resolver {
                readable: self.one_in(2),
                servers: self.list(3, Self::name),
                search: self.list(3, Self::name),
                in_hosts: self.maybe(|source| source.one_in(2)),
                only_loopback: self.maybe(|source| source.one_in(2)),
            }),
            Claim::NoSpace { watches: true, .. } | Claim::NoInstances => {
                Checked::Watches(self.maybe(Self::long), self.maybe(Self::long), self.list(3, Self::file_system))
            }
            Claim::NoSpace { .. } | Claim::ReadOnly { .. } => Checked::Space(self.list(3, Self::file_system)),
            Claim::Missing { .. } if self.one_in(2) => Checked::Command(Box::new(self.inspection())),
            Claim::Denied { .. } | Claim::Missing { .. } => Checked::Path(Box::new(self.path_look())),
            Claim::NotExecutable { .. } | Claim::NoCommand { .. } => Checked::Command(Box::new(self.inspection())),
            Claim::NoVariable { .. } => Checked::Variable(Variable {
                empty: self.maybe(|source| source.one_in(2)),
                near: self.list(2, Self::name),
                count: self.below(300),
            }),
            Claim::NoLibrary { .. } => Checked::Library(Library {
                path: self.maybe(Self::name),
                versions: self.list(2, Self::name),
                directories: self.below(3),
            }),
            Claim::NoUser => Checked::Passwd(self.maybe(|source| source.one_in(2))),
            Claim::StalePidFile { .. } => Checked::PidFile(PidFile {
                path: self.name(),
                pid: self.maybe(Self::int),
                process: self.maybe(Self::left),
                is_own: self.one_in(4),
            }),
            _ => return None,
        })
    }

    fn sender(&mut self) -> Sender {
        Sender { pid: self.int(), name: self.maybe(Self::name) }
    }

    fn ports(&mut self) -> PortUse {
        let holder = |source: &mut Self| Holder {
            address: if source.one_in(2) { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::UNSPECIFIED.into() },
            process: source.maybe(Self::sender),
        };
        PortUse {
            holders: self.list(2, holder),
            udp: self.one_in(4),
            connections: self.below(3),
            complete: self.one_in(2),
            looked_at: self.maybe(|source| source.below(3)),
        }
    }

    fn path_look(&mut self) -> PathLook {
        let step = |source: &mut Self| Step {
            path: source.name(),
            permissions: source.permissions(libc::S_IFDIR),
            has_acl: source.one_in(4),
        };
        PathLook {
            path: self.name(),
            steps: self.list(3, step),
            obstacle: self.maybe(Self::obstacle),
            file_system: self.maybe(Self::file_system),
        }
    }

    fn file_system(&mut self) -> FileSystem {
        FileSystem {
            path: self.name(),
            mount: self.maybe(Self::mount),
            size: self.long(),
            free: self.long(),
            inodes: self.long(),
            free_inodes: self.long(),
            read_only: self.one_in(2),
        }
    }

    fn user(&mut self) -> User {
        let id = |byte: u8| u32::from(byte % 2) * 1000;
        User {
            uid: id(self.byte()),
            gid: id(self.byte()),
            groups: self.maybe(|source| source.list(3, |source| id(source.byte()))),
            effective: self.maybe(|source| if source.one_in(2) { 0 } else { source.long() }),
            bounding: self.maybe(Self::long),
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
            zombie: self.maybe(|source| Status { user: source.maybe(Self::user), ..source.status() }),
            limits: self.maybe(|source| Limits {
                address_space: source.maybe(Self::limit),
                open_files: source.maybe(Self::limit),
                processes: source.maybe(Self::limit),
                ..Limits::default()
            }),
            memory: self.maybe(|source| Box::new(source.memory())),
            killed: Killed { count: (self.byte() / 128).into(), named: Vec::new() },
            reaped: self.long(),
            group: self.one_in(4),
            executed: self.maybe(|source| Executed {
                exe: source.maybe(|source| if source.one_in(2) { b"/usr/bin/java".to_vec() } else { source.name() }),
            }),
            death: self.maybe(Self::death),
            language: self.maybe(|source| if source.one_in(2) { Language::Go } else { Language::Rust }),
            left: self.maybe(|source| source.list(12, Self::left)),
            stuck: if self.one_in(8) { Some(Box::new(self.stuck())) } else { None },
            drained: if self.one_in(8) { Some(self.drained()) } else { None },
            inside: self.maybe(|source| {
                let inside =
                    Inside { name: source.name(), other_user: source.one_in(3), inspection: source.inspection() };
                Box::new(inside)
            }),
            ..Evidence::default()
        }
    }
}
