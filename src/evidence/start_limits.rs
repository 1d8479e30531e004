//! Limits that can keep a program from being started. Read only after that has happened.

#![forbid(unsafe_code)]

use std::os::unix::ffi::OsStrExt;

use nix::sys::resource::{Resource, getrlimit};

use super::cgroup::place::Own;

/// Limits of rinit itself, which PROGRAM would have inherited. What could not be read is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StartLimits {
    /// `RLIMIT_NOFILE`, soft; [`UNLIMITED`] for none.
    pub descriptors: Option<u64>,
    /// `RLIMIT_NPROC`, soft; [`UNLIMITED`] for none.
    pub processes: Option<u64>,
    /// `RLIMIT_STACK`, soft; [`UNLIMITED`] for none.
    pub stack: Option<u64>,
    /// `pids.current` and `pids.max` of rinit's own cgroup, if that has a limit.
    pub cgroup_processes: Option<(u64, u64)>,
    /// How much was to be handed to PROGRAM.
    pub sizes: Option<Sizes>,
}

/// No limit (`RLIM_INFINITY`).
pub const UNLIMITED: u64 = nix::libc::RLIM_INFINITY;

/// Sizes in bytes, with the NUL at the end of every string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sizes {
    /// All arguments, the program's name included.
    pub arguments: usize,
    /// The longest of them.
    pub longest_argument: usize,
    /// All of the environment.
    pub environment: usize,
    /// How many variables there are.
    pub variables: usize,
    /// The name of the largest variable, and the size of name and value together. Never the value.
    pub largest_variable: Option<(Vec<u8>, usize)>,
}

impl StartLimits {
    /// Reads them.
    #[must_use]
    pub fn read(words: &[Vec<u8>]) -> Self {
        let soft = |resource| getrlimit(resource).ok().map(|(soft, _)| soft);
        Self {
            descriptors: soft(Resource::RLIMIT_NOFILE),
            processes: soft(Resource::RLIMIT_NPROC),
            stack: soft(Resource::RLIMIT_STACK),
            cgroup_processes: cgroup_processes(),
            sizes: Some(Sizes::of(
                words.iter().map(Vec::len),
                std::env::vars_os().map(|(name, value)| (name.as_bytes().to_vec(), value.len())),
            )),
        }
    }

    /// How many bytes execve(2) takes in all (fs/exec.c, `bprm_stack_limits`).
    #[must_use]
    pub fn most_bytes(&self) -> Option<u64> {
        Some((self.stack? / 4).clamp(128 * 1024, 6 * 1024 * 1024))
    }
}

impl Sizes {
    /// Sizes of the arguments, and names with sizes of the values of the variables.
    fn of(arguments: impl Iterator<Item = usize>, variables: impl Iterator<Item = (Vec<u8>, usize)>) -> Self {
        let mut sizes = Self::default();
        for length in arguments.map(|length| length + 1) {
            sizes.arguments += length;
            sizes.longest_argument = sizes.longest_argument.max(length);
        }
        for (name, value) in variables {
            let length = name.len() + 1 + value + 1;
            sizes.variables += 1;
            sizes.environment += length;
            if sizes.largest_variable.as_ref().is_none_or(|(_, largest)| *largest < length) {
                sizes.largest_variable = Some((name, length));
            }
        }
        sizes
    }
}

/// pids.current and pids.max, if both are numbers.
fn cgroup_processes() -> Option<(u64, u64)> {
    let pids = Own::new(nix::unistd::getpid().as_raw()).place_of(b"pids")?;
    pids.number("pids.current").zip(pids.number("pids.max"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_name_the_largest_variable_and_never_a_value() {
        let variables = [("A", 10), ("SECRET", 3000), ("B", 0)];
        let sizes = Sizes::of(
            [4, 100, 0].into_iter(),
            variables.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value)),
        );
        assert_eq!((sizes.arguments, sizes.longest_argument), (107, 101));
        assert_eq!((sizes.environment, sizes.variables), (13 + 3008 + 3, 3));
        assert_eq!(sizes.largest_variable, Some((b"SECRET".to_vec(), 3008)));
        assert_eq!(Sizes::of([].into_iter(), [].into_iter()), Sizes::default());
    }

    #[test]
    fn the_most_that_execve_takes() {
        let of = |stack| StartLimits { stack: Some(stack), ..StartLimits::default() }.most_bytes();
        assert_eq!(of(8 << 20), Some(2 << 20));
        assert_eq!(of(1024), Some(128 << 10));
        assert_eq!(of(UNLIMITED), Some(6 << 20));
        assert_eq!(StartLimits::default().most_bytes(), None);
    }
}
