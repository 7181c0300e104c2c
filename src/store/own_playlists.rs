//! Table `playlists`, by owner: as the data API and the discovery of holders read it.
//!
//! Owns a user's view of the user's own playlists, those of all ids of the person. Must never write `playlists`, which only the fold does, nor show a
//! deleted playlist or one of another user.

use super::{Store, StoreError, Tx, playlists};
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

/// Plays of the playlists of these ids: of the most played one, and of all together.
pub async fn plays_of(tx: &mut Tx<'_>, owners: &[&str]) -> Result<(i64, i64), StoreError> {
    let row = sqlx::query!(
        r#"SELECT greatest(coalesce(max(plays), 0), 0) AS "best!", coalesce(sum(greatest(plays, 0)), 0)::bigint AS "total!"
           FROM playlists WHERE owner_id = ANY($1::text[]) AND NOT deleted"#,
        owners as &[&str]
    );
    let row = row.fetch_one(&mut *tx).await?;
    Ok((row.best, row.total))
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
                      -- the newest choice under any of the person's ids
                      coalesce(p.playlist_id = (SELECT f.playlist_id FROM featured_playlists f WHERE f.user_id = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = $1) || $1::text)
                          ORDER BY f.featured_at DESC LIMIT 1), false) AS "featured!"
               FROM playlists p
               WHERE p.owner_id = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = $1) || $1::text) AND NOT p.deleted AND p.playlist_id > $2
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
            r#"SELECT count(*) AS "count!" FROM playlists
               WHERE owner_id = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = $1) || $1::text) AND NOT deleted"#,
            user.as_str()
        );
        Ok(count.fetch_one(&self.pool).await?)
    }

    /// The id of the user's person that owns the playlist; none if it does not exist or belongs to another user.
    pub async fn owning_id(
        &self,
        user: &UserId<'_>,
        playlist: &Token<'_>,
    ) -> Result<Option<UserId<'static>>, StoreError> {
        let owner = sqlx::query_scalar!(
            r#"SELECT owner_id AS "owner!" FROM playlists
               WHERE playlist_id = $2 AND owner_id = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = $1) || $1::text) AND NOT deleted"#,
            user.as_str(),
            playlist.as_str()
        );
        let owner = owner.fetch_optional(&self.pool).await?;
        owner.map(playlists::owner).transpose()
    }

    /// Plays of the user's most played playlist; 0 without one.
    pub async fn best_plays(&self, user: &UserId<'_>) -> Result<i64, StoreError> {
        let best = sqlx::query_scalar!(
            r#"SELECT greatest(coalesce(max(plays), 0), 0) AS "best!"
               FROM playlists WHERE owner_id = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = $1) || $1::text) AND NOT deleted"#,
            user.as_str()
        );
        Ok(best.fetch_one(&self.pool).await?)
    }
}
