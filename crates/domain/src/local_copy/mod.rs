//! The local copy of one user, built from records and from responses of the Management API.
//!
//! Owns the precedence of sources: rank comes before date. A response replaces everything with a date before its
//! request. A record is a hint: if it is newer than the last response it changes e-mail, name, picture and the last
//! login, and nothing else; roles, plan, flags and anything that unlocks a feature come from responses alone. Merging
//! is commutative, associative and idempotent, so neither the order nor the number of records matters. Must never let
//! an empty value (missing, null, empty, masked) overwrite a known one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::date::whole_micros;

#[cfg(test)]
mod tests;
mod values;

pub use values::kept_profile;
use values::{OF_RECORDS, Source};

/// A value with its date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dated {
    /// The value; never null.
    pub value: Value,
    /// The date of the source, in whole microseconds. For a record: its own date by Auth0's clock, but at most the time
    /// at which its stream stored it. For a response: the time of the request, by Postgres' clock.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// The local copy of one user, or the part of it that one source contains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalCopy {
    /// The known values by name: `email`, `email_verified`, `name`, `nickname`, `username`, `phone_number`,
    /// `phone_verified`, `picture`, `created_at`, `logins_count`, `connection`, `strategy`, `roles`, `display_name`.
    pub fields: BTreeMap<String, Dated>,
    /// Newest login.
    pub last_login_at: Option<OffsetDateTime>,
    /// Request time of the newest response, by Postgres' clock; `None` without a response.
    pub asked_at: Option<OffsetDateTime>,
}

impl LocalCopy {
    /// Merges both: the newer response, and for each field the newest value after it.
    #[must_use]
    pub fn merge(mut self, mut other: Self) -> Self {
        let asked_at = self.asked_at.max(other.asked_at);
        for side in [&mut self, &mut other] {
            if let Some(asked_at) = asked_at.filter(|_| side.asked_at != asked_at) {
                side.fields.retain(|_, dated| dated.at > asked_at);
                side.last_login_at = side.last_login_at.filter(|at| *at > asked_at);
            }
        }
        for (name, dated) in other.fields {
            let known = self.fields.remove(&name);
            self.fields.insert(name, newer(known, dated));
        }
        self.last_login_at = self.last_login_at.max(other.last_login_at);
        self.asked_at = asked_at;
        self
    }

    /// The profile data of a record, dated at most `stored`, the time at which its stream stored it, since no record
    /// can describe the future.
    #[must_use]
    pub fn at_most(mut self, stored: OffsetDateTime) -> Self {
        for dated in self.fields.values_mut() {
            dated.at = dated.at.min(stored);
        }
        self.last_login_at = self.last_login_at.map(|at| at.min(stored));
        self
    }

    /// The copy after Auth0 showed the user, requested at `asked_at`. A copy without a response keeps nothing; a
    /// response requested before the last one changes nothing.
    #[must_use]
    pub fn answered(self, profile: &Map<String, Value>, asked_at: OffsetDateTime) -> Self {
        self.replaced(asked_at, |answer, at| {
            for (name, value) in values::fields_of(profile, Source::Answer) {
                answer.say(name, Some(value), at);
            }
            // A user without the key is known to have no roles.
            if values::has_no_roles(profile) {
                answer.say("roles", Some(Value::Array(vec![])), at);
            }
            answer.last_login_at = values::date_in(profile, "last_login");
        })
    }

    /// The copy after Auth0 responded, to a request at `asked_at`, that the user does not exist: empty.
    #[must_use]
    pub fn unknown(self, asked_at: OffsetDateTime) -> Self {
        let mut gone = self.replaced(asked_at, |_, _| {});
        if gone.asked_at == whole_micros(asked_at) {
            (gone.fields, gone.last_login_at) = (BTreeMap::new(), None);
        }
        gone
    }

    /// Replaces everything dated before the request with the response.
    fn replaced(mut self, asked_at: OffsetDateTime, fill: impl FnOnce(&mut Self, OffsetDateTime)) -> Self {
        let at = whole_micros(asked_at).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let mut answer = Self {
            asked_at: Some(at),
            ..Self::default()
        };
        fill(&mut answer, at);
        if self.asked_at.is_none() {
            // Such a copy was built by older code, which let records set any field, also with future dates.
            self = Self::default();
        }
        self.merge(answer)
    }

    /// Takes the fields that a record may set from a part of a user, as of `at`.
    pub(super) fn record(&mut self, user: &Map<String, Value>, at: OffsetDateTime) {
        for (name, value) in values::fields_of(user, Source::Record) {
            self.say(name, Some(value), at);
        }
    }

    /// Takes one text as of `at`, if it is not empty and a record may set it.
    pub(super) fn record_text(&mut self, name: &str, text: &str, at: OffsetDateTime) {
        if OF_RECORDS.contains(&name) {
            self.say(name, values::text_value(name, text, Source::Record), at);
        }
    }

    /// `updated_at` of a profile.
    #[must_use]
    pub fn date_of(profile: &Map<String, Value>) -> Option<OffsetDateTime> {
        values::date_in(profile, "updated_at")
    }

    /// Whether the copy has no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn say(&mut self, name: &str, value: Option<Value>, at: OffsetDateTime) {
        if let Some(value) = value {
            let known = self.fields.remove(name);
            self.fields
                .insert(name.to_owned(), newer(known, Dated { value, at }));
        }
    }
}

/// The newer of two values. With equal dates the longer text wins, then the alphabetically later one: any rule works if
/// the result does not depend on the order of arrival.
fn newer(known: Option<Dated>, dated: Dated) -> Dated {
    let Some(known) = known else {
        return dated;
    };
    let by_text = || {
        let (first, second) = (known.value.to_string(), dated.value.to_string());
        (second.len(), second).cmp(&(first.len(), first))
    };
    if dated.at.cmp(&known.at).then_with(by_text).is_gt() {
        dated
    } else {
        known
    }
}
