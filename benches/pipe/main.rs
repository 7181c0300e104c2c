//! `cargo bench --bench pipe`: the speed from events to counts, compared with NATS and the database alone.
//!
//! Owns the measurements and their order. Private servers and the real worker run on loopback and on the same cores. Every run
//! ends with a comparison of all counts with an independent count; a run that counted wrong ends the bench.

mod baseline;
mod browsers;
#[path = "../shared/console.rs"]
mod console;
mod consoles;
mod database;
mod dedup;
#[path = "../shared/entry.rs"]
mod entry;
mod field;
mod ground;
mod growth;
mod instructions;
mod latency;
mod latency_bare;
mod latency_plays;
mod latency_script;
mod latency_world;
mod limits;
mod memory;
mod peer;
mod peers;
mod pipe;
#[path = "../shared/postgres.rs"]
mod postgres;
#[path = "../shared/process.rs"]
mod process;
mod program;
mod run;
#[path = "../peers/rust.rs"]
mod rust_peer;
mod share;
mod sizes;
mod start;
mod stream;
#[path = "../shared/table.rs"]
mod table;
mod times;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    if std::env::args().nth(1).as_deref() == Some(peer::RUST_PEER) {
        return rust_peer::run().map(|()| ExitCode::SUCCESS);
    }
    entry::run("pipe", async || run::all(clap::Parser::parse()).await)
}
