//! The brakes, and the held changes of each.
//!
//! Owns the words for their kinds, and what a release or a drop does. Must never name more users than were asked for.

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use super::{Capped, seconds, seconds_if_any};
use crate::explanation::{Paused, moment};
use crate::plural::noun;

/// The kind of changes that a brake holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Revokes of managed roles.
    Revokes,
    /// Grants of managed roles.
    Grants,
    /// Restores of other clients' roles.
    Restores,
    /// Roles that other clients removed.
    Removals,
    /// Users unknown to Auth0.
    Gone,
}

impl Kind {
    /// All kinds, in the order in which they are shown.
    pub const ALL: [Self; 5] = [
        Self::Revokes,
        Self::Grants,
        Self::Restores,
        Self::Removals,
        Self::Gone,
    ];

    /// The operator's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Revokes => "revokes",
            Self::Grants => "grants",
            Self::Restores => "restores",
            Self::Removals => "removals",
            Self::Gone => "gone",
        }
    }

    /// The kind with this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The sign before a role that would change; none where each role has its own, or no role changes.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Grants => "+",
            Self::Revokes | Self::Removals => "-",
            Self::Restores | Self::Gone => "",
        }
    }

    /// The effect of a release.
    #[must_use]
    pub fn released(self) -> &'static str {
        match self {
            Self::Gone => "each is read again at Auth0, and users unknown to Auth0 are marked as gone",
            Self::Revokes | Self::Grants | Self::Restores | Self::Removals => {
                "each is decided again, and a change that is still due is written as the rate limit allows"
            }
        }
    }

    /// The effect of a drop; none where nothing can be dropped.
    #[must_use]
    pub fn dropped(self) -> Option<&'static str> {
        match self {
            Self::Revokes => {
                Some("they keep the role and rolekeeper does not revoke it until `rolekeeper adopt`")
            }
            Self::Grants => {
                Some("they do not get the role until they fall below the threshold and qualify again")
            }
            Self::Restores => Some("the roles of other clients stay as they are; add a missing role by hand"),
            Self::Removals => Some("the roles that other clients removed are granted again"),
            Self::Gone => None,
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.word())
    }
}

/// All brakes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Brakes {
    /// One for each kind.
    pub brakes: Vec<Brake>,
    /// The pause.
    pub paused: Option<Paused>,
    /// Progress of the work queue.
    pub drain: Drain,
}

/// The brake of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Brake {
    /// The kind.
    pub changes: Kind,
    /// Time since which it is engaged; null if it is not.
    #[serde(serialize_with = "seconds_if_any")]
    pub engaged_at: Option<OffsetDateTime>,
    /// Users that would have changed when it engaged.
    pub would_change: Option<i64>,
    /// The holders, or known users, that this number was compared with.
    pub of: Option<i64>,
    /// Held users.
    pub held: Capped,
    /// Users without an attempt so far, whose changes are held once they have one.
    pub waiting: Capped,
    /// The first held users.
    pub first: Vec<HeldUser>,
    /// There are more behind the last one.
    pub more: bool,
    /// A release or a drop that has begun and not ended.
    pub under_way: Option<UnderWay>,
}

/// A held user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldUser {
    /// Auth0 user id.
    pub user_id: String,
    /// The roles that would change, each with its sign, as last decided; none if that is not known yet.
    pub roles: Vec<String>,
}

/// A release or a drop under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnderWay {
    /// Whether it is a drop.
    pub drop: bool,
    /// The operator.
    pub by: String,
    /// Its start.
    #[serde(serialize_with = "seconds")]
    pub began_at: OffsetDateTime,
    /// The end of its last slice.
    #[serde(serialize_with = "seconds")]
    pub moved_at: OffsetDateTime,
    /// Users so far.
    pub users: i64,
}

impl UnderWay {
    /// The operator's word for it, and for its result.
    #[must_use]
    pub fn words(&self) -> (&'static str, &'static str) {
        if self.drop {
            ("drop", "dropped")
        } else {
            ("release", "released")
        }
    }
}

/// Progress of the work queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Drain {
    /// Users who wait for an attempt.
    pub waiting: i64,
    /// Users whose attempt ended in the last minute; 0 while no worker reconciles.
    pub ended_per_min: f64,
    /// Seconds until all have had their attempt at this rate; null while none ends.
    pub remaining_s: Option<u64>,
}

impl Brake {
    /// The number of held users that are not among the first ones; none if there are no more.
    #[must_use]
    pub fn rest(&self) -> Option<Capped> {
        let shown = i64::try_from(self.first.len()).unwrap_or(i64::MAX);
        let number = self.held.number - shown;
        (number > 0).then_some(Capped {
            number,
            capped: self.held.capped,
        })
    }

    /// The roles of a held user that would change, or what a release does where that is not known yet.
    #[must_use]
    pub fn changes_of(&self, held: &HeldUser) -> String {
        match (held.roles.as_slice(), self.changes) {
            ([], Kind::Gone) => "read again".to_owned(),
            ([], _) => "decided again".to_owned(),
            (roles, _) => roles.join(" "),
        }
    }

    /// The state in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Some(since) = self.engaged_at else {
            return "not engaged".to_owned();
        };
        let since = moment(since);
        let (users, of) = (self.would_change.unwrap_or_default(), self.of.unwrap_or_default());
        let held = self.held;
        match self.changes {
            Kind::Gone => format!(
                "engaged since {since}, when Auth0 had reported {users} of {of} known {} as unknown; {held} held",
                noun(of, "user", "users")
            ),
            Kind::Restores => format!(
                "engaged since {since}, when {users} {} would have changed; {held} held, {} more {}",
                noun(users, "user", "users"),
                self.waiting,
                noun(self.waiting.number, "waits", "wait")
            ),
            Kind::Revokes | Kind::Grants | Kind::Removals => format!(
                "engaged since {since}, when {users} {} would have changed, of {of} {}; {held} held, {} more {}",
                noun(users, "user", "users"),
                noun(of, "holder", "holders"),
                self.waiting,
                noun(self.waiting.number, "waits", "wait")
            ),
        }
    }
}
