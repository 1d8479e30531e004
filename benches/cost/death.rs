//! From a program's death by SIGKILL in a memory-limited container to its init's exit: the longest way that rinit takes.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::ptr::null;
use std::time::{Duration, Instant};

use crate::measure::settle;
use crate::namespace::{Program, Run, Stderr, c_path, wait};
use crate::{ATTEMPTS, Init};

/// Timed deaths for each init, interleaved.
const ROUNDS: usize = 200;
/// Without a context switch in this time the init waits for the end.
const REST: Duration = Duration::from_millis(2);
const LIMIT: usize = 64 << 20;
/// How a report says it.
pub const TOLD: &str = "of 64 MiB";

/// Medians in microseconds from just before the kill(2) to the end of the wait for the init, by row. The program's own
/// end is in it, and the kernel's end of the init.
pub fn times(inits: &[Init], waits: &Program, scratch: &Path, is_enough: impl Fn(&[f64]) -> bool) -> Vec<f64> {
    let container = Container::new(scratch);
    let procs = c_path(&container.mounted.join("cgroup.procs"));
    let run = |init| Run::new(init, waits, Stderr::pipe()).in_cgroup(&procs);
    let mut runs: Vec<Run> = inits.iter().map(run).collect();
    let mut attempt = || {
        let mut samples = vec![Vec::with_capacity(ROUNDS); runs.len()];
        for round in 0..ROUNDS {
            for i in 0..runs.len() {
                let i = (i + round) % runs.len();
                samples[i].push(time(&mut runs[i], waits));
            }
        }
        samples.into_iter().map(crate::median).collect()
    };
    let mut medians: Vec<f64> = attempt();
    for _ in 1..ATTEMPTS {
        if !is_enough(&medians) {
            medians = attempt();
        }
    }
    medians
}

fn time(run: &mut Run, waits: &Program) -> f64 {
    let init = run.spawn(true);
    let program = settle(init, &waits.path, REST);
    let start = Instant::now();
    // SAFETY: no memory is involved, and its parent has not been waited for.
    unsafe { libc::kill(program, libc::SIGKILL) };
    let status = wait(init);
    let passed = start.elapsed();
    assert_eq!(status, 128 + libc::SIGKILL);
    run.reset();
    passed.as_secs_f64() * 1e6
}

/// A memory cgroup with a limit, mounted where a container has its own. It is there in our mount namespace alone.
struct Container {
    mounted: PathBuf,
    /// What was mounted there, and the cgroup's name in it.
    above: File,
    name: CString,
}

impl Container {
    fn new(scratch: &Path) -> Self {
        let root = Path::new("/sys/fs/cgroup");
        let is_v2 = root.join("cgroup.procs").exists();
        let (mounted, limit) =
            if is_v2 { (root.to_owned(), "memory.max") } else { (root.join("memory"), "memory.limit_in_bytes") };
        if is_v2 {
            // Where it is on already, or may not be, the limit's file tells.
            let _ = fs::write(root.join("cgroup.subtree_control"), "+memory");
        }
        let above = File::open(&mounted).expect("cgroups");
        let name = scratch.file_name().expect("a name");
        let directory = mounted.join(name);
        fs::create_dir(&directory).expect("a memory cgroup");
        fs::write(directory.join(limit), LIMIT.to_string()).expect("the memory controller");
        let meanwhile = scratch.join("cgroup");
        fs::create_dir(&meanwhile).expect("a directory");
        let container = Self { above, name: c_path(Path::new(name)), mounted };
        // A container sees its own cgroup and no other below that.
        mount(&directory, &meanwhile, libc::MS_BIND);
        unmount(&container.mounted);
        mount(&meanwhile, &container.mounted, libc::MS_MOVE);
        container
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        unmount(&self.mounted);
        // SAFETY: an open descriptor and a string.
        let removed = unsafe { libc::unlinkat(self.above.as_raw_fd(), self.name.as_ptr(), libc::AT_REMOVEDIR) };
        assert_eq!(removed, 0, "the cgroup stays: {}", io::Error::last_os_error());
    }
}

fn mount(from: &Path, to: &Path, flags: libc::c_ulong) {
    let (source, target) = (c_path(from), c_path(to));
    // SAFETY: two strings. The mount namespace is our own.
    let mounted = unsafe { libc::mount(source.as_ptr(), target.as_ptr(), null(), flags, null()) };
    assert_eq!(mounted, 0, "mount {} at {}: {}", from.display(), to.display(), io::Error::last_os_error());
}

fn unmount(path: &Path) {
    let target = c_path(path);
    // SAFETY: a string. The mount namespace is our own.
    let unmounted = unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    assert_eq!(unmounted, 0, "umount {}: {}", path.display(), io::Error::last_os_error());
}
