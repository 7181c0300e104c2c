//! A write that reached another account than the one that was read: the account was deleted and made again under its id in between.
//!
//! Owns that what such a write brought along goes again: it wrote the whole array, with the roles of the earlier account. Must never
//! take such a role away where the profile shows anything but what that write left.

use tracing::warn;
use uuid::Uuid;

use super::attempt::Attempt;
use super::decision::ToWrite;
use super::own_writes::{self, state};
use super::race::Races;
use crate::auth0::Profile;
use crate::store::role_changes::Reason;
use crate::store::{
    Priority, StoreError, Tx, gone, leases, profile_writes, role_changes, stray_writes, work_queue,
};
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::history::Restored;
use rolekeeper_domain::merge::State;
use rolekeeper_domain::plan::SeenRoles;

/// Whether the profile is that of an account made after the one that was read.
pub(super) fn is_made_later(after: &Profile, read: &Profile) -> bool {
    let made = read.created_at().zip(after.created_at());
    made.is_some_and(|(read, after)| after > read)
}

impl Races {
    /// Takes back what a write for an earlier account left: of the roles that the profile shows, those stay that the rules give.
    pub(super) fn taking_back(seen: &SeenRoles, evaluation: &Evaluation<'_>) -> Self {
        let SeenRoles::List(shown) = seen else {
            return Self::default();
        };
        let wants = evaluation.wants();
        let is_given = |role: &String| wants.iter().any(|want| want.wanted && want.role == role);
        let (given, brought): (Vec<String>, Vec<String>) = shown.iter().cloned().partition(is_given);
        let removed = |role: &String| Restored {
            role: role.clone(),
            added: false,
            client: None,
            log_id: None,
        };
        Self {
            restored: brought.iter().map(removed).collect(),
            restored_roles: (!brought.is_empty()).then_some(given),
            strayed: true,
            ..Self::default()
        }
    }
}

impl Attempt {
    /// Notes a write whose response shows another account than the one that was read. No attempt has recorded its result, so the
    /// next decision sees that it was made for the earlier account. Returns whether this attempt may go on.
    pub(super) async fn note_stray(&self, write: &ToWrite, after: &Profile) -> Result<bool, StoreError> {
        let user = self.claim.user.as_str();
        let mut tx = self.context.store.begin_bounded().await?;
        let ours = leases::still_ours(&mut tx, &self.claim).await?.is_some();
        self.context.refuse_locked(&mut tx, user).await?;
        if let Some(write) = write.write {
            own_writes::answered(&mut tx, write, after, false).await?;
        }
        if !ours {
            work_queue::read_next(&mut tx, user, Priority::Revoke).await?;
        }
        tx.commit().await?;
        crash_point!("noted");
        if write.write.is_some() {
            warn!(
                user.id = user,
                wrote = %write.patch,
                "the account was deleted and made again between our read and our write: the write reached the new account, with the \
                 roles of the earlier one. They are removed again at once; roles that the new account had before are overwritten"
            );
        }
        Ok(ours)
    }

    /// Whether the profile shows what a write of ours left that was decided for an earlier account of the id.
    pub(super) async fn has_strayed(
        &self,
        tx: &mut Tx<'_>,
        profile: &Profile,
        evaluation: &Evaluation<'_>,
    ) -> Result<bool, StoreError> {
        if !(self.context.writes && evaluation.unrecorded) {
            return Ok(false);
        }
        let Some(now) = state(profile) else {
            return Ok(false);
        };
        self.settle_writes(tx, &now).await?;
        self.is_stray(tx, profile, &now).await
    }

    /// The same, of writes that are settled.
    pub(super) async fn is_stray(
        &self,
        tx: &mut Tx<'_>,
        profile: &Profile,
        now: &State,
    ) -> Result<bool, StoreError> {
        let Some(created_at) = profile.created_at() else {
            return Ok(false);
        };
        let user = self.claim.user.as_str();
        stray_writes::was_for_earlier_account(tx, user, created_at, &now.roles).await
    }

    /// Ends what is stored of the earlier account. A grant that reached the new one is completed as such; all other open changes were
    /// those of the earlier one.
    pub(super) async fn replace_strayed(
        &self,
        tx: &mut Tx<'_>,
        profile: &Profile,
        evaluation: &Evaluation<'_>,
    ) -> Result<(), StoreError> {
        let Some(created_at) = profile.created_at() else {
            return Ok(());
        };
        let user = self.claim.user.as_str();
        let open = role_changes::open(tx, user).await?;
        let theirs = open.iter().filter(|open| open.restore || !open.granted);
        let theirs: Vec<Uuid> = theirs.map(|open| open.id).collect();
        role_changes::close(tx, &theirs, "gone").await?;
        self.witness(tx, evaluation, Reason::UserDeleted, |_| true)
            .await?;
        gone::replace(tx, user, created_at).await
    }

    /// Notes that nothing of a write for an earlier account is left.
    pub(super) async fn end_stray(
        &self,
        tx: &mut Tx<'_>,
        races: &Races,
        profile: &Profile,
    ) -> Result<(), StoreError> {
        match own_writes::at(profile).filter(|_| races.strayed) {
            Some(until) => profile_writes::recorded(tx, self.claim.user.as_str(), until).await,
            None => Ok(()),
        }
    }

    /// Reports roles that are removed again.
    pub(super) fn report_strayed(&self, removed: &[Restored]) {
        for Restored { role, .. } in removed {
            warn!(
                user.id = self.claim.user.as_str(),
                role,
                "our write for a deleted account put a role of that account on the account made again; removing it"
            );
        }
    }
}
