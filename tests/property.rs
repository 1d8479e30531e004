//! What holds for all input, tried with the seeds of fuzz/corpus, changed at random, and with random bytes. The same
//! inputs in every run: a failure comes back, with the smallest input that fails in the same way.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../fuzz/entry_points.rs"]
mod entry_points;

use std::collections::BTreeSet;
use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{RngAlgorithm, RngSeed, TestRng, TestRunner};
use rinit::diagnose::{Confidence, diagnose, provisional, registry};
use rinit::outcome::Outcome;

/// A seed with some bytes changed, put in, taken out, or doubled; or any bytes.
fn inputs(seeds: Vec<Vec<u8>>, longest: usize) -> impl Strategy<Value = Vec<u8>> {
    let telling = select(b" \n\t\0:()[]{},\"\\-=/x0189".as_slice());
    let change = (0..5_u8, any::<Index>(), prop_oneof![telling, any::<u8>()]);
    let changed = (select(seeds), vec(change, 1..=6)).prop_map(|(mut bytes, changes)| {
        for (how, at, byte) in changes {
            let at = at.index(bytes.len() + 1);
            match how {
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
    });
    prop_oneof![changed, vec(any::<u8>(), 0..=longest)]
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let directory = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{directory}: {error}"));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

fn hold(target: &str, rounds: u32, longest: usize) {
    let (name, run) = entry_points::ALL.into_iter().find(|(name, _)| *name == target).unwrap();
    let seeds = seeds(name);
    assert!(!seeds.is_empty());
    run(b"");
    for seed in &seeds {
        run(seed);
        (0..seed.len()).step_by(1 + seed.len() / 100).for_each(|end| run(&seed[..end]));
    }
    let (rng_seed, failure_persistence) = (RngSeed::Fixed(1), None);
    let config = ProptestConfig { cases: rounds, rng_seed, failure_persistence, ..ProptestConfig::default() };
    let result = TestRunner::new(config).run(&inputs(seeds, longest), |bytes| {
        run(&bytes);
        Ok(())
    });
    assert!(result.is_ok(), "{target}: {}", result.unwrap_err());
    let huge = [0_u8, b' ', b'(', b'"', b'\\', b'[', b'x', 0xff].map(|byte| vec![byte; 300_000]);
    huge.iter().for_each(|bytes| run(bytes));
}

#[test]
fn any_status() {
    hold("status", 40_000, 300);
}

#[test]
fn any_limits() {
    hold("limits", 40_000, 300);
}

#[test]
fn any_process() {
    hold("process", 40_000, 100);
}

#[test]
fn any_mount() {
    hold("mount", 40_000, 200);
}

#[test]
fn any_cgroup() {
    hold("cgroup", 40_000, 200);
}

#[test]
fn any_network() {
    hold("network", 40_000, 200);
}

#[test]
fn any_program() {
    hold("program", 40_000, 200);
}

#[test]
fn any_command_line() {
    hold("command_line", 40_000, 100);
}

#[test]
fn any_message() {
    hold("messages", 40_000, 100);
}

#[test]
fn any_tail() {
    hold("tail", 16_000, 300);
    entry_points::tail(&vec![b'1'; 10 << 20]);
}

#[test]
fn any_evidence() {
    hold("diagnosis", 8_000, 3000);
}

/// The generator is worth something only if it gets to the rules: most causes, and every one that can be certain.
#[test]
fn arbitrary_evidence_reaches_the_rules() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::XorShift);
    let (mut reached, mut certain) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..40_000 {
        let mut bytes = vec![0; random.random_range(0..=1200)];
        random.fill_bytes(&mut bytes);
        let (outcome, evidence) = entry_points::evidence(&bytes);
        let diagnosis = diagnose(&outcome, &evidence);
        reached.insert(diagnosis.cause.id);
        reached.insert(provisional(&evidence, &entry_points::running(&bytes, &evidence)).cause.id);
        if diagnosis.confidence == Confidence::Certain {
            certain.insert(diagnosis.cause.id);
        }
    }
    let ids = |causes: &[&rinit::diagnose::Cause]| causes.iter().map(|cause| cause.id).collect::<BTreeSet<&str>>();
    let all = ids(registry::ALL);
    let missing: Vec<_> = all.difference(&reached).collect();
    assert!(missing.len() * 10 <= all.len(), "not reached: {missing:?}");
    assert!(certain.len() >= 40, "{certain:?}");
}

/// The judge is worth something only if it can say no.
#[test]
fn without_evidence_nothing_is_proven() {
    let nothing = rinit::evidence::Evidence::default();
    for cause in registry::ALL {
        let outcome = Outcome::Exited(1);
        assert!(!entry_points::proof(cause.id, &outcome, &nothing), "{}", cause.id);
    }
}
