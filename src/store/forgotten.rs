//! Tables `forgotten_changes` and `forgotten_holders`: role changes in ROLE_CHANGES that the audit does not know.
//!
//! Owns the progress of the comparison of the stream with the audit, and its result. Must never treat a message of the
//! stream as a fact: it names users to read at Auth0, and roles to adopt if Auth0 shows that they hold them.

use uuid::Uuid;

use super::work_queue::{self, Enqueue, Priority};
use super::{Channel, Store, StoreError, Tx};

/// Users queued in one transaction.
const BATCH: i64 = 500;

/// Progress and result of the comparison.
#[derive(Clone, Debug)]
pub struct ForgottenChanges {
    /// Time at which the compared stream was created, Unix nanoseconds.
    pub created_ns: i64,
    /// Last compared sequence.
    pub read_to: i64,
    /// Last sequence to compare.
    pub until: i64,
    /// Number of changes that the audit does not know, until the operator resumes.
    pub unknown: i64,
    /// No role is revoked until the operator resumes.
    pub holds: bool,
}

/// A role change in a message of the stream.
#[derive(Clone, Debug)]
pub struct AnnouncedChange {
    /// Sequence of the message.
    pub seq: i64,
    /// Row of the audit.
    pub change_id: Uuid,
    /// The user.
    pub user: String,
    /// The role.
    pub role: String,
    /// Granted; otherwise revoked.
    pub granted: bool,
}

impl Store {
    /// Progress of the comparison; `None` if none was ever needed.
    pub async fn forgotten(&self) -> Result<Option<ForgottenChanges>, StoreError> {
        let row = sqlx::query_as!(
            ForgottenChanges,
            "SELECT created_ns, read_to, until, unknown, holds FROM forgotten_changes"
        );
        Ok(row.fetch_optional(&self.pool).await?)
    }

    /// Whether the audit has a row for this change.
    pub async fn knows_change(&self, change: Uuid) -> Result<bool, StoreError> {
        let known = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM role_changes WHERE change_id = $1) AS "known!""#,
            change
        );
        Ok(known.fetch_one(&self.pool).await?)
    }

    /// Starts or continues the comparison of the stream created at `created_ns`, behind `read_to` up to `until`; with
    /// `holds` no role is revoked until the operator resumes.
    pub async fn compare_changes(
        &self,
        created_ns: i64,
        read_to: i64,
        until: i64,
        holds: bool,
    ) -> Result<ForgottenChanges, StoreError> {
        let row = sqlx::query_as!(
            ForgottenChanges,
            "INSERT INTO forgotten_changes AS f (created_ns, read_to, until, holds) VALUES ($1, $2, $3, $4)
             ON CONFLICT (only_row) DO UPDATE SET created_ns = excluded.created_ns, until = excluded.until,
                 read_to = CASE WHEN f.created_ns = excluded.created_ns THEN greatest(f.read_to, excluded.read_to)
                     ELSE excluded.read_to END,
                 holds = f.holds OR excluded.holds
             RETURNING created_ns, read_to, until, unknown, holds",
            created_ns,
            read_to,
            until,
            holds
        );
        let row = row.fetch_one(&self.pool).await?;
        crash_point!("comparison_begun");
        Ok(row)
    }

    /// Stores the result for the messages up to `read_to`: known changes are marked as announced, and the users of
    /// unknown ones are stored. Returns the progress.
    pub async fn compared(
        &self,
        read_to: i64,
        announced: &[AnnouncedChange],
    ) -> Result<ForgottenChanges, StoreError> {
        let ids: Vec<Uuid> = announced.iter().map(|one| one.change_id).collect();
        let mut tx = self.begin().await?;
        sqlx::query!(
            "UPDATE role_changes SET announced_at = clock_timestamp()
             WHERE change_id = ANY($1) AND announced_at IS NULL AND completed_at IS NOT NULL",
            &ids
        )
        .execute(&mut tx)
        .await?;
        let known = sqlx::query_scalar!(
            "SELECT change_id FROM role_changes WHERE change_id = ANY($1)",
            &ids
        );
        let known = known.fetch_all(&mut tx).await?;
        let unknown: Vec<&AnnouncedChange> = announced
            .iter()
            .filter(|one| !known.contains(&one.change_id))
            .collect();
        keep_holders(&mut tx, &unknown).await?;
        let row = sqlx::query_as!(
            ForgottenChanges,
            "UPDATE forgotten_changes SET read_to = greatest(read_to, $1), unknown = unknown + $2,
                 noticed_at = CASE WHEN $2::bigint > 0 THEN coalesce(noticed_at, now()) ELSE noticed_at END
             RETURNING created_ns, read_to, until, unknown, holds",
            read_to,
            i64::try_from(unknown.len()).unwrap_or(i64::MAX)
        );
        let row = row.fetch_one(&mut tx).await?;
        tx.commit().await?;
        crash_point!("compared");
        Ok(row)
    }

    /// Stores that the audit lacks no change: no revoke is held for the comparison.
    pub async fn nothing_forgotten(&self) -> Result<(), StoreError> {
        sqlx::query!("UPDATE forgotten_changes SET holds = false WHERE unknown = 0")
            .execute(&self.pool)
            .await?;
        crash_point!("held_no_more");
        Ok(())
    }

    /// Whether users are still to be queued.
    pub async fn has_forgotten_holders(&self) -> Result<bool, StoreError> {
        let waits = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM forgotten_holders) AS "waits!""#);
        Ok(waits.fetch_one(&self.pool).await?)
    }

    /// Queues some of the users: a role whose last message is a grant is adopted if Auth0 shows that the user holds it.
    /// Returns the number of users; 0 when none are left.
    pub async fn queue_forgotten_holders(&self) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query!(
            "SELECT user_id, role, granted FROM forgotten_holders ORDER BY user_id, role LIMIT $1 FOR UPDATE",
            BATCH
        );
        let rows = rows.fetch_all(&mut tx).await?;
        let mut entries: Vec<Enqueue> = rows
            .iter()
            .map(|row| Enqueue::to_read(&row.user_id, Priority::Revoke))
            .collect();
        entries.dedup_by(|one, other| one.user == other.user);
        // Locks the queue first, in the same order as reconcile.
        work_queue::enqueue(&mut tx, &mut entries).await?;
        let granted = || rows.iter().filter(|row| row.granted);
        let users: Vec<&str> = granted().map(|row| row.user_id.as_str()).collect();
        let roles: Vec<&str> = granted().map(|row| row.role.as_str()).collect();
        sqlx::query!(
            "INSERT INTO assignments AS a (user_id, role, wanted, has_role, adopted)
             SELECT user_id, role, false, false, true FROM UNNEST($1::text[], $2::text[]) AS announced(user_id, role)
             ON CONFLICT (user_id, role) DO UPDATE SET adopted = true WHERE NOT a.adopted",
            &users as &[&str],
            &roles as &[&str]
        )
        .execute(&mut tx)
        .await?;
        let (users, roles): (Vec<&str>, Vec<&str>) = rows
            .iter()
            .map(|row| (row.user_id.as_str(), row.role.as_str()))
            .unzip();
        sqlx::query!(
            "DELETE FROM forgotten_holders h USING UNNEST($1::text[], $2::text[]) AS queued(user_id, role)
             WHERE h.user_id = queued.user_id AND h.role = queued.role",
            &users as &[&str],
            &roles as &[&str]
        )
        .execute(&mut tx)
        .await?;
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("holders_queued");
        Ok(rows.len() as u64)
    }
}

/// The last message of each user and role counts.
async fn keep_holders(tx: &mut Tx<'_>, unknown: &[&AnnouncedChange]) -> Result<(), StoreError> {
    let users: Vec<&str> = unknown.iter().map(|one| one.user.as_str()).collect();
    let roles: Vec<&str> = unknown.iter().map(|one| one.role.as_str()).collect();
    let granted: Vec<bool> = unknown.iter().map(|one| one.granted).collect();
    let seqs: Vec<i64> = unknown.iter().map(|one| one.seq).collect();
    sqlx::query!(
        "INSERT INTO forgotten_holders AS h (user_id, role, granted, seq)
         SELECT DISTINCT ON (user_id, role) user_id, role, granted, seq
         FROM UNNEST($1::text[], $2::text[], $3::boolean[], $4::bigint[]) AS announced(user_id, role, granted, seq)
         ORDER BY user_id, role, seq DESC
         ON CONFLICT (user_id, role) DO UPDATE SET granted = excluded.granted, seq = excluded.seq",
        &users as &[&str],
        &roles as &[&str],
        &granted,
        &seqs
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Number of unknown changes if the operator has not resumed since; `None` if nothing is to be resumed.
pub(super) async fn unresumed(tx: &mut Tx<'_>) -> Result<Option<i64>, StoreError> {
    let unknown = sqlx::query_scalar!("SELECT unknown FROM forgotten_changes WHERE unknown > 0 OR holds");
    Ok(unknown.fetch_optional(&mut *tx).await?)
}

/// The operator resumes: revokes are allowed again.
pub(super) async fn resume(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    sqlx::query!("UPDATE forgotten_changes SET unknown = 0, holds = false, noticed_at = NULL")
        .execute(&mut *tx)
        .await?;
    work_queue::release_held(tx).await
}
