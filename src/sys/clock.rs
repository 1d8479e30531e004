//! The wall clock.

/// Seconds since 1970; 0 if the clock stands before that.
#[must_use]
pub fn seconds_since_1970() -> u64 {
    #[cfg(all(target_env = "musl", target_pointer_width = "32"))]
    return beyond_2038();
    #[cfg(not(all(target_env = "musl", target_pointer_width = "32")))]
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// On 32-bit musl std asks with 32 bits of seconds, and panics from 2038 on.
#[cfg(all(target_env = "musl", target_pointer_width = "32"))]
fn beyond_2038() -> u64 {
    unsafe extern "C" {
        // What clock_gettime(2) is in musl's own header since 1.2, include/time.h.
        fn __clock_gettime64(clock: libc::clockid_t, time: *mut [i64; 2]) -> libc::c_int;
    }
    let mut time = [0; 2];
    // SAFETY: the structure is 64 bits of seconds, then nanoseconds and padding, 64 bits together.
    unsafe { __clock_gettime64(libc::CLOCK_REALTIME, &raw mut time) };
    let [seconds, _] = time;
    u64::try_from(seconds).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{SystemTime, UNIX_EPOCH};

    #[test]
    fn it_is_the_clock_of_std() {
        let std = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let (before, ours, after) = (std(), seconds_since_1970(), std());
        assert!(before <= ours && ours <= after, "{before} {ours} {after}");
    }
}
