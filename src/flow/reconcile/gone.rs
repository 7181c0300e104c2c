//! A user that Auth0 does not know: marked, held by a brake in the mass, and known again.
//!
//! Owns the user's roles when the holder is deleted and comes back. Must never forget an adoption, a timer or a
//! requested name because of one response: the mark keeps them until another account has the id or the sweep finds the
//! mark old.

use time::OffsetDateTime;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::attempt::{Attempt, Completed};
use crate::auth0::Profile;
use crate::store::role_changes::Reason;
use crate::store::{StoreError, Tx, gone, leases, removals, role_changes, users};
use rolekeeper_domain::brake::{Brake, GONE, GONE_WINDOW, Verdict, judge};
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::held::HeldBy;
use rolekeeper_domain::removal::{self, Removal, RemovalState};

/// The account of a profile, beside the one that is stored under its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Account {
    /// As it was read last.
    Same,
    /// The same, which Auth0 did not know for a while.
    Returned,
    /// Made later: nothing of the earlier account is taken over.
    Another,
}

impl Attempt {
    /// Handles the response that Auth0 does not know the user, as of `at`: the user is marked, and roles of ours are
    /// announced as revoked.
    pub(super) async fn gone(&self, at: Option<OffsetDateTime>) -> Result<Completed, StoreError> {
        let claim = &self.claim;
        let user = claim.user.as_str();
        let mut tx = self.context.store.begin_bounded().await?;
        let Some(ours) = leases::still_ours(&mut tx, claim).await? else {
            return Ok(Completed::Done);
        };
        self.context.refuse_locked(&mut tx, user).await?;
        let known = gone::is_known(&mut tx, user).await?;
        if known && self.is_braked(&mut tx).await? {
            leases::hold(&mut tx, claim, ours.generation, HeldBy::GoneBrake, None).await?;
            tx.commit().await?;
            crash_point!("held");
            return Ok(Completed::Done);
        }
        self.close_open(&mut tx).await?;
        let evaluation = self.context.evaluate(&mut tx, user, None).await?;
        let fresh = gone::mark(&mut tx, user, at, (known, claim.pass_gone)).await?;
        if fresh {
            self.witness(&mut tx, &evaluation, Reason::UserDeleted, |_| true)
                .await?;
            self.await_removals(&mut tx, &evaluation).await?;
        }
        users::gone(&mut tx, user, claim.asked_at).await?;
        leases::finish(&mut tx, claim, ours.generation, None).await?;
        tx.commit().await?;
        crash_point!("gone");
        if fresh {
            info!(
                user.id = user,
                "Auth0 no longer knows the user; the user's data is kept for 30 days"
            );
        }
        Ok(Completed::Done)
    }

    /// Whether the brake would hold the deletion of the user: then nothing of the user ends, and no link.
    pub(super) async fn would_be_held(&self) -> Result<bool, StoreError> {
        let mut tx = self.context.store.begin_bounded().await?;
        if !gone::is_known(&mut tx, self.claim.user.as_str()).await? {
            return Ok(false);
        }
        let lock = gone::lock(&mut tx, GONE_WINDOW).await?;
        let (verdict, _, _) = self.judge_gone(&mut tx, &lock).await?;
        Ok(verdict != Verdict::Pass)
    }

    /// Compares the account of a profile with the one that is stored under the id: it may have been gone, or be another one. Call it
    /// before anything is decided about the account, or linked to it.
    pub(super) async fn same_account(
        &self,
        tx: &mut Tx<'_>,
        profile: &Profile,
        evaluation: &Evaluation<'_>,
    ) -> Result<Account, StoreError> {
        match evaluation.gone_at {
            Some(gone_at) => self.known_again(tx, profile, evaluation, gone_at).await,
            None if self.made_again(tx, profile, evaluation).await? => Ok(Account::Another),
            None => Ok(Account::Same),
        }
    }

    /// Handles a marked user that Auth0 knows again: as the same account, or as another account with the same id.
    async fn known_again(
        &self,
        tx: &mut Tx<'_>,
        profile: &Profile,
        evaluation: &Evaluation<'_>,
        gone_at: OffsetDateTime,
    ) -> Result<Account, StoreError> {
        let user = self.claim.user.as_str();
        if let Some(created_at) = profile.created_at().filter(|created_at| *created_at > gone_at) {
            gone::replace(tx, user, created_at).await?;
            info!(
                user.id = user,
                "Auth0 knows the id again, as an account made later: nothing of the earlier account is taken over"
            );
            return Ok(Account::Another);
        }
        gone::unmark(tx, user).await?;
        let seen = profile.roles();
        self.witness(tx, evaluation, Reason::UserReturned, |role| seen.has(role))
            .await?;
        warn!(
            user.id = user,
            "Auth0 knows the user again, as the same account: the user's data is in use as before"
        );
        Ok(Account::Returned)
    }

    /// Handles a profile that lacks a role, that has a role of ours which the facts alone would not give, or that is known again although
    /// the brake held its deletion, where it is that of another account: the one that was read last was deleted and made again since. A
    /// removal by hand outlasts that while its record may still come, which pins the id. Returns whether it is another account.
    async fn made_again(
        &self,
        tx: &mut Tx<'_>,
        profile: &Profile,
        evaluation: &Evaluation<'_>,
    ) -> Result<bool, StoreError> {
        let (user, seen) = (self.claim.user.as_str(), profile.roles());
        if self.has_strayed(tx, profile, evaluation).await? {
            self.replace_strayed(tx, profile, evaluation).await?;
            return Ok(true);
        }
        let Some(created_at) = profile.created_at().filter(|_| {
            self.claim.was_gone || evaluation.misses_a_role(&seen) || evaluation.has_an_earlier_role(&seen)
        }) else {
            return Ok(false);
        };
        let removed = evaluation.removed_by_hand(&seen);
        for removal in &removed {
            if !self.is_without_record(tx, removal, evaluation.now()).await? {
                return Ok(false);
            }
        }
        // A removal was waited for since the first read of the account, which has replaced the profile of the earlier one.
        let held_before = |(_, since): &(Removal, OffsetDateTime)| *since < created_at;
        let before = users::created_at(tx, &[user]).await?.remove(user);
        if before.is_none_or(|before| before >= created_at) && !removed.iter().any(held_before) {
            return Ok(false);
        }
        self.close_open(tx).await?;
        for (removal, _) in &removed {
            removals::forget(tx, user, &removal.role).await?;
        }
        let told = self.announced_held(tx, evaluation).await?;
        self.witness(tx, evaluation, Reason::UserDeleted, |role| {
            removed.is_empty() || told.iter().any(|told| told == role)
        })
        .await?;
        gone::replace(tx, user, created_at).await?;
        info!(
            user.id = user,
            "the id has another account, made since the last read: nothing of the earlier account is taken over"
        );
        Ok(true)
    }

    /// Whether a role that the profile lacks was removed by no client, as far as records show, and is not waited for any more.
    async fn is_without_record(
        &self,
        tx: &mut Tx<'_>,
        (removal, since): &(Removal, OffsetDateTime),
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        if removal.state != RemovalState::Waiting {
            return Ok(false);
        }
        let found = removals::records(tx, self.claim.user.as_str(), &removal.role, *since).await?;
        Ok(removal::judge(found.records, removal.found_at, now) == removal::Verdict::Restore)
    }

    /// The roles that the readers of announcements take for held.
    async fn announced_held(
        &self,
        tx: &mut Tx<'_>,
        evaluation: &Evaluation<'_>,
    ) -> Result<Vec<String>, StoreError> {
        let mut held = Vec::new();
        for role in &evaluation.roles {
            let name = &role.rule.role;
            if role_changes::is_announced_held(tx, self.claim.user.as_str(), name).await? {
                held.push(name.clone());
            }
        }
        Ok(held)
    }

    /// Closes the open changes of an account that is gone.
    async fn close_open(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let open = role_changes::open(tx, self.claim.user.as_str()).await?;
        let open: Vec<Uuid> = open.into_iter().map(|open| open.id).collect();
        role_changes::close(tx, &open, "gone").await
    }

    /// Writes to the audit how roles of ours ended without a write.
    pub(super) async fn witness(
        &self,
        tx: &mut Tx<'_>,
        evaluation: &Evaluation<'_>,
        reason: Reason,
        meant: impl Fn(&str) -> bool,
    ) -> Result<(), StoreError> {
        let held = |known: &rolekeeper_domain::snapshot::Assignment| known.has_role && known.adopted;
        for role in &evaluation.roles {
            if !role.known.as_ref().is_some_and(held) || !meant(&role.rule.role) {
                continue;
            }
            let (rule, plays) = (role.rule, evaluation.plays(role.rule));
            let of = (self.claim.user.as_str(), self.claim.queued_ms);
            if role_changes::witness(tx, of, rule, plays, reason).await? {
                self.count_confirmed(reason.change());
            }
        }
        Ok(())
    }

    /// Whether so many users are gone that this one has to wait for the operator. Locks the brake.
    async fn is_braked(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        let lock = gone::lock(tx, GONE_WINDOW).await?;
        let (verdict, gone, known) = self.judge_gone(tx, &lock).await?;
        if verdict == Verdict::Engage {
            lock.engage(tx, gone).await?;
            error!(
                users = gone,
                known,
                "brake engaged: gone. Within {} min Auth0 reported {gone} users as unknown, of {known} that are \
                 known. They are held as they are, other users continue. Check AUTH0_DOMAIN, then: rolekeeper brake; if \
                 they are really deleted, or Auth0 knows them again: rolekeeper brake release gone",
                GONE_WINDOW.as_secs() / 60
            );
        }
        Ok(verdict != Verdict::Pass)
    }

    /// The verdict of the locked brake on the deletion of this user, with the numbers of users that are gone and known, as far as they
    /// were counted.
    async fn judge_gone(
        &self,
        tx: &mut Tx<'_>,
        lock: &gone::Locked,
    ) -> Result<(Verdict, i64, i64), StoreError> {
        let brake = match (self.claim.pass_gone, lock.engaged) {
            (true, _) => Brake::Released,
            (false, true) => Brake::Engaged,
            (false, false) => Brake::Free,
        };
        let (mut gone, mut known) = (0, 0);
        if brake == Brake::Free {
            // This user is one of them.
            gone = lock.gone(tx, GONE.enough(None)).await? + 1;
            if gone >= GONE.enough(None) {
                known = lock.known(tx).await?;
                gone = lock.gone(tx, GONE.enough(Some(known))).await? + 1;
            }
        }
        Ok((judge(GONE, brake, gone, known), gone, known))
    }
}
