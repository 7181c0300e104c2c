//! Points behind effects, at which a test ends the process.
//!
//! Owns the name of a point: the place of the call in the source, so that no call is left out. Must never do anything in a release
//! build.

#[cfg(debug_assertions)]
use std::collections::HashSet;
#[cfg(debug_assertions)]
use std::panic::Location;
#[cfg(debug_assertions)]
use std::sync::{LazyLock, Mutex, PoisonError};

/// Names the point at which the process ends, as `file:line`.
#[cfg(debug_assertions)]
const CRASH_AT: &str = "ROLEKEEPER_CRASH_AT";
/// Names a file to which each point is written when it is first passed.
#[cfg(debug_assertions)]
const CRASH_POINTS: &str = "ROLEKEEPER_CRASH_POINTS";

/// The place of an effect in the source.
#[derive(Clone, Copy, Debug)]
pub struct CrashPoint(#[cfg(debug_assertions)] &'static Location<'static>);

impl CrashPoint {
    /// The place that calls.
    #[must_use]
    #[track_caller]
    pub fn here() -> Self {
        Self(
            #[cfg(debug_assertions)]
            Location::caller(),
        )
    }

    /// Passes the point: the effect is done. A debug build ends here, as by SIGKILL, where the environment says so.
    pub fn pass(self) {
        #[cfg(debug_assertions)]
        passed(&format!("{}:{}", self.0.file(), self.0.line()));
    }
}

#[cfg(debug_assertions)]
fn passed(point: &str) {
    static NAMED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(CRASH_AT).ok());
    static FILE: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(CRASH_POINTS).ok());
    static PASSED: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    if NAMED.as_deref() == Some(point) {
        std::process::abort();
    }
    let Some(file) = FILE.as_deref() else { return };
    let mut seen = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = seen.get_or_insert_default();
    if seen.insert(point.to_owned()) {
        let all: Vec<&str> = seen.iter().map(String::as_str).collect();
        // A test that reads it misses the point otherwise, and fails.
        let _ = std::fs::write(file, all.join("\n"));
    }
}
