//! Metrics of the data API.
//!
//! Owns names, help texts and labels of its metrics. Must never use a value of a request as a label: routes are
//! templates, methods and statuses are closed sets.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec};

use super::Maker;

/// Classes of response status, as label values.
const STATUSES: [&str; 3] = ["2xx", "4xx", "5xx"];

/// Metrics of the data API. They have no series until the API is served.
#[derive(Debug)]
pub struct ApiMetrics {
    /// Requests by route, method and status class.
    requests: IntCounterVec,
    /// Time to respond, by route.
    seconds: HistogramVec,
    /// Requests refused because they carry no valid token of a user, by reason.
    pub refused_tokens: IntCounterVec,
    /// Fetches of the tenant's public keys, by result.
    pub key_fetches: IntCounterVec,
}

impl ApiMetrics {
    pub(super) fn new(maker: &Maker) -> Self {
        Self {
            requests: maker.counter(
                "rolekeeper_api_requests_total",
                "Requests of the data API to a known route by a known method; 4xx are the caller's, 5xx are ours",
                &["route", "method", "status"],
            ),
            seconds: maker.keep(HistogramVec::new(
                HistogramOpts::new(
                    "rolekeeper_api_request_seconds",
                    "Time from the head of a request of the data API to its response",
                )
                .buckets(vec![
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
                ]),
                &["route"],
            )),
            refused_tokens: maker.counter(
                "rolekeeper_api_refused_tokens_total",
                "Requests of the data API without a valid token of a user, by reason; unavailable: the tenant's keys could not be fetched",
                &["reason"],
            ),
            key_fetches: maker.counter(
                "rolekeeper_api_key_fetches_total",
                "Fetches of the tenant's public keys, by result; after a failed one the known keys stay in use",
                &["result"],
            ),
        }
    }

    /// Creates the series of a served API: its routes and methods, and the reasons to refuse a token.
    pub fn create_series(&self, routes: &[(String, &'static str)], refusals: &[&str]) {
        for (route, method) in routes {
            self.seconds.with_label_values(&[route]);
            for status in STATUSES {
                self.requests
                    .with_label_values(&[route.as_str(), *method, status]);
            }
        }
        for reason in refusals {
            self.refused_tokens.with_label_values(&[reason]);
        }
        for result in ["ok", "failed", "unusable"] {
            self.key_fetches.with_label_values(&[result]);
        }
    }

    /// Counts a response; `route` and `method` are among those that are served.
    pub fn answered(&self, route: &str, method: &str, status: u16, seconds: f64) {
        let status = match status {
            ..400 => STATUSES[0],
            400..500 => STATUSES[1],
            500.. => STATUSES[2],
        };
        self.requests.with_label_values(&[route, method, status]).inc();
        self.seconds.with_label_values(&[route]).observe(seconds);
    }
}
