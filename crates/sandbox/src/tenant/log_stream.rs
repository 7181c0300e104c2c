//! The log stream: posts the tenant's records to a webhook.
//!
//! Owns formats, batches, attempts. Delivery is at least once: a batch is tried up to `attempts` times, then it is lost and
//! noted as a health error. Auth0 does not document these, so they are our choices: any 2xx is success, the time between
//! attempts, the timeout, the size of a batch.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::Shared;
use super::outbox::{Next, Pending};

/// The three formats of a body (Auth0 docs, custom-log-streams).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// One record per line.
    #[default]
    JsonLines,
    /// `[record, …]`
    JsonArray,
    /// `{"logs": [record, …]}`
    JsonObject,
}

/// Target and settings of the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct LogStream {
    /// URL of the webhook.
    pub url: String,
    /// The whole value of the `Authorization` header, verbatim.
    pub authorization: String,
    /// Format of the body.
    pub format: Format,
    /// Delay between the creation of a record and its first delivery.
    pub delay: RangeInclusive<Duration>,
    /// Most records in a body.
    pub batch: usize,
    /// Probability that a delivered record is delivered a second time, after another delay.
    pub twice: f64,
    /// Whether each record has a separate delay and a batch is shuffled; otherwise the order is kept.
    pub shuffle: bool,
    /// Seed of delays, duplicates and order.
    pub seed: u64,
    /// Most attempts for a batch.
    pub attempts: u32,
    /// Time between two attempts.
    pub between_attempts: Duration,
    /// Longest wait for a response.
    pub timeout: Duration,
}

impl LogStream {
    /// Returns a stream of JSON lines without delay, in order, once; up to 100 records per batch, three attempts one second
    /// apart.
    #[must_use]
    pub fn to(url: impl Into<String>, authorization: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            authorization: authorization.into(),
            format: Format::default(),
            delay: Duration::ZERO..=Duration::ZERO,
            batch: 100,
            twice: 0.0,
            shuffle: false,
            seed: 0,
            attempts: 3,
            between_attempts: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
        }
    }
}

/// Delivers records without end.
pub(super) async fn run(shared: Arc<Shared>, generation: u64, stream: LogStream, client: reqwest::Client) {
    loop {
        let next = shared.lock().outbox.next(generation, Instant::now());
        match next {
            Next::Post(batch) => {
                let error = deliver(&client, &stream, &batch).await.err();
                let error = error.map(|(status, message)| (crate::now(), status, message));
                shared.lock().outbox.settle(generation, error);
            }
            Next::WaitUntil(at) => tokio::select! {
                () = sleep_until(at) => {}
                () = shared.logged.notified() => {}
            },
            Next::Idle => shared.logged.notified().await,
        }
    }
}

/// Delivers one batch; the error is the error of the last attempt.
async fn deliver(
    client: &reqwest::Client,
    stream: &LogStream,
    batch: &[Pending],
) -> Result<(), (Option<u16>, String)> {
    let body = body(stream.format, batch);
    let mut failure = (None, "no attempt was allowed".to_owned());
    for attempt in 0..stream.attempts {
        if attempt > 0 {
            sleep(stream.between_attempts).await;
        }
        let request = client
            .post(&stream.url)
            .timeout(stream.timeout)
            .header("authorization", &stream.authorization)
            .header("content-type", "application/json")
            .body(body.clone());
        match request.send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => failure = (Some(answer.status().as_u16()), answer.status().to_string()),
            Err(error) => failure = (None, error.to_string()),
        }
    }
    Err(failure)
}

fn body(format: Format, batch: &[Pending]) -> String {
    let records: Vec<&str> = batch.iter().map(|record| record.json.as_str()).collect();
    match format {
        Format::JsonLines => records.join("\n"),
        Format::JsonArray => format!("[{}]", records.join(",")),
        Format::JsonObject => format!("{{\"logs\":[{}]}}", records.join(",")),
    }
}
