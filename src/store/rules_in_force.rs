//! Table `rules_in_force`: the rules that every worker uses.
//!
//! Owns their reading and activation. Must never activate older rules, nor other rules without a walk that finds the
//! affected users.

use serde_json::Value;
use time::OffsetDateTime;

use super::{Channel, Store, StoreError, Tx, acts, rules_history, walk, workers};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::rule::offer::{self, Verdict};
use rolekeeper_domain::rule::{FORMAT, FORMAT_SINCE, Rule, Rules, Versioned, fingerprint};

/// Recorded source of rules that came from no file.
const BUILT_IN: &str = "built-in";

/// The rules in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Version of the rules; 0 without one.
    pub version: i64,
    /// The rules.
    pub rules: Rules,
    /// The file or command that put them in force; `None` for an earlier release.
    pub put_by: Option<String>,
    /// Time since which they are in force.
    pub since: OffsetDateTime,
}

/// Source of offered rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferedBy {
    /// No rules were in force, and there is no file.
    BuiltIn,
    /// `RULES_FILE` of a worker.
    File,
    /// `rolekeeper rules apply`; with `force`, even if live workers do not know the format.
    Command {
        /// Whether workers that do not know the format may be left waiting.
        force: bool,
    },
    /// `rolekeeper apply`, of a plan of proposed rules.
    Plan,
}

impl OfferedBy {
    fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => BUILT_IN,
            Self::File => "RULES_FILE",
            Self::Command { .. } => "rules apply",
            Self::Plan => "apply",
        }
    }
}

impl InForce {
    /// The form that offered rules are compared with.
    #[must_use]
    pub fn to_compare(&self) -> offer::InForce {
        offer::InForce {
            version: self.version,
            fingerprint: self.rules.fingerprint(),
            built_in: self.put_by.as_deref() == Some(BUILT_IN),
        }
    }
}

/// The rules in force, as they are stored: unlike [`Store::rules_in_force`], it writes nothing where an earlier release wrote without
/// the canonical form.
pub(super) async fn stored(tx: &mut Tx<'_>) -> Result<Option<InForce>, StoreError> {
    let row = sqlx::query!(
        "SELECT rules, version, format, needs_release, canonical, put_by, since FROM rules_in_force"
    );
    let Some(row) = row.fetch_optional(&mut *tx).await? else {
        return Ok(None);
    };
    known(row.version, row.format, &row.needs_release)?;
    let rules = match row.canonical {
        Some(text) => Versioned::parse(&text).map_err(|_| inconsistent(&text))?.rules,
        None => parsed(row.rules)?,
    };
    Ok(Some(InForce {
        version: row.version,
        rules,
        put_by: row.put_by,
        since: row.since,
    }))
}

impl Store {
    /// The rules in force; `None` before the first worker's start.
    ///
    /// # Errors
    /// [`StoreError::RulesFormat`] if this release does not know their format.
    pub async fn rules_in_force(&self) -> Result<Option<InForce>, StoreError> {
        for attempt in 0.. {
            let row = sqlx::query!(
                "SELECT fingerprint, version, format, needs_release, canonical, put_by, since FROM rules_in_force"
            );
            let Some(row) = row.fetch_optional(&self.pool).await? else {
                return Ok(None);
            };
            let written = row
                .canonical
                .as_deref()
                .filter(|text| fingerprint(text) == row.fingerprint);
            let Some(canonical) = written.or(row.canonical.as_deref().filter(|_| attempt > 0)) else {
                self.repair_rules().await?;
                continue;
            };
            known(row.version, row.format, &row.needs_release)?;
            let read = Versioned::parse(canonical).map_err(|_| inconsistent(canonical))?;
            return Ok(Some(InForce {
                version: row.version,
                rules: read.rules,
                put_by: row.put_by,
                since: row.since,
            }));
        }
        Ok(None)
    }

    /// Puts the offered rules in force if their version allows it; returns the decision.
    pub async fn offer_rules(
        &self,
        offered: &Versioned,
        by: OfferedBy,
        act: Option<&Act>,
    ) -> Result<Verdict, StoreError> {
        self.offer(offered, by, None, act).await
    }

    /// Puts the rules of a plan in force, if the rules in force are still those with the fingerprint `over`.
    pub async fn offer_planned_rules(
        &self,
        offered: &Versioned,
        over: &str,
        act: &Act,
    ) -> Result<Verdict, StoreError> {
        self.offer(offered, OfferedBy::Plan, Some(over), Some(act)).await
    }

    async fn offer(
        &self,
        offered: &Versioned,
        by: OfferedBy,
        over: Option<&str>,
        act: Option<&Act>,
    ) -> Result<Verdict, StoreError> {
        let mut tx = self.begin().await?;
        // Prevents two offers from both finding an empty table.
        sqlx::query!("LOCK TABLE rules_in_force IN SHARE ROW EXCLUSIVE MODE")
            .execute(&mut tx)
            .await?;
        let row = sqlx::query!("SELECT fingerprint, version, put_by FROM rules_in_force");
        let row = row.fetch_optional(&mut tx).await?;
        let in_force = row.map(|row| offer::InForce {
            version: row.version,
            fingerprint: row.fingerprint,
            built_in: row.put_by.as_deref() == Some(BUILT_IN),
        });
        let verdict = offer::judge(offered, in_force.as_ref());
        let is_other = |over: &str| in_force.as_ref().is_none_or(|now| now.fingerprint != over);
        // Another apply of the same plan may have been first.
        if verdict != Verdict::Same && over.is_some_and(is_other) {
            return Ok(Verdict::Refused(
                "the rules in force changed since the plan was made: make the plan again".to_owned(),
            ));
        }
        if verdict != Verdict::PutInForce {
            return Ok(verdict);
        }
        let format = offered.rules.format();
        if by != (OfferedBy::Command { force: true })
            && let Some(unaware) = workers::unaware_of(&mut tx, format).await?
        {
            return Ok(Verdict::Refused(format!(
                "the rules have format {format}, which the running worker {unaware} does not know. Start release \
                 {FORMAT_SINCE} or newer in its place, or run `rolekeeper rules apply --force`, after which that worker waits"
            )));
        }
        put(&mut tx, offered, by.as_str(), in_force.as_ref()).await?;
        if let Some(act) = act {
            let was = in_force.map_or_else(|| "none".to_owned(), |in_force| in_force.version.to_string());
            let outcome = format!(
                "version {} is in force, in place of {was}; fingerprint {}",
                offered.version,
                offered.rules.fingerprint()
            );
            let number = acts::keep_numbered(&mut tx, act, &outcome).await?;
            rules_history::name(&mut tx, number).await?;
        }
        tx.commit().await?;
        crash_point!("offered");
        Ok(verdict)
    }

    /// Whether the rules with this fingerprint are in force.
    ///
    /// # Errors
    /// [`StoreError::RulesFormat`] if the rules in force have an unknown format.
    pub async fn rules_are_in_force(&self, fingerprint: &str) -> Result<bool, StoreError> {
        let row = sqlx::query!("SELECT fingerprint, version, format, needs_release FROM rules_in_force");
        let Some(row) = row.fetch_optional(&self.pool).await? else {
            return Ok(false);
        };
        known(row.version, row.format, &row.needs_release)?;
        Ok(row.fingerprint == fingerprint)
    }

    /// Writes the canonical form where a worker of an earlier release has written without it or changed the rules
    /// beside it. The canonical form, which that release does not know, stays in force.
    async fn repair_rules(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query!("LOCK TABLE rules_in_force IN SHARE ROW EXCLUSIVE MODE")
            .execute(&mut tx)
            .await?;
        let row = sqlx::query!("SELECT fingerprint, rules, version, canonical FROM rules_in_force");
        let Some(row) = row.fetch_optional(&mut tx).await? else {
            return Ok(());
        };
        let in_force = offer::InForce {
            version: row.version,
            fingerprint: row.fingerprint,
            built_in: false,
        };
        match row.canonical {
            Some(text) if fingerprint(&text) == in_force.fingerprint => return Ok(()),
            Some(text) => {
                // Meanwhile totals were kept under other rules, or not at all.
                sqlx::query!(
                    "UPDATE rules_in_force SET totals_generation = totals_generation + 1, fingerprint = $1",
                    fingerprint(&text)
                )
                .execute(&mut tx)
                .await?;
                sqlx::query!("UPDATE stream_cursors SET epoch = epoch + 1")
                    .execute(&mut tx)
                    .await?;
                walk::want(&mut tx, Some(&fingerprint(&text))).await?;
            }
            None => {
                let rules = parsed(row.rules)?;
                let by = if rules == Rules::default() {
                    BUILT_IN
                } else {
                    OfferedBy::File.as_str()
                };
                let offered = Versioned {
                    version: row.version,
                    rules,
                };
                put(&mut tx, &offered, by, Some(&in_force)).await?;
            }
        }
        Channel::Rules.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("repaired");
        Ok(())
    }
}

/// Puts rules in force, and requests the walk that finds the affected users. The transaction is small, whatever the
/// number of users.
async fn put(
    tx: &mut Tx<'_>,
    offered: &Versioned,
    by: &str,
    before: Option<&offer::InForce>,
) -> Result<(), StoreError> {
    let Versioned { version, rules } = offered;
    let fingerprint = rules.fingerprint();
    let canonical = rules.canonical();
    sqlx::query!(
        "INSERT INTO rules_in_force AS r (fingerprint, rules, version, format, needs_release, canonical, put_by, totals_kept)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (only_row) DO UPDATE SET fingerprint = excluded.fingerprint, rules = excluded.rules,
             version = excluded.version, format = excluded.format, needs_release = excluded.needs_release,
             canonical = excluded.canonical, put_by = excluded.put_by, since = now(),
             totals_kept = excluded.totals_kept,
             totals_generation = r.totals_generation + CASE WHEN excluded.totals_kept AND NOT r.totals_kept THEN 1 ELSE 0 END",
        fingerprint,
        serde_json::to_value(rules.as_slice()).unwrap_or_default(),
        version,
        rules.format(),
        FORMAT_SINCE,
        canonical,
        by,
        rules.need_totals()
    )
    .execute(&mut *tx)
    .await?;
    rules_history::add(tx, offered, by).await?;
    if before.is_none_or(|before| before.fingerprint != fingerprint) {
        // A fold under the old rules that has not committed must fail: it would miss users that the new rules affect.
        sqlx::query!("UPDATE stream_cursors SET epoch = epoch + 1")
            .execute(&mut *tx)
            .await?;
        walk::want(tx, Some(&fingerprint)).await?;
    }
    Channel::Rules.send(tx).await
}

/// Parses rules that were stored without their canonical form.
fn parsed(rules: Value) -> Result<Rules, StoreError> {
    let stored = rules.to_string();
    let rules: Vec<Rule> = serde_json::from_value(rules).map_err(|_| inconsistent(&stored))?;
    Rules::checked(rules).map_err(|_| inconsistent(&stored))
}

fn known(version: i64, format: i32, needs_release: &str) -> Result<(), StoreError> {
    if (1..=FORMAT).contains(&format) {
        return Ok(());
    }
    Err(StoreError::RulesFormat(format!(
        "the rules in force (version {version}) have format {format}, which this release ({}) does not know: start release \
         {needs_release} or newer in its place",
        env!("CARGO_PKG_VERSION")
    )))
}

fn inconsistent(value: &str) -> StoreError {
    StoreError::Inconsistent {
        table: "rules_in_force",
        column: "canonical",
        value: value.to_owned(),
    }
}
