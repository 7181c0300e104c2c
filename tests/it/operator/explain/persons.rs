//! Persons with several ids: each id explains the same person.

use serde_json::json;

use super::{assert_says, counted, explained, picked};
use crate::world::World;
use crate::world::oracle::ROLE;
use crate::world::persons::{ANN, GOOGLE};

#[tokio::test]
async fn each_id_of_a_person_explains_the_account() {
    let world = World::two_accounts().await;
    world.link();
    world.ends_with_the_primary().await;
    let by_linked = explained(&world, GOOGLE).await;
    let ids = picked(&by_linked, ["user_id", "asked_for"]);
    assert_eq!(ids, json!([ANN, GOOGLE]));
    let role = &by_linked["roles"][0];
    assert_eq!(role["plays"], counted(&world, &[ANN, GOOGLE]));
    assert_eq!(picked(role, ["holds", "should_hold"]), json!([true, true]));
    let ids = by_linked["ids"].as_array().expect("ids").iter();
    let ids: Vec<_> = ids.map(|id| picked(id, ["id", "is"])).collect();
    assert_eq!(ids, [json!([ANN, "primary"]), json!([GOOGLE, "linked"])]);
    let rows = by_linked["decisions"]["rows"].as_array().expect("rows").iter();
    let rows: Vec<_> = rows
        .map(|row| picked(row, ["user_id", "change", "reason"]))
        .collect();
    for row in [
        json!([GOOGLE, "revoked", "linked"]),
        json!([GOOGLE, "granted", null]),
    ] {
        assert!(rows.contains(&row), "{row} is not in {rows:?}");
    }
    let by_primary = explained(&world, ANN).await;
    assert_eq!(by_primary["roles"], by_linked["roles"]);
    assert_eq!(by_primary["decisions"], by_linked["decisions"]);
    let text = world.told(&["explain", GOOGLE]).await;
    let head = format!("{GOOGLE} is an id of this person, whose roles are those of {ANN}.");
    assert!(text.contains(&head) && text.contains("linked to it"), "{text}");
}

#[tokio::test]
async fn a_moved_person_has_the_operator_and_the_reason() {
    let world = World::two_accounts().await;
    world.deleted_and_moved(GOOGLE, ANN).await;
    world.role_follows().await;
    world.quiet().await;
    let old = explained(&world, GOOGLE).await;
    assert_eq!(old["user_id"], ANN);
    assert_eq!(old["roles"][0]["plays"], counted(&world, &[ANN, GOOGLE]));
    let moved = &old["ids"][1];
    assert_eq!(picked(moved, ["id", "is"]), json!([GOOGLE, "moved"]));
    let why = moved["why"].as_str();
    assert!(why.is_some_and(|why| why.ends_with(": a story")), "{moved}");
}

#[tokio::test]
async fn a_role_from_before_has_no_known_origin() {
    let world = World::start().await;
    world.connect_log_stream().await;
    world.seed_user(ANN, &["mentor", ROLE]);
    world.tenant.login(ANN).expect("a login");
    let read = "SELECT count(*) FROM users WHERE fetched_at IS NOT NULL";
    world.count_is("the user was read", read, 1).await;
    world.quiet().await;
    let ann = explained(&world, ANN).await;
    let role = &ann["roles"][0];
    let state = picked(role, ["holds", "should_hold", "may_revoke", "pending"]);
    assert_eq!(state, json!([true, false, false, null]));
    assert_eq!(role["plays"], counted(&world, &[ANN]));
    let way_out = "rolekeeper adopt --role playlist_editor --user 'auth0|ann'";
    assert_says(&role["why"], &[way_out]);
    assert_says(&ann["not_known"], &["has playlist_editor is not known before 20"]);
}
