//! The state of the deployment that delays or holds changes of a user.
//!
//! Owns this read, over tables of a few rows.

use crate::store::{StoreError, Tx, workers};
use rolekeeper_domain::date::of_unix_ns;
use rolekeeper_domain::explanation::{CountedTo, EngagedBrake, Loss, Paused, System, WritesOff};

/// Reads it, with the comparison of users as far as it concerns `user`.
pub(in crate::store) async fn read(tx: &mut Tx<'_>, user: &str) -> Result<System, StoreError> {
    let row = sqlx::query!(
        r#"SELECT EXISTS (SELECT FROM forgotten_changes WHERE holds) AS "restored!",
               (SELECT requested_at FROM walk WHERE changed AND position < $1) AS "to_be_compared_since""#,
        user
    );
    let row = row.fetch_one(&mut *tx).await?;
    Ok(System {
        counted_to: counted_to(tx).await?,
        paused: paused(tx).await?,
        writes_off: writes_off(tx).await?,
        losses: losses(tx).await?,
        restored: row.restored,
        brakes: brakes(tx).await?,
        worker_alive: workers::is_one_alive(tx).await?,
        to_be_compared_since: row.to_be_compared_since,
    })
}

async fn counted_to(tx: &mut Tx<'_>) -> Result<Option<CountedTo>, StoreError> {
    let row = sqlx::query!(
        "SELECT last_seq, last_stored_ns FROM stream_cursors WHERE stream = 'APP_EVENTS' AND last_stored_ns > 0"
    );
    Ok(row.fetch_optional(&mut *tx).await?.map(|row| CountedTo {
        stream_seq: row.last_seq,
        stored_at: of_unix_ns(row.last_stored_ns),
    }))
}

async fn paused(tx: &mut Tx<'_>) -> Result<Option<Paused>, StoreError> {
    let row = sqlx::query_as!(Paused, "SELECT since, reason FROM pause");
    Ok(row.fetch_optional(&mut *tx).await?)
}

async fn writes_off(tx: &mut Tx<'_>) -> Result<Option<WritesOff>, StoreError> {
    let row = sqlx::query_as!(
        WritesOff,
        r#"SELECT set_at AS "since!", set_by AS "by!", why AS "why!" FROM (
               SELECT * FROM limits WHERE name = 'writes' ORDER BY set_id DESC LIMIT 1
           ) AS newest WHERE value <= 0"#
    );
    Ok(row.fetch_optional(&mut *tx).await?)
}

async fn losses(tx: &mut Tx<'_>) -> Result<Vec<Loss>, StoreError> {
    let rows = sqlx::query_as!(
        Loss,
        "SELECT stream, kind, found_at FROM stream_losses WHERE accepted_at IS NULL ORDER BY stream"
    );
    Ok(rows.fetch_all(&mut *tx).await?)
}

async fn brakes(tx: &mut Tx<'_>) -> Result<Vec<EngagedBrake>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT change AS "change!", engaged_at AS "since!" FROM brakes WHERE engaged_at IS NOT NULL
           UNION ALL SELECT 'gone', engaged_at FROM gone_brake WHERE engaged_at IS NOT NULL ORDER BY 1"#
    );
    let rows = rows.fetch_all(&mut *tx).await?.into_iter();
    let engaged = rows.map(|row| EngagedBrake {
        changes: match row.change.as_str() {
            "granted" => "grants",
            "revoked" => "revokes",
            "restored" => "restores",
            "removed" => "removals",
            _ => "gone",
        },
        since: row.since,
    });
    Ok(engaged.collect())
}
