//! podman with rinit as its init and as the pause process of its pods, set up as docs/fleet.md says.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use crate::engine::{DEADLINE, TempDir, docker_ok, plain_image, poll, rinit, text};
use crate::report::assert_report;

/// A podman whose containers and images go with their owner.
struct Podman(TempDir);

impl Podman {
    fn new() -> Self {
        let podman = Self(TempDir::new());
        symlink(rinit(), podman.path("catatonit")).expect("a link");
        let guide = include_str!("../../docs/fleet.md");
        let settings = guide.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the settings");
        let settings = settings.replace("/usr/local/bin", &podman.path(""));
        // What it is without systemd, and with this process's own limits.
        let here = "cgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n[containers]\n\
                    default_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n";
        fs::write(podman.path("containers.conf"), format!("{settings}{here}")).expect("the configuration");
        let archive = podman.path("image.tar");
        docker_ok(&["save", "--output", &archive, plain_image()]);
        podman.ok(&["load", "--input", &archive]);
        podman
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("a path in UTF-8").to_owned()
    }

    /// Status, stdout and stderr of `podman ARGS`.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = Command::new("timeout");
        command.arg(DEADLINE.as_secs().to_string()).args(["podman", "--storage-driver", "vfs"]);
        for (option, name) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            command.args([option, &self.path(name)]);
        }
        command.env("CONTAINERS_CONF", self.path("containers.conf")).env("LC_ALL", "C").stdin(Stdio::null());
        let output = command.args(args).output().expect("timeout(1) runs");
        (output.status.code().expect("it is not killed"), text(&output.stdout), text(&output.stderr))
    }

    fn ok(&self, args: &[&str]) -> String {
        let (status, stdout, stderr) = self.run(args);
        assert_eq!(status, 0, "podman {args:?}: {stderr}");
        stdout.trim().to_owned()
    }

    /// `podman run OPTIONS IMAGE COMMAND`
    fn container(&self, options: &[&str], command: &[&str]) -> (i32, String, String) {
        let image = format!("localhost/{}", plain_image());
        self.run(&[&["run", "--rm", "--network", "none"], options, &[&image], command].concat())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        for all in [["pod", "rm", "--all", "--force", "--time=0"].as_slice(), &["rm", "--all", "--force", "--time=0"]] {
            let _ = self.run(all);
        }
    }
}

const WHO: &str = "cat /proc/1/comm; readlink /proc/1/exe; /proc/1/exe --version | cut -d ' ' -f 1";

#[test]
#[ignore = "needs podman"]
fn podman_run_init_is_rinit() {
    let podman = Podman::new();
    let link = podman.path("catatonit");
    for init in [["--init"].as_slice(), &["--init", "--init-path", &link]] {
        let who = podman.container(init, &["sh", "-c", WHO]);
        assert_eq!(who, (0, "podman-init\n/run/podman-init\nrinit\n".into(), String::new()));
    }
    for (command, status, cause) in [
        (["sh", "-c", "exit 3"].as_slice(), 3, "exit-error"),
        (&["sh", "-c", "kill -SEGV $$"], 139, "segfault"),
        // As catatonit says it.
        (&["no-such-command"], 1, "command-not-found"),
    ] {
        let (got, stdout, stderr) = podman.container(&["--init"], command);
        assert_eq!((got, stdout.as_str()), (status, ""), "{command:?}: {stderr}");
        let report = stderr.find("rinit: ").map(|at| &stderr[at..]).unwrap_or_default();
        assert_eq!(assert_report(report, status), cause, "{stderr}");
    }
    let never = podman.container(&["--init", "--env", "RINIT_REPORT=never"], &["sh", "-c", "exit 3"]);
    assert_eq!(never, (3, String::new(), String::new()));

    let image = format!("localhost/{}", plain_image());
    let id = podman.ok(&["run", "--detach", "--network", "none", "--init", &image, "sleep", "1000"]);
    poll("the program", || podman.run(&["top", &id, "args"]).1.contains("\nsleep 1000").then_some(()));
    podman.ok(&["stop", "--time", "20", &id]);
    assert_eq!(podman.ok(&["wait", &id]), "143");
}

#[test]
#[ignore = "needs podman"]
fn the_pause_process_of_a_pod_is_rinit() {
    let podman = Podman::new();
    podman.ok(&["pod", "create", "--name", "pod", "--share", "pid", "--network", "none", "--exit-policy", "continue"]);
    let image = format!("localhost/{}", plain_image());
    let script = "tr '\\0' ' ' </proc/1/cmdline; /proc/1/exe --version | cut -d ' ' -f 1; exit 3";
    let run = podman.run(&["run", "--rm", "--pod", "pod", "--network", "none", &image, "sh", "-c", script]);
    assert_eq!(run, (3, "/catatonit -P rinit\n".into(), String::new()));
    let infra = podman.ok(&["pod", "inspect", "--format", "{{.InfraContainerID}}", "pod"]);
    podman.ok(&["pod", "stop", "--time", "20", "pod"]);
    assert_eq!(podman.ok(&["inspect", "--format", "{{.State.ExitCode}}", &infra]), "0");
}
