//! Puts the commit into `rinit --version`. A build without git, or from an archive, works too: it says `unknown`.

#![allow(clippy::print_stdout, reason = "a build script talks to cargo on stdout")]

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=RINIT_GIT_SHA");
    // Named files alone are watched; without any, cargo would run this again at a change of any file.
    println!("cargo::rerun-if-changed=build.rs");
    let given = std::env::var("RINIT_GIT_SHA").ok().filter(|sha| !sha.trim().is_empty());
    let sha = given.or_else(|| {
        watch_head();
        git(&["rev-parse", "--short=12", "HEAD"])
    });
    println!("cargo::rustc-env=RINIT_GIT_SHA={}", sha.as_deref().map_or("unknown", str::trim));
    leave_out_unwind_tables();
}

/// Nothing unwinds (src/sys/unwind.rs, `panic = "abort"`), and the tables for it come with std all the same: 80 kB. For the
/// shipped targets, whose linker takes such a script.
fn leave_out_unwind_tables() {
    println!("cargo::rerun-if-changed=src/sys/no-unwind-tables.ld");
    if std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "musl") {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sys/no-unwind-tables.ld");
        for argument in ["--no-eh-frame-hdr", &format!("--script={}", script.display())] {
            println!("cargo::rustc-link-arg-bin=rinit={argument}");
        }
    }
}

/// Has cargo run this script again when HEAD moves: HEAD itself changes at a checkout, its log at a commit as well; the
/// branch's own file stands in where no log is kept. A file that does not exist would count as changed every time.
fn watch_head() {
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "logs/HEAD"].into_iter().chain(branch.as_deref()) {
        if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

/// One line of git's output; `None` if git is missing or fails. A repository above this one, which merely holds a copy of
/// these sources, is not asked.
fn git(arguments: &[&str]) -> Option<String> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let output = Command::new("git").args(arguments).env("GIT_CEILING_DIRECTORIES", above).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !line.is_empty()).then_some(line)
}
