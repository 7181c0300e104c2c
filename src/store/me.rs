//! The data API's reads about the calling user, from `assignments` and `users`.
//!
//! Owns these reads. Must never write: reconcile and the fold do.

use super::{Store, StoreError};
use rolekeeper_domain::ids::UserId;

impl Store {
    /// The managed roles that the user's profile had when last read or written.
    pub async fn roles_held(&self, user: &UserId<'_>) -> Result<Vec<String>, StoreError> {
        let roles = sqlx::query_scalar!(
            "SELECT role FROM assignments WHERE user_id = $1 AND held
                 AND NOT EXISTS (SELECT FROM gone_users g WHERE g.user_id = $1) ORDER BY role",
            user.as_str()
        );
        Ok(roles.fetch_all(&self.pool).await?)
    }

    /// The subscription plan, `app_metadata.plan`, from Auth0's last response, never from a record; `None` if there is
    /// none, or no text.
    pub async fn plan(&self, user: &UserId<'_>) -> Result<Option<String>, StoreError> {
        let plan = sqlx::query_scalar!(
            "SELECT profile #>> '{app_metadata,plan}' FROM users
             WHERE user_id = $1 AND fetched_at IS NOT NULL AND jsonb_typeof(profile #> '{app_metadata,plan}') = 'string'",
            user.as_str()
        );
        Ok(plan.fetch_optional(&self.pool).await?.flatten())
    }
}
