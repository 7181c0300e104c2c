//! The migrations, and the check of the schema at each start.
//!
//! Owns which schema this binary works on. Must never change a database that other migrations made.

use std::error::Error;

use sqlx::migrate::{MigrateError, Migrator};

use super::session::Session;
use super::{Store, StoreError, fault};

/// Embedded once; tests and `migrate` use the same.
static MIGRATOR: Migrator = sqlx::migrate!();

/// The text of each migration, in their order.
pub(super) fn migrations() -> impl Iterator<Item = &'static str> {
    MIGRATOR.iter().map(|migration| migration.sql.as_str())
}

impl Store {
    /// Applies the missing migrations; returns their number.
    ///
    /// # Errors
    /// The schema is newer than this binary or from before the first release, a migration was changed after it ran, or
    /// Postgres refused.
    pub async fn migrate(&self) -> Result<usize, StoreError> {
        let before = self.applied().await?;
        refuse_before_release(&before)?;
        let mut session = Session::open(&self.direct).await?;
        MIGRATOR
            .run(session.unbounded())
            .await
            .map_err(|error| refused(&error))?;
        Ok(self.applied().await?.len().saturating_sub(before.len()))
    }

    /// Versions of the applied migrations.
    async fn applied(&self) -> Result<Vec<i64>, StoreError> {
        let there = sqlx::query_scalar!(r#"SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS "there!""#);
        if !there.fetch_one(&self.pool).await? {
            return Ok(Vec::new());
        }
        // Not checked at compile time: the table belongs to the migrator, not to our migrations.
        let applied =
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version");
        Ok(applied.fetch_all(&self.pool).await?)
    }

    /// Refuses a schema that does not fit this binary.
    ///
    /// # Errors
    /// The schema is older (`migrate` is missing) or newer than this binary, or Postgres is unreachable.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let applied = self.applied().await?;
        refuse_before_release(&applied)?;
        let needed: Vec<i64> = MIGRATOR.iter().map(|migration| migration.version).collect();
        if let Some(missing) = needed.iter().find(|version| !applied.contains(version)) {
            return Err(StoreError::Schema(format!(
                "the schema lacks migration {missing}, which this binary needs; run `rolekeeper migrate`"
            )));
        }
        if let Some(newer) = applied.iter().find(|version| !needed.contains(version)) {
            return Err(StoreError::Schema(format!(
                "the schema has migration {newer}, which this binary does not know; use a newer binary"
            )));
        }
        Ok(())
    }
}

/// The error of the migrator, with the remedy where another role owns the schema.
fn refused(error: &MigrateError) -> StoreError {
    let mut causes = std::iter::successors(Some(error as &dyn Error), |error| (*error).source());
    let lacks_right = causes.any(|cause| cause.downcast_ref().and_then(fault::lacks_right).is_some());
    let remedy = if lacks_right {
        "; `migrate` needs the role that owns the schema, rolekeeper_migrate of deploy/postgres/roles.sql: run it with that role in \
         DATABASE_URL (and in DATABASE_DIRECT_URL, if set)"
    } else {
        ""
    };
    StoreError::Schema(format!("{error}{remedy}"))
}

/// Refuses a database whose tables have the names from before the first release.
fn refuse_before_release(applied: &[i64]) -> Result<(), StoreError> {
    let first = MIGRATOR.iter().map(|migration| migration.version).min();
    let Some(old) = applied.iter().find(|version| Some(**version) < first) else {
        return Ok(());
    };
    Err(StoreError::Schema(format!(
        "this database was made before the first release (migration {old}), with other names of tables, so this binary \
         cannot use it: create an empty database, set DATABASE_URL to it, and run `rolekeeper migrate`; rolekeeper then \
         counts the events that the stream still holds"
    )))
}
