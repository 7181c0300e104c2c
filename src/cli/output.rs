//! The output of commands.
//!
//! Owns how text reaches standard output and standard error. Must never end a command because a reader has closed the pipe: the
//! command does all that it was called for, and its exit status says how it ended.

use std::fmt::Arguments;
use std::io::{self, BufWriter, ErrorKind, Write, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

/// Something that was said is lost.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Writes to standard output.
pub(super) fn to_stdout(text: Arguments<'_>) {
    written(stdout().lock().write_fmt(text));
}

/// Writes a value to standard output as indented JSON, and the end of the line. It may be long, so its text is never in memory at
/// once.
pub(super) fn json(value: &impl Serialize) -> serde_json::Result<()> {
    let mut stdout = BufWriter::new(Stdout);
    serde_json::to_writer_pretty(&mut stdout, value)?;
    written(stdout.write_all(b"\n").and_then(|()| stdout.flush()));
    Ok(())
}

/// Standard output for a writer that must not end when a reader has closed the pipe.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        written(stdout().lock().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        written(stdout().lock().flush());
        Ok(())
    }
}

/// Reports the first failure of standard output, other than because its reader has closed the pipe.
fn written(result: io::Result<()>) {
    match result {
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
