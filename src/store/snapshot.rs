//! The snapshot of one user for a decision, read in one statement, since each round trip to Postgres delays the user's
//! role.
//!
//! Owns this read over the tables of facts, decisions, requested names and writes. Must never run before the user's row
//! in the queue is locked: the facts behind an enqueueing are committed with it, and only a later statement is sure to
//! see them.

use std::time::Duration;

use time::OffsetDateTime;

use super::display_names::NAMES_APART;
use super::{StoreError, Tx};
use rolekeeper_domain::person::Person;
use rolekeeper_domain::snapshot::{Assignment, DisplayNameState, Facts, OpenChange, Snapshot};

/// Reads the snapshot; assignments are fresh if verified within `verify_after`.
pub async fn of_user(tx: &mut Tx<'_>, user: &str, verify_after: Duration) -> Result<Snapshot, StoreError> {
    let row = sqlx::query!(
        r#"SELECT p.best AS "best!", p.total AS "total!", clock_timestamp() AS "now!",
               a.role AS "role!", a.wanted AS "wanted!", a.held AS "held!", a.adopted AS "adopted!", a.since AS "since!",
               a.below_since AS "below_since!: Vec<Option<OffsetDateTime>>", a.overruled AS "overruled!", a.fresh AS "fresh!",
               c.id AS "open_id!", c.role AS "open_role!", c.granted AS "open_granted!",
               c.restore AS "open_restore!",
               d.wish_id AS "wish_id?", d.wished AS "wished?", d.refused IS NOT NULL AS "refused!",
               (SELECT extract(epoch FROM n.written_at - now())::double precision + $3 FROM display_name_writes n WHERE n.user_id = $1) AS "rest_s?",
               EXISTS (SELECT FROM display_name_writes n WHERE n.user_id = $1 AND n.refused) AS "refused_just_now!",
               EXISTS (SELECT FROM profile_writes w WHERE w.user_id = $1 AND w.closed IS NULL AND (NOT w.recorded OR w.completed_at IS NULL)) AS "unrecorded!",
               EXISTS (SELECT FROM foreign_writes f WHERE f.user_id = $1) AS "foreign_writes!",
               EXISTS (SELECT FROM stream_losses WHERE accepted_at IS NULL) OR EXISTS (SELECT FROM forgotten_changes WHERE holds) AS "loss!",
               ARRAY(SELECT change FROM brakes WHERE engaged_at IS NOT NULL AND change IN ('granted', 'revoked')) AS "engaged!",
               EXISTS (SELECT FROM erasure_key) AS "erasures!",
               (SELECT g.gone_at FROM gone_users g WHERE g.user_id = $1) AS "gone_at?",
               (SELECT i.primary_id FROM identities i WHERE i.alias = $1) AS "alias_of?",
               ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = $1 ORDER BY i.alias) AS "aliases!",
               EXISTS (SELECT FROM identities i WHERE i.primary_id = $1 AND i.doubted) AS "doubted!"
           FROM (
               SELECT greatest(coalesce(max(plays), 0), 0) AS best, coalesce(sum(greatest(plays, 0)), 0)::bigint AS total
               FROM playlists WHERE owner_id = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = $1) || $1::text) AND NOT deleted
           ) AS p
           CROSS JOIN (
               SELECT coalesce(array_agg(role), '{}') AS role, coalesce(array_agg(wanted), '{}') AS wanted,
                   coalesce(array_agg(held), '{}') AS held, coalesce(array_agg(adopted), '{}') AS adopted,
                   coalesce(array_agg(since), '{}') AS since, coalesce(array_agg(below_since), '{}') AS below_since,
                   coalesce(array_agg(overruled), '{}') AS overruled,
                   coalesce(array_agg(coalesce(verified_at > greatest(now() - $2::double precision * interval '1 second',
                       (SELECT before FROM verify_anew)), false)), '{}') AS fresh
               FROM assignments WHERE user_id = $1
           ) AS a
           CROSS JOIN (
               SELECT coalesce(array_agg(change_id ORDER BY decided_at, change_id), '{}') AS id,
                   coalesce(array_agg(role ORDER BY decided_at, change_id), '{}') AS role,
                   coalesce(array_agg(change IN ('granted', 'restored') ORDER BY decided_at, change_id), '{}') AS granted,
                   coalesce(array_agg(change IN ('restored', 'removed') ORDER BY decided_at, change_id), '{}') AS restore
               FROM role_changes WHERE user_id = $1 AND outcome IS NULL
           ) AS c
           LEFT JOIN display_names d ON d.user_id = $1"#,
        user,
        verify_after.as_secs_f64(),
        NAMES_APART.as_secs_f64()
    );
    let row = row.fetch_one(&mut *tx).await?;
    let assignments = row.role.into_iter().enumerate().map(|(index, role)| Assignment {
        role,
        wanted: row.wanted[index],
        held: row.held[index],
        adopted: row.adopted[index],
        since: row.since[index],
        below_since: row.below_since[index],
        suppressed: row.overruled[index],
        fresh: row.fresh[index],
    });
    let open = row.open_id.into_iter().zip(row.open_role);
    let open = open.zip(row.open_granted.into_iter().zip(row.open_restore));
    Ok(Snapshot {
        facts: Facts {
            best: row.best,
            total: row.total,
            now: row.now,
        },
        assignments: assignments.collect(),
        open: open
            .map(|((id, role), (granted, restore))| OpenChange {
                id,
                role,
                granted,
                restore,
            })
            .collect(),
        names: DisplayNameState {
            wish: row.wish_id.zip(row.wished),
            refused: row.refused,
            refused_just_now: row.refused_just_now,
            debounce: row
                .rest_s
                .and_then(|debounce| Duration::try_from_secs_f64(debounce).ok()),
        },
        unrecorded: row.unrecorded,
        foreign_writes: row.foreign_writes,
        loss: row.loss,
        engaged: row
            .engaged
            .iter()
            .map(|change| super::brakes::change(change))
            .collect(),
        erasures: row.erasures,
        gone_at: row.gone_at,
        person: Person {
            alias_of: row.alias_of,
            aliases: row.aliases,
            doubted: row.doubted,
        },
    })
}
