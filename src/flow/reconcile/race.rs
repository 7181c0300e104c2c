//! Writes of another client between our read and our write, and their resolution.
//!
//! Owns the queries to the tables and the results in audit, log and metric; `domain::merge` resolves, `domain::history` judges,
//! `restore` permits a restore. Must never change an entry of other clients except to restore one that our write overwrote, and never
//! because of a record alone: Auth0 confirmed each record on which a restore, or the takeover of a managed role, rests
//! before the profile was read.

use time::OffsetDateTime;
use tracing::error;
use uuid::Uuid;

use super::attempt::Attempt;
use super::own_writes::state;
use super::removal::Removals;
use crate::auth0::Profile;
use crate::store::profile_writes::Bounds;
use crate::store::{
    RaceOutcome, StoreError, Tx, assignments, confirmations, profile_writes, races, role_changes,
    unknown_writes,
};
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::history::take_over::{TakenOver, take_over};
use rolekeeper_domain::history::{History, Judged, KnownRaces, Next, Restored, Theirs};
use rolekeeper_domain::merge::{Pair, Resolution, State};
use rolekeeper_domain::plan::{RoleChange, SeenRoles};
use rolekeeper_domain::race::MAX_RECORD_WAIT;

/// The result of looking for races when a profile was read.
#[derive(Debug, Default)]
pub(super) struct Races {
    /// The roles from which the plan starts, where entries of other clients must change.
    pub(super) restored_roles: Option<Vec<String>>,
    /// Time of the oldest write that the resolution took into account.
    pub(super) since: Option<OffsetDateTime>,
    /// Changes to entries of other clients, each with the record that causes it.
    pub(super) restored: Vec<Restored>,
    /// The operator has released these restores from the brake.
    pub(super) released: bool,
    /// Number of users whose roles would have been restored when this attempt engaged the brake; logged once that is
    /// committed.
    pub(super) engaged: Option<i64>,
    /// Removals by hand that the attempt settled.
    pub(super) removals: Removals,
    /// The last write of ours was decided for an earlier account of the id: what it put on this one goes again.
    pub(super) strayed: bool,
}

impl Races {
    /// The roles from which the plan starts.
    pub(super) fn base(&self, seen: &SeenRoles) -> SeenRoles {
        self.restored_roles
            .clone()
            .map_or_else(|| seen.clone(), SeenRoles::List)
    }

    /// Whether entries of other clients must be written even if no owned role changes.
    pub(super) fn restores(&self) -> bool {
        self.restored_roles.is_some()
    }
}

impl Attempt {
    /// Finds races of the user and records them. Owned roles that came or went with a stale write, another client's or
    /// our own, stay ours as before.
    pub(super) async fn races(
        &self,
        tx: &mut Tx<'_>,
        profile: &Profile,
        evaluation: &mut Evaluation<'_>,
    ) -> Result<Races, StoreError> {
        let user = self.claim.user.as_str();
        let (Some(now), true) = (state(profile), self.context.writes) else {
            return Ok(Races::default());
        };
        if evaluation.unrecorded {
            self.settle_writes(tx, &now).await?;
            if self.is_stray(tx, profile, &now).await? {
                return Ok(Races::taking_back(&profile.roles(), evaluation));
            }
        }
        if !evaluation.foreign_writes && !evaluation.unrecorded {
            return Ok(Races::default());
        }
        let ours = profile_writes::of_user(tx, user).await?;
        let unrecorded = ours.iter().any(|(_, ours)| !ours.recorded);
        if !evaluation.foreign_writes && !unrecorded {
            return Ok(Races::default());
        }
        let theirs = races::theirs(tx, user).await?;
        let known = races::known(tx, user, MAX_RECORD_WAIT).await?;
        let owned: Vec<&str> = self
            .context
            .rules
            .as_slice()
            .iter()
            .map(|rule| rule.role.as_str())
            .collect();
        let only = |which: &dyn Fn(&Theirs) -> bool| {
            let theirs: Vec<Theirs> = theirs.iter().filter(|theirs| which(theirs)).cloned().collect();
            History::new(&ours, theirs, &known, profile.created_at())
        };
        let all = only(&|_| true);
        let resolution = all.resolve(&owned, &now);
        self.report(tx, (&all, &resolution), (&owned, &now)).await?;
        // A record that Auth0 cannot confirm is no reason to write.
        let sure = only(&|theirs| theirs.log_id.is_some());
        let resolution = sure.resolve(&owned, &now);
        let confirmed = only(&|theirs| theirs.confirmed);
        self.take_over(
            tx,
            ((&confirmed, unrecorded), (&sure, &resolution)),
            (&owned, &now),
            evaluation,
        )
        .await?;
        self.judge(tx, (&sure, &resolution), &known, (&owned, &now)).await
    }

    /// Settles our writes without a response by the state of the profile.
    pub(super) async fn settle_writes(&self, tx: &mut Tx<'_>, now: &State) -> Result<(), StoreError> {
        let bounds = Bounds {
            settle_delay: self.context.settle_delay(),
            lease: self.context.lease(),
        };
        profile_writes::settle(tx, self.claim.user.as_str(), now, bounds).await
    }

    /// Determines the outcome of the races that Auth0 can confirm.
    async fn judge(
        &self,
        tx: &mut Tx<'_>,
        (history, resolution): (&History, &Resolution),
        known: &KnownRaces,
        (owned, now): (&[&str], &State),
    ) -> Result<Races, StoreError> {
        let user = self.claim.user.as_str();
        let Judged { racing, ask, next } = history.judge(resolution, known.overdue, (owned, now));
        confirmations::ask(tx, user, &ask).await?;
        let Next::Restore(restored_roles) = next else {
            races::found(tx, user, &history.races(&racing, now, None, false)).await?;
            if next == Next::Conclude {
                self.conclude(tx, (history, resolution), known.overdue, now)
                    .await?;
            }
            return Ok(Races::default());
        };
        let restored_roles = &self.permitted(now, restored_roles);
        if *restored_roles == now.roles {
            // Only a forbidden role is missing.
            races::found(tx, user, &history.races(&racing, now, None, false)).await?;
            self.settle_races(tx, RaceOutcome::Unresolved).await?;
            return Ok(Races::default());
        }
        let (passes, engaged) = self.restores_pass(tx, known.released).await?;
        races::found(
            tx,
            user,
            &history.races(&racing, now, Some(restored_roles), !passes),
        )
        .await?;
        if !passes {
            return Ok(Races {
                engaged,
                ..Races::default()
            });
        }
        Ok(Races {
            restored_roles: Some(restored_roles.clone()),
            since: resolution.since,
            restored: history.restored(&racing, &now.roles, restored_roles),
            released: known.released,
            engaged,
            ..Races::default()
        })
    }

    /// Logs the decisions about races and removals, once they are committed.
    pub(super) fn report_races(&self, races: &Races) {
        if races.strayed {
            self.report_strayed(&races.restored);
        } else {
            self.report_restores(races.engaged, &races.restored);
        }
        self.report_removals(&races.removals);
    }

    /// Takes over owned roles whose state results from a stale write of another client, or from a write of ours that no
    /// attempt has recorded. It applies only where confirmed records and all records that may yet be confirmed agree.
    /// Where they do not, Auth0 is asked, and a missing role is left open until it has responded.
    async fn take_over(
        &self,
        tx: &mut Tx<'_>,
        ((confirmed, unrecorded), (sure, likely)): ((&History, bool), (&History, &Resolution)),
        (owned, now): (&[&str], &State),
        evaluation: &mut Evaluation<'_>,
    ) -> Result<(), StoreError> {
        let user = self.claim.user.as_str();
        let TakenOver {
            reverted,
            late,
            recorded,
            ask,
            doubtful,
        } = take_over((confirmed, unrecorded), (sure, likely), (owned, now));
        evaluation.mark_reverted(&reverted);
        for (role, write) in &late {
            self.done_late(tx, now, (role, *write), evaluation).await?;
        }
        if recorded {
            profile_writes::recorded(tx, user, now.at).await?;
        }
        confirmations::ask(tx, user, &ask).await?;
        for role in &doubtful {
            evaluation.doubt(role, now.roles.contains(role));
        }
        // A record reports a write of ours without a response, and Auth0 is being asked for that record.
        for wrote in unknown_writes::pending(tx, user).await? {
            for role in owned {
                let has_role = |roles: &[String]| roles.iter().any(|one| one == role);
                if has_role(&wrote) == has_role(&now.roles) {
                    evaluation.doubt(role, has_role(&now.roles));
                }
            }
        }
        Ok(())
    }

    /// Takes over the effect of our write on an owned role that no attempt has recorded. Its audit row is completed
    /// like any other if it is open; another attempt may have handled it.
    async fn done_late(
        &self,
        tx: &mut Tx<'_>,
        now: &State,
        (role, write): (&str, Uuid),
        evaluation: &mut Evaluation<'_>,
    ) -> Result<(), StoreError> {
        let user = self.claim.user.as_str();
        let has_role = now.roles.iter().any(|one| one == role);
        let mut open = evaluation.open.iter();
        if !open.any(|open| open.role == role && open.granted == has_role) {
            let change = RoleChange::to(has_role);
            if role_changes::done_late(tx, user, (role, change), write).await? {
                self.count_confirmed(change);
            }
        }
        if let Some(seen) = evaluation.done_late(role, has_role) {
            assignments::seen(tx, user, seen).await?;
        }
        Ok(())
    }

    /// Reports records of races that Auth0 cannot confirm, once each, where a change may have been lost.
    async fn report(
        &self,
        tx: &mut Tx<'_>,
        (all, resolution): (&History, &Resolution),
        (owned, now): (&[&str], &State),
    ) -> Result<(), StoreError> {
        let user = self.claim.user.as_str();
        let unsure = |pair: &&Pair| all.theirs[pair.1].log_id.is_none();
        let open = resolution
            .suspected
            .iter()
            .chain(resolution.races.iter().filter(unsure));
        let open = open.filter(|pair| all.lost(**pair, owned, now));
        let open: Vec<Pair> = open.copied().collect();
        let Some((_, newest)) = open.first() else {
            return Ok(());
        };
        races::found(tx, user, &all.races(&open, now, None, false)).await?;
        let records: Vec<&str> = open
            .iter()
            .map(|(_, theirs)| all.theirs[*theirs].record.as_str())
            .collect();
        let settled = races::unconfirmed(tx, user, &records).await?;
        self.context
            .metrics
            .races
            .of(RaceOutcome::Unconfirmed)
            .inc_by(settled);
        let newest = &all.theirs[*newest];
        error!(
            user.id = user, log_id = newest.log_id.as_deref(), client = newest.client.as_deref(), theirs = ?newest.state.roles, found = ?now.roles,
            records = settled,
            "a record says that another client wrote roles while we wrote, and Auth0 cannot confirm it: nothing is \
             restored. Compare the profile with the tenant's log, and correct it by hand if a role is missing"
        );
        Ok(())
    }

    /// Settles races that need no write.
    async fn conclude(
        &self,
        tx: &mut Tx<'_>,
        (history, resolution): (&History, &Resolution),
        overdue: bool,
        now: &State,
    ) -> Result<(), StoreError> {
        let user = self.claim.user.as_str();
        if resolution.consistent {
            self.settle_races(tx, RaceOutcome::NothingLost).await?;
        } else if overdue {
            for race in history.races(&resolution.races, now, None, false) {
                error!(
                    user.id = user, base = ?race.ours.read.roles, ours = ?race.ours.wrote.roles, theirs = ?race.theirs.roles,
                    found = ?race.found.roles,
                    "another client wrote roles between our read and our write, and no record explains the \
                     profile's roles: compare the profile with the tenant's log, and correct it by hand"
                );
            }
            self.settle_races(tx, RaceOutcome::Unresolved).await?;
        }
        Ok(())
    }

    /// Settles the user's open races; races with a restored change are settled as such.
    pub(super) async fn settle_races(
        &self,
        tx: &mut Tx<'_>,
        otherwise: RaceOutcome,
    ) -> Result<(), StoreError> {
        let user = self.claim.user.as_str();
        for outcome in races::settle(tx, user, otherwise).await? {
            self.context.metrics.races.of(outcome).inc();
        }
        Ok(())
    }
}
