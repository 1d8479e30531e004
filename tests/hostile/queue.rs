//! Real-time signals are counted: every one that the kernel has accepted from its sender reaches PROGRAM, in order, also
//! where there is no more room for it (RLIMIT_SIGPENDING). Of the others, every kind.

use crate::common::{self, Io, PLACES, Rinit, Running, each, is_root, proc};
use crate::meter::{FIRST_TIME_KB, storm};
use crate::{patience, rounds};

const SIGNAL: i32 = 40;
const LIMIT: i32 = 64;

/// With room for so many queued signals. They are counted by user, of whom nobody else must be one.
fn with_room(run: Rinit, room: i32, user: u32) -> Rinit {
    run.rlimit(libc::RLIMIT_SIGPENDING, room as u64, room as u64).uid(user)
}

fn send(run: &mut Running, value: i32) {
    let pid = run.pid();
    run.until("there is room", || common::try_sigqueue(pid, SIGNAL, value).then_some(()));
}

#[test]
fn a_program_that_takes_no_signals_gets_all_of_them_later() {
    if !is_root("a user of its own") {
        return;
    }
    each([0, 1].map(|n| (PLACES[n], 4100 + n as u32)), |(place, user)| {
        let run = with_room(place(), LIMIT, user).stdin(Io::Pipe).deadline(patience());
        let mut run = run.probe(["takes", "40"]).spawn();
        run.ready();
        let mut next = 0;
        let (pid, program) = (run.pid(), run.program());
        // No sender is told that there is room where there is none.
        let mut tries = 0;
        let full = run.until("the queue is full", || {
            while next < 10 * LIMIT && common::try_sigqueue(pid, SIGNAL, next) {
                next += 1;
            }
            tries += 1;
            (next == 10 * LIMIT || tries == 500).then_some(next)
        });
        assert!((LIMIT / 2..3 * LIMIT).contains(&full), "{full} signals were accepted where {LIMIT} have room");
        // The others pass by.
        for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGWINCH] {
            run.signal(signal);
            let bit = 1 << (signal - 1);
            run.until("it is pending", || (proc::signal_set(program, "ShdPnd")? & bit != 0).then_some(()));
        }
        run.write_stdin(b"\n");
        while next < 10 * LIMIT {
            send(&mut run, next);
            next += 1;
        }
        send(&mut run, -1);
        let ended = run.wait();
        assert!(ended.assert_code(0).stdout().contains(&format!("took {next}\n")), "sent {next}: {ended:?}");
    });
}

#[test]
fn four_senders_are_counted() {
    if !is_root("a user of its own") {
        return;
    }
    let each_sends = 5000 * rounds();
    // With little room it is the senders who wait. With much the kernel does: it looks through all that is queued for the
    // next one of a kind.
    for (room, user) in [(LIMIT, 4102), (1024, 4104)] {
        for (place, user) in PLACES.into_iter().zip(user..) {
            let run = with_room(place(), room, user).probe(["count", &each_sends.to_string()]);
            storm(run, &format!("signals with room for {room}"), 4 * each_sends, FIRST_TIME_KB);
        }
    }
}
