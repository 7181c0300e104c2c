//! A unit of work on one connection to Postgres: statements with a deadline each.
//!
//! Owns the known state of the connection between two statements. A cancelled future, or a statement without a response
//! in time, leaves the connection in an unknown state: it is closed, and its transaction with it. Must never let a
//! connection serve another unit while it may be inside a transaction.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{AssertSqlSafe, Either, Execute, Executor, PgConnection, Postgres, SqlStr};

use super::StoreError;
use super::deadline::{DEADLINE, State, in_time};
use super::lent::Lent;
use super::session::{LOOK_UPS, Session};

/// Limits the statements of a transaction, where we cannot change the connection's settings.
const BOUNDED: &str = "statement_timeout = '20s'";
/// Ends the wait for a lock that another client holds for long.
const LOCKS: &str = "lock_timeout = '1s'";

/// A unit of work: a transaction, or single statements. Rolled back unless [`Tx::commit`] returned.
#[derive(Debug)]
pub struct Tx<'c> {
    on: On<'c>,
    deadline: Duration,
    /// Statements are unnamed, since the next one may reach another connection behind the pooler.
    unnamed: bool,
    /// A statement failed inside the transaction, so Postgres rolls it back in any case.
    failed: bool,
}

#[derive(Debug)]
enum On<'c> {
    Pooled(Lent),
    Session(&'c mut Session),
}

impl<'c> Tx<'c> {
    /// Single statements on a pooled connection.
    pub(super) fn pooled(lent: Lent, unnamed: bool) -> Self {
        Self::new(On::Pooled(lent), DEADLINE, unnamed)
    }

    /// Single statements on a session.
    fn session(session: &'c mut Session, deadline: Duration) -> Self {
        Self::new(On::Session(session), deadline, false)
    }

    fn new(on: On<'c>, deadline: Duration, unnamed: bool) -> Self {
        Self {
            on,
            deadline,
            unnamed,
            failed: false,
        }
    }

    /// Begins a transaction.
    pub(super) async fn begin(self) -> Result<Self, sqlx::Error> {
        self.begin_with([]).await
    }

    /// Begins a transaction whose statements keep their plans, which look rows up one by one.
    pub(super) async fn begin_look_ups(self) -> Result<Self, sqlx::Error> {
        self.begin_with(LOOK_UPS).await
    }

    /// The same, with short waits for locks.
    pub(super) async fn begin_bounded(self) -> Result<Self, sqlx::Error> {
        self.begin_with(LOOK_UPS.into_iter().chain([LOCKS])).await
    }

    /// Until the transaction ends, statements are planned for their arguments each time.
    pub(super) async fn plan_each_time(&mut self) -> Result<(), sqlx::Error> {
        sqlx::query!("SELECT set_config('plan_cache_mode', 'force_custom_plan', true) AS plans")
            .fetch_one(self)
            .await?;
        Ok(())
    }

    /// Begins a transaction with settings, in one message.
    async fn begin_with(
        mut self,
        settings: impl IntoIterator<Item = &'static str>,
    ) -> Result<Self, sqlx::Error> {
        let bounded = self.unnamed.then_some(BOUNDED);
        let (connection, state) = self.on.parts();
        // A unit dropped between two statements left the transaction open.
        let open = *state == State::Open;
        let mut begin = if open { "ROLLBACK; BEGIN" } else { "BEGIN" }.to_owned();
        for setting in bounded.into_iter().chain(settings) {
            begin.push_str("; SET LOCAL ");
            begin.push_str(setting);
        }
        let begin = AssertSqlSafe(begin);
        in_time(self.deadline, state, connection.execute(begin)).await?;
        *state = State::Open;
        Ok(self)
    }

    /// Commits the transaction, if one was begun.
    ///
    /// # Errors
    /// Postgres refused, or a statement had failed: nothing was committed. Without a response, only Postgres knows the
    /// result.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        if self.failed {
            return Err(sqlx::Error::Protocol(
                "the transaction is rolled back, since a statement in it failed".into(),
            ));
        }
        let (connection, state) = self.on.parts();
        if *state == State::Open {
            in_time(self.deadline, state, connection.execute("COMMIT")).await?;
            *state = State::Idle;
        }
        Ok(())
    }

    fn note<T>(failed: &mut bool, result: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        *failed |= result.is_err();
        result
    }
}

impl Session {
    /// Single statements, each with `deadline` for its response.
    pub(super) fn once(&mut self, deadline: Duration) -> Tx<'_> {
        Tx::session(self, deadline)
    }

    /// Begins a transaction.
    pub(super) async fn begin(&mut self) -> Result<Tx<'_>, StoreError> {
        Ok(Tx::session(self, DEADLINE).begin().await?)
    }
}

impl On<'_> {
    fn parts(&mut self) -> (&mut PgConnection, &mut State) {
        match self {
            Self::Pooled(lent) => lent.parts(),
            Self::Session(session) => session.parts(),
        }
    }
}

impl<'c> Executor<'c> for &'c mut Tx<'_> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let Tx {
            on,
            deadline,
            unnamed,
            failed,
        } = self;
        let (connection, state) = on.parts();
        let rows = if *unnamed {
            connection.fetch_many(Unnamed(query))
        } else {
            connection.fetch_many(query)
        };
        let all = async move {
            let rows: Vec<_> = Tx::note(failed, in_time(*deadline, state, rows.try_collect()).await)?;
            Ok::<_, sqlx::Error>(stream::iter(rows).map(Ok))
        };
        stream::once(all).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let Tx {
            on,
            deadline,
            unnamed,
            failed,
        } = self;
        let (connection, state) = on.parts();
        let row = if *unnamed {
            connection.fetch_optional(Unnamed(query))
        } else {
            connection.fetch_optional(query)
        };
        Box::pin(async move { Tx::note(failed, in_time(*deadline, state, row).await) })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        let (connection, state) = self.on.parts();
        Box::pin(in_time(
            self.deadline,
            state,
            connection.prepare_with(sql, parameters),
        ))
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        let (connection, state) = self.on.parts();
        Box::pin(in_time(self.deadline, state, connection.describe(sql)))
    }
}

/// A query with an unnamed statement.
pub(super) struct Unnamed<E>(pub(super) E);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Unnamed<E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<sqlx::postgres::PgArguments>, BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}
