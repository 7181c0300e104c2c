//! Turns a response into bytes on a connection, with the fault of the call.

use std::io::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use tokio::time::sleep;

use super::exchange::Answer;
use super::faults::Fault;
use super::serve::Reset;

/// Delay in which the written half reaches the network before the connection is reset.
const BEFORE_THE_RESET: Duration = Duration::from_millis(20);

/// HTML page like one from a proxy in front of Auth0.
const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Error</title></head><body><h1>Something went wrong</h1></body></html>\n";

/// Returns the response, or resets the connection.
pub(super) fn response(mut answer: Answer, reset: Reset) -> Response<Body> {
    let Some(status) = answer.status.and_then(|status| StatusCode::from_u16(status).ok()) else {
        reset.now();
        return Response::new(Body::empty());
    };
    let mut text = match (&answer.file, answer.body) {
        (Some(file), _) => file.clone(),
        (None, body) => body.map(|body| body.to_string()).unwrap_or_default(),
    };
    let mut content_type = "application/json; charset=utf-8";
    match &answer.fault {
        Some(Fault::HtmlPage(_)) => (text, content_type) = (PAGE.to_owned(), "text/html; charset=utf-8"),
        Some(Fault::InvalidJson) => text = cut_json(&text),
        Some(Fault::Rewritten { from, to }) => text = text.replace(from, to),
        Some(Fault::NoRateHeaders) => answer
            .headers
            .retain(|(name, _)| !name.starts_with("x-ratelimit-")),
        Some(Fault::LyingRateHeaders {
            limit,
            remaining,
            reset,
        }) => {
            let lies = [
                ("x-ratelimit-limit", limit),
                ("x-ratelimit-remaining", remaining),
                ("x-ratelimit-reset", reset),
            ];
            for (name, lie) in lies {
                if let Some(lie) = lie {
                    answer.headers.retain(|(header, _)| header != name);
                    answer.headers.push((name.into(), lie.clone()));
                }
            }
        }
        _ => {}
    }
    let text = if answer.file.is_some() {
        content_type = "application/gzip";
        compressed(&text)
    } else {
        Bytes::from(text)
    };
    let mut response = Response::new(Body::from(text.clone()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (header::HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    match answer.fault {
        Some(Fault::TornBody) => {
            headers.insert(header::CONTENT_LENGTH, text.len().into());
            *response.body_mut() = torn(&text, reset);
        }
        Some(Fault::Slow(pause)) => {
            headers.insert(header::CONTENT_LENGTH, text.len().into());
            *response.body_mut() = slow(text, pause);
        }
        _ => {}
    }
    response
}

/// Returns the text as a gzip file.
fn compressed(text: &str) -> Bytes {
    let mut file = GzEncoder::new(Vec::new(), Compression::fast());
    // A vector takes everything.
    let _ = file.write_all(text.as_bytes());
    Bytes::from(file.finish().unwrap_or_default())
}

/// Sends the first half, flushes, then resets the connection.
fn torn(text: &Bytes, reset: Reset) -> Body {
    let half = text.slice(..text.len() / 2);
    let parts = stream::unfold((Some(half), reset), |(half, reset)| async move {
        if let Some(half) = half {
            return Some((Ok(half), (None, reset)));
        }
        sleep(BEFORE_THE_RESET).await;
        reset.now();
        Some((
            Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
            (None, reset),
        ))
    });
    Body::from_stream(parts)
}

fn slow(text: Bytes, pause: Duration) -> Body {
    let bytes = stream::unfold((text, 0), move |(text, at)| async move {
        if at >= text.len() {
            return None;
        }
        sleep(pause).await;
        Some((Ok::<_, std::io::Error>(text.slice(at..=at)), (text, at + 1)))
    });
    Body::from_stream(bytes)
}

/// Returns the text without its end, so that it is never valid.
fn cut_json(text: &str) -> String {
    let half = text.chars().count() / 2;
    format!("{{{}", text.chars().take(half).collect::<String>())
}
