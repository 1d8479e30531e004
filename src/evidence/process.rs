//! Processes as /proc shows them.

#![forbid(unsafe_code)]

use std::fs;
use std::io::Read;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::listing::Listing;
use super::mountinfo;
use super::user::User;
use crate::signals::SignalSet;

/// The lines of /proc/PID/status (proc_pid_status(5)) that rinit reasons from. They still read on a zombie.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// `Name`: the comm, at most 15 bytes, unescaped.
    pub name: Option<Vec<u8>>,
    /// `State`: the letter (R S D T t Z X I).
    pub state: Option<u8>,
    /// `PPid`.
    pub parent: Option<i32>,
    /// `VmRSS`, in KiB; a zombie has none.
    pub resident_kib: Option<u64>,
    /// `ShdPnd`: signals pending for the whole process.
    pub pending: Option<SignalSet>,
    /// `SigBlk` of the main thread.
    pub blocked: Option<SignalSet>,
    /// `SigIgn`.
    pub ignored: Option<SignalSet>,
    /// `SigCgt`.
    pub caught: Option<SignalSet>,
    /// `CapEff`: bit n is capability n (capabilities(7)).
    pub capabilities: Option<u64>,
    /// `Uid` and `Gid`, the effective ones, `Groups` and the capabilities.
    pub user: Option<User>,
    /// `Seccomp`: 0 off, 1 strict, 2 filter, 3 killed by its filter (`SECCOMP_MODE_DEAD`, kernel/seccomp.c).
    pub seccomp: Option<u8>,
    /// `NoNewPrivs`, Linux 4.10.
    pub no_new_privs: Option<bool>,
}

impl Status {
    /// Reads the text of /proc/PID/status. A line that is missing or does not parse leaves its field unknown.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut status = Self::default();
        // Real, effective, saved, file system.
        let effective = |value: &[u8]| value.split(|byte| *byte == b'\t').nth(1).and_then(number);
        let (mut uid, mut gid) = (None, None);
        for (key, value) in fields(text) {
            match key {
                b"Name" => status.name = Some(unescape_name(value)),
                b"State" => status.state = value.first().copied(),
                b"PPid" => status.parent = number(value),
                b"VmRSS" => status.resident_kib = value.strip_suffix(b" kB").and_then(number),
                b"ShdPnd" => status.pending = set(value),
                b"SigBlk" => status.blocked = set(value),
                b"SigIgn" => status.ignored = set(value),
                b"SigCgt" => status.caught = set(value),
                b"CapEff" => status.capabilities = hexadecimal(value),
                b"Uid" => uid = effective(value),
                b"Gid" => gid = effective(value),
                b"Seccomp" => status.seccomp = number(value),
                b"NoNewPrivs" => status.no_new_privs = number(value).map(|set: u8| set != 0),
                _ => {}
            }
        }
        status.user = uid.zip(gid).map(|(uid, gid)| User::parse(text, uid, gid));
        status
    }
}

pub(super) fn number<N: std::str::FromStr>(value: &[u8]) -> Option<N> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn set(value: &[u8]) -> Option<SignalSet> {
    hexadecimal(value).map(SignalSet)
}

fn hexadecimal(value: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(value).ok()?, 16).ok()
}

/// The lines `KEY:<tab>VALUE` of /proc/PID/status, without the blanks around the value.
fn fields(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|byte| *byte == b'\n').filter_map(|line| {
        let (key, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
        Some((key, value.get(1..)?.trim_ascii()))
    })
}

/// fs/proc/array.c, `task_state`: the comm with `\n` and `\\` escaped.
fn unescape_name(value: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(value.len());
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        name.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(other) => other,
                None => byte,
            },
            _ => byte,
        });
    }
    name
}

/// A process that is still there at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// pid in this namespace.
    pub pid: i32,
    /// Its comm.
    pub name: Vec<u8>,
    /// The parent's pid; 0 for one that came from outside.
    pub parent: i32,
    /// The state letter.
    pub state: u8,
}

impl Process {
    /// Reads the text of /proc/PID/stat (proc_pid_stat(5)). The comm stands in parentheses and may hold any byte, a
    /// parenthesis too, so its end is the last one.
    #[must_use]
    pub fn parse(stat: &[u8]) -> Option<Self> {
        let open = stat.iter().position(|byte| *byte == b'(')?;
        let close = stat.iter().rposition(|byte| *byte == b')')?;
        let mut rest = stat.get(close + 1..)?.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
        Some(Self {
            pid: number(stat.get(..open)?.trim_ascii())?,
            name: stat.get(open + 1..close)?.to_vec(),
            state: *rest.next()?.first()?,
            parent: number(rest.next()?)?,
        })
    }

    /// A zombie has ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !matches!(self.state, b'Z' | b'X')
    }
}

/// Of the text of /proc/PID/stat (proc_pid_stat(5)) `cminflt` plus `cmajflt`: page faults of the children that the
/// process has waited for. None: it has waited for no child that ran. They still read on a zombie.
#[must_use]
pub fn faults_of_children(stat: &[u8]) -> Option<u64> {
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = stat.get(close + 1..)?.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    // The first one here is the third of the file; cminflt is the eleventh, cmajflt the thirteenth.
    let minor: u64 = number(fields.nth(8)?)?;
    let major: u64 = number(fields.nth(1)?)?;
    Some(minor.saturating_add(major))
}

/// /proc of this PID namespace. In a namespace without a /proc of its own (`unshare -p` alone) the numbers there are
/// those of other processes.
#[derive(Debug, Clone, Copy)]
pub struct Proc {
    pub(super) own_pid: i32,
}

impl Proc {
    /// `None` where /proc is missing or belongs to another PID namespace.
    #[must_use]
    pub fn of(own_pid: i32) -> Option<Self> {
        let target = fs::read_link("/proc/self").ok()?;
        (target.to_str()? == own_pid.to_string()).then_some(Self { own_pid })
    }

    /// Whether `pid` is rinit's own.
    #[must_use]
    pub fn is_own(self, pid: i32) -> bool {
        pid == self.own_pid
    }

    /// /proc/PID/status.
    #[must_use]
    pub fn status(self, pid: i32) -> Option<Status> {
        read_small(&format!("/proc/{pid}/status"), Status::parse)
    }

    /// /proc/PID/stat.
    #[must_use]
    pub fn process(self, pid: i32) -> Option<Process> {
        read_small(&format!("/proc/{pid}/stat"), Process::parse)?
    }

    /// Every process here but rinit, zombies included: what ends with the container when PID 1 exits.
    #[must_use]
    pub fn others(self) -> Option<Vec<Process>> {
        // kill(2): signal 0 to "every process except process 1" finds whether there is one. Mostly there is none.
        if nix::sys::signal::kill(Pid::from_raw(-1), None) == Err(Errno::ESRCH) {
            return Some(Vec::new());
        }
        let mut others: Vec<i32> = Vec::new();
        for entry in fs::read_dir("/proc").ok()? {
            let pid: Option<i32> = entry.ok()?.file_name().to_str().and_then(|name| name.parse().ok());
            others.extend(pid.filter(|pid| *pid != self.own_pid));
        }
        // There is one at least, seen or not.
        if others.is_empty() { None } else { self.all(&others) }
    }

    /// rinit's descendants, zombies included: what it leaves behind where it is not PID 1. At most 4,096 are followed.
    #[must_use]
    pub fn descendants(self) -> Option<Vec<Process>> {
        let mut pids = self.children_of_thread(self.own_pid, self.own_pid)?;
        let mut next = 0;
        while let Some(pid) = pids.get(next).copied() {
            if pids.len() < 4096 {
                pids.extend(self.children_of_thread(pid, pid).unwrap_or_default());
            }
            next += 1;
        }
        self.all(&pids)
    }

    /// Every process here, zombies included, by pid (fs/proc/base.c, `proc_pid_readdir`), as far as /proc shows them, and
    /// whether the list came to its end.
    #[must_use]
    pub fn everybody(self) -> (Vec<Process>, bool) {
        let Ok(mut entries) = Listing::of("/proc") else { return (Vec::new(), false) };
        let pids = entries.by_ref().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let all = pids.filter_map(|pid| self.process(pid)).collect();
        (all, !entries.broken_off())
    }

    /// Of [`Self::everybody`] rinit's descendants. By their parents' pids: [`Self::descendants`] does not find what a
    /// thread other than the first forked, but need not look at everybody.
    #[must_use]
    pub fn family(self) -> (Vec<Process>, bool) {
        let (mut all, complete) = self.everybody();
        // Up the line from each, no further than there are processes: the parents may have changed meanwhile.
        let belongs = |process: &Process| {
            let mut parent = process.parent;
            all.iter().any(|_| {
                let found = all.binary_search_by_key(&parent, |one| one.pid).ok().filter(|_| parent != self.own_pid);
                parent = found.and_then(|at| all.get(at)).map_or(parent, |one| one.parent);
                found.is_none()
            }) && parent == self.own_pid
        };
        let family: Vec<bool> = all.iter().map(belongs).collect();
        let mut family = family.into_iter();
        all.retain(|_| family.next() == Some(true));
        (all, complete)
    }

    /// What is seen is all only where /proc hides nothing.
    fn all(self, pids: &[i32]) -> Option<Vec<Process>> {
        if !pids.is_empty() && !fs::read("/proc/self/mountinfo").is_ok_and(|table| !hides_processes(&table)) {
            return None;
        }
        Some(pids.iter().filter_map(|pid| self.process(*pid)).collect())
    }

    /// The state letter of one thread.
    pub(super) fn thread_state(self, pid: i32, thread: i32) -> Option<u8> {
        read_small(&format!("/proc/{pid}/task/{thread}/stat"), Process::parse)?.map(|thread| thread.state)
    }

    /// /proc/PID/task/TID/children (`CONFIG_PROC_CHILDREN`).
    pub(super) fn children_of_thread(self, pid: i32, thread: i32) -> Option<Vec<i32>> {
        let text = fs::read(format!("/proc/{pid}/task/{thread}/children")).ok()?;
        Some(text.split(|byte| *byte == b' ').filter_map(number).collect())
    }
}

/// Whether /proc is mounted with hidepid (proc(5)), by /proc/PID/mountinfo. 0 and off hide nothing.
#[must_use]
pub fn hides_processes(mountinfo: &[u8]) -> bool {
    let last = mountinfo.split(|byte| *byte == b'\n').rfind(|line| line.windows(7).any(|part| part == b" /proc "));
    let options = last.and_then(mountinfo::file_system).map_or(&[][..], |(_, options)| options);
    mountinfo::option(options, b"hidepid").is_some_and(|value| !matches!(value, b"0" | b"off"))
}

/// Reads a file of /proc that is never longer than a page. Not inlined: the buffer must not lie in the frame of the loop
/// that waits.
#[inline(never)]
pub(super) fn read_small<T>(path: &str, parse: impl FnOnce(&[u8]) -> T) -> Option<T> {
    let mut buffer = [0; 4096];
    let length = fs::File::open(path).ok()?.read(&mut buffer).ok()?;
    Some(parse(buffer.get(..length)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::Signo;

    #[test]
    fn status_of_a_zombie() {
        let text = b"Name:\tevil\\nname\\\\\nUmask:\t0022\nState:\tZ (zombie)\nPPid:\t1\nShdPnd:\t0000000000004000\n\
            SigBlk:\t0000000000000000\nSigIgn:\t0000000000001000\nSigCgt:\t8000000000000000\nUid:\t0\t33\t0\t33\n\
            Gid:\t0\t34\t0\t34\nGroups:\t34 35 \nCapEff:\t00000000a80425fb\nNoNewPrivs:\t1\nSeccomp:\t3\nSeccomp_filters:\t1\n";
        let status = Status::parse(text);
        assert_eq!(status.name.as_deref(), Some(&b"evil\nname\\"[..]));
        assert_eq!(status.state, Some(b'Z'));
        assert_eq!(status.parent, Some(1));
        assert!(status.pending.unwrap().contains(Signo::TERM));
        assert!(status.ignored.unwrap().contains(Signo::PIPE));
        assert!(status.caught.unwrap().contains(Signo::new(64).unwrap()));
        assert_eq!((status.seccomp, status.capabilities), (Some(3), Some(0xa804_25fb)));
        assert_eq!(status.no_new_privs, Some(true));
        let user = status.user.unwrap();
        assert_eq!((user.uid, user.gid, user.groups, user.effective), (33, 34, Some(vec![34, 35]), Some(0xa804_25fb)));
    }

    #[test]
    fn what_is_missing_or_broken_stays_unknown() {
        for text in [
            &b""[..],
            b"SigCgt",
            b"SigCgt:",
            b"SigCgt:\tzz\nPPid:\t\nState:",
            b"\xff\xfe:\n::::\n",
            b"PPid:\t99999999999",
        ] {
            let status = Status::parse(text);
            assert_eq!(
                (status.caught, status.parent, status.state, status.seccomp),
                (None, None, None, None),
                "{text:?}"
            );
        }
    }

    #[test]
    fn stat_with_a_hostile_comm() {
        let process = Process::parse(b"42 (a) R 1 (b\n) S 7 42 42 0 -1\n").unwrap();
        assert_eq!(process, Process { pid: 42, name: b"a) R 1 (b\n".to_vec(), state: b'S', parent: 7 });
        for broken in [&b""[..], b"42", b"42 (x", b"42 (x)", b"42 (x) S", b"42 (x) S y", b")(", b"x (y) S 1"] {
            assert_eq!(Process::parse(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn hidepid_of_the_mount_that_is_on_top() {
        let line = |options: &str| format!("5 1 0:63 / /proc rw,nosuid - proc proc {options}\n");
        let other = "6 5 0:9 /x /proc/acpi ro - tmpfs none ro,hidepid=2\n";
        for (table, hides) in [
            (String::new(), false),
            (line("rw"), false),
            (line("rw,hidepid=off,gid=5") + other, false),
            (line("rw,hidepid=0"), false),
            (line("rw,hidepid=2") + other, true),
            (line("rw,gid=5,hidepid=invisible"), true),
            (line("rw,hidepid=ptraceable"), true),
            (line("rw,hidepid=2") + &line("rw"), false),
        ] {
            assert_eq!(hides_processes(table.as_bytes()), hides, "{table}");
        }
    }

    #[test]
    fn faults_of_a_zombies_children() {
        let stat = b"42 (a) R 1 (b\n) Z 7 42 42 0 -1 4228364 201 33 4 55 1 2 3 4 20 0 1 0 100 0 0\n";
        assert_eq!(faults_of_children(stat), Some(88));
        for broken in [&b""[..], b"42 (x)", b"42 (x) Z 7 42 42 0 -1 0 201", b"42 (x) Z 7 42 42 0 -1 0 201 x 4 5"] {
            assert_eq!(faults_of_children(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn own_status_reads() {
        let own = std::process::id().cast_signed();
        let proc = Proc::of(own).unwrap();
        assert!(matches!(proc.status(own).unwrap().state, Some(b'R' | b'S')));
        assert_eq!(proc.process(own).unwrap().pid, own);
        assert!(Proc::of(own + 1).is_none());
    }
}
