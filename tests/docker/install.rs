//! `--install` as an init container does it (examples/init-container.yaml): from an image with nothing but rinit in it to
//! a volume, which an unchanged image then runs it from.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::engine::{Container, Finished, HARDENED, Source, TempDir, build, plain_image, rinit};
use crate::report::assert_report;

const TARGET: &str = "/rinit-volume/rinit";

/// Nothing but rinit.
fn scratch_image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| build("FROM scratch\nCOPY rinit /rinit\n", &[("rinit", Source::File(rinit()))]))
}

/// The init container's command, with the volume as `mount` says.
fn install(mount: &[&str], options: &[&str]) -> Finished {
    let options = [mount, options, &["--entrypoint", "/rinit"]].concat();
    Container::run(&options, scratch_image(), &["--install", TARGET])
}

/// What an emptyDir is: a directory of the host that every user may write to.
struct Volume {
    directory: TempDir,
    mount: String,
}

impl Volume {
    fn new() -> Self {
        let directory = TempDir::new();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).expect("a mode");
        let mount = format!("{}:/rinit-volume", directory.path().display());
        Self { directory, mount }
    }

    fn rinit(&self) -> PathBuf {
        self.directory.path().join("rinit")
    }

    #[track_caller]
    fn install(&self, options: &[&str]) {
        let run = install(&["--volume", &self.mount], options);
        assert_eq!((run.status, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
        self.holds_it();
    }

    /// The whole binary with its mode, and nothing else.
    #[track_caller]
    fn holds_it(&self) {
        let names: Vec<_> =
            fs::read_dir(self.directory.path()).expect("it").map(|e| e.expect("it").file_name()).collect();
        assert_eq!(names, ["rinit"]);
        assert_eq!(fs::metadata(self.rinit()).expect("it").mode() & 0o7777, 0o755);
        assert!(fs::read(self.rinit()).expect("it") == fs::read(rinit()).expect("it"));
    }

    /// The mount of the container that runs it.
    fn read_only(&self) -> String {
        format!("{}:ro", self.mount)
    }
}

#[test]
#[ignore = "needs a Docker engine"]
fn an_unchanged_image_runs_what_the_init_container_installed() {
    let manifest = include_str!("../../examples/init-container.yaml");
    assert!(manifest.contains(&format!(r#"command: ["/rinit", "--install", "{TARGET}"]"#)));
    assert!(manifest.contains(&format!(r#"command: ["{TARGET}", "--", "#)));
    for options in [[].as_slice(), &HARDENED] {
        let volume = Volume::new();
        volume.install(options);
        let mount = volume.read_only();
        let options = [options, &["--volume", &mount, "--entrypoint", TARGET]].concat();
        let run = Container::run(&options, plain_image(), &["--", "sh", "-c", "readlink /proc/1/exe; exit 7"]);
        assert_eq!((run.status, run.stdout.trim_end()), (7, TARGET), "{}", run.stderr);
        assert_report(&run.stderr, 7);
    }
}

/// The init container runs again (a restart of the pod's sandbox) while rinit still runs from the volume.
#[test]
#[ignore = "needs a Docker engine"]
fn over_an_older_file_and_over_one_that_runs() {
    let volume = Volume::new();
    fs::write(volume.rinit(), "older").expect("a file");
    volume.install(&[]);
    let mount = volume.read_only();
    let container = Container::start(
        &["--volume", &mount, "--entrypoint", TARGET],
        plain_image(),
        &["--", "sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done"],
    );
    container.wait_for_line("ready");
    let running = fs::metadata(volume.rinit()).expect("it").ino();
    volume.install(&[]);
    assert_ne!(fs::metadata(volume.rinit()).expect("it").ino(), running, "a file of its own");
    assert_eq!(container.stop(), 5);
}

/// Every rinit here is PID 1: a temporary name made of the pid would be the same one.
#[test]
#[ignore = "needs a Docker engine"]
fn many_at_once() {
    let volume = Volume::new();
    volume.install(&[]);
    let mount = volume.read_only();
    let script = format!(
        "trap 'echo looked; exit 0' TERM; echo ready; while :; do {TARGET} --version >/dev/null || echo broken; done"
    );
    let looks = Container::start(&["--volume", &mount], plain_image(), &["sh", "-c", &script]);
    looks.wait_for_line("ready");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let run = install(&["--volume", &volume.mount], &[]);
                assert_eq!((run.status, run.stderr.as_str()), (0, ""));
            });
        }
    });
    // At no moment was it missing, or not to be executed.
    assert_eq!(looks.stop(), 0);
    assert_eq!(looks.logs(), ("ready\nlooked\n".into(), String::new()));
    volume.holds_it();
}

/// One line, from which the volume's definition can be corrected.
#[test]
#[ignore = "needs a Docker engine"]
fn what_is_in_its_way_is_named() {
    let older = Volume::new();
    fs::write(older.rinit(), "older").expect("a file");
    let read_only = older.read_only();
    for (mount, why) in [
        (["--volume", &read_only], "Read-only file system"),
        // Too small for the binary.
        (["--tmpfs", "/rinit-volume:exec,size=64k"], "No space left on device"),
        (["--tmpfs", "/rinit-volume:noexec"], "noexec"),
        (["--tmpfs", "/elsewhere"], "No such file or directory"),
    ] {
        let run = install(&mount, &[]);
        assert_eq!((run.status, run.stdout.as_str()), (125, ""), "{mount:?}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        for part in ["rinit: ", "--install: ", "/rinit-volume", why] {
            assert!(run.stderr.contains(part), "no {part:?} in {}", run.stderr);
        }
    }
    assert_eq!(fs::read(older.rinit()).expect("it"), b"older");
    let names = fs::read_dir(older.directory.path()).expect("it").count();
    assert_eq!(names, 1);
    // An emptyDir of another user, as a volume with the mode 0755 is.
    fs::set_permissions(older.directory.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let run = install(&["--volume", &older.mount], &HARDENED);
    assert_eq!(run.status, 125, "{}", run.stderr);
    assert!(run.stderr.contains("Permission denied"), "{}", run.stderr);
}
