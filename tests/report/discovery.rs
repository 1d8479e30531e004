//! Which file is the termination log.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::common::{NOBODY, PLACES, Rinit, TempDir, each, is_root, rinit};
use crate::{DEFAULT, Dev, Kind, assert_report, file, kind, read};

/// As the kubelet names its file (makeMounts).
fn pods_file(dir: &TempDir) -> PathBuf {
    file(dir, "kubelet/pods/0d5c1f0e-6d3b-4f3e-9f62-0b8c0f0e1a2b/containers/web/0a1b2c3d", "")
}

#[test]
fn the_default_path() {
    let runs = || [Some(Rinit::as_init()), Rinit::as_unprivileged_init()].into_iter().flatten();
    for (n, run) in runs().enumerate() {
        let dir = TempDir::new();
        let (dev, log) = (Dev::with_log(&dir), file(&dir, "log", ""));
        run.default_log(&dev).bind(&log, DEFAULT).sh("exit 3").run().assert_code(3);
        assert_report(&log, "status 3");
        assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o7777, 0o666, "{n}");
    }
}

#[test]
fn the_default_path_as_a_user_without_privileges() {
    if is_root("another user") {
        let dir = TempDir::new();
        let (dev, log) = (Dev::with_log(&dir), file(&dir, "log", ""));
        let run = Rinit::as_init().default_log(&dev).bind(&log, DEFAULT).uid(NOBODY);
        run.sh("exit 3").run().assert_code(3);
        assert_report(&log, "status 3");
    }
}

#[test]
fn a_file_at_the_default_path_that_is_no_mount() {
    let dir = TempDir::new();
    let dev = Dev::with_log(&dir);
    Rinit::as_init().default_log(&dev).sh("exit 3").run().assert_code(3);
    assert_report(&dev.log(), "status 3");
}

#[test]
fn a_missing_file_is_made() {
    let dir = TempDir::new();
    let dev = Dev::new(&dir);
    Rinit::as_init().default_log(&dev).umask(0o022).sh("exit 3").run().assert_code(3);
    assert_report(&dev.log(), "status 3");
    each(PLACES.into_iter().enumerate(), |(n, place)| {
        let log = dir.join(format!("by-hand-{n}"));
        place().umask(0o077).log(&log).sh("exit 3").run().assert_code(3);
        assert_report(&log, "status 3");
        assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o7777, 0o600);
    });
}

#[test]
fn a_missing_directory_is_worth_a_warning_only_if_it_was_named() {
    let dir = TempDir::new();
    let dev = Dev::new(&dir);
    let empty = dir.join("empty");
    fs::create_dir(&empty).unwrap();
    // Nothing can be made here either.
    let run = Rinit::as_init().env_remove("RINIT_TERMINATION_LOG").bind_read_only(&empty, "/dev");
    let ended = run.sh("exit 3").run();
    ended.assert_code(3);
    assert_eq!(kind(ended.stderr().trim_end()), Kind::Text);
    let missing = dir.join("no/log");
    for run in [Rinit::as_init().log(&missing), Rinit::as_init().env("RINIT_TERMINATION_LOG", &missing)] {
        let ended = run.sh("exit 3").run();
        ended.assert_code(3);
        let stderr = ended.stderr();
        let (warning, report) = stderr.split_once('\n').unwrap();
        assert_eq!(
            warning,
            format!("rinit: warn: no termination log at {}: No such file or directory", missing.display())
        );
        assert_eq!(kind(report.trim_end()), Kind::Text);
    }
    let ended = Rinit::as_init().env("RINIT_LOG", "error").args(["-q"]).log(&missing).sh("exit 3").run();
    assert_eq!(ended.assert_code(3).stderr(), "");
    assert!(!dev.log().exists() && !dir.join("no").exists());
}

#[test]
fn a_pod_with_a_path_of_its_own() {
    for name in ["own-log", "with a blank", "back\\slash"] {
        let dir = TempDir::new();
        let (dev, pods) = (Dev::new(&dir), pods_file(&dir));
        let own = file(&dir, name, "");
        Rinit::as_init().default_log(&dev).bind(&pods, &own).sh("exit 3").run().assert_code(3);
        assert_report(&pods, "status 3");
        assert!(!dev.log().exists(), "no litter at the default path");
    }
}

#[test]
fn a_pod_with_a_path_of_its_own_without_privileges() {
    if let Some(run) = Rinit::as_unprivileged_init() {
        let dir = TempDir::new();
        let (dev, pods, own) = (Dev::with_log(&dir), pods_file(&dir), file(&dir, "own", ""));
        run.default_log(&dev).bind(&pods, &own).sh("exit 3").run().assert_code(3);
        assert_report(&pods, "status 3");
        assert_eq!(read(&dev.log()), "");
    }
}

#[test]
fn the_default_path_comes_first_where_it_is_a_mount() {
    let dir = TempDir::new();
    let (dev, pods, own, log) = (Dev::with_log(&dir), pods_file(&dir), file(&dir, "own", ""), file(&dir, "log", ""));
    Rinit::as_init().default_log(&dev).bind(&pods, &own).bind(&log, DEFAULT).sh("exit 3").run().assert_code(3);
    assert_report(&log, "status 3");
    assert_eq!(read(&pods), "");
}

#[test]
fn a_path_named_by_hand_comes_first() {
    let dir = TempDir::new();
    let (dev, pods, own, log) = (Dev::with_log(&dir), pods_file(&dir), file(&dir, "own", ""), file(&dir, "log", ""));
    for by_hand in [log.clone(), PathBuf::from(DEFAULT)] {
        Rinit::as_init().default_log(&dev).bind(&pods, &own).log(by_hand).sh("exit 3").run().assert_code(3);
    }
    assert_report(&log, "status 3");
    assert_report(&dev.log(), "status 3");
    assert_eq!(read(&pods), "");
}

#[test]
fn only_pid_1_looks_for_the_pods_path() {
    let dir = TempDir::new();
    let (dev, pods, own) = (Dev::with_log(&dir), pods_file(&dir), file(&dir, "own", ""));
    let run = Rinit::as_init().init("/bin/sh").default_log(&dev).bind(&pods, &own);
    run.args(["-c", "\"$0\" sh -c 'exit 3'; exit $?"]).args([rinit()]).run().assert_code(3);
    assert_report(&dev.log(), "status 3");
    assert_eq!(read(&pods), "");
}

#[test]
fn without_proc_the_default_path_is_used() {
    let dir = TempDir::new();
    let (dev, log) = (Dev::with_log(&dir), file(&dir, "log", ""));
    let run = Rinit::as_init().default_log(&dev).bind(&log, DEFAULT).tmpfs("/proc", "");
    run.sh("exit 3").run().assert_code(3);
    assert_report(&log, "status 3");
}
