//! `cargo bench --bench pipe`: the speed from events to counts, compared with NATS and the database alone.
//!
//! Owns the measurements and their order. Private servers and the real worker run on loopback and on the same cores. Every run
//! ends with a comparison of all counts with an independent count; a run that counted wrong ends the bench.

#[cfg(feature = "sandbox")]
mod baseline;
#[cfg(feature = "sandbox")]
mod database;
#[path = "../shared/entry.rs"]
mod entry;
#[cfg(feature = "sandbox")]
mod field;
#[cfg(feature = "sandbox")]
mod growth;
#[cfg(feature = "sandbox")]
mod horizon;
#[cfg(feature = "sandbox")]
mod instructions;
#[cfg(feature = "sandbox")]
mod latency;
#[cfg(feature = "sandbox")]
mod latency_bare;
#[cfg(feature = "sandbox")]
mod latency_plays;
#[cfg(feature = "sandbox")]
mod latency_script;
#[cfg(feature = "sandbox")]
mod latency_world;
#[cfg(feature = "sandbox")]
mod limits;
#[cfg(feature = "sandbox")]
mod memory;
#[cfg(feature = "sandbox")]
mod peer;
#[cfg(feature = "sandbox")]
mod peers;
#[cfg(feature = "sandbox")]
mod pipe;
#[cfg(feature = "sandbox")]
#[path = "../shared/postgres.rs"]
mod postgres;
#[cfg(feature = "sandbox")]
#[path = "../shared/process.rs"]
mod process;
#[cfg(feature = "sandbox")]
mod run;
#[cfg(feature = "sandbox")]
#[path = "../peers/rust.rs"]
mod rust_peer;
#[cfg(feature = "sandbox")]
mod share;
#[cfg(feature = "sandbox")]
mod start;
#[cfg(feature = "sandbox")]
mod stream;
#[cfg(feature = "sandbox")]
#[path = "../shared/table.rs"]
mod table;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    #[cfg(feature = "sandbox")]
    if std::env::args().nth(1).as_deref() == Some(peer::RUST_PEER) {
        return rust_peer::run().map(|()| ExitCode::SUCCESS);
    }
    if entry::is_asked_for("pipe") {
        bench()
    } else {
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(feature = "sandbox")]
#[tokio::main]
async fn bench() -> anyhow::Result<ExitCode> {
    run::all(clap::Parser::parse()).await
}

#[cfg(not(feature = "sandbox"))]
fn bench() -> anyhow::Result<ExitCode> {
    entry::with_sandbox("pipe")
}
