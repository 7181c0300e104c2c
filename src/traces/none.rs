//! Traces in a build without the feature `otel`: none.
//!
//! Owns the warning where a setting asks for them. Must never do anything else.

use time::OffsetDateTime;
use tracing::warn;

use super::attempt_of::AttemptOf;

/// No span.
#[derive(Debug)]
pub struct Span;

/// No export.
#[derive(Debug)]
pub struct Traces;

impl Traces {
    /// Warns if an endpoint is set.
    ///
    /// # Errors
    /// None.
    pub fn start(endpoint: Option<&str>, _worker: &str) -> Result<Self, String> {
        if endpoint.is_some() {
            warn!(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, but this build exports no traces; run one that was built with \
                 `--features otel`, or remove the setting"
            );
        }
        Ok(Self)
    }

    /// Does nothing.
    pub fn stop(self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

/// Returns 0 spans, of which 0 were exported.
#[must_use]
pub fn counts() -> (u64, u64) {
    (0, 0)
}

/// Returns none.
pub fn parent<'h>(_header: impl Fn(&str) -> Option<&'h str>) -> Option<Box<str>> {
    None
}

/// Returns no span.
#[must_use]
pub fn fold(_parent: &str, _event: &str, _since: OffsetDateTime) -> Span {
    Span
}

/// Returns no span.
#[must_use]
pub fn attempt(_attempt: AttemptOf<'_>) -> Span {
    Span
}

/// Returns no span.
#[must_use]
pub fn decision() -> Span {
    Span
}

/// Returns no span.
#[must_use]
pub fn call(_method: &str, _api: &str, _path: &str) -> Span {
    Span
}

impl Span {
    /// Returns none.
    #[must_use]
    pub fn context(&self) -> Option<String> {
        None
    }

    /// Returns none.
    #[must_use]
    pub fn trace_id(&self) -> Option<String> {
        None
    }

    /// Returns none.
    pub fn headers(&self) -> impl Iterator<Item = (String, String)> {
        std::iter::empty()
    }

    /// Runs the future.
    pub async fn around<F: Future>(&self, future: F) -> F::Output {
        future.await
    }

    /// Does nothing.
    pub fn changes(&self, _changes: impl Iterator<Item = String>) {}

    /// Does nothing.
    pub fn status(&self, _status: u16) {}

    /// Does nothing.
    pub fn failed(&self, _class: &str) {}

    /// Does nothing.
    pub fn succeeded(&self) {}

    /// Does nothing.
    pub fn end(self) {}
}
