//! Pooled connections: each serves one unit of work at a time.
//!
//! Owns the lending of a connection, and its settings.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Either, Execute, Executor, PgPool, Postgres, SqlStr};

use super::deadline::ACQUIRE_TIMEOUT;
use super::lent::Lent;
use super::tx::Tx;

/// A pooled connection used this recently is not pinged first, which would cost a round trip to Postgres each time. A
/// closed connection then causes an error, as it would during a statement.
const TRUSTED_FOR: Duration = Duration::from_secs(5);
/// Settings of a session for pages. Postgres does not compile its statements, which would take longer than to read a few rows.
const READING_SESSION: &str =
    "SET statement_timeout = '8s'; SET default_transaction_read_only = on; SET jit = off";

/// A pool. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    connections: PgPool,
    /// Whether a pooler in transaction mode may be in between: each statement is then unnamed and in a transaction.
    pooler: bool,
}

impl Pool {
    /// Prepares a pool, which connects at its first use.
    pub(super) fn new(options: PgConnectOptions, most: u32, pooler: bool) -> Self {
        Self::with(options, most, pooler, "SET statement_timeout = '20s'")
    }

    /// The same with sessions that cannot write. Behind a pooler in transaction mode a session belongs to other clients too, so there
    /// the setting is left out.
    pub(super) fn to_read(options: PgConnectOptions, most: u32, pooler: bool) -> Self {
        Self::with(options, most, pooler, READING_SESSION)
    }

    fn with(options: PgConnectOptions, most: u32, pooler: bool, session: &'static str) -> Self {
        let connections = PgPoolOptions::new()
            .max_connections(most)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, since| {
                Box::pin(async move {
                    if since.idle_for > TRUSTED_FOR {
                        sqlx::Connection::ping(connection).await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if !pooler {
                        connection.execute(sqlx::raw_sql(session)).await?;
                    }
                    Ok(())
                })
            })
            .connect_lazy_with(options);
        Self { connections, pooler }
    }

    /// Whether a pooler in transaction mode may be in between.
    pub(super) fn behind_pooler(&self) -> bool {
        self.pooler
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<Tx<'static>, sqlx::Error> {
        self.lend().await?.begin().await
    }

    /// Begins a transaction whose statements keep their plans, which look rows up one by one.
    pub(super) async fn begin_look_ups(&self) -> Result<Tx<'static>, sqlx::Error> {
        self.lend().await?.begin_look_ups().await
    }

    /// The same, with short waits for locks.
    pub(super) async fn begin_bounded(&self) -> Result<Tx<'static>, sqlx::Error> {
        self.lend().await?.begin_bounded().await
    }

    /// A connection for single statements; behind a pooler they form one transaction.
    async fn once(&self) -> Result<Tx<'static>, sqlx::Error> {
        let tx = self.lend().await?;
        if self.pooler { tx.begin().await } else { Ok(tx) }
    }

    async fn lend(&self) -> Result<Tx<'static>, sqlx::Error> {
        let connection = self.connections.acquire().await?;
        Ok(Tx::pooled(Lent::new(connection), self.pooler))
    }
}

impl<'c> Executor<'c> for &'c Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let all = async move {
            let mut once = self.once().await?;
            let rows: Vec<_> = (&mut once).fetch_many(query).try_collect().await?;
            once.commit().await?;
            Ok::<_, sqlx::Error>(stream::iter(rows).map(Ok))
        };
        stream::once(all).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async move {
            let mut once = self.once().await?;
            let row = (&mut once).fetch_optional(query).await?;
            once.commit().await?;
            Ok(row)
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        Box::pin(async move { (&mut self.once().await?).prepare_with(sql, parameters).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        Box::pin(async move { (&mut self.once().await?).describe(sql).await })
    }
}
