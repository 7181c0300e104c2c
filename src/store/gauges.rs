//! Values computed at a scrape of Prometheus.
//!
//! Owns the queries behind gauges, one a subject. Must stay cheap: each reads a small table, a counter, or an index range
//! as long as the queue.

use super::work_queue::MAX_DEBOUNCE;
use super::{Store, StoreError};

/// Current values from the tables.
#[derive(Clone, Debug)]
pub struct Gauges {
    /// The work queue.
    pub queue: QueueGauges,
    /// Its progress.
    pub drain: super::Drain,
    /// Display names.
    pub names: NameGauges,
    /// Holders of managed roles.
    pub holders: HolderGauges,
    /// Pins.
    pub pins: PinGauges,
    /// Completed changes that are not announced yet.
    pub unannounced: i64,
    /// Effects of old transactions.
    pub transactions: TransactionGauges,
    /// The tenant's log.
    pub log: LogGauges,
    /// Streams with a recorded loss.
    pub losses: Vec<String>,
    /// Kinds of changes whose brake is engaged.
    pub brakes: Vec<String>,
    /// Whether attempts and writes are stopped.
    pub paused: bool,
    /// Whether they are stopped because another program writes under our client id.
    pub unknown_write: bool,
    /// Progress of the comparison of users with the rules.
    pub walked: Option<super::Walked>,
}

/// Users in the work queue, by state.
#[derive(Clone, Copy, Debug)]
pub struct QueueGauges {
    /// Due users without a running attempt.
    pub due: i64,
    /// Users due later, after a failure or a settle time.
    pub waiting: i64,
    /// Users with a running attempt.
    pub leased: i64,
    /// Users parked for the operator.
    pub parked: i64,
    /// Users with changes that are held.
    pub held: i64,
    /// Time since the longest-due user became due, in seconds.
    pub oldest: f64,
}

/// Display names that are not as requested yet.
#[derive(Clone, Copy, Debug)]
pub struct NameGauges {
    /// Requested display names that are not written yet.
    pub waiting: i64,
    /// Display names that Auth0 refused.
    pub refused: i64,
}

/// Holders of managed roles.
#[derive(Clone, Copy, Debug)]
pub struct HolderGauges {
    /// Unadopted holders; their roles are never revoked.
    pub unadopted: i64,
    /// Adopted holders.
    pub adopted: i64,
    /// Ids that are linked to another account.
    pub linked: i64,
}

/// Pins of roles.
#[derive(Clone, Copy, Debug)]
pub struct PinGauges {
    /// Pins with which a user holds the role.
    pub on: i64,
    /// Pins with which a user does not hold it.
    pub off: i64,
}

/// Effects of old transactions.
#[derive(Clone, Copy, Debug)]
pub struct TransactionGauges {
    /// Age of the oldest visible open transaction, in seconds.
    pub oldest: f64,
    /// Row versions of the cursors that cannot be removed.
    pub versions: i64,
}

/// The tenant's log on its way to rolekeeper.
#[derive(Clone, Copy, Debug)]
pub struct LogGauges {
    /// Time of the last delivery of the log stream, Unix seconds.
    pub delivered_at: f64,
    /// Whether the log stream has delivered nothing for too long.
    pub silent: bool,
    /// Date of the last record that the gap filler took, Unix seconds; 0 for none.
    pub read_to: f64,
}

impl Store {
    /// Reads all values.
    pub async fn gauges(&self) -> Result<Gauges, StoreError> {
        let losses = sqlx::query_scalar!("SELECT stream FROM stream_losses WHERE accepted_at IS NULL");
        let brakes = sqlx::query_scalar!(
            r#"SELECT change AS "change!" FROM brakes WHERE engaged_at IS NOT NULL
               UNION ALL SELECT 'gone' FROM gone_brake WHERE engaged_at IS NOT NULL"#
        );
        let paused = self.paused().await?;
        Ok(Gauges {
            queue: self.queue_gauges().await?,
            drain: self.drain().await?,
            names: self.name_gauges().await?,
            holders: self.holder_gauges().await?,
            pins: self.pin_gauges().await?,
            unannounced: self.count_unannounced().await?,
            transactions: self.transaction_gauges().await?,
            log: self.log_gauges().await?,
            losses: losses.fetch_all(&self.pool).await?,
            brakes: brakes.fetch_all(&self.pool).await?,
            paused: paused.is_some(),
            unknown_write: paused.is_some_and(|paused| paused.unknown_write),
            walked: self.walked().await?,
        })
    }

    async fn queue_gauges(&self) -> Result<QueueGauges, StoreError> {
        // Due users and those with a running attempt are one index range per priority; the others, possibly as many as users,
        // are counted as they change.
        let queue = sqlx::query_as!(
            QueueGauges,
            r#"SELECT due.due AS "due!", due.leased AS "leased!", counted.parked AS "parked!", counted.held AS "held!",
                   greatest(0, counted.total - due.due - due.leased - counted.parked - counted.held) AS "waiting!", due.oldest AS "oldest!"
               FROM (
                   SELECT count(*) FILTER (WHERE n.lease IS NULL AND n.due_at <= now()) AS due,
                       count(*) FILTER (WHERE n.lease IS NOT NULL) AS leased,
                       coalesce(extract(epoch FROM now() - min(n.due_at) FILTER (WHERE n.due_at <= now())), 0)::double precision AS oldest
                   FROM (VALUES (0::smallint), (1::smallint), (2::smallint), (3::smallint), (4::smallint)) AS level(priority)
                   CROSS JOIN LATERAL (
                       SELECT lease, due_at FROM work_queue
                       -- an event may delay a user with a running attempt by the debounce
                       WHERE priority = level.priority AND due_at <= now() + $1::double precision * interval '1 second'
                         AND parked_at IS NULL AND held_by IS NULL
                   ) AS n
               ) AS due
               CROSS JOIN (
                   SELECT coalesce(sum(value) FILTER (WHERE counter = 'work_queue'), 0)::bigint AS total,
                       coalesce(sum(value) FILTER (WHERE counter = 'parked'), 0)::bigint AS parked,
                       coalesce(sum(value) FILTER (WHERE counter = 'held'), 0)::bigint AS held
                   FROM (SELECT counter, value FROM counters UNION ALL SELECT counter, change FROM counter_changes) AS c
                   WHERE counter IN ('work_queue', 'parked', 'held')
               ) AS counted"#,
            MAX_DEBOUNCE.as_secs_f64()
        );
        Ok(queue.fetch_one(&self.pool).await?)
    }

    async fn name_gauges(&self) -> Result<NameGauges, StoreError> {
        let names = sqlx::query_as!(
            NameGauges,
            r#"SELECT greatest(0, coalesce(sum(value) FILTER (WHERE counter = 'names_waiting'), 0))::bigint AS "waiting!",
                   greatest(0, coalesce(sum(value) FILTER (WHERE counter = 'names_refused'), 0))::bigint AS "refused!"
               FROM (SELECT counter, value FROM counters UNION ALL SELECT counter, change FROM counter_changes) AS counted
               WHERE counter IN ('names_waiting', 'names_refused')"#
        );
        Ok(names.fetch_one(&self.pool).await?)
    }

    async fn holder_gauges(&self) -> Result<HolderGauges, StoreError> {
        let holders = sqlx::query_as!(
            HolderGauges,
            r#"WITH counted AS (
                   SELECT counter, value FROM counters UNION ALL SELECT counter, change FROM counter_changes
                   -- the data of deleted users is kept, but they hold no roles
                   UNION ALL SELECT CASE WHEN a.adopted THEN 'holdings_adopted' ELSE 'holdings_unadopted' END, -1::bigint
                   FROM gone_users g JOIN assignments a ON a.user_id = g.user_id WHERE a.has_role
               )
               SELECT coalesce(sum(value) FILTER (WHERE counter = 'holdings_unadopted'), 0)::bigint AS "unadopted!",
                   coalesce(sum(value) FILTER (WHERE counter = 'holdings_adopted'), 0)::bigint AS "adopted!",
                   coalesce(sum(value) FILTER (WHERE counter = 'identities'), 0)::bigint AS "linked!"
               FROM counted"#
        );
        Ok(holders.fetch_one(&self.pool).await?)
    }

    async fn pin_gauges(&self) -> Result<PinGauges, StoreError> {
        let pins = sqlx::query_as!(
            PinGauges,
            r#"SELECT coalesce(sum(value) FILTER (WHERE counter = 'pins_on'), 0)::bigint AS "on!",
                   coalesce(sum(value) FILTER (WHERE counter = 'pins_off'), 0)::bigint AS "off!"
               FROM (SELECT counter, value FROM counters UNION ALL SELECT counter, change FROM counter_changes) AS counted"#
        );
        Ok(pins.fetch_one(&self.pool).await?)
    }

    async fn count_unannounced(&self) -> Result<i64, StoreError> {
        let unannounced = sqlx::query_scalar!(
            r#"SELECT (SELECT count(*) FROM role_changes
                       WHERE completed_at IS NOT NULL AND announced_at IS NULL AND change IN ('granted', 'revoked'))
                    + (SELECT count(*) FROM announce_again) AS "unannounced!""#
        );
        Ok(unannounced.fetch_one(&self.pool).await?)
    }

    async fn transaction_gauges(&self) -> Result<TransactionGauges, StoreError> {
        // Transactions of other database users are visible only with pg_read_all_stats; their effects always are.
        let transactions = sqlx::query_as!(
            TransactionGauges,
            r#"SELECT coalesce((SELECT extract(epoch FROM max(clock_timestamp() - xact_start)) FROM pg_stat_activity
                       WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL), 0)
                       ::double precision AS "oldest!",
                   coalesce((SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = 'stream_cursors'::regclass), 0)::bigint
                       AS "versions!""#
        );
        Ok(transactions.fetch_one(&self.pool).await?)
    }

    async fn log_gauges(&self) -> Result<LogGauges, StoreError> {
        let log = sqlx::query_as!(
            LogGauges,
            r#"SELECT extract(epoch FROM last_at)::double precision AS "delivered_at!", silent_since IS NOT NULL AS "silent!",
                   coalesce((SELECT extract(epoch FROM record_at) FROM log_checkpoint), 0)::double precision AS "read_to!"
               FROM log_deliveries"#
        );
        Ok(log.fetch_one(&self.pool).await?)
    }

    /// Fails if Postgres does not respond.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query_scalar!(r#"SELECT 1 AS "alive!""#)
            .fetch_one(&self.pool)
            .await?;
        Ok(())
    }
}
