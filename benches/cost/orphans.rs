//! A storm of orphans: how long it takes under each init, and under a loop of waitpid(2) that does nothing else.

use std::path::Path;

use crate::elf::{ORPHANED, ORPHANS, REAPER};
use crate::namespace::{Program, Run, Stderr};
use crate::{ATTEMPTS, Init, median};

/// Storms under each, in turns.
pub const ROUNDS: usize = 5;

/// Medians in microseconds for each orphan: by row, and under the bare loop.
pub fn times(inits: &[Init], scratch: &Path, is_enough: impl Fn(&[f64], f64) -> bool) -> (Vec<f64>, f64) {
    let orphans = Program::new(scratch, "orphans", ORPHANS, 0);
    let bare = Program::new(scratch, "reaper", &[REAPER, ORPHANS].concat(), 0);
    let mut runs: Vec<Run> = inits.iter().map(|init| Run::new(init, &orphans, Stderr::Null)).collect();
    runs.push(Run::bare(&bare));
    let mut attempt = || {
        let mut samples = vec![Vec::with_capacity(ROUNDS); runs.len()];
        for round in 0..ROUNDS {
            for i in 0..runs.len() {
                let i = (i + round) % runs.len();
                samples[i].push(runs[i].time() / ORPHANED as f64);
            }
        }
        let mut medians: Vec<f64> = samples.into_iter().map(median).collect();
        let bare = medians.pop().expect("the last row");
        (medians, bare)
    };
    let mut measured = attempt();
    for _ in 1..ATTEMPTS {
        if !is_enough(&measured.0, measured.1) {
            measured = attempt();
        }
    }
    measured
}
