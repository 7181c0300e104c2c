//! Table `owner_totals`: plays of all of a user's playlists together.
//!
//! Owns how sums follow counts. Must be kept by the fold alone, in the transaction that moves the counts.

use super::{StoreError, Tx};

/// Adds to the totals of users, in order of id; answers each total after that.
pub async fn add(tx: &mut Tx<'_>, users: &[&str], deltas: &[i64]) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query!(
        "INSERT INTO owner_totals AS t (user_id, plays) SELECT * FROM UNNEST($1::text[], $2::bigint[])
         ON CONFLICT (user_id) DO UPDATE SET plays = t.plays + excluded.plays
         RETURNING user_id, plays",
        users as &[&str],
        deltas
    );
    Ok(rows
        .fetch_all(&mut *tx)
        .await?
        .into_iter()
        .map(|row| (row.user_id, row.plays))
        .collect())
}

/// Sums everything up anew; the caller has stopped the fold.
pub(super) async fn rebuild(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM owner_totals").execute(&mut *tx).await?;
    sqlx::query!(
        "INSERT INTO owner_totals (user_id, plays)
         SELECT owner_id, sum(greatest(plays, 0))::bigint FROM playlists
         WHERE owner_id IS NOT NULL AND NOT deleted GROUP BY owner_id"
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}
