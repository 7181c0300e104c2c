//! Makes the evidence of a period, slice by slice.
//!
//! Owns the checks of the chain as the audit has it, and the order of the lines. Must never keep more than one slice.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use sha2::{Digest as _, Sha256};

use super::made::{Differences, Made, SHOWN};
use super::part::Part;
use super::text;
use crate::cli::interrupt::Interrupt;
use crate::cli::output::say;
use crate::store::{ChainPart, Store};
use rolekeeper_domain::evidence::{
    Chained, End, Hash, Header, Line, Links, OfOperator, Place, START, sampled,
};

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
            differences: Differences::default(),
        }
    }

    /// Reads the period to its end.
    pub(super) async fn run(mut self) -> Result<Made> {
        let mut interrupt = Interrupt::catch()?;
        let part = self.store.chain_part(self.header.from, self.header.to).await?;
        self.around(&part);
        let (mut at, last) = part.positions.map_or((0, 0), |(first, last)| (first - 1, last));
        let in_sample = self.sample(&part);
        let mut begun = false;
        while at < last {
            let rows = self.store.chained(at, last).await?;
            let mut acts = self.store.acts_of_changes(&rows).await?;
            let Some(end) = rows.last() else { break };
            at = end.place.position;
            if !begun {
                self.begin(&part, rows.first())?;
                begun = true;
            }
            for row in &rows {
                let acts = acts.remove(&row.change.change_id).unwrap_or_default();
                self.change(row, acts, in_sample.as_ref())?;
            }
            if interrupt.is_requested() {
                bail!("interrupted: no file was written");
            }
        }
        if !begun {
            self.begin(&part, None)?;
        }
        self.end()
    }

    /// Compares the chain with what is before and behind the period, and with its noted end.
    fn around(&mut self, part: &ChainPart) {
        if part.waiting > 0 {
            self.differences.add(format!(
                "{} changes that were completed in the period have no place in the chain yet: the worker that reconciles adds them \
                 within seconds; run the command again",
                part.waiting
            ));
        }
        let (noted, last) = (part.noted_end, part.last.unwrap_or(START));
        if noted != last {
            self.differences.add(format!(
                "the chain ends at position {} with hash {}, and role_change_chain says position {} with hash {}: changes were removed",
                last.position, last.hash, noted.position, noted.hash
            ));
        }
        if let (Some(end), Some((position, previous))) = (part.end, part.behind)
            && (position != end.position + 1 || previous != end.hash)
        {
            self.differences.add(format!(
                "position {position} of the chain, the first one after the period, does not follow position {}: a change was removed \
                 or changed",
                end.position
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
    fn begin(&mut self, part: &ChainPart, first: Option<&Chained>) -> Result<()> {
        self.header.start = first.map(|row| Place {
            position: row.place.position - 1,
            hash: row.previous,
        });
        let is_first = |row: &Chained| row.place.position == START.position + 1;
        let before = part.before.or(first.filter(|row| is_first(row)).map(|_| START));
        self.links = Links::behind(before);
        let header = serde_json::to_string(&self.header)?;
        self.line(&header)
    }

    fn change(
        &mut self,
        row: &Chained,
        acts: Vec<OfOperator>,
        in_sample: Option<&BTreeSet<i64>>,
    ) -> Result<()> {
        let line = Line::of(row, acts)?;
        if let Err(why) = self.links.follow(&line) {
            let (change, position) = (row.change.change_id, row.place.position);
            self.differences.add(format!(
                "role change {change}, position {position} of the chain: {why}"
            ));
        }
        self.changes += 1;
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
            end: self.links.last().filter(|_| self.changes > 0),
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
