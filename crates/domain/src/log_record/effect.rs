//! The effect of a record on users, as a value.
//!
//! Owns the kinds of effects.

use super::written::WrittenRoles;
use crate::ids::UserId;

/// Effect of a record on users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The user logged in interactively.
    Login {
        /// The user who logged in.
        user: UserId<'static>,
    },
    /// The user signed up, or was created.
    SignUp {
        /// The new user.
        user: UserId<'static>,
    },
    /// A client created or changed this user.
    Written {
        /// The changed user, not the actor.
        user: UserId<'static>,
        /// The effect on the roles.
        roles: WrittenRoles,
    },
    /// An id was unlinked from this user.
    Unlinked {
        /// The primary.
        user: UserId<'static>,
        /// The id that was linked to it.
        alias: UserId<'static>,
    },
    /// The user was deleted.
    Deleted {
        /// The deleted user.
        user: UserId<'static>,
    },
    /// A directory changed this user (SCIM); only a read of the user shows how.
    Touched {
        /// The changed user.
        user: UserId<'static>,
    },
    /// Users were imported, or a connection was deleted with its users; the record does not list them, so every user may
    /// be affected.
    BulkImport,
    /// The record has no effect on users.
    Other,
}
