//! Rows of users that another transaction has locked.
//!
//! Owns which users these are. Must never wait for a lock.

use std::collections::HashSet;

use super::{StoreError, Tx};

/// The users with a row that an attempt writes and that another transaction has locked. The rows of the others stay locked until
/// this transaction ends.
pub async fn among(tx: &mut Tx<'_>, users: &[&str]) -> Result<HashSet<String>, StoreError> {
    let locked = sqlx::query_scalar!(
        r#"SELECT named.user_id AS "user!" FROM UNNEST($1::text[]) AS named(user_id)
           WHERE (SELECT count(*) FROM assignments a WHERE a.user_id = named.user_id)
                   > (SELECT count(*) FROM (
                       SELECT FROM assignments a WHERE a.user_id = named.user_id FOR NO KEY UPDATE SKIP LOCKED) AS free)
               OR (SELECT count(*) FROM users u WHERE u.user_id = named.user_id)
                   > (SELECT count(*) FROM (
                       SELECT FROM users u WHERE u.user_id = named.user_id FOR NO KEY UPDATE SKIP LOCKED) AS free)
               OR (SELECT count(*) FROM pins p WHERE p.user_id = named.user_id AND p.until <= now())
                   > (SELECT count(*) FROM (
                       SELECT FROM pins p WHERE p.user_id = named.user_id AND p.until <= now() FOR UPDATE SKIP LOCKED) AS free)"#,
        users as &[&str]
    );
    Ok(locked.fetch_all(&mut *tx).await?.into_iter().collect())
}
