//! Table `pins`: pins `off` of persons with several ids.
//!
//! Owns that a ban outlasts what users change by themselves (they link, unlink and delete accounts), and a move to another tenant.
//! Must never copy a pin because a move was undone: the ids were never one person.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{StoreError, Tx, acts};
use rolekeeper_domain::act::Act;

/// Accounts whose pins one transaction copies.
const AT_ONCE: i64 = 500;

/// Copies the pins `off` of a person to the ids that leave the account, each with the account, and to an account that would have none
/// without them. An id that goes along with its account (`linked`, to `user`) does not leave the person. Call it while the links
/// still stand.
pub async fn outlast(
    tx: &mut Tx<'_>,
    user: &str,
    leaving: &[(&str, &str)],
    linked: &[String],
) -> Result<(), StoreError> {
    let stays_one = |id: &str| id == user || linked.iter().any(|linked| linked == id);
    let mut left: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (alias, primary) in leaving {
        if !(stays_one(alias) && stays_one(primary)) {
            left.entry(primary).or_default().insert(alias);
        }
    }
    for (primary, aliases) in left {
        let aliases: Vec<&str> = aliases.into_iter().collect();
        copy(tx, primary, &aliases, acts::WORKER).await?;
    }
    Ok(())
}

/// As [`outlast`], for all links of the next accounts behind `after`, which end by the operator's word. Returns the last account; none
/// if no further one has a pin `off` at any of its ids.
pub(super) async fn outlast_all(
    tx: &mut Tx<'_>,
    after: &str,
    operator: &str,
) -> Result<Option<String>, StoreError> {
    let banned = sqlx::query!(
        r#"SELECT primary_id, array_agg(alias) AS "aliases!" FROM identities
           WHERE NOT undone AND primary_id > $1 AND primary_id IN (
               SELECT p.user_id FROM pins p WHERE p.state = 'off'
               UNION SELECT i.primary_id FROM pins p JOIN identities i ON i.alias = p.user_id WHERE p.state = 'off' AND NOT i.undone)
           GROUP BY primary_id ORDER BY primary_id LIMIT $2"#,
        after,
        AT_ONCE
    );
    let banned = banned.fetch_all(&mut *tx).await?;
    for person in &banned {
        let aliases: Vec<&str> = person.aliases.iter().map(String::as_str).collect();
        copy(tx, &person.primary_id, &aliases, operator).await?;
    }
    Ok(banned.into_iter().last().map(|person| person.primary_id))
}

/// Copies the pins of one person. They do not count towards a brake again.
async fn copy(tx: &mut Tx<'_>, primary: &str, leaving: &[&str], by: &str) -> Result<(), StoreError> {
    let copied = sqlx::query!(
        "WITH ids AS (
             SELECT $1::text AS id, false AS leaves
             UNION ALL SELECT alias, alias = ANY($2::text[]) FROM identities WHERE primary_id = $1 AND NOT undone
         ), off AS (
             SELECT p.*, i.leaves FROM ids i JOIN pins p ON p.user_id = i.id
             WHERE p.state = 'off' AND (p.until IS NULL OR p.until > now())
         ), banned AS (
             SELECT DISTINCT ON (role) * FROM off ORDER BY role, until DESC NULLS FIRST, leaves, user_id
         )
         INSERT INTO pins (user_id, role, state, until, why, pinned_by, pinned_at, log_id, client_id, released)
         SELECT i.id, b.role, b.state, b.until, b.why, b.pinned_by, b.pinned_at, b.log_id, b.client_id, true
         -- an id that stays has it as well
         FROM banned b JOIN ids i ON i.leaves OR (i.id = $1 AND b.leaves)
         ORDER BY i.id, b.role
         ON CONFLICT (user_id, role) DO UPDATE SET state = excluded.state, until = excluded.until, why = excluded.why,
             pinned_by = excluded.pinned_by, pinned_at = excluded.pinned_at, log_id = excluded.log_id,
             client_id = excluded.client_id, released = excluded.released
         WHERE outweighs(excluded.state, excluded.until, pins.state, pins.until)
         RETURNING user_id, role",
        primary,
        leaving as &[&str]
    );
    let mut banned: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in copied.fetch_all(&mut *tx).await? {
        banned.entry(row.user_id).or_default().push(row.role);
    }
    for (id, roles) in banned {
        let act = Act {
            by: by.to_owned(),
            command: "pin",
            arguments: json!({"user": id, "account": primary, "roles": roles, "state": "off"}),
            why: None,
        };
        acts::keep(
            tx,
            &act,
            "pinned off: the id was linked to an id that is pinned off",
        )
        .await?;
    }
    Ok(())
}
