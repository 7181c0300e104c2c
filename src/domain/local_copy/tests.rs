//! Merging under any order, and what is believed.

use proptest::prelude::*;
use serde_json::json;
use time::macros::datetime;

use super::*;
use crate::domain::log_record;

fn at(second: i64) -> OffsetDateTime {
    datetime!(2026-11-23 10:00 UTC) + Duration::seconds(second)
}

/// What a record says; it must say something.
fn said(record: &Value) -> LocalCopy {
    let read = log_record::parse(record.to_string().as_bytes()).unwrap();
    read.says.unwrap_or_else(|| panic!("{record}")).copy
}

fn value<'c>(copy: &'c LocalCopy, name: &str) -> Option<&'c Value> {
    copy.fields.get(name).map(|said| &said.value)
}

fn profile(updated_at: &str, email: &str) -> Map<String, Value> {
    let profile = json!({"user_id": "auth0|a", "created_at": "2026-01-01T00:00:00.000Z", "updated_at": updated_at, "email": email});
    profile.as_object().unwrap().clone()
}

/// A few values on a few dates, so that ties and deletions between them are common.
fn any_copy() -> impl Strategy<Value = LocalCopy> {
    let field = (0_usize..3, 0_i64..6, 0_u8..3);
    let date = || proptest::option::of(0_i64..6);
    (
        proptest::collection::vec(field, 0..4),
        date(),
        date(),
        date(),
        date(),
    )
        .prop_map(|(fields, seen, login, deleted, profile)| {
            let mut copy = LocalCopy {
                first_seen_at: seen.map(at),
                last_login_at: login.map(at),
                deleted_at: deleted.map(at),
                ..LocalCopy::default()
            };
            for (name, second, value) in fields {
                copy.say(["email", "name", "roles"][name], Some(json!(value)), at(second));
                copy.alive_at = copy.alive_at.max(Some(at(second)));
            }
            copy.profile = profile.map(|second| Said {
                value: json!({"email": second % 2}),
                at: at(second),
            });
            LocalCopy::default().merge(copy)
        })
}

proptest! {
    #[test]
    fn order_and_number_do_not_matter(a in any_copy(), b in any_copy(), c in any_copy()) {
        let ab = a.clone().merge(b.clone());
        prop_assert_eq!(&ab, &b.clone().merge(a.clone()));
        prop_assert_eq!(ab.clone().merge(c.clone()), a.clone().merge(b.clone().merge(c)));
        prop_assert_eq!(ab.clone().merge(b), ab.clone());
        prop_assert_eq!(ab.clone().merge(ab.clone()), ab);
    }

    #[test]
    fn the_dead_keep_nothing_from_before(a in any_copy(), b in any_copy()) {
        let both = a.merge(b);
        if let Some(gone) = both.gone_at() {
            prop_assert!(both.alive_at.is_none_or(|alive| alive <= gone));
            prop_assert!(both.fields.values().all(|said| said.at > gone));
        }
    }
}

#[test]
fn what_says_nothing_overwrites_nothing() {
    let known = said(
        &json!({"type": "ss", "user_id": "auth0|a", "date": "2026-11-23T10:00:00.000Z", "user_name": "a@b.c",
        "details": {"body": {"name": "Ann", "nickname": "annie", "picture": "https://x/y.png"}}}),
    );
    assert_eq!(value(&known, "email"), Some(&json!("a@b.c")));
    for user_name in [
        json!("a**@b.c"),
        json!("*****"),
        json!("99e9d85137db46ef"),
        json!("00000000000000000000000000000000"),
        json!(""),
        json!(null),
        json!(7),
    ] {
        let later = said(
            &json!({"type": "s", "user_id": "auth0|a", "date": "2026-11-23T11:00:00.000Z",
            "user_name": user_name, "strategy_type": "database", "details": {"stats": {"loginsCount": null}}}),
        );
        let both = known.clone().merge(later);
        assert_eq!(both.fields, known.fields, "{user_name}");
        assert_eq!(both.last_login_at, Some(at(3600)));
    }
    let masked = said(
        &json!({"type": "user.updated", "specversion": "1.0", "time": "2026-11-23T11:00:00.000Z", "data": {"object": {
        "user_id": "auth0|a", "created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-11-23T11:00:00.000Z",
        "email": "****", "name": "", "nickname": null, "picture": "https://x/z.png"}}}),
    );
    assert_eq!(
        masked.profile, None,
        "a profile with a masked part is not a profile"
    );
    let both = known.merge(masked);
    assert_eq!(value(&both, "email"), Some(&json!("a@b.c")));
    assert_eq!(value(&both, "name"), Some(&json!("Ann")));
    assert_eq!(value(&both, "picture"), Some(&json!("https://x/z.png")));
    assert_eq!(
        value(&both, "roles"),
        Some(&json!([])),
        "a whole user without roles has none"
    );
}

#[test]
fn records_say_what_they_know() {
    let table = [
        (
            json!({"type": "s", "user_name": "+15555555555", "strategy": "sms", "details": {"prompts": [{"stats": {"loginsCount": 4}}]}}),
            json!({"phone_number": "+15555555555", "strategy": "sms", "logins_count": 4}),
        ),
        (
            json!({"type": "s", "user_name": "John Doe", "connection": "google", "strategy_type": "social", "details": "whatever..."}),
            json!({"connection": "google"}),
        ),
        (
            json!({"type": "ss", "user_name": "ann", "strategy_type": "database", "details": {"body": {"email": "a@b.c",
            "email_verified": true, "app_metadata": {"roles": ["x"]}, "user_metadata": {"displayName": "Ann"}}}}),
            json!({"username": "ann", "email": "a@b.c", "email_verified": true, "roles": ["x"], "display_name": "Ann"}),
        ),
        (
            json!({"type": "sce", "details": {"body": {"email": "a@b.c", "newEmail": "n@b.c"}}}),
            json!({"email": "n@b.c"}),
        ),
        (
            json!({"type": "scu", "details": {"body": {"newUsername": "new"}}}),
            json!({"username": "new"}),
        ),
        (
            json!({"type": "scpn", "details": {"body": {"new_phone_number": "+1"}}}),
            json!({"phone_number": "+1"}),
        ),
        (json!({"type": "sv"}), json!({"email_verified": true})),
        (
            json!({"type": "sapi", "details": {"request": {"method": "patch", "path": "/api/v2/users/auth0%7Ca",
            "body": {"name": "N", "app_metadata": {}}}}}),
            json!({"name": "N", "roles": []}),
        ),
    ];
    for (mut record, expected) in table {
        record["user_id"] = json!("auth0|a");
        record["date"] = json!("2026-11-23T10:00:00.000Z");
        let said = said(&record);
        let fields: Map<String, Value> = said
            .fields
            .iter()
            .map(|(name, said)| (name.clone(), said.value.clone()))
            .collect();
        assert_eq!(Value::Object(fields), expected, "{record}");
        assert_eq!((said.alive_at, said.first_seen_at), (Some(at(0)), Some(at(0))));
    }
}

#[test]
fn a_record_without_a_date_says_nothing() {
    for date in [json!(null), json!("soon"), json!("0000-01-01T00:00:00Z")] {
        let record = json!({"type": "s", "user_id": "auth0|a", "date": date});
        assert_eq!(
            log_record::parse(record.to_string().as_bytes()).unwrap().says,
            None,
            "{date}"
        );
    }
}

#[test]
fn a_tombstone_yields_to_newer_life_in_either_order() {
    let life =
        |date: &str| said(&json!({"type": "ss", "user_id": "auth0|a", "date": date, "user_name": "a@b.c"}));
    let end = said(
        &json!({"type": "sdu", "user_id": "", "strategy": "auth0", "description": "user_id: a",
        "date": "2026-11-23T10:00:10.000Z"}),
    );
    let (before, after) = (life("2026-11-23T10:00:00.000Z"), life("2026-11-23T10:00:20.000Z"));
    let dead = end.clone().merge(before.clone());
    assert_eq!(dead, before.clone().merge(end.clone()));
    assert_eq!((dead.gone_at(), dead.fields.len()), (Some(at(10)), 0));
    let back = after.clone().merge(dead.clone());
    assert_eq!(back, dead.merge(after));
    assert_eq!((back.gone_at(), back.first_seen_at), (None, Some(at(0))));
    assert_eq!(value(&back, "email"), Some(&json!("a@b.c")));
    let same = end.merge(life("2026-11-23T10:00:10.000Z"));
    assert_eq!(same.gone_at(), Some(at(10)), "at one moment the deletion stands");
}

#[test]
fn an_answer_is_dated_by_itself_and_outlives_an_earlier_deletion() {
    let now = at(500);
    let read = LocalCopy::default().answered(&profile("2026-11-23T10:00:05.000Z", "a@b.c"), now);
    assert_eq!(
        (read.fields["email"].at, read.alive_at, read.first_seen_at),
        (at(5), Some(at(5)), Some(now))
    );
    let older = read
        .clone()
        .answered(&profile("2026-11-23T10:00:04.000Z", "old@b.c"), now);
    assert_eq!(value(&older, "email"), Some(&json!("a@b.c")));
    // Deleted by a record, but Auth0 shows the user: it was somebody else, or another life.
    let wrong = read.clone().merge(LocalCopy::deleted(at(9)));
    assert!(wrong.gone_at().is_some() && wrong.profile.is_none());
    let lives = wrong.answered(&profile("2026-11-23T10:00:05.000Z", "a@b.c"), now);
    assert_eq!(
        (lives.gone_at(), value(&lives, "email")),
        (None, Some(&json!("a@b.c")))
    );
    assert_eq!(
        lives.clone().merge(LocalCopy::deleted(at(9))),
        lives,
        "the same record again changes nothing"
    );
    let changed = lives.answered(&profile("2026-11-23T10:00:06.000Z", "n@b.c"), now);
    assert_eq!(
        value(&changed, "email"),
        Some(&json!("n@b.c")),
        "the newer answer, though both are older"
    );
    // A record from a clock ahead of ours does not keep alive whom Auth0 does not know.
    let gone = read.merge(LocalCopy::alive(at(9_999))).unknown(now);
    assert_eq!((gone.gone_at(), gone.fields.len()), (Some(at(9_999)), 0));
}

#[test]
fn addresses_and_tokens_are_not_kept() {
    let mut whole = profile("2026-11-23T10:00:05.000Z", "a\0@b.c");
    whole.insert("last_ip".to_owned(), json!("10.0.0.1"));
    whole.insert("last_login".to_owned(), json!("2026-11-23T10:00:04.000Z"));
    whole.insert(
        "identities".to_owned(),
        json!([{"provider": "github", "connection": "gh", "access_token": "secret"}]),
    );
    let copy = LocalCopy::default().answered(&whole, at(6));
    let kept = copy.profile.as_ref().unwrap().value.to_string();
    assert!(
        !kept.contains("10.0.0.1") && !kept.contains("secret") && !kept.contains('\0'),
        "{kept}"
    );
    assert_eq!(
        (value(&copy, "strategy"), value(&copy, "connection")),
        (Some(&json!("github")), Some(&json!("gh")))
    );
    assert_eq!(copy.last_login_at, Some(at(4)));
}
