//! Table `limits`: limits on writes at Auth0.
//!
//! Owns that the newest row of a name applies, and that older rows stay as a record. Must never know a worker's own
//! settings.

use time::OffsetDateTime;

use super::{Channel, Store, StoreError, acts, walk};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::limits::{Limit, Limits};

/// A limit as set by an operator.
#[derive(Clone, Debug)]
pub struct SetLimit {
    /// The limit.
    pub limit: Limit,
    /// Its value.
    pub value: f64,
    /// Name of the operator.
    pub set_by: String,
    /// The operator's reason.
    pub why: String,
    /// Time at which it was set.
    pub set_at: OffsetDateTime,
}

impl Store {
    /// The current limits, each with its record.
    pub async fn set_limits(&self) -> Result<Vec<SetLimit>, StoreError> {
        let rows = sqlx::query!(
            "SELECT DISTINCT ON (name) name, value, set_by, why, set_at FROM limits ORDER BY name, set_id DESC"
        );
        let mut rows = rows.fetch_all(&self.pool).await?;
        let mut found = Vec::new();
        for limit in Limit::ALL {
            // A name of a later release is ignored.
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

    /// The values that apply to all workers.
    pub async fn limits(&self) -> Result<Limits, StoreError> {
        let mut limits = Limits::default();
        for set in self.set_limits().await? {
            limits.set(set.limit, set.value);
        }
        Ok(limits)
    }

    /// Sets a limit; workers use it within seconds. If writes are turned on again, a walk searches at once for users
    /// with decisions made meanwhile.
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
        Channel::Rules.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("set");
        Ok(())
    }
}
