//! Found holders against our own facts.
//!
//! Owns the kind of each found holder, and what is stored of it. The search may be some seconds old: where our last read of the
//! profile says something else, or a linked id may carry a role of ours, the profile is read again, and nothing is stored. Must
//! never store an erased user, nor a link.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::Run;
use crate::auth0::Account;
use crate::store::found_holders::{self, FoundHolders};
use crate::store::{StoreError, Tx, erasures, own_playlists, snapshot};
use rolekeeper_domain::discovery::Found;
use rolekeeper_domain::evaluation::{Evaluation, Role};
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::person::Relinked;
use rolekeeper_domain::plan::SeenRoles;

/// The age of a verification makes no difference here.
const ANY_AGE: Duration = Duration::from_hours(24);

/// The result for a part of the users, by role.
pub(super) type Judged<'r> = BTreeMap<&'r str, Found>;

/// A found user by our facts.
struct Known<'r> {
    evaluation: Evaluation<'r>,
    /// The stored rows agree with the found profile.
    settled: bool,
    /// Roles that may be ours by an id whose link is not stored yet: only a read of the profile stores it.
    carried: HashSet<&'r str>,
}

/// A role of one user that is being counted.
enum Kind {
    Ours,
    Earned,
    Unearned,
    Unclear,
}

impl Run {
    /// Evaluates found users and stores them as holders of all their managed roles. Returns the numbers: of the role that was
    /// searched for, or else of all roles.
    pub(super) async fn store_found<'r>(
        &'r self,
        tx: &mut Tx<'_>,
        found: &[&Account],
        searched: Option<&str>,
    ) -> Result<Judged<'r>, StoreError> {
        let ids: Vec<&str> = found.iter().map(|account| account.user.as_str()).collect();
        // Before any other lock: an erasure that begins later waits, and removes what is stored here.
        let erased = erasures::keep_out(tx, self.store.erasure_key(), &ids).await?;
        let mut judged = Judged::new();
        let mut holders = FoundHolders::default();
        let mut found: Vec<&&Account> = found.iter().collect();
        // The same order as everywhere prevents deadlocks.
        found.sort_by(|one, other| one.user.as_str().cmp(other.user.as_str()));
        for account in found {
            let user = account.user.as_str();
            let seen = account.profile.roles();
            let counted = |role: &str| match searched {
                Some(searched) => searched == role,
                // Roles of an unknown form may have any role, or none.
                None => seen.has(role),
            };
            if erased.contains(user) {
                let names = self.rules.as_slice().iter().map(|rule| rule.role.as_str());
                for name in names.filter(|name| has(&seen, name) && counted(name)) {
                    judged.entry(name).or_default().erased += 1;
                }
                continue;
            }
            let known = self.known(tx, account).await?;
            let settled = known.settled && matches!(seen, SeenRoles::List(_));
            let roles = known.evaluation.roles.iter();
            for role in roles.filter(|role| has(&seen, &role.rule.role)) {
                let name = role.rule.role.as_str();
                let kind = kind(role, settled && !known.carried.contains(name));
                if matches!(kind, Kind::Unclear) {
                    holders.unclear.push(user.to_owned());
                } else if role.known.is_none() {
                    holders.new.push((user.to_owned(), name.to_owned()));
                }
                if counted(name) {
                    kind.count(judged.entry(name).or_default());
                }
            }
        }
        found_holders::keep(tx, &holders).await?;
        Ok(judged)
    }

    /// Evaluates one user by our facts, over all ids that the profile shows as linked, and by the shown profile.
    async fn known(&self, tx: &mut Tx<'_>, account: &Account) -> Result<Known<'_>, StoreError> {
        let conditions = self.rules.have_conditions();
        let user = account.user.as_str();
        let mut snapshot = snapshot::of_user(tx, user, ANY_AGE, conditions).await?;
        snapshot.shown = conditions.then_some(account.shown);
        let Relinked { linked, unlinked } = match account.linked() {
            Some(ids) => {
                let ids: Vec<&str> = ids.iter().map(UserId::as_str).collect();
                snapshot.person.relinked(&ids)
            }
            None => Relinked::default(),
        };
        let mut carried = HashSet::new();
        if !linked.is_empty() {
            let stored = snapshot.person.aliases.iter();
            let ids: Vec<&str> = stored.chain(&linked).map(String::as_str).chain([user]).collect();
            let (best, total) = own_playlists::plays_of(tx, &ids).await?;
            (snapshot.facts.best, snapshot.facts.total) = (best, total);
            for id in &linked {
                carried.extend(self.carried_of(tx, id, conditions).await?);
            }
        }
        let evaluation = Evaluation::of(snapshot, &self.rules);
        let settled =
            evaluation.gone_at.is_none() && evaluation.person.alias_of.is_none() && unlinked.is_empty();
        Ok(Known {
            evaluation,
            settled,
            carried,
        })
    }

    /// The roles of which something is stored under an id whose link is not stored yet.
    async fn carried_of(&self, tx: &mut Tx<'_>, id: &str, conditions: bool) -> Result<Vec<&str>, StoreError> {
        let snapshot = snapshot::of_user(tx, id, ANY_AGE, conditions).await?;
        let evaluation = Evaluation::of(snapshot, &self.rules);
        let roles = evaluation.roles.iter();
        let stored = roles.filter(|role| role.known.is_some() || role.is_ours() || role.pin.is_some());
        Ok(stored.map(|role| role.rule.role.as_str()).collect())
    }
}

impl Kind {
    fn count(&self, found: &mut Found) {
        match self {
            Self::Ours => found.ours += 1,
            Self::Earned => found.earned += 1,
            Self::Unearned => found.unearned += 1,
            Self::Unclear => found.unclear += 1,
        }
    }
}

/// Whether the profile has the role. Roles of an unknown form may have any.
fn has(seen: &SeenRoles, role: &str) -> bool {
    seen.has(role) || matches!(seen, SeenRoles::Odd(_))
}

fn kind(role: &Role<'_>, settled: bool) -> Kind {
    match &role.known {
        _ if !settled => Kind::Unclear,
        Some(known) if !known.has_role => Kind::Unclear,
        Some(known) if known.adopted => Kind::Ours,
        _ if role.wanted() => Kind::Earned,
        _ => Kind::Unearned,
    }
}
