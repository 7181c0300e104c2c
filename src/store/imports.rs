//! Tables `imports`, `import_events` and `import_users`: files of past plays and counts.
//!
//! Owns how far each file is counted, the ids that have counted, and the users whose roles are held. Must never move a position
//! that is not where the caller expects it.

use std::collections::{BTreeSet, HashSet};

use time::OffsetDateTime;

use super::{Store, StoreError, Tx, acts};
use rolekeeper_domain::act::Act;

/// Users that one statement reads.
const SLICE: i64 = 10_000;

/// A file that is, or was, imported.
#[derive(Clone, Debug)]
pub struct Import {
    /// Name of the file, as first given.
    pub file: String,
    /// Number of the line up to which all lines are counted.
    pub through: i64,
    /// The effect of these lines.
    pub effect: Effect,
    /// Time at which the last line was counted.
    pub ended_at: Option<OffsetDateTime>,
    /// Time at which a release before that ended it.
    pub stopped_at: Option<OffsetDateTime>,
    /// Time at which the roles of its users were no longer held.
    pub released_at: Option<OffsetDateTime>,
}

/// The effect of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Lines that counted.
    pub counted: i64,
    /// Plays whose event id had counted before.
    pub known: i64,
    /// Lines of a deleted playlist, and plays from before the present life of a playlist.
    pub no_effect: i64,
    /// Plays that were added.
    pub plays: i64,
}

/// Moves the position of a file from one line to another, with the effect of the lines between. Returns false if it is not where
/// the caller expects it, or the import was stopped: then the caller must not commit.
pub async fn advance(
    tx: &mut Tx<'_>,
    source: &str,
    (from, to): (i64, i64),
    effect: &Effect,
) -> Result<bool, StoreError> {
    let moved = sqlx::query!(
        "UPDATE imports SET through = $3, counted = counted + $4, known = known + $5, no_effect = no_effect + $6, plays = plays + $7,
             moved_at = now()
         WHERE source = $1 AND through = $2 AND stopped_at IS NULL",
        source,
        from,
        to,
        effect.counted,
        effect.known,
        effect.no_effect,
        effect.plays
    );
    Ok(moved.execute(&mut *tx).await?.rows_affected() == 1)
}

/// Notes that the last line is counted, and keeps the act.
pub async fn end(tx: &mut Tx<'_>, source: &str, act: &Act) -> Result<(), StoreError> {
    let ended = sqlx::query!(
        "UPDATE imports SET ended_at = now() WHERE source = $1 RETURNING counted, known, no_effect, plays",
        source
    );
    let ended = ended.fetch_one(&mut *tx).await?;
    let outcome = format!(
        "lines counted: {}; plays added: {}; lines whose event_id had counted before: {}; lines without an effect: {}",
        ended.counted, ended.plays, ended.known, ended.no_effect
    );
    acts::keep(tx, act, &outcome).await
}

/// Stores the event ids of plays; returns those that no import had counted before.
pub async fn remember(tx: &mut Tx<'_>, events: &[&str]) -> Result<HashSet<String>, StoreError> {
    if events.is_empty() {
        return Ok(HashSet::new());
    }
    let fresh = sqlx::query_scalar!(
        r#"INSERT INTO import_events (event_id) SELECT DISTINCT event_id FROM UNNEST($1::text[]) AS named(event_id) ORDER BY 1
           ON CONFLICT DO NOTHING RETURNING event_id"#,
        events as &[&str]
    );
    Ok(fresh.fetch_all(&mut *tx).await?.into_iter().collect())
}

/// Whether a release has stopped the import.
pub async fn is_stopped(tx: &mut Tx<'_>, source: &str) -> Result<bool, StoreError> {
    let stopped = sqlx::query_scalar!(
        r#"SELECT stopped_at IS NOT NULL AS "stopped!" FROM imports WHERE source = $1"#,
        source
    );
    Ok(stopped.fetch_one(&mut *tx).await?)
}

/// Holds the roles of users until the release.
pub async fn hold(tx: &mut Tx<'_>, source: &str, users: &[&str]) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO import_users (source, user_id) SELECT $1, user_id FROM UNNEST($2::text[]) AS named(user_id) ORDER BY user_id
         ON CONFLICT DO NOTHING",
        source,
        users as &[&str]
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Holds the roles of users who got a playlist of a held owner: a former owner and the present one each.
pub async fn hold_new_owners(tx: &mut Tx<'_>, changed: &[(&str, &str)]) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    let (former, present): (Vec<&str>, Vec<&str>) = changed.iter().copied().unzip();
    sqlx::query!(
        "INSERT INTO import_users (source, user_id)
         SELECT u.source, c.present FROM UNNEST($1::text[], $2::text[]) AS c(former, present)
         JOIN import_users u ON u.user_id = c.former
         -- a release that has ended forgets no user
         JOIN imports i ON i.source = u.source AND i.released_at IS NULL FOR SHARE OF i
         ON CONFLICT DO NOTHING",
        &former as &[&str],
        &present as &[&str]
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// No longer holds the roles of the next users, at most `most`; returns them. No other transaction adds a user meanwhile.
pub async fn let_go(tx: &mut Tx<'_>, source: &str, most: i64) -> Result<Vec<String>, StoreError> {
    sqlx::query!(
        "SELECT true AS locked FROM imports WHERE source = $1 FOR UPDATE",
        source
    )
    .fetch_optional(&mut *tx)
    .await?;
    let users = sqlx::query_scalar!(
        "WITH next AS (SELECT user_id FROM import_users WHERE source = $1 ORDER BY user_id LIMIT $2 FOR UPDATE)
         DELETE FROM import_users u USING next WHERE u.source = $1 AND u.user_id = next.user_id RETURNING u.user_id",
        source,
        most
    );
    Ok(users.fetch_all(&mut *tx).await?)
}

/// Those of these users whose last attempt was held by an import.
pub async fn waiting(tx: &mut Tx<'_>, users: &[String]) -> Result<HashSet<String>, StoreError> {
    let waiting = sqlx::query_scalar!(
        "SELECT user_id FROM work_queue WHERE user_id = ANY($1::text[]) AND (held_by = 'import' OR last_held_by = 'import')",
        users
    );
    Ok(waiting.fetch_all(&mut *tx).await?.into_iter().collect())
}

/// Notes that no user of the import is held any more, and keeps the act. Returns false if that was noted before.
pub async fn released(tx: &mut Tx<'_>, source: &str, act: &Act) -> Result<bool, StoreError> {
    let released = sqlx::query!(
        "UPDATE imports SET released_at = now() WHERE source = $1 AND released_at IS NULL",
        source
    );
    let is_first = released.execute(&mut *tx).await?.rows_affected() == 1;
    if is_first {
        acts::keep(tx, act, "the roles of the users of the import are no longer held").await?;
    }
    Ok(is_first)
}

impl Effect {
    /// Number of lines.
    #[must_use]
    pub fn lines(&self) -> u64 {
        (self.counted + self.known + self.no_effect).unsigned_abs()
    }
}

impl Store {
    /// The import of a file.
    pub async fn import(&self, source: &str) -> Result<Option<Import>, StoreError> {
        let row = sqlx::query!(
            "SELECT file, through, counted, known, no_effect, plays, ended_at, stopped_at, released_at FROM imports WHERE source = $1",
            source
        );
        let row = row.fetch_optional(&self.pool).await?;
        Ok(row.map(|row| Import {
            file: row.file,
            through: row.through,
            effect: Effect {
                counted: row.counted,
                known: row.known,
                no_effect: row.no_effect,
                plays: row.plays,
            },
            ended_at: row.ended_at,
            stopped_at: row.stopped_at,
            released_at: row.released_at,
        }))
    }

    /// Notes an import before its first line, if it is not noted yet.
    pub async fn begin_import(&self, source: &str, file: &str, lines: i64) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO imports (source, file, lines) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            source,
            file,
            lines
        )
        .execute(&self.pool)
        .await?;
        crash_point!("begun");
        Ok(())
    }

    /// Stops an import whose last line is not counted: no run counts another line from now on.
    pub async fn stop_import(&self, source: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE imports SET stopped_at = now() WHERE source = $1 AND ended_at IS NULL AND stopped_at IS NULL",
            source
        )
        .execute(&self.pool)
        .await?;
        crash_point!("stopped");
        Ok(())
    }

    /// The persons whose roles an import holds, in the order of their ids, each by the account that its ids are linked to.
    pub async fn persons_of_import(&self, source: &str) -> Result<Vec<String>, StoreError> {
        let (mut persons, mut after) = (BTreeSet::new(), String::new());
        loop {
            let slice = sqlx::query!(
                r#"SELECT user_id, (SELECT i.primary_id FROM identities i WHERE i.alias = user_id) AS "primary"
                   FROM import_users WHERE source = $1 AND user_id > $2 ORDER BY user_id LIMIT $3"#,
                source,
                after,
                SLICE
            );
            let slice = slice.fetch_all(&self.pool).await?;
            let Some(last) = slice.last() else {
                return Ok(persons.into_iter().collect());
            };
            after.clone_from(&last.user_id);
            persons.extend(slice.into_iter().map(|row| row.primary.unwrap_or(row.user_id)));
        }
    }
}
