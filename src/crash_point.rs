//! Named places behind effects: a debug build can be killed or frozen there by a test.
//!
//! Owns when a point acts. A release build has no points: neither code nor a read of the setting. Must never act without an
//! order, and at most once for each order.

/// Marks the place behind an effect (a commit, a message, a purge, a write at Auth0), by a name that is unique in its file.
#[cfg(debug_assertions)]
macro_rules! crash_point {
    ($name:literal) => {
        $crate::crash_point::reached(concat!(module_path!(), "::", $name))
    };
}

/// Marks the place behind an effect; nothing in a release build.
#[cfg(not(debug_assertions))]
macro_rules! crash_point {
    ($name:literal) => {};
}

/// Names the file with the order: one line with a point and how it acts there, `kill` or `stop`.
#[cfg(debug_assertions)]
const ORDER: &str = "CRASH_POINT";

/// Acts on an order for this point. The process removes the file first, so that the order acts once, in one process, and the test
/// sees that the point was reached.
#[cfg(debug_assertions)]
pub(crate) fn reached(point: &str) {
    use nix::sys::signal::{Signal, raise};
    use std::{env, fs, path::PathBuf, sync::LazyLock};

    static FILE: LazyLock<Option<PathBuf>> = LazyLock::new(|| env::var_os(ORDER).map(PathBuf::from));
    let Some(file) = &*FILE else {
        return;
    };
    let name = point.strip_prefix("rolekeeper::").unwrap_or(point);
    let order = fs::read_to_string(file).unwrap_or_default();
    let signal = match order.split_once(' ') {
        Some((wanted, "kill")) if wanted == name => Signal::SIGKILL,
        Some((wanted, "stop")) if wanted == name => Signal::SIGSTOP,
        _ => return,
    };
    if fs::remove_file(file).is_ok() {
        // A signal of the process to itself is delivered before `raise` returns.
        let _ = raise(signal);
    }
}
