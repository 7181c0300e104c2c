//! One message of a stream, fetched by its sequence as JSON.
//!
//! Owns the parsing of a stored message. Subject and headers arrive inside a JSON text and not through the client library, so
//! that bytes which would end a connection in a delivery are harmless here. Must never decide the meaning of a message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::streams::unix_ns;
use super::{Bus, BusError, Message};
use crate::traces;
use rolekeeper_domain::dedup_window::message_hash;
use rolekeeper_domain::event::Headers;

const ERROR_NO_MESSAGE: u64 = 10037;

/// Which message to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The message with this sequence.
    At(u64),
    /// The first message with this sequence or a higher one.
    From(u64),
}

/// A stored message of a stream.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Subject it was published on; bytes that are not UTF-8 are U+FFFD here.
    pub subject: String,
    /// Its header block as published; empty without one.
    pub headers: Vec<u8>,
    /// Its payload as published.
    pub payload: Bytes,
    /// Its sequence in the stream.
    pub seq: u64,
    /// When the stream stored it, Unix nanoseconds.
    pub stored_ns: i64,
}

#[derive(Serialize)]
struct Request<'r> {
    seq: u64,
    #[serde(rename = "next_by_subj", skip_serializing_if = "Option::is_none")]
    next: Option<&'r str>,
    #[serde(rename = "last_by_subj", skip_serializing_if = "Option::is_none")]
    last: Option<&'r str>,
}

#[derive(Deserialize)]
struct Answer {
    message: Option<Raw>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
struct Raw {
    subject: String,
    seq: u64,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
    time: String,
}

impl Bus {
    /// Fetches one message; returns none when the stream does not hold it.
    ///
    /// # Errors
    /// JetStream does not respond, or its response is invalid.
    pub async fn fetch(&self, stream: &str, which: Which) -> Result<Option<Stored>, BusError> {
        let (seq, next) = match which {
            Which::At(seq) => (seq, None),
            Which::From(seq) => (seq.max(1), Some(">")),
        };
        let last = None;
        self.message(stream, &Request { seq, next, last }).await
    }

    /// Fetches the newest message whose subject the filter names; returns none when the stream holds none.
    ///
    /// # Errors
    /// JetStream does not respond, or its response is invalid.
    pub async fn newest(&self, stream: &str, filter: &str) -> Result<Option<Stored>, BusError> {
        let (next, last) = (None, Some(filter));
        self.message(stream, &Request { seq: 0, next, last }).await
    }

    async fn message(&self, stream: &str, request: &Request<'_>) -> Result<Option<Stored>, BusError> {
        let said = |why: String| BusError::JetStream {
            doing: "fetch message",
            why,
        };
        let subject = format!("STREAM.MSG.GET.{stream}");
        let answer: Answer = self.request(subject, request).await.map_err(said)?;
        match answer {
            Answer {
                message: Some(raw), ..
            } => raw.decode().map(Some).map_err(said),
            Answer {
                error: Some(error), ..
            } if error.err_code == ERROR_NO_MESSAGE => Ok(None),
            Answer { error, .. } => Err(said(error.map_or_else(
                || "the response has no message".to_owned(),
                |error| error.description,
            ))),
        }
    }
}

impl Raw {
    #[expect(
        clippy::disallowed_methods,
        reason = "becomes nanoseconds, never a date for the database"
    )]
    fn decode(self) -> Result<Stored, String> {
        let decode = |field: &str, text: &str| {
            STANDARD
                .decode(text)
                .map_err(|error| format!("message {}, {field}: {error}", self.seq))
        };
        let stored_at = OffsetDateTime::parse(&self.time, &Rfc3339)
            .map_err(|error| format!("message {}, time {:?}: {error}", self.seq, self.time))?;
        Ok(Stored {
            headers: decode("hdrs", &self.hdrs)?,
            payload: decode("data", &self.data)?.into(),
            subject: self.subject,
            seq: self.seq,
            stored_ns: unix_ns(stored_at),
        })
    }
}

impl Stored {
    /// Returns why a delivery of this message could not be parsed; none for a valid message.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        if self.subject.contains('\u{fffd}') {
            return Some("subject: not UTF-8".to_owned());
        }
        if self.subject.contains(char::is_whitespace) {
            return Some("subject: contains white space".to_owned());
        }
        let error = std::str::from_utf8(&self.headers).err()?;
        let line_start = self.headers[..error.valid_up_to()]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let line = self.headers[line_start..].split(|byte| *byte == b'\r');
        let line = line.into_iter().next().unwrap_or_default();
        Some(format!(
            "headers: not UTF-8: \"{}\"",
            line[..line.len().min(64)].escape_ascii()
        ))
    }

    /// Returns the first header with this name; other headers may contain any bytes.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.split(|byte| *byte == b'\n').find_map(|line| {
            let value = line.strip_prefix(name.as_bytes())?.strip_prefix(b":")?;
            Some(std::str::from_utf8(value).ok()?.trim().to_owned())
        })
    }

    /// Returns the value of the first header with this name, in any case.
    fn line(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.split(|byte| *byte == b'\n');
        lines.find_map(|line| {
            let (known, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
            known.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// Returns its headers that say how the event is written; none for the plain form.
    #[must_use]
    pub fn event_headers(&self) -> Option<Box<Headers>> {
        Headers::of_block(&self.headers)
    }

    /// Returns the hash of subject, headers of the event, and payload.
    #[must_use]
    pub fn hash(&self) -> i64 {
        message_hash(&self.subject, self.event_headers().as_deref(), &self.payload)
    }

    /// Returns the message in the form that a reader delivers; `pending` messages follow it in the stream.
    #[must_use]
    pub fn into_message(self, pending: u64) -> Message {
        let headers = (self.event_headers(), traces::parent(|name| self.line(name)));
        let Self {
            subject,
            payload,
            seq,
            stored_ns,
            headers: _,
        } = self;
        Message::new(subject.into(), headers, payload, (seq, stored_ns, pending))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(subject: &str, headers: &[u8]) -> Stored {
        Stored {
            subject: subject.to_owned(),
            headers: headers.to_vec(),
            payload: Bytes::new(),
            seq: 1,
            stored_ns: 1,
        }
    }

    #[test]
    fn what_a_delivery_cannot_carry_is_named() {
        let good = b"NATS/1.0\r\nNats-Msg-Id: a\r\n\r\n";
        assert_eq!(stored("plays.pl_1", good).fault(), None);
        assert_eq!(stored("plays.pl_1\0x", b"").fault(), None);
        let latin_1 = b"NATS/1.0\r\nA: b\r\nX-Name: caf\xe9\r\nB: c\r\n\r\n";
        assert_eq!(
            stored("plays.pl_1", latin_1).fault().as_deref(),
            Some(r#"headers: not UTF-8: "X-Name: caf\xe9""#)
        );
        let with_id = stored("plays.pl_1", b"NATS/1.0\r\nX: \xe9\r\nNats-Msg-Id: a\r\n\r\n");
        assert_eq!(with_id.header("Nats-Msg-Id").as_deref(), Some("a"));
        assert_eq!(with_id.header("Nats-Msg").as_deref(), None);
        assert!(stored("plays.pl_\u{fffd}", good).fault().is_some());
        assert!(stored("plays.pl_1\u{3000}x", good).fault().is_some());
    }

    #[test]
    fn an_answer_is_decoded() {
        let text = r#"{"message":{"subject":"plays.a","seq":7,"data":"e30=","time":"2026-11-23T10:00:00.000000007Z"}}"#;
        let answer: Answer = serde_json::from_str(text).expect("JSON");
        let stored = answer.message.expect("a message").decode().expect("decoded");
        assert_eq!((stored.seq, &stored.payload[..]), (7, &b"{}"[..]));
        assert_eq!(stored.stored_ns % 1_000, 7);
    }

    #[test]
    fn fuzz_stored_messages() {
        rolekeeper_fuzz::fuzz("stored_messages", |answer| {
            let Ok(Answer {
                message: Some(raw), ..
            }) = serde_json::from_slice(answer)
            else {
                return;
            };
            let seq = raw.seq;
            match raw.decode() {
                Ok(stored) => {
                    let _ = (stored.fault(), stored.header("Nats-Msg-Id"), stored.hash());
                    assert_eq!(stored.into_message(0).seq, seq);
                }
                Err(why) => assert!(why.starts_with(&format!("message {seq}, ")), "{why}"),
            }
        });
    }
}
