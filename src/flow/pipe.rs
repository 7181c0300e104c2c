//! Watches the pipe, for the console and for one command: reads the streams and the tables again and again.
//!
//! Owns the interval, and the readings of which rates are differences. One watch serves all consoles. Must never read often while
//! no console is open.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::bus::{APP_EVENTS, AUTH0_LOGS, Bus, ROLE_CHANGES, StreamState};
use crate::clock;
use crate::store::{Store, StoreError};
use rolekeeper_domain::view::pipe::{Pipe, Reading, StreamReading, Streams, Tables};

/// Interval of the readings while a console is open.
const INTERVAL: Duration = Duration::from_secs(2);
/// The same while none is, so that the first page has a rate.
const IDLE_INTERVAL: Duration = Duration::from_secs(10);
/// Period of the rates.
const RATES_OVER: Duration = Duration::from_secs(30);
/// Longest wait for NATS, and for Postgres.
const READ_WITHIN: Duration = Duration::from_secs(3);

/// Reads the pipe.
#[derive(Debug)]
pub struct PipeWatch {
    store: Store,
    bus: Bus,
    pipe: watch::Sender<Option<Arc<Pipe>>>,
    readings: VecDeque<Reading>,
    began: Instant,
}

impl PipeWatch {
    /// A watch that has read nothing yet.
    #[must_use]
    pub fn new(store: Store, bus: Bus) -> Self {
        Self {
            store,
            bus,
            pipe: watch::Sender::new(None),
            readings: VecDeque::new(),
            began: Instant::now(),
        }
    }

    /// The newest value; none before the first reading. A page that waits for changes holds a clone of it, for which the interval
    /// becomes short.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Option<Arc<Pipe>>> {
        self.pipe.subscribe()
    }

    /// Reads twice, with the shortest interval between, so that the pipe has rates.
    pub async fn read_twice(mut self) -> Arc<Pipe> {
        // Without a connection the pipe says so.
        let _ = timeout(READ_WITHIN, self.bus.wait_for_supported_server()).await;
        self.read().await;
        tokio::time::sleep(INTERVAL).await;
        self.read().await
    }

    /// Reads until the stop.
    ///
    /// # Errors
    /// None.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), StoreError> {
        loop {
            if stop.run_until_cancelled(Box::pin(self.read())).await.is_none() {
                return Ok(());
            }
            let read_at = Instant::now();
            loop {
                if stop
                    .run_until_cancelled(tokio::time::sleep(INTERVAL))
                    .await
                    .is_none()
                {
                    return Ok(());
                }
                // One receiver belongs to the console itself.
                if self.pipe.receiver_count() > 1 || read_at.elapsed() >= IDLE_INTERVAL {
                    break;
                }
            }
        }
    }

    async fn read(&mut self) -> Arc<Pipe> {
        let (streams, tables) = tokio::join!(self.streams(), self.tables());
        let newest = Reading {
            elapsed: self.began.elapsed(),
            streams,
            tables,
        };
        while let [first, second, ..] = self.readings.make_contiguous()
            && newest.elapsed.saturating_sub(second.elapsed) >= RATES_OVER
        {
            debug_assert!(first.elapsed <= second.elapsed);
            self.readings.pop_front();
        }
        let pipe = Arc::new(Pipe::of(clock::now(), &newest, self.readings.front()));
        self.readings.push_back(newest);
        self.pipe.send_replace(Some(Arc::clone(&pipe)));
        pipe
    }

    async fn streams(&self) -> Streams {
        let (app_events, auth0_logs, role_changes) = tokio::join!(
            self.stream(APP_EVENTS),
            self.stream(AUTH0_LOGS),
            self.stream(ROLE_CHANGES)
        );
        Streams {
            app_events,
            auth0_logs,
            role_changes,
        }
    }

    async fn stream(&self, name: &str) -> Option<StreamReading> {
        if !self.bus.is_connected() {
            return None;
        }
        match timeout(READ_WITHIN, self.bus.stream_state(name)).await {
            Ok(Ok(state)) => Some(reading(&state)),
            Ok(Err(why)) => {
                debug!(stream = name, "the console cannot read the stream: {why}");
                None
            }
            Err(_) => None,
        }
    }

    async fn tables(&self) -> Option<Tables> {
        match timeout(READ_WITHIN, self.store.pipe(APP_EVENTS, AUTH0_LOGS)).await {
            Ok(Ok(tables)) => Some(tables),
            Ok(Err(why)) => {
                debug!("the console cannot read the tables: {why}");
                None
            }
            Err(_) => None,
        }
    }
}

fn reading(state: &StreamState) -> StreamReading {
    let used = (state.max_bytes > 0).then(|| state.bytes as f64 / state.max_bytes as f64);
    StreamReading {
        last_seq: state.last_seq,
        last_stored_ns: state.last_stored_ns,
        used,
    }
}
