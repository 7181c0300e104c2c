//! Log records of the tenant, and events of Event Streams.

use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::log_record::{self, Effect, LogRecord, WrittenRoles};
use serde_json::Value;
use time::OffsetDateTime;

use super::{json, names_one_of};
use crate::fuzz;

/// Postgres stores all of a record's texts and dates.
fn can_be_stored(record: &LogRecord) {
    let texts = [&record.log_id, &record.client_id, &record.tenant];
    for text in texts.into_iter().flatten().chain([&record.kind]) {
        assert!(
            (1..=255).contains(&text.len()) && !text.contains(char::is_control),
            "{text:?}"
        );
    }
    if let Some(subject) = record.subject() {
        assert!(UserId::parse(subject).is_ok(), "{subject:?}");
    }
    let years = |date: OffsetDateTime| (1..=9999).contains(&date.year());
    assert!(record.date.is_none_or(years) && record.updated_at.is_none_or(years));
    if let Effect::Written {
        roles: WrittenRoles::Set(roles),
        ..
    } = &record.effect
    {
        assert!(roles.iter().all(|role| !role.contains('\0')), "{roles:?}");
    }
}

#[test]
fn fuzz_log_records() {
    let fields = ["payload", "type", "user_id", "data", "data.object.user_id"];
    fuzz("log_records", |payload| {
        let record = match log_record::parse(payload) {
            Ok(record) => record,
            Err(reject) => return names_one_of(&reject, &fields),
        };
        can_be_stored(&record);
        // The envelope of a log stream changes nothing.
        if let Some(Value::Object(top)) = json(payload)
            && !top.contains_key("data")
            && !top.contains_key("specversion")
        {
            let enveloped = [b"{\"log_id\":null,\"data\":", payload, b"}"].concat();
            assert_eq!(log_record::parse(&enveloped), Ok(record));
        }
    });
}
