//! Talks to Postgres, and to nothing else. One file a table or pair of tables.
//!
//! Owns every query. Must never hold a transaction or a pooled connection while somebody calls another
//! system, and never decide: what to write comes in as values.

pub mod assignments;
mod at_once;
pub mod brakes;
pub mod cursors;
pub mod dead_letters;
pub mod display_names;
pub mod dossier;
pub mod erasures;
pub mod event_ids;
mod featured_playlists;
mod gauges;
mod limits;
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
pub mod profile_writes;
pub mod races;
pub mod role_changes;
mod rules;
mod rules_in_force;
mod songs;
mod tenant_log;
mod user_data;
pub mod users;
mod wake;
mod walk;
mod workers;

use std::str::FromStr as _;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize as _;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool, Postgres, Transaction};

use crate::domain::erasure::ErasureKey;
pub use assignments::{Assignment, Seen};
pub use brakes::BrakeState;
pub use cursors::{Cursor, Loss, LossKind};
pub use dead_letters::DeadLetter;
pub use display_names::Wish;
pub use dossier::Dossier;
pub use erasures::Erased;
pub use featured_playlists::OwnPlaylist;
pub use gauges::Gauges;
pub use limits::SetLimit;
pub use lock::{CHECK_EVERY, Held, Lock};
pub use looks::{Claim, HeldBy};
pub use nominations::{Cause, Nominate, Urgency};
pub use out_of_step::Compare;
pub use parked::Parked;
pub use pause::Paused;
pub use playlists::{Counted, Facts};
pub use profile_writes::{OwnRecord, OwnWrite};
pub use races::{ForeignWrite, Race, RaceOutcome};
pub use role_changes::OpenChange;
pub use rules_in_force::{InForce, OfferedBy};
pub use songs::Song;
pub use tenant_log::{Checkpoint, Hearing};
pub use wake::{Wake, Waker};
pub use walk::{Slice, Walked};
pub use workers::{Alive, Worker};

/// Compiled in once; tests and `migrate` use the same.
static MIGRATOR: Migrator = sqlx::migrate!();

/// Connections of the pool; the stages are few and their transactions short.
const MAX_CONNECTIONS: u32 = 12;
/// Longest wait for a connection out of the pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A pooled connection that served so recently is taken without asking first whether it still lives: the question would be
/// one more trip to Postgres each time. If it is gone after all, that is an error like any while a statement runs.
const TRUSTED_FOR: Duration = Duration::from_secs(5);
/// Longest a statement of ours may run, so that a stuck server is noticed.
const STATEMENT_TIMEOUT: &str = "60s";

/// A connection of its own, outside the pool.
pub type Session = PgConnection;
/// A transaction on any connection.
pub type Tx<'c> = Transaction<'c, Postgres>;

/// Postgres. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    direct: PgConnectOptions,
    erasure_key: Option<ErasureKey>,
}

/// Why Postgres could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address cannot be used; trying again will not help.
    #[error("DATABASE_URL or DATABASE_DIRECT_URL: {0}")]
    Settings(String),
    /// Postgres is not there, refused, or broke off.
    #[error("Postgres: {0}")]
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

impl Store {
    /// Prepares a pool; connects when it is first needed.
    ///
    /// # Errors
    /// An address that cannot be parsed.
    pub fn new(url: &SecretString, direct_url: &SecretString) -> Result<Self, StoreError> {
        let pool = PgPoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, since| {
                Box::pin(async move {
                    if since.idle_for > TRUSTED_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options(url)?);
        Ok(Self {
            pool,
            direct: options(direct_url)?,
            erasure_key: None,
        })
    }

    /// Begins a transaction on a pooled connection.
    pub async fn begin(&self) -> Result<Tx<'static>, StoreError> {
        Ok(self.pool.begin().await?)
    }

    /// Opens a connection of its own for a lock. A worker whose host is gone, or that is frozen, loses it, and
    /// so its lock, within 30 s.
    async fn lock_session(&self) -> Result<Session, StoreError> {
        let options = self.direct.clone().options([
            ("tcp_keepalives_idle", "5"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
            ("tcp_user_timeout", "20000"),
            ("idle_session_timeout", "25000"),
            ("idle_in_transaction_session_timeout", "25000"),
            // A plan is kept while tables grow from nothing to millions of rows: rows are always looked up, one by one.
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("enable_material", "off"),
            // The costs that the settings above pretend would have it compile every statement.
            ("jit", "off"),
        ]);
        session(&options).await
    }

    /// Applies the migrations that are missing.
    ///
    /// # Errors
    /// The schema is newer than this binary, a migration was changed after it ran, or Postgres refused.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut session = session(&self.direct).await?;
        MIGRATOR
            .run(&mut session)
            .await
            .map_err(|error| StoreError::Schema(error.to_string()))
    }

    /// Refuses a schema that this binary does not belong to.
    ///
    /// # Errors
    /// The schema is older (`migrate` is missing) or newer than this binary, or Postgres is not there.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let there = sqlx::query_scalar!(r#"SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS "there!""#);
        let applied: Vec<i64> = if there.fetch_one(&self.pool).await? {
            // Not checked at compile time: the table belongs to the migrator, not to our migrations.
            let applied = sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success");
            applied.fetch_all(&self.pool).await?
        } else {
            Vec::new()
        };
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

async fn session(options: &PgConnectOptions) -> Result<Session, StoreError> {
    let session = tokio::time::timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(options)).await;
    session
        .map_err(|_| sqlx::Error::PoolTimedOut)?
        .map_err(StoreError::from)
}

fn options(url: &SecretString) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url.expose_secret())
        .map_err(|error| StoreError::Settings(format!("not understood: {error}")))?;
    Ok(options
        .application_name("rolekeeper")
        .options([("statement_timeout", STATEMENT_TIMEOUT)]))
}
