//! Every claim against everything that can be found of it.

use super::super::not_started::tests::looked;
use super::super::tests::memory::{events, v2};
use super::super::tests::{died, ran};
use super::*;
use crate::diagnose::registry;
use crate::evidence::cgroup::values::Events;
use crate::evidence::checks::{
    Bound, Checked, FileSystem, Holder, Library, Look, Peer, PidFile, PortUse, Resolver, Step, Variable,
};
use crate::evidence::limits::{Limit, Limits};
use crate::evidence::mountinfo::Mount;
use crate::evidence::process::Process;
use crate::evidence::user::User;
use crate::evidence::walk::{Directory, Obstacle, Permissions, Place};
use crate::signals::Sender;

fn words(claim: Option<Claim>) -> Signature {
    Signature {
        cause: &registry::UNCAUGHT_EXCEPTION,
        confidence: Certain,
        quote: b"OSError: [Errno 5] \xe2\x80\x98it\xe2\x80\x99\x1b".to_vec(),
        line: 0,
        stdout: false,
        place: Some(b"/app/db.py:14 in connect".to_vec()),
        uncaught: true,
        part: false,
        claim,
        next: "",
    }
}

/// uid 1000, without a capability.
fn user() -> User {
    User { uid: 1000, gid: 1000, groups: Some(vec![1000]), effective: Some(0), bounding: None }
}

fn evidence(checked: Option<Checked>) -> Evidence {
    let mut evidence = ran(b"app");
    evidence.zombie.as_mut().unwrap().user = Some(user());
    evidence.checked = checked;
    evidence
}

fn diagnosed(signature: Signature, evidence: &Evidence, outcome: Outcome) -> Diagnosis {
    let mut case = Case { outcome: &outcome, evidence, signature: Some(signature), is_inner: false };
    let mut diagnosis = last_words(&case).unwrap();
    case.complete(&mut diagnosis);
    // Whatever is said is fit for a report.
    let texts = [&diagnosis.verdict, &diagnosis.next];
    for text in diagnosis.evidence.iter().chain(&diagnosis.not_known).chain(texts) {
        assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.contains("  "), "{text:?}");
        assert!(!text.is_empty() && !text.ends_with(['.', ' ']) && !text.contains("; "), "{text:?}");
    }
    case.signature = None;
    diagnosis
}

/// What is said of a claim whose line is certain by itself.
#[track_caller]
fn said(claim: Claim, checked: Option<Checked>, confidence: Confidence, fact: &str, next: &str) -> Diagnosis {
    let diagnosis = diagnosed(words(Some(claim)), &evidence(checked), Outcome::Exited(1));
    assert_eq!(diagnosis.confidence, confidence, "{diagnosis:#?}");
    let first = if confidence == Certain { "checked: " } else { "checked, and it does not bear this out: " };
    let found = diagnosis.evidence.iter().any(|said| said.starts_with(first));
    assert_eq!(found, !fact.is_empty(), "{diagnosis:#?}");
    assert!(diagnosis.evidence.join("; ").contains(fact), "{fact:?} in {diagnosis:#?}");
    assert!(diagnosis.next.contains(next), "{next:?} in {diagnosis:#?}");
    diagnosis
}

#[test]
fn the_verdict_quotes_and_names_the_source() {
    let evidence = evidence(None);
    let diagnosis = diagnosed(words(None), &evidence, Outcome::Exited(1));
    assert_eq!(diagnosis.verdict, "app exited with status 1 after 3m12s: OSError: [Errno 5] 'it'\\x1b");
    assert_eq!(diagnosis.confidence, Certain);
    assert_eq!(diagnosis.evidence[..2], ["uncaught, from stderr", "raised at /app/db.py:14 in connect"]);
    assert_eq!(diagnosis.next, registry::UNCAUGHT_EXCEPTION.next);
    let part = Signature { part: true, stdout: true, uncaught: false, place: None, next: "look", ..words(None) };
    let diagnosis = diagnosed(part, &evidence, Outcome::Exited(1));
    assert_eq!((diagnosis.confidence, diagnosis.next.as_str()), (Likely, "look"));
    assert_eq!(diagnosis.evidence[0], "from stdout, of a thread, worker or child of it");
}

#[test]
fn signals_that_programs_raise_for_themselves() {
    let evidence = evidence(None);
    for signal in [Signo::ABRT, Signo::SEGV, Signo::TRAP, Signo::ILL] {
        let diagnosis = diagnosed(words(None), &evidence, died(signal));
        let start =
            format!("app was killed by {signal} (exit status {}) after 3m12s: OSError", died(signal).exit_status());
        assert!(diagnosis.verdict.starts_with(&start), "{}", diagnosis.verdict);
        assert_eq!(diagnosis.confidence, Certain);
    }
    for outcome in [died(Signo::KILL), died(Signo::TERM), Outcome::Exited(0)] {
        let case = Case { outcome: &outcome, evidence: &evidence, signature: Some(words(None)), is_inner: false };
        assert_eq!(last_words(&case), None);
    }
    let mut omitted = evidence.clone();
    omitted.signals_omitted = 1;
    let diagnosis = diagnosed(words(None), &omitted, died(Signo::ABRT));
    assert_eq!(diagnosis.confidence, Possible);
    assert!(diagnosis.verdict.contains(": one possibility is in its output: OSError"), "{}", diagnosis.verdict);
}

#[test]
fn another_rule_keeps_its_rank_and_the_line_its_place() {
    let evidence = evidence(None);
    for (outcome, note) in [(Outcome::Exited(0), true), (died(Signo::KILL), false)] {
        let case = Case { outcome: &outcome, evidence: &evidence, signature: Some(words(None)), is_inner: false };
        let mut diagnosis = crate::diagnose::diagnose(&outcome, &evidence);
        let (facts, notes) = (diagnosis.evidence.len(), diagnosis.notes.len());
        complete(&case, &mut diagnosis);
        assert_eq!((diagnosis.evidence.len() > facts, diagnosis.notes.len() > notes), (!note, note), "{diagnosis:#?}");
        let said = if note { &diagnosis.notes[notes].summary } else { diagnosis.evidence.last().unwrap() };
        assert_eq!(said, "uncaught, from stderr: OSError: [Errno 5] 'it'\\x1b");
    }
}

fn sender(pid: i32, name: &str) -> Option<Sender> {
    Some(Sender { pid, name: Some(name.into()) })
}

fn holder(address: &str, process: Option<Sender>) -> Holder {
    Holder { address: address.parse().unwrap(), process }
}

/// An entrypoint script that has become a server by exec speaks with the server's voice, not with a shell's.
#[test]
fn what_ended_is_what_speaks() {
    let of = |file: &str, comm: &str, given: &str| {
        let mut evidence = ran(given.as_bytes());
        evidence.zombie.as_mut().unwrap().name = Some(comm.into());
        evidence.executed = Some(Executed { exe: Some(file.into()) });
        names(&evidence).map(|name| String::from_utf8(name.to_vec()).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(of("/bin/bash", "nginx", "/docker-entrypoint.sh"), ["nginx"]);
    assert_eq!(of("/bin/bash", "start.sh", "./start.sh"), ["bash", "start.sh", "start.sh"]);
    assert_eq!(of("/usr/bin/python3.11", "python3", "python3"), ["python3.11", "python3", "python3"]);
    // Node.js names its main thread so, and has done no exec.
    assert_eq!(of("/usr/bin/node", "MainThread", "node"), ["node", "MainThread", "node"]);
}

#[test]
fn ports() {
    let claim = || Claim::AddressInUse { port: Some(8080), path: None };
    let of = |ports: PortUse| Some(Checked::Port(ports));
    let all = PortUse { complete: true, looked_at: Some(2), ..PortUse::default() };
    let held = vec![holder("0.0.0.0", sender(12, "nginx"))];
    said(
        claim(),
        of(PortUse { holders: held, ..all.clone() }),
        Certain,
        "right after, port 8080 is held by nginx (pid 12) in this container",
        "stop nginx (pid 12), or give",
    );
    let held = vec![holder("::", None)];
    let diagnosis = said(
        claim(),
        of(PortUse { holders: held.clone(), ..all.clone() }),
        Certain,
        "port 8080 is still in use in this network namespace, and no process of this container holds it (2 were all looked at)",
        "mesh proxies use 15000-15090",
    );
    assert!(diagnosis.not_known[0].starts_with("which container holds it."));
    let unseen = PortUse { holders: held, looked_at: None, ..all.clone() };
    said(claim(), of(unseen), Certain, "whose it is was not to be seen", registry::UNCAUGHT_EXCEPTION.next);
    said(claim(), of(all.clone()), Likely, "nothing listens on port 8080", "second listener");
    said(claim(), of(PortUse { connections: 3, ..all.clone() }), Likely, "3 connections still had it", "SO_REUSEADDR");
    said(claim(), of(PortUse { complete: false, ..all }), Certain, "", "");
    said(claim(), None, Certain, "", "");
    let no_port = || Claim::AddressInUse { port: None, path: None };
    said(no_port(), None, Certain, "", "");
    for (ports, fact) in
        [(vec![80, 8080], "right after, these TCP ports are taken in this network namespace: 80, 8080"), (vec![], "")]
    {
        let diagnosis = said(no_port(), Some(Checked::Listening(ports)), Certain, fact, "");
        assert_eq!(diagnosis.not_known, ["which port it wanted: its line names none"]);
    }
}

fn step(path: &str, mode: u32, uid: u32) -> Step {
    Step { path: path.into(), permissions: Permissions { mode, uid, gid: uid }, has_acl: false }
}

fn look(path: &str, steps: Vec<Step>, obstacle: Option<Obstacle>) -> Look {
    Look { path: path.into(), steps, obstacle, file_system: Some(system("/", "overlay", 1 << 30, 1 << 29)) }
}

fn system(mount_point: &str, kind: &str, size: u64, free: u64) -> FileSystem {
    let mount = Mount { mount_point: mount_point.into(), file_system: Some(kind.into()), ..Mount::default() };
    FileSystem { path: mount_point.into(), mount: Some(mount), size, free, inodes: 0, free_inodes: 0, read_only: false }
}

#[test]
fn socket_files() {
    let claim = || Claim::AddressInUse { port: None, path: Some(b"/run/x.sock".to_vec()) };
    let there = || look("/run/x.sock", vec![step("/run/x.sock", 0o140_755, 0)], None);
    let of = |bound| Some(Checked::SocketFile(Box::new(there()), bound));
    said(
        claim(),
        of(Some(Bound { bound: false, process: None })),
        Certain,
        "an earlier run left it",
        "rm -f /run/x.sock",
    );
    said(claim(), of(Some(Bound { bound: true, process: sender(3, "x") })), Certain, "x (pid 3) has the socket", "");
    said(claim(), of(Some(Bound { bound: true, process: None })), Certain, "whose it is was not to be seen", "");
    said(claim(), of(None), Certain, "/run/x.sock exists", "");
    let gone = look("/run/x.sock", Vec::new(), Some(Obstacle::bare(libc::ENOENT)));
    said(claim(), Some(Checked::SocketFile(Box::new(gone), None)), Likely, "does not exist", "");
}

#[test]
fn privileged_ports() {
    let claim = |port| Claim::MayNotBind { port };
    let of = |first| Some(Checked::Privileged(first));
    for port in [Some(80), None] {
        said(
            claim(port),
            of(1024),
            Certain,
            "ports below 1024 take CAP_NET_BIND_SERVICE, and it ran as uid 1000",
            "targetPort",
        );
    }
    said(claim(Some(8080)), of(1024), Likely, "ports from 1024 on take no right here", "");
    said(claim(None), of(0), Likely, "ports from 0 on take no right here", "");
    let mut root = evidence(of(1024));
    root.zombie.as_mut().unwrap().user.as_mut().unwrap().effective = Some(1 << 10);
    let diagnosis = diagnosed(words(Some(claim(Some(80)))), &root, Outcome::Exited(1));
    assert_eq!(diagnosis.confidence, Likely, "{diagnosis:#?}");
}

#[test]
fn peers() {
    let claim = |host: &str| Claim::ConnectionRefused { host: Some(host.into()), port: Some(5432) };
    let of = |peer: Peer| Some(Checked::Peer(peer));
    let known = Peer { is_known: true, ..Peer::default() };
    let own = |ports: PortUse| Peer { own: Some(true), listens: Some(ports), ..known.clone() };
    let none = PortUse { complete: true, ..PortUse::default() };
    let diagnosis = said(
        claim("10.0.3.7"),
        of(Peer { own: Some(false), ..known.clone() }),
        Certain,
        "checked: 10.0.3.7 is no address of this container or pod",
        "retry in the program",
    );
    assert!(diagnosis.not_known[0].starts_with("why it was refused"));
    said(
        claim("127.0.0.1"),
        of(own(none.clone())),
        Certain,
        "itself, and nothing listens on port 5432 there",
        "localhost is never",
    );
    let late = PortUse { holders: vec![holder("127.0.0.1", sender(9, "postgres"))], ..none.clone() };
    said(claim("127.0.0.1"), of(own(late)), Certain, "by now postgres (pid 9) listens", "came up later");
    let unseen = of(own(PortUse::default()));
    let diagnosis = said(claim("127.0.0.1"), unseen, Certain, "127.0.0.1 is this container", "localhost is never");
    assert!(!diagnosis.evidence.join("").contains("listens"), "not every process was looked at: {diagnosis:#?}");
    let named = Peer { from_hosts: true, own: Some(true), ..known.clone() };
    said(
        claim("localhost"),
        of(named),
        Certain,
        "localhost is this container (in a pod, all of it) itself, by /etc/hosts",
        "",
    );
    let next = "kubectl get endpointslices -A -l kubernetes.io/service-name=db (is";
    said(claim("db"), of(Peer::default()), Certain, "db is not in /etc/hosts", next);
    said(
        claim("db.prod.svc"),
        of(Peer::default()),
        Certain,
        "db.prod.svc is not",
        "-A -l kubernetes.io/service-name=db ",
    );
    said(claim("1.2.3.4"), of(known), Certain, "", "");
}

#[test]
fn resolvers() {
    let claim = |name: &str, temporary| Claim::NameResolution { name: Some(name.into()), temporary };
    let of = |resolver: Resolver| Some(Checked::Resolver(resolver));
    let usual = Resolver {
        readable: true,
        servers: vec![b"10.96.0.10".to_vec()],
        search: vec![b"prod.svc.cluster.local".to_vec()],
        in_hosts: Some(false),
        only_loopback: Some(false),
    };
    let diagnosis =
        said(claim("db", false), of(usual.clone()), Certain, "/etc/resolv.conf names 10.96.0.10", "db.NAMESPACE");
    assert!(diagnosis.evidence.contains(&"searched in prod.svc.cluster.local".to_owned()));
    let diagnosis = said(claim("db.example.com", false), of(usual.clone()), Certain, "/etc/hosts has no", "");
    assert!(!diagnosis.evidence.join("").contains("searched"), "a whole name is not completed: {diagnosis:#?}");
    said(claim("db", true), of(usual.clone()), Certain, "no server gave a usable answer (EAI_AGAIN)", "port 53");
    said(claim("http://db", false), of(usual.clone()), Certain, "/etc/hosts has no http://db", "no host name has");
    said(claim("db", false), of(Resolver { in_hosts: Some(true), ..usual.clone() }), Likely, "/etc/hosts has db", "");
    let lonely = Resolver { only_loopback: Some(true), ..usual.clone() };
    said(claim("db", true), of(lonely), Certain, "no network device but the loopback", "--network none");
    said(claim("a.b", false), of(Resolver { servers: Vec::new(), ..usual }), Certain, "names no server", "");
    said(claim("a.b", false), of(Resolver::default()), Certain, "/etc/resolv.conf cannot be read", "");
}

#[test]
fn space() {
    let claim = |path: Option<&str>| Claim::NoSpace { path: path.map(Into::into), watches: false };
    let of = |systems: &[FileSystem]| Some(Checked::Space(systems.to_vec()));
    let roomy = system("/", "overlay", 64 << 30, 32 << 30);
    let full = system("/data", "ext4", 64 << 20, 0);
    said(
        claim(Some("/data/x")),
        of(&[full.clone(), roomy.clone()]),
        Certain,
        "/data (ext4) has 0 KiB of 64 MiB free",
        "du -x /data",
    );
    said(
        claim(None),
        of(&[roomy.clone(), system("/dev/shm", "tmpfs", 64 << 20, 4096)]),
        Certain,
        "/dev/shm (tmpfs) has 4 KiB of 64 MiB",
        "--shm-size",
    );
    said(
        claim(None),
        of(&[system("/", "overlay", 1 << 30, 0)]),
        Certain,
        "/ (overlay) has 0 KiB of 1024 MiB free",
        "node's disk",
    );
    let inodes = FileSystem { inodes: 100, free_inodes: 0, ..system("/data", "ext4", 64 << 20, 1 << 25) };
    said(claim(Some("/data/x")), of(&[inodes]), Certain, "none of its 100 inodes free", "/data");
    let diagnosis = said(
        claim(Some("/x")),
        of(&[roomy.clone(), full]),
        Likely,
        "/ (overlay) has 32768 MiB of 65536 MiB free",
        "df -i",
    );
    assert!(!diagnosis.evidence.join("").contains("/data"), "the file system of the path alone counts");
    said(claim(None), of(&[roomy]), Likely, "right after, / (overlay)", "");
    said(claim(None), of(&[system("/run", "tmpfs", 0, 0)]), Likely, "/run (tmpfs) has no limit of its own", "df -i");
    // Short of a 64th, of 64 MiB at most.
    for (size, enough) in [(640 << 20, 10 << 20), (64 << 30, 64 << 20)] {
        said(claim(None), of(&[system("/data", "ext4", size, enough)]), Likely, "/data (ext4) has", "df -i");
        said(claim(None), of(&[system("/data", "ext4", size, enough - 1)]), Certain, "/data (ext4) has", "du -x /data");
    }
    said(claim(None), of(&[]), Certain, "", "");
}

/// ENOSPC of inotify(7) is no disk, unless one is full; its EMFILE has two meanings.
#[test]
fn watches() {
    let claim = || Claim::NoSpace { path: None, watches: true };
    let of = |systems: &[FileSystem]| Some(Checked::Watches(Some(8192), Some(128), systems.to_vec()));
    let (roomy, full) = (system("/", "overlay", 64 << 30, 32 << 30), system("/data", "ext4", 64 << 20, 0));
    let diagnosis = said(claim(), of(std::slice::from_ref(&roomy)), Certain, "max_user_watches is 8192", "");
    assert!(diagnosis.evidence.contains(&"no file system is full: / (overlay)".to_owned()), "{diagnosis:#?}");
    let diagnosis = said(claim(), of(&[roomy, full]), Likely, "/data (ext4) has 0 KiB of 64 MiB free", "");
    assert!(!diagnosis.evidence.join("").contains("no file system is full"), "{diagnosis:#?}");
    said(claim(), of(&[]), Certain, "max_user_instances 128", "");
    said(claim(), Some(Checked::Watches(None, None, Vec::new())), Certain, "", "");
    let diagnosis = said(Claim::NoInstances, of(&[]), Certain, "max_user_instances is 128", "max_user_instances");
    assert!(diagnosis.not_known.join("").contains("which of the two limits"), "{diagnosis:#?}");
}

#[test]
fn read_only() {
    let claim = |path: Option<&str>| Claim::ReadOnly { path: path.map(Into::into) };
    let of = |systems: &[FileSystem]| Some(Checked::Space(systems.to_vec()));
    let locked = |mount: &str| FileSystem { read_only: true, ..system(mount, "overlay", 1 << 30, 1 << 20) };
    said(
        claim(Some("/var/x")),
        of(&[locked("/")]),
        Certain,
        "the container's root file system is read-only",
        "readOnlyRootFilesystem",
    );
    said(
        claim(Some("/etc/c/x")),
        of(&[locked("/etc/c")]),
        Certain,
        "/etc/c (overlay) is mounted read-only",
        "readOnly: false",
    );
    said(
        claim(Some("/tmp/x")),
        of(&[system("/tmp", "tmpfs", 1, 1), locked("/")]),
        Likely,
        "/tmp (tmpfs) is not mounted read-only",
        "",
    );
    said(claim(None), of(&[system("/tmp", "tmpfs", 1, 1), locked("/")]), Certain, "root file system is read-only", "");
    said(claim(None), of(&[system("/tmp", "tmpfs", 1, 1)]), Certain, "", "");
}

/// A file without any x is no program for root either.
#[test]
fn denied_to_be_executed() {
    for (mode, fact, confidence) in [
        (0o100_644, "checked: /d/f is mode 0644, owner 0:0, so nobody may execute it", Certain),
        (0o40_755, "checked: /d/f is a directory", Certain),
        (0o100_755, "CAP_DAC_OVERRIDE, which no mode stops", Likely),
    ] {
        let steps = vec![step("/", 0o40755, 0), step("/d/f", mode, 0)];
        let mut evidence = evidence(Some(Checked::Path(Box::new(look("/d/f", steps, None)))));
        evidence.zombie.as_mut().unwrap().user = Some(User { uid: 0, gid: 0, effective: Some(u64::MAX), ..user() });
        let claim = Some(Claim::Denied { path: Some(b"/d/f".to_vec()) });
        let words = Signature { cause: &registry::COMMAND_NOT_EXECUTABLE_IN_SCRIPT, ..words(claim) };
        let diagnosis = diagnosed(words, &evidence, Outcome::Exited(126));
        assert_eq!(diagnosis.confidence, confidence, "{diagnosis:#?}");
        assert!(diagnosis.evidence.join("; ").contains(fact), "{diagnosis:#?}");
    }
}

#[test]
fn denied() {
    let claim = || Claim::Denied { path: Some(b"/d/f".to_vec()) };
    let of = |steps: Vec<Step>, missing: bool| {
        let obstacle = missing.then(|| Obstacle::bare(libc::ENOENT));
        Some(Checked::Path(Box::new(look("/d/f", steps, obstacle))))
    };
    let (root, dir) = (step("/", 0o40755, 0), step("/d", 0o40755, 0));
    let file = |mode: u32, uid| vec![root.clone(), dir.clone(), step("/d/f", 0o100_000 | mode, uid)];
    let who = "it ran as uid 1000 gid 1000 without CAP_DAC_OVERRIDE, so it may not ";
    for (steps, missing, may_not) in [
        (file(0o600, 0), false, "read or write it"),
        (file(0o644, 0), false, "write to it"),
        (file(0o622, 0), false, "read it"),
        (file(0o100, 1000), false, "read or write it"),
        (file(0o766, 0), false, "execute it"),
        (vec![root.clone(), dir.clone()], true, "create files in it"),
        (vec![root.clone(), step("/d", 0o40700, 0)], true, "search it"),
        (vec![root.clone(), step("/d", 0o40700, 0), step("/d/f", 0o100_777, 0)], false, "search it"),
        (vec![root.clone(), step("/d", 0o40755, 0), step("/d/f", 0o40755, 0)], false, "create files in it"),
        (vec![root.clone(), step("/d", 0o40755, 0), step("/d/f", 0o40700, 0)], false, "read it"),
        (vec![root.clone(), step("/d", 0o40755, 0), step("/d/f", 0o40766, 0)], false, "search it"),
    ] {
        let diagnosis =
            said(claim(), of(steps, missing), Certain, &format!("{who}{may_not}"), "COPY --chown=1000:1000");
        // Nothing is mounted over what is there to be read.
        assert_eq!(diagnosis.next.contains("emptyDir"), may_not == "create files in it", "{}", diagnosis.next);
        assert!(diagnosis.evidence.join("").contains("on the image's own file system"), "{diagnosis:#?}");
    }
    said(claim(), of(file(0o666, 0), false), Certain, "no mode on the way denies it", "");
    said(claim(), of(file(0o777, 0), false), Likely, "no mode on the way denies it", "");
    let mut volume = look("/d/f", file(0o600, 0), None);
    volume.file_system = Some(system("/d", "ext4", 1, 1));
    said(claim(), Some(Checked::Path(Box::new(volume))), Certain, "on the volume at /d (ext4)", "fsGroup: 1000");
    let mut acl = file(0o600, 0);
    acl[2].has_acl = true;
    said(claim(), of(acl, false), Certain, "access control list", "");
    let mut root_user = evidence(of(file(0o600, 1), false));
    root_user.zombie.as_mut().unwrap().user.as_mut().unwrap().effective = Some(u64::MAX);
    let diagnosis = diagnosed(words(Some(claim())), &root_user, Outcome::Exited(1));
    assert_eq!(diagnosis.confidence, Likely);
    assert!(diagnosis.evidence.join("").contains("with CAP_DAC_OVERRIDE, which no mode stops"), "{diagnosis:#?}");
    let mut unknown = evidence(of(file(0o600, 1), false));
    unknown.zombie = None;
    assert_eq!(diagnosed(words(Some(claim())), &unknown, Outcome::Exited(1)).confidence, Certain);
}

#[test]
fn missing() {
    let claim = || Claim::Missing { path: Some(b"/etc/app.yaml".to_vec()) };
    let of = |path: &str, obstacle: Option<Obstacle>| {
        Some(Checked::Path(Box::new(look(path, vec![step("/etc", 0o40755, 0)], obstacle))))
    };
    let directory = Directory {
        path: b"/etc".to_vec(),
        entries: Some(12),
        near: vec![b"app.yml".to_vec()],
        ..Directory::default()
    };
    let not_there = |missing: &str, directory: Directory| Obstacle {
        errno: libc::ENOENT,
        place: Some(Place::Missing(missing.into(), directory)),
        link: None,
    };
    let diagnosis = said(
        claim(),
        of("/etc/app.yaml", Some(not_there("/etc/app.yaml", directory.clone()))),
        Certain,
        "checked: /etc/app.yaml does not exist",
        "did you mean /etc/app.yml?",
    );
    assert!(diagnosis.evidence.contains(&"/etc has 12 entries".to_owned()));
    let mount = Mount { mount_point: b"/etc".to_vec(), file_system: Some(b"ext4".to_vec()), ..Mount::default() };
    let empty = Directory { path: b"/etc".to_vec(), entries: Some(0), mount: Some(mount), ..Directory::default() };
    said(
        claim(),
        of("/etc/app.yaml", Some(not_there("/etc/app.yaml", empty))),
        Certain,
        "a volume (ext4) is mounted at /etc and hides",
        "",
    );
    let linked = Obstacle { link: Some((b"/etc/l".to_vec(), b"gone".to_vec())), ..not_there("/etc/gone", directory) };
    said(claim(), of("/etc/l", Some(linked)), Certain, "/etc/l is a link to gone, which does not exist", "");
    said(claim(), of("/etc/x\r", Some(Obstacle::bare(libc::ENOENT))), Certain, "ends with a carriage return", "sed -i");
    let file = Obstacle { errno: libc::ENOTDIR, place: Some(Place::File(b"/etc/f".to_vec())), link: None };
    said(claim(), of("/etc/f/x", Some(file)), Certain, "/etc/f is a file and no directory", "");
    said(claim(), of("/etc", None), Likely, "/etc exists", "");
    said(claim(), of("/x", Some(Obstacle::bare(libc::ELOOP))), Certain, "", "");
}

#[test]
fn variables() {
    let claim = || Claim::NoVariable { name: b"DATABASE_URL".to_vec() };
    let of = |variable: Variable| Some(Checked::Variable(variable));
    let near = Variable { empty: None, near: vec![b"DATABASE_URI".to_vec()], count: 21 };
    let diagnosis = said(
        claim(),
        of(near),
        Certain,
        "checked: app was started without DATABASE_URL, close: DATABASE_URI (21 variables, only names compared)",
        "set DATABASE_URL with env or envFrom",
    );
    assert_eq!(diagnosis.not_known[0], "whether the program meant the environment or a dictionary of its own");
    let none = Variable { count: 1, ..Variable::default() };
    said(claim(), of(none), Certain, "without DATABASE_URL (1 variable, only names compared)", "");
    said(
        claim(),
        of(Variable { empty: Some(true), ..Variable::default() }),
        Certain,
        "set, but empty",
        "give DATABASE_URL a value",
    );
    said(claim(), of(Variable { empty: Some(false), ..Variable::default() }), Likely, "set, and not empty", "");
}

#[test]
fn libraries_users_and_pid_files() {
    let claim = || Claim::NoLibrary { name: b"libx.so.1".to_vec() };
    let of = |library: Library| Some(Checked::Library(library));
    let none = Library { directories: 4, ..Library::default() };
    said(claim(), of(none.clone()), Certain, "libx.so.1 is in none of 4 library directories", "");
    let other = Library { versions: vec![b"/lib/libx.so.2".to_vec()], ..none.clone() };
    said(claim(), of(other), Certain, "other versions are there: /lib/libx.so.2", "no replacement");
    said(
        claim(),
        of(Library { path: Some(b"/opt/libx.so.1".to_vec()), ..none }),
        Likely,
        "/opt/libx.so.1 exists",
        "ldd",
    );
    said(claim(), of(Library::default()), Certain, "", "");

    said(Claim::NoUser, Some(Checked::Passwd(Some(false))), Certain, "/etc/passwd has no entry for uid 1000", "");
    said(Claim::NoUser, Some(Checked::Passwd(Some(true))), Certain, "/etc/passwd has an entry for uid 1000", "");
    said(Claim::NoUser, Some(Checked::Passwd(None)), Certain, "", "");

    let claim = || Claim::StalePidFile { path: Some(b"/run/x.pid".to_vec()) };
    let of = |pid, process: Option<&str>, is_own| {
        let process = process.map(|name| Process { pid: 9, name: name.into(), parent: 1, state: b'S' });
        Some(Checked::PidFile(PidFile { path: b"/run/x.pid".to_vec(), pid, process, is_own }))
    };
    for (checked, fact) in [
        (of(Some(1), Some("rinit"), true), "names pid 1, which is rinit itself here"),
        (of(Some(7), None, false), "names pid 7, which was the program itself this time"),
        (of(Some(70), None, false), "names pid 70, and no such process runs"),
        (of(None, None, false), "names no process"),
    ] {
        said(claim(), checked, Certain, fact, "rm -f /run/x.pid");
    }
    said(claim(), of(Some(9), Some("nginx"), false), Certain, "names nginx (pid 9), which runs", "");
}

#[test]
fn limits() {
    let bound = |soft| Some(Limit { soft, hard: Some(4096) });
    let mut seen = evidence(None);
    let say = |claim: Claim, seen: &Evidence| {
        let diagnosis = diagnosed(words(Some(claim)), seen, Outcome::Exited(1));
        let checked = diagnosis.evidence.iter().find(|fact| fact.starts_with("checked")).cloned();
        (diagnosis.confidence, checked.unwrap_or_default())
    };
    let fact = |text: &str| (Certain, format!("checked: {text}"));
    assert_eq!(say(Claim::TooManyFiles, &seen).1, "");
    seen.limits =
        Some(Limits { open_files: bound(Some(64)), address_space: bound(Some(1 << 30)), ..Limits::default() });
    assert_eq!(
        say(Claim::TooManyFiles, &seen),
        fact("its limit on open files was 64 (ulimit -n), which it could raise to 4096")
    );
    assert_eq!(say(Claim::NoMemory, &seen), fact("its limit on address space was 1024 MiB (ulimit -v)"));
    seen.limits = Some(Limits { address_space: bound(None), ..Limits::default() });
    assert_eq!(say(Claim::NoMemory, &seen), fact("its address space was not limited (ulimit -v)"));
    assert_eq!(say(Claim::NoThreads, &seen).1, "");
    seen.strain.refused_forks = Some(3);
    seen.strain.process_limit = Some(100);
    assert_eq!(say(Claim::NoThreads, &seen), fact("pids.events counts 3 refused, pids.max is 100"));
    seen.strain.refused_forks = Some(0);
    let none = "the container's own limit refused none (pids.events 0, pids.max 100)";
    assert_eq!(say(Claim::NoThreads, &seen), (Likely, format!("checked, and it does not bear this out: {none}")));
    seen.limits = Some(Limits { processes: bound(Some(50)), ..Limits::default() });
    assert_eq!(say(Claim::NoThreads, &seen), fact(none));
    let zombie = seen.zombie.as_mut().unwrap();
    (zombie.seccomp, zombie.no_new_privs) = (Some(2), Some(true));
    assert_eq!(say(Claim::NotPermitted, &seen), fact("it ran as uid 1000 gid 1000 with no capability"));
    let why = |seen: &Evidence| {
        let said = diagnosed(words(Some(Claim::NotPermitted)), seen, Outcome::Exited(1)).evidence.join("; ");
        (said.contains("a seccomp filter was installed"), said.contains("NoNewPrivs"))
    };
    assert_eq!(why(&seen), (true, true));
    let zombie = seen.zombie.as_mut().unwrap();
    (zombie.seccomp, zombie.no_new_privs) = (Some(0), Some(false));
    assert_eq!(why(&seen), (false, false));
    assert_eq!(say(Claim::HeapLimit { bytes: None }, &seen).1, "");
}

/// The runtime's own limit was met, or the container's is lower: then that one would have been.
#[test]
fn heap_limits() {
    let of = |mib: Option<u64>| Claim::HeapLimit { bytes: mib.map(|mib| mib << 20) };
    let with = |after: Events| Evidence { memory: Some(Box::new(v2(after))), ..evidence(None) };
    let say = |mib, after| {
        let diagnosis = diagnosed(words(Some(of(mib))), &with(after), Outcome::Exited(1));
        (diagnosis.confidence, diagnosis.evidence.into_iter().find(|fact| fact.starts_with("checked")).unwrap())
    };
    let (none, one) = (events(0, 0, 0), events(1, 1, 1));
    let met = "checked: the container's memory limit was not what stopped it (peak 512 of 512 MiB)";
    for cap in [None, Some(256), Some(512)] {
        assert_eq!(say(cap, none), (Certain, met.to_owned()), "{cap:?}");
    }
    let below = "checked, and it does not bear this out: the container's limit is below the runtime's own of 1024 MiB \
                 (peak 512 of 512 MiB)";
    assert_eq!(say(Some(1024), none), (Likely, below.to_owned()));
    assert_eq!(say(None, one), (Certain, "checked: peak 512 of 512 MiB".to_owned()));
}

/// What a script could not start is looked at as if rinit had been told to start it.
#[test]
fn commands() {
    let of = |name: &[u8], found: Result<u32, i32>, missing| {
        let path = str::from_utf8(name).unwrap();
        let inspection = looked(name, 1000, &[(path, found, missing)]).inspection.unwrap();
        Some(Checked::Command(Box::new(inspection)))
    };
    let path = || Some(b"/app/run".to_vec());
    let missing = of(b"/app/run", Err(libc::ENOENT), Some("/app/run"));
    said(
        Claim::Missing { path: path() },
        missing,
        Certain,
        "checked: /app/run cannot be started: no such file",
        "COPY",
    );
    let closed = of(b"/app/run", Ok(0o100_644), None);
    let claim = Claim::NotExecutable { path: path() };
    said(claim.clone(), closed, Certain, "/app/run cannot be started: permission denied, it is not", "chmod");
    let fine = of(b"/app/run", Ok(0o100_755), None);
    said(claim, fine, Likely, "/app/run is there, and nothing was seen that keeps it from starting", "");
}

#[test]
fn what_only_the_code_says_adds_nothing() {
    for (outcome, nothing) in [
        (Outcome::Exited(1), true),
        (Outcome::Exited(42), true),
        (Outcome::Exited(0), false),
        (died(Signo::SEGV), false),
        (died(Signo::KILL), false),
    ] {
        let diagnosis = crate::diagnose::diagnose(&outcome, &evidence(None));
        assert_eq!(adds_nothing(&diagnosis), nothing, "{diagnosis:#?}");
        let noted = Diagnosis { notes: vec![Note { id: "x", summary: String::new() }], ..diagnosis.clone() };
        assert!(!adds_nothing(&noted));
        assert!(!adds_nothing(&Diagnosis { confidence: Likely, ..diagnosis }));
    }
    let said = diagnosed(words(None), &evidence(None), Outcome::Exited(1));
    assert!(!adds_nothing(&said));
}

#[test]
fn what_is_to_be_looked_for_is_what_the_line_claims() {
    let line = |text: &[u8]| crate::evidence::tail::Line { text: text.to_vec(), stdout: false };
    let said = |text: &[u8]| crate::evidence::tail::Tail { lines: vec![line(text)], wanted: None, cut: false };
    let tail = Some(said(b"Error: listen EADDRINUSE: address already in use :::8080"));
    let evidence = Evidence { tail, ..ran(b"node") };
    let claimed = claim(&Outcome::Exited(1), &evidence);
    assert!(matches!(claimed, Some(Claim::AddressInUse { port: Some(8080), .. })), "{claimed:?}");
    assert_eq!(claim(&Outcome::Exited(1), &ran(b"node")), None);
}
