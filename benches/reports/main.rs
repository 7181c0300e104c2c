//! `cargo bench --bench reports`: the time of the commands that explain, preview and simulate, and the memory of the last.
//!
//! Owns the measurements and their order. Private servers, and the real commands, run on loopback and on the same cores. No worker
//! runs meanwhile.

mod commands;
#[path = "../shared/entry.rs"]
mod entry;
mod history;
#[path = "../shared/postgres.rs"]
mod postgres;
mod run;
#[path = "../scale/seed.rs"]
#[expect(dead_code, reason = "no user crosses the threshold here")]
mod seed;
#[path = "../pipe/stream.rs"]
#[expect(dead_code, reason = "here the stream is filled once")]
mod stream;
#[path = "../shared/table.rs"]
#[expect(dead_code, reason = "here every goal is a most")]
mod table;
mod world;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    entry::run("reports", async || run::all(clap::Parser::parse()).await)
}
