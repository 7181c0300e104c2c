//! `POST /auth0/logs`: where Auth0's log stream delivers.
//!
//! Owns who may deliver. After the token is accepted nothing is judged: 200 once all is stored, 503 when it
//! cannot be, 413 above a generous bound, 415 for an encoding that is not known. A 4xx would make Auth0 send the same batch for ever, or drop it.

use std::io::Read as _;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use flate2::read::MultiGzDecoder;
use futures_util::StreamExt as _;
use hyper::body::Body as _;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::{Choice, ConstantTimeEq as _};
use tracing::{debug, warn};

use super::room::Room;
use crate::flow::accept::Accept;
use crate::flow::silence::Heard;
use crate::metrics::Metrics;

/// Largest body, compressed or not. Auth0 documents no size of a batch; 100 of the largest records known (5.4 kB) are a
/// thirtieth of this.
const MAX_BODY_BYTES: usize = 16 << 20;

/// How much of a larger body is read and dropped, so that its sender, still writing, gets to see the answer.
const MAX_DROPPED_BYTES: usize = 64 << 20;

/// What may stand before a token.
const SCHEME: &[u8] = b"bearer ";

/// The response to a delivery that is not known to be stored: status, label and text.
const NOT_STORED: (StatusCode, &str, &str) = (
    StatusCode::SERVICE_UNAVAILABLE,
    "unavailable",
    "not stored; send it again\n",
);

/// When a sender may try again that was told that its delivery is not stored.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

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
    let room = Room::new(Arc::clone(&webhook.metrics));
    Router::new()
        .route("/auth0/logs", post(deliver))
        .with_state((Arc::new(webhook), room))
}

async fn deliver(
    State((webhook, room)): State<(Arc<Webhook>, Room)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (status, answer, text) = webhook.deliver(&headers, body, &room).await;
    webhook
        .metrics
        .webhook_requests
        .with_label_values(&[answer])
        .inc();
    let mut response = (status, text).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    response
}

impl Webhook {
    async fn deliver(
        &self,
        headers: &HeaderMap,
        body: Body,
        room: &Room,
    ) -> (StatusCode, &'static str, &'static str) {
        if !self.knows(headers) {
            return (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "the Authorization header is not the log stream's token\n",
            );
        }
        if !is_known_encoding(headers) {
            warn!("a delivery of the log stream is refused: its Content-Encoding is not known");
            return (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_encoding",
                "Content-Encoding: expected gzip, or none\n",
            );
        }
        let unpacked = if is_packed(headers) { MAX_BODY_BYTES } else { 0 };
        let Some(mut reserved) = room.reserve(most_bytes(&body) + unpacked).await else {
            warn!("a delivery of the log stream is refused for now: too many large ones are in memory");
            return NOT_STORED;
        };
        let body = match read(body).await {
            Ok(body) => {
                reserved.shrink_to(body.len() + unpacked);
                plain(headers, body).await
            }
            Err(unread) => Err(unread),
        };
        let body = match body {
            Ok(body) => body,
            Err(Unread::TooLarge) => {
                warn!(
                    limit_bytes = MAX_BODY_BYTES,
                    "a delivery of the log stream was too large"
                );
                return (
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too_large",
                    "the body is larger than 16 MiB\n",
                );
            }
            Err(Unread::BrokenOff) => {
                debug!("a delivery of the log stream broke off");
                return NOT_STORED;
            }
        };
        reserved.shrink_to(body.len());
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
                NOT_STORED
            }
        }
    }

    /// Compares with every token, each in constant time, so that the time tells nothing. Log streams send the token as
    /// it was entered, Event Streams behind `Bearer `: each token is accepted in both forms.
    fn knows(&self, headers: &HeaderMap) -> bool {
        let Some(sent) = headers.get(header::AUTHORIZATION) else {
            return false;
        };
        let sent = bare(sent.as_bytes());
        let equal = |token: &SecretString| sent.ct_eq(bare(token.expose_secret().as_bytes()));
        self.tokens
            .iter()
            .map(equal)
            .fold(Choice::from(0), |any, one| any | one)
            .into()
    }
}

/// A token without the scheme before it, whose case does not matter.
fn bare(value: &[u8]) -> &[u8] {
    match value.split_at_checked(SCHEME.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => token.trim_ascii_start(),
        _ => value,
    }
}

/// Why there is no body.
#[derive(Debug, PartialEq, Eq)]
enum Unread {
    TooLarge,
    /// The sender sent no more, or not in time.
    BrokenOff,
}

/// The most bytes that are kept of a body.
fn most_bytes(body: &Body) -> usize {
    let announced = body
        .size_hint()
        .upper()
        .and_then(|bytes| usize::try_from(bytes).ok());
    announced.unwrap_or(MAX_BODY_BYTES).min(MAX_BODY_BYTES)
}

/// The whole body, unless it is too large or breaks off.
async fn read(body: Body) -> Result<Bytes, Unread> {
    // Grown by doubling, it would take twice as much at times.
    let announced = body.size_hint().exact().map_or(0, |_| most_bytes(&body));
    let mut chunks = body.into_data_stream();
    let (mut kept, mut length) = (Vec::with_capacity(announced), 0_usize);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Unread::BrokenOff)?;
        length += chunk.len();
        if length <= MAX_BODY_BYTES {
            kept.extend_from_slice(&chunk);
        } else if length > MAX_DROPPED_BYTES {
            break;
        } else {
            kept = Vec::new();
        }
    }
    if length <= MAX_BODY_BYTES {
        Ok(kept.into())
    } else {
        Err(Unread::TooLarge)
    }
}

/// How the headers say that the body is encoded; empty for as it is.
fn encoding(headers: &HeaderMap) -> &[u8] {
    let encoding = headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
    encoding.unwrap_or_default().trim_ascii()
}

/// Whether the body can be read. One that cannot would be one dead letter, and all its records with it.
fn is_known_encoding(headers: &HeaderMap) -> bool {
    let encoding = encoding(headers);
    encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity") || is_packed(headers)
}

/// Whether the headers say that the body is compressed with gzip.
fn is_packed(headers: &HeaderMap) -> bool {
    let encoding = encoding(headers);
    encoding.eq_ignore_ascii_case(b"gzip") || encoding.eq_ignore_ascii_case(b"x-gzip")
}

/// The body without the compression that its headers name. What says that it is compressed and is not goes on as it is,
/// and becomes a dead letter.
async fn plain(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Unread> {
    if !is_packed(headers) {
        return Ok(body);
    }
    let compressed = body.clone();
    // Takes up to a tenth of a second, for which no other task of this thread should wait.
    match tokio::task::spawn_blocking(move || decompressed(&compressed)).await {
        Ok(Ok(Some(plain))) => Ok(plain.into()),
        Ok(Ok(None)) => Err(Unread::TooLarge),
        Ok(Err(why)) => {
            debug!("a delivery of the log stream is not gzip, as its header says: {why}");
            Ok(body)
        }
        Err(_) => Err(Unread::BrokenOff),
    }
}

/// None when there is more than a body may hold.
fn decompressed(compressed: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    let mut plain = Vec::new();
    let mut decoder = MultiGzDecoder::new(compressed).take(MAX_BODY_BYTES as u64 + 1);
    decoder.read_to_end(&mut plain)?;
    Ok((plain.len() <= MAX_BODY_BYTES).then_some(plain))
}
