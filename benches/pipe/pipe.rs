//! The real worker on a filled stream.
//!
//! Owns the time from its start to its last commit, and its memory and CPU.

use std::time::Duration;

use std::path::Path;

use anyhow::Result;
use rolekeeper_sandbox::worker::Worker;
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep};

use crate::browsers::Browsers;
use crate::console::TOKEN;
use crate::process;
use crate::program::{PROGRAM, settings};

const POLL_INTERVAL: Duration = Duration::from_millis(10);
const DRAIN_WITHIN: Duration = Duration::from_mins(10);

/// The figures of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drained {
    /// From the start of the process to the last commit.
    pub(crate) took: Duration,
    /// Peak memory of the worker.
    pub(crate) peak_mib: f64,
    /// CPU time of the worker, in seconds.
    pub(crate) cpu: f64,
}

/// Starts the worker on the database at `url` and lets it fold up to `last_seq`.
pub(crate) async fn drain(url: &str, nats: &str, batch: usize, last_seq: u64) -> Result<Drained> {
    drain_with(Path::new(PROGRAM), url, nats, batch, last_seq, "off").await
}

/// As [`drain`], with this number of browsers at the console from the start of its listener on.
pub(crate) async fn drain_watched(
    url: &str,
    nats: &str,
    batch: usize,
    last_seq: u64,
    consoles: usize,
) -> Result<Drained> {
    let more = [("CONSOLE_READ_TOKEN", TOKEN.to_owned())];
    until_drained(Path::new(PROGRAM), url, nats, batch, last_seq, &more, consoles).await
}

/// As [`drain`], with a worker of `program` and a dedup window of `dedup_window`.
pub(crate) async fn drain_with(
    program: &Path,
    url: &str,
    nats: &str,
    batch: usize,
    last_seq: u64,
    dedup_window: &str,
) -> Result<Drained> {
    let more = [("DEDUP_WINDOW", dedup_window.to_owned())];
    until_drained(program, url, nats, batch, last_seq, &more, 0).await
}

async fn until_drained(
    program: &Path,
    url: &str,
    nats: &str,
    batch: usize,
    last_seq: u64,
    more: &[(&'static str, String)],
    consoles: usize,
) -> Result<Drained> {
    let mut settings = settings(url, nats);
    settings.extend_from_slice(more);
    settings.push(("FOLD_BATCH", batch.to_string()));
    let mut db = PgConnection::connect(url).await?;
    let began = Instant::now();
    let mut worker = Worker::spawn(program, &settings)?;
    let mut browsers = None;
    let drained = "SELECT last_seq >= $1 FROM stream_cursors WHERE stream = 'APP_EVENTS'";
    loop {
        worker.still_runs()?;
        if browsers.is_none()
            && consoles > 0
            && let Some(ops) = worker.address("OPS_LISTEN")
        {
            browsers = Some(Browsers::open(&ops, consoles).await?);
        }
        let drained = sqlx::query_scalar(drained).bind(last_seq.cast_signed());
        if drained.fetch_optional(&mut db).await? == Some(true) {
            break;
        }
        anyhow::ensure!(
            began.elapsed() < DRAIN_WITHIN,
            "the stream is not drained after {DRAIN_WITHIN:?}; the end of the worker's log:\n{}",
            worker.log_tail()
        );
        sleep(POLL_INTERVAL).await;
    }
    let took = began.elapsed();
    if let Some(browsers) = browsers {
        browsers.close().await?;
    }
    let peak_mib = worker.peak_memory_mib()?;
    let cpu = process::cpu(worker.pid())?;
    db.close().await?;
    worker.stop().await?;
    Ok(Drained { took, peak_mib, cpu })
}
