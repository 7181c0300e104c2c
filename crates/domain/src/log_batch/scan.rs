//! Finds the concatenated JSON values of a body, whatever separates them.
//!
//! Owns the bounds of a value, and how much of the body a broken value affects. Must never interpret a value beyond the
//! difference between a batch and a record, never hold more than a position, and never take more than linear time.

use std::ops::Range;

use serde::Deserialize as _;
use serde_json::value::RawValue;

use crate::byte_order_mark::without_mark;
use crate::log_record::Object;

/// How often each byte of a body may be read in failed attempts; after that a value must end on its own line.
const ATTEMPTS: usize = 8;
/// Separator of RFC 7464.
const RECORD_SEPARATOR: u8 = 0x1e;

/// A position in a text.
#[derive(Debug)]
pub(super) struct Scan {
    at: usize,
    end: usize,
    /// Where the scan continues after the current batch; `None` outside a batch.
    behind_batch: Option<Range<usize>>,
    /// Number of open arrays.
    depth: usize,
    /// The scan has entered a truncated batch, whose closing brace may follow.
    broken_batch: bool,
    /// Bytes that failed attempts may still read.
    spare: usize,
    /// The last line end found.
    line_end: usize,
    /// The scan found an object or a whole array.
    read: bool,
}

impl Scan {
    pub(super) fn new(text: &str) -> Self {
        let at = text.len() - without_mark(text).len();
        Self {
            at,
            end: text.len(),
            behind_batch: None,
            depth: 0,
            broken_batch: false,
            spare: text.len().saturating_mul(ATTEMPTS),
            line_end: 0,
            read: false,
        }
    }

    /// Whether `text` contains an object or a whole array.
    pub(super) fn reads(text: &str) -> bool {
        let mut scan = Self::new(text);
        while !scan.read && scan.next(text).is_some() {}
        scan.read
    }

    /// The next value, or the next unreadable piece.
    pub(super) fn next(&mut self, text: &str) -> Option<Range<usize>> {
        loop {
            self.skip_separators(text);
            if self.at >= self.end {
                let behind = self.behind_batch.take()?;
                (self.at, self.end) = (behind.start, behind.end);
                continue;
            }
            let start = self.at;
            let Some(value) = self.value(text, start) else {
                if self.spare > 0
                    && let Some(length) = opening_of_batch(&text[start..self.end])
                {
                    self.at += length;
                    self.depth += 1;
                    self.broken_batch = true;
                    continue;
                }
                return Some(self.broken(text));
            };
            self.at += value.len();
            if value.starts_with('{') {
                self.read = true;
                if self.behind_batch.is_none()
                    && let Some(records) = batch(value)
                {
                    self.behind_batch = Some(self.at..self.end);
                    self.at = start + records.start;
                    self.end = start + records.end;
                    continue;
                }
            }
            return Some(start..start + value.len());
        }
    }

    /// Commas, white space, the separator of RFC 7464, and the brackets of arrays.
    fn skip_separators(&mut self, text: &str) {
        for byte in text.as_bytes()[self.at..self.end].iter().copied() {
            match byte {
                b'[' => self.depth += 1,
                b']' => {
                    self.read |= self.depth == 1;
                    self.depth = self.depth.saturating_sub(1);
                }
                b'}' if self.broken_batch && self.depth == 0 => self.broken_batch = false,
                b',' | RECORD_SEPARATOR => {}
                byte if is_white_space(byte) => {}
                _ => break,
            }
            self.at += 1;
        }
    }

    /// The value that begins at `start`, if it is valid.
    fn value<'t>(&mut self, text: &'t str, start: usize) -> Option<&'t str> {
        let end = if self.spare == 0 {
            self.line_end(text, start)
        } else {
            self.end
        };
        let rest = &text[start..end];
        let mut json = serde_json::Deserializer::from_str(rest);
        match <&RawValue>::deserialize(&mut json) {
            Ok(value) => Some(value.get()),
            Err(error) => {
                self.spare = self.spare.saturating_sub(bytes_read(rest, &error));
                None
            }
        }
    }

    /// The unreadable piece: up to the next record on its line, or the end of the line; for an object over several
    /// lines, up to the end of those.
    fn broken(&mut self, text: &str) -> Range<usize> {
        let start = self.at;
        let is_object = text.as_bytes()[start] == b'{';
        let mut line = start + 1..self.line_end(text, start);
        loop {
            if let Some(record) = self.record_in(text, line.clone()) {
                self.at = record;
                break;
            }
            self.at = line.end;
            let next = line.end + breaks(&text[line.end..self.end]);
            let goes_on = text.as_bytes()[..self.end]
                .get(next)
                .is_some_and(|first| matches!(first, b' ' | b'\t' | b'}' | b']'));
            if !(is_object && goes_on) {
                break;
            }
            line = next..self.line_end(text, next);
        }
        let broken = text[start..self.at]
            .trim_end_matches(|c: char| (is_object && c == ',') || c.is_ascii() && is_white_space(c as u8));
        start..start + broken.len()
    }

    /// The end of the line of `start`. It is searched once per line, since one line may be the whole body.
    fn line_end(&mut self, text: &str, start: usize) -> usize {
        if self.line_end <= start || self.line_end > self.end {
            let rest = &text.as_bytes()[start..self.end];
            self.line_end = memchr::memchr2(b'\n', b'\r', rest).map_or(self.end, |at| start + at);
        }
        self.line_end
    }

    /// Start of a whole record behind another value, within a part of the text.
    fn record_in(&mut self, text: &str, part: Range<usize>) -> Option<usize> {
        memchr::memchr_iter(b'{', &text.as_bytes()[part.clone()])
            .map(|at| part.start + at)
            .find(|&at| {
                let before = text[..at].trim_end_matches(|c: char| c.is_ascii() && is_white_space(c as u8));
                let behind_value = before.ends_with([',', '}', RECORD_SEPARATOR as char]);
                behind_value && self.spare > 0 && self.value(text, at).is_some_and(is_record)
            })
    }
}

/// Whether JSON treats the byte as white space.
pub(super) fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Length of the line breaks at the beginning of `rest`.
fn breaks(rest: &str) -> usize {
    rest.len() - rest.trim_start_matches(['\n', '\r']).len()
}

/// Number of bytes that the parser read before it failed.
fn bytes_read(rest: &str, error: &serde_json::Error) -> usize {
    if error.is_eof() {
        return rest.len();
    }
    let lines = match error.line() {
        0 | 1 => 0,
        line => memchr::memchr_iter(b'\n', rest.as_bytes())
            .nth(line - 2)
            .unwrap_or(rest.len()),
    };
    (lines + error.column()).clamp(1, rest.len())
}

/// The range of the records in `{"logs":[…]}`. An object that is a record itself is no batch.
fn batch(object: &str) -> Option<Range<usize>> {
    memchr::memmem::find(object.as_bytes(), b"\"logs\"")?;
    let top = Object::parse(object).ok()?;
    if top.get("type").is_some() || top.get("data").is_some() || has_id(&top) {
        return None;
    }
    let records = top.get("logs").filter(|records| records.starts_with('['))?;
    let start = records.as_ptr().addr() - object.as_ptr().addr();
    Some(start..start + records.len())
}

/// Length of `{"logs":[`, if `rest` begins with it.
fn opening_of_batch(rest: &str) -> Option<usize> {
    let mut left = rest;
    for part in ["{", "\"logs\"", ":", "["] {
        left = left
            .trim_start_matches(|c: char| c.is_ascii() && is_white_space(c as u8))
            .strip_prefix(part)?;
    }
    Some(rest.len() - left.len())
}

/// Whether an object has the id that every record has, and no part of a record has.
fn is_record(object: &str) -> bool {
    Object::parse(object).is_ok_and(|top| has_id(&top))
}

fn has_id(top: &Object<'_>) -> bool {
    let ids = ["log_id", "_id", "specversion"];
    ids.iter().any(|name| top.get(name).is_some())
}
