//! Table `rules_history`: all rules that were put in force.
//!
//! Owns which rules came before others. Must never be read to decide: only `rules_in_force` is.

use super::{Store, StoreError, Tx};
use rolekeeper_domain::rule::Versioned;

/// A change of the rules.
#[derive(Clone, Debug)]
pub struct RulesChange {
    /// Version of the rules that were put in force.
    pub version: i64,
    /// Their fingerprint.
    pub fingerprint: String,
    /// Version of the rules before, and their canonical form; `None` for the first rules.
    pub former: Option<(i64, String)>,
    /// Other rules were put in force since.
    pub replaced: bool,
}

/// Adds the rules that are put in force.
pub(super) async fn add(tx: &mut Tx<'_>, put: &Versioned, by: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO rules_history (version, fingerprint, canonical, put_by) VALUES ($1, $2, $3, $4)",
        put.version,
        put.rules.fingerprint(),
        put.rules.canonical(),
        by
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Notes the act that put the newest rules in force, in its transaction.
pub(super) async fn name(tx: &mut Tx<'_>, act: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE rules_history SET act_id = $1 WHERE put_id = (SELECT max(put_id) FROM rules_history)",
        act
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

impl Store {
    /// The change of the rules by an act; `None` if the act changed none, or an earlier release made it.
    pub async fn rules_change(&self, act: i64) -> Result<Option<RulesChange>, StoreError> {
        let put = sqlx::query_scalar!("SELECT put_id FROM rules_history WHERE act_id = $1", act);
        self.change_of_rules(put.fetch_optional(&self.pool).await?).await
    }

    /// The newest change that put rules with this fingerprint in force.
    pub async fn rules_change_to(&self, fingerprint: &str) -> Result<Option<RulesChange>, StoreError> {
        let put = sqlx::query_scalar!(
            "SELECT max(put_id) FROM rules_history WHERE fingerprint = $1",
            fingerprint
        );
        self.change_of_rules(put.fetch_one(&self.pool).await?).await
    }

    async fn change_of_rules(&self, put: Option<i64>) -> Result<Option<RulesChange>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT h.version, h.fingerprint, EXISTS (SELECT FROM rules_history n WHERE n.put_id > h.put_id) AS "replaced!",
                   f.version AS "former_version?", f.canonical AS "former?"
               FROM rules_history h
               LEFT JOIN LATERAL (
                   SELECT version, canonical FROM rules_history b WHERE b.put_id < h.put_id ORDER BY put_id DESC LIMIT 1
               ) AS f ON true
               WHERE h.put_id = $1"#,
            put
        );
        let row = row.fetch_optional(&self.pool).await?;
        Ok(row.map(|row| RulesChange {
            version: row.version,
            fingerprint: row.fingerprint,
            former: row.former_version.zip(row.former),
            replaced: row.replaced,
        }))
    }
}
