//! Table `user_data`: what users chose through the data API and Auth0 need not know.
//!
//! Owns the favourite genre. Must never judge it: what is offered comes from the configuration.

use super::{Store, StoreError, erasures};
use rolekeeper_domain::ids::UserId;

impl Store {
    /// The genre the user likes best; none until one was chosen.
    pub async fn favourite_genre(&self, user: &UserId<'_>) -> Result<Option<String>, StoreError> {
        let genre = sqlx::query_scalar!(
            "SELECT favourite_genre FROM user_data WHERE user_id = $1",
            user.as_str()
        );
        Ok(genre.fetch_optional(&self.pool).await?)
    }

    /// The user has chosen.
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
        Ok(tx.commit().await?)
    }
}
