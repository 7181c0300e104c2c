//! All access to Postgres, one file per table or pair of tables.
//!
//! Owns every query. Must never hold a transaction or a pooled connection during a call to another system, and never
//! decide: the values to write are arguments.

pub mod acts;
mod announced_end;
pub mod assignments;
pub mod bans;
pub mod bases;
mod brake_releases;
mod brake_row;
pub mod brakes;
pub mod carried_removals;
mod change_counts;
mod channel;
pub mod confirmations;
mod counters;
pub mod cursor_advance;
mod cursor_marks;
pub mod cursors;
pub mod dead_letters;
mod deadline;
pub mod debts;
pub mod decisions;
mod deletions;
pub mod discovery;
pub mod display_names;
mod drain;
pub mod erasures;
mod error;
pub mod event_ids;
mod evidence;
mod explanation;
mod fault;
mod featured_playlists;
pub mod fold_starts;
pub mod foreign_changes;
mod forgotten;
pub mod former_identities;
mod former_tenant;
pub mod found_holders;
mod gauges;
pub mod gone;
mod held_by;
pub mod history;
pub mod identities;
pub mod imports;
mod in_clear;
pub mod kept_letters;
pub mod lease_ends;
pub mod leases;
mod lent;
mod limits;
pub mod links;
mod lock;
pub mod locked_rows;
pub mod moves;
mod named_letters;
mod out_of_date;
pub mod outdated_reads;
pub mod own_decisions;
pub mod own_playlists;
pub mod owner_totals;
mod parked;
mod pause;
mod pending_moves;
mod person;
pub mod pins;
mod pipe;
pub mod playlist_lifecycles;
pub mod playlists;
mod pool;
pub mod preview;
pub mod profile_writes;
pub mod promoted;
mod publish_budgets;
mod queue_page;
pub mod race_ends;
pub mod races;
pub mod rebuild;
pub mod recount;
mod release;
pub mod removals;
pub mod replaced_events;
pub mod restores;
pub mod results;
mod retention;
mod role_change_chain;
pub mod role_changes;
mod rules_history;
mod rules_in_force;
mod rules_shown;
mod said;
mod schema;
mod schema_objects;
mod server;
mod session;
mod session_check;
mod shown;
mod slices;
pub mod snapshot;
mod songs;
pub mod stored_holders;
pub mod stray_writes;
mod sweep;
mod tenant;
mod tenant_log;
mod tls_files;
mod tx;
mod undone;
pub mod unknown_writes;
mod user_data;
mod user_search;
pub mod users;
mod walk;
pub mod work_queue;
mod workers;
pub mod wrong_totals;

use std::collections::BTreeMap;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize as _;
use sqlx::postgres::PgConnectOptions;

pub use acts::{Acted, ERASE_DELETED};
pub use announced_end::AnnouncedEnd;
pub use bases::Base;
pub use brake_releases::{HeldKind, Release, Way};
pub use brakes::BrakeState;
pub use channel::{Channel, Listener};
pub use cursor_marks::Trimmable;
pub use cursors::{Cursor, Loss};
pub use dead_letters::DeadLetter;
pub use deletions::Deleted;
pub use display_names::NameRequest;
pub use drain::Drain;
pub use erasures::Erased;
pub use error::StoreError;
pub use evidence::ChainPart;
pub use explanation::Explained;
pub use fault::Fault;
pub use forgotten::{AnnouncedChange, ForgottenChanges};
pub use gauges::Gauges;
pub use in_clear::InClear;
pub use kept_letters::{Handled, Letter, LetterCount, LetterFilter, LetterKey};
pub use leases::Claim;
pub use limits::SetLimit;
pub use lock::{CHECK_EVERY, Lock, LockGuard};
pub use moves::MoveOutcome;
pub use out_of_date::Compare;
pub use own_playlists::OwnPlaylist;
pub use parked::RequeueAll;
pub use pause::{Paused, Resumed};
pub use pins::{PinOutcome, Pinned, UnpinOutcome};
pub use playlists::Counted;
use pool::Pool;
pub use profile_writes::{OwnRecord, OwnWrite};
pub use races::ForeignWrite;
pub use release::{Begun, Engaged as BrakeEngaged, Step};
pub use retention::Retained;
use rolekeeper_domain::erasure::ErasureKey;
pub use rolekeeper_domain::race::RaceOutcome;
pub use rules_history::RulesChange;
pub use rules_in_force::{InForce, OfferedBy};
pub use schema_objects::Altered;
pub use server::{Server, SessionSetting};
use session::Session;
pub use songs::Song;
pub use tenant::TenantMove;
pub use tenant_log::{Checkpoint, StreamHealth};
pub use tx::Tx;
pub use walk::{Partition, Walked};
pub use work_queue::{Cause, Enqueue, Priority};
pub use workers::{Alive, Worker};

/// Connections in the pool of the stages, which are few and have short transactions.
const STAGE_CONNECTIONS: u32 = 8;
/// Connections in the pool of the data API: a flood of requests waits for these and delays no stage.
const API_CONNECTIONS: u32 = 6;
/// Connections of a command that only reads, one statement after the other.
const READING_CONNECTIONS: u32 = 1;
/// Connections in the pool for metrics and health.
const OPS_CONNECTIONS: u32 = 2;

/// Connections in the pool of the console.
const CONSOLE_CONNECTIONS: u32 = 3;

/// Settings of a transaction that only reads. Postgres does not compile its statements, which would take longer than to read a few
/// rows.
const READ_ONE_MOMENT: &str =
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off";

/// Access to Postgres. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    pooled: PgConnectOptions,
    direct: PgConnectOptions,
    /// Sessions waiting for a lock that another worker has; the next attempt uses the same session.
    waiting: Arc<Mutex<BTreeMap<Lock, Session>>>,
    erasure_key: Option<ErasureKey>,
}

impl Store {
    /// Prepares a pool, which connects at its first use.
    ///
    /// # Errors
    /// An invalid address.
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

    /// The same store with a separate pool for the data API.
    #[must_use]
    pub fn for_api(&self) -> Self {
        self.with_pool_of(API_CONNECTIONS)
    }

    /// The same store with a separate pool for metrics and health.
    #[must_use]
    pub fn for_ops(&self) -> Self {
        self.with_pool_of(OPS_CONNECTIONS)
    }

    /// The same store for a command that only reads. It takes no lock and its statements are unnamed, as behind a pooler, so it does
    /// not matter whether a pooler in transaction mode lies between.
    #[must_use]
    pub fn for_reading(&self) -> Self {
        let pool = Pool::new(self.pooled.clone(), READING_CONNECTIONS, true);
        Self { pool, ..self.clone() }
    }

    /// The same store with a separate pool for the pages of the console, whose sessions cannot write.
    #[must_use]
    pub fn for_console(&self) -> Self {
        let behind_pooler = self.pool.behind_pooler();
        let pool = Pool::to_read(self.pooled.clone(), CONSOLE_CONNECTIONS, behind_pooler);
        Self { pool, ..self.clone() }
    }

    fn with_pool_of(&self, connections: u32) -> Self {
        let pool = Pool::new(self.pooled.clone(), connections, self.pool.behind_pooler());
        Self { pool, ..self.clone() }
    }

    /// Begins a transaction on a pooled connection.
    pub async fn begin(&self) -> Result<Tx<'static>, StoreError> {
        Ok(self.pool.begin().await?)
    }

    /// Begins a transaction that sees one moment and cannot write.
    pub async fn begin_to_read(&self) -> Result<Tx<'static>, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::raw_sql(READ_ONE_MOMENT).execute(&mut tx).await?;
        Ok(tx)
    }

    /// Begins a transaction on a pooled connection for statements about few users, whose rows are looked up one by one. Plans are
    /// kept: one made for these users looks cheaper to Postgres, so it would make one each time, which takes longer than its use.
    /// A kept plan may be as old as the connection, so none of them scans a table.
    pub async fn begin_look_ups(&self) -> Result<Tx<'static>, StoreError> {
        Ok(self.pool.begin_look_ups().await?)
    }

    /// The same, for an attempt: a statement that waits for a lock fails after a second, so that users whose rows are locked hold
    /// no connection for long.
    pub async fn begin_bounded(&self) -> Result<Tx<'static>, StoreError> {
        Ok(self.pool.begin_bounded().await?)
    }

    /// Takes the lock if no other worker has it. A standby keeps its session and retries on it.
    pub async fn try_lock(&self, lock: Lock) -> Result<Option<LockGuard>, StoreError> {
        let waiting = self.waiting().remove(&lock);
        let mut session = match waiting {
            Some(session) => session,
            None => Session::for_lock(&self.direct).await?,
        };
        if lock.take(&mut session).await? {
            return Ok(Some(LockGuard { session }));
        }
        self.waiting().insert(lock, session);
        Ok(None)
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Lock, Session>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Parses a stored list of texts.
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
        .map_err(|error| StoreError::Settings(format!("invalid: {error}")))?;
    tls_files::check(&options)?;
    Ok(options
        .application_name("rolekeeper")
        // A pooler refuses a parameter that it does not keep for each client.
        .extra_float_digits(None))
}
