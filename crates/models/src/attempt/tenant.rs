//! The tenant: one user's profile, and the log of its writes.
//!
//! Owns the order of the writes and their times. Must never tell who wrote what: only records do, some of them forged.

use rolekeeper_domain::merge;
use rolekeeper_domain::plan::SeenRoles;
use rolekeeper_domain::rule::Shown;
use time::OffsetDateTime;
use time::macros::datetime;

/// The managed role, in a set of roles.
pub const EDITOR: u8 = 1;
/// A role of other clients.
pub const OTHER: u8 = 2;
/// A second managed role, where the rules have two.
pub const CURATOR: u8 = 4;
/// Names of the roles, by their bit.
pub const NAMES: [&str; 3] = ["playlist_editor", "supporter", "curator"];
/// The managed roles as places in [`NAMES`].
pub const MANAGED: [usize; 2] = [0, 2];

/// Time 0 of the model.
const START: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
/// Seconds between two writes of a profile. All of a run lie within the minute in which a client may write what it read.
const APART: i64 = 5;
/// Seconds from a write to a read before the next one; beyond the tolerance of a race's window.
const READ_AFTER: i64 = 3;

/// Time of the write with this number, by the tenant's clock.
#[must_use]
pub fn written_at(number: u8) -> OffsetDateTime {
    START + time::Duration::seconds(i64::from(number) * APART)
}

/// Time of a read after the write with this number and before the next one.
#[must_use]
pub fn read_at(number: u8) -> OffsetDateTime {
    written_at(number) + time::Duration::seconds(READ_AFTER)
}

/// A set of roles as the list that a profile has.
#[must_use]
pub fn list(roles: u8) -> Vec<String> {
    let held = NAMES
        .iter()
        .enumerate()
        .filter(|(bit, _)| roles & (1 << bit) != 0);
    held.map(|(_, name)| (*name).to_owned()).collect()
}

/// The set of the roles in a list.
#[must_use]
pub fn set(list: &[String]) -> u8 {
    let bit = |role: &String| NAMES.iter().position(|name| name == role);
    list.iter().filter_map(bit).fold(0, |set, bit| set | 1 << bit)
}

/// The form of `app_metadata.roles`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// There is none yet.
    Missing,
    /// A list.
    List,
    /// Another value than a list.
    Odd,
}

/// A profile as it was read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    /// Number of the write that it is the result of.
    pub at: u8,
    /// Its roles.
    pub roles: u8,
    /// The form in which it has them.
    pub shape: Shape,
    /// The user is blocked: a condition of rules does not hold.
    pub blocked: bool,
}

impl Profile {
    /// The same as the merge takes it.
    #[must_use]
    pub fn state(self) -> merge::State {
        merge::State {
            at: written_at(self.at),
            roles: list(self.roles),
        }
    }

    /// Its roles as a plan takes them.
    #[must_use]
    pub fn shows(self) -> SeenRoles {
        match self.shape {
            Shape::Missing => SeenRoles::Missing,
            Shape::List => SeenRoles::List(list(self.roles)),
            Shape::Odd => SeenRoles::Odd("a string".to_owned()),
        }
    }

    /// Its members that conditions use.
    #[must_use]
    pub fn shown(self) -> Shown {
        Shown {
            blocked: self.blocked,
            email_verified: true,
        }
    }
}

/// The writer of an entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Writer {
    /// Our write with this id.
    Us(u8),
    /// Another client, with a list of roles.
    Them,
    /// Another client, without a list of roles: its record only says that the profile has changed.
    Touch,
    /// No client: the record is forged.
    Forged,
}

/// A write, or a forged record of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The writer.
    pub by: Writer,
    /// The profile after the write.
    pub profile: Profile,
    /// Its record was delivered.
    pub told: bool,
}

/// The tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tenant {
    /// The user's profile.
    pub profile: Profile,
    /// Number of writes so far.
    pub writes: u8,
    /// The log.
    pub log: Vec<Entry>,
    /// The roles of other clients as these want them.
    pub intended: u8,
    /// The roles that another client has read, and will write back with a change of its own role.
    pub draft: Option<u8>,
    /// The role that forged records name.
    pub forged: u8,
}

impl Tenant {
    /// A tenant whose user has these roles.
    #[must_use]
    pub fn new(roles: u8) -> Self {
        Self {
            profile: Profile {
                at: 0,
                roles,
                shape: if roles == 0 { Shape::Missing } else { Shape::List },
                blocked: false,
            },
            writes: 0,
            log: vec![],
            intended: roles & OTHER,
            draft: None,
            forged: OTHER,
        }
    }

    /// Whether another client wrote roles, and the record has not been delivered yet.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        self.log
            .iter()
            .any(|entry| entry.by == Writer::Them && !entry.told)
    }

    /// Replaces the roles, and returns the profile.
    pub fn write(&mut self, roles: u8, by: Writer) -> Profile {
        let profile = Profile {
            roles,
            shape: Shape::List,
            ..self.profile
        };
        self.put(profile, by)
    }

    /// Replaces the profile, and returns it.
    pub fn put(&mut self, profile: Profile, by: Writer) -> Profile {
        self.writes += 1;
        self.profile = Profile {
            at: self.writes,
            ..profile
        };
        self.log.push(Entry {
            by,
            profile: self.profile,
            told: false,
        });
        self.profile
    }
}
