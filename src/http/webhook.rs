//! `POST /auth0/logs`: receives the deliveries of Auth0's log stream.
//!
//! Owns the authorization of deliveries. Once the token is accepted, no record is judged: 200 when all records are stored, 503
//! when they cannot be, 413 above a generous limit, 415 for an unknown encoding. Any other 4xx would make Auth0 send the same
//! batch for ever, or drop it.

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
use crate::flow::silence::DeliveryMonitor;
use crate::metrics::{Delivered, Delivery, Metrics};

/// Largest body, compressed or not. Auth0 documents no size of a batch; 100 of the largest known records (5.4 kB) are a
/// thirtieth of this.
const MAX_BODY_BYTES: usize = 16 << 20;

/// Bytes of a larger body that are read and dropped, so that its sender finishes writing and reads the response.
const MAX_DROPPED_BYTES: usize = 64 << 20;

/// Scheme that may precede a token, in lower case.
const SCHEME: &[u8] = b"bearer ";

/// Response to a delivery that is not known to be stored: status, label and text.
const NOT_STORED: (StatusCode, Delivery, &str) = (
    StatusCode::SERVICE_UNAVAILABLE,
    Delivery::Unavailable,
    "not stored; send it again\n",
);

/// Seconds after which the sender may retry a delivery that was not stored.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// Dependencies of the webhook.
#[derive(Debug)]
pub struct Webhook {
    /// Stores the records.
    pub accept: Accept,
    /// Accepted values of the Authorization header.
    pub tokens: Vec<SecretString>,
    /// Notes every delivery.
    pub monitor: DeliveryMonitor,
    /// Metrics of the process.
    pub metrics: Arc<Metrics>,
}

/// Returns the route of the webhook.
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
    webhook.metrics.webhook_requests.of(answer).inc();
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
    ) -> (StatusCode, Delivery, &'static str) {
        if !self.knows(headers) {
            return (
                StatusCode::UNAUTHORIZED,
                Delivery::Unauthorized,
                "the Authorization header is not the log stream's token\n",
            );
        }
        if !is_known_encoding(headers) {
            warn!("a delivery of the log stream was refused: its Content-Encoding is not gzip");
            return (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Delivery::UnsupportedEncoding,
                "Content-Encoding: expected gzip, or none\n",
            );
        }
        let unpacked = if is_packed(headers) { MAX_BODY_BYTES } else { 0 };
        let Some(mut reserved) = room.reserve(most_bytes(&body) + unpacked).await else {
            warn!(
                "a delivery of the log stream was refused with 503, Auth0 sends it again: too many large deliveries are in memory"
            );
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
                    Delivery::TooLarge,
                    "the body is larger than 16 MiB\n",
                );
            }
            Err(Unread::BrokenOff) => {
                debug!("a delivery of the log stream was incomplete");
                return NOT_STORED;
            }
        };
        reserved.shrink_to(body.len());
        match self.accept.accept(&body).await {
            Ok(accepted) => {
                self.monitor.note();
                self.metrics
                    .webhook_records
                    .of(Delivered::Record)
                    .inc_by(accepted.records);
                self.metrics
                    .webhook_records
                    .of(Delivered::Unreadable)
                    .inc_by(accepted.unreadable);
                (StatusCode::OK, Delivery::Stored, "")
            }
            Err(why) => {
                debug!("a delivery of the log stream was not stored: {why}");
                NOT_STORED
            }
        }
    }

    /// Returns whether the header matches a token. Each comparison takes constant time, so that the time reveals nothing. Log
    /// streams send the token as it was entered, Event Streams after `Bearer `: each token is accepted in both forms.
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

/// Returns a token without its scheme, whose case does not matter.
fn bare(value: &[u8]) -> &[u8] {
    match value.split_at_checked(SCHEME.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => token.trim_ascii_start(),
        _ => value,
    }
}

/// The reason why a body was not read.
#[derive(Debug, PartialEq, Eq)]
enum Unread {
    TooLarge,
    /// The sender stopped sending, or was too slow.
    BrokenOff,
}

/// Returns the most bytes of a body that are kept.
fn most_bytes(body: &Body) -> usize {
    let announced = body
        .size_hint()
        .upper()
        .and_then(|bytes| usize::try_from(bytes).ok());
    announced.unwrap_or(MAX_BODY_BYTES).min(MAX_BODY_BYTES)
}

/// Returns the whole body, unless it is too large or incomplete.
async fn read(body: Body) -> Result<Bytes, Unread> {
    // A buffer that grows by doubling would at times take twice the memory.
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

/// Returns the encoding of the body according to the headers; empty when it is not encoded.
fn encoding(headers: &HeaderMap) -> &[u8] {
    let encoding = headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
    encoding.unwrap_or_default().trim_ascii()
}

/// Returns whether the encoding is known. A body of unknown encoding would become one dead letter with all its records.
fn is_known_encoding(headers: &HeaderMap) -> bool {
    let encoding = encoding(headers);
    encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity") || is_packed(headers)
}

/// Returns whether the body is compressed with gzip, according to the headers.
fn is_packed(headers: &HeaderMap) -> bool {
    let encoding = encoding(headers);
    encoding.eq_ignore_ascii_case(b"gzip") || encoding.eq_ignore_ascii_case(b"x-gzip")
}

/// Returns the body without the compression that its headers name. A body that is not compressed, against its header, is
/// stored unchanged and becomes a dead letter.
async fn plain(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Unread> {
    if !is_packed(headers) {
        return Ok(body);
    }
    let compressed = body.clone();
    // Unpacking takes up to a tenth of a second, and other tasks of this thread must not wait for it.
    match tokio::task::spawn_blocking(move || decompressed(&compressed)).await {
        Ok(Ok(Some(plain))) => Ok(plain.into()),
        Ok(Ok(None)) => Err(Unread::TooLarge),
        Ok(Err(why)) => {
            debug!("a delivery of the log stream is not gzip, although its header names gzip: {why}");
            Ok(body)
        }
        Err(_) => Err(Unread::BrokenOff),
    }
}

/// Returns the unpacked bytes; none when they exceed the largest body.
fn decompressed(compressed: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    let mut plain = Vec::new();
    let mut decoder = MultiGzDecoder::new(compressed).take(MAX_BODY_BYTES as u64 + 1);
    decoder.read_to_end(&mut plain)?;
    Ok((plain.len() <= MAX_BODY_BYTES).then_some(plain))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;
    use rolekeeper_domain::log_batch;
    use rolekeeper_fuzz::{Memory, fuzz, fuzz_within};

    use super::*;

    #[test]
    fn fuzz_compressed_deliveries() {
        // The largest body twice, where its buffer has just grown, and its text.
        let memory = Memory {
            bytes: 4 * MAX_BODY_BYTES as u64,
            each: 0,
        };
        fuzz_within("deliveries", memory, |body| match decompressed(body) {
            Ok(Some(plain)) => {
                let records: usize = log_batch::split(&plain).map(|piece| piece.bytes.len()).sum();
                assert!(records <= plain.len() && plain.len() <= MAX_BODY_BYTES);
            }
            Ok(None) => assert!(body.len() > MAX_BODY_BYTES / 1_100, "gzip packs no better"),
            Err(why) => assert!(!why.to_string().is_empty()),
        });
    }

    #[test]
    fn fuzz_headers_of_deliveries() {
        fuzz("delivery_headers", |lines| {
            let mut headers = HeaderMap::new();
            for (name, value) in rolekeeper_fuzz::header_lines(lines) {
                let (name, value) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value));
                headers.extend(name.ok().zip(value.ok()));
            }
            assert!(is_known_encoding(&headers) || !is_packed(&headers));
            if let Some(sent) = headers.get(header::AUTHORIZATION) {
                let token = bare(sent.as_bytes());
                assert!(sent.as_bytes().ends_with(token), "{sent:?}");
                assert_eq!(bare(&[b"BEARER ", token].concat()), token.trim_ascii_start());
            }
        });
    }
}
