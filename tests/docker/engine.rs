//! The docker command with deadlines, images made of local files, and containers that do not outlive their test.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// For whatever is expected to happen at once.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// What a cluster's policy takes away: root (two words), a writable file system (one), capabilities (three).
pub const HARDENED: [&str; 6] =
    ["--user", "1000:1000", "--read-only", "--cap-drop=ALL", "--security-opt", "no-new-privileges"];
const BUSYBOX: &str = "/bin/busybox";

/// `docker ARGS...`, ended by timeout(1) at the deadline (status 124).
pub fn docker_command(args: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.arg(DEADLINE.as_secs().to_string()).arg("docker").args(args);
    // No BuildKit: it has no access to local images that stand in for those of a registry.
    command.env("DOCKER_BUILDKIT", "0").stdin(Stdio::null());
    command
}

/// What `docker ARGS...` gives, whatever its status.
pub fn docker(args: &[&str]) -> Output {
    let output = docker_command(args).output().expect("timeout(1) runs");
    assert_ne!(output.status.code(), Some(124), "docker {args:?} took too long");
    output
}

/// The trimmed stdout of `docker ARGS...`, which has to succeed.
pub fn docker_ok(args: &[&str]) -> String {
    let output = docker(args);
    assert!(output.status.success(), "docker {args:?}: {}", text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Asks `question` until it has an answer.
pub fn poll<T>(what: &str, mut question: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(start.elapsed() < DEADLINE, "no end of waiting for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The static binary: `TEST_RINIT`, or else what cargo builds now.
pub fn rinit() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        if let Some(path) = std::env::var_os("TEST_RINIT") {
            return fs::canonicalize(path).expect("TEST_RINIT names a file");
        }
        let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let built = Command::new(env!("CARGO"))
            .args(["build", "--release", "--locked", "--bin", "rinit", "--target", &target, "--target-dir"])
            .arg(root.join("target"))
            .current_dir(root)
            .status();
        assert!(built.expect("cargo runs").success(), "the static binary does not build");
        root.join("target").join(target).join("release/rinit")
    })
}

/// A label of this test run: everything that bears it is removed when the process exits.
fn label() -> &'static str {
    static LABEL: OnceLock<String> = OnceLock::new();
    LABEL.get_or_init(|| {
        // SAFETY: `clean_up` is a plain function; it uses nothing that is torn down before the handlers run.
        unsafe { libc::atexit(clean_up) };
        format!("rinit.test={}", std::process::id())
    })
}

extern "C" fn clean_up() {
    let filter = format!("label={}", label());
    for (list, remove) in [
        (["ps", "--all", "--quiet", "--filter", &filter], ["rm", "--force", "--volumes"].as_slice()),
        (["images", "--all", "--quiet", "--filter", &filter], ["rmi", "--force"].as_slice()),
    ] {
        let Ok(listed) = docker_command(&list).output() else { return };
        let listed = text(&listed.stdout);
        let ids: Vec<&str> = listed.split_whitespace().collect();
        if !ids.is_empty() {
            let _ = docker_command(&[remove, &ids].concat()).output();
        }
    }
}

fn unique(kind: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("rinit-test-{kind}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A directory that goes with its owner.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(unique("dir"));
        fs::create_dir(&path).expect("a temporary directory");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file with the mode that the kubelet gives its termination log.
    pub fn create(&self, path: &str) -> PathBuf {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("it is below the directory")).expect("directories");
        fs::write(&path, "").expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("a mode");
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What goes into the context of a build.
pub enum Source<'a> {
    /// A copy of this file.
    File(&'a Path),
    /// An executable with this content.
    Program(&'a [u8]),
    /// Debian's static busybox under all its names in this directory.
    Busybox,
}

/// Builds `dockerfile` with these files in its context. The tag is unique, the image goes at the end of the run.
pub fn build(dockerfile: &str, context: &[(&str, Source)]) -> String {
    let dir = TempDir::new();
    fs::write(dir.path().join("Dockerfile"), dockerfile).expect("the Dockerfile");
    for (name, source) in context {
        let path = dir.path().join(name);
        match source {
            Source::File(from) => {
                fs::copy(from, &path).expect("a copy");
            }
            Source::Program(bytes) => {
                fs::write(&path, bytes).expect("a program");
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
            }
            Source::Busybox => install_busybox(&path),
        }
    }
    let tag = unique("image");
    let path = dir.path().to_str().expect("a path in UTF-8");
    docker_ok(&["build", "--quiet", "--network", "none", "--label", label(), "--tag", &tag, path]);
    tag
}

fn install_busybox(dir: &Path) {
    fs::create_dir(dir).expect("a directory");
    fs::copy(BUSYBOX, dir.join("busybox")).expect("Debian's busybox-static is installed");
    let list = Command::new(BUSYBOX).arg("--list").output().expect("busybox runs");
    for applet in text(&list.stdout).lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", dir.join(applet)).expect("a link");
    }
}

/// busybox and rinit, which is the entry point.
pub fn image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        build(
            "FROM scratch\nCOPY bin /bin\nCOPY rinit /rinit\nENTRYPOINT [\"/rinit\", \"--\"]\n",
            &[("bin", Source::Busybox), ("rinit", Source::File(rinit()))],
        )
    })
}

/// busybox alone: an image that knows nothing of rinit.
pub fn plain_image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| build("FROM scratch\nCOPY bin /bin\nCMD [\"sh\"]\n", &[("bin", Source::Busybox)]))
}

/// A container, removed with its owner.
pub struct Container(String);

/// How a container that ran in the foreground ended.
pub struct Finished {
    pub container: Container,
    /// Status of `docker run`.
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Container {
    /// A name for the container, and the start of a `docker run` that makes it.
    pub fn prepare() -> (Self, Vec<String>) {
        let name = unique("container");
        let args = ["run", "--name", &name, "--label", label(), "--network", "none"].map(str::to_owned).to_vec();
        (Self(name), args)
    }

    /// `docker run OPTIONS IMAGE COMMAND` in the foreground.
    pub fn run(options: &[&str], image: &str, command: &[&str]) -> Finished {
        let (container, args) = Self::prepare();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = docker(&[&args, options, &[image], command].concat());
        let status = output.status.code().expect("docker is not killed");
        Finished { container, status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// `docker run --detach OPTIONS IMAGE COMMAND`.
    pub fn start(options: &[&str], image: &str, command: &[&str]) -> Self {
        let (container, args) = Self::prepare();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        docker_ok(&[&args, ["--detach"].as_slice(), options, &[image], command].concat());
        container
    }

    pub fn name(&self) -> &str {
        &self.0
    }

    /// Stdout and stderr of `docker logs`.
    pub fn logs(&self) -> (String, String) {
        let output = docker(&["logs", &self.0]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    }

    /// Waits for a line of the program's stdout.
    pub fn wait_for_line(&self, line: &str) {
        poll(line, || self.logs().0.lines().any(|l| l == line).then_some(()));
    }

    /// Waits until `command` is the command line of one of its processes. A signal that comes earlier can meet the
    /// runtime's own process, which loses it.
    pub fn wait_for_process(&self, command: &str) {
        let runs = |line: &str| line.trim_start().split_once(' ').is_some_and(|(_, args)| args.trim() == command);
        poll(command, || docker_ok(&["top", &self.0, "-eo", "pid,args"]).lines().any(runs).then_some(()));
    }

    /// Waits for the end; the exit status that `docker wait` gives.
    pub fn wait(&self) -> i32 {
        docker_ok(&["wait", &self.0]).parse().expect("a status")
    }

    /// `docker stop`, given far more time than it needs; the status.
    #[track_caller]
    pub fn stop(&self) -> i32 {
        const GRACE: u64 = 25;
        let start = Instant::now();
        docker_ok(&["stop", "--time", &GRACE.to_string(), &self.0]);
        assert!(start.elapsed() < Duration::from_secs(GRACE - 5), "docker stop had to kill");
        self.wait()
    }

    /// `docker inspect --format FORMAT`
    pub fn inspect(&self, format: &str) -> String {
        docker_ok(&["inspect", "--format", format, &self.0])
    }

    /// What `docker exec COMMAND` prints.
    pub fn exec(&self, command: &[&str]) -> String {
        docker_ok(&[["exec", &self.0].as_slice(), command].concat())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.0]);
    }
}
