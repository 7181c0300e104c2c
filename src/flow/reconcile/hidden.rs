//! Roles that Auth0 may be hiding from the client.
//!
//! Owns the doubt about a profile without `app_metadata` of a user who had roles at the last read: a client that lacks
//! a scope sees the same profile as for a user without roles. Must never let this profile be stored, or be the base of
//! a write.

use super::attempt::AttemptError;
use crate::auth0::{CallError, LaterWhy, Outcome, Profile, RateHeaders};
use crate::store::{Tx, users};

/// Aborts the attempt while this is in doubt. The user is read again later, and parked in the end.
pub(super) async fn doubted(tx: &mut Tx<'_>, user: &str, profile: &Profile) -> Result<(), AttemptError> {
    if !profile.may_hide_roles() || !users::had_roles(tx, user).await? {
        return Ok(());
    }
    let detail = "the profile has no app_metadata, but had roles when it was last read, and no other profile shows any: if the \
                  client may not read it (scope read:users_app_metadata), a write would take the roles of other clients away"
        .to_owned();
    Err(AttemptError::Call {
        error: CallError::Later {
            why: LaterWhy::BadAnswer,
            outcome: Outcome::NotSent,
            detail,
        },
        rate: RateHeaders::default(),
    })
}
