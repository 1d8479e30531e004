//! What a cluster's policy takes away: root, a writable file system, capabilities, and everything but the program.

use crate::elf;
use crate::engine::{Container, HARDENED, Source, build, image, rinit};
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
