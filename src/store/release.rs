//! Releases a brake, slice by slice: the held changes pass, or are dropped.
//!
//! Owns the order: the held users first, while the brake is still engaged, then the end of the brake. So a command that is
//! interrupted leaves every other user held. Must never lock the brake together with users: a fold or an attempt that holds
//! a user may wait for it.

use std::time::Duration;

use time::OffsetDateTime;

use super::brake_releases::{self, HeldKind, Phase, Release, Way};
use super::held_by::marks;
use super::slices::{self, SLICE};
use super::{Channel, Store, StoreError, Tx, acts, brake_row, counters, gone, removals, restores};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::held::HeldBy;
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::plural::noun;
use rolekeeper_domain::view::brakes::UnderWay;

/// Progress of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// More is to be done.
    More,
    /// All is done.
    Ended,
    /// Another command releases or drops the same changes by now.
    TakenOver,
}

/// Time after which a release that makes no progress counts as interrupted.
const UNDER_WAY: Duration = Duration::from_secs(30);

/// Result of a begin by an operator who saw the brake.
#[derive(Debug)]
pub enum Begun {
    /// It has begun, or continues an interrupted one.
    Begun(Box<Release>),
    /// The brake is not engaged any more.
    NotEngaged,
    /// The brake was released and is engaged again since this time.
    EngagedAgain(OffsetDateTime),
    /// Another operator releases or drops these changes now.
    UnderWay,
}

/// Result of an engagement by an operator.
#[derive(Debug)]
pub enum Engaged {
    /// The brake is engaged from now on.
    Now,
    /// It was engaged before, and nothing was about to end that.
    Before,
    /// It was engaged before, and stays so: this release or drop, which would have ended it, is stopped.
    Stays(UnderWay),
}

/// Time since which a brake is engaged.
async fn engaged_at(tx: &mut Tx<'_>, held: HeldKind) -> Result<Option<OffsetDateTime>, StoreError> {
    match held {
        HeldKind::Gone => gone::engaged_at(tx).await,
        _ => brake_row::engaged_at(tx, held.as_str()).await,
    }
}

/// Marks in the queue of the users that a brake holds; none for a brake that holds rows of another table.
fn marks_of(held: HeldKind) -> Option<Vec<&'static str>> {
    match held {
        HeldKind::Changes(change) => Some(marks(change).to_vec()),
        HeldKind::Gone => Some(vec![HeldBy::GoneBrake.as_str()]),
        HeldKind::Restores | HeldKind::Removals => None,
    }
}

impl Store {
    /// Engages the brake on one kind of changes by the operator's word, and stops a release or drop of them.
    pub async fn engage(&self, change: RoleChange, act: &Act) -> Result<Engaged, StoreError> {
        let mut tx = self.begin().await?;
        let (before, _) = brake_row::lock(&mut tx, change.as_str(), Duration::ZERO).await?;
        let stopped = brake_releases::stop(&mut tx, HeldKind::Changes(change)).await?;
        let (engaged, outcome) = match stopped.filter(|_| before) {
            Some(stopped) => {
                let (command, by) = (stopped.words().0, &stopped.by);
                let outcome = format!("the brake stays engaged: the {command} by {by} is stopped");
                (Engaged::Stays(stopped), outcome)
            }
            None if before => return Ok(Engaged::Before),
            None => {
                let holders = counters::holders(&mut tx, change).await?;
                brake_row::engage(&mut tx, change.as_str(), 0, holders).await?;
                (Engaged::Now, "the brake is engaged".to_owned())
            }
        };
        acts::keep(&mut tx, act, &outcome).await?;
        tx.commit().await?;
        crash_point!("engaged");
        Ok(engaged)
    }

    /// Begins to release or drop the held changes of one kind, or continues where an interrupted command stopped. `None` if
    /// the brake is not engaged.
    pub async fn begin_release(
        &self,
        held: HeldKind,
        way: Way,
        act: &Act,
    ) -> Result<Option<Release>, StoreError> {
        let mut tx = self.begin().await?;
        if engaged_at(&mut tx, held).await?.is_none() {
            return Ok(None);
        }
        let release = brake_releases::begin(&mut tx, held, way, act, None).await?;
        tx.commit().await?;
        crash_point!("begun");
        Ok(release)
    }

    /// The same for an operator who saw the brake as engaged since `seen`, and not while another operator releases or drops the
    /// same changes.
    pub async fn begin_release_seen(
        &self,
        held: HeldKind,
        way: Way,
        act: &Act,
        seen: OffsetDateTime,
    ) -> Result<Begun, StoreError> {
        let mut tx = self.begin().await?;
        let release = brake_releases::begin(&mut tx, held, way, act, Some(UNDER_WAY)).await?;
        // Read behind the lock of the row above: a release that ended meanwhile has ended the brake too.
        let Some(engaged) = engaged_at(&mut tx, held).await? else {
            return Ok(Begun::NotEngaged);
        };
        if engaged != seen {
            return Ok(Begun::EngagedAgain(engaged));
        }
        let Some(release) = release else {
            return Ok(Begun::UnderWay);
        };
        tx.commit().await?;
        crash_point!("begun_as_seen");
        Ok(Begun::Begun(Box::new(release)))
    }

    /// Goes on with a release: one short transaction. Call it until it has ended.
    pub async fn release_slice(&self, release: &mut Release) -> Result<Step, StoreError> {
        match release.phase {
            Phase::Held => self.release_held(release).await,
            Phase::Marked => self.release_marked(release).await,
            Phase::Off => self.end_brake(release).await,
            Phase::Left => self.release_left(release).await,
        }
    }

    async fn release_held(&self, release: &mut Release) -> Result<Step, StoreError> {
        let (way, after) = (release.way, release.position.as_str());
        let mut tx = self.begin().await?;
        let slice = match release.held {
            HeldKind::Changes(change) => slices::of_changes(&mut tx, change, way, after).await?,
            HeldKind::Restores => restores::slice(&mut tx, way, after).await?,
            HeldKind::Removals => removals::slice(&mut tx, way, after).await?,
            HeldKind::Gone => gone::slice(&mut tx, after).await?,
        };
        if let Some(last) = &slice.last
            && !brake_releases::advance(&mut tx, release, last, slice.users).await?
        {
            return Ok(Step::TakenOver);
        }
        // Of an interrupted command this is the only trace in the acts.
        let begins = slice.full && !release.begun;
        if begins {
            acts::keep(&mut tx, &release.act, "begun").await?;
        }
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("slice_released");
        release.begun |= begins;
        release.users += slice.users;
        match slice.last {
            Some(last) if slice.full => release.position = last,
            _ => {
                release.phase = if release.held == HeldKind::Gone {
                    Phase::Marked
                } else {
                    Phase::Off
                }
            }
        }
        if release.phase == Phase::Marked {
            release.position.clear();
        }
        Ok(Step::More)
    }

    /// Enqueues the users marked as gone in the time before the brake engaged: each is read again.
    async fn release_marked(&self, release: &mut Release) -> Result<Step, StoreError> {
        let mut tx = self.begin().await?;
        let last = gone::enqueue_marked(&mut tx, &release.position, SLICE).await?;
        tx.commit().await?;
        crash_point!("marked_released");
        match last {
            Some(last) => release.position = last,
            None => release.phase = Phase::Off,
        }
        Ok(Step::More)
    }

    /// Ends the brake, whose count restarts. Waits for attempts that have it locked: they hold no further user after that.
    async fn end_brake(&self, release: &mut Release) -> Result<Step, StoreError> {
        let mut tx = self.begin().await?;
        let engaged = match release.held {
            HeldKind::Gone => gone::disengage(&mut tx).await?,
            _ => brake_row::release(&mut tx, release.held.as_str()).await?,
        };
        let left = match release.held {
            HeldKind::Restores => restores::left(&mut tx).await?,
            HeldKind::Removals => removals::left(&mut tx).await?,
            HeldKind::Changes(_) | HeldKind::Gone => false,
        };
        if engaged && left {
            // An attempt held another one meanwhile; the brake is still engaged after this transaction.
            release.phase = Phase::Held;
            release.position.clear();
            return Ok(Step::More);
        }
        if !engaged || !brake_releases::end(&mut tx, release).await? {
            return Ok(Step::TakenOver);
        }
        let (users, what) = (release.users, release.way.past());
        acts::keep(
            &mut tx,
            &release.act,
            &format!("{users} {} {what}", noun(users, "user", "users")),
        )
        .await?;
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("brake_off");
        release.phase = Phase::Left;
        Ok(Step::More)
    }

    /// Makes users due that were held behind the position: they were not released, and no release reaches them any more.
    /// The sweep does the same where this is interrupted.
    async fn release_left(&self, release: &mut Release) -> Result<Step, StoreError> {
        let Some(marks) = marks_of(release.held) else {
            return Ok(Step::Ended);
        };
        let woken = self.wake_marked(&marks, SLICE).await?;
        Ok(if woken < SLICE.unsigned_abs() {
            Step::Ended
        } else {
            Step::More
        })
    }

    /// Makes at most `most` users due that are held under these marks; they are decided again. Returns their number.
    pub(super) async fn wake_marked(&self, marks: &[&str], most: i64) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let woken = sqlx::query!(
            "WITH held AS (
                 SELECT user_id FROM work_queue WHERE held_by = ANY($1::text[]) ORDER BY user_id LIMIT $2 FOR UPDATE
             )
             UPDATE work_queue n SET held_by = NULL, held_until = NULL, due_at = now(), force_fetch = true
             FROM held WHERE n.user_id = held.user_id",
            marks as &[&str],
            most
        );
        let woken = woken.execute(&mut tx).await?.rows_affected();
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("marked_woken");
        Ok(woken)
    }
}

impl Way {
    /// The command, as acts name it.
    #[must_use]
    pub fn command(self) -> &'static str {
        match self {
            Self::Release => "brake release",
            Self::Drop => "brake drop",
        }
    }

    /// The word for its result.
    #[must_use]
    pub fn past(self) -> &'static str {
        match self {
            Self::Release => "released",
            Self::Drop => "dropped",
        }
    }
}
