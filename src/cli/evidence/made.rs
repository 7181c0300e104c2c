//! Evidence that was made.
//!
//! Owns the report of the differences that were found.

use std::collections::BTreeMap;

use crate::cli::output::remark;
use rolekeeper_domain::evidence::{End, Header};
use rolekeeper_domain::plural::noun;

/// Changes that the text shows; a file has all of them.
pub(super) const SHOWN: u64 = 50;
/// Differences that are printed.
const PRINTED: u64 = 20;

/// The found differences: all are counted, the first are kept.
#[derive(Debug, Default)]
pub(super) struct Differences {
    pub(super) number: u64,
    first: Vec<String>,
}

/// The evidence that was made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) header: Header,
    pub(super) end: End,
    /// Number of changes by their kind.
    pub(super) kinds: BTreeMap<String, u64>,
    /// Text about the first changes, where the evidence is a text.
    pub(super) shown: String,
    pub(super) differences: Differences,
}

impl Differences {
    /// Adds one.
    pub(super) fn add(&mut self, difference: String) {
        self.number += 1;
        if self.number <= PRINTED {
            self.first.push(difference);
        }
    }

    /// Prints them.
    pub(super) fn report(&self) {
        for difference in &self.first {
            remark!("{difference}");
        }
        if self.number > PRINTED {
            let more = self.number - PRINTED;
            remark!("{more} more {}", noun(more, "difference", "differences"));
        }
    }
}
