//! Decided grants and revokes by spans of time.
//!
//! Owns the statement. Must never read more of the audit than the bound of each span.

use super::{Store, StoreError};
use rolekeeper_domain::view::Capped;
use rolekeeper_domain::view::changes::{COUNTED_AT_MOST, Changes, Period, Span};

impl Store {
    /// The decisions of a period that ends now, oldest span first.
    ///
    /// # Errors
    /// Postgres does not respond.
    pub async fn changes(&self, period: Period) -> Result<Changes, StoreError> {
        let mut tx = self.begin_to_read().await?;
        let rows = sqlx::query!(
            r#"WITH spans AS (
                   SELECT to_timestamp(ceil(extract(epoch FROM now())::double precision / $1) * $1) - n * $1::double precision * interval '1 second' AS began
                   FROM generate_series(1, $2) AS n
               )
               SELECT s.began AS "began!", granted.number AS "granted!", revoked.number AS "revoked!"
               FROM spans s
               CROSS JOIN LATERAL (SELECT count(*) AS number FROM (
                   SELECT FROM role_changes r WHERE r.change = 'granted'
                     AND r.decided_at >= s.began AND r.decided_at < s.began + $1::double precision * interval '1 second' LIMIT $3) AS few) AS granted
               CROSS JOIN LATERAL (SELECT count(*) AS number FROM (
                   SELECT FROM role_changes r WHERE r.change = 'revoked'
                     AND r.decided_at >= s.began AND r.decided_at < s.began + $1::double precision * interval '1 second' LIMIT $3) AS few) AS revoked
               ORDER BY s.began"#,
            period.span().as_secs_f64(),
            period.spans(),
            COUNTED_AT_MOST + 1
        );
        let rows = rows.fetch_all(&mut tx).await?.into_iter();
        Ok(Changes {
            span_s: period.span().as_secs(),
            spans: rows
                .map(|row| Span {
                    from: row.began,
                    granted: Capped::of(row.granted, COUNTED_AT_MOST),
                    revoked: Capped::of(row.revoked, COUNTED_AT_MOST),
                })
                .collect(),
        })
    }
}
