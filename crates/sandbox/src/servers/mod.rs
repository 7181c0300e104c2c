//! Private `nats-server` and Postgres processes on loopback, each in a temporary folder of its own.
//!
//! Owns finding the binaries, free ports, and starting, stopping and killing the processes. They leave
//! nothing behind: dropping a server ends it and removes its folder, and should the owner be killed with
//! -9, its watcher (see [`folder`]) does the same. Must never touch a process or folder it did not make,
//! and must never weaken what the servers promise about durability. Needs Linux (`/proc`) and `sh`.

pub mod folder;
mod nats;
mod postgres;
mod process;

pub use nats::{Nats, NatsOptions, oldest_nats_server};
pub use postgres::{Postgres, PostgresStop};
pub use process::Process;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

/// How often a condition is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Ports are drawn from below 32768, where Linux starts to hand out ports for outgoing connections: a
/// client that keeps trying to reach a stopped server on such a port would one day be given that very
/// port, connect to itself and keep the server from coming back.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// A loopback port nobody listens on at this moment.
pub fn free_port() -> anyhow::Result<u16> {
    for _ in 0..200 {
        let port = rand::random_range(PORTS);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!(
        "no free port between {} and {} in 200 tries",
        PORTS.start,
        PORTS.end
    )
}

/// The first of `folders` that holds all of `programs`, as the folder in which the first of them really
/// lies: distributions put a link to one program of a suite on the path and keep the rest beside it.
fn folder_with(folders: impl IntoIterator<Item = PathBuf>, programs: &[&str]) -> Option<PathBuf> {
    folders.into_iter().find_map(|folder| {
        let real = folder.join(programs.first()?).canonicalize().ok()?;
        let folder = real.parent()?.to_path_buf();
        programs
            .iter()
            .all(|program| folder.join(program).is_file())
            .then_some(folder)
    })
}

/// The folders of `PATH`, then those that daemons live in and that a plain user's `PATH` leaves out.
fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .collect()
}

/// The last `lines` lines of a server's log, for messages about why it did not start.
fn tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// A log file that a process writes to and that keeps what earlier runs wrote.
fn log_file(path: &Path) -> anyhow::Result<std::fs::File> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot write the log {}", path.display()))
}

#[cfg(test)]
mod tests;
