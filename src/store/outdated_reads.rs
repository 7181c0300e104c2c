//! Reads that show a profile as it was before a write of ours.
//!
//! Owns the comparison of their times, both by Auth0's clock. Must never call a read outdated for longer than such a read can come.

use std::time::Duration;

use time::OffsetDateTime;

use super::{StoreError, Tx};

/// Longest time after a write in which a read may show the state before it. Auth0 promises that none does; afterwards a read counts as
/// it is, so that a profile whose time was set back is not read without end.
const READS_LAG: Duration = Duration::from_secs(30);

/// Whether a profile with this time of its last change is older than a write of ours that got a response just now: the read showed
/// an earlier state.
pub async fn is_outdated(
    tx: &mut Tx<'_>,
    user: &str,
    updated_at: OffsetDateTime,
) -> Result<bool, StoreError> {
    let outdated = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM profile_writes
               WHERE user_id = $1 AND answered AND wrote_updated_at > $2
                 AND completed_at > now() - $3::double precision * interval '1 second') AS "outdated!""#,
        user,
        updated_at,
        READS_LAG.as_secs_f64()
    );
    Ok(outdated.fetch_one(&mut *tx).await?)
}
