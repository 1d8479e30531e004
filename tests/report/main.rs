//! Where the report goes, what keeps it from going there, and what never goes there.
#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stderr, clippy::undocumented_unsafe_blocks)]

#[path = "../common/mod.rs"]
mod common;

mod discovery;
mod logging;
mod message;
mod obstacles;
mod secrets;
mod settings;
mod stderr;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use common::{Rinit, TempDir};
use rinit::report::is_json;

pub const DEFAULT: &str = "/dev/termination-log";

impl Rinit {
    /// `-- sh -c SCRIPT`
    fn sh(self, script: &str) -> Self {
        self.args(["--", "sh", "-c", script])
    }

    /// `--termination-log PATH`
    fn log(self, path: impl AsRef<Path>) -> Self {
        self.args([Path::new("--termination-log"), path.as_ref()])
    }

    /// No `RINIT_TERMINATION_LOG`. Only together with a /dev of its own: rinit makes the file where there is none.
    fn default_log(self, dev: &Dev) -> Self {
        self.env_remove("RINIT_TERMINATION_LOG").bind(&dev.0, "/dev")
    }
}

/// A /dev for one run, without a termination log.
pub struct Dev(PathBuf);

impl Dev {
    pub fn new(dir: &TempDir) -> Self {
        let dev = dir.join("dev");
        fs::create_dir(&dev).unwrap();
        fs::set_permissions(&dev, PermissionsExt::from_mode(0o777)).unwrap();
        // Links into the machine's own, which is mounted nowhere else: the descriptors are enough for a shell.
        for name in ["stdin", "stdout", "stderr"] {
            let number = ["stdin", "stdout", "stderr"].iter().position(|n| *n == name).unwrap();
            symlink(format!("/proc/self/fd/{number}"), dev.join(name)).unwrap();
        }
        fs::write(dev.join("null"), "").unwrap();
        fs::set_permissions(dev.join("null"), PermissionsExt::from_mode(0o666)).unwrap();
        Self(dev)
    }

    /// With a file at the default path, as something to mount upon.
    pub fn with_log(dir: &TempDir) -> Self {
        let dev = Self::new(dir);
        fs::write(dev.log(), "").unwrap();
        dev
    }

    pub fn log(&self) -> PathBuf {
        self.0.join("termination-log")
    }
}

/// A file of mode 0666, as the kubelet makes it.
pub fn file(dir: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    path
}

/// What kind of report `text` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    None,
    /// Line 1 alone.
    Line,
    Text,
    Json,
}

/// Checks the grammar of what has to be a report or nothing, without its final newline.
#[track_caller]
pub fn kind(text: &str) -> Kind {
    if text.is_empty() {
        return Kind::None;
    }
    assert!(text.bytes().all(|b| b == b'\n' || (b' '..=b'~').contains(&b)), "ASCII without control bytes: {text:?}");
    assert!(!text.ends_with('\n'), "{text:?}");
    if is_json(text.as_bytes()) {
        assert!(text.starts_with("{\"schema\":1,\"cause\":{\"id\":\"") && !text.contains('\n'), "{text}");
        return Kind::Json;
    }
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("rinit: "), "{text}");
    let Some(cause) = lines.next() else { return Kind::Line };
    let confidence = cause.strip_prefix("      cause: ").and_then(|c| c.split_once(' ')).expect(text).1;
    assert!(["(certain)", "(likely)", "(possible)", "(unknown)"].contains(&confidence), "{text}");
    let keys = ["      evidence: ", "      ruled out: ", "      not known: ", "      next: ", "      last lines:"];
    let own = lines.clone().skip_while(|line| *line != "      last lines:").skip(1);
    assert!(own.clone().all(|line| line.starts_with("        ")), "the program's own lines stand at the end: {text}");
    let keyed = lines.clone().count() - own.count();
    let order: Vec<_> = lines.take(keyed).map(|l| keys.iter().position(|k| l.starts_with(k)).expect(text)).collect();
    assert!(order.is_sorted_by(|a, b| a < b), "at most once each, in this order: {text}");
    Kind::Text
}

/// The whole content.
#[track_caller]
pub fn read(path: &Path) -> String {
    String::from_utf8(fs::read(path).unwrap()).unwrap()
}

/// The file holds nothing but a report that says this.
#[track_caller]
pub fn assert_report(path: &Path, says: &str) {
    let text = read(path);
    assert_eq!(kind(&text), Kind::Text, "{text}");
    assert!(text.lines().next().unwrap().contains(says), "{text}");
    assert!(text.len() <= 1024, "{} bytes", text.len());
}
