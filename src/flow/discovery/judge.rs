//! Found holders against our own facts.
//!
//! Owns the kind of each found holder, and what is stored of it. The search may be some seconds old: where our last read of the
//! profile says something else, the profile is read again, and nothing is stored. Must never store an erased user.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Run;
use crate::auth0::Account;
use crate::store::discovery::{self, Holders};
use crate::store::{StoreError, Tx, erasures, snapshot};
use rolekeeper_domain::discovery::Found;
use rolekeeper_domain::evaluation::{Evaluation, Role};
use rolekeeper_domain::plan::SeenRoles;

/// The age of a verification makes no difference here.
const ANY_AGE: Duration = Duration::from_hours(24);

/// The result for a part of the users, by role.
pub(super) type Judged<'r> = BTreeMap<&'r str, Found>;

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
        let mut holders = Holders::default();
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
            let evaluation = self.evaluation(tx, account).await?;
            let settled = evaluation.gone_at.is_none() && evaluation.person.alias_of.is_none();
            let readable = matches!(seen, SeenRoles::List(_));
            for role in evaluation.roles.iter().filter(|role| has(&seen, &role.rule.role)) {
                let name = role.rule.role.as_str();
                let kind = kind(role, settled && readable);
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
        discovery::keep(tx, &holders).await?;
        Ok(judged)
    }

    /// Evaluates one user by our facts, over all ids of the person, and by the shown profile.
    async fn evaluation(&self, tx: &mut Tx<'_>, account: &Account) -> Result<Evaluation<'_>, StoreError> {
        let conditions = self.rules.have_conditions();
        let mut snapshot = snapshot::of_user(tx, account.user.as_str(), ANY_AGE, conditions).await?;
        snapshot.shown = conditions.then_some(account.shown);
        Ok(Evaluation::of(snapshot, &self.rules))
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
