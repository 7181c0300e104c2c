//! Tables `forgotten_changes` and `forgotten_holders`: role changes that ROLE_CHANGES tells of and the audit does not know.
//!
//! Owns how far the stream was compared with the audit, and what came of it. Must never take a message of the stream for a
//! fact: it says which users Auth0 is asked about, and whose role is ours if Auth0 answers that they hold it.

use uuid::Uuid;

use super::nominations::{self, Nominate, Urgency};
use super::{Store, StoreError, Tx, Wake};

/// Users that one transaction queues.
const SLICE: i64 = 500;

/// How far the comparison is, and what it found.
#[derive(Clone, Debug)]
pub struct ForgottenChanges {
    /// When the stream that is read was made, Unix nanoseconds.
    pub created_ns: i64,
    /// Last sequence that was compared.
    pub read_to: i64,
    /// Last sequence to compare.
    pub until: i64,
    /// Changes that the audit does not know, until the operator has resumed.
    pub unknown: i64,
    /// No role is taken away until the operator has resumed.
    pub holds: bool,
}

/// A change of a role, as a message of the stream tells it.
#[derive(Clone, Debug)]
pub struct Told {
    /// Sequence of the message.
    pub seq: i64,
    /// Row of the audit.
    pub change_id: Uuid,
    /// The user.
    pub user: String,
    /// The role.
    pub role: String,
    /// Granted; else revoked.
    pub granted: bool,
}

impl Store {
    /// How far the comparison is; none where none was ever needed.
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

    /// Begins to compare the stream made at `created_ns` behind `read_to` up to `until`, or goes on with that; with `holds`
    /// no role is taken away until the operator has resumed.
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
        Ok(row.fetch_one(&self.pool).await?)
    }

    /// Notes what the messages up to `read_to` tell: those that the audit knows are marked as announced, of the others the
    /// users are kept. Answers how far the comparison is now.
    pub async fn compared(&self, read_to: i64, told: &[Told]) -> Result<ForgottenChanges, StoreError> {
        let ids: Vec<Uuid> = told.iter().map(|one| one.change_id).collect();
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
        let unknown: Vec<&Told> = told
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
        Ok(row)
    }

    /// The comparison found nothing that the audit lacks: no role is held for it.
    pub async fn nothing_forgotten(&self) -> Result<(), StoreError> {
        sqlx::query!("UPDATE forgotten_changes SET holds = false WHERE unknown = 0")
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Whether users wait to be queued.
    pub async fn has_forgotten_holders(&self) -> Result<bool, StoreError> {
        let waits = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM forgotten_holders) AS "waits!""#);
        Ok(waits.fetch_one(&self.pool).await?)
    }

    /// Queues some of the users: a role whose last message tells of a grant is ours to take away, if Auth0 answers that the
    /// user holds it. Answers how many; none are left after 0.
    pub async fn queue_forgotten_holders(&self) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query!(
            "SELECT user_id, role, granted FROM forgotten_holders ORDER BY user_id, role LIMIT $1 FOR UPDATE",
            SLICE
        );
        let rows = rows.fetch_all(&mut tx).await?;
        let mut looks: Vec<Nominate> = rows
            .iter()
            .map(|row| Nominate {
                user: row.user_id.clone(),
                urgency: Urgency::Revoke,
                observe: true,
                cause: None,
                restless: false,
            })
            .collect();
        looks.dedup_by(|one, other| one.user == other.user);
        // Nominations first, as reconcile locks them.
        nominations::nominate(&mut tx, &mut looks).await?;
        let granted = || rows.iter().filter(|row| row.granted);
        let users: Vec<&str> = granted().map(|row| row.user_id.as_str()).collect();
        let roles: Vec<&str> = granted().map(|row| row.role.as_str()).collect();
        sqlx::query!(
            "INSERT INTO assignments AS a (user_id, role, wanted, held, adopted)
             SELECT user_id, role, false, false, true FROM UNNEST($1::text[], $2::text[]) AS told(user_id, role)
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
        Wake::Nominations.send(&mut tx).await?;
        tx.commit().await?;
        Ok(rows.len() as u64)
    }
}

/// Of each user and role the last message counts.
async fn keep_holders(tx: &mut Tx<'_>, unknown: &[&Told]) -> Result<(), StoreError> {
    let users: Vec<&str> = unknown.iter().map(|one| one.user.as_str()).collect();
    let roles: Vec<&str> = unknown.iter().map(|one| one.role.as_str()).collect();
    let granted: Vec<bool> = unknown.iter().map(|one| one.granted).collect();
    let seqs: Vec<i64> = unknown.iter().map(|one| one.seq).collect();
    sqlx::query!(
        "INSERT INTO forgotten_holders AS h (user_id, role, granted, seq)
         SELECT DISTINCT ON (user_id, role) user_id, role, granted, seq
         FROM UNNEST($1::text[], $2::text[], $3::boolean[], $4::bigint[]) AS told(user_id, role, granted, seq)
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

/// How many changes are not known, where the operator has not resumed since; none where nothing is to be resumed.
pub(super) async fn standing(tx: &mut Tx<'_>) -> Result<Option<i64>, StoreError> {
    let unknown = sqlx::query_scalar!("SELECT unknown FROM forgotten_changes WHERE unknown > 0 OR holds");
    Ok(unknown.fetch_optional(&mut *tx).await?)
}

/// The operator has looked: roles are taken away again.
pub(super) async fn resume(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    sqlx::query!("UPDATE forgotten_changes SET unknown = 0, holds = false, noticed_at = NULL")
        .execute(&mut *tx)
        .await?;
    nominations::release_held(tx).await
}
