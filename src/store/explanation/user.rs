//! The rows of one person that say what the user holds and should hold, beside the snapshot.
//!
//! Owns the ids, the local copy, playlists, pins and the entries of the work queue, as the operator sees them.

use time::OffsetDateTime;

use super::queued::{self, Row};
use crate::store::{StoreError, Tx};
use rolekeeper_domain::explanation::{Account, Id, IdKind, PinRow, Playlist, Playlists, Queued};
use rolekeeper_domain::snapshot::Facts;

/// Playlists that are listed.
const LISTED: i64 = 20;

/// The ids of the person, the primary first, and those that were linked to one of them until an account was deleted.
pub(super) async fn ids(tx: &mut Tx<'_>, primary: &str, all: &[String]) -> Result<Vec<Id>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT i.alias AS "id!",
               CASE WHEN i.doubted OR i.undone THEN 'doubted' WHEN m.old_id IS NOT NULL THEN 'moved' ELSE 'linked' END AS "is!",
               coalesce(m.moved_at, i.since) AS "since", m.moved_by || ': ' || m.why AS "why"
           FROM identities i LEFT JOIN moves m ON m.old_id = i.alias WHERE i.primary_id = $1
           UNION ALL
           SELECT m.old_id, 'not_stored', m.moved_at, m.moved_by || ': ' || m.why FROM moves m
           WHERE m.old_id = ANY($2::text[]) AND NOT EXISTS (SELECT FROM identities i WHERE i.alias = m.old_id)
           UNION ALL SELECT f.alias, 'formerly_linked', f.ended_at, NULL FROM former_identities f WHERE f.primary_id = ANY($2::text[])
           UNION ALL SELECT f.primary_id, 'former_account', f.ended_at, NULL FROM former_identities f WHERE f.alias = ANY($2::text[])
           ORDER BY 1"#,
        primary,
        all
    );
    let mut ids = vec![Id {
        id: primary.to_owned(),
        is: IdKind::Primary,
        since: None,
        why: None,
    }];
    ids.extend(rows.fetch_all(&mut *tx).await?.into_iter().map(|row| Id {
        id: row.id,
        is: match row.is.as_str() {
            "doubted" => IdKind::LinkedInDoubt,
            "moved" => IdKind::Moved,
            "not_stored" => IdKind::MovedNotStored,
            "formerly_linked" => IdKind::FormerlyLinked,
            "former_account" => IdKind::FormerAccount,
            _ => IdKind::Linked,
        },
        since: row.since,
        why: row.why,
    }));
    Ok(ids)
}

/// The last read of the profile for each role.
pub(super) async fn verified(
    tx: &mut Tx<'_>,
    user: &str,
) -> Result<Vec<(String, OffsetDateTime)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT role, verified_at AS "at!" FROM assignments WHERE user_id = $1 AND verified_at IS NOT NULL"#,
        user
    );
    let rows = rows.fetch_all(&mut *tx).await?.into_iter();
    Ok(rows.map(|row| (row.role, row.at)).collect())
}

/// The local copy.
pub(super) async fn account(tx: &mut Tx<'_>, user: &str) -> Result<Option<Account>, StoreError> {
    let row = sqlx::query_as!(
        Account,
        r#"SELECT first_seen_at, asked_at AS read_at, gone_since AS deleted_since, profile #> '{app_metadata,roles}' AS roles,
               profile IS NOT NULL AS "has_profile!"
           FROM users WHERE user_id = $1"#,
        user
    );
    Ok(row.fetch_optional(&mut *tx).await?)
}

/// The playlists of the ids that count, with the counts of the snapshot.
pub(super) async fn playlists(
    tx: &mut Tx<'_>,
    ids: &[String],
    facts: &Facts,
) -> Result<Playlists, StoreError> {
    let row = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE NOT deleted) AS "count!", count(*) FILTER (WHERE deleted) AS "deleted!"
           FROM playlists WHERE owner_id = ANY($1::text[])"#,
        ids
    );
    let row = row.fetch_one(&mut *tx).await?;
    let most_played = sqlx::query_as!(
        Playlist,
        r#"SELECT playlist_id, owner_id AS "owner_id!", greatest(plays, 0) AS "plays!" FROM playlists
           WHERE owner_id = ANY($1::text[]) AND NOT deleted ORDER BY plays DESC, playlist_id LIMIT $2"#,
        ids,
        LISTED
    );
    Ok(Playlists {
        count: row.count,
        deleted: row.deleted,
        best: facts.best,
        total: facts.total,
        most_played: most_played.fetch_all(&mut *tx).await?,
    })
}

/// The entries of the work queue.
pub(super) async fn queue(tx: &mut Tx<'_>, ids: &[String]) -> Result<Vec<Queued>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT user_id, priority, enqueued_at, due_at, lease_until, attempts, last_error, failed_at, parked_at, held_by, last_held_by,
             cause_event, cause_stored_at, cause_plays, cause_seq
         FROM work_queue WHERE user_id = ANY($1::text[]) ORDER BY user_id",
        ids
    );
    Ok(queued::entries(rows.fetch_all(&mut *tx).await?))
}

/// The pins of all ids, also ended ones.
pub(super) async fn pins(tx: &mut Tx<'_>, ids: &[String]) -> Result<Vec<PinRow>, StoreError> {
    let rows = sqlx::query_as!(
        PinRow,
        r#"SELECT user_id, role, state = 'on' AS "on!", until, pinned_at AS at, pinned_by AS by, why
           FROM pins WHERE user_id = ANY($1::text[]) ORDER BY role, user_id"#,
        ids
    );
    Ok(rows.fetch_all(&mut *tx).await?)
}
