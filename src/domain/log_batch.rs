//! A webhook body becomes the records in it.
//!
//! Owns how the body tells its own form and which subject and message id each record gets. Must never panic,
//! judge a record, change a byte of one, nor lose one: what cannot be split goes on whole, as unreadable.

use std::borrow::Cow;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::json_text::replace_lone_surrogates;
use super::log_record::Object;

#[cfg(test)]
mod tests;

/// Subject token of records whose type cannot be one.
pub const OTHER: &str = "other";
/// Subject token of `CloudEvents` from Event Streams, whatever their type: those types hold dots.
pub const EVENT: &str = "event";
/// Subject token of what is no record at all; it ends in the dead letters.
pub const UNREADABLE: &str = "unreadable";

/// Longest type that becomes a subject token, in bytes.
const MAX_TYPE_BYTES: usize = 64;
/// Longest id of a record that becomes a message id, in bytes. Auth0's are 56.
const MAX_ID_BYTES: usize = 128;
/// What JSON takes for white space.
const WHITE_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// One message for the stream of tenant logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// A record byte for byte as it was sent, or what could not be read as one.
    pub bytes: &'a [u8],
    /// Where it goes.
    pub subject: Subject,
    /// What the bus drops repeats by: the record's own id, or else the SHA-256 of the bytes in hex.
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

    /// A record's type, if it can be a token and is none of ours.
    fn of_type(kind: Option<String>) -> Self {
        let fits = |kind: &String| {
            (1..=MAX_TYPE_BYTES).contains(&kind.len())
                && kind
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
                && ![EVENT, UNREADABLE].contains(&kind.as_str())
        };
        Self(kind.filter(fits).map_or(Cow::Borrowed(OTHER), Cow::Owned))
    }
}

/// Splits a body into its records, in their order.
///
/// The forms are those of Auth0's log streams and Event Streams: an array; `{"logs":[…]}`; JSON Lines,
/// where a bad line loses only itself; one record; one `CloudEvent`. A record is `{"log_id","data":{…}}` or
/// flat. An element or line that is no object is an unreadable piece of its own. An empty body or batch gives
/// nothing; a body that has no form gives itself as one unreadable piece.
#[must_use]
pub fn split(body: &[u8]) -> Vec<Piece<'_>> {
    let text = masked(body);
    let pieces = slices(&text).into_iter().map(|slice| {
        let start = slice.as_ptr().addr() - text.as_ptr().addr();
        Piece::of(&body[start..start + slice.len()])
    });
    pieces.collect()
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

/// The body as text of the same length. Bytes that are not UTF-8 are masked, so that they spoil only the
/// record they are in, and halves of surrogate pairs are replaced.
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

/// The parts of `body` that are to become pieces.
fn slices(body: &str) -> Vec<&str> {
    let text = body
        .strip_prefix('\u{feff}')
        .unwrap_or(body)
        .trim_matches(WHITE_SPACE);
    if text.is_empty() {
        return Vec::new();
    }
    if let Some(records) = document(text) {
        return records;
    }
    let mut any_read = false;
    let mut slices = Vec::new();
    for line in text
        .split('\n')
        .map(|line| line.trim_matches(WHITE_SPACE))
        .filter(|line| !line.is_empty())
    {
        match document(line) {
            Some(records) => {
                any_read = true;
                slices.extend(records);
            }
            None => slices.push(line),
        }
    }
    if any_read { slices } else { vec![body] }
}

/// The records of one JSON text; nothing if `text` is not one, or neither object nor array.
fn document(text: &str) -> Option<Vec<&str>> {
    if text.starts_with('[') {
        return elements(text);
    }
    let top = Object::parse(text).ok()?;
    let is_record = top.get("type").is_some() || top.get("data").is_some();
    let batch = top.get("logs").filter(|_| !is_record).and_then(elements);
    Some(batch.unwrap_or_else(|| vec![text]))
}

fn elements(array: &str) -> Option<Vec<&str>> {
    let elements: Vec<&RawValue> = serde_json::from_str(array).ok()?;
    Some(elements.into_iter().map(RawValue::get).collect())
}
