//! Table `playlists`, as the data API reads it.
//!
//! Owns a user's view of the user's own playlists. Must never write `playlists`, which only the fold does, nor show a
//! deleted playlist or one of another user.

use super::{Store, StoreError};
use rolekeeper_domain::ids::{Token, UserId};

/// A playlist as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPlaylist {
    /// The playlist id.
    pub playlist_id: String,
    /// The name as last saved.
    pub name: String,
    /// Plays, never below 0.
    pub plays: i64,
    /// Whether the owner features it.
    pub featured: bool,
}

impl Store {
    /// The playlists of a user behind `after`, in order of id, at most `limit`.
    pub async fn own_playlists(
        &self,
        user: &UserId<'_>,
        after: Option<&Token<'_>>,
        limit: i64,
    ) -> Result<Vec<OwnPlaylist>, StoreError> {
        let playlists = sqlx::query_as!(
            OwnPlaylist,
            r#"SELECT p.playlist_id, coalesce(p.name, '') AS "name!", greatest(p.plays, 0) AS "plays!",
                      f.user_id IS NOT NULL AS "featured!"
               FROM playlists p
               LEFT JOIN featured_playlists f ON f.user_id = p.owner_id AND f.playlist_id = p.playlist_id
               WHERE p.owner_id = $1 AND NOT p.deleted AND p.playlist_id > $2
               ORDER BY p.playlist_id LIMIT $3"#,
            user.as_str(),
            after.map_or("", Token::as_str),
            limit
        );
        Ok(playlists.fetch_all(&self.pool).await?)
    }

    /// Number of the user's playlists.
    pub async fn own_playlists_count(&self, user: &UserId<'_>) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM playlists WHERE owner_id = $1 AND NOT deleted"#,
            user.as_str()
        );
        Ok(count.fetch_one(&self.pool).await?)
    }

    /// Whether the playlist exists and belongs to the user.
    pub async fn owns_playlist(&self, user: &UserId<'_>, playlist: &Token<'_>) -> Result<bool, StoreError> {
        let owns = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM playlists
               WHERE playlist_id = $2 AND owner_id = $1 AND NOT deleted) AS "owns!""#,
            user.as_str(),
            playlist.as_str()
        );
        Ok(owns.fetch_one(&self.pool).await?)
    }

    /// Plays of the user's most played playlist; 0 without one.
    pub async fn best_plays(&self, user: &UserId<'_>) -> Result<i64, StoreError> {
        let best = sqlx::query_scalar!(
            r#"SELECT greatest(coalesce(max(plays), 0), 0) AS "best!"
               FROM playlists WHERE owner_id = $1 AND NOT deleted"#,
            user.as_str()
        );
        Ok(best.fetch_one(&self.pool).await?)
    }
}
