//! The snapshots of users for a decision, read in one statement, since each round trip to Postgres delays the users'
//! roles.
//!
//! Owns this read over the tables of facts, decisions, pins, requested names and writes. Must never run before the users' rows
//! in the queue are locked, where a decision follows: the facts behind an enqueueing are committed with it, and only a later
//! statement is sure to see them.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::display_names::NAMES_APART;
use super::{StoreError, Tx, removals};
use rolekeeper_domain::person::Person;
use rolekeeper_domain::pin::Pin;
use rolekeeper_domain::removal::Removal;
use rolekeeper_domain::rule::Shown;
use rolekeeper_domain::snapshot::{Assignment, DisplayNameState, Facts, OpenChange, Snapshot};

/// Reads the snapshot of one user, as [`of_users`].
pub async fn of_user(
    tx: &mut Tx<'_>,
    user: &str,
    verify_after: Duration,
    conditions: bool,
) -> Result<Snapshot, StoreError> {
    let mut read = of_users(tx, &[user], verify_after, conditions).await?;
    read.pop().ok_or_else(|| sqlx::Error::RowNotFound.into())
}

/// Reads a snapshot of each of these different users, in their order; assignments are fresh if verified within `verify_after`. The profile is read only for
/// rules with conditions. A plan of this statement takes longer than its use, so
/// it belongs into a transaction of [`Store::begin_look_ups`](super::Store::begin_look_ups).
pub async fn of_users(
    tx: &mut Tx<'_>,
    users: &[&str],
    verify_after: Duration,
    conditions: bool,
) -> Result<Vec<Snapshot>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT named.user_id AS "user_id!", p.best AS "best!", p.total AS "total!", clock_timestamp() AS "now!",
               a.role AS "role!", a.wanted AS "wanted!", a.has_role AS "has_role!", a.adopted AS "adopted!", a.since AS "since!",
               a.below_since AS "below_since!: Vec<Option<OffsetDateTime>>", a.suppressed AS "suppressed!", a.fresh AS "fresh!",
               t.role AS "pin_role!", t.is_on AS "pin_on!", t.until AS "pin_until!: Vec<Option<OffsetDateTime>>",
               m.role AS "removed_role!", m.state AS "removed_state!", m.found_at AS "removed_at!",
               c.id AS "open_id!", c.role AS "open_role!", c.granted AS "open_granted!",
               c.restore AS "open_restore!",
               u.profile AS "shown?",
               d.request_id AS "request_id?", d.requested AS "requested?", d.refused IS NOT NULL AS "refused!",
               extract(epoch FROM n.written_at - now())::double precision + $3 AS "rest_s?",
               coalesce(n.refused, false) AS "refused_just_now!",
               (SELECT true FROM profile_writes w WHERE w.user_id = named.user_id AND w.closed IS NULL AND (NOT w.recorded OR w.completed_at IS NULL) LIMIT 1) IS NOT NULL AS "unrecorded!",
               (SELECT true FROM foreign_writes f WHERE f.user_id = named.user_id AND (f.write_id IS NULL OR f.ask_at IS NOT NULL) LIMIT 1) IS NOT NULL AS "foreign_writes!",
               EXISTS (SELECT FROM stream_losses WHERE accepted_at IS NULL) OR EXISTS (SELECT FROM forgotten_changes WHERE holds) AS "loss!",
               EXISTS (SELECT FROM import_users m WHERE m.user_id = ANY(l.aliases || named.user_id)) AS "importing!",
               ARRAY(SELECT change FROM brakes WHERE engaged_at IS NOT NULL AND change IN ('granted', 'revoked')) AS "engaged!",
               EXISTS (SELECT FROM erasure_key) AS "erasures!",
               (SELECT g.gone_at FROM gone_users g WHERE g.user_id = named.user_id) AS "gone_at?",
               (SELECT i.primary_id FROM identities i WHERE i.alias = named.user_id) AS "alias_of?",
               l.aliases AS "aliases!", l.doubted AS "doubted!",
               CASE WHEN EXISTS (SELECT FROM moves) THEN array_remove(moved_ids(l.aliases || named.user_id), named.user_id) ELSE '{}' END AS "moved!",
               (SELECT true FROM moves m WHERE m.old_id = named.user_id) IS NOT NULL AS "moved_away!"
           FROM UNNEST($1::text[]) AS named(user_id)
           CROSS JOIN LATERAL (
               SELECT coalesce(array_agg(alias ORDER BY alias), '{}') AS aliases, coalesce(bool_or(doubted OR undone), false) AS doubted
               FROM identities WHERE primary_id = named.user_id
           ) AS l
           CROSS JOIN LATERAL (
               SELECT greatest(coalesce(max(plays), 0), 0) AS best, coalesce(sum(greatest(plays, 0)), 0)::bigint AS total
               FROM playlists WHERE owner_id = ANY(l.aliases || named.user_id) AND NOT deleted
           ) AS p
           CROSS JOIN LATERAL (
               SELECT coalesce(array_agg(role), '{}') AS role, coalesce(array_agg(wanted), '{}') AS wanted,
                   coalesce(array_agg(has_role), '{}') AS has_role, coalesce(array_agg(adopted), '{}') AS adopted,
                   coalesce(array_agg(since), '{}') AS since, coalesce(array_agg(below_since), '{}') AS below_since,
                   coalesce(array_agg(suppressed), '{}') AS suppressed,
                   coalesce(array_agg(coalesce(verified_at > greatest(now() - $2::double precision * interval '1 second',
                       (SELECT before FROM reverify)), false)), '{}') AS fresh
               FROM assignments WHERE user_id = named.user_id
           ) AS a
           CROSS JOIN LATERAL (
               SELECT coalesce(array_agg(role), '{}') AS role, coalesce(array_agg(state = 'on'), '{}') AS is_on,
                   coalesce(array_agg(until), '{}') AS until
               FROM pins WHERE user_id = ANY(l.aliases || named.user_id)
           ) AS t
           CROSS JOIN LATERAL (
               SELECT coalesce(array_agg(role), '{}') AS role, coalesce(array_agg(state), '{}') AS state,
                   coalesce(array_agg(found_at), '{}') AS found_at
               FROM removals WHERE user_id = named.user_id
           ) AS m
           CROSS JOIN LATERAL (
               SELECT coalesce(array_agg(change_id), '{}') AS id, coalesce(array_agg(role), '{}') AS role,
                   coalesce(array_agg(change IN ('granted', 'restored')), '{}') AS granted,
                   coalesce(array_agg(change IN ('restored', 'removed')), '{}') AS restore
               FROM (
                   SELECT change_id, role, change FROM role_changes WHERE user_id = named.user_id AND outcome IS NULL
                   ORDER BY decided_at, change_id
               ) AS pending
           ) AS c
           LEFT JOIN LATERAL (SELECT request_id, requested, refused FROM display_names WHERE user_id = named.user_id OFFSET 0) AS d ON true
           LEFT JOIN LATERAL (SELECT written_at, refused FROM display_name_writes WHERE user_id = named.user_id OFFSET 0) AS n ON true
           LEFT JOIN LATERAL (SELECT profile FROM users WHERE user_id = named.user_id AND $4 OFFSET 0) AS u ON true"#,
        users as &[&str],
        verify_after.as_secs_f64(),
        NAMES_APART.as_secs_f64(),
        conditions
    );
    let rows = rows.fetch_all(&mut *tx).await?.into_iter();
    let mut read: HashMap<String, Row> = rows.map(|row| (row.user_id.clone(), row)).collect();
    let snapshots = users.iter().map(|user| read.remove(*user).map(Snapshot::from));
    // The statement returns a row for each id.
    let snapshots: Option<Vec<Snapshot>> = snapshots.collect();
    snapshots.ok_or_else(|| sqlx::Error::RowNotFound.into())
}

/// The row of the statement: a column for each value, an array for each value of several rows.
#[expect(clippy::struct_excessive_bools, reason = "facts of one user, each on its own")]
struct Row {
    user_id: String,
    best: i64,
    total: i64,
    now: OffsetDateTime,
    role: Vec<String>,
    wanted: Vec<bool>,
    has_role: Vec<bool>,
    adopted: Vec<bool>,
    since: Vec<OffsetDateTime>,
    below_since: Vec<Option<OffsetDateTime>>,
    suppressed: Vec<bool>,
    fresh: Vec<bool>,
    pin_role: Vec<String>,
    pin_on: Vec<bool>,
    pin_until: Vec<Option<OffsetDateTime>>,
    removed_role: Vec<String>,
    removed_state: Vec<String>,
    removed_at: Vec<OffsetDateTime>,
    open_id: Vec<Uuid>,
    open_role: Vec<String>,
    open_granted: Vec<bool>,
    open_restore: Vec<bool>,
    shown: Option<Value>,
    request_id: Option<Uuid>,
    requested: Option<String>,
    refused: bool,
    rest_s: Option<f64>,
    refused_just_now: bool,
    unrecorded: bool,
    foreign_writes: bool,
    loss: bool,
    importing: bool,
    engaged: Vec<String>,
    erasures: bool,
    gone_at: Option<OffsetDateTime>,
    alias_of: Option<String>,
    aliases: Vec<String>,
    moved: Vec<String>,
    moved_away: bool,
    doubted: bool,
}

impl From<Row> for Snapshot {
    fn from(row: Row) -> Self {
        let assignments = row.role.into_iter().enumerate().map(|(index, role)| Assignment {
            role,
            wanted: row.wanted[index],
            has_role: row.has_role[index],
            adopted: row.adopted[index],
            since: row.since[index],
            below_since: row.below_since[index],
            suppressed: row.suppressed[index],
            fresh: row.fresh[index],
        });
        let pins = row.pin_role.into_iter().enumerate().map(|(index, role)| Pin {
            role,
            on: row.pin_on[index],
            until: row.pin_until[index],
        });
        let removed = row.removed_role.into_iter().enumerate();
        let removals = removed.map(|(index, role)| Removal {
            role,
            found_at: row.removed_at[index],
            state: removals::state(&row.removed_state[index]),
        });
        let open = row
            .open_role
            .into_iter()
            .enumerate()
            .map(|(index, role)| OpenChange {
                id: row.open_id[index],
                role,
                granted: row.open_granted[index],
                restore: row.open_restore[index],
            });
        let engaged = row.engaged.iter();
        Self {
            facts: Facts {
                best: row.best,
                total: row.total,
                now: row.now,
            },
            shown: row.shown.as_ref().and_then(Value::as_object).map(Shown::of),
            assignments: assignments.collect(),
            pins: pins.collect(),
            removals: removals.collect(),
            open: open.collect(),
            names: DisplayNameState {
                requested: row.request_id.zip(row.requested),
                refused: row.refused,
                refused_just_now: row.refused_just_now,
                debounce: row.rest_s.and_then(|rest| Duration::try_from_secs_f64(rest).ok()),
            },
            unrecorded: row.unrecorded,
            foreign_writes: row.foreign_writes,
            loss: row.loss,
            importing: row.importing,
            engaged: engaged.map(|change| super::brakes::change(change)).collect(),
            erasures: row.erasures,
            gone_at: row.gone_at,
            person: Person {
                alias_of: row.alias_of,
                aliases: row.aliases,
                moved: row.moved,
                moved_away: row.moved_away,
                doubted: row.doubted,
            },
        }
    }
}
