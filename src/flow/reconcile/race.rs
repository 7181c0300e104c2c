//! Writes of another client between our read and our write, and their resolution.
//!
//! Owns the queries to the tables and the results in audit, log and metric; `domain::merge` resolves, `restore` permits
//! a restore. Must never change an entry of other clients except to restore one that our write overwrote, and never
//! because of a record alone: Auth0 confirmed each record on which a restore, or the takeover of a managed role, rests
//! before the profile was read.

use std::collections::BTreeSet;

use time::OffsetDateTime;
use tracing::error;
use uuid::Uuid;

use super::history::History;
use super::removal::Removals;
use super::{Reconcile, lease_for};
use crate::auth0::{CallError, Outcome, Profile};
use crate::flow::sweep::RACE_PATIENCE;
use crate::store::profile_writes::{Bounds, ReadBefore};
use crate::store::races::KnownRaces;
use crate::store::{
    Claim, RaceOutcome, Restored, StoreError, Theirs, Tx, assignments, confirmations, profile_writes, races,
    role_changes, unknown_writes,
};
use rolekeeper_domain::date;
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::merge::{Pair, Reckoning, State};
use rolekeeper_domain::patch::Patch;
use rolekeeper_domain::plan::{Change, SeenRoles};

/// The newest records for which Auth0 is asked at once because they may report a change of a managed role.
const ASKED_AT_ONCE: usize = 20;

/// The result of looking for races when a profile was read.
#[derive(Debug, Default)]
pub(super) struct Races {
    /// The roles from which the plan starts, where entries of other clients must change.
    mended: Option<Vec<String>>,
    /// Time of the oldest write that the resolution took into account.
    since: Option<OffsetDateTime>,
    /// Changes to entries of other clients, each with the record that causes it.
    pub(super) restored: Vec<Restored>,
    /// The operator has released these restores from the brake.
    pub(super) released: bool,
    /// Number of users whose roles would have been restored when this attempt engaged the brake; logged once that is
    /// committed.
    pub(super) engaged: Option<i64>,
    /// Removals by hand that the attempt settled.
    pub(super) removals: Removals,
}

impl Races {
    /// The roles from which the plan starts.
    pub(super) fn base(&self, seen: &SeenRoles) -> SeenRoles {
        self.mended.clone().map_or_else(|| seen.clone(), SeenRoles::List)
    }

    /// Whether entries of other clients must be written even if no owned role changes.
    pub(super) fn mends(&self) -> bool {
        self.mended.is_some()
    }
}

impl Reconcile {
    /// Finds races of the user and records them. Owned roles that came or went with a stale write, another client's or
    /// our own, stay ours as before.
    pub(super) async fn races(
        &self,
        tx: &mut Tx<'_>,
        claim: &Claim,
        profile: &Profile,
        standing: &mut Evaluation<'_>,
    ) -> Result<Races, StoreError> {
        let user = claim.user.as_str();
        let (Some(now), true) = (state(profile), self.writes) else {
            return Ok(Races::default());
        };
        if standing.unrecorded {
            let bounds = Bounds {
                settle: self.settle(),
                lease: lease_for(self.request_timeout),
            };
            profile_writes::settle(tx, user, &now, bounds).await?;
        }
        if !standing.foreign_writes && !standing.unrecorded {
            return Ok(Races::default());
        }
        let ours = profile_writes::of_user(tx, user).await?;
        let unrecorded = ours.iter().any(|(_, ours)| !ours.recorded);
        if !standing.foreign_writes && !unrecorded {
            return Ok(Races::default());
        }
        let theirs = races::theirs(tx, user).await?;
        let known = races::known(tx, user, RACE_PATIENCE).await?;
        let owned: Vec<&str> = self
            .rules
            .as_slice()
            .iter()
            .map(|rule| rule.role.as_str())
            .collect();
        let only = |which: &dyn Fn(&Theirs) -> bool| {
            let theirs: Vec<Theirs> = theirs.iter().filter(|theirs| which(theirs)).cloned().collect();
            History::new(&ours, theirs, &known, profile.created_at())
        };
        let told = only(&|_| true);
        let reckoning = told.reckon(&owned, &now);
        self.report(tx, user, (&told, &reckoning), (&owned, &now)).await?;
        // A record that Auth0 cannot confirm is no reason to write.
        let sure = only(&|theirs| theirs.log_id.is_some());
        let reckoning = sure.reckon(&owned, &now);
        let confirmed = only(&|theirs| theirs.confirmed);
        self.take_over(
            tx,
            user,
            ((&confirmed, unrecorded), (&sure, &reckoning)),
            (&owned, &now),
            standing,
        )
        .await?;
        self.judge(tx, claim, (&sure, &reckoning), &known, (&owned, &now))
            .await
    }

    /// Determines the outcome of the races that Auth0 can confirm.
    async fn judge(
        &self,
        tx: &mut Tx<'_>,
        claim: &Claim,
        (history, reckoning): (&History, &Reckoning),
        known: &KnownRaces,
        (owned, now): (&[&str], &State),
    ) -> Result<Races, StoreError> {
        let user = claim.user.as_str();
        let mut racing = reckoning.races.clone();
        let Some(mended) = &reckoning.mended else {
            races::found(tx, user, &history.races(&racing, now, None, false)).await?;
            // A forged record may hide a lost change.
            let doubtful = history.doubtful(&racing, owned, now);
            if !doubtful.is_empty() {
                confirmations::ask(tx, user, &doubtful).await?;
                return Ok(Races::default());
            }
            self.conclude(tx, user, (history, reckoning), known.overdue, now)
                .await?;
            return Ok(Races::default());
        };
        if racing.is_empty() {
            // An already settled race may have been undone since by a write that did not know of it.
            racing.extend(history.settled_last());
        }
        let unconfirmed = history.unconfirmed(reckoning, &racing);
        confirmations::ask(tx, user, &unconfirmed).await?;
        // A later change of the profile than the last known write: its record is waited for.
        let complete = reckoning.still || known.overdue;
        if !unconfirmed.is_empty() || !complete {
            races::found(tx, user, &history.races(&racing, now, None, false)).await?;
            return Ok(Races::default());
        }
        let mended = &self.permitted(user, now, mended);
        if *mended == now.roles {
            // Only a forbidden role is missing.
            races::found(tx, user, &history.races(&racing, now, None, false)).await?;
            self.settle_races(tx, user, RaceOutcome::Unresolved).await?;
            return Ok(Races::default());
        }
        let (passes, engaged) = self.restores_pass(tx, user, known.released).await?;
        races::found(tx, user, &history.races(&racing, now, Some(mended), !passes)).await?;
        if !passes {
            return Ok(Races {
                engaged,
                ..Races::default()
            });
        }
        Ok(Races {
            mended: Some(mended.clone()),
            since: reckoning.since,
            restored: history.restored(&racing, &now.roles, mended),
            released: known.released,
            engaged,
            removals: Removals::default(),
        })
    }

    /// Takes over owned roles whose state results from a stale write of another client, or from a write of ours that no
    /// attempt has recorded. It applies only where confirmed records and all records that may yet be confirmed agree.
    /// Where they do not, Auth0 is asked, and a missing role is left open until it has responded.
    async fn take_over(
        &self,
        tx: &mut Tx<'_>,
        user: &str,
        ((confirmed, unrecorded), (sure, likely)): ((&History, bool), (&History, &Reckoning)),
        (owned, now): (&[&str], &State),
        standing: &mut Evaluation<'_>,
    ) -> Result<(), StoreError> {
        let certain = confirmed.reckon(owned, now);
        let late = |of: &History, reckoning: &Reckoning| -> BTreeSet<(String, Uuid)> {
            let late = reckoning.late.iter();
            late.map(|(role, ours)| (role.clone(), of.writes[*ours]))
                .collect()
        };
        let (late, likely_late) = (late(confirmed, &certain), late(sure, likely));
        let agreed = |role: &&String| likely.undone.contains(role);
        let undone: Vec<String> = certain.undone.iter().filter(agreed).cloned().collect();
        standing.undone(&undone);
        for (role, write) in late.intersection(&likely_late) {
            self.done_late(tx, user, now, (role, *write), standing).await?;
        }
        if unrecorded && certain.explained {
            profile_writes::recorded(tx, user, now.at).await?;
        }
        let differ = certain.undone != likely.undone || late != likely_late;
        if differ || (unrecorded && likely.explained && !certain.explained) {
            let open = sure.open_since(likely.since);
            confirmations::ask(tx, user, &open[..open.len().min(ASKED_AT_ONCE)]).await?;
            let doubtful = likely
                .undone
                .iter()
                .chain(likely_late.iter().map(|(role, _)| role));
            for role in doubtful.filter(|role| !undone.contains(role)) {
                standing.doubt(role, now.roles.contains(role));
            }
        }
        // A record reports a write of ours without a response, and Auth0 is being asked for that record.
        for wrote in unknown_writes::pending(tx, user).await? {
            for role in owned {
                let held = |roles: &[String]| roles.iter().any(|one| one == role);
                if held(&wrote) == held(&now.roles) {
                    standing.doubt(role, held(&now.roles));
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
        user: &str,
        now: &State,
        (role, write): (&str, Uuid),
        standing: &mut Evaluation<'_>,
    ) -> Result<(), StoreError> {
        let held = now.roles.iter().any(|one| one == role);
        let mut open = standing.open.iter();
        if !open.any(|open| open.role == role && open.granted == held) {
            let change = Change::to(held);
            if role_changes::done_late(tx, user, (role, change), write).await? {
                self.count_confirmed(change);
            }
        }
        if let Some(seen) = standing.done_late(role, held) {
            assignments::seen(tx, user, seen).await?;
        }
        Ok(())
    }

    /// Reports records of races that Auth0 cannot confirm, once each, where a change may have been lost.
    async fn report(
        &self,
        tx: &mut Tx<'_>,
        user: &str,
        (told, reckoning): (&History, &Reckoning),
        (owned, now): (&[&str], &State),
    ) -> Result<(), StoreError> {
        let unsure = |pair: &&Pair| told.theirs[pair.1].log_id.is_none();
        let open = reckoning
            .suspected
            .iter()
            .chain(reckoning.races.iter().filter(unsure));
        let open = open.filter(|pair| told.lost(**pair, owned, now));
        let open: Vec<Pair> = open.copied().collect();
        let Some((_, newest)) = open.first() else {
            return Ok(());
        };
        races::found(tx, user, &told.races(&open, now, None, false)).await?;
        let records: Vec<&str> = open
            .iter()
            .map(|(_, theirs)| told.theirs[*theirs].record.as_str())
            .collect();
        let settled = races::unconfirmed(tx, user, &records).await?;
        self.metrics.races.of(RaceOutcome::Unconfirmed).inc_by(settled);
        let newest = &told.theirs[*newest];
        error!(
            user.id = user, log_id = ?newest.log_id, client = ?newest.client, theirs = ?newest.state.roles, found = ?now.roles,
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
        user: &str,
        (history, reckoning): (&History, &Reckoning),
        overdue: bool,
        now: &State,
    ) -> Result<(), StoreError> {
        if reckoning.explained {
            self.settle_races(tx, user, RaceOutcome::NothingLost).await?;
        } else if overdue {
            for race in history.races(&reckoning.races, now, None, false) {
                error!(
                    user.id = user, base = ?race.ours.read.roles, ours = ?race.ours.wrote.roles, theirs = ?race.theirs.roles,
                    found = ?race.found.roles,
                    "another client wrote roles between our read and our write, and no record explains the \
                     profile's roles: compare the profile with the tenant's log, and correct it by hand"
                );
            }
            self.settle_races(tx, user, RaceOutcome::Unresolved).await?;
        }
        Ok(())
    }

    /// Settles the user's open races; races with a restored change are settled as such.
    pub(super) async fn settle_races(
        &self,
        tx: &mut Tx<'_>,
        user: &str,
        otherwise: RaceOutcome,
    ) -> Result<(), StoreError> {
        for outcome in races::settle(tx, user, otherwise).await? {
            self.metrics.races.of(outcome).inc();
        }
        Ok(())
    }

    /// Forgets a write of roles that was not sent or that the rate limit refused; closes a write that Auth0 refused.
    /// Both certainly changed nothing.
    pub(super) async fn refused(&self, write: Option<Uuid>, error: &CallError) -> Result<(), StoreError> {
        let outcome = match error {
            CallError::Later { outcome, .. } => Some(*outcome),
            CallError::Limited => Some(Outcome::NotSent),
            _ => None,
        };
        let Some(write) = write.filter(|_| outcome != Some(Outcome::Unknown)) else {
            return Ok(());
        };
        let mut tx = self.store.begin().await?;
        if outcome == Some(Outcome::NotSent) {
            profile_writes::without_effect(&mut tx, write).await?;
        } else {
            profile_writes::refused(&mut tx, write).await?;
        }
        Ok(tx.commit().await?)
    }
}

/// Records a write that is about to be sent. Returns its id.
pub(super) async fn attempt(
    tx: &mut Tx<'_>,
    user: &str,
    read: &Profile,
    (patch, races): (&Patch, &Races),
) -> Result<Uuid, StoreError> {
    let roles = match read.roles() {
        SeenRoles::List(roles) => roles,
        SeenRoles::Missing | SeenRoles::Odd(_) => vec![],
    };
    let before = ReadBefore {
        roles: &roles,
        updated_at: at(read),
        date: read.date(),
    };
    let changes = patch.plan().changes().iter();
    let managed: Vec<&str> = changes.map(|(role, _)| role.as_str()).collect();
    let wrote = patch.roles().unwrap_or_default();
    profile_writes::attempt(tx, user, before, (wrote, &managed, races.since)).await
}

/// Records a write's response, and whether the attempt records the result. Returns false when the write is no longer
/// known.
pub(super) async fn answered(
    tx: &mut Tx<'_>,
    write: Uuid,
    after: &Profile,
    recorded: bool,
) -> Result<bool, StoreError> {
    profile_writes::answered(tx, write, at(after), recorded).await
}

/// The roles of a profile, with the time of the profile's last change. None if the profile has no such time.
fn state(profile: &Profile) -> Option<State> {
    let at = at(profile)?;
    let roles = match profile.roles() {
        SeenRoles::List(roles) => roles,
        SeenRoles::Missing => vec![],
        SeenRoles::Odd(_) => return None,
    };
    Some(State { at, roles })
}

/// Time of the profile's last change, by Auth0's clock.
fn at(profile: &Profile) -> Option<OffsetDateTime> {
    date::of_text(profile.updated_at()?)
}
