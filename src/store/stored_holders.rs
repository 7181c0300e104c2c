//! Table `assignments`: the holders that `verify` compares with Auth0.
//!
//! Must never write, nor read all of them at once.

use super::{Store, StoreError};

/// Users of one slice.
const SLICE: i64 = 500;

/// A user with the managed roles that the profile had when it was last read or written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The user.
    pub user_id: String,
    /// The roles.
    pub roles: Vec<String>,
    /// The user waits in the work queue, or is marked as gone.
    pub waits: bool,
}

impl Store {
    /// The next holders of these roles after this user, in order of id; none behind the last one.
    ///
    /// # Errors
    /// Postgres does not respond.
    pub async fn holders_after(&self, after: &str, roles: &[String]) -> Result<Vec<Holder>, StoreError> {
        let mut tx = self.begin_to_read().await?;
        let rows = sqlx::query!(
            r#"SELECT user_id, array_agg(role ORDER BY role) AS "roles!" FROM assignments
               WHERE user_id > $1 AND has_role AND role = ANY($2::text[])
               GROUP BY user_id ORDER BY user_id LIMIT $3"#,
            after,
            roles,
            SLICE
        );
        let rows = rows.fetch_all(&mut tx).await?.into_iter();
        Ok(rows
            .map(|row| Holder {
                user_id: row.user_id,
                roles: row.roles,
                waits: false,
            })
            .collect())
    }

    /// The same of one user.
    ///
    /// # Errors
    /// Postgres does not respond.
    pub async fn holder(&self, user: &str, roles: &[String]) -> Result<Holder, StoreError> {
        let mut tx = self.begin_to_read().await?;
        let row = sqlx::query!(
            r#"SELECT (SELECT coalesce(array_agg(role ORDER BY role), '{}') FROM assignments
                       WHERE user_id = $1 AND has_role AND role = ANY($2::text[])) AS "roles!",
                   EXISTS (SELECT FROM work_queue WHERE user_id = $1) OR EXISTS (SELECT FROM gone_users WHERE user_id = $1) AS "waits!""#,
            user,
            roles
        );
        let row = row.fetch_one(&mut tx).await?;
        Ok(Holder {
            user_id: user.to_owned(),
            roles: row.roles,
            waits: row.waits,
        })
    }
}
