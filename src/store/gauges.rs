//! Values computed at a scrape of Prometheus.
//!
//! Owns the queries behind gauges. Must stay cheap: each reads a small table, a counter, or an index range as long as
//! the queue.

use super::work_queue::MAX_DEBOUNCE;
use super::{Store, StoreError};

/// Current values from the tables.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
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
    pub oldest_due_s: f64,
    /// Requested display names that are not written yet.
    pub names_waiting: i64,
    /// Display names that Auth0 refused.
    pub names_refused: i64,
    /// Unadopted holders; their roles are never revoked.
    pub unadopted: i64,
    /// Adopted holders.
    pub adopted: i64,
    /// Ids that are linked to another account.
    pub linked: i64,
    /// Completed changes that are not announced yet.
    pub unannounced: i64,
    /// Age of the oldest visible open transaction, in seconds.
    pub oldest_transaction_s: f64,
    /// Row versions of the cursors that cannot be removed.
    pub cursor_versions: i64,
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
    /// Time of the last delivery of the log stream, Unix seconds.
    pub log_delivered_at_s: f64,
    /// Whether the log stream has delivered nothing for too long.
    pub log_silent: bool,
    /// Date of the last record that the gap filler took, Unix seconds; 0 for none.
    pub log_read_to_s: f64,
}

impl Store {
    /// Reads all values.
    pub async fn gauges(&self) -> Result<Gauges, StoreError> {
        // Due users and those with a running attempt are one index range per priority; parked and held users have their
        // own indexes. The rest are timers, possibly as many as users.
        let queue = sqlx::query!(
            r#"SELECT due.due AS "due!", due.leased AS "leased!", parked.parked AS "parked!", held.held AS "held!",
                   greatest(0, total.total - due.due - due.leased - parked.parked - held.held) AS "waiting!", due.oldest AS "oldest!"
               FROM (
                   SELECT count(*) FILTER (WHERE n.lease IS NULL AND n.due_at <= now()) AS due,
                       count(*) FILTER (WHERE n.lease IS NOT NULL) AS leased,
                       coalesce(extract(epoch FROM now() - min(n.due_at) FILTER (WHERE n.due_at <= now())), 0)::double precision AS oldest
                   FROM (VALUES (0::smallint), (1::smallint), (2::smallint), (3::smallint), (4::smallint)) AS level(urgency)
                   CROSS JOIN LATERAL (
                       SELECT lease, due_at FROM nominations
                       -- an event may delay a user with a running attempt by the debounce
                       WHERE urgency = level.urgency AND due_at <= now() + $1::double precision * interval '1 second'
                         AND parked_at IS NULL AND held IS NULL
                   ) AS n
               ) AS due
               CROSS JOIN (SELECT count(*) AS parked FROM nominations WHERE parked_at IS NOT NULL) AS parked
               CROSS JOIN (SELECT count(*) AS held FROM nominations WHERE held IS NOT NULL AND parked_at IS NULL) AS held
               CROSS JOIN (
                   SELECT coalesce((SELECT value FROM counters WHERE counter = 'nominations'), 0)
                       + coalesce((SELECT sum(change) FROM counter_changes WHERE counter = 'nominations'), 0)::bigint AS total
               ) AS total"#,
            MAX_DEBOUNCE.as_secs_f64()
        )
        .fetch_one(&self.pool)
        .await?;
        let names = sqlx::query!(
            r#"SELECT count(*) FILTER (WHERE wished IS NOT NULL AND refused IS NULL) AS "waiting!",
                   count(*) FILTER (WHERE refused IS NOT NULL) AS "refused!"
               FROM display_names"#
        )
        .fetch_one(&self.pool)
        .await?;
        let holders = sqlx::query!(
            r#"WITH counted AS (
                   SELECT counter, value FROM counters UNION ALL SELECT counter, change FROM counter_changes
                   -- the data of deleted users is kept, but they hold no roles
                   UNION ALL SELECT CASE WHEN a.adopted THEN 'holdings_adopted' ELSE 'holdings_unadopted' END, -1::bigint
                   FROM gone_users g JOIN assignments a ON a.user_id = g.user_id WHERE a.held
               )
               SELECT coalesce(sum(value) FILTER (WHERE counter = 'holdings_unadopted'), 0)::bigint AS "unadopted!",
                   coalesce(sum(value) FILTER (WHERE counter = 'holdings_adopted'), 0)::bigint AS "adopted!",
                   coalesce(sum(value) FILTER (WHERE counter = 'identities'), 0)::bigint AS "linked!"
               FROM counted"#
        )
        .fetch_one(&self.pool)
        .await?;
        // Transactions of other database users are visible only with pg_read_all_stats; their effects always are.
        let held_up = sqlx::query!(
            r#"SELECT coalesce((SELECT extract(epoch FROM max(clock_timestamp() - xact_start)) FROM pg_stat_activity
                       WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL), 0)
                       ::double precision AS "oldest!",
                   coalesce((SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = 'stream_cursors'::regclass), 0)::bigint
                       AS "versions!""#
        )
        .fetch_one(&self.pool)
        .await?;
        let losses = sqlx::query_scalar!("SELECT stream FROM stream_losses WHERE accepted_at IS NULL");
        let brakes = sqlx::query_scalar!(
            r#"SELECT change AS "change!" FROM brakes WHERE engaged_at IS NOT NULL
               UNION ALL SELECT 'gone' FROM gone_brake WHERE engaged_at IS NOT NULL"#
        );
        let log = sqlx::query!(
            r#"SELECT extract(epoch FROM last_at)::double precision AS "delivered_at!", silent_since IS NOT NULL AS "silent!",
                   coalesce((SELECT extract(epoch FROM record_at) FROM log_checkpoint), 0)::double precision AS "read_to!"
               FROM log_deliveries"#
        )
        .fetch_one(&self.pool)
        .await?;
        let paused = self.paused().await?;
        Ok(Gauges {
            due: queue.due,
            waiting: queue.waiting,
            leased: queue.leased,
            parked: queue.parked,
            held: queue.held,
            oldest_due_s: queue.oldest,
            names_waiting: names.waiting,
            names_refused: names.refused,
            unadopted: holders.unadopted,
            adopted: holders.adopted,
            linked: holders.linked,
            unannounced: self.unannounced_count().await?,
            oldest_transaction_s: held_up.oldest,
            cursor_versions: held_up.versions,
            losses: losses.fetch_all(&self.pool).await?,
            brakes: brakes.fetch_all(&self.pool).await?,
            paused: paused.is_some(),
            unknown_write: paused.is_some_and(|paused| paused.unknown_write),
            walked: self.walked().await?,
            log_delivered_at_s: log.delivered_at,
            log_silent: log.silent,
            log_read_to_s: log.read_to,
        })
    }

    /// Completed changes that are not announced yet, and those to announce again.
    async fn unannounced_count(&self) -> Result<i64, StoreError> {
        let unannounced = sqlx::query_scalar!(
            r#"SELECT (SELECT count(*) FROM role_changes
                       WHERE completed_at IS NOT NULL AND announced_at IS NULL AND change IN ('granted', 'revoked'))
                    + (SELECT count(*) FROM announce_again) AS "unannounced!""#
        );
        Ok(unannounced.fetch_one(&self.pool).await?)
    }

    /// Fails if Postgres does not respond.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query_scalar!(r#"SELECT 1 AS "alive!""#)
            .fetch_one(&self.pool)
            .await?;
        Ok(())
    }
}
