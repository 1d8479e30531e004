//! The program that the tests run under rinit: it says what it was given and which signals arrive.
//!
//! No Rust runtime in front of main: that one ignores SIGPIPE and opens closed descriptors, and the tests look at both.
#![no_main]
#![allow(unsafe_code, missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::expect_used, clippy::undocumented_unsafe_blocks)]

mod attack;
mod count;
mod hostile;
mod listen;
mod memory;
mod processes;
mod raw;
mod state;

use std::ffi::{CStr, c_char, c_int};

const USAGE: &str = "probe: listen|state|exit|die|hold|block|deaf-handler|litter|orphans|leave|daemonise|seccomp|deny|bury|parent|noreap|gate|around|eat|storm|contain|inside|forks|zombies|stops|pesters|orphans-at-once|reap|attack-log|names|traced|traceme|touch|ends|takes|count";

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
        ["block", signal] => {
            raw::set_mask(1 << (signal.parse::<u32>().unwrap() - 1));
            processes::hold()
        }
        ["deaf-handler"] => processes::deaf_handler(),
        ["litter", count] => processes::litter(count.parse().unwrap()),
        ["orphans", count] => processes::orphans(count.parse().unwrap()),
        ["leave", count] => processes::leave(count.parse().unwrap()),
        ["daemonise"] => processes::daemonise(),
        ["seccomp"] => processes::seccomp(),
        ["deny", call, errno, ..] => processes::deny(call, errno.parse().unwrap(), &args[4..]),
        ["bury", ..] if args.len() > 3 => processes::bury(args[2], &args[3..]),
        ["parent", ..] => processes::parent(&args[2..]),
        ["eat", mib, pause, status] => {
            memory::eat(mib.parse().unwrap(), pause.parse().unwrap(), status.parse().unwrap())
        }
        ["storm", seconds] => memory::storm(seconds.parse().unwrap()),
        ["contain", namespaces, cgroup, ..] => memory::contain(namespaces == "private", cgroup, &args[4..]),
        ["inside", cgroup, ..] => memory::inside(cgroup, &args[3..]),
        ["gate", ..] => processes::gate(&args[2..]),
        ["around", ..] => processes::around(&args[2..]),
        ["forks", how] => hostile::forks(how),
        ["zombies", count, ..] => hostile::zombies(count.parse().unwrap(), &args[3..]),
        ["stops"] => hostile::stops(),
        ["pesters", signals] => hostile::pesters(signals, None),
        ["pesters", signals, status] => hostile::pesters(signals, Some(status.parse().unwrap())),
        ["orphans-at-once", count] => processes::orphans_at_once(count.parse().unwrap()),
        ["reap", ..] => processes::reap(&args[2..]),
        ["attack-log", log, victim] => attack::log(log, victim),
        ["names", how, ..] => attack::names(how),
        ["traced"] => attack::traced(),
        ["traceme", ..] => attack::traceme(&args[2..]),
        ["touch", uid] => attack::touch(uid.parse().unwrap()),
        ["ends", order] => attack::ends(order),
        ["takes", signal] => count::takes(signal.parse().unwrap()),
        ["count", signals] => count::count(signals.parse().unwrap()),
        ["noreap", ..] => processes::noreap(&args[2..]),
        _ => {
            raw::print(USAGE);
            2
        }
    }
}
