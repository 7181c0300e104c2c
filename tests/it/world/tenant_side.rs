//! A story's queries to the tenant's side: the calls for each user, and the resulting profiles.
//!
//! Owns reading the tenant's call log and histories, and the audit beside them. Must never query the worker.

use std::ops::RangeInclusive;
use std::time::Duration;

use rolekeeper_sandbox::tenant::{Actor, Call, Endpoint, LogStream};
use serde_json::Value;
use sqlx::Row as _;

use super::{CLIENT, LOG_TOKEN, World};
use crate::world::events::{plays, saved};

/// A change of the role in the audit: granted or revoked, and its outcome.
pub(crate) type Audited = (String, Option<String>);

impl World {
    /// The user saves the playlist and it gets a hundred plays, under ids derived from the playlist's.
    pub(crate) async fn earn(&self, user: &str, playlist: &str) {
        let mut events = vec![saved(&format!("{playlist}-saved"), playlist, user)];
        events.extend(plays(playlist, playlist, 0..100));
        self.publish(&events).await;
    }

    /// The worker's calls that name the user, oldest first.
    pub(crate) fn calls_of(&self, user: &str) -> Vec<Call> {
        let ours =
            |call: &&Call| call.client.as_deref() == Some(CLIENT) && call.user_id.as_deref() == Some(user);
        self.tenant
            .with_calls(|calls| calls.iter().filter(ours).cloned().collect())
    }

    /// The endpoints of those calls.
    pub(crate) fn endpoints_of(&self, user: &str) -> Vec<Endpoint> {
        self.calls_of(user).iter().map(|call| call.endpoint).collect()
    }

    /// The worker's calls of one endpoint.
    pub(crate) fn calls_to(&self, endpoint: Endpoint) -> usize {
        self.tenant
            .with_calls(|calls| calls.iter().filter(|call| call.endpoint == endpoint).count())
    }

    /// Calls of the Management API, of any client.
    pub(crate) fn api_calls(&self) -> usize {
        self.tenant.with_calls(|calls| {
            calls
                .iter()
                .filter(|call| call.endpoint != Endpoint::Token)
                .count()
        })
    }

    /// Writes of the worker that did not change `app_metadata`.
    pub(crate) fn idle_writes(&self) -> Vec<String> {
        let ours = Actor::Client(CLIENT.to_owned());
        let mut idle = vec![];
        for user in self.tenant.users() {
            let user = user["user_id"].as_str().unwrap_or_default();
            let history = self.tenant.history(user);
            let steps = history.iter().zip(history.iter().skip(1));
            let same =
                steps.filter(|(before, after)| after.by == ours && before.app_metadata == after.app_metadata);
            idle.extend(same.map(|(_, after)| format!("{user}: {after:?}")));
        }
        idle
    }

    /// The audit of one user's managed roles, in order of decision.
    pub(crate) async fn audit_of(&self, user: &str) -> Vec<Audited> {
        let rows = sqlx::query(
            "SELECT change, outcome FROM role_changes WHERE user_id = $1 AND change IN ('granted', 'revoked') ORDER BY change_id",
        );
        let rows = rows
            .bind(user)
            .fetch_all(&self.db)
            .await
            .expect("Postgres responds");
        rows.iter()
            .map(|row| (row.get("change"), row.get("outcome")))
            .collect()
    }

    /// The tenant's log reaches the worker's webhook from now on, each record after a delay, as at Auth0, but sooner.
    pub(crate) async fn connect_log_stream(&self) {
        self.connect_log_stream_delayed(Duration::from_millis(200)..=Duration::from_millis(600))
            .await;
    }

    /// The same, with another delay of each record.
    pub(crate) async fn connect_log_stream_delayed(&self, delay: RangeInclusive<Duration>) {
        let url = format!("http://{}/auth0/logs", self.worker().address("LISTEN").await);
        let stream = LogStream {
            delay,
            ..LogStream::to(url, LOG_TOKEN)
        };
        self.tenant.stream_logs(stream).expect("a webhook");
    }

    /// From now on records each failed attempt of a user, see [`Self::attempts_noted`].
    pub(crate) async fn note_attempts(&self) {
        let note = "CREATE TABLE attempts_noted (user_id text NOT NULL, attempts integer NOT NULL);
            CREATE FUNCTION note_attempts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO attempts_noted VALUES (NEW.user_id, NEW.attempts); RETURN NEW; END $$;
            CREATE TRIGGER note_attempts AFTER UPDATE OF attempts ON work_queue FOR EACH ROW
                WHEN (NEW.attempts > 0) EXECUTE FUNCTION note_attempts()";
        sqlx::raw_sql(note)
            .execute(&self.db)
            .await
            .expect("Postgres responds");
    }

    /// The maximum number of failed attempts in a row of any user.
    pub(crate) async fn attempts_noted(&self) -> i64 {
        let most = self.number("SELECT coalesce(max(attempts), 0)::bigint FROM attempts_noted");
        most.await.expect("attempts are noted")
    }

    /// A user without `updated_at` and `app_metadata.roles`: the part that only the user's own tools may change.
    pub(crate) fn beside_roles(&self, user: &str) -> Value {
        let mut profile = self.tenant.user(user).unwrap_or_default();
        if let Some(profile) = profile.as_object_mut() {
            profile.remove("updated_at");
            if let Some(metadata) = profile.get_mut("app_metadata").and_then(Value::as_object_mut) {
                metadata.remove("roles");
                if metadata.is_empty() {
                    profile.remove("app_metadata");
                }
            }
        }
        profile
    }
}

/// Seconds from one call to the next.
pub(crate) fn gaps(calls: &[Call]) -> Vec<f64> {
    let pairs = calls.iter().zip(calls.iter().skip(1));
    pairs
        .map(|(one, next)| (next.at - one.at).as_seconds_f64())
        .collect()
}
