//! What holds for all input, tried with the seeds of fuzz/corpus, changed at random, and with random bytes. The same
//! numbers in every run: a failure comes back.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../fuzz/entry_points.rs"]
mod entry_points;

use std::collections::BTreeSet;
use std::fs;

use rinit::diagnose::{Confidence, diagnose};
use rinit::outcome::Outcome;

/// xorshift64* (S. Vigna, An experimental exploration of Marsaglia's xorshift generators).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// A seed with some bytes changed, put in, taken out, or doubled.
    fn change(&mut self, seed: &[u8]) -> Vec<u8> {
        const TELLING: &[u8] = b" \n\t\0:()[]{},\"\\-=/x0189";
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            let byte = if self.below(2) == 0 { TELLING[self.below(TELLING.len())] } else { self.next() as u8 };
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                3 => bytes.truncate(at),
                _ => {
                    let piece = bytes[at..bytes.len().min(at + 20)].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
        bytes
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let directory = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{directory}: {error}"));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

fn hold(target: &str, rounds: usize, longest: usize) {
    let (name, run) = entry_points::ALL.into_iter().find(|(name, _)| *name == target).unwrap();
    let (mut random, seeds) = (Random(0x9e37_79b9_7f4a_7c15), seeds(name));
    assert!(!seeds.is_empty());
    run(b"");
    for seed in &seeds {
        run(seed);
        (0..seed.len()).for_each(|end| run(&seed[..end]));
        (0..rounds / seeds.len()).for_each(|_| run(&random.change(seed)));
    }
    (0..rounds).for_each(|_| run(&random.bytes(longest)));
    let huge = [0_u8, b' ', b'(', b'"', b'\\', b'[', b'x', 0xff].map(|byte| vec![byte; 300_000]);
    huge.iter().for_each(|bytes| run(bytes));
}

#[test]
fn any_status() {
    hold("status", 20_000, 300);
}

#[test]
fn any_limits() {
    hold("limits", 20_000, 300);
}

#[test]
fn any_process() {
    hold("process", 20_000, 100);
}

#[test]
fn any_mount() {
    hold("mount", 20_000, 200);
}

#[test]
fn any_command_line() {
    hold("command_line", 20_000, 100);
}

#[test]
fn any_message() {
    hold("messages", 20_000, 100);
}

#[test]
fn any_evidence() {
    hold("diagnosis", 4_000, 3000);
}

/// The generator is worth something only if it gets to the rules: most causes, and every one that can be certain.
#[test]
fn arbitrary_evidence_reaches_the_rules() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut reached, mut certain) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..40_000 {
        let bytes = random.bytes(1200);
        let (outcome, evidence) = entry_points::evidence(&bytes);
        let diagnosis = diagnose(&outcome, &evidence);
        reached.insert(diagnosis.cause.id);
        if diagnosis.confidence == Confidence::Certain {
            certain.insert(diagnosis.cause.id);
        }
    }
    let all: BTreeSet<&str> = rinit::diagnose::registry::ALL.iter().map(|cause| cause.id).collect();
    let missing: Vec<_> = all.difference(&reached).collect();
    assert!(missing.len() * 10 <= all.len(), "not reached: {missing:?}");
    assert!(certain.len() >= 10, "{certain:?}");
}

/// The judge is worth something only if it can say no.
#[test]
fn without_evidence_nothing_is_proven() {
    let nothing = rinit::evidence::Evidence::default();
    for cause in rinit::diagnose::registry::ALL {
        let outcome = Outcome::Exited(1);
        assert!(!entry_points::proof(cause.id, &outcome, &nothing), "{}", cause.id);
    }
}
