//! Splits a webhook body into its records.
//!
//! Owns the detection of a body's form, and the subject and message id of each record. Must never panic, judge a
//! record, change a byte of one, nor lose one: a part that cannot be split is forwarded whole, as unreadable.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::byte_order_mark::without_mark;
use super::json_text::replace_lone_surrogates;
use super::log_record::Object;
use scan::Scan;

mod scan;

#[cfg(test)]
mod tests;

/// Subject token of records whose type is no valid token.
pub const OTHER: &str = "other";
/// Subject token of `CloudEvents` from Event Streams, whatever their type, since these types contain dots.
pub const EVENT: &str = "event";
/// Subject token of a piece that is no record; it becomes a dead letter.
pub const UNREADABLE: &str = "unreadable";

/// Maximum length of a type used as a subject token, in bytes.
const MAX_TYPE_BYTES: usize = 64;
/// Maximum length of a record's id used as a message id, in bytes. Auth0's have 56.
const MAX_ID_BYTES: usize = 128;

/// One message for the stream of tenant logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// A record byte for byte as sent, or a piece that is no record.
    pub bytes: &'a [u8],
    /// Subject of the message.
    pub subject: Subject,
    /// Id by which the bus drops duplicates: the record's own id, or else the SHA-256 of the bytes in hex.
    pub message_id: String,
}

/// The last token of a piece's subject: `[a-z0-9_]{1,64}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(Cow<'static, str>);

impl Subject {
    /// The token as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A record's type, if it is a valid token and none of the reserved ones.
    fn of_type(kind: Option<String>) -> Self {
        let is_valid = |kind: &String| {
            (1..=MAX_TYPE_BYTES).contains(&kind.len())
                && kind
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
                && ![EVENT, UNREADABLE].contains(&kind.as_str())
        };
        Self(kind.filter(is_valid).map_or(Cow::Borrowed(OTHER), Cow::Owned))
    }
}

/// Splits a body into its records, in order, one at a time; it holds only a position.
///
/// The forms are those of Auth0's log streams and Event Streams: an array; `{"logs":[…]}`; JSON Lines; one record; one
/// `CloudEvent`. Forwarders concatenate JSON values, with blanks, commas, line ends or RFC 7464's separator between
/// them, or pretty print them. A record is `{"log_id","data":{…}}` or flat. A value that is no object or is broken
/// becomes one unreadable piece and affects no other. An empty body or batch has no pieces; a body in which nothing can
/// be parsed is one unreadable piece.
#[must_use]
pub fn split(body: &[u8]) -> Pieces<'_> {
    let text = masked(body);
    let plain = without_mark(&text);
    let blank = plain.bytes().all(scan::is_white_space);
    Pieces {
        whole: !blank && !Scan::reads(&text),
        scan: Scan::new(if blank { "" } else { &text }),
        body,
        text,
    }
}

/// The pieces of a body.
#[derive(Debug)]
pub struct Pieces<'a> {
    body: &'a [u8],
    /// The body as text of the same length.
    text: Cow<'a, str>,
    scan: Scan,
    /// Nothing can be parsed: the body is one piece.
    whole: bool,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if std::mem::take(&mut self.whole) {
            self.scan = Scan::new("");
            return Some(Piece::of(self.body));
        }
        self.scan
            .next(&self.text)
            .map(|range| Piece::of(&self.body[range]))
    }
}

impl<'a> Piece<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let text = std::str::from_utf8(bytes).ok().map(replace_lone_surrogates);
        let Some(top) = text.as_deref().and_then(|text| Object::parse(text).ok()) else {
            return Self {
                bytes,
                subject: Subject(Cow::Borrowed(UNREADABLE)),
                message_id: digest(bytes),
            };
        };
        let inner = top.enveloped();
        let record = inner.as_ref().unwrap_or(&top);
        let subject = if top.is_cloud_event() {
            Subject(Cow::Borrowed(EVENT))
        } else {
            Subject::of_type(record.text("type"))
        };
        let own_id = record
            .text("log_id")
            .or_else(|| top.text("log_id"))
            .or_else(|| record.text("_id"))
            .or_else(|| top.text("id").filter(|_| top.is_cloud_event()))
            .filter(|id| {
                (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
            });
        Self {
            bytes,
            subject,
            message_id: own_id.unwrap_or_else(|| digest(bytes)),
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// The body as text of the same length. Bytes that are not UTF-8 are masked, so that they affect only their own record,
/// and halves of surrogate pairs are replaced.
fn masked(body: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(body) {
        return replace_lone_surrogates(text);
    }
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    Cow::Owned(text)
}
