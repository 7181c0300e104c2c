//! A wall clock that is wrong, for one worker: a library that the dynamic linker loads before the C library.
//!
//! Owns its making. Must never change the clock that measures durations, nor the one of another process.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::Worker;

/// `clock_gettime` with `CLOCK_AHEAD_S` more seconds of the wall clock.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, id, now);
    const char *ahead = getenv("CLOCK_AHEAD_S");
    if (!failed && id == CLOCK_REALTIME && ahead) now->tv_sec += atol(ahead);
    return failed;
}
"#;

/// The library in a folder of its own.
#[derive(Debug)]
pub(crate) struct OtherClock {
    folder: TempDir,
}

impl OtherClock {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = folder.path().join("clock.c");
        std::fs::write(&source, SOURCE).expect("a writable folder");
        let clock = Self { folder };
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", "-o"])
            .arg(clock.library())
            .arg(source);
        assert!(compiler.status().expect("cc, which Rust needs too").success());
        clock
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("clock.so")
    }

    /// The settings of a worker whose clock is this number of seconds ahead.
    pub(crate) fn ahead(&self, seconds: i64) -> [(&'static str, String); 2] {
        let library = self.library().display().to_string();
        [("LD_PRELOAD", library), ("CLOCK_AHEAD_S", seconds.to_string())]
    }
}

/// How far the clock of a worker was ahead when it wrote the last line of its log.
pub(crate) fn ahead(worker: &Worker) -> time::Duration {
    let log = worker.log();
    let line: Value = serde_json::from_str(log.lines().last().expect("a line")).expect("JSON");
    let at = line["timestamp"].as_str().expect("a time");
    rolekeeper_domain::date::of_text(at).expect("a date") - rolekeeper::clock::now()
}
