//! Conditions of a rule on the profile: not blocked, and a verified e-mail address.

use serde_json::json;

use crate::world::oracle::ROLE;
use crate::world::rules::{RulesFile, rule};
use crate::world::{World, user};

const CONDITIONS: &str = "only_if = [\"not_blocked\", \"email_verified\"]";

/// A user with an unverified e-mail address whose playlist gets a hundred plays.
async fn earns(world: &World, name: &str) {
    let profile = json!({"email": format!("{name}@example.com"), "app_metadata": {"roles": ["mentor"]}});
    world.tenant.seed_user(&user(name), profile).expect("a user");
    world.earn(&user(name), &format!("pl_{name}")).await;
}

/// A world with this rule, and users who earn it, with unverified addresses.
async fn world(more: &str, names: &[&str]) -> (World, RulesFile) {
    let file = RulesFile::new(&rule(ROLE, 100, 100, more));
    let builder = World::builder().env("RULES_FILE", file.path().display());
    let builder = builder
        .limit("brake_revokes", 2.0)
        .limit("brake_revokes_share", 0.0);
    let world = builder.env("SWEEP_INTERVAL_S", 1).start().await;
    world.connect_log_stream().await;
    for name in names {
        earns(&world, name).await;
    }
    world.quiet().await;
    (world, file)
}

fn edit(world: &World, name: &str, patch: serde_json::Value) {
    world.tenant.dashboard_edit(&user(name), patch).expect("an edit");
}

#[tokio::test]
async fn the_role_follows_the_verification_and_the_block() {
    let more = format!("grace = \"1h\"\nmin_hold = \"1h\"\n{CONDITIONS}");
    let (world, _file) = world(&more, &["ann"]).await;
    assert!(!world.has("ann", ROLE), "not verified");
    world.tenant.verify_email(&user("ann")).expect("a link in a mail");
    world
        .holders_are("her address is verified", &["ann"], &["ann"])
        .await;
    world.quiet().await;
    // Neither grace nor minimum hold keeps it.
    edit(&world, "ann", json!({"blocked": true}));
    world.gone("ann").await;
    world.quiet().await;
    let revoked = "SELECT count(*) FROM role_changes WHERE change = 'revoked' AND plays = 100";
    assert_eq!(world.number(revoked).await, Some(1));
    edit(&world, "ann", json!({"blocked": false}));
    world
        .holders_are("she is no longer blocked", &["ann"], &["ann"])
        .await;
    edit(&world, "ann", json!({"email_verified": false}));
    world.gone("ann").await;
    world.quiet().await;
}

#[tokio::test]
async fn a_user_who_meets_no_condition_costs_no_more_calls() {
    let (world, _file) = world(CONDITIONS, &["ann"]).await;
    let calls = world.calls_of(&user("ann")).len();
    world.walked().await;
    world.walked().await;
    world
        .publish(&crate::world::events::plays("more", "pl_ann", 0..9))
        .await;
    world.quiet().await;
    assert_eq!(
        (world.calls_of(&user("ann")).len(), world.has("ann", ROLE)),
        (calls, false)
    );
}

#[tokio::test]
async fn a_new_condition_finds_the_holders_who_do_not_meet_it() {
    let (world, file) = world("", &["ann", "bob"]).await;
    world
        .holders_are("nothing is asked for", &["ann", "bob"], &["ann", "bob"])
        .await;
    world.tenant.verify_email(&user("bob")).expect("a link in a mail");
    world.quiet().await;
    file.write(&rule(ROLE, 100, 100, CONDITIONS));
    world.gone("ann").await;
    world.quiet().await;
    assert!(world.has("bob", ROLE));
    let shown = world.told(&["rules", "show"]).await;
    assert!(
        shown.contains("format = 2") && shown.contains("only_if = [\"email_verified\", \"not_blocked\"]"),
        "{shown}"
    );
    file.write(&rule(ROLE, 100, 100, ""));
    world
        .holders_are("nothing is asked for again", &["ann", "bob"], &["ann", "bob"])
        .await;
}

#[tokio::test]
async fn a_mass_of_blocked_users_waits_for_the_operator() {
    let names = ["ann", "bob", "cid", "dan"];
    let (world, _file) = world("only_if = [\"not_blocked\"]", &names).await;
    world.holders_are("all earn it", &names, &names).await;
    world.told(&["pause"]).await;
    for name in names {
        let blocked = json!({"blocked": true});
        world
            .tenant
            .edit_by_other_client("import", &user(name), blocked)
            .expect("an edit");
    }
    let due = "SELECT count(*) FROM work_queue WHERE held_by IS NULL AND force_fetch";
    world.count_is("all are enqueued", due, 4).await;
    world.told(&["resume"]).await;
    world.quiet().await;
    let held = "SELECT count(*) FROM work_queue WHERE held_by = 'brake_revokes'";
    let revoked = names.iter().filter(|name| !world.has(name, ROLE)).count();
    assert_eq!((world.number(held).await, revoked), (Some(2), 2));
    world.told(&["brake", "release", "revokes"]).await;
    world.holders_are("the operator lets them go", &names, &[]).await;
    world.quiet().await;
}
