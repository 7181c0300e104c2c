//! Removals by hand of a role with a condition: the user can change the e-mail address, and that gives no role back.

use rolekeeper_sandbox::tenant::CallMatch;
use rolekeeper_sandbox::tenant::Endpoint::ReadLog;
use serde_json::json;

use crate::world::events::{plays, saved};
use crate::world::not_found::not_found;
use crate::world::oracle::ROLE;
use crate::world::rules::{RulesFile, rule};
use crate::world::{World, user};

const PINNED: &str = "SELECT count(*) FROM pins WHERE state = 'off' AND log_id IS NOT NULL";
const WAITING: &str = "SELECT count(*) FROM removals WHERE state = 'waiting'";
const HELD: &str = "SELECT count(*) FROM removals WHERE state = 'held'";

/// A world whose rule asks for a verified address and treats removals like this, with holders, and at most one removal at once.
async fn holders(manual: &str, names: &[&str]) -> (World, RulesFile) {
    let more = format!("manual = \"{manual}\"\nonly_if = [\"email_verified\"]");
    let file = RulesFile::new(&rule(ROLE, 100, 50, &more));
    let builder = World::builder().env("RULES_FILE", file.path().display());
    let builder = builder
        .limit("brake_revokes", 1.0)
        .limit("brake_revokes_share", 0.0);
    let world = builder.env("SWEEP_INTERVAL_S", 1).start().await;
    world.connect_log_stream().await;
    for name in names {
        let email = format!("{name}@example.com");
        let roles = json!({"roles": ["mentor"]});
        let profile = json!({"email": email, "email_verified": true, "app_metadata": roles});
        world.tenant.seed_user(&user(name), profile).expect("a user");
        let list = format!("pl_{name}");
        let save = saved(&format!("s-{name}"), &list, &user(name));
        world
            .publish(&[vec![save], plays(name, &list, 0..100)].concat())
            .await;
    }
    world.holders_are("all earn it", names, names).await;
    world.settled().await;
    (world, file)
}

fn removed(world: &World, name: &str) {
    let without = json!({"app_metadata": {"roles": ["mentor"]}});
    let edited = world.tenant.edit_by_other_client("crm", &user(name), without);
    edited.expect("an edit");
}

fn address(world: &World, user: &str, verified: bool) {
    let edit = json!({"email_verified": verified});
    world.tenant.dashboard_edit(user, edit).expect("an edit");
}

/// Waits until an attempt has decided by this state of the address.
async fn read(world: &World, user: &str, verified: bool) {
    world
        .eventually("the address is read", async || {
            let read = sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM users WHERE user_id = $1 AND profile -> 'email_verified' = to_jsonb($2::boolean))",
            );
            read.bind(user).bind(verified).fetch_one(&world.db).await.unwrap_or(false)
        })
        .await;
}

/// The user loses the verification and gets it again.
async fn verified_again(world: &World, user: &str) {
    for verified in [false, true] {
        address(world, user, verified);
        read(world, user, verified).await;
    }
}

#[tokio::test]
async fn a_removal_waits_while_a_condition_does_not_hold() {
    let (world, _file) = holders("respect", &["ann"]).await;
    world
        .tenant
        .hold_fault(CallMatch::to(ReadLog), not_found(json!({})));
    removed(&world, "ann");
    world.count_is("the record is waited for", WAITING, 1).await;
    verified_again(&world, &user("ann")).await;
    world.tenant.clear_faults();
    world.count_is("she is pinned off", PINNED, 1).await;
    world.quiet().await;
    assert!(!world.has("ann", ROLE));
}

#[tokio::test]
async fn a_removal_seen_with_a_condition_unmet_is_pinned() {
    let (world, _file) = holders("respect", &["ann"]).await;
    world.told(&["pause", "--why", "a story"]).await;
    removed(&world, "ann");
    address(&world, &user("ann"), false);
    world.told(&["resume", "--why", "a story"]).await;
    world.count_is("she is pinned off", PINNED, 1).await;
    address(&world, &user("ann"), true);
    read(&world, &user("ann"), true).await;
    world.quiet().await;
    assert!(!world.has("ann", ROLE));
}

#[tokio::test]
async fn a_held_removal_outlasts_a_condition_and_a_low_count() {
    let (world, _file) = holders("respect", &["ann", "bob"]).await;
    for name in ["ann", "bob"] {
        removed(&world, name);
    }
    world.count_is("one removal is held", HELD, 1).await;
    let held = world
        .rows("SELECT substr(user_id, 7) AS name FROM removals WHERE state = 'held'")
        .await;
    let held = held[0]["name"].as_str().expect("a name");
    verified_again(&world, &user(held)).await;
    world.retracted(held, 0..60).await;
    world.quiet().await;
    let more = plays("more", &format!("pl_{held}"), 0..60);
    world.publish(&more).await;
    world.quiet().await;
    assert!(!world.has(held, ROLE), "{held}");
    world.told(&["brake", "release", "removals"]).await;
    world.count_is("both are pinned off", PINNED, 2).await;
}

#[tokio::test]
async fn a_removal_that_is_only_reported_outlasts_a_condition() {
    for unread in [false, true] {
        let (world, _file) = holders("alert", &["ann"]).await;
        if unread {
            world.told(&["pause", "--why", "a story"]).await;
            address(&world, &user("ann"), false);
        }
        removed(&world, "ann");
        if unread {
            world.told(&["resume", "--why", "a story"]).await;
            read(&world, &user("ann"), false).await;
        }
        let suppressed = "SELECT count(*) FROM assignments WHERE suppressed";
        world.count_is("it is left so", suppressed, 1).await;
        verified_again(&world, &user("ann")).await;
        world.quiet().await;
        assert!(!world.has("ann", ROLE), "unread: {unread}");
    }
}

/// The condition says nothing about a role that the rule restores.
#[tokio::test]
async fn a_restored_role_follows_its_condition() {
    let (world, _file) = holders("restore", &["ann"]).await;
    world.told(&["pause", "--why", "a story"]).await;
    removed(&world, "ann");
    address(&world, &user("ann"), false);
    world.told(&["resume", "--why", "a story"]).await;
    read(&world, &user("ann"), false).await;
    world.quiet().await;
    let restored = "rolekeeper_roles_externally_removed_total{outcome=\"restored\"}";
    assert_eq!(world.worker().count(restored).await, Some(0));
    address(&world, &user("ann"), true);
    world.holders_are("it is earned", &["ann"], &["ann"]).await;
}
