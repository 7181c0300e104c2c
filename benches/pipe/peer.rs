//! One peer: a separate process with a separate consumer, for some time or until the end of the stream.
//!
//! Owns its start and stop, its speed, and the proof that it counted right: the events that it reports are counted again here.
//! Must never trust a peer's counts.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use rolekeeper::clock;
use rolekeeper_sandbox::servers::folder::{self, Folder};
use rolekeeper_sandbox::traffic::stream::APP_EVENTS;
use serde::Deserialize;
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep};

use crate::database;
use crate::ground::Ground;
use crate::program::TEMPLATE;

/// First argument with which this program runs as the peer in Rust.
pub(crate) const RUST_PEER: &str = "rust-peer";
/// Name of database and consumer.
const NAME: &str = "peer";
/// How often the server is asked for the peer's position; rare enough to cost nothing.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Longest wait for the end of a peer: it commits its batch in flight, and waits for the fetch of the next one.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// Longest wait for acknowledgements that are in flight when the peer has ended.
const ACKED_WITHIN: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Language {
    Rust,
    Node,
    Python,
}

/// The design of a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// One transaction per event, this many at once.
    PerEvent { at_once: u8 },
    /// As many events per transaction as the pipe, with the position.
    Batched,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    language: Language,
    way: Way,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, ", self.language)?;
        match self.way {
            Way::PerEvent { at_once: 1 } => f.write_str("event by event"),
            Way::PerEvent { at_once } => write!(f, "event by event, {at_once} at once"),
            Way::Batched => f.write_str("batched"),
        }
    }
}

/// The report that a peer prints at its end.
#[derive(Debug, Deserialize)]
struct Report {
    events: u64,
    last_seq: u64,
    /// Unix milliseconds.
    last_commit: i64,
}

impl Peer {
    pub(crate) const fn new(language: Language, way: Way) -> Self {
        Self { language, way }
    }

    /// Runs it on a new copy of the database; returns events per second from its start to its last commit, or the reason why it has
    /// none: it did not start, end or report. A peer that counted wrong is an error.
    pub(crate) async fn run(self, ground: &Ground) -> Result<Result<f64, String>> {
        let url = database::copy_without_keys(&ground.postgres, TEMPLATE, NAME).await?;
        let mut db = PgConnection::connect(&url).await?;
        let position =
            "CREATE TABLE peer_position (last_seq bigint NOT NULL); INSERT INTO peer_position VALUES (0)";
        sqlx::raw_sql(position).execute(&mut db).await?;
        let began = clock::now().unix_timestamp_nanos() / 1_000_000;
        let report = match self.count(&url, ground).await {
            Ok(report) => report,
            Err(why) => {
                db.close().await?;
                clear(ground).await?;
                return Ok(Err(format!("{why:#}")));
            }
        };
        let took = Duration::from_millis(u64::try_from(i128::from(report.last_commit) - began)?);
        self.check(&report, &mut db, ground).await?;
        db.close().await?;
        let counts = ground.filled.counts_of_first(report.events);
        database::is_exact(&url, ground.sizes.playlists, &counts).await?;
        clear(ground).await?;
        Ok(Ok(report.events as f64 / took.as_secs_f64()))
    }

    /// Starts it, runs it for its time or to the end of the stream, and stops it.
    async fn count(self, url: &str, ground: &Ground) -> Result<Report> {
        let folder = Folder::new(NAME)?;
        let [out, log] = ["out", "log"].map(|name| folder.path().join(name));
        let mut command = self.command(&folder)?;
        command
            .env("NATS_URL", ground.nats.url())
            .env("DATABASE_URL", url)
            .env("STREAM", APP_EVENTS)
            .env("CONSUMER", NAME);
        match self.way {
            Way::PerEvent { at_once } => command.env("AT_ONCE", at_once.to_string()),
            Way::Batched => command.env("BATCH", ground.sizes.batch.to_string()),
        };
        command.stdout(File::create(&out)?).stderr(File::create(&log)?);
        let deadline = Instant::now() + Duration::from_secs(ground.sizes.peer_seconds);
        let mut process = folder::spawn(command)?;
        let complaint = || fs::read_to_string(&log).unwrap_or_default();
        while Instant::now() < deadline && acknowledged(ground).await? < ground.filled.events {
            let ended = process.ended()?;
            anyhow::ensure!(ended.is_none(), "ended by itself:\n{}", complaint());
            sleep(POLL_INTERVAL).await;
        }
        process.signal(Signal::SIGTERM)?;
        let Ok(status) = process.wait(STOP_WITHIN).await else {
            process.signal(Signal::SIGKILL)?;
            process.wait(STOP_WITHIN).await?;
            anyhow::bail!("did not stop within {STOP_WITHIN:?}:\n{}", complaint());
        };
        anyhow::ensure!(status.success(), "{status}:\n{}", complaint());
        let said = fs::read_to_string(&out)?;
        serde_json::from_str(&said).with_context(|| format!("said {said:?}:\n{}", complaint()))
    }

    fn command(self, folder: &Folder) -> Result<Command> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (tools, peers) = (root.join(".tools"), root.join("benches/peers"));
        let python = tools.join("peers/python/bin/python");
        let (program, argument): (PathBuf, PathBuf) = match (self.language, self.way) {
            (Language::Rust, Way::PerEvent { .. }) => (std::env::current_exe()?, RUST_PEER.into()),
            (Language::Rust, Way::Batched) => anyhow::bail!("in Rust that is the pipe itself"),
            (Language::Node, Way::PerEvent { .. }) => ("node".into(), peers.join("node/per-event.cjs")),
            (Language::Node, Way::Batched) => ("node".into(), peers.join("node/batched.cjs")),
            (Language::Python, Way::PerEvent { .. }) => (python, peers.join("python/per_event.py")),
            (Language::Python, Way::Batched) => (python, peers.join("python/batched.py")),
        };
        let mut command = folder.command(NAME, &program, "TERM");
        let path = std::env::var_os("PATH").context("no PATH")?;
        let paths = std::iter::once(tools.join("bin")).chain(std::env::split_paths(&path));
        command
            .arg(argument)
            .env_clear()
            .env("PATH", std::env::join_paths(paths)?)
            .env("NODE_PATH", tools.join("peers/node/node_modules"));
        Ok(command)
    }

    /// Checks its report against NATS and database.
    async fn check(self, report: &Report, db: &mut PgConnection, ground: &Ground) -> Result<()> {
        anyhow::ensure!(
            report.events > 0 && report.last_seq == report.events,
            "{report:?}: not the first events without a gap"
        );
        if matches!(self.way, Way::Batched) {
            let position = sqlx::query_scalar::<_, i64>("SELECT last_seq FROM peer_position");
            let position = position.fetch_one(db).await?;
            anyhow::ensure!(
                position.cast_unsigned() == report.last_seq,
                "{report:?}, but the position is {position}"
            );
        }
        let deadline = Instant::now() + ACKED_WITHIN;
        loop {
            let acked = acknowledged(ground).await?;
            if acked == report.last_seq {
                return Ok(());
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "{report:?}, but acknowledged to {acked}"
            );
            sleep(POLL_INTERVAL).await;
        }
    }
}

/// Removes consumer and database of a peer that has ended.
async fn clear(ground: &Ground) -> Result<()> {
    // A peer that failed early has no consumer.
    let _ = ground.filled.stream().await?.delete_consumer(NAME).await;
    database::drop_it(&ground.postgres, NAME).await
}

/// Returns the sequence up to which all messages are acknowledged; 0 before the consumer exists.
async fn acknowledged(ground: &Ground) -> Result<u64> {
    let stream = ground.filled.stream().await?;
    let info = stream.consumer_info(NAME).await;
    Ok(info.map_or(0, |info| info.ack_floor.stream_sequence))
}
