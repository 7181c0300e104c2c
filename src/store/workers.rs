//! Table `workers`: the live workers, with their release and own limits.
//!
//! Owns the heartbeats. Must never be required for correctness: it prevents the activation of rules that running
//! workers do not know, and shows the workers' own limits.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Store, StoreError, Tx};
use rolekeeper_domain::limits::{Limit, Own};

/// Seconds after which a worker without a heartbeat counts as gone: three heartbeats were missed.
const ALIVE_S: f64 = 30.0;

/// A worker's description of itself.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Id created at the start of the process.
    pub id: Uuid,
    /// Host and process id.
    pub name: String,
    /// Version of the binary.
    pub release: &'static str,
    /// Newest rules format that it knows.
    pub rules_format: i32,
    /// Limits from its own settings.
    pub own: Own,
}

/// A live worker, as other workers and commands see it.
#[derive(Clone, Debug)]
pub struct Alive {
    /// Host and process id.
    pub name: String,
    /// Version of the binary.
    pub release: String,
    /// Limits from its own settings.
    pub own: Own,
}

impl Store {
    /// Stores a heartbeat. Removes rows of workers that ended long ago without removing theirs.
    pub async fn heartbeat(&self, worker: &Worker) -> Result<(), StoreError> {
        let Worker {
            id,
            name,
            release,
            rules_format,
            own,
        } = worker;
        let own: serde_json::Map<String, Value> = own
            .iter()
            .map(|(limit, value)| (limit.as_str().to_owned(), json!(value)))
            .collect();
        sqlx::query!(
            "WITH gone AS (DELETE FROM workers WHERE seen_at < now() - interval '1 day')
             INSERT INTO workers (worker_id, name, release, rules_format, own_limits) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (worker_id) DO UPDATE SET seen_at = now()",
            id,
            name,
            release,
            rules_format,
            Value::Object(own)
        )
        .execute(&self.pool)
        .await?;
        crash_point!("alive");
        Ok(())
    }

    /// Removes a worker that has ended.
    pub async fn worker_ends(&self, id: Uuid) -> Result<(), StoreError> {
        sqlx::query!("DELETE FROM workers WHERE worker_id = $1", id)
            .execute(&self.pool)
            .await?;
        crash_point!("ended");
        Ok(())
    }

    /// The live workers.
    pub async fn workers_alive(&self) -> Result<Vec<Alive>, StoreError> {
        let rows = sqlx::query!(
            "SELECT name, release, own_limits FROM workers
             WHERE seen_at > now() - $1::double precision * interval '1 second' ORDER BY started_at, worker_id",
            ALIVE_S
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows
            .map(|row| Alive {
                name: row.name,
                release: row.release,
                own: Limit::ALL
                    .iter()
                    .filter_map(|limit| Some((*limit, row.own_limits.get(limit.as_str())?.as_f64()?)))
                    .collect(),
            })
            .collect())
    }
}

/// A live worker that does not know this rules format, if any.
pub(super) async fn unaware_of(tx: &mut Tx<'_>, format: i32) -> Result<Option<String>, StoreError> {
    let unaware = sqlx::query_scalar!(
        r#"SELECT name || ' (release ' || release || ')' AS "name!" FROM workers
           WHERE rules_format < $1 AND seen_at > now() - $2::double precision * interval '1 second'
           ORDER BY started_at LIMIT 1"#,
        format,
        ALIVE_S
    );
    Ok(unaware.fetch_optional(&mut *tx).await?)
}

/// Whether a worker lives.
pub(super) async fn is_one_alive(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    let alive = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM workers WHERE seen_at > now() - $1::double precision * interval '1 second') AS "alive!""#,
        ALIVE_S
    );
    Ok(alive.fetch_one(&mut *tx).await?)
}
