//! Counts the lines of a checked file, batch by batch.
//!
//! Owns the position: a run goes on behind the last line that is counted. Must never hold more than a few batches in memory.

use std::io::{self, BufReader, Read};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Checked;
use crate::flow::fold::import::{Count, CountError, Lines};
use crate::flow::line_file;
use crate::store::{Store, StoreError};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::import::Format;
use rolekeeper_domain::rule::Rules;

/// Lines of one transaction: few enough that a fold waits for it for some tenths of a second.
const AT_ONCE: usize = 2_000;
/// Batches that are read before they are counted.
const READ_AHEAD: usize = 2;

/// Imports one file.
pub struct Import<'a> {
    /// Where facts are stored.
    pub store: &'a Store,
    /// The rules in force.
    pub rules: &'a Rules,
    /// The checked file.
    pub checked: &'a Checked,
    /// The operator.
    pub act: &'a Act,
    /// Ends the run.
    pub stop: CancellationToken,
}

/// The reason why an import ended early. All lines before are counted, and count once when it goes on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The lines were not counted.
    #[error(transparent)]
    Count(#[from] CountError),
    /// Postgres failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    File(#[from] io::Error),
    /// A line is another one than when it was checked.
    #[error("the file was changed while it was imported")]
    Changed,
    /// The stop was requested.
    #[error("interrupted")]
    Stopped,
}

impl Import<'_> {
    /// Counts all lines behind number `through`. `report` is called with the number of lines that are done so far.
    ///
    /// # Errors
    /// The import ended early.
    pub async fn run(
        &self,
        file: BufReader<impl Read + Send + 'static>,
        through: i64,
        mut report: impl FnMut(u64),
    ) -> Result<(), ImportError> {
        let (batches, mut read) = mpsc::channel(READ_AHEAD);
        let (format, last) = (self.checked.format.clone(), self.checked.last.cast_signed());
        let _reading = tokio::task::spawn_blocking(move || {
            let Some(format) = format else { return };
            let sent = read_all(file, &format, through, |batch| {
                batches.blocking_send(Ok(batch)).is_ok()
            });
            if let Err(why) = sent {
                let _ = batches.blocking_send(Err(why));
            }
        });
        let mut count = Count::new(self.store, self.rules, &self.checked.source);
        let (mut done, mut at) = (0, through);
        while let Some(next) = self.stop.run_until_cancelled(read.recv()).await {
            let Some(lines) = next.transpose()? else {
                return if at == last {
                    Ok(())
                } else {
                    Err(ImportError::Changed)
                };
            };
            let act = (lines.to == last).then_some(self.act);
            let counted = self.stop.run_until_cancelled(count.lines(&lines, act)).await;
            counted.ok_or(ImportError::Stopped)??;
            (at, done) = (lines.to, done + lines.past.len() as u64);
            report(done);
        }
        Err(ImportError::Stopped)
    }
}

/// Reads the lines behind number `through` into batches, as long as `send` takes them.
fn read_all(
    file: BufReader<impl Read>,
    format: &Format,
    through: i64,
    mut send: impl FnMut(Lines) -> bool,
) -> Result<(), ImportError> {
    let (mut lines, mut first) = (line_file::Lines::new(file), !format.begins_at_once());
    let mut batch = Lines {
        from: through,
        ..Lines::default()
    };
    while let Some((number, bytes)) = lines.next()? {
        let number = number.cast_signed();
        let is_names = std::mem::take(&mut first);
        if is_names || number <= through {
            continue;
        }
        batch
            .past
            .push(format.read(&bytes).map_err(|_| ImportError::Changed)?);
        batch.to = number;
        if batch.past.len() == AT_ONCE {
            let next = Lines {
                from: number,
                ..Lines::default()
            };
            if !send(std::mem::replace(&mut batch, next)) {
                return Ok(());
            }
        }
    }
    if !batch.past.is_empty() {
        send(batch);
    }
    Ok(())
}
