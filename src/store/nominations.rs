//! Table `nominations`: users somebody should look at.
//!
//! Owns who gets into the queue and when: one row a user, a generation that moves with each nomination. Must never
//! lose a nomination that comes while a look is under way.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Store, StoreError, Tx};

/// Least time from one look to the next. One user whose count goes up and down without end must not use up
/// the calls of all others.
pub(super) const LOOKS_APART: Duration = Duration::from_secs(1);

/// How long a user is left alone whose count goes to and fro across a line: whatever is written now is likely to be
/// undone by the next event. Far longer than the read of a profile, far shorter than anybody waits for a role.
pub(super) const REST: Duration = Duration::from_secs(2);

/// Longest such rest since the first nomination: who goes to and fro for ever is looked at all the same.
pub(super) const REST_AT_MOST: Duration = Duration::from_secs(10);

/// What comes first when there are more users than calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// A role may have to go.
    Revoke = 0,
    /// A role may be due.
    Grant = 1,
    /// The user wishes to be called something else, and waits at a screen.
    DisplayName = 2,
    /// Nobody has looked at the user yet.
    NewUser = 3,
    /// Only to verify.
    Verify = 4,
}

/// The event that carried a user over a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Event id.
    pub event: String,
    /// Plays of the playlist right after it.
    pub plays: i64,
    /// When the stream stored it.
    pub stored_at: OffsetDateTime,
}

impl Cause {
    pub(super) fn of(
        event: Option<String>,
        plays: Option<i64>,
        stored_at: Option<OffsetDateTime>,
    ) -> Option<Self> {
        Some(Self {
            event: event?,
            plays: plays?,
            stored_at: stored_at?,
        })
    }
}

/// One nomination.
#[derive(Clone, Debug)]
pub struct Nominate {
    /// Who.
    pub user: String,
    /// How urgent.
    pub urgency: Urgency,
    /// The profile must be read even if our own records say the user is in step; wakes a parked user too.
    pub observe: bool,
    /// What carried the user over, where an event did.
    pub cause: Option<Cause>,
    /// The count went to and fro across a line: left to rest before anybody looks.
    pub restless: bool,
}

/// Nominates users; more urgent wins, earlier wins. A user who backs off after a failure keeps the delay, one who
/// was looked at just now waits a moment, and one who is restless waits until that is over, within bounds. The hint goes
/// with them, in one statement.
pub async fn nominate(tx: &mut Tx<'_>, wanted: &mut [Nominate]) -> Result<(), StoreError> {
    if wanted.is_empty() {
        return Ok(());
    }
    // In one order everywhere, so that two folds cannot lock each other out.
    wanted.sort_by(|a, b| a.user.cmp(&b.user));
    let users: Vec<&str> = wanted.iter().map(|one| one.user.as_str()).collect();
    let urgencies: Vec<i16> = wanted.iter().map(|one| one.urgency as i16).collect();
    let observes: Vec<bool> = wanted.iter().map(|one| one.observe).collect();
    let events: Vec<Option<&str>> = wanted
        .iter()
        .map(|one| one.cause.as_ref().map(|cause| cause.event.as_str()))
        .collect();
    let plays: Vec<Option<i64>> = wanted
        .iter()
        .map(|one| one.cause.as_ref().map(|cause| cause.plays))
        .collect();
    let stored: Vec<Option<OffsetDateTime>> = wanted
        .iter()
        .map(|one| one.cause.as_ref().map(|cause| cause.stored_at))
        .collect();
    let restless: Vec<bool> = wanted.iter().map(|one| one.restless).collect();
    sqlx::query!(
        "WITH nominated AS (
         INSERT INTO nominations AS n (user_id, urgency, observe, cause_event, cause_plays, cause_stored_at, rest_until, due_at)
         SELECT named.user_id, named.urgency, named.observe, named.cause_event, named.cause_plays, named.cause_stored_at, rest.until,
             greatest(now(), u.fetched_at + $8::double precision * interval '1 second', rest.until)
         FROM UNNEST($1::text[], $2::smallint[], $3::boolean[], $4::text[], $5::bigint[], $6::timestamptz[], $7::boolean[])
             AS named(user_id, urgency, observe, cause_event, cause_plays, cause_stored_at, restless)
         CROSS JOIN LATERAL (SELECT CASE WHEN named.restless THEN now() + $9::double precision * interval '1 second' END AS until) AS rest
         LEFT JOIN users u ON u.user_id = named.user_id
         ORDER BY named.user_id
         ON CONFLICT (user_id) DO UPDATE SET
             urgency = least(n.urgency, excluded.urgency),
             generation = n.generation + 1,
             observe = n.observe OR excluded.observe,
             cause_event = coalesce(excluded.cause_event, n.cause_event),
             cause_plays = coalesce(excluded.cause_plays, n.cause_plays),
             cause_stored_at = coalesce(excluded.cause_stored_at, n.cause_stored_at),
             rest_until = CASE WHEN excluded.rest_until IS NULL THEN n.rest_until
                 ELSE least(excluded.rest_until, n.nominated_at + $10::double precision * interval '1 second') END,
             due_at = CASE WHEN n.attempts > 0 AND n.parked_at IS NULL THEN n.due_at
                 WHEN excluded.rest_until IS NULL THEN greatest(least(n.due_at, excluded.due_at), n.rest_until)
                 ELSE least(excluded.rest_until, n.nominated_at + $10::double precision * interval '1 second') END,
             -- a parked user waits for a person, or for the profile to change
             parked_at = CASE WHEN excluded.observe THEN NULL ELSE n.parked_at END,
             -- a held user is decided anew: what was held may not be due any more, and what is new may pass
             held = NULL
         )
         SELECT pg_notify($11, '')",
        &users as &[&str],
        &urgencies,
        &observes,
        &events as &[Option<&str>],
        &plays as &[Option<i64>],
        &stored as &[Option<OffsetDateTime>],
        &restless,
        LOOKS_APART.as_secs_f64(),
        REST.as_secs_f64(),
        REST_AT_MOST.as_secs_f64(),
        super::Wake::Nominations.channel()
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Makes users due again who were held for the loss of a stream.
pub async fn release_held(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE nominations SET held = NULL, observe = true, due_at = now() WHERE held = 'stream_loss'"
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Makes users due again who have been parked for longer than `after`.
pub async fn wake_parked(tx: &mut Tx<'_>, after: Duration) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE nominations SET parked_at = NULL, attempts = 0, due_at = now()
         WHERE parked_at < now() - $1::double precision * interval '1 second'",
        after.as_secs_f64()
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

impl Store {
    /// How long until the next user is due; none when nobody waits.
    pub async fn next_due(&self) -> Result<Option<Duration>, StoreError> {
        let seconds = sqlx::query_scalar!(
            r#"SELECT extract(epoch FROM min(CASE WHEN lease IS NULL THEN due_at ELSE lease_until END) - now())::double precision
               FROM nominations WHERE parked_at IS NULL AND held IS NULL"#
        );
        Ok(seconds
            .fetch_one(&self.pool)
            .await?
            .map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
    }
}
