//! The acts of operators that released or pinned a change.

use serde_json::Value;

use super::{PERIOD, chained};
use crate::world::events::retraction;
use crate::world::oracle::ROLE;
use crate::world::{World, user};

/// The line of the newest change of a user, from the evidence.
async fn line(world: &World, name: &str) -> Value {
    chained(world).await;
    let lines = world.told(&[&PERIOD[..], &["--json"]].concat()).await;
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let mut of_user = lines.filter(|line: &Value| line["user_id"] == user(name));
    of_user.next_back().expect("a change")
}

#[tokio::test]
async fn a_pinned_change_names_the_operator_and_the_reason() {
    let world = World::start().await;
    world.played("ann", 100).await;
    world.settled().await;
    assert!(line(&world, "ann").await["acts"].is_null(), "the rule decided");
    for (state, why) in [("off", "ticket 7"), ("on", "appeal"), ("off", "ticket 8")] {
        // A pin on does not replace a pin off.
        if state == "on" {
            world.told(&["unpin", &user("ann"), ROLE]).await;
            world.holders_are("the rules decide", &["ann"], &["ann"]).await;
        }
        world
            .told(&["pin", &user("ann"), ROLE, state, "--why", why, "--as", "bob"])
            .await;
        if state == "off" {
            world.gone("ann").await;
        }
        world.quiet().await;
    }
    let line = line(&world, "ann").await;
    let act = &line["acts"][0];
    assert_eq!(
        (&act["by"], &act["command"], &act["why"]),
        (&"bob".into(), &"pin".into(), &"ticket 8".into())
    );
    assert_eq!(line["acts"].as_array().map(Vec::len), Some(1));
    let shown = world.told(&PERIOD).await;
    assert!(shown.contains(": pin: pinned off (ticket 7)"), "{shown}");
    assert!(shown.contains("\n    count         100\n"), "{shown}");
}

#[tokio::test]
async fn a_released_change_names_the_operator_and_the_reason() {
    let world = World::builder()
        .limit("brake_revokes", 1.0)
        .limit("brake_revokes_share", 0.0)
        .start()
        .await;
    let all = ["ann", "bob", "cid"];
    for name in all {
        world.played(name, 100).await;
    }
    world.holders_are("all earn it", &all, &all).await;
    world.settled().await;
    world.told(&["pause"]).await;
    let fallen =
        all.map(|name| retraction(&format!("r-{name}"), &format!("{name}-0"), &format!("pl_{name}")));
    world.publish(&fallen).await;
    let due = "SELECT count(*) FROM work_queue WHERE held_by IS NULL AND priority = 0";
    world.count_is("all are due", due, 3).await;
    world.told(&["resume"]).await;
    let held = "SELECT count(*) FROM work_queue WHERE held_by = 'brake_revokes'";
    world.count_is("all are held", held, 3).await;
    world
        .told(&["brake", "release", "revokes", "--as", "eve", "--why", "a purge"])
        .await;
    world.holders_are("all are revoked", &all, &[]).await;
    world.settled().await;
    for name in all {
        let line = line(&world, name).await;
        let act = &line["acts"][0];
        assert_eq!(
            (&act["by"], &act["why"]),
            (&"eve".into(), &"a purge".into()),
            "{line}"
        );
        assert_eq!(act["command"], "brake release");
    }
}
