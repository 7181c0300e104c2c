//! The parsers of the domain: what holds for any bytes that they read.
//!
//! Must never repeat a parser: a property compares it with itself, or with the JSON that another library reads.

mod events;
mod files;
mod imports;
mod log_batches;
mod log_records;
mod rules;
mod texts;

use rolekeeper_domain::event::{Reason, Reject};
use rolekeeper_domain::json_text;
use serde_json::Value;

/// Longest text of a refusal: it is stored, and printed in a line.
const MOST_CHARS: usize = 600;

/// The value that a JSON library reads, after half surrogate pairs were replaced.
fn json(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    serde_json::from_str(&json_text::replace_lone_surrogates(text)).ok()
}

/// A refusal begins with one of these fields, and fits into a line. Where the bytes are no JSON, it may name any member.
fn names_one_of(reject: &Reject, fields: &[&str]) {
    let Reject { reason, detail } = reject;
    let field = detail.split(':').next().unwrap_or_default();
    // The data of an envelope has the fields of an event.
    let inner = field.strip_prefix("data.").unwrap_or(field);
    let named = fields.contains(&field) || fields.contains(&inner) || *reason == Reason::NotJson;
    assert!(named, "it names no field: {detail}");
    let is_line = detail.chars().count() <= MOST_CHARS && !detail.contains(char::is_control);
    assert!(is_line, "not one short line: {detail}");
}
