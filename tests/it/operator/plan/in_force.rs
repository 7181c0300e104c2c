//! `rolekeeper plan`: differences under the rules in force, and none once the worker has made them.

use serde_json::{Value, json};

use super::{change, changes, counted, done, earned, planned};
use crate::world::oracle::ROLE;
use crate::world::{World, text, user};

#[tokio::test]
async fn a_crossing_is_a_gain_until_the_role_is_there() {
    let world = earned(&["ann"]).await;
    world.played("bob", 99).await;
    counted(&world, &[("bob", 99)]).await;
    let calls = world.tenant.with_calls(<[_]>::len);
    let (code, lines) = planned(&world, &["plan"]).await;
    assert_eq!((code, &lines[0]["users"]), (Some(2), &json!(1)));
    let gain = json!({
        "user": user("ann"), "role": ROLE, "change": "granted", "plays": 120, "why": "120 plays, at least 100", "marks": [],
    });
    assert_eq!(lines[1..], [gain]);
    assert_eq!(world.tenant.with_calls(<[_]>::len), calls, "no call to Auth0");
    assert_eq!(world.number("SELECT count(*) FROM assignments").await, Some(0));
    world.told(&["resume"]).await;
    world
        .holders_are("the worker grants it", &["ann", "bob"], &["ann"])
        .await;
    world.settled().await;
    let (code, lines) = planned(&world, &["plan"]).await;
    assert_eq!((code, lines.len(), &lines[0]["users"]), (Some(0), 1, &json!(0)));
}

#[tokio::test]
async fn a_loss_soon_after_the_gain_would_flap() {
    let world = World::start().await;
    world.played("ann", 100).await;
    world.settled().await;
    world.told(&["pause", "--why", "a test"]).await;
    world.retracted("ann", 0..30).await;
    counted(&world, &[("ann", 70)]).await;
    let (code, lines) = planned(&world, &["plan"]).await;
    assert_eq!(code, Some(2));
    assert_eq!(changes(&lines[1..]), [change("ann", "revoked")]);
    assert_eq!(lines[1]["marks"], json!(["would_flap"]));
    assert_eq!(lines[1]["why"], "70 plays, below 100");
    world
        .run_sql("UPDATE brakes SET engaged_at = now() WHERE change = 'revoked'")
        .await;
    let (_, lines) = planned(&world, &["plan", "--user", &user("ann")]).await;
    assert_eq!(lines[1]["marks"], json!(["held_by_brake", "would_flap"]));
}

#[tokio::test]
async fn a_pin_decides_and_is_marked() {
    let world = earned(&["ann", "bob"]).await;
    world
        .told(&["pin", &user("ann"), ROLE, "off", "--why", "a test"])
        .await;
    world
        .told(&["pin", &user("zoe"), ROLE, "on", "--why", "a test"])
        .await;
    let (code, lines) = planned(&world, &["plan"]).await;
    assert_eq!(code, Some(2));
    let mut found = changes(&lines[1..]);
    found.sort();
    assert_eq!(found, [change("bob", "granted"), change("zoe", "granted")]);
    let pinned = lines[1..].iter().find(|line| line["user"] == user("zoe"));
    assert_eq!(pinned.map(|line| &line["marks"]), Some(&json!(["pinned"])));
}

#[tokio::test]
async fn the_human_form_has_the_summary_first() {
    let world = earned(&["ann", "bob", "cid", "dan"]).await;
    let (code, text) = done(&world, &["plan"]).await;
    assert_eq!(code, Some(2));
    assert!(
        text.starts_with("4 users would change under the rules in force (version 0), as of 2"),
        "{text}"
    );
    for part in [
        "  role             change  users  marks\n  playlist_editor  gain        4\n",
        "  auth0|ann  playlist_editor  gain    120 plays, at least 100\n",
        "  The first of each kind are shown; --all shows all.\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    assert!(!text.contains("auth0|dan"), "{text}");
    let (_, all) = done(&world, &["plan", "--all"]).await;
    let line = "\n  auth0|dan  gains playlist_editor  120 plays, at least 100\n";
    assert!(
        all.find("4 users would change") < all.find(line) && all.contains(line),
        "{all}"
    );
}

#[tokio::test]
async fn one_user_is_planned_alone_and_an_unknown_one_is_named() {
    let world = earned(&["ann", "bob"]).await;
    let (code, lines) = planned(&world, &["plan", "--user", &user("bob")]).await;
    assert_eq!(
        (code, changes(&lines[1..])),
        (Some(2), vec![change("bob", "granted")])
    );
    for (id, said) in [
        (
            "auth0|nemo",
            "auth0|nemo: unknown: no playlist, role, pin or profile",
        ),
        ("auth0|a\nb", "expected 1 to 255 bytes without control characters"),
    ] {
        let output = world.command(&["plan", "--user", id]).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output).contains(said), "{}", text(&output));
    }
}

#[tokio::test]
async fn changes_over_the_limits_of_a_brake_are_announced() {
    let world = earned(&["ann", "bob"]).await;
    world.set_limit("brake_grants", 1.0).await;
    let (_, lines) = planned(&world, &["plan"]).await;
    let brake = json!([{"changes": "grants", "users": 2, "holders": 0, "number": 1, "share": 0.5}]);
    assert_eq!(lines[0]["brakes"], brake);
    let (_, said) = done(&world, &["plan"]).await;
    assert!(
        said.contains("The brake on grants would engage (users: 2, holders: 0"),
        "{said}"
    );
    let none = world
        .rows("SELECT change FROM brakes WHERE engaged_at IS NOT NULL")
        .await;
    assert_eq!(none, Vec::<Value>::new(), "it only says so");
}
