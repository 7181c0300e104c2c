//! Checks an evidence file, line by line and without any database.
//!
//! Owns the order of the lines, and that each fault names its line. Must never keep more than one line and the sampled positions.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::lines::{End, FORMAT, Header, Line};
use super::links::{Broken, Links};
use super::place::Place;
use super::sample::{MOST_SAMPLED, sampled};
use crate::hash::Hash;

/// A fault of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}{change}: {what}")]
pub struct Fault {
    /// Number of the line, from 1 on.
    pub line: u64,
    /// The change of the line, for the text.
    change: String,
    /// The fault.
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum What {
    #[error("it is no header: this is no evidence file, or its first line was removed or changed ({0})")]
    NoHeader(String),
    #[error("the format of the file is {0}, which only another release of rolekeeper reads")]
    Format(u32),
    #[error("it is no line of an evidence file: {0}")]
    NoLine(String),
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error("the last line is missing: the file was cut off")]
    CutOff,
    #[error("the header says that the period has no change")]
    NoChange,
    #[error("it follows the last line of the file")]
    AfterEnd,
    #[error("the end of the chain is not that of the last change before it: a line was removed or changed")]
    End,
    #[error("{found} changes are before it, and it says {said}: lines were removed or added")]
    Number { said: u64, found: u64 },
    #[error("the lines before it do not have its hash: one of them was changed")]
    Bytes,
    #[error("the file does not show the sample that the end of the chain determines")]
    Sample,
}

/// The result for a valid file.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The header.
    pub header: Header,
    /// The last line.
    pub end: End,
    /// Changes whose content is shown.
    pub shown: u64,
    /// Changes among these whose user was erased.
    pub erased: u64,
}

/// Reads the lines of a file in order.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    header: Option<Header>,
    end: Option<End>,
    links: Links,
    bytes: Sha256,
    lines: u64,
    changes: u64,
    shown: u64,
    erased: u64,
    in_sample: BTreeSet<i64>,
}

impl Verifier {
    /// Reads the next line, without its line break.
    ///
    /// # Errors
    /// The line is not what was written; nothing after it is worth reading.
    pub fn line(&mut self, text: &str) -> Result<(), Fault> {
        self.lines += 1;
        if self.end.is_some() {
            return Err(self.fault(None, What::AfterEnd));
        }
        let Some(header) = &self.header else {
            return self.first(text);
        };
        let (sample, is_empty) = (header.sample, header.start.is_none());
        let parsed: Value = self.parsed(text)?;
        if parsed.get("sha256").is_some() {
            let end: End = self.parsed(text)?;
            return self.last(end);
        }
        let line: Line = self.parsed(text)?;
        // A repeated member would be read in another way by another program.
        if serde_json::to_string(&line).ok().as_deref() != Some(text) {
            let why = "a member is repeated, or the line is not spelled as `rolekeeper evidence` writes it";
            return Err(self.fault(line.change(), What::NoLine(why.to_owned())));
        }
        if is_empty {
            return Err(self.fault(line.change(), What::NoChange));
        }
        let followed = self.links.follow(&line);
        followed.map_err(|why| self.fault(line.change(), why.into()))?;
        self.changes += 1;
        if line.record.is_some() {
            self.shown += 1;
            self.erased += u64::from(line.is_erased());
            if sample.is_some() {
                self.in_sample.insert(line.position);
            }
        }
        let is_shown = line.record.is_some();
        let shown = self.in_sample.len() as u64;
        if sample.map_or(!is_shown, |most| shown > most.into()) {
            return Err(self.fault(line.change(), What::Sample));
        }
        self.add(text);
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Its last line is missing.
    pub fn end(mut self) -> Result<Verified, Fault> {
        let Some((header, end)) = self.header.take().zip(self.end.take()) else {
            self.lines += 1;
            return Err(self.fault(None, What::CutOff));
        };
        Ok(Verified {
            header,
            end,
            shown: self.shown,
            erased: self.erased,
        })
    }

    fn first(&mut self, text: &str) -> Result<(), Fault> {
        let no_header = |why: serde_json::Error| What::NoHeader(why.to_string());
        let parsed: Result<Value, _> = serde_json::from_str(text);
        let format = parsed.ok().and_then(|value| value.get("evidence")?.as_u64());
        if let Some(format) = format.and_then(|format| u32::try_from(format).ok())
            && format != FORMAT
        {
            return Err(self.fault(None, What::Format(format)));
        }
        let header: Result<Header, _> = serde_json::from_str(text);
        let header = header.map_err(|why| self.fault(None, no_header(why)))?;
        if header.sample.is_some_and(|sample| sample > MOST_SAMPLED) {
            return Err(self.fault(None, What::Sample));
        }
        self.links = Links::behind(header.start);
        self.header = Some(header);
        self.add(text);
        Ok(())
    }

    fn last(&mut self, end: End) -> Result<(), Fault> {
        let place = self.links.last().filter(|_| self.changes > 0);
        let what = if end.end != place {
            Some(What::End)
        } else if end.changes != self.changes {
            Some(What::Number {
                said: end.changes,
                found: self.changes,
            })
        } else if Hash::of(self.bytes.clone().finalize().into()) != end.sha256 {
            Some(What::Bytes)
        } else if place.is_some_and(|place| !self.is_the_sample(place)) {
            Some(What::Sample)
        } else {
            None
        };
        if let Some(what) = what {
            return Err(self.fault(None, what));
        }
        self.end = Some(end);
        Ok(())
    }

    fn is_the_sample(&self, end: Place) -> bool {
        let header = self.header.as_ref();
        header.and_then(|header| header.sample).is_none_or(|most| {
            let first = end.position - self.changes.cast_signed() + 1;
            sampled(first, end, most) == self.in_sample
        })
    }

    fn parsed<T: DeserializeOwned>(&self, text: &str) -> Result<T, Fault> {
        let parsed = serde_json::from_str(text);
        parsed.map_err(|why| self.fault(None, What::NoLine(why.to_string())))
    }

    fn add(&mut self, text: &str) {
        self.bytes.update(text);
        self.bytes.update("\n");
    }

    fn fault(&self, change: Option<&str>, what: What) -> Fault {
        let change = change.map_or_else(String::new, |id| format!(", change {}", id.escape_debug()));
        Fault {
            line: self.lines,
            change,
            what,
        }
    }
}
