//! The output of commands.
//!
//! Owns how text reaches standard output and standard error. Must never end a command because a reader has closed the pipe: the
//! command does all that it was called for, and its exit status says how it ended.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

/// Something that was said is lost.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Writes to standard output.
pub(super) fn to_stdout(text: Arguments<'_>) {
    match stdout().lock().write_fmt(text) {
        // Once is enough: each further line fails too.
        Err(why) if why.kind() != ErrorKind::BrokenPipe && !FAILED.swap(true, Ordering::Relaxed) => {
            to_stderr(format_args!("standard output: {why}\n"));
        }
        _ => {}
    }
}

/// Whether a write to standard output failed, other than because its reader has closed the pipe.
pub(super) fn has_failed() -> bool {
    FAILED.load(Ordering::Relaxed)
}

/// Writes to standard error. Where that fails there is no place for a report.
pub(super) fn to_stderr(text: Arguments<'_>) {
    let _ = stderr().lock().write_fmt(text);
}

/// Writes a line to standard output, with the arguments of `format!`.
macro_rules! say {
    ($($part:tt)*) => { $crate::cli::output::to_stdout(format_args!("{}\n", format_args!($($part)*))) };
}

/// Writes a line to standard error, with the arguments of `format!`.
macro_rules! remark {
    ($($part:tt)*) => { $crate::cli::output::to_stderr(format_args!("{}\n", format_args!($($part)*))) };
}

pub(super) use {remark, say};
