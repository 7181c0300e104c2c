//! Table `owner_totals`: plays of all of a user's playlists together.
//!
//! Owns how sums follow counts. Must be written only by the fold, in the transaction that moves the counts. A row is
//! valid only while its generation is that of the rules in force. Where there is none, the fold sums the user's
//! playlists the first time that it changes one, and the walk after a change of rules sums the rest.

use super::{StoreError, Tx};

/// Adds to the totals of persons, by the primary of their ids, in order of id, after their playlists were changed in the same transaction; returns
/// each new total. A user without a row of this generation is summed up. That is exact even if the walk writes the row
/// first: the walk sees nothing of this transaction, and the sum replaces its row.
pub async fn add(tx: &mut Tx<'_>, users: &[&str], deltas: &[i64]) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query!(
        "INSERT INTO owner_totals AS t (user_id, plays, generation)
         SELECT d.user_id,
             CASE WHEN known.user_id IS NOT NULL THEN d.delta ELSE (
                 SELECT coalesce(sum(greatest(p.plays, 0)), 0)::bigint FROM playlists p
                 WHERE p.owner_id = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = d.user_id) || d.user_id)
                   AND NOT p.deleted) END,
             -- no generation has this number: it marks `plays` as a difference
             CASE WHEN known.user_id IS NOT NULL THEN -1 ELSE r.totals_generation END
         FROM UNNEST($1::text[], $2::bigint[]) AS d(user_id, delta)
         CROSS JOIN rules_in_force r
         LEFT JOIN owner_totals known ON known.user_id = d.user_id AND known.generation = r.totals_generation
         ON CONFLICT (user_id) DO UPDATE SET
             plays = CASE WHEN excluded.generation = -1 THEN t.plays + excluded.plays ELSE excluded.plays END,
             generation = CASE WHEN excluded.generation = -1 THEN t.generation ELSE excluded.generation END
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

/// Sums up the users behind `from` and up to `to` who have no row of this generation, concurrently with the fold.
pub(super) async fn fill(tx: &mut Tx<'_>, from: &str, to: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO owner_totals AS t (user_id, plays, generation)
         SELECT p.user_id, sum(greatest(p.plays, 0))::bigint, r.totals_generation
         FROM (
             SELECT owner_id AS user_id, plays FROM playlists
             WHERE owner_id > $1 AND owner_id <= $2 AND NOT deleted
               AND NOT EXISTS (SELECT FROM identities i WHERE i.alias = owner_id)
             UNION ALL
             SELECT i.primary_id, of_alias.plays FROM identities i JOIN playlists of_alias ON of_alias.owner_id = i.alias
             WHERE i.primary_id > $1 AND i.primary_id <= $2 AND NOT of_alias.deleted
         ) AS p CROSS JOIN rules_in_force r
         GROUP BY p.user_id, r.totals_generation ORDER BY p.user_id
         ON CONFLICT (user_id) DO UPDATE SET plays = excluded.plays, generation = excluded.generation
         WHERE t.generation <> excluded.generation",
        from,
        to
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Sums up these persons again, by the primary of their ids, while no fold runs.
pub(super) async fn sum_again(tx: &mut Tx<'_>, users: &[&str]) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO owner_totals (user_id, plays, generation)
         SELECT d.user_id, (
                 SELECT coalesce(sum(greatest(p.plays, 0)), 0)::bigint FROM playlists p
                 WHERE p.owner_id = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = d.user_id) || d.user_id)
                   AND NOT p.deleted), r.totals_generation
         FROM UNNEST($1::text[]) AS d(user_id) CROSS JOIN rules_in_force r ORDER BY d.user_id
         ON CONFLICT (user_id) DO UPDATE SET plays = excluded.plays, generation = excluded.generation",
        users as &[&str]
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}
