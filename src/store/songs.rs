//! Table `songs`: songs that users added through the data API.
//!
//! Owns the owner of a song: one of the ids of the user's person. Must never return or remove a song of another user.

use super::{Store, StoreError, erasures};
use rolekeeper_domain::ids::{Token, UserId};
use rolekeeper_domain::name::Name;

/// A song of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Song {
    /// The song id.
    pub song_id: String,
    /// The name that the user gave.
    pub songname: String,
}

impl Store {
    /// The songs of a user behind `after`, in order of id, at most `limit`.
    pub async fn songs(
        &self,
        user: &UserId<'_>,
        after: Option<&Token<'_>>,
        limit: i64,
    ) -> Result<Vec<Song>, StoreError> {
        let songs = sqlx::query_as!(
            Song,
            "SELECT song_id, songname FROM songs
             WHERE user_id = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = $1) || $1::text) AND song_id > $2 ORDER BY song_id LIMIT $3",
            user.as_str(),
            after.map_or("", Token::as_str),
            limit
        );
        Ok(songs.fetch_all(&self.pool).await?)
    }

    /// Adds a song unless the user already has `most`; returns whether it was added.
    pub async fn add_song(
        &self,
        user: &UserId<'_>,
        song: &Token<'_>,
        name: &Name,
        most: i64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        erasures::refuse(&mut tx, self.erasure_key(), user.as_str()).await?;
        // Serializes the additions of one user; concurrent ones could exceed the limit together.
        sqlx::query!(
            r#"SELECT pg_advisory_xact_lock(hashtextextended('songs of ' || $1::text, 0)) AS "locked!: ()""#,
            user.as_str()
        )
        .fetch_one(&mut tx)
        .await?;
        let added = sqlx::query!(
            "INSERT INTO songs (song_id, user_id, songname) SELECT $2, $1, $3
             WHERE (SELECT count(*) FROM songs WHERE user_id = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = $1) || $1::text)) < $4",
            user.as_str(),
            song.as_str(),
            name.as_str(),
            most
        )
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        crash_point!("added");
        Ok(added.rows_affected() == 1)
    }

    /// Removes a song of the user; returns whether it existed.
    pub async fn remove_song(&self, user: &UserId<'_>, song: &Token<'_>) -> Result<bool, StoreError> {
        let removed = sqlx::query!(
            "DELETE FROM songs WHERE song_id = $2 AND user_id = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = $1) || $1::text)",
            user.as_str(),
            song.as_str()
        );
        let removed = removed.execute(&self.pool).await?.rows_affected();
        crash_point!("removed");
        Ok(removed == 1)
    }
}
