//! Talks to Postgres, and to nothing else. One file a table or pair of tables.
//!
//! Owns every query. Must never hold a transaction or a pooled connection while somebody calls another
//! system, and never decide: what to write comes in as values.

mod acts;
mod announced_end;
pub mod assignments;
mod at_once;
pub mod brakes;
pub mod confirmations;
mod counters;
mod cursor_marks;
pub mod cursors;
pub mod dead_letters;
pub mod debts;
pub mod display_names;
pub mod dossier;
pub mod erasures;
pub mod event_ids;
mod fault;
mod featured_playlists;
pub mod fold_starts;
pub mod foreign_changes;
mod forgotten;
mod gauges;
pub mod gone;
mod held_by;
mod in_clear;
mod limits;
pub mod lives;
mod lock;
pub mod looks;
mod me;
pub mod nominations;
mod out_of_step;
pub mod owner_totals;
mod parked;
mod pause;
mod person;
pub mod playlists;
mod pool;
pub mod profile_writes;
pub mod promoted;
mod publish_budgets;
pub mod race_ends;
pub mod races;
mod release;
pub mod restores;
mod retention;
pub mod role_changes;
mod rules_in_force;
mod session;
mod shown;
mod songs;
mod sweep;
mod tenant;
mod tenant_log;
mod tx;
pub mod unknown_writes;
mod user_data;
pub mod users;
mod wake;
mod walk;
mod workers;

use std::collections::BTreeMap;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize as _;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;

pub use acts::Acted;
pub use announced_end::AnnouncedEnd;
pub use assignments::{Assignment, Seen};
pub use brakes::BrakeState;
pub use cursor_marks::Trimmable;
pub use cursors::{Cursor, Loss, LossKind};
pub use dead_letters::DeadLetter;
pub use display_names::Wish;
pub use dossier::Dossier;
pub use erasures::Erased;
pub use fault::Fault;
pub use featured_playlists::OwnPlaylist;
pub use forgotten::{ForgottenChanges, Told};
pub use gauges::Gauges;
pub use held_by::HeldBy;
pub use in_clear::InClear;
pub use limits::SetLimit;
pub use lock::{CHECK_EVERY, Held, Lock};
pub use looks::Claim;
pub use nominations::{Cause, Nominate, Urgency};
pub use out_of_step::Compare;
pub use parked::Parked;
pub use pause::{Paused, Resumed};
pub use playlists::{Counted, Facts};
use pool::Pool;
pub use profile_writes::{OwnRecord, OwnWrite};
pub use races::{ForeignWrite, Race, RaceOutcome, Theirs};
pub use retention::Kept;
pub use role_changes::{OpenChange, Restored};
use rolekeeper_domain::erasure::ErasureKey;
pub use rules_in_force::{InForce, OfferedBy};
use session::Session;
pub use songs::Song;
pub use tenant_log::{Checkpoint, Hearing};
pub use tx::Tx;
pub use wake::{Wake, Waker};
pub use walk::{Slice, Walked};
pub use workers::{Alive, Worker};

/// Compiled in once; tests and `migrate` use the same.
static MIGRATOR: Migrator = sqlx::migrate!();

/// Connections of the stages' pool; the stages are few and their transactions short.
const STAGE_CONNECTIONS: u32 = 8;
/// Connections of the data API's pool: a flood of requests waits for these, and holds up no stage.
const API_CONNECTIONS: u32 = 6;
/// Connections for metrics and health.
const OPS_CONNECTIONS: u32 = 2;

/// Postgres. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    pooled: PgConnectOptions,
    direct: PgConnectOptions,
    /// Sessions that asked for a lock another worker has; asked on again.
    waiting: Arc<Mutex<BTreeMap<Lock, Session>>>,
    erasure_key: Option<ErasureKey>,
}

/// Why Postgres could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address cannot be used; trying again will not help.
    #[error("DATABASE_URL or DATABASE_DIRECT_URL: {0}")]
    Settings(String),
    /// Postgres is not there, refused, or broke off.
    #[error("Postgres: {0}{remedy}", remedy = fault::remedy(.0))]
    Postgres(#[from] sqlx::Error),
    /// The schema and this binary do not belong together.
    #[error("{0}")]
    Schema(String),
    /// People were erased with a key that this worker does not have; the text names the setting.
    #[error("{0}")]
    ErasureKey(String),
    /// The rules in force have a format that this release does not know; the text names the release that does.
    #[error("{0}")]
    RulesFormat(String),
    /// The user was erased for good: nothing is kept of them any more.
    #[error("the user was erased")]
    Erased,
    /// The database belongs to another tenant than the one configured; the text names both, and the remedy.
    #[error("{0}")]
    Tenant(String),
    /// A stored value cannot be what we wrote.
    #[error("table {table}, column {column}: {value:?} is not understood")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What stands there.
        value: String,
    },
}

impl StoreError {
    /// Whether the same would fail again however often it is tried: a value that Postgres does not take, or one that is stored
    /// and cannot be understood.
    #[must_use]
    pub fn is_about_the_data(&self) -> bool {
        matches!(self, Self::Inconsistent { .. }) || matches!(self.fault(), Some(Fault::Refused(_)))
    }
}

impl Store {
    /// Prepares a pool; connects when it is first needed.
    ///
    /// # Errors
    /// An address that cannot be parsed.
    pub fn new(url: &SecretString, direct_url: &SecretString) -> Result<Self, StoreError> {
        let (pooled, direct) = (options(url)?, options(direct_url)?);
        let pooler = url.expose_secret() != direct_url.expose_secret();
        Ok(Self {
            pool: Pool::new(pooled.clone(), STAGE_CONNECTIONS, pooler),
            pooled,
            direct,
            waiting: Arc::default(),
            erasure_key: None,
        })
    }

    /// The same with a pool of its own for the data API.
    #[must_use]
    pub fn for_api(&self) -> Self {
        self.with_pool_of(API_CONNECTIONS)
    }

    /// The same with a pool of its own for metrics and health.
    #[must_use]
    pub fn for_ops(&self) -> Self {
        self.with_pool_of(OPS_CONNECTIONS)
    }

    fn with_pool_of(&self, connections: u32) -> Self {
        let pool = Pool::new(self.pooled.clone(), connections, self.pool.behind_pooler());
        Self { pool, ..self.clone() }
    }

    /// Begins a transaction on a pooled connection.
    pub async fn begin(&self) -> Result<Tx<'static>, StoreError> {
        Ok(self.pool.begin().await?)
    }

    /// Applies the migrations that are missing; answers how many.
    ///
    /// # Errors
    /// The schema is newer than this binary, a migration was changed after it ran, or Postgres refused.
    pub async fn migrate(&self) -> Result<usize, StoreError> {
        let before = self.applied().await?.len();
        let mut session = Session::open(&self.direct).await?;
        MIGRATOR
            .run(session.unbounded())
            .await
            .map_err(|error| StoreError::Schema(error.to_string()))?;
        Ok(self.applied().await?.len().saturating_sub(before))
    }

    /// Migrations that were applied, by version.
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

    /// Refuses a schema that this binary does not belong to.
    ///
    /// # Errors
    /// The schema is older (`migrate` is missing) or newer than this binary, or Postgres is not there.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let applied = self.applied().await?;
        let needed: Vec<i64> = MIGRATOR.iter().map(|migration| migration.version).collect();
        if let Some(missing) = needed.iter().find(|version| !applied.contains(version)) {
            return Err(StoreError::Schema(format!(
                "the schema lacks migration {missing}, which this binary needs; run `rolekeeper migrate`"
            )));
        }
        if let Some(newer) = applied.iter().find(|version| !needed.contains(version)) {
            return Err(StoreError::Schema(format!(
                "the schema has migration {newer}, newer than this binary knows; start a newer binary"
            )));
        }
        Ok(())
    }
}

/// A stored list of texts.
fn string_list(
    table: &'static str,
    column: &'static str,
    value: &serde_json::Value,
) -> Result<Vec<String>, StoreError> {
    Vec::deserialize(value).map_err(|_| StoreError::Inconsistent {
        table,
        column,
        value: value.to_string(),
    })
}

fn options(url: &SecretString) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url.expose_secret())
        .map_err(|error| StoreError::Settings(format!("not understood: {error}")))?;
    Ok(options
        .application_name("rolekeeper")
        // A pooler refuses what it does not keep for each client.
        .extra_float_digits(None))
}
