//! Dockerfile.example works: its final stages are built with images of ours in place of the registry's.

use std::path::Path;

use crate::elf;
use crate::engine::{Container, Source, build, docker_ok, plain_image, rinit};
use crate::report::assert_report;

const EXAMPLE: &str = include_str!("../../Dockerfile.example");

/// The final stage, from its FROM on, without the comments.
fn final_stage() -> String {
    let stage = EXAMPLE.rfind("\nFROM ").map(|at| &EXAMPLE[at + 1..]).expect("a last FROM");
    stage.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
}

/// The variant from `base` that stands in the file as a comment.
fn commented_stage(base: &str) -> String {
    let stage = EXAMPLE.find(&format!("\n# FROM {base}\n")).map(|at| &EXAMPLE[at + 1..]).expect("the variant");
    let lines = stage.lines().map_while(|line| line.strip_prefix("# "));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Builds `stage` behind a stand-in for the stage `build`.
fn build_behind_stand_in(stage: &str) -> String {
    let builder = build(
        "FROM scratch\nCOPY rinit server /\n",
        &[("rinit", Source::File(rinit())), ("server", Source::Program(&elf::executable(elf::PAUSE)))],
    );
    build(&format!("FROM {builder} AS build\n{stage}"), &[])
}

#[track_caller]
fn assert_works(image: &str, command: &str) {
    let config = docker_ok(&["image", "inspect", "--format", "{{.Config.User}} {{json .Config.Entrypoint}}", image]);
    let (user, entrypoint) = config.split_once(' ').expect("two fields");
    assert_eq!(entrypoint, r#"["/rinit","--"]"#);
    // Kubernetes checks runAsNonRoot against numbers alone.
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{user}");

    let container = Container::start(&[], image, &[]);
    container.wait_for_process(command);
    assert_eq!(container.stop(), 143);
    assert_eq!(assert_report(&container.logs().1, 143), "stopped-without-handler");
    let run = Container::run(&[], image, &["/no/such/path"]);
    assert_eq!(run.status, 127);
    assert_eq!(assert_report(&run.stderr, 127), "path-missing");
}

#[test]
#[ignore = "needs a Docker engine"]
fn its_final_stage_runs() {
    let stage = final_stage();
    let (from, rest) = stage.split_once('\n').expect("more than FROM");
    assert!(from.starts_with("FROM ") && !from.contains(" AS "), "{from}");
    assert_works(&build_behind_stand_in(&format!("FROM {}\n{rest}", plain_image())), "sleep 3600");
}

#[test]
#[ignore = "needs a Docker engine"]
fn its_scratch_variant_runs() {
    assert_works(&build_behind_stand_in(&commented_stage("scratch")), "/server");
}

/// Over the tini of an image, and as the guide's link in its place.
#[test]
#[ignore = "needs a Docker engine"]
fn what_has_tini_has_rinit_then() {
    const YOURS: &str = "registry.example/yours:1";
    const RELEASED: &str = "registry.example/rinit:0.1.0";
    let guide = include_str!("../../docs/fleet.md");
    let link = guide.split("```dockerfile\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the link");
    let released = build("FROM scratch\nCOPY rinit /rinit\n", &[("rinit", Source::File(rinit()))]);
    let tini = Path::new("/usr/bin/tini-static");
    let yours = build(
        "FROM scratch\nCOPY bin /bin\nCOPY tini /usr/bin/tini\nENTRYPOINT [\"/usr/bin/tini\", \"--\"]\n",
        &[("bin", Source::Busybox), ("tini", Source::File(tini))],
    );
    let version = "/usr/bin/tini --version | cut -d ' ' -f 3";
    let before = Container::run(&[], &yours, &["sh", "-c", version]);
    assert!(!before.stdout.contains("rinit"), "{}", before.stdout);
    for stage in [commented_stage(YOURS), format!("FROM {YOURS}\n{link}")] {
        let image = build(&stage.replace(YOURS, &yours).replace(RELEASED, &released), &[]);
        let run = Container::run(&[], &image, &["sh", "-c", &format!("cat /proc/1/comm; {version}; exit 3")]);
        let expected = format!("tini\n{}_rinit\n", env!("CARGO_PKG_VERSION"));
        assert_eq!((run.status, run.stdout), (3, expected), "{stage}");
        assert_report(&run.stderr, 3);
        let run = Container::run(&[], &image, &["true"]);
        assert_eq!((run.status, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""), "{stage}");
        let run = Container::run(&["--env", "RINIT_OFF=1"], &image, &["sh", "-c", "cat /proc/1/comm; exit 3"]);
        assert_eq!((run.status, run.stdout.as_str(), run.stderr.as_str()), (3, "sh\n", ""), "{stage}");
    }
}

/// The toolchain of the build stage is the one that is pinned.
#[test]
#[ignore = "needs a Docker engine"]
fn its_build_stage_has_the_pinned_toolchain() {
    let pinned = include_str!("../../rust-toolchain.toml");
    let version = pinned.lines().find_map(|l| l.strip_prefix("channel = ")).expect("a channel").trim_matches('"');
    assert!(EXAMPLE.contains(&format!("FROM rust:{version}-")), "{version}");
}
