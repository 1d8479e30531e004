//! The program that the tests run under rinit: it says what it was given and which signals arrive.
//!
//! No Rust runtime in front of main: that one ignores SIGPIPE and opens closed descriptors, and the tests look at both.
#![no_main]
#![allow(unsafe_code, missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::expect_used, clippy::undocumented_unsafe_blocks)]

mod listen;
mod memory;
mod processes;
mod raw;
mod state;

use std::ffi::{CStr, c_char, c_int};

const USAGE: &str = "probe: listen|state|exit|die|hold|orphans|leave|daemonise|seccomp|parent|noreap|eat|storm|contain";

/// An exit status that no test expects otherwise: it lived on.
pub const SURVIVED: c_int = 77;

#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    let args: Vec<&CStr> = (0..argc as usize).map(|n| unsafe { CStr::from_ptr(*argv.add(n)) }).collect();
    let words: Vec<&str> = args.iter().skip(1).map(|a| a.to_str().unwrap_or("")).collect();
    match words[..] {
        ["listen", ref options @ ..] => listen::listen(options),
        // The rest of the arguments is there to be shown.
        ["state", path, ..] => state::write(&args, path),
        ["exit", code] => code.parse().unwrap(),
        ["die", signal] => processes::die(signal.parse().unwrap()),
        ["hold"] => processes::hold(),
        ["orphans", count] => processes::orphans(count.parse().unwrap()),
        ["leave", count] => processes::leave(count.parse().unwrap()),
        ["daemonise"] => processes::daemonise(),
        ["seccomp"] => processes::seccomp(),
        ["parent", ..] => processes::parent(&args[2..]),
        ["eat", mib, pause, status] => {
            memory::eat(mib.parse().unwrap(), pause.parse().unwrap(), status.parse().unwrap())
        }
        ["storm", seconds] => memory::storm(seconds.parse().unwrap()),
        ["contain", namespaces, cgroup, ..] => memory::contain(namespaces == "private", cgroup, &args[4..]),
        ["noreap", ..] => processes::noreap(&args[2..]),
        _ => {
            raw::print(USAGE);
            2
        }
    }
}
