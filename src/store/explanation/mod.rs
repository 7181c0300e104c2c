//! All that is stored about the roles of one user, for the operator.
//!
//! Owns the transaction, which sees one moment and cannot write, so that a role with SELECT alone is enough. Must never read more
//! than the rows of one person by their keys, and a bounded number of those that grow with time.

mod past;
mod queued;
mod system;
mod user;

use std::time::Duration;

use super::{Store, StoreError, erasures, identities, rules_in_force, snapshot};
use rolekeeper_domain::explanation::{CountedTo, InForce, Stored};

pub(super) use queued::{Row as QueuedRow, entries};
pub(super) use system::read as system;

/// Age of a verification that counts as fresh. An explanation shows the time itself.
const ANY_AGE: Duration = Duration::from_hours(24 * 3650);

/// The result of a read.
#[derive(Debug)]
pub enum Explained {
    /// The stored rows.
    Known(Box<Stored>),
    /// Nothing that concerns roles is stored of the id.
    Unknown {
        /// Users were erased, and without the erasure key it is not known whether the id was one of them.
        maybe_erased: bool,
        /// How far events are counted.
        counted_to: Option<CountedTo>,
    },
    /// The user was erased.
    Erased,
}

impl Store {
    /// Reads the rows about the roles of the person that `user` is an id of, with at most `most` decisions and writes.
    ///
    /// # Errors
    /// The erasure key is not that of the erasures, or this release does not know the format of the rules in force.
    pub async fn explain(&self, user: &str, most: i64) -> Result<Explained, StoreError> {
        let mut tx = self.begin_to_read().await?;
        let key = self.erasure_key();
        if key.is_some() && erasures::among(&mut tx, key, &[user]).await?.contains(user) {
            return Ok(Explained::Erased);
        }
        let all = identities::person(&mut tx, user).await?;
        let primary = all.first().map_or(user, String::as_str);
        let in_force = rules_in_force::stored(&mut tx).await?;
        let conditions = in_force
            .as_ref()
            .is_some_and(|in_force| in_force.rules.have_conditions());
        let snapshot = snapshot::of_user(&mut tx, primary, ANY_AGE, conditions).await?;
        let counting: Vec<String> = snapshot
            .person
            .aliases
            .iter()
            .cloned()
            .chain([primary.to_owned()])
            .collect();
        let roles: Vec<&str> = in_force
            .iter()
            .flat_map(|one| one.rules.as_slice())
            .map(|rule| rule.role.as_str())
            .collect();
        let stored = Stored {
            asked_for: user.to_owned(),
            ids: user::ids(&mut tx, primary, &all).await?,
            verified: user::verified(&mut tx, primary).await?,
            account: user::account(&mut tx, primary).await?,
            playlists: user::playlists(&mut tx, &counting, &snapshot.facts).await?,
            queue: user::queue(&mut tx, &all).await?,
            pins: user::pins(&mut tx, &all).await?,
            last_changes: past::last_changes(&mut tx, primary, &roles).await?,
            decisions: past::decisions(&mut tx, &all, most).await?,
            writes: past::writes(&mut tx, &all, most).await?,
            system: system::read(&mut tx, primary).await?,
            in_force: in_force.map(|one| {
                let (version, since, put_by) = (one.version, one.since, one.put_by);
                (
                    one.rules,
                    InForce {
                        version,
                        since,
                        put_by,
                    },
                )
            }),
            snapshot,
        };
        Ok(if stored.is_known() {
            Explained::Known(Box::new(stored))
        } else {
            Explained::Unknown {
                maybe_erased: key.is_none() && stored.snapshot.erasures,
                counted_to: stored.system.counted_to,
            }
        })
    }
}
