//! Table `profile_writes`: writes that reached another account of the id than the one that was read.
//!
//! Owns how such a write is known. Must never take roles for its result that the account was made with.

use serde_json::Value;
use time::OffsetDateTime;

use super::{StoreError, Tx};

/// Whether the last write of ours left these roles at the account that was created at `created_at`, and was decided for an earlier
/// account of the id.
pub async fn was_for_earlier_account(
    tx: &mut Tx<'_>,
    user: &str,
    created_at: OffsetDateTime,
    roles: &[String],
) -> Result<bool, StoreError> {
    let earlier = sqlx::query_scalar!(
        // Without a response of ours the account may have been made with these roles.
        r#"SELECT read_created_at < $2 AND wrote_roles = $3 AND CASE WHEN answered THEN wrote_updated_at >= $2 ELSE wrote_updated_at > $2 END
               AS "earlier!" FROM (
               SELECT * FROM profile_writes WHERE user_id = $1 AND completed_at IS NOT NULL AND closed IS NULL
               ORDER BY attempted_at DESC LIMIT 1
           ) AS last WHERE read_created_at IS NOT NULL AND wrote_updated_at IS NOT NULL"#,
        user,
        created_at,
        Value::from(roles)
    );
    Ok(earlier.fetch_optional(&mut *tx).await?.unwrap_or(false))
}
