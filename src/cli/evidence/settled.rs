//! Waits until all changes that were completed up to now can be seen.
//!
//! Owns how long. A change has the time at which it was completed, and is seen a moment later, when its transaction ends: without
//! the wait it would be in neither of two adjoining periods.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::cli::interrupt::Interrupt;
use crate::store::Store;

/// Longest wait: the transactions of a worker take milliseconds.
const LONGEST: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Waits for the transactions that may have completed changes before this call. Names each that is still open at the end.
pub(super) async fn wait(store: &Store, interrupt: &mut Interrupt) -> Result<Vec<String>> {
    let mut open = store.writing_changes().await?;
    let mut waited = Duration::ZERO;
    while !open.is_empty() && waited < LONGEST {
        tokio::select! {
            () = tokio::time::sleep(POLL_INTERVAL) => waited += POLL_INTERVAL,
            () = interrupt.requested() => bail!("interrupted: no file was written"),
        }
        let still = store.writing_changes().await?;
        open.retain(|writing| still.contains(writing));
    }
    let named = open.into_iter().map(|writing| {
        let process = writing.process.map_or_else(|| "a prepared transaction".to_owned(), |id| format!("process {id} of Postgres"));
        format!(
            "{process} has kept a transaction open for {} s, and changes that it completed may be missing: run the command again when \
             it has ended",
            LONGEST.as_secs()
        )
    });
    Ok(named.collect())
}
