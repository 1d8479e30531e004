//! Wiring: from argv to the exit status.

#![no_main]

mod pause;
mod run;
mod setup;

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::errno::Errno;

use rinit::cli::{self, Action, Peer};
use rinit::diagnose::wording;
use rinit::explain::explain;
use rinit::outcome::{OWN_FAILURE, Outcome};
use rinit::sink::stderr;
use rinit::sys::entry::Arguments;
use rinit::sys::heap::Heap;
use rinit::sys::signal::Inherited;
use rinit::sys::{descriptor, process};
use rinit::{check, child, install};

use pause::pause;
use run::Run;
use setup::{name_of, path};

#[global_allocator]
static HEAP: Heap = Heap::new(exhausted);

/// Not even what little memory rinit needs is there.
fn exhausted() -> ! {
    static AGAIN: AtomicBool = AtomicBool::new(false);
    // Saying so may take some, too.
    if !AGAIN.swap(true, Relaxed) {
        stderr::log_line(b"rinit: out of memory\n");
    }
    process::exit(OWN_FAILURE)
}

rinit::entry_point!(run);

fn run(mut arguments: Arguments) -> u8 {
    // First of all: a signal that arrives from here on is kept until PROGRAM can have it.
    let inherited = match Inherited::take() {
        Ok(inherited) => inherited,
        Err(errno) => return fail(&format!("cannot block signals: {}", errno.desc())),
    };
    if !HEAP.is_there() {
        stderr::log_line(b"rinit: no memory\n");
        return OWN_FAILURE;
    }
    // What else is not needed while PROGRAM runs is not inlined here: the frame would be that much larger all the time.
    // abort() would make it 139, and the message could hold a secret: the place is enough.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        stderr::log_line(format!("rinit: internal error at {place}\n").as_bytes());
        process::exit(OWN_FAILURE);
    }));
    match cli::parse(arguments.to_os_strings(), &|name| std::env::var_os(name)) {
        Ok(Action::Run { config, mut program }) => {
            let dashes = arguments.get(program + 1).is_some_and(|word| word.to_bytes() == b"--");
            if dashes && config.peer.is_some_and(Peer::takes_dashes_behind_program) {
                arguments.swap_with_next(program);
                program += 1;
            }
            Run::new(arguments, program, config).run(&inherited)
        }
        Ok(Action::Pause(config)) => pause(&config),
        Ok(Action::Check(config)) => print(check::check(&config.termination_log, config.format, &inherited).as_bytes()),
        Ok(Action::StandAside { program }) => stand_aside(arguments, program, &inherited),
        Ok(Action::Print(text)) => print(text.as_bytes()),
        Ok(Action::PrintToStderr(text)) => {
            stderr::write_report(text.as_bytes());
            0
        }
        Ok(Action::Explain { words, format }) => match explain(&words, format, columns()) {
            Ok(text) => print(text.as_bytes()),
            Err(wrong) => fail(&wrong),
        },
        Ok(Action::Install(path)) => install::install(path.as_ref()).map_or_else(|error| fail(&error), |()| 0),
        Err(usage) => match arguments.get(0).map(CStr::to_bytes).filter(|name| Peer::by_name(name).is_some()) {
            Some(name) => {
                stderr::write_report(format!("{}: {}\n", wording::name(name), usage.0).as_bytes());
                Peer::USAGE_STATUS
            }
            None => fail(&usage.0),
        },
    }
}

fn fail(message: &str) -> u8 {
    stderr::write_report(format!("rinit: {message}\n").as_bytes());
    OWN_FAILURE
}

fn print(mut text: &[u8]) -> u8 {
    while !text.is_empty() {
        match nix::unistd::write(descriptor::stdout(), text) {
            Ok(written) => text = text.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return fail(&format!("cannot write to stdout: {}", errno.desc())),
        }
    }
    0
}

/// How wide a text may be: what COLUMNS or else the terminal says, 80 where there is none.
fn columns() -> usize {
    let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    set.or_else(|| descriptor::columns(descriptor::stdout()).map(usize::from)).unwrap_or(80)
}

/// `RINIT_OFF=1`
#[inline(never)]
fn stand_aside(arguments: Arguments, program: usize, inherited: &Inherited) -> u8 {
    let error = child::Command::new(arguments, program, path().as_deref()).become_program(inherited);
    fail(&format!("cannot start {}: {}", name_of(arguments, program), Errno::from_raw(error.errno).desc()));
    Outcome::NotStarted(error).exit_status()
}
