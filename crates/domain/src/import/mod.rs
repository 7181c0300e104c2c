//! A line of a file of past plays or counts, for `rolekeeper import`.
//!
//! Owns the forms of a line: a play under its event id, or a count of a playlist. Must never take a line for another one because
//! a field is missing.

mod csv;
mod fields;
mod json;
#[cfg(test)]
mod tests;

use crate::event::{MAX_EVENT_BYTES, Reason, Reject};

pub use csv::Columns;
pub use fields::{Past, Plays};

/// The form of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// CSV with these columns.
    Csv(Columns),
}

impl Format {
    /// The form of a file with this first line that is not blank. The first line of CSV names the columns, and holds no plays.
    ///
    /// # Errors
    /// The columns are not those of plays or counts.
    pub fn of(first: &[u8]) -> Result<Self, Reject> {
        let text = text(first)?;
        if text.trim_ascii_start().starts_with('{') {
            Ok(Self::Json)
        } else {
            Columns::of(text).map(Self::Csv)
        }
    }

    /// Whether the first line holds plays.
    #[must_use]
    pub fn begins_at_once(&self) -> bool {
        *self == Self::Json
    }

    /// Reads a line.
    ///
    /// # Errors
    /// The field and the fault.
    pub fn read(&self, line: &[u8]) -> Result<Past, Reject> {
        let text = text(line)?;
        let fields = match self {
            Self::Json => json::fields(text)?,
            Self::Csv(columns) => columns.fields(text)?,
        };
        fields.checked()
    }
}

/// The text of a line of bounded length.
fn text(line: &[u8]) -> Result<&str, Reject> {
    if line.len() > MAX_EVENT_BYTES {
        let fault = format!("expected at most {MAX_EVENT_BYTES} bytes");
        return Err(Reject::new(Reason::Oversized, "line", fault));
    }
    std::str::from_utf8(line).map_err(|fault| Reject::new(Reason::NotUtf8, "line", fault))
}
