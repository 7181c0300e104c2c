//! The run of `rolekeeper rebuild`: counts each partition again and corrects what differs.
//!
//! Owns the hold of attempts, and that a partition is compared until nothing differs. Must never leave the hold behind, nor correct a
//! partition in part.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::debug;
use uuid::Uuid;

use super::kept::KeptError;
use super::recount::{Checked, RecountError, Recounted, Recounter};
use super::verify::{NotChecked, slices};
use crate::store::{Store, StoreError};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::plural::noun;
use rolekeeper_domain::rule::Rules;

/// How long the hold lasts where this process is killed.
const HOLD: Duration = Duration::from_secs(30);
/// Interval at which it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// Longest wait for the end of a run that was killed.
const FREE_WITHIN: Duration = Duration::from_secs(35);
/// Longest wait for the end of attempts in flight: longer than any lease.
const ATTEMPTS_END_WITHIN: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_millis(200);
/// Each look at attempts in flight reads the whole work queue.
const ATTEMPTS_POLL: Duration = Duration::from_secs(1);
/// Comparisons of a partition. Each one corrects all that differed at its time; what still differs then came meanwhile.
const ROUNDS: u32 = 10;
/// The reason of a partition that still differs then.
const NO_END: &str = "it still differs after 10 corrections: another client of Postgres changes its counts";

/// Corrects counts.
pub struct Rebuild<'a> {
    /// Counts again.
    pub recounter: Recounter<'a>,
    /// The rules in force.
    pub rules: Rules,
    /// The act, without the partition.
    pub act: Act,
    /// Compare the sums of all playlists of a user too, where a rule needs them.
    pub sums: bool,
}

/// The result of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Rebuilt {
    /// Partitions that were counted again.
    pub partitions: u64,
    /// Playlists in them.
    pub playlists: u64,
    /// Playlists whose stored state was corrected.
    pub corrected: u64,
    /// Users whose stored sum of all playlists was corrected, beside those of corrected playlists.
    pub corrected_sums: u64,
    /// Partitions that could not be counted again.
    pub not_rebuilt: Vec<NotChecked>,
}

/// The reason why a run ended early. Partitions that were corrected stay corrected.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The partition could not be counted again.
    #[error(transparent)]
    Recount(#[from] RecountError),
    /// Postgres failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another run is under way.
    #[error("another `rolekeeper rebuild` is under way: nothing was changed")]
    Running,
    /// Attempts do not end.
    #[error("attempts in flight did not end within 3 minutes: nothing was changed; run the command again")]
    AttemptsInFlight,
    /// The cursor or the rules were changed meanwhile.
    #[error(
        "the operator has set the cursor, or other rules came into force: this partition was not changed; run the command again"
    )]
    OtherCursor,
    /// The stop was requested after these numbers of corrections.
    #[error(
        "interrupted: {0} {playlists} and the sums of {1} {users} were corrected, and stay so; run the command again",
        playlists = noun(*.0, "playlist", "playlists"),
        users = noun(*.1, "user", "users")
    )]
    Interrupted(u64, u64),
}

impl Rebuild<'_> {
    /// Corrects these partitions; `progress` is called with the number of partitions done so far.
    ///
    /// # Errors
    /// A partition could not be corrected. Those before it are.
    pub async fn run(
        &self,
        partitions: &[i16],
        mut progress: impl FnMut(u64),
    ) -> Result<Rebuilt, RebuildError> {
        let (store, run) = (self.recounter.store, Uuid::now_v7());
        self.hold(run).await?;
        let keeping = keep_hold(store.clone(), run);
        let mut rebuilt = Rebuilt::default();
        let ended = self.all(partitions, &mut rebuilt, &mut progress).await;
        drop(keeping);
        store.end_rebuild(run).await?;
        let corrected = (rebuilt.corrected, rebuilt.corrected_sums);
        match ended {
            Err(RebuildError::Recount(RecountError::Kept(KeptError::Interrupted))) if corrected != (0, 0) => {
                return Err(RebuildError::Interrupted(corrected.0, corrected.1));
            }
            ended => ended?,
        }
        if corrected == (0, 0) {
            let outcome = format!(
                "nothing differed in {} {}",
                rebuilt.partitions,
                noun(rebuilt.partitions, "partition", "partitions")
            );
            store.acted(&self.act, &outcome).await?;
        }
        Ok(rebuilt)
    }

    async fn all(
        &self,
        partitions: &[i16],
        rebuilt: &mut Rebuilt,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), RebuildError> {
        self.attempts_end().await?;
        // No other one is made while the hold lasts.
        self.recounter.store.base_is_made().await?;
        let mut counted = BTreeSet::new();
        let mut queue: VecDeque<i16> = partitions.iter().copied().collect();
        while let Some(partition) = queue.pop_front() {
            let is_first = counted.insert(partition);
            // Rows that came to a partition before this one, or to one that was not asked for.
            for home in self.one((partition, is_first), rebuilt).await? {
                if !queue.contains(&home) {
                    queue.push_back(home);
                }
            }
            progress(counted.len() as u64);
        }
        if self.sums && self.rules.need_totals() {
            self.sums(rebuilt).await?;
        }
        Ok(())
    }

    /// Corrects a partition; returns the others to which rows were moved.
    async fn one(
        &self,
        (partition, is_first): (i16, bool),
        rebuilt: &mut Rebuilt,
    ) -> Result<BTreeSet<i16>, RebuildError> {
        let (mut act, mut moved_to) = (self.act.clone(), BTreeSet::new());
        act.arguments = json!({"partition": partition});
        let mut not_rebuilt = None;
        for round in 0..ROUNDS {
            let recounted = match self.recounter.partition(partition).await? {
                Checked::Yes(recounted) => recounted,
                Checked::No(why) => {
                    not_rebuilt = Some(why);
                    break;
                }
            };
            let Recounted {
                playlists,
                epoch,
                base,
                differences,
                ..
            } = recounted;
            if round == 0 && is_first {
                rebuilt.partitions += 1;
                rebuilt.playlists += playlists;
            }
            if differences.is_empty() {
                return Ok(moved_to);
            }
            let (store, basis) = (self.recounter.store, (&self.rules, epoch, &base));
            let mended = store.mend(&differences, basis, &act).await?;
            let mended = mended.ok_or(RebuildError::OtherCursor)?;
            rebuilt.corrected += mended.playlists;
            moved_to.extend(mended.moved_to.into_iter().filter(|home| *home != partition));
        }
        let why = not_rebuilt.unwrap_or_else(|| NO_END.to_owned());
        rebuilt.not_rebuilt.push(NotChecked { partition, why });
        Ok(moved_to)
    }

    /// Corrects the sums that differ from the playlists.
    async fn sums(&self, rebuilt: &mut Rebuilt) -> Result<(), RebuildError> {
        let Recounter { store, stop, .. } = &self.recounter;
        slices(store, stop, async |compared| {
            let wrong: BTreeSet<String> = compared.wrong.into_iter().map(|one| one.user_id).collect();
            let users = wrong.len() as u64;
            if users > 0 && !store.mend_totals(wrong, &self.rules, &self.act).await? {
                return Err(RebuildError::OtherCursor);
            }
            rebuilt.corrected_sums += users;
            Ok(())
        })
        .await
    }

    /// Begins the hold, once that of a run that was killed has ended.
    async fn hold(&self, run: Uuid) -> Result<(), RebuildError> {
        let began = Instant::now();
        while !self.recounter.store.hold_for_rebuild(run, HOLD).await? {
            if began.elapsed() >= FREE_WITHIN {
                return Err(RebuildError::Running);
            }
            self.wait(POLL).await?;
        }
        Ok(())
    }

    async fn wait(&self, lasting: Duration) -> Result<(), RebuildError> {
        let waited = self.recounter.stop.run_until_cancelled(sleep(lasting)).await;
        Ok(waited.ok_or(RecountError::Kept(KeptError::Interrupted))?)
    }

    /// Waits until no attempt decides by the counts as they are.
    async fn attempts_end(&self) -> Result<(), RebuildError> {
        let began = Instant::now();
        while self.recounter.store.attempts_in_flight().await? > 0 {
            if began.elapsed() >= ATTEMPTS_END_WITHIN {
                return Err(RebuildError::AttemptsInFlight);
            }
            self.wait(ATTEMPTS_POLL).await?;
        }
        Ok(())
    }
}

/// Renews the hold until it is dropped. Without a renewal attempts begin again, which does no harm: each partition is corrected
/// in one transaction.
fn keep_hold(store: Store, run: Uuid) -> JoinSet<()> {
    let mut task = JoinSet::new();
    task.spawn(async move {
        loop {
            sleep(RENEW_EVERY).await;
            if let Err(why) = store.hold_for_rebuild(run, HOLD).await {
                debug!("the hold of attempts was not renewed: {why}");
            }
        }
    });
    task
}
