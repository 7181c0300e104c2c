//! Applies a plan: enqueues its users, slice by slice, so that the worker reads and reconciles them.
//!
//! Owns that only users whose facts are those of the plan are enqueued, and that half of a plan can be applied again. Must never
//! write a role: an attempt decides from the facts and the profile as they are then.

use time::OffsetDateTime;

use super::preview::to_decide;
use crate::store::work_queue::{self, Enqueue, Priority};
use crate::store::{Store, StoreError, Tx, acts, erasures, preview};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::forbidden::ForbiddenRoles;
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::preview::{Asked, Standing, UserChanges, standing};
use rolekeeper_domain::rule::Rules;

/// Users of one transaction: few enough that a fold waits for it for some hundredths of a second.
pub const SLICE: usize = 500;
/// Stale users that are named.
const NAMED: usize = 5;

/// The result so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Users whose facts are those of the plan; they are enqueued, or may be.
    pub valid: u64,
    /// Users whose planned changes are made already, or were decided otherwise after a read of the profile.
    pub done: u64,
    /// Users whose facts have changed since.
    pub stale: u64,
    /// The first stale users.
    pub first_stale: Vec<String>,
}

/// Applies a plan under its rules.
#[derive(Debug)]
pub struct Apply<'r> {
    store: Store,
    asked: Asked<'r>,
    /// Time since which the worker decides by these rules; none while others are in force.
    decided_since: Option<OffsetDateTime>,
}

impl Applied {
    fn add(&mut self, users: &[UserChanges], standings: &[Standing]) {
        for (user, standing) in users.iter().zip(standings) {
            match standing {
                Standing::Valid => self.valid += 1,
                Standing::Done => self.done += 1,
                Standing::Stale => {
                    self.stale += 1;
                    if self.first_stale.len() < NAMED {
                        self.first_stale.push(user.user.clone());
                    }
                }
            }
        }
    }

    /// The outcome of the act.
    #[must_use]
    pub fn outcome(&self) -> String {
        format!(
            "users enqueued: {}; done before: {}; left out because their facts changed: {}",
            self.valid, self.done, self.stale
        )
    }
}

impl<'r> Apply<'r> {
    /// Returns it; nothing runs yet. The worker decides by `rules` since `decided_since`; `None` while others are in force.
    #[must_use]
    pub fn new(
        store: Store,
        rules: &'r Rules,
        forbidden: &'r ForbiddenRoles,
        decided_since: Option<OffsetDateTime>,
    ) -> Self {
        let asked = Asked {
            rules,
            in_force: None,
            forbidden,
        };
        Self {
            store,
            asked,
            decided_since,
        }
    }

    /// Compares the next users of the plan with what is stored, and changes nothing.
    ///
    /// # Errors
    /// Postgres refused, or is unreachable.
    pub async fn compare(&self, users: &[UserChanges], so_far: &mut Applied) -> Result<(), StoreError> {
        let mut tx = self.store.begin_look_ups().await?;
        let standings = self.standings(&mut tx, users).await?;
        so_far.add(users, &standings);
        Ok(())
    }

    /// Enqueues the next users of the plan whose facts are those of the plan, and keeps the act with the last users.
    ///
    /// # Errors
    /// Postgres refused, or is unreachable: none of these users is enqueued.
    pub async fn enqueue(
        &self,
        users: &[UserChanges],
        so_far: &mut Applied,
        last: Option<&Act>,
    ) -> Result<(), StoreError> {
        let mut tx = self.store.begin_look_ups().await?;
        erasures::hold_off(&mut tx).await?;
        let standings = self.standings(&mut tx, users).await?;
        let valid = users.iter().zip(&standings);
        let valid = valid.filter(|(_, standing)| **standing == Standing::Valid);
        let mut entries: Vec<Enqueue> = valid.map(|(user, _)| entry(user)).collect();
        work_queue::enqueue(&mut tx, &mut entries).await?;
        let mut applied = so_far.clone();
        applied.add(users, &standings);
        if let Some(act) = last {
            acts::keep(&mut tx, act, &applied.outcome()).await?;
        }
        tx.commit().await?;
        crash_point!("slice_applied");
        *so_far = applied;
        Ok(())
    }

    async fn standings(&self, tx: &mut Tx<'_>, users: &[UserChanges]) -> Result<Vec<Standing>, StoreError> {
        let ids: Vec<String> = users.iter().map(|user| user.user.clone()).collect();
        let rules = self.asked.rules;
        let candidates = preview::read(tx, &ids, rules.have_conditions()).await?;
        let both = users.iter().zip(&candidates);
        Ok(both
            .map(|(user, now)| {
                let snapshot = to_decide(now, rules);
                standing(user, &self.asked, &snapshot, &now.beside, self.decided_since)
            })
            .collect())
    }
}

/// The entry of a planned user.
pub(super) fn entry(user: &UserChanges) -> Enqueue {
    let mut changes = user.changes.iter();
    let revokes = changes.any(|change| change.change == RoleChange::Revoked);
    let priority = if revokes {
        Priority::Revoke
    } else {
        Priority::Grant
    };
    Enqueue::to_read(user.user.as_str(), priority)
}
