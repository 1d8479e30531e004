//! A file system whose server never answers: whoever looks at it waits until it is killed. PROGRAM may; rinit may not.

use std::fs::File;

use crate::common::{Ended, Rinit, Status, TempDir, copy_program, is_root, probe, proc, rinit};
use crate::{DEADLINE, contains};

/// Whether there can be one here.
fn has_fuse() -> bool {
    is_root("mount(2)") && File::options().read(true).write(true).open("/dev/fuse").is_ok()
}

/// rinit as PID 1 where `directory` is dead already.
fn with_dead(directory: &str, cwd: &TempDir) -> Rinit {
    let run = Rinit::as_init().deadline(DEADLINE).cwd(cwd.path()).init(probe()).args(["bury", directory]);
    run.args([rinit()])
}

/// PROGRAM's own file is in a directory that dies after PROGRAM's start; then a shell does `end`.
fn dies_after_the_start(end: &str) -> Ended {
    let dir = TempDir::new();
    let program = dir.join("program");
    copy_program(&probe(), &program);
    let run = Rinit::as_init().deadline(DEADLINE).rlimit(libc::RLIMIT_CORE, 0, 0).args(["--tail=9", "--"]);
    run.args([program.as_os_str(), "bury".as_ref(), dir.path().as_os_str()]).args(["/bin/sh", "-c", end]).run()
}

#[test]
fn where_the_program_came_from() {
    if !has_fuse() {
        return;
    }
    for (end, status) in [
        // Is it Go? Rust? Cut off?
        ("exit 2", 2),
        ("exit 101", 101),
        ("exit 1", 1),
        ("kill -SEGV $$", 139),
        ("kill -BUS $$", 135),
        ("kill -KILL $$", 137),
        ("exit 126", 126),
        ("exit 127", 127),
    ] {
        let ended = dies_after_the_start(end);
        contains(&ended.assert_code(status).stderr(), "rinit: program ");
    }
}

#[test]
fn where_the_program_was_started() {
    if !has_fuse() {
        return;
    }
    for (end, status) in [("kill -BUS $$", 135), ("exit 1", 1), ("./nosuch; exit 127", 127)] {
        let dir = TempDir::new();
        let run = with_dead(dir.path().to_str().unwrap(), &dir).rlimit(libc::RLIMIT_CORE, 0, 0);
        let ended = run.args(["/bin/sh", "-c", end]).run();
        contains(&ended.assert_code(status).stderr(), "rinit: sh ");
    }
}

/// Directories in which programs usually are, and which nobody asked for.
#[test]
fn where_the_program_might_have_been() {
    if !has_fuse() {
        return;
    }
    let dir = TempDir::new();
    let script = dir.join("script");
    std::fs::write(&script, "#!/nonexistent/interpreter\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for program in [&["nosuch"][..], &["two words"], &[script.to_str().unwrap()], &["/bin/sh", "-c", "nosuch"]] {
        let ended = with_dead("/usr/local", &dir).env("PATH", "/usr/bin:/bin").args(program).run();
        contains(&ended.assert_code(127).stderr(), "rinit: ");
    }
}

/// execve(2) itself waits, as it would without rinit; what asks to stop reaches it.
#[test]
fn where_the_program_is() {
    if !has_fuse() {
        return;
    }
    let dir = TempDir::new();
    let program = dir.join("program");
    let mut run = with_dead(dir.path().to_str().unwrap(), &TempDir::new()).args([program]).spawn();
    let rinit = run.pid();
    // The other child of rinit's is the server.
    let waits = |pid: &i32| proc::state(*pid) == Some('D');
    run.until("it waits in execve", || proc::children(rinit).into_iter().find(waits));
    run.signal(libc::SIGTERM);
    let ended = run.wait();
    assert_eq!(ended.status, Status::Code(143), "{ended:?}");
}
