//! Limits on resources, down to where nothing starts.

use std::fs;
use std::path::Path;

use crate::common::{Ended, Io, PLACES, Rinit, Status, TempDir, each, is_root, rinit};
use crate::{DEADLINE, contains};

/// Needs the least of all that could be PROGRAM.
const BUSYBOX: &str = "/bin/busybox";

/// Ended as PROGRAM did, with `status`; or 125 and a line that says `why`; or not even loaded.
#[track_caller]
fn is_one_or_the_other(ended: &Ended, status: i32, why: &str) -> bool {
    let stderr = ended.stderr();
    match ended.status {
        Status::Code(code) if code == status => {}
        Status::Code(125) => contains(&stderr, why),
        // execve(2) or the dynamic loader: rinit has not begun.
        _ => assert!(!stderr.contains("rinit: ") || stderr.contains("loading shared libraries"), "{ended:?}"),
    }
    ended.status == Status::Code(status)
}

/// As few descriptors as there can be. A dynamically linked rinit is not even loaded with three.
#[test]
fn descriptors() {
    let runs = PLACES.into_iter().flat_map(|place| (0..=12).chain([32]).map(move |limit| (place, limit)));
    let runs = runs.flat_map(|(place, limit)| [&["-q"][..], &[], &["--tail=5"]].map(|options| (place, limit, options)));
    each(runs, |(place, limit, options)| {
        let dir = TempDir::new();
        let log = dir.join("log");
        fs::write(&log, "").unwrap();
        let run = place().deadline(DEADLINE).rlimit(libc::RLIMIT_NOFILE, limit, limit);
        let run = run.env("RINIT_TERMINATION_LOG", &log).args(options).args([BUSYBOX, "false"]);
        let ended = run.run();
        let started = is_one_or_the_other(&ended, 1, "rinit: ");
        assert!(started || limit < 32, "{limit}: {ended:?}");
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.is_empty() || text.starts_with("rinit: "), "{limit}: {text}");
        // A report that is about to be replaced when rinit is killed is none.
        assert!(!text.contains("killed-without-report") || ended.status != Status::Code(1), "{limit}: {text}");
        if ended.status == Status::Code(125) {
            contains(&ended.stderr(), "open file");
        }
    });
}

/// Address space and data: from nothing in small steps to what is enough.
#[test]
fn memory() {
    for resource in [libc::RLIMIT_AS, libc::RLIMIT_DATA] {
        let steps: Vec<u64> = (0..=80).map(|step| step * 32 * 1024).chain([64 << 20]).collect();
        each(steps, |bytes| {
            let run =
                Rinit::as_init().deadline(DEADLINE).rlimit(resource, bytes, bytes).rlimit(libc::RLIMIT_CORE, 0, 0);
            let run = run.env_remove("LD_LIBRARY_PATH").args([BUSYBOX, "false"]);
            let Ok(run) = run.try_spawn() else { return };
            let ended = run.wait();
            // Where rinit can live, PROGRAM may still be too large.
            let stderr = ended.stderr();
            assert!(!stderr.contains("memory allocation of"), "it was aborted: {ended:?}");
            match ended.status {
                // At the first page or at a later one: it is the same want.
                Status::Code(125) => {
                    let says =
                        ["rinit: out of memory\n", "rinit: cannot start "].map(|start| stderr.starts_with(start));
                    assert!(says.contains(&true), "{bytes}: {stderr}");
                }
                Status::Code(1 | 126 | 127 | 137 | 139) | Status::Signal(libc::SIGSEGV | libc::SIGKILL) => {}
                other => panic!("{bytes}: {other:?} {stderr}"),
            }
            assert!(bytes < 64 << 20 || ended.status == Status::Code(1), "{ended:?}");
        });
    }
}

/// From the smallest stack that rinit starts PROGRAM with, every end is told.
#[test]
fn stack() {
    let small = 64 << 10;
    for (command, status, words) in [
        (&["exit 0"][..], 0, "finished with exit status 0"),
        (&["exit 3"], 3, "exited with status 3"),
        (&["kill -SEGV $$"], 139, "was killed by SIGSEGV"),
        (&["kill -KILL $$"], 137, "was killed by SIGKILL"),
        (&["echo 'x: not found' >&2; exit 127"], 127, "127"),
    ] {
        let run = Rinit::as_init().deadline(DEADLINE).rlimit(libc::RLIMIT_STACK, small, small).args(["--tail=3"]);
        let ended = run.rlimit(libc::RLIMIT_CORE, 0, 0).args([BUSYBOX, "sh", "-c"]).args(command).run();
        contains(&ended.assert_code(status).stderr(), words);
    }
    let run = Rinit::as_init().deadline(DEADLINE).rlimit(libc::RLIMIT_STACK, small, small);
    contains(&run.args(["/nonexistent"]).run().assert_code(127).stderr(), "rinit: cannot start /nonexistent: ");
}

/// A user who may have no further process, when PROGRAM runs already: nothing that rinit does then needs one.
#[test]
fn no_further_process() {
    if !is_root("another user") {
        return;
    }
    // Of a user that nobody else is: rinit, PROGRAM.
    each(PLACES.into_iter().zip([54331, 54332]), |(place, uid)| {
        let run = place().deadline(DEADLINE).rlimit(libc::RLIMIT_NPROC, 2, 2).uid(uid).args(["--drain=1s", "--tail=3"]);
        let ended = run.args([BUSYBOX, "sh", "-c", "(exit 0) & exit 3"]).run();
        // The shell's fork is refused.
        let stderr = ended.stderr();
        assert!(matches!(ended.status, Status::Code(2 | 3)), "{ended:?}");
        contains(&stderr, "rinit: busybox exited with status ");
    });
}

/// No file may grow: neither the log nor stderr, and what passes through `--tail` is lost as it would be without rinit.
#[test]
fn no_byte_in_any_file() {
    each(PLACES, |place| {
        let dir = TempDir::new();
        let file = |name: &str| fs::File::create(dir.join(name)).unwrap();
        let run =
            place().deadline(DEADLINE).rlimit(libc::RLIMIT_FSIZE, 0, 0).env("RINIT_TERMINATION_LOG", dir.join("log"));
        let run = run.stdout(Io::Fd(file("out").into())).stderr(Io::Fd(file("err").into()));
        let script = "trap '' XFSZ; echo out; echo err >&2; exit 3";
        run.args(["--tail=5", "--tail-stdout", "-vv", BUSYBOX, "sh", "-c", script]).run().assert_code(3);
        for name in ["log", "out", "err"] {
            assert_eq!(fs::read(dir.join(name)).unwrap_or_default(), b"", "{name}");
        }
    });
}

#[test]
fn every_disk_is_full() {
    if !is_root("a file system of one page") {
        return;
    }
    let dir = TempDir::new();
    let disk = dir.join("disk");
    fs::create_dir(&disk).unwrap();
    let fill = "cat /dev/zero >\"$0/fill\" 2>/dev/null; cat /dev/zero >/dev/shm/fill 2>/dev/null; ";
    for (end, status) in [("exit 3", 3), ("kill -BUS $$", 135), ("echo x: No space left on device >&2; exit 1", 1)] {
        let run = Rinit::as_init().deadline(DEADLINE).tmpfs(&disk, "size=16k").tmpfs("/dev/shm", "size=4k").cwd(&disk);
        let run = run.env("RINIT_TERMINATION_LOG", disk.join("log")).rlimit(libc::RLIMIT_CORE, 0, 0);
        let ended = run.args(["--tail=5", BUSYBOX, "sh", "-c", &format!("{fill}{end}")]).args([&disk]).run();
        contains(&ended.assert_code(status).stderr(), "rinit: busybox ");
    }
}

/// The smallest limits with which PROGRAM ends well, beside tini's. Nothing is asserted: `--ignored --nocapture`.
#[test]
#[ignore = "a table, no test"]
fn smallest() {
    let tini = Path::new("/usr/bin/tini-static");
    for (name, resource, step) in [
        ("RLIMIT_AS", libc::RLIMIT_AS, 4096),
        ("RLIMIT_DATA", libc::RLIMIT_DATA, 4096),
        ("RLIMIT_STACK", libc::RLIMIT_STACK, 4096),
        ("RLIMIT_NOFILE", libc::RLIMIT_NOFILE, 1),
    ] {
        let smallest = |init: &Path, program: &[&str], status: i32| {
            (0..1024).map(|n| n * step).find(|limit| {
                let run = Rinit::as_init().init(init).rlimit(resource, *limit, *limit).args(program);
                run.try_spawn().is_ok_and(|run| run.wait().status == Status::Code(status))
            })
        };
        println!("{name}: {BUSYBOX} {:?}", smallest(Path::new(BUSYBOX), &["false"], 1));
        for init in [tini, rinit().as_path()] {
            let exits = smallest(init, &["--", BUSYBOX, "false"], 1);
            println!(
                "    {}: exit {exits:?}, not found {:?}",
                init.display(),
                smallest(init, &["--", "/nonexistent"], 127)
            );
        }
    }
}
