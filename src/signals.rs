//! Signals as values: numbers, names, sets, and who sent one. The calls that use them are in `sys::signal`.

#![forbid(unsafe_code)]

use std::fmt;
use std::str::FromStr;

use nix::sys::signal::Signal;

/// A signal number, 1 to 64.
///
/// nix's `Signal` ends at 31 and musl's functions refuse 32 to 34, so rinit carries raw numbers throughout.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signo(u8);

/// The kernel's first real-time signal that programs get to see. The kernel's own is 32, glibc keeps 32 and 33 for
/// its threads, musl 34 too; containers are stopped by numbers as glibc counts them (`SIGRTMIN+3` = 37, systemd).
const RTMIN: u8 = 34;
/// The last signal (signal(7)).
const RTMAX: u8 = 64;

impl Signo {
    /// The signals that rinit's own code names.
    pub const HUP: Self = Self(libc::SIGHUP as u8);
    /// Ctrl-C.
    pub const INT: Self = Self(libc::SIGINT as u8);
    /// Ctrl-\.
    pub const QUIT: Self = Self(libc::SIGQUIT as u8);
    /// Illegal instruction.
    pub const ILL: Self = Self(libc::SIGILL as u8);
    /// Breakpoint.
    pub const TRAP: Self = Self(libc::SIGTRAP as u8);
    /// abort(3).
    pub const ABRT: Self = Self(libc::SIGABRT as u8);
    /// Bad access to a mapping.
    pub const BUS: Self = Self(libc::SIGBUS as u8);
    /// Arithmetic fault.
    pub const FPE: Self = Self(libc::SIGFPE as u8);
    /// Cannot be caught.
    pub const KILL: Self = Self(libc::SIGKILL as u8);
    /// Bad address.
    pub const SEGV: Self = Self(libc::SIGSEGV as u8);
    /// Write to a pipe without a reader.
    pub const PIPE: Self = Self(libc::SIGPIPE as u8);
    /// alarm(2).
    pub const ALRM: Self = Self(libc::SIGALRM as u8);
    /// The request to stop.
    pub const TERM: Self = Self(libc::SIGTERM as u8);
    /// A child changed state.
    pub const CHLD: Self = Self(libc::SIGCHLD as u8);
    /// Continue.
    pub const CONT: Self = Self(libc::SIGCONT as u8);
    /// Stop, cannot be caught.
    pub const STOP: Self = Self(libc::SIGSTOP as u8);
    /// Ctrl-Z.
    pub const TSTP: Self = Self(libc::SIGTSTP as u8);
    /// The background reads the terminal.
    pub const TTIN: Self = Self(libc::SIGTTIN as u8);
    /// The background writes to it, or sets it.
    pub const TTOU: Self = Self(libc::SIGTTOU as u8);
    /// `RLIMIT_CPU`.
    pub const XCPU: Self = Self(libc::SIGXCPU as u8);
    /// `RLIMIT_FSIZE`.
    pub const XFSZ: Self = Self(libc::SIGXFSZ as u8);
    /// setitimer(2), virtual time.
    pub const VTALRM: Self = Self(libc::SIGVTALRM as u8);
    /// setitimer(2), profiling.
    pub const PROF: Self = Self(libc::SIGPROF as u8);
    /// The terminal's size changed.
    pub const WINCH: Self = Self(libc::SIGWINCH as u8);
    /// Bad system call.
    pub const SYS: Self = Self(libc::SIGSYS as u8);

    /// Whether its default action is to end the process (signal(7)).
    #[must_use]
    pub fn can_end(self) -> bool {
        !matches!(
            self.raw(),
            libc::SIGCHLD
                | libc::SIGCONT
                | libc::SIGURG
                | libc::SIGWINCH
                | libc::SIGSTOP
                | libc::SIGTSTP
                | libc::SIGTTIN
                | libc::SIGTTOU
        )
    }

    /// Whether its default action is to end the process with a core dump (signal(7)).
    #[must_use]
    pub fn dumps_core(self) -> bool {
        const CORE: [Signo; 10] = [
            Signo::QUIT,
            Signo::ILL,
            Signo::TRAP,
            Signo::ABRT,
            Signo::BUS,
            Signo::FPE,
            Signo::SEGV,
            Signo::XCPU,
            Signo::XFSZ,
            Signo::SYS,
        ];
        CORE.contains(&self)
    }

    /// Signal `number`, if it is one (1 to 64).
    #[must_use]
    pub fn new(number: i32) -> Option<Self> {
        u8::try_from(number).ok().filter(|n| (1..=RTMAX).contains(n)).map(Self)
    }

    /// All 64 signals in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=RTMAX).map(Self)
    }

    /// The number, for system calls.
    #[must_use]
    pub fn raw(self) -> i32 {
        i32::from(self.0)
    }

    /// The number, 1 to 64.
    #[must_use]
    pub fn as_u8(self) -> u8 {
        self.0
    }

    /// Reads `TERM`, `sigterm`, `15`, `RTMIN`, `RTMIN+3`, `SIGRTMAX-1`, and `SIG32`, which is all that 32 has for a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(number) = digits(name) {
            return Self::new(number);
        }
        if let Some(offset) = name.strip_prefix("RTMIN") {
            let n = if offset.is_empty() { 0 } else { digits(offset.strip_prefix('+')?)? };
            return RTMIN.checked_add(n).filter(|n| *n <= RTMAX).map(Self);
        }
        if let Some(offset) = name.strip_prefix("RTMAX") {
            let n = if offset.is_empty() { 0 } else { digits(offset.strip_prefix('-')?)? };
            return RTMAX.checked_sub(n).filter(|n| *n >= RTMIN).map(Self);
        }
        let number = match name {
            // Other names of the same number, signal(7).
            "IOT" => libc::SIGABRT,
            "CLD" => libc::SIGCHLD,
            "POLL" => libc::SIGIO,
            _ => Signal::iterator().find(|s| s.as_str().strip_prefix("SIG") == Some(name))? as i32,
        };
        Self::new(number)
    }
}

/// Reads a number of digits alone: std's `from_str` would take a plus sign as well.
pub(crate) fn digits<T: FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// `SIGTERM`, `SIGRTMIN+3`, `SIGRTMAX-1` (the nearer end, as bash's `kill -l` has it), `SIG32` for the two nameless.
impl fmt::Display for Signo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIDDLE: u8 = (RTMIN + RTMAX) / 2;
        match (Signal::try_from(self.raw()), self.0) {
            (Ok(signal), _) => f.write_str(signal.as_str()),
            (_, RTMIN) => f.write_str("SIGRTMIN"),
            (_, RTMAX) => f.write_str("SIGRTMAX"),
            (_, n @ RTMIN..=MIDDLE) => write!(f, "SIGRTMIN+{}", n - RTMIN),
            (_, n @ RTMIN..) => write!(f, "SIGRTMAX-{}", RTMAX - n),
            (_, n) => write!(f, "SIG{n}"),
        }
    }
}

impl fmt::Debug for Signo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A set of signals as the kernel has it: bit n-1 is signal n.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// Every signal, those included that musl's `sigfillset` leaves out.
    pub const ALL: Self = Self(u64::MAX);

    /// Whether `signal` is in the set.
    #[must_use]
    pub fn contains(self, signal: Signo) -> bool {
        self.0 & bit(signal) != 0
    }

    /// The set with `signal` in it.
    #[must_use]
    pub fn with(self, signal: Signo) -> Self {
        Self(self.0 | bit(signal))
    }

    /// The set without it.
    #[must_use]
    pub fn without(self, signal: Signo) -> Self {
        Self(self.0 & !bit(signal))
    }
}

fn bit(signal: Signo) -> u64 {
    1 << (signal.0 - 1)
}

/// A signal that rinit received, as signalfd(2) tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Which signal.
    pub signal: Signo,
    /// `si_code`: how it was sent (sigaction(2)).
    pub code: i32,
    /// `si_pid`: the sender in this PID namespace, 0 when it lives outside. A sender by sigqueue(3) can forge it.
    pub pid: i32,
    /// `si_value` of sigqueue(3).
    pub value: u64,
}

/// `si_code` of kill(2) and of the kernel's `SEND_SIG_NOINFO` (include/uapi/asm-generic/siginfo.h).
pub const SI_USER: i32 = 0;
/// `si_code` of sigqueue(3).
pub const SI_QUEUE: i32 = -1;
/// `si_code` of a signal that the kernel generated: the terminal, timers.
pub const SI_KERNEL: i32 = 0x80;

impl Received {
    /// A key press, a hangup or a new size of the controlling terminal, or its refusal to a group in the background: the
    /// kernel sends those to a whole group.
    #[must_use]
    pub fn is_from_terminal(&self) -> bool {
        matches!(
            self.signal,
            Signo::INT
                | Signo::QUIT
                | Signo::TSTP
                | Signo::TTIN
                | Signo::TTOU
                | Signo::HUP
                | Signo::CONT
                | Signo::WINCH
        ) && self.code == SI_KERNEL
    }

    /// What rinit's own write raised (write(2): EPIPE, EFBIG): with every signal blocked it comes back through the
    /// signalfd, and it is none of PROGRAM's business.
    #[must_use]
    pub fn is_own_write(&self, own_pid: i32) -> bool {
        self.code == SI_USER && self.pid == own_pid && (self.signal == Signo::PIPE || self.signal == Signo::XFSZ)
    }
}

/// Who sent a signal, as far as it can be known from inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A process outside this PID namespace: the runtime, the kubelet, the host.
    Outside,
    /// A process that entered the container from outside (`docker exec`, `kubectl exec`, an exec probe, preStop).
    Exec(Sender),
    /// The controlling terminal.
    Terminal,
    /// rinit itself or a timer of its own.
    Own,
    /// Another process of this PID namespace.
    Process(Sender),
    /// sigqueue(3): the sender's pid is the sender's own word, and nothing else is known.
    Claimed(i32),
}

/// A sender that has a pid here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Its pid in this namespace.
    pub pid: i32,
    /// Its comm, unless it was gone when rinit looked.
    pub name: Option<Vec<u8>>,
}

impl Origin {
    /// Classifies. `sender` is what /proc said of `received.pid` at arrival: parent pid and comm.
    #[must_use]
    pub fn of(received: &Received, own_pid: i32, sender: Option<(i32, Vec<u8>)>) -> Self {
        if received.is_from_terminal() {
            return Self::Terminal;
        }
        match (received.code, received.pid) {
            (SI_QUEUE, pid) => Self::Claimed(pid),
            (code, _) if code > 0 => Self::Own,
            (_, 0) => Self::Outside,
            (_, pid) if pid == own_pid => Self::Own,
            (_, pid) => {
                let parent = sender.as_ref().map(|(parent, _)| *parent);
                let sender = Sender { pid, name: sender.map(|(_, name)| name) };
                // The parent of an injected process is outside: PPid 0 (pid_namespaces(7)).
                if parent == Some(0) && pid != 1 { Self::Exec(sender) } else { Self::Process(sender) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_is_read_back_from_its_number_and_its_name() {
        for signal in Signo::all() {
            let name = signal.to_string();
            let short = name.strip_prefix("SIG").unwrap();
            assert_eq!(Signo::parse(&signal.raw().to_string()), Some(signal));
            for spelling in [name.clone(), name.to_lowercase(), short.to_owned(), short.to_lowercase()] {
                assert_eq!(Signo::parse(&spelling), Some(signal), "{spelling}");
            }
        }
        assert_eq!(Signo::all().count(), 64);
    }

    #[test]
    fn names_are_those_of_signal_7_and_of_bash() {
        let names: Vec<String> = Signo::all().map(|signal| signal.to_string()).collect();
        // `kill -l` of bash 5.2 on x86-64, and the two that it leaves out.
        let bash = "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP \
            TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS 32 33 RTMIN RTMIN+1 RTMIN+2 RTMIN+3 RTMIN+4 RTMIN+5 \
            RTMIN+6 RTMIN+7 RTMIN+8 RTMIN+9 RTMIN+10 RTMIN+11 RTMIN+12 RTMIN+13 RTMIN+14 RTMIN+15 RTMAX-14 RTMAX-13 \
            RTMAX-12 RTMAX-11 RTMAX-10 RTMAX-9 RTMAX-8 RTMAX-7 RTMAX-6 RTMAX-5 RTMAX-4 RTMAX-3 RTMAX-2 RTMAX-1 RTMAX";
        assert_eq!(names, bash.split_whitespace().map(|name| format!("SIG{name}")).collect::<Vec<_>>());
    }

    #[test]
    fn real_time_signals_count_from_both_ends() {
        for n in 0..=30 {
            assert_eq!(Signo::parse(&format!("RTMIN+{n}")), Signo::new(34 + n));
            assert_eq!(Signo::parse(&format!("SIGRTMAX-{n}")), Signo::new(64 - n));
        }
        assert_eq!(Signo::parse("sigrtmin+3").map(Signo::raw), Some(37));
    }

    #[test]
    fn other_names_of_the_same_number() {
        for (alias, name) in [("IOT", "ABRT"), ("CLD", "CHLD"), ("POLL", "IO"), ("sigiot", "6")] {
            assert_eq!(Signo::parse(alias), Signo::parse(name), "{alias}");
            assert!(Signo::parse(alias).is_some(), "{alias}");
        }
    }

    #[test]
    fn what_is_no_signal() {
        let texts = "0 65 00 -1 +15 15.0 0x0f 4294967311 99999999999999999999 SIG SIGSIGTERM SIG0 SIG+9 TERMINATE EXIT NSIG \
            RTMIN+31 RTMIN-1 RTMIN+ RTMIN+-1 RTMIN++1 RTMIN3 RTMIN+256 RTMAX-31 RTMAX+1 RTMAX- RTMAX-256 RT \
            TERM, \u{130}NT \u{ff34}ERM";
        for text in texts.split_whitespace().chain(["", " ", " TERM", "TERM ", "TERM\n", "TE\0RM"]) {
            assert_eq!(Signo::parse(text), None, "{text:?}");
        }
        assert_eq!([Signo::new(0), Signo::new(65), Signo::new(-15), Signo::new(271)], [None; 4]);
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        for signal in Signo::all() {
            let set = SignalSet::default().with(signal);
            assert_eq!(set.0.trailing_zeros() + 1, u32::from(signal.as_u8()));
            assert!(Signo::all().all(|other| set.contains(other) == (other == signal)));
            assert!(SignalSet::ALL.contains(signal));
            assert!(Signo::all().all(|other| SignalSet::ALL.without(signal).contains(other) == (other != signal)));
        }
    }
}
