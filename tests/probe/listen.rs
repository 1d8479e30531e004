//! `listen [raw] [unblock] [child] [leave-group] [become-root] [until=N]`: prints `ready PID`, then a line per signal:
//! `signal=15 pid=1 code=0 value=-`.
//!
//! signal-hook's `WithOrigin` where it can, else a handler of its own: for real-time signals, of which signal-hook
//! drops the sixth that is queued, for fault signals, which it forbids, and with `raw` for all of them, because only
//! that one shows the value of sigqueue.

use std::fmt::Write;
use std::sync::atomic::{AtomicI32, Ordering};

use signal_hook::consts::*;
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::origin::WithOrigin;
use signal_hook::low_level::siginfo::{Cause, Sent};

use crate::raw::{self, Action, die_with_parent};

const HOOKED: [i32; 20] = [
    SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG,
    SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGWINCH, SIGIO, SIGPWR_,
];
const SIGPWR_: i32 = libc::SIGPWR;

static UNTIL: AtomicI32 = AtomicI32::new(0);
static CHILD: AtomicI32 = AtomicI32::new(0);

pub fn listen(options: &[&str]) -> i32 {
    let has = |name| options.contains(&name);
    let until = options.iter().find_map(|o| o.strip_prefix("until="));
    UNTIL.store(until.map_or(0, |n| n.parse().unwrap()), Ordering::Relaxed);
    if has("become-root") && unsafe { libc::setresuid(0, 0, 0) } != 0 {
        raw::print("no setuid here");
        return 1;
    }
    die_with_parent();
    let mut hooked = (!has("raw")).then(|| SignalsInfo::<WithOrigin>::new(HOOKED).unwrap());
    // The C library's return code, for the signals that it refuses.
    unsafe { libc::signal(64, handler as *const () as usize) };
    let Action { restorer, flags, .. } = raw::action(64, None);
    let info = libc::SA_SIGINFO as u64 | flags & !libc::SA_RESTART as u64;
    let action = Action { handler: handler as *const () as usize, flags: info, restorer, mask: u64::MAX };
    for signal in 1..=64 {
        let hooked = hooked.is_some() && HOOKED.contains(&signal);
        if !hooked && ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD].contains(&signal) {
            raw::action(signal, Some(&action));
        }
    }
    if has("unblock") {
        raw::set_mask(0);
    }
    if has("child") {
        let mut ends = [0; 2];
        unsafe { libc::pipe(ends.as_mut_ptr()) };
        if raw::fork() == 0 {
            die_with_parent();
            // With the parent's handlers, which write for themselves.
            CHILD.store(1, Ordering::Relaxed);
            raw::write(ends[1], "!");
            loop {
                unsafe { libc::pause() };
            }
        }
        unsafe { libc::read(ends[0], [0_u8].as_mut_ptr().cast(), 1) };
    }
    if has("leave-group") {
        // The leader of a group cannot make another one, only go into it.
        let other = raw::fork();
        if other == 0 {
            die_with_parent();
            loop {
                unsafe { libc::pause() };
            }
        }
        assert_eq!(unsafe { libc::setpgid(other, other) }, 0, "the other group");
        assert_eq!(unsafe { libc::setpgid(0, other) }, 0, "into the other group");
    }
    raw::print(&format!("ready {}", std::process::id()));
    loop {
        let Some(hooked) = &mut hooked else {
            unsafe { libc::pause() };
            continue;
        };
        for origin in hooked.forever() {
            let code = match origin.cause {
                Cause::Sent(Sent::User) => libc::SI_USER,
                Cause::Sent(Sent::Queue) => libc::SI_QUEUE,
                Cause::Sent(Sent::TKill) => libc::SI_TKILL,
                Cause::Kernel => libc::SI_KERNEL,
                _ => 99,
            };
            report(origin.signal, origin.process.map_or(0, |p| p.pid), code, None);
        }
    }
}

extern "C" fn handler(signal: i32, info: *const libc::siginfo_t, _: *const libc::c_void) {
    let (info, value) = unsafe { (&*info, (*info).si_value().sival_ptr as usize as i32) };
    let pid = if info.si_code <= 0 { unsafe { info.si_pid() } } else { 0 };
    report(signal, pid, info.si_code, (info.si_code == libc::SI_QUEUE).then_some(value));
}

/// Async-signal-safe: a buffer on the stack, one write.
fn report(signal: i32, pid: i32, code: i32, value: Option<i32>) {
    let mut line = Line { bytes: [0; 128], len: 0 };
    let who = if CHILD.load(Ordering::Relaxed) == 1 { "child " } else { "" };
    let _ = write!(line, "{who}signal={signal} pid={pid} code={code} value=");
    let _ = match value {
        Some(value) => writeln!(line, "{value}"),
        None => writeln!(line, "-"),
    };
    unsafe { libc::write(1, line.bytes.as_ptr().cast(), line.len) };
    if signal == UNTIL.load(Ordering::Relaxed) {
        unsafe { libc::_exit(0) };
    }
}

struct Line {
    bytes: [u8; 128],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.bytes[self.len..][..text.len()].copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}
