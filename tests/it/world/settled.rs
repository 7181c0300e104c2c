//! The end of a story: nothing is left to do, and everything equals the oracle's state.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rolekeeper_sandbox::traffic::rest;
use rolekeeper_sandbox::traffic::stream::Streams;
use sqlx::Row as _;

use super::{CLIENT, World};
use crate::world::oracle::{self, Audited, Change, Expected, Playlist};

/// Number of differences to print; the first ones are enough.
const SHOWN: usize = 12;
/// A killed worker may have had a user in flight: first the lease must end.
const QUIET_WITHIN: Duration = Duration::from_mins(1);

impl World {
    /// Waits until all is folded and no user is due, then compares counts, roles, audit and dead letters with the
    /// expected state.
    pub(crate) async fn settled(&self) {
        self.settled_within(Duration::from_secs(30)).await;
    }

    /// The same with another limit on the wait.
    pub(crate) async fn settled_within(&self, within: Duration) {
        self.eventually_within(within, "all is folded and no user is due", async || {
            self.is_quiet().await
        })
        .await;
        let wrong = self.differences().await;
        assert!(
            wrong.is_empty(),
            "{} differences from the oracle:\n{}",
            wrong.len(),
            wrong[..wrong.len().min(SHOWN)].join("\n")
        );
    }

    /// Waits until all is folded and no user is due, also after a kill, when the lease of a user in flight must end first.
    pub(crate) async fn quiet(&self) {
        self.eventually_within(QUIET_WITHIN, "all is folded and no user is due", async || {
            self.is_quiet().await
        })
        .await;
    }

    /// Returns true if nothing is left to do; false while nats-server or Postgres is away. Parked and held users may
    /// wait.
    pub(crate) async fn is_quiet(&self) -> bool {
        let only = self.setting("ONLY");
        let walks = !self.before_limits && (only.is_empty() || only.contains("reconcile"));
        // First, because the users that a round finds are in the queue when it ends.
        if walks && self.number("SELECT count(*) FROM walk WHERE changed").await != Some(0) {
            return false;
        }
        let streams = Streams::new(self.jetstream.clone());
        rest::is_reached(&self.tenant, &streams, &self.db)
            .await
            .unwrap_or(false)
    }

    /// All differences from the oracle's state.
    pub(crate) async fn differences(&self) -> Vec<String> {
        let expected = self.oracle().expected();
        let mut wrong = self.differences_beside_roles().await;
        for user in self.tenant.users() {
            let user = user["user_id"].as_str().unwrap_or_default();
            wrong.extend(oracle::wrong_roles(&self.tenant, CLIENT, &expected, user));
        }
        wrong
    }

    /// Differences in counts, dead letters and audit.
    pub(crate) async fn differences_beside_roles(&self) -> Vec<String> {
        let expected = self.oracle().expected();
        let mut wrong = self.wrong_counts(&expected).await;
        wrong.extend(self.wrong_dead_letters(&expected).await);
        let mut audit = self.audit().await;
        let there = self
            .tenant
            .users()
            .into_iter()
            .map(|user| user["user_id"].as_str().unwrap_or_default().to_owned());
        let linked = audit
            .keys()
            .filter(|user| !self.tenant.history(user).is_empty())
            .cloned();
        let all: BTreeSet<String> = there.chain(linked).collect();
        for user in &all {
            let seen = oracle::changes(&self.tenant, CLIENT, user);
            let rows = audit.remove(user).unwrap_or_default();
            wrong.extend(oracle::wrong_audit(&seen, &rows).map(|why| format!("{user}: {why}")));
        }
        wrong.extend(
            audit
                .into_keys()
                .map(|user| format!("{user}: audit of a user the tenant does not know")),
        );
        let open = self
            .rows("SELECT * FROM role_changes WHERE outcome IS NULL")
            .await;
        wrong.extend(open.iter().map(|row| format!("an open change: {row}")));
        wrong
    }

    /// Playlists with a wrong count. A default row counts as a missing one.
    async fn wrong_counts(&self, expected: &Expected) -> Vec<String> {
        let rows = sqlx::query("SELECT playlist_id, plays, deleted, owner_id FROM playlists");
        let rows = rows.fetch_all(&self.db).await.expect("Postgres responds");
        let playlist = |row: &sqlx::postgres::PgRow| Playlist {
            plays: row.get("plays"),
            deleted: row.get("deleted"),
            owner: row.get("owner_id"),
        };
        let counted: BTreeMap<String, Playlist> = rows
            .iter()
            .map(|row| (row.get("playlist_id"), playlist(row)))
            .collect();
        let known: BTreeSet<&String> = counted.keys().chain(expected.playlists.keys()).collect();
        let none = Playlist::default();
        let both = known.into_iter().map(|id| {
            let of = |all: &BTreeMap<String, Playlist>| all.get(id).unwrap_or(&none).clone();
            (id, of(&counted), of(&expected.playlists))
        });
        both.filter(|(_, is, must)| is != must)
            .map(|(id, is, must)| format!("{id} is {is:?}, must be {must:?}"))
            .collect()
    }

    async fn wrong_dead_letters(&self, expected: &Expected) -> Vec<String> {
        let kept =
            sqlx::query("SELECT stream_seq, reason, detail FROM dead_letters WHERE stream = 'APP_EVENTS'");
        let kept = kept.fetch_all(&self.db).await.expect("Postgres responds");
        let total =
            "SELECT coalesce(sum(total), 0)::bigint FROM dead_letter_totals WHERE stream = 'APP_EVENTS'";
        let total = self.number(total).await;
        let must = i64::try_from(expected.dead_letters.len()).ok();
        let mut wrong = Vec::new();
        if total != must {
            wrong.push(format!("{total:?} dead letters, must be {must:?}"));
        }
        for row in kept {
            let (seq, reason): (i64, &str) = (row.get("stream_seq"), row.get("reason"));
            if !expected.dead_letters.contains(&(seq.unsigned_abs(), reason)) {
                let detail: &str = row.get("detail");
                wrong.push(format!(
                    "message {seq} is a dead letter and must not be: {reason} ({detail})"
                ));
            }
        }
        wrong
    }

    /// The audit rows of each user, in order of decision: those that were completed, and those whose result was not known when the
    /// account was deleted or linked to another one.
    pub(crate) async fn audit(&self) -> BTreeMap<String, Vec<Audited>> {
        let rows = sqlx::query(
            // Other changes with a reason are none at the tenant: a user was deleted, came back, or was linked.
            "SELECT user_id, change, decided_at, completed_at FROM role_changes
             WHERE (completed_at IS NOT NULL OR (outcome = 'gone' AND attempted_at IS NOT NULL)) AND role = 'playlist_editor' AND (reason IS NULL OR reason = 'pinned') ORDER BY change_id",
        );
        let rows = rows.fetch_all(&self.db).await.expect("Postgres responds");
        let mut by_user: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for row in rows {
            let change = Change {
                granted: row.get::<&str, _>("change") == "granted",
                at: row.get("decided_at"),
            };
            by_user
                .entry(row.get("user_id"))
                .or_default()
                .push((change, row.get("completed_at")));
        }
        by_user
    }
}
