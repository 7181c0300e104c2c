//! Table `playlists`: counts below 0, after more retractions than counted plays.
//!
//! Owns finding them and setting them to 0. Must never change a count that is shown: one below 0 is shown as 0.

use super::playlists::partitions;
use super::{Store, StoreError, Tx, acts, bases, cursors};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::plural::noun;

/// Playlists handled in one transaction.
const BATCH: i64 = 10_000;

/// Number of these playlists with a count below 0.
pub async fn below_zero(tx: &mut Tx<'_>, playlists: &[&str]) -> Result<i64, StoreError> {
    let below = sqlx::query_scalar!(
        r#"SELECT count(*) AS "below!" FROM playlists WHERE playlist_id = ANY($1::text[]) AND plays < 0"#,
        playlists as &[&str]
    );
    Ok(below.fetch_one(&mut *tx).await?)
}

impl Store {
    /// Sets to 0 the counts below 0 of these playlists, or of all if none are named; returns the number of changed
    /// playlists. Works in batches, each in its own transaction with its act; one that changes nothing has an act too.
    ///
    /// # Errors
    /// [`StoreError::Rebuilding`], or Postgres does not respond; batches before it stay.
    pub async fn forgive(&self, playlists: Option<&[String]>, act: &Act) -> Result<u64, StoreError> {
        let forgiven = match playlists {
            Some(playlists) => self.forgive_some(playlists, act).await?,
            None => self.forgive_all(act).await?,
        };
        if forgiven == 0 {
            self.acted(act, &outcome(0)).await?;
        }
        Ok(forgiven)
    }

    async fn forgive_all(&self, act: &Act) -> Result<u64, StoreError> {
        let (mut after, mut forgiven) = (String::new(), 0);
        loop {
            let batch = sqlx::query!(
                r#"SELECT max(playlist_id) AS last, coalesce(array_agg(playlist_id) FILTER (WHERE plays < 0), '{}') AS "below!"
                   FROM (SELECT playlist_id, plays FROM playlists WHERE playlist_id > $1 ORDER BY playlist_id LIMIT $2) AS batch"#,
                after,
                BATCH
            );
            let batch = batch.fetch_one(&self.pool).await?;
            let Some(last) = batch.last else {
                return Ok(forgiven);
            };
            after = last;
            if !batch.below.is_empty() {
                forgiven += self.forgive_some(&batch.below, act).await?;
            }
        }
    }

    async fn forgive_some(&self, playlists: &[String], act: &Act) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        cursors::stop_folds(&mut tx).await?;
        // It would take what is forgiven for plays that came since its comparison.
        if bases::is_rebuilding(&mut tx).await? {
            return Err(StoreError::Rebuilding);
        }
        let forgiven = sqlx::query!(
            "UPDATE playlists SET plays = 0 WHERE plays < 0 AND playlist_id IN (
                 SELECT playlist_id FROM playlists WHERE playlist_id = ANY($1) ORDER BY playlist_id FOR UPDATE)",
            playlists
        );
        let forgiven = forgiven.execute(&mut tx).await?.rows_affected();
        if forgiven > 0 {
            let ids: Vec<&str> = playlists.iter().map(String::as_str).collect();
            bases::forget(&mut tx, &partitions(&ids)).await?;
            acts::keep(&mut tx, act, &outcome(forgiven)).await?;
        }
        tx.commit().await?;
        crash_point!("batch_forgiven");
        Ok(forgiven)
    }
}

fn outcome(forgiven: u64) -> String {
    format!(
        "{forgiven} {} below 0",
        noun(forgiven, "playlist was", "playlists were")
    )
}
