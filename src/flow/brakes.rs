//! The brakes as the operator sees them, for the command and the console.
//!
//! Owns the reading of all kinds into one value. Must never change a brake.

use crate::store::{BrakeState, HeldKind, Store, StoreError};
use rolekeeper_domain::explanation::Paused;
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::view::brakes::{Brake, Brakes, HeldUser, Kind};
use rolekeeper_domain::view::{Capped, cut};

/// The kind in the tables.
#[must_use]
pub fn held_kind(kind: Kind) -> HeldKind {
    match kind {
        Kind::Revokes => HeldKind::Changes(RoleChange::Revoked),
        Kind::Grants => HeldKind::Changes(RoleChange::Granted),
        Kind::Restores => HeldKind::Restores,
        Kind::Removals => HeldKind::Removals,
        Kind::Gone => HeldKind::Gone,
    }
}

/// Reads all brakes, with at most `show` held users of each; of one kind, with those behind a user.
///
/// # Errors
/// Postgres does not respond.
pub async fn brakes(store: &Store, show: i64, behind: Option<(Kind, &str)>) -> Result<Brakes, StoreError> {
    let mut brakes = Vec::new();
    for kind in Kind::ALL {
        let after = behind.filter(|(of, _)| *of == kind).map_or("", |(_, user)| user);
        brakes.push(of_kind(store, kind, after, show).await?);
    }
    let paused = store.paused().await?;
    Ok(Brakes {
        brakes,
        paused: paused.map(|paused| Paused {
            since: paused.since,
            reason: paused.reason,
        }),
        drain: store.drain_shown().await?,
    })
}

async fn of_kind(store: &Store, kind: Kind, after: &str, show: i64) -> Result<Brake, StoreError> {
    let most = show + 1;
    let mut state = match kind {
        Kind::Revokes => store.brake(RoleChange::Revoked, after, most).await?,
        Kind::Grants => store.brake(RoleChange::Granted, after, most).await?,
        Kind::Restores => store.restores_brake(after, most).await?,
        Kind::Removals => store.removals_brake(after, most).await?,
        Kind::Gone => {
            let gone = store.gone_brake(after, most).await?;
            BrakeState {
                engaged_at: gone.engaged_at,
                counted: gone.counted,
                held: gone.held,
                waiting: Capped::default(),
                first: gone.first.into_iter().map(|user| (user, vec![])).collect(),
            }
        }
    };
    let more = cut(&mut state.first, show);
    let sign = kind.sign();
    let signed = |roles: Vec<String>| roles.iter().map(|role| format!("{sign}{role}")).collect();
    let first = state.first.into_iter().map(|(user_id, roles)| HeldUser {
        user_id,
        roles: signed(roles),
    });
    Ok(Brake {
        changes: kind,
        engaged_at: state.engaged_at,
        would_change: state.counted.map(|(users, _)| users),
        of: state.counted.map(|(_, of)| of),
        held: state.held,
        waiting: state.waiting,
        first: first.collect(),
        more,
        under_way: store.release_under_way(held_kind(kind)).await?,
    })
}
