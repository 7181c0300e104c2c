//! Events at a steady pace, and when Postgres showed each of them counted.
//!
//! Owns both clocks: that of the call that publishes an event, however late the pace has become, and that of the answer
//! that shows the cursor past it. Must never ask the worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::Context;
use sqlx::{Connection as _, PgConnection};
use time::OffsetDateTime;
use tokio::sync::mpsc;

use crate::latency::Times;

/// Events a second.
pub(crate) const PER_SECOND: usize = 2_000;
/// tokio's clock has milliseconds: two events each make the pace.
const TICK: Duration = Duration::from_millis(1);
const EVENTS_A_TICK: usize = PER_SECOND / 1_000;
/// How often the cursor is asked for. Each asking takes some tens of microseconds of Postgres.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// An event to be published.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) subject: String,
    pub(crate) id: String,
    pub(crate) body: String,
}

/// One that was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    /// When publishing was called.
    pub(crate) called: Instant,
    /// The same by the clock on the wall, which the tenant goes by.
    pub(crate) called_at: OffsetDateTime,
    /// When the stream's acknowledgement was there.
    acked: Instant,
    seq: u64,
}

/// Publishes events in order, [`PER_SECOND`], without waiting for one before the next.
pub(crate) async fn publish(jetstream: &Context, events: Vec<Outgoing>) -> Result<Vec<Published>> {
    let (sent, mut unacked) = mpsc::unbounded_channel();
    let send = async move {
        let mut tick = tokio::time::interval(TICK);
        for (number, event) in events.into_iter().enumerate() {
            if number % EVENTS_A_TICK == 0 {
                tick.tick().await;
            }
            let mut headers = HeaderMap::new();
            headers.insert(NATS_MESSAGE_ID, event.id.as_str());
            let (called, called_at) = (Instant::now(), rolekeeper::sandbox::now());
            let ack = jetstream.publish_with_headers(event.subject, headers, event.body.into());
            sent.send((called, called_at, ack.await?))?;
        }
        anyhow::Ok(())
    };
    let acks = async {
        let mut published: Vec<Published> = vec![];
        while let Some((called, called_at, ack)) = unacked.recv().await {
            let seq = ack.await.context("an event was not stored")?.sequence;
            let follows = published.last().is_none_or(|last| last.seq + 1 == seq);
            anyhow::ensure!(follows, "somebody else publishes: {seq} does not follow");
            published.push(Published {
                called,
                called_at,
                acked: Instant::now(),
                seq,
            });
        }
        Ok(published)
    };
    let ((), published) = tokio::try_join!(send, acks)?;
    Ok(published)
}

/// From the call to the acknowledgement.
pub(crate) fn acked(published: &[Published]) -> Times {
    let mut times = Times::default();
    for one in published {
        times.push(one.acked - one.called);
    }
    times
}

/// Where the cursor was seen, and when: each place once.
type Seen = Vec<(Instant, u64)>;

/// Asks for the cursor all the time, on a thread and a connection of its own, so that nothing else of the bench is in its
/// way. Reads nothing but that row.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Seen>>,
}

impl Watch {
    pub(crate) fn start(url: &str) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (url, stopped) = (url.to_owned(), Arc::clone(&stop));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::spawn(move || runtime.block_on(watch(&url, &stopped)));
        Ok(Self { stop, thread })
    }

    /// From the call that published each event to the answer that showed it counted.
    pub(crate) fn counted(self, published: &[Published]) -> Result<Times> {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.thread.join();
        let seen = seen.map_err(|_| anyhow::anyhow!("watching the cursor panicked"))??;
        let mut seen = seen.into_iter().peekable();
        let mut times = Times::default();
        for one in published {
            while seen.next_if(|(_, seq)| *seq < one.seq).is_some() {}
            let (at, _) = seen.peek().context("not all events were seen counted")?;
            // An event that was seen counted before its publishing was called would be a fault of the bench.
            times.push(
                at.checked_duration_since(one.called)
                    .context("counted before it was sent")?,
            );
        }
        Ok(times)
    }
}

async fn watch(url: &str, stop: &AtomicBool) -> Result<Seen> {
    let mut db = PgConnection::connect(url).await?;
    let mut seen: Seen = vec![];
    while !stop.load(Ordering::Relaxed) {
        let cursor = sqlx::query_scalar("SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'");
        let seq: i64 = cursor.fetch_one(&mut db).await?;
        let seq = seq.cast_unsigned();
        if seen.last().is_none_or(|(_, last)| *last != seq) {
            seen.push((Instant::now(), seq));
        }
        // The thread's own sleep: tokio's would be a millisecond coarse.
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(db.close().await.map(|()| seen)?)
}
