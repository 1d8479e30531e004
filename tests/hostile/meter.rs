//! What a storm leaves of an rinit that comes to rest: nothing that was not there before.

use std::time::Instant;

use crate::common::{Io, Rinit, Running, proc};
use crate::{patience, rounds};

/// What happens for the first time may touch some pages of the stack and of the heap. Less than four bytes for each of those
/// that a storm is made of.
pub const FIRST_TIME_KB: u64 = 16;

/// Runs PROGRAM, which has a tenth of the `count` things that it makes come before `warm`, and the others when there is a line
/// to read. rinit may have grown by `most_kb`.
#[track_caller]
pub fn storm(run: Rinit, what: &str, count: usize, most_kb: u64) {
    let mut run = run.stdin(Io::Pipe).deadline(patience()).spawn();
    run.ready();
    run.expect_line("warm");
    let meter = Meter::start(&mut run);
    run.write_stdin(b"\n");
    run.expect_line("done");
    meter.stop(&mut run, &format!("{count} {what}"), count * 9 / 10, most_kb);
    run.write_stdin(b"\n");
    run.wait().assert_code(0);
}

/// rinit before the greater part of a storm.
struct Meter {
    start: Instant,
    anonymous_kb: u64,
    descriptors: Vec<(i32, String)>,
    ticks: u64,
}

impl Meter {
    fn start(run: &mut Running) -> Self {
        at_rest(run);
        let rinit = run.pid();
        let (anonymous_kb, descriptors) = (proc::anonymous_kb(rinit).unwrap(), proc::descriptors(rinit));
        Self { start: Instant::now(), anonymous_kb, descriptors, ticks: ticks(rinit) }
    }

    /// `count` things of the kind `what` came meanwhile, for which rinit may have grown by `most_kb`. Figures are for the
    /// full form.
    #[track_caller]
    fn stop(self, run: &mut Running, what: &str, count: usize, most_kb: u64) {
        let (took, rinit) = (self.start.elapsed(), run.pid());
        at_rest(run);
        let anonymous_kb = proc::anonymous_kb(rinit).unwrap();
        assert_eq!(proc::descriptors(rinit), self.descriptors, "after {what}");
        let most = self.anonymous_kb + most_kb;
        assert!(anonymous_kb <= most, "{anonymous_kb} kB of anonymous memory after {what}, {most} at most");
        if rounds() > 1 {
            let cpu = (ticks(rinit) - self.ticks) as f64 * 1e4 / count as f64;
            let wall = took.as_secs_f64() * 1e6 / count as f64;
            eprintln!("{what}: {wall:.2} us each, {cpu:.2} us of it rinit's CPU time, {anonymous_kb} kB anonymous");
        }
    }
}

/// CPU time, in hundredths of a second.
fn ticks(pid: i32) -> u64 {
    let stat = proc::stat(pid).unwrap();
    stat[11].parse::<u64>().unwrap() + stat[12].parse::<u64>().unwrap()
}

/// It waits, with one child left: everything is done.
fn at_rest(run: &mut Running) {
    let rinit = run.pid();
    run.until("rinit waits", || (proc::children(rinit).len() == 1 && proc::state(rinit)? == 'S').then_some(()));
}
