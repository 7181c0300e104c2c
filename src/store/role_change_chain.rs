//! Table `role_change_chain`, and the columns of `role_changes` about the chain of hashes.
//!
//! Owns that each completed change gets one place in the chain, in order and by one transaction at a time. Must never run in a
//! transaction of an attempt, nor wait for a row that another transaction has locked: this row and those behind it follow later.

use uuid::Uuid;

use super::{Store, StoreError};
use rolekeeper_domain::evidence::{Completed, Hash, Place, Salt, digest, user_hash};

/// Most changes that one transaction adds.
const AT_ONCE: i64 = 200;

/// The columns of a slice, one value a change.
#[derive(Debug, Default)]
struct Slice {
    changes: Vec<Uuid>,
    positions: Vec<i64>,
    previous: Vec<Vec<u8>>,
    hashes: Vec<Vec<u8>>,
    users: Vec<Vec<u8>>,
    salts: Vec<Option<Vec<u8>>>,
}

impl Slice {
    /// Adds a change behind `end`; returns its place. Another salt is drawn for each change, so the hashes of one user differ.
    fn add(&mut self, end: Place, change: &Completed) -> Result<Place, StoreError> {
        let salt = Salt::of(rand::random());
        let user = user_hash(salt, &change.user_id);
        let record = change.record(user).map_err(|_| StoreError::Inconsistent {
            table: "role_changes",
            column: "completed_at",
            value: change.completed_at.to_string(),
        })?;
        let place = end.next(digest(&record));
        self.changes.push(change.change_id);
        self.positions.push(place.position);
        self.previous.push(end.hash.bytes().to_vec());
        self.hashes.push(place.hash.bytes().to_vec());
        self.users.push(user.bytes().to_vec());
        // With the salt, a guess of the erased id could be checked.
        self.salts
            .push((!change.is_erased()).then(|| salt.bytes().to_vec()));
        Ok(place)
    }
}

/// A stored hash.
pub(super) fn hash_of(table: &'static str, column: &'static str, stored: &[u8]) -> Result<Hash, StoreError> {
    Hash::of_slice(stored).ok_or_else(|| StoreError::Inconsistent {
        table,
        column,
        value: format!("{} bytes", stored.len()),
    })
}

impl Store {
    /// Gives completed changes a place in the chain, in the order of their completion; one transaction. Returns whether more may wait.
    pub async fn extend_chain(&self) -> Result<bool, StoreError> {
        let waiting = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM role_changes WHERE completed_at IS NOT NULL AND chain_position IS NULL) AS "waiting!""#
        );
        let mut tx = self.begin_look_ups().await?;
        if !waiting.fetch_one(&mut tx).await? {
            tx.commit().await?;
            return Ok(false);
        }
        // A second worker waits here, and continues behind the end that this one commits. A worker that is frozen from here on loses
        // its locks.
        let end = sqlx::query!(
            "SELECT position, hash, set_config('idle_in_transaction_session_timeout', '5s', true) AS settings
             FROM role_change_chain FOR UPDATE"
        );
        let end = end.fetch_one(&mut tx).await?;
        let mut end = Place {
            position: end.position,
            hash: hash_of("role_change_chain", "hash", &end.hash)?,
        };
        let due = sqlx::query_scalar!(
            "SELECT change_id FROM role_changes WHERE completed_at IS NOT NULL AND chain_position IS NULL
             ORDER BY completed_at, change_id LIMIT $1",
            AT_ONCE
        );
        let due = due.fetch_all(&mut tx).await?;
        // Locked, so that an erasure waits: the salt of an erased user would stay behind it.
        let changes = sqlx::query_as!(
            Completed,
            r#"SELECT change_id, user_id, role, change, plays, rule, event_id, event_stored_at, event_seq, decided_at, attempted_at,
                   completed_at AS "completed_at!", outcome AS "outcome!", queued_ms, released, write_id, client_id, log_id, reason
               FROM role_changes WHERE change_id = ANY($1) ORDER BY completed_at, change_id FOR NO KEY UPDATE SKIP LOCKED"#,
            &due
        );
        let changes = changes.fetch_all(&mut tx).await?;
        let mut slice = Slice::default();
        // Without those behind the first one that another transaction has locked.
        for (change, _) in changes
            .iter()
            .zip(&due)
            .take_while(|(change, due)| change.change_id == **due)
        {
            end = slice.add(end, change)?;
        }
        if slice.changes.is_empty() {
            tx.commit().await?;
            return Ok(false);
        }
        let is_full = due.len() as u64 >= AT_ONCE.unsigned_abs();
        sqlx::query!(
            "UPDATE role_changes r SET chain_position = c.position, chain_previous = c.previous, chain_hash = c.hash,
                 user_hash = c.of_user, user_salt = c.salt
             FROM UNNEST($1::uuid[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[])
                 AS c(change_id, position, previous, hash, of_user, salt)
             WHERE r.change_id = c.change_id",
            &slice.changes,
            &slice.positions,
            &slice.previous,
            &slice.hashes,
            &slice.users,
            &slice.salts as &[Option<Vec<u8>>]
        )
        .execute(&mut tx)
        .await?;
        sqlx::query!(
            "UPDATE role_change_chain SET position = $1, hash = $2",
            end.position,
            end.hash.bytes()
        )
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        crash_point!("extended");
        Ok(is_full)
    }
}
