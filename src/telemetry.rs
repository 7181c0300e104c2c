//! Logs: text for people, JSON lines for machines.
//!
//! Owns the format and the destination (standard error) of log lines. Must never print a token, an e-mail address or a
//! raw body: callers name fields, not payloads.

use std::io;
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::error;
use tracing_subscriber::EnvFilter;

/// Levels of dependencies with their own log lines; a level for them in the setting comes later and wins. The NATS
/// client logs every attempt to connect, where our own line comes once a minute.
const QUIET: &str = "async_nats=off,sqlx=warn,";

/// Never enabled, not even by the setting: the NATS client's connector prints addresses with their passwords.
const NEVER: &str = ",async_nats::connector=off";

/// Starts logging for the life of the process.
///
/// # Errors
/// A setting is not understood; the error has the expected values.
pub fn start(format: &str, level: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(format!("{QUIET}{level}{NEVER}"))
        .map_err(|_| format!("LOG_LEVEL: got \"{level}\", expected a level such as info or a filter such as info,rolekeeper=debug"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Its report of a closed standard error would be a panic.
        .log_internal_errors(false)
        .with_writer(io::stderr);
    let started = match format {
        "text" => builder
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .try_init(),
        "json" => builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .try_init(),
        other => return Err(format!("LOG_FORMAT: got \"{other}\", expected text or json")),
    };
    started.map_err(|error| format!("logging cannot start: {error}"))
}

/// Number of panics of this process so far.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// Logs each panic as an error, and counts it.
pub fn log_panics() {
    panic::set_hook(Box::new(|panicked| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        let place = panicked.location().map(ToString::to_string);
        let message = panicked.payload_as_str().unwrap_or("no message");
        error!(
            place,
            "a panic, which is a fault of the program: {message}. Please report this line and the version"
        );
    }));
}

/// The number of panics so far.
#[must_use]
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}
