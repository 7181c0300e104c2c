//! The search for users by the beginning of an id, and for one playlist.
//!
//! Owns the statements. Must never read more than one page of each table, whatever the text: each part is an index range.

use super::{Store, StoreError};

/// The last character: no id with the same beginning is behind it.
const LAST: char = '\u{10ffff}';

impl Store {
    /// The owner of a playlist, and its count as it is shown; none for one that no user owns, or that is deleted.
    ///
    /// # Errors
    /// Postgres does not respond.
    pub async fn count_of(&self, playlist: &str) -> Result<Option<(String, i64)>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT owner_id AS "owner!", greatest(plays, 0) AS "plays!" FROM playlists
               WHERE playlist_id = $1 AND owner_id IS NOT NULL AND NOT deleted"#,
            playlist
        );
        let row = row.fetch_optional(&self.pool).await?;
        Ok(row.map(|row| (row.owner, row.plays)))
    }

    /// The first `most` ids behind `after` that begin with `start`: of users with a profile, a role, a playlist or an entry of the
    /// queue, and of linked accounts.
    ///
    /// # Errors
    /// Postgres does not respond.
    pub async fn users_like(&self, start: &str, after: &str, most: i64) -> Result<Vec<String>, StoreError> {
        let mut tx = self.begin_to_read().await?;
        let end = format!("{start}{LAST}");
        let from = start.max(after);
        // The first id may be the beginning itself.
        let found = sqlx::query_scalar!(
            r#"WITH RECURSIVE owners AS (
                   -- one step for each owner, however many playlists one has
                   (SELECT owner_id FROM playlists WHERE owner_id >= $1 AND owner_id < $2 AND owner_id > $3 ORDER BY owner_id LIMIT 1)
                   UNION ALL
                   SELECT (SELECT p.owner_id FROM playlists p WHERE p.owner_id > o.owner_id AND p.owner_id < $2 ORDER BY p.owner_id LIMIT 1)
                   FROM owners o WHERE o.owner_id IS NOT NULL
               ), holders AS (
                   (SELECT user_id FROM assignments WHERE user_id >= $1 AND user_id < $2 AND user_id > $3 ORDER BY user_id LIMIT 1)
                   UNION ALL
                   SELECT (SELECT a.user_id FROM assignments a WHERE a.user_id > h.user_id AND a.user_id < $2 ORDER BY a.user_id LIMIT 1)
                   FROM holders h WHERE h.user_id IS NOT NULL
               )
               SELECT user_id AS "user_id!" FROM (
                   (SELECT owner_id AS user_id FROM owners WHERE owner_id IS NOT NULL LIMIT $4)
                   UNION
                   (SELECT user_id FROM holders WHERE user_id IS NOT NULL LIMIT $4)
                   UNION
                   (SELECT user_id FROM users WHERE user_id >= $1 AND user_id < $2 AND user_id > $3 ORDER BY user_id LIMIT $4)
                   UNION
                   (SELECT user_id FROM work_queue WHERE user_id >= $1 AND user_id < $2 AND user_id > $3 ORDER BY user_id LIMIT $4)
                   UNION
                   (SELECT alias FROM identities WHERE alias >= $1 AND alias < $2 AND alias > $3 ORDER BY alias LIMIT $4)
               ) AS found ORDER BY user_id LIMIT $4"#,
            from,
            end,
            after,
            most
        );
        Ok(found.fetch_all(&mut tx).await?)
    }
}
