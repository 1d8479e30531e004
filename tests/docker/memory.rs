//! Memory and process limits of a real engine, whatever the version of its cgroups.

use std::path::Path;
use std::sync::OnceLock;

use crate::engine::{Container, Source, build, rinit};
use crate::report::assert_report;

/// The image of the other tests, and the probe.
pub fn image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        build(
            "FROM scratch\nCOPY bin /bin\nCOPY probe /bin/probe\nCOPY rinit /rinit\nENTRYPOINT [\"/rinit\", \"--\"]\n",
            &[("bin", Source::Busybox), ("probe", Source::File(&probe())), ("rinit", Source::File(rinit()))],
        )
    })
}

/// Static, as the image has no libraries.
pub fn probe() -> std::path::PathBuf {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = std::process::Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--example", "probe", "--target", &target, "--target-dir", "target"])
        .current_dir(root)
        .status();
    assert!(built.expect("cargo runs").success(), "the probe does not build");
    root.join("target").join(target).join("release/examples/probe")
}

/// The engine's own word for it. What the report says: tests/scenarios/memory.
#[test]
#[ignore = "needs a Docker engine"]
fn the_engine_agrees_on_what_was_an_oom_kill() {
    // Swap would go on where the limit ends.
    let limit = ["--memory", "64m", "--memory-swap", "64m"];
    for (command, cause, is_oom) in [
        (["probe", "eat", "200", "0", "0"].as_slice(), "oom-container-limit", "true"),
        (&["sh", "-c", "kill -9 $$"], "killed-by-unknown", "false"),
    ] {
        let run = Container::run(&limit, image(), command);
        assert_eq!((run.status, assert_report(&run.stderr, 137)), (137, cause));
        assert_eq!(run.container.inspect("{{.State.OOMKilled}}"), is_oom);
    }
}
