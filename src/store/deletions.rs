//! The users of table `users` who are unknown to Auth0 for some time, for their erasure.
//!
//! Owns which of them are due. Must never return an id of a person who has an account.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Store, StoreError, Tx};

/// A user who is unknown to Auth0.
#[derive(Clone, Debug)]
pub struct Deleted {
    /// Time since which Auth0 has not known the user.
    pub since: OffsetDateTime,
    /// The user.
    pub user: String,
}

/// Most users that are counted as due.
const COUNTED: i64 = 100_000;

impl Default for Deleted {
    /// Before all users.
    fn default() -> Self {
        Self {
            since: OffsetDateTime::UNIX_EPOCH,
            user: String::new(),
        }
    }
}

/// Whether the newest response about the user did not know the user. The row stays locked.
pub(super) async fn is_deleted(tx: &mut Tx<'_>, user: &str) -> Result<bool, StoreError> {
    let deleted = sqlx::query_scalar!(
        r#"SELECT gone_since IS NOT NULL AS "deleted!" FROM users WHERE user_id = $1 FOR UPDATE"#,
        user
    );
    Ok(deleted.fetch_optional(&mut *tx).await?.unwrap_or(false))
}

impl Store {
    /// Users who are unknown to Auth0 for this long, at most `most`, the longest first and behind `after`. The ids of a person
    /// with an account are none of them; a moved id is one while its new id was never read.
    pub async fn deleted_for(
        &self,
        long: Duration,
        after: &Deleted,
        most: i64,
    ) -> Result<Vec<Deleted>, StoreError> {
        let rows = sqlx::query_as!(
            Deleted,
            r#"SELECT gone_since AS "since!", user_id AS user FROM users
               WHERE gone_since IS NOT NULL AND gone_since < now() - $1::double precision * interval '1 second'
                 AND (gone_since, user_id) > ($2, $3)
                 AND NOT EXISTS (SELECT FROM identities WHERE alias = user_id)
                 AND NOT EXISTS (SELECT FROM moves m JOIN users n ON n.user_id = m.new_id WHERE m.old_id = users.user_id)
               ORDER BY gone_since, user_id LIMIT $4"#,
            long.as_secs_f64(),
            after.since,
            after.user,
            most
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Number of users who are unknown to Auth0 for this long, at most 100,000.
    pub async fn due_for_erasure(&self, long: Duration) -> Result<i64, StoreError> {
        let due = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM (
                   SELECT FROM users WHERE gone_since < now() - $1::double precision * interval '1 second' LIMIT $2) AS due"#,
            long.as_secs_f64(),
            COUNTED
        );
        Ok(due.fetch_one(&self.pool).await?)
    }
}
