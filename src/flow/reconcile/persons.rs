//! Linked accounts: the ids of one person, as the primary's profile shows them, and those that the operator moved to them.
//!
//! Owns the transaction that stores a link or its end, with all rows that move; pins stay with their ids. Must never store a link for any other reason
//! than a profile of the primary, or the operator's word about an id that such a profile shows: records, tokens and a 404 only
//! cause that read. The transaction takes its locks in the order of
//! the fold: the cursor, then all rows of the queue in one statement.

use time::OffsetDateTime;
use tracing::{info, warn};
use uuid::Uuid;

use super::attempt::Attempt;
use super::context::Context;
use super::gone::Account;
use super::record::keep;
use crate::auth0::Profile;
use crate::metrics::LinkChange;
use crate::store::role_changes::Reason;
use crate::store::{
    Claim, Enqueue, Priority, StoreError, Tx, bans, carried_removals, erasures, identities, leases, links,
    moves, own_decisions, role_changes, work_queue,
};
use rolekeeper_domain::evaluation::{Own, Sight, carried};
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::person::{Relinked, relinked};
use rolekeeper_domain::plan::SeenRoles;
use rolekeeper_domain::snapshot::Assignment;

/// The linked ids and the roles that a profile shows; none of both for an account that Auth0 does not know.
struct Shown<'a> {
    /// The profile of an account that Auth0 knows: ids that the operator moved to it belong to it.
    profile: Option<&'a Profile>,
    ids: Vec<&'a str>,
    roles: SeenRoles,
    at: Option<OffsetDateTime>,
}

/// Passes an attempt at a linked id on to its primary. In two transactions, since the queue is locked in the order of ids;
/// the first can be repeated.
pub(super) async fn pass_on(context: &Context, claim: &Claim, primary: &str) -> Result<(), StoreError> {
    enqueue_primary(context, claim, primary, claim.force_fetch).await?;
    let mut tx = context.store.begin_bounded().await?;
    leases::finish(&mut tx, claim, claim.generation, None).await?;
    tx.commit().await?;
    crash_point!("passed_on");
    Ok(())
}

/// Makes the primary due, as urgent as the attempt at the linked id.
pub(super) async fn enqueue_primary(
    context: &Context,
    claim: &Claim,
    primary: &str,
    force_fetch: bool,
) -> Result<(), StoreError> {
    let mut entry = [Enqueue {
        user: primary.to_owned(),
        priority: Priority::of(claim.priority),
        force_fetch,
        cause: claim.cause.clone(),
        flapping: false,
    }];
    let mut tx = context.store.begin_bounded().await?;
    work_queue::enqueue(&mut tx, &mut entry).await?;
    tx.commit().await?;
    crash_point!("primary_queued");
    Ok(())
}

impl Attempt {
    /// Stores the links that the profile shows. Returns false where a newer profile has to decide.
    pub(super) async fn keep_person(
        &self,
        profile: &Profile,
        ids: &[UserId<'static>],
    ) -> Result<bool, StoreError> {
        let shown = Shown {
            profile: Some(profile),
            ids: ids.iter().map(UserId::as_str).collect(),
            roles: profile.roles(),
            at: profile.date(),
        };
        self.relink(&shown).await
    }

    /// Ends the links of an account that Auth0 does not know, as of `at`: each id is read again.
    pub(super) async fn end_links(&self, at: Option<OffsetDateTime>) -> Result<(), StoreError> {
        let nothing = Shown {
            profile: None,
            ids: vec![],
            roles: SeenRoles::Missing,
            at,
        };
        self.relink(&nothing).await.map(drop)
    }

    /// Makes the stored links of an account those that are shown. Returns false, and stores nothing, where a newer profile has to decide.
    async fn relink(&self, shown: &Shown<'_>) -> Result<bool, StoreError> {
        let claim = &self.claim;
        let user = claim.user.as_str();
        let mut tx = self.context.store.begin_look_ups().await?;
        identities::serialize(&mut tx).await?;
        let erased = erasures::among(&mut tx, self.context.store.erasure_key(), &shown.ids).await?;
        let mut ids: Vec<&str> = shown
            .ids
            .iter()
            .copied()
            .filter(|id| !erased.contains(*id))
            .collect();
        let moved = if shown.profile.is_some() {
            let own = [&ids[..], &[user]].concat();
            moves::overtaken(&mut tx, &own, claim.asked_at).await?;
            moves::to(&mut tx, &own).await?
        } else {
            vec![]
        };
        ids.extend(moved.iter().map(String::as_str));
        let around = identities::around(&mut tx, user, &[&ids[..], &[user]].concat()).await?;
        let stored: Vec<String> = around
            .iter()
            .filter(|identity| identity.primary == user)
            .map(|identity| identity.alias.clone())
            .collect();
        let Relinked { linked, unlinked } = relinked(&stored, &ids);
        // Ids that are linked to one of the linked ids, and accounts that one of these, or a moved id that is an account again, is
        // taken from: all are read again.
        let others = around.iter().filter(|identity| identity.primary != user);
        let (taken, left): (Vec<_>, Vec<_>) =
            others.partition(|identity| linked.contains(&identity.alias) || identity.alias == user);
        let own = unlinked.iter().map(|alias| (alias.as_str(), user));
        let theirs = taken.iter().chain(&left);
        let leaving: Vec<(&str, &str)> = own
            .chain(theirs.map(|identity| (identity.alias.as_str(), identity.primary.as_str())))
            .collect();
        let undone = around.iter().filter(|identity| identity.undone);
        let undone: Vec<String> = undone.map(|identity| identity.alias.clone()).collect();
        let left: Vec<String> = left.iter().map(|identity| identity.alias.clone()).collect();
        let former: Vec<&str> = taken.iter().map(|identity| identity.primary.as_str()).collect();
        let again = former.iter().copied();
        let again = again.chain(unlinked.iter().chain(&left).map(String::as_str));
        queue(&mut tx, user, &linked, again).await?;
        match leases::still_ours(&mut tx, claim).await? {
            Some(ours) if !ours.read_again => {}
            _ => return Ok(false),
        }
        let freed = taken.iter().find(|identity| identity.alias == user);
        let freed = freed.map(|identity| identity.alias.clone());
        let ended: Vec<String> = unlinked.iter().chain(&left).chain(&freed).cloned().collect();
        bans::outlast(&mut tx, user, &leaving, &linked).await?;
        let seen = shown.profile.map(|_| &shown.roles);
        self.removals_outlast(&mut tx, seen, &leaving, (&undone, &linked))
            .await?;
        identities::unlink(&mut tx, &ended).await?;
        if shown.profile.is_some() {
            self.split_kept_roles(&mut tx, &leaving).await?;
        }
        moves::end(&mut tx, &leaving, (&undone, &linked)).await?;
        let another = self.is_another(&mut tx, shown).await?;
        let read_before = !another && links::was_read(&mut tx, user).await?;
        if let Some(profile) = shown.profile {
            // The next attempt must not compare the account with an earlier one again.
            keep(&mut tx, claim, profile).await?;
        }
        let mut announced = Vec::new();
        for alias in &linked {
            let by_operator = moved.contains(alias);
            let link = self.link(&mut tx, alias, shown, (read_before, by_operator));
            announced.extend(link.await?);
        }
        identities::confirm(&mut tx, user, shown.at).await?;
        let touched: Vec<String> = [user.to_owned()]
            .into_iter()
            .chain(linked.clone())
            .chain(ended)
            .chain(former.into_iter().map(str::to_owned))
            .collect();
        links::forget_totals(&mut tx, &touched).await?;
        tx.commit().await?;
        crash_point!("relinked");
        for reason in announced {
            self.count_confirmed(reason.change());
        }
        self.report_links(user, &Relinked { linked, unlinked }, freed.is_some());
        Ok(true)
    }

    /// Ends what is stored of an earlier account under the id, so that ids are linked to the present one alone. Returns whether there was
    /// an earlier one.
    async fn is_another(&self, tx: &mut Tx<'_>, shown: &Shown<'_>) -> Result<bool, StoreError> {
        let Some(profile) = shown.profile else {
            return Ok(false);
        };
        let user = self.claim.user.as_str();
        let evaluation = self.context.evaluate(tx, user, Some(profile)).await?;
        let account = self.same_account(tx, profile, &evaluation).await?;
        if account == Account::Same {
            self.end_earlier_name(tx, profile, &evaluation.names).await?;
        }
        Ok(account == Account::Another)
    }

    /// Links one id: its open work ends, its roles move to the primary. `moved`: by the operator's word. Returns what was written
    /// to the audit.
    async fn link(
        &self,
        tx: &mut Tx<'_>,
        alias: &str,
        shown: &Shown<'_>,
        (read_before, moved): (bool, bool),
    ) -> Result<Vec<Reason>, StoreError> {
        let (away, here) = if moved {
            (Reason::MovedAway, Reason::MovedHere)
        } else {
            (Reason::LinkedAway, Reason::LinkedHere)
        };
        let claim = &self.claim;
        let user = claim.user.as_str();
        let secondary = self.context.evaluate(tx, alias, None).await?;
        let removed = self.removed_before(tx, alias, &secondary, &shown.roles).await?;
        identities::link(tx, alias, user, shown.at).await?;
        let person = self.context.evaluate(tx, user, None).await?;
        let found = links::only_found(tx, user).await?;
        let open = role_changes::open(tx, alias).await?;
        let open: Vec<Uuid> = open.into_iter().map(|open| open.id).collect();
        role_changes::close(tx, &open, "gone").await?;
        let mut announced = Vec::new();
        for (role, theirs) in person.roles.iter().zip(&secondary.roles) {
            let (rule, name) = (role.rule, role.rule.role.as_str());
            let held = |known: &Assignment| known.has_role && known.adopted;
            // The last read of the id may have missed the role, which another client took; its readers still count it.
            if theirs.known.as_ref().is_some_and(held)
                || role_changes::is_announced_held(tx, alias, name).await?
            {
                let (of, plays) = ((alias, claim.queued_ms), secondary.plays(rule));
                if role_changes::witness(tx, of, rule, plays, away).await? {
                    announced.push(away);
                }
            }
            let sight = Sight {
                shown: shown.roles.has(name),
                read_before,
                only_found: found.iter().any(|found| found == name),
                removed: removed.iter().any(|role| role == name),
                moved,
            };
            let (own, account) = (Own::of(theirs, false), Own::of(role, sight.shown));
            if moved || own.suppressed || rule.outlasts_its_count() {
                own_decisions::keep(tx, (alias, user), name, &own, (moved, account.wanted)).await?;
            }
            if moved {
                own_decisions::keep(tx, (user, user), name, &account, (false, false)).await?;
            }
            let Some(carried) = carried(role, theirs, sight, person.now()) else {
                continue;
            };
            links::carry(tx, user, name, &carried).await?;
            if carried.came {
                let (of, plays) = ((user, claim.queued_ms), person.plays(rule));
                if role_changes::witness(tx, of, rule, plays, here).await? {
                    announced.push(here);
                }
            }
            if carried.unknown {
                warn!(
                    user.id = user,
                    linked.id = alias,
                    role = name,
                    "the account has a role that the linked id had from rolekeeper, and was never read before the link: the role \
                     counts as given by hand. If it came with the link: rolekeeper adopt --role ROLE --user ID"
                );
            }
        }
        carried_removals::take_along(tx, alias, user).await?;
        links::end_alias(tx, alias, user, claim.asked_at).await?;
        Ok(announced)
    }

    /// Reports the change of links. `freed`: the account was a moved id until now.
    fn report_links(&self, user: &str, relinked: &Relinked, freed: bool) {
        let links = &self.context.metrics.reconcile.links;
        if freed {
            links.of(LinkChange::Unlinked).inc();
            info!(
                user.id = user,
                "a moved id is an account again, so its move has ended"
            );
        }
        links.of(LinkChange::Linked).inc_by(relinked.linked.len() as u64);
        links
            .of(LinkChange::Unlinked)
            .inc_by(relinked.unlinked.len() as u64);
        for alias in &relinked.linked {
            info!(
                user.id = user,
                linked.id = alias.as_str(),
                "an id is linked to the account"
            );
        }
        for alias in &relinked.unlinked {
            info!(
                user.id = user,
                linked.id = alias.as_str(),
                "an id is no longer linked to the account"
            );
        }
    }
}

/// Locks the queue's rows of all ids of a change in one statement, in the order of ids, and makes those of `again` due.
async fn queue<'a>(
    tx: &mut Tx<'_>,
    user: &str,
    linked: &[String],
    again: impl Iterator<Item = &'a str>,
) -> Result<(), StoreError> {
    let entry = |user: &str, force_fetch| Enqueue {
        user: user.to_owned(),
        priority: if force_fetch {
            Priority::NewUser
        } else {
            Priority::Verify
        },
        force_fetch,
        cause: None,
        flapping: false,
    };
    let mut entries: Vec<Enqueue> = again.map(|id| entry(id, true)).collect();
    let own = linked.iter().map(String::as_str).chain([user]);
    entries.extend(own.map(|id| entry(id, false)));
    entries.sort_by(|one, other| (&one.user, !one.force_fetch).cmp(&(&other.user, !other.force_fetch)));
    entries.dedup_by(|later, first| later.user == first.user);
    work_queue::enqueue(tx, &mut entries).await
}
