//! The collectors against real sockets, files and environments, the parsers against what they may meet.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::evidence::roads::Roads;

/// A directory of its own, removed at the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rinit-checks-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(fs::canonicalize(path).unwrap())
    }

    fn path(&self, name: &str) -> Vec<u8> {
        self.0.join(name).as_os_str().as_bytes().to_vec()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The tests' own process counts like any other: rinit's is one that is not there.
fn proc() -> Proc {
    Proc::of(std::process::id().cast_signed()).unwrap()
}

fn context<'a>(directory: Option<&'a [u8]>, path: Option<&'a [u8]>) -> Context<'a> {
    Context { directory, path, user: None, proc: Some(proc()), until: Instant::now() + Duration::from_secs(60) }
}

#[test]
fn a_port_and_who_has_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let of = |port| {
        let claim = Claim::AddressInUse { port: Some(port), path: None };
        match check(&claim, &context(None, None)) {
            Some(Checked::Port(ports)) => ports,
            other => panic!("{other:?}"),
        }
    };
    let ports = of(port);
    assert!(ports.complete && !ports.udp, "{ports:?}");
    // It is rinit's own here, which is not looked at.
    assert_eq!(ports.holders, [Holder { address: Ipv4Addr::LOCALHOST.into(), process: None }]);
    drop(listener);
    assert_eq!(of(port).holders, []);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let ports = of(udp.local_addr().unwrap().port());
    assert!(ports.udp && ports.holders.len() == 1, "{ports:?}");
}

#[test]
fn the_other_end_of_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let of = |host: &str, port| {
        let claim = Claim::ConnectionRefused { host: Some(host.into()), port: Some(port) };
        match check(&claim, &context(None, None)) {
            Some(Checked::Peer(peer)) => peer,
            other => panic!("{other:?}"),
        }
    };
    for host in ["127.0.0.1", "::ffff:127.0.0.1"] {
        let peer = of(host, port);
        assert_eq!(
            (peer.is_known, peer.own, peer.listens.map(|ports| ports.holders.len())),
            (true, Some(true), Some(1))
        );
    }
    drop(listener);
    assert_eq!(of("127.0.0.1", port).listens.unwrap().holders, []);
    // TEST-NET-1 (RFC 5737) is nobody's.
    let peer = of("192.0.2.1", port);
    assert_eq!((peer.is_known, peer.own, peer.listens), (true, Some(false), None));
    assert_eq!(of("no-such-host.invalid", port), Peer::default());
}

#[test]
fn sockets_in_the_file_system() {
    let dir = Temporary::new("sockets");
    let path = dir.path("x.sock");
    let claim = Claim::AddressInUse { port: None, path: Some(path.clone()) };
    let bound = || match check(&claim, &context(None, None)) {
        Some(Checked::SocketFile(look, bound)) => (look.file().is_some(), bound.unwrap().bound),
        other => panic!("{other:?}"),
    };
    let listener = UnixListener::bind(dir.0.join("x.sock")).unwrap();
    assert_eq!(bound(), (true, true));
    drop(listener);
    assert_eq!(bound(), (true, false), "a stale file");
    fs::remove_file(dir.0.join("x.sock")).unwrap();
    assert_eq!(bound(), (false, false));
}

#[test]
fn paths_relative_and_linked() {
    let dir = Temporary::new("paths");
    fs::create_dir(dir.0.join("sub")).unwrap();
    fs::write(dir.0.join("sub/config.yml"), "x").unwrap();
    fs::set_permissions(dir.0.join("sub"), fs::Permissions::from_mode(0o711)).unwrap();
    symlink("sub", dir.0.join("link")).unwrap();
    symlink("round", dir.0.join("round")).unwrap();
    let directory = dir.path("");
    let look = |path: &str| {
        let claim = Claim::Missing { path: Some(path.into()) };
        match check(&claim, &context(Some(&directory), None)) {
            Some(Checked::Path(look)) => Some(*look),
            None => None,
            other => panic!("{other:?}"),
        }
    };
    let found = look("link/config.yml").unwrap();
    assert_eq!(found.obstacle, None);
    let last: Vec<_> =
        found.steps.iter().rev().take(2).map(|step| (step.path.clone(), step.permissions.mode & 0o777)).collect();
    assert_eq!(last[0].0, dir.path("sub/config.yml"));
    assert_eq!(last[1], (dir.path("sub"), 0o711));
    assert_eq!(found.steps[0].path, b"/");
    let near = look("link/config.yaml").unwrap();
    assert_eq!(near.steps.last().unwrap().path, dir.path("sub"));
    assert!(near.file().is_none() && near.obstacle.is_some_and(|obstacle| obstacle.place.is_some()));
    assert_eq!(look("round"), None);
    assert_eq!(look(""), None);
    assert!(look("/").is_some_and(|root| root.file().is_some()));
    // Not known where it started.
    assert_eq!(check(&Claim::Missing { path: Some(b"x".to_vec()) }, &context(None, None)), None);
}

#[test]
fn nothing_is_asked_of_a_server() {
    let table = |kind: &str| format!("21 1 0:20 / / rw - overlay overlay rw\n22 21 0:21 / /tmp rw - {kind} x rw\n");
    let dir = Temporary::new("servers");
    for (kind, resolved) in
        [("ext4", true), ("nfs4", false), ("fuse.s3fs", false), ("fuseblk", true), ("autofs", false)]
    {
        let roads = Roads::of(table(kind).into_bytes());
        assert_eq!(roads.resolve(b"/tmp/x").is_some(), resolved, "{kind}");
        assert!(roads.resolve(b"/etc/passwd").is_some());
        symlink("/tmp/x", dir.0.join(kind)).unwrap();
    }
    // A link leads there as well, wherever it stands.
    let roads = Roads::of(b"21 1 0:20 / / rw - nfs4 a rw\n22 21 0:21 / /srv rw - nfs4 x rw\n".to_vec());
    symlink("/srv/x", dir.0.join("far")).unwrap();
    assert_eq!(roads.resolve(&dir.path("far")), None);
    assert!(roads.resolve(&dir.path("near")).is_some(), "the image itself may come from a server");
    assert_eq!(roads.resolve(b"/dev/../proc/self/fd/1"), None);
    assert!(roads.is_open(Path::new("/etc/passwd")) && !roads.is_open(&dir.0.join("far")));
    let local = Roads::of(table("ext4").into_bytes());
    assert!(local.is_open(&dir.0.join("far")) && !local.is_open(Path::new("relative")));
    assert_eq!(roads.resolve(b"/a/../../b/./c//"), Some(b"/b/c".to_vec()));
}

#[test]
fn file_systems_each_once() {
    let dir = Temporary::new("space");
    let claim = Claim::NoSpace { path: Some(dir.path("not/there")), watches: false };
    let Some(Checked::Space(systems)) = check(&claim, &context(Some(b"/"), None)) else { panic!() };
    assert_eq!(systems[0].path, dir.path("").strip_suffix(b"/").unwrap());
    assert!(systems[0].size > 0 && !systems[0].read_only && !systems[0].is_full(), "{systems:?}");
    let mounts: Vec<_> = systems.iter().map(|system| system.mount.clone().unwrap().mount_point).collect();
    assert!(mounts.iter().enumerate().all(|(at, mount)| !mounts[..at].contains(mount)), "{mounts:?}");
    let watches = Claim::NoSpace { path: None, watches: true };
    for claim in [watches, Claim::NoInstances] {
        let Some(Checked::Watches(Some(1..), Some(1..), systems)) = check(&claim, &context(None, None)) else {
            panic!()
        };
        assert_eq!(systems.is_empty(), claim == Claim::NoInstances, "{systems:?}");
    }
}

#[test]
fn commands_are_inspected() {
    let dir = Temporary::new("commands");
    fs::write(dir.0.join("run.sh"), "#!/no/such/sh\r\n").unwrap();
    fs::set_permissions(dir.0.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let directory = dir.path("");
    let inspected = |claim: Claim| match check(&claim, &context(Some(&directory), Some(b"/bin:/usr/bin"))) {
        Some(Checked::Command(inspection)) => inspection.expected_errno(),
        other => panic!("{other:?}"),
    };
    assert_eq!(inspected(Claim::NoCommand { name: b"no-such-command".to_vec() }), Some(libc::ENOENT));
    assert_eq!(inspected(Claim::NoCommand { name: b"sh".to_vec() }), None);
    assert_eq!(inspected(Claim::Missing { path: Some(b"./run.sh".to_vec()) }), Some(libc::ENOENT));
    assert_eq!(inspected(Claim::NotExecutable { path: Some(b"./nothing".to_vec()) }), Some(libc::ENOENT));
}

#[test]
fn pid_files() {
    let dir = Temporary::new("pid");
    let own = std::process::id();
    let read = |content: &str| {
        fs::write(dir.0.join("x.pid"), content).unwrap();
        match check(&Claim::StalePidFile { path: Some(dir.path("x.pid")) }, &context(None, None)) {
            Some(Checked::PidFile(file)) => (file.pid, file.process.is_some(), file.is_own),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(read(&format!("{own}\n")), (Some(own.cast_signed()), true, true));
    assert_eq!(read("2147483647"), (Some(i32::MAX), false, false));
    for none in ["", "\n", "-1", "abc", "0"] {
        assert_eq!(read(none), (None, false, false), "{none}");
    }
    fs::remove_file(dir.0.join("x.pid")).unwrap();
    // An open(2) of a FIFO waits for its other end.
    nix::unistd::mkfifo(&dir.0.join("x.pid"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(check(&Claim::StalePidFile { path: Some(dir.path("x.pid")) }, &context(None, None)), None);
}

#[test]
fn libraries() {
    let found = |name: &str| match check(&Claim::NoLibrary { name: name.into() }, &context(None, None)) {
        Some(Checked::Library(library)) => library,
        other => panic!("{other:?}"),
    };
    let c = found("libc.so.6");
    assert!(c.path.is_some_and(|path| path.ends_with(b"/libc.so.6")) && c.directories > 1);
    let other = found("libc.so.5");
    assert!(other.path.is_none() && other.versions.iter().any(|path| path.ends_with(b"libc.so.6")), "{other:?}");
    assert_eq!(check(&Claim::NoLibrary { name: b"/x/libc.so.6".to_vec() }, &context(None, None)), None);
}

#[test]
fn users() {
    for (uid, listed) in [(0, true), (4_000_000_000, false)] {
        let user = User { uid, ..User::default() };
        let context = Context { user: Some(&user), ..context(None, None) };
        assert_eq!(check(&Claim::NoUser, &context), Some(Checked::Passwd(Some(listed))));
    }
    assert_eq!(check(&Claim::NoUser, &context(None, None)), None);
}

#[test]
fn what_needs_no_look_is_not_looked_at() {
    for claim in
        [Claim::TooManyFiles, Claim::NotPermitted, Claim::NoMemory, Claim::NoThreads, Claim::HeapLimit { bytes: None }]
    {
        assert_eq!(check(&claim, &context(None, None)), None);
    }
}

/// What was not searched to its end is not said to be absent.
#[test]
fn a_search_ends_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let late = |claim: Claim| check(&claim, &Context { until: Instant::now(), ..context(None, None) });
    let Some(Checked::Port(ports)) = late(Claim::AddressInUse { port: Some(port), path: None }) else { panic!() };
    assert!(!ports.complete && ports.looked_at.is_none(), "{ports:?}");
    assert_eq!(late(Claim::NoLibrary { name: b"libc.so.5".to_vec() }), None);
}
