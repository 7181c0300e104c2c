//! The rules in force and their history, for the operator.
//!
//! Owns these reads. Must never write, unlike the read of a worker.

use super::{Store, StoreError, Tx, rules_in_force};
use rolekeeper_domain::view::cut;
use rolekeeper_domain::view::rules::{Activation, InForce, RulesShown, Walk};

impl Store {
    /// The rules in force, the comparison of users with them, and at most `most` activations before the act `before`.
    ///
    /// # Errors
    /// Postgres does not respond, or this release does not know the format of the rules.
    pub async fn rules_shown(&self, before: i64, most: i64) -> Result<RulesShown, StoreError> {
        let mut tx = self.begin_to_read().await?;
        let in_force = rules_in_force::stored(&mut tx).await?;
        let mut history = activations(&mut tx, before, most.saturating_add(1)).await?;
        let more = cut(&mut history, most);
        Ok(RulesShown {
            in_force: in_force.map(|in_force| InForce {
                version: in_force.version,
                fingerprint: in_force.rules.fingerprint(),
                since: in_force.since,
                put_by: in_force.put_by,
                rules: in_force.rules.canonical(),
            }),
            walk: walk(&mut tx).await?,
            history,
            more,
        })
    }
}

async fn walk(tx: &mut Tx<'_>) -> Result<Option<Walk>, StoreError> {
    let row = sqlx::query_as!(
        Walk,
        "SELECT changed, requested_at, position, partitions, last_partitions FROM walk"
    );
    Ok(row.fetch_optional(&mut *tx).await?)
}

/// The acts that put rules in force, newest first. The first condition is that of an index without the acts of the worker, which
/// may be many.
async fn activations(tx: &mut Tx<'_>, before: i64, most: i64) -> Result<Vec<Activation>, StoreError> {
    let rows = sqlx::query_as!(
        Activation,
        r#"SELECT act_id, acted_at AS at, acted_by AS "by", command, arguments, why, outcome
           FROM operator_acts
           WHERE command <> 'erase deleted' AND act_id < $1 AND command IN ('rules apply', 'RULES_FILE', 'apply')
             AND outcome LIKE 'version %'
           ORDER BY act_id DESC LIMIT $2"#,
        before,
        most
    );
    Ok(rows.fetch_all(&mut *tx).await?)
}
