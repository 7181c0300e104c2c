//! Pins: the operator decides a role of one user, in place of the rules.
//!
//! F58: a pin, a ban, a removal by hand under each `manual`, across links, erasures, rule changes: as the pin says.

use rolekeeper_sandbox::tenant::Endpoint;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use crate::world::events::{play, plays};
use crate::world::oracle::ROLE;
use crate::world::rules::{RulesFile, rule};
use crate::world::{World, text, user};

const ON: &str = "rolekeeper_pins{state=\"on\"}";
const OFF: &str = "rolekeeper_pins{state=\"off\"}";

pub(super) async fn world() -> World {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    world.connect_log_stream().await;
    world
}

pub(super) async fn pin(world: &World, name: &str, state: &str, more: &[&str]) -> String {
    let user = user(name);
    let command = ["pin", &user, ROLE, state, "--why", "a ban, ticket 7"];
    world.told(&[&command, more].concat()).await
}

/// The reasons of a user's role changes, in the order of decision.
async fn reasons(world: &World, name: &str) -> Vec<Value> {
    let rows = "SELECT user_id, change, reason FROM role_changes WHERE change IN ('granted', 'revoked') ORDER BY change_id";
    let rows = world.rows(rows).await.into_iter();
    let of_user = rows.filter(|row| row["user_id"] == user(name));
    of_user.map(|row| json!([row["change"], row["reason"]])).collect()
}

#[tokio::test]
async fn f58_a_pin_off_takes_the_role_until_it_is_removed() {
    let world = world().await;
    world.played("ann", 100).await;
    world.settled().await;
    let said = pin(&world, "ann", "off", &[]).await;
    assert!(said.contains("playlist_editor is pinned off;"), "{said}");
    world.gone("ann").await;
    world.publish(&[play("more", "pl_ann")]).await;
    world.quiet().await;
    let calls = world.calls_of(&user("ann")).len();
    world.walked().await;
    world.walked().await;
    world.quiet().await;
    assert_eq!(world.calls_of(&user("ann")).len(), calls, "no sweep finds her");
    assert_eq!(world.worker().count(OFF).await, Some(1));
    let listed = world.told(&["pins"]).await;
    assert!(
        listed.contains("playlist_editor off: pinned") && listed.contains("ticket 7"),
        "{listed}"
    );
    let export: Value = serde_json::from_str(&world.told(&["export", &user("ann")]).await).expect("JSON");
    assert_eq!(export["tables"]["pins"][0]["state"], "off");

    world
        .told(&["unpin", &user("ann"), ROLE, "--why", "appeal"])
        .await;
    world
        .holders_are("the rules decide again", &["ann"], &["ann"])
        .await;
    world.settled().await;
    let granted = json!(["granted", null]);
    assert_eq!(
        reasons(&world, "ann").await,
        [granted.clone(), json!(["revoked", "pinned"]), granted]
    );
    let acts = world.told(&["acts"]).await;
    assert!(acts.contains("pinned off") && acts.contains("unpinned"), "{acts}");
    let again = world.command(&["unpin", &user("ann"), ROLE]).await;
    assert!(!again.status.success() && text(&again).contains("is not pinned"));
}

#[tokio::test]
async fn f58_a_pin_on_gives_the_role_and_ends_by_itself_on_time() {
    let world = world().await;
    world.played("ann", 3).await;
    world.quiet().await;
    let until = world.postgres_now().await + time::Duration::seconds(12);
    let shown = until.format(&Rfc3339).expect("a date");
    pin(&world, "ann", "on", &["--until", &shown]).await;
    world.holders_are("it is given", &["ann"], &["ann"]).await;
    let without = json!({"app_metadata": {"roles": ["mentor"]}});
    world
        .tenant
        .dashboard_edit(&user("ann"), without)
        .expect("an edit");
    world
        .eventually("it is given again", async || world.changes("ann").len() == 2)
        .await;
    let timer =
        "SELECT count(*) FROM work_queue WHERE lease IS NULL AND due_at > now() + interval '1 second'";
    world.count_is("she waits for the end", timer, 1).await;
    world.worker().kill9().await;
    world.start_worker().await;
    world.gone("ann").await;
    let ended = world.changes("ann").pop().expect("the revoke").at;
    assert!(
        ended >= until && ended - until < time::Duration::seconds(4),
        "{ended} for {until}"
    );
    world.quiet().await;
    assert_eq!(world.number("SELECT count(*) FROM pins").await, Some(0));
    assert_eq!(world.worker().count(ON).await, Some(0));
    let acts = world.told(&["acts"]).await;
    assert_eq!(
        acts.matches("the pin ended: its time is over").count(),
        1,
        "{acts}"
    );
    let last = reasons(&world, "ann").await.pop();
    assert_eq!(last, Some(json!(["revoked", null])), "the rules decided it");
}

#[tokio::test]
async fn f58_a_pin_off_revokes_what_another_client_gives() {
    let world = world().await;
    world.seed_user(&user("old"), &["mentor", ROLE]);
    world.tenant.login(&user("old")).expect("a login");
    world.quiet().await;
    pin(&world, "old", "off", &[]).await;
    world.gone("old").await;
    let given = json!({"app_metadata": {"roles": ["mentor", ROLE]}});
    world
        .tenant
        .edit_by_other_client("crm", &user("old"), given)
        .expect("an edit");
    world
        .eventually("it is revoked again", async || world.changes("old").len() == 2)
        .await;
    world.quiet().await;
    assert_eq!(world.roles(&user("old")), ["mentor"]);
}

#[tokio::test]
async fn a_pin_waits_for_resume_and_for_writes() {
    let world = world().await;
    world.played("ann", 100).await;
    world.settled().await;
    world.told(&["pause"]).await;
    let said = pin(&world, "ann", "off", &[]).await;
    assert!(
        said.contains("paused: the role changes after `rolekeeper resume`"),
        "{said}"
    );
    world
        .told(&["limits", "set", "writes", "off", "--why", "a test"])
        .await;
    world.told(&["resume"]).await;
    let shadow = "SELECT count(*) FROM role_changes WHERE change = 'revoked' AND outcome = 'shadow' AND reason = 'pinned'";
    world.count_is("it is decided in shadow mode", shadow, 1).await;
    world.quiet().await;
    assert!(world.has("ann", ROLE));
    let said = pin(&world, "ann", "off", &[]).await;
    assert!(said.contains("writes are off"), "{said}");
    world
        .told(&["limits", "set", "writes", "on", "--why", "a test"])
        .await;
    world.gone("ann").await;
    world.quiet().await;
}

#[tokio::test]
async fn a_pin_passes_an_engaged_brake_and_only_the_pin_does() {
    let builder = World::builder().env("SWEEP_INTERVAL_S", 1);
    let world = builder
        .limit("brake_revokes", 1.0)
        .limit("brake_revokes_share", 0.0)
        .start()
        .await;
    let all = ["ann", "bob", "cid"];
    for name in all {
        world.played(name, 100).await;
    }
    world.holders_are("all earn it", &all, &all).await;
    world.told(&["pause"]).await;
    for name in all {
        world.retracted(name, 0..1).await;
    }
    let due = "SELECT count(*) FROM work_queue WHERE held_by IS NULL";
    world.count_is("all are due", due, 3).await;
    world.told(&["resume"]).await;
    let held = "SELECT count(*) FROM work_queue WHERE held_by = 'brake_revokes'";
    world.count_is("all are held", held, 3).await;
    pin(&world, "bob", "off", &[]).await;
    world.gone("bob").await;
    world.quiet().await;
    world.holders_are("the others stay", &all, &["ann", "cid"]).await;
    assert_eq!(world.number(held).await, Some(2));
    let patches = world
        .calls_of(&user("ann"))
        .iter()
        .filter(|call| call.endpoint == Endpoint::PatchUser)
        .count();
    assert_eq!(patches, 1, "the grant alone");
}

#[tokio::test]
async fn f58_new_rules_reach_a_user_whose_pin_ends_later() {
    let file = RulesFile::new(&rule(ROLE, 100, 100, ""));
    let builder = World::builder().env("RULES_FILE", file.path().display());
    let world = builder.env("SWEEP_INTERVAL_S", 1).start().await;
    world.played("ann", 60).await;
    world.quiet().await;
    pin(&world, "ann", "off", &["--until", "2099-01-01T00:00:00Z"]).await;
    let timer = "SELECT count(*) FROM work_queue WHERE due_at > now() + interval '1 day'";
    world.count_is("she waits for the end", timer, 1).await;
    let curator = rule("curator", 50, 50, "");
    file.write(&format!("{}{curator}", rule(ROLE, 100, 100, "")));
    world
        .eventually("she has the other role", async || world.has("ann", "curator"))
        .await;
    world
        .count_is("she waits for the end of the pin again", timer, 1)
        .await;
    assert!(!world.has("ann", ROLE));
}

#[tokio::test]
async fn f58_the_end_of_a_rule_leaves_its_pins_without_effect() {
    let file = RulesFile::new(&rule(ROLE, 100, 100, ""));
    let builder = World::builder().env("RULES_FILE", file.path().display());
    let world = builder.env("SWEEP_INTERVAL_S", 1).start().await;
    world.played("ann", 0).await;
    pin(&world, "ann", "on", &[]).await;
    world.holders_are("it is given", &["ann"], &["ann"]).await;
    file.write(&rule("other", 100, 100, ""));
    world
        .rules_in_force("the rule has ended", |rules| rules[0]["role"] == "other")
        .await;
    world.publish(&plays("more", "pl_ann", 0..100)).await;
    world.quiet().await;
    assert!(world.has("ann", ROLE), "no rule manages it");
    let listed = world.told(&["pins", "--role", ROLE]).await;
    assert!(
        listed.contains("without effect: no rule names this role"),
        "{listed}"
    );
}
