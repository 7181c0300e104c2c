//! Makes the evidence of a period, slice by slice.
//!
//! Owns the checks of the chain as the audit has it, and the order of the lines. Must never keep more than one slice.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use sha2::{Digest as _, Sha256};

use super::made::{Differences, Made, SHOWN};
use super::part::Part;
use super::{settled, text};
use crate::cli::interrupt::Interrupt;
use crate::cli::output::say;
use crate::store::{ChainPart, Store};
use rolekeeper_domain::evidence::{
    Chained, End, Hash, Header, Line, Links, OfOperator, Place, START, sampled,
};
use rolekeeper_domain::plural::noun;

/// The place where the evidence goes.
#[derive(Debug)]
pub(super) enum To {
    /// A file.
    File(Part),
    /// Standard output, as lines of JSON.
    Lines,
    /// A text about the first changes.
    Text(String),
}

/// The evidence that is being made.
pub(super) struct Making<'a> {
    store: &'a Store,
    header: Header,
    to: To,
    bytes: Sha256,
    changes: u64,
    texts: u64,
    kinds: BTreeMap<String, u64>,
    links: Links,
    /// The last change of the period.
    last: Option<Place>,
    differences: Differences,
}

impl<'a> Making<'a> {
    pub(super) fn new(store: &'a Store, header: Header, to: To) -> Self {
        Self {
            store,
            header,
            to,
            bytes: Sha256::new(),
            changes: 0,
            texts: 0,
            kinds: BTreeMap::new(),
            links: Links::default(),
            last: None,
            differences: Differences::default(),
        }
    }

    /// Reads the period to its end.
    pub(super) async fn run(mut self) -> Result<Made> {
        let mut interrupt = Interrupt::catch()?;
        for open in settled::wait(self.store, &mut interrupt).await? {
            self.differences.add(open);
        }
        let part = self.store.chain_part(self.header.from, self.header.to).await?;
        self.around(&part);
        let (first, last) = part.checked;
        let mut at = first.saturating_sub(1);
        let in_sample = self.sample(&part);
        self.links = Links::behind(part.before);
        while at < last {
            let rows = self.store.chained(at, last).await?;
            let mut acts = self.store.acts_of_changes(&rows).await?;
            let Some(end) = rows.last() else { break };
            if rows[0].place.position == START.position + 1 {
                self.links = Links::behind(Some(START));
            }
            at = end.place.position;
            for row in &rows {
                let acts = acts.remove(&row.change.change_id).unwrap_or_default();
                let line = self.checked(row, acts)?;
                let position = row.place.position;
                if part
                    .positions
                    .is_some_and(|(first, last)| (first..=last).contains(&position))
                {
                    self.change(row, line, in_sample.as_ref())?;
                }
            }
            if interrupt.is_requested() {
                bail!("interrupted: no file was written");
            }
        }
        if self.changes == 0 {
            self.begin(None)?;
        }
        self.end()
    }

    /// Compares the chain with its noted end.
    fn around(&mut self, part: &ChainPart) {
        if part.waiting > 0 {
            self.differences.add(format!(
                "{} {} completed in the period {} no place in the chain yet: the worker that reconciles adds {} within seconds; run the \
                 command again",
                part.waiting,
                noun(part.waiting, "change that was", "changes that were"),
                noun(part.waiting, "has", "have"),
                noun(part.waiting, "it", "them")
            ));
        }
        let (noted, last) = (part.noted_end, part.last.unwrap_or(START));
        if noted != last {
            self.differences.add(format!(
                "the chain ends at position {} with hash {}, and role_change_chain says position {} with hash {}: changes were removed",
                last.position, last.hash, noted.position, noted.hash
            ));
        }
    }

    fn sample(&self, part: &ChainPart) -> Option<BTreeSet<i64>> {
        let most = self.header.sample?;
        let sampled = part
            .positions
            .zip(part.end)
            .map(|((first, _), end)| sampled(first, end, most));
        Some(sampled.unwrap_or_default())
    }

    /// Writes the header.
    fn begin(&mut self, first: Option<&Chained>) -> Result<()> {
        self.header.start = first.map(|row| Place {
            position: row.place.position.saturating_sub(1),
            hash: row.previous,
        });
        let header = serde_json::to_string(&self.header)?;
        self.line(&header)
    }

    /// Checks a change, of the period or next to it.
    fn checked(&mut self, row: &Chained, acts: Vec<OfOperator>) -> Result<Line> {
        let line = Line::of(row, acts)?;
        if let Err(why) = self.links.follow(&line) {
            let (change, position) = (row.change.change_id, row.place.position);
            self.differences.add(format!(
                "role change {change}, position {position} of the chain: {why}"
            ));
        }
        Ok(line)
    }

    /// Writes a change of the period.
    fn change(&mut self, row: &Chained, line: Line, in_sample: Option<&BTreeSet<i64>>) -> Result<()> {
        if self.changes == 0 {
            self.begin(Some(row))?;
        }
        self.changes += 1;
        self.last = Some(row.place);
        *self.kinds.entry(row.change.change.clone()).or_default() += 1;
        let is_shown = in_sample.is_none_or(|sample| sample.contains(&row.place.position));
        if let To::Text(shown) = &mut self.to
            && is_shown
            && self.texts < SHOWN
        {
            self.texts += 1;
            shown.push_str(&text::of(&line));
        }
        let line = if is_shown { line } else { line.without_content() };
        let line = serde_json::to_string(&line)?;
        self.line(&line)
    }

    fn end(mut self) -> Result<Made> {
        let end = End {
            end: self.last,
            changes: self.changes,
            sha256: Hash::of(self.bytes.clone().finalize().into()),
        };
        self.print(&serde_json::to_string(&end)?)?;
        let shown = match self.to {
            To::File(part) => {
                part.finish()?;
                String::new()
            }
            To::Lines => String::new(),
            To::Text(shown) => shown,
        };
        Ok(Made {
            header: self.header,
            end,
            kinds: self.kinds,
            shown,
            differences: self.differences,
        })
    }

    /// Writes a line that the hash of the file has.
    fn line(&mut self, line: &str) -> Result<()> {
        self.bytes.update(line);
        self.bytes.update("\n");
        self.print(line)
    }

    fn print(&mut self, line: &str) -> Result<()> {
        match &mut self.to {
            To::File(part) => part.line(line)?,
            To::Lines => say!("{line}"),
            To::Text(_) => {}
        }
        Ok(())
    }
}
