//! Table `limits`: what may be written at Auth0, and how much.
//!
//! Owns that the newest row of a name holds, and that older ones stay as the record. Must never know what a worker's own
//! settings say.

use time::OffsetDateTime;

use super::{Store, StoreError, Wake, acts, walk};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::limits::{Limit, Limits};

/// A limit as it was set.
#[derive(Clone, Debug)]
pub struct SetLimit {
    /// Which one.
    pub limit: Limit,
    /// Its value.
    pub value: f64,
    /// Which operator set it.
    pub set_by: String,
    /// Why.
    pub why: String,
    /// When.
    pub set_at: OffsetDateTime,
}

impl Store {
    /// The limits that hold, each with its record.
    pub async fn set_limits(&self) -> Result<Vec<SetLimit>, StoreError> {
        let rows = sqlx::query!(
            "SELECT DISTINCT ON (name) name, value, set_by, why, set_at FROM limits ORDER BY name, set_id DESC"
        );
        let mut rows = rows.fetch_all(&self.pool).await?;
        let mut found = Vec::new();
        for limit in Limit::ALL {
            // A name of a later release is none of ours.
            if let Some(at) = rows.iter().position(|row| row.name == limit.as_str()) {
                let row = rows.swap_remove(at);
                found.push(SetLimit {
                    limit,
                    value: row.value,
                    set_by: row.set_by,
                    why: row.why,
                    set_at: row.set_at,
                });
            }
        }
        Ok(found)
    }

    /// The values that hold for all workers.
    pub async fn limits(&self) -> Result<Limits, StoreError> {
        let mut limits = Limits::default();
        for set in self.set_limits().await? {
            limits.set(set.limit, set.value);
        }
        Ok(limits)
    }

    /// Sets a limit; workers take it over within seconds. Where roles are written again, users for whom something was
    /// decided meanwhile are looked for at once.
    pub async fn set_limit(&self, limit: Limit, value: f64, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query!(
            "INSERT INTO limits (name, value, set_by, why) VALUES ($1, $2, $3, $4)",
            limit.as_str(),
            value,
            act.by,
            act.why.as_deref().unwrap_or_default()
        )
        .execute(&mut tx)
        .await?;
        acts::keep(
            &mut tx,
            act,
            &format!("{} = {}", limit.as_str(), limit.show(value)),
        )
        .await?;
        if limit == Limit::Writes {
            walk::want(&mut tx, None).await?;
        }
        Wake::Rules.send(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }
}
