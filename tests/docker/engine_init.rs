//! Engines that have rinit as their `docker-init`: second ones, started here, that need neither a bridge nor a firewall.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::engine::{DEADLINE, TempDir, docker, docker_ok, plain_image, poll, rinit, text};
use crate::report::assert_report;

/// A dockerd that is stopped with its owner.
struct Engine {
    dockerd: Child,
    directory: TempDir,
    host: String,
}

/// Where the directory holds the link.
const LINK: &str = "docker-init";

impl Engine {
    /// `flags` and `config` (daemon.json) may name the link as `INIT`.
    fn start(flags: &[&str], config: &str) -> Self {
        let directory = TempDir::new();
        let path = |name: &str| directory.path().join(name).to_str().expect("a path in UTF-8").to_owned();
        symlink(rinit(), path(LINK)).expect("a link");
        fs::write(path("daemon.json"), config.replace("INIT", &path(LINK))).expect("the configuration");
        let host = format!("unix://{}", path("docker.sock"));
        let log = fs::File::create(path("log")).expect("a log");
        // With no bridge it removes docker0, the other engine's: it gets a network namespace of its own.
        let dockerd = Command::new("unshare")
            .args(["--net", "dockerd"])
            .args(["--config-file", &path("daemon.json"), "--host", &host, "--pidfile", &path("pid")])
            .args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--bridge", "none"])
            .args(["--iptables=false", "--ip6tables=false"])
            .args(flags.iter().map(|flag| flag.replace("INIT", &path(LINK))))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn()
            .expect("dockerd runs");
        let mut engine = Self { dockerd, directory, host };
        poll("the engine's answer", || {
            let ended = engine.dockerd.try_wait().expect("its state");
            assert_eq!(ended, None, "{}", engine.log());
            docker(&["--host", &engine.host, "version"]).status.success().then_some(())
        });
        // It has no images; the other engine has.
        let archive = engine.path("image.tar");
        docker_ok(&["save", "--output", &archive, plain_image()]);
        engine.ok(&["load", "--input", &archive]);
        engine
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().expect("a path in UTF-8").to_owned()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).expect("the log")
    }

    fn ok(&self, args: &[&str]) -> String {
        docker_ok(&[&["--host", &self.host], args].concat())
    }

    /// Status, stdout and stderr of `docker run OPTIONS IMAGE COMMAND`.
    fn run(&self, options: &[&str], command: &[&str]) -> (i32, String, String) {
        let start = ["--host", &self.host, "run", "--rm", "--network", "none"];
        let output = docker(&[&start, options, &[plain_image()], command].concat());
        (output.status.code().expect("docker is not killed"), text(&output.stdout), text(&output.stderr))
    }

    /// `docker info` knows rinit by its commit, and nobody warned of it.
    #[track_caller]
    fn assert_knows_rinit(&self) {
        assert_eq!(self.ok(&["info", "--format", "{{.InitBinary}}"]), self.path(LINK));
        let version = Command::new(self.path(LINK)).arg("--version").output().expect("rinit runs");
        let version = text(&version.stdout);
        let commit = version.trim_end().rsplit_once(" - git.").expect("tini's form").1;
        let known: serde_json::Value =
            serde_json::from_str(&self.ok(&["info", "--format", "{{json .InitCommit}}"])).expect("JSON");
        assert_eq!(known["ID"], commit, "{known}");
        assert_eq!(known["ID"], known["Expected"], "docker info warns where they differ");
        let component = r#"{{range .Server.Components}}{{if eq .Name "docker-init"}}{{.Version}}{{end}}{{end}}"#;
        let version = format!("{}_rinit", env!("CARGO_PKG_VERSION"));
        assert_eq!(self.ok(&["version", "--format", component]), version);
        // Its own directory is called after rinit.
        let log = self.log().replace(&self.path(""), "");
        let warnings: Vec<&str> =
            log.lines().filter(|l| !l.contains("level=info") && l.to_lowercase().contains("init")).collect();
        assert!(warnings.is_empty(), "{warnings:#?}");
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: an unreaped child of ours.
        unsafe { libc::kill(self.dockerd.id().cast_signed(), libc::SIGTERM) };
        let start = std::time::Instant::now();
        while start.elapsed() < DEADLINE {
            if !matches!(self.dockerd.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let _ = self.dockerd.kill();
        let _ = self.dockerd.wait();
    }
}

/// The shell stays, because of its last word.
const WITHOUT: &str = "cat /proc/1/comm; :";

/// What only rinit says, asked by no other program's name.
const WHO: &str = "cat /proc/1/comm; readlink /proc/1/exe; /proc/1/exe --version | cut -d ' ' -f 1";

#[test]
#[ignore = "needs a Docker engine"]
fn docker_run_init_is_rinit() {
    let engine = Engine::start(&["--init-path", "INIT"], "{}");
    engine.assert_knows_rinit();
    let init = ["--init"].as_slice();

    let who = engine.run(init, &["sh", "-c", WHO]);
    assert_eq!(
        who,
        (0, "docker-init\n/sbin/docker-init\nrinit\n".into(), String::new()),
        "silent, where all goes well"
    );
    for (command, status, cause) in [
        (["sh", "-c", "exit 3"].as_slice(), 3, "exit-error"),
        (&["sh", "-c", "kill -SEGV $$"], 139, "segfault"),
        (&["no-such-command"], 127, "command-not-found"),
        (&["/etc/hostname"], 126, "not-executable"),
    ] {
        let (got, stdout, stderr) = engine.run(init, command);
        assert_eq!((got, stdout.as_str()), (status, ""), "{command:?}: {stderr}");
        let report = stderr.find("rinit: ").map(|at| &stderr[at..]).unwrap_or_default();
        assert_eq!(assert_report(report, status), cause, "{stderr}");
    }
    // The report is all that is added, and it can be taken away; so can rinit.
    let never = engine.run(&["--init", "--env", "RINIT_REPORT=never"], &["sh", "-c", "exit 3"]);
    assert_eq!(never, (3, String::new(), String::new()));
    let off = engine.run(&["--init", "--env", "RINIT_OFF=1"], &["sh", "-c", "cat /proc/1/comm; exit 3"]);
    assert_eq!(off, (3, "sh\n".into(), String::new()));
    // Who does not ask for an init has none.
    assert_eq!(engine.run(&[], &["sh", "-c", WITHOUT]).1, "sh\n");

    let id = engine.ok(&["run", "--detach", "--init", "--network", "none", plain_image(), "sleep", "1000"]);
    poll("the program", || engine.ok(&["top", &id, "-eo", "pid,args"]).contains("sleep 1000").then_some(()));
    engine.ok(&["stop", "--time", "20", &id]);
    assert_eq!(engine.ok(&["wait", &id]), "143");
    engine.ok(&["rm", &id]);
}

/// The guide's daemon.json: an init for every container that does not refuse it.
#[test]
#[ignore = "needs a Docker engine"]
fn the_guides_configuration_gives_every_container_an_init() {
    const GUIDE: &str = include_str!("../../docs/fleet.md");
    let config = GUIDE.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("daemon.json");
    let path = PathBuf::from("/usr/local/bin/docker-init");
    let config = config.replace(path.to_str().expect("UTF-8"), "INIT");
    let engine = Engine::start(&[], &config);
    engine.assert_knows_rinit();
    let who = engine.run(&[], &["sh", "-c", WHO]);
    assert_eq!(who, (0, "docker-init\n/sbin/docker-init\nrinit\n".into(), String::new()));
    assert_eq!(engine.run(&["--init=false"], &["sh", "-c", WITHOUT]).1, "sh\n");
    // An image with an init of its own keeps it, one level down.
    let command = ["/sbin/docker-init", "--", "sh", "-c", "cat /proc/$PPID/comm; exit 3"];
    let (status, stdout, stderr) = engine.run(&[], &command);
    assert_eq!((status, stdout.as_str()), (3, "docker-init\n"), "{stderr}");
}
