//! What rinit does while its calls fail.

use libc::{SIGHUP, SIGTERM, SIGUSR1};

/// One step from outside, after the one before has shown its effect.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// PROGRAM writes a line.
    Line,
    /// rinit has done all that there is to do, or turns in circles.
    Quiet,
    /// rinit is sent this signal, and PROGRAM writes a line.
    Signal(i32),
    /// The same by sigqueue(3).
    Queue(i32),
    /// rinit is sent this signal, and everything ends.
    Stop(i32),
    /// The log has this many reports.
    Reports(usize),
}
use Step::{Line, Queue, Quiet, Reports, Signal, Stop};

#[derive(Debug)]
pub struct Scenario {
    pub name: &'static str,
    /// Whether rinit is PID 1.
    pub init: bool,
    pub terminal: bool,
    /// Where the kubelet mounts it, instead of a path by hand.
    pub default_log: bool,
    /// In a cgroup (v2) with this limit; they run where TEST_CGROUP says, and the others everywhere else.
    pub memory: Option<&'static str>,
    /// One OOM kill ends all of the container.
    pub dies_whole: bool,
    /// What is read of memory at the end decides what is said.
    pub of_the_end: bool,
    pub options: &'static [&'static str],
    /// The probe's arguments, or `!` and the name of another program.
    pub program: &'static [&'static str],
    pub steps: &'static [Step],
    pub status: i32,
    /// Words that would be a lie, whatever fails.
    pub never: &'static [&'static str],
}

const BASE: Scenario = Scenario {
    name: "",
    init: true,
    terminal: false,
    default_log: false,
    memory: None,
    dies_whole: false,
    of_the_end: false,
    options: &[],
    program: &[],
    steps: &[],
    status: 0,
    never: &[],
};

/// PROGRAM comes to its limit, rests there a little, and is killed.
const OVER_THE_LIMIT: Scenario = Scenario {
    memory: Some("12M"),
    program: &["eat", "24", "20", "0"],
    status: 137,
    never: &["not by the OOM killer", "oom_kill still", "no OOM kill", "an OOM kill ("],
    ..BASE
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "exit", program: &["exit", "3"], status: 3, ..BASE },
    Scenario { name: "exit, not PID 1", init: false, program: &["exit", "3"], status: 3, ..BASE },
    Scenario { name: "success", default_log: true, program: &["exit", "0"], ..BASE },
    Scenario { name: "no such command", program: &["!no-such-command"], status: 127, ..BASE },
    Scenario { name: "a directory, not PID 1", init: false, program: &["!/usr"], status: 126, ..BASE },
    Scenario {
        name: "signals",
        program: &["listen", "raw", "until=15"],
        steps: &[Line, Quiet, Signal(SIGUSR1), Queue(40), Signal(SIGHUP), Stop(SIGTERM)],
        ..BASE
    },
    Scenario { name: "held", program: &["hold"], steps: &[Line, Stop(SIGTERM)], status: 143, ..BASE },
    Scenario {
        name: "group, not PID 1",
        init: false,
        options: &["-g"],
        program: &["hold"],
        steps: &[Line, Stop(SIGTERM)],
        status: 143,
        ..BASE
    },
    Scenario {
        name: "terminal",
        terminal: true,
        program: &["listen", "until=15"],
        steps: &[Line, Signal(SIGUSR1), Stop(SIGTERM)],
        ..BASE
    },
    Scenario {
        name: "terminal, group, not PID 1",
        init: false,
        terminal: true,
        options: &["-g"],
        program: &["listen", "until=15"],
        steps: &[Line, Signal(SIGUSR1), Stop(SIGTERM)],
        ..BASE
    },
    Scenario {
        name: "tail",
        options: &["--tail=5", "--tail-stdout"],
        program: &["!sh", "-c", "echo one; echo two >&2; echo three; echo four >&2; exit 4"],
        status: 4,
        ..BASE
    },
    Scenario {
        name: "tail that lasts",
        options: &["--tail=5", "--tail-stdout"],
        program: &["listen", "until=15"],
        steps: &[Line, Quiet, Signal(SIGUSR1), Stop(SIGTERM)],
        ..BASE
    },
    Scenario {
        name: "stop timeout",
        options: &["--stop-timeout=200ms"],
        program: &["deaf-handler"],
        steps: &[Line, Signal(SIGTERM), Quiet],
        status: 137,
        ..BASE
    },
    Scenario { name: "drain", options: &["--drain=200ms"], program: &["litter", "4"], status: 3, ..BASE },
    Scenario {
        name: "drain, not PID 1",
        init: false,
        options: &["--drain=200ms"],
        program: &["litter", "4"],
        status: 3,
        ..BASE
    },
    Scenario {
        name: "provisional",
        default_log: true,
        program: &["hold"],
        steps: &[Line, Reports(1), Stop(SIGTERM)],
        status: 143,
        ..BASE
    },
    Scenario {
        name: "json",
        options: &["--format=json"],
        program: &["listen", "until=64"],
        steps: &[Line, Signal(SIGHUP), Reports(2), Stop(64)],
        ..BASE
    },
    Scenario { name: "killed, json", options: &["--format=json"], program: &["die", "9"], status: 137, ..BASE },
    Scenario { name: "fault", options: &["--tail=5"], program: &["die", "11"], status: 139, ..BASE },
    Scenario { name: "orphans", options: &["-w"], program: &["orphans", "3"], steps: &[Line, Line, Quiet], ..BASE },
    Scenario { name: "left behind", program: &["litter", "4"], status: 3, ..BASE },
    Scenario { name: "pause", options: &["--pause"], steps: &[Quiet, Stop(SIGTERM)], ..BASE },
    Scenario { name: "out of memory", of_the_end: true, ..OVER_THE_LIMIT },
    Scenario { name: "out of memory, all die", dies_whole: true, ..OVER_THE_LIMIT },
    Scenario {
        name: "out of memory, all die, shield",
        dies_whole: true,
        options: &["--oom-shield", "--format=json"],
        ..OVER_THE_LIMIT
    },
    Scenario {
        name: "out of memory, PROGRAM lives",
        program: &["!sh", "-c", "\"$PROBE\" eat 24 0 0; exec \"$PROBE\" hold"],
        steps: &[Line, Reports(2), Stop(SIGTERM)],
        status: 143,
        ..OVER_THE_LIMIT
    },
];
