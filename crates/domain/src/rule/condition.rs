//! Conditions of a rule on the profile: what the profile must show beside the counts.
//!
//! Owns how a member of a profile is read. Must never read a profile of which only a part was requested.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A condition on the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The user is not blocked at Auth0.
    NotBlocked,
    /// The user's e-mail address is verified.
    EmailVerified,
}

/// The members of a whole profile that conditions use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Auth0 refuses the user's logins.
    pub blocked: bool,
    /// The e-mail address is verified.
    pub email_verified: bool,
}

impl Condition {
    /// The name in a rules file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotBlocked => "not_blocked",
            Self::EmailVerified => "email_verified",
        }
    }

    /// Whether a profile meets it.
    #[must_use]
    pub fn is_met(self, shown: Shown) -> bool {
        match self {
            Self::NotBlocked => !shown.blocked,
            Self::EmailVerified => shown.email_verified,
        }
    }
}

impl Shown {
    /// Reads a profile that shows both members. A missing `email_verified` is false; a missing or null `blocked` is false, any other value than
    /// false is true.
    #[must_use]
    pub fn of(profile: &Map<String, Value>) -> Self {
        let blocked = profile.get("blocked").unwrap_or(&Value::Null);
        Self {
            blocked: !matches!(blocked, Value::Null | Value::Bool(false)),
            email_verified: profile.get("email_verified") == Some(&Value::Bool(true)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_is_neither_blocked_nor_verified() {
        for (profile, blocked, email_verified) in [
            (json!({}), false, false),
            (json!({"blocked": null, "email_verified": null}), false, false),
            (json!({"blocked": false, "email_verified": true}), false, true),
            (json!({"blocked": true, "email_verified": "true"}), true, false),
            (json!({"blocked": "yes"}), true, false),
        ] {
            let shown = Shown::of(profile.as_object().unwrap());
            assert_eq!(
                (shown.blocked, shown.email_verified),
                (blocked, email_verified),
                "{profile}"
            );
            assert_eq!(Condition::NotBlocked.is_met(shown), !blocked);
            assert_eq!(Condition::EmailVerified.is_met(shown), email_verified);
        }
    }
}
