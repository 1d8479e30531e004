//! The scenario corpus, as far as it needs an engine: see tests/scenarios/README.md.

use std::sync::OnceLock;

use crate::engine::{Container, DEADLINE, Source, build, docker, rinit};
use crate::memory::probe;
use crate::scenario::{self, End, Scenario};

#[test]
#[ignore = "needs a Docker engine"]
fn in_docker() {
    scenario::run("docker", |scenario| (run(scenario), "/work".to_owned()));
}

fn run(scenario: &Scenario) -> End {
    assert!(scenario.seconds() >= DEADLINE.as_secs());
    let options = ["--env", "RINIT=/rinit", "--env", "PROBE=/bin/probe", "--env", "RINIT_STDERR_FORMAT=json"];
    let own = scenario.get("container").replace("$SCENARIOS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios"));
    let own: Vec<&str> = own.split_whitespace().collect();
    let options = [&options, own.as_slice(), &["--entrypoint", "/bin/sh"]].concat();
    let image = if scenario.get("image") == "debian" { debian() } else { busybox() };
    let script = scenario.script();
    let command = ["-c", script.as_str()];
    let signals: Vec<&str> = scenario.get("send").split_whitespace().collect();
    if signals.is_empty() {
        let run = Container::run(&options, image, &command);
        return End { status: run.status.into(), stderr: run.stderr, peak: true };
    }
    let container = Container::start(&options, image, &command);
    container.wait_for_line("ready");
    for signal in signals {
        match signal.strip_prefix("exec:") {
            // It stays to be seen, and ends with the container.
            Some(signal) => {
                let script = format!("kill -{signal} 1; sleep 1000");
                docker(&["exec", container.name(), "/bin/sh", "-c", &script])
            }
            None => docker(&["kill", "--signal", signal, container.name()]),
        };
    }
    let status = container.wait().into();
    End { status, stderr: container.logs().1, peak: true }
}

/// busybox, the probe and rinit: static, no libc.
fn busybox() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let files = [("bin", Source::Busybox), ("probe", Source::File(&probe())), ("rinit", Source::File(rinit()))];
        build("FROM scratch\nCOPY bin /bin\nCOPY probe /bin/probe\nCOPY rinit /rinit\nWORKDIR /work\n", &files)
    })
}

/// The layout of Debian, to which the scenario mounts this machine's programs: `--volume /usr:/usr:ro`.
fn debian() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let links = "RUN [\"/busybox/sh\", \"-c\", \"for name in bin sbin lib lib64; do /busybox/ln -s usr/$name /$name; done\"]";
        let dockerfile = format!("FROM scratch\nCOPY bin /busybox\nCOPY rinit /rinit\n{links}\nWORKDIR /work\n");
        build(&dockerfile, &[("bin", Source::Busybox), ("rinit", Source::File(rinit()))])
    })
}
