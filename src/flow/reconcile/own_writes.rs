//! The rows of our own writes of roles.
//!
//! Owns what is noted of a write before it is sent, at its response, and when it certainly changed nothing. Must never
//! close a write that may have changed the profile.

use time::OffsetDateTime;
use uuid::Uuid;

use crate::auth0::{CallError, Outcome, Profile};
use crate::store::profile_writes::ReadBefore;
use crate::store::{Store, StoreError, Tx, profile_writes};
use rolekeeper_domain::date;
use rolekeeper_domain::merge::State;
use rolekeeper_domain::patch::Patch;
use rolekeeper_domain::plan::SeenRoles;

/// Records a write that is about to be sent. Returns its id.
pub(super) async fn attempt(
    tx: &mut Tx<'_>,
    user: &str,
    read: &Profile,
    (patch, since): (&Patch, Option<OffsetDateTime>),
) -> Result<Uuid, StoreError> {
    let roles = match read.roles() {
        SeenRoles::List(roles) => roles,
        SeenRoles::Missing | SeenRoles::Odd(_) => vec![],
    };
    let before = ReadBefore {
        roles: &roles,
        updated_at: at(read),
        date: read.date(),
        created_at: read.created_at(),
    };
    let changes = patch.plan().changes().iter();
    let managed: Vec<&str> = changes.map(|(role, _)| role.as_str()).collect();
    let wrote = patch.roles().unwrap_or_default();
    profile_writes::attempt(tx, user, before, (wrote, &managed, since)).await
}

/// Records a write's response, and whether the attempt records the result. Returns false when the write is no longer
/// known.
pub(super) async fn answered(
    tx: &mut Tx<'_>,
    write: Uuid,
    after: &Profile,
    recorded: bool,
) -> Result<bool, StoreError> {
    profile_writes::answered(tx, write, at(after), recorded).await
}

/// Forgets a write of roles that was not sent or that the rate limit refused; closes a write that Auth0 refused.
/// Both certainly changed nothing.
pub(super) async fn refused(store: &Store, write: Option<Uuid>, error: &CallError) -> Result<(), StoreError> {
    let outcome = match error {
        CallError::Later { outcome, .. } => Some(*outcome),
        CallError::Limited => Some(Outcome::NotSent),
        _ => None,
    };
    let Some(write) = write.filter(|_| outcome != Some(Outcome::Unknown)) else {
        return Ok(());
    };
    let mut tx = store.begin_bounded().await?;
    if outcome == Some(Outcome::NotSent) {
        profile_writes::without_effect(&mut tx, write).await?;
    } else {
        profile_writes::refused(&mut tx, write).await?;
    }
    tx.commit().await?;
    crash_point!("refused");
    Ok(())
}

/// The roles of a profile, with the time of the profile's last change. None if the profile has no such time.
pub(super) fn state(profile: &Profile) -> Option<State> {
    let at = at(profile)?;
    let roles = match profile.roles() {
        SeenRoles::List(roles) => roles,
        SeenRoles::Missing => vec![],
        SeenRoles::Odd(_) => return None,
    };
    Some(State { at, roles })
}

/// Time of the profile's last change, by Auth0's clock.
pub(super) fn at(profile: &Profile) -> Option<OffsetDateTime> {
    date::of_text(profile.updated_at()?)
}
