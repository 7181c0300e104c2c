//! The time of a start, and the resources of the idle worker: all stages, an empty database, a stand-in tenant.
//!
//! Owns the time from the start of the process to its first commit, the size of the binary, and CPU and memory at rest.
//! Must never omit a stage, nor the very first start, which differs from the others.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use rolekeeper_sandbox::servers::Nats;
use rolekeeper_sandbox::tenant::{Client, Tenant, TenantOptions};
use rolekeeper_sandbox::worker::{self, Worker};
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep};

use crate::ground::Ground;
use crate::process;
use crate::program::PROGRAM;
use crate::stream::Filled;
use crate::table::{Goal, Table};

const DATABASE: &str = "start";
const CLIENT: &str = "role-changer";
const SECRET: &str = "secret";
const LOG_TOKEN: &str = "log-stream-token-of-the-bench";
/// Number of starts: a median of fewer means little, and a start with its stop takes a second.
const LEAST_STARTS: usize = 9;
const POLL_INTERVAL: Duration = Duration::from_millis(1);
const COMMIT_WITHIN: Duration = Duration::from_secs(30);
/// Time after which the remaining work of the start is done.
const SETTLES_IN: Duration = Duration::from_secs(5);
const MIB: f64 = 1_048_576.0;

/// Adds the rows to the table.
pub(crate) async fn measure(table: &mut Table, ground: &Ground) -> Result<()> {
    let url = ground.postgres.create_database(DATABASE).await?;
    let nats = Nats::start().await?;
    let tenant = Tenant::start(TenantOptions {
        clients: vec![Client::new(CLIENT, SECRET)],
        ..TenantOptions::default()
    });
    let tenant = tenant.await?;
    let settings = worker::settings(&url, &nats.url(), &tenant.base_url(), (CLIENT, SECRET), LOG_TOKEN);
    worker::migrate(Path::new(PROGRAM), &settings).await?;
    let mut db = PgConnection::connect(&url).await?;
    let mut waiting = Filled::publish(&nats.url(), 0, 1_000).await?;

    let mut starts = vec![];
    for _ in 0..=ground.sizes.rounds.max(LEAST_STARTS) {
        waiting.more(1).await?;
        let (mut worker, took) = first_commit(&settings, &mut db, waiting.events).await?;
        worker.ready().await?;
        worker.stop().await?;
        starts.push(took.as_secs_f64() * 1_000.0);
    }
    ground.say(&format!("starts, ms: {starts:.0?}"));
    if let Some((very_first, others)) = starts.split_first() {
        table.row("very first start to first commit, ms", None, &[*very_first]);
        table.row("start to first commit, ms", Some(Goal::AtMost(300.0)), others);
    }
    // This is an upper bound: this binary includes the sandbox, the release binary does not.
    let size = std::fs::metadata(PROGRAM)?.len() as f64 / MIB;
    table.row("binary with the sandbox, MiB", Some(Goal::AtMost(20.0)), &[size]);

    let mut worker = Worker::spawn(Path::new(PROGRAM), &settings)?;
    worker.ready().await?;
    sleep(SETTLES_IN).await;
    let (began, before) = (Instant::now(), process::cpu(worker.pid())?);
    sleep(Duration::from_secs(ground.sizes.idle_seconds)).await;
    let busy = process::cpu(worker.pid())? - before;
    let percent = 100.0 * busy / began.elapsed().as_secs_f64();
    let memory = process::memory_mib(worker.pid())?;
    worker.stop().await?;
    ground.say(&format!("at rest: {percent:.2} % of a core, {memory:.1} MiB"));
    table.row("CPU at rest, percent of a core", None, &[percent]);
    table.row("memory at rest, MiB", None, &[memory]);
    Ok(())
}

/// Starts the worker; returns when the event at `seq` is counted.
async fn first_commit(
    settings: &[(&str, String)],
    db: &mut PgConnection,
    seq: u64,
) -> Result<(Worker, Duration)> {
    let began = Instant::now();
    let mut worker = Worker::spawn(Path::new(PROGRAM), settings)?;
    let counted = "SELECT last_seq >= $1 FROM stream_cursors WHERE stream = 'APP_EVENTS'";
    loop {
        let counted = sqlx::query_scalar(counted).bind(seq.cast_signed());
        if counted.fetch_optional(&mut *db).await? == Some(true) {
            return Ok((worker, began.elapsed()));
        }
        worker.still_runs()?;
        anyhow::ensure!(
            began.elapsed() < COMMIT_WITHIN,
            "no commit in {COMMIT_WITHIN:?}; the end of the worker's log:\n{}",
            worker.log_tail()
        );
        sleep(POLL_INTERVAL).await;
    }
}
