//! One change of one user.
//!
//! Owns the kinds of changes, as values. Must never apply one: the state does.

use std::collections::BTreeMap;

use super::merge::Object;

/// Profiles by user id, in the order of the ids.
pub(super) type Users = BTreeMap<String, Object>;

/// One change of one user, with the body of its request.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Created {
        user: Object,
        sent: Object,
    },
    Patched {
        user: Object,
        sent: Object,
    },
    LoggedIn {
        user: Object,
    },
    EmailVerified {
        user: Object,
    },
    Deleted {
        user: Object,
    },
    /// `user` is the primary afterwards, `secondary` the user that ceases to exist.
    Linked {
        user: Object,
        secondary: Object,
        sent: Object,
    },
    /// `user` is the primary afterwards, `secondary` the user that exists again.
    Unlinked {
        user: Object,
        secondary: Object,
    },
}

impl Change {
    /// The user after the change; for a deletion, the user before it.
    pub(super) fn user(&self) -> &Object {
        match self {
            Self::Created { user, .. }
            | Self::Patched { user, .. }
            | Self::LoggedIn { user }
            | Self::EmailVerified { user }
            | Self::Deleted { user }
            | Self::Linked { user, .. }
            | Self::Unlinked { user, .. } => user,
        }
    }

    /// Returns the user's id.
    pub(super) fn user_id(&self) -> &str {
        id_of(self.user())
    }
}

/// Returns the id of a profile.
pub(super) fn id_of(user: &Object) -> &str {
    user.get("user_id").and_then(|id| id.as_str()).unwrap_or_default()
}
