//! Moves that no attempt has linked yet: their ids already count for the account that the next attempt reads.
//!
//! Owns the read over `moves` and `identities`, by index. Must never write: the attempt links them.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::{StoreError, Tx, snapshot};
use rolekeeper_domain::person::Person;
use rolekeeper_domain::snapshot::Snapshot;

/// Ids whose snapshots one statement reads.
const AT_ONCE: usize = 500;

/// The accounts behind `from` and up to `to` to which an id was moved that is not linked yet, in the order of ids.
pub(super) async fn accounts(tx: &mut Tx<'_>, (from, to): (&str, &str)) -> Result<Vec<String>, StoreError> {
    let accounts = sqlx::query_scalar!(
        r#"SELECT m.new_id AS "id!" FROM moves m
           WHERE m.new_id > $1 AND m.new_id <= $2 AND NOT EXISTS (SELECT FROM identities i WHERE i.alias = m.old_id)
           UNION
           SELECT i.primary_id FROM identities i JOIN moves m ON m.new_id = i.alias
           WHERE i.primary_id > $1 AND i.primary_id <= $2 AND NOT EXISTS (SELECT FROM identities o WHERE o.alias = m.old_id)
           ORDER BY 1"#,
        from,
        to
    );
    Ok(accounts.fetch_all(&mut *tx).await?)
}

/// For each of these snapshots, the ids that were moved to the user and are not linked yet, with their own snapshots.
pub(super) async fn of_users(
    tx: &mut Tx<'_>,
    users: &[Snapshot],
    (fresh_for, conditions): (Duration, bool),
) -> Result<Vec<Vec<(String, Snapshot)>>, StoreError> {
    let ids: BTreeSet<&str> = users.iter().flat_map(|user| pending(&user.person)).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let mut read = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(AT_ONCE) {
        let snapshots = snapshot::of_users(tx, ids, fresh_for, conditions).await?;
        read.extend(ids.iter().copied().zip(snapshots));
    }
    let of = |user: &Snapshot| {
        let ids = pending(&user.person).into_iter();
        ids.filter_map(|id| Some((id.to_owned(), read.get(id)?.clone())))
            .collect()
    };
    Ok(users.iter().map(of).collect())
}

/// Of a moved id the account has them.
fn pending(person: &Person) -> Vec<&str> {
    if person.alias_of.is_some() || person.moved_away {
        return vec![];
    }
    let moved = person.moved.iter().filter(|id| !person.aliases.contains(id));
    moved.map(String::as_str).collect()
}
