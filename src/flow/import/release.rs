//! Lets the roles of the users of an import go, slice by slice, and enqueues the users whose roles differ.
//!
//! Owns that no user is forgotten: a user leaves the hold in the transaction that enqueues the user. Safe to repeat after a kill.

use crate::flow::apply_plan::{SLICE, entry};
use crate::flow::preview::to_decide;
use crate::store::work_queue::{self, Enqueue, Priority};
use crate::store::{Store, StoreError, Tx, erasures, identities, imports, preview};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::preview::{Asked, of_user};

/// Lets them go; returns the number of users that were held. `report` is called with the number so far.
///
/// # Errors
/// Postgres refused, or is unreachable: the users so far are no longer held.
pub async fn release(
    store: &Store,
    asked: &Asked<'_>,
    source: &str,
    act: &Act,
    mut report: impl FnMut(u64),
) -> Result<u64, StoreError> {
    let mut released = 0;
    loop {
        let mut tx = store.begin_look_ups().await?;
        erasures::hold_off(&mut tx).await?;
        let users = imports::let_go(&mut tx, source, i64::try_from(SLICE).unwrap_or(i64::MAX)).await?;
        if users.is_empty() {
            imports::released(&mut tx, source, act).await?;
            tx.commit().await?;
            crash_point!("released");
            return Ok(released);
        }
        enqueue(&mut tx, asked, &users).await?;
        tx.commit().await?;
        crash_point!("slice_released");
        released += users.len() as u64;
        report(released);
    }
}

/// Enqueues those whose roles differ from the rules, and those whose last attempt was held.
async fn enqueue(tx: &mut Tx<'_>, asked: &Asked<'_>, users: &[String]) -> Result<(), StoreError> {
    let ids: Vec<&str> = users.iter().map(String::as_str).collect();
    let persons = identities::persons(tx, &ids).await?;
    let waiting = imports::waiting(tx, &persons).await?;
    let candidates = preview::read(tx, &persons, asked.rules.have_conditions()).await?;
    let due = candidates.iter().filter_map(|one| {
        let snapshot = to_decide(one, asked.rules);
        match of_user(asked, &one.user, &snapshot, &one.beside).changes {
            Some(changes) => Some(entry(&changes)),
            None if waiting.contains(&one.user) => {
                Some(Enqueue::to_read(one.user.as_str(), Priority::Verify))
            }
            None => None,
        }
    });
    let mut due: Vec<Enqueue> = due.collect();
    work_queue::enqueue(tx, &mut due).await
}
