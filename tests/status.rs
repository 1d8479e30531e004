//! The status that comes out is the status that went in (design: "Exit status").
#![allow(clippy::indexing_slicing)]

mod common;

use common::Rinit;

#[test]
fn smoke() {
    Rinit::as_init().probe(["exit", "3"]).run().assert_code(3);
    Rinit::as_subreaper().probe(["exit", "4"]).run().assert_code(4);
    if let Some(run) = Rinit::as_unprivileged_init() {
        run.probe(["exit", "5"]).run().assert_code(5);
    }
    let mut run = Rinit::as_init().probe(["listen", "until=15"]).spawn();
    run.ready();
    run.signal(10);
    assert_eq!(run.expect_signal().signal, 10);
    run.signal(15);
    run.wait().assert_code(0);
}
