//! A line of CSV, as RFC 4180 describes it, with a first line that names the columns.
//!
//! Owns which columns a file needs. Must never join two lines, nor take a part of a value with an end of a line in it for a line.

use csv_core::{ReadRecordResult, Reader};

use super::fields::Fields;
use crate::byte_order_mark::without_mark;
use crate::event::{Reason, Reject, bad_value, excerpt};

/// Most values of a line.
const MOST_VALUES: usize = 64;

/// The place of each column that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    number: usize,
    playlist: usize,
    kind: Option<usize>,
    event: Option<usize>,
    played_at: Option<usize>,
    plays: Option<usize>,
}

impl Columns {
    pub(super) fn of(first: &str) -> Result<Self, Reject> {
        let names = values(without_mark(first))?;
        let place = |name: &str| {
            let mut places = names.iter().enumerate().filter(|(_, one)| one.trim() == name);
            match (places.next(), places.next()) {
                (_, Some(_)) => Err(Reject::new(
                    Reason::DuplicateField,
                    name,
                    "the first line names this column twice",
                )),
                (found, None) => Ok(found.map(|(place, _)| place)),
            }
        };
        let columns = Self {
            number: names.len(),
            playlist: place("playlist_id")?.ok_or_else(|| {
                let fault = format!(
                    "expected a JSON object, or the names of CSV columns with playlist_id among them, got \"{}\"",
                    excerpt(first)
                );
                Reject::new(Reason::MissingField, "playlist_id", fault)
            })?,
            kind: place("type")?,
            event: place("event_id")?,
            played_at: place("played_at")?,
            plays: place("plays")?,
        };
        if columns.event.is_none() && columns.plays.is_none() {
            let fault = "the first line names neither this column nor plays";
            return Err(Reject::new(Reason::MissingField, "event_id", fault));
        }
        Ok(columns)
    }

    pub(super) fn fields(&self, line: &str) -> Result<Fields, Reject> {
        let values = values(line)?;
        if values.len() != self.number {
            let fault = format!(
                "expected {} values, as the first line has columns, got {}",
                self.number,
                values.len()
            );
            return Err(Reject::new(Reason::BadValue, "line", fault));
        }
        // An empty value is a missing one.
        let value = |place: Option<usize>| {
            let value = values[place?].trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let plays = value(self.plays).map(|text| {
            let count = text.parse();
            count.map_err(|_| bad_value("plays", "expected a whole number", &text))
        });
        Ok(Fields {
            kind: value(self.kind),
            playlist: value(Some(self.playlist)),
            event: value(self.event),
            played_at: value(self.played_at),
            plays: plays.transpose()?,
        })
    }
}

/// A place in a line.
#[derive(Clone, Copy)]
enum Place {
    Begin,
    Plain,
    Quoted,
    /// Behind a quote in a quoted value, which ends the value, or doubles.
    AfterQuote,
}

/// Refuses quotes that RFC 4180 does not allow. The first line of a value of two lines ends inside quotes.
fn check_quotes(line: &str) -> Result<(), &'static str> {
    let mut place = Place::Begin;
    for byte in line.bytes() {
        place = match (place, byte) {
            (Place::Quoted, b'"') => Place::AfterQuote,
            (Place::Begin | Place::AfterQuote, b'"') | (Place::Quoted, _) => Place::Quoted,
            (_, b',') => Place::Begin,
            (Place::Plain, b'"') => return Err("has a quote in a value that does not begin with one"),
            (Place::AfterQuote, _) => return Err("has text behind the closing quote of a value"),
            (Place::Begin | Place::Plain, _) => Place::Plain,
        };
    }
    match place {
        Place::Quoted => Err("ends inside quotes: a line break inside a value is not supported"),
        _ => Ok(()),
    }
}

/// The values of a line.
fn values(line: &str) -> Result<Vec<String>, Reject> {
    let fault = |fault: &str| Reject::new(Reason::BadValue, "line", fault);
    check_quotes(line).map_err(fault)?;
    let (mut reader, mut bytes, mut ends) = (Reader::new(), vec![0; line.len() + 1], [0; MOST_VALUES]);
    let (_, read, written, ended) = reader.read_record(line.as_bytes(), &mut bytes, &mut ends);
    if read < line.len() {
        return Err(fault("expected at most 64 values, and no end of a line in one"));
    }
    // The end of the input ends the last value.
    let (result, _, _, more) = reader.read_record(&[], &mut bytes[written..], &mut ends[ended..]);
    if !matches!(result, ReadRecordResult::Record) {
        return Err(fault("expected at most 64 values"));
    }
    let mut from = 0;
    let values = ends[..ended + more].iter().map(|end| {
        let value = bytes.get(from..*end).unwrap_or_default();
        from = *end;
        // A text that is cut at its signs is still a text.
        String::from_utf8_lossy(value).into_owned()
    });
    Ok(values.collect())
}
