//! Table `featured_playlists`: the playlist that a user features.
//!
//! Owns the choice. Must never feature a deleted playlist or one of another user.

use super::{Store, StoreError, erasures};
use rolekeeper_domain::ids::{Token, UserId};

impl Store {
    /// Features a playlist of the user in place of any other; returns false if it does not exist or belongs to another
    /// user.
    pub async fn feature(&self, user: &UserId<'_>, playlist: &Token<'_>) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        erasures::refuse(&mut tx, self.erasure_key(), user.as_str()).await?;
        let featured = sqlx::query!(
            "INSERT INTO featured_playlists (user_id, playlist_id)
             SELECT $1::text, playlist_id FROM playlists
             WHERE playlist_id = $2 AND owner_id = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = $1) || $1::text) AND NOT deleted
             ON CONFLICT (user_id) DO UPDATE SET playlist_id = excluded.playlist_id, featured_at = now()",
            user.as_str(),
            playlist.as_str()
        );
        let featured = featured.execute(&mut tx).await?.rows_affected() == 1;
        tx.commit().await?;
        crash_point!("featured");
        Ok(featured)
    }
}
