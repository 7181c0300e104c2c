//! Talks to the worker over HTTP: posts log records to the webhook, reads the metrics.
//!
//! Owns the forms of a body that Auth0 sends. Must never read more of a metric than its figure.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::Client;

/// Records a body, as in Auth0's own pages.
const BATCH: usize = 100;
/// Longest wait for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Longest wait for metrics, which are only looked at in passing.
const METRICS_WITHIN: Duration = Duration::from_secs(2);

/// A client of the worker.
#[derive(Clone, Debug)]
pub struct Worker {
    client: Client,
}

impl Worker {
    /// Makes a client; connects to nobody yet.
    pub fn new() -> anyhow::Result<Self> {
        // reqwest asks for a provider of TLS even where it only speaks plain HTTP; an error says that the
        // process has one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().timeout(ANSWER_WITHIN).build();
        Ok(Self {
            client: client.context("no HTTP client")?,
        })
    }

    /// Posts records in batches, each in the next of the three forms that a log stream can be set to.
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
            let answer = request.send().await.context("the webhook does not answer")?;
            anyhow::ensure!(
                answer.status().is_success(),
                "the webhook answered {}",
                answer.status()
            );
        }
        Ok(())
    }

    /// Whether `url` answers 200.
    pub async fn is_ok(&self, url: &str) -> bool {
        matches!(self.client.get(url).send().await, Ok(answer) if answer.status().is_success())
    }

    /// The metrics as they stand.
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
    /// The figure of a series such as `rolekeeper_nominations{state="due"}`; nothing if there is none.
    #[must_use]
    pub fn figure(&self, series: &str) -> Option<f64> {
        let value = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.trim().parse().ok();
        self.0.lines().find_map(value)
    }

    /// Messages of a stream that the worker has read since it started.
    #[must_use]
    pub fn read(&self, stream: &str) -> u64 {
        let series = format!("rolekeeper_folded_messages_total{{stream=\"{stream}\"}}");
        self.count(&series).unwrap_or(0)
    }

    /// Users who are due, wait for later, or are in hand. While the worker does not answer: one.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let states = ["due", "waiting", "leased"];
        let series = states.map(|state| format!("rolekeeper_nominations{{state=\"{state}\"}}"));
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
