//! Tables `announced_end` and `announce_again`: the end of ROLE_CHANGES when the last change was marked, and the
//! changes to send again.
//!
//! Owns the knowledge that a stream lost announced changes. Must never clear it before the operator has them sent
//! again.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Channel, Store, StoreError, acts};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::plural::noun;

/// The end of the stream when the last change was marked.
#[derive(Clone, Debug)]
pub struct AnnouncedEnd {
    /// Time at which the stream was created, Unix nanoseconds.
    pub created_ns: i64,
    /// Sequence of the change.
    pub seq: i64,
    /// Id of the change.
    pub change_id: Uuid,
    /// The detected loss, until the operator has acted.
    pub lost: Option<String>,
}

impl Store {
    /// The end of the stream when the last change was marked; `None` before the first.
    pub async fn announced_end(&self) -> Result<Option<AnnouncedEnd>, StoreError> {
        let row = sqlx::query_as!(
            AnnouncedEnd,
            "SELECT created_ns, seq, change_id, lost FROM announced_end"
        );
        Ok(row.fetch_optional(&self.pool).await?)
    }

    /// Stores that the stream lacks announced changes, and where announcing continues: behind `seq`, the position of
    /// `change`. An earlier entry stays.
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
        crash_point!("lost");
        Ok(())
    }

    /// Requests that all changes completed since `from` are sent again, in their order; returns the number.
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
        acts::keep(
            &mut tx,
            act,
            &format!("{count} {} sent again", noun(count, "change is", "changes are")),
        )
        .await?;
        Channel::RoleChanges.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("marked_again");
        Ok(count)
    }
}
