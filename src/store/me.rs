//! What the data API tells a user about themselves, out of `assignments` and `users`.
//!
//! Owns these reads. Must never write: reconcile and the fold do.

use super::{Store, StoreError};
use rolekeeper_domain::ids::UserId;

impl Store {
    /// The owned roles that the user's profile had when it was last read or written.
    pub async fn roles_held(&self, user: &UserId<'_>) -> Result<Vec<String>, StoreError> {
        let roles = sqlx::query_scalar!(
            "SELECT role FROM assignments WHERE user_id = $1 AND held
                 AND NOT EXISTS (SELECT FROM gone_users g WHERE g.user_id = $1) ORDER BY role",
            user.as_str()
        );
        Ok(roles.fetch_all(&self.pool).await?)
    }

    /// The subscription plan, `app_metadata.plan`, as Auth0 last answered, never as a record has it; none where
    /// there is none, or what is no text.
    pub async fn plan(&self, user: &UserId<'_>) -> Result<Option<String>, StoreError> {
        let plan = sqlx::query_scalar!(
            "SELECT profile #>> '{app_metadata,plan}' FROM users
             WHERE user_id = $1 AND fetched_at IS NOT NULL AND jsonb_typeof(profile #> '{app_metadata,plan}') = 'string'",
            user.as_str()
        );
        Ok(plan.fetch_optional(&self.pool).await?.flatten())
    }
}
