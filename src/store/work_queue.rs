//! Table `work_queue`: the users who wait for an attempt.
//!
//! Owns the entry into the queue and its time: one row per user, with a generation that each enqueueing raises. Must
//! never lose an enqueueing that happens during an attempt.

use std::collections::HashSet;
use std::time::Duration;

use time::OffsetDateTime;

use super::{Store, StoreError, Tx};

/// Minimum time between two attempts on one user. A user whose count oscillates without end must not use up the calls
/// of all others.
pub(super) const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// Debounce: delay before an attempt on a user whose count oscillates around a threshold, since the next event would
/// likely undo its write. It is far longer than the read of a profile, and far shorter than users wait for a role.
pub(super) const DEBOUNCE: Duration = Duration::from_secs(2);

/// Maximum debounce since the user was enqueued: a user whose count always oscillates still gets an attempt.
pub(super) const MAX_DEBOUNCE: Duration = Duration::from_secs(10);

/// Priority in the queue when there are more users than calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A role may have to be revoked.
    Revoke = 0,
    /// A role may have to be granted.
    Grant = 1,
    /// The user requested a display name, and waits for it.
    DisplayName = 2,
    /// A record of the tenant's log alone: the user was never read, or another client may have written. These attempts
    /// get at most a fixed share of the rate, so that no number of records delays other users.
    NewUser = 3,
    /// Verification only.
    Verify = 4,
}

impl Priority {
    /// The priority with this number; verification for an unknown one.
    #[must_use]
    pub fn of(number: i16) -> Self {
        let all = [Self::Revoke, Self::Grant, Self::DisplayName, Self::NewUser];
        all.into_iter()
            .find(|one| *one as i16 == number)
            .unwrap_or(Self::Verify)
    }
}

/// The priority of users enqueued by records alone.
pub(super) const BY_RECORD: i16 = Priority::NewUser as i16;

/// Order among users who wait for less than a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Display names, then records, then verifications.
    ByPriority,
    /// Records first, and display names last.
    RecordsFirst,
    /// Verifications first, and display names last.
    VerificationsFirst,
    /// This priority last: its last user was held without a call. Otherwise a mass of held users would delay all others.
    After(i16),
    /// For a probe while calls fail: this priority first. Each priority gets its turn, or the only probes would be users
    /// whose attempts always fail.
    Probe(i16),
}

impl Order {
    /// The order for the attempt with this number. Every fourth attempt puts display names last, so that no number of
    /// them prevents verifications.
    #[must_use]
    pub fn of(number: u64) -> Self {
        match number % 8 {
            3 => Self::VerificationsFirst,
            7 => Self::RecordsFirst,
            _ => Self::ByPriority,
        }
    }

    /// The priorities in order; roles come first except for probes.
    pub(super) fn levels(self) -> [i16; 5] {
        match self {
            Self::ByPriority => [0, 1, 2, 3, 4],
            Self::RecordsFirst => [0, 1, 3, 4, 2],
            Self::VerificationsFirst => [0, 1, 4, 3, 2],
            Self::After(last) => {
                let mut levels = Self::ByPriority.levels();
                levels.sort_by_key(|level| (*level == last, *level));
                levels
            }
            Self::Probe(first) => {
                let mut levels = Self::ByPriority.levels();
                levels.rotate_left(usize::try_from(first % 5).unwrap_or(0));
                levels
            }
        }
    }
}

/// The event with which a count crossed a threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Event id.
    pub event: String,
    /// Plays of the playlist after the event.
    pub plays: i64,
    /// Time at which the stream stored the event.
    pub stored_at: OffsetDateTime,
    /// Sequence of the event in its stream.
    pub seq: i64,
    /// The context of the span of its fold, if it belongs to a trace.
    pub trace: Option<String>,
}

impl Cause {
    pub(super) fn of(
        event: Option<String>,
        plays: Option<i64>,
        stored_at: Option<OffsetDateTime>,
        seq: Option<i64>,
        trace: Option<String>,
    ) -> Option<Self> {
        Some(Self {
            event: event?,
            plays: plays?,
            stored_at: stored_at?,
            seq: seq?,
            trace,
        })
    }
}

/// A user to enqueue.
#[derive(Clone, Debug)]
pub struct Enqueue {
    /// The user id.
    pub user: String,
    /// The priority.
    pub priority: Priority,
    /// The profile must be read even if the stored state is up to date; also makes a parked user due.
    pub force_fetch: bool,
    /// The event that caused it, if any.
    pub cause: Option<Cause>,
    /// The count oscillates around a threshold: the attempt is debounced.
    pub flapping: bool,
}

impl Enqueue {
    /// A user whose profile is to be read, for no event.
    pub fn to_read(user: impl Into<String>, priority: Priority) -> Self {
        Self {
            user: user.into(),
            priority,
            force_fetch: true,
            cause: None,
            flapping: false,
        }
    }
}

/// Maximum number of users that one transaction of an operator makes due.
const RELEASED_AT_ONCE: i64 = 1_000;

/// Enqueues users; the higher priority and the earlier time win. A user in retry delay keeps the delay, a user with a
/// recent attempt waits for the minimum distance, and a flapping user is debounced, within bounds. The NOTIFY is part
/// of the same statement.
pub async fn enqueue(tx: &mut Tx<'_>, wanted: &mut [Enqueue]) -> Result<(), StoreError> {
    if wanted.is_empty() {
        return Ok(());
    }
    // The same order everywhere prevents deadlocks between folds.
    wanted.sort_by(|a, b| a.user.cmp(&b.user));
    let users: Vec<&str> = wanted.iter().map(|one| one.user.as_str()).collect();
    let priorities: Vec<i16> = wanted.iter().map(|one| one.priority as i16).collect();
    let force_fetches: Vec<bool> = wanted.iter().map(|one| one.force_fetch).collect();
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
    let seqs: Vec<Option<i64>> = wanted
        .iter()
        .map(|one| one.cause.as_ref().map(|cause| cause.seq))
        .collect();
    let traces: Vec<Option<&str>> = wanted
        .iter()
        .map(|one| one.cause.as_ref().and_then(|cause| cause.trace.as_deref()))
        .collect();
    let flapping: Vec<bool> = wanted.iter().map(|one| one.flapping).collect();
    sqlx::query!(
        "WITH enqueued AS (
         INSERT INTO work_queue AS n (user_id, priority, force_fetch, cause_event, cause_plays, cause_stored_at, cause_seq, cause_trace,
             debounce_until, due_at)
         SELECT named.user_id, named.priority, named.force_fetch, named.cause_event, named.cause_plays, named.cause_stored_at, named.cause_seq, named.cause_trace,
             debounce.until,
             -- A clock that was ahead at the fetch delays no user. Without a fetch, `least` would return now().
             greatest(now(), CASE WHEN u.fetched_at > now() THEN now() ELSE u.fetched_at END + $8::double precision * interval '1 second', debounce.until)
         FROM UNNEST($1::text[], $2::smallint[], $3::boolean[], $4::text[], $5::bigint[], $6::timestamptz[], $7::boolean[], $12::bigint[], $13::text[])
             AS named(user_id, priority, force_fetch, cause_event, cause_plays, cause_stored_at, flapping, cause_seq, cause_trace)
         CROSS JOIN LATERAL (SELECT CASE WHEN named.flapping THEN now() + $9::double precision * interval '1 second' END AS until) AS debounce
         LEFT JOIN users u ON u.user_id = named.user_id
         ORDER BY named.user_id
         ON CONFLICT (user_id) DO UPDATE SET
             priority = least(n.priority, excluded.priority),
             generation = n.generation + 1,
             force_fetch = n.force_fetch OR excluded.force_fetch,
             cause_event = coalesce(excluded.cause_event, n.cause_event),
             cause_plays = coalesce(excluded.cause_plays, n.cause_plays),
             cause_stored_at = coalesce(excluded.cause_stored_at, n.cause_stored_at),
             cause_seq = coalesce(excluded.cause_seq, n.cause_seq),
             cause_trace = CASE WHEN excluded.cause_event IS NULL THEN n.cause_trace ELSE excluded.cause_trace END,
             debounce_until = CASE WHEN excluded.debounce_until IS NULL THEN n.debounce_until
                 ELSE least(excluded.debounce_until, least(n.enqueued_at, now()) + $10::double precision * interval '1 second') END,
             due_at = CASE WHEN n.attempts > 0 AND n.parked_at IS NULL THEN n.due_at
                 WHEN excluded.debounce_until IS NULL THEN greatest(least(n.due_at, excluded.due_at), n.debounce_until)
                 ELSE least(excluded.debounce_until, least(n.enqueued_at, now()) + $10::double precision * interval '1 second') END,
             -- the first enqueueing replaces a timer
             enqueued_at = least(n.enqueued_at, now()),
             -- the operator released this change, not the next one after a failure
             pass_revokes = n.pass_revokes AND NOT (excluded.cause_event IS NOT NULL AND (n.attempts > 0 OR n.parked_at IS NOT NULL)),
             pass_grants = n.pass_grants AND NOT (excluded.cause_event IS NOT NULL AND (n.attempts > 0 OR n.parked_at IS NOT NULL)),
             -- a parked user waits for the operator, or for a change of the profile
             parked_at = CASE WHEN excluded.force_fetch THEN NULL ELSE n.parked_at END,
             -- a held user is evaluated again: the held change may be void, and a new one may pass
             held_by = NULL, held_until = NULL
         )
         SELECT pg_notify($11, '')",
        &users as &[&str],
        &priorities,
        &force_fetches,
        &events as &[Option<&str>],
        &plays as &[Option<i64>],
        &stored as &[Option<OffsetDateTime>],
        &flapping,
        MIN_INTERVAL.as_secs_f64(),
        DEBOUNCE.as_secs_f64(),
        MAX_DEBOUNCE.as_secs_f64(),
        super::Channel::WorkQueue.name(),
        &seqs as &[Option<i64>],
        &traces as &[Option<&str>]
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Enqueues users for a new read of their profile, or lets it follow an attempt in flight. These are in the order of ids.
pub(super) async fn read_again(tx: &mut Tx<'_>, users: &[String]) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO work_queue AS n (user_id, priority, force_fetch)
         SELECT user_id, 1::smallint, true FROM UNNEST($1::text[]) AS named(user_id) ORDER BY user_id COLLATE \"C\"
         ON CONFLICT (user_id) DO UPDATE SET force_fetch = true, generation = n.generation + 1",
        users
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Makes users due who were held because of a stream's loss, up to a limit. The sweep finds the others batch by batch,
/// so that an operator's transaction stays short however many are held.
pub async fn release_held(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE work_queue n SET held_by = NULL, held_until = NULL, force_fetch = true, due_at = now()
         FROM (SELECT user_id FROM work_queue WHERE held_by = 'stream_loss' ORDER BY user_id LIMIT $1 FOR UPDATE) AS first
         WHERE n.user_id = first.user_id",
        RELEASED_AT_ONCE
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Enqueues a user whose profile must be read.
pub async fn read_next(tx: &mut Tx<'_>, user: &str, priority: Priority) -> Result<(), StoreError> {
    let mut entry = [Enqueue::to_read(user, priority)];
    enqueue(tx, &mut entry).await
}

impl Store {
    /// The queued ones of these users.
    pub async fn queued(&self, users: &[String]) -> Result<HashSet<String>, StoreError> {
        let queued = sqlx::query_scalar!(
            "SELECT user_id FROM work_queue WHERE user_id = ANY($1::text[])",
            users
        );
        Ok(queued.fetch_all(&self.pool).await?.into_iter().collect())
    }

    /// Lets a user be read again, behind the others.
    pub async fn read_next(&self, user: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        read_next(&mut tx, user, Priority::Verify).await?;
        tx.commit().await?;
        crash_point!("queued_to_read");
        Ok(())
    }

    /// Time until the next user is due; `None` if none waits. Users enqueued by records alone count only with
    /// `by_record`; polling finds expired leases.
    pub async fn next_due(&self, by_record: bool) -> Result<Option<Duration>, StoreError> {
        let seconds = sqlx::query_scalar!(
            // one short index range per priority: a hundred thousand waiting users must not be read each time
            "SELECT extract(epoch FROM min(next.due_at) - now())::double precision
             FROM (VALUES (0::smallint), (1::smallint), (2::smallint), (3::smallint), (4::smallint)) AS level(priority)
             CROSS JOIN LATERAL (
                 SELECT due_at FROM work_queue n
                 WHERE n.priority = level.priority AND (level.priority <> $1 OR $2) AND n.lease IS NULL
                   AND n.parked_at IS NULL AND n.held_by IS NULL
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
