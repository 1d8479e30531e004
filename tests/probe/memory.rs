//! Memory: eaten, or held at the limit without being eaten; and a cgroup to do it in.

use std::ffi::{CStr, CString};
use std::fs;
use std::io::Write;
use std::ptr;
use std::time::{Duration, Instant};

use crate::{processes, raw};

const MIB: usize = 1 << 20;

/// Takes `mib` MiB one by one with a pause after each, and ends with `status`. With a pause the limit is felt some
/// steps before the end: there is something that the kernel can take back first.
pub fn eat(mib: usize, pause_ms: u64, status: i32) -> i32 {
    if pause_ms > 0 {
        lend(map(4 * MIB), 4 * MIB);
    }
    for _ in 0..mib {
        unsafe { libc::memset(map(MIB), 1, MIB) };
        if pause_ms > 0 {
            std::thread::sleep(Duration::from_millis(pause_ms));
        }
    }
    status
}

/// At the limit for `seconds`, with nothing but what the kernel can take back. Says how often pid 1 was on a CPU
/// meanwhile.
pub fn storm(seconds: u64) -> i32 {
    const MAPPED: usize = 64 * MIB;
    let start = Instant::now();
    let before = switches();
    let memory = map(MAPPED);
    let mut at = 0;
    while start.elapsed() < Duration::from_secs(seconds) {
        lend(unsafe { memory.byte_add(at) }, MIB);
        at = (at + MIB) % MAPPED;
    }
    raw::print(&format!("wake-ups {}", switches() - before));
    0
}

fn map(length: usize) -> *mut libc::c_void {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let block = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0) };
    assert_ne!(block, libc::MAP_FAILED, "mmap");
    block
}

/// Uses memory, and lets the kernel take it back when it needs some: as page cache, but without a disk.
fn lend(block: *mut libc::c_void, length: usize) {
    unsafe { libc::memset(block, 1, length) };
    assert_eq!(unsafe { libc::madvise(block, length, libc::MADV_FREE) }, 0, "MADV_FREE");
}

fn switches() -> u64 {
    let status = fs::read_to_string("/proc/1/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}

/// `contain NAMESPACES CGROUP PROGRAM ARGS...`: runs PROGRAM as PID 1 in this cgroup (v2), with a cgroup namespace if
/// NAMESPACES is `private`, and prints the status.
pub fn contain(private: bool, cgroup: &str, command: &[&CStr]) -> i32 {
    let between = raw::fork();
    if between == 0 {
        let mut outside = fs::OpenOptions::new().write(true).open("/sys/fs/cgroup/cgroup.procs").unwrap();
        fs::write(format!("{cgroup}/cgroup.procs"), "0").unwrap();
        unshare(libc::CLONE_NEWPID | libc::CLONE_NEWNS | if private { libc::CLONE_NEWCGROUP } else { 0 });
        let init = raw::fork();
        if init == 0 {
            mount("proc", "/proc");
            if private {
                mount_own_cgroup();
            }
            unsafe { libc::setsid() };
            let argv: Vec<_> = command.iter().map(|a| a.as_ptr()).chain([ptr::null()]).collect();
            unsafe { libc::execv(argv[0], argv.as_ptr()) };
            unsafe { libc::_exit(126) };
        }
        // What is charged here is no business of the container's.
        outside.write_all(b"0").unwrap();
        unsafe { libc::_exit(wait(init)) };
    }
    raw::print(&format!("status {}", wait(between)));
    0
}

/// `inside CGROUP PROGRAM ARGS...`: becomes PROGRAM in this cgroup (v2), which is the root of its cgroup namespace.
pub fn inside(cgroup: &str, command: &[&CStr]) -> i32 {
    fs::write(format!("{cgroup}/cgroup.procs"), "0").unwrap();
    unshare(libc::CLONE_NEWCGROUP);
    mount_own_cgroup();
    processes::become_it(command)
}

fn unshare(namespaces: i32) {
    assert_eq!(unsafe { libc::unshare(namespaces) }, 0, "unshare");
}

fn mount_own_cgroup() {
    unsafe { libc::umount2(c"/sys/fs/cgroup".as_ptr(), libc::MNT_DETACH) };
    mount("cgroup2", "/sys/fs/cgroup");
}

fn mount(kind: &str, at: &str) {
    let [kind, at] = [kind, at].map(|word| CString::new(word).unwrap());
    let done = unsafe { libc::mount(kind.as_ptr(), at.as_ptr(), kind.as_ptr(), 0, ptr::null()) };
    assert_eq!(done, 0, "mount");
}

fn wait(pid: i32) -> i32 {
    let mut word = 0;
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut word, 0) }, pid);
    if libc::WIFSIGNALED(word) { 128 + libc::WTERMSIG(word) } else { libc::WEXITSTATUS(word) }
}
