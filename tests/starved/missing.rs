//! File systems that are not there, or that cannot be written to.

use crate::common::{Io, Rinit, each};
use crate::{DEADLINE, contains};

/// How PROGRAM ends, and what a report has to say of it wherever it is read.
const ENDS: [(&str, i32, &str); 6] = [
    ("exit 0", 0, "finished with exit status 0"),
    ("exit 3", 3, "exited with status 3"),
    ("kill -TERM $$", 143, "SIGTERM"),
    ("kill -KILL $$", 137, "was killed by SIGKILL"),
    ("kill -SEGV $$", 139, "was killed by SIGSEGV"),
    ("echo x: command not found >&2; exit 127", 127, "127"),
];
const OPTIONS: [&[&str]; 3] = [&[], &["--tail=5", "--stop-timeout=50s"], &["--drain=50s", "-vv"]];

/// Every end with every set of options.
fn every_end(set_up: impl Fn(Rinit) -> Rinit + Sync) {
    each(
        ENDS.into_iter().flat_map(|end| OPTIONS.map(|options| (end, options))),
        |((script, status, words), options)| {
            let run = set_up(Rinit::as_init().deadline(DEADLINE).rlimit(libc::RLIMIT_CORE, 0, 0));
            let ended = run
                .env("RINIT_TERMINATION_LOG", "/dev/termination-log")
                .args(options)
                .args(["/bin/sh", "-c", script])
                .run();
            contains(&ended.assert_code(status).stderr(), words);
        },
    );
    let run = || set_up(Rinit::as_init().deadline(DEADLINE)).args(["/nonexistent"]);
    contains(&run().run().assert_code(127).stderr(), "rinit: cannot start /nonexistent: ");
}

#[test]
fn no_proc() {
    every_end(|run| run.hide("/proc"));
}

#[test]
fn no_dev() {
    every_end(|run| run.hide("/dev"));
}

#[test]
fn no_sys() {
    every_end(|run| run.hide("/sys"));
}

#[test]
fn none_of_them() {
    every_end(|run| run.hide("/sys").hide("/dev").hide("/proc"));
}

#[test]
fn hidden_processes() {
    every_end(|run| run.proc_options("hidepid=2"));
}

#[test]
fn everything_is_read_only() {
    every_end(|run| run.read_only("/").read_only("/dev").read_only("/proc"));
}

/// In all combinations, with what else there may be asked of rinit: nothing of its own takes their places.
#[test]
fn stdio_is_closed() {
    let runs = (0..8).flat_map(|closed| OPTIONS.map(|options| (closed, options)));
    each(runs, |(closed, options)| {
        for (script, status, words) in ENDS {
            let io = |n: u32| if closed & 1 << n != 0 { Io::Closed } else { Io::Pipe };
            let run = Rinit::as_init().deadline(DEADLINE).rlimit(libc::RLIMIT_CORE, 0, 0);
            let run = run.stdin(io(0)).stdout(io(1)).stderr(io(2)).args(options);
            let ended = run.args(["/bin/sh", "-c", script]).run();
            ended.assert_code(status);
            assert_eq!(ended.stdout(), "");
            if closed & 4 == 0 {
                contains(&ended.stderr(), words);
            }
        }
    });
}
