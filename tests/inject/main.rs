//! Every system call that rinit makes fails: each call, at each of its occurrences, with each errno that it may have in
//! life (calls.rs), once and from then on for ever; each is held for a moment, so that the others are faster; and at each
//! a signal comes, which must not be lost. In every scenario (scenarios.rs), as PID 1 and not. The status is right all the
//! same; or PROGRAM was not started, rinit says so, and nothing is left running. It ends, it does not turn in circles, the
//! termination log is whole.
//!
//! The scenarios with a memory limit need cgroup v2, and run where TEST_CGROUP names its root: tests/guest.rs sees to it.
//!
//! In short, which is the first and the last occurrence and an errno or two: `cargo test --test inject -- --ignored`.
//! In full: `TEST_ROUNDS=10 cargo test --test inject -- --ignored --nocapture`. One run of them:
//! `TEST_ONLY='tail: rinit poll 2 ENOMEM|tail: child'`, parts of what the failures call it.
#![cfg(target_arch = "x86_64")]
#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::indexing_slicing, clippy::undocumented_unsafe_blocks, clippy::print_stderr)]

mod calls;
#[path = "../common/mod.rs"]
mod common;
mod judge;
mod play;
mod scenarios;
#[path = "../common/schema.rs"]
mod schema;
mod tracer;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::Mutex;

use calls::{errno_name, lasts, row};
use common::each;
use scenarios::{SCENARIOS, Scenario};
use tracer::{Act, Plan, Side};

/// One run to be.
#[derive(Clone, Copy)]
struct Case {
    scenario: &'static Scenario,
    plan: Plan,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { side, call, occurrence, act } = self.plan;
        let side = if side == Side::Rinit { "rinit" } else { "child" };
        write!(f, "{}: {side} {} {occurrence} ", self.scenario.name, row(call).name)?;
        match act {
            Act::Nothing => write!(f, "as it is"),
            Act::Fail(errno) => write!(f, "{}", errno_name(errno)),
            Act::FailForEver(errno) => write!(f, "{} for ever", errno_name(errno)),
            Act::HoldEnter => write!(f, "starts late"),
            Act::HoldExit => write!(f, "returns late"),
            Act::Signal => write!(f, "meets SIGUSR1"),
        }
    }
}

#[derive(Default, Clone, Copy)]
struct Count {
    runs: usize,
    /// In which the call was made again, and failed.
    hit: usize,
    right: usize,
}

impl Count {
    fn add(&mut self, hit: bool, right: bool) {
        self.runs += 1;
        self.hit += usize::from(hit);
        self.right += usize::from(right);
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:6} runs, {:6} reached, {:6} right", self.runs, self.hit, self.right)
    }
}

fn is_full() -> bool {
    std::env::var("TEST_ROUNDS").is_ok_and(|rounds| rounds.parse::<usize>().unwrap() > 1)
}

/// How memory is watched, and told of.
const WATCHED_BY: [i64; 6] =
    [libc::SYS_poll, libc::SYS_open, libc::SYS_read, libc::SYS_pread64, libc::SYS_pwritev2, libc::SYS_waitid];

/// What there is to try, from what rinit was seen to call.
fn cases(scenario: &'static Scenario, calls: &[(Side, i64)]) -> Vec<Case> {
    let mut seen: BTreeMap<(Side, i64), usize> = BTreeMap::new();
    // Those that rinit makes while PROGRAM runs: from its first wait on, until PROGRAM is reaped. Or until the end, where
    // that is about memory.
    let mut watch: BTreeMap<i64, (usize, usize)> = BTreeMap::new();
    let mut phase = 0;
    for call in calls {
        let count = seen.entry(*call).or_default();
        *count += 1;
        match call {
            (Side::Rinit, libc::SYS_poll) if phase == 0 => phase = 1,
            (Side::Rinit, libc::SYS_wait4) if phase == 1 && !scenario.of_the_end => phase = 2,
            _ => {}
        }
        if phase == 1 && call.0 == Side::Rinit {
            watch.entry(call.1).or_insert((*count, *count)).1 = *count;
        }
    }
    let mut cases = Vec::new();
    for ((side, call), count) in seen {
        let errnos = row(call).errnos;
        let mut add = |occurrence, act| cases.push(Case { scenario, plan: Plan { side, call, occurrence, act } });
        // Nothing is lost at any moment but before the very first call, which is what sees to that.
        let signals = scenario.program == ["hold"] && (side, call) != (Side::Rinit, libc::SYS_rt_sigprocmask);
        for occurrence in (1..=count).filter(|_| signals) {
            add(occurrence, Act::Signal);
        }
        let watch = watch.get(&call).filter(|_| side == Side::Rinit && scenario.memory.is_some());
        for occurrence in 1..=count {
            // The short form takes another errno in each scenario.
            let place = SCENARIOS.iter().position(|other| other.name == scenario.name).unwrap();
            let turn = place + occurrence;
            let chosen = match watch {
                Some((first, last)) if (*first..=*last).contains(&occurrence) => {
                    let all = is_full() || scenario.of_the_end && WATCHED_BY.contains(&call);
                    all || occurrence == *first || turn.is_multiple_of(4)
                }
                // What comes before and after is what the others have, too.
                _ if scenario.memory.is_some() => is_full() && scenario.of_the_end,
                _ => is_full() || occurrence == 1 || occurrence == count,
            };
            if !chosen {
                continue;
            }
            for (number, errno) in errnos.iter().enumerate() {
                let its_turn = is_full() || turn % errnos.len() == number;
                if its_turn {
                    add(occurrence, Act::Fail(*errno));
                }
                // Where nothing can ever be read, nothing can pass through.
                let relays =
                    call == libc::SYS_read && scenario.options.iter().any(|option| option.starts_with("--tail"));
                // For ever from a later one on: what comes before it has been seen, one errno shows the rest.
                let first = watch.map_or(1, |(first, _)| *first);
                let for_ever = occurrence == first && its_turn || is_full() && number == 0;
                if for_ever && lasts(call, *errno) && !relays {
                    add(occurrence, Act::FailForEver(*errno));
                }
            }
            if is_full() || occurrence == 1 && place.is_multiple_of(3) {
                add(occurrence, Act::HoldEnter);
                add(occurrence, Act::HoldExit);
            }
        }
    }
    cases
}

#[test]
#[ignore = "a minute, and a quarter of an hour in full"]
fn every_call_fails() {
    let only = std::env::var("TEST_ONLY").ok();
    let mut all = Vec::new();
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.memory.is_some() == play::cgroups().is_some()) {
        let plan = Plan { side: Side::Rinit, call: libc::SYS_exit_group, occurrence: 0, act: Act::Nothing };
        let run = play::play(scenario, plan, usize::MAX);
        let wrong = judge::judge(scenario, plan, &run, None);
        assert!(wrong.is_none(), "{}, undisturbed: {}\n{run:?}", scenario.name, wrong.unwrap());
        all.push((scenario, run));
    }
    let wanted = |case: &Case| {
        let case = case.to_string();
        only.as_ref().is_none_or(|only| only.split('|').any(|part| case.contains(part)))
    };
    let mut todo: Vec<(Case, &play::Run)> = Vec::new();
    for (scenario, run) in &all {
        todo.extend(cases(scenario, &run.trace.calls).into_iter().filter(wanted).map(|case| (case, run)));
    }
    say(&format!("{} runs", todo.len()));
    type Counts<K> = Mutex<BTreeMap<K, Count>>;
    let by_scenario: Counts<&str> = Mutex::default();
    let by_call: Counts<(Side, &str)> = Mutex::default();
    let failures: Mutex<Vec<String>> = Mutex::default();
    each(todo, |(case, undisturbed)| {
        let most = undisturbed.trace.calls.len() + 3000;
        let run = play::play(case.scenario, case.plan, most);
        let wrong = judge::judge(case.scenario, case.plan, &run, Some(undisturbed));
        let (hit, right) = (run.hits > 0, wrong.is_none());
        by_scenario.lock().unwrap().entry(case.scenario.name).or_default().add(hit, right);
        by_call.lock().unwrap().entry((case.plan.side, row(case.plan.call).name)).or_default().add(hit, right);
        if let Some(wrong) = wrong {
            let failure = format!("{case}: {wrong}\n{run:?}");
            say(&format!("FAILED {failure}"));
            failures.lock().unwrap().push(failure);
        }
    });
    let mut total = Count::default();
    for ((side, name), count) in by_call.into_inner().unwrap() {
        let errnos: Vec<String> = calls::CALLS
            .iter()
            .filter(|call| call.name == name)
            .flat_map(|call| call.errnos.iter().map(|errno| errno_name(*errno)))
            .collect();
        say(&format!("{:5} {name:16} {count}   {}", format!("{side:?}").to_lowercase(), errnos.join(" ")));
    }
    for (name, count) in by_scenario.into_inner().unwrap() {
        say(&format!("{name:28} {count}"));
        total.runs += count.runs;
        total.hit += count.hit;
        total.right += count.right;
    }
    say(&format!("{:28} {total}", "all"));
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} runs went wrong:\n{}", failures.len(), total.runs, failures.join("\n"));
}

/// Past the test harness, which keeps to itself what a test that passes prints.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
