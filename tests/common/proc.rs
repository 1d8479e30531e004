//! What /proc says about a process, seen from outside its namespace.

use std::fs;

/// A field of /proc/PID/status; None when the process is gone.
pub fn status(pid: i32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':')).map(|v| v.trim().to_string())
}

/// The state letter: R S D T Z ...
pub fn state(pid: i32) -> Option<char> {
    status(pid, "State")?.chars().next()
}

/// A signal set of /proc/PID/status: SigBlk, SigIgn, SigCgt, SigPnd, ShdPnd.
pub fn signal_set(pid: i32, field: &str) -> Option<u64> {
    u64::from_str_radix(&status(pid, field)?, 16).ok()
}

/// Anonymous resident memory in kB. Counted page by page: RssAnon of /proc/PID/status is only near the truth (proc(5)).
pub fn anonymous_kb(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let value = text.lines().find_map(|l| l.strip_prefix("Anonymous:"))?;
    value.trim().strip_suffix(" kB")?.parse().ok()
}

/// Fields of /proc/PID/stat from the third (state) on.
pub fn stat(pid: i32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(") ")?.1.split(' ').map(str::to_string).collect())
}

/// Processes whose parent is `pid`, zombies included.
pub fn children(pid: i32) -> Vec<i32> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|p: &i32| stat(*p).is_some_and(|s| s[1] == pid.to_string())).collect()
}

/// Open descriptors with what they lead to, in order.
pub fn descriptors(pid: i32) -> Vec<(i32, String)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let mut all: Vec<(i32, String)> = entries
        .filter_map(|e| {
            let entry = e.ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, target.to_string_lossy().into_owned()))
        })
        .collect();
    all.sort();
    all
}
