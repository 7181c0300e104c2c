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
            record.effect,
            Effect::Written {
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
    let gone = |id| Effect::Deleted { user: user(id) };
    let unlinked = |alias| Effect::Unlinked {
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
        ("post", "/api/v2/users", &none, Effect::Other),
        ("delete", "/api/v2/users/auth0%7Cabc", &none, gone("auth0|abc")),
        (
            "delete",
            "/api/v2/users/auth0%7Cabc/refresh-tokens",
            &none,
            Effect::Other,
        ),
        ("post", "/api/v2/users/auth0%7Cabc/roles", &none, Effect::Other),
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
        ("get", "/api/v2/users/auth0%7Cabc", &none, Effect::Other),
        ("patch", "/api/v2/users/a%00b", &none, Effect::Other),
        ("patch", "/api/v2/users/%ff", &none, Effect::Other),
        ("patch", "/api/v2/users/", &none, Effect::Other),
        ("patch", "/users/auth0%7Cabc", &none, Effect::Other),
        ("patch", "/api/v2/connections/con_1", &none, Effect::Other),
        ("delete", "/api/v2/connections/con_1/users", &none, Effect::Other),
        ("post", "/api/v2/jobs/users-imports", &none, Effect::BulkImport),
        ("post", "/api/v2/jobs/users-exports", &none, Effect::Other),
        ("post", "/api/v2/roles/rol_1/users", &none, Effect::Other),
    ];
    for (method, path, answer, effect) in table {
        let record = read(&sapi(method, path, &roles, answer));
        assert_eq!(record.effect, effect, "{method} {path}");
        assert_eq!(record.client_id.as_deref(), Some("c1"));
    }
    assert_eq!(read(&json!({"type": "sui"})).effect, Effect::BulkImport);
    for details in [
        json!(null),
        json!("text"),
        json!({}),
        json!({"request": {"method": "patch"}}),
    ] {
        assert_eq!(
            read(&json!({"type": "sapi", "user_id": "auth0|a", "details": details})).effect,
            Effect::Other
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
        assert_eq!(read(&record).effect, written("auth0|a", roles), "{body}");
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
            json!({"description": "user_id: corp|carl smith@b.c", "strategy": "samlp"}),
            Some("samlp|corp|carl smith@b.c"),
        ),
        (
            json!({"user_id": "samlp|corp|carl smith@b.c", "strategy": "samlp"}),
            Some("samlp|corp|carl smith@b.c"),
        ),
        (
            json!({"description": "user_id: samlp|corp|a | b", "strategy": "samlp"}),
            Some("samlp|corp|a | b"),
        ),
        (
            // No user has this id.
            json!({"description": "user_id: 61 by an admin", "strategy": "auth0"}),
            Some("auth0|61 by an admin"),
        ),
        (json!({"description": "user_id: ", "strategy": "auth0"}), None),
        (json!({"description": "gone", "strategy": "auth0"}), None),
        (json!({"strategy": "auth0"}), None),
    ];
    for (mut record, id) in table {
        record["type"] = "sdu".into();
        let effect = id.map_or(Effect::Other, |id| Effect::Deleted { user: user(id) });
        assert_eq!(read(&record).effect, effect, "{record}");
    }
}

#[test]
fn a_record_of_scim_names_the_user_in_its_path() {
    let touched = |id| Effect::Touched { user: user(id) };
    let gone = |id| Effect::Deleted { user: user(id) };
    let users = "/scim/v2/connections/con_1/Users";
    for (method, path, effect) in [
        ("DELETE", "/waad%7Cabc123", gone("waad|abc123")),
        (
            "patch",
            "/samlp%7Ccorp%7Ccarl%20smith%40b.c?x=1",
            touched("samlp|corp|carl smith@b.c"),
        ),
        ("PUT", "/okta|raw/", touched("okta|raw")),
        ("POST", "", Effect::Other),
        ("PATCH", "/", Effect::Other),
        ("PATCH", "/%FF", Effect::Other),
    ] {
        let request = json!({"method": method, "path": format!("{users}{path}"), "body": null});
        let record = json!({"type": "sscim", "details": {"action": "x", "request": request}});
        assert_eq!(read(&record).effect, effect, "{method} {path}");
    }
    for odd in [
        json!({"type": "sscim"}),
        json!({"type": "sscim", "details": {"request": {"path": 5}}}),
    ] {
        assert_eq!(read(&odd).effect, Effect::Other, "{odd}");
    }
}

#[test]
fn a_deleted_connection_may_concern_every_user() {
    for (method, path, effect) in [
        ("delete", "/api/v2/connections/con_1", Effect::BulkImport),
        ("delete", "/api/v2/connections/con_1/keys", Effect::Other),
        ("patch", "/api/v2/connections/con_1", Effect::Other),
    ] {
        let record = read(&sapi(method, path, &json!({}), &json!({})));
        assert_eq!(record.effect, effect, "{method} {path}");
    }
}
