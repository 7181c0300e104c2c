//! Merging in any order, and the precedence of sources.

use proptest::prelude::*;
use serde_json::json;
use time::Duration;
use time::macros::datetime;

use super::*;
use crate::log_record;

fn at(second: i64) -> OffsetDateTime {
    datetime!(2026-11-23 10:00 UTC) + Duration::seconds(second)
}

/// The profile data of a record, which must have a date and name a user.
fn profile_update(record: &Value) -> log_record::ProfileUpdate {
    let read = log_record::parse(record.to_string().as_bytes()).unwrap();
    read.profile_update.unwrap_or_else(|| panic!("{record}"))
}

fn copy_of(record: &Value) -> LocalCopy {
    profile_update(record).copy
}

fn value<'c>(copy: &'c LocalCopy, name: &str) -> Option<&'c Value> {
    copy.fields.get(name).map(|dated| &dated.value)
}

fn profile(email: &str) -> Map<String, Value> {
    let profile = json!({"user_id": "auth0|a", "created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-11-23T10:00:00.000Z",
        "email": email, "email_verified": true, "app_metadata": {"roles": ["vip"], "plan": "gold"}});
    profile.as_object().unwrap().clone()
}

/// The data of a record, or a response, dated within a few seconds, so that dates collide.
fn any_copy() -> impl Strategy<Value = LocalCopy> {
    let second = 0..6_i64;
    let field = (0..3_usize, second.clone(), 0..3_u8);
    let record = (
        prop::collection::vec(field, 0..4),
        prop::option::of(second.clone()),
    );
    let record = record.prop_map(|(fields, login)| {
        let mut copy = LocalCopy {
            last_login_at: login.map(at),
            ..LocalCopy::default()
        };
        for (name, second, value) in fields {
            copy.say(OF_RECORDS[name], Some(json!(value)), at(second));
        }
        copy
    });
    let answer = (second, 0..3_u8).prop_map(|(second, value)| {
        LocalCopy::default().answered(&profile(&format!("{value}@b.c")), at(second))
    });
    prop_oneof![3 => record, 1 => answer]
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
    fn f45_an_answer_replaces_all_that_was_said_before_it(a in any_copy(), b in any_copy(), asked in 0..7_i64) {
        let known = LocalCopy::default().answered(&profile("first@b.c"), at(-1)).merge(a).merge(b);
        let newest = known.asked_at;
        let now = known.clone().answered(&profile("now@b.c"), at(asked));
        for (name, dated) in &now.fields {
            let newer = dated.at > at(asked);
            prop_assert!(newer || *name != "email" || dated.value == json!("now@b.c") || newest >= Some(at(asked)));
        }
        prop_assert_eq!(value(&now, "roles"), Some(&json!(["vip"])));
        prop_assert_eq!(now.asked_at, newest.max(Some(at(asked))));
    }
}

#[test]
fn what_says_nothing_overwrites_nothing() {
    let known = copy_of(
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
        let later = copy_of(
            &json!({"type": "s", "user_id": "auth0|a", "date": "2026-11-23T11:00:00.000Z",
            "user_name": user_name, "strategy_type": "database", "details": {"stats": {"loginsCount": null}}}),
        );
        let both = known.clone().merge(later);
        assert_eq!(both.fields, known.fields, "{user_name}");
        assert_eq!(both.last_login_at, Some(at(3600)));
    }
    let masked = copy_of(
        &json!({"type": "user.updated", "specversion": "1.0", "time": "2026-11-23T11:00:00.000Z", "data": {"object": {
        "user_id": "auth0|a", "created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-11-23T11:00:00.000Z",
        "email": "****", "name": "", "nickname": null, "picture": "https://x/z.png"}}}),
    );
    let both = known.merge(masked);
    assert_eq!(value(&both, "email"), Some(&json!("a@b.c")));
    assert_eq!(value(&both, "name"), Some(&json!("Ann")));
    assert_eq!(value(&both, "picture"), Some(&json!("https://x/z.png")));
}

#[test]
fn records_say_email_name_and_picture_and_ask_for_the_rest() {
    let all = json!({"email": "a@b.c", "name": "N", "picture": "https://x/y.png", "nickname": "nick", "email_verified": true,
        "blocked": false, "created_at": "2026-01-01T00:00:00.000Z", "app_metadata": {"roles": ["admin"], "plan": "premium"},
        "user_metadata": {"displayName": "Ann"}, "user_id": "auth0|a"});
    let three = json!({"email": "a@b.c", "name": "N", "picture": "https://x/y.png"});
    let patch = |body: Value, answer: &Value| {
        json!({"type": "sapi", "details": {"request": {"method": "patch", "path": "/api/v2/users/auth0%7Ca", "body": body},
            "response": {"body": answer}}})
    };
    let event = |before: &Value| {
        json!({"specversion": "1.0", "type": "user.updated", "time": "2026-11-23T10:00:00.000Z",
            "data": {"object": all, "previous_object": before}})
    };
    let mut before = all.clone();
    before["last_login"] = json!("2026-11-23T10:00:00.000Z");
    before["name"] = json!("M");
    let mut basic = before.clone();
    basic["app_metadata"]["plan"] = json!("basic");
    let table = [
        (
            json!({"type": "s", "user_name": "a@b.c", "details": {"stats": {"loginsCount": 4}}}),
            json!({"email": "a@b.c"}),
            false,
        ),
        (
            json!({"type": "s", "user_name": "+15555555555"}),
            json!({}),
            false,
        ),
        (
            json!({"type": "ss", "details": {"body": all}}),
            three.clone(),
            false,
        ),
        (
            json!({"type": "sce", "details": {"body": {"email": "a@b.c", "newEmail": "n@b.c"}}}),
            json!({"email": "n@b.c"}),
            true,
        ),
        (
            json!({"type": "scu", "details": {"body": {"newUsername": "new"}}}),
            json!({}),
            true,
        ),
        (json!({"type": "sv"}), json!({}), true),
        (
            patch(json!({"name": "N"}), &json!({})),
            json!({"name": "N"}),
            false,
        ),
        (patch(json!({"name": "N"}), &all), three.clone(), false),
        (
            patch(json!({"app_metadata": {"plan": "premium"}}), &json!({})),
            json!({}),
            true,
        ),
        (patch(json!({"blocked": false}), &all), three.clone(), true),
        (
            json!({"type": "sapi", "details": {"request": {"method": "post", "path": "/api/v2/users", "body": all},
                "response": {"body": all}}}),
            three.clone(),
            false,
        ),
        (event(&before), three.clone(), false),
        (event(&basic), three.clone(), true),
        (event(&Value::Null), three, true),
    ];
    for (mut record, expected, ask) in table {
        record["user_id"] = json!("auth0|a");
        record["date"] = json!("2026-11-23T10:00:00.000Z");
        let profile_update = profile_update(&record);
        let fields: Map<String, Value> = profile_update
            .copy
            .fields
            .iter()
            .map(|(name, dated)| (name.clone(), dated.value.clone()))
            .collect();
        assert_eq!(
            (Value::Object(fields), profile_update.ask),
            (expected, ask),
            "{record}"
        );
        assert!(
            profile_update.copy.fields.values().all(|dated| dated.at == at(0)),
            "{record}"
        );
    }
}

#[test]
fn a_record_without_a_date_says_nothing() {
    for date in [
        json!(null),
        json!("soon"),
        json!("0000-01-01T00:00:00Z"),
        json!("9999-12-31T23:59:59-23:59"),
    ] {
        let record = json!({"type": "s", "user_id": "auth0|a", "date": date});
        assert_eq!(
            log_record::parse(record.to_string().as_bytes())
                .unwrap()
                .profile_update,
            None,
            "{date}"
        );
    }
}

#[test]
fn a_record_dated_ahead_is_as_old_as_its_stream_says() {
    let forged = copy_of(
        &json!({"specversion": "1.0", "type": "user.updated", "time": "9999-12-30T00:00:00Z", "data": {"object": {
        "user_id": "auth0|a", "created_at": "x", "updated_at": "9999-12-30T00:00:00Z", "email": "mallory@b.c",
        "app_metadata": {"plan": "premium", "roles": ["admin"]}}}}),
    );
    let known = LocalCopy::default().answered(&profile("a@b.c"), at(5));
    let deceived = known.merge(forged.at_most(at(9)));
    assert_eq!(value(&deceived, "email"), Some(&json!("mallory@b.c")));
    assert_eq!(value(&deceived, "roles"), Some(&json!(["vip"])));
    let corrected = deceived.answered(&profile("a@b.c"), at(10));
    assert_eq!(value(&corrected, "email"), Some(&json!("a@b.c")));
}

#[test]
fn an_answer_replaces_what_was_said_before_it_was_asked_for() {
    let login = |second: i64, email: &str| LocalCopy {
        fields: LocalCopy::default()
            .answered(&profile(email), at(second))
            .fields
            .into_iter()
            .filter(|(name, _)| name == "email")
            .collect(),
        last_login_at: Some(at(second)),
        asked_at: None,
    };
    let read = LocalCopy::default().answered(&profile("a@b.c"), at(5));
    let late = read.clone().merge(login(5, "late@b.c"));
    assert_eq!(late, read, "the response includes a record of the same time");
    let newer = read.clone().merge(login(6, "new@b.c"));
    assert_eq!(
        (value(&newer, "email"), newer.last_login_at),
        (Some(&json!("new@b.c")), Some(at(6)))
    );
    assert_eq!(newer.clone().answered(&profile("old@b.c"), at(4)), newer);
    let mut bare = profile("x@b.c");
    bare.remove("email");
    let without = newer.clone().answered(&bare, at(7));
    assert_eq!(
        (value(&without, "email"), without.last_login_at),
        (None, None),
        "a field missing in the response is removed"
    );
    // A row from before responses were dated: nothing of it is kept, not even future dates.
    let old = LocalCopy {
        asked_at: None,
        ..login(9_999, "frozen@b.c")
    };
    assert_eq!(
        value(&old.answered(&profile("a@b.c"), at(8)), "email"),
        Some(&json!("a@b.c"))
    );
}

#[test]
fn a_user_whom_auth0_does_not_know_keeps_nothing() {
    let known = LocalCopy::default().answered(&profile("a@b.c"), at(5));
    let gone = known.clone().unknown(at(6));
    assert_eq!(
        gone,
        LocalCopy {
            asked_at: Some(at(6)),
            ..LocalCopy::default()
        }
    );
    assert_eq!(
        known.clone().unknown(at(4)),
        known,
        "asked before the user was seen"
    );
    let back = gone.answered(&profile("b@b.c"), at(7));
    assert_eq!(value(&back, "email"), Some(&json!("b@b.c")));
}

#[test]
fn addresses_tokens_and_other_identities_are_not_kept() {
    let mut whole = profile("a\0@b.c");
    whole.insert("last_ip".to_owned(), json!("10.0.0.1"));
    whole.insert("last_login".to_owned(), json!("2026-11-23T10:00:04.000Z"));
    whole.insert(
        "identities".to_owned(),
        json!([
            {"provider": "github", "connection": "gh", "access_token": "secret"},
            {"provider": "auth0", "user_id": "other", "profileData": {"email": "other@b.c"}},
        ]),
    );
    let kept = kept_profile(&whole).to_string();
    assert!(
        ["10.0.0.1", "secret", "other", "\\u0000"]
            .iter()
            .all(|part| !kept.contains(part)),
        "{kept}"
    );
    let copy = LocalCopy::default().answered(&whole, at(6));
    assert_eq!(
        (value(&copy, "strategy"), value(&copy, "connection")),
        (Some(&json!("github")), Some(&json!("gh")))
    );
    assert_eq!(copy.last_login_at, Some(at(4)));
}
