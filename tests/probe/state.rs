//! `state PATH ...`: what was inherited, `name=value` a line, into PATH (`-` is stdout). Bytes are escaped.

use std::ffi::{CStr, CString, c_char};
use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStrExt;

unsafe extern "C" {
    static environ: *const *const c_char;
}

pub fn write(args: &[&CStr], path: &str) -> i32 {
    // Before anything is opened.
    let fds: Vec<i32> = (0..1024).filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0).collect();
    let mut text = String::new();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    for field in ["SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd", "Umask"] {
        let value = status.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':')).unwrap();
        writeln!(text, "{field}={}", value.trim()).unwrap();
    }
    for resource in 0..16 {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        unsafe { libc::getrlimit(resource, &raw mut limit) };
        writeln!(text, "rlimit.{resource}={}:{}", limit.rlim_cur, limit.rlim_max).unwrap();
    }
    let cwd = fs::read_link("/proc/self/cwd").unwrap();
    writeln!(text, "cwd={}", cwd.as_os_str().as_bytes().escape_ascii()).unwrap();
    for fd in fds {
        let target = fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
        writeln!(text, "fd.{fd}={}", target.as_os_str().as_bytes().escape_ascii()).unwrap();
    }
    for (n, arg) in args.iter().enumerate() {
        writeln!(text, "argv.{n}={}", arg.to_bytes().escape_ascii()).unwrap();
    }
    for n in 0.. {
        let entry = unsafe { *environ.add(n) };
        if entry.is_null() {
            break;
        }
        writeln!(text, "env.{n}={}", unsafe { CStr::from_ptr(entry) }.to_bytes().escape_ascii()).unwrap();
    }
    let (pid, ppid, group, session) = unsafe { (libc::getpid(), libc::getppid(), libc::getpgrp(), libc::getsid(0)) };
    writeln!(text, "pid={pid}\nppid={ppid}\npgrp={group}\nsid={session}").unwrap();
    let mut fd = 1;
    if path != "-" {
        let path = CString::new(path).unwrap();
        fd = unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC, 0o666) };
    }
    crate::raw::write(fd, &text);
    0
}
