//! What is no place for a report, and what happens to the file while the program runs. The status is always the
//! program's.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::common::{Io, NOBODY, PLACES, Rinit, Running, TempDir, each, is_root};
use crate::{DEFAULT, Dev, Kind, assert_report, file, kind, read};

pub fn make_fifo(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o666) }, 0);
}

/// Runs to the end: the status is right, the report is on stderr, and this is the warning in front of it.
#[track_caller]
fn warns(run: Rinit, log: &Path, why: &str) {
    let ended = run.log(log).sh("exit 3").run();
    ended.assert_code(3);
    let stderr = ended.stderr();
    let (warning, report) = stderr.split_once('\n').unwrap();
    assert_eq!(warning, format!("rinit: warn: no termination log at {}: {why}", log.display()));
    assert_eq!(kind(report.trim_end()), Kind::Text);
}

#[test]
fn what_is_no_regular_file() {
    each(PLACES, |place| {
        let dir = TempDir::new();
        let [fifo, read_fifo, link, dangling, folder, socket] =
            ["fifo", "read-fifo", "link", "dangling", "folder", "socket"].map(|name| dir.join(name));
        make_fifo(&fifo);
        make_fifo(&read_fifo);
        let mut reader = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&read_fifo).unwrap();
        let target = file(&dir, "target", "kept");
        symlink(&target, &link).unwrap();
        symlink(dir.join("nothing"), &dangling).unwrap();
        fs::create_dir(&folder).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        warns(place(), &fifo, "Invalid argument");
        warns(place(), &read_fifo, "Invalid argument");
        warns(place(), &link, "Too many symbolic links encountered");
        warns(place(), &dangling, "Too many symbolic links encountered");
        warns(place(), &folder, "Is a directory");
        warns(place(), &socket, "No such device or address");
        warns(place(), Path::new("/dev/null"), "Invalid argument");
        warns(place(), Path::new("/dev/full"), "Invalid argument");
        warns(place(), &target.join("log"), "Not a directory");
        let mut got = String::new();
        assert_eq!(reader.read_to_string(&mut got).unwrap(), 0, "{got}");
        assert_eq!(read(&target), "kept");
        assert!(!dir.join("nothing").exists());
    });
}

/// At the default path nobody asked for the file, and nobody wants to hear of it.
#[test]
fn what_is_no_regular_file_at_the_default_path() {
    for kind_of_file in ["fifo", "link", "dangling", "folder"] {
        let dir = TempDir::new();
        let dev = Dev::new(&dir);
        let target = file(&dir, "target", "kept");
        match kind_of_file {
            "fifo" => make_fifo(&dev.log()),
            "link" => symlink(&target, dev.log()).unwrap(),
            "dangling" => symlink(dir.join("nothing"), dev.log()).unwrap(),
            _ => fs::create_dir(dev.log()).unwrap(),
        }
        let ended = Rinit::as_init().default_log(&dev).sh("exit 3").run();
        ended.assert_code(3);
        assert_eq!(kind(ended.stderr().trim_end()), Kind::Text, "{kind_of_file}: {}", ended.stderr());
        assert_eq!(read(&target), "kept");
        assert!(!dir.join("nothing").exists());
    }
}

#[test]
fn a_read_only_mount() {
    let dir = TempDir::new();
    let (dev, log) = (Dev::with_log(&dir), file(&dir, "log", "kept"));
    let ended = Rinit::as_init().default_log(&dev).bind_read_only(&log, DEFAULT).sh("exit 3").run();
    ended.assert_code(3);
    assert_eq!(kind(ended.stderr().trim_end()), Kind::Text);
    warns(Rinit::as_init().bind_read_only(&log, &log), &log, "Read-only file system");
    let folder = dir.join("folder");
    fs::create_dir(&folder).unwrap();
    warns(Rinit::as_init().bind_read_only(&folder, &folder), &folder.join("log"), "Read-only file system");
    assert_eq!(read(&log), "kept");
}

#[test]
fn a_file_that_may_not_be_written() {
    if is_root("another user") {
        let dir = TempDir::new();
        let log = file(&dir, "log", "kept");
        fs::set_permissions(&log, PermissionsExt::from_mode(0o444)).unwrap();
        each(PLACES, |place| warns(place().uid(NOBODY), &log, "Permission denied"));
        assert_eq!(read(&log), "kept");
    }
}

/// Opened for writing alone, a FIFO waits for its reader.
#[test]
fn a_fifo_that_may_be_written_and_not_read() {
    if is_root("another user") {
        let dir = TempDir::new();
        let fifo = dir.join("fifo");
        make_fifo(&fifo);
        fs::set_permissions(&fifo, PermissionsExt::from_mode(0o222)).unwrap();
        each(PLACES, |place| warns(place().uid(NOBODY), &fifo, "No such device or address"));
    }
}

#[test]
fn a_file_that_may_be_written_and_not_read() {
    if !is_root("another user") {
        return;
    }
    each(PLACES, |place| {
        let dir = TempDir::new();
        let log = file(&dir, "log", "");
        fs::set_permissions(&log, PermissionsExt::from_mode(0o222)).unwrap();
        place().uid(NOBODY).log(&log).sh("exit 3").run().assert_code(3);
        assert_report(&log, "status 3");
        // What is there cannot be looked at, and is kept.
        let log = file(&dir, "log", "x".repeat(3900));
        fs::set_permissions(&log, PermissionsExt::from_mode(0o222)).unwrap();
        place().uid(NOBODY).log(&log).sh("exit 3").run().assert_code(3);
        let content = read(&log);
        assert!(content.starts_with(&"x".repeat(3900)) && content.len() <= 4096, "{content}");
    });
}

#[test]
fn a_limit_of_the_file_size() {
    each(PLACES.into_iter().flat_map(|place| [0, 1, 100, 255].map(|limit| (place, limit))), |(place, limit)| {
        let dir = TempDir::new();
        let log = file(&dir, "log", "");
        let ended = place().rlimit(libc::RLIMIT_FSIZE, limit, limit).log(&log).sh("kill -SEGV $$").run();
        ended.assert_code(139);
        assert_eq!(kind(ended.stderr().trim_end()), Kind::Text);
        assert_eq!(read(&log), "", "no half of a report");
    });
}

#[test]
fn a_limit_of_the_file_size_that_cuts_behind_a_message() {
    let dir = TempDir::new();
    let log = file(&dir, "log", "");
    let run = Rinit::as_init().rlimit(libc::RLIMIT_FSIZE, 100, 100).log(&log);
    run.sh("echo the message > \"$0\"; exit 3").args([&log]).run().assert_code(3);
    assert_eq!(read(&log), "the message\n");
}

/// A run whose file is on a file system of one page: what `script` left in the file there, and the report on stderr.
fn on_a_full_file_system(script: &str) -> (Vec<u8>, String) {
    let dir = TempDir::new();
    let disk = dir.join("disk");
    fs::create_dir(&disk).unwrap();
    let log = disk.join("log");
    let script = format!("{script}; echo ready; read line; exit 3");
    let run = Rinit::as_init().tmpfs(&disk, "size=4k,mode=777").log(&log).stdin(Io::Pipe);
    let mut run = run.sh(&script).args([&log]).cwd(dir.path()).spawn();
    run.expect_line("ready");
    let mut seen = open_inside(&run, &log);
    run.write_stdin(b"\n");
    let ended = run.wait();
    ended.assert_code(3);
    let mut content = Vec::new();
    seen.read_to_end(&mut content).unwrap();
    (content, ended.stderr())
}

/// A file as the run sees it, open beyond the run's end.
fn open_inside(run: &Running, path: &Path) -> File {
    File::open(format!("/proc/{}/root{}", run.pid(), path.display())).unwrap()
}

#[test]
fn a_full_file_system() {
    let fill = "head -c 4096 /dev/zero > \"${0%/*}/other\"";
    let (content, stderr) = on_a_full_file_system(&format!(": > \"$0\"; {fill}"));
    assert_eq!(content, b"");
    assert_eq!(kind(stderr.trim_end()), Kind::Text);
    // What the first block has taken is there for the report.
    let (content, _) = on_a_full_file_system(fill);
    assert!(content.starts_with(b"rinit: sh exited"), "{}", content.escape_ascii());
    // The page that the message has taken holds the report too: the same test where it must succeed.
    let (content, _) = on_a_full_file_system("echo message > \"$0\"");
    assert!(content.starts_with(b"message\nrinit: "), "{}", content.escape_ascii());
}

#[test]
fn a_program_that_changes_the_file() {
    let scripts = [
        "echo message > \"$0\"; : > \"$0\"",
        "rm \"$0\"",
        "rm \"$0\"; mkdir \"$0\"",
        "rm \"$0\"; mkfifo \"$0\"",
        "rm \"$0\"; ln -s \"${0%/*}/other\" \"$0\"",
        "rm \"$0\"; echo other > \"$0\"",
        "rm -r \"${0%/*}\"",
        "chmod 0 \"$0\"",
        "truncate -s 1G \"$0\"",
        "truncate -s 7E \"$0\" 2> /dev/null || truncate -s 15T \"$0\"",
    ];
    each(PLACES.into_iter().flat_map(|place| scripts.map(|script| (place, script))), |(place, script)| {
        let dir = TempDir::new();
        let log = file(&dir, "folder/log", "");
        let other = file(&dir, "folder/other", "kept");
        let ended = place().log(&log).sh(&format!("{script}; exit 3")).args([&log]).run();
        ended.assert_code(3);
        assert_eq!(kind(ended.stderr().trim_end()), Kind::Text, "{script}: {}", ended.stderr());
        assert!(!other.exists() || read(&other) == "kept", "{script}");
        if script.contains("echo other") {
            // Somebody else's file by now: what rinit opened at the start is gone, and the report with it.
            assert_eq!(read(&log), "other\n");
        } else if script.ends_with(": > \"$0\"") || script.contains("chmod") {
            assert_report(&log, "status 3");
        }
    });
}

#[test]
fn a_program_that_writes_without_end() {
    // A child that outlives the program, as a subreaper's may.
    let dir = TempDir::new();
    let log = file(&dir, "log", "");
    let run = Rinit::as_init().log(&log);
    run.sh("(while :; do echo line >> \"$0\"; done) & exit 3").args([&log]).run().assert_code(3);
}

#[test]
fn the_programs_own_descriptor_shares_nothing_with_rinits() {
    let dir = TempDir::new();
    let log = file(&dir, "log", "");
    // Its offset stays where it was, and it has no descriptor of rinit's.
    let run = Rinit::as_init().log(&log).sh("ls -l /proc/self/fd; exit 3").run();
    run.assert_code(3);
    assert!(!run.stdout().contains(log.to_str().unwrap()), "{}", run.stdout());
}
