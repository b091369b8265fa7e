//! What a piece of work cost: wall time, processor time of this process, and the peak of its memory.

use std::time::Instant;

/// The cost of a piece of work.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Seconds by the clock.
    pub wall: f64,
    /// Seconds of user time, all threads together.
    pub user: f64,
}

/// Does the work, and says what it cost.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let (begun, user) = (Instant::now(), user_seconds(libc::RUSAGE_SELF));
    let out = work();
    let cost = Cost { wall: begun.elapsed().as_secs_f64(), user: user_seconds(libc::RUSAGE_SELF) - user };
    (out, cost)
}

/// User seconds so far of this process, or of its ended children.
pub fn user_seconds(who: libc::c_int) -> f64 {
    let time = rusage(who).ru_utime;
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}

/// The most memory this process has had, in megabytes.
pub fn peak_megabytes() -> f64 {
    rusage(libc::RUSAGE_SELF).ru_maxrss as f64 / 1e3
}

fn rusage(who: libc::c_int) -> libc::rusage {
    // SAFETY: an all-zero rusage is valid, and getrusage only writes to the one it is given.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(who, &raw mut usage);
        usage
    }
}
