//! What a cluster's policy takes away: root, a writable file system, capabilities, and everything but the program.

use crate::elf;
use crate::engine::{Container, HARDENED, Source, TempDir, build, image, rinit};
use crate::report::assert_report;

/// The program sees what it would see without rinit; the status and the report come as ever.
#[track_caller]
fn assert_works(options: &[&str], id: &str) {
    let run = Container::run(options, image(), &["sh", "-c", "id -u; id -g; kill -SEGV $$"]);
    assert_eq!((run.status, run.stdout.as_str()), (139, id), "{options:?}: {}", run.stderr);
    assert_report(&run.stderr, 139);
}

/// Signals still reach it.
#[track_caller]
fn assert_stops(options: &[&str]) {
    let container = Container::start(
        options,
        image(),
        &["sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done"],
    );
    container.wait_for_line("ready");
    assert_eq!(container.stop(), 5, "{options:?}");
}

#[test]
#[ignore = "needs a Docker engine"]
fn non_root() {
    assert_works(&HARDENED[..2], "1000\n1000\n");
    assert_stops(&HARDENED[..2]);
}

#[test]
#[ignore = "needs a Docker engine"]
fn read_only() {
    assert_works(&HARDENED[2..3], "0\n0\n");
    assert_stops(&HARDENED[2..3]);
}

#[test]
#[ignore = "needs a Docker engine"]
fn without_capabilities() {
    assert_works(&HARDENED[3..], "0\n0\n");
    assert_stops(&HARDENED[3..]);
}

#[test]
#[ignore = "needs a Docker engine"]
fn all_of_it() {
    assert_works(&HARDENED, "1000\n1000\n");
    assert_stops(&HARDENED);
}

/// What rinit can do without, as a profile written for another program refuses it. (tests/starved has every call alone.)
#[test]
#[ignore = "needs a Docker engine"]
fn a_seccomp_profile_that_refuses_calls() {
    let names = ["signalfd4", "waitid", "pidfd_open", "pwritev2", "splice", "tee", "statx", "rt_sigqueueinfo"];
    for errno in [libc::ENOSYS, libc::EPERM] {
        let dir = TempDir::new();
        let file = dir.create("profile.json");
        let profile = format!(
            r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":{names:?},"action":"SCMP_ACT_ERRNO","errnoRet":{errno}}}]}}"#
        );
        std::fs::write(&file, profile).expect("a file");
        let file = format!("seccomp={}", file.display());
        let options = ["--security-opt", &file, "--security-opt", "no-new-privileges"];
        assert_works(&options, "0\n0\n");
        assert_stops(&options);
        let told = Container::run(&[&options[..], &["--env", "RINIT_LOG=debug"]].concat(), image(), &["false"]);
        assert!(told.status == 1 && told.stderr.contains("debug: no signalfd, "), "{}", told.stderr);
    }
}

/// rinit and one program: no shell, no libc, no /etc/passwd, no /tmp.
#[test]
#[ignore = "needs a Docker engine"]
fn from_scratch() {
    let image = build(
        "FROM scratch\nCOPY rinit wait crash /\nENTRYPOINT [\"/rinit\", \"--\"]\nCMD [\"/wait\"]\n",
        &[
            ("rinit", Source::File(rinit())),
            ("wait", Source::Program(&elf::executable(elf::PAUSE))),
            ("crash", Source::Program(&elf::executable(elf::CRASH))),
        ],
    );
    for options in [&[], HARDENED.as_slice()] {
        let container = Container::start(options, &image, &[]);
        container.wait_for_process("/wait");
        assert_eq!(container.stop(), 143);
        assert_report(&container.logs().1, 143);

        let run = Container::run(options, &image, &["/crash"]);
        assert_eq!(run.status, 139);
        assert_eq!(assert_report(&run.stderr, 139), "segfault");

        let run = Container::run(options, &image, &["sh", "-c", "true"]);
        assert_eq!(run.status, 127);
        assert_report(&run.stderr, 127);
    }
}
