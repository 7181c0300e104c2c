//! `cargo bench --bench scale`: the cost of the worker with few users and with many.
//!
//! Owns the measurements and their order. Private servers, a stand-in tenant and the real worker for each size run on
//! loopback and on the same cores.

#[path = "../shared/console.rs"]
mod console;
mod cost;
#[path = "../shared/entry.rs"]
mod entry;
#[path = "../shared/postgres.rs"]
mod postgres;
#[path = "../shared/process.rs"]
mod process;
mod run;
mod seed;
#[path = "../shared/table.rs"]
#[expect(dead_code, reason = "here every goal is a most")]
mod table;
mod world;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    entry::run("scale", async || run::all(clap::Parser::parse()).await)
}
