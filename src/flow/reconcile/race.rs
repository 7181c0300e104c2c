//! What another client wrote while we wrote, and what becomes of it.
//!
//! Owns the questions to the tables and the answers into audit, log and metric; the reckoning is `domain::merge`'s.
//! Must never touch an entry of others but to bring back what a write of ours has undone.

use time::OffsetDateTime;
use tracing::{error, info};
use uuid::Uuid;

use super::Reconcile;
use super::standing::Standing;
use crate::auth0::Profile;
use crate::domain::date;
use crate::domain::merge::{Known, OurWrite, Pair, Reckoning, State, reckon};
use crate::domain::plan::{Change, SeenRoles};
use crate::flow::sweep::RACE_PATIENCE;
use crate::store::{Race, RaceOutcome, StoreError, Tx, assignments, profile_writes, races, role_changes};

/// What was found out about races when a profile was read.
#[derive(Debug, Default)]
pub(super) struct Races {
    /// The roles that the plan starts from, where those of others must change.
    mended: Option<Vec<String>>,
    /// From when on writes were reckoned with for that.
    since: Option<OffsetDateTime>,
}

impl Races {
    /// The roles that the plan starts from.
    pub(super) fn base(&self, seen: &SeenRoles) -> SeenRoles {
        self.mended.clone().map_or_else(|| seen.clone(), SeenRoles::List)
    }

    /// Whether entries of others are to be written although no owned role changes.
    pub(super) fn mends(&self) -> bool {
        self.mended.is_some()
    }
}

impl Reconcile {
    /// Looks for races of the user. What is found is written down; owned roles that came or went with a stale
    /// write, another client's or one of our own, are ours as before.
    pub(super) async fn races(
        &self,
        tx: &mut Tx<'_>,
        user: &str,
        profile: &Profile,
        standing: &mut Standing<'_>,
    ) -> Result<Races, StoreError> {
        let (Some(now), true) = (state(profile), self.writes) else {
            return Ok(Races::default());
        };
        if standing.unrecorded {
            profile_writes::confirm(tx, user, &now.roles, Some(now.at)).await?;
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
        let after = |at: OffsetDateTime| known.given_up_at.is_none_or(|given_up| at > given_up);
        let (records, theirs): (Vec<String>, Vec<State>) =
            theirs.into_iter().filter(|(_, theirs)| after(theirs.at)).unzip();
        let (writes, ours): (Vec<_>, Vec<OurWrite>) =
            ours.into_iter().filter(|(_, ours)| after(ours.wrote.at)).unzip();
        let settled = pairs(&writes, &records)
            .filter(|(ours, theirs)| known.settled.contains(&(writes[*ours], records[*theirs].clone())));
        let settled = settled.collect();
        let owned: Vec<&str> = self
            .rules
            .as_slice()
            .iter()
            .map(|rule| rule.role.as_str())
            .collect();
        let all = Known {
            ours: &ours,
            theirs: &theirs,
            settled: &settled,
            owned: &owned,
        };
        let reckoning = reckon(&all, &now);
        standing.undone(&reckoning.undone);
        for (role, ours) in &reckoning.late {
            self.done_late(tx, user, &now, (role, writes[*ours]), standing)
                .await?;
        }
        if unrecorded && reckoning.explained {
            profile_writes::recorded(tx, user, now.at).await?;
        }
        let race = |pair: &Pair| Race {
            write: writes[pair.0],
            ours: &ours[pair.0],
            record: &records[pair.1],
            theirs: &theirs[pair.1],
            found: &now,
            merged: reckoning.mended.as_deref(),
        };
        let mut found: Vec<Race<'_>> = reckoning.races.iter().map(race).collect();
        if found.is_empty() && reckoning.mended.is_some() {
            // Settled before, and undone since by a write that knew nothing of it.
            found.extend(settled_last(&settled, &ours).as_ref().map(race));
        }
        races::found(tx, user, &found).await?;
        self.conclude(tx, user, &reckoning, &found, known.overdue).await?;
        Ok(Races {
            since: reckoning.since.filter(|_| reckoning.mended.is_some()),
            mended: reckoning.mended,
        })
    }

    /// Takes over what a write of ours did to an owned role and no look has recorded. Its row in the audit is completed as any
    /// if it is open; other looks may have dealt with it.
    async fn done_late(
        &self,
        tx: &mut Tx<'_>,
        user: &str,
        now: &State,
        (role, write): (&str, Uuid),
        standing: &mut Standing<'_>,
    ) -> Result<(), StoreError> {
        let held = now.roles.iter().any(|one| one == role);
        let mut open = standing.open.iter();
        if !open.any(|open| open.role == role && open.granted == held) {
            let change = Change::to(held);
            role_changes::done_late(tx, user, (role, change), write).await?;
            self.count_confirmed(change);
        }
        if let Some(seen) = standing.done_late(role, held) {
            assignments::seen(tx, user, seen).await?;
        }
        Ok(())
    }

    /// Settles what needs no write.
    async fn conclude(
        &self,
        tx: &mut Tx<'_>,
        user: &str,
        reckoning: &Reckoning,
        found: &[Race<'_>],
        overdue: bool,
    ) -> Result<(), StoreError> {
        if reckoning.mended.is_some() {
            info!(user.id = user, mended = ?reckoning.mended, "a write of ours had undone another client's");
        } else if reckoning.explained {
            self.settle_races(tx, user, RaceOutcome::NothingLost).await?;
        } else if overdue {
            for race in found {
                error!(
                    user.id = user, base = ?race.ours.read.roles, ours = ?race.ours.wrote.roles, theirs = ?race.theirs.roles,
                    found = ?race.found.roles,
                    "another client wrote roles between our read and our write, and no record tells how the profile became \
                     what it is: compare, and mend it by hand"
                );
            }
            self.settle_races(tx, user, RaceOutcome::Unresolved).await?;
        }
        Ok(())
    }

    /// Settles the user's open races, those that were mended as such.
    pub(super) async fn settle_races(
        &self,
        tx: &mut Tx<'_>,
        user: &str,
        otherwise: RaceOutcome,
    ) -> Result<(), StoreError> {
        for outcome in races::settle(tx, user, otherwise).await? {
            self.metrics.races.with_label_values(&[outcome.as_str()]).inc();
        }
        Ok(())
    }
}

/// Notes a write that is about to be sent; answers its id.
pub(super) async fn attempt(
    tx: &mut Tx<'_>,
    user: &str,
    read: &Profile,
    (wrote, races): (&[String], &Races),
) -> Result<Uuid, StoreError> {
    let roles = match read.roles() {
        SeenRoles::List(roles) => roles,
        SeenRoles::Missing | SeenRoles::Odd(_) => vec![],
    };
    profile_writes::attempt(tx, user, (&roles, at(read)), (wrote, races.since)).await
}

/// Notes what a write's answer says, and whether its look records it; false when the write is not known any more.
pub(super) async fn answered(
    tx: &mut Tx<'_>,
    write: Uuid,
    after: &Profile,
    recorded: bool,
) -> Result<bool, StoreError> {
    profile_writes::answered(tx, write, at(after), recorded).await
}

/// The roles of a profile and since when they, or anything else of it, are so. None if it has no such time.
fn state(profile: &Profile) -> Option<State> {
    let at = at(profile)?;
    let roles = match profile.roles() {
        SeenRoles::List(roles) => roles,
        SeenRoles::Missing => vec![],
        SeenRoles::Odd(_) => return None,
    };
    Some(State { at, roles })
}

/// When the profile last changed, by Auth0's clock.
fn at(profile: &Profile) -> Option<OffsetDateTime> {
    date::of_text(profile.updated_at()?)
}

fn pairs<A, B>(ours: &[A], theirs: &[B]) -> impl Iterator<Item = Pair> {
    let theirs = theirs.len();
    (0..ours.len()).flat_map(move |ours| (0..theirs).map(move |theirs| (ours, theirs)))
}

/// The newest race that was settled.
fn settled_last(settled: &std::collections::BTreeSet<Pair>, ours: &[OurWrite]) -> Option<Pair> {
    settled
        .iter()
        .max_by_key(|(write, _)| ours[*write].wrote.at)
        .copied()
}
