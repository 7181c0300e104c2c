//! Table `user_data`: choices of users in the data API that Auth0 does not need.
//!
//! Owns the favourite genre. Must never validate it: the allowed values come from the configuration.

use super::{Store, StoreError, erasures};
use rolekeeper_domain::ids::UserId;

impl Store {
    /// The user's favourite genre, the newest choice under any of the person's ids; `None` until one was chosen.
    pub async fn favourite_genre(&self, user: &UserId<'_>) -> Result<Option<String>, StoreError> {
        let genre = sqlx::query_scalar!(
            "SELECT favourite_genre FROM user_data WHERE user_id = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = $1) || $1::text)
             ORDER BY changed_at DESC LIMIT 1",
            user.as_str()
        );
        Ok(genre.fetch_optional(&self.pool).await?)
    }

    /// Stores the user's choice.
    pub async fn choose_genre(&self, user: &UserId<'_>, genre: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        erasures::refuse(&mut tx, self.erasure_key(), user.as_str()).await?;
        sqlx::query!(
            "INSERT INTO user_data (user_id, favourite_genre) VALUES ($1, $2)
             ON CONFLICT (user_id) DO UPDATE SET favourite_genre = excluded.favourite_genre, changed_at = now()",
            user.as_str(),
            genre
        )
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        crash_point!("genre_chosen");
        Ok(())
    }
}
