//! Users whose role does not follow the count: pinned, held by a brake, parked, paused.

use serde_json::json;

use super::{assert_says, counted, explained, picked};
use crate::world::events::{plays, saved};
use crate::world::oracle::ROLE;
use crate::world::{World, user};

#[tokio::test]
async fn a_pin_is_named_with_its_reason() {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    world.played("ann", 100).await;
    world.settled().await;
    let ann = user("ann");
    let why = ["--why", "a ban, ticket 7", "--as", "eve"];
    let pin = [&["pin", &ann, ROLE, "off"][..], &why].concat();
    world.told(&pin).await;
    world.gone("ann").await;
    world.quiet().await;
    let ann = explained(&world, &ann).await;
    let role = &ann["roles"][0];
    let decided = picked(role, ["decided_by", "by_rule", "should_hold", "holds"]);
    assert_eq!(decided, json!(["pin", true, false, false]));
    let pin = picked(&ann["pins"][0], ["on", "by", "why"]);
    assert_eq!(pin, json!([false, "eve", "a ban, ticket 7"]));
    assert_eq!(ann["decisions"]["rows"][0]["reason"], "pinned");
    let said = [
        "A pin off of auth0|ann decides in place of the rule",
        "by eve: a ban, ticket 7",
        "The role was last revoked at ",
        ": a pin stands.",
    ];
    assert_says(&role["why"], &said);
}

/// Three holders, each with one play too few, while the operator has paused attempts.
async fn three_fallen() -> World {
    let limits = World::builder().limit("brake_revokes", 1.0);
    let world = limits.limit("brake_revokes_share", 0.0).start().await;
    let all = ["ann", "bob", "cid"];
    for name in all {
        world.played(name, 100).await;
    }
    world.holders_are("all earn it", &all, &all).await;
    world.settled().await;
    world.told(&["pause", "--why", "maintenance"]).await;
    for name in all {
        world.retracted(name, 0..1).await;
    }
    let due = "SELECT count(*) FROM work_queue WHERE held_by IS NULL";
    world.count_is("all are due", due, 3).await;
    world
}

#[tokio::test]
async fn a_change_that_a_brake_holds_names_the_way_out() {
    let world = three_fallen().await;
    let ann = explained(&world, &user("ann")).await;
    assert_says(&ann["obstacles"], &["paused since", "(maintenance)"]);
    assert_eq!(ann["queue"][0]["cause"]["event_id"], "r-ann-0");
    world.told(&["resume"]).await;
    let held = "SELECT count(*) FROM work_queue WHERE held_by = 'brake_revokes'";
    world.count_is("all are held", held, 3).await;

    let ann = explained(&world, &user("ann")).await;
    let role = &ann["roles"][0];
    assert_eq!(role["plays"], counted(&world, &[&user("ann")]));
    let state = picked(role, ["holds", "should_hold", "pending"]);
    assert_eq!(state, json!([true, false, "revoked"]));
    let crossing = picked(&role["crossing"], ["event_id", "plays"]);
    assert_eq!(crossing, json!(["r-ann-0", 99]));
    assert_eq!(ann["queue"][0]["held_by"], "brake_revokes");
    assert_says(&ann["obstacles"], &["The brake on revokes is engaged since "]);
    assert_says(&ann["waits"], &["rolekeeper brake release revokes"]);
}

#[tokio::test]
async fn a_parked_user_has_the_error_and_the_way_out() {
    let world = World::start().await;
    let (odd, error) = (
        user("o'neil"),
        "app_metadata.roles is a string, expected an array of strings",
    );
    let profile = json!({"app_metadata": {"roles": "mentor"}});
    world.tenant.seed_user(&odd, profile).expect("a user");
    world.publish(&[saved("s", "pl_1", &odd)]).await;
    world.publish(&plays("p", "pl_1", 0..100)).await;
    let parked = "SELECT count(*) FROM work_queue WHERE parked_at IS NOT NULL";
    world.count_is("the user is parked", parked, 1).await;
    let one = explained(&world, &odd).await;
    let entry = &one["queue"][0];
    assert_eq!(picked(entry, ["attempts", "last_error"]), json!([1, error]));
    assert_eq!(entry["cause"]["event_id"], "p-99");
    let way_out = r"rolekeeper requeue --user 'auth0|o'\''neil'";
    assert_says(&one["waits"], &["is parked since ", error, way_out]);
    let due = picked(&one["roles"][0], ["should_hold", "pending"]);
    assert_eq!(due, json!([true, "granted"]));
}

#[tokio::test]
async fn writes_that_are_off_are_named() {
    let world = World::start().await;
    let off = [
        "limits", "set", "writes", "off", "--why", "a trial", "--as", "eve",
    ];
    world.told(&off).await;
    world.played("ann", 100).await;
    let shadow = "SELECT count(*) FROM role_changes WHERE outcome = 'shadow'";
    world.count_is("it is decided in shadow mode", shadow, 1).await;
    world.quiet().await;
    let text = world.told(&["explain", &user("ann")]).await;
    for part in [
        "Writes are off since ",
        "by eve (a trial)",
        "not sent: writes were off",
        "So the role is to be granted.",
        "No write to Auth0 is stored.",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}
