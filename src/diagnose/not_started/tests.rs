//! Every rule from a table, and every content with every errno.

use std::time::Duration;

use super::*;
use crate::diagnose::tests::{Row, ran, refused, unforked};
use crate::diagnose::{diagnose, why_not};
use crate::evidence::Evidence;
use crate::evidence::content::{Before, Content, Foreign};
use crate::evidence::elf::{
    EM_386, EM_AARCH64, EM_ARM, EM_PPC, EM_PPC64, EM_X86_64, ET_CORE, ET_DYN, ET_EXEC, ET_REL, Elf, Header,
};
use crate::evidence::mountinfo::Mount;
use crate::evidence::shebang::{Shebang, Unusable};
use crate::evidence::start_limits::{Sizes, StartLimits, UNLIMITED};
use crate::evidence::user::{FileCapabilities, User};
use crate::evidence::walk::{Directory, Obstacle, Permissions, Place};
use crate::outcome::Outcome;
use Confidence::Possible;

const ENOENT: i32 = libc::ENOENT;
const EACCES: i32 = libc::EACCES;
const ENOEXEC: i32 = libc::ENOEXEC;

fn mount(point: &str, file_system: &str) -> Mount {
    Mount { mount_point: point.into(), file_system: Some(file_system.into()), ..Mount::default() }
}

fn missing_at(at: &str) -> Obstacle {
    let parent = at.rfind('/').map_or("", |slash| &at[..slash.max(1)]);
    let directory = Directory {
        path: parent.into(),
        entries: Some(12),
        mount: Some(mount("/", "overlay")),
        ..Directory::default()
    };
    Obstacle { errno: ENOENT, place: Some(Place::Missing(at.into(), directory)), link: None }
}

fn facts(mode: u32) -> FileFacts {
    FileFacts {
        permissions: Permissions { mode, uid: 0, gid: 0 },
        size: 412,
        has_acl: false,
        access: (mode & libc::S_IFMT == libc::S_IFREG).then_some(mode & 0o001 != 0),
        noexec: Some(false),
        nosuid: Some(false),
        mount: Some(mount("/", "overlay")),
        content: None,
        capabilities: None,
    }
}

fn holding(content: Content) -> FileFacts {
    FileFacts { content: Some(content), ..facts(0o100_755) }
}

/// What is found at each path when `uid` looks: a mode, or an errno and what is missing.
pub(crate) fn looked(program: &[u8], uid: u32, candidates: &[(&str, Result<u32, i32>, Option<&str>)]) -> Evidence {
    let files = candidates.iter().map(|(path, file, missing)| {
        let obstacle = |errno| match (missing, errno) {
            (Some(missing), ENOENT) => missing_at(missing),
            _ => Obstacle::bare(errno),
        };
        // Root may execute what anybody may.
        let found = |mode| {
            let facts = facts(mode);
            FileFacts { access: facts.access.map(|all| all || (uid == 0 && mode & 0o111 != 0)), ..facts }
        };
        (*path, file.map(found).map_err(obstacle))
    });
    files_at(program, uid, files.collect())
}

fn files_at(program: &[u8], uid: u32, files: Vec<(&str, Result<FileFacts, Obstacle>)>) -> Evidence {
    let bare = !program.contains(&b'/');
    let candidates = files
        .into_iter()
        .map(|(path, file)| Candidate { target: Target { path: path.into(), file }, needs: Vec::new() });
    let mut evidence = ran(program);
    evidence.duration = Duration::from_millis(1);
    evidence.usage = None;
    evidence.inspection = Some(Inspection {
        candidates: candidates.collect(),
        search_path: bare.then(|| b"/usr/local/bin:/bin".to_vec()),
        user: User {
            uid,
            gid: uid,
            groups: Some(Vec::new()),
            effective: Some(if uid == 0 { u64::MAX } else { 0 }),
            bounding: Some(0xa804_25fb),
        },
        machine: Some(b"aarch64".to_vec()),
        ..Inspection::default()
    });
    evidence
}

fn one(path: &str, uid: u32, file: Result<u32, i32>, missing: Option<&str>) -> Evidence {
    looked(path.as_bytes(), uid, &[(path, file, missing)])
}

fn app(file: Result<FileFacts, Obstacle>) -> Evidence {
    files_at(b"/app/x", 1000, vec![("/app/x", file)])
}

fn needing(mut evidence: Evidence, role: Role, path: &str, file: Result<FileFacts, Obstacle>) -> Evidence {
    let candidate = &mut evidence.inspection.as_mut().unwrap().candidates[0];
    candidate.needs.push((role, Target { path: path.into(), file }));
    evidence
}

fn with(mut evidence: Evidence, change: impl FnOnce(&mut Inspection)) -> Evidence {
    change(evidence.inspection.as_mut().unwrap());
    evidence
}

fn script(interpreter: &str) -> Content {
    Content::Script(Shebang { interpreter: interpreter.into(), argument: None })
}

/// A script whose interpreter does not exist.
fn orphan(interpreter: &str) -> Evidence {
    needing(
        app(Ok(holding(script(interpreter)))),
        Role::Interpreter,
        interpreter,
        Err(missing_at(interpreter.trim_end())),
    )
}

fn elf_of(wide: bool, kind: u16, machine: u16, loader: Option<&str>, end: Option<u64>) -> Content {
    let header = Header { wide, big_endian: false, kind, machine, table: 64, entries: 9 };
    Content::Elf(Elf { header, loader: loader.map(Into::into), end, stack: 0 })
}

fn with_big_endian(mut content: Content) -> Content {
    if let Content::Elf(elf) = &mut content {
        elf.header.big_endian = true;
    }
    content
}

fn elf(kind: u16, machine: u16) -> Content {
    elf_of(true, kind, machine, None, Some(400))
}

fn dynamic(loader: &str, loaders: &[&str]) -> Evidence {
    let file = elf_of(true, ET_DYN, EM_AARCH64, Some(loader), Some(400));
    let evidence = needing(app(Ok(holding(file))), Role::Loader, loader, Err(missing_at(loader)));
    with(evidence, |inspection| {
        inspection.loaders = Some(loaders.iter().map(|path| path.as_bytes().to_vec()).collect())
    })
}

fn limited(limits: StartLimits) -> Evidence {
    Evidence { start_limits: Some(limits), ..ran(b"/app/x") }
}

fn mounted(entries: Option<usize>, lost_and_found: bool, point: &str) -> Evidence {
    let directory = Directory {
        path: b"/app".to_vec(),
        entries,
        lost_and_found,
        near: Vec::new(),
        mount: Some(mount(point, "ext4")),
    };
    let place = Some(Place::Missing(b"/app/x".to_vec(), directory));
    app(Err(Obstacle { errno: ENOENT, place, link: None }))
}

/// A directory of a volume is empty, not the volume.
fn below_a_mount() -> Evidence {
    let directory = Directory {
        path: b"/app/sub".to_vec(),
        entries: Some(0),
        mount: Some(mount("/app", "ext4")),
        ..Directory::default()
    };
    let place = Some(Place::Missing(b"/app/sub/x".to_vec(), directory));
    let file = Err(Obstacle { errno: ENOENT, place, link: None });
    files_at(b"/app/sub/x", 1000, vec![("/app/sub/x", file)])
}

fn near_start() -> Evidence {
    let mut obstacle = missing_at("/app/x");
    if let Some(Place::Missing(_, directory)) = &mut obstacle.place {
        directory.near = vec![b"x.sh".to_vec()];
    }
    app(Err(obstacle))
}

fn link_to(target: &str, mut obstacle: Obstacle) -> Evidence {
    obstacle.link = Some((b"/app/x".to_vec(), target.into()));
    app(Err(obstacle))
}

fn closed(uid: u32, program: &[u8]) -> Evidence {
    let permissions = Permissions { mode: 0o40_700, uid: 0, gid: 0 };
    let place = Some(Place::Closed(b"/root".to_vec(), Some(permissions)));
    files_at(program, uid, vec![("/root/x", Err(Obstacle { errno: EACCES, place, link: None }))])
}

fn capable(nosuid: bool, namespaced: bool, permitted: u64) -> Evidence {
    let capabilities = Some(FileCapabilities { permitted, effective: true, namespaced });
    app(Ok(FileFacts { capabilities, nosuid: Some(nosuid), ..holding(elf(ET_EXEC, EM_AARCH64)) }))
}

fn jq(directories: &[(&str, i32)]) -> Evidence {
    let files: Vec<_> = directories.iter().map(|(path, errno)| (*path, Err(*errno), None)).collect();
    looked(b"jq", 0, &files)
}

const NOWHERE: [(&str, i32); 2] = [("/usr/local/bin/jq", ENOENT), ("/bin/jq", libc::ENOTDIR)];

fn size_limits() -> StartLimits {
    let sizes = Sizes {
        arguments: 2_000_000,
        longest_argument: 200_000,
        environment: 40_000,
        variables: 3,
        largest_variable: Some((b"BIG".to_vec(), 39_000)),
    };
    StartLimits { stack: Some(8 << 20), sizes: Some(sizes), ..StartLimits::default() }
}

fn names() -> Vec<Row> {
    let word = |program: &[u8]| looked(program, 0, &[("/bin/x", Err(ENOENT), None)]);
    vec![
        (refused(ENOENT), looked(b"ls -l", 0, &[]), "command-line-as-one-word", Likely, "cannot start ls ...:"),
        (refused(libc::ENAMETOOLONG), ran(b"a\tb"), "command-line-as-one-word", Likely, "3 bytes long"),
        (refused(ENOENT), word(b"[\"node\","), "command-line-as-one-word", Likely, "begins with a bracket"),
        (
            refused(ENOENT),
            with(word(b"ls -l"), |inspection| inspection.elsewhere = Some(b"/bin/ls".to_vec())),
            "command-line-as-one-word",
            Likely,
            "/bin/ls exists",
        ),
        (refused(ENOENT), word(b"cd"), "shell-syntax-as-command", Certain, "a word of the shell"),
        (
            refused(ENOENT),
            word(b"cd"),
            "shell-syntax-as-command",
            Certain,
            "no directory of PATH has a program of this",
        ),
        (refused(ENOENT), ran(b"&&"), "shell-syntax-as-command", Likely, "a word of the shell"),
        (refused(ENOENT), word(b"$HOME/x"), "shell-syntax-as-command", Likely, "a variable"),
        (
            refused(ENOENT),
            word(b"A=1"),
            "shell-syntax-as-command",
            Likely,
            "cannot start A=...: most likely an assignment",
        ),
        (
            refused(ENOENT),
            jq(&NOWHERE),
            "command-not-found",
            Certain,
            "PATH was /usr/local/bin:/bin; 2 directories were looked in",
        ),
        (
            refused(ENOENT),
            with(jq(&NOWHERE), |inspection| inspection.near = vec![b"/bin/jqq".to_vec()]),
            "command-not-found",
            Certain,
            "did you mean /bin/jqq?",
        ),
        (
            refused(ENOENT),
            with(jq(&NOWHERE), |inspection| inspection.elsewhere = Some(b"/usr/bin/jq".to_vec())),
            "command-not-found",
            Certain,
            "/usr/bin/jq exists",
        ),
        (
            refused(ENOENT),
            with(jq(&NOWHERE), |inspection| inspection.search_path = Some(b"/opt/bin".to_vec())),
            "command-not-found",
            Certain,
            "none of /usr/local/bin",
        ),
        (
            refused(ENOENT),
            with(jq(&NOWHERE), |inspection| inspection.search_path = Some(Vec::new())),
            "command-not-found",
            Certain,
            "PATH was empty",
        ),
        (
            refused(ENOENT),
            jq(&[("/usr/local/bin/jq", ENOENT), ("/bin/jq", EACCES)]),
            "command-not-found",
            Likely,
            "most likely it is in no directory of PATH",
        ),
        (
            refused(ENOENT),
            jq(&[("/usr/local/bin/jq", ENOENT), ("/bin/jq", EACCES)]),
            "command-not-found",
            Likely,
            "whether it is in /bin",
        ),
        (
            refused(ENOENT),
            jq(&[("/usr/local/bin/jq", ENOENT), ("/bin/jq", EACCES)]),
            "command-not-found",
            Likely,
            "; /bin may not be searched",
        ),
        (
            refused(ENOENT),
            closed(1000, b"x"),
            "command-not-found",
            Likely,
            "/root (mode 0700, owner 0:0) may not be searched",
        ),
        (refused(ENOENT), ran(b"jq"), "command-not-found", Likely, "exit status 127"),
        (refused(ENOENT), ran(b""), "command-not-found", Certain, "is empty"),
    ]
}

fn paths() -> Vec<Row> {
    let path = "/app/x";
    let chain = |length: usize| {
        (0..length).fold(app(Ok(holding(script("/i")))), |evidence, _| {
            needing(evidence, Role::Interpreter, "/i", Ok(holding(script("/i"))))
        })
    };
    vec![
        (refused(ENOENT), one(path, 0, Err(ENOENT), Some("/app")), "path-missing", Certain, "/app does not exist"),
        (
            refused(ENOENT),
            one(path, 0, Err(ENOENT), Some(path)),
            "path-missing",
            Certain,
            "/app exists and has 12 entries; no volume",
        ),
        (refused(ENOENT), near_start(), "path-missing", Certain, "x.sh among them"),
        (refused(ENOENT), near_start(), "path-missing", Certain, "(did you mean /app/x.sh?)"),
        (refused(ENOENT), mounted(Some(3), false, "/app"), "path-missing", Certain, "/app is a mount (ext4)"),
        (refused(ENOENT), mounted(Some(1), false, "/app"), "path-missing", Certain, "1 entry"),
        (refused(ENOENT), mounted(Some(0), false, "/"), "path-missing", Certain, "/app exists and is empty"),
        (refused(ENOENT), mounted(None, false, "/app"), "path-missing", Certain, "/app exists"),
        (refused(ENOENT), one(path, 0, Err(ENOENT), None), "path-missing", Likely, "is missing"),
        (refused(ENOENT), ran(b"/app/x"), "path-missing", Likely, "or the interpreter"),
        (
            refused(ENOENT),
            mounted(Some(0), false, "/app"),
            "volume-hides-file",
            Likely,
            "/app is a mount (ext4) and is empty",
        ),
        (refused(ENOENT), mounted(Some(1), true, "/app"), "volume-hides-file", Likely, "but lost+found"),
        (refused(ENOENT), below_a_mount(), "path-missing", Certain, "/app/sub exists and is empty; /app is a mount"),
        (
            refused(ENOENT),
            link_to("../y", missing_at("/y")),
            "dangling-symlink",
            Certain,
            "/app/x is a link to ../y; /y does not exist",
        ),
        (
            refused(ENOENT),
            {
                let link = Some((b"/bin/jq".to_vec(), b"gone".to_vec()));
                let file = Err(Obstacle { link, ..missing_at("/bin/gone") });
                files_at(b"jq", 0, vec![("/a/jq", Err(Obstacle::bare(ENOENT))), ("/bin/jq", file)])
            },
            "dangling-symlink",
            Certain,
            "/bin/jq is a link to gone; /bin/gone does not exist",
        ),
        (
            // A link to nothing does not end the search, so it was not the reason.
            refused(ENOENT),
            {
                let link = Some((b"/a/jq".to_vec(), b"gone".to_vec()));
                let file = Err(Obstacle { link, ..missing_at("/a/gone") });
                files_at(b"jq", 0, vec![("/a/jq", file), ("/bin/jq", Ok(facts(0o100_755)))])
            },
            "not-started",
            Unknown,
            "/bin/jq exists",
        ),
        (
            refused(libc::ENOTDIR),
            app(Err(Obstacle { errno: libc::ENOTDIR, place: Some(Place::File(b"/app".to_vec())), link: None })),
            "not-a-directory",
            Certain,
            "/app is no directory",
        ),
        (refused(libc::ENOTDIR), one(path, 0, Err(libc::ENOTDIR), None), "not-a-directory", Certain, "stat of /app/x"),
        (refused(libc::ENOTDIR), ran(b"/app/x"), "not-a-directory", Likely, "interpreter"),
        (
            refused(libc::ENOTDIR),
            needing(app(Ok(holding(script("/a/b")))), Role::Interpreter, "/a/b", Err(Obstacle::bare(libc::ENOTDIR))),
            "not-a-directory",
            Certain,
            "a part of its interpreter's path",
        ),
        (refused(libc::ELOOP), link_to("x", Obstacle::bare(libc::ELOOP)), "symlink-loop", Certain, "is a link to x"),
        (refused(libc::ELOOP), one(path, 0, Ok(0o100_755), None), "symlink-loop", Likely, "interpreter"),
        (refused(libc::ELOOP), chain(6), "symlink-loop", Certain, "more than 5 scripts"),
        (refused(libc::ELOOP), chain(5), "symlink-loop", Likely, "interpreter"),
        (refused(libc::ENAMETOOLONG), one(path, 0, Err(libc::ENAMETOOLONG), None), "name-too-long", Certain, "6 bytes"),
        (refused(libc::ENAMETOOLONG), ran(b"/app/x"), "name-too-long", Likely, "255 bytes"),
    ]
}

fn permissions() -> Vec<Row> {
    let path = "/app/x";
    let noexec = |mode| app(Ok(FileFacts { noexec: Some(true), mount: Some(mount("/app", "tmpfs")), ..facts(mode) }));
    let owned = |mode, has_acl| app(Ok(FileFacts { has_acl, access: Some(false), ..facts(mode) }));
    // Its own user may not execute it, and access(2) could not be asked.
    let unasked = |uid, effective, has_acl| {
        let permissions = Permissions { mode: 0o100_011, uid, gid: uid };
        let file = FileFacts { permissions, has_acl, access: None, ..facts(0o100_011) };
        with(files_at(b"/app/x", uid, vec![("/app/x", Ok(file))]), |inspection| inspection.user.effective = effective)
    };
    let bad = |file| needing(app(Ok(holding(script("/i")))), Role::Interpreter, "/i", file);
    vec![
        (refused(EACCES), one("/app", 0, Ok(0o40_755), None), "is-a-directory", Certain, "/app is a directory"),
        (
            refused(EACCES),
            looked(b"x", 0, &[("/a/x", Ok(0o40_755), None), ("/b/x", Ok(0o100_644), None)]),
            "is-a-directory",
            Likely,
            "/a/x is a directory",
        ),
        (refused(EACCES), noexec(0o100_755), "noexec-mount", Certain, "the mount at /app (tmpfs) is noexec"),
        (refused(EACCES), noexec(0o100_644), "noexec-mount", Certain, "made executable as well"),
        (
            refused(EACCES),
            one(path, 1000, Ok(0o100_644), None),
            "not-executable",
            Certain,
            "/app/x is mode 0644, owner 0:0; rinit runs as uid 1000 gid 1000; its mount is not noexec",
        ),
        (refused(EACCES), one(path, 0, Ok(0o100_644), None), "not-executable", Certain, "it is not executable (exit"),
        (refused(EACCES), one(path, 1000, Ok(0o100_700), None), "not-executable", Certain, "for this user (exit"),
        (refused(EACCES), unasked(1000, Some(0), false), "not-executable", Certain, "for this user"),
        (refused(EACCES), unasked(1000, Some(0), true), "not-executable", Likely, "access control list"),
        (refused(EACCES), unasked(1000, None, false), "not-executable", Likely, "whether capabilities"),
        (refused(EACCES), unasked(0, Some(0), true), "not-executable", Likely, "access control list"),
        (refused(EACCES), unasked(0, None, false), "not-executable", Possible, "whether capabilities"),
        (refused(EACCES), owned(0o100_700, true), "not-executable", Likely, "access control list"),
        (refused(EACCES), owned(0o100_755, false), "not-executable", Likely, "security module"),
        (
            refused(EACCES),
            with(owned(0o100_755, false), |i| i.user.effective = None),
            "not-executable",
            Possible,
            "capabilities",
        ),
        (refused(EACCES), one(path, 0, Ok(0o100_110), None), "denied-by-security-module", Possible, "mode 0110"),
        (refused(EACCES), one(path, 0, Ok(0o10_777), None), "not-executable", Certain, "is a FIFO"),
        (
            refused(EACCES),
            looked(b"x", 9, &[("/a/x", Ok(0o100_644), None), ("/b/x", Err(EACCES), None)]),
            "not-executable",
            Likely,
            "/a/x is mode 0644",
        ),
        (refused(EACCES), closed(1000, b"/root/x"), "path-not-traversable", Certain, "/root is mode 0700, owner 0:0"),
        (refused(EACCES), closed(0, b"/root/x"), "path-not-traversable", Likely, "/root is mode 0700"),
        (
            refused(EACCES),
            with(closed(1000, b"/root/x"), |i| i.user.effective = None),
            "path-not-traversable",
            Likely,
            "/root is mode 0700",
        ),
        (refused(EACCES), closed(1000, b"x"), "path-not-traversable", Possible, "in that directory"),
        (refused(EACCES), one(path, 1000, Err(EACCES), None), "path-not-traversable", Likely, "uid 1000"),
        (refused(EACCES), bad(Ok(facts(0o100_644))), "interpreter-not-executable", Certain, "/i is mode 0644"),
        (refused(EACCES), bad(Ok(facts(0o40_755))), "interpreter-not-executable", Certain, "/i is a directory"),
        (
            refused(EACCES),
            bad(Ok(FileFacts { noexec: Some(true), ..facts(0o100_755) })),
            "interpreter-not-executable",
            Certain,
            "its interpreter /i is on a noexec mount",
        ),
        (refused(EACCES), bad(Err(Obstacle::bare(EACCES))), "interpreter-not-executable", Likely, "cannot be reached"),
        (refused(EACCES), bad(Ok(facts(0o100_755))), "denied-by-security-module", Possible, "access(2) grants"),
        (refused(EACCES), one(path, 1000, Ok(0o100_755), None), "denied-by-security-module", Possible, "noexec"),
        (
            refused(EACCES),
            with(one(path, 1000, Ok(0o100_755), None), |i| {
                i.security_label = Some(b"docker-default (enforce)".to_vec())
            }),
            "denied-by-security-module",
            Possible,
            "security label: docker-default (enforce)",
        ),
        (refused(EACCES), ran(b"/app/x"), "not-started", Unknown, "EACCES (Permission denied)"),
        (refused(libc::EPERM), capable(false, false, 1 << 12), "capabilities-not-granted", Certain, "CAP_NET_ADMIN"),
        (refused(libc::EPERM), capable(false, true, 1 << 12), "capabilities-not-granted", Likely, "--cap-add"),
        (refused(libc::EPERM), capable(true, false, 1 << 12), "not-started", Unknown, "/app/x exists"),
        (refused(libc::EPERM), capable(false, false, 1 << 10), "not-started", Unknown, "seccomp"),
        (refused(libc::EPERM), ran(b"/app/x"), "not-started", Unknown, "capabilities"),
    ]
}

fn needs() -> Vec<Row> {
    let musl = "/lib/ld-musl-aarch64.so.1";
    let glibc = "/lib/ld-linux-aarch64.so.1";
    let loader = |file| needing(app(Ok(holding(elf(ET_DYN, EM_AARCH64)))), Role::Loader, musl, Ok(file));
    let emulated = |evidence| with(evidence, |i: &mut Inspection| i.machine = Some(b"x86_64".to_vec()));
    let through = |loader: &str| {
        let interpreter = elf_of(true, ET_DYN, EM_AARCH64, Some(loader), Some(400));
        let evidence = needing(app(Ok(holding(script("/i")))), Role::Interpreter, "/i", Ok(holding(interpreter)));
        needing(evidence, Role::Loader, loader, Err(missing_at(loader)))
    };
    let companion = |loader: &str| {
        let file = elf_of(false, ET_DYN, EM_386, Some(loader), Some(400));
        emulated(needing(app(Ok(holding(file))), Role::Loader, loader, Err(missing_at(loader))))
    };
    let nested = {
        let evidence = needing(app(Ok(holding(script("/a")))), Role::Interpreter, "/a", Ok(holding(script("/b"))));
        needing(evidence, Role::Interpreter, "/b", Err(missing_at("/b")))
    };
    vec![
        (
            refused(ENOENT),
            orphan("/bin/bash\r"),
            "shebang-crlf",
            Certain,
            "its first line asks for \"/bin/bash\\r\", which",
        ),
        (
            refused(ENOENT),
            with(orphan("/bin/bash\r"), |i| i.interpreter = Some(b"/bin/bash".to_vec())),
            "shebang-crlf",
            Certain,
            "/bin/bash itself exists",
        ),
        (
            refused(ENOENT),
            with(orphan("/bin/bash\r"), |i| i.interpreter = Some(b"/usr/bin/bash".to_vec())),
            "shebang-crlf",
            Certain,
            "/bin/bash does not exist either, but /usr/bin/bash does",
        ),
        (refused(ENOENT), orphan("/bin/bash"), "shebang-interpreter-missing", Certain, "apk add bash"),
        (
            refused(ENOENT),
            orphan("/bin/zsh"),
            "shebang-interpreter-missing",
            Certain,
            "install the interpreter in the image",
        ),
        (
            refused(ENOENT),
            orphan("/bin/zsh"),
            "shebang-interpreter-missing",
            Certain,
            "/app/x exists (mode 0755, 412 bytes)",
        ),
        (
            refused(ENOENT),
            with(orphan("/usr/bin/bash"), |i| i.interpreter = Some(b"/bin/bash".to_vec())),
            "shebang-interpreter-missing",
            Certain,
            "change the first line to #!/bin/bash",
        ),
        (
            refused(ENOENT),
            nested,
            "shebang-interpreter-missing",
            Certain,
            "the first line of its interpreter /a asks for /b",
        ),
        (
            refused(ENOENT),
            needing(app(Ok(holding(script("bin/x")))), Role::Interpreter, "bin/x", Err(Obstacle::bare(0))),
            "shebang-interpreter-missing",
            Likely,
            "by a relative path",
        ),
        // It was not looked for, with or without a carriage return.
        (
            refused(ENOENT),
            needing(app(Ok(holding(script("bin/x\r")))), Role::Interpreter, "bin/x\r", Err(Obstacle::bare(0))),
            "shebang-interpreter-missing",
            Likely,
            "by a relative path",
        ),
        (refused(ENOENT), dynamic(glibc, &[musl]), "loader-missing", Certain, "a glibc program in a musl image"),
        (refused(ENOENT), dynamic(musl, &[glibc]), "loader-missing", Certain, "a musl program in a glibc image"),
        (
            refused(ENOENT),
            dynamic("/lib/ld-other.so", &[glibc]),
            "loader-missing",
            Certain,
            "it needs the loader /lib/ld-other.so, which does not exist (exit",
        ),
        (
            refused(ENOENT),
            through(glibc),
            "loader-missing",
            Certain,
            "its interpreter /i needs the loader /lib/ld-linux-aarch64.so.1",
        ),
        // The kernel has read it as its own, if it got as far as the loader.
        (
            refused(ENOENT),
            companion("/lib/ld-linux.so.2"),
            "loader-missing",
            Certain,
            "it needs the loader /lib/ld-linux.so.2",
        ),
        (refused(ENOENT), emulated(dynamic(glibc, &[])), "wrong-architecture", Likely, "most likely the emulator"),
        (refused(ENOENT), dynamic(glibc, &[]), "loader-missing", Certain, "no other loader in /lib"),
        (refused(ENOENT), dynamic("/nix/store/x/lib/ld-linux.so.2", &[musl]), "loader-missing", Certain, "Nix"),
        (
            refused(ENOENT),
            dynamic("/lib/ld-linux.so.2", &[glibc]),
            "loader-missing",
            Certain,
            "the image has /lib/ld-linux-aarch64",
        ),
        (refused(ENOENT), one("/app/x", 0, Ok(0o100_755), None), "not-started", Unknown, "/app/x exists"),
        (
            refused(ENOENT),
            looked(b"jq", 0, &[("/bin/jq", Ok(0o100_755), None)]),
            "not-started",
            Unknown,
            "/bin/jq exists",
        ),
        (refused(libc::ETXTBSY), ran(b"/app/x"), "executable-busy", Certain, "open for writing"),
        (refused(libc::ELIBBAD), ran(b"/app/x"), "bad-loader", Certain, "its loader is none"),
        (refused(libc::ELIBBAD), loader(holding(elf(ET_DYN, EM_ARM))), "bad-loader", Certain, "is ELF for 32-bit arm"),
        (
            refused(libc::EIO),
            loader(FileFacts { size: 0, ..holding(Content::Empty) }),
            "bad-loader",
            Certain,
            "has 0 bytes",
        ),
        (refused(libc::EIO), loader(holding(Content::Zeros)), "not-started", Unknown, "EIO"),
        (
            refused(libc::EIO),
            loader(FileFacts { size: 51, ..holding(Content::BrokenElf) }),
            "bad-loader",
            Certain,
            "has 51 bytes",
        ),
        // The header of a 32-bit one is as long as that.
        (
            refused(libc::EIO),
            loader(FileFacts { size: 52, ..holding(Content::BrokenElf) }),
            "not-started",
            Unknown,
            "EIO",
        ),
        (refused(libc::EIO), ran(b"/app/x"), "not-started", Unknown, "EIO"),
    ]
}

fn formats() -> Vec<Row> {
    let of = |content| app(Ok(holding(content)));
    let on = |machine: &str, content| with(of(content), |i| i.machine = Some(machine.into()));
    let through = |content| needing(of(script("/i")), Role::Interpreter, "/i", Ok(holding(content)));
    let unread = |size| app(Ok(FileFacts { size, ..holding(elf_of(true, ET_EXEC, EM_AARCH64, None, None)) }));
    let refused_first = {
        let (denied, foreign) =
            (FileFacts { content: Some(Content::Text), ..facts(0o100_644) }, elf(ET_EXEC, EM_X86_64));
        files_at(b"x", 1000, vec![("/a/x", Ok(denied)), ("/b/x", Ok(holding(foreign)))])
    };
    let mut rows = vec![
        (refused(ENOEXEC), refused_first, "wrong-architecture", Certain, "ELF header of /b/x: x86-64"),
        (
            refused(ENOEXEC),
            of(elf(ET_EXEC, EM_X86_64)),
            "wrong-architecture",
            Certain,
            "it is built for x86-64, this machine is arm64",
        ),
        (refused(ENOEXEC), of(elf(ET_EXEC, EM_X86_64)), "wrong-architecture", Certain, "rinit itself runs here"),
        (
            refused(ENOEXEC),
            through(elf(ET_EXEC, EM_X86_64)),
            "wrong-architecture",
            Certain,
            "its interpreter /i is built for",
        ),
        (
            refused(ENOEXEC),
            on("x86_64", elf_of(false, ET_EXEC, EM_386, None, Some(1))),
            "wrong-architecture",
            Likely,
            "no 32-bit",
        ),
        // One that is cut off, or has nothing to load, would not run either where such programs do.
        (
            refused(ENOEXEC),
            on("x86_64", elf_of(false, ET_EXEC, EM_386, None, Some(413))),
            "not-a-program",
            Likely,
            "ask for 413 bytes",
        ),
        (
            refused(ENOEXEC),
            on("x86_64", elf_of(false, ET_EXEC, EM_386, None, Some(0))),
            "not-a-program",
            Likely,
            "it is an ELF file that this kernel cannot run",
        ),
        (refused(ENOEXEC), of(elf_of(false, ET_EXEC, EM_ARM, None, Some(1))), "wrong-architecture", Likely, "32-bit"),
        (refused(ENOEXEC), on("x86_64", elf(ET_DYN, EM_AARCH64)), "wrong-architecture", Certain, "uname: x86_64"),
        (refused(ENOEXEC), on("vax", elf(ET_DYN, EM_AARCH64)), "not-a-program", Likely, "arm64"),
        (
            refused(ENOEXEC),
            on("ppc64", elf(ET_DYN, EM_PPC64)),
            "wrong-architecture",
            Certain,
            "it is built for 64-bit PowerPC, this machine is big-endian 64-bit PowerPC",
        ),
        (
            refused(ENOEXEC),
            on("ppc64le", with_big_endian(elf(ET_DYN, EM_PPC64))),
            "wrong-architecture",
            Certain,
            "it is built for big-endian 64-bit PowerPC, this machine is 64-bit PowerPC",
        ),
        (
            refused(ENOEXEC),
            on("ppc64", with_big_endian(elf_of(false, ET_EXEC, EM_PPC, None, Some(1)))),
            "wrong-architecture",
            Likely,
            "no 32-bit",
        ),
        (
            refused(ENOEXEC),
            on("i686", elf(ET_DYN, EM_X86_64)),
            "wrong-architecture",
            Certain,
            "this machine is 32-bit x86",
        ),
        (
            refused(ENOEXEC),
            app(Ok(FileFacts { size: 0, ..holding(Content::Empty) })),
            "empty-file",
            Certain,
            "/app/x has 0 bytes",
        ),
        (refused(ENOEXEC), of(Content::Text), "no-shebang", Certain, "it is a text without a #! line"),
        (refused(ENOEXEC), through(Content::Text), "no-shebang", Certain, "/app/x names it as interpreter"),
        (
            refused(ENOEXEC),
            of(Content::BrokenScript(Unusable::Nameless)),
            "no-shebang",
            Certain,
            "names no interpreter",
        ),
        (refused(ENOEXEC), of(Content::BrokenScript(Unusable::TooLong)), "no-shebang", Certain, "256 bytes"),
        (
            refused(ENOEXEC),
            of(Content::LateShebang(Before::ByteOrderMark)),
            "shebang-not-first",
            Certain,
            "byte order mark",
        ),
        (refused(ENOEXEC), of(Content::LateShebang(Before::Blank)), "shebang-not-first", Certain, "a blank"),
        (refused(ENOEXEC), of(Content::LateShebang(Before::Lines(3))), "shebang-not-first", Certain, "in line 3"),
        (refused(ENOEXEC), of(elf(ET_REL, EM_AARCH64)), "not-a-program", Certain, "relocatable"),
        (refused(ENOEXEC), of(elf(ET_CORE, EM_AARCH64)), "not-a-program", Certain, "core dump"),
        (refused(ENOEXEC), of(elf(99, EM_AARCH64)), "not-a-program", Certain, "unknown ELF type"),
        (refused(ENOEXEC), of(elf(ET_EXEC, EM_AARCH64)), "not-a-program", Likely, "what in it"),
        (
            refused(ENOEXEC),
            of(elf_of(true, ET_EXEC, EM_AARCH64, None, None)),
            "not-a-program",
            Certain,
            "beyond its end",
        ),
        (
            refused(ENOEXEC),
            of(elf_of(true, ET_EXEC, EM_AARCH64, None, Some(413))),
            "not-a-program",
            Likely,
            "ask for 413 bytes",
        ),
        // 9 program headers of 56 bytes from byte 64 end there.
        (refused(ENOEXEC), unread(567), "not-a-program", Certain, "beyond its end"),
        (refused(ENOEXEC), unread(568), "not-a-program", Likely, "it is an ELF file that this kernel cannot run"),
        (
            refused(ENOEXEC),
            of(elf_of(true, ET_EXEC, EM_AARCH64, None, Some(412))),
            "not-a-program",
            Likely,
            "it is an ELF file that this kernel cannot run",
        ),
        (refused(ENOEXEC), of(Content::BrokenElf), "not-a-program", Certain, "cut off"),
        (refused(ENOEXEC), of(Content::Zeros), "not-a-program", Certain, "zero bytes"),
        (refused(ENOEXEC), of(Content::Data), "not-a-program", Certain, "it begins like no program"),
        (refused(ENOEXEC), one("/app/x", 0, Ok(0o100_755), None), "not-a-program", Likely, "/app/x has 412 bytes"),
        (refused(ENOEXEC), ran(b"/app/x"), "not-a-program", Likely, "another architecture"),
    ];
    for (foreign, word) in [
        (Foreign::MachO, "macOS"),
        (Foreign::Pe, "Windows"),
        (Foreign::JavaClass, "Java"),
        (Foreign::Zip, "java -jar"),
        (Foreign::Gzip, "gunzip"),
        (Foreign::Compressed, "compressed"),
        (Foreign::Html, "HTML"),
        (Foreign::Xml, "XML"),
        (Foreign::Json, "JSON"),
        (Foreign::LfsPointer, "git lfs pull"),
        (Foreign::Utf16, "UTF-16"),
    ] {
        rows.push((refused(ENOEXEC), of(Content::Foreign(foreign)), "not-a-program", Certain, word));
    }
    rows
}

fn limits() -> Vec<Row> {
    let plain = || ran(b"/app/x");
    let pids = |current, most| StartLimits { cgroup_processes: Some((current, most)), ..StartLimits::default() };
    let open = StartLimits { descriptors: Some(64), ..StartLimits::default() };
    let mut elsewhere = plain();
    elsewhere.is_init = false;
    vec![
        (
            unforked(Stage::Prepare, libc::EMFILE),
            plain(),
            "fd-limit",
            Certain,
            "free for this process (exit status 125",
        ),
        (refused(libc::ENFILE), plain(), "fd-limit", Certain, "free for the whole system (exit status 126"),
        (refused(libc::EMFILE), limited(open), "fd-limit", Certain, "(RLIMIT_NOFILE) is 64"),
        (refused(libc::ENFILE), plain(), "fd-limit", Certain, "next: raise fs.file-max on the node"),
        (unforked(Stage::Fork, libc::EAGAIN), plain(), "process-limit", Likely, "fork gave EAGAIN"),
        (unforked(Stage::Fork, libc::EAGAIN), limited(pids(20, 20)), "process-limit", Certain, "limit of 20 processes"),
        (
            unforked(Stage::Fork, libc::EAGAIN),
            limited(pids(2, 20)),
            "process-limit",
            Likely,
            "pids.current 2, pids.max 20",
        ),
        (
            unforked(Stage::Fork, libc::EAGAIN),
            limited(StartLimits { processes: Some(7), ..StartLimits::default() }),
            "process-limit",
            Likely,
            "may have 7 processes",
        ),
        (
            refused(libc::EAGAIN),
            limited(StartLimits { processes: Some(UNLIMITED), ..pids(9, 9) }),
            "process-limit",
            Likely,
            "exit status 126",
        ),
        (unforked(Stage::Fork, libc::ENOMEM), plain(), "no-memory-to-start", Likely, "memory limit"),
        (unforked(Stage::Fork, libc::ENOMEM), elsewhere, "no-memory-to-start", Likely, "still has an init"),
        (refused(libc::ENOMEM), plain(), "no-memory-to-start", Likely, "memory limit"),
        (refused(libc::E2BIG), plain(), "arguments-too-large", Certain, "2 arguments"),
        (
            refused(libc::E2BIG),
            limited(size_limits()),
            "arguments-too-large",
            Certain,
            "2 arguments with 1954 KiB in all, the longest with 196 KiB; environment of 40 KiB, 3 variables, the largest is BIG with 39 KiB; all together may have at most 2048 KiB",
        ),
        (refused(libc::EFAULT), plain(), "not-started", Unknown, "EFAULT"),
        (unforked(Stage::Prepare, libc::ENOSYS), plain(), "not-started", Unknown, "exit status 125"),
    ]
}

pub(crate) fn rows() -> Vec<Row> {
    [limits(), names(), paths(), needs(), permissions(), formats()].into_iter().flatten().collect()
}

/// Every pair of program and need with every errno: nothing panics, and a `certain` names what was seen.
#[test]
fn every_content_with_every_errno() {
    let inspections: Vec<Evidence> = rows().into_iter().map(|row| row.1).collect();
    for evidence in inspections.into_iter().step_by(crate::one_of(7)) {
        for errno in (0..=133).step_by(crate::one_of(9)).filter(|errno| *errno != libc::ENOENT) {
            let Diagnosis { cause, confidence, verdict, .. } = diagnose(&refused(errno), &evidence);
            assert!(verdict.ends_with("(exit status 126)"), "{verdict}");
            let absent = ["command-not-found", "path-missing", "shebang-crlf", "loader-missing", "dangling-symlink"];
            assert!(!absent.contains(&cause.id), "{errno}: {}", cause.id);
            assert!(confidence != Certain || errno != 0, "{}", cause.id);
        }
    }
}

#[test]
fn what_a_shell_could_not_start_is_explained_alike() {
    for (outcome, evidence, id, confidence, _) in rows().into_iter().step_by(crate::one_of(7)) {
        let Outcome::NotStarted(StartError { stage: Stage::Exec, errno }) = outcome else { continue };
        let Some(inspection) = evidence.inspection else { continue };
        let expected = inspection.expected_errno();
        // Denials that no file shows are not expected, and of several errors one has to be taken.
        if expected == Some(errno) {
            let found =
                why_not(&evidence.command.program, &inspection).map(|(_, found)| (found.cause.id, found.confidence));
            assert_eq!(found.unwrap_or((id, confidence)), (id, confidence), "errno {errno}");
        } else {
            let unseen = [libc::EPERM, libc::EACCES, libc::EIO, libc::ELIBBAD, libc::ELOOP, ENOEXEC, libc::ENOENT];
            assert!(unseen.contains(&errno) || errno == libc::ENAMETOOLONG, "{id}: {expected:?} for errno {errno}");
        }
    }
    let missing = looked(b"jq", 0, &[("/bin/jq", Err(ENOENT), None)]).inspection.unwrap();
    assert_eq!(why_not(b"jq", &missing).unwrap().1.cause.id, "command-not-found");
    let unreachable = looked(b"jq", 1000, &[("/root/jq", Err(EACCES), None), ("/bin/jq", Err(ENOENT), None)]);
    assert_eq!(unreachable.inspection.unwrap().expected_errno(), Some(ENOENT));
    let fine = one("/bin/jq", 0, Ok(0o100_755), None).inspection.unwrap();
    assert_eq!((fine.expected_errno(), why_not(b"/bin/jq", &fine)), (None, None));
}

/// All that a report says.
fn text(outcome: Outcome, evidence: &Evidence) -> String {
    format!("{:#?}", diagnose(&outcome, evidence))
}

#[test]
fn what_was_not_seen_is_not_told() {
    let no_memory = unforked(Stage::Fork, libc::ENOMEM);
    let on_the_way = {
        let Obstacle { errno, place, link } = missing_at("/ap");
        let Some(Place::Missing(at, directory)) = place else { panic!("it is missing") };
        let place = Some(Place::Missing(at, Directory { near: vec![b"app".to_vec()], ..directory }));
        files_at(b"/ap/x", 1000, vec![("/ap/x", Err(Obstacle { errno, place, link }))])
    };
    assert!(text(refused(ENOENT), &on_the_way).contains("app among them"));
    let unknown_mount = app(Ok(FileFacts { noexec: None, ..facts(0o100_755) }));
    let unasked = app(Ok(FileFacts { access: None, ..facts(0o100_755) }));
    for (outcome, evidence, words) in [
        // As PID 1, rinit is the init of its PID namespace.
        (no_memory, ran(b"/app/x"), "still has an init"),
        // A near name of a directory on the way is not the program's.
        (refused(ENOENT), on_the_way, "did you mean"),
        (refused(ENOENT), ran(b"&&"), "no directory of PATH"),
        (refused(EACCES), unknown_mount, "its mount is not noexec"),
        (refused(EACCES), unasked, "access(2) grants"),
    ] {
        let text = text(outcome, &evidence);
        assert!(!text.contains(words), "{words:?} is in:\n{text}");
    }
}

#[test]
fn a_link_on_a_path_with_arguments_in_it_is_not_named() {
    let path = "/app/x --password=hunter2";
    let link = Some((path.into(), b"x".to_vec()));
    let file = Err(Obstacle { errno: libc::ELOOP, place: None, link });
    let text = text(refused(libc::ELOOP), &files_at(path.as_bytes(), 1000, vec![(path, file)]));
    assert!(text.contains("symlink-loop") && !text.contains("hunter2"), "{text}");
}

#[test]
fn what_a_shell_could_not_start_is_no_call_of_rinits() {
    let path = "/app/x";
    for (evidence, fact) in [
        (one(path, 0, Err(ENOENT), Some(path)), "no volume is mounted over it"),
        // Of which nothing else is known.
        (one(path, 0, Err(ENOENT), None), ""),
        (app(Ok(holding(elf(ET_EXEC, EM_X86_64)))), "uname: aarch64"),
        (app(Ok(holding(Content::Text))), "/app/x has 412 bytes"),
    ] {
        let (_, found) = why_not(path.as_bytes(), evidence.inspection.as_ref().unwrap()).unwrap();
        let facts = found.evidence.join("\n");
        assert!(!facts.contains("execve") && !facts.contains("nothing was run"), "{facts}");
        assert!(facts.contains(fact), "{facts}");
    }
}

#[test]
fn an_assignment_has_a_name_in_front() {
    let is_one = |word: &str| {
        let evidence = looked(word.as_bytes(), 0, &[(&format!("/bin/{word}"), Err(ENOENT), None)]);
        diagnose(&refused(ENOENT), &evidence).cause.id == "shell-syntax-as-command"
    };
    for (word, expected) in
        [("A=1", true), ("A_B2=", true), ("_=x", true), ("A-B=1", false), ("2A=1", false), ("AB", false)]
    {
        assert_eq!(is_one(word), expected, "{word}");
    }
}
