//! The export of spans over OTLP.
//!
//! Owns the tracer of the process and the loss of spans: the library keeps 2,048 ended ones at most, on a thread of its own, and
//! drops further ones. Must never let a worker wait for a collector, except a moment at its end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{Protocol, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanData, SpanExporter};
use tokio::runtime::Handle;
use tracing::{info, warn};

/// Longest wait for the export of the last spans: a stop is not much longer with a collector that does not respond.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);
/// Attribute of the name under which collectors show a process.
const SERVICE_NAME: Key = Key::from_static_str("service.name");

static TRACER: OnceLock<SdkTracer> = OnceLock::new();
static BEGUN: AtomicU64 = AtomicU64::new(0);
static EXPORTED: AtomicU64 = AtomicU64::new(0);

/// Returns the tracer, if this process exports traces.
pub(super) fn tracer() -> Option<&'static SdkTracer> {
    TRACER.get()
}

/// Whether this process exports traces.
pub(super) fn is_on() -> bool {
    tracer().is_some()
}

/// Counts a span.
pub(super) fn begun() {
    BEGUN.fetch_add(1, Ordering::Relaxed);
}

/// Returns the number of spans that began, and of those that a collector accepted.
#[must_use]
pub fn counts() -> (u64, u64) {
    // In this order, so that the second is never the larger one.
    let exported = EXPORTED.load(Ordering::Relaxed);
    (BEGUN.load(Ordering::Relaxed), exported)
}

/// The export of this process.
#[derive(Debug)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Starts the export to this URL, if there is one. `worker` tells the processes of one service apart. The library reads further
    /// variables itself: sampler, headers, timeout, bounds of the queue.
    ///
    /// # Errors
    /// The URL, or a variable that the library reads, cannot be used.
    pub fn start(endpoint: Option<&str>, worker: &str) -> Result<Self, String> {
        let Some(endpoint) = endpoint else {
            return Ok(Self(None));
        };
        // This fails only if the process already has a provider, which is then used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(endpoint)
            .with_protocol(Protocol::HttpBinary)
            .build()
            .map_err(|error| format!("traces cannot be exported: {error}"))?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource(worker))
            .with_batch_exporter(Exporter {
                otlp: Arc::new(exporter),
                runtime: Handle::current(),
                failing: AtomicBool::new(false),
            })
            .build();
        let _ = TRACER.set(provider.tracer("rolekeeper"));
        info!("traces are exported");
        Ok(Self(Some(provider)))
    }

    /// Exports the last spans, within 3 s.
    pub async fn stop(self) {
        let Some(provider) = self.0 else { return };
        let stopped = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_WITHIN));
        if !matches!(stopped.await, Ok(Ok(()))) {
            warn!("the collector did not take the last spans of traces within 3 s; they are lost");
        }
    }
}

/// The description of this process. A service without a name would be shown as unknown.
fn resource(worker: &str) -> Resource {
    let resource = || {
        Resource::builder().with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", worker.to_owned()),
        ])
    };
    let named = resource().build();
    let name = named.get(&SERVICE_NAME).map(|name| name.to_string());
    if name.is_none_or(|name| name.starts_with("unknown_service")) {
        return resource().with_service_name("rolekeeper").build();
    }
    named
}

/// The library's exporter, on the runtime that its HTTP client needs, and the report of its failures.
#[derive(Debug)]
struct Exporter {
    otlp: Arc<opentelemetry_otlp::SpanExporter>,
    runtime: Handle,
    failing: AtomicBool,
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (otlp, spans) = (Arc::clone(&self.otlp), batch.len());
        let exported = self.runtime.spawn(async move { otlp.export(batch).await });
        let exported = exported.await;
        let exported = exported.unwrap_or_else(|why| Err(OTelSdkError::InternalFailure(why.to_string())));
        self.report(&exported, spans);
        exported
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Called once, before the first export.
        if let Some(otlp) = Arc::get_mut(&mut self.otlp) {
            otlp.set_resource(resource);
        }
    }
}

impl Exporter {
    /// Counts a batch, and logs the first failure in a row and its end.
    fn report(&self, exported: &OTelSdkResult, spans: usize) {
        match exported {
            Ok(()) => {
                EXPORTED.fetch_add(spans as u64, Ordering::Relaxed);
                if self.failing.swap(false, Ordering::Relaxed) {
                    info!("the collector takes spans of traces again");
                }
            }
            Err(why) if !self.failing.swap(true, Ordering::Relaxed) => warn!(
                spans,
                "the collector did not take spans of traces, which are lost, and so are further ones until it responds: {why}"
            ),
            Err(_) => {}
        }
    }
}
