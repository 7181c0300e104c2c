//! What is known of one user, put together from records and profiles.
//!
//! Owns which of two sources is believed: field by field the one with the newer date, by Auth0's clock. Merging is
//! commutative, associative and idempotent, so neither the order nor the number of records matters. Must never let
//! what says nothing (missing, null, empty, masked) overwrite what is known, nor keep anything older than a deletion.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime, UtcOffset};

#[cfg(test)]
mod tests;
mod values;

pub(super) use values::{Source, roles_value, text_value};

/// What was said, and when that was so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The value; never null.
    pub value: Value,
    /// The date of the source, by Auth0's clock, in whole microseconds.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// The local copy of one user, or the part of it that one source tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalCopy {
    /// What is known, by name: `email`, `email_verified`, `name`, `nickname`, `username`, `phone_number`,
    /// `phone_verified`, `picture`, `created_at`, `logins_count`, `connection`, `strategy`, `roles`, `display_name`.
    pub fields: BTreeMap<String, Said>,
    /// The newest whole profile.
    pub profile: Option<Said>,
    /// Newest login.
    pub last_login_at: Option<OffsetDateTime>,
    /// Earliest date of anything that named the user.
    pub first_seen_at: Option<OffsetDateTime>,
    /// Newest sign of life.
    pub alive_at: Option<OffsetDateTime>,
    /// Newest deletion.
    pub deleted_at: Option<OffsetDateTime>,
}

impl LocalCopy {
    /// Somebody named the user at this date, and it was a sign of life.
    #[must_use]
    pub fn alive(at: OffsetDateTime) -> Self {
        Self {
            first_seen_at: Some(at),
            alive_at: Some(at),
            ..Self::default()
        }
    }

    /// The user was deleted at this date.
    #[must_use]
    pub fn deleted(at: OffsetDateTime) -> Self {
        Self {
            first_seen_at: Some(at),
            deleted_at: Some(at),
            ..Self::default()
        }
    }

    /// Both together; of each field the newer one.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        for (name, said) in other.fields {
            let known = self.fields.remove(&name);
            self.fields
                .extend(newer(known, Some(said)).map(|said| (name, said)));
        }
        self.profile = newer(self.profile, other.profile);
        self.last_login_at = self.last_login_at.max(other.last_login_at);
        self.first_seen_at = match (self.first_seen_at, other.first_seen_at) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        self.alive_at = self.alive_at.max(other.alive_at);
        self.deleted_at = self.deleted_at.max(other.deleted_at);
        self.settled()
    }

    /// What Auth0 answered at `now` to a read or a write of the user.
    ///
    /// Dated by the profile's own `updated_at`, so that it compares with records on one clock; `now`, ours, only where
    /// it has none. The answer is what Auth0 says now: a deletion known before it was about an earlier life, or about
    /// somebody else, or dated by a clock ahead, so the answer counts from right after it.
    #[must_use]
    pub fn answered(self, profile: &Map<String, Value>, now: OffsetDateTime) -> Self {
        let own = Self::date_of(profile).or_else(|| whole_micros(now));
        let mut at = own.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        if let Some(deleted) = self.deleted_at.filter(|deleted| *deleted >= at) {
            // Behind earlier answers of the kind, too.
            let kept = self.fields.values().chain(&self.profile).map(|said| said.at);
            let newest = kept.fold(deleted, OffsetDateTime::max);
            at = newest.saturating_add(Duration::MICROSECOND);
        }
        let mut answer = Self {
            first_seen_at: whole_micros(now),
            alive_at: Some(at),
            ..Self::default()
        };
        answer.whole(profile, at, Source::Answer);
        self.merge(answer)
    }

    /// Auth0 said at `now` that it does not know the user. That ends any life known so far, whatever the clocks.
    #[must_use]
    pub fn unknown(self, now: OffsetDateTime) -> Self {
        let end = whole_micros(now).max(self.alive_at);
        let gone = Self {
            first_seen_at: whole_micros(now),
            deleted_at: end,
            ..Self::default()
        };
        self.merge(gone)
    }

    /// Since when the user is gone, by all that is known; none while they live.
    #[must_use]
    pub fn gone_at(&self) -> Option<OffsetDateTime> {
        let deleted = self.deleted_at?;
        self.alive_at
            .is_none_or(|alive| deleted >= alive)
            .then_some(deleted)
    }

    /// Takes a whole user as of `at`: its fields, and itself as the profile.
    pub(super) fn whole(&mut self, user: &Map<String, Value>, at: OffsetDateTime, source: Source) {
        for (name, value) in values::fields_of(user, source) {
            self.say(name, Some(value), at);
        }
        // A user without the key has no roles, and that is known then.
        if values::has_no_roles(user) {
            self.say("roles", Some(Value::Array(vec![])), at);
        }
        self.last_login_at = self.last_login_at.max(values::date_in(user, "last_login"));
        if let Some(value) = values::profile_of(user, source) {
            self.profile = newer(self.profile.take(), Some(Said { value, at }));
        }
    }

    /// Takes the fields of a part of a user, as of `at`, from a record.
    pub(super) fn part(&mut self, user: &Map<String, Value>, at: OffsetDateTime) {
        for (name, value) in values::fields_of(user, Source::Record) {
            self.say(name, Some(value), at);
        }
    }

    /// A profile's own `updated_at`.
    #[must_use]
    pub fn date_of(profile: &Map<String, Value>) -> Option<OffsetDateTime> {
        values::date_in(profile, "updated_at")
    }

    /// Takes one field as of `at`, if it says anything.
    pub(super) fn say(&mut self, name: &str, value: Option<Value>, at: OffsetDateTime) {
        if let Some(value) = value {
            let known = self.fields.remove(name);
            let said = newer(known, Some(Said { value, at }));
            self.fields.extend(said.map(|said| (name.to_owned(), said)));
        }
    }

    /// Nothing that is not newer than the last deletion is kept: whoever comes back begins anew.
    fn settled(mut self) -> Self {
        if let Some(deleted) = self.deleted_at {
            self.fields.retain(|_, said| said.at > deleted);
            self.profile = self.profile.filter(|said| said.at > deleted);
            self.last_login_at = self.last_login_at.filter(|at| *at > deleted);
        }
        self
    }
}

/// The date in whole microseconds, which is all that Postgres keeps, and in UTC; none for one outside the years that RFC 3339
/// can write.
pub(super) fn whole_micros(at: OffsetDateTime) -> Option<OffsetDateTime> {
    let at = at.checked_to_offset(UtcOffset::UTC)?;
    let at = at.replace_nanosecond(at.nanosecond() / 1_000 * 1_000).ok()?;
    (1..=9999).contains(&at.year()).then_some(at)
}

/// The newer of two; of two with one date the longer text, then the later one in the alphabet: any rule will do, as long as
/// all orders of arrival come to the same end.
fn newer(one: Option<Said>, two: Option<Said>) -> Option<Said> {
    let (Some(first), Some(second)) = (&one, &two) else {
        return one.or(two);
    };
    let by_text = || {
        let (first, second) = (first.value.to_string(), second.value.to_string());
        (second.len(), second).cmp(&(first.len(), first))
    };
    if second.at.cmp(&first.at).then_with(by_text).is_gt() {
        two
    } else {
        one
    }
}
