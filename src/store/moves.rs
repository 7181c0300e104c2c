//! Table `moves`: ids whose person has another id since, by the operator's word.
//!
//! Owns that a move and its act share one transaction, that moves form no circle, and that the new id is read next. Must never
//! store a link: the attempt that reads the new id does that. Must never change an earlier move: a chain is resolved when it is
//! read, so that the end of one move leaves the others.

use serde_json::json;
use time::OffsetDateTime;

use super::{
    Priority, Store, StoreError, Tx, acts, erasures, former_identities, identities, own_decisions, work_queue,
};
use rolekeeper_domain::act::Act;

/// Result of a move, or of its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoveOutcome {
    /// It stands from now on, also for these ids, which were linked to the old one.
    Moved(Vec<String>),
    /// It stood before; the new id is read again.
    Again,
    /// The move ended.
    Undone,
    /// Nothing was done: the old id belongs to this id, by a move or a link.
    BelongsTo(String),
    /// Nothing was done: the new id was moved or linked to this one, `account`; its own move, if any, is to `next`.
    NewBelongsTo {
        /// The account that the new id belongs to.
        account: String,
        /// The id that it was moved to.
        next: Option<String>,
    },
    /// Nothing was done: nothing is stored about the old id.
    Unknown,
    /// Nothing was done: this id was erased.
    Erased(String),
    /// Nothing to undo: the old id was not moved to the new one, but to this one if any.
    NotMoved(Option<String>),
}

/// The ids that were moved to one of these, also by way of other ids, in order.
pub async fn to(tx: &mut Tx<'_>, ids: &[&str]) -> Result<Vec<String>, StoreError> {
    let moved = sqlx::query_scalar!(
        r#"SELECT id AS "id!" FROM unnest(moved_ids($1::text[])) AS id WHERE id <> ALL($1) ORDER BY id"#,
        ids as &[&str]
    );
    Ok(moved.fetch_all(&mut *tx).await?)
}

/// Ends what a move or a link has done to the decisions of these ids, each with the account that it belonged to. Where a move has
/// ended, the account has its own decisions again; unless it was undone, the id keeps what stays removed at the account. An account
/// that is linked elsewhere in this transaction (`linked`) takes its decisions along. Call it once the links are removed.
pub async fn end(
    tx: &mut Tx<'_>,
    leaving: &[(&str, &str)],
    (undone, linked): (&[String], &[String]),
) -> Result<(), StoreError> {
    let (aliases, primaries): (Vec<&str>, Vec<&str>) = leaving.iter().copied().unzip();
    let ended = sqlx::query!(
        // A move that stands brings the id back to the account.
        r#"SELECT l.alias AS "alias!", l.primary_id AS "primary!", EXISTS (
               WITH RECURSIVE ahead(id) AS (
                   SELECT m.new_id FROM moves m WHERE m.old_id = l.alias
                   UNION SELECT m.new_id FROM ahead JOIN moves m ON m.old_id = ahead.id
               )
               SELECT FROM ahead WHERE ahead.id = l.primary_id
                   OR EXISTS (SELECT FROM identities i WHERE i.alias = ahead.id AND i.primary_id = l.primary_id)) AS "stands!"
           FROM UNNEST($1::text[], $2::text[]) AS l(alias, primary_id) ORDER BY 1"#,
        &aliases as &[&str],
        &primaries as &[&str]
    );
    let ended = ended.fetch_all(&mut *tx).await?;
    for row in &ended {
        let (alias, primary, along) = (&row.alias, &row.primary, linked.contains(&row.primary));
        let undone = undone.contains(alias);
        let comes_back = row.stands && along;
        if !(undone || comes_back) {
            own_decisions::suppress(tx, &[alias], &[primary]).await?;
        }
        if (undone || !row.stands) && !along {
            own_decisions::take_back(tx, alias, primary, undone).await?;
        }
    }
    for row in ended.iter().filter(|row| !row.stands) {
        own_decisions::forget(tx, &row.alias, &row.primary).await?;
    }
    Ok(())
}

/// Ends the moves of these ids, which a profile shows that was asked for at `asked_at`: they are accounts again, or linked to one.
/// Otherwise one person would have two accounts with the same roles.
pub async fn overtaken(tx: &mut Tx<'_>, ids: &[&str], asked_at: OffsetDateTime) -> Result<(), StoreError> {
    let ended = sqlx::query!(
        "DELETE FROM moves WHERE old_id = ANY($1::text[]) AND moved_at < $2 RETURNING old_id, new_id",
        ids as &[&str],
        asked_at
    );
    for ended in ended.fetch_all(&mut *tx).await? {
        own_decisions::forget_moves(tx, &ended.old_id).await?;
        for id in end_along(tx, &ended.old_id).await? {
            own_decisions::forget_moves(tx, &id).await?;
        }
        let act = Act {
            by: acts::WORKER.to_owned(),
            command: "move",
            arguments: json!({"user": ended.old_id, "to": ended.new_id, "undo": true}),
            why: None,
        };
        acts::keep(
            tx,
            &act,
            "the move ended: the old id is an account again, or linked to one",
        )
        .await?;
    }
    Ok(())
}

/// Ends the moves of the ids that came along with the move of `old`, and returns them.
async fn end_along(tx: &mut Tx<'_>, old: &str) -> Result<Vec<String>, StoreError> {
    let ended = sqlx::query_scalar!(
        "DELETE FROM moves WHERE new_id = $1 AND with_account RETURNING old_id",
        old
    );
    Ok(ended.fetch_all(&mut *tx).await?)
}

/// The id that an id was moved to at last, by way of others; the id itself if it was not moved.
async fn last_id(tx: &mut Tx<'_>, id: &str) -> Result<String, StoreError> {
    let last = sqlx::query_scalar!(
        r#"WITH RECURSIVE ahead(id) AS (
               SELECT $1::text COLLATE "C" UNION SELECT m.new_id FROM ahead JOIN moves m ON m.old_id = ahead.id
           )
           SELECT id AS "id!" FROM ahead WHERE NOT EXISTS (SELECT FROM moves WHERE old_id = ahead.id)"#,
        id
    );
    let last = last.fetch_optional(&mut *tx).await?;
    Ok(last.unwrap_or_else(|| id.to_owned()))
}

/// The id that an id was moved to by the operator's word.
async fn new_id(tx: &mut Tx<'_>, old: &str) -> Result<Option<String>, StoreError> {
    let new = sqlx::query_scalar!("SELECT new_id FROM moves WHERE old_id = $1", old);
    Ok(new.fetch_optional(&mut *tx).await?)
}

/// Whether a table has data of an id that could follow the person.
async fn is_known(tx: &mut Tx<'_>, user: &str) -> Result<bool, StoreError> {
    let known = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM users WHERE user_id = $1) OR EXISTS (SELECT FROM playlists WHERE owner_id = $1)
               OR EXISTS (SELECT FROM assignments WHERE user_id = $1) OR EXISTS (SELECT FROM pins WHERE user_id = $1)
               OR EXISTS (SELECT FROM songs WHERE user_id = $1) OR EXISTS (SELECT FROM user_data WHERE user_id = $1)
               OR EXISTS (SELECT FROM display_names WHERE user_id = $1) OR EXISTS (SELECT FROM moves WHERE new_id = $1) AS "known!""#,
        user
    );
    Ok(known.fetch_one(&mut *tx).await?)
}

/// Moves those of the ids `along` along that were linked to the old one: Auth0 deleted them with the account, so no link shows them
/// any more. Returns them.
async fn with_account(
    tx: &mut Tx<'_>,
    (old, new): (&str, &str),
    along: &[String],
) -> Result<Vec<String>, StoreError> {
    let linked = sqlx::query_scalar!(
        "INSERT INTO moves (old_id, new_id, moved_by, why, with_account)
         SELECT linked.alias, m.old_id, m.moved_by, m.why, true
         FROM moves m CROSS JOIN (
             SELECT alias FROM identities WHERE primary_id = $1 UNION SELECT alias FROM former_identities WHERE primary_id = $1
         ) AS linked
         WHERE m.old_id = $1 AND linked.alias <> $2 AND linked.alias = ANY($3::text[]) ORDER BY linked.alias
         ON CONFLICT (old_id) DO NOTHING RETURNING old_id",
        old,
        new,
        along
    );
    Ok(linked.fetch_all(&mut *tx).await?)
}

impl Store {
    /// Stores that the person with the id `old` has the id `new` since. Ids that were moved to `old` belong to `new` then, until
    /// this move ends; so do the ids `along`, which Auth0 does not know, as far as they were linked to `old`.
    pub async fn move_person(
        &self,
        (old, new): (&str, &str),
        along: &[String],
        act: &Act,
    ) -> Result<MoveOutcome, StoreError> {
        let mut tx = self.begin().await?;
        // One move, or change of links, at a time; an erasure waits, or was before.
        identities::serialize(&mut tx).await?;
        let erased = erasures::among(&mut tx, self.erasure_key(), &[old, new]).await?;
        if let Some(erased) = [old, new].into_iter().find(|id| erased.contains(*id)) {
            return Ok(MoveOutcome::Erased(erased.to_owned()));
        }
        let (before, next) = (new_id(&mut tx, old).await?, new_id(&mut tx, new).await?);
        let last = last_id(&mut tx, new).await?;
        let linked = identities::primaries(&mut tx, &[old, &last]).await?;
        if next.is_some() || linked.contains_key(&last) {
            let account = linked.get(&last).cloned().unwrap_or(last);
            return Ok(MoveOutcome::NewBelongsTo { account, next });
        }
        if before.as_deref() == Some(new) {
            work_queue::read_next(&mut tx, new, Priority::NewUser).await?;
            acts::keep(&mut tx, act, "was moved before").await?;
            tx.commit().await?;
            crash_point!("moved_before");
            return Ok(MoveOutcome::Again);
        }
        if let Some(other) = before.or_else(|| linked.get(old).cloned()) {
            return Ok(MoveOutcome::BelongsTo(other));
        }
        if !is_known(&mut tx, old).await? {
            return Ok(MoveOutcome::Unknown);
        }
        sqlx::query!(
            "INSERT INTO moves (old_id, new_id, moved_by, why) VALUES ($1, $2, $3, $4)",
            old,
            new,
            act.by,
            act.why.clone().unwrap_or_default()
        )
        .execute(&mut tx)
        .await?;
        let linked = with_account(&mut tx, (old, new), along).await?;
        work_queue::read_next(&mut tx, new, Priority::NewUser).await?;
        acts::keep(&mut tx, act, "moved").await?;
        tx.commit().await?;
        crash_point!("moved");
        Ok(MoveOutcome::Moved(linked))
    }

    /// Ends a move: each id has its own data again, once the new one is read.
    pub async fn undo_move(&self, old: &str, new: &str, act: &Act) -> Result<MoveOutcome, StoreError> {
        let mut tx = self.begin().await?;
        identities::serialize(&mut tx).await?;
        let undone = sqlx::query!("DELETE FROM moves WHERE old_id = $1 AND new_id = $2", old, new);
        if undone.execute(&mut tx).await?.rows_affected() == 0 {
            return Ok(MoveOutcome::NotMoved(new_id(&mut tx, old).await?));
        }
        let mut with_old = to(&mut tx, &[old]).await?;
        with_old.push(old.to_owned());
        let along = end_along(&mut tx, old).await?;
        former_identities::return_to(&mut tx, old, (&along, &with_old)).await?;
        let last = last_id(&mut tx, new).await?;
        let linked = identities::primaries(&mut tx, &[&last]).await?;
        let account = linked.get(&last).unwrap_or(&last);
        identities::undo(&mut tx, &with_old, account).await?;
        work_queue::read_next(&mut tx, account, Priority::NewUser).await?;
        acts::keep(&mut tx, act, "the move ended").await?;
        tx.commit().await?;
        crash_point!("move_undone");
        Ok(MoveOutcome::Undone)
    }
}
