//! Settings of traces.
//!
//! Owns the address of the collector. The other variables of OpenTelemetry are read by its library, under their usual names.

use clap::Args;
use secrecy::SecretString;

use super::check::{Check, set};

/// The collector of traces.
#[derive(Args, Clone, Debug)]
pub struct TracesArgs {
    /// Base URL of a collector of OpenTelemetry that takes OTLP over HTTP, such as `http://localhost:4318`: traces go to `/v1/traces`
    /// there [default: no traces]. Needs a build with the feature `otel`
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otel_exporter_otlp_endpoint: Option<String>,
    /// Instead of `OTEL_EXPORTER_OTLP_ENDPOINT`: the whole URL to which traces go
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")]
    pub otel_exporter_otlp_traces_endpoint: Option<String>,
}

impl TracesArgs {
    /// Returns the URL to which traces go, if there is one. It is never shown, since it may contain a password.
    pub(super) fn check(&self, check: &mut Check) -> Option<SecretString> {
        let expected = "an http:// or https:// URL such as http://localhost:4318";
        let mut url = |setting, url: &str| check.url(setting, Some(url), &["http", "https"], expected);
        let base = set(self.otel_exporter_otlp_endpoint.as_deref());
        let base = base.map(|base| format!("{}/v1/traces", base.trim_end_matches('/')));
        let base = base.map(|base| url("OTEL_EXPORTER_OTLP_ENDPOINT", &base));
        let whole = set(self.otel_exporter_otlp_traces_endpoint.as_deref());
        let whole = whole.map(|whole| url("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", whole));
        whole.or(base)
    }
}
