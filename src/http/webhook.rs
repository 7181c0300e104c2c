//! `POST /auth0/logs`: where Auth0's log stream delivers.
//!
//! Owns who may deliver. After the token is accepted nothing is judged: 200 once all is stored, 503 when it
//! cannot be, 413 above a generous bound. A 4xx would make Auth0 send the same batch for ever, or drop it.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use futures_util::StreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::{Choice, ConstantTimeEq as _};
use tracing::{debug, warn};

use crate::flow::accept::Accept;
use crate::flow::silence::Heard;
use crate::metrics::Metrics;

/// Largest body. Auth0 documents no size of a batch; 100 of the largest records known (5.4 kB) are a
/// thirtieth of this.
const MAX_BODY_BYTES: usize = 16 << 20;

/// How much of a larger body is read and dropped, so that its sender, still writing, gets to see the answer.
const MAX_DROPPED_BYTES: usize = 64 << 20;

/// What the webhook needs.
#[derive(Debug)]
pub struct Webhook {
    /// Where records are stored.
    pub accept: Accept,
    /// Accepted values of the Authorization header.
    pub tokens: Vec<SecretString>,
    /// Is told of every delivery.
    pub heard: Heard,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// The route of the webhook.
pub fn routes(webhook: Webhook) -> Router {
    Router::new()
        .route("/auth0/logs", post(deliver))
        .with_state(Arc::new(webhook))
}

async fn deliver(
    State(webhook): State<Arc<Webhook>>,
    headers: HeaderMap,
    body: Body,
) -> (StatusCode, &'static str) {
    let (status, answer, text) = webhook.deliver(&headers, body).await;
    webhook
        .metrics
        .webhook_requests
        .with_label_values(&[answer])
        .inc();
    (status, text)
}

impl Webhook {
    async fn deliver(&self, headers: &HeaderMap, body: Body) -> (StatusCode, &'static str, &'static str) {
        if !self.knows(headers) {
            return (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "the Authorization header is not the log stream's token\n",
            );
        }
        let Some(body) = read(body).await else {
            warn!(
                limit_bytes = MAX_BODY_BYTES,
                "a delivery of the log stream was too large, or broke off"
            );
            return (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "the body is larger than 16 MiB, or broke off\n",
            );
        };
        match self.accept.accept(&body).await {
            Ok(accepted) => {
                self.heard.note();
                self.metrics
                    .webhook_records
                    .with_label_values(&["record"])
                    .inc_by(accepted.records);
                self.metrics
                    .webhook_records
                    .with_label_values(&["unreadable"])
                    .inc_by(accepted.unreadable);
                (StatusCode::OK, "stored", "")
            }
            Err(why) => {
                debug!("a delivery of the log stream was not stored: {why}");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "not stored; send it again\n",
                )
            }
        }
    }

    /// Compares with every token, each in constant time, so that the time tells nothing.
    fn knows(&self, headers: &HeaderMap) -> bool {
        let Some(sent) = headers.get(header::AUTHORIZATION) else {
            return false;
        };
        let equal = |token: &SecretString| sent.as_bytes().ct_eq(token.expose_secret().as_bytes());
        self.tokens
            .iter()
            .map(equal)
            .fold(Choice::from(0), |any, one| any | one)
            .into()
    }
}

/// The whole body, unless it is too large or breaks off.
async fn read(body: Body) -> Option<Bytes> {
    let mut chunks = body.into_data_stream();
    let (mut kept, mut length) = (Vec::new(), 0_usize);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.ok()?;
        length += chunk.len();
        if length <= MAX_BODY_BYTES {
            kept.extend_from_slice(&chunk);
        } else if length > MAX_DROPPED_BYTES {
            break;
        } else {
            kept = Vec::new();
        }
    }
    (length <= MAX_BODY_BYTES).then(|| kept.into())
}
