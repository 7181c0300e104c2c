//! Tables `announced_end` and `announce_again`: where ROLE_CHANGES ended when the last change was marked, and what is sent
//! again.
//!
//! Owns that a stream which lost announced changes is known to have. Must never take that back before a person has had
//! them sent again.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError, Wake, acts};
use rolekeeper_domain::act::Act;

/// Where the stream ended when the last change was marked.
#[derive(Clone, Debug)]
pub struct AnnouncedEnd {
    /// When the stream was made, Unix nanoseconds.
    pub created_ns: i64,
    /// Sequence of the change.
    pub seq: i64,
    /// The change.
    pub change_id: Uuid,
    /// What was found to be lost, while no person has acted.
    pub lost: Option<String>,
}

impl Store {
    /// Where the stream ended when the last change was marked; none before the first.
    pub async fn announced_end(&self) -> Result<Option<AnnouncedEnd>, StoreError> {
        let row = sqlx::query_as!(
            AnnouncedEnd,
            "SELECT created_ns, seq, change_id, lost FROM announced_end"
        );
        Ok(row.fetch_optional(&self.pool).await?)
    }

    /// Notes that the stream lacks announced changes, and where announcing goes on: behind `seq`, where `change` lies. What was noted first stays.
    pub async fn announcements_lost(
        &self,
        what: &str,
        created_ns: i64,
        seq: i64,
        change: Option<Uuid>,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE announced_end SET lost_at = coalesce(lost_at, now()), lost = coalesce(lost, $1), created_ns = $2, seq = $3,
                 change_id = coalesce($4, change_id)",
            what,
            created_ns,
            seq,
            change
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Has all changes completed since `from` sent again, in their order; answers how many.
    pub async fn announce_again(&self, from: OffsetDateTime, act: &Act) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let again = sqlx::query!(
            "INSERT INTO announce_again (change_id)
             SELECT change_id FROM role_changes WHERE completed_at >= $1 AND announced_at IS NOT NULL
             ON CONFLICT DO NOTHING",
            from
        );
        let count = again.execute(&mut tx).await?.rows_affected();
        sqlx::query!("UPDATE announced_end SET lost_at = NULL, lost = NULL")
            .execute(&mut tx)
            .await?;
        acts::keep(&mut tx, act, &format!("{count} changes are sent again")).await?;
        Wake::RoleChanges.send(&mut tx).await?;
        tx.commit().await?;
        Ok(count)
    }
}
