//! Events at a steady pace, and the times at which Postgres reports their count.
//!
//! Owns both times: the call that publishes an event, however late it is, and the notification that the cursor is past the
//! event. Must never ask the worker.

use std::pin::pin;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::Context;
use futures_util::TryStreamExt as _;
use sqlx::PgConnection;
use sqlx::postgres::PgListener;
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};

use crate::times::Times;

/// Events a second.
pub(crate) const PER_SECOND: usize = 2_000;
/// tokio's clock has milliseconds: two events per tick make the rate.
const TICK: Duration = Duration::from_millis(1);
const EVENTS_A_TICK: usize = PER_SECOND / 1_000;
/// Trigger that sends a notification when, and only if, the transaction that moves the cursor of plays is committed.
const NOTIFY: &str = "
    CREATE FUNCTION cursor_moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_notify('cursor_moved', NEW.last_seq::text); RETURN NULL;
    END $$;
    CREATE TRIGGER cursor_moved AFTER UPDATE ON stream_cursors FOR EACH ROW
    WHEN (NEW.stream = 'APP_EVENTS') EXECUTE FUNCTION cursor_moved()";
const MOVED: &str = "cursor_moved";

/// An event to be published.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) subject: String,
    pub(crate) id: String,
    pub(crate) body: String,
}

/// A published event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    /// When publishing was called.
    pub(crate) called: Instant,
    /// The same time by the wall clock, which the tenant uses.
    pub(crate) called_at: OffsetDateTime,
    /// When the stream's acknowledgement arrived.
    acked: Instant,
    seq: u64,
}

/// Publishes events in order, at [`PER_SECOND`], without a wait for acknowledgements in between.
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
            let (called, called_at) = (Instant::now(), rolekeeper_sandbox::now());
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
            anyhow::ensure!(follows, "another client publishes: {seq} does not follow");
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

/// Returns the times from the call to the acknowledgement.
pub(crate) fn acked(published: &[Published]) -> Times {
    let mut times = Times::default();
    for one in published {
        times.push(one.acked - one.called);
    }
    times
}

/// Makes the database send a notification of each move of the cursor.
pub(crate) async fn make_it_notify(db: &mut PgConnection) -> Result<()> {
    sqlx::raw_sql(NOTIFY).execute(db).await?;
    Ok(())
}

/// The notified positions of the cursor, with their times, each once.
type Notified = Vec<(Instant, u64)>;

/// Listens for each move of the cursor, on a separate thread and connection, so that no other part of the bench delays it.
pub(crate) struct Watch {
    last: oneshot::Sender<u64>,
    thread: JoinHandle<Result<Notified>>,
}

impl Watch {
    /// Starts the listener; it listens when this returns.
    pub(crate) async fn start(url: &str) -> Result<Self> {
        let (last, until) = oneshot::channel();
        let (listens, listening) = oneshot::channel();
        let url = url.to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::spawn(move || runtime.block_on(listen(&url, listens, until)));
        listening
            .await
            .context("the listener for the cursor did not start")?;
        Ok(Self { last, thread })
    }

    /// Returns the times from the call that published each event to the notification of its count.
    pub(crate) fn counted(self, published: &[Published]) -> Result<Times> {
        let last = published.last().context("nothing was published")?.seq;
        let ended = || anyhow::anyhow!("the listener for the cursor has ended");
        self.last.send(last).map_err(|_| ended())?;
        let notified = self.thread.join().map_err(|_| ended())??;
        let mut notified = notified.into_iter().peekable();
        let mut times = Times::default();
        for one in published {
            while notified.next_if(|(_, seq)| *seq < one.seq).is_some() {}
            let (at, _) = notified
                .peek()
                .context("not all events were notified as counted")?;
            // An event that was counted before the call that published it would be a fault of the bench.
            times.push(
                at.checked_duration_since(one.called)
                    .context("counted before it was sent")?,
            );
        }
        Ok(times)
    }
}

/// Listens until the cursor is at the last value of `until`.
async fn listen(
    url: &str,
    listens: oneshot::Sender<()>,
    mut until: oneshot::Receiver<u64>,
) -> Result<Notified> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen(MOVED).await?;
    let mut moves = pin!(listener.into_stream());
    listens.send(()).ok();
    let (mut notified, mut last): (Notified, _) = (vec![], None);
    while last.is_none_or(|last| notified.last().is_none_or(|(_, seq)| *seq < last)) {
        tokio::select! {
            moved = moves.try_next() => {
                let moved = moved?.context("the connection was lost")?;
                notified.push((Instant::now(), moved.payload().parse()?));
            }
            end = &mut until, if last.is_none() => last = Some(end?),
        }
    }
    Ok(notified)
}
