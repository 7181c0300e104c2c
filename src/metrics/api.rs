//! Metrics of the data API.
//!
//! Owns names, HELP texts and labels of its metrics. Must never use a value of a request as a label: routes are
//! templates, methods and statuses are closed sets.

use prometheus::{HistogramVec, IntCounterVec};

use super::define::metrics;
use super::family::Counters;
use super::labels::{KeyFetch, Label as _, Later, Status};

metrics! {
    /// Metrics of the data API. They have no series until the API is served.
    pub struct ApiMetrics {
        /// Requests of the data API to a known route by a known method; 4xx are the caller's, 5xx are ours
        requests: IntCounterVec = "rolekeeper_api_requests_total" by ["route", "method", "status"],
        /// Time from the head of a request of the data API to its response
        seconds: HistogramVec = "rolekeeper_api_request_seconds" by ["route"]
            in [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0],
        /// Requests of the data API without a valid token of a user, by reason; unavailable: the tenant's keys could
        /// not be fetched
        pub refused_tokens: IntCounterVec = "rolekeeper_api_refused_tokens_total" by ["reason"],
        /// Fetches of the tenant's public keys, by result; after a failed one the known keys stay in use
        pub key_fetches: Counters<Later<KeyFetch>> = "rolekeeper_api_key_fetches_total",
    }
}

impl ApiMetrics {
    /// Creates the series of a served API: its routes and methods, and the reasons to refuse a token.
    pub fn create_series(&self, routes: &[(String, &'static str)], refusals: &[&str]) {
        for (route, method) in routes {
            self.seconds.with_label_values(&[route]);
            for status in Status::at_start(&[]) {
                self.requests
                    .with_label_values(&[route.as_str(), *method, status.text()]);
            }
        }
        for reason in refusals {
            self.refused_tokens.with_label_values(&[reason]);
        }
        self.key_fetches.start();
    }

    /// Counts a response; `route` and `method` are among those that are served.
    pub fn answered(&self, route: &str, method: &str, status: u16, seconds: f64) {
        let status = match status {
            ..400 => Status::Fine,
            400..500 => Status::Caller,
            500.. => Status::Ours,
        };
        self.requests
            .with_label_values(&[route, method, status.text()])
            .inc();
        self.seconds.with_label_values(&[route]).observe(seconds);
    }
}
