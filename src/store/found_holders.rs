//! Table `assignments`: the holders that a search at Auth0 found.
//!
//! Owns that a found holder is stored as unadopted, with the verification still to come. Must never change a row of a known
//! holder.

use std::collections::HashMap;

use super::{Enqueue, Priority, StoreError, Tx, identities, work_queue};

/// Holders and users to store, as one page of a search or one part of a file showed them.
#[derive(Clone, Debug, Default)]
pub struct FoundHolders {
    /// New holders, by user and role, in the order in which they are stored.
    pub new: Vec<(String, String)>,
    /// Users whose profile has to be read first.
    pub unclear: Vec<String>,
}

/// Stores new holders as unadopted, without a verification, and enqueues the users whose profile has to be read first.
pub async fn keep(tx: &mut Tx<'_>, holders: &FoundHolders) -> Result<(), StoreError> {
    let linked = linked(tx, holders).await?;
    let (linked, new): (Vec<_>, Vec<_>) = holders
        .new
        .iter()
        .partition(|(user, _)| linked.contains_key(user));
    let linked = linked.iter().map(|(user, _)| user);
    let mut entries: Vec<_> = holders
        .unclear
        .iter()
        .chain(linked)
        .map(|user| Enqueue::to_read(user, Priority::Verify))
        .collect();
    entries.sort_by(|one, other| one.user.cmp(&other.user));
    entries.dedup_by(|one, other| one.user == other.user);
    // Locks the queue first, in the same order as reconcile.
    work_queue::enqueue(tx, &mut entries).await?;
    let (users, roles): (Vec<&str>, Vec<&str>) = new
        .into_iter()
        .map(|(user, role)| (user.as_str(), role.as_str()))
        .unzip();
    sqlx::query!(
        "INSERT INTO assignments (user_id, role, wanted, has_role, adopted)
         SELECT user_id, role, false, true, false
         FROM UNNEST($1::text[], $2::text[]) WITH ORDINALITY AS found(user_id, role, place) ORDER BY place
         ON CONFLICT (user_id, role) DO NOTHING",
        &users as &[&str],
        &roles as &[&str]
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// The new holders that have been linked to another id since they were compared. No link is stored from here on, until the transaction
/// ends: a row of a linked id would stay, and be verified without end.
async fn linked(tx: &mut Tx<'_>, holders: &FoundHolders) -> Result<HashMap<String, String>, StoreError> {
    if holders.new.is_empty() {
        return Ok(HashMap::new());
    }
    identities::serialize(tx).await?;
    let users: Vec<&str> = holders.new.iter().map(|(user, _)| user.as_str()).collect();
    identities::primaries(tx, &users).await
}
