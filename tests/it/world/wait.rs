//! Waits for conditions, with a limit, and prints the state when one does not become true.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::World;

/// The longest wait for a condition.
pub(super) const WITHIN: Duration = Duration::from_secs(30);

/// The interval of its checks.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

impl World {
    /// Waits until the condition is true; fails the test, with the visible state, after 30 s.
    pub(crate) async fn eventually(&self, what: &str, condition: impl AsyncFnMut() -> bool) {
        self.eventually_within(WITHIN, what, condition).await;
    }

    /// The same with another limit.
    pub(crate) async fn eventually_within(
        &self,
        within: Duration,
        what: &str,
        mut condition: impl AsyncFnMut() -> bool,
    ) {
        let came = poll(within, async || {
            self.check_workers();
            condition().await.then_some(())
        });
        let Some(()) = came.await else {
            panic!("not in {within:?}: {what}\n{}", self.state().await);
        };
    }

    /// Fails the test if a worker ended that the test did not end.
    pub(crate) fn check_workers(&self) {
        for worker in self.workers() {
            if let Some(status) = worker.died() {
                panic!("{} died by itself: {status}", worker.name());
            }
        }
    }

    /// The single number of a query's result; none while Postgres does not respond.
    pub(crate) async fn number(&self, query: &'static str) -> Option<i64> {
        sqlx::query_scalar(query).fetch_one(&self.db).await.ok()
    }

    /// Waits until the query returns this number.
    pub(crate) async fn count_is(&self, what: &str, query: &'static str, count: i64) {
        self.eventually(what, async || self.number(query).await == Some(count))
            .await;
    }

    /// Waits until all users were compared with the rules once more.
    pub(crate) async fn walked(&self) {
        let ended = "SELECT (extract(epoch FROM finished_at) * 1000)::bigint FROM walk";
        let before = self.number(ended).await;
        self.eventually("all are compared", async || self.number(ended).await > before)
            .await;
    }

    pub(crate) async fn run_sql(&self, statement: &'static str) {
        sqlx::raw_sql(statement)
            .execute(&self.db)
            .await
            .expect("Postgres responds");
    }

    /// Rows as JSON, for messages and for access to columns by name.
    pub(crate) async fn rows(&self, query: &'static str) -> Vec<Value> {
        let rows = format!("SELECT to_jsonb(r) FROM ({query}) AS r");
        let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(rows))
            .fetch_all(&self.db)
            .await;
        rows.unwrap_or_default()
    }

    /// The state to print when a test fails.
    async fn state(&self) -> String {
        let mut text = String::new();
        for (what, query) in [
            ("cursors", "SELECT * FROM stream_cursors"),
            ("losses", "SELECT * FROM stream_losses"),
            ("work_queue", "SELECT * FROM work_queue ORDER BY due_at LIMIT 10"),
            (
                "open changes",
                "SELECT * FROM role_changes WHERE outcome IS NULL LIMIT 10",
            ),
            ("dead letters", "SELECT * FROM dead_letter_totals"),
        ] {
            for row in self.rows(query).await {
                let _ = writeln!(text, "{what}: {row}");
            }
        }
        text
    }
}

/// Repeats the query until there is a result.
pub(crate) async fn poll<T>(within: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = probe().await {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
