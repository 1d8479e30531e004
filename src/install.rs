//! `--install PATH`: a copy of this binary on another file system, for init containers and images without a shell.

#![forbid(unsafe_code)]

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::mkstemp;

use crate::cli::quoted;

/// Copies the running binary to `target`, mode 0755. At every moment `target` is either what it was or the whole copy,
/// also while the older file there runs.
///
/// # Errors
/// One line that names the path and the errno text. `target` is then as it was, and no other file is left. A mount from
/// which nothing may be executed (statvfs(3), `ST_NOEXEC`) is refused before anything is written.
// Not inlined: its copy buffer would lie on the stack of every run.
#[inline(never)]
pub fn install(target: &Path) -> Result<(), String> {
    let directory = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let failed = |doing: &str, path: &Path, error: io::Error| {
        format!("--install: cannot {doing} {}: {error}", quoted(path.as_os_str().as_bytes()))
    };
    if target.is_dir() {
        return Err(failed("write", target, nix::errno::Errno::EISDIR.into()));
    }
    let mount = statvfs(directory).map_err(|errno| failed("write into", directory, errno.into()))?;
    if mount.flags().contains(FsFlags::ST_NOEXEC) {
        let directory = quoted(directory.as_os_str().as_bytes());
        return Err(format!("--install: {directory} is on a noexec mount, nothing can be executed there"));
    }
    let mut running = File::open("/proc/self/exe").map_err(|e| failed("read", Path::new("/proc/self/exe"), e))?;
    // In the same directory, since rename(2) stays on one file system. Its name is random: every container's rinit is
    // pid 1, and several may install into one volume.
    let (copy, temporary) = mkstemp(&directory.join(".rinit-XXXXXX"))
        .map_err(|errno| failed("create a file in", directory, errno.into()))?;
    let mut copy = File::from(copy);
    io::copy(&mut running, &mut copy)
        .and_then(|_| copy.set_permissions(Permissions::from_mode(0o755)))
        // A full or failing disk may say so only here.
        .and_then(|()| copy.sync_all())
        // Closed first: while it is open for writing nobody can execute it (ETXTBSY).
        .and_then(|()| {
            drop(copy);
            fs::rename(&temporary, target)
        })
        .map_err(|error| {
            // Nothing more can be done about a temporary file that cannot be removed.
            let _ = fs::remove_file(&temporary);
            failed("write", target, error)
        })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::mem::ManuallyDrop;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    use super::*;

    /// A directory of a test's own.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("rinit-install-{name}-{}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn join(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }

        #[track_caller]
        fn holds(&self, names: &[&str]) {
            let mut found: Vec<_> = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            found.sort();
            assert_eq!(found, names);
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[track_caller]
    fn is_whole(path: &Path) {
        let metadata = fs::symlink_metadata(path).unwrap();
        assert!(metadata.is_file());
        assert_eq!(metadata.mode() & 0o7777, 0o755);
        // The running binary is this test.
        assert!(fs::read(path).unwrap() == fs::read("/proc/self/exe").unwrap());
    }

    #[test]
    fn into_an_empty_directory() {
        let directory = Directory::new("empty");
        install(&directory.join("rinit")).unwrap();
        is_whole(&directory.join("rinit"));
        directory.holds(&["rinit"]);
    }

    #[test]
    fn over_a_file_that_is_smaller_larger_read_only_or_a_link() {
        let directory = Directory::new("over");
        let target = directory.join("rinit");
        let larger = vec![b'x'; fs::metadata("/proc/self/exe").unwrap().len() as usize + 4096];
        for (content, mode) in [(b"x".as_slice(), 0o644), (&larger, 0o400)] {
            fs::write(&target, content).unwrap();
            fs::set_permissions(&target, Permissions::from_mode(mode)).unwrap();
            install(&target).unwrap();
            is_whole(&target);
            fs::remove_file(&target).unwrap();
        }
        fs::write(directory.join("other"), "other").unwrap();
        symlink("other", &target).unwrap();
        install(&target).unwrap();
        is_whole(&target);
        assert_eq!(fs::read(directory.join("other")).unwrap(), b"other");
        directory.holds(&["other", "rinit"]);
    }

    #[test]
    fn over_a_file_that_runs() {
        let directory = Directory::new("running");
        let target = directory.join("rinit");
        // A shell makes the copy: another test's fork could hold a descriptor of ours open for writing (ETXTBSY).
        let mut running = Command::new("sh")
            .args(["-c", "cp /bin/cat \"$0\" && exec \"$0\""])
            .arg(&target)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut input, mut output) = (running.stdin.take().unwrap(), running.stdout.take().unwrap());
        let mut echo = || {
            input.write_all(b"x").unwrap();
            output.read_exact(&mut [0]).unwrap();
        };
        echo();
        let busy = fs::OpenOptions::new().write(true).open(&target).unwrap_err();
        assert_eq!(busy.kind(), io::ErrorKind::ExecutableFileBusy);
        install(&target).unwrap();
        is_whole(&target);
        echo();
        drop((input, output));
        assert!(running.wait().unwrap().success());
    }

    #[test]
    fn a_name_alone_is_meant_for_the_working_directory() {
        // The tests share one working directory, so that only the failure can be looked at.
        let error = install(Path::new("src")).unwrap_err();
        assert_eq!(error, "--install: cannot write \"src\": Is a directory (os error 21)");
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let directory = Directory::new("errors");
        fs::create_dir(directory.join("taken")).unwrap();
        fs::write(directory.join("file"), "file").unwrap();
        symlink("taken", directory.join("link")).unwrap();
        let root = directory.0.to_str().unwrap();
        for (name, message) in [
            ("taken", format!("cannot write \"{root}/taken\": Is a directory (os error 21)")),
            ("taken/", format!("cannot write \"{root}/taken/\": Is a directory (os error 21)")),
            ("link", format!("cannot write \"{root}/link\": Is a directory (os error 21)")),
            ("missing/rinit", format!("cannot write into \"{root}/missing\": No such file or directory (os error 2)")),
            ("file/rinit", format!("cannot create a file in \"{root}/file\": Not a directory (os error 20)")),
            ("new/", format!("cannot write \"{root}/new/\": Not a directory (os error 20)")),
        ] {
            assert_eq!(install(&directory.join(name)), Err(format!("--install: {message}")), "{name}");
            directory.holds(&["file", "link", "taken"]);
        }
        assert_eq!(fs::read(directory.join("file")).unwrap(), b"file");
    }

    /// Tries to install into a fresh file system that is mounted with `options`. The test runs itself once more, in a
    /// mount namespace of its own.
    fn refused_on_a_mount(test: &str, options: &str, message: &str) {
        const MOUNTED: &str = "RINIT_TEST_MOUNTED";
        if let Some(path) = std::env::var_os(MOUNTED) {
            let directory = ManuallyDrop::new(Directory(path.into()));
            let before = fs::read(directory.join("rinit")).ok();
            let expected = message.replace("DIR", directory.0.to_str().unwrap());
            assert_eq!(install(&directory.join("rinit")), Err(expected));
            assert_eq!(fs::read(directory.join("rinit")).ok(), before);
            directory.holds(if before.is_some() { &["rinit"] } else { &[] });
            return;
        }
        // Root may lack CAP_SYS_ADMIN, others may lack user namespaces.
        let flags = if nix::unistd::geteuid().is_root() { "--mount" } else { "-rm" };
        if !Command::new("unshare").args([flags, "true"]).status().is_ok_and(|status| status.success()) {
            eprintln!("skipped: no mount namespace to be had here");
            return;
        }
        let directory = Directory::new(test);
        let script = "mount -t tmpfs -o \"$1\" none \"$2\" && { [ \"$1\" = ro ] || printf old >\"$2/rinit\"; } &&
            exec \"$3\" --exact \"install::tests::$4\"";
        let output = Command::new("unshare")
            .args([flags, "sh", "-c", script, "sh", options])
            .args([directory.0.as_os_str(), std::env::current_exe().unwrap().as_os_str(), test.as_ref()])
            .env(MOUNTED, &directory.0)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
    }

    #[test]
    fn on_a_noexec_mount() {
        let message = "--install: \"DIR\" is on a noexec mount, nothing can be executed there";
        refused_on_a_mount("on_a_noexec_mount", "noexec", message);
    }

    #[test]
    fn on_a_full_file_system() {
        let message = "--install: cannot write \"DIR/rinit\": No space left on device (os error 28)";
        refused_on_a_mount("on_a_full_file_system", "size=64k", message);
    }

    #[test]
    fn on_a_read_only_file_system() {
        let message = "--install: cannot create a file in \"DIR\": Read-only file system (os error 30)";
        refused_on_a_mount("on_a_read_only_file_system", "ro", message);
    }
}
