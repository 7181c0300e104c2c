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
    /// A record of the tenant's log alone: nobody has looked at the user yet, or another client may have written. Looks of this
    /// kind have a share of the rate at most, so that no number of records keeps others waiting.
    NewUser = 3,
    /// Only to verify.
    Verify = 4,
}

/// The urgency of users whom records alone nominated.
pub(super) const BY_RECORD: i16 = Urgency::NewUser as i16;

/// Whose turn it is among users who wait for less than a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Display names, then records, then verifications.
    ByUrgency,
    /// Records first, and display names last.
    RecordsFirst,
    /// Verifications first, and display names last.
    VerificationsFirst,
    /// For a probe, while calls fail: this urgency first. Every urgency has its turn, or users who fail again and again would be
    /// the only ones that are tried.
    Probe(i16),
}

impl Order {
    /// The order of the look with this number: every fourth leaves display names to the end, so that no number of them keeps
    /// drift from being found.
    #[must_use]
    pub fn of(number: u64) -> Self {
        match number % 8 {
            3 => Self::VerificationsFirst,
            7 => Self::RecordsFirst,
            _ => Self::ByUrgency,
        }
    }

    /// The urgencies, roles first but for probes.
    pub(super) fn levels(self) -> [i16; 5] {
        match self {
            Self::ByUrgency => [0, 1, 2, 3, 4],
            Self::RecordsFirst => [0, 1, 3, 4, 2],
            Self::VerificationsFirst => [0, 1, 4, 3, 2],
            Self::Probe(first) => {
                let mut levels = Self::ByUrgency.levels();
                levels.rotate_left(usize::try_from(first % 5).unwrap_or(0));
                levels
            }
        }
    }
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

/// Most users that one transaction of an operator makes due again.
const RELEASED_AT_ONCE: i64 = 1_000;

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
             -- a clock that was ahead when the profile was fetched delays no user; `least` would take now() for one never fetched
             greatest(now(), CASE WHEN u.fetched_at > now() THEN now() ELSE u.fetched_at END + $8::double precision * interval '1 second', rest.until)
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
                 ELSE least(excluded.rest_until, least(n.nominated_at, now()) + $10::double precision * interval '1 second') END,
             due_at = CASE WHEN n.attempts > 0 AND n.parked_at IS NULL THEN n.due_at
                 WHEN excluded.rest_until IS NULL THEN greatest(least(n.due_at, excluded.due_at), n.rest_until)
                 ELSE least(excluded.rest_until, least(n.nominated_at, now()) + $10::double precision * interval '1 second') END,
             -- a timer ends with the first nomination: from then on the user waits
             nominated_at = least(n.nominated_at, now()),
             -- what an operator let pass was another change than the one that comes after a failure
             pass_revokes = n.pass_revokes AND NOT (excluded.cause_event IS NOT NULL AND (n.attempts > 0 OR n.parked_at IS NOT NULL)),
             pass_grants = n.pass_grants AND NOT (excluded.cause_event IS NOT NULL AND (n.attempts > 0 OR n.parked_at IS NOT NULL)),
             -- a parked user waits for a person, or for the profile to change
             parked_at = CASE WHEN excluded.observe THEN NULL ELSE n.parked_at END,
             -- a held user is decided anew: what was held may not be due any more, and what is new may pass
             held = NULL, held_until = NULL
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

/// Makes users due again who were held for the loss of a stream: the first ones. The sweep finds the others, slice by slice,
/// so that an operator's transaction stays short however many are held.
pub async fn release_held(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE nominations n SET held = NULL, held_until = NULL, observe = true, due_at = now()
         FROM (SELECT user_id FROM nominations WHERE held = 'stream_loss' ORDER BY user_id LIMIT $1 FOR UPDATE) AS first
         WHERE n.user_id = first.user_id",
        RELEASED_AT_ONCE
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

impl Store {
    /// How long until the next user is due; none when nobody waits. Users whom records alone nominated count only with
    /// `by_record`; a lease that runs out is found by looking anyway.
    pub async fn next_due(&self, by_record: bool) -> Result<Option<Duration>, StoreError> {
        let seconds = sqlx::query_scalar!(
            // one short index range a level: a hundred thousand who wait must not be read each time
            "SELECT extract(epoch FROM min(next.due_at) - now())::double precision
             FROM (VALUES (0::smallint), (1::smallint), (2::smallint), (3::smallint), (4::smallint)) AS level(urgency)
             CROSS JOIN LATERAL (
                 SELECT due_at FROM nominations n
                 WHERE n.urgency = level.urgency AND (level.urgency <> $1 OR $2) AND n.lease IS NULL
                   AND n.parked_at IS NULL AND n.held IS NULL
                 ORDER BY n.due_at LIMIT 1
             ) AS next",
            BY_RECORD,
            by_record
        );
        Ok(seconds
            .fetch_one(&self.pool)
            .await?
            .map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
    }
}
