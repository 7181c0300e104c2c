//! Users whose role does not follow the count: pinned, held by a brake, parked, paused.

use serde_json::json;

use super::{counted, explained, said};
use crate::world::events::{plays, saved};
use crate::world::oracle::ROLE;
use crate::world::{World, user};

#[tokio::test]
async fn a_pin_is_named_with_its_reason() {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    world.played("ann", 100).await;
    world.settled().await;
    let pin = [
        "pin",
        &user("ann"),
        ROLE,
        "off",
        "--why",
        "a ban, ticket 7",
        "--as",
        "eve",
    ];
    world.told(&pin).await;
    world.gone("ann").await;
    world.quiet().await;
    let ann = explained(&world, &user("ann")).await;
    let role = &ann["roles"][0];
    let decided = [
        &role["decided_by"],
        &role["by_rule"],
        &role["should_hold"],
        &role["holds"],
    ];
    assert_eq!(json!(decided), json!(["pin", true, false, false]));
    let pin = &ann["pins"][0];
    assert_eq!(
        json!([pin["on"], pin["by"], pin["why"]]),
        json!([false, "eve", "a ban, ticket 7"])
    );
    assert_eq!(ann["decisions"]["rows"][0]["reason"], "pinned");
    let why = said(&role["why"]);
    assert!(
        why.contains("A pin off of auth0|ann decides in place of the rule")
            && why.contains("by eve: a ban, ticket 7"),
        "{why}"
    );
    assert!(
        why.contains("The role was last revoked at ") && why.contains(": a pin stands."),
        "{why}"
    );
}

#[tokio::test]
async fn a_change_that_a_brake_holds_names_the_way_out() {
    let builder = World::builder()
        .limit("brake_revokes", 1.0)
        .limit("brake_revokes_share", 0.0);
    let world = builder.start().await;
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
    let ann = explained(&world, &user("ann")).await;
    assert!(
        said(&ann["obstacles"]).contains("paused since") && said(&ann["obstacles"]).contains("(maintenance)"),
        "{ann}"
    );
    assert_eq!(ann["queue"][0]["cause"]["event_id"], "r-ann-0");
    world.told(&["resume"]).await;
    let held = "SELECT count(*) FROM work_queue WHERE held_by = 'brake_revokes'";
    world.count_is("all are held", held, 3).await;

    let ann = explained(&world, &user("ann")).await;
    let role = &ann["roles"][0];
    assert_eq!(role["plays"], counted(&world, &[&user("ann")]));
    let state = [
        &role["holds"],
        &role["should_hold"],
        &role["pending"],
        &ann["queue"][0]["held_by"],
    ];
    assert_eq!(json!(state), json!([true, false, "revoked", "brake_revokes"]));
    assert_eq!(
        json!([role["crossing"]["event_id"], role["crossing"]["plays"]]),
        json!(["r-ann-0", 99])
    );
    assert!(
        said(&ann["obstacles"]).contains("The brake on revokes is engaged since "),
        "{ann}"
    );
    assert!(
        said(&ann["waits"]).contains("rolekeeper brake release revokes"),
        "{ann}"
    );
}

#[tokio::test]
async fn a_parked_user_has_the_error_and_the_way_out() {
    let world = World::start().await;
    let odd = json!({"app_metadata": {"roles": "mentor"}});
    world.tenant.seed_user(&user("o'neil"), odd).expect("a user");
    world.publish(&[saved("s", "pl_1", &user("o'neil"))]).await;
    world.publish(&plays("p", "pl_1", 0..100)).await;
    let parked = "SELECT count(*) FROM work_queue WHERE parked_at IS NOT NULL";
    world.count_is("the user is parked", parked, 1).await;
    let one = explained(&world, &user("o'neil")).await;
    let entry = &one["queue"][0];
    assert_eq!(
        json!([entry["attempts"], entry["cause"]["event_id"]]),
        json!([1, "p-99"])
    );
    assert_eq!(
        entry["last_error"],
        "app_metadata.roles is a string, expected an array of strings"
    );
    let waits = said(&one["waits"]);
    assert!(
        waits.contains("is parked since ") && waits.contains("roles is a string"),
        "{waits}"
    );
    assert!(
        waits.contains(r"rolekeeper requeue --user 'auth0|o'\''neil'"),
        "{waits}"
    );
    let role = &one["roles"][0];
    assert_eq!(
        json!([role["should_hold"], role["pending"]]),
        json!([true, "granted"])
    );
}

#[tokio::test]
async fn writes_that_are_off_are_named() {
    let world = World::start().await;
    world
        .told(&[
            "limits", "set", "writes", "off", "--why", "a trial", "--as", "eve",
        ])
        .await;
    world.played("ann", 100).await;
    let shadow = "SELECT count(*) FROM role_changes WHERE outcome = 'shadow'";
    world.count_is("it is decided in shadow mode", shadow, 1).await;
    world.quiet().await;
    let text = world.told(&["explain", &user("ann")]).await;
    assert!(
        text.contains("Writes are off since ") && text.contains("by eve (a trial)"),
        "{text}"
    );
    assert!(
        text.contains("not sent: writes were off") && text.contains("So the role is to be granted."),
        "{text}"
    );
    assert!(text.contains("No write to Auth0 is stored."), "{text}");
}
