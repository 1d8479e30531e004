//! `docker exec`, probes and hooks leave processes to PID 1.

use crate::engine::{Container, image, poll};

/// Ten processes whose parents end before them. Their name is no other's here.
const ORPHANS: &str = "for i in 1 2 3 4 5; do (usleep 100000 &); usleep 100000 & done";

/// The stat lines of the orphans that are still there.
fn orphans(container: &Container) -> Vec<String> {
    let stat = container.exec(&["sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null || true"]);
    stat.lines().filter(|line| line.contains("(usleep)")).map(str::to_owned).collect()
}

#[test]
#[ignore = "needs a Docker engine"]
fn leaves_no_zombies() {
    let container = Container::start(&[], image(), &["sleep", "1000"]);
    container.exec(&["sh", "-c", ORPHANS]);
    poll("the last orphan", || orphans(&container).is_empty().then_some(()));
    assert_eq!(container.inspect("{{.State.Status}}"), "running");
}

/// The same leaves ten zombies where PID 1 does not reap, so that the test above can fail.
#[test]
#[ignore = "needs a Docker engine"]
fn would_leave_zombies_without_rinit() {
    let container = Container::start(&["--entrypoint", "sleep"], image(), &["1000"]);
    container.exec(&["sh", "-c", ORPHANS]);
    poll("ten zombies", || {
        (orphans(&container).iter().filter(|line| line.contains("(usleep) Z ")).count() == 10).then_some(())
    });
}
