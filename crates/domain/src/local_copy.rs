//! What is known of one user, put together from records and from answers of the Management API.
//!
//! Owns which source is believed: rank comes before date. An answer replaces all that was said before it was asked for. A record
//! is a hint: one that is newer than the last answer changes e-mail, name, picture and the last login, and nothing else; roles,
//! plan, flags and whatever opens a feature come from answers alone. Merging is commutative, associative and idempotent, so
//! neither the order nor the number of records matters. Must never let what says nothing (missing, null, empty, masked)
//! overwrite what is known.

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

/// What was said, and when that was so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The value; never null.
    pub value: Value,
    /// The date of the source, in whole microseconds: a record's own by Auth0's clock, but at most when its stream stored it; of an
    /// answer, when it was asked for, by Postgres' clock.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// The local copy of one user, or the part of it that one source tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalCopy {
    /// What is known, by name: `email`, `email_verified`, `name`, `nickname`, `username`, `phone_number`,
    /// `phone_verified`, `picture`, `created_at`, `logins_count`, `connection`, `strategy`, `roles`, `display_name`.
    pub fields: BTreeMap<String, Said>,
    /// Newest login.
    pub last_login_at: Option<OffsetDateTime>,
    /// When the newest answer was asked for, by Postgres' clock; none while there is none.
    pub asked_at: Option<OffsetDateTime>,
}

impl LocalCopy {
    /// Both together: the newer answer, and of what is newer than it, field by field, the newest.
    #[must_use]
    pub fn merge(mut self, mut other: Self) -> Self {
        let asked_at = self.asked_at.max(other.asked_at);
        for side in [&mut self, &mut other] {
            if let Some(asked_at) = asked_at.filter(|_| side.asked_at != asked_at) {
                side.fields.retain(|_, said| said.at > asked_at);
                side.last_login_at = side.last_login_at.filter(|at| *at > asked_at);
            }
        }
        for (name, said) in other.fields {
            let known = self.fields.remove(&name);
            self.fields.insert(name, newer(known, said));
        }
        self.last_login_at = self.last_login_at.max(other.last_login_at);
        self.asked_at = asked_at;
        self
    }

    /// What a record says, dated at most `stored`, when its stream stored it: a record cannot tell of what is to come.
    #[must_use]
    pub fn at_most(mut self, stored: OffsetDateTime) -> Self {
        for said in self.fields.values_mut() {
            said.at = said.at.min(stored);
        }
        self.last_login_at = self.last_login_at.map(|at| at.min(stored));
        self
    }

    /// What is known now that Auth0 showed the user, asked at `asked_at`. A copy that knows of no answer has nothing that is to be
    /// kept; an answer that was asked for before the last one changes nothing.
    #[must_use]
    pub fn answered(self, profile: &Map<String, Value>, asked_at: OffsetDateTime) -> Self {
        self.replaced(asked_at, |answer, at| {
            for (name, value) in values::fields_of(profile, Source::Answer) {
                answer.say(name, Some(value), at);
            }
            // A user without the key has no roles, and that is known then.
            if values::has_no_roles(profile) {
                answer.say("roles", Some(Value::Array(vec![])), at);
            }
            answer.last_login_at = values::date_in(profile, "last_login");
        })
    }

    /// What is known now that Auth0 said that it does not know the user, asked at `asked_at`: nothing.
    #[must_use]
    pub fn unknown(self, asked_at: OffsetDateTime) -> Self {
        let mut gone = self.replaced(asked_at, |_, _| {});
        if gone.asked_at == whole_micros(asked_at) {
            (gone.fields, gone.last_login_at) = (BTreeMap::new(), None);
        }
        gone
    }

    /// An answer in place of what was said before it was asked for.
    fn replaced(mut self, asked_at: OffsetDateTime, fill: impl FnOnce(&mut Self, OffsetDateTime)) -> Self {
        let at = whole_micros(asked_at).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let mut answer = Self {
            asked_at: Some(at),
            ..Self::default()
        };
        fill(&mut answer, at);
        if self.asked_at.is_none() {
            // Put together by rules that let records say anything, also of the future.
            self = Self::default();
        }
        self.merge(answer)
    }

    /// Takes from a part of a user, as of `at`, what a record may say.
    pub(super) fn record(&mut self, user: &Map<String, Value>, at: OffsetDateTime) {
        for (name, value) in values::fields_of(user, Source::Record) {
            self.say(name, Some(value), at);
        }
    }

    /// Takes one text as of `at`, if it says anything and a record may say it.
    pub(super) fn record_text(&mut self, name: &str, text: &str, at: OffsetDateTime) {
        if OF_RECORDS.contains(&name) {
            self.say(name, values::text_value(name, text, Source::Record), at);
        }
    }

    /// A profile's own `updated_at`.
    #[must_use]
    pub fn date_of(profile: &Map<String, Value>) -> Option<OffsetDateTime> {
        values::date_in(profile, "updated_at")
    }

    /// Whether it says nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn say(&mut self, name: &str, value: Option<Value>, at: OffsetDateTime) {
        if let Some(value) = value {
            let known = self.fields.remove(name);
            self.fields
                .insert(name.to_owned(), newer(known, Said { value, at }));
        }
    }
}

/// The newer of two; of two with one date the longer text, then the later one in the alphabet: any rule will do, as long as
/// all orders of arrival come to the same end.
fn newer(known: Option<Said>, said: Said) -> Said {
    let Some(known) = known else {
        return said;
    };
    let by_text = || {
        let (first, second) = (known.value.to_string(), said.value.to_string());
        (second.len(), second).cmp(&(first.len(), first))
    };
    if said.at.cmp(&known.at).then_with(by_text).is_gt() {
        said
    } else {
        known
    }
}
