//! Removals by hand under `manual = "respect"`: a confirmed one becomes a pin, a mass of them waits for the operator.

use rolekeeper_sandbox::tenant::Endpoint::ReadLog;
use rolekeeper_sandbox::tenant::{CallMatch, Fault};
use serde_json::{Value, json};

use crate::world::oracle::ROLE;
use crate::world::persons::{app, told};
use crate::world::rules::{RulesFile, rule};
use crate::world::{LOG_TOKEN, World, user};

const PINNED: &str = "SELECT count(*) FROM pins WHERE state = 'off' AND log_id IS NOT NULL";
const WAITING: &str = "SELECT count(*) FROM removals WHERE state = 'waiting'";
const HELD: &str = "SELECT count(*) FROM removals WHERE state = 'held'";

/// A world whose rule respects removals, with holders, and at most `most` removals at once.
async fn holders(names: &[&str], most: f64) -> (World, RulesFile) {
    let file = RulesFile::new(&rule(ROLE, 100, 100, "manual = \"respect\""));
    let builder = World::builder().env("RULES_FILE", file.path().display());
    let builder = builder
        .limit("brake_revokes", most)
        .limit("brake_revokes_share", 0.0);
    let world = builder.env("SWEEP_INTERVAL_S", 1).start().await;
    world.connect_log_stream().await;
    for name in names {
        world.played(name, 100).await;
    }
    world.holders_are("all earn it", names, names).await;
    world.settled().await;
    (world, file)
}

fn without() -> Value {
    json!({"app_metadata": {"roles": ["mentor"]}})
}

/// Every holder is verified again.
async fn verify(world: &World) {
    world.run_sql("UPDATE assignments SET verified_at = NULL").await;
}

/// F18: a role removed or added by hand: a role of ours that another client removed is restored (default), kept off (`respect`) or only
/// reported (`alert`); a role given by hand below the threshold stays until it is adopted; a row of the audit.
#[tokio::test]
async fn f18_a_role_removed_by_hand_is_pinned_off_until_unpin() {
    let (world, _file) = holders(&["ann", "bob"], 100.0).await;
    world
        .tenant
        .dashboard_edit(&user("ann"), without())
        .expect("an edit");
    world.count_is("she is pinned off", PINNED, 1).await;
    world.quiet().await;
    verify(&world).await;
    world
        .publish(&crate::world::events::plays("more", "pl_ann", 0..5))
        .await;
    world.quiet().await;
    world
        .holders_are("no play gives it back", &["ann", "bob"], &["bob"])
        .await;
    let answer = "rolekeeper_roles_externally_removed_total{outcome=\"pinned\"}";
    assert_eq!(world.worker().count(answer).await, Some(1));
    let taken = "SELECT change, outcome, client_id FROM role_changes WHERE change = 'taken'";
    assert_eq!(world.rows(taken).await[0]["outcome"], "left");
    let listed = world.told(&["pins"]).await;
    assert!(
        listed.contains("by the worker that reconciles: removed by"),
        "{listed}"
    );
    assert!(
        world
            .told(&["acts"])
            .await
            .contains("another client removed the role")
    );
    world.told(&["unpin", &user("ann"), ROLE]).await;
    world
        .holders_are("the rules decide again", &["ann"], &["ann"])
        .await;
    world.settled().await;
}

#[tokio::test]
async fn without_a_confirmed_record_nothing_is_pinned() {
    let (world, _file) = holders(&["ann"], 100.0).await;
    world
        .tenant
        .edit_unrecorded(&user("ann"), without())
        .expect("an edit");
    verify(&world).await;
    world.count_is("the record is waited for", WAITING, 1).await;
    // A forged record is none that Auth0 knows.
    let request = json!({"method": "patch", "path": "/api/v2/users/auth0%7Cann", "body": without()});
    let date = world
        .postgres_now()
        .await
        .format(&time::format_description::well_known::Rfc3339);
    let forged = json!({"log_id": "forged", "data": {"log_id": "forged", "type": "sapi", "date": date.expect("a date"),
        "client_id": "crm", "details": {"request": request, "response": {"statusCode": 200, "body": {}}}}});
    let posted = world.worker().post_logs(LOG_TOKEN, forged.to_string()).await;
    assert_eq!(posted, Some(200));
    let asked = "SELECT count(*) FROM foreign_writes WHERE record_id = 'forged' AND asks > 0";
    world.count_is("Auth0 does not know it", asked, 1).await;
    assert!(!world.has("ann", ROLE), "neither granted nor pinned yet");
    assert_eq!(world.number("SELECT count(*) FROM pins").await, Some(0));
    world
        .run_sql("UPDATE removals SET found_at = now() - interval '6 minutes'")
        .await;
    world.run_sql("UPDATE foreign_writes SET asked_at = now() - interval '11 minutes', ask_at = now() WHERE record_id = 'forged'").await;
    world.holders_are("it is granted again", &["ann"], &["ann"]).await;
    world.quiet().await;
    assert_eq!(world.number("SELECT count(*) FROM pins").await, Some(0));
    assert_eq!(world.number("SELECT count(*) FROM removals").await, Some(0));
}

/// Another client takes the role of five holders at once; two removals pass.
async fn a_mass_of_removals() -> (World, RulesFile) {
    let names = ["ann", "bob", "cid", "dan", "eve"];
    let (world, file) = holders(&names, 2.0).await;
    for name in names {
        let edited = world
            .tenant
            .edit_by_other_client("import", &user(name), without());
        edited.expect("an edit");
    }
    world.count_is("the others are held", HELD, 3).await;
    world.quiet().await;
    assert_eq!(world.number(PINNED).await, Some(2));
    let worker = world.worker();
    let engaged = "rolekeeper_brake_engaged{change=\"removed\"}";
    assert_eq!(worker.count(engaged).await, Some(1));
    assert_eq!(
        worker
            .count("rolekeeper_roles_externally_removed_total{outcome=\"held\"}")
            .await,
        Some(3)
    );
    let shown = world.told(&["brake"]).await;
    assert!(
        shown.contains("removals: engaged since") && shown.contains("3 held"),
        "{shown}"
    );
    verify(&world).await;
    world.quiet().await;
    world.holders_are("no role is written", &names, &[]).await;
    (world, file)
}

#[tokio::test]
async fn released_removals_become_pins() {
    let (world, _file) = a_mass_of_removals().await;
    let said = world.told(&["brake", "release", "removals"]).await;
    assert!(said.contains("3 users released"), "{said}");
    world.count_is("all are pinned off", PINNED, 5).await;
    world.quiet().await;
    assert_eq!(world.number("SELECT count(*) FROM removals").await, Some(0));
    assert_eq!(
        world
            .worker()
            .count("rolekeeper_brake_engaged{change=\"removed\"}")
            .await,
        Some(0)
    );
}

#[tokio::test]
async fn unpin_gives_back_a_role_that_the_brake_had_held() {
    let (world, _file) = a_mass_of_removals().await;
    world.told(&["brake", "release", "removals"]).await;
    world.count_is("all are pinned off", PINNED, 5).await;
    world.quiet().await;
    let all = ["ann", "bob", "cid", "dan", "eve"];
    for name in all {
        world.told(&["unpin", &user(name), ROLE]).await;
    }
    world.holders_are("the rules decide again", &all, &all).await;
}

#[tokio::test]
async fn dropped_removals_are_granted_again() {
    let (world, _file) = a_mass_of_removals().await;
    let said = world.told(&["brake", "drop", "removals"]).await;
    assert!(
        said.contains("3 users dropped: the roles that other clients removed are granted again"),
        "{said}"
    );
    world.quiet().await;
    let held = ["ann", "bob", "cid", "dan", "eve"];
    assert_eq!(held.iter().filter(|name| world.has(name, ROLE)).count(), 3);
    assert_eq!(
        (world.number(PINNED).await, world.number(HELD).await),
        (Some(2), Some(0))
    );
}

#[tokio::test]
async fn held_removals_are_granted_again_once_the_rule_restores() {
    let (world, file) = a_mass_of_removals().await;
    file.write(&rule(ROLE, 100, 100, ""));
    let held = ["ann", "bob", "cid", "dan", "eve"];
    world
        .eventually("the held ones have it again", async || {
            held.iter().filter(|name| world.has(name, ROLE)).count() == 3
        })
        .await;
    world.quiet().await;
    assert_eq!(world.number("SELECT count(*) FROM removals").await, Some(0));
    assert_eq!(world.number(PINNED).await, Some(2));
}

#[tokio::test]
async fn a_held_removal_waits_also_for_a_new_account() {
    let (world, _file) = a_mass_of_removals().await;
    let held = "SELECT user_id FROM removals WHERE state = 'held' ORDER BY user_id LIMIT 1";
    let held = world.rows(held).await;
    let held = held[0]["user_id"].as_str().expect("a user");
    assert!(world.tenant.delete_user(held));
    let gone = "SELECT count(*) FROM gone_users";
    world.count_is("the user is gone", gone, 1).await;
    world.quiet().await;
    world.tenant.create_user(held, json!({})).expect("a sign-up");
    world.count_is("the new account is read", gone, 0).await;
    world.quiet().await;
    assert!(world.roles(held).is_empty(), "{held}");
    world.told(&["brake", "release", "removals"]).await;
    world.count_is("all are pinned off", PINNED, 5).await;
    world.quiet().await;
}

#[tokio::test]
async fn a_removal_waits_for_its_record_also_under_a_new_account() {
    let (world, _file) = holders(&["ann"], 100.0).await;
    let late = Fault::Status {
        code: 404,
        headers: vec![],
        body: None,
    };
    world.tenant.hold_fault(CallMatch::to(ReadLog), late);
    let edited = world.tenant.edit_by_other_client("crm", &user("ann"), without());
    edited.expect("an edit");
    world.count_is("the record is waited for", WAITING, 1).await;
    assert!(world.tenant.delete_user(&user("ann")));
    let gone = "SELECT count(*) FROM gone_users";
    world.count_is("she is gone", gone, 1).await;
    world
        .tenant
        .create_user(&user("ann"), json!({}))
        .expect("a sign-up");
    world.count_is("the new account is read", gone, 0).await;
    world.tenant.clear_faults();
    world.count_is("she is pinned off", PINNED, 1).await;
    world.quiet().await;
    assert!(world.roles(&user("ann")).is_empty());
}

/// No record says that a client removed the role: the account that had it was deleted.
#[tokio::test]
async fn a_role_of_an_earlier_account_is_not_restored() {
    let file = RulesFile::new(&rule(ROLE, 100, 50, "manual = \"respect\""));
    let builder = World::builder().env("RULES_FILE", file.path().display());
    let world = builder.env("SWEEP_INTERVAL_S", 1).start().await;
    world.connect_log_stream().await;
    world.played("ann", 100).await;
    world.holders_are("it is earned", &["ann"], &["ann"]).await;
    world.retracted("ann", 0..1).await;
    world.quiet().await;
    world.told(&["pause", "--why", "a story"]).await;
    assert!(world.tenant.delete_user(&user("ann")));
    let sign_up = world.tenant.create_user(&user("ann"), json!({}));
    sign_up.expect("a sign-up");
    world.told(&["resume", "--why", "a story"]).await;
    world.count_is("the record is waited for", WAITING, 1).await;
    world
        .run_sql("UPDATE removals SET found_at = now() - interval '6 minutes'")
        .await;
    verify(&world).await;
    world.count_is("it is waited for no more", WAITING, 0).await;
    world.quiet().await;
    assert!(world.roles(&user("ann")).is_empty(), "99 plays are not enough");
    world.all_told().await;
    let changes = world.told_by_user().await;
    assert_eq!(
        changes[&user("ann")],
        [told("granted", None), told("revoked", Some("user_deleted"))]
    );
}

#[tokio::test]
async fn a_removal_outlasts_an_account_deleted_before_it_is_read() {
    let (world, _file) = holders(&["ann"], 100.0).await;
    world.told(&["pause", "--why", "a story"]).await;
    let edited = world.tenant.edit_by_other_client("crm", &user("ann"), without());
    edited.expect("an edit");
    let known = "SELECT count(*) FROM foreign_writes WHERE user_id = 'auth0|ann'";
    world.count_is("the record is folded", known, 1).await;
    assert!(world.tenant.delete_user(&user("ann")));
    world.told(&["resume", "--why", "a story"]).await;
    let gone = "SELECT count(*) FROM gone_users";
    world.count_is("she is gone", gone, 1).await;
    world
        .tenant
        .create_user(&user("ann"), json!({}))
        .expect("a sign-up");
    world.count_is("she is pinned off", PINNED, 1).await;
    world.quiet().await;
    assert!(world.roles(&user("ann")).is_empty());
}

#[tokio::test]
async fn a_held_removal_follows_a_link_and_its_end() {
    let (world, _file) = a_mass_of_removals().await;
    let held = "SELECT user_id FROM removals WHERE state = 'held' ORDER BY user_id LIMIT 1";
    let held = world.rows(held).await;
    let held = held[0]["user_id"].as_str().expect("a user");
    let account = user("account");
    world.seed_user(&account, &[]);
    world.tenant.login(&account).expect("a login");
    world.quiet().await;
    world.tenant.link(app(), &account, held).expect("a link");
    world.linked(1).await;
    world.quiet().await;
    let there = "SELECT count(*) FROM removals WHERE user_id = 'auth0|account' AND state = 'held'";
    assert_eq!(world.number(there).await, Some(1));
    world.tenant.unlink(app(), &account, held).expect("an unlink");
    world.linked(0).await;
    world.quiet().await;
    assert!(world.roles(held).is_empty(), "{held}");
    world.told(&["brake", "drop", "removals"]).await;
    world.rests_with(held, &[ROLE]).await;
}

#[tokio::test]
async fn a_removal_in_shadow_mode_is_pinned_and_nothing_is_written() {
    let (world, _file) = holders(&["ann"], 100.0).await;
    let patches = world.patches();
    world
        .told(&["limits", "set", "writes", "off", "--why", "a test"])
        .await;
    world
        .tenant
        .dashboard_edit(&user("ann"), without())
        .expect("an edit");
    world.count_is("she is pinned off", PINNED, 1).await;
    world
        .told(&["limits", "set", "writes", "on", "--why", "a test"])
        .await;
    world.quiet().await;
    assert_eq!((world.patches(), world.has("ann", ROLE)), (patches, false));
}
