//! The command line, end to end.
#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stderr, clippy::undocumented_unsafe_blocks)]

mod common;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Ended, Io, NOBODY, PLACES, Rinit, Status, TempDir, copy_program, each, is_root, proc, rinit};

/// One line and 125.
#[track_caller]
fn refused(ended: &Ended, says: &str) {
    ended.assert_code(125);
    assert_eq!(ended.stdout(), "");
    let stderr = ended.stderr();
    assert!(stderr.starts_with("rinit: ") && stderr.ends_with('\n') && stderr.lines().count() == 1, "{stderr:?}");
    assert!(stderr.contains(says), "{stderr}");
}

#[test]
fn usage_errors_run_nothing() {
    let dir = TempDir::new();
    let ran = dir.join("ran");
    let script = format!("touch {}", ran.display());
    for (args, says) in [
        (&["--no-such-flag"][..], "--no-such-flag"),
        (&["-x"], "-x"),
        (&["-gx"], "-x"),
        (&["--tail=many"], "--tail"),
        (&["-t", "soon"], "--stop-timeout"),
        (&["-d0"], "--drain"),
        (&["--explain"], "--explain"),
        (&["--check"], "--check"),
        (&["--stop-signal=NOPE"], "--stop-signal"),
        (&["--oom-shield=1"], "--oom-shield"),
        (&["-r", "KILL:TERM"], "SIGKILL"),
        (&["-r", "TERM"], "--rewrite"),
        (&["-p", "NOPE"], "--parent-death-signal"),
        (&["-e", "256"], "--remap-exit"),
        (&["--report=perhaps"], "--report"),
        (&["--format", "xml"], "--format"),
        (&["--stderr-format", "xml"], "--stderr-format"),
        (&["--report-size", "5000"], "--report-size"),
        (&["--report-size", "0"], "--report-size"),
        (&["--termination-log="], "--termination-log"),
        (&["--quiet=1"], "--quiet"),
        (&["--pause"], "--pause"),
        (&["--install=/tmp/x"], "--install"),
        (&["--install=/tmp/x", "--pause"], "--install"),
    ] {
        for place in PLACES {
            refused(&place().args(args).args(["--", "sh", "-c", &script]).run(), says);
        }
    }
    for args in [&[][..], &["--"], &["-g"], &["-v", "--"]] {
        refused(&Rinit::as_init().args(args).run(), "PROGRAM is missing");
    }
    for flag in ["-r", "-p", "-e", "--report", "--format", "--termination-log", "--install"] {
        refused(&Rinit::as_init().args([flag]).run(), "needs a value");
    }
    for (name, value) in [
        ("RINIT_GROUP", "yes"),
        ("RINIT_REWRITE", "A:B"),
        ("RINIT_REMAP_EXIT", "1,x"),
        ("RINIT_LOG", "loud"),
        ("RINIT_REPORT", "sometimes"),
        ("RINIT_FORMAT", "xml"),
        ("RINIT_REPORT_SIZE", "1"),
        ("RINIT_OFF", "maybe"),
        ("RINIT_TAIL", "all"),
        ("RINIT_STOP_TIMEOUT", "10h"),
    ] {
        refused(&Rinit::as_init().env(name, value).args(["sh", "-c", &script]).run(), name);
    }
    assert!(!ran.exists());
}

#[test]
fn answers_go_to_stdout() {
    for (flags, says) in [
        (["-h", "--help"], "Usage: rinit [OPTIONS] [--] PROGRAM [ARGS...]\n"),
        (["-V", "--version"], concat!("rinit ", env!("CARGO_PKG_VERSION"), " - git.")),
        (["-l", "--license"], "MIT OR Apache-2.0\n"),
    ] {
        for (flag, place) in flags.into_iter().flat_map(|flag| PLACES.map(|place| (flag, place))) {
            let ended = place().args([flag, "no-such-program"]).run();
            ended.assert_code(0);
            assert!(ended.stdout().starts_with(says) && ended.stdout().ends_with('\n'), "{}", ended.stdout());
            assert_eq!(ended.stderr(), "");
            unanswered(&place().stdout(Io::Closed).args([flag]).run());
            let full = File::options().write(true).open("/dev/full").unwrap();
            unanswered(&place().stdout(Io::Fd(full.into())).args([flag]).run());
            let (_, write_end) = common::pipe();
            unanswered(&place().stdout(Io::Fd(write_end)).args([flag]).run());
        }
    }
}

#[track_caller]
fn unanswered(ended: &Ended) {
    ended.assert_code(125);
    let stderr = ended.stderr();
    assert!(stderr.starts_with("rinit: cannot write to stdout: ") && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn the_version_is_one_line_that_docker_info_can_read() {
    let ended = Rinit::as_subreaper().args(["--version"]).run();
    let (_, commit) =
        ended.stdout().trim_end().split_once(" - git.").map(|(a, b)| (a.to_string(), b.to_string())).unwrap();
    assert!(!commit.is_empty() && commit.bytes().all(|b| b.is_ascii_hexdigit()), "{commit}");
}

#[test]
fn help_fits_a_screen() {
    let help = Rinit::as_subreaper().args(["--help"]).run().stdout();
    assert!(help.lines().count() <= 24 && help.lines().all(|line| line.len() <= 80), "{help}");
}

#[test]
fn rinit_off_executes_the_program_in_place() {
    each(PLACES, |place| {
        let run = || place().env("RINIT_OFF", "1");
        // Whether a flag that rinit does not know has a value cannot be known either.
        refused(&run().args(["--no-such"]).probe(["hold"]).run(), "--no-such");
        let mut running = run().args(["--report-size=nonsense", "-g"]).probe(["hold"]).spawn();
        assert_eq!(running.ready(), running.pid_inside());
        assert!(proc::children(running.pid()).is_empty());
        running.signal(libc::SIGKILL);
        running.wait();
        for code in [0, 3, 255] {
            run().probe(["exit", &code.to_string()]).run().assert_code(code);
        }
        let ended = run().args(["/no/such/program", "argument"]).run();
        ended.assert_code(127);
        assert_eq!(ended.stderr(), "rinit: cannot start /no/such/program: No such file or directory\n");
        run().args(["/etc/passwd"]).run().assert_code(126);
        run().args(["/"]).run().assert_code(126);
        run().args(["no-such-command"]).run().assert_code(127);
    });
    let ended = Rinit::as_subreaper().env("RINIT_OFF", "1").probe(["die", "9"]).run();
    assert_eq!(ended.status, Status::Signal(9));
}

#[test]
fn rinit_off_and_asked_for_nothing_to_run() {
    refused(&Rinit::as_init().env("RINIT_OFF", "1").run(), "PROGRAM is missing");
    refused(&Rinit::as_init().env("RINIT_OFF", "1").args(["--pause"]).run(), "PROGRAM is missing");
    Rinit::as_init().env("RINIT_OFF", "1").args(["--version"]).run().assert_code(0);
    Rinit::as_init().env("RINIT_OFF", "0").probe(["exit", "5"]).run().assert_code(5);
}

#[test]
fn install_makes_a_copy_that_runs() {
    let dir = TempDir::new();
    let copy = dir.join("rinit");
    let installed = Rinit::as_subreaper().args([Path::new("--install"), &copy]).run();
    installed.assert_code(0);
    assert_eq!((installed.stdout(), installed.stderr()), Default::default());
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o7777, 0o755);
    assert!(fs::read(&copy).unwrap() == fs::read(rinit()).unwrap());
    Rinit::as_init().init(&copy).probe(["exit", "3"]).run().assert_code(3);
    // Over a copy that runs, by the copy itself.
    let mut running = Rinit::as_subreaper().init(&copy).probe(["listen", "until=15"]).spawn();
    running.ready();
    for _ in 0..3 {
        let again = Rinit::as_subreaper().init(&copy).args([Path::new("--install"), &copy]).run();
        again.assert_code(0);
    }
    assert!(fs::read(&copy).unwrap() == fs::read(rinit()).unwrap());
    running.signal(libc::SIGTERM);
    running.wait().assert_code(0);
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["rinit"]);
}

#[test]
fn install_is_never_seen_half_done() {
    let dir = TempDir::new();
    let copy = dir.join("rinit");
    copy_program(&rinit(), &copy);
    let stop = AtomicBool::new(false);
    let length = fs::metadata(rinit()).unwrap().len();
    std::thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let mut looks = 0;
            while !stop.load(Ordering::Relaxed) {
                let seen = fs::metadata(&copy).map(|meta| (meta.len(), meta.permissions().mode() & 0o777)).ok();
                if seen != Some((length, 0o755)) {
                    return Err(seen);
                }
                looks += 1;
            }
            Ok(looks)
        });
        let statuses: Vec<_> =
            (0..10).map(|_| Rinit::as_subreaper().args([Path::new("--install"), &copy]).run().status).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(looks.join().unwrap().unwrap() > 10);
        assert_eq!(statuses, [Status::Code(0); 10]);
    });
}

#[test]
fn install_says_what_is_in_its_way() {
    let dir = TempDir::new();
    let folder = dir.join("folder");
    fs::create_dir(&folder).unwrap();
    let to = |path: &Path| Rinit::as_init().args([Path::new("--install"), path]);
    refused(&to(&dir.join("missing/rinit")).run(), "No such file or directory");
    refused(&to(&folder).run(), "Is a directory");
    refused(&to(&folder.join("rinit")).tmpfs(&folder, "size=64k").run(), "No space left on device");
    refused(&to(&folder.join("rinit")).bind_read_only(&folder, &folder).run(), "Read-only file system");
    if is_root("another user") {
        fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
        refused(&to(&folder.join("rinit")).uid(NOBODY).run(), "Permission denied");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    // /proc is mounted so.
    refused(&to(Path::new("/proc/rinit")).run(), "noexec");
}

#[test]
fn pause_reaps_and_ends_when_asked() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // A shell makes orphans of its children and becomes the pause.
        let script = "(sleep 0 & sleep 0 & :); exec \"$0\" --pause";
        let run = Rinit::as_init().init("/bin/sh").args(["-c", script]).args([rinit()]);
        let mut run = run.spawn();
        let pid = run.pid();
        run.until("it is rinit", || (proc::status(pid, "Name")? == "rinit").then_some(()));
        run.until("it has reaped", || proc::children(pid).is_empty().then_some(()));
        for other in [libc::SIGHUP, libc::SIGUSR1, libc::SIGQUIT, libc::SIGWINCH, 34, 64] {
            run.signal(other);
        }
        run.until("they are taken", || (proc::signal_set(pid, "ShdPnd")? == 0).then_some(()));
        assert!(!run.has_ended());
        run.signal(signal);
        let ended = run.wait();
        ended.assert_code(0);
        assert_eq!((ended.stdout(), ended.stderr()), Default::default());
    }
    let mut run = Rinit::as_subreaper().args(["-P"]).spawn();
    let pid = run.pid();
    run.until("it keeps signals", || (proc::signal_set(pid, "SigBlk")? != 0).then_some(()));
    run.signal(libc::SIGTERM);
    run.wait().assert_code(0);
}

fn executable(path: &Path, content: &[u8]) {
    // Written by another process: a descriptor open for writing here would be in every child that is forked meanwhile.
    let mut tee = Command::new("tee").arg(path).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    tee.stdin.take().unwrap().write_all(content).unwrap();
    assert!(tee.wait().unwrap().success());
    fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

/// An ELF header of a machine that this one is not.
fn foreign_elf() -> Vec<u8> {
    let mut elf = fs::read("/bin/true").unwrap();
    // e_machine: IBM S/390.
    elf[18..20].copy_from_slice(&22_u16.to_le_bytes());
    elf
}

/// The status, and execve's errno in the error line.
#[track_caller]
fn not_started(run: Rinit, program: impl AsRef<Path>, status: i32, errno: i32) {
    let ended = run.args(["--report=never", "--"]).args([program.as_ref()]).run();
    ended.assert_code(status);
    let desc = nix::errno::Errno::from_raw(errno).desc();
    assert!(ended.stderr().starts_with("rinit: error: cannot start "), "{}", ended.stderr());
    assert!(ended.stderr().ends_with(&format!(": {desc}\n")), "{} is not {desc}", ended.stderr());
}

#[test]
fn what_cannot_be_started_is_127_or_126() {
    each(PLACES, |place| {
        let dir = TempDir::new();
        let at = |name: &str| dir.join(name);
        executable(&at("no-interpreter"), b"#!/no/such/interpreter\n");
        executable(&at("crlf"), b"#!/bin/sh\r\necho\r\n");
        executable(&at("interpreter-is-a-directory"), b"#!/tmp\n");
        executable(&at("interpreter-is-no-program"), b"#!/etc/passwd\n");
        executable(&at("text"), b"echo this has no first line\n");
        executable(&at("empty"), b"");
        executable(&at("foreign"), &foreign_elf());
        fs::write(at("plain"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(at("plain"), PermissionsExt::from_mode(0o644)).unwrap();
        symlink("loop", at("loop")).unwrap();
        symlink("nothing", at("dangling")).unwrap();
        for (program, status, errno) in [
            (at("missing"), 127, libc::ENOENT),
            (at("missing/too"), 127, libc::ENOENT),
            (at("dangling"), 127, libc::ENOENT),
            (at("no-interpreter"), 127, libc::ENOENT),
            (at("crlf"), 127, libc::ENOENT),
            (PathBuf::new(), 127, libc::ENOENT),
            (at("interpreter-is-a-directory"), 126, libc::EACCES),
            (at("interpreter-is-no-program"), 126, libc::EACCES),
            (at("plain"), 126, libc::EACCES),
            (dir.path().to_path_buf(), 126, libc::EACCES),
            (PathBuf::from("/"), 126, libc::EACCES),
            (PathBuf::from("/dev/null"), 126, libc::EACCES),
            (at("plain/below"), 126, libc::ENOTDIR),
            (at("loop"), 126, libc::ELOOP),
            (at(&"x".repeat(256)), 126, libc::ENAMETOOLONG),
            (at(&"x/".repeat(3000)), 126, libc::ENAMETOOLONG),
            (at("text"), 126, libc::ENOEXEC),
            (at("empty"), 126, libc::ENOEXEC),
            (at("foreign"), 126, libc::ENOEXEC),
        ] {
            not_started(place(), program, status, errno);
        }
    });
}

#[test]
fn a_directory_that_may_not_be_searched_is_126() {
    if is_root("another user") {
        let dir = TempDir::new();
        let folder = dir.join("folder");
        fs::create_dir(&folder).unwrap();
        copy_program(Path::new("/bin/true"), &folder.join("true"));
        fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).unwrap();
        each(PLACES, |place| not_started(place().uid(NOBODY), folder.join("true"), 126, libc::EACCES));
    }
}

#[test]
fn a_noexec_mount_is_126() {
    // And a file of mode 0755 on it: the fault is the mount's.
    let dir = TempDir::new();
    let folder = dir.join("folder");
    fs::create_dir(&folder).unwrap();
    let script = format!("cp /bin/true {0}; \"$@\"; exit $?", folder.display());
    let run = Rinit::as_init().init("/bin/sh").noexec_tmpfs(&folder).args(["-c", &script, "sh"]);
    not_started(run.args([rinit()]), folder.join("true"), 126, libc::EACCES);
}

/// What rinit was given it can mostly hand on, since its own words are gone then; an interpreter's line brings more.
#[test]
fn arguments_that_are_too_large_are_126() {
    let dir = TempDir::new();
    let script = dir.join("script");
    executable(&script, format!("#!/bin/true {}\n", "x".repeat(230)).as_bytes());
    let run = |fill: usize| {
        // The least that the kernel grants to arguments is 128 KiB, and the most is a quarter of the stack (execve(2)).
        let run = Rinit::as_subreaper().init("/bin/sh").args(["-c", "ulimit -s 512; exec \"$@\"", "sh"]);
        let run = run.args([rinit().as_os_str(), "--report=never".as_ref(), "--".as_ref(), script.as_os_str()]);
        run.raw_env(&[]).args(["x".repeat(60_000), "x".repeat(fill)]).run()
    };
    // The most with which rinit itself can be executed.
    let (mut fits, mut does_not) = (1, 80_000);
    while does_not - fits > 1 {
        let middle = (fits + does_not) / 2;
        let ended = run(middle);
        if ended.status == Status::Code(126) && !ended.stderr().starts_with("rinit: ") {
            does_not = middle;
        } else {
            fits = middle;
        }
    }
    let ended = run(fits);
    ended.assert_code(126);
    let desc = nix::errno::Errno::E2BIG.desc();
    assert_eq!(ended.stderr(), format!("rinit: error: cannot start {}: {desc}\n", script.display()));
    run(1).assert_code(0);
}

#[test]
fn a_program_that_is_being_written_is_126() {
    each(PLACES, |place| {
        let dir = TempDir::new();
        let busy = dir.join("busy");
        copy_program(Path::new("/bin/true"), &busy);
        let writer = File::options().append(true).open(&busy).unwrap();
        not_started(place(), &busy, 126, libc::ETXTBSY);
        drop(writer);
    });
}

/// A program that says which one it is.
fn says(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    executable(path, b"#!/bin/sh\necho \"$0\"\n");
}

/// What `tool` was found to be, with this PATH in this directory.
#[track_caller]
fn found(run: Rinit, path: &[&Path]) -> String {
    let path = path.iter().map(|p| p.as_os_str().as_bytes()).collect::<Vec<_>>().join(&b':');
    let run = run.env("PATH", OsStr::from_bytes(&path));
    let ended = run.args(["tool"]).run();
    ended.assert_code(0);
    ended.stdout().trim_end().to_string()
}

#[test]
fn the_path_is_searched_as_execvp_does_it() {
    each(PLACES, |place| {
        let dir = TempDir::new();
        let [first, second, none, denied, file] = ["first", "second", "none", "denied", "file"].map(|n| dir.join(n));
        let place = || place().cwd(dir.path());
        for folder in [&first, &second] {
            says(&folder.join("tool"));
        }
        says(&dir.join("tool"));
        fs::create_dir(&none).unwrap();
        fs::create_dir(&denied).unwrap();
        fs::write(denied.join("tool"), "").unwrap();
        fs::write(&file, "").unwrap();
        let missing = dir.join("missing");
        let tool = |folder: &Path| folder.join("tool").display().to_string();
        let empty = Path::new("");

        // The first hit wins.
        assert_eq!(found(place(), &[&first, &second]), tool(&first));
        assert_eq!(found(place(), &[&second, &first]), tool(&second));
        // Nothing there, no directory, not executable: on to the next.
        assert_eq!(found(place(), &[&none, &missing, &file, &denied, &second]), tool(&second));
        // An empty element is the working directory, wherever it stands.
        assert_eq!(found(place(), &[empty, &first]), "tool");
        assert_eq!(found(place(), &[&none, empty]), "tool");
        assert_eq!(found(place(), &[&none, empty, &first]), "tool");
        // A relative one starts there.
        assert_eq!(found(place(), &[Path::new("second"), &first]), "second/tool");
        assert_eq!(found(place(), &[Path::new("."), &first]), "./tool");

        let status = |path: &[&Path]| {
            let path = path.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(":");
            place().env("PATH", path).args(["--report=never", "tool"]).run()
        };
        // What was found and not executable is remembered.
        status(&[&none, &denied, &missing]).assert_code(126);
        status(&[&none, &missing, &file]).assert_code(127);
        // And a script without a first line is not given to a shell.
        let text = dir.join("text");
        fs::create_dir(&text).unwrap();
        executable(&text.join("tool"), b"echo ran\n");
        let ended = status(&[&text, &first]);
        ended.assert_code(126);
        assert_eq!(ended.stdout(), "");
        // A slash anywhere in the name: no search.
        place().env("PATH", &first).args(["--report=never", "./first/none"]).run().assert_code(127);
        let ended = place().env("PATH", &none).args(["first/tool"]).run();
        assert_eq!(ended.stdout(), "first/tool\n");
    });
}

#[test]
fn without_a_path_the_usual_directories_are_searched() {
    each(PLACES, |place| {
        let dir = TempDir::new();
        says(&dir.join("sh"));
        let ended = place().env_remove("PATH").cwd(dir.path()).args(["sh", "-c", "echo found"]).run();
        ended.assert_code(0);
        assert_eq!(ended.stdout(), "found\n");
        place().env_remove("PATH").cwd(dir.path()).args(["--report=never", "no-such-command"]).run().assert_code(127);
        // Set to nothing it has one element, the empty one.
        let ended = place().env("PATH", "").cwd(dir.path()).args(["./sh"]).run();
        assert_eq!(ended.stdout(), "./sh\n");
        place().env("PATH", "").cwd(dir.path()).args(["--report=never", "no-such-command"]).run().assert_code(127);
    });
}

#[test]
fn a_directory_of_the_name_in_the_path_is_126() {
    let dir = TempDir::new();
    fs::create_dir(dir.join("tool")).unwrap();
    Rinit::as_init().env("PATH", dir.path()).args(["--report=never", "tool"]).run().assert_code(126);
}
