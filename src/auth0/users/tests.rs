//! Parsed fields of a profile, and patches that are never sent.
//!
//! Owns examples. Must never call a server.

use super::*;
use rolekeeper_domain::local_copy::kept_profile;
use serde_json::json;

fn id(user: &str) -> UserId<'_> {
    UserId::parse(user).unwrap()
}

fn seen(mut profile: Value) -> SeenRoles {
    profile["user_id"] = json!("auth0|1");
    Profile::parse(profile.to_string().as_bytes(), &id("auth0|1"), true)
        .unwrap()
        .roles()
}

#[test]
fn roles_are_a_list_missing_or_odd_and_never_guessed() {
    for nothing in [
        json!({}),
        json!({"app_metadata": null}),
        json!({"app_metadata": {}}),
        json!({"app_metadata": {"roles": null}}),
    ] {
        assert_eq!(seen(nothing.clone()), SeenRoles::Missing, "{nothing}");
    }
    let list = json!({"app_metadata": {"roles": ["b", "a", "b"]}});
    assert_eq!(
        seen(list),
        SeenRoles::List(vec!["b".into(), "a".into(), "b".into()])
    );
    assert_eq!(
        seen(json!({"app_metadata": {"roles": []}})),
        SeenRoles::List(vec![])
    );
    for (roles, what) in [
        (json!("admin"), "a string"),
        (json!({"a": 1}), "an object"),
        (json!(7), "a number"),
        (json!(["a", 1]), "an array with entries that are not strings"),
        (json!([null]), "an array with entries that are not strings"),
    ] {
        assert_eq!(
            seen(json!({"app_metadata": {"roles": roles}})),
            SeenRoles::Odd(what.into())
        );
    }
    assert_eq!(
        seen(json!({"app_metadata": ["roles"]})),
        SeenRoles::Odd("inside an app_metadata that is an array".into())
    );
}

#[test]
fn the_other_fields_are_shown_as_they_are() {
    let profile = Profile::parse(
        br#"{"user_id":"a|1","updated_at":"2026-01-01","user_metadata":{"displayName":"Ann"},"x":[1]}"#,
        &id("a|1"),
        true,
    )
    .unwrap();
    assert_eq!(
        (profile.updated_at(), profile.display_name()),
        (Some("2026-01-01"), SeenName::Is("Ann".into()))
    );
    assert_eq!(profile.json()["x"], json!([1]));
    let bare = Profile::parse(br#"{"user_id":"a|1"}"#, &id("a|1"), true).unwrap();
    assert_eq!(
        (bare.updated_at(), bare.display_name()),
        (None, SeenName::Missing)
    );
}

#[test]
fn a_name_is_missing_there_or_odd() {
    let seen = |metadata: Value| {
        let profile = json!({"user_id": "a|1", "user_metadata": metadata});
        Profile::parse(profile.to_string().as_bytes(), &id("a|1"), true)
            .unwrap()
            .display_name()
    };
    for missing in [
        json!(null),
        json!({}),
        json!({"displayName": null}),
        json!({"display_name": "a"}),
    ] {
        assert_eq!(seen(missing.clone()), SeenName::Missing, "{missing}");
    }
    assert_eq!(seen(json!({"displayName": ""})), SeenName::Is(String::new()));
    for odd in [
        json!({"displayName": 7}),
        json!({"displayName": ["a"]}),
        json!({"displayName": {}}),
        json!("a"),
        json!([]),
    ] {
        assert_eq!(seen(odd.clone()), SeenName::Odd, "{odd}");
    }
}

#[test]
fn a_patch_that_could_delete_everything_is_caught() {
    for bad in [
        json!({"app_metadata": {}}),
        json!({"app_metadata": null}),
        json!({"app_metadata": []}),
        json!({"user_metadata": {}}),
        json!({"user_metadata": null, "app_metadata": {"roles": []}}),
        json!([]),
    ] {
        assert!(destructive(&bad).is_some(), "{bad}");
    }
    for good in [
        json!({"app_metadata": {"roles": []}}),
        json!({"user_metadata": {"displayName": "a"}}),
    ] {
        assert!(destructive(&good).is_none(), "{good}");
    }
}

#[test]
fn a_profile_of_another_user_is_no_answer() {
    let parse = |body: &str| Profile::parse(body.as_bytes(), &id("auth0|ann"), true);
    assert!(parse(r#"{"user_id":"auth0|ann"}"#).is_ok());
    for other in [
        r#"{"user_id":"auth0|boss"}"#,
        r#"{"user_id":"AUTH0|ann"}"#,
        r#"{"user_id":7}"#,
        "{}",
    ] {
        assert!(parse(other).is_err(), "{other}");
    }
}

/// A list that is written back is the list at Auth0, and a `roles` that cannot be read is never a missing one.
#[test]
fn fuzz_profiles() {
    let user = id("auth0|ann");
    rolekeeper_fuzz::fuzz("profiles", |body| {
        let profile = match Profile::parse(body, &user, true) {
            Ok(profile) => profile,
            Err(why) => {
                assert!(
                    why.chars().count() <= 400 && !why.contains(char::is_control),
                    "{why}"
                );
                return;
            }
        };
        let same = serde_json::from_slice::<Value>(body).ok();
        let at_auth0 = same.as_ref().map(|json| &json["app_metadata"]["roles"]);
        match profile.roles() {
            SeenRoles::List(roles) => {
                assert!(roles.iter().all(|role| !role.contains('\0')), "{roles:?}");
                assert!(
                    at_auth0.is_none_or(|at_auth0| *at_auth0 == json!(roles)),
                    "{roles:?}"
                );
            }
            SeenRoles::Missing => assert!(at_auth0.is_none_or(Value::is_null), "{at_auth0:?}"),
            SeenRoles::Odd(_) => {}
        }
        let linked = profile.identities().unwrap_or_default();
        assert!(!linked.contains(&user) && linked.len() <= 100);
        let _ = (profile.display_name(), profile.updated_at(), profile.created_at());
        let kept = kept_profile(profile.json()).to_string();
        assert!(!kept.contains("\\u0000"), "Postgres stores no NUL: {kept}");
        assert!(serde_json::from_str::<Value>(&kept).is_ok(), "{kept}");
    });
}
