//! Table `owner_totals`: sums that are not those of the users' playlists.
//!
//! Owns their comparison in slices, and their correction. Must never change a sum while a fold runs.

use std::collections::BTreeSet;

use super::{Store, StoreError, acts, kept_letters};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::plural::noun;
use rolekeeper_domain::rule::Rules;

/// Users of one slice.
const SLICE: i64 = 1_000;

/// The sums of some users.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// The last user of the slice; none behind the last slice.
    pub last: Option<String>,
    /// Users who were compared.
    pub users: u64,
    /// Those with another sum.
    pub wrong: Vec<WrongTotal>,
}

/// A user with another sum than that of the playlists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongTotal {
    /// The user.
    pub user_id: String,
    /// Plays of the user's playlists together.
    pub counted: i64,
    /// The stored sum.
    pub stored: i64,
}

impl Store {
    /// Compares the stored sums of the next users after this one, in order of id.
    ///
    /// # Errors
    /// Postgres does not respond.
    pub async fn compare_totals(&self, after: &str) -> Result<Compared, StoreError> {
        let mut tx = self.begin_to_read().await?;
        let rows = sqlx::query!(
            r#"SELECT t.user_id, t.plays AS stored,
                   t.generation = r.totals_generation AND NOT EXISTS (SELECT FROM identities i WHERE i.alias = t.user_id) AS "counts!",
                   (SELECT coalesce(sum(greatest(p.plays, 0)), 0)::bigint FROM playlists p
                    WHERE p.owner_id = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = t.user_id) || t.user_id)
                      AND NOT p.deleted) AS "counted!"
               FROM owner_totals t CROSS JOIN rules_in_force r
               WHERE t.user_id > $1 ORDER BY t.user_id LIMIT $2"#,
            after,
            SLICE
        );
        let mut compared = Compared::default();
        for row in rows.fetch_all(&mut tx).await? {
            compared.users += u64::from(row.counts);
            if row.counts && row.counted != row.stored {
                compared.wrong.push(WrongTotal {
                    user_id: row.user_id.clone(),
                    counted: row.counted,
                    stored: row.stored,
                });
            }
            compared.last = Some(row.user_id);
        }
        Ok(compared)
    }

    /// Sums up these users again, while no fold runs, and enqueues them. Returns false, and changes nothing, if other rules came into
    /// force.
    ///
    /// # Errors
    /// Postgres does not respond, or refuses.
    pub async fn mend_totals(
        &self,
        users: BTreeSet<String>,
        rules: &Rules,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let stopped = kept_letters::stop_folds(&mut tx, "APP_EVENTS", &rules.fingerprint()).await?;
        if !stopped.is_some_and(|(_, same_rules)| same_rules) {
            return Ok(false);
        }
        super::identities::serialize(&mut tx).await?;
        let users = self.enqueue_owners(&mut tx, users, rules).await?;
        acts::keep(
            &mut tx,
            act,
            &format!("sums of {users} {} corrected", noun(users, "user", "users")),
        )
        .await?;
        tx.commit().await?;
        crash_point!("mended");
        Ok(true)
    }
}
