//! HTTP calls to the worker: posts log records to the webhook, reads the metrics.
//!
//! Owns the formats of the body that Auth0 sends. Must never read more of a metric than its value.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::Client;

/// Records in a body, as in Auth0's own pages.
const BATCH: usize = 100;
/// Longest wait for a response.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Longest wait for metrics, which only serve the progress display.
const METRICS_WITHIN: Duration = Duration::from_secs(2);

/// A client of the worker.
#[derive(Clone, Debug)]
pub struct Worker {
    client: Client,
}

impl Worker {
    /// Returns a client; makes no connection yet.
    pub fn new() -> anyhow::Result<Self> {
        // reqwest needs a TLS provider even for plain HTTP; an error means that the process already has one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().timeout(ANSWER_WITHIN).build();
        Ok(Self {
            client: client.context("no HTTP client")?,
        })
    }

    /// Posts records in batches, each in the next of the three formats of a log stream.
    pub async fn post_logs(&self, webhook: &str, token: &str, records: &[String]) -> anyhow::Result<()> {
        for (number, batch) in records.chunks(BATCH).enumerate() {
            let body = match number % 3 {
                0 => format!("[{}]", batch.join(",")),
                1 => format!("{{\"logs\":[{}]}}", batch.join(",")),
                _ => batch.join("\n"),
            };
            let request = self
                .client
                .post(webhook)
                .header("authorization", token)
                .header("content-type", "application/json")
                .body(body);
            let answer = request.send().await.context("the webhook does not respond")?;
            anyhow::ensure!(
                answer.status().is_success(),
                "the webhook responded with {}",
                answer.status()
            );
        }
        Ok(())
    }

    /// Returns whether `url` responds with 200.
    pub async fn is_ok(&self, url: &str) -> bool {
        matches!(self.client.get(url).send().await, Ok(answer) if answer.status().is_success())
    }

    /// Returns the present metrics.
    pub async fn metrics(&self, url: &str) -> anyhow::Result<Metrics> {
        let request = self.client.get(url).timeout(METRICS_WITHIN);
        let answer = request.send().await?.error_for_status()?;
        Ok(Metrics(answer.text().await?))
    }
}

/// Metrics in the text format of Prometheus.
#[derive(Clone, Debug, Default)]
pub struct Metrics(String);

impl Metrics {
    /// Returns the value of a series such as `rolekeeper_work_queue_users{state="due"}`; none without the series.
    #[must_use]
    pub fn figure(&self, series: &str) -> Option<f64> {
        let value = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.trim().parse().ok();
        self.0.lines().find_map(value)
    }

    /// Returns the number of messages of a stream that the worker has read since its start.
    #[must_use]
    pub fn read(&self, stream: &str) -> u64 {
        let series = format!("rolekeeper_folded_messages_total{{stream=\"{stream}\"}}");
        self.count(&series).unwrap_or(0)
    }

    /// Returns the number of users who are due, waiting or in flight; one while the worker does not respond.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let states = ["due", "waiting", "leased"];
        let series = states.map(|state| format!("rolekeeper_work_queue_users{{state=\"{state}\"}}"));
        let counts = series.iter().map(|series| self.count(series));
        counts.sum::<Option<u64>>().unwrap_or(1)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a metric that counts is a whole number and never below 0"
    )]
    fn count(&self, series: &str) -> Option<u64> {
        self.figure(series).map(|figure| figure as u64)
    }
}
