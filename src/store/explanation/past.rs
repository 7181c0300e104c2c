//! Decisions and writes of one person.
//!
//! Owns that their number is bounded, however many a user has.

use crate::store::{StoreError, Tx};
use rolekeeper_domain::explanation::{Decision, Page, Write};
use rolekeeper_domain::view::cut;

/// The last completed change of each of these roles, or the last one that another client made.
pub(super) async fn last_changes(
    tx: &mut Tx<'_>,
    user: &str,
    roles: &[&str],
) -> Result<Vec<Decision>, StoreError> {
    let rows = sqlx::query_as!(
        Decision,
        r#"SELECT c.change_id AS "change_id!", c.user_id AS "user_id!", c.role AS "role!", c.change AS "change!", c.plays AS "plays!",
               c.rule AS "rule!", c.event_id, c.event_stored_at, c.event_seq, c.decided_at AS "decided_at!", c.attempted_at, c.completed_at, c.outcome,
               c.reason, c.released AS "released!", c.client_id, c.write_id
           FROM UNNEST($2::text[]) AS named(role) CROSS JOIN LATERAL (
               SELECT * FROM role_changes WHERE user_id = $1 AND role = named.role
                 AND (completed_at IS NOT NULL AND change IN ('granted', 'revoked') OR change IN ('given', 'taken'))
               ORDER BY change_id DESC LIMIT 1
           ) AS c"#,
        user,
        roles as &[&str]
    );
    Ok(rows.fetch_all(&mut *tx).await?)
}

/// The newest decisions.
pub(super) async fn decisions(
    tx: &mut Tx<'_>,
    ids: &[String],
    most: i64,
) -> Result<Page<Decision>, StoreError> {
    let rows = sqlx::query_as!(
        Decision,
        r#"SELECT c.change_id AS "change_id!", c.user_id AS "user_id!", c.role AS "role!", c.change AS "change!", c.plays AS "plays!",
               c.rule AS "rule!", c.event_id, c.event_stored_at, c.event_seq, c.decided_at AS "decided_at!", c.attempted_at, c.completed_at, c.outcome,
               c.reason, c.released AS "released!", c.client_id, c.write_id
           FROM UNNEST($1::text[]) AS named(user_id) CROSS JOIN LATERAL (
               SELECT * FROM role_changes WHERE user_id = named.user_id ORDER BY change_id DESC LIMIT $2
           ) AS c
           ORDER BY c.change_id DESC LIMIT $2"#,
        ids,
        most.saturating_add(1)
    );
    Ok(page(rows.fetch_all(&mut *tx).await?, most))
}

/// The newest writes.
pub(super) async fn writes(tx: &mut Tx<'_>, ids: &[String], most: i64) -> Result<Page<Write>, StoreError> {
    let rows = sqlx::query_as!(
        Write,
        r#"SELECT w.write_id AS "write_id!", w.user_id AS "user_id!", w.read_roles AS "read_roles!", w.wrote_roles AS "wrote_roles!",
               w.attempted_at AS "sent_at!", w.completed_at, w.answered AS "answered!", w.closed
           FROM UNNEST($1::text[]) AS named(user_id) CROSS JOIN LATERAL (
               SELECT * FROM profile_writes WHERE user_id = named.user_id ORDER BY attempted_at DESC LIMIT $2
           ) AS w
           ORDER BY w.attempted_at DESC, w.write_id DESC LIMIT $2"#,
        ids,
        most.saturating_add(1)
    );
    Ok(page(rows.fetch_all(&mut *tx).await?, most))
}

fn page<T>(mut rows: Vec<T>, most: i64) -> Page<T> {
    let more = cut(&mut rows, most);
    Page { rows, more }
}
