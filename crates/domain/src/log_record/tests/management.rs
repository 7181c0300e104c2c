//! Records of the Management API: which user a write concerned, and what it did to the roles.

use super::*;

#[test]
fn a_list_longer_than_a_profile_may_have_cannot_be_told() {
    let list = |roles: usize, letters: usize| -> Vec<String> {
        (0..roles).map(|n| format!("{n:0letters$}")).collect()
    };
    for (roles, letters, told) in [
        (500, 10, true),
        (501, 10, false),
        (60, 250, true),
        (70, 250, false),
    ] {
        let body = json!({"app_metadata": {"roles": list(roles, letters)}});
        let record = read(&sapi("PATCH", "/api/v2/users/auth0%7Ca", &body, &json!({})));
        let is = matches!(
            record.tells,
            Tells::Written {
                roles: WrittenRoles::Set(_),
                ..
            }
        );
        assert_eq!(is, told, "{roles} roles of {letters} letters");
    }
}

#[test]
fn a_management_write_concerns_the_user_in_its_path() {
    let roles = json!({"app_metadata": {"roles": ["editor"]}});
    let none = json!({});
    let created = json!({"user_id": "auth0|new", "app_metadata": {"roles": ["ignored"]}});
    let one = |id| written(id, set(&["editor"]));
    let gone = |id| Tells::Deleted { user: user(id) };
    let unlinked = |alias| Tells::Unlinked {
        user: user("auth0|abc"),
        alias: user(alias),
    };
    let table = [
        ("patch", "/api/v2/users/auth0%7Cabc", &none, one("auth0|abc")),
        ("PATCH", "/api/v2/users/auth0%7Cabc/", &none, one("auth0|abc")),
        (
            "put",
            "https://t.eu.auth0.com/api/v2/users/samlp%7Cc%7Ca%2Bb%40c.d?x=/y",
            &none,
            one("samlp|c|a+b@c.d"),
        ),
        ("post", "/api/v2/users/auth0|raw", &none, one("auth0|raw")),
        ("post", "/api/v2/users", &created, one("auth0|new")),
        ("post", "/api/v2/users", &none, Tells::Other),
        ("delete", "/api/v2/users/auth0%7Cabc", &none, gone("auth0|abc")),
        (
            "delete",
            "/api/v2/users/auth0%7Cabc/refresh-tokens",
            &none,
            Tells::Other,
        ),
        ("post", "/api/v2/users/auth0%7Cabc/roles", &none, Tells::Other),
        (
            "post",
            "/api/v2/users/auth0%7Cabc/identities",
            &none,
            written("auth0|abc", WrittenRoles::Unknown),
        ),
        (
            "delete",
            "/api/v2/users/auth0%7Cabc/identities/samlp/c%7Ca%2Bb%40c.d",
            &none,
            unlinked("samlp|c|a+b@c.d"),
        ),
        (
            "delete",
            "/api/v2/users/auth0%7Cabc/identities/samlp",
            &none,
            written("auth0|abc", WrittenRoles::Unknown),
        ),
        ("get", "/api/v2/users/auth0%7Cabc", &none, Tells::Other),
        ("patch", "/api/v2/users/a%00b", &none, Tells::Other),
        ("patch", "/api/v2/users/%ff", &none, Tells::Other),
        ("patch", "/api/v2/users/", &none, Tells::Other),
        ("patch", "/users/auth0%7Cabc", &none, Tells::Other),
        ("patch", "/api/v2/connections/con_1", &none, Tells::Other),
        ("delete", "/api/v2/connections/con_1/users", &none, Tells::Other),
        ("post", "/api/v2/jobs/users-imports", &none, Tells::ManyWritten),
        ("post", "/api/v2/jobs/users-exports", &none, Tells::Other),
        ("post", "/api/v2/roles/rol_1/users", &none, Tells::Other),
    ];
    for (method, path, answer, tells) in table {
        let record = read(&sapi(method, path, &roles, answer));
        assert_eq!(record.tells, tells, "{method} {path}");
        assert_eq!(record.client_id.as_deref(), Some("c1"));
    }
    assert_eq!(read(&json!({"type": "sui"})).tells, Tells::ManyWritten);
    for details in [
        json!(null),
        json!("text"),
        json!({}),
        json!({"request": {"method": "patch"}}),
    ] {
        assert_eq!(
            read(&json!({"type": "sapi", "user_id": "auth0|a", "details": details})).tells,
            Tells::Other
        );
    }
}

#[test]
fn a_request_tells_what_it_did_to_the_roles() {
    let table = [
        (json!({"blocked": true}), WrittenRoles::Untouched),
        (json!({}), WrittenRoles::Untouched),
        (json!({"app_metadata": {"plan": "pro"}}), WrittenRoles::Untouched),
        (
            json!({"app_metadata": {"roles": ["b", "a", "b"]}}),
            set(&["b", "a", "b"]),
        ),
        (json!({"app_metadata": {"roles": []}}), set(&[])),
        (json!({"app_metadata": {"roles": null}}), set(&[])),
        (json!({"app_metadata": {}}), WrittenRoles::Wiped),
        (json!({"app_metadata": null}), WrittenRoles::Unknown),
        (json!({"app_metadata": "*****"}), WrittenRoles::Unknown),
        (
            json!({"app_metadata": {"roles": "editor"}}),
            WrittenRoles::Unknown,
        ),
        (
            json!({"app_metadata": {"roles": ["a", 5]}}),
            WrittenRoles::Unknown,
        ),
        (
            json!({"app_metadata": {"roles": ["a\0b"]}}),
            WrittenRoles::Unknown,
        ),
        (json!(null), WrittenRoles::Unknown),
        (json!("cut off"), WrittenRoles::Unknown),
    ];
    for (body, roles) in table {
        let record = sapi("patch", "/api/v2/users/auth0%7Ca", &body, &json!({}));
        assert_eq!(read(&record).tells, written("auth0|a", roles), "{body}");
    }
}

#[test]
fn a_deletion_tells_its_subject_where_it_can() {
    let table = [
        (
            json!({"user_id": "", "description": "user_id: 61", "strategy": "auth0"}),
            Some("auth0|61"),
        ),
        (
            json!({"user_id": null, "description": "user_id: 61\n", "strategy_type": "database"}),
            Some("auth0|61"),
        ),
        (
            json!({"description": "user_id: 61", "strategy": "google-oauth2"}),
            Some("google-oauth2|61"),
        ),
        (
            json!({"description": "user_id: corp|a@b.c", "strategy": "samlp"}),
            Some("samlp|corp|a@b.c"),
        ),
        (
            json!({"description": "user_id: auth0|61", "strategy": "auth0"}),
            Some("auth0|61"),
        ),
        (
            json!({"user_id": "auth0|61", "description": ""}),
            Some("auth0|61"),
        ),
        (json!({"user_id": "61", "strategy": "auth0"}), Some("auth0|61")),
        (json!({"description": "user_id: 61"}), None),
        (
            json!({"description": "user_id: 61", "strategy": "", "strategy_type": "social"}),
            None,
        ),
        (
            json!({"description": "user_id: 61 by an admin", "strategy": "auth0"}),
            None,
        ),
        (json!({"description": "user_id: ", "strategy": "auth0"}), None),
        (json!({"description": "gone", "strategy": "auth0"}), None),
        (json!({"strategy": "auth0"}), None),
    ];
    for (mut record, id) in table {
        record["type"] = "sdu".into();
        let tells = id.map_or(Tells::Other, |id| Tells::Deleted { user: user(id) });
        assert_eq!(read(&record).tells, tells, "{record}");
    }
}
