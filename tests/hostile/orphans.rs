//! Orphans in great number.

use std::path::Path;

use crate::common::{self, Io, PLACES, Rinit};
use crate::meter::{FIRST_TIME_KB, storm};
use crate::rounds;

/// What is allocated for a line of the log is taken back in the end only where it was allocated last; when the arena is
/// used up libc's heap goes on, which takes back everything (src/sys/heap.rs).
const ARENA_KB: u64 = 256;

#[test]
fn a_storm_of_orphans_leaves_nothing() {
    // The full form compares, too.
    let full = rounds() > 1;
    let count = if full { 20_000 * rounds() } else { 5_000 };
    let orphans = ["orphans-at-once".to_owned(), count.to_string()];
    for place in PLACES {
        storm(place().probe(&orphans), "orphans, rinit", count, FIRST_TIME_KB);
    }
    storm(Rinit::as_init().args(["--tail", "20"]).probe(&orphans), "orphans, rinit --tail 20", count, FIRST_TIME_KB);
    storm(
        Rinit::as_init().args(["-w"]).stderr(Io::Null).probe(&orphans),
        "orphans, rinit -w",
        count,
        FIRST_TIME_KB + ARENA_KB,
    );
    let probe = common::probe();
    let bare = Rinit::as_init().init(&probe).args(["reap".as_ref(), probe.as_os_str()]).args(&orphans);
    storm(bare, "orphans, nothing but waitpid", count, FIRST_TIME_KB);
    let tini = Path::new("/usr/bin/tini-static");
    if full && tini.exists() {
        storm(Rinit::as_init().init(tini).probe(&orphans), "orphans, tini-static", count, FIRST_TIME_KB);
    }
}
