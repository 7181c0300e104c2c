//! `cargo bench --bench tenant`: the load of rolekeeper on a tenant, compared with a plain client.
//!
//! Owns the measurements, their order, and the exit code: 0 only if every goal is reached. Private servers, a stand-in tenant
//! and the real worker run on loopback. Must never take a figure from the worker: calls are counted in the tenant's own log,
//! roles are read at the tenant.

mod counts;
mod drain;
#[path = "../shared/entry.rs"]
mod entry;
mod large;
mod log;
mod mass;
mod other_client;
mod plain;
#[path = "../shared/process.rs"]
#[expect(dead_code, reason = "other benches also read the present memory")]
mod process;
mod protocol_clients;
mod protocol_server;
mod protocols;
mod run;
mod sizes;
mod table;
mod world;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    entry::run("tenant", async || run::all(clap::Parser::parse()).await)
}
