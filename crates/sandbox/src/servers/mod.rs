//! Private `nats-server` and Postgres processes on loopback, each in a separate temporary folder.
//!
//! Owns the search for binaries and free ports, and the start, stop and kill of the processes. They leave no files or
//! processes: dropping a server ends it and removes its folder; if the owner is killed with -9, its watcher (see [`folder`])
//! does the same. Must never touch a process or folder that it did not create, and must never weaken the durability of the
//! servers. Needs Linux (`/proc`) and `sh`.

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

/// How often a condition is checked during a wait.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Ports are chosen below 32768, where Linux begins to assign ports to outgoing connections: a client that keeps connecting
/// to a stopped server on a higher port could be assigned that port itself, connect to itself and block the server's restart.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// Returns a loopback port without a listener at this moment.
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

/// Returns the first of `folders` that holds all of `programs`, as the real folder of the first program: distributions put
/// a link to one program of a suite on the path and keep the other programs beside its target.
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

/// Returns the folders of `PATH`, then the folders of daemons, which a normal user's `PATH` lacks.
fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .collect()
}

/// Returns the last `lines` lines of a server's log, for messages about a failed start.
fn tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Opens a log file for a process; the lines of earlier runs are kept.
fn log_file(path: &Path) -> anyhow::Result<std::fs::File> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot write the log {}", path.display()))
}

#[cfg(test)]
mod tests;
